"""Survivor and parent selection: NSGA-II among the feasible, then by violation.

The constraint rule is Deb's (2000): a feasible candidate beats an infeasible one, two infeasible
ones compare by their violation. Invalid candidates never enter.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deap import base
from deap.tools import emo

from genesis.evolution.candidate import Candidate, Score

Scores = Mapping[str, Score]


class _Point:
    """What DEAP sorts: a fitness and the candidate's key."""

    __slots__ = ("fitness", "key")

    def __init__(self, key: str, fitness: base.Fitness) -> None:
        self.key = key
        self.fitness = fitness


def _fitness_kind(objectives: int) -> type[base.Fitness]:
    return type("MaxFitness", (base.Fitness,), {"weights": (1.0,) * objectives})


def nsga2(keys: Sequence[str], scores: Scores, count: int) -> list[str]:
    """Best ``count`` feasible keys by non-domination rank, then crowding distance, best first.

    Ties in crowding are decided by key, whatever the order of the input.
    """
    if count <= 0 or not keys:
        return []
    width = len(scores[keys[0]].objectives)
    if width == 1:
        return sorted(keys, key=lambda k: (-scores[k].objectives[0], k))[:count]
    kind = _fitness_kind(width)
    points = []
    for key in sorted(keys):
        fitness = kind()
        fitness.values = scores[key].objectives
        points.append(_Point(key, fitness))
    # The steps of `tools.selNSGA2(points, count, nd="log")`, spelled out because that function
    # orders the last front only, and its ties by the order of the input.
    ranked: list[str] = []
    for front in emo.sortLogNondominated(points, len(points)):
        emo.assignCrowdingDist(front)
        front.sort(key=lambda p: (-p.fitness.crowding_dist, p.key))
        ranked.extend(point.key for point in front)
    return ranked[:count]


def select(keys: Sequence[str], scores: Scores, count: int) -> list[str]:
    """Best ``count`` valid keys, best first: NSGA-II of the feasible, then least violation."""
    feasible = [k for k in keys if scores[k].feasible]
    chosen = nsga2(feasible, scores, count)
    rest = sorted(
        (k for k in keys if scores[k].valid and not scores[k].feasible),
        key=lambda k: (scores[k].violation, -scores[k].fitness, scores[k].complexity, k),
    )
    return chosen + rest[: count - len(chosen)]


def distinct(keys: Sequence[str], scores: Scores) -> list[str]:
    """Valid keys without twins: of equal behaviour the simplest stays (then the first by key)."""
    best: dict[str, str] = {}
    for key in dict.fromkeys(keys):
        score = scores[key]
        if not score.valid:
            continue
        twin = best.get(score.phenotype)
        if twin is None or _simplicity(key, scores) < _simplicity(twin, scores):
            best[score.phenotype] = key
    kept = set(best.values())
    return [k for k in dict.fromkeys(keys) if k in kept]


def _simplicity(key: str, scores: Scores) -> tuple[int, str]:
    return scores[key].complexity, key


@dataclass(frozen=True, slots=True)
class Survival:
    """How an island keeps its size: (mu + lambda) with a least share of parents."""

    size: int
    elite_ratio: float

    def survivors(
        self, parents: Sequence[Candidate], children: Sequence[Candidate], scores: Scores
    ) -> list[Candidate]:
        """Next population, best first; at most ``size``, never an invalid member."""
        both = {c.key: c for c in (*children, *parents)}
        old = {c.key for c in parents}
        unique = distinct([c.key for c in (*parents, *children)], scores)
        ranked = select(unique, scores, len(unique))
        chosen = ranked[: self.size]
        elite = [k for k in ranked if k in old]
        need = min(math.ceil(self.elite_ratio * self.size), len(elite))
        missing = need - sum(1 for k in chosen if k in old)
        if missing > 0:
            keep = set(elite[:need])
            for key in reversed(list(chosen)):
                if missing and key not in old:
                    chosen.remove(key)
                    missing -= 1
            chosen = [k for k in ranked if k in keep or k in chosen][: self.size]
        return [both[k] for k in chosen]


def tournament(population: Sequence[Candidate], rng: random.Random) -> Candidate:
    """Better of two members drawn at random; the population is in order, best first."""
    n = len(population)
    return population[min(rng.randrange(n), rng.randrange(n))]
