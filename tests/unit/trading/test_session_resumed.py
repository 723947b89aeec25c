"""What a session does that goes on with a log: its snapshots, its first event, its instant."""

from __future__ import annotations

from pathlib import Path

from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.events import Event
from genesis.trading.lockstep import FeedClock
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import BarOpened, OperatorCommand, RunResumed, TradingResumed
from genesis.trading.schedule import TimerWheel
from genesis.trading.session import TradingSession
from tests.unit.trading.clearing import observing

HOUR = 3_600_000


def opened(folder: Path, start_ms: int, every: int = 10) -> tuple[TradingSession, EventBus]:
    clock = FeedClock(start_ms)
    bus = EventBus(clock)
    outlet = Outlet(None, TimerWheel())  # type: ignore[arg-type]
    core = TradingCore(folder.name, observing())
    session = TradingSession(
        folder, core, bus, outlet, clock, build="b", synchronous="OFF", snapshot_events=every
    )
    return session, bus


def sitting(folder: Path, count: int, start_ms: int = 9 * HOUR) -> tuple[bool, int]:
    """Some events and no farewell; whether a snapshot was due, and events folded before."""
    session, bus = opened(folder, start_ms)
    for number in range(count):
        bus.publish(Event(BarOpened("X", HOUR, number, 100.0), number, "X"))
    session.loop.run_until_idle()
    due = session.maybe_snapshot()
    session.store.close()
    return due, session.recovered


def test_snapshots_come_after_as_many_events_however_often_it_died(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    told = [sitting(folder, 3) for _ in range(4)]
    # 3 events, then 4 each, for a resumed run says so: 3, 7, 11 (the snapshot), 15.
    assert told == [(False, 0), (False, 3), (True, 7), (False, 0)]


def test_a_resumed_run_says_so_now_and_not_when_its_market_began(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    sitting(folder, 3)
    session, bus = opened(folder, 1 * HOUR)
    (first,) = bus.drain()
    assert isinstance(first.data, RunResumed)
    assert first.ts_ms == 9 * HOUR
    session.store.close()


def test_what_was_not_sent_before_the_restart_is_not_put_in_doubt_by_it(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    session, _ = opened(folder, 1)
    commands = [OperatorCommand(word, word, "test", "me") for word in ("halt", "resume")]
    session.store.commit([Event(command, 1, command.command_id) for command in commands])
    session.store.close()  # it died before it handled them
    session, bus = opened(folder, 1)
    kinds = [type(event.data) for event in bus.drain()]
    assert kinds.index(RunResumed) < kinds.index(TradingResumed)
    session.store.close()
