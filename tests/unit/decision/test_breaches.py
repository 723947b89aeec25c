"""Days in breach: UTC days, gaps, young strategies; against brute force over all fillings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from genesis.decision.breaches import (
    Breach,
    breaches,
    daily_returns,
    days_in_breach,
    history_days,
    sharpe_of,
)
from genesis.decision.context import DailySeries
from genesis.domain.timeline import DAY_MS
from tests.unit.decision.decision_samples import AS_OF, LAST, RULES, context, falling, series

RETIREMENT, DATA = RULES.file.strategy_retirement, RULES.file.data


def found(one: DailySeries, last_day: int = LAST) -> dict[str, Breach]:
    return breaches(one, RETIREMENT, DATA, last_day)


def test_the_last_whole_utc_day_is_the_newest_that_counts() -> None:
    midnight = (LAST + 1) * DAY_MS
    assert context(as_of_ms=midnight - 1).last_day == LAST - 1
    assert context(as_of_ms=midnight).last_day == LAST
    assert context(as_of_ms=AS_OF).last_day == LAST
    one = falling(7)
    assert found(one)["negative_sharpe"] == Breach(7, 7)
    assert found(one, LAST - 1)["negative_sharpe"] == Breach(6, 6)  # nothing later is looked at


def test_a_day_that_nobody_measured_is_neither() -> None:
    falls: list[float | None] = [0.01] * 54 + [0.2, 0.2, None, 0.2, 0.2, 0.2]
    assert found(series(drawdown=falls))["drawdown"] == Breach(3, 6)
    falls[-1] = None
    assert found(series(drawdown=falls))["drawdown"] == Breach(0, 6)
    falls[-3] = 0.01
    assert found(series(drawdown=falls))["drawdown"] == Breach(0, 2)


def test_days_that_the_series_does_not_reach_are_gaps() -> None:
    one = series(drawdown=[0.2] * 60, last=LAST - 2)
    # Two days are not there; before them all sixty are in breach, 13 days are counted at most.
    assert found(one)["drawdown"] == Breach(0, 13)
    assert found(series(last=LAST - 2))["drawdown"] == Breach(0, 2)


def test_a_series_whose_beginning_was_left_out_has_gaps_there_and_a_young_one_none() -> None:
    young = series(5, drawdown=[0.2] * 5)
    assert found(young)["drawdown"] == Breach(5, 5)
    cut = DailySeries(
        young.started_day - 100,
        young.first_day,
        young.equity,
        young.drawdown,
        young.trades,
        young.wins,
    )
    assert found(cut)["drawdown"] == Breach(5, 13)


def test_a_window_that_begins_before_the_record_is_not_known() -> None:
    losing = series(60, equity=[-0.01 * (n + 1) for n in range(60)], wins=[0] * 60)
    cut = losing.latest(33)  # the windows of three days begin within it
    assert found(cut)["negative_sharpe"] == Breach(3, 21)
    assert found(cut)["low_win_rate"] == Breach(3, 35)
    assert found(losing)["negative_sharpe"] == Breach(21, 21)


@pytest.mark.parametrize(("age", "days"), [(9, 0), (10, 1), (11, 2)])
def test_a_strategy_younger_than_ten_days_has_no_sharpe_ratio_to_be_judged_by(
    age: int, days: int
) -> None:
    one = series(age, equity=[-0.001 * (n + 1) for n in range(age)])
    assert found(one)["negative_sharpe"] == Breach(days, days)


def test_a_gap_matters_where_a_window_begins_as_well() -> None:
    equity: list[float | None] = list(falling(7).equity)
    equity[-1 - 30] = None
    assert found(series(equity=equity))["negative_sharpe"] == Breach(0, 7)


def test_a_series_without_movement_is_not_negative() -> None:
    assert found(series(equity=[0.0] * 60))["negative_sharpe"] == Breach(0, 0)
    # Nothing is summed up day by day, which could leave a rounding behind.
    assert found(series(equity=[0.1 + 0.2] * 60))["negative_sharpe"] == Breach(0, 0)


def test_more_wins_than_trades_is_no_measure() -> None:
    assert found(series(wins=[n + 2 for n in range(60)]))["low_win_rate"].days == 0
    wins: list[int | None] = [0] * 59 + [100]
    got = found(series(wins=wins))["low_win_rate"]
    assert got.days == 0
    assert got.possible > 14


def test_the_engine_looks_at_as_many_days_as_can_matter() -> None:
    one = series(400, equity=[-0.001 * n for n in range(400)], drawdown=[0.2] * 400)
    cut = one.latest(history_days(RETIREMENT, DATA))
    assert found(cut) == found(one)


@pytest.mark.parametrize("length", [1, 4, 7])
def test_a_count_is_what_every_filling_of_the_gaps_agrees_on(length: int) -> None:
    # Independent definition: the least and the greatest run over all ways to fill the gaps.
    for days in itertools.product((True, False, None), repeat=length):
        gaps = [n for n, one in enumerate(days) if one is None]
        runs = []
        for values in itertools.product((True, False), repeat=len(gaps)):
            filled = list(days)
            for place, value in zip(gaps, values, strict=True):
                filled[place] = value
            runs.append(len(list(itertools.takewhile(bool, reversed(filled)))))
        got = days_in_breach(reversed(days), 99)
        assert got == Breach(min(runs), max(runs)), days


def test_returns_and_ratio_of_a_series_with_gaps() -> None:
    one = series(5, equity=[0.01, None, 0.04, 0.03, 0.05])
    assert daily_returns(one) == pytest.approx([0.01, 0.0, 0.03, -0.01, 0.02])
    returns = np.array([0.01, 0.0, 0.03, -0.01, 0.02])
    expected = returns.mean() / returns.std(ddof=1) * np.sqrt(365)
    assert sharpe_of(one) == pytest.approx(expected)
    last = returns[-3:]
    assert sharpe_of(one, 3) == pytest.approx(last.mean() / last.std(ddof=1) * np.sqrt(365))
    assert sharpe_of(series(5, equity=[0.0] * 5)) is None
    assert sharpe_of(series(1)) is None
    # Where the beginning was left out the first day has no return.
    assert daily_returns(one.latest(2)) == pytest.approx([0.02])
