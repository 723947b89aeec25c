"""How an executor finds the code that evaluates units, without importing it early."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Protocol, cast

from genesis.evolution.work import StudyJob, UnitResult, WorkUnit

UNIT_EVALUATOR = "genesis.evolution.executors.worker:UnitEvaluator"


class RunsUnits(Protocol):
    """The part of a worker that knows about strategies."""

    def probe(self) -> str:
        """Hash of fixed computations; equal on every worker that may take part in a study."""
        ...

    def run(self, unit: WorkUnit) -> UnitResult:
        """Evaluate a unit."""
        ...


def load_evaluator(entry: str) -> Callable[[StudyJob, str], RunsUnits]:
    """Class named by ``module:attribute``, called with the job and the worker's label.

    Raises
    ------
    ImportError, AttributeError
        If there is no such class in this environment.
    """
    module, _, attribute = entry.partition(":")
    return cast(
        Callable[[StudyJob, str], RunsUnits], getattr(importlib.import_module(module), attribute)
    )
