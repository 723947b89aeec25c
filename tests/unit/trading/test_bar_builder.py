"""Live bars against bars computed from all trades at once, and the order that replay has."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.errors import DataError
from genesis.trading.events import Event, Payload
from genesis.trading.feeds.builder import BarBuilder, Gap
from genesis.trading.feeds.live import LiveMarket
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.intake import Intake
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
    Quote,
    StageStalled,
)
from tests.oracle.wild_market import wild_panel

STEP, GRACE = 60_000, 2_000


class Heard:
    """A back-fill that only writes down what it hears."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []

    def missing(self, gap: Gap) -> None:
        self.gaps.append(gap)


def builder(*symbols: str, backfill: Heard | None = None, **options: int) -> BarBuilder:
    return BarBuilder(symbols or ("A",), STEP, 0, GRACE, backfill, **options)


def said(events: list[Event]) -> list[Payload]:
    return [event.data for event in events]


def names(events: list[Event]) -> list[str]:
    return [f"{type(e.data).__name__} {e.aggregate}".strip() for e in events]


# ---- trades ------------------------------------------------------------------------------------


def test_a_bar_is_final_when_the_next_one_begins() -> None:
    build = builder()
    assert said(build.trade("A", 10, 100.0, 1.0, 10)) == [BarOpened("A", STEP, 0, 100.0)]
    assert build.trade("A", 20, 103.0, 2.0, 20) == []
    assert build.trade("A", 30, 99.0, 1.5, 30) == []
    out = build.trade("A", STEP, 101.0, 1.0, STEP)
    ranged, closed, ready, opened = said(out)
    assert ranged == BarRange("A", 0, 103.0, 99.0)
    assert isinstance(closed, BarClosed)
    assert (closed.open, closed.high, closed.low, closed.close) == (100.0, 103.0, 99.0, 99.0)
    assert closed.volume == 4.5
    assert math.isnan(closed.funding)
    assert ready == CandlesReady(STEP, 0, ("A",))
    assert opened == BarOpened("A", STEP, STEP, 101.0)
    assert [e.ts_ms for e in out] == [STEP] * 4


def test_a_bar_is_final_when_its_grace_is_over_and_not_before() -> None:
    build = builder()
    assert build.next_ms is None
    build.trade("A", 10, 100.0, 1.0, 10)
    assert build.next_ms == STEP + GRACE
    assert build.advance(STEP + GRACE - 1) == []
    # within the grace a trade of the old bar still counts
    assert build.trade("A", STEP - 1, 105.0, 1.0, STEP + 500) == []
    out = build.advance(STEP + GRACE)
    assert names(out) == ["BarRange A", "BarClosed A", "CandlesReady"]
    assert said(out)[0] == BarRange("A", 0, 105.0, 100.0)


def test_the_barrier_waits_for_all_and_holds_back_the_next_opens() -> None:
    build = builder("A", "B")
    build.trade("A", 10, 100.0, 1.0, 10)
    build.trade("B", 11, 10.0, 1.0, 11)
    assert names(build.trade("A", STEP + 1, 101.0, 1.0, STEP + 1)) == ["BarRange A", "BarClosed A"]
    assert build.trade("A", STEP + 2, 102.0, 1.0, STEP + 2) == []
    out = build.trade("B", STEP + 3, 11.0, 1.0, STEP + 3)
    assert names(out) == ["BarRange B", "BarClosed B", "CandlesReady", "BarOpened A", "BarOpened B"]
    assert said(out)[3] == BarOpened("A", STEP, STEP, 101.0)  # its first trade, not its last


def test_the_barrier_does_not_wait_for_ever_and_tells_the_gap() -> None:
    heard = Heard()
    build = builder("A", "B", backfill=heard)
    for t in (0, 1):
        build.trade("A", t * STEP, 100.0, 1.0, t * STEP)
        build.trade("B", t * STEP, 10.0, 1.0, t * STEP)
    build.trade("A", 2 * STEP, 100.0, 1.0, 2 * STEP)
    out = build.advance(2 * STEP + GRACE)
    assert said(out)[-2] == CandlesReady(STEP, STEP, ("A", "B"))
    out = build.advance(3 * STEP + GRACE)  # B had no trade in bar 2
    assert said(out)[-1] == CandlesReady(STEP, 2 * STEP, ("A",))
    assert heard.gaps == [Gap("B", 2 * STEP, 1)]


