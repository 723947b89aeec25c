"""The executor on Ray: actors that hold the panel through the object store."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, closing
from typing import Any

from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.executors.entry import UNIT_EVALUATOR
from genesis.evolution.executors.process_worker import START_TIMEOUT_S, SharedJob, cores
from genesis.evolution.executors.ray_session import RaySession
from genesis.evolution.executors.ray_worker import RayWorker
from genesis.evolution.executors.supervised import Advice, SupervisedExecutor
from genesis.evolution.work import StudyJob, UnitResult, WorkUnit

_JOIN_SECONDS = 30.0
_STORE_BYTES = 192 << 20
_PLACE_SECONDS = 1200.0
"""Start of a worker on an attached cluster: its autoscaler may have to bring up a machine first."""


class _Actor:
    """An actor as the driver sees it.

    Attributes
    ----------
    handle
        Ray's handle.
    units : dict
        Reference of a result to the unit it answers, in the order given; the first is being run.
    starting
        Reference of the answer to the job, until it has come.
    deadline : float
        Instant of `time.monotonic` at which it counts as hung; infinite while idle.
    """

    def __init__(self, label: str, handle: Any, starting: Any, timeout_s: float) -> None:
        self.label = label
        self.handle = handle
        self.starting: Any | None = starting
        self.units: dict[Any, WorkUnit] = {}
        self.deadline = time.monotonic() + timeout_s

    @property
    def ready(self) -> bool:
        """Whether it has taken the job."""
        return self.starting is None

    def references(self) -> list[Any]:
        """What it still has to answer."""
        return list(self.units) if self.starting is None else [self.starting]

    def admit(self) -> None:
        """Note that it has answered the job, and is idle."""
        self.starting = None
        self.deadline = float("inf")

    def give(self, unit: WorkUnit, timeout_s: float) -> None:
        """Hand over a unit; its time runs from when it comes first."""
        if not self.units:
            self.deadline = time.monotonic() + timeout_s
        self.units[self.handle.run.remote(unit)] = unit

    def answered(self, reference: Any, timeout_s: float) -> None:
        """Note that a unit is done and start the next one's time."""
        del self.units[reference]
        self.deadline = time.monotonic() + timeout_s if self.units else float("inf")

    def take_back(self) -> list[WorkUnit]:
        """Forget the units, returning them in the order given; for an actor that will go."""
        units = list(self.units.values())
        self.units = {}
        return units


