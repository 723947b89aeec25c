"""Commands: they act on the outside once they are committed."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from genesis.trading.events import EventType, Payload
from genesis.trading.gateway import OrderRequest


class OrderSubmit(Payload, frozen=True):
    """Send an order.

    ``intent_id`` names the intent it executes, ``reference`` the price that the decision saw;
    without one a trigger order is measured against its own level.
    """

    type: ClassVar[EventType] = EventType.ORDER_SUBMIT
    deployment: str
    plan_id: str
    purpose: str
    order: OrderRequest
    intent_id: str = ""
    reference: Decimal | None = None


class OrderCancel(Payload, frozen=True):
    """Ask the exchange to end an order."""

    type: ClassVar[EventType] = EventType.ORDER_CANCEL
    order_id: str
    client_id: str
    account: str
    symbol: str
    reason: str


class OrderModify(Payload, frozen=True):
    """Ask the exchange to replace price and size of an order."""

    type: ClassVar[EventType] = EventType.ORDER_MODIFY
    deployment: str
    reason: str
    order: OrderRequest


class OrderQuery(Payload, frozen=True):
    """Ask what became of an order."""

    type: ClassVar[EventType] = EventType.ORDER_QUERY
    order_id: str
    client_id: str
    account: str
    symbol: str
    attempt: int


class TimerSet(Payload, frozen=True):
    """Fire a timer at an instant of the run's clock."""

    type: ClassVar[EventType] = EventType.TIMER_SET
    timer: str
    due_ms: int
