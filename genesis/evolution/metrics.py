"""What a generation tells: fitness, diversity, validity, speed, cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class IslandMetrics:
    """One island after a generation; fitness is the first objective over feasible members."""

    island: str
    population: int
    valid: int
    feasible: int
    best: float
    average: float
    median: float
    worst: float
    evaluations: int


@dataclass(frozen=True, slots=True)
class EvolutionMetrics:
    """One generation of a study. "Fitness" is the first objective.

    Attributes
    ----------
    generation, generations : int
        Counted from 0; generation 0 is the first population.
    best, average, median, worst : float
        Fitness over the valid members of all islands, NaN if there is none. ``best`` is taken
        over feasible members where there are any.
    genome_diversity : float
        Mean share of genes in which two members differ, over all pairs, in [0, 1].
    behaviour_diversity : float
        Unique order lists over valid members, in [0, 1].
    valid_share, feasible_share : float
        Of the genomes evaluated in this generation; of the islands' members.
    candidates, evaluations : int
        Genomes evaluated so far on the islands, and those times the symbols they ran on.
    random_evaluations : int
        The same for the random arm.
    cache_hits, cache_misses : int
        Nodes of this generation found in and missed by the workers' caches.
    reused : int
        Children of this generation whose genome had been evaluated before.
    evaluations_per_s : float
        Of this generation, per second of wall time, all arms.
    failures : mapping
        Invalid genomes of this generation by status.
    faults : mapping
        Infrastructure faults since the start, by cause.
    worker_efficiency : float
        Busy time of the workers over their wall time in this generation, in [0, 1].
    seconds, seconds_search, seconds_ml, seconds_random : float
        Wall time of this generation and of evaluating its arms.
    elapsed_s, eta_s : float
        Since the start of the study over all sittings, and expected to the end.
    cost_per_1000 : float
        Price of 1,000 evaluations at the configured price per core hour.
    """

    generation: int
    generations: int
    best: float
    average: float
    median: float
    worst: float
    genome_diversity: float
    behaviour_diversity: float
    valid_share: float
    feasible_share: float
    candidates: int
    evaluations: int
    random_evaluations: int
    cache_hits: int
    cache_misses: int
    reused: int
    evaluations_per_s: float
    failures: Mapping[str, int]
    faults: Mapping[str, int]
    workers: int
    worker_efficiency: float
    seconds: float
    seconds_search: float
    seconds_ml: float
    seconds_random: float
    elapsed_s: float
    eta_s: float
    cost_per_1000: float
    archive_cells: int
    random_best: float
    islands: tuple[IslandMetrics, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        """JSON form; numbers that do not exist are null."""
        plain: dict[str, Any] = _null(asdict(self))
        return plain


def _null(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: _null(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_null(v) for v in value]
    return value


@dataclass(frozen=True, slots=True)
class Spread:
    """Best, mean, median and worst of the finite values; NaN of none."""

    best: float
    average: float
    median: float
    worst: float


def spread(values: Sequence[float]) -> Spread:
    """Summary of fitness values, non-finite ones left out."""
    finite = np.array([v for v in values if math.isfinite(v)], dtype=np.float64)
    if not finite.size:
        return Spread(math.nan, math.nan, math.nan, math.nan)
    return Spread(
        float(finite.max()), float(finite.mean()), float(np.median(finite)), float(finite.min())
    )


def genome_diversity(rows: Sequence[Mapping[str, object]]) -> float:
    """Mean share of genes in which two genomes differ, over all unordered pairs.

    A gene that only one of the two has counts as different. Computed from value counts, gene by
    gene, so that it is linear in the population.

    Parameters
    ----------
    rows : sequence of mapping
        Gene name to value, the family under a name of its own.
    """
    n = len(rows)
    if n < 2:
        return 0.0
    # Families have different numbers of genes: the mean number is the common denominator.
    names = sorted({name for row in rows for name in row})
    pairs = n * (n - 1) / 2
    differing = 0.0
    for name in names:
        counts = Counter(row.get(name) for row in rows)
        same = sum(c * (c - 1) / 2 for c in counts.values())
        differing += pairs - same
    mean_genes = sum(len(row) for row in rows) / n
    return min(1.0, differing / pairs / max(1.0, mean_genes))


def cost_per_1000(
    price_per_core_hour: float, cores: int, seconds: float, evaluations: int
) -> float:
    """Price of 1,000 evaluations when ``cores`` cores took ``seconds`` for ``evaluations``."""
    if evaluations <= 0:
        return math.nan
    return price_per_core_hour * cores * seconds / 3600.0 / evaluations * 1000.0
