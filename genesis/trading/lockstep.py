"""Drives a loop through a feed step by step: everybody sees an open before anybody sees a range.

Time is the feed's. A phase is shown to the exchange first, whose answers travel on the bus; then
the phase itself is published; then the loop runs until nothing waits, so that what a fill leads to
reaches the exchange before the next phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from genesis.trading.bus import EventBus
from genesis.trading.crash_points import no_probe
from genesis.trading.events import Event
from genesis.trading.feed import Phase
from genesis.trading.loop import TradingLoop
from genesis.trading.payloads import TimerFired
from genesis.trading.schedule import TimerWheel


class MarketExchange(Protocol):
    """An exchange that learns of prices from the events of a feed."""

    def on_market(self, event: Event) -> None:
        """Let the exchange see a market event."""
        ...

    def settle(self) -> bool:
        """Wait for outstanding answers; whether any came."""
        ...


class FeedClock:
    """Clock of a run whose time is that of its feed; monotonic time is the same.

    Parameters
    ----------
    now_ms : int
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the instant of the latest phase."""
        return self._now_ms

    def monotonic(self) -> float:
        """Return the same in seconds."""
        return self._now_ms / 1000.0

    def advance(self, ts_ms: int) -> None:
        """Move on to an instant; an earlier one changes nothing."""
        self._now_ms = max(self._now_ms, ts_ms)


class LockStep:
    """Driver of a loop.

    Parameters
    ----------
    clock : FeedClock
    exchange : MarketExchange
    bus : EventBus
    loop : TradingLoop
    timers : TimerWheel
    probe : callable
        Crash points, for tests.

    Attributes
    ----------
    read, shown, published : int
        Phases that came from the feed, that the exchange has seen, and that are on the bus.
    waits : bool
        Whether the next phase is being waited for.
    """

    def __init__(
        self,
        clock: FeedClock,
        exchange: MarketExchange,
        bus: EventBus,
        loop: TradingLoop,
        timers: TimerWheel,
        *,
        probe: Callable[[str], None] = no_probe,
    ) -> None:
        self._clock = clock
        self._exchange = exchange
        self._bus = bus
        self._loop = loop
        self._timers = timers
        self._probe = probe
        self.read = self.shown = self.published = 0
        self.waits = False

    def run(
        self, phases: Iterable[Phase], stopped: Callable[[], bool], told: Callable[[], None]
    ) -> bool:
        """Take the phases one by one.

        Parameters
        ----------
        phases : iterable of Phase
        stopped : callable
            Asked before each phase whether the user wants to stop.
        told : callable
            Called after each phase, for progress and snapshots.

        Returns
        -------
        bool
            False if the user stopped it; the run is at a point from which it can be resumed.
        """
        self.waits = True
        for phase in phases:
            self.waits = False
            if stopped():
                return False
            self.take(phase)
            told()
            self.waits = True
        self.waits = False
        return True

    def take(self, phase: Phase) -> None:
        """Take one phase, after the timers that are due before it."""
        self._fire(phase.ts_ms)
        self._clock.advance(phase.ts_ms)
        self.read += 1
        for event in phase.events:
            self._exchange.on_market(event)
        self.shown += 1
        self._probe("lockstep.shown")
        self._bus.publish_all(phase.events)
        self.published += 1
        self._probe("lockstep.published")
        self.settle()
        self._probe("lockstep.settled")

    def settle(self) -> None:
        """Run until neither the loop nor the exchange has anything left to say."""
        self._loop.run_until_idle()
        while self._exchange.settle():
            self._loop.run_until_idle()

    def _fire(self, until_ms: int) -> None:
        """Fire timers in order of time, each handled to its end: it may set another one."""
        while (due := self._timers.next_ms) is not None and due <= until_ms:
            self._clock.advance(due)
            for timer in self._timers.due(due):
                event = Event(TimerFired(timer), due, timer)
                self._exchange.on_market(event)  # its clock moves on too
                self._bus.publish(event)
            self.settle()
