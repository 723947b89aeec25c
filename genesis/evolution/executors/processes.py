"""The executor for one machine: supervised processes that share the panel."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Sequence
from typing import cast

from genesis.domain.errors import ConfigError, ExecutorError
from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.executors.entry import UNIT_EVALUATOR, load_evaluator
from genesis.evolution.executors.fresh import run_in_fresh_process
from genesis.evolution.executors.process_worker import (
    START_TIMEOUT_S,
    SharedJob,
    WorkerLost,
    WorkerProcess,
    memory_cap,
)
from genesis.evolution.work import ExecutorStats, StudyJob, UnitResult, WorkUnit

_IN_FLIGHT = 2
_MAX_START_FAILURES = 3


class ProcessExecutor:
    """Runs units in processes of this machine.

    A process that dies, hangs past the timeout or outgrows its memory is replaced; its unit goes
    to another worker, after a second failure to a fresh process. The processes leave with the
    driver, however it ends, and the shared panel goes with them.

    Parameters
    ----------
    workers : int
        Number of processes.
    timeout_s : float
        Seconds that a unit may take before its worker counts as hung.
    worker_memory_bytes : int, optional
        Private resident memory above which a worker is replaced after its unit. By default the
        job's cache bound and 1 GiB for code and scratch arrays.
    evaluator : str
        ``module:attribute`` of the class that evaluates units.

    Raises
    ------
    ConfigError
        If a number is not positive.
    """

    name = "processes"

    def __init__(
        self,
        workers: int,
        timeout_s: float = 600.0,
        *,
        worker_memory_bytes: int | None = None,
        evaluator: str = UNIT_EVALUATOR,
    ) -> None:
        if workers < 1 or not timeout_s > 0:
            raise ConfigError(
                f"{workers} workers with a timeout of {timeout_s} s cannot work",
                fix="use at least one worker and a positive timeout",
            )
        self._count = workers
        self._timeout_s = timeout_s
        self._memory_cap = worker_memory_bytes
        self._entry = evaluator
        self._shared: SharedJob | None = None
        self._workers: list[WorkerProcess] = []
        self._start_failures = 0
        self._expected = ""
        self.stats = ExecutorStats()

    def start(self, job: StudyJob) -> None:
        """Compile in the driver, then start the workers and compare their probe with its own.

        Raises
        ------
        StrategyError
            If a file of user families cannot be loaded.
        ExecutorError
            If workers cannot be started, or compute something else than the driver.
        """
        self.close()
        self.stats = ExecutorStats(workers=self._count)
        # The driver's probe fills the compile cache that the workers then load. Measured: a worker
        # that compiles beside the driver makes the start no faster, they compile the same things.
        self._expected = load_evaluator(self._entry)(job, "driver").probe()
        self._cap = memory_cap(self._memory_cap, job)
        self._shared = SharedJob(job, self._entry)
        self._start_failures = 0
        try:
            for place in range(self._count):
                self._workers.append(self._spawn(f"process-{place}"))
            idle = UnitBoard(())
            while not all(worker.ready for worker in self._workers):
                list(self._collect(idle))
        except BaseException:
            self.close()
            raise

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Yield results as they come.

        Raises
        ------
        ExecutorError
            If a unit fails everywhere, or workers cannot be replaced.
        """
        if self._shared is None:
            raise ExecutorError("the executor is not running", fix="call start(job) first")
        board = UnitBoard(units, [worker.label for worker in self._workers])
        remaining = len(units)
        try:
            while remaining:
                self._hand_out(board)
                results = list(self._collect(board))
                while board.exhausted:
                    unit = board.exhausted.pop()
                    self.stats.retries += 1
                    results.append(
                        run_in_fresh_process(
                            self._shared, unit, self._expected, self._timeout_s, board.causes(unit)
                        )
                    )
                for result in results:
                    remaining -= 1
                    self.stats.busy_seconds += result.seconds
                    yield result
        finally:
            # Left early: what is still being computed belongs to nobody.
            for place, worker in enumerate(self._workers):
                if worker.units:
                    worker.kill()
                    self._workers[place] = self._spawn(worker.label)

    def close(self) -> None:
        """End the workers and free the shared panel."""
        for worker in self._workers:
            if worker.units or not worker.ready:
                worker.process.kill()
            else:
                worker.ask_to_stop()
        for worker in self._workers:
            worker.join()
        self._workers.clear()
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _spawn(self, label: str) -> WorkerProcess:
        assert self._shared is not None
        return WorkerProcess(label, self._shared)

    def _hand_out(self, board: UnitBoard) -> None:
        """Give each ready worker a unit to run and, when all have one, the next one to hold."""
        alone = len(self._workers) == 1
        for depth in range(1, _IN_FLIGHT + 1):
            for worker in self._workers:
                while worker.ready and len(worker.units) < depth:
                    unit = board.take(worker.label, alone=alone)
                    if unit is None:
                        break
                    worker.give(unit, self._timeout_s)

    def _collect(self, board: UnitBoard) -> Iterator[UnitResult]:
        """Wait until a worker says something or a deadline passes; replace what failed."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                events = selectors.EVENT_READ
                if worker.wants_to_write:
                    events |= selectors.EVENT_WRITE
                selector.register(worker, events)
            wait = min(worker.deadline for worker in self._workers) - time.monotonic()
            selected = selector.select(None if wait == float("inf") else max(0.0, wait))
        for key, _ in selected:
            worker = cast(WorkerProcess, key.fileobj)
            worker.flush()
            try:
                for message in worker.read():
                    if worker not in self._workers:
                        break  # replaced by the message before
                    if (result := self._handle(worker, message, board)) is not None:
                        yield result
            except WorkerLost as loss:
                self._replace(worker, board, f"died ({loss})", "worker died")
        now = time.monotonic()
        for worker in tuple(self._workers):
            if worker.deadline <= now:
                limit = self._timeout_s if worker.ready else START_TIMEOUT_S
                self._replace(worker, board, f"gave no answer in {limit:g} s", "timeout")

    def _handle(
        self, worker: WorkerProcess, message: dict[str, object], board: UnitBoard
    ) -> UnitResult | None:
        if message["kind"] == "ready":
            if message["probe"] != self._expected:
                raise ExecutorError(
                    f"worker {worker.label} computes other numbers than the driver",
                    why="the hash of its probe differs",
                    fix="delete the compile cache and make sure both use one environment",
                )
            worker.ready = True
            worker.deadline = float("inf")
            self._start_failures = 0
            return None
        if message["kind"] == "error":
            self._replace(worker, board, str(message["text"]), "worker error")
            return None
        result = worker.answered(message, self._timeout_s)
        used = message["private_bytes"]
        if isinstance(used, int) and used > self._cap:
            self._recycle(worker, board)
        return result

    def _recycle(self, worker: WorkerProcess, board: UnitBoard) -> None:
        """Replace a worker that did nothing wrong but grew."""
        self._count_failure("memory cap")
        self._swap(worker, board)

    def _replace(self, worker: WorkerProcess, board: UnitBoard, cause: str, kind: str) -> None:
        """Replace a worker that failed; the unit it ran is counted against it."""
        if worker not in self._workers:
            return
        self._count_failure(kind)
        if not worker.ready:
            self._start_failures += 1
            if self._start_failures >= _MAX_START_FAILURES:
                raise ExecutorError(
                    "worker processes do not start",
                    why=f"{worker.label} {cause}",
                    fix="run `genesis doctor`, or use --executor local --workers 1",
                )
        elif worker.units and board.failed(worker.units.popleft(), worker.label, cause):
            self.stats.retries += 1
        self._swap(worker, board)

    def _swap(self, worker: WorkerProcess, board: UnitBoard) -> None:
        while worker.units:
            board.put_back(worker.units.pop())
        worker.kill()
        self._workers[self._workers.index(worker)] = self._spawn(worker.label)

    def _count_failure(self, kind: str) -> None:
        self.stats.failures[kind] = self.stats.failures.get(kind, 0) + 1
