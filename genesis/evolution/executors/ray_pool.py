"""The executor on Ray: actors that hold the panel through the object store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from genesis.domain.errors import ConfigError, ExecutorError
from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.executors.entry import UNIT_EVALUATOR, load_evaluator
from genesis.evolution.executors.fresh import run_in_fresh_process
from genesis.evolution.executors.process_worker import START_TIMEOUT_S, SharedJob, cores, memory_cap
from genesis.evolution.executors.ray_session import RaySession
from genesis.evolution.executors.ray_worker import RayWorker
from genesis.evolution.work import ExecutorStats, StudyJob, UnitResult, WorkUnit

_IN_FLIGHT = 2
_MAX_START_FAILURES = 3
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


class RayExecutor:
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

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        memory_per_worker: int | None = None,
        timeout_s: float = 600.0,
        *,
        evaluator: str = UNIT_EVALUATOR,
    ) -> None:
        if (workers is not None and workers < 1) or not timeout_s > 0:
            raise ConfigError(
                f"{workers} workers with a timeout of {timeout_s} s cannot work",
                fix="use at least one worker and a positive timeout",
            )
        self._address = address
        self._wanted = workers
        self._memory = memory_per_worker
        self._timeout_s = timeout_s
        self._start_timeout_s = START_TIMEOUT_S if address is None else _PLACE_SECONDS
        self._entry = evaluator
        self._session: RaySession | None = None
        self._actors: list[_Actor] = []
        self._job: StudyJob | None = None
        self.stats = ExecutorStats()

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
            self.stats = ExecutorStats(workers=count)
            # The driver's probe fills the compile cache that workers on this machine load.
            self._expected = load_evaluator(self._entry)(job, "driver").probe()
            self._cap = memory_cap(self._memory, job)
            self._job = job
            self._reference = ray.put(job)
            self._start_failures = 0
            self._actors = [self._spawn(f"ray-{place}") for place in range(count)]
            self._await_actors()
        except BaseException:
            self.close()
            raise

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Yield results as they come.

        Raises
        ------
        ExecutorError
            If a unit fails everywhere, or actors cannot be replaced.
        """
        if self._session is None:
            raise ExecutorError("the executor is not running", fix="call start(job) first")
        board = UnitBoard(units, [actor.label for actor in self._actors])
        remaining = len(units)
        try:
            while remaining:
                self._hand_out(board)
                results = self._collect(board)
                while board.exhausted:
                    results.append(self._run_alone(board.exhausted.pop(), board))
                for result in results:
                    remaining -= 1
                    self.stats.busy_seconds += result.seconds
                    yield result
        finally:
            # Left early: what is still being computed belongs to nobody.
            for place, actor in enumerate(self._actors):
                if actor.units:
                    self._kill(actor)
                    self._actors[place] = self._spawn(actor.label)

    def close(self) -> None:
        """End the actors, and the cluster if this executor started it."""
        if self._session is not None:
            for actor in self._actors:
                self._kill(actor)
            self._actors.clear()
            self._reference = None
            self._session.close()
            self._session = None

    def _spawn(self, label: str) -> _Actor:
        assert self._session is not None
        ray = self._session.ray
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
        if self._memory is not None:
            options["memory"] = self._memory
        handle = ray.remote(**options)(RayWorker).remote(label)
        starting = handle.prepare.remote(self._reference, self._entry)
        return _Actor(label, handle, starting, self._start_timeout_s)

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

    def _hand_out(self, board: UnitBoard) -> None:
        """Give each ready actor a unit to run and, when all have one, the next one to hold."""
        alone = sum(actor.ready for actor in self._actors) == 1
        for depth in range(1, _IN_FLIGHT + 1):
            for actor in self._actors:
                while actor.ready and len(actor.units) < depth:
                    unit = board.take(actor.label, alone=alone)
                    if unit is None:
                        break
                    if not actor.units:
                        actor.deadline = time.monotonic() + self._timeout_s
                    actor.units[actor.handle.run.remote(unit)] = unit

    def _collect(self, board: UnitBoard, at_most_s: float = float("inf")) -> list[UnitResult]:
        """Wait until an actor answers or a deadline passes; replace what failed."""
        assert self._session is not None
        owners = {ref: actor for actor in self._actors for ref in actor.references()}
        deadline = min(actor.deadline for actor in self._actors)
        wait = min(at_most_s, max(0.0, deadline - time.monotonic()))
        done, _ = self._session.ray.wait(
            list(owners), num_returns=1, timeout=None if wait == float("inf") else wait
        )
        results: list[UnitResult] = []
        for actor in {owners[ref].label: owners[ref] for ref in done}.values():
            self._read(actor, board, results)
        now = time.monotonic()
        for actor in tuple(self._actors):
            if actor.deadline <= now:
                # Its answer may lie here since, if the driver was busy with a unit of its own.
                self._read(actor, board, results)
            if actor.deadline <= now and actor in self._actors:
                self._overdue(actor, board)
        return results

    def _overdue(self, actor: _Actor, board: UnitBoard) -> None:
        """Replace an actor that gives no answer; while others work, one may wait for a place."""
        if not actor.ready and any(other.ready for other in self._actors):
            actor.deadline = time.monotonic() + self._start_timeout_s
            return
        limit = self._timeout_s if actor.ready else self._start_timeout_s
        self._replace(actor, board, f"gave no answer in {limit:g} s", "timeout")

    def _read(self, actor: _Actor, board: UnitBoard, results: list[UnitResult]) -> None:
        """Take everything that an actor has answered so far.

        All of it, because an actor that died may have answered its first unit before: then the
        second one is to blame, whose reference may fail first.
        """
        assert self._session is not None
        ray = self._session.ray
        references = actor.references()
        done, _ = ray.wait(references, num_returns=len(references), timeout=0)
        lost = ""
        for reference in (ref for ref in references if ref in set(done)):
            try:
                kind, value, used = ray.get(reference)
            except ray.exceptions.RayError as error:
                lost = lost or f"died ({_cause(error)})"
                continue
            if kind == "error":
                self._replace(actor, board, value, "worker error")
                return
            if kind == "ready":
                self._admit(actor, value)
                continue
            del actor.units[reference]
            actor.deadline = time.monotonic() + self._timeout_s if actor.units else float("inf")
            results.append(value)
            if used > self._cap:
                self._count_failure("memory cap")
                self._swap(actor, board)
                return
        if lost:
            self._replace(actor, board, lost, "worker died")

    def _admit(self, actor: _Actor, probe: str) -> None:
        if probe != self._expected:
            raise ExecutorError(
                f"worker {actor.label} computes other numbers than the driver",
                why="the hash of its probe differs: another processor, library or code version",
                fix="use nodes of one kind with the locked requirements, or fewer workers",
            )
        actor.starting = None
        actor.deadline = float("inf")
        self._start_failures = 0

    def _replace(self, actor: _Actor, board: UnitBoard, cause: str, kind: str) -> None:
        """Replace an actor that failed; the unit it ran is counted against it."""
        self._count_failure(kind)
        if not actor.ready:
            self._start_failures += 1
            if self._start_failures >= _MAX_START_FAILURES:
                raise ExecutorError(
                    "Ray workers do not start",
                    why=f"{actor.label} {cause}",
                    fix="check that every node has the same genesis installed and room for a"
                    " worker, or use --executor local",
                )
        elif actor.units:
            unit = actor.units.pop(next(iter(actor.units)))
            if board.failed(unit, actor.label, cause):
                self.stats.retries += 1
        self._swap(actor, board)

    def _swap(self, actor: _Actor, board: UnitBoard) -> None:
        for unit in reversed(actor.units.values()):
            board.put_back(unit)
        self._kill(actor)
        self._actors[self._actors.index(actor)] = self._spawn(actor.label)

    def _kill(self, actor: _Actor) -> None:
        assert self._session is not None
        self._session.ray.kill(actor.handle, no_restart=True)

    def _run_alone(self, unit: WorkUnit, board: UnitBoard) -> UnitResult:
        assert self._job is not None
        self.stats.retries += 1
        shared = SharedJob(self._job, self._entry)
        try:
            return run_in_fresh_process(
                shared, unit, self._expected, self._timeout_s, board.causes(unit)
            )
        finally:
            shared.close()

    def _count_failure(self, kind: str) -> None:
        self.stats.failures[kind] = self.stats.failures.get(kind, 0) + 1


def _cause(error: Exception) -> str:
    """First sentence of a Ray error, whose full text runs over many lines."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
