"""Strategies that move: every trial behind them comes along, whole, or they are not promotable."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError
from genesis.evolution.files import write_json
from genesis.evolution.origins import origin_problem
from genesis.evolution.register import REGISTER, TrialRegister
from genesis.evolution.registration import human_registration
from genesis.evolution.run import Run
from genesis.evolution.seals import SealRegistry, sealed_bases
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.evolution.strategy_export import export_strategy, import_strategy, ledgers_file
from genesis.evolution.trials import TrialLedger
from genesis.market.atomic_file import write_atomic
from tests.unit.evidence.small_study import StepClock
from tests.unit.evolution.trial_homes import Home, strategy

CONFIG = "schema: 1\nname: one\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two studies on the same market, and one elsewhere; the first found a strategy."""
    home = Home(tmp_path / "home")
    home.study("one", "aabc", command="genesis evolve /home/me/secret.yaml")
    home.study("two", "cd", searched_ms=[-500, 900])
    home.study("coin", "xyz", bases=["SOL"], dataset="v:SOLUSDT:1h")
    (home.run("one") / "config.yaml").write_text(CONFIG)
    _store(home, "one")
    return home


def _store(home: Home, run_id: str, **changes: Any) -> StoredStrategy:
    ledger = TrialLedger(home.run(run_id) / "trials.jsonl")
    record = StoredStrategy(
        strategy(5),
        run_id=run_id,
        study_hash=f"study-of-{run_id}",
        genome=f"{run_id}-1",
        trials=ledger.trials,
        ledger_head=ledger.head,
    )
    record = replace(record, **changes)
    StrategyStore(home.path / "strategies").put(record)
    return record


@pytest.fixture
def file(home: Home, tmp_path: Path) -> Path:
    """The strategy, exported."""
    return export_strategy(home.path, "strat_", tmp_path / "out" / "best.json").path


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """Another workspace, which made trials of its own on the market."""
    other = Home(tmp_path / "other")
    other.study("own", "ae")
    return other


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_trials_come_along_and_are_counted(home: Home, file: Path, other: Home) -> None:
    assert home.numbers() == (6, 4)
    assert other.numbers() == (2, 2)
    moved = import_strategy(other.path, file)
    assert (moved.ledgers, moved.problem) == (ledgers_file(file), None)
    assert other.numbers() == (8, 5)  # a is behaviour of both
    sources = {row.run_id: row.source for row in other.count().studies}
    assert sources == {"own": "ledger", "one": "import", "two": "import"}
    assert other.numbers(["SOL"]) == (0, 0)
    record = StrategyStore(other.path / "strategies").get(moved.record.id)
    assert origin_problem(other.path, record) is None
    assert origin_problem(home.path, record) is None
    # What is needed to evaluate the study again lies there like a run.
    (folder,) = (other.path / "origins").glob("one-*")
    run = Run(folder)
    assert len(run.trials_records()) == 4
    assert run.study["searched_ms"] == [0, 1_000]
    assert (folder / "config.yaml").read_text() == CONFIG
    assert "command" not in run.study


def test_doing_it_again_changes_nothing(home: Home, file: Path, other: Home) -> None:
    import_strategy(other.path, file)
    before = {name: (other.path / name).read_bytes() for name in _files(other.path)}
    count = other.count()
    import_strategy(other.path, file)
    assert {name: (other.path / name).read_bytes() for name in _files(other.path)} == before
    assert other.count() == count
    # The same export has the same bytes; at home an import adds nothing to what is known.
    archive = ledgers_file(file).read_bytes()
    again = export_strategy(home.path, "strat_", file.with_name("again.json"))
    assert again.path.read_bytes() == file.read_bytes()
    assert ledgers_file(again.path).read_bytes() == archive
    import_strategy(home.path, file)
    assert home.numbers() == (6, 4)


def test_what_came_is_counted_after_it_was_deleted(file: Path, other: Home) -> None:
    moved = import_strategy(other.path, file)
    shutil.rmtree(other.path / "origins")
    total, unique = other.numbers()
    assert (total, unique) == (8, 7)
    assert "is not here" in str(origin_problem(other.path, moved.record))
    assert import_strategy(other.path, file).problem is None
    assert other.numbers() == (8, 5)


