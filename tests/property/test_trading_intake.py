"""Whatever comes in: nothing is lost, what passes is possible, and halts come in pairs."""

from __future__ import annotations

from math import inf, isfinite, nan

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.trading.events import Event
from genesis.trading.intake import Intake
from genesis.trading.payloads import (
    BarClosed,
    BarCorrected,
    BarOpened,
    BarRange,
    BarsMissing,
    CandlesReady,
    FundingDue,
    InputQuarantined,
    Quote,
    StageRecovered,
    StageStalled,
)
from genesis.trading.plausible import IntakeRules, PriceLevel

STEP = 60_000
NAMES = ("A", "B", "C")  # C is unknown to the check
FACTOR = 10.0

prices = st.one_of(
    st.floats(80.0, 120.0),
    st.floats(900.0, 2_500.0),
    st.sampled_from([nan, 0.0, -5.0, inf, 1e-9, 8.0, 100.0]),
)
places = st.integers(0, 9)


@st.composite
def events(draw: st.DrawFn) -> Event:
    symbol, begin = draw(st.sampled_from(NAMES)), draw(places) * STEP
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return Event(
            BarOpened(symbol, STEP, begin + draw(st.sampled_from([0, 0, 0, 7])), draw(prices)),
            begin,
        )
    if kind == 1:
        return Event(BarRange(symbol, begin, draw(prices), draw(prices)), begin + STEP)
    if kind == 2:
        values = [draw(prices) for _ in range(4)]
        return Event(BarClosed(symbol, STEP, begin, *values, draw(prices)), begin + STEP)
    if kind == 3:
        return Event(CandlesReady(STEP, begin, tuple(draw(st.sets(st.sampled_from(NAMES))))), begin)
    if kind == 4:
        return Event(Quote(symbol, draw(prices), draw(prices), draw(prices)), begin + draw(places))
    return Event(FundingDue(symbol, draw(st.sampled_from([0.001, nan, 5.0]))), begin, symbol)


@st.composite
def whole_bars(draw: st.DrawFn) -> list[Event]:
    """The events of a bar that is possible in itself, at some level."""
    symbol, begin = draw(st.sampled_from(NAMES[:2])), draw(places) * STEP
    level = draw(st.sampled_from([100.0, 100.0, 2_000.0]))
    open_, close = level * draw(st.floats(0.9, 1.1)), level * draw(st.floats(0.9, 1.1))
    high, low = max(open_, close) * 1.01, min(open_, close) * 0.99
    return [
        Event(BarOpened(symbol, STEP, begin, open_), begin, symbol),
        Event(BarRange(symbol, begin, high, low), begin + STEP, symbol),
        Event(BarClosed(symbol, STEP, begin, open_, high, low, close, 1.0), begin + STEP, symbol),
        Event(CandlesReady(STEP, begin, (symbol,)), begin + STEP),
    ]


streams = st.lists(st.one_of(events().map(lambda e: [e]), whole_bars()), max_size=40).map(
    lambda parts: [event for part in parts for event in part]
)


def new() -> Intake:
    return Intake(NAMES[:2], STEP, 0, IntakeRules(max_jump=FACTOR))


@settings(max_examples=300, deadline=None)
@given(streams)
def test_every_event_passes_untouched_or_its_content_is_on_record(stream: list[Event]) -> None:
    checker = new()
    for event in stream:
        out = checker.check(event)
        beside = [e for e in out if e is not event]
        if any(e is event for e in out):
            assert all(isinstance(e.data, BarsMissing | StageRecovered) for e in beside)
        elif isinstance(event.data, CandlesReady):
            # the bars that it names and that did not pass are in quarantine already
            assert all(isinstance(e.data, CandlesReady | InputQuarantined) for e in out)
        elif any(isinstance(e.data, BarCorrected) for e in out):
            assert all(isinstance(e.data, BarCorrected) for e in out)
        else:
            kept = [e.data.content for e in out if isinstance(e.data, InputQuarantined)]
            assert kept == [repr(event.data)]


@settings(max_examples=300, deadline=None)
@given(streams)
def test_what_passes_is_a_possible_market_in_its_order(stream: list[Event]) -> None:
    checker = new()
    began: dict[str, int] = {}
    ranged: dict[str, int] = {}
    closed: dict[str, int] = {}
    stalled: set[str] = set()
    ready = -1
    for event in (out for e in stream for out in checker.check(e)):
        data = event.data
        if isinstance(data, BarOpened):
            assert data.open_ms > began.get(data.symbol, -1)
            assert 0 < data.open < inf
            began[data.symbol] = data.open_ms
        elif isinstance(data, BarRange):
            assert 0 < data.low <= data.high < inf
            assert began.get(data.symbol, data.open_ms) == data.open_ms
            assert data.open_ms > ranged.get(data.symbol, -1)
            ranged[data.symbol] = data.open_ms
        elif isinstance(data, BarClosed):
            assert 0 < data.low <= min(data.open, data.close)
            assert max(data.open, data.close) <= data.high < inf
            assert data.volume >= 0
            assert isfinite(data.volume)
            assert data.open_ms > closed.get(data.symbol, -1)
            if data.symbol in began:
                assert began[data.symbol] == ranged[data.symbol] == data.open_ms
            closed[data.symbol] = data.open_ms
        elif isinstance(data, Quote):
            assert 0 < data.low <= data.last <= data.high < inf
        elif isinstance(data, CandlesReady):
            assert data.open_ms > ready
            assert all(closed.get(s, data.open_ms) == data.open_ms for s in data.symbols)
            ready = data.open_ms
        elif isinstance(data, StageStalled):
            assert data.stage not in stalled
            stalled.add(data.stage)
        elif isinstance(data, StageRecovered):
            stalled.remove(data.stage)


def believed(votes: list[tuple[float, int]], bars: int, agree: float) -> list[bool]:
    """Which prices are good, by looking back over the whole history at each step."""
    good, history = [votes[0][0]], [True]
    for i, (price, _) in enumerate(votes[1:], start=1):
        if good[-1] / FACTOR <= price <= good[-1] * FACTOR:
            good.append(price)
            history.append(True)
            continue
        run = [votes[i]]
        for j in range(i - 1, -1, -1):  # jumps before it, each agreeing with the one after it
            at, after = votes[j][0], run[-1][0]
            if history[j] or not at / agree <= after <= at * agree:
                break
            run.append(votes[j])
        slots = {slot for _, slot in run}
        history.append(len(slots) >= bars)
        if history[-1]:
            good.append(price)
    return history


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([100.0, 50.0, 2000.0, 1500.0, 2600.0, 3.0]), st.integers(0, 1)),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 4),
)
def test_a_level_is_believed_by_the_rule(steps: list[tuple[float, int]], bars: int) -> None:
    slot, votes = 0, []
    for price, later in steps:
        slot += later
        votes.append((price, slot))
    level = PriceLevel(FACTOR, 1.5, bars)
    assert [level.judge(price, at) for price, at in votes] == believed(votes, bars, 1.5)
