"""Evaluators that misbehave on demand, importable by worker processes and Ray actors.

A genome is a text. ``plain:...`` is evaluated, ``raise:MESSAGE`` is an invalid genome,
``kill-once:FILE``, ``hang-once:FILE`` and ``fail-once:FILE`` take the worker down unless FILE
exists already, ``hang-always`` never answers.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np

from genesis.backtest.result import METRICS, RAISED, VALID, BlockResult
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit

FOLDS = 4


def _misbehave_once(kind: str, marker: str) -> None:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    if kind == "kill-once":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "hang-once":
        threading.Event().wait()
    raise RuntimeError("failed once")


class FakeEvaluator:
    """Numbers from a hash of the genome and the symbol's closes."""

    def __init__(self, job: StudyJob, worker: str) -> None:
        self.job = job
        self.worker = worker

    def probe(self) -> str:
        return "same everywhere"

    def run(self, unit: WorkUnit) -> UnitResult:
        close = self.job.panel.symbols[unit.symbol].close
        rows = []
        status = []
        reasons = []
        for text in unit.genomes:
            kind, _, rest = text.partition(":")
            if kind.endswith("-once"):
                _misbehave_once(kind, rest)
            if kind == "hang-always":
                threading.Event().wait()
            if kind == "pause":
                time.sleep(float(rest.split(":")[0]))
            digest = hashlib.sha256(text.encode() + close.tobytes()).digest()
            bits = np.frombuffer(digest, dtype=np.uint8).astype(np.float64)
            rows.append(np.resize(bits / 7.0, len(METRICS)))
            status.append(RAISED if kind == "raise" else VALID)
            reasons.append(f"ValueError: {rest}" if kind == "raise" else "")
        metrics = np.array(rows)
        return UnitResult(
            unit=unit.unit,
            block=BlockResult(
                status=np.array(status, dtype=np.int8),
                reasons=tuple(reasons),
                metrics=metrics,
                fold_sharpe=metrics[:, :FOLDS] * float(np.nansum(close)),
                fold_trades=metrics[:, :FOLDS],
                marks=metrics[:, 5:10],
                phenotype=metrics[:, 0].astype(np.uint64),
            ),
            seconds=0.001,
            worker=self.worker,
            cache_hits=1,
            cache_misses=2,
        )


class Disagreeing(FakeEvaluator):
    """Computes something else in each process."""

    def probe(self) -> str:
        return str(os.getpid())


class Growing(FakeEvaluator):
    """Keeps 64 MiB of every unit."""

    def __init__(self, job: StudyJob, worker: str) -> None:
        super().__init__(job, worker)
        self.kept: list[np.ndarray] = []

    def run(self, unit: WorkUnit) -> UnitResult:
        self.kept.append(np.ones(8 << 20))
        return super().run(unit)


class Unstartable(FakeEvaluator):
    """Works in the driver, cannot be prepared in a worker."""

    def __init__(self, job: StudyJob, worker: str) -> None:
        if worker != "driver":
            raise OSError("no such device")
        super().__init__(job, worker)


class Reporting(FakeEvaluator):
    """Answers with the units' order in the worker's own file beside the given folder."""

    def run(self, unit: WorkUnit) -> UnitResult:
        folder = Path(unit.genomes[0].partition(":")[2])
        with (folder / self.worker).open("a") as file:
            file.write(f"{unit.symbol}\n")
        return super().run(unit)
