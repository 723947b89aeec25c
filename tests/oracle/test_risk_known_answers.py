"""Where theory knows which stop is best, breeding must find it.

Kaminski and Lo (2014): on a random walk with drift a stop only costs return, so the evolved one
goes to its loosest bound; where trends persist it can add. Carr and Lopez de Prado (2014): the map
of stop and target over Ornstein-Uhlenbeck prices has known symmetries, and is flat near a random
walk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from genesis.domain.instrument import Instrument
from genesis.domain.jit import kernel
from genesis.evolution.risk.fills import terms_of
from genesis.evolution.risk.ledger import ACCOUNT
from genesis.evolution.risk.levels import optimum_of
from genesis.evolution.risk.measures import COLUMNS, GROWTH, measure
from genesis.evolution.risk.paths import with_ranges
from genesis.evolution.risk.scenario import (
    CLOSE,
    ENTER_LONG,
    HIGH,
    KNOWN,
    LOW,
    MAINTENANCE,
    OPEN,
    RANGE,
    SIGNALS,
    SPREAD,
    TURNOVER,
    AccountSettings,
    Book,
    Tape,
)
from genesis.evolution.risk.search import cma_es
from genesis.evolution.risk.simulate import run_account
from genesis.risk.formulas import stop_price, target_price
from genesis.risk.genome import GENES, NAMES, RiskGenes, RiskGenome
from genesis.strategy.policy import PolicyNumbers, policy_numbers
from genesis.strategy.strategy import PolicyParams

LOOSEST = RiskGenome(RiskGenes(*(gene.loosest for gene in GENES)))
STOP = NAMES.index("stop_atr")
HOUR_MS = 3_600_000
BARS, SD = 1_500, 0.01
SETTINGS = AccountSettings(100_000.0, 1.0, 4.5e-4, 1.5e-4, 2e-4, 1.0, HOUR_MS, 0, BARS, 1)
TRUE_RANGE = SD * math.sqrt(8.0 / math.pi)
"""Mean range of a Brownian bar, as a fraction of price."""


def tape_of(moves: np.ndarray, rng: np.random.Generator) -> Tape:
    """One symbol of which everything is known and nothing is the matter."""
    ranged = with_ranges(moves[:, None], np.full((BARS, 1), SD), np.zeros((BARS, 1)), rng)
    close = np.exp(np.cumsum(ranged.move, axis=0))
    before = close * np.exp(-ranged.move)
    cells = np.zeros((BARS, 1, 11))
    cells[:, :, OPEN] = before
    cells[:, :, HIGH] = before * np.exp(ranged.up)
    cells[:, :, LOW] = before * np.exp(ranged.down)
    cells[:, :, CLOSE] = close
    cells[:, :, RANGE] = TRUE_RANGE * close
    cells[:, :, KNOWN], cells[:, :, TURNOVER] = 1.0, 1e9
    market = np.zeros((BARS, 5))
    market[:, SPREAD] = 1.0
    alone = np.ones((BARS, 1, 1))
    return Tape(cells, market, alone, alone.astype(bool))


def always_long(cooldown: int) -> Book:
    """A strategy that wants to be long at every close, and waits after an exit."""
    cells = np.zeros((BARS, 1, 3))
    cells[:, :, SIGNALS] = ENTER_LONG
    policy = np.zeros((1, MAINTENANCE + 1))
    numbers = policy_numbers(
        PolicyParams(size=0.4, cooldown=cooldown), Instrument("A", "A"), 100_000.0, 8_760.0
    )
    policy[0, : len(PolicyNumbers._fields)] = numbers
    return Book(cells, policy)


def random_walks(pairs: int, seed: int, drift: float) -> list[Tape]:
    """Walks with a drift, each with its mirror image, which takes most of the luck out."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(pairs):
        shocks = SD * rng.standard_normal(BARS)
        found += [tape_of(drift + shocks, rng), tape_of(drift - shocks, rng)]
    return found


