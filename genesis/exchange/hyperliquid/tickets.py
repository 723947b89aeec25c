"""What the gateway knows of each order: its legs at the exchange, what filled, what was told."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from decimal import Decimal

from genesis.trading.gateway import OrderRequest
from genesis.trading.payloads import OrderCanceled

ZERO = Decimal(0)


class Leg:
    """One number that the exchange gave an order; a modification gives it another.

    `expected` is what the exchange says filled of it, None where it said nothing; `ending` the
    end that is told when those fills have come.
    """

    __slots__ = ("ended", "ending", "expected", "filled", "oid")

    def __init__(self, oid: str) -> None:
        self.oid = oid
        self.filled = ZERO
        self.expected: Decimal | None = None
        self.ending: OrderCanceled | None = None
        self.ended = False

    @property
    def waits(self) -> bool:
        """Whether fills are missing that the exchange spoke of."""
        return self.expected is not None and self.filled < self.expected


class Ticket:
    """One order.

    Attributes
    ----------
    request : OrderRequest or None
        None for an order of an earlier process, or of somebody else.
    sent_size : Decimal
        Total that was sent, what earlier legs filled included.
    change, changed_size : OrderRequest or None, Decimal
        A modification that has no answer yet, and the total that it was sent with.
    refused : str
        Why it never was at the exchange, for certain.
    over : bool
        Whether its end, or its last fill, was told.
    """

    def __init__(self, client_id: str, account: str, symbol: str, now_ms: int) -> None:
        self.client_id = client_id
        self.account = account
        self.symbol = symbol
        self.sent_ms = now_ms
        self.request: OrderRequest | None = None
        self.sent_size = ZERO
        self.legs: dict[str, Leg] = {}
        self.oid = ""
        self.accepted = self.over = False
        self.change: OrderRequest | None = None
        self.changed_size = ZERO
        self.refused = ""
        self.turn = asyncio.Lock()

    @property
    def filled(self) -> Decimal:
        """What filled of all its legs."""
        return sum((leg.filled for leg in self.legs.values()), ZERO)

    def before(self, oid: str) -> Decimal:
        """What filled of the other legs."""
        return sum((leg.filled for leg in self.legs.values() if leg.oid != oid), ZERO)

    def leg(self, oid: str) -> Leg:
        """Leg of a number, made where it is new."""
        if oid not in self.legs:
            self.legs[oid] = Leg(oid)
        return self.legs[oid]


class Tickets:
    """Tickets by client id and by the exchange's numbers; those that are over are forgotten last.

    Parameters
    ----------
    kept : int
        Orders in memory, live ones besides.
    """

    def __init__(self, kept: int = 8_192) -> None:
        self._kept = kept
        self._by_client: OrderedDict[str, Ticket] = OrderedDict()
        self._by_oid: dict[str, Ticket] = {}

    def __len__(self) -> int:
        return len(self._by_client)

    def get(self, client_id: str) -> Ticket | None:
        """Ticket of a client id."""
        return self._by_client.get(client_id)

    def by_oid(self, oid: str) -> Ticket | None:
        """Ticket of an exchange's number."""
        return self._by_oid.get(oid)

    def open(self, client_id: str, account: str, symbol: str, now_ms: int) -> Ticket:
        """A new ticket."""
        ticket = Ticket(client_id, account, symbol, now_ms)
        self._by_client[client_id] = ticket
        if len(self._by_client) > self._kept:
            self._forget()
        return ticket

    def name(self, ticket: Ticket, oid: str) -> Leg:
        """Let an exchange's number lead to a ticket."""
        if oid:
            self._by_oid[oid] = ticket
        return ticket.leg(oid)

    def live(self, account: str) -> list[Ticket]:
        """Orders of an account that may still be at the exchange."""
        return [t for t in self._by_client.values() if t.account == account and not t.over]

    def waiting(self) -> int:
        """Legs of which fills are missing."""
        return sum(leg.waits for t in self._by_client.values() for leg in t.legs.values())

    def _forget(self) -> None:
        for client_id, ticket in self._by_client.items():
            if ticket.over:
                del self._by_client[client_id]
                for oid in ticket.legs:
                    self._by_oid.pop(oid, None)
                return
