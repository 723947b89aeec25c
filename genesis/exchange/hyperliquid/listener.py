"""Hears the stream of one account, and asks for the truth whenever something may be missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid import shapes
from genesis.exchange.hyperliquid.accounts import AccountReader, BoundAccount
from genesis.exchange.hyperliquid.delivery import Delivery
from genesis.exchange.hyperliquid.markets import Markets
from genesis.exchange.hyperliquid.shapes import UNREADABLE, Json
from genesis.exchange.hyperliquid.status import StatusDesk
from genesis.exchange.hyperliquid.teller import Teller
from genesis.exchange.hyperliquid.tickets import Tickets
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.payloads import AccountSnapshot, ConnectionChanged, InputQuarantined

_CONTENT = 2_000
_SOON_S = 0.5
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 10.0


def subscriptions(address: str) -> list[dict[str, str]]:
    """What is subscribed to for an account; middle prices come once a second and show life."""
    return [
        {"type": "orderUpdates", "user": address},
        {"type": "userFills", "user": address},
        {"type": "userFundings", "user": address},
        {"type": "allMids"},
    ]


class AccountListener:
    """Listener of the stream of an account.

    Parameters
    ----------
    bound : BoundAccount
    name : str
        Of the connection in events.
    started_ms : int
        Exchange's time at start: what happened before is told by `account_state` only.
    overlap_ms : int
        How far before the last fill that was told a reconciliation looks.

    Attributes
    ----------
    down : bool
        Whether the stream was lost and not everything since is known yet.
    reconciled : int
        Comparisons with the account that were told.
    """

    def __init__(
        self,
        bound: BoundAccount,
        name: str,
        delivery: Delivery,
        waits: Waits,
        markets: Markets,
        tickets: Tickets,
        teller: Teller,
        status: StatusDesk,
        reader: AccountReader,
        *,
        started_ms: int,
        overlap_ms: int,
        spawn: Callable[[Any], None],
    ) -> None:
        self._bound = bound
        self._name = name
        self._delivery = delivery
        self._waits = waits
        self._markets = markets
        self._tickets = tickets
        self._teller = teller
        self._status = status
        self._reader = reader
        self._started_ms = started_ms
        self._overlap_ms = overlap_ms
        self._spawn = spawn
        self._busy = asyncio.Lock()
        self._planned = False
        self.down = False
        self.ready = asyncio.Event()
        self.reconciled = 0

    # ---- the stream ------------------------------------------------------------------------

    def on_frame(self, channel: str, data: Any) -> None:
        """Take in a message; one that cannot be read is kept, and the truth is asked for."""
        try:
            if channel == "orderUpdates":
                self._updates(data)
            elif channel == "userFills":
                for row in data["fills"]:
                    self._fill(row)
            elif channel == "userFundings":
                for row in data["fundings"]:
                    if int(row["time"]) >= self._started_ms:
                        self._teller.funded(shapes.funding(row, self._bound.name))
            elif channel == "allMids":
                self._markets.on_mids(data)
        except UNREADABLE as error:
            self.on_malformed(f"{channel}: {data!r}", f"{type(error).__name__}: {error}")

    def _updates(self, rows: list[Json]) -> None:
        for row in rows:
            try:
                if not self._status.on_update(self._bound.name, row):
                    self.soon()  # somebody else's order: the comparison tells
            except UNREADABLE as error:
                self.on_malformed(f"orderUpdates: {row!r}", f"{type(error).__name__}: {error}")

    def _fill(self, row: Json) -> None:
        if int(row["time"]) < self._started_ms:
            self._teller.known(self._bound.name, row)
            return
        self._teller.fill(self._bound.name, self._bound.address, row)

    def on_malformed(self, text: str, why: str) -> None:
        """Keep what cannot be read, and find out what it may have said."""
        data = InputQuarantined(self._name, why, text[:_CONTENT])
        self._delivery.tell(data, self._bound.name)
        self.soon()

    def on_refused(self, text: str) -> None:
        """The exchange refuses a subscription."""
        self._teller.alert("critical", "a subscription was refused", text)

    def full(self) -> bool:
        """Whether reading should wait."""
        return self._delivery.full

    async def on_up(self) -> None:
        """Every subscription stands: what happened meanwhile is asked for."""
        if self.ready.is_set():
            await self.reconcile()
        if self.down:
            self.down = False
            self._delivery.tell(ConnectionChanged(self._name, True, "reconciled"), self._name)
        self.ready.set()

    def on_down(self, why: str) -> None:
        """The stream is lost."""
        if not self.down:
            self.down = True
            self._delivery.tell(ConnectionChanged(self._name, False, why), self._name)

    # ---- the truth -------------------------------------------------------------------------

    def soon(self) -> None:
        """Reconcile in a moment, once for everything that asks for it until then."""
        if not self._planned:
            self._planned = True
            self._spawn(self._later())

    async def _later(self) -> None:
        await self._waits.sleep(_SOON_S)
        self._planned = False
        await self.reconcile()

    async def reconcile(self) -> None:
        """Tell missed fills, what became of each local open order, then the whole account."""
        async with self._busy:
            wait = _FIRST_RETRY_S
            while True:
                try:
                    await self._reconcile()
                    self.reconciled += 1
                    return
                except InfrastructureError as error:
                    self._teller.alert("warning", f"{self._name} cannot be reconciled", str(error))
                await self._waits.sleep(wait)
                wait = min(2.0 * wait, _LONGEST_RETRY_S)

    async def _reconcile(self) -> None:
        bound = self._bound
        newest = self._teller.newest_ms.get(bound.name, self._started_ms)
        since = max(newest - self._overlap_ms, self._started_ms)
        await self._status.tell_fills(bound, since)
        state = await self._reader.state(bound, since)
        listed = {order.client_id for order in state.orders}
        for ticket in self._tickets.live(bound.name):
            if ticket.client_id not in listed and ticket.accepted and not ticket.turn.locked():
                await self._status.query(bound.name, ticket.client_id)
        self._delivery.tell(AccountSnapshot(state), bound.name)
