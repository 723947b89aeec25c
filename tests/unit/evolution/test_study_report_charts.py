"""Figures of a study: front, convergence, archive map, lineage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from genesis.evolution.report_charts import (
    archive_figure,
    convergence_figure,
    failures,
    pareto_figure,
    undominated,
)
from genesis.evolution.report_lineage import ancestors, lineage_figure


def test_undominated_equals_deap() -> None:
    from deap import base, creator, tools

    rng = np.random.default_rng(4)
    points = np.round(rng.normal(size=(60, 3)), 1)
    creator.create("ReportFitness", base.Fitness, weights=(1.0, 1.0, 1.0))
    creator.create("ReportPoint", list, fitness=creator.ReportFitness)
    population = []
    for place, point in enumerate(points):
        member = creator.ReportPoint([place])
        member.fitness.values = tuple(point)
        population.append(member)
    front = tools.sortNondominated(population, len(population), first_front_only=True)[0]
    assert undominated(points.tolist()) == sorted(member[0] for member in front)


def entry(cell: str, *objectives: float, feasible: bool = True) -> dict[str, Any]:
    return {"cell": cell, "family": "f", "feasible": feasible, "objectives": list(objectives)}


def test_pareto_figure_splits_front_and_rest_and_marks_infeasible() -> None:
    entries = [entry("a/b/h0/t0", 1, -0.1, -3), entry("a/b/h0/t0", 0.5, -0.2, -4, feasible=False)]
    trials = [{"objectives": [0.1, -0.3, -5]}, {"objectives": []}, {"objectives": [math.nan, 0, 0]}]
    cloud, rest, front = pareto_figure(entries, trials, ["s", "d", "c"])["data"]
    assert (cloud["x"], cloud["y"]) == ([-0.3], [0.1])
    assert (front["x"], front["y"], front["marker"]["color"]) == ([-0.1], [1.0], [-3.0])
    assert rest["marker"]["symbol"] == ["circle-open"]


def test_convergence_is_the_best_so_far_and_has_the_random_arm() -> None:
    metrics = [
        {"generation": g, "random_best": r, "islands": [{"island": "a", "best": b}]}
        for g, (b, r) in enumerate([(0.2, None), (0.1, 0.05), (None, 0.3), (0.4, 0.2)])
    ]
    island, chance = convergence_figure(metrics)["data"]
    assert (island["x"], island["y"]) == ([0, 1, 3], [0.2, 0.2, 0.4])
    assert (chance["name"], chance["x"], chance["y"]) == (
        "random search",
        [1, 2, 3],
        [0.05, 0.3, 0.3],
    )


def test_archive_map_shows_the_best_of_each_cell() -> None:
    entries = [
        entry("trend/long/h1/t0", 0.3),
        entry("trend/long/h1/t0", 0.7),
        entry("carry/both/h0/t2", -0.2),
    ]
    axes = {"holding_bars": [3.0, 10.0], "turnover_per_year": [1.0, 4.0]}
    trace = archive_figure(entries, axes)["data"][0]
    assert trace["y"] == ["trend · long", "carry · both"]
    row = trace["y"].index("trend · long")
    column = list(zip(*trace["x"], strict=True)).index(("≤1 x a year", "3–10"))
    assert trace["z"][row][column] == 0.7
    assert trace["customdata"][row][column] == 2
    assert sum(v is not None for line in trace["z"] for v in line) == 2


def test_lineage_walks_parents_once_and_survives_cycles() -> None:
    def trial(g: int, parents: list[str], fitness: float = 0.0) -> dict[str, Any]:
        return {"generation": g, "parents": parents, "origin": "crossover",
                "objectives": [fitness], "plain": {"family": "f"}}  # fmt: skip

    trials = {"a": trial(0, []), "b": trial(0, ["c"]), "c": trial(1, ["a", "b"]),
              "d": trial(2, ["c", "a", "missing"])}  # fmt: skip
    assert ancestors("d", trials) == ["d", "c", "a", "b"]
    lines, points = lineage_figure("d", trials)["data"]
    assert points["marker"]["size"] == [15, 9, 9, 9]
    assert lines["x"].count(None) == 5  # d-c, d-a, c-a, c-b, b-c


def test_failures_add_up() -> None:
    assert failures([{"failures": {"x": 1, "y": 2}}, {"failures": {"x": 4}}, {}]) == {
        "x": 5,
        "y": 2,
    }
