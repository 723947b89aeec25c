"""Days in breach: how long a strategy has been beyond a limit, counted on its daily series.

The measures of a day look back over a window of UTC days. A day that nobody measured is neither in
breach nor out of it; so a count has two numbers, what is certain and what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from genesis.decision.context import DailySeries
from genesis.decision.rules import Data, Retirement

DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class Breach:
    """How long a limit has been broken, up to the last complete day.

    Attributes
    ----------
    days : int
        Days in a row of which each was measured and in breach.
    possible : int
        Days in a row of which none was measured and in order.
    """

    days: int
    possible: int


Judge = Callable[[int], bool | None]
"""Whether a day is in breach; None where it was not measured."""


def days_in_breach(judge: Judge, last_day: int, started_day: int, most: int) -> Breach:
    """Count back from a day.

    Parameters
    ----------
    judge : callable
        Of a day number.
    last_day : int
        Last complete UTC day; the newest that counts.
    started_day : int
        Nothing before it counts.
    most : int
        Where to stop counting.
    """
    days = possible = 0
    certain = True
    for day in range(last_day, max(started_day, last_day - most + 1) - 1, -1):
        verdict = judge(day)
        if verdict is False:
            break
        certain = certain and verdict is True
        possible += 1
        days += certain
    return Breach(days, possible)


def breaches(
    series: DailySeries, rules: Retirement, data: Data, last_day: int
) -> dict[str, Breach]:
    """Days in breach of each rule of retirement.

    Parameters
    ----------
    series : DailySeries
    rules : Retirement
    data : Data
        Windows, and what a measure needs.
    last_day : int
        Last complete UTC day of the decision.

    Returns
    -------
    dict
        ``negative_sharpe``, ``drawdown`` and ``low_win_rate``.
    """
    judges: dict[str, tuple[Judge, int]] = {
        "negative_sharpe": (_negative_sharpe(series, data), rules.negative_sharpe_days),
        "drawdown": (_drawdown(series, rules.max_drawdown), rules.drawdown_days),
        "low_win_rate": (_low_win_rate(series, data, rules.min_win_rate), rules.low_win_rate_days),
    }
    return {
        name: days_in_breach(judge, last_day, series.started_day, 2 * limit + 30)
        for name, (judge, limit) in judges.items()
    }


def history_days(rules: Retirement, data: Data) -> int:
    """Latest days of a series that `breaches` can look at."""
    longest = max(rules.negative_sharpe_days, rules.drawdown_days, rules.low_win_rate_days)
    return 2 * longest + 30 + data.window_days


def _negative_sharpe(series: DailySeries, data: Data) -> Judge:
    """The Sharpe ratio of a window has the sign of its return, whatever its deviation is."""
    window, least, started = data.window_days, data.min_days, series.started_day

    def judge(day: int) -> bool | None:
        if day - started + 1 < least:
            return False
        gain = _change(series, series.equity, day, window)
        return None if gain is None else gain < 0.0

    return judge


def _drawdown(series: DailySeries, limit: float) -> Judge:
    def judge(day: int) -> bool | None:
        value = _at(series, series.drawdown, day)
        return None if value is None or value < 0.0 else value > limit

    return judge


def _low_win_rate(series: DailySeries, data: Data, limit: float) -> Judge:
    window, least = data.window_days, data.min_trades

    def judge(day: int) -> bool | None:
        trades = _change(series, series.trades, day, window)
        wins = _change(series, series.wins, day, window)
        if trades is None or wins is None or not 0.0 <= wins <= trades:
            return None
        return trades >= least and wins / trades < limit

    return judge


def _at(series: DailySeries, values: tuple[float | None, ...], day: int) -> float | None:
    """Value at the end of a day, None where it was not measured."""
    if day < series.started_day:
        return 0.0
    place = day - series.first_day
    if not 0 <= place < len(values):
        return None
    value = values[place]
    return None if value is None or not math.isfinite(value) else value


def _change(
    series: DailySeries, values: tuple[float | None, ...], day: int, window: int
) -> float | None:
    """Change of a running sum over a window that ends with a day."""
    end, start = _at(series, values, day), _at(series, values, day - window)
    return None if end is None or start is None else end - start


def sharpe_of(series: DailySeries, window: int | None = None) -> float | None:
    """Annualised Sharpe ratio of the daily returns of the last ``window`` days, of all without it.

    None with fewer than two days or without variation. What happened on days that nobody measured
    falls to the next that was, as in `genesis.paper.marks.DailyMarks`.
    """
    from genesis.backtest.metrics import sharpe_from_sums

    returns = daily_returns(series)
    returns = returns if window is None else returns[-window:]
    total, squares = math.fsum(returns), math.fsum(r * r for r in returns)
    value = sharpe_from_sums(total, squares, float(len(returns)), DAYS_PER_YEAR)
    return value if math.isfinite(value) else None


def daily_returns(series: DailySeries) -> list[float]:
    """Return of each day of the series, a fraction of capital; 0 on a day without a measure."""
    before: float | None = 0.0 if series.first_day == series.started_day else None
    returns = []
    for value in series.equity:
        if value is not None and before is not None:
            returns.append(value - before)
        elif before is not None:
            returns.append(0.0)
        before = value if value is not None else before
    return returns