def test_what_was_sealed_and_opened_comes_along(home: Home, other: Home, tmp_path: Path) -> None:
    """Moving a strategy neither unseals its bars nor gives back the budget that was spent."""
    clock = StepClock()
    there = SealRegistry(home.path / "seals.json")
    tail = there.reached(["BTC"], (1_000, 1_001))
    first = there.open_for_gate("strat_a", "d", ["BTC"], (1_000, 1_100), clock)
    there.close(first, {"p": 0.4})
    there.open_sealed("strat_b", "d", tail, clock)
    there.open_for_gate("strat_c", "d", ["SOL"], (1_000, 1_100), clock)
    file = export_strategy(home.path, "strat_", tmp_path / "out" / "best.json").path
    here = SealRegistry(other.path / "seals.json")
    for _ in range(2):
        import_strategy(other.path, file)
        assert [seal.study for seal in here.seals()] == ["own", "one"]
        found = here.openings_of(["BTC"], (1_000, 1_100))
        assert [(look.strategy, look.p) for look in found] == [("strat_a", 0.4), ("strat_b", None)]
        assert here.openings() == found
    assert import_strategy(other.path, file).problem is None


def test_it_can_move_on_from_there(file: Path, other: Home, tmp_path: Path) -> None:
    import_strategy(other.path, file)
    moved = export_strategy(other.path, "strat_", tmp_path / "out" / "second.json")
    third = Home(tmp_path / "third")
    assert import_strategy(third.path, moved.path).problem is None
    assert third.numbers() == other.numbers() == (8, 5)


def test_trials_whose_ledger_is_gone_and_those_of_people_come_along(
    home: Home, other: Home, tmp_path: Path, factory
) -> None:
    shutil.rmtree(home.run("two"))
    panel = factory.panel()
    look = replace(human_registration("strat_1", panel), bases=("BTC",), searched_ms=(5, 6))
    TrialRegister(home.path).add(look)
    assert home.numbers() == (7, 6)
    moved = export_strategy(home.path, "strat_", tmp_path / "best.json")
    assert import_strategy(other.path, moved.path).problem is None
    assert other.numbers() == (9, 7)
    sources = {row.run_id: row.source for row in other.count().studies}
    assert sources["two"] == "register"
    assert sources["strat_1"] == "human"
    assert other.numbers(sealed_bases(panel)) == (0, 0)


def test_an_older_export_after_a_newer_one(home: Home, file: Path, other: Home) -> None:
    facts = json.loads((home.run("one") / "study.json").read_text())
    home.generation(facts, "gh")
    newer = export_strategy(home.path, "strat_", file.with_name("newer.json")).path
    import_strategy(other.path, file)
    assert other.numbers() == (8, 5)
    import_strategy(other.path, newer)
    assert other.numbers() == (10, 7)
    import_strategy(other.path, file)
    assert other.numbers() == (10, 7)
    # Without the longer one the shorter one cannot take its place.
    shutil.rmtree(other.path / "origins")
    with pytest.raises(RefusedError, match="cut or changed"):
        import_strategy(other.path, file)
    assert other.numbers()[0] == 10


def test_a_strategy_found_on_two_markets_brings_both(home: Home, tmp_path: Path) -> None:
    _store(home, "coin")
    moved = export_strategy(home.path, "strat_", tmp_path / "best.json")
    third = Home(tmp_path / "third")
    assert import_strategy(third.path, moved.path).problem is None
    assert third.numbers() == (6, 4)
    assert third.numbers(["SOL"]) == (3, 3)


def test_without_ledgers_it_can_be_looked_at_and_not_promoted(
    home: Home, file: Path, other: Home, tmp_path: Path
) -> None:
    ledgers_file(file).unlink()
    moved = import_strategy(other.path, file)
    assert moved.ledgers is None
    assert "'one', is not here" in str(moved.problem)
    assert StrategyStore(other.path / "strategies").get(moved.record.id) == moved.record
    assert other.numbers() == (2, 2)
    # Files of earlier versions are records alone.
    plain = json.loads(file.read_text())
    del plain["origins"]
    old = tmp_path / "old.json"
    write_json(old, plain)
    assert "is not here" in str(import_strategy(Home(tmp_path / "third").path, old).problem)
    no_run = replace(moved.record, run_id=None)
    assert "no study" in str(origin_problem(home.path, no_run))


