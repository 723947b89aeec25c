"""A stored run: begun, dropped at any step, gone on with from its log."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import InfrastructureError, RefusedError, StorageError
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.events import Event
from genesis.trading.events import EventType as T
from genesis.trading.lockstep import FeedClock
from genesis.trading.loop import HaltedOnEvent
from genesis.trading.order_manager import OrderSettings
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import OperatorCommand, RunResumed
from genesis.trading.planners import EntryPlanner
from genesis.trading.quarantine import quarantine
from genesis.trading.schedule import TimerWheel
from genesis.trading.session import TradingSession, read_state, write_state
from genesis.trading.store import EventReader
from tests.unit.trading.clearing import observing
from tests.unit.trading.core_rig import GUARDED, START, Rig, Script
from tests.unit.trading.test_loop import course

TABLES = ("orders", "order_states", "fills", "trades", "journal", "postings", "trade_plans")


def inputs() -> list[Event]:
    """What a course of bars brings from outside, answers of the exchange included."""
    rig = Rig(GUARDED)
    course(rig)
    return [event for event in rig.log.events if not event.caused_by]


class Sitting:
    """One process on a run: a fresh core, brought to where the log is."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.clock = FeedClock(START)
        self.bus = EventBus(self.clock)
        self.core = TradingCore("run", observing(), orders=OrderSettings(ack_ms=0))
        self.exchange = Script(accepts=False)
        self.exchange.connect(self.bus.publish)
        outlet = Outlet(self.exchange, TimerWheel())
        self.session = TradingSession(
            folder, self.core, self.bus, outlet, self.clock,
            build="b2", synchronous="OFF", **more,
        )  # fmt: skip

    def hear(self, event: Event) -> None:
        """Publish an input at its time."""
        self.clock.advance(event.ts_ms)
        self.bus.publish(Event(event.data, event.ts_ms, event.aggregate))

    def work(self) -> None:
        """Run until nothing waits."""
        self.session.loop.run_until_idle()

    def drop(self) -> None:
        """The process is gone: what was not stored is lost."""
        self.session.store.close()


def whole(folder: Path, events: list[Event], **more: Any) -> TradingCore:
    sitting = Sitting(folder, **more)
    for event in events:
        sitting.hear(event)
        sitting.work()
    sitting.session.close()
    return sitting.core


