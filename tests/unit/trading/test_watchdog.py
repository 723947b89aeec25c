"""The watch: what it tells, to whom, and what it survives."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path

import pytest

from genesis.domain.errors import StorageError
from genesis.system.clock import SystemClock
from genesis.trading.bus import EventBus
from genesis.trading.loop import HandlerFault, MemoryLog, TradingLoop
from genesis.trading.outlet import Outlet
from genesis.trading.progress import Reading, Stage, StageMonitor
from genesis.trading.schedule import TimerWheel
from genesis.trading.status import read_status, writer_of
from genesis.trading.store.lock import WriterLock
from genesis.trading.watchdog import ALERTS, RunAlerts, Watchdog
from tests.unit.trading.core_rig import Rig, Script
from tests.unit.trading.event_samples import HandClock, normal


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str, str]] = []
        self.first = threading.Event()

    def alert(self, level: str, title: str, text: str, ts_ms: int) -> None:
        self.alerts.append((level, title, text))
        self.first.set()


def watching(folder: Path, clock: object, sink: object, *stages: Stage, **more: object) -> Watchdog:
    hand = HandClock()
    bus = EventBus(hand)
    loop = TradingLoop(bus, MemoryLog(hand), Rig().core, Outlet(Script(), TimerWheel()))
    folder.mkdir(exist_ok=True)
    return Watchdog(
        StageMonitor(stages, clock),  # type: ignore[arg-type]
        clock,  # type: ignore[arg-type]
        folder,
        run="r",
        build="b",
        mode="live",
        loop=more.pop("loop", loop),  # type: ignore[arg-type]
        bus=bus,
        sink=sink,  # type: ignore[arg-type]
        publish=False,
        **more,  # type: ignore[arg-type]
    )


def test_a_thread_of_its_own_sees_a_loop_that_is_blocked(tmp_path: Path) -> None:
    """The loop stands inside a handler; the watch runs, tells, and goes on beating."""
    rig = Rig()
    inside, release = threading.Event(), threading.Event()

    def blocked(_: object) -> None:
        inside.set()
        release.wait(60)

    rig.core.handle = blocked  # type: ignore[method-assign]
    rig.bus.publish(normal(1))
    loop = threading.Thread(target=rig.loop.step)
    flow = rig.loop.flow
    before = flow.handled
    stage = Stage("loop", lambda: Reading(flow.committed, flow.handled), limit_s=0.05)
    heard = Heard()
    watch = watching(tmp_path, SystemClock(), heard, stage, loop=rig.loop, interval_s=0.02)
    loop.start()
    try:
        assert inside.wait(60)
        watch.start()
        assert heard.first.wait(60)
        assert heard.alerts[0][:2] == ("critical", "stage loop stalled")
        assert flow.handled == before
    finally:
        release.set()
        loop.join(60)
        watch.stop("stopped")
    status = read_status(tmp_path)
    assert status is not None
    assert (status.state, status.pid) == ("stopped", os.getpid())
    assert status.beat > 2
    assert status.stages[0].lag == 0
    watch.stop("finished")
    assert read_status(tmp_path) == status


def test_a_fault_of_the_loop_is_told_once(tmp_path: Path) -> None:
    clock, heard = HandClock(), Heard()
    watch = watching(tmp_path, clock, heard)
    event = normal(1)
    event.seq = 17
    for _ in range(3):
        watch.tick()
    assert heard.alerts == []
    watch._loop.fault = HandlerFault(event, "KeyError: 'x'")
    for _ in range(3):
        watch.tick()
    assert heard.alerts == [("critical", "trading is halted on event 17", "KeyError: 'x'")]
    status = read_status(tmp_path)
    assert status is not None
    assert not status.healthy
    assert status.fault is not None
    assert (status.fault.seq, status.fault.error) == (17, "KeyError: 'x'")


def test_a_heartbeat_that_cannot_be_written_is_told_once_and_written_again(tmp_path: Path) -> None:
    clock, heard = HandClock(), Heard()
    folder = tmp_path / "run"
    watch = watching(folder, clock, heard)
    folder.rmdir()
    for _ in range(3):
        watch.tick()
    assert [alert[:2] for alert in heard.alerts] == [("critical", "no heartbeat can be written")]
    folder.mkdir()
    watch.tick()
    status = read_status(folder)
    assert status is not None
    assert status.trouble
    watch.tick()
    again = read_status(folder)
    assert again is not None
    assert again.trouble == ""


def test_a_watch_that_fails_watches_on(tmp_path: Path) -> None:
    clock, heard = HandClock(), Heard()
    answers = iter([ZeroDivisionError("no"), ZeroDivisionError("no"), Reading(0, 0)])

    def read() -> Reading:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = watching(tmp_path, clock, heard, Stage("s", read))
    for _ in range(3):
        watch._guarded(watch.tick)
    failed = ("critical", "the watch over the run failed", "ZeroDivisionError: no")
    assert heard.alerts == [failed]
    assert read_status(tmp_path) is not None


def test_alerts_go_to_both_places_and_survive_the_loss_of_either(tmp_path: Path) -> None:
    stream = io.StringIO()
    RunAlerts(tmp_path, stream).alert("critical", "a", "b", 5)
    assert stream.getvalue() == "critical: a: b\n"
    stream.close()
    RunAlerts(tmp_path, stream).alert("info", "c", "d", 6)
    lines = [json.loads(line) for line in (tmp_path / ALERTS).read_text().splitlines()]
    assert lines == [
        {"ts_ms": 5, "level": "critical", "title": "a", "text": "b"},
        {"ts_ms": 6, "level": "info", "title": "c", "text": "d"},
    ]
    assert (tmp_path / ALERTS).stat().st_mode & 0o777 == 0o600
    stream = io.StringIO()
    RunAlerts(tmp_path / "gone", stream).alert("critical", "a", "b", 5)
    assert stream.getvalue().startswith("critical: a: b\ncritical: ")


def test_a_damaged_heartbeat_is_an_error_and_a_missing_one_is_none(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / "status.json").write_text('{"schema": 1')
    with pytest.raises(StorageError, match=r"status\.json cannot be read"):
        read_status(tmp_path)


def test_who_writes_a_run_is_known_and_asking_changes_nothing(tmp_path: Path) -> None:
    assert writer_of(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    lock = WriterLock(tmp_path)
    assert writer_of(tmp_path) == str(os.getpid())
    lock.release()
    assert writer_of(tmp_path) == ""
    WriterLock(tmp_path).release()
