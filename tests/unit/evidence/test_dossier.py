"""A dossier cannot be changed unseen, and says in words why a strategy may not be promoted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.evidence import dossier as module
from genesis.evidence.dossier import (
    REHEARSAL,
    Dossier,
    all_dossiers,
    dossier_folder,
    make_dossier,
    promotable,
    promotable_dossiers,
    read_dossier,
    standing_dossiers,
    write_dossier,
)
from genesis.evidence.gates import STAGES, GateResult, GatesFile, parse_gates
from genesis.evidence.report_words import shortfalls
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.evolution.trials import TrialLedger
from tests.unit.evolution.trial_homes import Home, strategy

TEXT = """
schema: 1
name: mine
gates:
  trades: {at_least: 100}
  permutation_sign: {at_most: 0.05}
  random_arm: {at_least: 0, veto: false}
  sealed_psr: {at_least: 0}
"""
GOOD: dict[str, Any] = {
    "trades": 120.0,
    "permutation_sign": (0.05, "19 of 19"),
    "random_arm": -0.5,
    "sealed_psr": 0.01,
}
FACTS: dict[str, Any] = {
    "run_id": "base",
    "dataset": "v:BTC:1h",
    "searched_ms": [0, 10],
    "trials": {"total": 3, "effective": 1.5, "studies": [{"run_id": "base", "trials": 3}]},
    "hashes": {"study": "s"},
    "created_ms": 17,
    "seconds": 2.5,
    "details": {"paths": [0.1, None, 3], "deep": {"a": True, "b": ""}},
}


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> GatesFile:
    """Gates that count."""
    gates = parse_gates(TEXT)
    monkeypatch.setattr(module, "PRODUCTION_HASH", gates.hash)
    return gates


def stored(home: Path, n: int = 5) -> StoredStrategy:
    """A strategy of a study whose ledger is here."""
    study = Home(home)
    trials = study.run("base") / "trials.jsonl"
    if not trials.exists():
        study.study("base", "abcdefghijkl")
    record = StoredStrategy(
        strategy(n),
        "base",
        study_hash="study-of-base",
        genome=f"base-{n}",
        ledger_head=TrialLedger(trials).head,
    )
    StrategyStore(home / "strategies").put(record)
    return record


def written(
    home: Path, record: StoredStrategy, gates: GatesFile, measures: dict[str, Any] | None = None
) -> Dossier:
    results = gates.judge(GOOD | (measures or {}), *STAGES)
    dossier = make_dossier(record, gates, results, FACTS)
    write_dossier(home, dossier)
    return dossier


def path_of(home: Path, record: StoredStrategy) -> Path:
    return dossier_folder(home) / f"{record.id}.json"


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a dossier and give it the digest that fits."""
    from genesis.domain.canonical import content_hash

    plain = json.loads(path.read_text())
    del plain["digest"]
    change(plain)
    path.write_text(json.dumps({**plain, "digest": content_hash(plain)}))


def test_what_is_written_is_read_back(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    dossier = written(tmp_path, record, production)
    read = read_dossier(path_of(tmp_path, record))
    assert read.digest == dossier.digest
    assert read.to_plain() == json.loads(json.dumps(dossier.to_plain()))
    assert read.passed
    assert not read.rehearsal
    assert read.facts["mark"] == ""
    assert [g["verdict"] for g in read.gates] == ["pass", "pass", "reported", "pass"]
    assert promotable(tmp_path, record.id).digest == dossier.digest
    assert promotable(tmp_path, record.id[6:12]).strategy == record.id


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in leaves(v, (*path, k))]
    if isinstance(value, list):
        return [leaf for k, v in enumerate(value) for leaf in leaves(v, (*path, k))]
    return [path]


def other(value: Any) -> Any:
    """A value that differs, as little as its type allows."""
    if isinstance(value, bool):
        return not value
    if value is None:
        return 0.0
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * (1 + 2**-52) if value else 5e-324
    return value + " "


