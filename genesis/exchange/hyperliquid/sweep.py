"""Emptying an account at the exchange: whatever rests is cancelled, whatever is held is closed.

It asks the exchange and no ledger, so that it also finds what nobody here sent: spot orders and
TWAP orders too. Cancels and reductions may be asked for again without harm: a cancel of what is
gone is refused, and an order that only reduces cannot open anything. So what got no answer is sent
again before the account, which weighs more, is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from genesis.domain.errors import InfrastructureError
from genesis.domain.ids import client_order_id
from genesis.domain.timeline import MINUTE_MS
from genesis.exchange.hyperliquid import sdk, shapes
from genesis.exchange.hyperliquid.accounts import AccountReader, BoundAccount
from genesis.exchange.hyperliquid.answers import OneStatus, Reply, Verdict, statuses
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.hyperliquid.markets import Markets
from genesis.exchange.hyperliquid.rules import worst_price
from genesis.exchange.hyperliquid.sending import Sender
from genesis.exchange.hyperliquid.shapes import UNREADABLE, Json
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.gateway import Side

_CANCELS_AT_ONCE = 40
"""Orders of one cancel request: one more unit of weight begins with the next."""
_UNHEARD = ("rate_limited", "unreachable", "expired")
"""Refusals that come before the exchange: the same request may pass a moment later."""
_FOR_ONE = ("refused", "malformed")
"""Refusals of a request that one of its orders may have brought about."""
_GONE = ("not_open", "reduce_only")
"""Answers that say that it was over before."""
_MOST_LINES = 5
_TWAP_LATE_MS = 60_000
"""A TWAP order is over so long after its last slice, whatever its history says."""
T = TypeVar("T")


class Remains(msgspec.Struct, frozen=True):
    """What an account holds at the exchange, as it was seen before anything was sent.

    Attributes
    ----------
    account : str
    orders : int
        That rest, running TWAP orders included; with positions kept, those that protect nothing.
    positions : tuple of str
        Coin and signed size.
    seen : bool
        Whether the exchange was read just now, and no order of ours can be on its way to it.
    heard : bool
        Whether it answered at least one of the requests that were sent, or none was needed.
    trouble : str
        What could not be read, cancelled or closed, and why.
    """

    account: str
    orders: int
    positions: tuple[str, ...]
    seen: bool = True
    heard: bool = True
    trouble: str = ""


class _Held(msgspec.Struct, frozen=True):
    """A position, and the price that the exchange values it at."""

    coin: str
    size: Decimal
    mark: Decimal


class _Order(msgspec.Struct, frozen=True):
    """An order, or a TWAP order; ``runs`` is False for one that is over."""

    coin: str
    number: int
    reduces: bool
    runs: bool = True


class _Found(msgspec.Struct, frozen=True):
    """What is there, and what of it could not be read."""

    held: tuple[_Held, ...]
    orders: tuple[_Order, ...]
    twaps: tuple[_Order, ...]
    trouble: tuple[str, ...]


class _Answers:
    """What became of the requests of one round."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.sent = 0
        self.heard = 0

    def take(self, what: str, reply: Reply, count: int = 1) -> list[OneStatus]:
        """Count an answer; statuses, none where nobody answered for certain."""
        self.sent += 1
        if reply.verdict is Verdict.DONE:
            self.heard += 1
            return statuses(reply.body, count)
        if reply.verdict is Verdict.REFUSED and reply.reason not in _UNHEARD:
            self.heard += 1
        self.lines.append(f"{what}: {reply.text or reply.reason}")
        return []


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
        self._again: dict[str, _Found] = {}
        self._gone: set[int] = set()

    async def once(self, bound: BoundAccount, *, flatten: bool) -> Remains:
        """Look, and send what is needed; what it returns is what was seen before.

        Without ``flatten`` positions stay, and so do orders that only reduce: they protect what
        is held. What nobody answered is sent again the next time, without another look.
        """
        flying = await self._sender.ground(bound)
        kept = self._again.pop(bound.name, None)
        try:
            found = kept or await self._look(bound, flatten)
        except InfrastructureError as error:
            return Remains(bound.name, 0, (), seen=False, heard=False, trouble=str(error))
        answers = _Answers()
        await self._act(bound, found, answers, flatten=flatten)
        heard = answers.heard > 0 or not answers.sent
        if not heard:
            self._again[bound.name] = found
        lines = [*found.trouble, *answers.lines]
        if flying:
            lines.append(f"{flying} requests may still be on their way")
        return Remains(
            account=bound.name,
            orders=len(found.orders) + len(found.twaps),
            positions=tuple(f"{one.coin} {one.size}" for one in found.held),
            seen=kept is None and not flying and not found.trouble,
            heard=heard and not flying,
            trouble="; ".join(dict.fromkeys(lines[:_MOST_LINES])),
        )

    # ---- what is there ---------------------------------------------------------------------

    async def _look(self, bound: BoundAccount, flatten: bool) -> _Found:
        """Read positions and orders; TWAP orders where nothing else is left.

        A row that cannot be read is no reason to leave the others.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        """
        state = await self._ask("clearinghouseState", bound)
        rows = await self._ask("frontendOpenOrders", bound)
        trouble: list[str] = []
        given = state.get("assetPositions") if isinstance(state, dict) else None
        held = [one for one in _each(given, _position, trouble) if one.size]
        orders = [one for one in _each(rows, _order, trouble) if flatten or not one.reduces]
        twaps: list[_Order] = []
        if not orders and not (flatten and held):
            history = await self._ask("twapHistory", bound)
            now = self._waits.now_ms()
            started = _each(history, lambda row: _twap(row, now), trouble)
            ended = {one.number for one in started if not one.runs}
            running = (one for one in started if one.runs and one.number not in ended)
            twaps = [one for one in running if flatten or not one.reduces]
        return _Found(tuple(held), tuple(orders), tuple(twaps), tuple(trouble))

    async def _ask(self, kind: str, bound: BoundAccount) -> Any:
        return await self._reader.ask(kind, bound, Priority.CANCEL, 1)

    # ---- what is sent ----------------------------------------------------------------------

    async def _act(
        self, bound: BoundAccount, found: _Found, answers: _Answers, *, flatten: bool
    ) -> None:
        """Send everything at once: an answer that stays away keeps nothing else waiting."""
        listed = [one for one in found.orders if one.coin in self._markets.rules]
        others = [one for one in found.orders if one.coin not in self._markets.rules]
        work = [self._cancel_orders(bound, orders, answers) for orders in (listed, others)]
        work += [self._end_twap(bound, twap, answers) for twap in found.twaps]
        if flatten:
            work += [self._close(bound, position, answers) for position in found.held]
        await asyncio.gather(*work)

    async def _cancel_orders(
        self, bound: BoundAccount, orders: Sequence[_Order], answers: _Answers
    ) -> None:
        coins = dict.fromkeys(order.coin for order in orders)
        assets = {coin: await self._asset(coin, answers) for coin in coins}
        cancels = [
            {"a": asset, "o": order.number}
            for order in orders
            if (asset := assets[order.coin]) is not None
        ]
        batches = (
            cancels[first : first + _CANCELS_AT_ONCE]
            for first in range(0, len(cancels), _CANCELS_AT_ONCE)
        )
        await asyncio.gather(*(self._cancel(bound, batch, answers) for batch in batches))

    async def _asset(self, coin: str, answers: _Answers) -> int | None:
        try:
            asset = await self._markets.asset(coin, Priority.CANCEL)
        except InfrastructureError as error:
            answers.lines.append(str(error))
            return None
        if asset is None:
            answers.lines.append(f"an order on {coin} cannot be cancelled here: unknown market")
        return asset

    async def _cancel(
        self, bound: BoundAccount, cancels: Sequence[dict[str, int]], answers: _Answers
    ) -> None:
        """Cancel orders; a batch that is refused as a whole is sent in halves."""
        action = {"type": "cancel", "cancels": list(cancels)}
        reply = await self._sender.send(action, bound, Priority.CANCEL)
        whole = reply.verdict is Verdict.REFUSED and reply.reason in _FOR_ONE
        if whole and len(cancels) > 1:
            half = len(cancels) // 2
            for part in (cancels[:half], cancels[half:]):
                await self._cancel(bound, part, answers)
            return
        told = answers.take("cancel", reply, len(cancels))
        for one, row in zip(told, cancels, strict=bool(told)):
            gone = one.kind != "error" or one.reason in _GONE
            if not gone or row["o"] in self._gone:
                answers.lines.append(f"order {row['o']} rests all the same: {one.text or one.kind}")
            if gone:
                self._gone.add(row["o"])

    async def _end_twap(self, bound: BoundAccount, twap: _Order, answers: _Answers) -> None:
        asset, number = await self._asset(twap.coin, answers), twap.number
        if asset is None:
            return
        action = sdk.twap_cancel_action(asset, number)
        answers.take("TWAP order", await self._sender.send(action, bound, Priority.CANCEL))

    async def _close(self, bound: BoundAccount, position: _Held, answers: _Answers) -> None:
        rule = self._markets.rules.get(position.coin)
        if rule is None:
            answers.lines.append(f"{position.coin} cannot be closed here: unknown market")
            return
        try:
            mid = await self._markets.mid(position.coin, Priority.CANCEL, ask=True)
        except InfrastructureError:
            mid = Decimal(0)
        price = mid or position.mark
        if not price:
            answers.lines.append(f"{position.coin} has no price to close it at")
            return
        self._round += 1
        side = Side.SELL if position.size > 0 else Side.BUY
        name = f"SWEEP_{self._waits.now_ms()}_{self._round}"
        order = sdk.order_wire(
            rule.asset,
            buy=side is Side.BUY,
            price=worst_price(price, side, self._slippage, rule),
            size=position.size.copy_abs(),
            reduce_only=True,
            kind=sdk.limit_wire("Ioc"),
            client_id=client_order_id(bound.name, "sweep", name),
        )
        reply = await self._sender.send(sdk.order_action(order), bound, Priority.CANCEL)
        for one in answers.take(f"closing {position.coin}", reply):
            if one.kind == "error" and one.reason not in _GONE:
                answers.lines.append(f"{position.coin} {position.size} stays open: {one.text}")
            if one.reason == "no_match":
                answers.heard -= 1  # nobody is there to trade with: the same again, and soon


