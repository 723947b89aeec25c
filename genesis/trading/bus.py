"""The event bus: four bounded lanes between those who tell and the one loop that listens.

What it promises
----------------
- Nothing is lost and nothing is delivered twice. A lane is first in, first out.
- A producer waits while its lane is full (`EventBus.publish`). The loop never waits for itself:
  `EventBus.emit` may go past the bound, by the reserve at most, and fails beyond that.
- Of two quotes of a symbol that wait with nothing but quotes between them, one remains: the last
  price, the extremes of both, and how many there were. A quote overtakes no bar, no news and no
  schedule. Nothing else is ever merged.
- No lane starves: while a lane waits, each `EventBus.drain` takes at least ``limit // 16`` of its
  events (one at the least), or all of them. An event that has ``p`` others of its lane before it is
  delivered within ``p // (limit // 16) + 1`` drains, whatever goes on in the other lanes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from genesis.domain.clock import Clock
from genesis.domain.errors import InfrastructureError
from genesis.trading.events import LANES, Event, Lane, Payload
from genesis.trading.payloads import PAYLOADS, AlertRaised, QueueOverflowed, Quote

CAPACITY = 10_000
"""Events a lane holds before its producers wait."""
RESERVE = 100_000
"""Events by which the loop's own emissions may exceed a lane's capacity."""
QUOTA_SHARE = 16
"""Every waiting lane is sure of this part of a drain: one event in sixteen."""
_REARM = 0.8


class _LaneOf(dict[type[Payload], Lane]):
    """Lane by payload class: one look-up by identity, without the enum's hash."""

    def __missing__(self, kind: type[Payload]) -> Lane:
        self[kind] = lane = LANES[kind.type]
        return lane


_LANE_OF = _LaneOf({cls: LANES[kind] for kind, cls in PAYLOADS.items()})


class _Queue:
    """One lane: its events, when each came, and the producers that it holds back."""

    __slots__ = ("armed", "arrived", "capacity", "events", "lane", "line", "space", "taken")

    def __init__(self, lane: Lane, capacity: int, lock: threading.Lock) -> None:
        self.lane = lane
        self.capacity = capacity
        self.events: deque[Event] = deque()
        self.arrived: deque[float] = deque()
        self.space = threading.Condition(lock)
        self.line: deque[object] = deque()  # held producers, first come first
        self.armed = True
        self.taken = 0


