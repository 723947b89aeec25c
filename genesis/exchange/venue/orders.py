"""Orders: their state, their statuses, their spelling on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from genesis.exchange.venue.meta import Instrument
from genesis.exchange.venue.units import show

OPEN = "open"
FILLED = "filled"
CANCELED = "canceled"
TRIGGERED = "triggered"

# Every status an order can have; a client must know them all.
STATUSES = (
    OPEN,
    FILLED,
    CANCELED,
    TRIGGERED,
    "rejected",
    "scheduledCancel",
    "internalCancel",
    "marginCanceled",
    "vaultWithdrawalCanceled",
    "openInterestCapCanceled",
    "selfTradeCanceled",
    "reduceOnlyCanceled",
    "siblingFilledCanceled",
    "delistedCanceled",
    "liquidatedCanceled",
    "outcomeSettledCanceled",
    "tickRejected",
    "minTradeNtlRejected",
    "perpMarginRejected",
    "reduceOnlyRejected",
    "badAloPxRejected",
    "iocCancelRejected",
    "badTriggerPxRejected",
    "marketOrderNoLiquidityRejected",
    "positionIncreaseAtOpenInterestCapRejected",
    "positionFlipAtOpenInterestCapRejected",
    "tooAggressiveAtOpenInterestCapRejected",
    "openInterestIncreaseRejected",
    "insufficientSpotBalanceRejected",
    "oracleRejected",
    "perpMaxPositionRejected",
    "tooManyOpenOrdersRejected",
)


class Order(msgspec.Struct, kw_only=True):
    """An order of an account.

    Attributes
    ----------
    oid, user, asset, buy, cloid, ts_ms
        Identity. A modification makes a new order with the old client id.
    px, sz, orig : int
        Limit price, remaining and original size, on the market's grids.
    tif : str
        ``Gtc``, ``Ioc``, ``Alo``, ``FrontendMarket``; empty for a trigger.
    reduce_only : bool
    trigger_px : int
        0 for an order that is not a trigger.
    trigger_market, tpsl, whole_position
        Of a trigger: executes at the market; ``tp`` or ``sl``; follows the whole position.
    armed : bool
        Whether a trigger watches the mark price: not yet while its parent is open, no more once
        it has fired. ``armed_rank`` is when it began to, among all triggers.
    status, status_ms
    rank : int
        Priority in time among orders at a price; assigned when the order comes to rest.
    parent, children, siblings
        Order numbers of a group.
    builder, builder_rate
        Who gets an extra fee, in tenths of a basis point.
    twap : int
        Number of the TWAP this is a slice of, 0 for none.
    value : int
        Money traded so far, for the average price.
    """

    oid: int
    user: str
    asset: int
    buy: bool
    px: int
    sz: int
    orig: int
    tif: str
    ts_ms: int
    cloid: str | None = None
    reduce_only: bool = False
    trigger_px: int = 0
    trigger_market: bool = False
    tpsl: str = ""
    whole_position: bool = False
    armed: bool = False
    armed_rank: int = 0
    status: str = OPEN
    status_ms: int = 0
    rank: int = 0
    parent: int = 0
    children: list[int] = []
    siblings: list[int] = []
    builder: str = ""
    builder_rate: int = 0
    twap: int = 0
    value: int = 0

    @property
    def resting(self) -> bool:
        """Whether the order is in the book."""
        return self.rank > 0

    @property
    def filled(self) -> int:
        """Size filled so far."""
        return self.orig - self.sz

    @property
    def fires_above(self) -> bool:
        """Whether a trigger fires when the mark price is at or above its level."""
        return self.buy == (self.tpsl == "sl")

    def fires_at(self, mark: int) -> bool:
        """Whether a mark price is at or through the level of a trigger."""
        return mark >= self.trigger_px if self.fires_above else mark <= self.trigger_px


def order_type(order: Order) -> str:
    """Name of an order's kind in front ends."""
    if order.trigger_px:
        kind = "Take Profit" if order.tpsl == "tp" else "Stop"
        return f"{kind} {'Market' if order.trigger_market else 'Limit'}"
    return "Market" if order.tif == "FrontendMarket" else "Limit"


def basic(order: Order, market: Instrument) -> dict[str, Any]:
    """Return an order as in ``openOrders`` and in order updates."""
    out = {
        "coin": market.coin,
        "side": "B" if order.buy else "A",
        "limitPx": show(order.px, market.px_decimals),
        "sz": show(order.sz, market.sz_decimals),
        "oid": order.oid,
        "timestamp": order.ts_ms,
        "origSz": show(order.orig, market.sz_decimals),
    }
    if order.reduce_only:
        out["reduceOnly"] = True
    if order.cloid is not None:
        out["cloid"] = order.cloid
    return out


def detailed(order: Order, market: Instrument, children: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an order as in ``frontendOpenOrders``, ``orderStatus`` and ``historicalOrders``."""
    condition = "N/A"
    if order.trigger_px:
        level = show(order.trigger_px, market.px_decimals)
        condition = f"Price {'above' if order.fires_above else 'below'} {level}"
    return {
        "coin": market.coin,
        "side": "B" if order.buy else "A",
        "limitPx": show(order.px, market.px_decimals),
        "sz": show(order.sz, market.sz_decimals),
        "oid": order.oid,
        "timestamp": order.ts_ms,
        "triggerCondition": condition,
        "isTrigger": bool(order.trigger_px),
        "triggerPx": show(order.trigger_px, market.px_decimals),
        "children": children,
        "isPositionTpsl": order.whole_position,
        "reduceOnly": order.reduce_only,
        "orderType": order_type(order),
        "origSz": show(order.orig, market.sz_decimals),
        "tif": order.tif or None,
        "cloid": order.cloid,
    }