def _each(rows: Any, read: Callable[[Json], T], trouble: list[str]) -> list[T]:
    """What is made of each row; a line for one that cannot be read."""
    found = []
    for row in rows if isinstance(rows, list) else [rows]:
        try:
            found.append(read(row))
        except UNREADABLE as error:
            trouble.append(f"a part of the account is unreadable: {type(error).__name__}: {error}")
    return found


def _position(row: Json) -> _Held:
    held = row["position"]
    size = shapes.number(held["szi"])
    value = shapes.number(held.get("positionValue") or 0)
    return _Held(str(held["coin"]), size, abs(value / size) if size else Decimal(0))


def _order(row: Json) -> _Order:
    return _Order(str(row["coin"]), int(shapes.oid(row)), bool(row.get("reduceOnly")))


def _twap(row: Json, now_ms: int) -> _Order:
    """A TWAP order of the history, which has a row for each thing that happened to it."""
    state = row["state"]
    ends_ms = int(state["timestamp"]) + int(state["minutes"]) * MINUTE_MS + _TWAP_LATE_MS
    runs = row["status"]["status"] == "activated" and now_ms <= ends_ms
    number = int(row["twapId"]) if runs else int(row.get("twapId") or 0)
    return _Order(str(state["coin"]), number, bool(state["reduceOnly"]), runs)
