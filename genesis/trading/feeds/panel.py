"""A dataset as a feed: the order of events inside a bar that backtest and paper run share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError
from genesis.domain.instrument import Instrument
from genesis.market.panel import Panel, SymbolSeries
from genesis.trading.events import Event
from genesis.trading.feed import Phase
from genesis.trading.feeds.quotes import QuotePath, quote_offsets
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    CandlesReady,
    FundingDue,
    Quote,
    SymbolEnded,
)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

CHUNK = 2_048
"""Bars that are turned into Python numbers at a time: memory stays flat, the cost amortised."""


def carried_due(due: Floats, valid: Bools) -> Floats:
    """Funding due at each valid bar, the rates of the invalid bars before it added, in order.

    Parameters
    ----------
    due : float64, shape (T,)
        Sum of the rates settled since the bar before; NaN counts as none.
    valid : bool, shape (T,)

    Returns
    -------
    float64, shape (T,)
        Zero at invalid bars.
    """
    rates = np.nan_to_num(due, nan=0.0)
    out = np.where(valid, rates, 0.0)
    places = np.flatnonzero(valid)
    waiting: dict[int, float] = {}
    for bar in np.flatnonzero((rates != 0.0) & ~valid).tolist():
        nearest = int(np.searchsorted(places, bar))
        if nearest < places.size:  # after the last valid bar nothing is held any more
            target = int(places[nearest])
            waiting[target] = waiting.get(target, 0.0) + float(rates[bar])
    for bar, rate in waiting.items():
        out[bar] = rate + float(rates[bar])
    return out


@dataclass(frozen=True, slots=True)
class _Columns:
    """Some bars of one symbol as Python numbers, each list of length B; ``path`` (B, Q) nested."""

    symbol: str
    ends: int
    valid: list[bool]
    due: list[float]
    open: list[float]
    top: list[float]
    bottom: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]
    funding: list[float]
    sentiment: list[float]
    path: QuotePath | None


class PanelFeed:
    """Events of a panel.

    A bar t on which some symbol is valid is three phases: funding and open of all symbols at its
    open time, then the ranges, then the closes and `CandlesReady` at its close time. A fourth
    follows where a symbol ends before the timeline. Missing bars have no events. Funding of
    missing bars comes with that of the next valid one; none is due at a symbol's first bar, into
    which nothing can be carried. The range holds the open; the close event has the bar as stored.

    Parameters
    ----------
    panel : Panel
    quotes_per_bar : int
        Quotes inside each bar, along a path that has the bar's open, high, low and close.
    continued : bool
        The panel is the continuation of an earlier one: positions are carried into it.

    Raises
    ------
    DataError
        If the panel has no bar, or the bars are too short for that many quotes.
    """

    def __init__(self, panel: Panel, quotes_per_bar: int = 0, *, continued: bool = False) -> None:
        if not panel.bars or not any(s.valid.any() for s in panel.symbols):
            raise DataError(
                f"{panel.name} has no bar to trade on", fix="choose a longer span, or other symbols"
            )
        self._panel = panel
        self._stamps = panel.ts_ms
        self._offsets = quote_offsets(panel.interval_ms, quotes_per_bar)
        self._due = [carried_due(s.funding_due, s.valid) for s in panel.symbols]
        if not continued:
            for due, series in zip(self._due, panel.symbols, strict=True):
                due[max(series.first, 0)] = 0.0
        self._alive = np.any([s.valid for s in panel.symbols], axis=0)
        last = panel.bars - 1
        self._end_ms = int(self._stamps[self._alive][-1]) + panel.interval_ms
        early = [s.last for s in panel.symbols if 0 <= s.last < last]
        self._ending = np.unique(np.array(early, dtype=np.int64))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the dataset's order."""
        return tuple(s.symbol for s in self._panel.symbols)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Trading rules, in the order of `symbols`."""
        return tuple(s.instrument for s in self._panel.symbols)

    @property
    def interval_ms(self) -> int:
        """Length of its bars in milliseconds."""
        return self._panel.interval_ms

    @property
    def anchor_ms(self) -> int:
        """Open time of the panel's first bar."""
        return int(self._stamps[0])

    @property
    def end_ms(self) -> int:
        """Close time of the last bar."""
        return self._end_ms

    @property
    def total(self) -> int:
        """Number of phases."""
        return self.count_before(self._end_ms + 1)

    def count_before(self, ts_ms: int) -> int:
        """Number of phases before an instant."""
        stamps = self._stamps[self._alive]
        ends = self._stamps[self._ending] + self.interval_ms
        shifts = [0, *self._offsets, self.interval_ms, self.interval_ms]
        bars = sum(int(np.searchsorted(stamps, ts_ms - shift)) for shift in shifts)
        return bars + int(np.searchsorted(ends, ts_ms))

    def phases(self, start_ms: int | None = None) -> Iterator[Phase]:
        """Phases in order, those at or after ``start_ms`` where it is given."""
        if start_ms is None:
            yield from self._from_bar(0)
            return
        # the bar before may still have its close at that instant
        first = int(np.searchsorted(self._stamps, start_ms - self.interval_ms))
        for phase in self._from_bar(first):
            if phase.ts_ms >= start_ms:
                yield phase

    def _from_bar(self, first: int) -> Iterator[Phase]:
        for start in range(first, self._panel.bars, CHUNK):
            stop = min(start + CHUNK, self._panel.bars)
            columns = [
                self._columns(series, due, start, stop)
                for series, due in zip(self._panel.symbols, self._due, strict=True)
            ]
            for row, ts_ms in enumerate(self._stamps[start:stop].tolist()):
                here = [c for c in columns if c.valid[row]]
                if here:
                    yield from self._bar(here, row, ts_ms, start + row)

    def _columns(self, series: SymbolSeries, due: Floats, start: int, stop: int) -> _Columns:
        part = slice(start, stop)
        open_, close = series.open[part], series.close[part]
        top = np.maximum(series.high[part], open_)
        bottom = np.minimum(series.low[part], open_)
        count = len(self._offsets)
        return _Columns(
            symbol=series.symbol,
            ends=series.last if series.last < self._panel.bars - 1 else -1,
            valid=series.valid[part].tolist(),
            due=due[part].tolist(),
            open=open_.tolist(),
            top=top.tolist(),
            bottom=bottom.tolist(),
            high=series.high[part].tolist(),
            low=series.low[part].tolist(),
            close=close.tolist(),
            volume=series.volume[part].tolist(),
            funding=series.funding[part].tolist(),
            sentiment=series.sentiment[part].tolist(),
            path=QuotePath.through(open_, top, bottom, close, count) if count else None,
        )

    def _bar(self, here: list[_Columns], row: int, ts_ms: int, bar: int) -> Iterator[Phase]:
        interval = self._panel.interval_ms
        opens: list[Event] = []
        for c in here:
            if c.due[row] != 0.0:
                opens.append(Event(FundingDue(c.symbol, c.due[row]), ts_ms, c.symbol))
            opens.append(Event(BarOpened(c.symbol, interval, ts_ms, c.open[row]), ts_ms, c.symbol))
        yield Phase(ts_ms, tuple(opens))
        for k, offset in enumerate(self._offsets):
            yield Phase(ts_ms + offset, tuple(_quote(c, row, k, ts_ms + offset) for c in here))
        close_ms = ts_ms + interval
        yield Phase(
            close_ms,
            tuple(
                Event(BarRange(c.symbol, ts_ms, c.top[row], c.bottom[row]), close_ms, c.symbol)
                for c in here
            ),
        )
        closes = [_close(c, row, ts_ms, interval) for c in here]
        ready = CandlesReady(interval, ts_ms, tuple([c.symbol for c in here]))
        closes.append(Event(ready, close_ms))
        yield Phase(close_ms, tuple(closes))
        ended = tuple(
            Event(SymbolEnded(c.symbol, c.close[row]), close_ms, c.symbol)
            for c in here
            if c.ends == bar
        )
        if ended:
            yield Phase(close_ms, ended)


def _quote(c: _Columns, row: int, k: int, ts_ms: int) -> Event:
    path = c.path
    assert path is not None
    quote = Quote(c.symbol, path.last[row][k], path.low[row][k], path.high[row][k])
    return Event(quote, ts_ms, c.symbol)


def _close(c: _Columns, row: int, ts_ms: int, interval: int) -> Event:
    closed = BarClosed(
        c.symbol,
        interval,
        ts_ms,
        c.open[row],
        c.high[row],
        c.low[row],
        c.close[row],
        c.volume[row],
        c.funding[row],
        c.sentiment[row],
    )
    return Event(closed, ts_ms + interval, c.symbol)
