"""Live bars: from trades or an exchange's candle updates to final bars, in the order of replay.

For each symbol come `BarOpened`, then `BarRange` and `BarClosed` when the bar is final, and after
those of all symbols one `CandlesReady`, before any of them opens its next bar: what decides
and what trades sees the same order live as in replay. Nothing here looks at a clock; the time
comes with each call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Protocol

from genesis.domain.errors import DataError
from genesis.domain.timeline import DAY_MS
from genesis.market.funding import QUOTED_MS
from genesis.trading.events import Event
from genesis.trading.payloads import (
    BarClosed,
    BarCorrected,
    BarOpened,
    BarRange,
    CandlesReady,
    FundingDue,
)
from genesis.trading.plausible import BAR_FIELDS

NEVER = -(2**62)


@dataclass(frozen=True, slots=True)
class Gap:
    """Bars of a symbol that did not come: ``bars`` of them from ``first_ms`` on."""

    symbol: str
    first_ms: int
    bars: int


class Backfill(Protocol):
    """Fetches what is missing; it must return at once and hand bars to `BarBuilder.candle`."""

    def missing(self, gap: Gap) -> None:
        """Hear of a gap."""
        ...


class Candle:
    """A bar that may still change; its values are those of `BarClosed`."""

    __slots__ = ("close", "high", "last_ms", "low", "open", "open_ms", "volume")

    def __init__(
        self, open_ms: int, open_: float, high: float, low: float, close: float, volume: float
    ) -> None:
        self.open_ms = open_ms
        self.open = open_
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self.last_ms = NEVER

    def trade(self, ts_ms: int, price: float, size: float) -> None:
        """Take in a trade, which may be older than the last one."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.volume += size
        if ts_ms >= self.last_ms:
            self.close = price
            self.last_ms = ts_ms

    def replace(self, other: Candle) -> list[tuple[str, float, float]]:
        """Take over another version of the bar; returns field, before and after of each change."""
        changes = []
        for name in BAR_FIELDS:
            before, after = getattr(self, name), getattr(other, name)
            if before != after:
                changes.append((name, before, after))
                setattr(self, name, after)
        return changes


