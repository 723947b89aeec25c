"""Risk formulas against values computed by hand."""

from __future__ import annotations

import math

import numba
import pytest

from genesis.risk import formulas as f
from genesis.risk.genome import RiskGenes


@pytest.mark.parametrize(
    ("peak", "equity", "expected"),
    [
        (100.0, 90.0, 0.1),
        (100.0, 100.0, 0.0),
        (100.0, 120.0, 0.0),
        (100.0, -50.0, 1.5),
        (0.0, -1.0, 1.0),
        (math.nan, 90.0, math.inf),
        (100.0, math.nan, math.inf),
    ],
)
def test_drawdown(peak: float, equity: float, expected: float) -> None:
    assert f.drawdown(peak, equity) == pytest.approx(expected)


def test_what_is_not_known_is_over_its_limit_and_what_is_at_it_is_not() -> None:
    assert not f.exceeds(1.0, 1.0)
    assert f.exceeds(1.0000001, 1.0)
    assert f.exceeds(math.nan, 1.0)
    assert f.exceeds(1.0, math.nan)
    assert f.is_volatile(math.nan)


@pytest.mark.parametrize(
    ("volatility", "expected"),
    [
        (0.30, 1.0),  # below the target nothing is added
        (0.60, 1.0),
        (1.20, math.sqrt(0.5)),
        (2.40, 0.5),
        (1e6, 0.1),
        (0.0, 1.0),
        (math.nan, 0.0),
        (math.inf, 0.0),
        (-1.0, 0.0),
    ],
)
def test_volatility_multiplier(volatility: float, expected: float) -> None:
    assert f.volatility_multiplier(volatility, 0.6, 0.5) == pytest.approx(expected)


def test_bear_cuts_longs_only() -> None:
    assert f.bear_multiplier(-1, 1.0, 0.3) == pytest.approx(0.7)
    assert f.bear_multiplier(-1, -1.0, 0.3) == 1.0
    assert f.bear_multiplier(0, 1.0, 0.3) == 1.0
    assert f.bear_multiplier(1, 1.0, 0.3) == 1.0


@pytest.mark.parametrize(
    ("index", "extreme"),
    [(0, 1), (25, 1), (26, 0), (50, 0), (74, 0), (75, 1), (100, 1), (math.nan, 0)],
)
def test_sentiment_cuts_at_25_and_75(index: float, extreme: int) -> None:
    assert f.sentiment_extreme(float(index)) == bool(extreme)


@pytest.mark.parametrize(
    ("correlation", "expected"),
    [(0.5, 0.95), (-0.5, 1.0), (1.0, 0.9), (math.nan, 0.9), (7.0, 0.9)],
)
def test_correlation_multiplier(correlation: float, expected: float) -> None:
    assert f.correlation_multiplier(correlation, 0.1) == pytest.approx(expected)


def test_streak_and_sharpe() -> None:
    assert [f.streak_multiplier(n, 4.0) for n in (0.0, 1.0, 4.0, 9.0)] == [1.0, 0.875, 0.5, 0.5]
    assert f.sharpe_multiplier(-1.1, -1.0) == 0.5
    assert f.sharpe_multiplier(-1.0, -1.0) == 1.0
    assert f.sharpe_multiplier(math.nan, -1.0) == 1.0


def test_the_level_bounds_the_product_and_is_not_a_second_cut() -> None:
    genes = RiskGenes()
    calm = f.size_multiplier(genes, 1.0, 0.5, 0, False, 0.0, 0.0, 1.0, f.LOW)
    assert calm == 1.0
    moderate = f.size_multiplier(genes, 1.0, 0.5, 0, False, 0.0, 0.0, 1.0, f.MODERATE)
    assert moderate == 0.75
    bear = f.size_multiplier(genes, 1.0, 0.5, -1, False, 0.0, 0.0, 1.0, f.MODERATE)
    assert bear == pytest.approx(0.7)
    both = f.size_multiplier(genes, 1.0, 2.4, -1, True, 0.5, 0.0, 1.0, f.MODERATE)
    assert both == pytest.approx(0.5 * 0.7 * 0.75 * 0.95)
    for level in (f.CRITICAL, f.EMERGENCY):
        assert f.size_multiplier(genes, 1.0, 0.5, 0, False, 0.0, 0.0, 1.0, level) == 0.0


def test_the_narrowest_cap_decides() -> None:
    genes = RiskGenes(max_position=0.25, max_gross=0.8, max_net=0.6, cluster_cap=0.5)
    assert f.admitted(genes, 0.05, 0.1, 0.1, 0.1, 1e9) == pytest.approx(0.20)
    assert f.admitted(genes, 0.05, 0.7, 0.1, 0.1, 1e9) == pytest.approx(0.10)
    assert f.admitted(genes, 0.05, 0.1, 0.55, 0.1, 1e9) == pytest.approx(0.05)
    assert f.admitted(genes, 0.05, 0.1, 0.1, 0.49, 1e9) == pytest.approx(0.01)
    assert f.admitted(genes, 0.0, 0.0, 0.0, 0.0, 0.5) == pytest.approx(0.01)
    assert f.admitted(genes, 0.3, 0.0, 0.0, 0.0, 1e9) == 0.0
    # The part of an order that first closes a short is free.
    assert f.admitted(genes, -0.1, 0.0, 0.0, 0.0, 1e9) == pytest.approx(0.35)
    for place in range(5):
        values = [0.0, 0.0, 0.0, 0.0, 1e9]
        values[place] = math.nan
        assert f.admitted(genes, *values) == 0.0


def test_a_run_of_losses_pauses_for_a_cooldown_after_the_last_one() -> None:
    minute = 60_000.0
    assert f.streak_pauses(5.0, 5.0, 59 * minute, 60.0)
    assert not f.streak_pauses(5.0, 5.0, 60 * minute, 60.0)
    assert not f.streak_pauses(4.0, 5.0, 0.0, 60.0)


def test_levels_by_the_gravest() -> None:
    assert f.level_of(False, False, False, False) == f.LOW
    assert f.level_of(False, False, False, True) == f.MODERATE
    assert f.level_of(False, False, True, True) == f.HIGH
    assert f.level_of(False, True, True, False) == f.CRITICAL
    assert f.level_of(True, False, False, False) == f.EMERGENCY


def test_protective_prices_lie_on_their_side() -> None:
    assert f.stop_price(1.0, 100.0, 2.0, 5.0) == 90.0
    assert f.stop_price(-1.0, 100.0, 2.0, 5.0) == 110.0
    assert f.trail_price(1.0, 120.0, 2.0, 3.0) == 114.0
    assert f.target_price(-1.0, 100.0, 2.0, 10.0) == 80.0
    assert f.tighter(1.0, 90.0, 95.0) == 95.0
    assert f.tighter(-1.0, 110.0, 105.0) == 105.0


def test_a_compiled_caller_gets_the_same_bits() -> None:
    """The simulator calls these from its own kernel: same function, same number."""

    @numba.njit
    def caller(genes: RiskGenes, volatility: float) -> float:
        return f.size_multiplier(genes, 1.0, volatility, -1, True, 0.37, 2.0, 0.3, 1)

    for volatility in (0.61, 0.9, 1.7, 33.0):
        direct = f.size_multiplier(RiskGenes(), 1.0, volatility, -1, True, 0.37, 2.0, 0.3, 1)
        assert caller(RiskGenes(), volatility) == direct
