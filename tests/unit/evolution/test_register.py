"""The trial register: whatever is deleted, cut or repeated, the count of trials never falls."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.files import write_json
from genesis.evolution.register import END, REGISTER, TrialRegister
from genesis.evolution.registration import STUDY, Registration, bars_hash, study_registration
from genesis.evolution.seals import sealed_bases
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.evolution.trial_count import TrialCount, register_backtest
from genesis.evolution.trials import GENESIS, TrialLedger
from genesis.market.panel import Panel
from tests.unit.evolution.trial_homes import Home, facts_of, strategy, trial


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def _sources(count: TrialCount) -> dict[str, str]:
    return {row.run_id: row.source for row in count.studies}


def test_studies_on_overlapping_data_are_added_and_twins_counted_once(home: Home) -> None:
    home.study("one", "aabc")
    home.study("two", "cd", dataset="other:BTCUSD:4h", searched_ms=[-500, 900])
    home.study("later", "ef", searched_ms=[1_100, 2_000], created_ms=2)
    home.study("coin", "gh", bases=["SOL"], dataset="v:SOLUSDT:1h")
    home.study("synthetic", "ij", bases=["synth:BTC"], dataset="synth:BTC:1h")
    assert home.numbers() == (6, 4)
    assert home.numbers(span=(1_000, 1_600)) == (2, 2)
    assert home.numbers(span=(899, 900)) == (6, 4)
    assert home.numbers(span=(900, 901)) == (4, 3)
    assert home.numbers(["BTC", "SOL"]) == (8, 6)
    assert home.numbers(["synth:BTC"]) == (2, 2)
    assert home.numbers(["ETH"]) == (0, 0)
    assert _sources(home.count()) == {"one": "ledger", "two": "ledger"}
    assert home.count().head == TrialRegister(home.path).head
    heads = {row.run_id: row.ledger_head for row in home.count().studies}
    assert heads["one"] == TrialLedger(home.run("one") / "trials.jsonl").head


def test_only_counted_roles_and_valid_behaviours_count(home: Home) -> None:
    facts = home.begin("one")
    ledger = TrialLedger(home.run("one") / "trials.jsonl")
    ledger.append([trial(role, role, role) for role in ("search", "random", "human", "lottery")])
    ledger.append([trial("broken", "", status="no_trades"), trial("s", "x", "surrogate")])
    TrialRegister(home.path).record("one", facts, ledger)
    assert home.numbers() == (4, 3)


def test_a_deleted_run_counts_on(home: Home) -> None:
    home.study("one", "abc")
    home.study("two", "cd")
    before = home.numbers()
    assert before == (5, 4)
    shutil.rmtree(home.run("one"))
    # What the lost ledger shared with the other is not known any more: nothing is taken off.
    assert home.numbers() == (5, 5)
    assert _sources(home.count()) == {"one": "register", "two": "ledger"}
    (home.run("two") / "trials.jsonl").unlink()
    assert home.numbers() == (5, 5)


def test_a_run_deleted_and_begun_anew_is_another_one(home: Home) -> None:
    home.study("one", "abc")
    shutil.rmtree(home.run("one"))
    facts = home.begin("one", created_ms=2)
    assert home.numbers() == (3, 3)
    home.generation(facts, "x")
    assert home.numbers() == (4, 4)
    sources = sorted(row.source for row in home.count().studies)
    assert sources == ["ledger", "register"]


def test_a_generation_that_is_run_again_counts_once(home: Home) -> None:
    facts = home.study("one", "abc")
    register = (home.path / REGISTER).read_bytes()
    home.generation(facts, "abc", at=0)
    assert (home.path / REGISTER).read_bytes() == register
    assert home.numbers() == (3, 3)
    home.generation(facts, "cd")
    assert home.numbers() == (5, 4)


def test_trials_of_a_killed_sitting_count_and_stay(home: Home) -> None:
    home.study("one", "abc")
    # Killed after the ledger was written and before it was registered.
    TrialLedger(home.run("one") / "trials.jsonl").append([trial("late", "z")])
    assert home.numbers() == (4, 4)
    shutil.rmtree(home.run("one"))
    assert home.numbers() == (4, 4)


def test_a_row_that_is_being_written_is_left_alone(home: Home) -> None:
    home.study("one", "ab")
    path = home.run("one") / "trials.jsonl"
    torn = path.read_bytes() + b'{"schema": 1, "stu'
    path.write_bytes(torn)
    assert home.numbers() == (2, 2)
    assert path.read_bytes() == torn


def _drop_last(lines: list[str]) -> list[str]:
    return lines[:-1]


def _change_middle(lines: list[str]) -> list[str]:
    row = json.loads(lines[1])
    row["trials" if "trials" in row else "phenotype"] = 0
    return [lines[0], json.dumps(row), *lines[2:]]


def _drop_first(lines: list[str]) -> list[str]:
    return lines[1:]


def _empty(lines: list[str]) -> list[str]:
    return []


Edit = Callable[[list[str]], list[str]]
EDITS: list[Edit] = [_drop_last, _change_middle, _drop_first, _empty]


def _edit(path: Path, edit: Edit) -> None:
    lines = edit(path.read_text().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("edit", EDITS)
def test_a_ledger_that_was_cut_or_changed_is_refused(home: Home, edit: Edit) -> None:
    facts = home.study("one", "abc")
    path = home.run("one") / "trials.jsonl"
    _edit(path, edit)
    with pytest.raises(RefusedError, match="trial ledger of 'one' was cut or changed") as caught:
        home.count()
    assert caught.value.exit_code == 3
    assert caught.value.fix
    if edit is not _change_middle and edit is not _drop_first:
        # A study that goes on with it is refused as well.
        with pytest.raises(RefusedError, match="cut or changed"):
            TrialRegister(home.path).record("one", facts, TrialLedger(path))


def test_a_ledger_written_anew_is_refused(home: Home) -> None:
    home.study("one", "abc")
    path = home.run("one") / "trials.jsonl"
    path.unlink()
    TrialLedger(path).append([trial(f"other-{n}", "a") for n in range(5)])
    with pytest.raises(RefusedError, match="cut or changed") as caught:
        home.count()
    assert "first 3 rows" in caught.value.why


@pytest.mark.parametrize("edit", EDITS)
def test_a_register_that_was_cut_or_changed_is_refused(home: Home, edit: Edit) -> None:
    facts = home.study("one", "ab")
    home.generation(facts, "cd")
    shutil.rmtree(home.run("one"))
    _edit(home.path / REGISTER, edit)
    for look in (home.count, lambda: TrialRegister(home.path).add(_row("new"))):
        with pytest.raises(RefusedError, match=f"{REGISTER} was changed or cut") as caught:
            look()
        assert "restore" in caught.value.fix


def test_a_register_that_was_changed_behind_its_noted_end_is_refused(home: Home) -> None:
    home.study("one", "ab")
    (home.path / END).write_text(json.dumps({"schema": 1, "size": 0, "head": GENESIS}))
    assert home.numbers() == (2, 2)
    _edit(home.path / REGISTER, _change_middle)
    with pytest.raises(RefusedError, match="changed or cut") as caught:
        home.count()
    assert "row 2 does not fit the chain" in caught.value.why


def test_a_register_without_its_end_is_refused(home: Home) -> None:
    # Else its last rows could be cut off unseen: looks at sealed bars, a person's trials.
    home.study("one", "ab")
    (home.path / END).unlink()
    with pytest.raises(RefusedError, match="changed or cut") as caught:
        home.count()
    assert f"{END} is missing" in caught.value.why


def test_a_register_without_its_end_is_refused_however_long_its_first_row_is(home: Home) -> None:
    many = tuple(f"COIN{n}" for n in range(9_000))
    TrialRegister(home.path).add(replace(_row("one"), bases=many))
    assert (home.path / REGISTER).stat().st_size > 65_536
    (home.path / END).unlink()
    with pytest.raises(RefusedError, match="changed or cut") as caught:
        TrialRegister(home.path).rows()
    assert f"{END} is missing" in caught.value.why


def test_a_first_row_that_comes_while_somebody_looks_is_no_damage(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists, waiting = Path.exists, [_row("one")]

    def then_another_writes(path: Path) -> bool:
        there = exists(path)
        if path.name == END and waiting:
            TrialRegister(home.path).add(waiting.pop())
        return there

    monkeypatch.setattr(Path, "exists", then_another_writes)
    assert [row.run_id for row in TrialRegister(home.path).rows()] == ["one"]


def test_a_register_that_is_cut_while_it_is_open_is_refused(home: Home) -> None:
    home.study("one", "ab")
    register = TrialRegister(home.path)
    assert len(register.rows()) == 1
    _edit(home.path / REGISTER, _drop_last)
    with pytest.raises(RefusedError, match="changed or cut"):
        register.rows()


def test_a_deleted_register_is_noticed(home: Home) -> None:
    home.study("one", "ab")
    home.study("two", "cd")
    (home.path / REGISTER).unlink()
    with pytest.raises(RefusedError, match="changed or cut"):
        home.count()
    # Where its end is gone as well, it looks like a workspace of an earlier version ...
    (home.path / END).unlink()
    assert home.numbers() == (4, 4)
    # ... unless a study sealed data whose run is gone too.
    (home.path / REGISTER).unlink()
    (home.path / END).unlink()
    shutil.rmtree(home.run("one"))
    with pytest.raises(RefusedError, match="how many trials one made") as caught:
        home.count()
    assert "runs/one" in caught.value.fix


def test_runs_of_an_earlier_version_are_taken_up(home: Home) -> None:
    facts = home.study("one", "abc")
    home.study("two", "d", dataset="synth:SYN1:4h", bases=["synth:SYN1"])
    for name in (REGISTER, END):
        (home.path / name).unlink()
    for run_id in ("one", "two"):
        study = json.loads((home.run(run_id) / "study.json").read_text())
        del study["bases"], study["searched_hash"]
        write_json(home.run(run_id) / "study.json", study)
    (home.path / "seals.json").rename(home.path / "kept.json")
    assert home.numbers() == (3, 3)  # from the spelling of its dataset
    assert home.numbers(["synth:SYN1"]) == (1, 1)
    (home.path / "kept.json").rename(home.path / "seals.json")
    shutil.rmtree(home.run("one"))
    assert home.numbers() == (3, 3)
    assert TrialRegister(home.path).known(STUDY, ("one", facts["study_hash"], 1)) is not None


def test_a_study_without_facts_is_told(home: Home) -> None:
    home.study("one", "a")
    write_json(home.run("odd") / "study.json", {"schema": 1, "run_id": "odd"})
    with pytest.raises(StorageError, match="does not say what the study searched"):
        home.count()


def _row(run_id: str, **numbers: int) -> Registration:
    return replace(study_registration(STUDY, run_id, facts_of(run_id)), **numbers)


def test_smaller_numbers_change_nothing(home: Home) -> None:
    register = TrialRegister(home.path)
    assert register.add(_row("one", trials=5, unique=4, ledger_size=5))
    assert not register.add(_row("one", trials=5, unique=4, ledger_size=5))
    assert not register.add(_row("one", trials=2, unique=1, ledger_size=2))
    assert TrialRegister(home.path).rows()[0].trials == 5
    assert home.numbers() == (5, 4)


def test_a_longer_ledger_with_fewer_trials_takes_none_back(home: Home) -> None:
    """What comes with a strategy without its ledger is only told, never verified."""
    register = TrialRegister(home.path)
    assert register.add(_row("one", trials=5, unique=4, ledger_size=5))
    assert register.add(_row("one", trials=0, unique=0, ledger_size=6))
    assert register.add(_row("one", trials=7, unique=0, ledger_size=2))
    (row,) = TrialRegister(home.path).rows()
    assert (row.trials, row.unique, row.ledger_size) == (7, 4, 6)
    assert home.numbers() == (7, 4)


def test_a_row_that_is_as_long_does_not_move_the_head(home: Home) -> None:
    """The ledger that is here was verified against the head that is registered."""
    register = TrialRegister(home.path)
    register.add(_row("one", trials=5, ledger_size=5, ledger_head="a" * 64))
    assert register.add(_row("one", trials=6, ledger_size=5, ledger_head="b" * 64))
    (row,) = register.rows()
    assert (row.trials, row.ledger_head) == (6, "a" * 64)


@pytest.mark.parametrize("edit", [_drop_last, _empty, None])
def test_a_finished_run_that_is_taken_up_has_its_whole_ledger(
    home: Home, edit: Edit | None
) -> None:
    """Without the register only the study's own facts say where its ledger ended."""
    facts = home.study("one", "abc")
    path = home.run("one") / "trials.jsonl"
    head = TrialLedger(path).head
    write_json(home.run("one") / "study.json", {**facts, "ledger_head": head})
    for name in (REGISTER, END):
        (home.path / name).unlink()
    whole = path.read_bytes()
    if edit is None:
        path.unlink()
    else:
        _edit(path, edit)
    with pytest.raises(RefusedError, match="'one' was cut or changed") as caught:
        home.count()
    assert "the study ended with" in caught.value.why
    assert "runs/one" in caught.value.fix
    path.write_bytes(whole)
    assert home.numbers() == (3, 3)


