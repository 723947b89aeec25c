"""The market side of the paper exchange: what it makes of bars, funding, quotes and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from genesis.exchange.paper.desk import Desk
from genesis.exchange.paper.market import REPEATED, VOLATILITY_CLOSES, Market
from genesis.exchange.paper.matching import meet_open, meet_quote, meet_range
from genesis.exchange.paper.state import PaperBook
from genesis.trading.events import Event
from genesis.trading.money import exact
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    FundingDue,
    FundingPaid,
    InputQuarantined,
    Quote,
    SymbolEnded,
)


class Tape:
    """Markets and books of all symbols, and what market events do to them.

    Parameters
    ----------
    source : str
        Name of the exchange in what it tells of refused events.
    desk : Desk
    symbols : iterable of str

    Attributes
    ----------
    markets : dict of str to Market
    books : dict of str to dict of str to PaperBook
        By symbol and account.
    """

    def __init__(self, source: str, desk: Desk, symbols: Iterable[str]) -> None:
        self._source = source
        self.desk = desk
        self.markets = {symbol: Market() for symbol in symbols}
        self.books: dict[str, dict[str, PaperBook]] = {symbol: {} for symbol in self.markets}
        self._handlers: dict[type, Callable[[Event, Market, dict[str, PaperBook]], str]] = {
            BarOpened: self._opened,
            BarRange: self._ranged,
            BarClosed: self._closed,
            FundingDue: self._funded,
            Quote: self._quoted,
            SymbolEnded: self._ended,
        }

    def book(self, account: str, symbol: str) -> PaperBook | None:
        """Book of an account, made on first use; None for a symbol that is not traded."""
        books = self.books.get(symbol)
        if books is None:
            return None
        if account not in books:
            books[account] = PaperBook(account, symbol)
        return books[account]

    def on_market(self, event: Event) -> None:
        """Let the exchange see a market event; of other types it takes the time alone.

        A price, time or symbol that cannot be is answered with `InputQuarantined` and changes
        nothing. An event that was already taken changes nothing either.
        """
        handler = self._handlers.get(type(event.data))
        if handler is None:
            self._tick(event)
            return
        symbol: str = event.data.symbol  # type: ignore[attr-defined]
        market = self.markets.get(symbol)
        why = "unknown symbol" if market is None else ""
        if market is not None:
            if market.ended and not isinstance(event.data, SymbolEnded):
                why = "the symbol has ended"
            else:
                why = handler(event, market, self.books[symbol])
        if why and why != REPEATED:
            text = msgspec.json.encode(event.data).decode()
            data = InputQuarantined(self._source, f"{event.type}: {why}", text)
            self.desk.tell(data, symbol, event.ts_ms)

    def _tick(self, event: Event) -> None:
        self.desk.now_ms = max(self.desk.now_ms, event.ts_ms)

    def _opened(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        bar: BarOpened = event.data  # type: ignore[assignment]
        why = market.check_open(bar)
        if not why:
            self._tick(event)
            market.begin(bar.open_ms, float(bar.open))
            if market.last == 0.0:
                for book in books.values():
                    if not book.idle(market.open, market.open):
                        meet_open(self.desk, book, market, market.open)
        return why

    def _ranged(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        bar: BarRange = event.data  # type: ignore[assignment]
        why = market.check_range(bar)
        if not why:
            self._tick(event)
            market.high, market.low = float(bar.high), float(bar.low)
            if market.last == 0.0:
                high, low = max(market.high, market.open), min(market.low, market.open)
                self.desk.before_ms = 1
                for book in books.values():
                    if not book.idle(high, low):
                        meet_range(self.desk, book, market, high, low)
                self.desk.before_ms = 0
            market.within = False
        return why

    def _closed(self, event: Event, market: Market, _: dict[str, PaperBook]) -> str:
        bar: BarClosed = event.data  # type: ignore[assignment]
        why = market.check_close(bar)
        if not why:
            self._tick(event)
            market.within = False
            market.closed_ms, market.close = bar.open_ms, float(bar.close)
            if self.desk.execution is not None:
                market.closes = [*market.closes[1 - VOLATILITY_CLOSES :], market.close]
        return why

    def _funded(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        due: FundingDue = event.data  # type: ignore[assignment]
        why = market.check_funding(due, event.ts_ms)
        if why:
            return why
        self._tick(event)
        market.funding_ms, market.funding_rate = event.ts_ms, float(due.rate)
        mark = market.known if due.mark is None else float(due.mark)
        for book in books.values():
            if book.quantity != 0.0:
                paid = book.quantity * mark * market.funding_rate
                book.accrued += paid
                self.desk.revalue(book)
                data = FundingPaid(
                    book.account, book.symbol, exact(paid), market.funding_rate, book.size, mark
                )
                self.desk.pay(data, event.ts_ms)
        return ""

    def _quoted(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        quote: Quote = event.data  # type: ignore[assignment]
        why = market.check_quote(quote, event.ts_ms)
        if not why:
            self._tick(event)
            market.quote(event.ts_ms, float(quote.last), float(quote.low), float(quote.high))
            for book in books.values():
                if not book.idle(market.high, market.low):
                    meet_quote(self.desk, book, market, market.high, market.low)
        return why

    def _ended(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        end: SymbolEnded = event.data  # type: ignore[assignment]
        why = market.check_end(end)
        if not why:
            self._tick(event)
            market.ended, market.within, market.close = True, False, float(end.close)
            self.desk.before_ms = 1
            for book in books.values():
                if not book.dead:
                    self.desk.force(book, market, market.close, "delisted")
            self.desk.before_ms = 0
        return why