def test_a_long_silence_is_one_gap() -> None:
    heard = Heard()
    build = builder(backfill=heard)
    build.trade("A", 0, 100.0, 1.0, 0)
    out = build.trade("A", 7 * STEP, 100.0, 1.0, 7 * STEP)
    assert names(out) == ["BarRange A", "BarClosed A", "CandlesReady", "BarOpened A"]
    assert heard.gaps == [Gap("A", STEP, 6)]


def test_a_late_trade_corrects_and_edits_nothing() -> None:
    build = builder()
    build.trade("A", 10, 100.0, 1.0, 10)
    build.trade("A", STEP, 100.0, 1.0, STEP)
    assert said(build.trade("A", 5, 104.0, 2.0, STEP + 9)) == [
        BarCorrected("A", 0, "high", 100.0, 104.0),
        BarCorrected("A", 0, "volume", 1.0, 3.0),
    ]
    assert said(build.trade("A", 11, 103.0, 1.0, STEP + 10)) == [
        BarCorrected("A", 0, "close", 100.0, 103.0),
        BarCorrected("A", 0, "volume", 3.0, 4.0),
    ]


def test_a_backfilled_bar_is_a_correction_from_nothing() -> None:
    build = builder()
    build.trade("A", 0, 100.0, 1.0, 0)
    build.trade("A", 2 * STEP, 100.0, 1.0, 2 * STEP)
    out = said(build.candle("A", STEP, (1.0, 3.0, 0.5, 2.0, 7.0), 2 * STEP + 5))
    assert all(isinstance(c, BarCorrected) and math.isnan(c.before) for c in out)
    after = {c.field: c.after for c in out if isinstance(c, BarCorrected)}
    assert after == {"open": 1.0, "high": 3.0, "low": 0.5, "close": 2.0, "volume": 7.0}
    assert build.candle("A", STEP, (1.0, 3.0, 0.5, 2.0, 7.0), 2 * STEP + 6) == []


def test_a_bar_that_began_before_the_trades_came_is_not_built() -> None:
    build = builder(start_ms=30_000)
    assert build.trade("A", 40_000, 100.0, 1.0, 40_000) == []
    assert names(build.trade("A", STEP, 101.0, 1.0, STEP)) == ["BarOpened A"]


def test_memory_of_final_bars_is_bounded() -> None:
    build = builder(remembered=3)
    for t in range(50):
        build.trade("A", t * STEP, 100.0, 1.0, t * STEP)
    assert len(build._symbols["A"].final) == 3
    build.trade("A", 0, 1.0, 1.0, 50 * STEP - 1)
    assert len(build._symbols["A"].final) <= 3


def test_no_symbol_is_refused() -> None:
    with pytest.raises(DataError, match="no symbol"):
        BarBuilder((), STEP)


# ---- candles -----------------------------------------------------------------------------------


def test_candle_updates_replace_each_other_and_the_open_is_corrected() -> None:
    build = builder()
    assert names(build.candle("A", 0, (10.0, 11.0, 9.0, 10.0, 1.0), 5)) == ["BarOpened A"]
    assert build.candle("A", 0, (10.5, 12.0, 9.0, 11.0, 2.0), 6) == []
    out = said(build.candle("A", STEP, (11.0, 11.0, 11.0, 11.0, 0.1), STEP))
    assert out[0] == BarCorrected("A", 0, "open", 10.0, 10.5)
    assert out[1] == BarRange("A", 0, 12.0, 9.0)
    closed = out[2]
    assert isinstance(closed, BarClosed)
    assert (closed.open, closed.close, closed.volume) == (10.5, 11.0, 2.0)


