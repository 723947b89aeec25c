"""Market events are checked before they are numbered: what is wrong is acted on by nobody.

Good events pass untouched. For a bad one comes an `InputQuarantined` with its content; where the
symbol's prices can no longer be trusted also a `StageStalled` of ``feed:SYMBOL``, which halts new
risk there until `StageRecovered`. A clock that steps back is a `ConnectionChanged`. The table of
behaviours is in ``docs/trading.md``, "Bad input".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite, isinf
from typing import Any

from genesis.domain.errors import did_you_mean
from genesis.domain.timeline import format_ts
from genesis.trading.events import Event, Payload
from genesis.trading.payloads import (
    BarClosed,
    BarCorrected,
    BarOpened,
    BarRange,
    BarsMissing,
    CandlesReady,
    ConnectionChanged,
    FundingDue,
    InputQuarantined,
    NewsReceived,
    Quote,
    ScheduleDue,
    StageRecovered,
    StageStalled,
    SymbolEnded,
)
from genesis.trading.plausible import (
    BAR_FIELDS,
    IntakeRules,
    PriceLevel,
    bar_fault,
    price_fault,
)

NEVER = -(2**62)
_BY_BAR, _BY_QUOTE, _BY_SILENCE = "bar", "quote", "silence"


class _Track:
    """What is known of one symbol's events so far.

    `opened_ms` is the bar that began last, good or not; `refused_ms` the last one of which some
    part was refused; `ranged_ms` and `closed_ms` the last bars whose range and close were good.
    """

    __slots__ = (
        "closed_ms",
        "final",
        "funding_ms",
        "level",
        "open",
        "opened_ms",
        "quote_ms",
        "ranged_ms",
        "refused_ms",
        "stalled",
    )

    def __init__(self, level: PriceLevel) -> None:
        self.level = level
        self.opened_ms = self.refused_ms = self.ranged_ms = self.closed_ms = NEVER
        self.quote_ms = self.funding_ms = NEVER
        self.open = 0.0
        self.stalled = ""
        self.final: dict[int, BarClosed] = {}

    def has(self, open_ms: int) -> bool:
        """Whether a bar came to a good end; before the first end seen, it may have in the log."""
        return self.closed_ms == open_ms or (self.closed_ms == NEVER and self.refused_ms < open_ms)


class Intake:
    """Checks market events of one source before they are published.

    After a restart, show it the market events at the end of the log (`check`, and forget what it
    returns): it then stands where it stood.

    Parameters
    ----------
    symbols : sequence of str
        Those that exist.
    interval_ms, anchor_ms : int
        Grid of their bars.
    rules : IntakeRules, optional
    source : str
        Name for messages and events.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        interval_ms: int,
        anchor_ms: int,
        rules: IntakeRules | None = None,
        source: str = "feed",
    ) -> None:
        self.rules = rules or IntakeRules()
        self._source = source
        self._interval_ms = interval_ms
        self._anchor_ms = anchor_ms
        self._tracks = {symbol: _Track(self._new_level()) for symbol in symbols}
        self._ready_ms = NEVER
        self._now_ms = NEVER
        self._watched_ms = NEVER
        self._clock_back = False
        self._checks: dict[type[Payload], Callable[[Event, Any], list[Event] | None]] = {
            Quote: self._quote,
            BarOpened: self._opened,
            BarRange: self._range,
            BarClosed: self._closed,
            FundingDue: self._funding,
            BarCorrected: self._corrected,
            CandlesReady: self._ready,
            SymbolEnded: self._ended,
            NewsReceived: self._origin,
            ScheduleDue: self._origin,
        }

    def check(self, event: Event) -> list[Event]:
        """Events to publish for one that came: itself if it is good."""
        check = self._checks.get(type(event.data))
        found = None if check is None else check(event, event.data)
        return [event] if found is None else found

    def confirm(self, symbol: str, price: float) -> bool:
        """Hear the price of a second source; return whether it confirms a level in doubt."""
        track = self._tracks.get(symbol)
        return track is not None and track.level.confirm(price)

    def trade(self, symbol: str, ts_ms: int, price: float, size: float) -> list[Event]:
        """Check a trade before it is built in; no events if it is fine. It may be a late one."""
        event = Event(Quote(symbol, price, price, price), ts_ms, symbol)
        track = self._tracks.get(symbol)
        if track is None:
            return self._unknown(event, symbol)
        why = self._ahead(ts_ms)
        if not why and not 0.0 <= size < inf:
            why = f"size {size!r} is no amount"
        if why:
            return [self._quarantined(symbol, why, f"{event.data!r} of size {size!r}", ts_ms)]
        why = price_fault("price", price)
        if not why:
            late = ts_ms < track.quote_ms  # says nothing of where the price is now
            slot = ts_ms - (ts_ms - self._anchor_ms) % self._interval_ms
            level = track.level
            if not (level.near(price) if late else level.judge(price, slot)):
                why = _jump(price, level)
        return self._distrusted(event, symbol, track, why, _BY_QUOTE) if why else []

    def candle(
        self,
        symbol: str,
        open_ms: int,
        values: tuple[float, float, float, float, float],
        ts_ms: int,
    ) -> list[Event]:
        """Check a bar that may still change, before it is built in; no events if it is fine.

        Parameters
        ----------
        symbol : str
        open_ms : int
        values : tuple of float
            Open, high, low, close, volume.
        ts_ms : int
            When it came.
        """
        event = Event(BarClosed(symbol, self._interval_ms, open_ms, *values), ts_ms, symbol)
        track = self._tracks.get(symbol)
        if track is None:
            return self._unknown(event, symbol)
        off_grid = (open_ms - self._anchor_ms) % self._interval_ms
        why = "its open time is not on the grid" if off_grid else self._ahead(open_ms)
        if why:
            return [self._refused(event, symbol, why)]
        level = track.level
        why = bar_fault(*values)
        if not why and open_ms >= track.opened_ms and not level.judge(values[3], open_ms):
            why = _jump(values[3], level)
        if not why and not (level.near(values[1]) and level.near(values[2])):
            why = _jump(values[1] if level.near(values[2]) else values[2], level)
        return self._distrusted(event, symbol, track, why, _BY_QUOTE) if why else []

    # ---- time ---------------------------------------------------------------------------------

    def clock(self, now_ms: int) -> list[Event]:
        """Tell the time; the events say that it stepped back, or caught up again."""
        latest = self._now_ms
        if now_ms >= latest:
            self._now_ms = now_ms
            if self._clock_back:
                self._clock_back = False
                return [Event(ConnectionChanged("clock", True, "the clock caught up"), now_ms)]
        elif not self._clock_back and now_ms < latest - self.rules.back_ms:
            self._clock_back = True
            why = f"the clock stepped back by {latest - now_ms} ms, from {format_ts(latest)}"
            return [Event(ConnectionChanged("clock", False, why), now_ms)]
        return []

    def watch(self, now_ms: int) -> list[Event]:
        """Events for symbols whose bars stay away; to be asked again and again by a live run."""
        if self._watched_ms == NEVER:
            since = (now_ms - self._anchor_ms) // self._interval_ms * self._interval_ms
            self._watched_ms = self._anchor_ms + since - self._interval_ms
        found = []
        for symbol, track in self._tracks.items():
            last = self._watched_ms if track.closed_ms == NEVER else track.closed_ms
            late = now_ms - self.rules.silence_ms - (last + 2 * self._interval_ms)
            if late > 0 and not track.stalled:
                track.stalled = _BY_SILENCE
                lag = late // self._interval_ms + 1
                age = late + self.rules.silence_ms
                found.append(self._stalled(symbol, now_ms, lag, age, track))
        return found

    # ---- one event ----------------------------------------------------------------------------

    def _new_level(self) -> PriceLevel:
        rules = self.rules
        return PriceLevel(rules.max_jump, rules.agree, rules.confirm_bars)

    # Each gives None if the event is good, else what is published instead.

    def _quote(self, event: Event, data: Quote) -> list[Event] | None:
        track = self._tracks.get(data.symbol)
        if track is None:
            return self._unknown(event, data.symbol)
        last, low, high, ts_ms = data.last, data.low, data.high, event.ts_ms
        if ts_ms < track.quote_ms:
            why = f"late: a quote of {format_ts(track.quote_ms)} came before"
            return [self._refused(event, data.symbol, why)]
        if why := self._ahead(ts_ms):
            return [self._refused(event, data.symbol, why)]
        if not 0.0 < low <= last <= high < inf:
            why = price_fault("last", last) or price_fault("low", low) or price_fault("high", high)
            why = why or f"last {last!r} is outside {low!r} to {high!r}"
            return self._distrusted(event, data.symbol, track, why, _BY_QUOTE)
        level = track.level
        slot = ts_ms - (ts_ms - self._anchor_ms) % self._interval_ms
        if not level.judge(last, slot):
            return self._distrusted(event, data.symbol, track, _jump(last, level), _BY_QUOTE)
        if not (level.near(low) and level.near(high)):
            far = high if level.near(low) else low
            return self._distrusted(event, data.symbol, track, _jump(far, level), _BY_QUOTE)
        track.quote_ms = ts_ms
        if track.stalled == _BY_QUOTE:
            return [event, self._recovered(data.symbol, track, ts_ms)]
        return None

    def _opened(self, event: Event, data: BarOpened) -> list[Event] | None:
        symbol, open_ms = data.symbol, data.open_ms
        track = self._tracks.get(symbol)
        if track is None:
            return self._unknown(event, symbol)
        if data.interval_ms != self._interval_ms or (open_ms - self._anchor_ms) % self._interval_ms:
            why = f"a bar at {open_ms} is not on the grid of {self._interval_ms} ms"
            return [self._refused(event, symbol, why)]
        last = track.opened_ms
        if open_ms <= last:
            why = "duplicate: this bar began before" if open_ms == last else _late(track)
            return [self._refused(event, symbol, why)]
        if why := self._ahead(open_ms):
            return [self._refused(event, symbol, why)]
        track.opened_ms = open_ms
        found: list[Event] = []
        if last != NEVER and open_ms > last + self._interval_ms:
            first = last + self._interval_ms
            missing = (open_ms - first) // self._interval_ms
            gap = BarsMissing(symbol, self._interval_ms, first, missing)
            found.append(Event(gap, event.ts_ms, symbol))
        why = price_fault("open", data.open)
        if not why and not track.level.judge(data.open, open_ms):
            why = _jump(data.open, track.level)
        if why:
            track.refused_ms = open_ms
            return found + self._distrusted(event, symbol, track, why, _BY_BAR)
        track.open = data.open
        return [*found, event] if found else None

    def _range(self, event: Event, data: BarRange) -> list[Event] | None:
        track = self._tracks.get(data.symbol)
        if track is None:
            return self._unknown(event, data.symbol)
        if why := self._misplaced(track, data.open_ms, track.ranged_ms):
            return [self._refused(event, data.symbol, why)]
        high, low, open_ = data.high, data.low, track.open or data.high
        why = bar_fault(open_, high, low, open_, 0.0)
        if not why and not (track.level.near(low) and track.level.near(high)):
            why = _jump(high if track.level.near(low) else low, track.level)
        if why:
            track.refused_ms = data.open_ms
            return self._distrusted(event, data.symbol, track, why, _BY_BAR)
        track.opened_ms = track.ranged_ms = data.open_ms  # after a restart it may be the first sign
        return None

    def _closed(self, event: Event, data: BarClosed) -> list[Event] | None:
        symbol, open_ms = data.symbol, data.open_ms
        track = self._tracks.get(symbol)
        if track is None:
            return self._unknown(event, symbol)
        before = track.final.get(open_ms)
        if before is not None:
            return self._again(event, data, before)
        why = bar_fault(data.open, data.high, data.low, data.close, data.volume)
        if place := self._misplaced(track, open_ms, track.closed_ms):
            if open_ms == track.refused_ms and not why:
                track.level.judge(data.close, open_ms)  # the bar's vote on a new level
            return [self._refused(event, symbol, place)]
        if open_ms == track.opened_ms != track.ranged_ms:
            track.refused_ms = open_ms
            return [self._refused(event, symbol, "the range of this bar never came")]
        level = track.level
        if not why and (isinf(data.funding) or isinf(data.sentiment)):
            why = "funding or sentiment is infinite"
        if not why and not (level.near(data.low) and level.near(data.high)):
            why = _jump(data.high if level.near(data.low) else data.low, level)
        if why:
            track.refused_ms = open_ms
            if 0.0 < data.close < inf and not level.near(data.close):
                level.judge(data.close, open_ms)
            return self._distrusted(event, symbol, track, why, _BY_BAR)
        level.judge(data.close, open_ms)
        track.opened_ms = track.closed_ms = open_ms
        track.final[open_ms] = data
        if len(track.final) > self.rules.remembered:
            del track.final[next(iter(track.final))]
        if track.stalled:
            return [event, self._recovered(symbol, track, event.ts_ms)]
        return None

    def _again(self, event: Event, data: BarClosed, before: BarClosed) -> list[Event]:
        """A final bar that comes again: what changed in it are corrections, never an edit."""
        if why := bar_fault(data.open, data.high, data.low, data.close, data.volume):
            return [self._refused(event, data.symbol, f"correction: {why}")]
        changes = [
            BarCorrected(
                data.symbol, data.open_ms, name, getattr(before, name), getattr(data, name)
            )
            for name in BAR_FIELDS
            if getattr(before, name) != getattr(data, name)
        ]
        if not changes:
            return [self._refused(event, data.symbol, "duplicate: this bar is final, and equal")]
        self._tracks[data.symbol].final[data.open_ms] = data
        return [Event(change, event.ts_ms, data.symbol) for change in changes]

    def _funding(self, event: Event, data: FundingDue) -> list[Event] | None:
        track = self._tracks.get(data.symbol)
        if track is None:
            return self._unknown(event, data.symbol)
        if event.ts_ms <= track.funding_ms:
            why = f"duplicate or late: funding of {format_ts(track.funding_ms)} came before"
            return [self._refused(event, data.symbol, why)]
        if not abs(data.rate) <= self.rules.max_funding:
            why = f"funding rate {data.rate!r} is beyond {self.rules.max_funding:g}"
            return [self._refused(event, data.symbol, why)]
        if data.mark is not None:
            why = price_fault("mark", data.mark)
            if why or not track.level.near(data.mark):
                return [self._refused(event, data.symbol, why or _jump(data.mark, track.level))]
        track.funding_ms = event.ts_ms
        return None

    def _corrected(self, event: Event, data: BarCorrected) -> list[Event] | None:
        if data.symbol not in self._tracks:
            return self._unknown(event, data.symbol)
        fine = data.after >= 0.0 if data.field == "volume" else data.after > 0.0
        if data.field not in BAR_FIELDS or not fine or not isfinite(data.after):
            why = f"correction of {data.field} to {data.after!r} is impossible"
            return [self._refused(event, data.symbol, why)]
        return None

    def _ready(self, event: Event, data: CandlesReady) -> list[Event] | None:
        if data.open_ms <= self._ready_ms:
            why = "duplicate or late: strategies have decided on this bar"
            return [self._refused(event, "", why)]
        self._ready_ms = data.open_ms
        tracks = self._tracks
        kept = [s for s in data.symbols if s in tracks and tracks[s].has(data.open_ms)]
        if len(kept) == len(data.symbols):
            return None
        if not kept:
            return []  # each of its bars is in quarantine: there is nothing to decide on
        ready = CandlesReady(data.interval_ms, data.open_ms, tuple(kept))
        return [Event(ready, event.ts_ms, event.aggregate)]

    def _ended(self, event: Event, data: SymbolEnded) -> list[Event] | None:
        track = self._tracks.get(data.symbol)
        if track is None:
            return self._unknown(event, data.symbol)
        if why := price_fault("close", data.close):
            return self._distrusted(event, data.symbol, track, why, _BY_BAR)
        return None

    def _origin(self, event: Event, data: NewsReceived | ScheduleDue) -> list[Event] | None:
        unknown = [symbol for symbol in data.symbols if symbol not in self._tracks]
        return self._unknown(event, unknown[0]) if unknown else None

    # ---- what is published instead ------------------------------------------------------------

    def _misplaced(self, track: _Track, open_ms: int, done_ms: int) -> str:
        """Why the range or close of a bar does not belong here, empty if it does."""
        if open_ms == track.refused_ms:
            return "a part of this bar was refused before"
        if open_ms == done_ms:
            return "duplicate: this came before"
        if track.opened_ms == NEVER:
            return self._ahead(open_ms)
        if open_ms == track.opened_ms:
            return ""
        return _late(track) if open_ms < track.opened_ms else "the opening of this bar never came"

    def _ahead(self, ts_ms: int) -> str:
        ahead = ts_ms - self._now_ms
        if self._now_ms == NEVER or ahead <= self.rules.ahead_ms:
            return ""
        return f"its time {format_ts(ts_ms)} is {ahead} ms ahead of the clock"

    def _unknown(self, event: Event, symbol: str) -> list[Event]:
        why = f"unknown symbol '{symbol}'{did_you_mean(symbol, self._tracks)}"
        return [self._refused(event, symbol, why)]

    def _refused(self, event: Event, symbol: str, why: str) -> Event:
        return self._quarantined(symbol, why, repr(event.data), event.ts_ms)

    def _quarantined(self, symbol: str, why: str, content: str, ts_ms: int) -> Event:
        """Event that keeps refused content."""
        more = len(content) - self.rules.content
        if more > 0:
            content = f"{content[: self.rules.content]}… ({more} more characters)"
        source = f"{self._source}:{symbol}" if symbol else self._source
        return Event(InputQuarantined(source, why, content), ts_ms, symbol)

    def _distrusted(
        self, event: Event, symbol: str, track: _Track, why: str, cause: str
    ) -> list[Event]:
        """Refuse an event whose prices are wrong, and halt new risk on its symbol."""
        found = [self._refused(event, symbol, why)]
        if not track.stalled:
            age = max(event.ts_ms - track.closed_ms - self._interval_ms, 0)
            age = 0 if track.closed_ms == NEVER else age
            found.append(self._stalled(symbol, event.ts_ms, 1, age, track))
        if track.stalled != _BY_BAR:
            track.stalled = cause
        return found

    def _stalled(self, symbol: str, ts_ms: int, lag: int, age_ms: int, track: _Track) -> Event:
        stage = f"feed:{symbol}"
        last = 0 if track.closed_ms == NEVER else track.closed_ms + self._interval_ms
        return Event(StageStalled(stage, lag, age_ms, last), ts_ms, stage)

    def _recovered(self, symbol: str, track: _Track, ts_ms: int) -> Event:
        track.stalled = ""
        stage = f"feed:{symbol}"
        return Event(StageRecovered(stage), ts_ms, stage)


def _late(track: _Track) -> str:
    return f"late: the bar of {format_ts(track.opened_ms)} came before"


def _jump(price: float, level: PriceLevel) -> str:
    return f"price {price!r} is far from the last good one, {level.good!r}"
