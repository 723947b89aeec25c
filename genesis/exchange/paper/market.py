"""What the paper exchange knows of a symbol's market, and what it refuses to believe."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    FundingDue,
    Quote,
    SymbolEnded,
)

REPEATED = "repeated"
"""Verdict on an event that was already taken: nothing happens, and nothing is wrong."""

VOLATILITY_CLOSES = 21
NEVER = -(2**62)


def _price(value: float, name: str) -> str:
    """Why a number is no price, or nothing."""
    return "" if 0.0 < value < math.inf else f"{name} {value!r} is no price"


class Market:
    """State of one symbol's market.

    Attributes
    ----------
    open_ms, open : int, float
        Latest bar that began, and its open.
    high, low : float
        Range of the latest bar or quote, 0 while unknown.
    within : bool
        Whether its open is the price of the moment: from its beginning to its range.
    closed_ms, close : int, float
        Latest final bar and its close; the close is 0 while there is none.
    quote_ms, last : int, float
        Latest quote; `last` is 0 while there is none. A symbol that was quoted is matched on its
        quotes alone: its bars repeat what they already told.
    funding_ms, funding_rate : int, float
        Latest funding, by which a repetition is known.
    ended : bool
    closes : list of float
        Latest closes, for the volatility.
    """

    __slots__ = (
        "close",
        "closed_ms",
        "closes",
        "ended",
        "funding_ms",
        "funding_rate",
        "high",
        "last",
        "low",
        "open",
        "open_ms",
        "quote_ms",
        "within",
    )

    def __init__(self) -> None:
        self.open_ms = self.closed_ms = self.quote_ms = self.funding_ms = NEVER
        self.open = self.high = self.low = self.close = self.last = self.funding_rate = 0.0
        self.within = self.ended = False
        self.closes: list[float] = []

    def current(self, now_ms: int) -> float:
        """Price of the moment, 0 where none is known.

        Once time has moved on inside a bar its open is the past; the next price is the next open.
        """
        if self.last > 0.0:
            return self.last
        return self.open if self.within and now_ms <= self.open_ms else 0.0

    @property
    def known(self) -> float:
        """Latest price that positions are valued at: close, quote or open; 0 for none."""
        return self.last or self.close or self.open

    def begin(self, open_ms: int, price: float) -> None:
        """A bar begins: its open is the price of the moment, its range not known yet."""
        self.open_ms, self.open = open_ms, price
        self.high = self.low = 0.0
        self.within = True

    def quote(self, ts_ms: int, last: float, low: float, high: float) -> None:
        """A quote came, conflated or not."""
        self.quote_ms, self.last, self.low, self.high = ts_ms, last, low, high

    def volatility(self) -> float:
        """Standard deviation of the latest log returns between closes, per bar; 0 below three."""
        closes = self.closes
        moves = [math.log(b / a) for a, b in itertools.pairwise(closes)]
        if len(moves) < 2:
            return 0.0
        mean = sum(moves) / len(moves)
        return math.sqrt(sum((x - mean) ** 2 for x in moves) / (len(moves) - 1))

    def check_open(self, bar: BarOpened) -> str:
        """Why the beginning of a bar is refused, `REPEATED`, or nothing."""
        if bar.open_ms == self.open_ms and bar.open == self.open:
            return REPEATED
        if bar.open_ms <= max(self.open_ms, self.closed_ms):
            return f"bar {bar.open_ms} is not after the last one"
        return _price(bar.open, "open")

    def check_range(self, bar: BarRange) -> str:
        """Why the range of a bar is refused, `REPEATED`, or nothing."""
        if bar.open_ms == self.open_ms and (bar.high, bar.low) == (self.high, self.low):
            return REPEATED
        if not self.within or bar.open_ms != self.open_ms:
            return f"bar {bar.open_ms} is not the one that is open"
        why = _price(bar.high, "high") or _price(bar.low, "low")
        return why or (f"low {bar.low!r} above high {bar.high!r}" if bar.low > bar.high else "")

    def check_close(self, bar: BarClosed) -> str:
        """Why a final bar is refused, `REPEATED`, or nothing."""
        if bar.open_ms == self.closed_ms and bar.close == self.close:
            return REPEATED
        if bar.open_ms <= self.closed_ms or bar.open_ms < self.open_ms:
            return f"bar {bar.open_ms} is not after the last one"
        return _price(bar.close, "close")

    def check_quote(self, quote: Quote, ts_ms: int) -> str:
        """Why a quote is refused, `REPEATED`, or nothing."""
        if ts_ms > self.quote_ms and 0.0 < quote.low <= quote.last <= quote.high < math.inf:
            return ""
        if (ts_ms, quote.last, quote.low, quote.high) == (
            self.quote_ms,
            self.last,
            self.low,
            self.high,
        ):
            return REPEATED
        if ts_ms < self.quote_ms:
            return f"quote of {ts_ms} is older than the last one"
        why = _price(quote.last, "last") or _price(quote.low, "low") or _price(quote.high, "high")
        if not why and not quote.low <= quote.last <= quote.high:
            why = f"last {quote.last!r} outside low {quote.low!r} and high {quote.high!r}"
        return why

    def check_funding(self, due: FundingDue, ts_ms: int) -> str:
        """Why funding is refused, `REPEATED`, or nothing."""
        if ts_ms == self.funding_ms and due.rate == self.funding_rate:
            return REPEATED
        if ts_ms < self.funding_ms:
            return f"funding of {ts_ms} is older than the last one"
        if not math.isfinite(due.rate):
            return f"rate {due.rate!r} is no number"
        return "" if due.mark is None else _price(due.mark, "mark")

    def check_end(self, end: SymbolEnded) -> str:
        """Why the end of a symbol is refused, `REPEATED`, or nothing."""
        return REPEATED if self.ended else _price(end.close, "close")

    def plain(self) -> dict[str, Any]:
        """State as JSON can hold it."""
        return {name: getattr(self, name) for name in self.__slots__} | {"closes": [*self.closes]}

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> Market:
        """Read back what `plain` wrote."""
        market = cls()
        for name in cls.__slots__:
            setattr(market, name, value[name])
        market.closes = list(value["closes"])
        return market