def test_a_run_that_is_gone_is_exported_without_a_ledger(home: Home, tmp_path: Path) -> None:
    for run_id in ("one", "two"):
        shutil.rmtree(home.run(run_id))
    moved = export_strategy(home.path, "strat_", tmp_path / "best.json")
    assert moved.ledgers is None
    assert not ledgers_file(moved.path).exists()
    assert "is not here" in str(moved.problem)
    third = Home(tmp_path / "third")
    assert "is not here" in str(import_strategy(third.path, moved.path).problem)
    assert third.numbers() == (6, 5)


@pytest.mark.parametrize(
    "changes",
    [{"ledger_head": "f" * 64}, {"genome": "unknown"}, {"trials": 99}, {"study_hash": "other"}],
)
def test_a_record_that_its_ledger_contradicts(
    home: Home, file: Path, other: Home, changes: dict[str, Any]
) -> None:
    plain = json.loads(file.read_text())
    record = replace(StoredStrategy.from_plain(plain), **changes)
    forged = record.to_plain()
    origins = {k: v for k, v in plain["origins"].items() if k != "digest"}
    origins["record"] = forged["digest"]
    write_json(file, {**forged, "origins": {**origins, "digest": content_hash(origins)}})
    before = _files(other.path)
    if "study_hash" in changes:  # some other study's record: its ledger did not come along
        assert "is not here" in str(import_strategy(other.path, file).problem)
        return
    with pytest.raises(RefusedError, match="cut or changed") as caught:
        import_strategy(other.path, file)
    assert caught.value.exit_code == 3
    assert _files(other.path) - {"register.lock"} == before - {"register.lock"}
    if "trials" not in changes:
        assert "does not hold its search" in str(origin_problem(home.path, record))


Edit = Callable[[list[bytes]], list[bytes]]


def _repack(archive: Path, edit: Callable[[str, bytes], bytes | None]) -> None:
    with ZipFile(archive) as pack:
        held = {name: pack.read(name) for name in pack.namelist()}
    with ZipFile(archive, "w") as pack:
        for name, data in held.items():
            changed = edit(name, data)
            if changed is not None:
                pack.writestr(name, changed)


def _cut(name: str, data: bytes) -> bytes | None:
    return b"".join(data.splitlines(keepends=True)[:-1])


def _change(name: str, data: bytes) -> bytes | None:
    return data.replace(b'"phenotype":"c"', b'"phenotype":"a"')


def _drop_second(name: str, data: bytes) -> bytes | None:
    return None if name.startswith("two") else data


def _add_torn_row(name: str, data: bytes) -> bytes | None:
    return data + b'{"schema": 1, "stu'


@pytest.mark.parametrize("edit", [_cut, _change, _drop_second, _add_torn_row])
def test_a_changed_ledger_is_refused(file: Path, other: Home, edit) -> None:
    _repack(ledgers_file(file), edit)
    before = _files(other.path)
    with pytest.raises(RefusedError, match="cut or changed after they were exported") as caught:
        import_strategy(other.path, file)
    assert caught.value.exit_code == 3
    assert "export it again" in caught.value.fix
    assert _files(other.path) == before
    assert other.numbers() == (2, 2)
    assert not list(other.path.rglob(".incoming-*"))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_broken_archive_is_refused(file: Path, other: Home, content: bytes | None) -> None:
    archive = ledgers_file(file)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(RefusedError, match="cut or changed"):
        import_strategy(other.path, file)
    assert not list((other.path / "strategies").glob("*"))


def _forge(file: Path, change: Callable[[dict[str, Any]], None], *, sign: bool) -> None:
    plain = json.loads(file.read_text())
    origins = plain["origins"]
    change(origins)
    if sign:
        origins["digest"] = content_hash({k: v for k, v in origins.items() if k != "digest"})
    write_json(file, plain)


def _fewer(origins: dict[str, Any]) -> None:
    origins["studies"][1]["unique"] = 1


