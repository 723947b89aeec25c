from __future__ import annotations

import math
import random

import pytest

from genesis.domain.errors import StrategyError
from genesis.strategy.genes import Choice, Flag, Float, Gene, Int, Levels, Window, readable_step
from genesis.strategy.grid import GRID

GENES = [
    Window(5, 56),
    Float(0.0, 0.02, unit="fraction of price"),
    Float(-1.0, 1.0, step=0.1),
    Float(0.001, 0.05, log=True, off=True),
    Float(0.5, 8, step=0.1, off=True),
    Int(1, 400, off=True),
    Int(3, 15),
    Levels(64, 128, 256, 512),
    Choice("both", "long", "short"),
    Flag(),
]


def test_window_takes_the_grid_within_its_bounds() -> None:
    assert Window(5, 40).values == (5, 7, 10, 14, 20, 28, 40)
    assert Window(1, 10_000).values == GRID


@pytest.mark.parametrize(
    ("width", "step"), [(0.0003125, 0.0002), (0.117, 0.1), (1.0, 1.0), (7.5, 5.0), (0.049, 0.02)]
)
def test_step_is_the_readable_one_below_the_width(width: float, step: float) -> None:
    assert readable_step(width) == step


def test_values_have_short_spellings() -> None:
    for gene in (Float(0.0, 0.02), Float(0.05, 0.4, step=0.01), Float(0.001, 0.05, log=True)):
        assert all(len(repr(v)) <= 7 for v in gene.values), gene.values
    assert 0.3 in Float(0.1, 0.9, step=0.1).values


@pytest.mark.parametrize("gene", GENES, ids=repr)
@pytest.mark.parametrize(
    "value",
    [0, 1, -1e300, 1e300, 10**400, math.inf, -math.inf, math.nan, None, "long", "?", [], True, 2j],
    ids=str,
)
def test_repair_gives_a_legal_value_and_is_idempotent(gene: Gene[object], value: object) -> None:
    fixed = gene.repair(value)
    assert fixed in gene.values
    assert gene.repair(fixed) == fixed


def test_repair_goes_to_the_nearest_value() -> None:
    window = Window(5, 40)
    assert [window.repair(v) for v in (-3, 5.9, 8.6, 34, 35, 1000)] == [5, 5, 10, 28, 40, 40]
    assert Float(0.0, 1.0, step=0.1).repair(0.349) == 0.3
    assert Choice("a", "b").repair("c") == "a"
    assert Flag().repair(1) is True


@pytest.mark.parametrize("gene", GENES, ids=repr)
def test_index_and_unit_go_both_ways(gene: Gene[object]) -> None:
    for place, value in enumerate(gene.values):
        assert gene.index(value) == place
        assert gene.at(place) == value
        assert gene.from_unit(gene.to_unit(value)) == value
        assert 0.0 <= gene.to_unit(value) <= 1.0
    assert gene.at(-5) == gene.low
    assert gene.at(10_000) == gene.high
    assert gene.at(math.nan) == gene.default


@pytest.mark.parametrize("gene", GENES, ids=repr)
def test_sampling_reaches_every_value_and_neighbours_are_one_step_away(gene: Gene[object]) -> None:
    rng = random.Random(3)
    drawn = [gene.sample(rng) for _ in range(40 * len(gene))]
    assert set(drawn) == set(gene.values)
    if gene.optional:
        assert 0.4 < sum(1 for v in drawn if v == 0) / len(drawn) < 0.6
    for value in gene.values:
        near = gene.neighbours(value)
        assert value not in near
        if gene.categorical:
            assert len(near) == len(gene) - 1
        else:
            assert all(abs(gene.index(v) - gene.index(value)) == 1 for v in near)


def test_optional_genes_are_off_by_default() -> None:
    gene = Float(0.5, 8, step=0.1, off=True, unit="ATR")
    assert gene.default == 0.0
    assert not gene.active(gene.default)
    assert gene.active(0.5)
    assert gene.bounds_text == "off or 0.5 to 8.0 ATR"
    # Between off and the first distance the nearer one wins.
    assert gene.repair(0.2) == 0.0
    assert gene.repair(0.3) == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Window(330, 400),
        lambda: Float(1, 0),
        lambda: Float(0, 1, log=True),
        lambda: Float(0, 1, off=True),
        lambda: Float(0, math.inf),
        lambda: Float(0, 1, step=-0.1),
        lambda: Int(5, 3),
        lambda: Int(0, 5, off=True),
        lambda: Choice(),
    ],
)
def test_impossible_bounds_are_refused(make: object) -> None:
    with pytest.raises(StrategyError):
        make()  # type: ignore[operator]
