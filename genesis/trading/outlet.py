"""Where commands leave the core: the gateway and the timers, after the commit that holds them."""

from __future__ import annotations

from typing import Protocol

from genesis.trading.events import Event
from genesis.trading.gateway import Gateway
from genesis.trading.payloads import (
    OrderCancel,
    OrderModify,
    OrderQuery,
    OrderSubmit,
    TimerSet,
)


class Timers(Protocol):
    """Fires `TimerFired` events at instants of the run's clock."""

    def set(self, timer: str, due_ms: int) -> None:
        """Set or move a timer."""
        ...


class Latch(Protocol):
    """Says whether anything may be sent at all; a person's kill sets it."""

    def closed(self) -> str:
        """Why nothing that adds risk may leave, empty if it may."""
        ...


class Outlet:
    """Acts on command events.

    Parameters
    ----------
    gateway : Gateway
    timers : Timers
    latch : Latch, optional
        Looked at before each submission that could add risk.
    """

    def __init__(self, gateway: Gateway, timers: Timers, latch: Latch | None = None) -> None:
        self._gateway = gateway
        self._timers = timers
        self._latches = [latch] if latch is not None else []

    def guard(self, latch: Latch) -> None:
        """Look at one more latch before each submission that could add risk."""
        self._latches.append(latch)

    def act(self, event: Event) -> str:
        """Carry out one command.

        Returns
        -------
        str
            Why it was held back, empty if it was carried out.
        """
        data = event.data
        if isinstance(data, OrderSubmit):
            if not data.order.reduce_only:
                for latch in self._latches:
                    if why := latch.closed():
                        return why
            self._gateway.submit(data.order)
        elif isinstance(data, OrderCancel):
            self._gateway.cancel(data.account, data.symbol, data.client_id)
        elif isinstance(data, OrderModify):
            self._gateway.modify(data.order)
        elif isinstance(data, OrderQuery):
            self._gateway.query(data.account, data.symbol, data.client_id)
        elif isinstance(data, TimerSet):
            self._timers.set(data.timer, data.due_ms)
        return ""
