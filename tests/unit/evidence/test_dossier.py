"""A dossier cannot be changed unseen, and says in words what stopped a strategy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.evidence.dossier import (
    make_dossier,
    promotable,
    read_dossier,
    write_dossier,
)
from genesis.evidence.gates import STAGES, GateResult, GatesFile
from genesis.evidence.report_words import shortfalls
from genesis.evolution.store import StoredStrategy
from tests.unit.evidence.judged_homes import (
    FACTS,
    GOOD,
    PRACTICE,
    edit,
    path_of,
    refusal,
    stored,
    written,
)
from tests.unit.evolution.trial_homes import strategy


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
    with pytest.raises(RefusedError, match="no dossier of a known schema") as caught:
        read_dossier(path)
    assert str(path) in caught.value.what
    assert caught.value.why
    assert caught.value.fix == "make it again: genesis validate strat_x"


@pytest.mark.parametrize("name", ["strat_x.json", "strat_x.rehearsal.json"])
@pytest.mark.parametrize("text", ["{", "", '{"schema": 1, "kind"'])
def test_a_damaged_dossier_is_told(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RefusedError, match="is damaged") as caught:
        read_dossier(tmp_path / name)
    assert caught.value.exit_code == 3
    assert name in caught.value.what
    assert caught.value.why
    assert "genesis validate strat_x" in caught.value.fix
    assert ("--gates FILE" in caught.value.fix) == (PRACTICE in name)


def test_a_dossier_that_lacks_a_key_is_refused(tmp_path: Path, production: GatesFile) -> None:
    record = stored(tmp_path)
    written(tmp_path, record, production)
    edit(path_of(tmp_path, record), lambda plain: plain.pop("passed"))
    assert "no dossier of a known schema" in refusal(tmp_path, record.id).what


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
