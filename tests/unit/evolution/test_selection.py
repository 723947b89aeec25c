"""Survivor selection against DEAP's standard sort and brute force."""

from __future__ import annotations

import random

import numpy as np
import pytest
from deap import base
from deap.tools import emo

from genesis.evolution.candidate import Candidate, Score
from genesis.evolution.selection import Survival, distinct, nsga2, select, tournament
from genesis.strategy.genome import Genome


def _score(*values: float, violation: float = 0.0, phenotype: str = "", size: int = 1) -> Score:
    return Score("valid", "", values, violation, size, phenotype or repr(values), {})


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x >= y for x, y in zip(a, b, strict=True)) and a != b


def _random_scores(seed: int, n: int, width: int, *, ties: bool) -> dict[str, Score]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, width))
    if ties:
        values = np.round(values, 1)
    return {f"k{i:04d}": _score(*map(float, row)) for i, row in enumerate(values)}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("width", [2, 3])
def test_log_sort_equals_standard_sort(width: int, ties: bool) -> None:
    for seed in range(5):
        scores = _random_scores(seed, 120, width, ties=ties)
        kind = type("F", (base.Fitness,), {"weights": (1.0,) * width})
        points = []
        for key, score in scores.items():
            point = type("P", (), {})()
            point.fitness, point.key = kind(), key
            point.fitness.values = score.objectives
            points.append(point)
        log = [{p.key for p in front} for front in emo.sortLogNondominated(points, 120)]
        standard = [{p.key for p in front} for front in emo.sortNondominated(points, 120)]
        assert log == standard


@pytest.mark.parametrize("count", [1, 17, 40, 80])
def test_survivors_equal_deaps_standard_nsga2(count: int) -> None:
    scores = _random_scores(3, 80, 3, ties=False)
    kind = type("F", (base.Fitness,), {"weights": (1.0,) * 3})
    points = []
    for key, score in scores.items():
        point = type("P", (), {})()
        point.fitness, point.key = kind(), key
        point.fitness.values = score.objectives
        points.append(point)
    theirs = emo.selNSGA2(points, count, nd="standard")
    # Points at the ends of a front tie at infinite distance: compare ranks and distances.
    worth = {}
    for rank, front in enumerate(emo.sortNondominated(points, 80)):
        emo.assignCrowdingDist(front)
        worth |= {p.key: (rank, -p.fitness.crowding_dist) for p in front}
    ours = nsga2(list(scores), scores, count)
    assert sorted(worth[k] for k in ours) == sorted(worth[p.key] for p in theirs)
    assert [worth[k] for k in ours] == sorted(worth[k] for k in ours)


def test_rank_order_is_that_of_brute_force() -> None:
    scores = _random_scores(1, 60, 3, ties=True)
    order = nsga2(list(scores), scores, 60)
    left, at = set(scores), 0
    while left:
        front = {
            k
            for k in left
            if not any(_dominates(scores[o].objectives, scores[k].objectives) for o in left)
        }
        assert set(order[at : at + len(front)]) == front
        at += len(front)
        left -= front


def test_order_of_input_does_not_matter() -> None:
    scores = _random_scores(2, 50, 3, ties=True)
    keys = list(scores)
    expected = nsga2(keys, scores, 20)
    for seed in range(5):
        random.Random(seed).shuffle(keys)
        assert nsga2(keys, scores, 20) == expected


def test_one_objective_sorts_by_it() -> None:
    scores = {"a": _score(1.0), "b": _score(3.0), "c": _score(2.0)}
    assert nsga2(["a", "b", "c"], scores, 2) == ["b", "c"]


def test_feasible_beat_infeasible_and_invalid_never_enter() -> None:
    scores = {
        "good": _score(0.1, 0.1),
        "near": _score(9.0, 9.0, violation=0.1),
        "far": _score(99.0, 99.0, violation=0.2),
        "dead": Score("no_trades", "no trades"),
    }
    assert select(list(scores), scores, 4) == ["good", "near", "far"]


def test_of_twins_the_simpler_stays() -> None:
    scores = {
        "big": _score(1.0, phenotype="same", size=9),
        "small": _score(1.0, phenotype="same", size=4),
        "other": _score(1.0, phenotype="x", size=4),
    }
    assert distinct(["big", "small", "other", "small"], scores) == ["small", "other"]


def _candidate(name: int) -> Candidate:
    return Candidate(Genome("ema_cross", {"fast": name}), "random")


def test_least_share_of_parents_survives() -> None:
    parents = [_candidate(i) for i in range(10)]
    children = [_candidate(100 + i) for i in range(10)]
    scores = {c.key: _score(float(i)) for i, c in enumerate(parents)}
    scores |= {c.key: _score(100.0 + i) for i, c in enumerate(children)}
    kept = Survival(10, 0.2).survivors(parents, children, scores)
    assert len(kept) == 10
    old = {c.key for c in parents}
    assert [c.key for c in kept if c.key in old] == [parents[9].key, parents[8].key]
    fitness = [scores[c.key].fitness for c in kept]
    assert fitness == sorted(fitness, reverse=True)
    none = Survival(10, 0.0).survivors(parents, children, scores)
    assert not any(c.key in old for c in none)


def test_tournament_prefers_the_front() -> None:
    population = [_candidate(i) for i in range(10)]
    rng = random.Random(1)
    places = [population.index(tournament(population, rng)) for _ in range(4000)]
    # The minimum of two uniform draws over 0..9 has mean 2.85.
    assert np.mean(places) == pytest.approx(2.85, abs=0.15)
