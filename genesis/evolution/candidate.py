"""A candidate of the search, what it scored, and how two scores compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genesis.strategy.genome import Genome


@dataclass(frozen=True, slots=True)
class Candidate:
    """A genome and where it came from.

    Attributes
    ----------
    genome : Genome
    origin : str
        ``library``, ``random``, ``immigrant``, ``crossover``, ``mutation``.
    parents : tuple of str
        Keys of the genomes it was bred from.
    """

    genome: Genome
    origin: str
    parents: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Content hash of the genome."""
        return self.genome.key


@dataclass(frozen=True, slots=True)
class Score:
    """What one genome came to on the whole panel.

    Attributes
    ----------
    status : str
        ``valid`` or the reason's kind (`genesis.backtest.result.STATUS`).
    reason : str
        Why it is invalid, empty for a valid one.
    objectives : tuple of float
        To be maximised, in the configured order; empty for an invalid one.
    violation : float
        Sum of relative constraint violations, 0 when every constraint holds.
    complexity : int
        Active genes and filter nodes.
    phenotype : str
        Hex hash of the orders on all symbols; equal behaviour has an equal hash.
    measures : mapping
        Named numbers of the portfolio for people and for the archive's axes.
    """

    status: str
    reason: str = ""
    objectives: tuple[float, ...] = ()
    violation: float = 0.0
    complexity: int = 0
    phenotype: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether it has numbers at all."""
        return self.status == "valid"

    @property
    def feasible(self) -> bool:
        """Whether it is valid and meets every constraint."""
        return self.valid and self.violation == 0.0

    @property
    def fitness(self) -> float:
        """First objective, NaN for an invalid one."""
        return self.objectives[0] if self.objectives else math.nan

    def to_plain(self) -> dict[str, Any]:
        """JSON form; floats survive it exactly, numbers that do not exist are null."""
        return {
            "status": self.status,
            "reason": self.reason,
            "objectives": list(self.objectives),
            "violation": self.violation,
            "complexity": self.complexity,
            "phenotype": self.phenotype,
            "measures": {k: v if math.isfinite(v) else None for k, v in self.measures.items()},
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Score:
        """Score from `to_plain` (further keys are ignored)."""
        return Score(
            status=plain["status"],
            reason=plain["reason"],
            objectives=tuple(float(v) for v in plain["objectives"]),
            violation=float(plain["violation"]),
            complexity=int(plain["complexity"]),
            phenotype=plain["phenotype"],
            measures={k: math.nan if v is None else float(v) for k, v in plain["measures"].items()},
        )


def preference(key: str, score: Score) -> tuple[float, ...] | tuple[Any, ...]:
    """Sort key of a total order, best first: violation, fitness, complexity, key.

    Raises
    ------
    ValueError
        For an invalid score: it has no place in an order.
    """
    if not score.valid:
        raise ValueError(f"an invalid score has no rank: {score.reason}")
    return (score.violation, -score.objectives[0], score.complexity, key)
