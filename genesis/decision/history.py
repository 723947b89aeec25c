"""Facts for decisions from what a book of strategies did, bar by bar.

The same measurements serve a decision of today, one of any earlier day, and the judgement of an
earlier decision on the days that followed it: those are given alone, as if the book began there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

from genesis.decision.breaches import sharpe_of
from genesis.decision.context import (
    AccountFacts,
    DailySeries,
    DecisionContext,
    MarketFacts,
    StrategyFacts,
)
from genesis.decision.grounds import RunRef
from genesis.decision.rules import Data
from genesis.domain.timeline import DAY_MS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StrategyHistory:
    """What one strategy did.

    Attributes
    ----------
    capital : float
        Reference capital, quote units.
    equity : float64, shape (T,)
        Net profit since the start at the end of each bar, over capital; finite.
    exit_ms : int64, shape (n,)
        Instants at which trades were closed, in order.
    won : bool, shape (n,)
        Whether each had a net profit.
    backtest_sharpe : float or None
        Of the backtest that it was chosen by.
    own_size : bool
        Its entries had the sizes that it asked for. What smaller ones came to is no answer to
        whether it may trade: the facts of that are absent.
    """

    capital: float
    equity: Floats
    exit_ms: Ints
    won: Bools
    backtest_sharpe: float | None = None
    own_size: bool = True


@dataclass(frozen=True, slots=True)
class BookHistory:
    """What a book of strategies did on some symbols.

    Attributes
    ----------
    source : str
        Run that it was read from.
    ends_ms : int64, shape (T,)
        Ends of the bars.
    closes, volumes : mapping of str to float64, shape (T,)
        By symbol; NaN where there was no bar.
    strategies : mapping of str to StrategyHistory
    log : RunRef or None
        Log of the run, as it was read.
    """

    source: str
    ends_ms: Ints
    closes: Mapping[str, Floats]
    volumes: Mapping[str, Floats]
    strategies: Mapping[str, StrategyHistory]
    log: RunRef | None = None
    _days: _Days = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_days", _Days(self))

    @property
    def first_day(self) -> int:
        """UTC day (since 1970) on which the first bar ended."""
        return self._days.first

    @property
    def last_day(self) -> int:
        """UTC day on which the last bar ended."""
        return self._days.first + self._days.count - 1

    def context(
        self, as_of_ms: int, data: Data, *, since_day: int | None = None
    ) -> DecisionContext:
        """Facts as they were known at an instant.

        Parameters
        ----------
        as_of_ms : int
            Only bars that ended by then are looked at.
        data : Data
            Windows of the measures.
        since_day : int, optional
            Look at this day and later ones alone, as if every strategy began with it.
        """
        bars = int(np.searchsorted(self.ends_ms, as_of_ms, side="right"))
        seen = np.flatnonzero(self._days.measured_bars[:bars])
        last_day = as_of_ms // DAY_MS - 1
        series = {name: self._days.series(name, last_day, since_day) for name in self.strategies}
        facts = {name: self._facts(name, one) for name, one in series.items()}
        return DecisionContext(
            as_of_ms=as_of_ms,
            data_ms=int(self.ends_ms[seen[-1]]) if seen.size else None,
            source=self.source,
            market=self._days.market(last_day, data.window_days, data.min_days, since_day),
            account=self._account(bars, as_of_ms, series, data.window_days, since_day),
            strategies=facts,
            log=self.log,
        )

    def _facts(self, name: str, series: DailySeries) -> StrategyFacts:
        own = self.strategies[name]
        if not own.own_size:
            return StrategyFacts(series=series, backtest_sharpe=own.backtest_sharpe)
        return StrategyFacts(
            series=series,
            backtest_sharpe=own.backtest_sharpe,
            paper_days=sum(value is not None for value in series.equity),
            paper_sharpe=sharpe_of(series),
            paper_drawdown=max((d for d in series.drawdown if d is not None), default=None),
        )

    def _account(
        self,
        bars: int,
        as_of_ms: int,
        series: Mapping[str, DailySeries],
        window: int,
        since_day: int | None,
    ) -> AccountFacts:
        start_ms = int(self.ends_ms[0]) - 1 if since_day is None else since_day * DAY_MS
        from_bar = int(np.searchsorted(self.ends_ms, start_ms, side="right"))
        equity = self._days.account[:bars]
        before = float(equity[from_bar - 1]) if from_bar else 0.0
        path = np.concatenate(([before], equity[from_bar:]))
        ratios = [one for one in (sharpe_of(s, window) for s in series.values()) if one is not None]
        return AccountFacts(
            capital=sum(one.capital for one in self.strategies.values()),
            strategies=len(self.strategies),
            average_sharpe=math.fsum(ratios) / len(ratios) if ratios else None,
            best_sharpe=max(ratios, default=None),
            worst_sharpe=min(ratios, default=None),
            losers=sum(_loses(one, window) for one in series.values()),
            daily_return=self._change(path, from_bar, as_of_ms, 1),
            weekly_return=self._change(path, from_bar, as_of_ms, 7),
            drawdown=float(np.max(path) - path[-1]),
        )

    def _change(self, path: Floats, from_bar: int, as_of_ms: int, days: int) -> float:
        """Change of the account over the last days, or since it began; over its capital."""
        then = int(np.searchsorted(self.ends_ms, as_of_ms - days * DAY_MS, side="right"))
        return float(path[-1] - path[max(then - from_bar, 0)])


def _loses(series: DailySeries, window: int) -> bool:
    known = [value for value in series.equity[-window - 1 :] if value is not None]
    return bool(known) and known[-1] < (known[0] if len(series.equity) > window else 0.0)


class _Days:
    """Bars of a book gathered by the UTC day that they end; a midnight ends the day before."""

    def __init__(self, book: BookHistory) -> None:
        ends = book.ends_ms
        day_of = (ends - 1) // DAY_MS
        self.first = int(day_of[0])
        self.count = int(day_of[-1]) - self.first + 1
        finite = [np.isfinite(values) for values in book.closes.values()]
        self.measured_bars: Bools = np.logical_or.reduce(finite)
        place = (day_of - self.first).astype(np.int64)
        self._measured = np.zeros(self.count, dtype=bool)
        np.logical_or.at(self._measured, place, self.measured_bars)
        # Place of the last bar that ended by the end of each day.
        self._last_bar = np.searchsorted(place, np.arange(self.count), side="right") - 1
        capital = sum(one.capital for one in book.strategies.values())
        parts = [one.equity * (one.capital / capital) for one in book.strategies.values()]
        self.account: Floats = np.sum(parts, axis=0) if parts else np.zeros(ends.size)
        self._marks = {name: one.equity for name, one in book.strategies.items()}
        self._equity = {n: one.equity[self._last_bar] for n, one in book.strategies.items()}
        midnights = (np.arange(self.count) + self.first + 1) * DAY_MS
        self._trades: dict[str, tuple[Ints, Ints]] = {}
        for name, one in book.strategies.items():
            closed = np.searchsorted(one.exit_ms, midnights, side="right")
            wins = np.concatenate(([0], np.cumsum(one.won, dtype=np.int64)))
            self._trades[name] = (closed.astype(np.int64), wins[closed])
        self._closes = np.array([_by_day(v, place, self.count) for v in book.closes.values()])
        self._volumes = np.array([_sums(v, place, self.count) for v in book.volumes.values()])

    def series(self, name: str, last_day: int, since_day: int | None) -> DailySeries:
        """A strategy's days up to one, from the beginning or from a day on."""
        start = self.first if since_day is None else max(since_day, self.first)
        low = start - self.first
        high = max(min(last_day - self.first + 1, self.count), low)
        equity, (trades, wins) = self._equity[name], self._trades[name]
        begin = float(equity[low - 1]) if low else 0.0
        gain = equity[low:high] - begin
        falls = self._falls(name, low, high, begin)
        measured = self._measured[low:high].tolist()
        begun = (trades[low - 1], wins[low - 1]) if low else (0, 0)

        def known(values: npt.NDArray[np.generic]) -> tuple[float | None, ...]:
            return tuple(v if m else None for v, m in zip(values.tolist(), measured, strict=True))

        return DailySeries(
            started_day=start,
            first_day=start,
            equity=known(gain),
            drawdown=known(falls),
            trades=known(trades[low:high] - begun[0]),  # type: ignore[arg-type]
            wins=known(wins[low:high] - begun[1]),  # type: ignore[arg-type]
        )

    def _falls(self, name: str, low: int, high: int, begin: float) -> Floats:
        """Drawdown at the end of each day from the highest mark of any bar since the beginning."""
        ends = self._last_bar[low:high]
        if not ends.size:
            return np.zeros(0)
        first = int(self._last_bar[low - 1]) + 1 if low else 0
        path = self._marks[name][first : int(ends[-1]) + 1] - begin
        falls = np.maximum(np.maximum.accumulate(path), 0.0) - path
        # A day without a bar of its own stands where the one before it ended.
        return np.asarray(np.concatenate(([0.0], falls))[ends - first + 1])

    def market(self, last_day: int, window: int, least: int, since_day: int | None) -> MarketFacts:
        """The market over the window that ends with a day; what it cannot tell is absent."""
        high = min(last_day - self.first + 1, self.count)
        low = max(high - window - 1, 0 if since_day is None else since_day - self.first - 1, 0)
        if high - low < least + 1:
            return MarketFacts()
        closes, volumes = self._closes[:, low:high], self._volumes[:, low + 1 : high]
        returns = closes[:, 1:] / closes[:, :-1] - 1.0
        complete = returns[:, np.all(np.isfinite(returns), axis=0)]
        if complete.shape[1] < least:
            return MarketFacts()
        deviations = np.std(complete, axis=1, ddof=1)
        return MarketFacts(
            volatility=float(np.mean(deviations)),
            correlation=_mean_correlation(complete, deviations),
            volume_ratio=_volume_ratio(volumes),
        )


