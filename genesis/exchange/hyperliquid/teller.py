"""Tells the loop what became of orders: each thing once, in an order that makes sense.

The answer to a request, its order updates and its fills travel on different ways and may come in
any order. An acceptance is told before the first fill; an end only when the fills that the
exchange counted have been told, or have stayed away for too long.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal

from genesis.exchange.hyperliquid import shapes
from genesis.exchange.hyperliquid.delivery import Delivery
from genesis.exchange.hyperliquid.shapes import Json
from genesis.exchange.hyperliquid.tickets import Leg, Ticket, Tickets
from genesis.trading.events import Payload
from genesis.trading.gateway import VenueFill, VenueFunding
from genesis.trading.payloads import (
    AlertRaised,
    FundingPaid,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderStatus,
    OrderUnknown,
)

SEEN = 65_536


class Teller:
    """Events about orders.

    Parameters
    ----------
    delivery : Delivery
    tickets : Tickets
    name : str
        Of the gateway.
    chase : callable
        ``chase(ticket, leg)``: fetch the fills that a leg waits for.
    traded : callable
        ``traded(account, dollars)`` for each fill that is told.
    """

    def __init__(
        self,
        delivery: Delivery,
        tickets: Tickets,
        name: str,
        chase: Callable[[Ticket, Leg], None],
        traded: Callable[[str, Decimal], None],
    ) -> None:
        self._delivery = delivery
        self._tickets = tickets
        self._name = name
        self._chase = chase
        self._traded = traded
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._paid: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self.newest_ms: dict[str, int] = {}
        self.repeated = 0

    # ---- orders ----------------------------------------------------------------------------

    def accepted(self, ticket: Ticket, oid: str) -> Leg:
        """The exchange has the order; a new number means that it was modified."""
        fresh = oid not in ticket.legs
        leg = self._tickets.name(ticket, oid)
        if fresh and ticket.accepted and ticket.change is not None:
            self.modified(ticket, oid)
        if not ticket.accepted:
            ticket.accepted = True
            ticket.oid = oid
            self._delivery.tell(OrderAccepted(ticket.client_id, oid), ticket.client_id)
        return leg

    def modified(self, ticket: Ticket, oid: str) -> None:
        """The modification that was asked for has been made; told once."""
        change, ticket.change = ticket.change, None
        if change is None:
            return
        leg = self._tickets.name(ticket, oid)
        ticket.oid, ticket.request, ticket.sent_size = oid, change, ticket.changed_size
        ticket.over = leg.ended
        self._delivery.tell(
            OrderModified(change.client_id, oid, change.price, change.size), change.client_id
        )

    def rejected(self, client_id: str, what: str, reason: str, text: str) -> None:
        """The exchange, or a rule before it, refused a request."""
        self._delivery.tell(OrderRejected(client_id, what, reason, text), client_id)

    def refused(self, ticket: Ticket, reason: str, text: str) -> None:
        """An order never was at the exchange, for certain."""
        if not ticket.over:
            ticket.refused, ticket.over = reason, True
            self.rejected(ticket.client_id, "submit", reason, text)

    def tell(self, ticket: Ticket, data: Payload) -> None:
        """Tell something else about an order."""
        self._delivery.tell(data, ticket.client_id)

    def status(self, data: OrderStatus) -> None:
        """Tell the answer to a query."""
        self._delivery.tell(data, data.client_id)

    def unknown(self, client_id: str, what: str, why: str) -> None:
        """Nobody knows what became of a request."""
        self._delivery.tell(OrderUnknown(client_id, what, why), client_id)

    def expect(self, ticket: Ticket, leg: Leg, filled: Decimal) -> None:
        """The exchange says that so much of a leg filled: those fills must come."""
        if leg.expected is None or filled > leg.expected:
            leg.expected = filled
            if leg.waits:
                self._chase(ticket, leg)

    def ended(self, ticket: Ticket, oid: str, reason: str, filled: Decimal) -> None:
        """The exchange ended a leg of which so much had filled."""
        leg = self._tickets.name(ticket, oid)
        if leg.ended or leg.ending is not None:
            return
        leg.ending = OrderCanceled(ticket.client_id, reason, oid)
        self.expect(ticket, leg, filled)
        self._maybe_end(ticket, leg)

    def give_up(self, ticket: Ticket, leg: Leg) -> None:
        """The fills that a leg waits for stay away: tell what the exchange says, and no more."""
        if not leg.waits:
            return
        assert leg.expected is not None
        missing = leg.expected - leg.filled
        text = f"fills of {missing} of order {ticket.client_id} ({leg.oid}) are missing"
        self.alert("critical", "fills are missing", text)
        status = "filled" if leg.ending is None else leg.ending.reason
        filled = ticket.before(leg.oid) + leg.expected
        leg.expected, leg.ending, leg.ended = leg.filled, None, True
        data = OrderStatus(ticket.client_id, status, leg.oid, filled)
        self._delivery.tell(data, ticket.client_id)

    def _maybe_end(self, ticket: Ticket, leg: Leg) -> None:
        if leg.ending is None or leg.waits:
            return
        self._delivery.tell(leg.ending, ticket.client_id)
        leg.ending, leg.ended = None, True
        if leg.oid == ticket.oid and ticket.change is None:
            ticket.over = True

    # ---- fills and funding -----------------------------------------------------------------

    def known(self, account: str, row: Json) -> None:
        """Count a fill as told, without telling it: it is from before this process."""
        self._first((account, str(int(row["tid"]))))

    def fill(self, account: str, address: str, row: Json) -> bool:
        """Tell a fill once.

        Returns
        -------
        bool
            Whether it was new.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it cannot be read.
        """
        found = self.read(account, address, row)
        if not self._first((account, found.fill_id)):
            self.repeated += 1
            return False
        ticket = self._ticket(found)
        leg = None
        if ticket is not None:
            leg = self.accepted(ticket, found.venue_id)
            leg.filled += found.size
        self._delivery.tell(OrderFilled(found), found.client_id or account, found.ts_ms)
        self.newest_ms[account] = max(self.newest_ms.get(account, 0), found.ts_ms)
        self._traded(account, found.size * found.price)
        if ticket is not None and leg is not None:
            self.maybe_over(ticket, leg)
        return True

    def read(self, account: str, address: str, row: Json) -> VenueFill:
        """A fill as it is told, also one that was told before."""
        known = self._tickets.by_oid(shapes.oid(row))
        client_id = shapes.cloid(row) or (known.client_id if known is not None else "")
        return shapes.fill(row, account, address, client_id)

    def _ticket(self, found: VenueFill) -> Ticket | None:
        return self._tickets.get(found.client_id) or self._tickets.by_oid(found.venue_id)

    def maybe_over(self, ticket: Ticket, leg: Leg) -> None:
        """Notice that an order is over: its last fill was told, or an end that waited for it."""
        self._maybe_end(ticket, leg)
        full = ticket.sent_size > 0 and ticket.filled >= ticket.sent_size
        if full and not ticket.over and ticket.change is None:
            ticket.over = True
            asked = ticket.request.size if ticket.request is not None else ticket.sent_size
            if asked != ticket.sent_size:
                # It was cut to the lot: for those who asked for more it is full all the same.
                data = OrderStatus(ticket.client_id, "filled", leg.oid, ticket.filled)
                self._delivery.tell(data, ticket.client_id)

    def _first(self, key: tuple[str, str]) -> bool:
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return True

    def funded(self, paid: VenueFunding) -> None:
        """Tell a funding payment once."""
        key = (paid.account, paid.symbol, paid.ts_ms)
        if key in self._paid:
            return
        self._paid[key] = None
        if len(self._paid) > SEEN:
            self._paid.popitem(last=False)
        data = FundingPaid(
            paid.account, paid.symbol, paid.amount, paid.rate, paid.position, paid.mark
        )
        self._delivery.tell(data, f"{paid.account}/{paid.symbol}", paid.ts_ms)

    # ---- people ----------------------------------------------------------------------------

    def alert(self, level: str, title: str, text: str) -> None:
        """Tell a person."""
        self._delivery.tell(AlertRaised(level, self._name, title, text), self._name)
