"""Returns of days, of a market, and what is left of a strategy without it."""

from __future__ import annotations

import numpy as np
import pytest

from genesis.domain.timeline import DAY_MS, HOUR_MS
from genesis.evidence.returns import daily_returns, hedged, market_returns
from tests.unit.evidence.panels import awkward_panel, empty_series, hand_series, panel_of


def flat(price: float) -> tuple[float, float, float, float]:
    return (price, price, price, price)


def test_bars_of_a_utc_day_are_added_up() -> None:
    ts = np.arange(10) * 8 * HOUR_MS + 16 * HOUR_MS  # one bar, then three days of three
    values = np.arange(1.0, 11.0)
    assert daily_returns(ts, values).tolist() == pytest.approx([1.0, 9.0, 18.0, 27.0])
    assert daily_returns(ts, values).sum() == pytest.approx(values.sum())


def test_days_and_longer_bars_stay_as_they_are() -> None:
    values = np.array([0.1, -0.2, 0.3])
    for length in (DAY_MS, 3 * DAY_MS):
        assert daily_returns(np.arange(3) * length, values).tolist() == pytest.approx(
            values.tolist()
        )


def test_the_market_holds_every_symbol_in_equal_parts() -> None:
    """By hand: gaps carry the last close, a late symbol joins the day after its first one."""
    whole = hand_series(
        [
            (100.0, 120.0, 90.0, 110.0),
            flat(121.0),
            None,
            flat(133.1),
            None,
            None,  # a day without a bar: no return
            flat(133.1),
            flat(119.79),
        ]
    )
    late = hand_series([None, None, flat(50.0), flat(40.0), flat(44.0), flat(44.0), None, None])
    panel = panel_of([whole, late], 12 * HOUR_MS)  # two bars a day
    first, second = [0.21, 0.10, 0.0, -0.10], [0.0, 0.0, 0.10, 0.0]
    expected = (np.array(first) + np.array(second)) / 2.0
    assert market_returns(panel).tolist() == pytest.approx(expected.tolist())


def test_a_symbol_without_bars_adds_nothing() -> None:
    one = hand_series([flat(100.0), flat(110.0), flat(121.0)])
    panel = panel_of([one, empty_series(3)], DAY_MS)
    assert market_returns(panel).tolist() == pytest.approx([0.0, 0.05, 0.05])


def test_the_market_of_an_awkward_panel_equals_a_plain_loop() -> None:
    panel = awkward_panel(4)
    days = panel.ts_ms // DAY_MS
    expected = []
    last: list[float | None] = [
        float(s.open[s.first]) if s.last >= 0 and days[s.first] == 0 else None
        for s in panel.symbols
    ]
    for day in range(int(days[-1]) + 1):
        total = 0.0
        for place, series in enumerate(panel.symbols):
            own = np.flatnonzero((days == day) & series.valid)
            close = float(series.close[own[-1]]) if own.size else last[place]
            before = last[place]
            if close is not None and before is not None:
                total += close / before - 1.0
            last[place] = close
        expected.append(total / len(panel.symbols))
    assert market_returns(panel).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_hedging_leaves_the_residual_of_a_regression_and_its_alpha(seed: int) -> None:
    rng = np.random.default_rng(seed)
    market = 0.001 + 0.02 * rng.standard_t(4, 300)
    returns = 0.0005 + 0.7 * market + 0.01 * rng.standard_normal(300)
    slope, alpha = np.polyfit(market, returns, 1)
    residual = returns - (slope * market + alpha)
    np.testing.assert_allclose(hedged(returns, market), residual + alpha, atol=1e-14)
    assert np.mean(hedged(returns, market)) == pytest.approx(alpha, abs=1e-14)
    assert np.corrcoef(hedged(returns, market), market)[0, 1] == pytest.approx(0.0, abs=1e-12)


def test_a_market_that_stands_still_explains_nothing() -> None:
    returns = np.array([0.1, -0.1, 0.2])
    assert hedged(returns, np.zeros(3)).tolist() == returns.tolist()
    # The mean of equal numbers is not always that number: what is left is rounding, no slope.
    rng = np.random.default_rng(1)
    for days in (3, 7, 299):
        returns = rng.normal(0.0, 0.01, days)
        assert np.array_equal(hedged(returns, np.full(days, 0.1)), returns)


def test_a_strategy_that_holds_the_market_has_no_return_left() -> None:
    market = np.random.default_rng(0).normal(0.001, 0.02, 200)
    left = hedged(0.3 * market, market)
    assert np.max(np.abs(left)) < 1e-15
