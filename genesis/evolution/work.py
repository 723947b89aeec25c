"""Units of work and the port that executors implement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from genesis.backtest.result import BlockResult
from genesis.market.panel import Panel


@dataclass(frozen=True, slots=True)
class StudyJob:
    """Everything a worker needs once: the searched panel and how to evaluate on it.

    Attributes
    ----------
    panel : Panel
        The searched part only; the sealed tail is never in here.
    setup : mapping
        Plain form of `genesis.backtest.evaluator.EvaluationSetup`.
    seed_paths : tuple of str
        Files of user families, loaded by each worker.
    memory_bytes : int
        Cap of a worker's node cache.
    families : tuple of str
        Families in use, which workers probe and compile before they start; empty stands for all
        but the ML families.
    """

    panel: Panel
    setup: Mapping[str, Any]
    seed_paths: tuple[str, ...] = ()
    memory_bytes: int = 512 * 1024 * 1024
    families: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkUnit:
    """A block of genomes on one symbol. ``unit`` numbers the units of one `Executor.run` call."""

    unit: int
    symbol: int
    genomes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnitResult:
    """The block's numbers and how they were obtained (which is never part of a result hash).

    ``payload`` is the answer, as JSON, of units that ask for more than a block: see
    `genesis.evidence.worker`.
    """

    unit: int
    block: BlockResult
    seconds: float
    worker: str
    cache_hits: int
    cache_misses: int
    payload: str = ""


@dataclass(slots=True)
class ExecutorStats:
    """Counters since `Executor.start`; failures map a cause to its count."""

    workers: int = 0
    busy_seconds: float = 0.0
    retries: int = 0
    failures: dict[str, int] = field(default_factory=dict)


class Executor(Protocol):
    """Runs units of work somewhere.

    The contract: each unit is answered exactly once, in any order; the numbers depend on the job
    and the unit alone; a worker that dies or hangs past the timeout is replaced and its unit run
    again elsewhere, at last in a fresh process of the driver; `ExecutorError` only if that fails
    too. Not thread-safe: one driver owns it.
    """

    name: str
    stats: ExecutorStats

    def start(self, job: StudyJob) -> None:
        """Bring workers up and give them the job."""
        ...

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Yield results as they come."""
        ...

    def close(self) -> None:
        """End the workers that this executor started. Safe to call twice."""
        ...
