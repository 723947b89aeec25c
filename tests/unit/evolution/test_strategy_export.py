"""Strategies that move: every trial behind them comes along and counts, wherever they go."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.evolution.files import write_json
from genesis.evolution.origins import origin_problem
from genesis.evolution.register import REGISTER, TrialRegister
from genesis.evolution.registration import human_registration
from genesis.evolution.run import Run
from genesis.evolution.seals import SealRegistry, sealed_bases
from genesis.evolution.store import StrategyStore
from genesis.evolution.strategy_export import export_strategy, import_strategy, ledgers_file
from genesis.evolution.trials import TrialLedger
from genesis.market.atomic_file import write_atomic
from tests.unit.evidence.small_study import StepClock
from tests.unit.evolution.exported import CONFIG, files_of, forge, store_found
from tests.unit.evolution.trial_homes import Home


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
    before = {name: (other.path / name).read_bytes() for name in files_of(other.path)}
    count = other.count()
    import_strategy(other.path, file)
    assert {name: (other.path / name).read_bytes() for name in files_of(other.path)} == before
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


def _told(home: Home, folder: Path) -> Path:
    """An export after the second study went on and its run was deleted: a number, no ledger."""
    facts = json.loads((home.run("two") / "study.json").read_text())
    home.generation(facts, "gh")
    shutil.rmtree(home.run("two"))
    return export_strategy(home.path, "strat_", folder / "told.json").path


def test_a_longer_ledger_that_is_only_told_of_locks_nothing(
    home: Home, file: Path, other: Home, tmp_path: Path
) -> None:
    """Its trials count, but the shorter ledger that is here was neither cut nor changed."""
    told = _told(home, tmp_path)
    import_strategy(other.path, file)
    assert other.numbers() == (8, 5)
    for _ in range(2):
        assert import_strategy(other.path, told).problem is None
        assert other.numbers()[0] == 10
        sources = {row.run_id: row.source for row in other.count().studies}
        assert sources == {"own": "ledger", "one": "import", "two": "import"}
    assert import_strategy(other.path, file).problem is None
    # Where nothing else is known, what was told is kept: a shorter ledger cannot replace it.
    third = Home(tmp_path / "third")
    import_strategy(third.path, told)
    with pytest.raises(RefusedError, match="cut or changed"):
        import_strategy(third.path, file)
    assert third.numbers()[0] == 8


def test_a_strategy_found_on_two_markets_brings_both(home: Home, tmp_path: Path) -> None:
    store_found(home, "coin")
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


def test_a_person_counts_once_whatever_a_file_says(
    home: Home, other: Home, tmp_path: Path, factory
) -> None:
    look = replace(human_registration("strat_1", factory.panel()), bases=("BTC",))
    TrialRegister(home.path).add(replace(look, searched_ms=(5, 6)))
    moved = export_strategy(home.path, "strat_", tmp_path / "best.json")

    def nothing(origins: dict[str, Any]) -> None:
        origins["humans"][0] |= {"trials": 0, "unique": 0}

    forge(moved.path, nothing, sign=True)
    import_strategy(other.path, moved.path)
    assert other.numbers() == (9, 6)


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
    seed: int, home: Home, file: Path, other: Home, tmp_path: Path
) -> None:
    dice = random.Random(seed)
    told = _told(home, tmp_path)
    facts = {"own": json.loads((other.run("own") / "study.json").read_text())}
    seen = set("ae")
    total, unique = other.numbers()
    for step in range(25):
        act = dice.choice(
            ["begin", "breed", "breed", "repeat", "import", "told", "run", "ledger", "origin"]
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
        elif act == "told" and list((other.path / "origins").glob("two-*")):
            import_strategy(other.path, told)
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