@pytest.mark.parametrize(("announced", "high", "low"), [(8.0, 11.0, 8.0), (12.0, 12.0, 9.0)])
def test_the_range_holds_the_open_that_was_announced(
    announced: float, high: float, low: float
) -> None:
    build = builder()
    build.candle("A", 0, (announced, announced, announced, announced, 1.0), 5)  # orders met it
    build.candle("A", 0, (10.0, 11.0, 9.0, 10.0, 1.0), 6)
    assert BarRange("A", 0, high, low) in said(build.advance(STEP + GRACE))


def test_the_exchange_may_say_that_a_bar_is_final() -> None:
    build = builder()
    out = build.candle("A", 0, (10.0, 11.0, 9.0, 10.0, 1.0), STEP, final=True)
    assert names(out) == ["BarOpened A", "BarRange A", "BarClosed A", "CandlesReady"]
    assert build.candle("A", 0, (10.0, 11.0, 9.0, 10.0, 1.0), STEP + 1, final=True) == []
    assert said(build.candle("A", 0, (10.0, 11.5, 9.0, 10.0, 1.0), STEP + 2)) == [
        BarCorrected("A", 0, "high", 11.0, 11.5)
    ]


def test_a_panel_fed_as_candles_comes_out_as_its_replay() -> None:
    panel = wild_panel(11, 120, missing=0.0)
    series, symbol = panel.symbols[0], "WILD"
    build = BarBuilder((symbol,), panel.interval_ms, int(panel.ts_ms[0]), 1_000)
    out: list[Event] = []
    for t, ts in enumerate(panel.ts_ms.tolist()):
        if series.funding_due[t] != 0.0:
            build.settled(symbol, float(series.funding_due[t]), ts, panel.interval_ms * 3)
        o, h, lo, c = (float(x[t]) for x in (series.open, series.high, series.low, series.close))
        out += build.candle(symbol, ts, (o, o, o, o, 0.0), ts + 1)
        out += build.candle(symbol, ts, (o, h, lo, c, float(series.volume[t])), ts + 2)
    out += build.advance(int(panel.ts_ms[-1]) + panel.interval_ms + 1_000)

    def told(events: list[Event]) -> list[tuple[object, ...]]:
        return [
            (
                e.ts_ms,
                *(
                    getattr(e.data, f)
                    for f in e.data.__struct_fields__
                    if f not in ("funding", "sentiment")
                ),
            )
            for e in events
        ]

    assert told(out) == told([e for p in PanelFeed(panel).phases() for e in p.events])


# ---- funding and sentiment ---------------------------------------------------------------------


def test_funding_is_due_at_the_next_open_and_known_before_the_close() -> None:
    build = builder()
    build.settled("A", 0.5, 0, STEP)  # before its first bar: nothing can be held
    build.trade("A", 0, 100.0, 1.0, 0)
    build.settled("A", 0.001, STEP, 8 * 3_600_000, mark=99.0)
    build.settled("A", 0.002, STEP + 1, 8 * 3_600_000)
    out = said(build.trade("A", STEP, 101.0, 1.0, STEP))
    closed = out[1]
    assert isinstance(closed, BarClosed)
    assert closed.funding == 0.5 * 8 * 3_600_000 / STEP  # stamped strictly before the close
    assert out[-2:] == [FundingDue("A", 0.001, 99.0), BarOpened("A", STEP, STEP, 101.0)]
    out = said(build.trade("A", 2 * STEP, 101.0, 1.0, 2 * STEP))
    assert out[1].funding == 0.002  # type: ignore[attr-defined]
    assert out[-2] == FundingDue("A", 0.002, None)


def test_stale_levels_are_unknown() -> None:
    build = builder()
    build.settled("A", 0.1, 0, STEP)
    build.sentiment(30.0, 0)
    build.trade("A", 0, 100.0, 1.0, 0)
    seen = []
    for t in range(1, 6):
        out = said(build.trade("A", t * STEP, 100.0, 1.0, t * STEP))
        seen += [(d.funding, d.sentiment) for d in out if isinstance(d, BarClosed)]
    assert [math.isnan(f) for f, _ in seen] == [False, False, False, True, True]
    assert {s for _, s in seen} == {30.0}


