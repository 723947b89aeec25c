"""What a Ray actor runs: the same evaluator as every worker, behind plain answers.

This module imports no Ray, so that the driver can name the class without it. Failures come back
as values; only the end of the actor's process reaches the driver as a Ray error.
"""

from __future__ import annotations

import signal
import traceback
from typing import Any

import psutil

from genesis.evolution.executors.entry import RunsUnits, load_evaluator
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit

Answer = tuple[str, Any, int]
"""Kind (``ready``, ``result``, ``error``), its value, and the private memory in bytes."""


class RayWorker:
    """One actor of the pool.

    Parameters
    ----------
    label : str
        Name of the worker's place.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._evaluator: RunsUnits | None = None
        self._process = psutil.Process()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's business

    def prepare(self, job: StudyJob, evaluator: str) -> Answer:
        """Take the job; the answer is the probe's hash.

        Parameters
        ----------
        job : StudyJob
            Its arrays are read-only views into the object store, shared by a node's workers.
        evaluator : str
            ``module:attribute`` of the class that evaluates units.
        """
        try:
            self._evaluator = load_evaluator(evaluator)(job, self._label)
            return "ready", self._evaluator.probe(), self._private_bytes()
        except Exception as error:  # told to the driver, which decides what to do
            traceback.print_exc()
            return "error", f"{type(error).__name__}: {error}", 0

    def run(self, unit: WorkUnit) -> Answer:
        """Evaluate a unit."""
        assert self._evaluator is not None, "a unit came before the job"
        try:
            result: UnitResult = self._evaluator.run(unit)
            return "result", result, self._private_bytes()
        except Exception as error:  # told to the driver, which decides what to do
            traceback.print_exc()
            return "error", f"{type(error).__name__}: {error}", 0

    def _private_bytes(self) -> int:
        """Resident memory that is this process's own, without the object store."""
        memory = self._process.memory_info()
        return int(memory.rss - getattr(memory, "shared", 0))
