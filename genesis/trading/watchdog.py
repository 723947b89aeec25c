"""The watch over a run: looks at its stages once a second, in a thread that needs no other one.

What it finds goes three ways: as events to the loop, which halts new risk; straight to a person,
since the loop may be what is stuck; and into the heartbeat that other processes read.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError, InfrastructureError
from genesis.trading.bus import EventBus
from genesis.trading.events import Event
from genesis.trading.inbox import Inbox
from genesis.trading.lockstep import LockStep
from genesis.trading.loop import TradingLoop
from genesis.trading.payloads import StageStalled
from genesis.trading.progress import INTERVAL_S, StageMonitor, recovered, stalled
from genesis.trading.stages import in_order, inbox_stage, lockstep_stages, loop_stages
from genesis.trading.status import (
    FAILED,
    RUNNING,
    SCHEMA,
    Fault,
    RunStatus,
    write_status,
)

ALERTS = "alerts.jsonl"
SCOPE = "stage:"
FIRST_BAR = 3
"""Phases in which kernels are compiled, where this machine has not done so before."""


class AlertSink(Protocol):
    """Tells a person something at once, without the loop."""

    def alert(self, level: str, title: str, text: str, ts_ms: int) -> None:
        """Tell; must not raise."""
        ...


class RunAlerts:
    """Alerts as lines on standard error and in the run's ``alerts.jsonl``, forced to disk.

    Parameters
    ----------
    folder : Path
        Of the run.
    stream : text stream, optional
        Standard error where it is left out.
    """

    def __init__(self, folder: Path, stream: TextIO | None = None) -> None:
        self._path = folder / ALERTS
        self._stream = stream

    def alert(self, level: str, title: str, text: str, ts_ms: int) -> None:
        """Write both lines; the first one does not wait for the disk."""
        stream = self._stream or sys.stderr
        with suppress(OSError, ValueError):  # where nobody reads it any more, the file remains
            print(f"{level}: {title}: {text}", file=stream, flush=True)
        plain = {"ts_ms": ts_ms, "level": level, "title": title, "text": text}
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            handle = os.open(self._path, flags, 0o600)
            try:
                os.write(handle, (json.dumps(plain, ensure_ascii=False) + "\n").encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            with suppress(OSError, ValueError):
                print(f"critical: {self._path} cannot be written: {error}", file=stream)


class Watchdog:
    """Evaluates a monitor again and again and tells what it finds.

    Parameters
    ----------
    monitor : StageMonitor
    clock : Clock
        Of the machine.
    folder : Path
        Of the run.
    run, build, mode : str
    loop : TradingLoop
    bus : EventBus
    sink : AlertSink
    publish : bool
        Whether the loop hears of it and halts new risk. False for a run whose time is that of its
        feed: there nothing gets late while the loop stands, and what it trades must not depend
        on the machine.
    interval_s : float

    Notes
    -----
    Events are published without waiting: a full lane must not hold up the watch. What could not
    be published is tried again at the next tick. Once the loop has nothing left to handle its
    halts are compared with what the monitor sees, so that neither a lost word nor a restart in
    between leaves trading halted for ever, or not halted at all.
    """

    def __init__(
        self,
        monitor: StageMonitor,
        clock: Clock,
        folder: Path,
        *,
        run: str,
        build: str,
        mode: str,
        loop: TradingLoop,
        bus: EventBus,
        sink: AlertSink,
        publish: bool,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._monitor = monitor
        self._clock = clock
        self._folder = folder
        self._name, self._build, self._mode = run, build, mode
        self._loop = loop
        self._bus = bus
        self._sink = sink
        self._publish = publish
        self._interval_s = interval_s
        self._outbox: deque[Event] = deque()
        self._started_ms = clock.now_ms()
        self._beat = 0
        self._trouble = ""
        self._faulted = False
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    # ---- one look --------------------------------------------------------------------------

    def tick(self) -> None:
        """Look once, tell, and write the heartbeat."""
        edges = self._monitor.evaluate()
        if self._publish:
            self._outbox += edges
            self._correct()
            self._send()
        for edge in edges:
            self._tell(edge)
        self._tell_fault()
        self._write(RUNNING)

    def _correct(self) -> None:
        """Tell again what the loop took in otherwise, once it has taken in everything."""
        flow = self._loop.flow
        if self._outbox or not self._bus.idle or flow.handled < flow.drained:
            return
        halts = self._halts()
        for report in self._monitor.reports:
            if report.stalled and SCOPE + report.stage not in halts:
                self._outbox.append(stalled(report, self._clock.now_ms()))
            elif not report.stalled and SCOPE + report.stage in halts:
                self._outbox.append(recovered(report, self._clock.now_ms()))

    def _send(self) -> None:
        while self._outbox and not self._bus.closed:
            try:
                self._bus.publish(self._outbox[0], timeout=0.0)
            except InfrastructureError:
                return  # full, or closed just now
            self._outbox.popleft()

    def _tell(self, edge: Event) -> None:
        data = edge.data
        name, now_ms = edge.aggregate, edge.ts_ms
        if isinstance(data, StageStalled):
            why = next(r.why for r in self._monitor.reports if r.stage == name)
            halted = "new risk is halted; " if self._publish else ""
            text = f"{why}; {halted}genesis audit flow {self._name}"
            self._sink.alert("critical", f"stage {name} stalled", text, now_ms)
        else:
            self._sink.alert("info", f"stage {name} moves again", self._name, now_ms)

    def _tell_fault(self) -> None:
        fault = self._loop.fault
        if fault is not None and not self._faulted:
            self._faulted = True
            title = f"trading is halted on event {fault.event.seq}"
            self._sink.alert("critical", title, fault.error, self._clock.now_ms())

    def _halts(self) -> Mapping[str, str]:
        return self._loop.core.desk.halts.copy()

    def _write(self, state: str) -> None:
        now_ms = self._clock.now_ms()
        self._beat += 1
        fault = self._loop.fault
        status = RunStatus(
            schema=SCHEMA,
            run=self._name,
            build=self._build,
            mode=self._mode,
            pid=os.getpid(),
            started_ms=self._started_ms,
            written_ms=now_ms,
            beat=self._beat,
            state=state,
            healthy=self._monitor.healthy and fault is None and state != FAILED,
            stages=self._monitor.reports,
            seq=self._loop.flow.seq,
            halts=dict(self._halts()),
            fault=Fault(fault.event.seq, fault.event.type.value, fault.error) if fault else None,
            trouble=self._trouble,
        )
        try:
            write_status(self._folder, status)
            self._trouble = ""
        except GenesisError as error:
            if not self._trouble:
                self._sink.alert("critical", "no heartbeat can be written", str(error), now_ms)
            self._trouble = str(error)

    # ---- the thread ------------------------------------------------------------------------

    def start(self) -> None:
        """Look at once, and from then on once an interval in a thread of its own."""
        self.tick()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self, state: str) -> None:
        """End the watch and write how the run ended; safe to call twice.

        Parameters
        ----------
        state : str
            ``finished``, ``stopped`` or ``failed``.
        """
        self._ending.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
            self._monitor.evaluate()
            self._tell_fault()
            self._write(state)

    def _watch(self) -> None:
        while not self._ending.wait(self._interval_s):
            self._guarded(self.tick)

    def _guarded(self, act: Callable[[], None]) -> None:
        """A watch that fails once watches on, and says so."""
        try:
            act()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if text != self._trouble:
                now_ms = self._clock.now_ms()
                self._sink.alert("critical", "the watch over the run failed", text, now_ms)
            self._trouble = text


def watch_lockstep(
    folder: Path,
    run: str,
    driver: LockStep,
    bus: EventBus,
    loop: TradingLoop,
    inbox: Inbox,
    clock: Clock,
    *,
    build: str,
    mode: str,
) -> Watchdog:
    """Watch over a run in lock-step: it tells of stalls, and what the run trades stays the same.

    Parameters
    ----------
    clock : Clock
        Of the machine, not of the feed.
    """
    stages = [*lockstep_stages(driver), *loop_stages(bus, loop), inbox_stage(inbox)]
    monitor = StageMonitor(in_order(stages), clock, warming=lambda: driver.read <= FIRST_BAR)
    return Watchdog(
        monitor,
        clock,
        folder,
        run=run,
        build=build,
        mode=mode,
        loop=loop,
        bus=bus,
        sink=RunAlerts(folder),
        publish=False,
    )
