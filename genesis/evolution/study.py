"""One study from configuration to leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from genesis.domain.clock import Clock
from genesis.evolution.config import StudyConfig
from genesis.evolution.metrics import EvolutionMetrics
from genesis.evolution.run import Run
from genesis.evolution.work import Executor


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a study came to; `genesis evolve --json` prints it."""

    run_id: str
    status: str
    archive_hash: str
    dataset_hash: str
    evaluations: int
    seconds: float
    leaderboard: tuple[dict[str, Any], ...]

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "leaderboard": list(self.leaderboard)}


class StudyListener(Protocol):
    """Told about a study as it goes; must not raise and must not block."""

    def on_start(self, run: Run) -> None:
        """Called once the run's folder exists."""
        ...

    def on_generation(self, metrics: EvolutionMetrics) -> None:
        """Called after each generation is safe on disk."""
        ...

    def on_finish(self, result: StudyResult) -> None:
        """Called when the leaderboard is written."""
        ...


def run_study(
    config: StudyConfig,
    home: Path,
    *,
    clock: Clock,
    executor: Executor,
    listeners: Sequence[StudyListener] = (),
    run_id: str | None = None,
    resume: bool = False,
) -> StudyResult:
    """Run or resume a study. The executor is started and closed here."""
    raise NotImplementedError
