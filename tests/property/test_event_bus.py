"""The bus against a plain model: nothing lost, nothing twice, order kept, nobody starves."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.trading.bus import EventBus
from genesis.trading.events import Event, Lane
from genesis.trading.payloads import QueueOverflowed, Quote
from tests.unit.trading.event_samples import HandClock, critical, high, low, normal, quote

MAKERS = {Lane.CRITICAL: critical, Lane.HIGH: high, Lane.NORMAL: normal, Lane.LOW: low}

publishes = st.tuples(st.just("publish"), st.sampled_from(list(Lane)))
quotes = st.tuples(st.just("quote"), st.sampled_from("AB"), st.integers(1, 9))
drains = st.tuples(st.just("drain"), st.integers(4, 40))
steps = st.lists(st.one_of(publishes, publishes, quotes, drains), max_size=200)


def run(actions: list[tuple]) -> tuple[list[Event], list[Event]]:  # type: ignore[type-arg]
    """Events as they were sent, and as they were drained."""
    bus = EventBus(HandClock())
    sent: list[Event] = []
    got: list[Event] = []
    for n, action in enumerate(actions):
        if action[0] == "drain":
            got += bus.drain(action[1])
        elif action[0] == "quote":
            bus.publish(quote(action[1], float(action[2]), n))
            sent.append(quote(action[1], float(action[2]), n))
        else:
            bus.publish(MAKERS[action[1]](n))
            sent.append(MAKERS[action[1]](n))
    while rest := bus.drain(40):
        got += rest
    return sent, got


@settings(max_examples=200, deadline=None)
@given(steps)
def test_nothing_is_lost_or_doubled_and_each_lane_keeps_its_order(actions: list) -> None:  # type: ignore[type-arg]
    sent, got = run(actions)
    for lane in Lane:
        wanted = [e.data for e in sent if e.lane is lane and not isinstance(e.data, Quote)]
        assert [e.data for e in got if e.lane is lane and not isinstance(e.data, Quote)] == wanted


@settings(max_examples=200, deadline=None)
@given(steps)
def test_quotes_are_the_brute_force_sums_of_what_they_stand_for(actions: list) -> None:  # type: ignore[type-arg]
    sent, got = run(actions)
    for symbol in "AB":
        prices = [
            e.data.last for e in sent if isinstance(e.data, Quote) and e.data.symbol == symbol
        ]
        place = 0
        for event in got:
            if not isinstance(event.data, Quote) or event.data.symbol != symbol:
                continue
            part = prices[place : place + event.data.count]
            place += event.data.count
            assert event.data == Quote(symbol, part[-1], min(part), max(part), len(part))
        assert place == len(prices)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_no_quote_overtakes_another_event_of_its_lane(actions: list) -> None:  # type: ignore[type-arg]
    sent, got = run(actions)
    lane = [e for e in got if e.lane is Lane.NORMAL]
    others = [e for e in sent if e.lane is Lane.NORMAL and not isinstance(e.data, Quote)]
    seen = 0  # other events of the lane so far
    for event in lane:
        if isinstance(event.data, Quote):
            # Its latest part was sent after exactly those others that came out before it.
            assert sum(place < event.ts_ms for place in _places(others)) == seen
        else:
            seen += 1


def _places(bars: list[Event]) -> list[int]:
    # ``ts_ms`` of a quote is the number of its step; a bar's is derived from its own.
    return [bar.ts_ms // 60_000 - 1 for bar in bars]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(4, 300),
    st.lists(st.tuples(st.sampled_from(list(Lane)), st.integers(1, 400)), max_size=8),
    st.sampled_from(list(Lane)),
    st.integers(0, 60),
    st.data(),
)
def test_a_waiting_event_is_delivered_within_the_bound(
    limit: int,
    before: list[tuple[Lane, int]],
    lane: Lane,
    ahead: int,
    data: st.DataObject,
) -> None:
    bus = EventBus(HandClock())
    for other, count in before:
        if other is not lane:
            bus.emit([MAKERS[other](n) for n in range(count)])
    bus.emit([MAKERS[lane](n) for n in range(ahead)])
    target = MAKERS[lane](999_999)
    bus.emit([target])
    bound = ahead // max(1, limit // 16) + 1
    for _ in range(bound):
        if any(event is target for event in bus.drain(limit)):
            return
        # Whatever the others do meanwhile.
        flood = data.draw(st.sampled_from([other for other in Lane if other is not lane]))
        bus.emit([MAKERS[flood](n) for n in range(limit)])
    raise AssertionError(f"not within {bound} drains")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=40), st.integers(5, 20))
def test_overflow_is_told_once_an_episode(steps: list[int], capacity: int) -> None:
    bus = EventBus(HandClock(), dict.fromkeys(Lane, capacity))
    armed, told, waiting = True, 0, 0
    counted: Counter[str] = Counter()
    for number, count in enumerate(steps):
        for _ in range(count if number % 2 == 0 else 0):
            bus.emit([high(number)])
            waiting += 1
            if armed and waiting > capacity:
                armed, told = False, told + 1
        if number % 2:
            got = bus.drain(max(count, 4))
            waiting -= sum(e.lane is Lane.HIGH for e in got)
            armed = armed or waiting < 0.8 * capacity
            counted.update(e.data.lane for e in got if isinstance(e.data, QueueOverflowed))
    while got := bus.drain(64):
        counted.update(e.data.lane for e in got if isinstance(e.data, QueueOverflowed))
    assert counted["HIGH"] == told
