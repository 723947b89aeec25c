"""The executor without workers: units run in the driver, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from genesis.domain.errors import ExecutorError
from genesis.evolution.executors.entry import UNIT_EVALUATOR, RunsUnits, load_evaluator
from genesis.evolution.work import ExecutorStats, StudyJob, UnitResult, WorkUnit


class InlineExecutor:
    """Runs units in this process.

    The cheapest executor for small populations, and the reference that the others must equal.
    It cannot survive a unit that hangs or kills its process: there is nobody to notice.

    Parameters
    ----------
    evaluator : str
        ``module:attribute`` of the class that evaluates units.
    """

    name = "inline"

    def __init__(self, *, evaluator: str = UNIT_EVALUATOR) -> None:
        self._entry = evaluator
        self._evaluator: RunsUnits | None = None
        self.stats = ExecutorStats()

    def start(self, job: StudyJob) -> None:
        """Prepare the evaluator.

        Raises
        ------
        StrategyError
            If a file of user families cannot be loaded.
        """
        self._evaluator = load_evaluator(self._entry)(job, "driver")
        self.stats = ExecutorStats(workers=1)

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Yield results in the order of the units.

        Raises
        ------
        ExecutorError
            If the executor was not started.
        """
        evaluator = self._evaluator
        if evaluator is None:
            raise ExecutorError("the executor is not running", fix="call start(job) first")
        for unit in units:
            result = evaluator.run(unit)
            self.stats.busy_seconds += result.seconds
            yield result

    def close(self) -> None:
        """Drop the evaluator and its caches."""
        self._evaluator = None
