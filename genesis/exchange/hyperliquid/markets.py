"""Rules and middle prices of the markets, kept fresh."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.rules import MarketRule, changes, rules_from_meta
from genesis.exchange.hyperliquid.shapes import UNREADABLE, number
from genesis.exchange.hyperliquid.transport import Transport
from genesis.exchange.hyperliquid.waits import Waits

_DOUBT_S = 5.0
_FIRST_SPOT = 10_000
"""Numbers of spot markets begin here."""


class Markets:
    """What is known of the markets.

    Parameters
    ----------
    transport : Transport
    waits : Waits
    mid_age_s : float
        Older middle prices are asked for again.
    changed : callable
        Hears readable lines about rules that changed.
    """

    def __init__(
        self,
        transport: Transport,
        waits: Waits,
        mid_age_s: float,
        changed: Callable[[list[str]], None],
    ) -> None:
        self._transport = transport
        self._waits = waits
        self._age_s = mid_age_s
        self._changed = changed
        self.rules: dict[str, MarketRule] = {}
        self._spot: dict[str, int] = {}
        self._mids: dict[str, Decimal] = {}
        self._mids_s = self._doubted_s = -1e9

    async def refresh(self) -> None:
        """Read the rules anew.

        Raises
        ------
        InfrastructureError
        """
        fresh = rules_from_meta(await self._transport.info({"type": "meta"}))
        lines = changes(self.rules, fresh)
        self.rules = fresh
        if lines:
            self._changed(lines)

    async def doubt(self) -> None:
        """An order was refused that the rules allow: read them anew, but not again and again."""
        now = self._waits.monotonic()
        if now - self._doubted_s < _DOUBT_S:
            return
        self._doubted_s = now
        with suppress(InfrastructureError):
            await self.refresh()

    def on_mids(self, data: Any) -> None:
        """Take in the stream's middle prices; one that is none is left out."""
        mids = {}
        for coin, text in data["mids"].items():
            try:
                mid = number(text)
            except UNREADABLE:
                continue
            if mid > 0:
                mids[str(coin)] = mid
        self._mids, self._mids_s = mids, self._waits.monotonic()

    async def asset(self, coin: str, priority: Priority) -> int | None:
        """Number of a perpetual or spot market in requests, None where there is no such market.

        Raises
        ------
        InfrastructureError
        """
        rule = self.rules.get(coin)
        if rule is not None:
            return rule.asset
        if coin not in self._spot:
            answer = await self._transport.info({"type": "spotMeta"}, priority, 1)
            try:
                self._spot = {
                    str(row["name"]): _FIRST_SPOT + int(row["index"]) for row in answer["universe"]
                }
            except UNREADABLE as error:
                raise InfrastructureError("spot markets cannot be read", why=str(error)) from None
        return self._spot.get(coin)

    async def mid(self, coin: str, priority: Priority, *, ask: bool) -> Decimal:
        """Middle price, zero where none is known.

        Parameters
        ----------
        coin : str
        priority : Priority
        ask : bool
            Whether it may be asked for.

        Raises
        ------
        InfrastructureError
        """
        if self._waits.monotonic() - self._mids_s <= self._age_s and coin in self._mids:
            return self._mids[coin]
        if not ask:
            return Decimal(0)
        tries = 1 if priority is Priority.CANCEL else 0  # who asks for that comes back soon
        answer = await self._transport.info({"type": "allMids"}, priority, tries)
        try:
            self.on_mids({"mids": answer})
        except UNREADABLE as error:
            raise InfrastructureError("the middle prices cannot be read", why=str(error)) from None
        return self._mids.get(coin, Decimal(0))