def trends(count: int, seed: int, drift: float) -> list[Tape]:
    """A drift whose sign turns with chance 1/120: what was, goes on."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        signs = np.cumprod(np.where(rng.random(BARS) < 1.0 / 120.0, -1.0, 1.0))
        start = rng.choice([-1.0, 1.0])
        found.append(tape_of(start * signs * drift + SD * rng.standard_normal(BARS), rng))
    return found


def growth(genomes: Sequence[RiskGenome], tapes: Sequence[Tape], book: Book) -> list[float]:
    """Mean growth of each genome over the same paths."""
    terms, out = terms_of(SETTINGS, 1), np.empty(COLUMNS)
    equity, falls, totals = np.empty(BARS), np.empty(BARS), np.empty(ACCOUNT)
    means = []
    for genome in genomes:
        total = 0.0
        for tape in tapes:
            run_account(genome.genes, tape, book, terms, equity, totals)
            measure(equity, SETTINGS.capital, falls, out)
            total += out[GROWTH]
        means.append(total / len(tapes))
    return means


def with_stop(place: float) -> RiskGenome:
    point = LOOSEST.unit()
    point[STOP] = place
    return RiskGenome.from_unit(point)


def evolved_stop(tapes: Sequence[Tape], book: Book) -> float:
    """Unit gene of the stop that CMA-ES ends at, from the middle of its range."""
    start = LOOSEST.unit()
    start[STOP] = 0.5
    found = cma_es(
        lambda _, genomes: growth(genomes, tapes, book),
        start,
        step=0.2,
        size=8,
        generations=25,
        seed=1,
        free=[STOP],
    )
    return float(found.unit()[STOP])


@pytest.mark.slow
def test_stop_goes_to_its_loosest_bound_on_random_walks_with_drift() -> None:
    # Kaminski and Lo, proposition 1: the stopping premium of a random walk with a positive drift
    # is negative.
    book, tapes = always_long(112), random_walks(100, seed=1, drift=0.001)
    curve = growth([with_stop(k / 6) for k in range(7)], tapes, book)
    assert curve == sorted(curve), "a looser stop must not cost return here"
    assert evolved_stop(tapes, book) > 0.93


def test_a_stop_can_add_where_trends_persist() -> None:
    book, tapes = always_long(48), trends(60, seed=2, drift=0.0025)
    place = evolved_stop(tapes, book)
    assert place < 0.9
    fresh = trends(60, seed=3, drift=0.0025)
    ours, loosest = growth([with_stop(place), LOOSEST], fresh, book)
    assert ours > loosest


# ---- Carr and Lopez de Prado --------------------------------------------------------------------

LEVELS = 21
HOLD = 100


@kernel
def _rule_results(
    forecast: float,
    phi: float,
    stops: np.ndarray,
    targets: np.ndarray,
    shocks: np.ndarray,
    out: np.ndarray,
) -> None:
    """Result of each path under each pair of levels: out of the position at the first touch."""
    for n in range(shocks.shape[0]):
        hit_stop = np.full(stops.size, HOLD)
        hit_target = np.full(targets.size, HOLD)
        price = 0.0
        prices = np.empty(HOLD + 1)
        for t in range(1, HOLD + 1):
            price = (1.0 - phi) * forecast + phi * price + shocks[n, t - 1]
            prices[t] = price
            for k in range(stops.size):
                if hit_stop[k] == HOLD and price <= stop_price(1.0, 0.0, 1.0, stops[k]):
                    hit_stop[k] = t
            for k in range(targets.size):
                if hit_target[k] == HOLD and price >= target_price(1.0, 0.0, 1.0, targets[k]):
                    hit_target[k] = t
        for i in range(stops.size):
            for j in range(targets.size):
                out[n, i * targets.size + j] = prices[min(hit_stop[i], hit_target[j])]


def rule_map(forecast: float, half_life: float, paths: int, seed: int) -> np.ndarray:
    """Results of the 21 x 21 rules, 0 to 10 sigma, on paths that start at 0."""
    grid = np.linspace(0.0, 10.0, LEVELS)
    grid[0] = 1e-9  # a level at the entry itself is touched by the first move against it
    shocks = np.random.default_rng(seed).standard_normal((paths, HOLD))
    out = np.empty((paths, LEVELS * LEVELS))
    _rule_results(forecast, 0.5 ** (1.0 / half_life), grid, grid, shocks, out)
    return out


def sharpe(results: np.ndarray) -> np.ndarray:
    spread = results.std(axis=0)
    spread[spread == 0.0] = math.inf
    return (results.mean(axis=0) / spread).reshape(LEVELS, LEVELS)


def test_map_without_a_forecast_wants_small_targets_and_wide_stops() -> None:
    for half_life in (5.0, 10.0, 25.0):
        heat = sharpe(rule_map(0.0, half_life, 20_000, seed=1))
        stop, target = np.unravel_index(int(np.argmax(heat)), heat.shape)
        # rows are stops, columns targets, half a sigma each
        assert stop > target
        assert target <= 6
        assert heat[20, 2] > 0.4 > -0.4 > heat[2, 20]


def test_map_gets_worse_with_the_half_life_and_better_with_the_forecast() -> None:
    best = {
        (forecast, half_life): float(sharpe(rule_map(forecast, half_life, 6_000, 2)).max())
        for forecast in (10.0, 5.0, 0.0, -5.0, -10.0)
        for half_life in (5.0, 10.0, 25.0, 50.0, 100.0)
    }
    for forecast in (10.0, 5.0, 0.0):
        line = [best[forecast, half_life] for half_life in (5.0, 10.0, 25.0, 50.0, 100.0)]
        assert line == sorted(line, reverse=True)
    for half_life in (5.0, 10.0, 25.0, 50.0):
        assert best[10.0, half_life] > best[5.0, half_life] > best[0.0, half_life]
        assert best[0.0, half_life] > best[-5.0, half_life]


def test_map_of_the_opposite_forecast_is_the_rotated_complement() -> None:
    # -P under -f has the law of P under f, and the stop of one is the target of the other.
    for forecast, half_life in ((5.0, 10.0), (10.0, 50.0)):
        heat = sharpe(rule_map(forecast, half_life, 30_000, seed=3))[1:, 1:]
        mirrored = sharpe(rule_map(-forecast, half_life, 30_000, seed=4))[1:, 1:]
        loud = np.abs(heat) < 5.0  # a ratio of almost no spread is mostly noise
        np.testing.assert_allclose(mirrored.T[loud], -heat[loud], atol=0.12, rtol=0.08)


@pytest.mark.parametrize(("half_life", "forecast"), [(5.0, 0.0), (10.0, 5.0), (25.0, 10.0)])
def test_a_stable_optimum_is_found_where_there_is_one(half_life: float, forecast: float) -> None:
    found = optimum_of(rule_map(forecast, half_life, 400, seed=5), np.random.default_rng(1))
    assert found.stable
    assert found.p < 0.01


def test_no_stable_optimum_is_reported_near_a_random_walk() -> None:
    reported = [
        optimum_of(rule_map(0.0, 1e6, 400, seed), np.random.default_rng(seed), draws=400).stable
        for seed in range(20)
    ]
    # At a level of 5 %, more than four of twenty false ones are unlikely (p < 0.003).
    assert sum(reported) <= 4