def _leave_out(origins: dict[str, Any]) -> None:
    del origins["studies"][0]


def _below_zero(origins: dict[str, Any]) -> None:
    origins["studies"][1] |= {"trials": -5, "file": None}


def _escape(origins: dict[str, Any]) -> None:
    origins["studies"][0]["file"] = "../../../escaped.trials.jsonl"


def _other_facts(origins: dict[str, Any]) -> None:
    origins["studies"][0]["study"]["searched_ms"] = [5_000, 6_000]


def _twice(origins: dict[str, Any]) -> None:
    origins["studies"].append(origins["studies"][0])


def _other_record(origins: dict[str, Any]) -> None:
    origins["record"] = "f" * 64


def _foreign_seal(origins: dict[str, Any]) -> None:
    origins["seals"][0]["study"] = "nobody"


def _no_opening(origins: dict[str, Any]) -> None:
    origins["openings"] = [{"strategy": 5}]


def _no_p(origins: dict[str, Any]) -> None:
    look = {"strategy": "s", "dataset": "d", "ts_ms": 1, "studies": [], "numbers": {}}
    origins["openings"] = [look]


def _no_list(origins: dict[str, Any]) -> None:
    origins["studies"] = {"a": 1}


@pytest.mark.parametrize(
    "change",
    [
        _fewer, _below_zero, _escape, _other_facts, _twice, _other_record,
        _no_list, _foreign_seal, _no_opening, _no_p,
    ],
)  # fmt: skip
@pytest.mark.parametrize("sign", [True, False])
def test_changed_origins_are_refused(
    file: Path, other: Home, change: Callable[[dict[str, Any]], None], sign: bool
) -> None:
    _forge(file, change, sign=sign)
    before, outside = _files(other.path), _files(file.parent.parent)
    with pytest.raises(RefusedError, match="cut or changed"):
        import_strategy(other.path, file)
    assert _files(other.path) == before
    assert _files(file.parent.parent) == outside
    assert not list(file.parent.parent.rglob("*escaped*"))


def _swap_ledger(file: Path, place: int, name: str, data: bytes) -> None:
    """Put another ledger, under another name, into an archive."""
    old = json.loads(file.read_text())["origins"]["studies"][place]["file"]
    archive = ledgers_file(file)
    with ZipFile(archive) as pack:
        held = {n: pack.read(n) for n in pack.namelist() if n != old}
    with ZipFile(archive, "w") as pack:
        for n, kept in {**held, name: data}.items():
            pack.writestr(n, kept)


def test_a_run_whose_name_leads_out_of_the_folder(file: Path, other: Home) -> None:
    ledger = (file.parent.parent / "home" / "runs" / "two" / "trials.jsonl").read_bytes()

    def lead_out(origins: dict[str, Any]) -> None:
        study = origins["studies"][1]
        study["run_id"] = study["study"]["run_id"] = "../../escaped"
        study["file"] = f"../../escaped-{study['study_hash'][:12]}-1.trials.jsonl"

    _swap_ledger(file, 1, f"../../escaped-{'study-of-two'[:12]}-1.trials.jsonl", ledger)
    _forge(file, lead_out, sign=True)
    with pytest.raises(RefusedError, match="cut or changed") as caught:
        import_strategy(other.path, file)
    assert "escaped" in caught.value.why
    assert not list(file.parent.parent.rglob("escaped*"))


