"""The paper gateway: an exchange that fills orders from the market events it is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.errors import InfrastructureError
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.admission import refusal
from genesis.exchange.paper.desk import Desk, PartialFills
from genesis.exchange.paper.market import REPEATED, VOLATILITY_CLOSES, Market
from genesis.exchange.paper.matching import meet_arrival, meet_open, meet_quote, meet_range
from genesis.exchange.paper.state import PaperBook, PaperOrder, exact
from genesis.trading.events import Event
from genesis.trading.gateway import AccountState, OrderRequest, Sink, VenueFill, VenuePosition
from genesis.trading.orders import VenueStatus
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    FundingDue,
    FundingPaid,
    InputQuarantined,
    OrderAccepted,
    OrderModified,
    OrderRejected,
    OrderStatus,
    Quote,
    SymbolEnded,
)


class PaperGateway:
    """A simulated exchange with many accounts, one-way positions and isolated margin.

    It sees orders and market events only, never what a strategy expects. Everything it does is a
    pure function of the calls it got, in their order.

    Parameters
    ----------
    instruments : mapping of str to Instrument
        The symbols that it trades.
    costs : CostModel
        Fees, and slippage where there is no execution model.
    leverage : float
        Of the isolated margin behind each position.
    execution : ExecutionModel, optional
        Slippage and latency; None for the plain costs of the backtest.
    partial : PartialFills, optional
        Rule that fills orders in parts.
    remember : int
        Ended orders and fills of an account that can still be asked for. Within it a client id
        that was used is never a new order.
    name : str

    Notes
    -----
    Not thread-safe. Answers are delivered within the call that causes them, so the sink must not
    call back.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        costs: CostModel,
        leverage: float,
        execution: ExecutionModel | None = None,
        *,
        partial: PartialFills | None = None,
        remember: int = 2_000,
        name: str = "paper",
    ) -> None:
        self._name = name
        self._instruments = dict(instruments)
        self._desk = Desk(self._instruments, costs, leverage, execution, partial, remember)
        self._markets = {symbol: Market() for symbol in self._instruments}
        self._books: dict[str, dict[str, PaperBook]] = {s: {} for s in self._instruments}
        self._handlers: dict[type, Callable[[Event, Market, dict[str, PaperBook]], str]] = {
            BarOpened: self._opened,
            BarRange: self._ranged,
            BarClosed: self._closed,
            FundingDue: self._funded,
            Quote: self._quoted,
            SymbolEnded: self._ended,
        }

    @property
    def name(self) -> str:
        """Short name for logs and events."""
        return self._name

    @property
    def now_ms(self) -> int:
        """Time of the exchange: the latest market event."""
        return self._desk.now_ms

    def connect(self, sink: Sink) -> None:
        """Begin to deliver answers to ``sink``."""
        self._desk.sink = sink

    def close(self) -> None:
        """Let go of the sink; sends nothing, and open orders stay open."""
        self._desk.sink = None

    def settle(self) -> bool:
        """Wait for outstanding answers; whether any came. Here each comes within its call."""
        return False

    # ---- requests --------------------------------------------------------------------------

    def submit(self, order: OrderRequest) -> None:
        """Take an order; a client id that was used before is answered with its state."""
        self._require_connection()
        desk = self._desk
        if (order.account, order.client_id) in desk.orders:
            self.query(order.account, order.symbol, order.client_id)
            return
        market = self._markets.get(order.symbol)
        book = self._book(order.account, order.symbol)
        reason, text = refusal(order, self._instruments, market, book, desk.now_ms)
        placed = PaperOrder(order, desk.number("V"))
        desk.keep(placed)
        if reason or market is None or book is None:
            desk.end(placed, VenueStatus.REJECTED, reason)
            data = OrderRejected(order.client_id, "submit", reason, text)
            desk.tell(data, order.order_id, desk.now_ms)
            return
        book.add(placed)
        desk.tell(OrderAccepted(order.client_id, placed.venue_id), order.order_id, desk.now_ms)
        meet_arrival(desk, book, placed, market)

    def cancel(self, account: str, symbol: str, client_id: str) -> None:
        """End an order that is open."""
        self._require_connection()
        order, book = self._open_order(account, symbol, client_id, "cancel")
        if order is not None and book is not None:
            self._desk.cancel(book, order, "requested")

    def modify(self, order: OrderRequest) -> None:
        """Replace price and size of an open order in place: client id and venue id stay."""
        self._require_connection()
        desk = self._desk
        placed, book = self._open_order(order.account, order.symbol, order.client_id, "modify")
        if placed is None or book is None:
            return
        market, old = self._markets[order.symbol], placed.request
        reason, text = refusal(order, self._instruments, market, book, desk.now_ms)
        if (order.side, order.kind, order.reduce_only) != (old.side, old.kind, old.reduce_only):
            reason, text = "not_modifiable", "only price and size can be replaced"
        elif not reason and order.size <= placed.filled:
            reason, text = "invalid_size", f"{placed.filled} is filled already"
        if reason:
            data = OrderRejected(order.client_id, "modify", reason, text)
            desk.tell(data, old.order_id, desk.now_ms)
            return
        placed.replace(msgspec.structs.replace(old, price=order.price, size=order.size))
        book.changed()
        changed = OrderModified(order.client_id, placed.venue_id, order.price, order.size)
        desk.tell(changed, old.order_id, desk.now_ms)
        meet_arrival(desk, book, placed, market)

    def query(self, account: str, symbol: str, client_id: str) -> None:
        """Tell what became of an order."""
        self._require_connection()
        desk = self._desk
        order = desk.orders.get((account, client_id))
        if order is None or order.request.symbol != symbol:
            status = OrderStatus(client_id, VenueStatus.ABSENT.value, venue_ms=desk.now_ms)
            desk.tell(status, client_id, desk.now_ms)
            return
        r = order.request
        told = OrderStatus(
            client_id,
            order.answer.value,
            order.venue_id,
            order.filled,
            desk.now_ms,
            r.size if order.open else Decimal(0),
            r.price if order.open else None,
        )
        desk.tell(told, r.order_id, desk.now_ms)

    def account_state(self, account: str, since_ms: int) -> AccountState:
        """Positions, open orders, and fills from ``since_ms`` on that are still remembered."""
        books = [b[account] for b in self._books.values() if account in b]
        kept = self._desk.fills.get(account, ())
        return AccountState(
            account,
            tuple(
                VenuePosition(account, b.symbol, b.size, exact(b.entry)) for b in books if b.size
            ),
            tuple(order.open_order() for b in books for order in b.orders),
            tuple(sorted((f for f in kept if f.ts_ms >= since_ms), key=lambda f: f.ts_ms)),
            self._desk.now_ms,
        )

    # ---- market ----------------------------------------------------------------------------

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
        market = self._markets.get(symbol)
        why = "unknown symbol" if market is None else ""
        if market is not None:
            if market.ended and not isinstance(event.data, SymbolEnded):
                why = "the symbol has ended"
            else:
                why = handler(event, market, self._books[symbol])
        if why and why != REPEATED:
            text = msgspec.json.encode(event.data).decode()
            data = InputQuarantined(self._name, f"{event.type}: {why}", text)
            self._desk.tell(data, symbol, event.ts_ms)

    def _tick(self, event: Event) -> None:
        self._desk.now_ms = max(self._desk.now_ms, event.ts_ms)

    def _opened(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        bar: BarOpened = event.data  # type: ignore[assignment]
        why = market.check_open(bar)
        if not why:
            self._tick(event)
            market.begin(bar.open_ms, float(bar.open))
            if market.last == 0.0:
                for book in books.values():
                    if not book.idle(market.open, market.open):
                        meet_open(self._desk, book, market, market.open)
        return why

    def _ranged(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        bar: BarRange = event.data  # type: ignore[assignment]
        why = market.check_range(bar)
        if not why:
            self._tick(event)
            market.high, market.low = float(bar.high), float(bar.low)
            if market.last == 0.0:
                high, low = max(market.high, market.open), min(market.low, market.open)
                self._desk.before_ms = 1
                for book in books.values():
                    if not book.idle(high, low):
                        meet_range(self._desk, book, market, high, low)
                self._desk.before_ms = 0
            market.within = False
        return why

    def _closed(self, event: Event, market: Market, _: dict[str, PaperBook]) -> str:
        bar: BarClosed = event.data  # type: ignore[assignment]
        why = market.check_close(bar)
        if not why:
            self._tick(event)
            market.within = False
            market.closed_ms, market.close = bar.open_ms, float(bar.close)
            if self._desk.execution is not None:
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
                self._desk.revalue(book)
                data = FundingPaid(
                    book.account, book.symbol, exact(paid), market.funding_rate, book.size, mark
                )
                self._desk.tell(data, f"{book.account}/{book.symbol}", event.ts_ms)
        return ""

    def _quoted(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        quote: Quote = event.data  # type: ignore[assignment]
        why = market.check_quote(quote, event.ts_ms)
        if not why:
            self._tick(event)
            market.quote(event.ts_ms, float(quote.last), float(quote.low), float(quote.high))
            for book in books.values():
                if not book.idle(market.high, market.low):
                    meet_quote(self._desk, book, market, market.high, market.low)
        return why

    def _ended(self, event: Event, market: Market, books: dict[str, PaperBook]) -> str:
        end: SymbolEnded = event.data  # type: ignore[assignment]
        why = market.check_end(end)
        if not why:
            self._tick(event)
            market.ended, market.within, market.close = True, False, float(end.close)
            self._desk.before_ms = 1
            for book in books.values():
                if not book.dead:
                    self._desk.force(book, market, market.close, "delisted")
            self._desk.before_ms = 0
        return why

    # ---- state -----------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """State as JSON can hold it; `restore` takes it back."""
        desk = self._desk
        return {
            "now_ms": desk.now_ms,
            "counter": desk.counter,
            "markets": {symbol: market.plain() for symbol, market in self._markets.items()},
            "orders": [order.plain() for order in desk.orders.values()],
            "ended": [list(key) for key in desk.ended],
            "books": [b.plain() for books in self._books.values() for b in books.values()],
            "fills": {a: [msgspec.to_builtins(f) for f in kept] for a, kept in desk.fills.items()},
        }

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that `plain` gave, of a gateway with the same instruments."""
        desk = self._desk
        desk.now_ms, desk.counter = plain["now_ms"], plain["counter"]
        for symbol, value in plain["markets"].items():
            self._markets[symbol] = Market.from_plain(value)
        desk.orders.clear()
        for value in plain["orders"]:
            desk.keep(PaperOrder.from_plain(value))
        desk.ended = deque((account, client_id) for account, client_id in plain["ended"])
        self._books = {symbol: {} for symbol in self._instruments}
        for value in plain["books"]:
            book = PaperBook.from_plain(value, desk.orders)
            self._books[book.symbol][book.account] = book
        desk.fills = {
            account: deque((msgspec.convert(f, VenueFill) for f in kept), maxlen=desk.remember)
            for account, kept in plain["fills"].items()
        }

    def _book(self, account: str, symbol: str) -> PaperBook | None:
        books = self._books.get(symbol)
        if books is None:
            return None
        if account not in books:
            books[account] = PaperBook(account, symbol)
        return books[account]

    def _open_order(
        self, account: str, symbol: str, client_id: str, what: str
    ) -> tuple[PaperOrder | None, PaperBook | None]:
        """An open order and its book, or a rejection of the request about it."""
        order = self._desk.orders.get((account, client_id))
        if order is None or order.request.symbol != symbol:
            data = OrderRejected(client_id, what, "unknown_order")
            self._desk.tell(data, client_id, self._desk.now_ms)
            return None, None
        if not order.open:
            text = f"{order.status}, {order.filled} of {order.request.size} filled"
            data = OrderRejected(client_id, what, "not_open", text)
            self._desk.tell(data, order.request.order_id, self._desk.now_ms)
            return None, None
        return order, self._books[symbol][account]

    def _require_connection(self) -> None:
        if self._desk.sink is None:
            raise InfrastructureError(
                f"the gateway '{self._name}' is not connected",
                fix="call connect with a sink for its answers before the first request",
            )
