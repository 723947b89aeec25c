"""Workspaces with strategies that were judged, without a validation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.evidence.dossier import (
    Dossier,
    dossier_folder,
    make_dossier,
    promotable,
    write_dossier,
)
from genesis.evidence.gates import STAGES, GatesFile
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


def path_of(home: Path, record: StoredStrategy, practice: str = "") -> Path:
    return dossier_folder(home) / f"{record.id}{practice}.json"


PRACTICE = ".rehearsal"


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a dossier and give it the digest that fits."""
    from genesis.domain.canonical import content_hash

    plain = json.loads(path.read_text())
    del plain["digest"]
    change(plain)
    path.write_text(json.dumps({**plain, "digest": content_hash(plain)}))


def refusal(home: Path, name: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        promotable(home, name)
    return caught.value
