"""The dispatcher: takes alerts from whoever raises them and brings them to the channels.

It works in a thread of its own. `raise_alert` puts an alert into a bounded queue and returns; so
neither a slow channel, nor a full disk, nor a lock that another process holds can stop trading.

Any number of processes may have a dispatcher; one of them at a time delivers, and when it ends,
however it ends, another takes over. The rest put their alerts into the outbox.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Final

from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError, RefusedError
from genesis.monitoring.alerts.channels import ALERTS_FILE, ChannelSlot, FileChannel
from genesis.monitoring.alerts.delivery import adopt, expire, next_job, settle
from genesis.monitoring.alerts.feed import AlertFeed
from genesis.monitoring.alerts.heartbeat import heartbeat
from genesis.monitoring.alerts.intake import enter
from genesis.monitoring.alerts.lanes import Lane, Outcome, ThreadLane
from genesis.monitoring.alerts.outbox import Outbox, Sitting
from genesis.monitoring.alerts.routing import escalate, route
from genesis.monitoring.alerts.settings import AlertSettings
from genesis.monitoring.alerts.sink import OPERATIONS, RaisedAlert
from genesis.monitoring.alerts.unstored import Unstored
from genesis.trading.store import EventReader
from genesis.trading.store.lock import WriterLock

CAPACITY: Final = 1_000
POLL_S: Final = 0.25
FULL_LOOK_MS: Final = 1_000
"""How often the outbox is looked through although nothing in it changed: something got due."""
_FOLDER: Final = "dispatcher"

MakeLane = Callable[[ChannelSlot, Clock, Callable[[], None]], Lane]


@dataclass(frozen=True, slots=True)
class DispatcherHealth:
    """What a dispatcher says of itself.

    Attributes
    ----------
    raised : int
        Alerts that were given to it.
    overflowed : int
        Of those, how many found the queue full and went to the local file alone.
    waiting : int
        In the queue, or not stored yet.
    delivers : bool
        Whether it is this one that delivers.
    trouble : str
        Why the outbox cannot be used now, empty if it can.
    """

    raised: int
    overflowed: int
    waiting: int
    delivers: bool
    trouble: str


class AlertDispatcher:
    """Takes alerts in this process, and owns the thread that delivers them.

    Parameters
    ----------
    outbox : Outbox
    slots : sequence of ChannelSlot
        In the order in which one steps in for another.
    settings : AlertSettings
    clock : Clock
    feeds : sequence of AlertFeed
    capacity : int
        Of the queue.
    make_lane : callable
        How a channel is served; with a thread unless a test wants otherwise.
    """

    def __init__(
        self,
        outbox: Outbox,
        slots: Sequence[ChannelSlot],
        settings: AlertSettings,
        clock: Clock,
        *,
        feeds: Sequence[AlertFeed] = (),
        capacity: int = CAPACITY,
        make_lane: MakeLane = ThreadLane,
    ) -> None:
        self._outbox = outbox
        self._slots = tuple(slots)
        self._settings = settings
        self._clock = clock
        self._feeds = tuple(feeds)
        self._queue: Queue[RaisedAlert] = Queue(capacity)
        self._capacity = capacity
        self._held: deque[RaisedAlert] = deque()
        self._local = FileChannel(outbox.folder / ALERTS_FILE)
        self._wake = threading.Event()
        self._lanes: list[Lane] = [make_lane(slot, clock, self._wake.set) for slot in slots]
        self._unstored = Unstored(self._lanes, clock)
        self._reader: EventReader | None = None
        self._seen = -1
        self._looked_ms = -FULL_LOOK_MS
        self._lock: WriterLock | None = None
        self._outcomes: deque[Outcome] = deque()
        self._unnoted: list[Outcome] = []
        self._closing = threading.Event()
        self._idle = threading.Condition()
        self._asked = self._idle_at = 0
        self._thread: threading.Thread | None = None
        self._giving = threading.Lock()
        self._raised = self._overflowed = self._told_overflow = 0
        self._trouble = ""

    # ---- for those who raise ---------------------------------------------------------------

    def raise_alert(
        self, level: str, component: str, title: str, text: str, *, source: str = OPERATIONS
    ) -> None:
        """Take an alert; returns at once and raises nothing.

        Where the queue is full, or the dispatcher was closed, it goes to the local file, without
        waiting for the disk.
        """
        alert = RaisedAlert(level, component, title, text, source, self._clock.now_ms())
        with self._giving:
            self._raised += 1
            taken = not self._closing.is_set()
            if taken:
                try:
                    self._queue.put_nowait(alert)
                except Full:
                    taken = False
        if not taken:
            self._overflow(alert)
        self._wake.set()

    def health(self) -> DispatcherHealth:
        """What it has done, and what waits."""
        waiting = self._queue.qsize() + len(self._held)
        return DispatcherHealth(
            self._raised, self._overflowed, waiting, self._lock is not None, self._trouble
        )

    # ---- its thread ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def drain(self, wait_s: float) -> bool:
        """Wait until all that can be delivered now is delivered; False if time ran out first."""
        with self._idle:
            self._asked += 1
            mine = self._asked
            self._wake.set()
            return self._idle.wait_for(lambda: self._idle_at >= mine, wait_s)

    def close(self, wait_s: float = 5.0) -> bool:
        """Deliver what can be delivered in the time and end; what is left stays in the outbox.

        Returns
        -------
        bool
            Whether nothing was left to do.
        """
        done = self.drain(wait_s) if self._thread is not None else False
        with self._giving:
            self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(wait_s + 1.0)
        return done

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            with self._idle:
                asked = self._asked
            if not self.turn():
                with self._idle:
                    self._idle_at = asked
                    self._idle.notify_all()
        self._end()

    def _end(self) -> None:
        self.turn(deliver=False)  # what came meanwhile, and the last outcomes
        while self._held:
            self._overflow(self._held.popleft())
        for lane in self._lanes:
            lane.close()
        for feed in self._feeds:
            feed.close()
        if self._reader is not None:
            self._reader.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # ---- one turn --------------------------------------------------------------------------

    def turn(self, *, deliver: bool = True) -> bool:
        """Do what can be done now without waiting; whether there is more to do soon.

        Parameters
        ----------
        deliver : bool
            Whether to begin new deliveries.
        """
        try:
            self._collect()
            if not self._due():
                return any(lane.busy for lane in self._lanes)
            self._take_over()
            with self._outbox.sitting() as sitting:
                more = self._work(sitting, deliver=deliver)
            self._unnoted.clear()  # the end of a sitting commits
            self._trouble = ""
            self._looked_ms = self._clock.now_ms()
            self._seen = self._head()
            return more or any(feed.read() for feed in self._feeds)
        except GenesisError as error:
            self._trouble = f"{error.what}: {error.why}"
        except Exception as error:  # a defect here must not end all alerts
            self._trouble = f"defect: {type(error).__name__}"
            self._say(f"critical: alerts: {self._trouble}")
        self._outcomes.extendleft(reversed(self._unnoted))
        self._unnoted.clear()
        followed = [alert for feed in self._feeds for alert in feed.read()]
        self._unstored.tell([*self._held, *followed], self._trouble)
        self._shorten()
        return True

    def _work(self, sitting: Sitting, *, deliver: bool) -> bool:
        enter(sitting, self._unstored.marked(self._held))
        for feed in self._feeds:
            feed.take(sitting, self._unstored.marked)
        sitting.commit()
        self._held.clear()
        self._unstored.forget()
        for feed in self._feeds:
            feed.taken()
        self._enter_overflow(sitting)
        if self._lock is None:
            self._outcomes.clear()  # of messages that no outbox knew
            return False
        self._settle(sitting)
        return self._deliver(sitting) if deliver else False

    def _settle(self, sitting: Sitting) -> None:
        """Note what became of the last messages.

        What was simply delivered is stored together with what is sent next, one commit for both;
        anything else is committed at once, since what follows has to see it.
        """
        while self._outcomes:
            outcome = self._outcomes[0]
            news = settle(sitting, outcome, self._slots, self._settings)
            self._unnoted.append(self._outcomes.popleft())
            if news or outcome.late or not outcome.delivered:
                enter(sitting, news)
                self._commit(sitting)

    def _deliver(self, sitting: Sitting) -> bool:
        if enter(sitting, heartbeat(sitting, self._settings)):
            self._commit(sitting)
        expire(sitting)
        if escalate(sitting):
            self._commit(sitting)
        routed = route(sitting, self._slots, self._settings)
        if routed:
            self._commit(sitting)
        jobs = [(lane, next_job(sitting, lane.slot)) for lane in self._lanes if not lane.busy]
        self._commit(sitting)
        for lane, job in jobs:
            if job is not None:
                lane.start(job)
        return bool(routed or any(lane.busy for lane in self._lanes))

    def _commit(self, sitting: Sitting) -> None:
        sitting.commit()
        self._unnoted.clear()

    def _collect(self) -> None:
        for lane in self._lanes:
            self._outcomes.extend(lane.outcomes())
        with suppress(Empty):
            while len(self._held) < self._capacity:
                self._held.append(self._queue.get_nowait())

    def _due(self) -> bool:
        """Whether the outbox has to be opened: something came, changed, or may have got due."""
        if self._held or self._outcomes or self._trouble or self._overflowed > self._told_overflow:
            return True
        if any(feed.read() for feed in self._feeds):
            return True
        late = not 0 <= self._clock.now_ms() - self._looked_ms < FULL_LOOK_MS
        return late or self._head() != self._seen

    def _head(self) -> int:
        try:
            if self._reader is None:
                self._reader = self._outbox.reader()
            return self._reader.head.seq if self._reader is not None else 0
        except GenesisError:
            self._reader = None
            return -1

    def _take_over(self) -> None:
        """Become the one who delivers, unless another process is."""
        if self._lock is not None:
            return
        folder = self._outbox.folder / _FOLDER
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            lock = WriterLock(folder)
        except RefusedError:
            return
        try:
            with self._outbox.sitting() as sitting:
                adopt(sitting, self._slots)
        except BaseException:
            lock.release()
            raise
        self._lock = lock

    # ---- what must not get lost ------------------------------------------------------------

    def _overflow(self, alert: RaisedAlert) -> None:
        with self._giving:
            self._overflowed += 1
        message = self._unstored.message(alert)
        with suppress(Exception):
            self._local.append(message, sync=False)
            return
        self._say(f"{message.headline}: {message.text}")

    def _shorten(self) -> None:
        """Keep what cannot be stored from filling the memory."""
        while len(self._held) >= self._capacity:
            alert = self._held.popleft()
            self._unstored.drop(alert)
            self._overflow(alert)

    def _enter_overflow(self, sitting: Sitting) -> None:
        missed = self._overflowed - self._told_overflow
        if missed:
            text = f"{missed} alerts came faster than they could be stored; they are in the file"
            title = "alerts went to the local file alone"
            enter(sitting, [RaisedAlert("critical", "alerts", title, text)])
            sitting.commit()
            self._told_overflow += missed

    def _say(self, line: str) -> None:
        with suppress(Exception):
            print(line, file=sys.stderr, flush=True)
