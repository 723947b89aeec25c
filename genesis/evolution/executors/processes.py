"""The executor for one machine: supervised processes that share the panel."""

from __future__ import annotations

import selectors
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.executors.entry import UNIT_EVALUATOR
from genesis.evolution.executors.process_worker import (
    START_TIMEOUT_S,
    SharedJob,
    WorkerLost,
    WorkerProcess,
)
from genesis.evolution.executors.supervised import Advice, SupervisedExecutor
from genesis.evolution.work import StudyJob, UnitResult


class ProcessExecutor(SupervisedExecutor[WorkerProcess]):
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
    _advice = Advice(
        no_start="worker processes do not start",
        no_start_fix="run `genesis doctor`, or use --executor local --workers 1",
        differs_why="the hash of its probe differs",
        differs_fix="delete the compile cache and make sure both use one environment",
    )

    def __init__(
        self,
        workers: int,
        timeout_s: float = 600.0,
        *,
        worker_memory_bytes: int | None = None,
        evaluator: str = UNIT_EVALUATOR,
    ) -> None:
        super().__init__(workers, timeout_s, START_TIMEOUT_S, worker_memory_bytes, evaluator)
        self._count = workers
        self._shared: SharedJob | None = None
        self._workers: list[WorkerProcess] = []

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
        # Before the workers start. Measured: a worker that compiles beside the driver makes the
        # start no faster, they compile the same things.
        self._prepare(job, self._count)
        self._shared = SharedJob(job, self._entry)
        try:
            for place in range(self._count):
                self._workers.append(self._spawn(f"process-{place}"))
            idle = UnitBoard(())
            while not all(worker.ready for worker in self._workers):
                self._collect(idle)
        except BaseException:
            self.close()
            raise

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

    @property
    def _crew(self) -> list[WorkerProcess]:
        return self._workers

    def _spawn(self, label: str) -> WorkerProcess:
        assert self._shared is not None
        return WorkerProcess(label, self._shared)

    def _kill(self, worker: WorkerProcess) -> None:
        worker.kill()

    def _shared_job(self) -> AbstractContextManager[SharedJob]:
        assert self._shared is not None
        return nullcontext(self._shared)

    def _wait(self, seconds: float | None) -> list[WorkerProcess]:
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                events = selectors.EVENT_READ
                if worker.wants_to_write:
                    events |= selectors.EVENT_WRITE
                selector.register(worker, events)
            return [cast(WorkerProcess, key.fileobj) for key, _ in selector.select(seconds)]

    def _read(self, worker: WorkerProcess, board: UnitBoard, results: list[UnitResult]) -> None:
        worker.flush()
        try:
            for message in worker.read():
                if worker not in self._workers:
                    break  # replaced by the message before
                self._handle(worker, message, board, results)
        except WorkerLost as loss:
            self._replace(worker, board, f"died ({loss})", "worker died")

    def _handle(
        self,
        worker: WorkerProcess,
        message: dict[str, object],
        board: UnitBoard,
        results: list[UnitResult],
    ) -> None:
        if message["kind"] == "ready":
            self._admit(worker, message["probe"])
        elif message["kind"] == "error":
            self._replace(worker, board, str(message["text"]), "worker error")
        else:
            results.append(worker.answered(message, self._timeout_s))
            used = message["private_bytes"]
            if isinstance(used, int) and used > self._cap:
                self._recycle(worker, board)