class EventBus:
    """Thread-safe lanes of events for many producers and one consumer.

    An event belongs to the bus once it was handed over: a waiting quote is changed in place.

    Parameters
    ----------
    clock : Clock
        Stamps the bus's own events and tells how long an event has waited.
    capacity : mapping of Lane to int, optional
        Bound of each lane; `CAPACITY` where it says nothing.
    reserve : int
        How far `emit` may exceed the bound of a lane.
    archive : Path, optional
        Folder for copies of a lane that overflows, one zstd Parquet file an episode.
    """

    def __init__(
        self,
        clock: Clock,
        capacity: Mapping[Lane, int] | None = None,
        *,
        reserve: int = RESERVE,
        archive: Path | None = None,
    ) -> None:
        self._clock = clock
        self._now: Callable[[], float] = clock.monotonic
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._sleeping = False
        self._closed = False
        self._consumer = 0  # the thread that drains
        self._reserve = reserve
        self._archive = archive
        self._episodes = 0
        self._writers: list[threading.Thread] = []
        wanted = capacity or {}
        self._queues = tuple(_Queue(x, wanted.get(x, CAPACITY), self._lock) for x in Lane)
        # The latest waiting quote of each symbol, as long as only quotes came after it.
        self._quotes: dict[str, Event] = {}

    # ---- producers -------------------------------------------------------------------------

    def publish(self, event: Event, timeout: float | None = None) -> None:
        """Hand over an event; wait while its lane is full.

        The thread that drains would wait for itself, so for it this is an `emit` of one event.

        Parameters
        ----------
        event : Event
        timeout : float, optional
            Most seconds to wait; for ever when left out.

        Raises
        ------
        InfrastructureError
            If the bus is closed, or the lane is still full after ``timeout``. The event was not
            taken.
        """
        data = event.data
        kind = type(data)
        queue = self._queues[_LANE_OF[kind]]
        with self._lock:
            if self._closed:
                raise _closed()
            if kind is Quote and self._conflate(event):
                return
            if queue.line or len(queue.events) >= queue.capacity:
                if threading.get_ident() == self._consumer:
                    self._exceed([event])
                    return
                self._wait_for_space(queue, timeout)
                if kind is Quote and self._conflate(event):
                    return
            self._append(queue, event, self._now())
            if self._sleeping:
                self._ready.notify()

    def publish_all(self, events: Sequence[Event]) -> None:
        """Hand over several events: as `publish` for each, at the price of one where there is room.

        Raises
        ------
        InfrastructureError
            If the bus is closed; the events before the one that was not taken were.
        """
        with self._lock:
            if self._closed:
                raise _closed()
            count = len(events)
            if threading.get_ident() == self._consumer or not any(
                queue.line or len(queue.events) + count > queue.capacity for queue in self._queues
            ):
                self._exceed(events)
                return
        for event in events:
            self.publish(event)

    def emit(self, events: Iterable[Event]) -> None:
        """Take what a handler emitted; never waits. Only for the thread that drains.

        Raises
        ------
        InfrastructureError
            If a lane is past its capacity and the reserve: the loop produces faster than it
            handles. None of the events was taken.
        """
        waiting = list(events)
        with self._lock:
            self._exceed(waiting)

    def close(self) -> None:
        """Take no further event and release the producers that wait; what waits can be drained."""
        with self._lock:
            self._closed = True
            for queue in self._queues:
                queue.space.notify_all()
            self._ready.notify_all()
        for writer in self._writers:
            writer.join()

    # ---- the consumer ----------------------------------------------------------------------

    def drain(self, limit: int = 256) -> list[Event]:
        """Take up to ``limit`` waiting events: CRITICAL, then HIGH, NORMAL and LOW.

        Parameters
        ----------
        limit : int
            At least 4, so that each lane can have its part.

        Returns
        -------
        list of Event
            In the order in which they are to be handled; empty when nothing waits.
        """
        if limit < len(self._queues):
            raise ValueError(f"a drain takes at least {len(self._queues)} events, not {limit}")
        drained: list[Event] = []
        self._consumer = threading.get_ident()
        with self._lock:
            for queue, share in zip(self._queues, self._shares(limit), strict=True):
                if share:
                    self._take(queue, share, drained)
        return drained

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until something waits; whether something does."""
        with self._lock:
            if not self.idle:
                return True
            if self._closed:
                return False
            self._sleeping = True
            try:
                self._ready.wait(timeout)
            finally:
                self._sleeping = False
            return not self.idle

    # ---- what it looks like ----------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        critical, high, normal, low = self._queues
        return not (critical.events or high.events or normal.events or low.events)

    @property
    def closed(self) -> bool:
        """Whether it takes no further event."""
        return self._closed

    @property
    def waiting(self) -> dict[Lane, int]:
        """Number of waiting events, by lane."""
        return {queue.lane: len(queue.events) for queue in self._queues}

    @property
    def held(self) -> dict[Lane, int]:
        """Number of producers that are held back, by lane."""
        return {queue.lane: len(queue.line) for queue in self._queues}

    @property
    def passed(self) -> dict[Lane, tuple[int, int]]:
        """Events that came into each lane and that were taken from it, since the bus was made."""
        with self._lock:
            return {q.lane: (q.taken + len(q.events), q.taken) for q in self._queues}

    def peek(self) -> list[Event]:
        """Waiting events as they are now, lane by lane; they stay where they are."""
        with self._lock:
            return [event for queue in self._queues for event in queue.events]

    @property
    def oldest_ms(self) -> int:
        """How long the oldest waiting event has waited, in ms; 0 when nothing waits."""
        with self._lock:
            came = [queue.arrived[0] for queue in self._queues if queue.arrived]
            return int((self._now() - min(came)) * 1000) if came else 0

    # ---- with the lock held ----------------------------------------------------------------

    def _append(self, queue: _Queue, event: Event, now: float) -> None:
        queue.events.append(event)
        queue.arrived.append(now)
        if queue.lane is Lane.NORMAL:
            data = event.data
            if type(data) is Quote:
                self._quotes[data.symbol] = event
            elif self._quotes:
                self._quotes.clear()  # a later quote must not overtake this event

    def _exceed(self, events: Sequence[Event]) -> None:
        """Take events whether their lanes are full or not, as far as the reserve goes."""
        self._require_reserve(events)
        now, queues = self._now(), self._queues
        for event in events:
            kind = type(event.data)
            queue = queues[_LANE_OF[kind]]
            if kind is Quote and self._quotes and self._conflate(event):
                continue
            self._append(queue, event, now)
            if queue.armed and len(queue.events) > queue.capacity:
                self._overflow(queue)
        if self._sleeping and events:
            self._ready.notify()

    def _conflate(self, event: Event) -> bool:
        """Merge a quote into the one of its symbol that waits; whether there was one."""
        new = event.data
        assert isinstance(new, Quote)
        kept = self._quotes.get(new.symbol)
        if kept is None:
            return False
        old = kept.data
        assert isinstance(old, Quote)
        kept.data = Quote(
            symbol=new.symbol,
            last=new.last,
            low=min(old.low, new.low),
            high=max(old.high, new.high),
            count=old.count + new.count,
        )
        kept.ts_ms = event.ts_ms
        kept.correlation = event.correlation
        return True

    def _shares(self, limit: int) -> list[int]:
        """How many events of each lane a drain takes: its sure part, then what is left by rank."""
        waiting = [len(queue.events) for queue in self._queues]
        if sum(waiting) <= limit:
            return waiting
        quota = max(1, limit // QUOTA_SHARE)
        shares = [min(quota, count) for count in waiting]
        left = limit - sum(shares)
        for lane, count in enumerate(waiting):
            more = min(left, count - shares[lane])
            shares[lane] += more
            left -= more
        return shares

    def _take(self, queue: _Queue, share: int, drained: list[Event]) -> None:
        events = queue.events
        if share == len(events):
            taken = list(events)
            events.clear()
            queue.arrived.clear()
        else:
            pop, forget = events.popleft, queue.arrived.popleft
            taken = [pop() for _ in range(share)]
            for _ in range(share):
                forget()
        if self._quotes and queue.lane is Lane.NORMAL:
            for event in taken:
                data = event.data
                if type(data) is Quote and self._quotes.get(data.symbol) is event:
                    del self._quotes[data.symbol]
        drained += taken
        queue.taken += share
        if not queue.armed and len(events) < _REARM * queue.capacity:
            queue.armed = True
        if queue.line and len(events) < queue.capacity:
            queue.space.notify_all()

    def _wait_for_space(self, queue: _Queue, timeout: float | None) -> None:
        """Wait for room, behind the producers that came before."""
        if queue.armed:
            self._overflow(queue)
        # Seconds of the machine: a run's clock may stand still while its producers wait.
        deadline = None if timeout is None else time.monotonic() + timeout
        place = object()
        queue.line.append(place)
        try:
            while queue.line[0] is not place or len(queue.events) >= queue.capacity:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise InfrastructureError(
                        f"the {queue.lane.name} lane of the event bus stayed full for {timeout} s",
                        why=f"{len(queue.events)} events wait for a loop that does not take them",
                        fix="see which stage is stalled: genesis audit flow",
                    )
                queue.space.wait(left)
                if self._closed:
                    raise _closed()
        finally:
            queue.line.remove(place)
            if queue.line:
                queue.space.notify_all()  # the next one looks whether it is its turn

    def _require_reserve(self, events: Sequence[Event]) -> None:
        beyond = len(events) - self._reserve
        for queue in self._queues:
            if len(queue.events) + beyond > queue.capacity:
                break
        else:
            return  # there is room even if one lane gets all of them
        arriving = [0] * len(self._queues)
        for event in events:
            arriving[_LANE_OF[type(event.data)]] += 1
        for queue, more in zip(self._queues, arriving, strict=True):
            if more and len(queue.events) + more > queue.capacity + self._reserve:
                raise InfrastructureError(
                    f"the {queue.lane.name} lane of the event bus is {self._reserve} events past"
                    f" its capacity of {queue.capacity}",
                    why="handling events emits more than can be handled",
                    fix="the run is stopped and can be resumed; report the last events of its log",
                )

    # ---- overflow --------------------------------------------------------------------------

    def _overflow(self, queue: _Queue) -> None:
        """Say so once an episode, and copy what waits to a file for whoever looks for the cause."""
        queue.armed = False
        now_ms, now = self._clock.now_ms(), self._now()
        path = ""
        if self._archive is not None:
            self._episodes += 1
            name = f"overflow-{queue.lane.name.lower()}-{now_ms}-{self._episodes}.parquet"
            target = self._archive / name
            path = str(target)
            # Copies, since a waiting quote may still change; the disk is not waited for here.
            copies = [
                Event(e.data, e.ts_ms, e.aggregate, e.correlation, e.caused_by, e.ordinal)
                for e in queue.events
            ]
            writer = threading.Thread(target=self._write, args=(target, copies), daemon=True)
            self._writers = [thread for thread in self._writers if thread.is_alive()]
            self._writers.append(writer)
            writer.start()
        data = QueueOverflowed(queue.lane.name, len(queue.events), path)
        low = self._queues[Lane.LOW]
        self._append(low, Event(data, now_ms, aggregate=queue.lane.name), now)
        if low.armed and len(low.events) > low.capacity:
            self._overflow(low)
        if self._sleeping:
            self._ready.notify()

    def _write(self, target: Path, events: list[Event]) -> None:
        from genesis.trading.store.parquet import write_events

        try:
            write_events(target, events)
        except (InfrastructureError, OSError) as error:
            text = f"the copy of an overflowing lane was not written: {target}\n{error}"
            alert = AlertRaised("warning", "bus", "overflow not archived", text)
            with self._lock:
                now_ms = self._clock.now_ms()
                self._append(self._queues[Lane.LOW], Event(alert, now_ms), self._now())
                if self._sleeping:
                    self._ready.notify()


def _closed() -> InfrastructureError:
    return InfrastructureError(
        "the event bus is closed",
        why="the run is ending",
        fix="nothing was lost: send it again to the next run",
    )
