"""Drives a loop in real time: one thread that waits on the bus, steps, and fires what is due.

Market data comes through a gate, which holds it back until the past is told, leaves out what the
log holds already, and shuts when the run ends; what an exchange says of orders and accounts always
passes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from genesis.domain.clock import Clock
from genesis.trading.bus import EventBus
from genesis.trading.desk import Market
from genesis.trading.events import Event
from genesis.trading.gateway import AccountState
from genesis.trading.loop import TradingLoop
from genesis.trading.payloads import (
    BarClosed,
    BarCorrected,
    BarOpened,
    BarRange,
    BarsMissing,
    CandlesReady,
    FundingDue,
    FundingPaid,
    MarketState,
    OrderFilled,
    Quote,
    TimerFired,
)
from genesis.trading.schedule import TimerWheel

MARKET = (
    Quote,
    BarOpened,
    BarRange,
    BarClosed,
    BarCorrected,
    BarsMissing,
    CandlesReady,
    FundingDue,
    MarketState,
)
"""What comes from a market and not from an account."""

WAIT_S = 0.1
"""Longest sleep between two looks at clock, inbox and whether somebody wants to stop."""


class MarketGate:
    """A sink that lets market data through once it may, in the order in which it came.

    Parameters
    ----------
    bus : EventBus

    Attributes
    ----------
    bars : int
        Bars that strategies were let decide on.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._held: list[Event] | None = []
        self._early: list[Event] | None = None
        self._before: frozenset[object] = frozenset()
        self._shut = False
        self._opened: dict[str, int] = {}
        self._closed: dict[str, int] = {}
        self.bars = 0

    def put(self, event: Event) -> None:
        """Take an event of the exchange; may block while the bus is full."""
        with self._lock:
            if self._early is not None:
                self._early.append(event)
                return
            passes = self._passes(event)
        if passes:
            self._bus.publish(event)

    def _passes(self, event: Event) -> bool:
        if self._before and _happening(event) in self._before:
            return False
        if isinstance(event.data, MARKET):
            if self._held is not None:
                self._held.append(event)
                return False
            if self._shut or self.known(event):
                return False
            self._count(event)
        return True

    def hold(self) -> None:
        """Hold everything back, until `admit`."""
        self._early = []

    def admit(self, state: Iterable[AccountState]) -> None:
        """Let through what was held, but for what accounts show of the time before a run.

        What comes meanwhile waits behind it.

        Parameters
        ----------
        state : iterable of AccountState
            Read while everything was held: fills and funding in it are not the run's.
        """
        self._before = frozenset(
            (one.account, *key)
            for one in state
            for key in (
                *((fill.fill_id,) for fill in one.fills),
                *((paid.symbol, paid.ts_ms) for paid in one.funding),
            )
        )
        with self._lock:
            held, self._early = self._early or [], None
            for event in held:
                if self._passes(event):
                    self._bus.publish(event)

    def remember(self, market: Market) -> None:
        """Leave out the bars that a log holds, from now on."""
        self._opened = dict(market.open_ms)
        self._closed = {name: bar.open_ms for name, bar in market.bars.items()}

    def first_ms(self) -> int | None:
        """Open time of the earliest bar that is held, None where none is."""
        with self._lock:
            held = [event.data for event in self._held or ()]
        return min((data.open_ms for data in held if isinstance(data, BarOpened)), default=None)

    def open(self) -> None:
        """Tell what was held; from now on everything passes.

        Only for the thread that drains the bus, which never waits for room on it.
        """
        with self._lock:
            held, self._held = self._held or [], None
            for event in held:
                if not self.known(event):
                    self._count(event)
                    self._bus.publish(event)

    def shut(self) -> None:
        """Let no market data through any more."""
        self._shut = True

    def known(self, event: Event) -> bool:
        """Whether the log holds this part of a bar."""
        data = event.data
        if isinstance(data, BarOpened):
            return data.open_ms <= self._opened.get(data.symbol, -1)
        if isinstance(data, BarRange | BarClosed):
            return data.open_ms <= self._closed.get(data.symbol, -1)
        return False

    def _count(self, event: Event) -> None:
        self.bars += isinstance(event.data, CandlesReady)


def _happening(event: Event) -> tuple[object, ...] | None:
    """What tells a fill or a funding payment from every other; None for other events."""
    data = event.data
    if isinstance(data, OrderFilled):
        return data.fill.account, data.fill.fill_id
    if isinstance(data, FundingPaid):
        return data.account, data.symbol, event.ts_ms
    return None


class LiveDriver:
    """Takes a loop through real time.

    Parameters
    ----------
    clock : Clock
        Of the run.
    bus : EventBus
    loop : TradingLoop
    timers : TimerWheel
    settle : callable
        Waits until the exchange has answered what was asked; whether it has.
    rest : callable, optional
        ``rest(due_ms)`` is called where there is nothing to do; by default the bus is waited for.
    """

    def __init__(
        self,
        clock: Clock,
        bus: EventBus,
        loop: TradingLoop,
        timers: TimerWheel,
        settle: Callable[[], bool],
        rest: Callable[[int | None], None] | None = None,
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._loop = loop
        self._timers = timers
        self._settle = settle
        self._rest = rest

    def turn(self, wait_s: float = WAIT_S) -> int:
        """Fire what is due and take one batch; sleep a little where there is nothing to do."""
        self._fire()
        handled = self._loop.step()
        if not handled and self._rest is not None:
            self._rest(self._timers.next_ms)
        elif not handled:
            due = self._timers.next_ms
            left = wait_s if due is None else (due - self._clock.now_ms()) / 1000.0
            self._bus.wait(min(max(left, 0.0), wait_s))
        return handled

    def settle(self) -> None:
        """Run until neither the loop nor the exchange has anything left to say, or it is silent."""
        self._loop.run_until_idle()
        while self._settle() and self._loop.run_until_idle():
            pass

    def until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Turn until something is so; whether it came to be within the time."""
        ends = self._clock.monotonic() + timeout_s
        while not (self._bus.idle and done()):
            if self._clock.monotonic() >= ends:
                return False
            self.turn()
        return True

    def _fire(self) -> None:
        now = self._clock.now_ms()
        for timer in self._timers.due(now):
            self._bus.publish(Event(TimerFired(timer), now, timer))
