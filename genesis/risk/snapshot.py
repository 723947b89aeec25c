"""From a snapshot of the ledger to the book that caps are measured on."""

from __future__ import annotations

import math

from genesis.risk.book import Book, Exposure, Holding, holding
from genesis.risk.limits import OrderFacts, RiskView
from genesis.risk.regime import MarketState

_ROUNDING = 1e-9


def account_book(view: RiskView, order: OrderFacts | None = None) -> Book:
    """Add up a snapshot.

    What a snapshot says in two places (its exposures, and its numbers of the order's symbol and
    of the whole account) counts as the worse of both.

    Parameters
    ----------
    view : RiskView
    order : OrderFacts, optional
        Its symbol is valued at the order's reference price.
    """
    holdings: dict[str, Holding] = {one.symbol: holding(one) for one in view.exposures}
    if order is not None:
        own = holding(
            Exposure(order.symbol, view.position, view.buying, view.selling, order.reference)
        )
        listed = holdings.get(order.symbol)
        holdings[order.symbol] = own if listed is None else _worse_of(own, listed)
    explained = 0.0
    for one in holdings.values():
        explained += one.gross
    rest = float(view.gross) - explained
    listed_unknown = sum(one.unknown for one in holdings.values())
    return Book(
        capital=float(view.account_capital),
        holdings=holdings,
        elsewhere=0.0 if rest <= _ROUNDING * explained else rest,
        unknown=max(view.unknown_orders, listed_unknown),
    )


def _worse_of(first: Holding, second: Holding) -> Holding:
    return Holding(
        position=_worse(first.position, second.position),
        long=_worse(first.long, second.long),
        short=_worse(first.short, second.short),
        net=(_worse(first.net[0], second.net[0]), _worse(first.net[1], second.net[1])),
        gross=_worse(first.gross, second.gross),
        unknown=max(first.unknown, second.unknown),
    )


def _worse(first: float, second: float) -> float:
    """The greater of two numbers, or the one that is none."""
    return second if second > first or math.isnan(second) else first


def book_correlation(symbol: str, side: float, book: Book, market: MarketState) -> float:
    """Correlation of an order with what the account holds, weighted by notional.

    A holding on the other side counts with the opposite sign. A correlation that is not known
    counts as 1 against the order, and so does what no exposure explains.

    Parameters
    ----------
    symbol : str
    side : float
        +1 buy, -1 sell.
    book : Book
    market : MarketState

    Returns
    -------
    float
        -1 to 1; 0 where nothing is held.
    """
    weight, total = book.elsewhere, book.elsewhere
    for name, one in book.holdings.items():
        along, against = (one.long, one.short) if side > 0.0 else (one.short, one.long)
        known = market.correlation(symbol, name)
        if math.isnan(known):
            total += along + against
        else:
            total += known * (along - against)
        weight += along + against
    return total / weight if weight > 0.0 else 0.0
