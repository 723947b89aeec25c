"""The loop: stored before handled, halted on what fails, the same course over any log."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.domain.errors import InfrastructureError, StorageError
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.events import Event
from genesis.trading.loop import BATCH, HaltedOnEvent, TradingLoop
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import (
    BarOpened,
    OrderFilled,
    OrderRejected,
    OrderSubmit,
    TradeIntent,
    encode,
)
from genesis.trading.session import TABLES
from genesis.trading.store import EventReader, EventStore
from tests.unit.trading.core_rig import GUARDED, HOUR, START, Recorded, Rig, Script, of

WISHES = ["", "", "", "long", "", "short", "", "", "exit_short", "long", "", "", "exit_long", ""]


def course(rig: Rig) -> None:
    price = 100.0
    for place, wish in enumerate(WISHES):
        close = price * (1.0 + 0.004 * (place % 3 - 1))
        rig.bar(price, close, wish)
        price = close


def told(events: list[Event]) -> list[tuple[object, ...]]:
    return [
        (e.seq, e.recorded_ms, e.ts_ms, e.caused_by, e.ordinal, e.aggregate, encode(e.data))
        for e in events
    ]


def test_an_event_is_stored_before_anything_of_it_is_handled() -> None:
    rig = Rig(deploy=False)
    stored: list[int] = []
    handle = rig.core.handle

    def watched(event: Event) -> None:
        assert event in rig.log.events
        assert event.seq == len(stored) + 1
        stored.append(event.seq)
        handle(event)

    rig.core.handle = watched  # type: ignore[method-assign]
    rig.deploy()
    course(rig)
    assert stored == list(range(1, len(rig.log.events) + 1))


def test_a_batch_that_cannot_be_stored_is_kept_and_stored_first() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    before = rig.core.state_hash, len(rig.log.events)
    rig.log.failure = StorageError("the disk is full")
    with pytest.raises(StorageError):
        rig.bar(wish="long")
    assert (rig.core.state_hash, len(rig.log.events)) == before
    assert not rig.loop.settled
    rig.bus.publish(Event(BarOpened("BTC", HOUR, START + 99 * HOUR, 1.0), START + 99 * HOUR))
    rig.loop.step()
    assert rig.log.events[before[1]].data == BarOpened("BTC", HOUR, rig.open_ms, 100.0)


def test_rows_of_a_batch_that_failed_are_stored_with_the_next() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    rig.bar(wish="long")
    rows = len(rig.log.rows)
    rig.log.failure = StorageError("the disk is full")
    with pytest.raises(StorageError):
        rig.open(100.0)
    assert len(rig.log.rows) == rows
    rig.loop.run_until_idle()
    rig.loop.flush()
    assert {"fills", "orders", "journal"} <= {table for table, _ in rig.log.rows[rows:]}
    assert len(rig.table("fills")) == 1


def test_rows_are_stored_with_the_batch_after_the_one_that_led_to_them() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    seen: list[tuple[list[Event], list[str]]] = []
    commit = rig.log.commit

    def watched(events: list[Event], rows: list[object]) -> None:
        seen.append((list(events), [row[0] for row in rows]))  # type: ignore[index]
        commit(events, rows)

    rig.log.commit = watched
    rig.bar(wish="long")
    rig.bar()
    for place, (events, _) in enumerate(seen[:-1]):
        for event in events:
            if isinstance(event.data, OrderFilled):
                assert "fills" in seen[place + 1][1]
    assert sum(tables.count("fills") for _, tables in seen) == 1


def test_a_handler_that_fails_halts_trading_until_somebody_looks() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    handle = rig.core.handle

    def broken(event: Event) -> None:
        if isinstance(event.data, TradeIntent):
            raise ZeroDivisionError("a bug")
        handle(event)

    rig.core.handle = broken  # type: ignore[method-assign]
    with pytest.raises(HaltedOnEvent) as caught:
        rig.bar(wish="long")
    event = rig.all(TradeIntent)[0]
    number = next(e.seq for e in rig.log.events if e.data is event)
    assert f"event {number} (trade_intent)" in caught.value.what
    assert "ZeroDivisionError: a bug" in caught.value.why
    assert "quarantine" in caught.value.fix
    handled = rig.loop.handled
    for _ in range(3):
        with pytest.raises(HaltedOnEvent):
            rig.loop.step()
    assert rig.loop.handled == handled
    assert rig.all(OrderSubmit) == []


@pytest.mark.parametrize("where", ["exchange", "interrupt", "bus"])
def test_a_batch_that_was_left_in_its_middle_is_not_gone_past(where: str) -> None:
    """What came after it is stored and was not handled: only a new fold of the log is whole."""
    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.warm()
    failure = KeyboardInterrupt if where == "interrupt" else InfrastructureError

    def fails(*_: object) -> None:
        raise failure("in the middle")

    if where == "bus":
        rig.bus.emit = fails  # type: ignore[method-assign]
    else:
        exchange.submit = fails  # type: ignore[method-assign]
    with pytest.raises(failure):
        rig.bar(wish="long")
    assert not rig.loop.settled, "no snapshot may be taken of this"
    with pytest.raises(InfrastructureError) as caught:
        rig.loop.step()
    assert "resume" in caught.value.fix


def test_emissions_are_numbered_by_their_cause_and_place() -> None:
    rig = Rig(GUARDED)
    course(rig)
    assert rig.position != 0 or rig.all(OrderFilled)
    by_cause: dict[int, list[int]] = {}
    for event in rig.log.events:
        if event.caused_by:
            assert event.caused_by < event.seq
            by_cause.setdefault(event.caused_by, []).append(event.ordinal)
    assert all(sorted(places) == list(range(len(places))) for places in by_cause.values())
    assert all(e.ordinal == 0 for e in rig.log.events if not e.caused_by)


def test_a_batch_has_a_bound() -> None:
    rig = Rig()
    for k in range(3 * BATCH + 7):
        rig.bus.publish(Event(BarOpened("BTC", HOUR, START + k * HOUR, 1.0), START + k * HOUR))
    rig.loop.run_until_idle()
    assert rig.log.batches[1:] == [BATCH, BATCH, BATCH, 7]


def test_what_a_latch_holds_back_is_rejected_not_forgotten() -> None:
    class Latch:
        def closed(self) -> str:
            return "killed by anna"

    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.loop._outlet = Outlet(exchange, rig.timers, Latch())
    rig.warm()
    events = rig.bar(wish="long")
    assert exchange.submitted == []
    (rejected,) = of(events, OrderRejected)
    assert (rejected.what, rejected.reason, rejected.text) == (
        "submit",
        "latched",
        "killed by anna",
    )
    assert rig.deployment.plan_id == ""


def test_a_latch_does_not_keep_a_position_in() -> None:
    class Latch:
        def __init__(self) -> None:
            self.why = ""

        def closed(self) -> str:
            return self.why

    latch, exchange = Latch(), Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.loop._outlet = Outlet(exchange, rig.timers, latch)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    latch.why = "killed by anna"
    rig.bar(wish="exit_long")
    assert exchange.submitted[-1].reduce_only


def test_a_log_in_memory_and_one_on_disk_give_the_same_course(tmp_path: Path) -> None:
    one = Rig(GUARDED)
    course(one)
    folder = tmp_path / "run"

    def opened(clock: object) -> EventStore:
        return EventStore.open(folder, run="run", tables=TABLES, clock=clock, synchronous="OFF")  # type: ignore[arg-type]

    class Kept:
        """The store, with the list that a rig looks at."""

        def __init__(self, clock: object) -> None:
            self.store, self.events = opened(clock), []

        def commit(self, events: list[Event], rows: list[object]) -> None:
            self.store.commit(events, rows)  # type: ignore[arg-type]
            self.events += events

    two = Rig(GUARDED, log=Kept)
    course(two)
    two.loop.flush()
    two.log.store.close()
    assert told(two.log.events) == told(one.log.events)
    assert two.core.state_hash == one.core.state_hash
    with EventReader(folder) as reader:
        assert told(list(reader.events())) == told(one.log.events)
        for name in ("orders", "fills", "trades", "journal", "postings"):
            stored = sorted(tuple(row.values()) for row in reader.rows(name))
            assert stored == sorted(one.table(name)), name


def test_two_loops_with_the_same_input_are_the_same() -> None:
    courses = []
    for _ in range(2):
        rig = Rig(GUARDED)
        course(rig)
        courses.append((told(rig.log.events), rig.core.state_hash, rig.log.rows))
    assert courses[0] == courses[1]


def test_a_loop_starts_with_rows_that_are_not_stored_yet() -> None:
    rig = Rig(deploy=False)
    log = Recorded(rig.clock)
    core = TradingCore("run", rig.core._guard._manager)
    loop = TradingLoop(
        EventBus(rig.clock), log, core, Outlet(rig.exchange, rig.timers), rows=[("t", (1,))]
    )
    loop.flush()
    assert log.rows == [("t", (1,))]
    loop.flush()
    assert log.rows == [("t", (1,))]
