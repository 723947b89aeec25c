"""The two searches: CMA-ES on a scalar, NSGA-II on objectives. They know nothing of markets.

Both ask for scores generation by generation. Every draw is keyed by (seed, purpose, generation),
so that a search which finds its scores in a ledger takes the same course again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from cmaes import CMA
from deap import tools

from genesis.evolution.candidate import Score
from genesis.evolution.randomness import stream, stream_seed
from genesis.evolution.selection import nsga2
from genesis.risk.genome import GENES, RiskGenome

Floats = npt.NDArray[np.float64]

Scalars = Callable[[int, Sequence[RiskGenome]], Sequence[float]]
"""Scores of a generation's genomes, greater is better: (generation, genomes) -> scores."""

Objectives = Callable[[int, Sequence[RiskGenome]], Sequence[tuple[float, ...]]]
"""Objectives of a generation's genomes, to be maximised, all on the same scenarios."""

SBX_ETA, POLYNOMIAL_ETA = 15.0, 20.0
CROSSOVER = 0.9
_RANDOM_LOW, _RANDOM_HIGH = 0.15, 0.85


def cma_es(
    scores: Scalars,
    start: Floats,
    *,
    step: float,
    size: int,
    generations: int,
    seed: int,
    free: Sequence[int] | None = None,
) -> RiskGenome:
    """Covariance matrix adaptation (Hansen) in the unit cube; return the genome at its last mean.

    Parameters
    ----------
    scores : callable
    start : float64, shape (24,)
        First mean, unit genes.
    step : float
        First standard deviation.
    size, generations : int
    seed : int
    free : sequence of int, optional
        Places of the genes that may move; all by default. The others stay at ``start``.

    Returns
    -------
    RiskGenome
        At the final mean, which a noisy score tells better than any one sample.
    """
    places = np.arange(len(GENES)) if free is None else np.asarray(free, dtype=np.int64)
    bounds = np.stack([np.zeros(places.size), np.ones(places.size)], axis=1)
    optimiser = CMA(
        mean=np.clip(start[places], 0.0, 1.0),
        sigma=step,
        bounds=bounds,
        seed=stream_seed(seed, "risk cma", 0) % 2**32,
        population_size=size,
    )

    def whole(part: Floats) -> RiskGenome:
        point = start.copy()
        point[places] = np.clip(part, 0.0, 1.0)
        return RiskGenome.from_unit(point)

    for generation in range(generations):
        parts = [optimiser.ask() for _ in range(size)]
        found = scores(generation, [whole(part) for part in parts])
        optimiser.tell([(part, -score) for part, score in zip(parts, found, strict=True)])
    return whole(optimiser.mean)


def random_start(seed: int, run: int) -> Floats:
    """Mean of a restart: a point of the unit cube, not too near to its faces."""
    rng = random.Random(stream_seed(seed, "risk restart", run))  # noqa: S311 repeatable
    return np.array([rng.uniform(_RANDOM_LOW, _RANDOM_HIGH) for _ in GENES])


def nsga(
    objectives: Objectives,
    first: Sequence[RiskGenome],
    *,
    size: int,
    generations: int,
    seed: int,
    told: Callable[[int, Sequence[RiskGenome], Sequence[tuple[float, ...]]], None] | None = None,
) -> list[RiskGenome]:
    """(mu + lambda) NSGA-II with bounded SBX and polynomial mutation.

    Parents are scored again with their children, on the scenarios of the generation, since scores
    of different scenarios do not compare.

    Parameters
    ----------
    objectives : callable
    first : sequence of RiskGenome
        Members to begin with; filled up with their mutants, cut to ``size``.
    size, generations : int
    seed : int
    told : callable, optional
        Told (generation, members, objectives) after each generation, best first.

    Returns
    -------
    list of RiskGenome
        The last population, best first.
    """
    given = _distinct(first)[:size]
    members = given
    with stream(seed, "risk nsga start", 0):
        while len(members) < size:
            members = _distinct([*members, _mutated(given[len(members) % len(given)])])
    for generation in range(generations):
        with stream(seed, "risk nsga", generation):
            children = _children(members, size)
        both = _distinct([*members, *children])
        found = objectives(generation, both)
        scores = {
            genome.content_hash: Score(status="valid", objectives=tuple(values))
            for genome, values in zip(both, found, strict=True)
        }
        known = {genome.content_hash: genome for genome in both}
        keys = nsga2(list(known), scores, size)
        members = [known[key] for key in keys]
        if told is not None:
            told(generation, members, [scores[key].objectives for key in keys])
    return members


def _distinct(genomes: Sequence[RiskGenome]) -> list[RiskGenome]:
    return list({genome.content_hash: genome for genome in genomes}.values())


def _children(members: Sequence[RiskGenome], size: int) -> list[RiskGenome]:
    """One brood, two children a pair."""
    children: list[RiskGenome] = []
    while len(children) < size:
        pair = [_tournament(members).unit().tolist() for _ in range(2)]
        if random.random() < CROSSOVER:  # noqa: S311 DEAP draws from the same generator
            pair = list(tools.cxSimulatedBinaryBounded(*pair, eta=SBX_ETA, low=0.0, up=1.0))
        for point in pair:
            tools.mutPolynomialBounded(
                point, eta=POLYNOMIAL_ETA, low=0.0, up=1.0, indpb=1.0 / len(GENES)
            )
            children.append(RiskGenome.from_unit(np.array(point)))
    return children[:size]


def _tournament(members: Sequence[RiskGenome]) -> RiskGenome:
    """Better of two members drawn from the stream; they are in order, best first."""
    places = [random.randrange(len(members)) for _ in range(2)]  # noqa: S311 repeatable
    return members[min(places)]


def _mutated(genome: RiskGenome) -> RiskGenome:
    point = genome.unit().tolist()
    tools.mutPolynomialBounded(point, eta=POLYNOMIAL_ETA, low=0.0, up=1.0, indpb=4.0 / len(GENES))
    return RiskGenome.from_unit(np.array(point))
