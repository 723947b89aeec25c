"""What became of an order: answers to queries, and order updates of the stream."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid import shapes
from genesis.exchange.hyperliquid.accounts import AccountReader, BoundAccount
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.shapes import UNREADABLE, Json
from genesis.exchange.hyperliquid.spelling import Spelling
from genesis.exchange.hyperliquid.teller import Teller
from genesis.exchange.hyperliquid.tickets import Leg, Ticket, Tickets
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.orders import VenueStatus, venue_status
from genesis.trading.payloads import OrderCanceled, OrderStatus

ABSENT = "unknownOid"
_LOOK_BACK_MS = 86_400_000
_CONFIRMATIONS = (0.0, 0.2, 1.0, 3.0)
_REFUSALS = {
    "tickRejected": "tick",
    "minTradeNtlRejected": "min_notional",
    "perpMarginRejected": "margin",
    "reduceOnlyRejected": "reduce_only",
    "badAloPxRejected": "post_only",
    "badTriggerPxRejected": "trigger_price",
    "oracleRejected": "price_band",
    "insufficientSpotBalanceRejected": "margin",
    "tooManyOpenOrdersRejected": "open_orders",
}
_NO_MATCH = ("iocCancelRejected", "marketOrderNoLiquidityRejected")


class Found(msgspec.Struct, frozen=True):
    """An order as the exchange tells it, asked at ``venue_ms``; ``row`` is None if it is absent."""

    venue_ms: int
    word: str
    row: dict[str, Any] | None = None

    @property
    def size(self) -> Decimal:
        """Size of the leg."""
        return Decimal(0) if self.row is None else shapes.number(self.row["origSz"])

    @property
    def filled(self) -> Decimal:
        """What filled of the leg."""
        if self.row is None:
            return Decimal(0)
        rest = shapes.number(self.row["sz"])
        if venue_status(self.word) is VenueStatus.FILLED and rest == self.size:
            return self.size  # some answers keep the size of an order that is full
        return self.size - rest


class StatusDesk:
    """Learns and tells what became of orders.

    Parameters
    ----------
    reader : AccountReader
    waits : Waits
    tickets : Tickets
    teller : Teller
    spelling : Spelling
    accounts : mapping of str to BoundAccount
    fill_wait_s : float
        How long fills that the exchange spoke of may take before they are fetched.
    overlap_ms : int
        How far before its request the fills of an order are looked for.
    """

    def __init__(
        self,
        reader: AccountReader,
        waits: Waits,
        tickets: Tickets,
        teller: Teller,
        spelling: Spelling,
        accounts: dict[str, BoundAccount],
        fill_wait_s: float,
        overlap_ms: int,
    ) -> None:
        self._reader = reader
        self._waits = waits
        self._tickets = tickets
        self._teller = teller
        self._spelling = spelling
        self._accounts = accounts
        self._fill_wait_s = fill_wait_s
        self._overlap_ms = overlap_ms

    # ---- queries ---------------------------------------------------------------------------

    async def query(self, account: str, client_id: str) -> None:
        """Tell what became of an order; nothing is told where the exchange does not answer."""
        bound, ticket = self._accounts.get(account), self._tickets.get(client_id)
        if bound is None:
            self._teller.status(OrderStatus(client_id, ABSENT, venue_ms=self._waits.now_ms()))
            return
        try:
            found = await self.look(bound, client_id)
            fills = await self._catch_up(bound, client_id, found)
        except InfrastructureError as error:
            self._teller.alert("warning", f"order {client_id} cannot be asked for", str(error))
            return
        if found.row is None:
            word = "rejected" if ticket is not None and ticket.refused else found.word
            self._teller.status(OrderStatus(client_id, word, venue_ms=found.venue_ms))
            return
        oid = shapes.oid(found.row)
        before = self._reader.filled_before(client_id, oid, fills)
        if ticket is not None:
            self._tickets.name(ticket, oid)
            self._remember(ticket, oid, found)
        self._teller.status(
            OrderStatus(
                client_id,
                _word(found),
                oid,
                before + found.filled,
                found.venue_ms,
                self._spelling.size(client_id, before + found.size),
                self._spelling.price(client_id, shapes.level(found.row)),
            )
        )

    def _remember(self, ticket: Ticket, oid: str, found: Found) -> None:
        """Take over what a query told, so that the stream does not tell it again."""
        if not ticket.accepted:
            ticket.accepted, ticket.oid = True, oid
        if oid != ticket.oid and ticket.change is not None and not ticket.turn.locked():
            ticket.oid, ticket.sent_size, ticket.change = oid, ticket.changed_size, None
        status = venue_status(found.word)
        if status in (VenueStatus.CANCELED, VenueStatus.REJECTED, VenueStatus.FILLED):
            ticket.leg(oid).ended = True
            ticket.over = ticket.over or oid == ticket.oid

    async def learn(self, bound: BoundAccount, ticket: Ticket) -> None:
        """Learn the number of an order of an earlier process, and what filled of it.

        Without them the end of the leg that a modification replaces could not be told from news
        of the leg that takes its place, and the rest of the order would be taken for the whole.

        Raises
        ------
        InfrastructureError
        """
        found = await self.look(bound, ticket.client_id)
        if found.row is None:
            return
        oid = shapes.oid(found.row)
        self._tickets.name(ticket, oid)
        ticket.accepted, ticket.oid = True, oid
        since = self._waits.now_ms() - _LOOK_BACK_MS
        filled: dict[str, Decimal] = {oid: found.filled}
        told: dict[str, Decimal] = {}
        for row in await self.tell_fills(bound, since, ticket.client_id):
            leg = shapes.oid(row)
            told[leg] = told.get(leg, Decimal(0)) + shapes.number(row["sz"])
        for leg, size in told.items():
            filled[leg] = max(size, filled.get(leg, Decimal(0)))
        for leg, size in filled.items():
            self._tickets.name(ticket, leg).filled = size

    async def look(self, bound: BoundAccount, client_id: str) -> Found:
        """Ask for an order, and before that for the time: the answer is at least as young.

        Raises
        ------
        InfrastructureError
        """
        state = await self._reader.ask("clearinghouseState", bound, Priority.ORDER)
        answer = await self._reader.ask("orderStatus", bound, Priority.ORDER, oid=client_id)
        try:
            venue_ms = int(state["time"])
            if answer["status"] != "order":
                return Found(venue_ms, str(answer["status"]))
            found = Found(venue_ms, str(answer["order"]["status"]), answer["order"]["order"])
            _ = found.filled, shapes.oid(found.row or {}), shapes.level(found.row or {})
            return found
        except UNREADABLE as error:
            raise InfrastructureError(
                "the status of an order cannot be read", why=f"{type(error).__name__}: {error}"
            ) from None

    async def _catch_up(self, bound: BoundAccount, client_id: str, found: Found) -> list[Json]:
        """Tell the fills that an order's status speaks of; they come before the status."""
        ticket = self._tickets.get(client_id)
        known = ticket.filled if ticket is not None else Decimal(0)
        ours = ticket is not None and ticket.request is not None
        if found.row is None or (ours and known >= found.filled):
            return []
        since = self._waits.now_ms() - _LOOK_BACK_MS
        if ours and ticket is not None:
            since = ticket.sent_ms - self._overlap_ms
        return await self.tell_fills(bound, since, client_id)

    async def tell_fills(
        self, bound: BoundAccount, since_ms: int, client_id: str = ""
    ) -> list[Json]:
        """Fetch fills and tell those that were not told, of one order or of all.

        Raises
        ------
        InfrastructureError
        """
        rows = await self._reader.fills(bound, since_ms, Priority.ORDER)
        if client_id:
            rows = [
                row for row in rows if shapes.cloid(row) == client_id or self._is(row, client_id)
            ]
        for row in rows:
            try:
                self._teller.fill(bound.name, bound.address, row)
            except UNREADABLE as error:
                raise InfrastructureError(
                    "a fill cannot be read", why=f"{type(error).__name__}: {error}"
                ) from None
        return rows

    def _is(self, row: Json, client_id: str) -> bool:
        ticket = self._tickets.by_oid(shapes.oid(row))
        return ticket is not None and ticket.client_id == client_id

    # ---- ends ------------------------------------------------------------------------------

    async def canceled(self, bound: BoundAccount, client_id: str, symbol: str) -> None:
        """The exchange says that it canceled an order: learn how much had filled, then tell."""
        ticket = self._tickets.get(client_id)
        if ticket is None:
            now = self._waits.now_ms()
            ticket = self._tickets.open(client_id, bound.name, symbol, now - _LOOK_BACK_MS)
            ticket.accepted = True
        for wait in _CONFIRMATIONS:
            if wait:
                await self._waits.sleep(wait)
            leg = ticket.legs.get(ticket.oid)
            if leg is not None and (leg.ended or leg.ending is not None):
                return  # the stream was faster
            try:
                found = await self.look(bound, client_id)
            except InfrastructureError:
                continue
            if found.row is not None and venue_status(found.word) is VenueStatus.CANCELED:
                ticket.oid = shapes.oid(found.row)
                self._teller.ended(ticket, ticket.oid, found.word, found.filled)
                return
        # It says so of the cancel and not yet of the order: what filled is asked for later.
        self._teller.tell(ticket, OrderCanceled(client_id, "canceled", ticket.oid))
        ticket.over = True

    async def chase(self, ticket: Ticket, leg: Leg) -> None:
        """Fetch the fills that a leg waits for, unless the stream brings them."""
        bound = self._accounts.get(ticket.account)
        wait = self._fill_wait_s
        for _ in range(5):
            await self._waits.sleep(wait)
            wait *= 2.0
            if not leg.waits or bound is None:
                return
            try:
                await self.tell_fills(bound, ticket.sent_ms - self._overlap_ms, ticket.client_id)
            except InfrastructureError:
                continue
        self._teller.give_up(ticket, leg)

    # ---- the stream ------------------------------------------------------------------------

    def on_update(self, account: str, row: Json) -> bool:
        """Take in an order update.

        Returns
        -------
        bool
            False for an order that has no client id and that nobody here sent.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it cannot be read.
        """
        order, word = row["order"], str(row["status"])
        oid, client_id = shapes.oid(order), shapes.cloid(order)
        ticket = self._tickets.get(client_id) or self._tickets.by_oid(oid)
        if ticket is None and not client_id:
            return False
        if ticket is None:
            at = int(order.get("timestamp") or self._waits.now_ms())
            ticket = self._tickets.open(client_id, account, str(order["coin"]), at)
        found = Found(int(row.get("statusTimestamp") or 0), word, order)
        self._update(ticket, oid, found)
        return True

    def _update(self, ticket: Ticket, oid: str, found: Found) -> None:
        status, teller = venue_status(found.word), self._teller
        if status in (VenueStatus.OPEN, VenueStatus.TRIGGER_WAIT):
            teller.accepted(ticket, oid)
        elif status is VenueStatus.FILLED:
            leg = teller.accepted(ticket, oid)
            teller.expect(ticket, leg, found.filled)
        elif status is VenueStatus.CANCELED:
            teller.accepted(ticket, oid)
            teller.ended(ticket, oid, found.word, found.filled)
        elif status is VenueStatus.REJECTED:
            self._rejected(ticket, oid, found)
        else:
            self._tickets.name(ticket, oid)
            filled = ticket.before(oid) + found.filled
            data = OrderStatus(ticket.client_id, found.word, oid, filled, found.venue_ms)
            text = f"order {ticket.client_id} is {found.word!r}, which nobody here knows"
            teller.alert("critical", "an unknown order status", text)
            teller.status(data)

    def _rejected(self, ticket: Ticket, oid: str, found: Found) -> None:
        if ticket.over:
            return
        if found.filled > 0:  # a part of it was taken before the rest was refused
            self._teller.accepted(ticket, oid)
            self._teller.ended(ticket, oid, found.word, found.filled)
        elif ticket.accepted or found.word in _NO_MATCH:
            ticket.over = True
            self._teller.tell(ticket, OrderCanceled(ticket.client_id, found.word, oid))
        else:
            reason = _REFUSALS.get(found.word, found.word.removesuffix("Rejected"))
            self._teller.refused(ticket, reason, found.word)


def _word(found: Found) -> str:
    """Word for the loop: a trigger that waits is open at the exchange."""
    if found.word == "open" and found.row is not None and found.row.get("isTrigger"):
        return "waitingForTrigger"
    return found.word
