"""Events around one order, for the tests of what keeps orders."""

from __future__ import annotations

from decimal import Decimal

from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side, VenueFill
from genesis.trading.order_manager import Change, OrderManager
from genesis.trading.payloads import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    TimerFired,
)
from tests.unit.trading.clearing import cleared

ACCOUNT, SYMBOL = "paper/a", "BTC"


def event(data: Payload, now: int = 1_000) -> Event:
    return Event(data, now, seq=1, recorded_ms=now)


def request(
    number: int = 1,
    *,
    side: Side = Side.BUY,
    kind: OrderKind = OrderKind.LIMIT,
    size: str = "10",
    price: str | None = "100",
    reduce_only: bool = False,
    expires_ms: int = 0,
) -> OrderRequest:
    return OrderRequest(
        order_id=f"ORD_{number:08x}",
        client_id=f"0x{number:032x}",
        account=ACCOUNT,
        symbol=SYMBOL,
        side=side,
        kind=kind,
        size=Decimal(size),
        price=None if price is None else Decimal(price),
        reduce_only=reduce_only,
        expires_ms=expires_ms,
    )


def submit_of(order: OrderRequest, reference: str | None = None) -> OrderSubmit:
    seen = None if reference is None else Decimal(reference)
    return OrderSubmit("DEP_1", "TPL_1", "entry", order, "INT_1", seen)


def fill_of(
    order: OrderRequest,
    number: int,
    size: str,
    price: str = "100",
    *,
    venue_id: str = "v1",
    ts_ms: int = 1_000,
    fee: str = "0",
    maker: bool = False,
    reference: str | None = None,
) -> VenueFill:
    return VenueFill(
        fill_id=f"f{number}",
        client_id=order.client_id,
        venue_id=venue_id,
        account=order.account,
        symbol=order.symbol,
        side=order.side,
        size=Decimal(size),
        price=Decimal(price),
        fee=Decimal(fee),
        maker=maker,
        ts_ms=ts_ms,
        reference=Decimal(reference or price),
    )


class Talk:
    """Tells an order manager of one order after another thing."""

    def __init__(self, manager: OrderManager, order: OrderRequest) -> None:
        self.manager = manager
        self.order = order

    def submit(self, now: int = 1_000) -> Change:
        data = submit_of(self.order)
        if self.manager.get(self.order.order_id) is None:
            self.manager.intend(data, event(data, now), cleared(self.order))
        return self.manager.submit(data, event(data, now))

    def accept(self, venue_id: str = "v1", now: int = 1_000) -> Change:
        data = OrderAccepted(self.order.client_id, venue_id)
        return self.manager.on_accepted(data, event(data, now))

    def reject(self, what: str = "submit", reason: str = "no", now: int = 1_000) -> Change:
        data = OrderRejected(self.order.client_id, what, reason)
        return self.manager.on_rejected(data, event(data, now))

    def fill(
        self, number: int, size: str, *, venue_id: str = "v1", ts_ms: int = 1_000, now: int = 1_000
    ) -> Change:
        data = OrderFilled(fill_of(self.order, number, size, venue_id=venue_id, ts_ms=ts_ms))
        return self.manager.on_fill(data, event(data, now))

    def canceled(self, venue_id: str = "", now: int = 1_000) -> Change:
        data = OrderCanceled(self.order.client_id, "asked", venue_id)
        return self.manager.on_canceled(data, event(data, now))

    def modified(self, venue_id: str, price: str, size: str, now: int = 1_000) -> Change:
        data = OrderModified(self.order.client_id, venue_id, Decimal(price), Decimal(size))
        return self.manager.on_modified(data, event(data, now))

    def unknown(self, what: str = "submit", now: int = 1_000) -> Change:
        data = OrderUnknown(self.order.client_id, what, "timeout")
        return self.manager.on_unknown(data, event(data, now))

    def status(
        self, word: str, *, venue_id: str = "", filled: str = "0", venue_ms: int = 0, now: int = 1
    ) -> Change:
        data = OrderStatus(self.order.client_id, word, venue_id, Decimal(filled), venue_ms)
        return self.manager.on_status(data, event(data, now))

    def timer(self, name: str, now: int) -> Change:
        data = TimerFired(name)
        changes = self.manager.on_timer(name, event(data, now))
        return Change(emit=[payload for change in changes for payload in change.emit])
