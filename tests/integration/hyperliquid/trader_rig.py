"""The order manager on a live gateway: events in order, commands carried out, a shared clock."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderRequest
from genesis.trading.order_manager import Change, OrderManager, OrderSettings
from genesis.trading.orders import Order, OrderState
from genesis.trading.payloads import (
    AlertRaised,
    ConnectionChanged,
    OrderAccepted,
    OrderCancel,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderModify,
    OrderQuery,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    TimerSet,
)
from genesis.trading.schedule import TimerWheel
from tests.integration.hyperliquid.live_rig import LiveRig
from tests.unit.trading.clearing import cleared

MARGIN_MS = 2_000


class Trader:
    """Handles what a gateway tells as the loop does, without a store.

    Parameters
    ----------
    rig : LiveRig
    """

    def __init__(self, rig: LiveRig) -> None:
        self.rig = rig
        self.orders = OrderManager(
            OrderSettings(ack_ms=0, margin_ms=MARGIN_MS, query_ms=500, longest_query_ms=1_000)
        )
        self.wheel = TimerWheel()
        self.seq = 0
        self.alerts: list[AlertRaised] = []
        self.connections: list[ConnectionChanged] = []
        self.events: list[Event] = []
        self.position: Counter[str] = Counter()
        self.booked: list[str] = []
        self.done_ms: dict[str, int] = {}
        self._waiting: list[Event] = []
        self._mutex = threading.Lock()
        self.gateway: HyperliquidGateway | None = None

    def sink(self, event: Event) -> None:
        with self._mutex:
            self._waiting.append(event)

    def in_doubt(self) -> bool:
        return any(one.state is OrderState.UNKNOWN for one in self.orders.open_orders())

    @property
    def now(self) -> int:
        return self.rig.venue.clock.now_ms()

    # ---- requests --------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> Order:
        command = OrderSubmit("DEP", "TPL", "entry", request)
        event = self._number(Event(command, self.now))
        self.orders.intend(command, event, cleared(request))
        change = self.orders.submit(command, event)
        assert change.order is not None
        if change.send:
            self._gateway.submit(request)
        self._follow(change)
        return change.order

    def cancel(self, order: Order) -> None:
        command = OrderCancel(order.order_id, "", "", "", "")
        self._follow(
            self.orders.request_cancel(
                order.order_id, "test", self._number(Event(command, self.now))
            )
        )

    def modify(self, order: Order, price: str, size: str) -> None:
        event = self._number(Event(OrderModify("DEP", "test", order.request), self.now))
        wanted = replace(order.request, price=Decimal(price), size=Decimal(size))
        self._follow(
            self.orders.request_modify(
                order.order_id, wanted.price, wanted.size, "test", event, cleared(wanted)
            )
        )

    # ---- the loop --------------------------------------------------------------------------

    def pump(self) -> int:
        """Handle what has come and fire what is due."""
        with self._mutex:
            events, self._waiting = self._waiting, []
        for event in events:
            self.events.append(event)
            self._handle(self._number(event))
        for timer in self.wheel.due(self.now):
            event = self._number(Event(TimerSet(timer, 0), self.now))
            for change in self.orders.on_timer(timer, event):
                self._follow(change)
        return len(events)

    def settle(self) -> None:
        """Handle until nothing more comes at this instant of the shared clock."""
        while True:
            assert self._gateway.settle()
            if not self.pump():
                return

    def run_until(self, done: Callable[[], bool], limit_ms: int = 120_000) -> int:
        """Let the shared clock run from timer to timer; returns how long it took."""
        began = self.now
        self.settle()
        while not done():
            assert self.now - began < limit_ms, "it did not happen in time"
            due = self.wheel.next_ms
            step = 500 if due is None else min(max(due - self.now, 1), 500)
            self.rig.advance(step)
            time.sleep(0.002)  # sockets and delays are real, whatever the calendar does
            self.settle()
        return self.now - began

    @property
    def _gateway(self) -> HyperliquidGateway:
        assert self.gateway is not None
        return self.gateway

    def _number(self, event: Event) -> Event:
        self.seq += 1
        event.seq, event.recorded_ms = self.seq, self.now
        return event

    def _handle(self, event: Event) -> None:
        data: Payload = event.data
        orders = self.orders
        if isinstance(data, AlertRaised):
            self.alerts.append(data)
        elif isinstance(data, ConnectionChanged):
            self.connections.append(data)
        elif isinstance(data, OrderFilled):
            change = orders.on_fill(data, event)
            if change.fill is not None:
                fill = change.fill
                self.booked.append(fill.fill_id)
                self.position[fill.symbol] += (  # type: ignore[assignment]
                    fill.size if fill.side == "buy" else -fill.size
                )
            self._follow(change)
        else:
            handler: Callable[[Payload, Event], Change] | None = {
                OrderAccepted: orders.on_accepted,
                OrderRejected: orders.on_rejected,
                OrderCanceled: orders.on_canceled,
                OrderModified: orders.on_modified,
                OrderUnknown: orders.on_unknown,
                OrderStatus: orders.on_status,
            }.get(type(data))  # type: ignore[call-overload]
            if handler is not None:
                self._follow(handler(data, event))

    def _follow(self, change: Change) -> None:
        order = change.order
        if order is not None and not order.live:
            self.done_ms.setdefault(order.order_id, self.now)
        for payload in change.emit:
            if isinstance(payload, TimerSet):
                self.wheel.set(payload.timer, payload.due_ms)
            elif isinstance(payload, OrderQuery):
                self._gateway.query(payload.account, payload.symbol, payload.client_id)
            elif isinstance(payload, OrderCancel):
                self._gateway.cancel(payload.account, payload.symbol, payload.client_id)
            elif isinstance(payload, OrderModify):
                self._gateway.modify(payload.order)
            elif isinstance(payload, AlertRaised):
                self.alerts.append(payload)
