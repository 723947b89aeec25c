"""How well an order was executed, from its own fills and times."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from genesis.costs.execution import ExecutionQuality, execution_quality, signed_slippage
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.orders import Order, OrderState


class Quality(msgspec.Struct, frozen=True):
    """Execution quality of one order; None where there is nothing to measure it by.

    Attributes
    ----------
    intent_slippage : float or None
        From the price that the decision saw to the average fill, a fraction, positive where it
        cost money. Between a decision at a close and a fill at the next open the market's own
        move is in it.
    slippage : float or None
        From the venue's price before slippage, where it tells one.
    impact : float or None
        From the first fill to the last, against the order.
    latency_ms : int or None
        From the intent to the first fill of a market order; what the venue says of a resting one.
    maker_share : float or None
        Part of the filled size that rested.
    grade : ExecutionQuality or None
        By the slippage that the venue tells, else by that since the intent.
    """

    intent_slippage: float | None
    slippage: float | None
    impact: float | None
    latency_ms: int | None
    maker_share: float | None
    grade: ExecutionQuality | None


NOTHING = Quality(None, None, None, None, None, None)
_FAILED = Quality(None, None, None, None, None, ExecutionQuality.FAILED)


def quality_of(order: Order) -> Quality:
    """Measure an order: nothing before its first fill, FAILED once it was refused without one."""
    average = order.average
    if average is None:
        return _FAILED if order.state is OrderState.REJECTED else NOTHING
    side = 1.0 if order.request.side is Side.BUY else -1.0
    price = float(average)
    intent = _since(side, order.reference, price)
    told = order.reference_value != order.value
    venue = _since(side, order.reference_value / order.filled, price) if told else None
    waited = order.first_fill_ms - order.intent_ms
    market = order.request.kind is OrderKind.MARKET
    latency = order.venue_latency_ms or (waited if market and waited >= 0 else 0)
    counted = venue if venue is not None else intent
    return Quality(
        intent_slippage=intent,
        slippage=venue,
        impact=signed_slippage(side, float(order.first_price), float(order.last_price)),
        latency_ms=latency,
        maker_share=float(order.maker_filled / order.filled),
        grade=None if counted is None else execution_quality(counted, latency),
    )


def _since(side: float, reference: Decimal | None, price: float) -> float | None:
    if not reference:
        return None
    return signed_slippage(side, float(reference), price)
