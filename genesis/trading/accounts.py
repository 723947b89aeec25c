"""Accounts and positions in exact decimals: what a fill does to money."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from genesis.trading.gateway import Side, VenueFill
from genesis.trading.money import add, by_side, divide, multiply, share, subtract
from genesis.trading.orders import ZERO


class Holding(msgspec.Struct):
    """A position and the round trip that it is part of.

    Attributes
    ----------
    size : Decimal
        Signed base units.
    cost : Decimal
        What the open size cost, Σ size·price, with the sign of the size. The average entry is
        their quotient: after one fill exactly its price.
    traded, entry_value, exit_value, exit_size : Decimal
        Of the round trip so far, unsigned: size entered, its value, value and size of exits.
    pnl, fees, funding : Decimal
        Of the round trip so far; pnl before fees and funding.
    slippage, intent_slippage : Decimal
        Quote units lost against the venue's price before slippage, and against the prices that
        the decisions saw.
    """

    account: str
    symbol: str
    size: Decimal = ZERO
    cost: Decimal = ZERO
    deployment: str = ""
    plan_id: str = ""
    opened_ms: int = 0
    traded: Decimal = ZERO
    entry_value: Decimal = ZERO
    exit_size: Decimal = ZERO
    exit_value: Decimal = ZERO
    pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    slippage: Decimal = ZERO
    intent_slippage: Decimal = ZERO

    @property
    def entry(self) -> Decimal:
        """Average entry price of the open size, zero while flat."""
        return divide(self.cost, self.size) if self.size else ZERO


class ClosedTrade(msgspec.Struct, frozen=True):
    """A round trip from flat to flat: money in quote units, pnl before fees and funding."""

    account: str
    symbol: str
    deployment: str
    plan_id: str
    side: Side
    size: Decimal
    entry: Decimal
    exit: Decimal
    pnl: Decimal
    fees: Decimal
    funding: Decimal
    slippage: Decimal
    intent_slippage: Decimal
    entry_ms: int
    exit_ms: int

    @property
    def net(self) -> Decimal:
        """What the account gained: pnl less fees and funding."""
        return subtract(subtract(self.pnl, self.fees), self.funding)


class Account(msgspec.Struct):
    """Cash of an account; what a position gained is in it once it is realised.

    ``cash = deposits + realised − fees − funding``, to the last digit.
    """

    name: str
    cash: Decimal = ZERO
    deposits: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    postings: int = 0


class Trader(msgspec.Struct, frozen=True):
    """Whose fill it is and what its decision saw."""

    deployment: str
    plan_id: str
    reference: Decimal | None = None


def apply_fill(
    account: Account, holding: Holding, fill: VenueFill, trader: Trader
) -> tuple[Decimal, ClosedTrade | None]:
    """Move cash and position by a fill.

    Returns
    -------
    realised : Decimal
        Pnl that the fill realised, before its fee.
    closed : ClosedTrade or None
        The round trip that it ended; what is left of a flipping fill begins the next one.
    """
    size = by_side(fill.side, fill.size)
    against = bool(holding.size) and (holding.size > ZERO) != (size > ZERO)
    closing = min(fill.size, holding.size.copy_abs()) if against else ZERO
    fee_of_close = share(fill.fee, closing, fill.size) if closing else ZERO
    realised, closed = ZERO, None
    if closing:
        realised = _close(holding, fill, closing, trader)
        holding.fees = add(holding.fees, fee_of_close)
        if not holding.size:
            closed = _finish(holding, fill)
    opening = subtract(fill.size, closing)
    if opening:
        if not holding.size:
            _begin(holding, fill, trader)
        _open(holding, fill, opening, trader)
        holding.fees = add(holding.fees, subtract(fill.fee, fee_of_close))
    account.realised = add(account.realised, realised)
    account.fees = add(account.fees, fill.fee)
    account.cash = add(account.cash, subtract(realised, fill.fee))
    return realised, closed


def _open(holding: Holding, fill: VenueFill, size: Decimal, trader: Trader) -> None:
    value = multiply(size, fill.price)
    holding.size = add(holding.size, by_side(fill.side, size))
    holding.cost = add(holding.cost, by_side(fill.side, value))
    holding.traded = add(holding.traded, size)
    holding.entry_value = add(holding.entry_value, value)
    _slip(holding, fill, size, trader)


def _close(holding: Holding, fill: VenueFill, size: Decimal, trader: Trader) -> Decimal:
    """Take a part off the position; its share of the cost leaves with it, exactly."""
    released = share(holding.cost, size, holding.size.copy_abs())
    value = multiply(size, fill.price)
    realised = subtract(by_side(_opposite(fill.side), value), released)
    holding.size = add(holding.size, by_side(fill.side, size))
    holding.cost = subtract(holding.cost, released) if holding.size else ZERO
    holding.exit_size = add(holding.exit_size, size)
    holding.exit_value = add(holding.exit_value, value)
    holding.pnl = add(holding.pnl, realised)
    _slip(holding, fill, size, trader)
    return realised


def _slip(holding: Holding, fill: VenueFill, size: Decimal, trader: Trader) -> None:
    paid = by_side(fill.side, multiply(size, subtract(fill.price, fill.reference)))
    holding.slippage = add(holding.slippage, paid)
    if trader.reference:
        seen = by_side(fill.side, multiply(size, subtract(fill.price, trader.reference)))
        holding.intent_slippage = add(holding.intent_slippage, seen)


def _begin(holding: Holding, fill: VenueFill, trader: Trader) -> None:
    holding.deployment, holding.plan_id = trader.deployment, trader.plan_id
    holding.opened_ms = fill.ts_ms


def _finish(holding: Holding, fill: VenueFill) -> ClosedTrade:
    closed = ClosedTrade(
        account=holding.account,
        symbol=holding.symbol,
        deployment=holding.deployment,
        plan_id=holding.plan_id,
        side=_opposite(fill.side),
        size=holding.traded,
        entry=divide(holding.entry_value, holding.traded),
        exit=divide(holding.exit_value, holding.exit_size),
        pnl=holding.pnl,
        fees=holding.fees,
        funding=holding.funding,
        slippage=holding.slippage,
        intent_slippage=holding.intent_slippage,
        entry_ms=holding.opened_ms,
        exit_ms=fill.ts_ms,
    )
    fresh = Holding(holding.account, holding.symbol)
    for name in Holding.__struct_fields__:
        setattr(holding, name, getattr(fresh, name))
    return closed


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
