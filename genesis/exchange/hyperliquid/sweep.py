"""Emptying an account at the exchange: whatever rests is cancelled, whatever is held is closed.

It asks the exchange and no ledger, so that it also finds what nobody here sent. Cancels and
reductions may be asked for again without harm: a cancel of what is gone is refused, and an order
that only reduces cannot open anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from genesis.domain.errors import InfrastructureError
from genesis.domain.ids import client_order_id
from genesis.exchange.hyperliquid import sdk, shapes
from genesis.exchange.hyperliquid.accounts import AccountReader, BoundAccount
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.markets import Markets
from genesis.exchange.hyperliquid.rules import worst_price
from genesis.exchange.hyperliquid.sending import Sender
from genesis.exchange.hyperliquid.shapes import UNREADABLE
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.gateway import Side, VenuePosition

_CANCELS_AT_ONCE = 40
"""Orders of one cancel request: one more unit of weight begins with the next."""


class Remains(msgspec.Struct, frozen=True):
    """What an account holds at the exchange.

    Attributes
    ----------
    account : str
    orders : int
        That rest; with positions kept, those that protect nothing.
    positions : tuple of str
        Coin and signed size.
    """

    account: str
    orders: int
    positions: tuple[str, ...]


class Sweep:
    """Reads an account and sends what empties it.

    Parameters
    ----------
    reader : AccountReader
    sender : Sender
    markets : Markets
    waits : Waits
    slippage : Decimal
        Farthest price of a closing order from the middle, a fraction.
    """

    def __init__(
        self,
        reader: AccountReader,
        sender: Sender,
        markets: Markets,
        waits: Waits,
        slippage: Decimal,
    ) -> None:
        self._reader = reader
        self._sender = sender
        self._markets = markets
        self._waits = waits
        self._slippage = slippage
        self._round = 0

    async def once(self, bound: BoundAccount, *, flatten: bool) -> Remains:
        """Look, and send what is needed; what it returns is what was seen before.

        Without ``flatten`` orders that only reduce stay: they protect what is held.

        Raises
        ------
        InfrastructureError
            If the exchange cannot be read.
        """
        state = await self._reader.ask("clearinghouseState", bound, Priority.CANCEL)
        rows = await self._reader.ask("frontendOpenOrders", bound, Priority.CANCEL)
        try:
            held = shapes.positions(state, bound.name)
            rows = [row for row in rows if flatten or not row.get("reduceOnly")]
            found = [(str(row["coin"]), int(shapes.oid(row))) for row in rows]
        except UNREADABLE as error:
            raise InfrastructureError(
                f"the account '{bound.name}' cannot be read", why=f"{type(error).__name__}: {error}"
            ) from None
        positions = tuple(f"{one.symbol} {one.size}" for one in held)
        if flatten:
            for position in held:
                await self._close(bound, position)
        await self._cancel(bound, found)
        return Remains(bound.name, len(found), positions)

    async def _cancel(self, bound: BoundAccount, found: Sequence[tuple[str, int]]) -> None:
        rules = self._markets.rules
        cancels = [{"a": rules[coin].asset, "o": oid} for coin, oid in found if coin in rules]
        for first in range(0, len(cancels), _CANCELS_AT_ONCE):
            action = {"type": "cancel", "cancels": cancels[first : first + _CANCELS_AT_ONCE]}
            await self._sender.send(action, bound, Priority.CANCEL)

    async def _close(self, bound: BoundAccount, position: VenuePosition) -> None:
        rule = self._markets.rules.get(position.symbol)
        mid = await self._markets.mid(position.symbol, Priority.CANCEL, ask=True)
        if rule is None or not mid:
            return
        self._round += 1
        side = Side.SELL if position.size > 0 else Side.BUY
        name = f"SWEEP_{self._waits.now_ms()}_{self._round}"
        order = sdk.order_wire(
            rule.asset,
            buy=side is Side.BUY,
            price=worst_price(mid, side, self._slippage, rule),
            size=position.size.copy_abs(),
            reduce_only=True,
            kind=sdk.limit_wire("Ioc"),
            client_id=client_order_id(bound.name, "sweep", name),
        )
        await self._sender.send(sdk.order_action(order), bound, Priority.CANCEL)
