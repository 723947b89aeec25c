"""The exchange's truth about an account, read over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid import shapes
from genesis.exchange.hyperliquid.limits import AddressBudget, Priority
from genesis.exchange.hyperliquid.shapes import UNREADABLE, Json
from genesis.exchange.hyperliquid.spelling import Spelling
from genesis.exchange.hyperliquid.teller import Teller
from genesis.exchange.hyperliquid.tickets import Tickets
from genesis.exchange.hyperliquid.transport import Transport
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.gateway import AccountState, OpenOrder, OrderKind

FILLS_A_PAGE, FUNDINGS_A_PAGE = 2_000, 500
_READINGS, _AGAIN_S = 5, 0.2
_UNIFIED = ("unifiedAccount", "portfolioMargin")


class BoundAccount:
    """An account of ours at the exchange.

    Attributes
    ----------
    name, address : str
    vault : str or None
        What requests name where it is a sub-account.
    budget : AddressBudget
    """

    def __init__(self, name: str, address: str, reserve: int) -> None:
        self.name = name
        self.address = address.lower()
        self.vault: str | None = None
        self.budget = AddressBudget(reserve)


class Funds(msgspec.Struct, frozen=True):
    """Money of an account, in dollars.

    Attributes
    ----------
    mode : str
        ``default``, ``unifiedAccount`` …, as the exchange says.
    equity, available : Decimal
        What it is worth with open positions, and what new ones may use.
    """

    mode: str
    equity: Decimal
    available: Decimal


class AccountReader:
    """Reads accounts.

    Parameters
    ----------
    transport : Transport
    waits : Waits
    tickets : Tickets
    teller : Teller
    spelling : Spelling
    """

    def __init__(
        self,
        transport: Transport,
        waits: Waits,
        tickets: Tickets,
        teller: Teller,
        spelling: Spelling,
    ) -> None:
        self._transport = transport
        self._waits = waits
        self._tickets = tickets
        self._teller = teller
        self._spelling = spelling

    async def ask(
        self,
        kind: str,
        bound: BoundAccount,
        priority: Priority = Priority.READ,
        tries: int = 0,
        **more: Any,
    ) -> Any:
        """Answer to a question about an account, asked ``tries`` times at most (0: as configured).

        Raises
        ------
        InfrastructureError
        """
        body = {"type": kind, "user": bound.address, **more}
        return await self._transport.info(body, priority, tries)

    # ---- the whole account -----------------------------------------------------------------

    async def state(
        self, bound: BoundAccount, since_ms: int, priority: Priority = Priority.READ
    ) -> AccountState:
        """Positions, open orders, fills and funding at one instant.

        The parts are separate answers: they are read again until the fills lead to the positions.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer, or nothing that can be read.
        """
        try:
            for reading in range(_READINGS):
                if reading:
                    await self._waits.sleep(_AGAIN_S * reading)
                state = await self.ask("clearinghouseState", bound, priority)
                at_ms = int(state["time"])
                rows = await self.fills(bound, since_ms, priority)
                rows = [row for row in rows if int(row["time"]) <= at_ms]
                orders = await self.ask("frontendOpenOrders", bound, priority)
                if _agree(state, rows):
                    break
            paid = await self.fundings(bound, since_ms, priority)
            return AccountState(
                account=bound.name,
                positions=shapes.positions(state, bound.name),
                orders=tuple(self._open(row, bound, rows) for row in orders),
                fills=tuple(self._teller.read(bound.name, bound.address, row) for row in rows),
                ts_ms=at_ms,
                funding=tuple(
                    shapes.funding(row, bound.name) for row in paid if int(row["time"]) <= at_ms
                ),
            )
        except UNREADABLE as error:
            raise InfrastructureError(
                f"the account '{bound.name}' cannot be read",
                why=f"{type(error).__name__}: {error}",
            ) from None

    def _open(self, row: Json, bound: BoundAccount, fills: Sequence[Json]) -> OpenOrder:
        oid, client_id = shapes.oid(row), shapes.cloid(row)
        size, rest = shapes.number(row["origSz"]), shapes.number(row["sz"])
        before = self.filled_before(client_id, oid, fills)
        ticket = self._tickets.get(client_id)
        request = None if ticket is None else ticket.request
        kind = shapes.kind_of(row) if request is None else request.kind
        if kind is OrderKind.LIMIT and request is None and row.get("reduceOnly"):
            kind = OrderKind.TARGET
        return OpenOrder(
            client_id=client_id,
            venue_id=oid,
            account=bound.name,
            symbol=str(row["coin"]),
            side=shapes.side(row["side"]),
            kind=kind,
            size=self._spelling.size(client_id, before + size),
            filled=before + size - rest,
            price=self._spelling.price(client_id, shapes.level(row)),
            reduce_only=bool(row.get("reduceOnly")),
        )

    def filled_before(self, client_id: str, oid: str, fills: Sequence[Json]) -> Decimal:
        """What filled of the earlier legs of an order that was modified."""
        ticket = self._tickets.get(client_id) if client_id else None
        if ticket is not None and ticket.request is not None:
            return ticket.before(oid)
        earlier = (
            shapes.number(row["sz"])
            for row in fills
            if client_id and shapes.cloid(row) == client_id and shapes.oid(row) != oid
        )
        return sum(earlier, Decimal(0))

    # ---- histories -------------------------------------------------------------------------

    async def fills(
        self, bound: BoundAccount, since_ms: int, priority: Priority = Priority.READ
    ) -> list[Json]:
        """Every fill since an instant, oldest first.

        Raises
        ------
        InfrastructureError
        """
        rows = await self._pages("userFillsByTime", bound, since_ms, FILLS_A_PAGE, priority)
        return sorted(rows, key=lambda row: int(row["time"]))  # numbers of fills have no order

    async def fundings(
        self, bound: BoundAccount, since_ms: int, priority: Priority = Priority.READ
    ) -> list[Json]:
        """Every funding payment since an instant, oldest first.

        Raises
        ------
        InfrastructureError
        """
        rows = await self._pages("userFunding", bound, since_ms, FUNDINGS_A_PAGE, priority)
        return sorted(rows, key=lambda row: int(row["time"]))

    async def _pages(
        self, kind: str, bound: BoundAccount, since_ms: int, full: int, priority: Priority
    ) -> list[Json]:
        """Pages begin where the last one ended, bounds included: repetitions are dropped."""
        found: dict[object, Json] = {}
        start = max(since_ms, 0)
        while True:
            page = await self.ask(kind, bound, priority, startTime=start)
            if not isinstance(page, list):
                raise InfrastructureError(f"the answer to '{kind}' is no list")
            try:
                fresh = {_identity(row): row for row in page}
                newest = max((int(row["time"]) for row in page), default=start)
            except UNREADABLE as error:
                raise InfrastructureError(
                    f"the answer to '{kind}' cannot be read",
                    why=f"{type(error).__name__}: {error}",
                ) from None
            before = len(found)
            found |= fresh
            if len(page) < full or len(found) == before:
                return list(found.values())
            start = newest

    # ---- money and roles -------------------------------------------------------------------

    async def funds(self, bound: BoundAccount) -> Funds:
        """What an account is worth; in a unified account the money lies in its spot balance.

        Raises
        ------
        InfrastructureError
        """
        mode = str(await self.ask("userAbstraction", bound))
        state = await self.ask("clearinghouseState", bound)
        try:
            if mode not in _UNIFIED:
                equity = shapes.number(state["marginSummary"]["accountValue"])
                return Funds(mode, equity, shapes.number(state["withdrawable"]))
            spot = await self.ask("spotClearinghouseState", bound)
            dollars = [row for row in spot["balances"] if row["coin"] == "USDC"]
            total = sum((shapes.number(row["total"]) for row in dollars), Decimal(0))
            hold = sum((shapes.number(row["hold"]) for row in dollars), Decimal(0))
            gains = [shapes.number(p["position"]["unrealizedPnl"]) for p in state["assetPositions"]]
            return Funds(mode, total + sum(gains, Decimal(0)), total - hold)
        except UNREADABLE as error:
            raise InfrastructureError(
                f"the money of '{bound.name}' cannot be read",
                why=f"{type(error).__name__}: {error}",
            ) from None

    async def time_ms(self, bound: BoundAccount) -> int:
        """Time of the exchange.

        Raises
        ------
        InfrastructureError
        """
        state = await self.ask("clearinghouseState", bound)
        try:
            return int(state["time"])
        except UNREADABLE as error:
            raise InfrastructureError("the time cannot be read", why=str(error)) from None

    async def refresh_budget(self, bound: BoundAccount) -> None:
        """Take over what the exchange says of an account's requests.

        Raises
        ------
        InfrastructureError
        """
        answer = await self.ask("userRateLimit", bound)
        try:
            bound.budget.heard(int(answer["nRequestsUsed"]), int(answer["nRequestsCap"]))
        except UNREADABLE as error:
            raise InfrastructureError("the rate limit cannot be read", why=str(error)) from None


def _identity(row: Mapping[str, Any]) -> object:
    if "tid" in row:
        return int(row["tid"])
    delta = row.get("delta", row)
    return int(row["time"]), str(delta["coin"])


def _agree(state: Json, fills: Sequence[Json]) -> bool:
    """Whether the latest fill of each coin leads to its position."""
    held = {
        str(row["position"]["coin"]): shapes.number(row["position"]["szi"])
        for row in state["assetPositions"]
    }
    latest: dict[str, tuple[int, set[Decimal]]] = {}
    for row in fills:
        coin, at = str(row["coin"]), int(row["time"])
        if coin.startswith("@") or "/" in coin:
            continue  # spot
        when, ends = latest.get(coin, (at, set()))
        # Fills of one instant have no known order: one of them is the last.
        ends = ends | {shapes.end_position(row)} if at == when else {shapes.end_position(row)}
        latest[coin] = (at, ends)
    return all(held.get(coin, Decimal(0)) in ends for coin, (_, ends) in latest.items())