def test_every_value_is_covered_by_the_digest(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    path = path_of(tmp_path, record)
    text = path.read_text()
    places = leaves(json.loads(text))
    assert len(places) > 50
    for place in places:
        plain = json.loads(text)
        node = plain
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = other(node[place[-1]])
        path.write_text(json.dumps(plain))
        with pytest.raises(RefusedError):
            read_dossier(path)
        with pytest.raises(RefusedError):
            promotable(tmp_path, record.id)
    path.write_text(text)
    read_dossier(path)


@pytest.mark.parametrize("change", ["add", "drop", "rename"])
def test_a_key_more_or_less_is_covered_too(
    tmp_path: Path, production: GatesFile, change: str
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    path = path_of(tmp_path, record)
    plain = json.loads(path.read_text())
    details = plain["details"]["deep"]
    if change == "add":
        details["c"] = 1
    elif change == "drop":
        del details["b"]
    else:
        details["c"] = details.pop("b")
    path.write_text(json.dumps(plain))
    with pytest.raises(RefusedError, match="was changed after it was written") as caught:
        read_dossier(path)
    assert caught.value.fix == f"make it again: genesis validate {record.id}"


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": 2, "digest": "x"}', '{"schema": 1}', "3"])
def test_what_is_no_dossier_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "strat_x.json"
    path.write_text(text)
    with pytest.raises(RefusedError, match="no dossier of a known schema"):
        read_dossier(path)


def test_what_is_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(StorageError, match="cannot read"):
        read_dossier(tmp_path / "x.json")


def refusal(home: Path, name: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        promotable(home, name)
    return caught.value


def test_without_a_dossier_nothing_is_promoted(tmp_path: Path) -> None:
    record = stored(tmp_path)
    found = refusal(tmp_path, record.id)
    assert found.what == f"{record.id} has no dossier"
    assert found.fix == f"make it: genesis validate {record.id}"
    with pytest.raises(InputError, match="no strategy"):
        promotable(tmp_path, "strat_ffff")


def test_a_strategy_that_failed_is_told_each_gate_and_by_how_much(
    tmp_path: Path, production: GatesFile
) -> None:
    record = stored(tmp_path)
    failed = {
        "trades": (88.0, "of both symbols"),
        "permutation_sign": 0.15,
        "random_arm": None,
        "sealed_psr": (None, "not opened"),
    }
    dossier = written(tmp_path, record, production, failed)
    found = refusal(tmp_path, record.id)
    assert found.what == f"{record.id} did not pass the gates"
    words = found.why.split("; ")
    assert words == shortfalls(dossier.facts)
    assert words == [
        "G0 trades is 88, at least 100 is needed: missed by 12 (of both symbols)",
        "G1 permutation_sign is 0.15, at most 0.05 is needed: missed by 0.1",
        "G3 sealed_psr could not be measured, what the budget leaves is needed (not opened)",
    ]
    assert dossier.facts["stopped_by"] == ["trades", "permutation_sign", "sealed_psr"]


def test_gates_that_were_not_reached_are_no_shortfall_but_no_pass_either(
    tmp_path: Path, production: GatesFile
) -> None:
    record = stored(tmp_path)
    early = production.judge({**GOOD, "trades": 1.0}, "G0", "G1", "G2")
    late = [replace(r, reached=False) for r in production.judge({}, "G3")]
    dossier = make_dossier(record, production, [*early, *late], FACTS)
    assert not dossier.passed
    assert [g["verdict"] for g in dossier.gates][-1] == "not reached"
    assert len(shortfalls(dossier.facts)) == 1


def test_a_dossier_of_another_strategy_is_refused(tmp_path: Path, production: GatesFile) -> None:
    one, two = stored(tmp_path, 5), stored(tmp_path, 7)
    written(tmp_path, one, production)
    path_of(tmp_path, one).rename(path_of(tmp_path, two))
    found = refusal(tmp_path, two.id)
    assert "about another strategy" in found.what
    assert one.id[:18] in found.why


def test_a_dossier_of_another_genome_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    (tmp_path / "strategies" / f"{record.id}.json").unlink()
    StrategyStore(tmp_path / "strategies").put(replace(record, genome="a" * 64))
    assert "about another genome" in refusal(tmp_path, record.id).what


def test_a_dossier_made_with_other_gates_is_refused(
    tmp_path: Path, production: GatesFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    monkeypatch.setattr(module, "PRODUCTION_HASH", "9" * 64)
    found = refusal(tmp_path, record.id)
    assert "made with other gates" in found.what
    assert production.hash[:12] in found.why
    assert "9" * 12 in found.why


def test_a_changed_strategy_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    path = tmp_path / "strategies" / f"{record.id}.json"
    path.write_text(path.read_text().replace('"trials": 0', '"trials": 1'))
    assert "was changed after it was written" in refusal(tmp_path, record.id).what


def test_a_strategy_whose_trials_are_gone_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    shutil.rmtree(tmp_path / "runs")
    found = refusal(tmp_path, record.id)
    assert found.what == f"the trials behind {record.id} cannot be counted any more"
    assert "is not here" in found.why


def test_an_origin_that_cannot_be_counted_stops_before_every_gate(
    tmp_path: Path, production: GatesFile
) -> None:
    record = stored(tmp_path)
    results = production.judge(GOOD | {"trades": 1.0}, *STAGES)
    dossier = make_dossier(record, production, results, {**FACTS, "origin_problem": "lost"})
    assert not dossier.passed
    assert dossier.facts["stopped_by"] == ["origin", "trades"]
    assert shortfalls(dossier.facts)[0] == "origin: lost"
    fine = make_dossier(record, production, production.judge(GOOD, *STAGES), FACTS)
    assert fine.passed


def test_a_rehearsal_is_marked_and_told_apart(tmp_path: Path, production: GatesFile) -> None:
    rehearsal = replace(production, rehearsal=True)
    record = stored(tmp_path)
    dossier = written(tmp_path, record, rehearsal)
    assert dossier.rehearsal
    assert dossier.facts["mark"] == REHEARSAL
    assert promotable(tmp_path, record.id).rehearsal


def test_the_mark_cannot_be_taken_off_by_hand(tmp_path: Path, production: GatesFile) -> None:
    """Not even by someone who mends the digest: the gates' hash still says what they were."""
    rehearsal = replace(production, rehearsal=True)
    record = stored(tmp_path)
    written(tmp_path, record, rehearsal)

    def unmark(plain: dict[str, Any]) -> None:
        plain["mark"] = ""
        plain["gates_file"]["rehearsal"] = False

    edit(path_of(tmp_path, record), unmark)
    assert "made with other gates" in refusal(tmp_path, record.id).what


def test_a_later_dossier_replaces_the_earlier(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production, {"trades": 3.0})
    written(tmp_path, record, production)
    assert promotable(tmp_path, record.id).passed
    assert len(all_dossiers(tmp_path)) == 1


def test_promotable_ones_are_those_that_passed(tmp_path: Path, production: GatesFile) -> None:
    assert all_dossiers(tmp_path) == promotable_dossiers(tmp_path) == []
    good, bad, practice = (stored(tmp_path, n) for n in (5, 7, 10))
    written(tmp_path, good, production)
    written(tmp_path, bad, production, {"trades": 3.0})
    written(tmp_path, practice, replace(production, rehearsal=True))
    assert {d.strategy for d in all_dossiers(tmp_path)} == {good.id, bad.id, practice.id}
    assert {d.strategy for d in promotable_dossiers(tmp_path)} == {good.id, practice.id}
    # One that is broken is told, or passed over by whoever is about to make it again.
    edit(path_of(tmp_path, good), lambda plain: plain.update(genome="b" * 64))
    with pytest.raises(RefusedError, match="about another genome"):
        promotable_dossiers(tmp_path)
    assert [d.strategy for d in standing_dossiers(tmp_path)] == [practice.id]
    path_of(tmp_path, practice).write_text("{}")
    with pytest.raises(RefusedError, match="no dossier of a known schema"):
        all_dossiers(tmp_path)
    assert standing_dossiers(tmp_path) == []


def test_a_dossier_whose_strategy_is_gone_is_told(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    (tmp_path / "strategies" / f"{record.id}.json").unlink()
    with pytest.raises(RefusedError, match="about a strategy that is not here"):
        promotable_dossiers(tmp_path)
    assert standing_dossiers(tmp_path) == []


def test_a_number_that_json_lacks_cannot_get_into_a_file(
    tmp_path: Path, production: GatesFile
) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    before = path_of(tmp_path, record).read_text()
    results = production.judge(GOOD, *STAGES)
    wrong = make_dossier(record, production, results, {"details": {"x": float("inf")}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_dossier(tmp_path, wrong)
    assert path_of(tmp_path, record).read_text() == before


def test_a_result_without_a_veto_stops_nothing(production: GatesFile) -> None:
    results: list[GateResult] = production.judge(GOOD, *STAGES)
    record = StoredStrategy(strategy(5), "base")
    assert make_dossier(record, production, results, {}).passed


def test_a_rehearsal_does_not_take_the_place_of_what_counts(
    tmp_path: Path, production: GatesFile
) -> None:
    record = stored(tmp_path)
    counts = written(tmp_path, record, production)
    practice = parse_gates(TEXT.replace("name: mine", "name: practice\nrehearsal: true"))
    written(tmp_path, record, practice, {"trades": 3.0})
    assert promotable(tmp_path, record.id) == counts
    assert [one.digest for one in all_dossiers(tmp_path)] == [counts.digest]
    beside = path_of(tmp_path, record).with_suffix(".rehearsal.json")
    assert read_dossier(beside).rehearsal


def test_a_dossier_under_another_name_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    path = path_of(tmp_path, record)
    path.rename(path.with_name("strat_000000000000.json"))
    with pytest.raises(RefusedError, match="about another strategy"):
        all_dossiers(tmp_path)
