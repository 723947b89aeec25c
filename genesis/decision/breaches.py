"""Days in breach: how long a strategy has been beyond a limit, counted on its daily series.

The measures of a day look back over a window of UTC days. A day that nobody measured is neither in
breach nor out of it; so a count has two numbers, what is certain and what is possible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite

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


Verdicts = Iterator[bool | None]
"""Whether each day is in breach, the latest first; None for one that was not measured."""


def days_in_breach(verdicts: Iterable[bool | None], most: int) -> Breach:
    """Count the days up to the first that is in order.

    Parameters
    ----------
    verdicts : iterable of bool or None
        See `Verdicts`.
    most : int
        Where to stop counting.
    """
    days = possible = 0
    certain = True
    for verdict in verdicts:
        if verdict is False or possible == most:
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
    return {
        "negative_sharpe": days_in_breach(
            _negative_sharpe(series, data, last_day), counted(rules.negative_sharpe_days)
        ),
        "drawdown": days_in_breach(
            _drawdown(series, rules.max_drawdown, last_day), counted(rules.drawdown_days)
        ),
        "low_win_rate": days_in_breach(
            _low_win_rate(series, data, rules.min_win_rate, last_day),
            counted(rules.low_win_rate_days),
        ),
    }


def counted(limit: int) -> int:
    """Days that are counted at most: more than the limit, so that one sees how long it has been."""
    return 2 * limit + 7


def history_days(rules: Retirement, data: Data) -> int:
    """Latest days of a series that `breaches` can look at."""
    longest = max(rules.negative_sharpe_days, rules.drawdown_days, rules.low_win_rate_days)
    return counted(longest) + data.window_days


def _negative_sharpe(series: DailySeries, data: Data, last_day: int) -> Verdicts:
    """The Sharpe ratio of a window has the sign of its return, whatever its deviation is."""
    young = series.started_day + data.min_days - 1
    day = last_day
    for gain in _changes(series, series.equity, last_day, data.window_days):
        yield False if day < young else None if gain is None else gain < 0.0
        day -= 1


def _drawdown(series: DailySeries, limit: float, last_day: int) -> Verdicts:
    for value in _values(series, series.drawdown, last_day):
        yield None if value is None or value < 0.0 else value > limit


def _low_win_rate(series: DailySeries, data: Data, limit: float, last_day: int) -> Verdicts:
    window, least = data.window_days, data.min_trades
    pairs = zip(
        _changes(series, series.trades, last_day, window),
        _changes(series, series.wins, last_day, window),
        strict=True,
    )
    for trades, wins in pairs:
        if trades is None or wins is None or not 0.0 <= wins <= trades:
            yield None
        else:
            yield trades >= least and wins / trades < limit


def _values(
    series: DailySeries, values: tuple[float | None, ...], last_day: int
) -> Iterator[float | None]:
    """Value at the end of each day since the strategy began, the latest first."""
    first, count = series.first_day, len(values)
    for place in range(last_day - first, series.started_day - first - 1, -1):
        value = values[place] if 0 <= place < count else None
        yield None if value is None or not isfinite(value) else value


def _changes(
    series: DailySeries, values: tuple[float | None, ...], last_day: int, window: int
) -> Iterator[float | None]:
    """Change of a running sum over the window that ends with each day, the latest first."""
    first, count = series.first_day, len(values)
    begun = series.started_day - first
    for place in range(last_day - first, begun - 1, -1):
        back = place - window
        if not 0 <= place < count:
            yield None
            continue
        end = values[place]
        # Before the strategy began there was nothing; between that and the first entry, no record.
        start = values[back] if back >= 0 else 0.0 if back < begun else None
        if end is None or start is None:
            yield None
            continue
        change = end - start
        yield change if isfinite(change) else None


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
    return value if isfinite(value) else None


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
