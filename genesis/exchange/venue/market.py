"""The public side of one market: book, prices, trades, statistics."""

from __future__ import annotations

from typing import Any

from genesis.domain.timeline import DAY_MS, HOUR_MS
from genesis.exchange.venue.book import Book
from genesis.exchange.venue.candles import Candles
from genesis.exchange.venue.meta import Instrument
from genesis.exchange.venue.orders import Order
from genesis.exchange.venue.units import RATE, parse, ratio, to_tick

TRADES_KEPT = 200
FUNDING_KEPT = 24 * 365
# Averaging time of the difference between the book and the oracle price.
_BASIS_MS = 150_000
_IMPACT_NOTIONAL = 20_000 * 10**8


class Market:
    """State of a market.

    Attributes
    ----------
    spec : Instrument
    book : Book
    oracle, mark : int
        Reference price, and the price of margin and triggers.
    pinned : bool
        Whether both were set by hand and stay.
    basis : int
        Running average of mid minus oracle, in 1024ths of a grid step.
    last : int
        Price of the last trade, 0 before any.
    triggers : dict
        Armed trigger orders by number.
    trades : list
        The newest public trades, oldest first.
    premiums, samples : int
        Sum and number of this hour's premium samples.
    open_interest : int
    interest_cap : int
        Largest open interest in size, 0 for none.
    delisted : bool
    hours : dict
        Traded base and quote amount and last price per hour, for the day's statistics.
    """

    __slots__ = (
        "basis",
        "book",
        "candles",
        "delisted",
        "funding",
        "hours",
        "interest_cap",
        "last",
        "mark",
        "open_interest",
        "oracle",
        "pinned",
        "premiums",
        "samples",
        "spec",
        "trades",
        "triggers",
    )

    def __init__(self, spec: Instrument) -> None:
        self.spec = spec
        self.book = Book()
        self.candles = Candles()
        self.oracle = self.mark = parse(spec.start_price, spec.px_decimals)
        self.pinned = False
        self.basis = 0
        self.last = 0
        self.triggers: dict[int, Order] = {}
        self.trades: list[dict[str, Any]] = []
        self.premiums = self.samples = 0
        self.funding: list[tuple[int, int, int]] = []
        self.open_interest = 0
        self.interest_cap = 0
        self.delisted = spec.delisted
        self.hours: dict[int, list[int]] = {}

    def count(self, ts_ms: int, px: int, sz: int) -> None:
        """Account for a public trade."""
        self.last = px
        self.candles.trade(ts_ms, px, sz)
        hour = ts_ms // HOUR_MS
        row = self.hours.get(hour)
        if row is None:
            row = self.hours[hour] = [0, 0, px]
            for old in [h for h in self.hours if h < hour - 25]:
                del self.hours[old]
        row[0] += sz
        row[1] += sz * px
        row[2] = px

    def day(self, now_ms: int) -> tuple[int, int, int]:
        """Base and quote volume of the last 24 hours, and the price before them."""
        since = (now_ms - DAY_MS) // HOUR_MS
        base = quote = 0
        previous = 0
        for hour, row in self.hours.items():
            if hour > since:
                base += row[0]
                quote += row[1]
            else:
                previous = row[2]
        return base, quote, previous or self.mark

    def reprice(self, oracle: int, elapsed_ms: int) -> bool:
        """Take a new oracle price and derive the mark price from it and the book.

        The mark is the median of the oracle price moved by the average basis, of the book's
        middle (best bid, best ask, last trade) and of the oracle itself: one thin print does not
        move it.

        Returns
        -------
        bool
            Whether the mark price changed.
        """
        if self.pinned:
            return False
        self.oracle = oracle
        coarsest = self.spec.coarsest
        twice = self.book.mid_twice()
        if twice:
            gap = (twice - 2 * oracle) * 512 - self.basis
            self.basis += gap * min(elapsed_ms, _BASIS_MS) // _BASIS_MS
            bid, ask = self.book.bids.best(), self.book.asks.best()
            middle = sorted((bid, ask, self.last or (bid + ask) // 2))[1]
        else:
            middle = oracle
        fair = oracle + self.basis // 1024
        mark = to_tick(max(sorted((fair, middle, oracle))[1], coarsest), coarsest)
        changed = mark != self.mark
        self.mark = mark
        return changed

    def sample_premium(self) -> None:
        """Take one sample of the premium that funding is made of."""
        self.premiums += self.premium()
        self.samples += 1

    def premium(self) -> int:
        """How far the book is from the oracle price, in 1e-10; 0 within the impact prices."""
        prices = self.impact_prices()
        if prices is None:
            return 0
        bid, ask = prices
        gap = max(0, bid - self.oracle) - max(0, self.oracle - ask)
        return ratio(gap * RATE, self.oracle)

    def impact_prices(self) -> tuple[int, int] | None:
        """Average prices of selling and buying the impact notional, None in a thin book."""
        bid = self.book.impact(False, _IMPACT_NOTIONAL)
        ask = self.book.impact(True, _IMPACT_NOTIONAL)
        return (bid, ask) if bid and ask else None
