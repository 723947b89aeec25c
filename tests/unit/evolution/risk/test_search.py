"""CMA-ES and NSGA-II on functions whose optima are known, and the score that they are given."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from genesis.evolution.risk.measures import Outcome
from genesis.evolution.risk.score import (
    Weights,
    distance,
    relative_gains,
    scalar,
    search_objectives,
    volatility_target,
)
from genesis.evolution.risk.search import cma_es, nsga, random_start
from genesis.risk.genome import GENES, NAMES, RiskGenome

GOAL = np.array([0.2 + 0.6 * k / 23 for k in range(24)])
# Whole-number genes hit the goal to within their grid only.
SMOOTH = [k for k, gene in enumerate(GENES) if not gene.whole]


def near_goal(_: int, genomes: Sequence[RiskGenome]) -> list[float]:
    return [-float(((g.unit() - GOAL) ** 2).sum()) for g in genomes]


def test_cma_es_finds_the_optimum() -> None:
    found = cma_es(
        near_goal, RiskGenome().unit(), step=0.2, size=16, generations=150, seed=1
    ).unit()
    assert np.abs(found - GOAL)[SMOOTH].max() < 0.02


def test_cma_es_reaches_an_optimum_on_the_bound() -> None:
    corner = cma_es(
        lambda _, genomes: [float(g.unit()[SMOOTH].sum()) for g in genomes],
        np.full(24, 0.5),
        step=0.2,
        size=16,
        generations=120,
        seed=1,
    )
    assert corner.unit()[SMOOTH].min() > 0.95


def test_genes_that_are_not_free_stay() -> None:
    start = RiskGenome().unit()
    found = cma_es(near_goal, start, step=0.2, size=8, generations=60, seed=1, free=[0, 3]).unit()
    assert np.delete(found, [0, 3]) == pytest.approx(np.delete(start, [0, 3]))
    assert found[[0, 3]] == pytest.approx(GOAL[[0, 3]], abs=0.02)


def test_searches_take_the_same_course_again() -> None:
    def course(seed: int) -> list[str]:
        seen: list[str] = []

        def scores(generation: int, genomes: Sequence[RiskGenome]) -> list[float]:
            seen.extend(g.content_hash for g in genomes)
            return near_goal(generation, genomes)

        def objectives(generation: int, genomes: Sequence[RiskGenome]) -> list[tuple[float, ...]]:
            seen.extend(g.content_hash for g in genomes)
            return [(float(g.unit()[0]), -float(g.unit()[1])) for g in genomes]

        random.random()
        cma_es(scores, RiskGenome().unit(), step=0.2, size=8, generations=4, seed=seed)
        nsga(objectives, [RiskGenome()], size=12, generations=3, seed=seed)
        return seen

    assert course(3) == course(3)
    assert course(3) != course(4)


def test_nsga_spreads_over_a_known_front() -> None:
    # Gain of one gene is loss of another objective; all other genes only cost.
    stop, trail = NAMES.index("stop_atr"), NAMES.index("trail_atr")

    def objectives(_: int, genomes: Sequence[RiskGenome]) -> list[tuple[float, ...]]:
        out = []
        for genome in genomes:
            unit = genome.unit()
            cost = abs(unit[trail] - 0.5)
            out.append((float(unit[stop] - cost), float(1.0 - unit[stop] - cost)))
        return out

    last = nsga(objectives, [RiskGenome()], size=24, generations=60, seed=5)
    assert len(last) == 24
    places = sorted(float(g.unit()[stop]) for g in last)
    assert places[0] < 0.1
    assert places[-1] > 0.9
    assert max(abs(float(g.unit()[trail]) - 0.5) for g in last) < 0.1


def test_restarts_begin_elsewhere_and_always_there() -> None:
    assert random_start(1, 1).tolist() == random_start(1, 1).tolist()
    assert random_start(1, 1).tolist() != random_start(1, 2).tolist()
    assert 0.15 <= random_start(9, 3).min() <= random_start(9, 3).max() <= 0.85


# ---- score --------------------------------------------------------------------------------------


def outcome(growth: float, cdar: float, cvar: float) -> Outcome:
    return Outcome(growth, cdar, cvar, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


BASE = outcome(0.10, 0.08, 0.05)
FREE = replace(Weights(), penalty=0.0)


@pytest.mark.parametrize("scale", [0.3, 0.7, 0.9, 1.2, 2.0])
def test_doing_less_or_more_of_the_same_never_wins(scale: float) -> None:
    same = outcome(0.10 * scale, 0.08 * scale, 0.05 * scale)
    assert scalar(same, [BASE], RiskGenome(), FREE) < scalar(BASE, [BASE], RiskGenome(), FREE)


def test_less_drawdown_at_the_same_growth_wins() -> None:
    assert scalar(outcome(0.10, 0.07, 0.05), [BASE], RiskGenome(), FREE) > 0.0


def test_the_lesser_gain_over_the_baselines_counts() -> None:
    other = outcome(0.10, 0.04, 0.05)
    better = outcome(0.10, 0.06, 0.05)
    alone = scalar(better, [BASE], RiskGenome(), FREE)
    assert scalar(better, [BASE, other], RiskGenome(), FREE) == scalar(
        better, [other], RiskGenome(), FREE
    )
    assert scalar(better, [other], RiskGenome(), FREE) < 0.0 < alone


def test_each_gene_costs_two_hundredths_of_its_way() -> None:
    moved = RiskGenome().unit()
    moved[NAMES.index("stop_atr")] = 0.0
    genome = RiskGenome.from_unit(moved)
    way = RiskGenome().unit()[NAMES.index("stop_atr")]
    assert distance(genome) == pytest.approx(way)
    price = scalar(BASE, [BASE], RiskGenome(), Weights()) - scalar(BASE, [BASE], genome, Weights())
    assert price == pytest.approx(0.02 * way)
    assert search_objectives(BASE, [BASE], genome) == pytest.approx((-0.02 * way,) * 3)


def test_gains_are_shares_of_the_baseline() -> None:
    assert relative_gains(outcome(0.09, 0.06, 0.06), BASE) == pytest.approx((-0.1, 0.25, -0.2))
    # Where the baseline hardly grows, growth is measured in a quarter of its drawdown.
    flat = outcome(0.001, 0.08, 0.05)
    assert relative_gains(outcome(0.011, 0.08, 0.05), flat)[0] == pytest.approx(0.5)


def test_plain_volatility_target_does_nothing_else() -> None:
    plain = volatility_target(0.5).genes
    for gene in GENES:
        if gene.name == "target_volatility":
            assert plain.target_volatility == 0.5
        elif gene.name == "volatility_exponent":
            assert plain.volatility_exponent == 1.0
        else:
            assert getattr(plain, gene.name) == gene.loosest