def tables(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of the ledger and journal, without the numbers of events."""
    with EventReader(folder) as reader:
        return {
            name: sorted(
                tuple(v for k, v in row.items() if k not in ("seq", "origin_seq"))
                for row in reader.rows(name)
            )
            for name in TABLES
        }


def test_a_run_begins_and_is_gone_on_with(tmp_path: Path) -> None:
    first = Sitting(tmp_path / "run")
    assert (first.session.resumed, first.session.recovered, first.session.head_seq) == (
        False,
        0,
        0,
    )
    assert first.bus.idle
    events = inputs()
    for event in events[:20]:
        first.hear(event)
        first.work()
    first.session.close()
    second = Sitting(tmp_path / "run")
    assert second.session.resumed
    assert second.session.recovered == 0, "from the snapshot"
    assert second.core.state_hash == first.core.state_hash
    second.work()
    last = second.session.last_event([T.RUN_RESUMED])
    assert last is not None
    assert last.data == RunResumed("b2")


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    one = Sitting(tmp_path / "run")
    with pytest.raises(RefusedError):
        Sitting(tmp_path / "run")
    one.session.close()
    Sitting(tmp_path / "run").session.close()


@pytest.mark.parametrize("at", range(6, 60, 3))
def test_a_run_dropped_between_two_steps_ends_like_one_that_was_not(
    at: int, tmp_path: Path
) -> None:
    """Nothing is in flight: the exchange of these runs answers within the same input."""
    events = inputs()
    core = whole(tmp_path / "a" / "run", events)
    first = Sitting(tmp_path / "b" / "run")
    for event in events[:at]:
        first.hear(event)
        first.work()
    orders = first.core.desk.orders.open_orders()
    settled = all(order.state in ("resting", "trigger_wait", "partial") for order in orders)
    first.drop()
    second = Sitting(tmp_path / "b" / "run")
    assert second.session.recovered == first.session.head_seq
    second.work()
    for event in events[at:]:
        second.hear(event)
        second.work()
    second.session.close()
    if settled:
        assert second.core.state_hash == core.state_hash
        assert tables(tmp_path / "b" / "run") == tables(tmp_path / "a" / "run")


def test_what_was_committed_and_not_handled_is_handled_by_the_next(tmp_path: Path) -> None:
    events = inputs()
    place = next(k for k, e in enumerate(events) if e.type is T.ORDER_ACCEPTED)
    first = Sitting(tmp_path / "run")
    for event in events[: place - 1]:
        first.hear(event)
        first.work()
    first.hear(events[place - 1])
    while not first.session.last_event([T.TRADE_INTENT]):
        first.session.loop.step()
    intent = first.session.last_event([T.TRADE_INTENT])
    first.drop()  # the order was emitted and is not stored
    second = Sitting(tmp_path / "run")
    second.work()
    submit = second.session.last_event([T.ORDER_SUBMIT])
    assert submit is not None
    assert intent is not None
    assert submit.caused_by == intent.seq
    assert [o.order_id for o in second.exchange.submitted] == [submit.aggregate]


def test_an_order_that_may_have_left_is_asked_for_and_never_sent_again(tmp_path: Path) -> None:
    events = inputs()
    place = next(k for k, e in enumerate(events) if e.type is T.ORDER_ACCEPTED)
    first = Sitting(tmp_path / "run")
    for event in events[:place]:
        first.hear(event)
        first.work()
    (sent,) = first.exchange.submitted
    first.drop()
    second = Sitting(tmp_path / "run")
    second.work()
    assert second.exchange.submitted == []
    assert second.exchange.queried == [sent.client_id]
    (order,) = second.core.desk.orders.open_orders()
    assert order.state == "unknown"


def test_rows_that_were_not_stored_are_stored_by_the_next(tmp_path: Path) -> None:
    events = inputs()
    whole(tmp_path / "a" / "run", events)
    first = Sitting(tmp_path / "b" / "run")
    for event in events:
        first.hear(event)
        first.work()
    first.drop()  # without a flush: the rows of the last batch are gone
    second = Sitting(tmp_path / "b" / "run")
    second.session.loop.flush()
    second.drop()
    assert tables(tmp_path / "b" / "run") == tables(tmp_path / "a" / "run")


def test_snapshots_are_taken_after_so_many_events_and_shorten_recovery(tmp_path: Path) -> None:
    events = inputs()
    first = Sitting(tmp_path / "run", snapshot_events=25)
    taken = []
    for event in events:
        first.hear(event)
        first.work()
        if first.session.maybe_snapshot():
            taken.append(first.session.head_seq)
    assert len(taken) > 2
    assert all(b - a >= 25 for a, b in pairwise(taken))
    head = first.session.head_seq
    first.drop()
    second = Sitting(tmp_path / "run", snapshot_events=25)
    assert second.session.recovered == head - taken[-1]
    assert second.core.state_hash == first.core.state_hash


def test_no_snapshot_while_events_wait(tmp_path: Path) -> None:
    sitting = Sitting(tmp_path / "run", snapshot_events=1)
    sitting.hear(inputs()[0])
    assert not sitting.session.maybe_snapshot()
    with pytest.raises(StorageError) as caught:
        sitting.session.snapshot()
    assert caught.value.fix
    sitting.work()
    assert sitting.session.maybe_snapshot()


def test_another_build_is_refused_and_leaves_the_run_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = inputs()
    first = Sitting(tmp_path / "run")
    for event in events:
        first.hear(event)
        first.work()
    state, head = first.core.state_hash, first.session.head_seq
    first.drop()
    from msgspec.structs import replace

    plan = EntryPlanner.plan
    other: Callable[..., Any] = lambda self, signal: replace(plan(self, signal), kind="limit")  # noqa: E731
    monkeypatch.setattr(EntryPlanner, "plan", other)
    with pytest.raises(InfrastructureError) as caught:
        Sitting(tmp_path / "run")
    assert "cannot be continued" in caught.value.what
    monkeypatch.undo()
    again = Sitting(tmp_path / "run")
    assert (again.core.state_hash, again.session.head_seq) == (state, head)


def test_an_event_that_cannot_be_handled_holds_the_run_until_it_is_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = inputs()

    def broken(self: object, signal: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(EntryPlanner, "plan", broken)
    first = Sitting(tmp_path / "run")

    def all_of_it() -> None:
        for event in events:
            first.hear(event)
            first.work()

    with pytest.raises(HaltedOnEvent):
        all_of_it()
    assert first.session.loop.fault is not None
    seq = first.session.loop.fault.event.seq
    first.session.close()
    with EventReader(tmp_path / "run") as reader:
        assert reader.latest_snapshot() is None, "a broken state is not kept"
    with pytest.raises(HaltedOnEvent) as caught:
        Sitting(tmp_path / "run")
    assert f"event {seq} " in caught.value.what
    quarantine(tmp_path / "run", seq, "a bug", "anna", START)
    second = Sitting(tmp_path / "run")
    second.work()
    assert second.session.last_event([T.TRADE_INTENT]) is None
    second.session.close()


class Watching:
    """A witness that notes what it is shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []
        self.restored: dict[str, Any] | None = None

    def see(self, event: Event, *, acts: bool) -> None:
        self.seen.append((event.seq, acts))

    def plain(self) -> dict[str, Any]:
        return {"seen": len(self.seen)}

    def restore(self, value: dict[str, Any]) -> None:
        self.restored = dict(value)


def test_a_witness_sees_what_was_carried_out_and_no_more(tmp_path: Path) -> None:
    events = inputs()
    first = Sitting(tmp_path / "run")
    for event in events:
        first.hear(event)
        first.work()
    first.drop()
    with EventReader(tmp_path / "run") as reader:
        log = list(reader.events())
    commands = [e.seq for e in log if e.type in (T.ORDER_SUBMIT, T.ORDER_CANCEL, T.ORDER_MODIFY)]
    witness = Watching()
    second = Sitting(tmp_path / "run", witness=witness)
    assert [seq for seq, _ in witness.seen] == [e.seq for e in log]
    assert [seq for seq, acts in witness.seen if acts] == commands
    second.work()
    second.session.close()
    again = Watching()
    third = Sitting(tmp_path / "run", witness=again)
    assert again.restored == {"seen": len(log)}
    assert again.seen == []
    third.drop()


def test_a_witness_is_not_told_that_a_quarantined_order_left(tmp_path: Path) -> None:
    events = inputs()
    first = Sitting(tmp_path / "run")
    for event in events:
        first.hear(event)
        first.work()
    first.drop()
    with EventReader(tmp_path / "run") as reader:
        orders = [e.seq for e in reader.events(types=[T.ORDER_SUBMIT])]
    pair = next(b for a, b in pairwise(orders) if b == a + 1)
    quarantine(tmp_path / "run", pair, "not this one", "anna", START)
    witness = Watching()
    with pytest.raises((InfrastructureError, HaltedOnEvent)):
        Sitting(tmp_path / "run", witness=witness)
    acted = {seq for seq, acts in witness.seen if acts}
    assert pair - 1 in acted
    assert pair not in acted


def test_a_state_travels_as_bytes_and_damage_is_told() -> None:
    rig = Rig(GUARDED)
    course(rig)
    state = rig.core.plain()
    core = TradingCore("run", observing(), orders=OrderSettings(ack_ms=0))
    core.restore(read_state(write_state(state)))
    assert core.state_hash == rig.core.state_hash
    for damaged in (b"\xc1", b"", write_state(state)[:-3], b"\x01"):
        with pytest.raises(StorageError):
            read_state(damaged)


def test_commands_of_a_person_are_known_by_their_id(tmp_path: Path) -> None:
    sitting = Sitting(tmp_path / "run")
    command = OperatorCommand("CMD_7", "halt", "why", "anna", {})
    sitting.bus.publish(Event(command, START, "CMD_7"))
    assert not sitting.session.knows_command("CMD_7")
    sitting.work()
    assert sitting.session.knows_command("CMD_7")
    assert not sitting.session.knows_command("CMD_8")
