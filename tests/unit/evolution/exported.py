"""Workspaces between which a strategy moves, and what may be done to its file on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from genesis.domain.canonical import content_hash
from genesis.evolution.files import write_json
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.evolution.strategy_export import ledgers_file
from genesis.evolution.trials import TrialLedger
from tests.unit.evolution.trial_homes import Home, strategy

CONFIG = "schema: 1\nname: one\n"


def two_studies(path: Path) -> Home:
    """Two studies on the same market, and one elsewhere; the first found a strategy."""
    home = Home(path)
    home.study("one", "aabc", command="genesis evolve /home/me/secret.yaml")
    home.study("two", "cd", searched_ms=[-500, 900])
    home.study("coin", "xyz", bases=["SOL"], dataset="v:SOLUSDT:1h")
    (home.run("one") / "config.yaml").write_text(CONFIG)
    store_found(home, "one")
    return home


def store_found(home: Home, run_id: str, **changes: Any) -> StoredStrategy:
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


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def repack(archive: Path, edit: Callable[[str, bytes], bytes | None]) -> None:
    with ZipFile(archive) as pack:
        held = {name: pack.read(name) for name in pack.namelist()}
    with ZipFile(archive, "w") as pack:
        for name, data in held.items():
            changed = edit(name, data)
            if changed is not None:
                pack.writestr(name, changed)


def forge(file: Path, change: Callable[[dict[str, Any]], None], *, sign: bool) -> None:
    plain = json.loads(file.read_text())
    origins = plain["origins"]
    change(origins)
    if sign:
        origins["digest"] = content_hash({k: v for k, v in origins.items() if k != "digest"})
    write_json(file, plain)


def swap_ledger(file: Path, place: int, name: str, data: bytes) -> None:
    """Put another ledger, under another name, into an archive."""
    old = json.loads(file.read_text())["origins"]["studies"][place]["file"]
    archive = ledgers_file(file)
    with ZipFile(archive) as pack:
        held = {n: pack.read(n) for n in pack.namelist() if n != old}
    with ZipFile(archive, "w") as pack:
        for n, kept in {**held, name: data}.items():
            pack.writestr(n, kept)
