"""Kernels on hostile numbers: huge levels, tiny spreads, jumps, flats, zeros, overflow."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from genesis.strategy.language import (
    Market,
    adx,
    atr,
    beta,
    clip,
    corr,
    ema,
    highest,
    kama,
    log,
    maximum,
    minimum,
    nw,
    rank,
    realised_vol,
    roc,
    rolling_sum,
    rsi,
    sign,
    slope,
    sma,
    sqrt,
    std,
    stoch,
    vwap,
    wma,
    zscore,
)
from genesis.strategy.node import Node, const
from genesis.strategy.stream import BlockRunner

M = Market()
RNG = np.random.default_rng(5)


def run(node: Node, **fields: Any) -> Any:
    arrays = {name: np.asarray(values, dtype=float) for name, values in fields.items()}
    return BlockRunner([node]).feed(arrays)[0]


def exact_variance(values: np.ndarray) -> float:
    numbers = [Fraction(float(v)) for v in values]
    mean = sum(numbers, Fraction(0)) / len(numbers)
    return float(sum((v - mean) ** 2 for v in numbers) / len(numbers))


@pytest.mark.parametrize("n", [2, 14, 320])
def test_deviation_of_a_high_price_with_a_tiny_spread(n: int) -> None:
    prices = 60_000.0 + RNG.normal(0.0, 1e-4, 1500)
    got = run(std(M.close, n), close=prices)
    for bar in (n - 1, 700, 1499):
        expected = exact_variance(prices[bar - n + 1 : bar + 1]) ** 0.5
        assert got[bar] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("node", [std(M.close, 56), zscore(M.close, 56)])
def test_deviation_recovers_after_a_jump_has_left_the_window(node: Node) -> None:
    """The squares of the jump are 1e17 times those of the noise that follows."""
    prices = np.r_[np.full(70, 100.0), np.full(3, 9e6), 100.0 + RNG.normal(0.0, 1e-3, 200)]
    got = run(node, close=prices)
    for bar in range(73 + 56, prices.size, 7):
        window = prices[bar - 55 : bar + 1]
        spread = exact_variance(window) ** 0.5
        expected = spread
        if node.op == "zscore":
            expected = (prices[bar] - float(sum(map(Fraction, window)) / 56)) / spread
        assert got[bar] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_rounding_does_not_accumulate_over_many_bars() -> None:
    prices = 1e6 * np.exp(np.cumsum(RNG.normal(0.0, 0.01, 60_000)))
    mean, weighted = BlockRunner([sma(M.close, 20), wma(M.close, 20)]).feed({"close": prices})
    tail = prices[-20:]
    assert mean[-1] == pytest.approx(float(sum(map(Fraction, tail)) / 20), rel=1e-13)
    expected = sum(Fraction(float(v)) * (k + 1) for k, v in enumerate(tail)) / 210
    assert weighted[-1] == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize("price", [0.1, 1.0 / 3.0, 60_000.1])
def test_a_flat_price_gives_exact_answers(price: float) -> None:
    """0.1 has no exact sum; an average that misses it by an ulp would signal on a dead market."""
    flat = np.full(400, price)
    for node in (sma(M.close, 7), wma(M.close, 7), nw(M.close, 5, 0), nw(M.close, 5, 1)):
        got = run(node, close=flat)
        assert np.all(got[~np.isnan(got)] == price), node.text
    for node in (ema(M.close, 7), kama(M.close, 7)):
        got = run(node, close=flat)
        np.testing.assert_allclose(got[~np.isnan(got)], price, rtol=1e-15)
    assert np.all(run(std(M.close, 7), close=flat)[6:] == 0.0)
    assert np.all(run(slope(M.close, 7), close=flat)[6:] == 0.0)
    assert np.all(run(realised_vol(M.close, 7), close=flat)[7:] == 0.0)
    assert np.all(np.isnan(run(zscore(M.close, 7), close=flat)))
    assert np.all(run(rsi(M.close, 7), close=flat)[7:] == 50.0)
    assert np.all(np.isnan(run(stoch(M, 7), high=flat, low=flat, close=flat)))
    assert np.all(run(adx(M, 7), high=flat, low=flat, close=flat)[13:] == 0.0)
    assert np.all(run(atr(M, 7), high=flat, low=flat, close=flat)[7:] == 0.0)
    assert np.all(np.isnan(run(corr(M.close, M.open, 7), close=flat, open=RNG.random(400))))
    assert np.all(np.isnan(run(beta(M.open, M.close, 7), close=flat, open=RNG.random(400))))


def test_a_window_that_turns_flat_forgets_the_movement() -> None:
    prices = np.r_[100.0 + RNG.normal(0.0, 5.0, 100), np.full(60, 0.1)]
    got_std, got_z = BlockRunner([std(M.close, 20), zscore(M.close, 20)]).feed({"close": prices})
    assert np.all(got_std[120:] == 0.0)
    assert np.all(np.isnan(got_z[120:]))


def test_volume_weighting_without_volume() -> None:
    price = np.linspace(10.0, 12.0, 60)
    volume = np.r_[np.full(20, 1e9), np.zeros(20), np.full(20, 1e-3)]
    got = run(vwap(M, 5), high=price, low=price, close=price, volume=volume)
    assert np.all(np.isnan(got[24:40]))
    assert got[50] == pytest.approx(price[46:51].mean(), rel=1e-12)


@pytest.mark.parametrize(
    ("node", "values", "expected"),
    [
        (M.close / M.open, [1.0, 0.0, -1.0], [np.nan, np.nan, np.nan]),
        (1.0 / M.close, [4.0, 0.0, -2.0], [0.25, np.nan, -0.5]),
        (M.close * 1e300, [1.0, 1e10, -1e10], [1e300, np.nan, np.nan]),
        (M.close + M.close, [1e308, 1.7e308, 2.0], [np.nan, np.nan, 4.0]),
        (log(M.close), [1.0, 0.0, -1.0], [0.0, np.nan, np.nan]),
        (sqrt(M.close), [4.0, 0.0, -1.0], [2.0, 0.0, np.nan]),
        (sign(M.close), [4.0, 0.0, -1.0], [1.0, 0.0, -1.0]),
        (clip(M.close, 0.0, 2.0), [4.0, 1.0, -1.0], [2.0, 1.0, 0.0]),
        (minimum(M.close, 1.0), [4.0, 0.0, np.nan], [1.0, 0.0, np.nan]),
        (maximum(2.0, M.close), [4.0, 0.0, np.nan], [4.0, 2.0, np.nan]),
        (maximum(M.close, const(float("inf"))), [4.0, 0.0, 1.0], [np.nan] * 3),
        (5.0 - M.close, [4.0, np.nan, 1.0], [1.0, np.nan, 4.0]),
        (roc(M.close, 1), [0.0, 1.0, 2.0], [np.nan, np.nan, 1.0]),
        (rolling_sum(M.close, 2), [1.7e308, 1.7e308, 1.0], [np.nan, np.nan, np.nan]),
    ],
)
def test_what_has_no_finite_value_is_invalid(node: Node, values: Any, expected: Any) -> None:
    got = run(node, close=values, open=np.zeros(3))
    np.testing.assert_array_equal(got, np.asarray(expected))


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_extremes_of_monotonic_series(direction: float) -> None:
    """The queue is fullest on a falling series and emptiest on a rising one."""
    prices = 1000.0 + direction * np.arange(700.0)
    got = run(highest(M.close, 320), close=prices)
    expected = prices if direction > 0 else prices + 319.0
    np.testing.assert_array_equal(got[319:], expected[319:])


def test_rank_of_a_new_high_and_a_new_low() -> None:
    values = [3.0, 1.0, 2.0, 4.0, 0.0]
    np.testing.assert_allclose(run(rank(M.close, 3), close=values)[2:], [2 / 3, 1.0, 1 / 3])