def test_two_writers_keep_one_chain(home: Home) -> None:
    one, two = TrialRegister(home.path), TrialRegister(home.path)
    for n in range(1, 6):
        one.add(_row("one", trials=n, ledger_size=n))
        two.add(_row("two", trials=n, ledger_size=n))
    assert one.rows() == two.rows() == TrialRegister(home.path).rows()
    with (home.path / REGISTER).open("ab") as file:
        file.write(b'{"torn')
    assert one.add(_row("three", trials=1, ledger_size=1))
    assert len(TrialRegister(home.path).rows()) == 3


def _span(panel: Panel) -> tuple[int, int]:
    return int(panel.ts_ms[0]), int(panel.ts_ms[-1]) + panel.interval_ms


def test_a_person_trying_a_strategy_is_a_trial(home: Home, factory) -> None:
    panel: Panel = factory.panel()
    bases, span = sealed_bases(panel), _span(panel)
    ids = [strategy(n).id for n in (5, 10)]
    assert register_backtest(home.path, ids[0], panel)
    assert not register_backtest(home.path, ids[0], panel)
    assert register_backtest(home.path, ids[1], panel)
    longer = replace(panel, dataset_hash="e" * 64)
    assert register_backtest(home.path, ids[0], longer)
    count = home.count(bases, span)
    assert (count.total, count.unique) == (3, 3)
    assert {row.source for row in count.studies} == {"human"}
    assert home.numbers(bases, (span[1], span[1] + 1)) == (0, 0)


def test_what_a_study_found_on_these_bars_is_no_second_trial(home: Home, factory) -> None:
    panel: Panel = factory.panel()
    searched = panel.sliced(0, panel.bars * 4 // 5)
    facts = home.study(
        "one", "ab", bases=sealed_bases(panel), searched_ms=list(_span(searched)),
        searched_hash=bars_hash(searched),
    )  # fmt: skip
    found = StoredStrategy(strategy(5), run_id="one", study_hash=facts["study_hash"])
    StrategyStore(home.path / "strategies").put(found)
    cut = replace(searched, dataset_hash="of the part")
    assert not register_backtest(home.path, found.id, cut)
    # Another strategy, or other bars, is a new look.
    assert register_backtest(home.path, strategy(10).id, cut)
    assert register_backtest(home.path, found.id, panel)
    assert home.numbers(sealed_bases(panel), _span(panel)) == (4, 4)
    # Deleting the run does not make the trial one of a person.
    shutil.rmtree(home.run("one"))
    assert not register_backtest(home.path, found.id, cut)