# ---- properties --------------------------------------------------------------------------------

trades = st.lists(
    st.tuples(
        st.sampled_from("AB"),
        st.integers(0, 3 * STEP),  # pause before it
        st.integers(0, STEP),  # how late it arrives
        st.floats(1.0, 100.0),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(trades)
def test_bars_and_corrections_together_are_the_bars_of_all_trades(
    steps: list[tuple[str, int, int, float]],
) -> None:
    build, now = builder("A", "B"), 0
    out: list[Event] = []
    arrived: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for symbol, pause, late, price in steps:
        now += pause
        ts = max(now - late, 0)
        arrived.setdefault((symbol, ts // STEP * STEP), []).append((ts, price))
        out += build.trade(symbol, ts, price, 1.0, now)
    out += build.advance(now + 3 * STEP)

    values: dict[tuple[str, int], dict[str, float]] = {}
    for data in said(out):
        if isinstance(data, BarClosed):
            assert (data.symbol, data.open_ms) not in values  # final once
            names_ = ("open", "high", "low", "close", "volume")
            values[data.symbol, data.open_ms] = {n: getattr(data, n) for n in names_}
        elif isinstance(data, BarCorrected):
            held = values.setdefault((data.symbol, data.open_ms), {})
            before = held.get(data.field, math.nan)
            assert before == data.before or (math.isnan(before) and math.isnan(data.before))
            held[data.field] = data.after
    assert set(values) == set(arrived)
    for key, ticks in arrived.items():
        latest = max(ts for ts, _ in ticks)
        got = values[key]
        assert got["open"] == ticks[0][1]  # the one that was announced: the first to arrive
        assert got["high"] == max(price for _, price in ticks)
        assert got["low"] == min(price for _, price in ticks)
        assert got["close"] == [price for ts, price in ticks if ts == latest][-1]
        assert got["volume"] == len(ticks)


@settings(max_examples=300, deadline=None)
@given(trades)
def test_the_order_is_that_of_replay(steps: list[tuple[str, int, int, float]]) -> None:
    build, now = builder("A", "B"), 0
    out: list[Event] = []
    for symbol, pause, late, price in steps:
        now += pause
        out += build.trade(symbol, max(now - late, 0), price, 1.0, now)
        assert build.next_ms is None or build.next_ms > now
    out += build.advance(now + 3 * STEP)
    state: dict[str, tuple[str, int]] = {}
    ready = [-1]
    for data in said(out):
        if isinstance(data, BarOpened):
            kind, open_ms = state.get(data.symbol, ("closed", -1))
            assert kind == "closed"
            assert max(open_ms, ready[-1]) < data.open_ms
            state[data.symbol] = ("opened", data.open_ms)
        elif isinstance(data, BarRange):
            assert state[data.symbol] == ("opened", data.open_ms)
            state[data.symbol] = ("ranged", data.open_ms)
        elif isinstance(data, BarClosed):
            assert state[data.symbol] == ("ranged", data.open_ms)
            state[data.symbol] = ("closed", data.open_ms)
        elif isinstance(data, CandlesReady):
            ready.append(data.open_ms)
            closed = tuple(s for s in "AB" if state.get(s) == ("closed", data.open_ms))
            assert data.symbols == closed
            assert closed
    assert all(a < b for a, b in pairwise(ready))
    assert {open_ms for _, open_ms in state.values()} <= set(ready)


# ---- the whole path ----------------------------------------------------------------------------


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000


def live(**options: bool) -> tuple[LiveMarket, Hands, list[Payload]]:
    clock, out = Hands(), []
    market = LiveMarket(
        clock,
        Intake(("A",), STEP, 0, source="venue"),
        BarBuilder(("A",), STEP, 0, GRACE),
        lambda event: out.append(event.data),
        **options,
    )
    return market, clock, out


def test_a_bad_trade_never_reaches_a_bar() -> None:
    market, clock, out = live()
    rng = np.random.default_rng(0)
    good = []
    for k in range(300):
        clock.now = k * 1_000
        price = float(rng.uniform(95, 105))
        market.trade("A", clock.now, price, 1.0)
        good.append((clock.now, price))
        if k % 7 == 3:
            bad = [math.nan, -1.0, 0.0, 5_000.0, math.inf][k % 5]
            market.trade("A", clock.now, bad, 1.0)
    closes = [d for d in out if isinstance(d, BarClosed)]
    assert len(closes) == 4
    for bar in closes:
        inside = [p for ts, p in good if bar.open_ms <= ts < bar.open_ms + STEP]
        assert (bar.open, bar.close) == (inside[0], inside[-1])
        assert (bar.high, bar.low) == (max(inside), min(inside))
        assert bar.volume == len(inside)
    assert sum(isinstance(d, InputQuarantined) for d in out) == len(range(3, 300, 7))
    assert sum(isinstance(d, Quote) for d in out) == 300


def test_a_late_trade_counts_in_its_bar_and_is_no_quote() -> None:
    market, clock, out = live()
    clock.now = 2_000
    market.trade("A", 2_000, 100.0, 1.0)
    market.trade("A", 1_000, 104.0, 1.0)
    clock.now = STEP + GRACE
    market.advance()
    assert sum(isinstance(d, Quote) for d in out) == 1
    assert not any(isinstance(d, InputQuarantined) for d in out)
    closed = next(d for d in out if isinstance(d, BarClosed))
    assert (closed.high, closed.close, closed.volume) == (104.0, 100.0, 2.0)


def test_bad_candles_are_kept_out_and_a_new_level_comes_in_with_the_third_bar() -> None:
    market, clock, out = live()
    for t, price in enumerate([100.0, 2000.0, 2000.0, 2000.0, 2000.0]):
        clock.now = t * STEP
        market.candle("A", clock.now, (price, price, price, price, 1.0))
        market.candle("A", clock.now, (price, price, math.nan, price, 1.0))
    clock.now += STEP + GRACE
    market.advance()
    assert [d.open for d in out if isinstance(d, BarClosed)] == [100.0, 2000.0, 2000.0]
    assert [d for d in out if isinstance(d, BarsMissing)] == [BarsMissing("A", STEP, STEP, 2)]
    assert sum(isinstance(d, InputQuarantined) for d in out) == 5 + 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("DOGE", 0, (1.0, 1.0, 1.0, 1.0, 1.0)), "unknown symbol"),
        (("A", 5, (1.0, 1.0, 1.0, 1.0, 1.0)), "grid"),
        (("A", 100 * STEP, (1.0, 1.0, 1.0, 1.0, 1.0)), "ahead"),
        (("A", 0, (1.0, 0.5, 1.0, 1.0, 1.0)), "high 0.5 is below"),
    ],
)
def test_impossible_candles(call: tuple[str, int, tuple[float, ...]], words: str) -> None:
    market, _, out = live()
    market.candle(*call)  # type: ignore[arg-type]
    assert isinstance(out[0], InputQuarantined)
    assert words in out[0].why
    assert out[0].source == f"venue:{call[0]}"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("DOGE", 0, 1.0, 1.0), "unknown symbol"),
        (("A", 10**9, 1.0, 1.0), "ahead"),
        (("A", 0, 1.0, -1.0), "size -1.0"),
        (("A", 0, 1.0, math.nan), "size nan"),
        (("A", 0, -1.0, 1.0), "price -1.0 is no price"),
    ],
)
def test_impossible_trades(call: tuple[str, int, float, float], words: str) -> None:
    market, _, out = live()
    market.trade(*call)
    assert isinstance(out[0], InputQuarantined)
    assert words in out[0].why


def test_silence_and_a_clock_that_steps_back_are_told() -> None:
    market, clock, out = live(quotes=False)
    market.trade("A", 0, 100.0, 1.0)
    clock.now = 3 * STEP
    market.advance()
    assert any(isinstance(d, StageStalled) and d.stage == "feed:A" for d in out)
    clock.now = STEP
    market.advance()
    assert isinstance(out[-1], ConnectionChanged)
    assert not out[-1].connected
    assert not any(isinstance(d, Quote) for d in out)
