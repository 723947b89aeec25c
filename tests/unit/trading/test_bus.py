"""The bus: order, back-pressure, conflation, overflow, closing."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from genesis.domain.errors import InfrastructureError
from genesis.trading.bus import EventBus
from genesis.trading.events import Event, EventType, Lane
from genesis.trading.payloads import AlertRaised, QueueOverflowed, Quote, ScheduleDue
from tests.unit.trading.event_samples import (
    HandClock,
    critical,
    high,
    low,
    mixed,
    normal,
    quote,
)


def bus(clock: HandClock | None = None, **options: object) -> EventBus:
    return EventBus(clock or HandClock(), **options)  # type: ignore[arg-type]


def in_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def held(b: EventBus, lane: Lane, count: int) -> None:
    """Wait until that many producers are held back."""
    turn = threading.Event()
    for _ in range(5_000):
        if b.held[lane] == count:
            return
        turn.wait(0.001)
    raise AssertionError(f"{b.held[lane]} producers are held back, not {count}")


def test_lanes_come_by_rank_and_each_in_its_order() -> None:
    b = bus()
    for event in (low(1), normal(1), high(1), critical(1), low(2), critical(2), high(2)):
        b.publish(event)
    lanes = [event.lane for event in b.drain()]
    assert lanes == sorted(lanes)
    assert not b.drain()


def test_a_full_lane_holds_its_producer_until_there_is_room() -> None:
    b = bus(capacity={Lane.HIGH: 2})
    b.publish(high(0))
    b.publish(high(1))
    thread = in_thread(lambda: [b.publish(high(n)) for n in (2, 3)])
    held(b, Lane.HIGH, 1)
    assert b.waiting[Lane.HIGH] == 2
    b.publish(normal(0), timeout=0)  # the other lanes are open
    got = [e for e in b.drain() if e.type is EventType.ORDER_ACCEPTED]
    thread.join(5)
    got += [e for e in b.drain() if e.type is EventType.ORDER_ACCEPTED]
    assert [e.ts_ms for e in got] == [0, 1, 2, 3]


def test_a_producer_gives_up_after_its_time_and_keeps_its_event() -> None:
    b = bus(capacity={Lane.HIGH: 1})
    b.publish(high(0))
    with pytest.raises(InfrastructureError, match="HIGH lane"):
        b.publish(high(1), timeout=0.01)
    assert b.held[Lane.HIGH] == 0
    assert [e.ts_ms for e in b.drain() if e.lane is Lane.HIGH] == [0]


def test_held_producers_go_on_in_the_order_in_which_they_came() -> None:
    b = bus(capacity={Lane.HIGH: 4})
    for n in range(4):
        b.publish(high(n))
    threads = []
    for n in range(4, 14):
        threads.append(in_thread(lambda n=n: b.publish(high(n))))
        held(b, Lane.HIGH, n - 3)
    got: list[int] = []
    while len(got) < 14:
        b.wait(5)
        got += [e.ts_ms for e in b.drain() if e.lane is Lane.HIGH]
    assert got == list(range(14))
    for thread in threads:
        thread.join(5)


def test_closing_releases_a_held_producer_and_what_waits_can_be_drained() -> None:
    b = bus(capacity={Lane.HIGH: 1})
    b.publish(high(0))
    raised: list[BaseException] = []

    def produce() -> None:
        try:
            b.publish(high(1))
        except InfrastructureError as error:
            raised.append(error)

    thread = in_thread(produce)
    held(b, Lane.HIGH, 1)
    b.close()
    thread.join(5)
    assert len(raised) == 1
    with pytest.raises(InfrastructureError, match="closed"):
        b.publish(low(0))
    assert [e.ts_ms for e in b.drain() if e.lane is Lane.HIGH] == [0]
    assert not b.wait(0)


def test_the_loop_never_waits_for_itself_and_its_reserve_is_bounded() -> None:
    b = bus(capacity={Lane.HIGH: 3}, reserve=5)
    b.emit([high(n) for n in range(8)])
    with pytest.raises(InfrastructureError, match="5 events past its capacity of 3"):
        b.emit([critical(0), high(8)])
    got = b.drain()
    assert [e.ts_ms for e in got if e.lane is Lane.HIGH] == list(range(8))
    assert not any(e.lane is Lane.CRITICAL for e in got)  # all of an emission or nothing


def test_the_thread_that_drains_does_not_wait_for_itself_when_it_publishes() -> None:
    b = bus(capacity={Lane.HIGH: 2}, reserve=1)
    b.drain()
    for n in range(3):
        b.publish(high(n))  # the third goes past the bound instead of waiting for ever
    with pytest.raises(InfrastructureError, match="past its capacity"):
        b.publish(high(3))
    thread = in_thread(lambda: b.publish(high(4)))
    held(b, Lane.HIGH, 1)  # any other thread waits
    got = b.drain()
    thread.join(5)
    got += b.drain()
    assert [e.ts_ms for e in got if e.lane is Lane.HIGH] == [0, 1, 2, 4]


def overflows(events: list[Event]) -> list[QueueOverflowed]:
    return [e.data for e in events if isinstance(e.data, QueueOverflowed)]


def test_an_overflow_is_told_once_until_the_lane_has_emptied_to_four_fifths() -> None:
    b = bus(capacity={Lane.HIGH: 10})
    b.emit([high(n) for n in range(12)])
    b.emit([high(n) for n in range(3)])
    first = overflows(b.drain(4))  # one LOW among four
    assert first == [QueueOverflowed("HIGH", 11, "")]
    assert b.waiting[Lane.HIGH] == 12
    b.drain(4)
    assert b.waiting[Lane.HIGH] == 8  # four fifths: not yet below
    b.emit([high(n) for n in range(4)])
    assert b.waiting[Lane.LOW] == 0
    b.drain(5)
    assert b.waiting[Lane.HIGH] == 7
    b.emit([high(n) for n in range(4)])
    assert overflows(b.drain()) == [QueueOverflowed("HIGH", 11, "")]


def test_an_overflow_that_nobody_waits_for_wakes_the_loop_and_the_full_low_lane_tells_itself() -> (
    None
):
    b = bus(capacity={Lane.LOW: 1})
    b.publish(low(0))
    with pytest.raises(InfrastructureError):
        b.publish(low(1), timeout=0)
    assert overflows(b.drain()) == [QueueOverflowed("LOW", 1, "")]


def test_what_waited_is_copied_to_a_readable_file_and_stays_in_the_lane(tmp_path: Path) -> None:
    clock = HandClock(1_234)
    b = bus(clock, capacity={Lane.NORMAL: 3}, archive=tmp_path / "overflow")
    sent = [normal(0), quote("BTC", 5.0, 7), quote("ETH", 2.0, 8), normal(1)]
    b.emit(sent)
    b.close()  # joins the writer
    path = tmp_path / "overflow" / "overflow-normal-1234-1.parquet"
    events = b.drain()
    assert overflows(events) == [QueueOverflowed("NORMAL", 4, str(path))]
    assert len([e for e in events if e.lane is Lane.NORMAL]) == 4
    table = pq.read_table(path)
    assert table["type"].to_pylist() == [
        "bar_closed",
        "market_data_updated",
        "market_data_updated",
        "bar_closed",
    ]
    assert table["ts_ms"].to_pylist() == [60_000, 7, 8, 120_000]
    assert '"last":5.0' in table["data"].to_pylist()[1]
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_archive_that_cannot_be_written_is_an_alert_and_loses_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    b = bus(capacity={Lane.HIGH: 1}, archive=blocked / "folder")
    b.emit([high(0), high(1)])
    b.close()
    events = b.drain()
    assert len([e for e in events if e.lane is Lane.HIGH]) == 2
    alerts = [e.data for e in events if isinstance(e.data, AlertRaised)]
    assert [a.title for a in alerts] == ["overflow not archived"]


def test_waiting_quotes_of_a_symbol_become_one_with_the_extremes() -> None:
    b = bus()
    for price, ts in ((10.0, 1), (8.0, 2), (12.0, 3), (11.0, 4)):
        b.publish(quote("BTC", price, ts))
        b.publish(quote("ETH", price * 2, ts))
    first, second = b.drain()
    assert first.data == Quote("BTC", 11.0, 8.0, 12.0, 4)
    assert first.ts_ms == 4
    assert second.data == Quote("ETH", 22.0, 16.0, 24.0, 4)


def test_a_quote_that_was_taken_is_not_changed_any_more() -> None:
    b = bus()
    b.publish(quote("BTC", 10.0))
    (taken,) = b.drain()
    b.publish(quote("BTC", 5.0))
    assert taken.data == Quote("BTC", 10.0, 10.0, 10.0, 1)
    assert b.drain()[0].data == Quote("BTC", 5.0, 5.0, 5.0, 1)


@pytest.mark.parametrize(
    "between", [normal(3), Event(ScheduleDue("s", "open"), 5)], ids=["bar", "schedule"]
)
def test_a_quote_overtakes_nothing_else_of_its_lane(between: Event) -> None:
    b = bus()
    for event in (quote("BTC", 10.0), between, quote("BTC", 5.0), quote("BTC", 6.0)):
        b.publish(event)
    got = b.drain()
    assert [e.type for e in got] == [
        EventType.MARKET_DATA_UPDATED,
        between.type,
        EventType.MARKET_DATA_UPDATED,
    ]
    assert got[0].data == Quote("BTC", 10.0, 10.0, 10.0, 1)
    assert got[2].data == Quote("BTC", 6.0, 5.0, 6.0, 2)


def test_a_quote_that_merges_needs_no_room() -> None:
    b = bus(capacity={Lane.NORMAL: 1})
    b.publish(quote("BTC", 1.0))
    b.publish(quote("BTC", 2.0), timeout=0)
    with pytest.raises(InfrastructureError):
        b.publish(quote("ETH", 2.0), timeout=0)


def test_nothing_but_quotes_is_merged() -> None:
    b = bus()
    sent = [maker(0) for maker in (critical, high, normal, low) for _ in range(3)]
    for event in sent:
        b.publish(event)
    assert len(b.drain()) == 12


def test_age_of_the_oldest_and_counts() -> None:
    clock = HandClock()
    b = bus(clock)
    assert (b.oldest_ms, b.idle) == (0, True)
    b.publish(low(0))
    clock.ms += 1_500
    b.publish(critical(0))
    clock.ms += 250
    assert b.oldest_ms == 1_750
    assert b.waiting == {Lane.CRITICAL: 1, Lane.HIGH: 0, Lane.NORMAL: 0, Lane.LOW: 1}
    assert not b.idle
    b.drain()
    assert (b.oldest_ms, b.idle) == (0, True)


def test_the_loop_wakes_when_something_comes_or_the_bus_closes() -> None:
    b = bus()
    answers: list[bool] = []
    thread = in_thread(lambda: answers.append(b.wait(30)))
    while not b._sleeping:
        pass
    b.publish(low(0))
    thread.join(5)
    assert answers == [True]
    b.drain()
    thread = in_thread(lambda: answers.append(b.wait(30)))
    while not b._sleeping:
        pass
    b.close()
    thread.join(5)
    assert answers == [True, False]
    assert bus().wait(0.001) is False


def test_a_drain_has_room_for_every_lane() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        bus().drain(3)


def test_many_producers_lose_nothing_and_keep_their_own_order() -> None:
    b = bus(capacity=dict.fromkeys(Lane, 50))
    makers = {0: critical, 1: high, 2: normal, 3: low}

    def produce(producer: int) -> None:
        for n in range(500):
            b.publish(makers[n % 4](producer * 1_000 + n))

    threads = [in_thread(lambda p=p: produce(p)) for p in range(6)]
    got: list[Event] = []
    while any(thread.is_alive() for thread in threads) or not b.idle:
        b.wait(0.05)
        got += [e for e in b.drain() if not isinstance(e.data, QueueOverflowed)]
    assert len(got) == 3_000
    for lane, maker in makers.items():
        for producer in range(6):
            numbers = [producer * 1_000 + n for n in range(500) if n % 4 == lane]
            own = {maker(n).ts_ms: n for n in numbers}
            assert [own[e.ts_ms] for e in got if e.lane == lane and e.ts_ms in own] == numbers


def test_samples_cover_every_lane() -> None:
    assert {mixed(n).lane for n in range(4)} | {critical(0).lane} == set(Lane)


def test_events_that_are_handed_over_together_travel_as_if_one_by_one() -> None:
    together, singly = bus(), bus()
    batches = [
        [quote("A", 5.0, 1), normal(1), high(1)],
        [quote("A", 3.0, 2), quote("A", 9.0, 3), quote("B", 1.0, 4), low(1)],
        [quote("B", 2.0, 5), normal(2), critical(1)],
    ]
    for batch in batches:
        together.publish_all([msgspec.structs.replace(event) for event in batch])
        for event in batch:
            singly.publish(msgspec.structs.replace(event))
    found = [(e.data, e.ts_ms) for e in together.drain()]
    assert found == [(e.data, e.ts_ms) for e in singly.drain()]
    assert len(found) == 8  # of ten, two quotes were merged


def test_events_that_are_handed_over_together_wait_where_there_is_no_room_for_all() -> None:
    b = bus(capacity={Lane.HIGH: 3})
    b.publish(high(0))
    thread = in_thread(lambda: b.publish_all([high(1), high(2), high(3), high(4)]))
    held(b, Lane.HIGH, 1)
    assert b.waiting[Lane.HIGH] == 3, "those that fit did not wait"
    taken = b.drain()
    thread.join(5)
    found = [event for event in taken + b.drain() if event.lane is Lane.HIGH]
    assert found == [high(n) for n in range(5)]


def test_the_thread_that_drains_hands_over_together_without_waiting() -> None:
    b = bus(capacity={Lane.HIGH: 2}, reserve=3)
    b.drain()
    b.publish_all([high(n) for n in range(5)])
    with pytest.raises(InfrastructureError):
        b.publish_all([high(5)])
    assert len(b.drain()) == 6  # an alert that the lane was full is among them
    b.close()
    with pytest.raises(InfrastructureError, match="closed"):
        b.publish_all([high(6)])