def _by_day(values: Floats, place: Ints, count: int) -> Floats:
    """Last finite value of each day, NaN for a day without one."""
    out = np.full(count, np.nan)
    finite = np.isfinite(values)
    out[place[finite]] = values[finite]  # the last of equal places stays
    return out


def _sums(values: Floats, place: Ints, count: int) -> Floats:
    finite = np.isfinite(values)
    out = np.bincount(place[finite], weights=values[finite], minlength=count)
    return np.where(np.bincount(place[finite], minlength=count) > 0, out, np.nan)


def _mean_correlation(returns: Floats, deviations: Floats) -> float | None:
    """Mean correlation of the pairs; 0 for one symbol, which nothing can move together with."""
    if len(returns) == 1:
        return 0.0
    if not np.all(deviations > 0.0):
        return None
    matrix = np.atleast_2d(np.corrcoef(returns))
    pairs = [float(matrix[a, b]) for a, b in combinations(range(len(returns)), 2)]
    return min(max(math.fsum(pairs) / len(pairs), -1.0), 1.0)


def _volume_ratio(volumes: Floats) -> float | None:
    """Volume of the last day over its mean in the window, mean of the symbols."""
    last = volumes[:, -1]
    if not np.all(np.isfinite(last)):
        return None
    mean = np.asarray(np.nanmean(volumes, axis=1))
    if not np.all(mean > 0.0):
        return None
    return float(np.mean(last / mean))
