"""Each rule fires beyond its bound, not at it, and says its numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import scipy.stats

from genesis.paper.numbers import PerformanceNumbers
from genesis.paper.outcomes import RoundTrip
from genesis.paper.performance import performance_of
from genesis.paper.recommendations import (
    LEAST_TRADES,
    Recommendation,
    recommendations,
    student_quantile,
)
from tests.unit.paper.paper_runs import DAY, HOUR, order, trip

CAPITAL = 10_000.0


def of(
    trips: Sequence[RoundTrip] = (), orders: Sequence[object] = (), daily: Sequence[float] = ()
) -> PerformanceNumbers:
    marks = [((k + 1) * DAY, equity) for k, equity in enumerate(daily)]
    return performance_of("strat_a", CAPITAL, trips, orders, marks).numbers()  # type: ignore[arg-type]


def found(numbers: PerformanceNumbers, rule: str) -> Recommendation | None:
    rows = [one for one in recommendations(numbers) if one.rule == rule]
    assert len(rows) <= 1
    return rows[0] if rows else None


def test_few_trades_say_only_that_they_are_few() -> None:
    rows = recommendations(of([trip("-5")] * (LEAST_TRADES - 1)))
    assert [one.rule for one in rows] == ["few trades"]
    assert "9 of 10" in rows[0].text
    assert found(of([trip("-5")] * LEAST_TRADES), "few trades") is None


def test_stop_outs() -> None:
    def numbers(stopped: int, rest: int) -> PerformanceNumbers:
        return of([trip("-1", reason="stop")] * stopped + [trip("3")] * rest)

    hit = found(numbers(29, 11), "stop-outs")
    assert hit is not None
    assert "72% of 40 trades" in hit.text
    assert found(numbers(14, 6), "stop-outs") is not None  # exactly 70 %
    assert found(numbers(27, 13), "stop-outs") is None
    assert found(numbers(15, 4), "stop-outs") is None  # less than 20 trades
    kept = [trip("1", reason="stop")] * 30  # a trailing stop in profit is no stop-out
    assert found(of(kept), "stop-outs") is None


def test_win_rate_and_profit_factor() -> None:
    low = of([trip("5")] * 29 + [trip("-1")] * 71)
    assert found(low, "win rate") is not None
    assert found(low, "profit factor") is None
    assert found(of([trip("5")] * 30 + [trip("-1")] * 70), "win rate") is None
    losing = found(of([trip("1")] * 10 + [trip("-2")] * 10), "profit factor")
    assert losing is not None
    assert (losing.value, losing.limit) == (0.5, 1.0)


@pytest.mark.parametrize(("days", "fires"), [(7, True), (6, False)])
def test_sharpe_needs_a_week(days: int, fires: bool) -> None:
    equity = np.cumsum(np.resize([-10.0, 9.0], days))
    numbers = of([trip("1")] * 20, daily=[float(e) for e in equity])
    assert (found(numbers, "sharpe") is not None) is fires


def test_drawdown() -> None:
    assert found(of([trip("1")] * 20, daily=[0.0, -1200.0]), "drawdown") is None
    hit = found(of([trip("1")] * 20, daily=[0.0, -1201.0]), "drawdown")
    assert hit is not None
    assert hit.value == pytest.approx(0.1201)


def test_a_losing_streak_counts_while_it_lasts() -> None:
    assert found(of([trip("1")] * 20 + [trip("-1")] * 5), "losing streak") is not None
    assert found(of([trip("1")] * 20 + [trip("-1")] * 4), "losing streak") is None
    assert found(of([trip("-1")] * 8 + [trip("1")] * 12), "losing streak") is None


def test_trend_compares_the_last_twenty_with_the_twenty_before() -> None:
    def numbers(before: int, after: int) -> PerformanceNumbers:
        rows = [trip("1")] * before + [trip("-1")] * (20 - before)
        return of(rows + [trip("1")] * after + [trip("-1")] * (20 - after))

    hit = found(numbers(12, 9), "trend")
    assert hit is not None
    assert hit.value == pytest.approx(0.15)
    assert found(numbers(12, 10), "trend") is None
    assert found(of([trip("1")] * 19 + [trip("-1")] * 20), "trend") is None


def test_costs_are_held_against_the_profit_before_them() -> None:
    # Each trade: 2 before costs, of which fees, slippage and funding take 1.01 or 1.00.
    dear = [trip("0.99", fees="0.5", slippage="0.31", funding="0.2")] * 20
    fair = [trip("1.00", fees="0.5", slippage="0.30", funding="0.2")] * 20
    hit = found(of(dear), "costs")
    assert hit is not None
    assert hit.value == pytest.approx(1.01 / 2)
    assert found(of(fair), "costs") is None


def test_execution_rules() -> None:
    trips = [trip("1")] * 20
    slow = [order(latency_ms=1001, slippage_bp=20.01)] * 30
    rules = {one.rule for one in recommendations(of(trips, slow))}
    assert {"latency", "slippage"} <= rules
    quick = [order(latency_ms=1000, slippage_bp=20.0)] * 30
    assert {"latency", "slippage"}.isdisjoint(r.rule for r in recommendations(of(trips, quick)))
    bad = [order()] * 18 + [order("rejected")] * 1 + [order("expired")]
    hit = found(of(trips, bad), "execution success")
    assert hit is not None
    assert "90.0% of 20 orders" in hit.text
    assert found(of(trips, [order()] * 19 + [order("rejected")]), "execution success") is None
    assert found(of(trips, [order("rejected")] * 19), "execution success") is None


def test_a_losing_symbol_is_named_where_chance_hardly_explains_it() -> None:
    rng = np.random.default_rng(3)
    good = rng.normal(4.0, 5.0, 60)
    bad = rng.normal(-4.0, 5.0, 30)
    trips = [trip(f"{x:.4f}", symbol="AAAUSDT") for x in good]
    trips += [trip(f"{x:.4f}", symbol="BBBUSDT") for x in bad]
    hit = found(of(trips), "losing symbol")
    assert hit is not None
    assert hit.text.startswith("BBBUSDT: 30 trades lose")
    welch = scipy.stats.ttest_ind(np.round(bad, 4), np.round(good, 4), equal_var=False)
    assert hit.value == pytest.approx(welch.statistic)
    assert hit.limit == pytest.approx(scipy.stats.t.ppf(0.05 / 2, welch.df), rel=1e-4)


@pytest.mark.parametrize("freedom", [9.0, 15.5, 40.0, 300.0])
@pytest.mark.parametrize("p", [0.002, 0.01, 0.05])
def test_the_quantile_of_student_equals_scipy(p: float, freedom: float) -> None:
    wanted = scipy.stats.t.ppf(p, freedom)
    assert student_quantile(p, freedom) == pytest.approx(wanted, rel=0.01 if freedom < 10 else 1e-3)


def test_the_worst_of_many_hours_is_noise() -> None:
    """One strategy in twenty at most may see an hour named without cause."""
    named = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        trips = [
            trip(f"{x:.3f}", entry_ms=int(h) * HOUR)
            for x, h in zip(rng.normal(0.3, 5.0, 480), np.arange(480) % 24, strict=True)
        ]
        named += found(of(trips), "losing hour") is not None
    assert named <= 20  # 10 expected at most, within the spread of 200 draws


def test_a_sound_strategy_hears_nothing() -> None:
    rng = np.random.default_rng(1)
    trips = [trip(p) for p in ["3", "2", "-2"] * 30]
    daily = np.cumsum(rng.normal(6.0, 20.0, 90))
    orders = [order(latency_ms=80, slippage_bp=2.0)] * 200
    assert recommendations(of(trips, orders, [float(e) for e in daily])) == []
