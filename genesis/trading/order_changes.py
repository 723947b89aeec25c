"""What the order manager is set to, and what it says an event did."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from genesis.trading.events import Payload
from genesis.trading.gateway import VenueFill
from genesis.trading.orders import Order, OrderState

TIMER = "orders@"
"""Beginning of the names of this component's timers."""

FORCED = ("liquidation", "delisted")
"""Causes of fills that the exchange itself forces."""
EXTERNAL = "external"
"""Deployment and purpose of orders that nobody here sent."""


class OrderSettings(msgspec.Struct, frozen=True):
    """Times and bounds of the order manager.

    Attributes
    ----------
    ack_ms : int
        Without an answer for so long a request counts as lost; 0 leaves that to the gateway.
    margin_ms : int
        "Never heard of it" counts from so long after an order's expiry, in exchange time.
    query_ms, longest_query_ms : int
        Pause after the first query, doubled after each further one up to the longest.
    retained, window : int
        See `OrderIndex` and `FillWindow`.
    """

    ack_ms: int = 10_000
    margin_ms: int = 5_000
    query_ms: int = 1_000
    longest_query_ms: int = 60_000
    retained: int = 512
    window: int = 2_048


class Change(msgspec.Struct):
    """What one event did to an order.

    Attributes
    ----------
    order : Order or None
        None where nobody here knows the order.
    before : OrderState or None
    moved : bool
        Whether anything worth a row changed.
    fill : VenueFill or None
        A fill that is to be booked; None for a repetition.
    foreign : bool
        The fill is of an order that nobody here sent.
    send : bool
        For `submit`: whether the order may be sent.
    emit : list of Payload
        Commands and alerts, in order.
    """

    order: Order | None = None
    before: OrderState | None = None
    moved: bool = False
    fill: VenueFill | None = None
    foreign: bool = False
    send: bool = False
    emit: list[Payload] = []


class Exposure(msgspec.Struct, frozen=True):
    """What open, pending and UNKNOWN orders may still add, unsigned, at full size.

    Orders that only reduce a position are left out.
    """

    buy: Decimal
    sell: Decimal