class _Level:
    """A value with its stamp, and the one before: what was known strictly before an instant."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: list[tuple[int, float, int]] = []

    def set(self, ts_ms: int, value: float, stale_ms: int) -> None:
        """Hear of a value and of how long it may be used."""
        if not self._known or ts_ms > self._known[-1][0]:
            self._known = [*self._known[-3:], (ts_ms, value, stale_ms)]

    def before(self, ts_ms: int) -> float:
        """Last value stamped before an instant, NaN if there is none or it is stale."""
        for stamp, value, stale_ms in reversed(self._known):
            if stamp < ts_ms:
                return value if ts_ms - stamp <= stale_ms else nan
        return nan


class _Symbol:
    """Bars of one symbol: the current one, those that wait to be opened, those that are final.

    `opened` is the bar whose `BarOpened` was published, `closed_ms` the last final one; `waiting`
    holds bars after `opened` that have begun, oldest first.
    """

    __slots__ = ("closed_ms", "due", "final", "funding", "mood", "opened", "told_open", "waiting")

    def __init__(self) -> None:
        self.opened: Candle | None = None
        self.told_open = 0.0
        self.waiting: dict[int, Candle] = {}
        self.closed_ms = NEVER
        self.final: dict[int, Candle] = {}
        self.due: list[tuple[int, float, float | None]] = []
        self.funding = _Level()
        self.mood = _Level()

    def candle(self, open_ms: int) -> Candle | None:
        """A bar that is not final yet."""
        if self.opened is not None and self.opened.open_ms == open_ms:
            return self.opened
        return self.waiting.get(open_ms)


class BarBuilder:
    """Builds the bars of several symbols.

    A bar is final when a later one of its symbol begins, when the source says so, or ``grace_ms``
    after its end. The barrier of a bar (`CandlesReady`) falls when it is final for every symbol,
    or when the grace is over; only then the next bars open. What changes after that is a
    `BarCorrected`, also for a bar that never came or is long past (NaN before).

    The caller checks prices before (`genesis.trading.intake`). Every method returns the events to
    publish, in their order, and expects a time that does not go back.

    Parameters
    ----------
    symbols : sequence of str
    interval_ms, anchor_ms : int
        Grid of the bars.
    grace_ms : int
        How long after its end a bar may still be waited for.
    backfill : Backfill, optional
        Hears of bars that did not come.
    remembered : int
        Final bars of a symbol whose values before a correction are known.
    start_ms : int
        When trades began to come in: a bar that began earlier is not whole, and not built of them.

    Raises
    ------
    DataError
        If there is no symbol.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        interval_ms: int,
        anchor_ms: int = 0,
        grace_ms: int = 2_000,
        backfill: Backfill | None = None,
        remembered: int = 64,
        start_ms: int = NEVER,
    ) -> None:
        if not symbols:
            raise DataError("there is no symbol to build bars of", fix="name at least one")
        self._interval_ms = interval_ms
        self._anchor_ms = anchor_ms
        self._grace_ms = grace_ms
        self._backfill = backfill
        self._remembered = remembered
        self._symbols = {name: _Symbol() for name in symbols}
        self._start_ms = start_ms
        self._closed: list[str] = []
        self._gaps: dict[str, tuple[int, int]] = {}
        self._bar_ms = NEVER

    @property
    def next_ms(self) -> int | None:
        """When `advance` has something to do if nothing else comes; None before the first bar."""
        return None if self._bar_ms == NEVER else self._bar_ms + self._interval_ms + self._grace_ms

    def slot(self, ts_ms: int) -> int:
        """Open time of the bar that an instant belongs to."""
        return ts_ms - (ts_ms - self._anchor_ms) % self._interval_ms

    def trade(self, symbol: str, ts_ms: int, price: float, size: float, now_ms: int) -> list[Event]:
        """Take in a trade, by the exchange's time; the first of a bar is its open."""
        out = self._advance(now_ms) + self._trade(symbol, ts_ms, price, size, now_ms)
        out += self._advance(now_ms)  # a first bar may have begun whose grace is over already
        self._tell_gaps()
        return out

    def _trade(
        self, symbol: str, ts_ms: int, price: float, size: float, now_ms: int
    ) -> list[Event]:
        state, slot = self._symbols[symbol], self.slot(ts_ms)
        if slot < self._start_ms:
            return []
        candle = state.candle(slot)
        if candle is not None:
            candle.trade(ts_ms, price, size)
            return []
        if slot <= self._floor(state):
            return self._late_trade(symbol, state, slot, ts_ms, price, size, now_ms)
        fresh = Candle(slot, price, price, price, price, 0.0)
        fresh.trade(ts_ms, price, size)
        return self._begin(state, fresh)

    def candle(
        self,
        symbol: str,
        open_ms: int,
        values: tuple[float, float, float, float, float],
        now_ms: int,
        *,
        final: bool = False,
    ) -> list[Event]:
        """Take in a bar as the exchange sees it now: open, high, low, close, volume.

        ``final`` says that the exchange itself calls it final.
        """
        out = self._advance(now_ms)
        state, fresh = self._symbols[symbol], Candle(open_ms, *values)
        if open_ms <= self._floor(state):
            return out + self._corrected(symbol, state, fresh, now_ms)
        current = state.candle(open_ms)
        if current is None:
            out += self._begin(state, fresh)
        else:
            current.replace(fresh)
        if final and state.opened is not None and state.opened.open_ms == open_ms:
            out += self._close(symbol, state)
            out += self._pass()
        out += self._advance(now_ms)
        self._tell_gaps()
        return out

    def settled(
        self, symbol: str, rate: float, ts_ms: int, period_ms: int, mark: float | None = None
    ) -> None:
        """Hear of a settled funding rate: due at the next open, known to bars that end later."""
        state = self._symbols[symbol]
        state.due.append((ts_ms, rate, mark))
        state.funding.set(ts_ms, rate * (QUOTED_MS / period_ms), 3 * period_ms)

    def sentiment(self, value: float, ts_ms: int) -> None:
        """Hear of a sentiment index value, which counts for three days."""
        for state in self._symbols.values():
            state.mood.set(ts_ms, value, 3 * DAY_MS)

    def advance(self, now_ms: int) -> list[Event]:
        """Let time pass: close what the grace is over for."""
        out = self._advance(now_ms)
        self._tell_gaps()
        return out

    # ---- the life of a bar --------------------------------------------------------------------

    def _advance(self, now_ms: int) -> list[Event]:
        out: list[Event] = []
        while (due := self.next_ms) is not None and now_ms >= due:
            for symbol, state in self._symbols.items():
                if state.opened is not None:
                    out += self._close(symbol, state)
            out += self._barrier()
            out += self._pass()
        return out

    def _floor(self, state: _Symbol) -> int:
        """Last open time for which this symbol can no longer have a bar."""
        passed = NEVER if self._bar_ms == NEVER else self._bar_ms - self._interval_ms
        return max(state.closed_ms, passed)

    def _begin(self, state: _Symbol, candle: Candle) -> list[Event]:
        """A bar begins: the one before of its symbol is final, and it waits for the barrier."""
        state.waiting[candle.open_ms] = candle
        if self._bar_ms == NEVER:
            self._bar_ms = candle.open_ms
        return self._pass()

    def _pass(self) -> list[Event]:
        """Open and close what can be, bar by bar, as far as every symbol has got."""
        out: list[Event] = []
        while True:
            for symbol, state in self._symbols.items():
                out += self._open(symbol, state)
                if state.opened is not None and self._later(state):
                    out += self._close(symbol, state)
            behind = [s for s in self._symbols.values() if s.closed_ms < self._bar_ms]
            if any(s.opened is not None or not self._later(s) for s in behind):
                return out
            out += self._barrier()

    def _later(self, state: _Symbol) -> bool:
        """Whether a bar after the current one has begun."""
        return any(open_ms > self._bar_ms for open_ms in state.waiting)

    def _open(self, symbol: str, state: _Symbol) -> list[Event]:
        candle = state.waiting.pop(self._bar_ms, None)
        if candle is None:
            return []
        state.opened, state.told_open = candle, candle.open
        out = self._due(symbol, state, candle.open_ms)
        opened = BarOpened(symbol, self._interval_ms, candle.open_ms, candle.open)
        return [*out, Event(opened, candle.open_ms, symbol)]

    def _due(self, symbol: str, state: _Symbol, open_ms: int) -> list[Event]:
        """Funding settled up to an open, as one event; none before the first bar."""
        ready = [item for item in state.due if item[0] <= open_ms]
        state.due = [item for item in state.due if item[0] > open_ms]
        rate = 0.0
        for _, part, _ in sorted(ready, key=lambda item: item[0]):
            rate += part
        if rate == 0.0 or state.closed_ms == NEVER:
            return []
        mark = max(ready, key=lambda item: item[0])[2]
        return [Event(FundingDue(symbol, rate, mark), open_ms, symbol)]

    def _close(self, symbol: str, state: _Symbol) -> list[Event]:
        c = state.opened
        assert c is not None
        state.opened = None
        state.closed_ms = c.open_ms
        self._keep(state, c)
        self._closed.append(symbol)
        end = c.open_ms + self._interval_ms
        out = []
        if c.open != state.told_open:
            changed = BarCorrected(symbol, c.open_ms, "open", state.told_open, c.open)
            out.append(Event(changed, end, symbol))
        high, low = max(c.high, state.told_open), min(c.low, state.told_open)
        out.append(Event(BarRange(symbol, c.open_ms, high, low), end, symbol))
        funding, mood = state.funding.before(end), state.mood.before(end)
        closed = BarClosed(
            symbol,
            self._interval_ms,
            c.open_ms,
            c.open,
            c.high,
            c.low,
            c.close,
            c.volume,
            funding,
            mood,
        )
        out.append(Event(closed, end, symbol))
        return out

    def _barrier(self) -> list[Event]:
        """The bar is over for everybody: say so, and go on to the next one."""
        done, end = self._bar_ms, self._bar_ms + self._interval_ms
        self._bar_ms = end
        for name, state in self._symbols.items():
            if NEVER < state.closed_ms < done:  # before its first bar a symbol misses nothing
                first, bars = self._gaps.get(name, (done, 0))
                self._gaps[name] = (first, bars + 1)
        if not self._closed:
            return []
        names = tuple(name for name in self._symbols if name in self._closed)
        self._closed = []
        return [Event(CandlesReady(self._interval_ms, done, names), end)]

    def _tell_gaps(self) -> None:
        gaps, self._gaps = self._gaps, {}
        if self._backfill is not None:
            for symbol, (first_ms, bars) in gaps.items():
                self._backfill.missing(Gap(symbol, first_ms, bars))

    # ---- what comes too late ------------------------------------------------------------------

    def _late_trade(
        self,
        symbol: str,
        state: _Symbol,
        slot: int,
        ts_ms: int,
        price: float,
        size: float,
        now_ms: int,
    ) -> list[Event]:
        held = state.final.get(slot)
        fresh = Candle(slot, price, price, price, price, 0.0)
        if held is not None:
            fresh = Candle(slot, held.open, held.high, held.low, held.close, held.volume)
            fresh.last_ms = held.last_ms
        fresh.trade(ts_ms, price, size)
        return self._corrected(symbol, state, fresh, now_ms)

    def _corrected(self, symbol: str, state: _Symbol, fresh: Candle, now_ms: int) -> list[Event]:
        """Corrections that a later version of a final bar makes; NaN where there was no bar."""
        held = state.final.get(fresh.open_ms)
        if held is None:
            held = Candle(fresh.open_ms, nan, nan, nan, nan, nan)
            self._keep(state, held)
        held.last_ms = max(held.last_ms, fresh.last_ms)
        return [
            Event(BarCorrected(symbol, fresh.open_ms, name, before, after), now_ms, symbol)
            for name, before, after in held.replace(fresh)
        ]

    def _keep(self, state: _Symbol, candle: Candle) -> None:
        state.final[candle.open_ms] = candle
        if len(state.final) > self._remembered:
            del state.final[min(state.final)]
