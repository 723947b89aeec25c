"""The trading loop: drain, number, commit, handle. One thread owns the state and the store.

Nothing acts before it is stored: a batch is committed in one transaction, with the ledger and
journal rows that earlier handling produced, and only then handled, event by event, in the order
of the log. What a handler emits travels over the bus and is stored in a later batch; a command
acts on the outside when it is handled itself, hence after the commit that holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError, InfrastructureError
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.crash_points import no_probe
from genesis.trading.events import Event
from genesis.trading.flow import Flow
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import OrderRejected, OrderSubmit
from genesis.trading.tables import Row

BATCH = 256
"""Most events of one commit."""
WHOLE_PHASE = 1 << 20
"""Batch of a loop in lock-step: the log must hold a phase before what the phase leads to, since the
exchange saw all of it before."""


class Log(Protocol):
    """What the loop needs of an event store."""

    def commit(self, events: list[Event], rows: list[Row]) -> None:
        """Number the events and store them with the rows, all or nothing."""
        ...


class MemoryLog:
    """Numbers events and keeps nothing: for measuring the loop without durability.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seq = 0

    def commit(self, events: list[Event], rows: list[Row]) -> None:
        """Number the events."""
        del rows
        now = self._clock.now_ms()
        for event in events:
            self._seq += 1
            event.seq = self._seq
            event.recorded_ms = now


@dataclass(frozen=True, slots=True)
class HandlerFault:
    """An event that a handler could not deal with: trading stays halted on it.

    Attributes
    ----------
    event : Event
    error : str
        Type and text of the exception.
    """

    event: Event
    error: str


class HaltedOnEvent(GenesisError):
    """A handler failed; nothing is handled until a person quarantines the event."""


class TradingLoop:
    """Single writer of a trading run.

    Parameters
    ----------
    bus : EventBus
    log : Log
    core : TradingCore
    outlet : Outlet
    probe : callable
        Called with the name of each crash point as it is passed; for tests of recovery.
    rows : list of Row, optional
        Rows of what was handled before and are not stored yet.
    batch : int
        Most events of one commit.

    Attributes
    ----------
    flow : Flow
        What passed through, for whoever watches its progress.
    fault : HandlerFault or None
    """

    def __init__(
        self,
        bus: EventBus,
        log: Log,
        core: TradingCore,
        outlet: Outlet,
        probe: Callable[[str], None] = no_probe,
        *,
        rows: list[Row] | None = None,
        batch: int = BATCH,
    ) -> None:
        self._bus = bus
        self._log = log
        self._core = core
        self._outlet = outlet
        self._probe = probe
        self._held: list[Event] = []
        self._inside = False
        self._rows = rows or []
        self._batch = batch
        self.flow = Flow()
        self.fault: HandlerFault | None = None

    @property
    def core(self) -> TradingCore:
        """The state that this loop owns."""
        return self._core

    @property
    def handled(self) -> int:
        """Events handled since the loop began."""
        return self.flow.handled

    @property
    def settled(self) -> bool:
        """Whether every emission so far is stored and handled, so that the state can be saved."""
        return not self._held and not self._inside and self._bus.idle

    def step(self) -> int:
        """Take one batch through the loop.

        Returns
        -------
        int
            Number of events handled.

        Raises
        ------
        HaltedOnEvent
            If a handler fails, now or earlier.
        StorageError
            If the batch cannot be stored; it is kept and stored first at the next step.
        InfrastructureError
            If an earlier batch was left in its middle: the rest of it is in the log, unhandled.
        """
        if self.fault is not None:
            raise self._halted()
        if self._inside:
            raise InfrastructureError(
                "trading stopped in the middle of a batch of events",
                why="an order could not be handed over, or the process was interrupted",
                fix="resume the run: it comes back whole from its log",
            )
        batch = self._held
        if not batch:
            batch = self._bus.drain(self._batch)
            if not batch:
                return 0
            self.flow.took(batch)
        self._held = batch
        self._log.commit(batch, self._rows)
        self.flow.stored(batch)
        self._held = []
        self._rows = []
        self._probe("loop.committed")
        self._inside = True
        for event in batch:
            self._handle(event)
        self._inside = False
        self._probe("loop.handled")
        return len(batch)

    def run_until_idle(self) -> int:
        """Step until nothing waits; return the number of events handled."""
        total = 0
        while count := self.step():
            total += count
        return total

    def flush(self) -> None:
        """Store the rows of what was handled last; at the end of a run and before a snapshot."""
        if self._rows:
            self._log.commit([], self._rows)
            self.flow.stored(())
            self._rows = []

    def _handle(self, event: Event) -> None:
        core = self._core
        try:
            core.handle(event)
        except Exception as error:
            self.fault = HandlerFault(event, f"{type(error).__name__}: {error}")
            raise self._halted() from error
        desk = core.desk  # what the core's properties show, at the price of a look
        if desk.rows:
            self._rows += desk.rows
        if desk.acts:
            self._act(event)
        if desk.emitted:
            self._bus.emit(desk.emitted)
        self.flow.done(event, desk.rows)

    def _act(self, event: Event) -> None:
        data = event.data
        order = data if isinstance(data, OrderSubmit) else None
        if order is not None:
            self.flow.left(order)  # before it goes: an exchange that takes no order holds us here
        self._probe("loop.before_act")
        held = self._outlet.act(event)
        self._probe("loop.after_act")
        if held and order is not None:
            refusal = OrderRejected(order.order.client_id, "submit", "latched", held)
            self._bus.emit([Event(refusal, event.recorded_ms, order.order.order_id)])

    def _halted(self) -> HaltedOnEvent:
        assert self.fault is not None
        return halted_on(self._core.desk.run, self.fault.event, self.fault.error)


def halted_on(run: str, event: Event, error: str) -> HaltedOnEvent:
    """Error for a run that no handler takes past an event."""
    return HaltedOnEvent(
        f"trading is halted on event {event.seq} ({event.type})",
        why=error,
        fix=f"report it; to go on without it: genesis events quarantine {run} {event.seq} "
        "--reason …",
    )
