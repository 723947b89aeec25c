"""From a generation's course to its metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genesis.evolution.candidate import Candidate, Score
from genesis.evolution.evaluation import Effort
from genesis.evolution.metrics import (
    EvolutionMetrics,
    IslandMetrics,
    cost_per_1000,
    genome_diversity,
    spread,
)

if TYPE_CHECKING:
    from genesis.evolution.brood import Brood
    from genesis.evolution.islands import Island
    from genesis.evolution.pool import GeneticStrategyPool


@dataclass(frozen=True, slots=True)
class GenerationReport:
    """What a generation did: its brood, the effort of each arm, its wall time in seconds."""

    brood: Brood
    efforts: dict[str, Effort]
    seconds: float


def measure(pool: GeneticStrategyPool, report: GenerationReport) -> EvolutionMetrics:
    """Metrics of the generation that a pool has just finished."""
    brood = report.brood
    scores = pool.scores
    members = list({c.key: c for i in pool.all_islands for c in i.population}.values())
    evaluated = [scores[c.key] for _, c in (*brood.search, *brood.ml)]
    values = spread([scores[c.key].fitness for c in members])
    total = Effort()
    for effort in report.efforts.values():
        total.add(effort)
    stats = pool.executor.stats
    workers = max(stats.workers, 1)
    done = pool.generation + 1
    generations = pool.config.evolution.generations
    left = 0 if pool.finished else generations - done
    return EvolutionMetrics(
        generation=pool.generation,
        generations=generations,
        best=_best([scores[c.key] for c in members]),
        average=values.average,
        median=values.median,
        worst=values.worst,
        genome_diversity=genome_diversity([_genes(c) for c in members]),
        behaviour_diversity=_unique([scores[c.key] for c in members]),
        valid_share=_share(sum(s.valid for s in evaluated), len(evaluated)),
        feasible_share=_share(sum(scores[c.key].feasible for c in members), len(members)),
        candidates=pool.counters["search"] + pool.counters["ml"],
        evaluations=pool.evaluations,
        random_evaluations=pool.counters["random"] * pool.symbols,
        cache_hits=total.cache_hits,
        cache_misses=total.cache_misses,
        reused=brood.reused,
        evaluations_per_s=total.evaluations / total.seconds if total.seconds > 0 else 0.0,
        failures=dict(sorted(Counter(s.status for s in evaluated if not s.valid).items())),
        faults=dict(sorted(stats.failures.items())),
        workers=stats.workers,
        worker_efficiency=_efficiency(total, workers),
        seconds=report.seconds,
        seconds_search=report.efforts["search"].seconds,
        seconds_ml=report.efforts["ml"].seconds,
        seconds_random=report.efforts["random"].seconds,
        elapsed_s=pool.elapsed_s,
        eta_s=pool.elapsed_s / done * left,
        cost_per_1000=cost_per_1000(
            pool.config.price_per_core_hour, workers, total.seconds, total.evaluations
        ),
        archive_cells=len(pool.archive),
        random_best=_best(list(pool.random_scores.values())),
        islands=tuple(_island(pool, island, brood) for island in pool.all_islands),
    )


def _island(pool: GeneticStrategyPool, island: Island, brood: Brood) -> IslandMetrics:
    scores = [pool.scores[c.key] for c in island.population]
    values = spread([s.fitness for s in scores])
    new = [c for name, c in (*brood.search, *brood.ml) if name == island.name]
    return IslandMetrics(
        island=island.name,
        population=len(scores),
        valid=sum(pool.scores[c.key].valid for c in new),
        feasible=sum(s.feasible for s in scores),
        best=_best(scores),
        average=values.average,
        median=values.median,
        worst=values.worst,
        evaluations=len(new),
    )


def _best(scores: Sequence[Score]) -> float:
    """Best fitness of the feasible, of the valid where none is feasible, NaN of none."""
    feasible = [s.fitness for s in scores if s.feasible]
    valid = [s.fitness for s in scores if s.valid]
    return max(feasible or valid or [math.nan])


def _unique(scores: Sequence[Score]) -> float:
    return _share(len({s.phenotype for s in scores}), len(scores))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _efficiency(effort: Effort, workers: int) -> float:
    if effort.seconds <= 0.0:
        return 0.0
    return min(1.0, effort.busy_seconds / (workers * effort.seconds))


def _genes(candidate: Candidate) -> dict[str, object]:
    genome = candidate.genome
    tree = genome.filter.text if genome.filter is not None else None
    return {"family": genome.family, "filter": tree, **genome.genes}
