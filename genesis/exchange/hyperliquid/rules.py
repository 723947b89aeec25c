"""What the exchange takes: markets from its own metadata, prices and sizes on their grids.

A price has at most five significant figures and at most ``6 - szDecimals`` decimals; whole prices
are always legal. A size has at most ``szDecimals`` decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from genesis.domain.errors import InfrastructureError
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.money import EXACT

_PRICE_DECIMALS = 6
_FIGURES = 5
NOISE = Decimal("1e-9")
"""A number nearer than this to its grid, relatively, was meant to be on it."""


class MarketRule(msgspec.Struct, frozen=True):
    """Trading rules of one perpetual.

    Attributes
    ----------
    coin : str
    asset : int
        Its number in requests.
    size_decimals : int
    max_leverage : int
    only_isolated, delisted : bool
    """

    coin: str
    asset: int
    size_decimals: int
    max_leverage: int
    only_isolated: bool = False
    delisted: bool = False

    @property
    def lot(self) -> Decimal:
        """Step of sizes."""
        return Decimal(1).scaleb(-self.size_decimals)

    @property
    def finest(self) -> Decimal:
        """Smallest step of prices; larger prices have larger steps."""
        return Decimal(1).scaleb(-max(_PRICE_DECIMALS - self.size_decimals, 0))

    def step(self, price: Decimal) -> Decimal:
        """Step of legal prices around a price."""
        by_figures = Decimal(1).scaleb(price.adjusted() - _FIGURES + 1)
        return max(self.finest, min(by_figures, Decimal(1)))


class Fitted(msgspec.Struct, frozen=True):
    """An order on the exchange's grids, or why it cannot be.

    Attributes
    ----------
    price, size : Decimal
        What is sent; the price of a market order is the worst that it may take.
    reason, text : str
        Empty for an order that can be sent.
    """

    price: Decimal = Decimal(0)
    size: Decimal = Decimal(0)
    reason: str = ""
    text: str = ""


def rules_from_meta(meta: Any) -> dict[str, MarketRule]:
    """Rules of every perpetual, by coin.

    Raises
    ------
    InfrastructureError
        If the answer is no metadata.
    """
    try:
        return {
            str(row["name"]): MarketRule(
                coin=str(row["name"]),
                asset=number,
                size_decimals=int(row["szDecimals"]),
                max_leverage=int(row["maxLeverage"]),
                only_isolated=bool(row.get("onlyIsolated")),
                delisted=bool(row.get("isDelisted")),
            )
            for number, row in enumerate(meta["universe"])
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InfrastructureError(
            "the exchange's metadata cannot be read", why=f"{type(error).__name__}: {error}"
        ) from None


def changes(before: Mapping[str, MarketRule], after: Mapping[str, MarketRule]) -> list[str]:
    """Readable lines about what differs between two readings of the rules."""
    lines = []
    for coin, rule in before.items():
        now = after.get(coin)
        if now is None or (now.delisted and not rule.delisted):
            lines.append(f"{coin} is no longer listed")
        elif now != rule:
            lines.append(f"{coin}: {rule} is now {now}")
    return lines


def on_grid(price: Decimal, rule: MarketRule, rounding: str) -> Decimal:
    """Nearest legal price in a direction."""
    step = rule.step(price)
    fitted = EXACT.multiply((price / step).to_integral_value(rounding), step)
    # Rounding up may reach the next power of ten, where the step is larger: it is on that too.
    return fitted.normalize(EXACT)


def fit_price(order: OrderRequest, rule: MarketRule) -> Fitted:
    """Put the price of an order on the grid.

    A limit is never made worse, and one with more decimals than the market has is refused, noise
    of floats excepted. Stops move away from the market's side of their level (a stop that sells
    down, one that buys up), targets to the better price.
    """
    price = order.price
    if price is None or not price.is_finite() or price <= 0:
        return Fitted(
            reason="invalid_price", text=f"{order.kind} needs a positive price, not {price}"
        )
    near = on_grid(price, rule, ROUND_HALF_EVEN)
    if abs(near - price) <= NOISE * price and near > 0:
        return Fitted(price=near)
    if order.kind is OrderKind.LIMIT:
        close = price.quantize(rule.finest, ROUND_HALF_EVEN, EXACT)
        if abs(close - price) > NOISE * price:
            text = f"price {price} has more than {-int(rule.finest.adjusted())} decimals"
            return Fitted(reason="invalid_price", text=text)
    down = (order.side is Side.BUY) != (order.kind is OrderKind.STOP)
    fitted = on_grid(price, rule, ROUND_FLOOR if down else ROUND_CEILING)
    if fitted <= 0:
        return Fitted(reason="invalid_price", text=f"price {price} is below the smallest step")
    return Fitted(price=fitted)


def fit_size(size: Decimal, rule: MarketRule) -> Fitted:
    """Put a size on the grid, downwards."""
    if not size.is_finite() or size <= 0:
        return Fitted(reason="invalid_size", text=f"size {size} is not positive")
    near = size.quantize(rule.lot, ROUND_HALF_EVEN, EXACT)
    fitted = (
        near if abs(near - size) <= NOISE * size else size.quantize(rule.lot, ROUND_DOWN, EXACT)
    )
    if fitted <= 0:
        return Fitted(reason="invalid_size", text=f"size {size} is below the lot {rule.lot}")
    return Fitted(size=fitted)


def worst_price(reference: Decimal, side: Side, slippage: Decimal, rule: MarketRule) -> Decimal:
    """Farthest legal price from a reference within a slippage."""
    away = 1 + slippage if side is Side.BUY else 1 - slippage
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return on_grid(EXACT.multiply(reference, away), rule, rounding)


def fit(
    order: OrderRequest,
    rule: MarketRule | None,
    mid: Decimal,
    *,
    slippage: Decimal,
    min_notional: Decimal,
) -> Fitted:
    """Put an order on the exchange's grids, or say why it cannot be sent.

    Reasons: ``unknown_symbol``, ``delisted``, ``invalid_size``, ``invalid_price``,
    ``min_notional``, ``no_price``.

    Parameters
    ----------
    order : OrderRequest
    rule : MarketRule or None
    mid : Decimal
        Middle of the market, zero where it is not known.
    slippage : Decimal
        Of a market order.
    min_notional : Decimal
        The value counts at the lower of price and middle: what is sent holds at either.
    """
    if rule is None:
        return Fitted(reason="unknown_symbol", text=f"{order.symbol} is not traded here")
    if rule.delisted and not order.reduce_only:
        return Fitted(reason="delisted", text=f"{order.symbol} is delisted: exits only")
    sized = fit_size(order.size, rule)
    if sized.reason:
        return sized
    if order.kind is OrderKind.MARKET:
        if mid <= 0:
            return Fitted(reason="no_price", text=f"no price of {order.symbol} is known")
        priced = Fitted(price=worst_price(mid, order.side, slippage, rule))
    else:
        priced = fit_price(order, rule)
        if priced.reason:
            return priced
    at = min(priced.price, mid) if mid > 0 else priced.price
    if not order.reduce_only and EXACT.multiply(sized.size, at) < min_notional:
        text = f"{sized.size} at {at} is worth less than {min_notional}"
        return Fitted(reason="min_notional", text=text)
    return Fitted(price=priced.price, size=sized.size)


def wire(value: Decimal) -> str:
    """Spell a number as it is signed: plain, without trailing zeros."""
    text = format(value.normalize(EXACT), "f")
    return "0" if text == "-0" else text