class RayExecutor(SupervisedExecutor[_Actor]):
    """Runs units in actors of a Ray cluster.

    An actor that dies (with its node or alone), hangs past the timeout or outgrows its memory is
    replaced; its unit goes to another worker, after a second failure to a fresh process of the
    driver. Actors that the cluster cannot place yet join when it has room.

    Parameters
    ----------
    address : str or None
        ``host:port`` of a running cluster; None starts one on this machine, and ends it.
    workers : int, optional
        Number of actors, one core each; by default the cluster's cores.
    memory_per_worker : int, optional
        Bytes that Ray reserves for each actor, and its private resident memory above which it is
        replaced after its unit. By default nothing is reserved, and the cap is the job's cache
        bound and 1 GiB.
    timeout_s : float
        Seconds that a unit may take before its actor counts as hung.
    evaluator : str
        ``module:attribute`` of the class that evaluates units.

    Raises
    ------
    ConfigError
        If a number is not positive.
    """

    name = "ray"
    _advice = Advice(
        no_start="Ray workers do not start",
        no_start_fix="check that every node has the same genesis installed and room for a"
        " worker, or use --executor local",
        differs_why="the hash of its probe differs: another processor, library or code version",
        differs_fix="use nodes of one kind with the locked requirements, or fewer workers",
    )

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        memory_per_worker: int | None = None,
        timeout_s: float = 600.0,
        *,
        evaluator: str = UNIT_EVALUATOR,
    ) -> None:
        start_timeout_s = START_TIMEOUT_S if address is None else _PLACE_SECONDS
        super().__init__(workers, timeout_s, start_timeout_s, memory_per_worker, evaluator)
        self._address = address
        self._wanted = workers
        self._session: RaySession | None = None
        self._actors: list[_Actor] = []
        self._job: StudyJob | None = None

    def start(self, job: StudyJob) -> None:
        """Connect, put the job into the object store, start actors and compare their probes.

        Raises
        ------
        StrategyError
            If a file of user families cannot be loaded.
        ConfigError, InfrastructureError
            If the cluster cannot be reached or started.
        ExecutorError
            If no actor comes up, or one computes something else than the driver.
        """
        self.close()
        panel_bytes = sum(s.close.nbytes for s in job.panel.symbols) * 9
        self._session = RaySession(
            self._address,
            workers=self._wanted or cores(),
            store_bytes=_STORE_BYTES + 2 * panel_bytes,
            memory_per_worker=self._memory,
        )
        try:
            ray = self._session.ray
            count = self._wanted or max(1, int(ray.cluster_resources().get("CPU", 1)))
            self._prepare(job, count)
            self._job = job
            self._reference = ray.put(job)
            self._actors = [self._spawn(f"ray-{place}") for place in range(count)]
            self._await_actors()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the actors, and the cluster if this executor started it."""
        if self._session is not None:
            for actor in self._actors:
                self._kill(actor)
            self._actors.clear()
            self._reference = None
            self._session.close()
            self._session = None

    @property
    def _crew(self) -> list[_Actor]:
        return self._actors

    def _spawn(self, label: str) -> _Actor:
        assert self._session is not None
        ray = self._session.ray
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
        if self._memory is not None:
            options["memory"] = self._memory
        handle = ray.remote(**options)(RayWorker).remote(label)
        starting = handle.prepare.remote(self._reference, self._entry)
        return _Actor(label, handle, starting, self._start_timeout_s)

    def _kill(self, worker: _Actor) -> None:
        assert self._session is not None
        self._session.ray.kill(worker.handle, no_restart=True)

    def _shared_job(self) -> AbstractContextManager[SharedJob]:
        assert self._job is not None
        return closing(SharedJob(self._job, self._entry))

    def _await_actors(self) -> None:
        """Wait for all actors; once one is ready, the others may still come a little later."""
        board = UnitBoard(())
        first_ready = float("inf")
        while not all(actor.ready for actor in self._actors):
            self._collect(board, at_most_s=1.0)
            now = time.monotonic()
            if any(actor.ready for actor in self._actors):
                first_ready = min(first_ready, now)
            if now - first_ready > _JOIN_SECONDS:
                return

    def _is_alone(self) -> bool:
        # An actor without a place in the cluster may not come for long.
        return sum(actor.ready for actor in self._actors) == 1

    def _wait(self, seconds: float | None) -> list[_Actor]:
        assert self._session is not None
        owners = {ref: actor for actor in self._actors for ref in actor.references()}
        done, _ = self._session.ray.wait(list(owners), num_returns=1, timeout=seconds)
        return [owners[ref] for ref in done]

    def _overdue(self, worker: _Actor, board: UnitBoard, results: list[UnitResult]) -> None:
        """Replace an actor that gives no answer; while others work, one may wait for a place."""
        deadline = worker.deadline
        # Its answer may lie here since, if the driver was busy with a unit of its own.
        self._read(worker, board, results)
        if worker.deadline != deadline or worker not in self._actors:
            return
        if not worker.ready and any(other.ready for other in self._actors):
            worker.deadline = time.monotonic() + self._start_timeout_s
            return
        super()._overdue(worker, board, results)

    def _read(self, worker: _Actor, board: UnitBoard, results: list[UnitResult]) -> None:
        """Take everything that an actor has answered so far.

        All of it, because an actor that died may have answered its first unit before: then the
        second one is to blame, whose reference may fail first.
        """
        assert self._session is not None
        ray = self._session.ray
        references = worker.references()
        done, _ = ray.wait(references, num_returns=len(references), timeout=0)
        lost = ""
        for reference in (ref for ref in references if ref in set(done)):
            try:
                kind, value, used = ray.get(reference)
            except ray.exceptions.RayError as error:
                lost = lost or f"died ({_cause(error)})"
                continue
            if kind == "error":
                self._replace(worker, board, value, "worker error")
                return
            if kind == "ready":
                self._admit(worker, value)
                continue
            worker.answered(reference, self._timeout_s)
            results.append(value)
            if used > self._cap:
                self._recycle(worker, board)
                return
        if lost:
            self._replace(worker, board, lost, "worker died")


def _cause(error: Exception) -> str:
    """First sentence of a Ray error, whose full text runs over many lines."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
