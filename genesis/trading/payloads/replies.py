"""What an exchange answers. Money is Decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from genesis.trading.events import EventType, Payload
from genesis.trading.gateway import AccountState, VenueFill


class OrderAccepted(Payload, frozen=True):
    """The exchange has the order."""

    type: ClassVar[EventType] = EventType.ORDER_ACCEPTED
    client_id: str
    venue_id: str


class OrderRejected(Payload, frozen=True):
    """The exchange refused an order, a cancel or a modify."""

    type: ClassVar[EventType] = EventType.ORDER_REJECTED
    client_id: str
    what: str
    reason: str
    text: str = ""


class OrderFilled(Payload, frozen=True):
    """A fill, of an order or forced by the exchange."""

    type: ClassVar[EventType] = EventType.ORDER_FILLED
    fill: VenueFill


class OrderCanceled(Payload, frozen=True):
    """The exchange ended an order; what was filled before stays filled.

    ``venue_id`` says which leg ended where a modification replaced one by another.
    """

    type: ClassVar[EventType] = EventType.ORDER_CANCELED
    client_id: str
    reason: str
    venue_id: str = ""


class OrderModified(Payload, frozen=True):
    """The exchange replaced an order; it may have a new venue id."""

    type: ClassVar[EventType] = EventType.ORDER_MODIFIED
    client_id: str
    venue_id: str
    price: Decimal | None
    size: Decimal


class OrderUnknown(Payload, frozen=True):
    """Nobody knows whether the exchange has the request."""

    type: ClassVar[EventType] = EventType.ORDER_UNKNOWN
    client_id: str
    what: str
    why: str


class OrderStatus(Payload, frozen=True):
    """Answer to a query; ``status`` in the words of `genesis.trading.orders.VenueStatus`.

    ``size`` (zero where it is not told) and ``price`` are those of an open order now.
    """

    type: ClassVar[EventType] = EventType.ORDER_STATUS
    client_id: str
    status: str
    venue_id: str = ""
    filled: Decimal = Decimal(0)
    venue_ms: int = 0
    size: Decimal = Decimal(0)
    price: Decimal | None = None


class FundingPaid(Payload, frozen=True):
    """Funding booked by the exchange; positive amount is paid, negative received."""

    type: ClassVar[EventType] = EventType.FUNDING_PAID
    account: str
    symbol: str
    amount: Decimal
    rate: float
    position: Decimal
    mark: float


class AccountSnapshot(Payload, frozen=True):
    """What the exchange says about an account, for reconciliation.

    ``adopt``: take over what differs, as a person confirmed.
    """

    type: ClassVar[EventType] = EventType.ACCOUNT_SNAPSHOT
    state: AccountState
    adopt: bool = False


class ConnectionChanged(Payload, frozen=True):
    """A feed or gateway was lost or came back."""

    type: ClassVar[EventType] = EventType.CONNECTION_CHANGED
    source: str
    connected: bool
    why: str = ""
