"""Whether there is a best stop and target at all: the map of both over scenarios.

Carr and Lopez de Prado (2014) show that the best pair of levels is well defined where prices
revert fast or a forecast is strong, and that the map goes flat as prices become a random walk.
There any "optimum" is an accident of the sample, and that must be said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.evolution.risk.measures import GROWTH
from genesis.risk.genome import GENES, NAMES, RiskGenome
from genesis.validation.snooping import spa

Floats = npt.NDArray[np.float64]

STEPS = 9
"""Values of each level, evenly spaced in unit genes."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """What a map of results says.

    Attributes
    ----------
    best : int
        Cell with the greatest mean.
    spread : float
        Mean of the best cell less that of the median cell.
    p : float
        P-value of "no cell beats the median one" (Hansen's SPA over all cells).
    stable : bool
        Whether that is below the level; else there is no stable optimum.
    """

    best: int
    spread: float
    p: float
    stable: bool


def optimum_of(
    results: Floats, rng: np.random.Generator, *, level: float = 0.05, draws: int = 1_000
) -> Optimum:
    """Judge a map.

    Parameters
    ----------
    results : float64, shape (N, K)
        Result of each of N independent samples under each of K cells, the same samples for all.
    rng : numpy.random.Generator
    level : float
    draws : int
        Resamples.
    """
    means = results.mean(axis=0)
    order = np.argsort(means, kind="stable")
    best, median = int(order[-1]), int(order[order.size // 2])
    excess = results - results[:, [median]]
    p = spa(excess, draws=draws, block=1.0, rng=rng).consistent
    return Optimum(best, float(means[best] - means[median]), p, bool(p < level))


@dataclass(frozen=True, slots=True)
class LevelMap:
    """Mean log growth over stops (rows) and targets (columns), in average true ranges.

    Attributes
    ----------
    stops, targets : tuple of float
    growth : tuple of tuple of float
    best : tuple of float
        Stop and target of the best cell.
    optimum : Optimum
    """

    stops: tuple[float, ...]
    targets: tuple[float, ...]
    growth: tuple[tuple[float, ...], ...]
    best: tuple[float, float]
    optimum: Optimum

    @property
    def text(self) -> str:
        """The verdict in a sentence."""
        if not self.optimum.stable:
            return (
                f"no stable optimum of stop and target (p = {self.optimum.p:.2f}): the best cell of"
                " the map is no better than its middle"
            )
        return (
            f"stop {self.best[0]:.1f} and target {self.best[1]:.1f} average true ranges are best"
            f" (p = {self.optimum.p:.3f})"
        )

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "text": self.text}


def level_genomes(genome: RiskGenome) -> list[RiskGenome]:
    """The genome with every pair of stop and target, row by row."""
    point, out = genome.unit(), []
    for stop in range(STEPS):
        for target in range(STEPS):
            moved = point.copy()
            moved[NAMES.index("stop_atr")] = stop / (STEPS - 1)
            moved[NAMES.index("take_profit_atr")] = target / (STEPS - 1)
            out.append(RiskGenome.from_unit(moved))
    return out


def level_map(
    genome: RiskGenome,
    rows: Callable[[Sequence[RiskGenome]], Floats],
    books: int,
    rng: np.random.Generator,
) -> LevelMap:
    """Map of a genome's stop and target.

    Parameters
    ----------
    genome : RiskGenome
        Everything but the two levels is kept.
    rows : callable
        Measures of genomes on scenarios, shape (genomes, scenarios, COLUMNS).
    books : int
        Scenarios of a path, which are averaged: they share its prices.
    rng : numpy.random.Generator
    """
    growth = rows(level_genomes(genome))[:, :, GROWTH]
    paths = growth.reshape(growth.shape[0], -1, books).mean(axis=2)
    found = optimum_of(np.ascontiguousarray(paths.T), rng)
    by_name = {gene.name: gene for gene in GENES}
    stops, targets = (
        tuple(by_name[name].from_unit(k / (STEPS - 1)) for k in range(STEPS))
        for name in ("stop_atr", "take_profit_atr")
    )
    means = paths.mean(axis=1).reshape(STEPS, STEPS)
    row, column = divmod(found.best, STEPS)
    table = tuple(tuple(float(v) for v in line) for line in means)
    return LevelMap(stops, targets, table, (stops[row], targets[column]), found)
