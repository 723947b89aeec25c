"""Daily returns of an equity that is marked as time goes on, in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genesis.backtest.metrics import sharpe_from_sums
from genesis.domain.timeline import DAY_MS

DAYS_PER_YEAR = 365.0


class DailyMarks:
    """Daily returns and drawdown of an equity that is marked as time goes on.

    Parameters
    ----------
    capital : float
        Reference capital, quote units; returns are fractions of it and never compound.

    Notes
    -----
    A mark at midnight ends the day before, like the close of the day's last bar. A day without a
    mark has return 0, and what happened meanwhile falls to the day of the next mark.
    """

    __slots__ = ("_before", "_day", "_days", "_drawdown", "_last", "_peak", "_squares", "_total",
                 "capital")  # fmt: skip

    def __init__(self, capital: float) -> None:
        self.capital = capital
        self._day: int | None = None
        self._days = 0
        self._total = self._squares = 0.0
        self._before = self._last = self._peak = self._drawdown = 0.0

    def add(self, ts_ms: int, equity: float) -> None:
        """Mark net profit since the start, open positions included, in quote units."""
        day = (ts_ms - 1) // DAY_MS
        if self._day is None:
            self._day = day
        elif day > self._day:
            self._end_day(day - self._day)
            self._day = day
        now = equity / self.capital
        self._last = now
        if now > self._peak:
            self._peak = now
        elif self._peak - now > self._drawdown:
            self._drawdown = self._peak - now

    def _end_day(self, passed: int) -> None:
        change = self._last - self._before
        self._total += change
        self._squares += change * change
        self._days += passed
        self._before = self._last

    @property
    def days(self) -> int:
        """Days so far, the present one included."""
        return self._days + (self._day is not None)

    @property
    def total_return(self) -> float | None:
        """Last mark over capital; None without a mark."""
        return self._last if self._day is not None else None

    @property
    def max_drawdown(self) -> float:
        """Greatest fall from a peak over all marks, a fraction of capital; the first peak is 0."""
        return self._drawdown

    def sharpe(self) -> float:
        """Annualised Sharpe ratio of daily returns (365 days); NaN without variation."""
        change = self._last - self._before
        total, squares = self._total + change, self._squares + change * change
        return sharpe_from_sums(total, squares, float(self.days), DAYS_PER_YEAR)

    def plain(self) -> dict[str, Any]:
        """State as JSON values."""
        return {name.lstrip("_"): getattr(self, name) for name in self.__slots__}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over what `plain` gave."""
        for name in self.__slots__:
            setattr(self, name, plain[name.lstrip("_")])
