"""When orders meet the market: at an open, within a bar's range, on a quote, on arrival.

The order of events inside a bar is that of the backtest: at the open liquidation, stops, then
orders that rest at a better price, then waiting market orders in order of arrival; within the bar
the nearer of stops and liquidation first, since nobody knows which extreme came first and the loss
is assumed, then what rests at a better price. A level beyond the open is filled at the open.
"""

from __future__ import annotations

from genesis.exchange.paper.desk import Desk
from genesis.exchange.paper.market import Market
from genesis.exchange.paper.state import PaperBook, PaperOrder
from genesis.trading.gateway import OrderKind, Tif

_LIQUIDATION = "liquidation"


def _acts(book: PaperBook, order: PaperOrder) -> bool:
    """Whether a resting order may fill now: a reduce-only one needs a position to reduce."""
    return not order.request.reduce_only or book.quantity * order.sign < 0.0


def _kinds(book: PaperBook, *kinds: OrderKind) -> list[PaperOrder]:
    return [order for order in book.orders if order.kind in kinds]


def meet_open(desk: Desk, book: PaperBook, market: Market, price: float) -> None:
    """Let a book meet the open of a bar."""
    if book.quantity != 0.0:
        side = 1.0 if book.quantity > 0.0 else -1.0
        if (price - book.liquidation) * side <= 0.0:
            desk.force(book, market, price, _LIQUIDATION)
            return
    if not book.orders:
        return
    for order in _kinds(book, OrderKind.STOP):
        if (price - order.price) * order.sign >= 0.0 and _acts(book, order):
            desk.take(book, order, market, price, resting=True)
    for order in _kinds(book, OrderKind.TARGET, OrderKind.LIMIT):
        if order.request.tif is Tif.IOC:
            continue
        if (order.price - price) * order.sign >= 0.0 and _acts(book, order):
            desk.make(book, order, price)
    for order in tuple(book.orders):
        if order.kind is OrderKind.MARKET or order.request.tif is Tif.IOC:
            _take_now(desk, book, order, market, price)


def meet_range(desk: Desk, book: PaperBook, market: Market, high: float, low: float) -> None:
    """Let a book meet the range of the bar that is open."""
    open_ = market.open
    if not _adverse(desk, book, market, open_, high, low):
        return
    if book.orders:
        opened = _entries(desk, book, market, open_, high, low)
        if opened and not _adverse(desk, book, market, open_, high, low):
            return
        _favourable(desk, book, open_, high, low)


def meet_quote(desk: Desk, book: PaperBook, market: Market, high: float, low: float) -> None:
    """Let a book meet a quote, conflated or not.

    Where in ``[low, high]`` the price was first is not known: a stop and a liquidation fill at
    the worse of their level and the last price, a better price than its own a resting order gets
    only where the whole range is beyond it.
    """
    last = market.last
    if not _adverse(desk, book, market, last, high, low):
        return
    for order in _kinds(book, OrderKind.STOP):
        extreme = high if order.sign > 0.0 else low
        if (extreme - order.price) * order.sign >= 0.0 and _acts(book, order):
            worse = max(order.price, last) if order.sign > 0.0 else min(order.price, last)
            desk.take(book, order, market, worse, resting=True)
    for order in _kinds(book, OrderKind.TARGET, OrderKind.LIMIT):
        best, worst = (low, high) if order.sign > 0.0 else (high, low)
        if (order.price - best) * order.sign >= 0.0 and _acts(book, order):
            gap = (order.price - worst) * order.sign > 0.0
            desk.make(book, order, worst if gap else order.price)
    for order in _kinds(book, OrderKind.MARKET):
        _take_now(desk, book, order, market, last)


def meet_arrival(desk: Desk, book: PaperBook, order: PaperOrder, market: Market) -> None:
    """Let an accepted order meet the price of the moment, if there is one; else it waits."""
    price = market.current(desk.now_ms)
    if price == 0.0:
        return
    if order.kind is OrderKind.MARKET or order.request.tif is Tif.IOC:
        _take_now(desk, book, order, market, price)
    elif order.kind is OrderKind.STOP:
        quoted = market.last > 0.0
        if quoted and (price - order.price) * order.sign >= 0.0 and _acts(book, order):
            desk.take(book, order, market, price, resting=False)
    elif (
        (order.kind is OrderKind.LIMIT or market.last > 0.0)
        and crosses(order, price)
        and _acts(book, order)
    ):
        desk.take(book, order, market, price, resting=False)


def crosses(order: PaperOrder, price: float) -> bool:
    """Whether a limit or target would trade at once at this price."""
    return (order.price - price) * order.sign >= 0.0


def _take_now(desk: Desk, book: PaperBook, order: PaperOrder, market: Market, price: float) -> None:
    if order.kind is OrderKind.MARKET or crosses(order, price):
        desk.take(book, order, market, price, resting=False)
    else:
        desk.cancel(book, order, "ioc")


def _adverse(
    desk: Desk, book: PaperBook, market: Market, first: float, high: float, low: float
) -> bool:
    """Stops and liquidation against a position, nearest first; false if it was liquidated."""
    while book.quantity != 0.0:
        side = 1.0 if book.quantity > 0.0 else -1.0
        level, nearest = book.liquidation, None
        for order in book.orders:
            if order.kind is OrderKind.STOP and order.sign != side:
                ahead = (order.price - level) * side
                if ahead > 0.0 or (ahead == 0.0 and nearest is None):
                    level, nearest = order.price, order
        if ((low if side > 0.0 else high) - level) * side > 0.0:
            return True
        price = min(first, level) if side > 0.0 else max(first, level)
        if nearest is None:
            desk.force(book, market, price, _LIQUIDATION)
            return False
        desk.take(book, nearest, market, price, resting=True)
    return True


def _entries(
    desk: Desk, book: PaperBook, market: Market, open_: float, high: float, low: float
) -> bool:
    """Stops and limits that open or add to a position, in order of arrival."""
    opened = False
    for order in tuple(book.orders):
        if order.request.reduce_only or book.quantity * order.sign < 0.0:
            continue
        up = order.sign > 0.0
        if order.kind is OrderKind.STOP and ((high >= order.price) if up else (low <= order.price)):
            price = max(open_, order.price) if up else min(open_, order.price)
            desk.take(book, order, market, price, resting=True)
            opened = True
        elif order.kind in (OrderKind.LIMIT, OrderKind.TARGET) and (
            (low <= order.price) if up else (high >= order.price)
        ):
            desk.make(book, order, min(open_, order.price) if up else max(open_, order.price))
            opened = True
    return opened


def _favourable(desk: Desk, book: PaperBook, open_: float, high: float, low: float) -> None:
    """Orders that reduce the position at a better price."""
    for order in _kinds(book, OrderKind.TARGET, OrderKind.LIMIT):
        if book.quantity * order.sign < 0.0:
            up = order.sign > 0.0
            if (low <= order.price) if up else (high >= order.price):
                desk.make(book, order, min(open_, order.price) if up else max(open_, order.price))
