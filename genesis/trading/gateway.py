"""The port to an exchange, and the requests that cross it.

A gateway sends and returns at once; every answer comes back later as an input event through the
sink it was given. A timeout, a lost connection or an answer that cannot be read is
`OrderUnknown`: never a rejection, and nothing is ever sent twice.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec

from genesis.trading.events import Event


class Side(StrEnum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"


class OrderKind(StrEnum):
    """How an order meets the market.

    MARKET takes liquidity at once; LIMIT rests; STOP is a resting trigger that takes liquidity
    when the price goes against the position; TARGET rests at a better price and fills as maker.
    """

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    TARGET = "target"


class Tif(StrEnum):
    """Time in force, in the exchange's words."""

    GTC = "gtc"
    IOC = "ioc"
    ALO = "alo"


class OrderRequest(msgspec.Struct, frozen=True):
    """An order as it is sent.

    Attributes
    ----------
    order_id, client_id : str
        ``ORD_…`` and the 128-bit id that the exchange knows it by.
    account, symbol : str
    side : Side
    kind : OrderKind
    size : Decimal
        Unsigned, base units, on the lot grid.
    price : Decimal or None
        Limit price, or trigger price of STOP and TARGET; None for MARKET.
    reduce_only : bool
    tif : Tif
    expires_ms : int
        The exchange must not accept it later than this; 0 for never.
    """

    order_id: str
    client_id: str
    account: str
    symbol: str
    side: Side
    kind: OrderKind
    size: Decimal
    price: Decimal | None = None
    reduce_only: bool = False
    tif: Tif = Tif.GTC
    expires_ms: int = 0


class OpenOrder(msgspec.Struct, frozen=True):
    """An order that rests on the exchange, as the exchange tells it."""

    client_id: str
    venue_id: str
    account: str
    symbol: str
    side: Side
    kind: OrderKind
    size: Decimal
    filled: Decimal
    price: Decimal | None
    reduce_only: bool


class VenueFill(msgspec.Struct, frozen=True):
    """A fill as the exchange tells it.

    Attributes
    ----------
    fill_id : str
        The exchange's id of the fill, unique in the account.
    client_id, venue_id : str
        Of its order; empty where there was none (liquidation, delisting).
    size : Decimal
        Unsigned.
    price : Decimal
    fee : Decimal
        Quote units, negative for a rebate.
    maker : bool
    reference : Decimal
        Price before slippage where the gateway knows it, else the fill price.
    cause : str
        ``order``, ``liquidation`` or ``delisted``.
    latency_ms : int
        From receiving the order (or its trigger) to the fill, where known.
    """

    fill_id: str
    client_id: str
    venue_id: str
    account: str
    symbol: str
    side: Side
    size: Decimal
    price: Decimal
    fee: Decimal
    maker: bool
    ts_ms: int
    reference: Decimal
    cause: str = "order"
    latency_ms: int = 0


class VenuePosition(msgspec.Struct, frozen=True):
    """A position as the exchange tells it; size signed."""

    account: str
    symbol: str
    size: Decimal
    entry: Decimal


class VenueFunding(msgspec.Struct, frozen=True):
    """Funding that the exchange booked; a positive amount was paid. One an instant and symbol."""

    account: str
    symbol: str
    amount: Decimal
    rate: float
    position: Decimal
    mark: float
    ts_ms: int


class AccountState(msgspec.Struct, frozen=True):
    """The truth of an exchange about one account.

    Attributes
    ----------
    positions : tuple of VenuePosition
        Flat ones are absent.
    orders : tuple of OpenOrder
    fills : tuple of VenueFill
        Since the time that was asked for, oldest first.
    ts_ms : int
    funding : tuple of VenueFunding
        Since the same time, oldest first.
    """

    account: str
    positions: tuple[VenuePosition, ...]
    orders: tuple[OpenOrder, ...]
    fills: tuple[VenueFill, ...]
    ts_ms: int
    funding: tuple[VenueFunding, ...] = ()


Sink = Callable[[Event], None]
"""Takes an input event; may block while the bus is full, never drops."""


class Gateway(Protocol):
    """An exchange, or something that behaves like one."""

    @property
    def name(self) -> str:
        """Short name for logs and events."""
        ...

    def connect(self, sink: Sink) -> None:
        """Begin to deliver answers to ``sink``."""
        ...

    def submit(self, order: OrderRequest) -> None:
        """Send an order. Answers: accepted, rejected, filled, canceled, unknown."""
        ...

    def cancel(self, account: str, symbol: str, client_id: str) -> None:
        """Ask for the end of an order. Answers: canceled, or rejected with what is left of it."""
        ...

    def modify(self, order: OrderRequest) -> None:
        """Replace size and price of the order with this client id. Answers: modified, rejected."""
        ...

    def query(self, account: str, symbol: str, client_id: str) -> None:
        """Ask what became of an order. Answer: `OrderStatus`."""
        ...

    def account_state(self, account: str, since_ms: int) -> AccountState:
        """Read positions, open orders and fills since a time; blocks.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of connections; sends nothing."""
        ...
