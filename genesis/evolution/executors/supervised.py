"""The loop of every executor with workers: hand out units, collect answers, replace what failed.

What differs between processes and Ray actors is transport only: how a worker is started, given a
unit, waited for, read and ended. That is left to the subclasses; what a failure means is decided
here, so that a study survives the same failures wherever it runs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from genesis.domain.errors import ConfigError, ExecutorError
from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.executors.entry import load_evaluator
from genesis.evolution.executors.fresh import run_in_fresh_process
from genesis.evolution.executors.process_worker import SharedJob, memory_cap
from genesis.evolution.work import ExecutorStats, StudyJob, UnitResult, WorkUnit

_IN_FLIGHT = 2
_MAX_START_FAILURES = 3


class Worker(Protocol):
    """A worker as the driver sees it.

    Attributes
    ----------
    label : str
        Name of its place; a replacement gets the same one.
    deadline : float
        Instant of `time.monotonic` at which it counts as hung; infinite while idle.
    """

    label: str
    deadline: float

    @property
    def ready(self) -> bool:
        """Whether it has answered the job."""
        ...

    @property
    def units(self) -> Sized:
        """Given and not answered, in the order given; the first one is being run."""
        ...

    def admit(self) -> None:
        """Note that it has answered the job, and is idle."""
        ...

    def give(self, unit: WorkUnit, timeout_s: float) -> None:
        """Hand over a unit; its time runs from when it comes first."""
        ...

    def take_back(self) -> list[WorkUnit]:
        """Forget the units, returning them in the order given; for a worker that will go."""
        ...


W = TypeVar("W", bound=Worker)


@dataclass(frozen=True, slots=True)
class Advice:
    """Words of the errors that only the user can repair, in the terms of one transport.

    Attributes
    ----------
    no_start, no_start_fix : str
        No worker comes up, and what to do.
    differs_why, differs_fix : str
        Why a worker computes other numbers than the driver, and what to do.
    """

    no_start: str
    no_start_fix: str
    differs_why: str
    differs_fix: str


class SupervisedExecutor(ABC, Generic[W]):
    """Runs units in workers that may fail.

    Parameters
    ----------
    workers : int or None
        Number of workers; None leaves it to the subclass.
    timeout_s : float
        Seconds that a unit may take before its worker counts as hung.
    start_timeout_s : float
        Seconds within which a worker must answer the job.
    memory : int or None
        Private resident memory in bytes above which a worker is replaced after its unit; None
        for what the job implies.
    evaluator : str
        ``module:attribute`` of the class that evaluates units.

    Raises
    ------
    ConfigError
        If a number is not positive.
    """

    _advice: ClassVar[Advice]

    def __init__(
        self,
        workers: int | None,
        timeout_s: float,
        start_timeout_s: float,
        memory: int | None,
        evaluator: str,
    ) -> None:
        if (workers is not None and workers < 1) or not timeout_s > 0:
            raise ConfigError(
                f"{workers} workers with a timeout of {timeout_s} s cannot work",
                fix="use at least one worker and a positive timeout",
            )
        self._timeout_s = timeout_s
        self._start_timeout_s = start_timeout_s
        self._memory = memory
        self._entry = evaluator
        self._start_failures = 0
        self._expected = ""
        self.stats = ExecutorStats()

    @abstractmethod
    def close(self) -> None:
        """End the workers that this executor started. Safe to call twice."""

    @property
    @abstractmethod
    def _crew(self) -> list[W]:
        """The workers, one a place; a replacement is written over its predecessor."""

    @abstractmethod
    def _spawn(self, label: str) -> W:
        """Start a worker and send it the job."""

    @abstractmethod
    def _kill(self, worker: W) -> None:
        """End a worker now."""

    @abstractmethod
    def _wait(self, seconds: float | None) -> Iterable[W]:
        """Workers that have something to say, as soon as there are any."""

    @abstractmethod
    def _read(self, worker: W, board: UnitBoard, results: list[UnitResult]) -> None:
        """Take what a worker has said so far, without waiting; results go to the list."""

    @abstractmethod
    def _shared_job(self) -> AbstractContextManager[SharedJob]:
        """The job for a fresh process of the driver."""

    def _prepare(self, job: StudyJob, count: int) -> None:
        """Start the counters anew and learn from the driver what workers must answer.

        The driver's probe fills the compile cache that workers on this machine then load.
        """
        self.stats = ExecutorStats(workers=count)
        self._expected = load_evaluator(self._entry)(job, "driver").probe()
        self._cap = memory_cap(self._memory, job)
        self._start_failures = 0

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Yield results as they come.

        Raises
        ------
        ExecutorError
            If a unit fails everywhere, or workers cannot be replaced.
        """
        if not self._crew:
            raise ExecutorError("the executor is not running", fix="call start(job) first")
        board = UnitBoard(units, [worker.label for worker in self._crew])
        remaining = len(units)
        try:
            while remaining:
                self._hand_out(board)
                results = self._collect(board)
                while board.exhausted:
                    results.append(self._run_fresh(board.exhausted.pop(), board))
                for result in results:
                    remaining -= 1
                    self.stats.busy_seconds += result.seconds
                    yield result
        finally:
            # Left early: what is still being computed belongs to nobody.
            for place, worker in enumerate(self._crew):
                if worker.units:
                    self._kill(worker)
                    self._crew[place] = self._spawn(worker.label)

    def _run_fresh(self, unit: WorkUnit, board: UnitBoard) -> UnitResult:
        """Run a unit that failed on two workers in a process of the driver."""
        self.stats.retries += 1
        with self._shared_job() as shared:
            return run_in_fresh_process(
                shared, unit, self._expected, self._timeout_s, board.causes(unit)
            )

    def _hand_out(self, board: UnitBoard) -> None:
        """Give each ready worker a unit to run and, when all have one, the next one to hold."""
        alone = self._is_alone()
        for depth in range(1, _IN_FLIGHT + 1):
            for worker in self._crew:
                while worker.ready and len(worker.units) < depth:
                    unit = board.take(worker.label, alone=alone)
                    if unit is None:
                        break
                    worker.give(unit, self._timeout_s)

    def _is_alone(self) -> bool:
        """Whether a unit that failed may only return to the same place."""
        return len(self._crew) == 1

    def _collect(self, board: UnitBoard, at_most_s: float = float("inf")) -> list[UnitResult]:
        """Wait until a worker says something or a deadline passes; replace what failed."""
        deadline = min(worker.deadline for worker in self._crew)
        wait = min(at_most_s, max(0.0, deadline - time.monotonic()))
        results: list[UnitResult] = []
        for worker in self._wait(None if wait == float("inf") else wait):
            self._read(worker, board, results)
        now = time.monotonic()
        for worker in tuple(self._crew):
            if worker.deadline <= now:
                self._overdue(worker, board, results)
        return results

    def _overdue(self, worker: W, board: UnitBoard, results: list[UnitResult]) -> None:
        """Replace a worker that gives no answer."""
        del results  # a transport that may have left an answer unread takes it here
        limit = self._timeout_s if worker.ready else self._start_timeout_s
        self._replace(worker, board, f"gave no answer in {limit:g} s", "timeout")

    def _admit(self, worker: W, probe: object) -> None:
        """Let a worker take part, if it computes what the driver does."""
        if probe != self._expected:
            raise ExecutorError(
                f"worker {worker.label} computes other numbers than the driver",
                why=self._advice.differs_why,
                fix=self._advice.differs_fix,
            )
        worker.admit()
        self._start_failures = 0

    def _recycle(self, worker: W, board: UnitBoard) -> None:
        """Replace a worker that did nothing wrong but grew."""
        self._count_failure("memory cap")
        self._swap(worker, worker.take_back(), board)

    def _replace(self, worker: W, board: UnitBoard, cause: str, kind: str) -> None:
        """Replace a worker that failed; the unit it ran is counted against it."""
        if worker not in self._crew:
            return
        self._count_failure(kind)
        given = worker.take_back()
        if not worker.ready:
            self._start_failures += 1
            if self._start_failures >= _MAX_START_FAILURES:
                raise ExecutorError(
                    self._advice.no_start,
                    why=f"{worker.label} {cause}",
                    fix=self._advice.no_start_fix,
                )
        elif given and board.failed(given.pop(0), worker.label, cause):
            self.stats.retries += 1
        self._swap(worker, given, board)

    def _swap(self, worker: W, unbegun: Sequence[WorkUnit], board: UnitBoard) -> None:
        for unit in reversed(unbegun):
            board.put_back(unit)
        self._kill(worker)
        self._crew[self._crew.index(worker)] = self._spawn(worker.label)

    def _count_failure(self, kind: str) -> None:
        self.stats.failures[kind] = self.stats.failures.get(kind, 0) + 1
