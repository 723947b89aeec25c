"""What the paper exchange keeps: orders, and one book for each account and symbol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from genesis.trading.gateway import OpenOrder, OrderKind, OrderRequest, Side, Tif
from genesis.trading.orders import VenueStatus


class PaperOrder:
    """An order that the exchange has seen, open or ended.

    Parameters
    ----------
    request : OrderRequest
        As sent, or as last modified.
    venue_id : str
    """

    __slots__ = ("filled", "fills", "price", "reason", "request", "sign", "status", "venue_id")

    def __init__(self, request: OrderRequest, venue_id: str) -> None:
        self.venue_id = venue_id
        self.filled = Decimal(0)
        self.fills = 0
        self.status = VenueStatus.OPEN
        self.reason = ""
        self.replace(request)

    def replace(self, request: OrderRequest) -> None:
        """Take over price and size of a later request."""
        self.request = request
        self.sign = 1.0 if request.side is Side.BUY else -1.0
        self.price = 0.0 if request.price is None else float(request.price)

    @property
    def kind(self) -> OrderKind:
        """How it meets the market."""
        return self.request.kind

    @property
    def left(self) -> Decimal:
        """Size that is not filled."""
        return self.request.size - self.filled

    @property
    def answer(self) -> VenueStatus:
        """State as a query tells it: a stop or target that nothing has touched waits."""
        waits = self.kind in (OrderKind.STOP, OrderKind.TARGET) and not self.fills
        return VenueStatus.TRIGGER_WAIT if self.open and waits else self.status

    @property
    def open(self) -> bool:
        """Whether it may still fill."""
        return self.status is VenueStatus.OPEN

    def open_order(self) -> OpenOrder:
        """The order as an account's state shows it."""
        r = self.request
        return OpenOrder(
            r.client_id,
            self.venue_id,
            r.account,
            r.symbol,
            r.side,
            r.kind,
            r.size,
            self.filled,
            r.price,
            r.reduce_only,
        )

    def plain(self) -> dict[str, Any]:
        """State as JSON can hold it."""
        return {
            "request": msgspec.to_builtins(self.request),
            "venue_id": self.venue_id,
            "filled": str(self.filled),
            "fills": self.fills,
            "status": str(self.status),
            "reason": self.reason,
        }

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> PaperOrder:
        """Read back what `plain` wrote."""
        order = cls(msgspec.convert(value["request"], OrderRequest), value["venue_id"])
        order.filled = Decimal(value["filled"])
        order.fills = value["fills"]
        order.status = VenueStatus(value["status"])
        order.reason = value["reason"]
        return order


class PaperBook:
    """Net position and open orders of one account in one symbol.

    Attributes
    ----------
    account, symbol : str
    size : Decimal
        Signed position, base units.
    quantity, entry, accrued, liquidation : float
        The position as a float, its average entry price, funding paid since the entry (quote
        units) and the price at which its isolated margin is used up; zero while flat.
    orders : list of PaperOrder
        Open ones in order of arrival; a market order waits here for a price.
    dead : str
        Why no further order is taken: ``liquidated`` or ``delisted``; empty while alive.
    """

    __slots__ = (
        "_ceiling",
        "_floor",
        "_stale",
        "account",
        "accrued",
        "dead",
        "entry",
        "liquidation",
        "orders",
        "quantity",
        "size",
        "symbol",
    )

    def __init__(self, account: str, symbol: str) -> None:
        self.account = account
        self.symbol = symbol
        self.size = Decimal(0)
        self.quantity = self.entry = self.accrued = self.liquidation = 0.0
        self.orders: list[PaperOrder] = []
        self.dead = ""
        self._floor, self._ceiling, self._stale = -math.inf, math.inf, False

    def add(self, order: PaperOrder) -> None:
        """Take in an open order."""
        self.orders.append(order)
        self._stale = True

    def remove(self, order: PaperOrder) -> None:
        """Let go of an order that has ended."""
        self.orders.remove(order)
        self._stale = True

    def changed(self) -> None:
        """Note that an order or the liquidation price is another one."""
        self._stale = True

    def idle(self, high: float, low: float) -> bool:
        """Whether prices within ``[low, high]`` touch nothing here: most bars of most books."""
        if self._stale:
            self._bound()
        return low > self._floor and high < self._ceiling

    def _bound(self) -> None:
        """Highest level that waits for a falling price, lowest that waits for a rising one."""
        floor, ceiling = -math.inf, math.inf
        if self.quantity > 0.0:
            floor = self.liquidation
        elif self.quantity < 0.0:
            ceiling = self.liquidation
        for order in self.orders:
            if order.kind is OrderKind.MARKET or order.request.tif is Tif.IOC:
                floor = math.inf
            elif (order.sign > 0.0) == (order.kind is OrderKind.STOP):
                ceiling = min(ceiling, order.price)
            else:
                floor = max(floor, order.price)
        self._floor, self._ceiling, self._stale = floor, ceiling, False

    def reducible(self, sign: float) -> Decimal:
        """Size that an order of this sign can take off the position."""
        return abs(self.size) if self.quantity * sign < 0.0 else Decimal(0)

    def move(self, signed: Decimal, price: float) -> None:
        """Apply a fill; the liquidation price is left to the caller.

        A reduction releases the margin of the part it closes, with the funding taken from it.
        """
        before = self.quantity
        self._stale = True
        self.size += signed
        after = self.quantity = float(self.size)
        if after == 0.0:
            self.entry = self.accrued = self.liquidation = 0.0
        elif before * after <= 0.0:
            self.entry, self.accrued = price, 0.0
        elif abs(after) > abs(before):
            added = abs(float(signed)) * price
            self.entry = (abs(before) * self.entry + added) / abs(after)
        else:
            self.accrued *= after / before

    def plain(self) -> dict[str, Any]:
        """State as JSON can hold it, orders by client id."""
        return {
            "account": self.account,
            "symbol": self.symbol,
            "size": str(self.size),
            "entry": self.entry,
            "accrued": self.accrued,
            "liquidation": self.liquidation,
            "orders": [order.request.client_id for order in self.orders],
            "dead": self.dead,
        }

    @classmethod
    def from_plain(
        cls, value: Mapping[str, Any], orders: Mapping[tuple[str, str], PaperOrder]
    ) -> PaperBook:
        """Read back what `plain` wrote, given the orders by account and client id."""
        book = cls(value["account"], value["symbol"])
        book.size = Decimal(value["size"])
        book.quantity = float(book.size)
        book.entry, book.accrued = value["entry"], value["accrued"]
        book.liquidation = value["liquidation"]
        book.orders = [orders[book.account, client_id] for client_id in value["orders"]]
        book.dead = value["dead"]
        book.changed()
        return book
