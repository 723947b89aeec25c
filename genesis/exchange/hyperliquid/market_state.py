"""Best prices, books and contexts of live markets: the latest of each, and events of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.events import Event
from genesis.trading.payloads import MarketState

_STATE_MS = 10_000
"""How often book and context of a market are told, where they changed."""


class Best(msgspec.Struct, frozen=True):
    """Best bid and ask, NaN where a side is empty."""

    ts_ms: int
    bid: float
    ask: float


class Book(msgspec.Struct, frozen=True):
    """Levels of a book, the best first: price and size."""

    ts_ms: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


class Context(msgspec.Struct, frozen=True):
    """What the exchange says of a market: hourly funding as it stands, prices, open interest."""

    ts_ms: int
    funding: float
    mark: float
    oracle: float
    open_interest: float


class MarketStates:
    """What the stream says of books and contexts.

    Parameters
    ----------
    waits : Waits
    put : callable
        Takes an event of each market, at most every ten seconds and where something changed.

    Attributes
    ----------
    best : dict of str to Best
    books : dict of str to Book
    contexts : dict of str to Context
    """

    def __init__(self, waits: Waits, put: Callable[[Event], None]) -> None:
        self._waits = waits
        self._put = put
        self._told: dict[str, tuple[int, MarketState]] = {}
        self.best: dict[str, Best] = {}
        self.books: dict[str, Book] = {}
        self.contexts: dict[str, Context] = {}

    def take(self, channel: str, data: Any) -> None:
        """Take in a message; one of another channel says nothing here.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it cannot be read.
        """
        match channel:
            case "bbo":
                bid, ask = (_price(side) for side in data["bbo"])
                self.best[str(data["coin"])] = Best(int(data["time"]), bid, ask)
            case "l2Book":
                bids, asks = (_levels(side) for side in data["levels"])
                self.books[str(data["coin"])] = Book(int(data["time"]), bids, asks)
                self._tell(str(data["coin"]))
            case "activeAssetCtx":
                self.contexts[str(data["coin"])] = self._context(data["ctx"])
                self._tell(str(data["coin"]))

    def _context(self, row: dict[str, Any]) -> Context:
        return Context(
            ts_ms=self._waits.now_ms(),
            funding=float(row["funding"]),
            mark=float(row["markPx"]),
            oracle=float(row["oraclePx"]),
            open_interest=float(row["openInterest"]),
        )

    def _tell(self, symbol: str) -> None:
        now = self._waits.now_ms()
        at, before = self._told.get(symbol, (now - _STATE_MS, None))
        book, context = self.books.get(symbol), self.contexts.get(symbol)
        if book is None or context is None or now - at < _STATE_MS:
            return
        state = _state(symbol, book, context)
        if state != before:
            self._told[symbol] = now, state
            self._put(Event(state, now, symbol))


def _state(symbol: str, book: Book, context: Context) -> MarketState:
    """Book and context as one event has them."""
    bid, bid_size, bid_depth = _side(book.bids)
    ask, ask_size, ask_depth = _side(book.asks)
    return MarketState(
        symbol=symbol,
        bid=bid,
        bid_size=bid_size,
        bid_depth=bid_depth,
        ask=ask,
        ask_size=ask_size,
        ask_depth=ask_depth,
        mark=context.mark,
        oracle=context.oracle,
        funding=context.funding,
        open_interest=context.open_interest,
    )


def _side(levels: tuple[tuple[float, float], ...]) -> tuple[float, float, float]:
    """Best price, its size, and the sizes of all levels together; NaN and 0 without any."""
    px, size = levels[0] if levels else (float("nan"), 0.0)
    return px, size, sum(size for _, size in levels)


def _price(level: Any) -> float:
    return float("nan") if level is None else float(level["px"])


def _levels(side: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(level["px"]), float(level["sz"])) for level in side)
