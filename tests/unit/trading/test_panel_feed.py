"""A dataset as events, against a plain walk over its rows and the backtest's own frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from genesis.backtest.frame import frame_of
from genesis.backtest.passes import accumulate_due
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.errors import DataError
from genesis.market.panel import Panel
from genesis.trading.events import Event
from genesis.trading.feed import Phase, resume_after
from genesis.trading.feeds import panel as panel_feed
from genesis.trading.feeds.panel import PanelFeed, carried_due
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    CandlesReady,
    FundingDue,
    Quote,
    SymbolEnded,
    encode,
)
from tests.oracle.wild_market import HOUR, wild_series

START = 1_700_000_000_000 // HOUR * HOUR


def several(seed: int, bars: int = 120, missing: float = 0.2) -> Panel:
    """Three symbols: one of all bars, one listed late, one that ends early."""
    rng = np.random.default_rng(seed)
    symbols = (
        wild_series(rng, bars, name="AAA", missing=missing),
        wild_series(rng, bars, name="BBB", missing=missing, starts=bars // 3),
        wild_series(rng, bars, name="CCC", missing=missing, ends=bars // 2),
    )
    stamps = START + np.arange(bars, dtype=np.int64) * HOUR
    return Panel("wild", "test", HOUR, stamps, symbols, f"several-{seed}")


def by_hand(panel: Panel) -> Iterator[tuple[int, list[tuple[object, ...]]]]:
    """Phases by a walk over the rows, with nothing but comparisons and sums."""
    owed = [0.0] * len(panel.symbols)
    for t in range(panel.bars):
        ts = int(panel.ts_ms[t])
        opens: list[tuple[object, ...]] = []
        ranges: list[tuple[object, ...]] = []
        closes: list[tuple[object, ...]] = []
        ends: list[tuple[object, ...]] = []
        ready = []
        for i, s in enumerate(panel.symbols):
            rate = float(s.funding_due[t])
            owed[i] += 0.0 if math.isnan(rate) else rate
            if not s.valid[t]:
                continue
            o, h, lo, c = (float(x[t]) for x in (s.open, s.high, s.low, s.close))
            if owed[i] != 0.0 and t > s.first:
                opens.append(("funding", s.symbol, owed[i]))
            owed[i] = 0.0
            opens.append(("open", s.symbol, ts, o))
            ranges.append(("range", s.symbol, ts, max(o, h), min(o, lo)))
            level, mood = float(s.funding[t]), float(s.sentiment[t])
            closes.append(("close", s.symbol, ts, o, h, lo, c, float(s.volume[t]), level, mood))
            ready.append(s.symbol)
            if t == s.last and t < panel.bars - 1:
                ends.append(("end", s.symbol, c))
        if not ready:
            continue
        yield ts, opens
        yield ts + HOUR, ranges
        yield ts + HOUR, [*closes, ("ready", ts, tuple(ready))]
        if ends:
            yield ts + HOUR, ends


def told(event: Event) -> tuple[object, ...]:
    """An event in the words of `by_hand`."""
    match event.data:
        case FundingDue(symbol, rate, None):
            return ("funding", symbol, rate)
        case BarOpened(symbol, 3_600_000, open_ms, price):
            return ("open", symbol, open_ms, price)
        case BarRange(symbol, open_ms, high, low):
            return ("range", symbol, open_ms, high, low)
        case BarClosed(symbol, 3_600_000, open_ms, o, h, lo, c, v, f, s):
            return ("close", symbol, open_ms, o, h, lo, c, v, f, s)
        case CandlesReady(3_600_000, open_ms, symbols):
            return ("ready", open_ms, symbols)
        case SymbolEnded(symbol, close):
            return ("end", symbol, close)
    raise AssertionError(event)


def same(a: object, b: object) -> bool:
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))  # type: ignore[arg-type]


def bytes_of(phases: list[Phase]) -> list[tuple[int, tuple[tuple[int, str, bytes], ...]]]:
    return [
        (p.ts_ms, tuple((e.ts_ms, e.aggregate, encode(e.data)) for e in p.events)) for p in phases
    ]


@pytest.mark.parametrize("seed", range(6))
def test_events_are_those_of_a_walk_over_the_rows(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel_feed, "CHUNK", 7)  # chunk borders inside the test
    panel = several(seed, missing=0.5 if seed % 2 else 0.1)
    got, wanted = list(PanelFeed(panel).phases()), list(by_hand(panel))
    assert [p.ts_ms for p in got] == [ts for ts, _ in wanted]
    for phase, (ts, rows) in zip(got, wanted, strict=True):
        assert len(phase.events) == len(rows)
        for event, row in zip(phase.events, rows, strict=True):
            assert event.ts_ms == ts
            assert all(same(a, b) for a, b in zip(told(event), row, strict=True)), (event, row)
            assert event.aggregate == ("" if row[0] == "ready" else row[1])


@pytest.mark.parametrize("seed", range(4))
def test_prices_and_funding_are_those_of_the_backtest(seed: int) -> None:
    panel = several(seed)
    frames = {
        s.symbol: frame_of(panel, i, 1.0, EvaluationSetup()) for i, s in enumerate(panel.symbols)
    }
    seen: dict[str, list[int]] = {name: [] for name in frames}
    for phase in PanelFeed(panel).phases():
        for event in phase.events:
            if isinstance(event.data, CandlesReady | SymbolEnded):
                continue
            frame = frames[event.data.symbol]  # type: ignore[attr-defined]
            if isinstance(event.data, FundingDue):
                assert event.data.rate == frame.due[(event.ts_ms - START) // HOUR]
                continue
            t = (event.data.open_ms - START) // HOUR  # type: ignore[attr-defined]
            if isinstance(event.data, BarRange):
                assert (event.data.high, event.data.low) == (frame.high[t], frame.low[t])
            elif isinstance(event.data, BarOpened):
                assert event.data.open == frame.open[t]
                seen[event.data.symbol].append(t)
    for name, frame in frames.items():
        assert seen[name] == np.flatnonzero(frame.valid).tolist()


def test_carried_funding_adds_in_the_order_of_the_backtest() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        due = np.where(rng.uniform(size=90) < 0.5, rng.standard_normal(90), 0.0)
        due[rng.integers(90)] = np.nan
        valid = rng.uniform(size=90) < 0.5
        assert carried_due(due, valid).tolist() == accumulate_due(due, valid).tolist()


def test_what_is_carried_into_a_continuation_pays_funding_at_its_first_bar() -> None:
    panel = several(1, missing=0.0)
    first = next(PanelFeed(panel, continued=True).phases())
    assert [type(e.data) for e in first.events[:2]] == [FundingDue, BarOpened]
    assert isinstance(next(PanelFeed(panel).phases()).events[0].data, BarOpened)


@pytest.mark.parametrize("quotes", [0, 1, 4])
def test_a_start_in_between_leaves_what_comes_at_or_after_it(quotes: int) -> None:
    feed = PanelFeed(several(2, bars=40), quotes)
    whole = list(feed.phases())
    assert feed.total == len(whole)
    instants = {p.ts_ms + shift for p in whole for shift in (-1, 0, 1)}
    for instant in sorted(instants):
        left = [p for p in whole if p.ts_ms >= instant]
        assert bytes_of(list(feed.phases(instant))) == bytes_of(left)
        assert feed.count_before(instant) == len(whole) - len(left)


def test_resume_after_every_single_event() -> None:
    feed = PanelFeed(several(3, bars=20), 2)
    events = [e for p in feed.phases() for e in p.events]
    for done, last in enumerate(events, start=1):
        rest = [e for p in resume_after(feed, last) for e in p.events]
        assert [encode(e.data) for e in rest] == [encode(e.data) for e in events[done:]]
    assert len([e for p in resume_after(feed, None) for e in p.events]) == len(events)


def test_resume_refuses_an_event_of_another_feed() -> None:
    stranger = next(PanelFeed(several(9)).phases()).events[-1]
    with pytest.raises(DataError, match="no bar_opened of CCC"):
        list(resume_after(PanelFeed(several(3)), stranger))


def test_a_panel_without_a_bar_is_refused() -> None:
    panel = several(1)
    with pytest.raises(DataError, match="no bar"):
        PanelFeed(panel.sliced(0, 0))


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_quotes_stay_in_the_bar_and_reach_its_corners(count: int) -> None:
    panel = several(4, bars=60)
    inside: dict[str, list[Quote]] = {}
    bars = 0
    for phase in PanelFeed(panel, count).phases():
        for event in phase.events:
            data = event.data
            if isinstance(data, BarOpened):
                inside[data.symbol] = []
                opened = data
            elif isinstance(data, Quote):
                assert opened.open_ms < event.ts_ms < opened.open_ms + HOUR
                inside[data.symbol].append(data)
            elif isinstance(data, BarClosed):
                quotes = inside[data.symbol]
                bars += 1
                assert len(quotes) == count
                assert max(q.high for q in quotes) == max(data.high, data.open)
                assert min(q.low for q in quotes) == min(data.low, data.open)
                assert quotes[-1].last == data.close
                before = data.open
                for q in quotes:
                    assert q.low <= min(before, q.last) <= max(before, q.last) <= q.high
                    before = q.last
    assert bars == sum(int(s.valid.sum()) for s in panel.symbols)


def test_quotes_walk_equal_distances() -> None:
    # open 10, low 8, high 14, close 12: 2 down, 6 up, 2 down, so 2.5 of price a quote
    series = wild_series(np.random.default_rng(0), 1)
    for name, value in {"open": 10.0, "low": 8.0, "high": 14.0, "close": 12.0}.items():
        getattr(series, name)[0] = value
    panel = Panel("one", "test", HOUR, np.array([START]), (series,), "one")
    quotes = [
        e.data for p in PanelFeed(panel, 4).phases() for e in p.events if isinstance(e.data, Quote)
    ]
    assert [(q.last, q.low, q.high) for q in quotes] == [
        (8.5, 8.0, 10.0),
        (11.0, 8.5, 11.0),
        (13.5, 11.0, 13.5),
        (12.0, 12.0, 14.0),
    ]


def test_the_range_holds_an_open_outside_of_it_and_the_close_event_the_bar_as_stored() -> None:
    series = wild_series(np.random.default_rng(0), 2, missing=0.0)
    for name, values in {"open": (10.0, 3.0), "low": (5.0, 5.0), "high": (9.0, 9.0)}.items():
        getattr(series, name)[:] = values
    series.close[:] = 6.0
    panel = Panel("two", "test", HOUR, np.array([START, START + HOUR]), (series,), "two")
    payloads = [e.data for p in PanelFeed(panel, 1).phases() for e in p.events]
    ranges = [(d.low, d.high) for d in payloads if isinstance(d, BarRange)]
    assert ranges == [(5.0, 10.0), (3.0, 9.0)]
    assert ranges == [(d.low, d.high) for d in payloads if isinstance(d, Quote)]
    assert [(d.low, d.high) for d in payloads if isinstance(d, BarClosed)] == [(5.0, 9.0)] * 2


def test_more_quotes_than_milliseconds_are_refused() -> None:
    with pytest.raises(DataError, match="cannot have 3600000 quotes"):
        PanelFeed(several(1), HOUR)


@pytest.mark.parametrize("quotes", [0, 3])
def test_time_never_goes_back(quotes: int) -> None:
    phases = list(PanelFeed(several(5), quotes).phases())
    assert all(a.ts_ms <= b.ts_ms for a, b in pairwise(phases))
    assert all(p.events and all(e.ts_ms == p.ts_ms for e in p.events) for p in phases)
