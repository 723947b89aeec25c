"""One validation on every executor: the same reruns, the same dossiers, whatever happens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import InterruptedRun
from genesis.evidence import validate
from genesis.evidence.validate import Validation
from genesis.evidence.worker import ENTRY
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.processes import ProcessExecutor
from genesis.evolution.executors.ray_pool import RayExecutor
from tests.unit.evidence.small_study import (
    StepClock,
    campaign_of,
    lenient_gates,
)

Maker = Callable[[], Any]


def judged(bred: Path, folder: Path, make: Maker, **more: Any) -> tuple[Validation, Path]:
    """Validate a copy of the study on an executor."""
    home = folder if folder.exists() else shutil.copytree(bred, folder)
    found = validate.validate(
        campaign_of("base", home), make(), lenient_gates(), clock=StepClock(), full=True, **more
    )
    return found, home


def evidence(home: Path) -> list[dict[str, Any]]:
    """Dossiers without what says when they were made."""
    found = []
    for path in sorted((home / "dossiers").glob("*.json")):
        plain = json.loads(path.read_text())
        for name in ("created_ms", "seconds", "digest"):
            plain.pop(name)
        plain["details"].get("sealed", {}).pop("opened_ms", None)
        found.append(plain)
    return found


def reruns(home: Path) -> dict[tuple[str, int], Any]:
    rows = (home / "runs" / "base" / "evidence" / "surrogates.jsonl").read_text().splitlines()
    found = [json.loads(row) for row in rows]
    assert len({(row["kind"], row["index"]) for row in found}) == len(found)
    # Which rerun is done first depends on the executor, and so does the chain of the journal.
    return {(row["kind"], row["index"]): {**row, "hash": None} for row in found}


@pytest.fixture(scope="module")
def undisturbed(bred: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inline") / "home"
    return judged(bred, folder, lambda: InlineExecutor(evaluator=ENTRY))[1]


def same(home: Path, undisturbed: Path) -> None:
    assert reruns(home) == reruns(undisturbed)
    mine, theirs = evidence(home), evidence(undisturbed)
    assert len(mine) == 3
    assert mine == theirs


def test_process_workers_find_the_same(bred: Path, undisturbed: Path, tmp_path: Path) -> None:
    found, home = judged(bred, tmp_path / "home", lambda: ProcessExecutor(2, evaluator=ENTRY))
    assert len(found.promotable) == 3
    same(home, undisturbed)


@pytest.mark.slow
def test_ray_finds_the_same(bred: Path, undisturbed: Path, tmp_path: Path) -> None:
    _, home = judged(bred, tmp_path / "home", lambda: RayExecutor(workers=2, evaluator=ENTRY))
    same(home, undisturbed)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(bred: Path, undisturbed: Path, tmp_path: Path) -> None:
    import os
    import signal

    import psutil

    before = {p.pid for p in psutil.Process().children()}
    killed: list[int] = []

    def kill_one(step: str, done: int, total: int) -> None:
        if step != "sign" or not 3 <= done < total or killed:
            return
        started = [p for p in psutil.Process().children() if p.pid not in before]
        workers = [p for p in started if "resource_tracker" not in " ".join(p.cmdline())]
        killed.append(workers[0].pid)
        os.kill(workers[0].pid, signal.SIGKILL)

    _, home = judged(
        bred, tmp_path / "home", lambda: ProcessExecutor(2, evaluator=ENTRY), progress=kill_one
    )
    assert killed
    same(home, undisturbed)


@pytest.mark.slow
def test_interrupted_on_processes_and_finished_inline(
    bred: Path, undisturbed: Path, tmp_path: Path
) -> None:
    def stop(step: str, done: int, _total: int) -> None:
        if step == "sign" and done >= 6:
            raise KeyboardInterrupt

    folder = tmp_path / "home"
    with pytest.raises(InterruptedRun):
        judged(bred, folder, lambda: ProcessExecutor(2, evaluator=ENTRY), progress=stop)
    kept = reruns(folder)
    assert 6 <= len(kept) < 19
    assert evidence(folder) == []
    _, home = judged(bred, folder, lambda: InlineExecutor(evaluator=ENTRY))
    same(home, undisturbed)
