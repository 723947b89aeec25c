"""Which orders the paper exchange takes, and the reason codes of those that it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from genesis.domain.instrument import Instrument
from genesis.exchange.paper.market import Market
from genesis.exchange.paper.state import PaperBook
from genesis.trading.gateway import OrderKind, OrderRequest, Side, Tif

_STEP_NOISE = 1e-6  # a multiple of a step, computed in floats, may sit this many steps off


def _on_grid(value: Decimal, step: float) -> bool:
    steps = float(value) / step
    return abs(steps - round(steps)) <= _STEP_NOISE


def refusal(
    order: OrderRequest,
    instruments: Mapping[str, Instrument],
    market: Market | None,
    book: PaperBook | None,
    now_ms: int,
) -> tuple[str, str]:
    """Reason code and text of a refusal, two empty strings for an order that is taken.

    Codes: ``unknown_symbol``, ``liquidated`` and ``delisted`` (the account's trading in the
    symbol has ended), ``expired``, ``invalid_size``, ``invalid_price``, ``min_notional``,
    ``reduce_only`` (nothing to reduce), ``post_only`` (an Alo order would trade at once).
    """
    instrument = instruments.get(order.symbol)
    if instrument is None or market is None or book is None:
        return "unknown_symbol", f"{order.symbol} is not traded here"
    if book.dead or market.ended:
        return book.dead or "delisted", f"{order.account} trades {order.symbol} no more"
    if order.expires_ms and now_ms > order.expires_ms:
        return "expired", f"{now_ms - order.expires_ms} ms too late"
    return (
        _size_refusal(order, instrument, market)
        or _price_refusal(order, instrument, market, now_ms)
        or _reduce_refusal(order, book)
        or ("", "")
    )


def _size_refusal(
    order: OrderRequest, instrument: Instrument, market: Market
) -> tuple[str, str] | None:
    if not order.size.is_finite() or order.size <= 0:
        return "invalid_size", f"size {order.size} is not positive"
    if instrument.lot > 0.0 and not _on_grid(order.size, instrument.lot):
        return "invalid_size", f"size {order.size} is no multiple of {instrument.lot}"
    # The last close, not the open of the moment: the size was decided on it.
    mark = market.last or market.close or market.open
    value = float(order.size) * mark
    if mark and not order.reduce_only and value < instrument.min_notional:
        return "min_notional", f"{value:.8g} is below {instrument.min_notional:g}"
    return None


def _price_refusal(
    order: OrderRequest, instrument: Instrument, market: Market, now_ms: int
) -> tuple[str, str] | None:
    if order.kind is OrderKind.MARKET:
        return None
    price = order.price
    if price is None or not price.is_finite() or price <= 0:
        return "invalid_price", f"{order.kind} needs a positive price, not {price}"
    if instrument.tick > 0.0 and not _on_grid(price, instrument.tick):
        return "invalid_price", f"price {price} is no multiple of {instrument.tick}"
    now = market.current(now_ms)
    if order.tif is Tif.ALO and now:
        sign = 1.0 if order.side is Side.BUY else -1.0
        if (float(price) - now) * sign >= 0.0:
            return "post_only", f"{price} would trade at {now!r}"
    return None


def _reduce_refusal(order: OrderRequest, book: PaperBook) -> tuple[str, str] | None:
    """A resting exit may come before its position; what takes at once may not."""
    if not order.reduce_only or order.kind in (OrderKind.STOP, OrderKind.TARGET):
        return None
    if book.reducible(1.0 if order.side is Side.BUY else -1.0) == 0:
        return "reduce_only", "there is no position to reduce"
    return None
