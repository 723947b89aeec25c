"""Orders on their way to the exchange and the answers to those requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

from genesis.domain.errors import GenesisError
from genesis.exchange.hyperliquid import sdk
from genesis.exchange.hyperliquid.accounts import BoundAccount
from genesis.exchange.hyperliquid.answers import OneStatus, Reply, Verdict, statuses
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.markets import Markets
from genesis.exchange.hyperliquid.rules import Fitted, MarketRule, fit, worst_price
from genesis.exchange.hyperliquid.sending import Sender
from genesis.exchange.hyperliquid.settings import HyperliquidSettings, TargetStyle
from genesis.exchange.hyperliquid.spelling import Spelling
from genesis.exchange.hyperliquid.status import StatusDesk
from genesis.exchange.hyperliquid.teller import Teller
from genesis.exchange.hyperliquid.tickets import Ticket, Tickets
from genesis.exchange.hyperliquid.transport import Transport
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.gateway import OrderKind, OrderRequest, Side, Tif
from genesis.trading.payloads import OrderCanceled

_RULES = ("tick", "invalid_size", "invalid_price", "min_notional")
"""Refusals that our own rules should have foreseen."""
_TIFS = {Tif.GTC: "Gtc", Tif.IOC: "Ioc", Tif.ALO: "Alo"}


class OrderDesk:
    """Sends orders, changes and cancels.

    Parameters
    ----------
    settings : HyperliquidSettings
    waits : Waits
    transport : Transport
    sender : Sender
    markets : Markets
    tickets : Tickets
    teller : Teller
    spelling : Spelling
    status : StatusDesk
    accounts : mapping of str to BoundAccount
    stand_down : callable
        ``stand_down(account)`` before an order rests that protects a position.

    Attributes
    ----------
    shut : str
        Why nothing that adds risk leaves any more, empty while it may.
    """

    def __init__(
        self,
        settings: HyperliquidSettings,
        waits: Waits,
        transport: Transport,
        sender: Sender,
        markets: Markets,
        tickets: Tickets,
        teller: Teller,
        spelling: Spelling,
        status: StatusDesk,
        accounts: dict[str, BoundAccount],
        stand_down: Callable[[str], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._waits = waits
        self._transport = transport
        self._sender = sender
        self._markets = markets
        self._tickets = tickets
        self._teller = teller
        self._spelling = spelling
        self._status = status
        self._accounts = accounts
        self._stand_down = stand_down
        self.shut = ""

    # ---- new orders ------------------------------------------------------------------------

    async def submit(self, order: OrderRequest) -> None:
        """Send an order; one whose client id was sent before is asked for instead."""
        if self._tickets.get(order.client_id) is not None:
            await self._status.query(order.account, order.client_id)
            return
        now = self._waits.now_ms()
        ticket = self._tickets.open(order.client_id, order.account, order.symbol, now)
        ticket.request = order
        async with ticket.turn:
            reply = await self._submit(ticket, order)
            if reply is not None:
                await self._submitted(ticket, order, reply)

    async def _submit(self, ticket: Ticket, order: OrderRequest) -> Reply | None:
        """Send an order; None where it was refused here."""
        bound = self._accounts.get(order.account)
        if bound is None:
            self._teller.refused(ticket, "unknown_account", f"{order.account} is not bound")
            return None
        if order.expires_ms and ticket.sent_ms > order.expires_ms:
            late = ticket.sent_ms - order.expires_ms
            self._teller.refused(ticket, "expired", f"{late} ms too late")
            return None
        if why := self._closed(order, bound):
            self._teller.refused(ticket, why.split(":")[0], why)
            return None
        fitted = await self._fit(order)
        if fitted.reason:
            self._teller.refused(ticket, fitted.reason, fitted.text)
            return None
        ticket.sent_size = fitted.size
        try:
            self._note(order, fitted.price, fitted.size)
        except GenesisError as error:
            self._teller.refused(ticket, "not_stored", str(error))
            return None
        if order.reduce_only and order.kind is not OrderKind.MARKET:
            await self._stand_down(order.account)
        rule = self._markets.rules[order.symbol]
        action = sdk.order_action(self._wire(order, rule, fitted.price, fitted.size))
        return await self._sender.send(
            action,
            bound,
            Priority.CANCEL if order.reduce_only else Priority.ORDER,
            asked_ms=order.expires_ms,
            closed=lambda: self._closed(order, bound),
        )

    async def _submitted(self, ticket: Ticket, order: OrderRequest, reply: Reply) -> None:
        if reply.verdict is Verdict.UNKNOWN:
            self._teller.unknown(order.client_id, "submit", f"{reply.reason}: {reply.text}")
            return
        if reply.verdict is Verdict.REFUSED:
            self._teller.refused(ticket, reply.reason, reply.text)
            return
        one = statuses(reply.body)[0]
        immediate = order.kind is OrderKind.MARKET or order.tif is Tif.IOC
        if one.kind == "error" and one.reason == "no_match" and immediate:
            self._nothing_matched(ticket)
        elif one.kind == "error":
            self._teller.refused(ticket, one.reason, one.text)
            if one.reason in _RULES:
                await self._markets.doubt()
        elif one.kind == "resting":
            self._teller.accepted(ticket, one.oid)
        elif one.kind == "filled":
            await self._filled(ticket, one, ticket.sent_size, immediate)
        elif one.kind == "waiting":
            await self._status.query(order.account, order.client_id)
        else:
            self._teller.unknown(order.client_id, "submit", f"unreadable answer: {one.text}")

    def _nothing_matched(self, ticket: Ticket) -> None:
        if not ticket.over:
            ticket.over = True
            self._teller.tell(ticket, OrderCanceled(ticket.client_id, "no_match"))

    async def _filled(self, ticket: Ticket, one: OneStatus, size: Decimal, immediate: bool) -> None:
        leg = self._teller.accepted(ticket, one.oid)
        if one.filled < size and immediate:
            self._teller.ended(ticket, one.oid, "no_match", one.filled)
            return
        self._teller.expect(ticket, leg, one.filled)
        if one.filled < size:  # the rest may rest, or may have been cut off: a reduction is capped
            await self._status.query(ticket.account, ticket.client_id)

    # ---- changes ---------------------------------------------------------------------------

    async def modify(self, order: OrderRequest) -> None:
        """Replace price and total size of an order."""
        client_id, bound = order.client_id, self._accounts.get(order.account)
        ticket = self._tickets.get(client_id)
        if bound is None or (ticket is not None and ticket.refused):
            text = "it is not at the exchange" if bound else f"{order.account} is not bound"
            self._teller.rejected(client_id, "modify", "not_open", text)
            return
        if ticket is None:
            ticket = self._tickets.open(client_id, order.account, order.symbol, 0)
            ticket.accepted = True  # it was told by an earlier process, or never will be
        async with ticket.turn:
            await self._modify(ticket, order, bound)

    async def _modify(self, ticket: Ticket, order: OrderRequest, bound: BoundAccount) -> None:
        try:
            if ticket.request is None:
                await self._status.learn(bound, ticket)
        except GenesisError as error:
            self._teller.rejected(order.client_id, "modify", "no_answer", str(error))
            return
        fitted = await self._fit(order)
        filled = ticket.filled
        rest = fitted.size - filled
        why = fitted.reason or ("not_open" if rest <= 0 else "")
        if why:
            text = fitted.text or f"{filled} of it filled already"
            self._teller.rejected(order.client_id, "modify", why, text)
            return
        rule = self._markets.rules[order.symbol]
        row = self._wire(order, rule, fitted.price, rest)
        target: int | str = int(ticket.oid) if ticket.oid else order.client_id
        ticket.change, ticket.changed_size = order, fitted.size
        try:
            self._note(order, fitted.price, fitted.size)
            reply = await self._sender.send(
                sdk.modify_action(target, row),
                bound,
                Priority.CANCEL if order.reduce_only else Priority.ORDER,
                asked_ms=order.expires_ms,
                closed=lambda: self._closed(order, bound),
            )
        except GenesisError as error:
            ticket.change = None
            self._teller.rejected(order.client_id, "modify", "not_stored", str(error))
            return
        await self._modified(ticket, order, reply, rest)

    async def _modified(
        self, ticket: Ticket, order: OrderRequest, reply: Reply, rest: Decimal
    ) -> None:
        if reply.verdict is Verdict.UNKNOWN:
            # The change stays: news of another number may still tell that it was made.
            self._teller.unknown(order.client_id, "modify", f"{reply.reason}: {reply.text}")
            return
        one = _about_one(reply)
        if one.kind == "error":
            ticket.change = None
            self._teller.rejected(order.client_id, "modify", one.reason, one.text)
            return
        if one.kind not in ("resting", "filled"):
            self._teller.unknown(order.client_id, "modify", f"unreadable answer: {one.text}")
            return
        self._teller.modified(ticket, one.oid)
        self._teller.maybe_over(ticket, ticket.leg(one.oid))  # its fills may have been faster
        if one.kind == "filled":
            await self._filled(ticket, one, rest, order.tif is Tif.IOC)

    # ---- cancels ---------------------------------------------------------------------------

    async def cancel(self, account: str, symbol: str, client_id: str) -> None:
        """Ask for the end of an order."""
        bound, ticket = self._accounts.get(account), self._tickets.get(client_id)
        if ticket is None:
            await self._cancel(bound, symbol, client_id, None)
            return
        async with ticket.turn:  # a cancel must not overtake its order
            await self._cancel(bound, symbol, client_id, ticket)

    async def _cancel(
        self, bound: BoundAccount | None, symbol: str, client_id: str, ticket: Ticket | None
    ) -> None:
        rule = self._markets.rules.get(symbol)
        if bound is None or rule is None or (ticket is not None and ticket.refused):
            self._teller.rejected(client_id, "cancel", "not_open", "it is not at the exchange")
            return
        action = sdk.cancel_action(rule.asset, client_id)
        reply = await self._sender.send(action, bound, Priority.CANCEL)
        if reply.verdict is Verdict.UNKNOWN:
            self._teller.unknown(client_id, "cancel", f"{reply.reason}: {reply.text}")
            return
        one = _about_one(reply)
        if one.kind == "error":
            self._teller.rejected(client_id, "cancel", one.reason, one.text)
        elif one.kind == "success":
            await self._status.canceled(bound, client_id, symbol)
        else:
            self._teller.unknown(client_id, "cancel", f"unreadable answer: {one.text}")

    # ---- what is sent ----------------------------------------------------------------------

    def _closed(self, order: OrderRequest, bound: BoundAccount) -> str:
        """Why an order may not be sent now, with our word for it before a colon."""
        if self._sender.dead:
            return f"signer: {self._sender.dead}"
        if order.reduce_only:
            return ""
        if self.shut:
            return f"latched: {self.shut}"
        if self._transport.breaker.open:
            return f"breaker_open: {self._transport.breaker.why}"
        if not bound.budget.may_add():
            return f"address_budget: {bound.budget.left} requests are left"
        return ""

    async def _fit(self, order: OrderRequest) -> Fitted:
        priority = Priority.CANCEL if order.reduce_only else Priority.ORDER
        known = order.symbol in self._markets.rules
        try:
            mid = await self._markets.mid(
                order.symbol, priority, ask=known and order.kind is OrderKind.MARKET
            )
        except GenesisError as error:
            return Fitted(reason="no_price", text=str(error))
        return fit(
            order,
            self._markets.rules.get(order.symbol),
            mid,
            slippage=self._settings.slippage,
            min_notional=self._settings.min_notional,
        )

    def _note(self, order: OrderRequest, price: Decimal, size: Decimal) -> None:
        asked = None if order.kind is OrderKind.MARKET else order.price
        self._spelling.note(order.client_id, asked, order.size, price, size)

    def _wire(
        self, order: OrderRequest, rule: MarketRule, price: Decimal, size: Decimal
    ) -> sdk.Json:
        limit = price
        as_trigger = self._settings.targets is TargetStyle.TRIGGER
        if order.kind is OrderKind.STOP:
            kind = sdk.trigger_wire(price, "sl", market=True)
            limit = worst_price(price, order.side, self._settings.stop_slippage, rule)
        elif order.kind is OrderKind.TARGET and as_trigger:
            kind = sdk.trigger_wire(price, "tp", market=False)
        else:
            market = order.kind is OrderKind.MARKET
            kind = sdk.limit_wire("Ioc" if market else _TIFS[order.tif])
        return sdk.order_wire(
            rule.asset,
            buy=order.side is Side.BUY,
            price=limit,
            size=size,
            reduce_only=order.reduce_only,
            kind=kind,
            client_id=order.client_id,
        )


def _about_one(reply: Reply) -> OneStatus:
    """Answer about the one order of a request; a refusal of the request is one of the order."""
    if reply.verdict is Verdict.REFUSED:
        return OneStatus("error", reason=reply.reason, text=reply.text)
    return statuses(reply.body)[0]