def test_the_ledger_of_another_study_is_refused(home: Home, file: Path, other: Home) -> None:
    stranger = TrialLedger(home.run("coin") / "trials.jsonl")
    assert stranger.path is not None
    data = stranger.path.read_bytes()

    def pass_off(origins: dict[str, Any]) -> None:
        origins["studies"][1] |= {
            "trials": stranger.trials, "unique": len(stranger.phenotypes),
            "ledger_head": stranger.head, "ledger_size": stranger.size,
            "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip

    name = json.loads(file.read_text())["origins"]["studies"][1]["file"]
    _swap_ledger(file, 1, name, data)
    _forge(file, pass_off, sign=True)
    with pytest.raises(RefusedError, match="cut or changed") as caught:
        import_strategy(other.path, file)
    assert "another study" in caught.value.why


def test_a_study_that_runs_while_it_is_exported(
    home: Home, other: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written_meanwhile(*arguments: Any) -> None:
        facts = json.loads((home.run("two") / "study.json").read_text())
        home.generation(facts, "z")
        write_atomic(*arguments)

    monkeypatch.setattr("genesis.evolution.strategy_export.write_atomic", written_meanwhile)
    moved = export_strategy(home.path, "strat_", tmp_path / "best.json")
    assert home.numbers() == (7, 5)
    import_strategy(other.path, moved.path)
    assert other.numbers() == (8, 5)


def test_origins_left_out_are_seen(file: Path, other: Home) -> None:
    _forge(file, _leave_out, sign=False)
    with pytest.raises(RefusedError, match="do not fit their digest"):
        import_strategy(other.path, file)


def test_a_person_counts_once_whatever_a_file_says(
    home: Home, other: Home, tmp_path: Path, factory
) -> None:
    look = replace(human_registration("strat_1", factory.panel()), bases=("BTC",))
    TrialRegister(home.path).add(replace(look, searched_ms=(5, 6)))
    moved = export_strategy(home.path, "strat_", tmp_path / "best.json")

    def nothing(origins: dict[str, Any]) -> None:
        origins["humans"][0] |= {"trials": 0, "unique": 0}

    _forge(moved.path, nothing, sign=True)
    import_strategy(other.path, moved.path)
    assert other.numbers() == (9, 6)


def test_a_changed_record_is_refused(file: Path, other: Home) -> None:
    file.write_text(file.read_text().replace('"trials": 4', '"trials": 3', 1))
    with pytest.raises(RefusedError, match="changed after it was written"):
        import_strategy(other.path, file)
    assert not (other.path / "origins").exists()


def test_a_damaged_workspace_exports_nothing(home: Home, tmp_path: Path) -> None:
    path = home.run("two") / "trials.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(RefusedError, match="'two' was cut or changed"):
        export_strategy(home.path, "strat_", tmp_path / "best.json")
    record = StrategyStore(home.path / "strategies").list()[0]
    assert origin_problem(home.path, record) is None
    path = home.run("one") / "trials.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert "was cut or changed" in str(origin_problem(home.path, record))
    (home.path / REGISTER).unlink()
    assert "was changed or cut" in str(origin_problem(home.path, record))
    assert not (tmp_path / "best.json").exists()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_deleted_or_repeated_the_count_never_falls(
    seed: int, home: Home, file: Path, other: Home
) -> None:
    dice = random.Random(seed)
    facts = {"own": json.loads((other.run("own") / "study.json").read_text())}
    seen = set("ae")
    total, unique = other.numbers()
    for step in range(25):
        act = dice.choice(
            ["begin", "breed", "breed", "repeat", "import", "run", "ledger", "origin"]
        )
        name = dice.choice(sorted(facts))
        here = (other.run(name) / "study.json").exists()
        behaviours = "".join(dice.choices("abcdefghij", k=3))
        if act == "begin":
            shutil.rmtree(other.run(name), ignore_errors=True)
            fresh = dice.choice([name, f"s{step}"])
            facts[fresh] = other.begin(fresh, created_ms=100 + step)
        elif act == "breed" and here and (other.run(name) / "trials.jsonl").exists():
            other.generation(facts[name], behaviours)
            seen |= set(behaviours)
        elif act == "repeat" and (other.run(name) / "trials.jsonl").exists():
            ledger = TrialLedger(other.run(name) / "trials.jsonl")
            TrialRegister(other.path).record(name, facts[name], ledger)
        elif act == "import":
            import_strategy(other.path, file)
            seen |= set("abcd")
        elif act == "run":
            shutil.rmtree(other.run(name), ignore_errors=True)
        elif act == "ledger":
            (other.run(name) / "trials.jsonl").unlink(missing_ok=True)
        elif act == "origin":
            shutil.rmtree(other.path / "origins", ignore_errors=True)
        before = (total, unique)
        total, unique = other.numbers()
        assert total >= before[0], act
        assert unique >= len(seen), act
        # A ledger that comes back says exactly what could only be bounded while it was gone.
        assert unique >= before[1] or act == "import", act
    assert total > 2
