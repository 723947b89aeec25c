"""Memory of an account: drawdowns, windows, streaks, trips."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import empyrical
import numpy as np
import pytest

from genesis.domain.canonical import canonical_json
from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS
from genesis.risk.state import RiskState, Trip, day_end, week_end, week_of
from tests.unit.risk.cases import NOW

MIDNIGHT = NOW // DAY_MS * DAY_MS


def test_drawdowns_of_day_week_and_all_time() -> None:
    state = RiskState()
    state.on_mark(MIDNIGHT - 10 * DAY_MS, 120.0)
    state.on_mark(MIDNIGHT - DAY_MS, 110.0)  # Tuesday of the same ISO week
    state.on_mark(MIDNIGHT, 100.0)
    state.on_mark(MIDNIGHT + HOUR_MS, 99.0)
    now = MIDNIGHT + HOUR_MS
    # The day begins with the equity that the last one ended with.
    assert state.daily_drawdown(now) == pytest.approx(11 / 110)
    assert state.weekly_drawdown(now) == pytest.approx(21 / 120)
    assert state.total_drawdown() == pytest.approx(21 / 120)
    # A new day begins without a drawdown, also before its first mark.
    assert state.daily_drawdown(MIDNIGHT + DAY_MS) == 0.0
    assert state.weekly_drawdown(MIDNIGHT + DAY_MS) == pytest.approx(21 / 120)
    assert state.weekly_drawdown(MIDNIGHT + 7 * DAY_MS) == 0.0


def test_weeks_are_iso_weeks() -> None:
    for day in range(0, 4000, 3):
        ts = day * DAY_MS + 5
        monday = datetime.fromtimestamp(week_end(ts) / 1000, tz=UTC)
        assert (monday.isoweekday(), monday.hour, monday.minute) == (1, 0, 0)
        assert 0 < week_end(ts) - ts <= 7 * DAY_MS
        iso = datetime.fromtimestamp(ts / 1000, tz=UTC).isocalendar()
        later = datetime.fromtimestamp((ts + 3 * DAY_MS) / 1000, tz=UTC).isocalendar()
        assert (iso[:2] == later[:2]) == (week_of(ts) == week_of(ts + 3 * DAY_MS))
    assert day_end(NOW) == MIDNIGHT + DAY_MS


def test_rapid_loss_looks_at_its_window() -> None:
    state = RiskState()
    for minute, equity in ((0, 100.0), (10, 104.0), (20, 101.0), (30, 100.0)):
        state.on_mark(NOW + minute * MINUTE_MS, equity)
    now = NOW + 30 * MINUTE_MS
    assert state.rapid_loss(now, 15) == pytest.approx(4 / 104)  # 104 held when it began
    assert state.rapid_loss(now, 9) == pytest.approx(1 / 101)
    assert state.rapid_loss(now, 30) == pytest.approx(4 / 104)


def test_rapid_loss_does_not_remember_a_peak_from_before_the_window() -> None:
    state = RiskState()
    for minute, equity in ((0, 100.0), (1, 90.0), (200, 95.0)):
        state.on_mark(NOW + minute * MINUTE_MS, equity)
    assert state.rapid_loss(NOW + 200 * MINUTE_MS, 15) == 0.0


def test_rapid_loss_sees_the_fall_between_two_hourly_marks() -> None:
    """With hourly marks a window of 15 minutes would otherwise never see anything."""
    state = RiskState()
    state.on_mark(NOW, 100.0)
    state.on_mark(NOW + HOUR_MS, 97.0)
    assert state.rapid_loss(NOW + HOUR_MS, 15) == pytest.approx(0.03)


def test_rapid_loss_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    state, marks = RiskState(), []
    minute = NOW // MINUTE_MS
    equity = 1000.0
    for _ in range(600):
        minute += int(rng.integers(0, 9))
        equity *= 1 + 0.01 * rng.standard_normal()
        state.on_mark(minute * MINUTE_MS, equity)
        marks.append((minute, equity))
        for window in (1, 15, 240):
            inside = [e for m, e in marks if m >= minute - window]
            before = [e for m, e in marks if m < minute - window][-1:]
            highest = max(inside + before)
            got = state.rapid_loss(minute * MINUTE_MS, window)
            assert got == pytest.approx((highest - equity) / highest, abs=1e-12)


def test_a_deposit_is_no_profit_and_a_withdrawal_no_loss() -> None:
    state = RiskState()
    state.on_mark(NOW, 100.0)
    state.on_mark(NOW + MINUTE_MS, 90.0)
    state.on_flow(-45.0)
    state.on_mark(NOW + 2 * MINUTE_MS, 45.0)
    now = NOW + 2 * MINUTE_MS
    for value in (
        state.daily_drawdown(now),
        state.weekly_drawdown(now),
        state.total_drawdown(),
        state.rapid_loss(now, 15),
    ):
        assert value == pytest.approx(10 / 55)


def test_streak_counts_losses_since_the_last_win() -> None:
    state = RiskState()
    for result in (-1.0, -1.0, 0.0, -1.0):
        state.on_result(NOW, result)
    assert state.losses == 3
    state.on_result(NOW + 5, 2.0)
    assert state.losses == 0
    state.on_result(NOW + 9, math.nan)  # what is not known is a loss
    assert (state.losses, state.since_loss_ms(NOW + 10)) == (1, 1)


def test_orders_of_the_last_hour() -> None:
    state = RiskState()
    for ts in (0, 1, HOUR_MS // 2):
        state.on_order(NOW + ts)
    assert state.orders_in_hour(NOW + HOUR_MS - 1) == 3
    assert state.orders_in_hour(NOW + HOUR_MS) == 2
    state.on_order(NOW + HOUR_MS)
    assert state.orders_in_hour(NOW + HOUR_MS) == 3
    for _ in range(500):
        state.on_order(NOW + HOUR_MS)
    assert state.orders_in_hour(NOW + HOUR_MS) == 120  # the most that a gene allows
    assert len(state.plain()["orders"]) == 120


def test_sharpe_agrees_with_empyrical_and_is_unknown_with_few_days() -> None:
    rng = np.random.default_rng(1)
    returns = 0.001 + 0.01 * rng.standard_normal(120)
    state, equity = RiskState(), 100.0
    state.on_mark(MIDNIGHT, equity)
    for place, change in enumerate(returns):
        equity *= 1 + change
        state.on_mark(MIDNIGHT + place * DAY_MS + 23 * HOUR_MS, equity)
        if place == 29:
            assert math.isnan(state.sharpe())
    state.on_mark(MIDNIGHT + 120 * DAY_MS, equity)
    expected = empyrical.sharpe_ratio(returns[-90:], annualization=365)
    assert state.sharpe() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("equity", [math.nan, math.inf, -math.inf])
def test_an_equity_that_is_no_number_is_unknown_until_a_good_one(equity: float) -> None:
    state = RiskState()
    state.on_mark(NOW, 100.0)
    assert not state.on_mark(NOW + 1, equity)
    assert not state.known
    assert state.total_drawdown() == math.inf
    assert state.on_mark(NOW + 2, 100.0)
    assert state.total_drawdown() == 0.0
    assert state.refused_marks == 1


def test_no_mark_at_all_is_unknown_and_an_old_one_is_not_taken() -> None:
    state = RiskState()
    assert state.daily_drawdown(NOW) == state.rapid_loss(NOW, 5) == math.inf
    state.on_mark(NOW, 100.0)
    assert not state.on_mark(NOW - 1, 1.0)
    assert state.equity == 100.0


def _trip(name: str, ts: int, until: int, value: float = 1.0) -> Trip:
    return Trip(name, ts, until, value, 0.5, "text")


def test_a_trip_holds_for_its_time_and_keeps_its_first_instant() -> None:
    state = RiskState()
    assert state.latch([_trip("a", 10, 20)])
    assert not state.latch([_trip("a", 15, 25, 2.0)])
    assert state.trips(24) == (_trip("a", 10, 25, 2.0),)
    assert state.trips(25) == ()
    assert state.latch([_trip("a", 30, 40)])


def test_a_trip_that_waits_for_a_person_waits() -> None:
    state = RiskState()
    state.on_mark(NOW, 100.0)
    state.on_mark(NOW + 1, 80.0)
    state.latch([_trip("total_drawdown", NOW, -1)])
    state.latch([_trip("total_drawdown", NOW + 5, NOW + 6)])
    assert state.trips(NOW + 10**12)
    assert state.rearm("total_drawdown")
    assert not state.trips(NOW)
    assert state.total_drawdown() == 0.0  # or it would trip again at once
    assert not state.rearm("total_drawdown")


def test_memory_is_bounded() -> None:
    state = RiskState()
    for second in range(40_000):
        state.on_mark(NOW + second * 1000, 100.0 - second * 1e-3)
    assert len(state.plain()["minutes"]) <= 243


def test_plain_and_restore_are_bit_equal() -> None:
    rng = np.random.default_rng(3)
    state = RiskState()
    for place in range(500):
        state.on_mark(NOW + place * 7 * HOUR_MS, float(100 + rng.standard_normal()))
        state.on_result(NOW + place, float(rng.standard_normal()))
        state.on_order(NOW + place * MINUTE_MS)
    state.latch([_trip("a", NOW, -1, 0.1)])
    text = canonical_json(state.plain())
    for value in (json.loads(text), json.loads(json.dumps(state.plain()))):
        assert canonical_json(RiskState.restore(value).plain()) == text
    again = RiskState.restore(json.loads(text))
    for name in RiskState.__slots__:  # nothing is left out of the snapshot
        assert getattr(again, name) == getattr(state, name), name
    assert state.since_loss_ms(NOW + 1000) < 1000
    fresh = canonical_json(RiskState().plain())
    assert canonical_json(RiskState.restore(json.loads(fresh)).plain()) == fresh


def test_integers_are_spelled_like_floats_after_a_restart() -> None:
    state = RiskState()
    state.on_mark(NOW, 100)
    state.on_mark(NOW + 1, 99)
    text = canonical_json(state.plain())
    assert canonical_json(RiskState.restore(json.loads(text)).plain()) == text
