"""The paper gateway: an exchange that fills orders from the market events it is shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.errors import InfrastructureError
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.admission import refusal
from genesis.exchange.paper.desk import Desk, PartialFills, packed, unpacked
from genesis.exchange.paper.market import Market
from genesis.exchange.paper.matching import meet_arrival
from genesis.exchange.paper.state import PaperBook, PaperOrder
from genesis.exchange.paper.tape import Tape
from genesis.trading.events import Event
from genesis.trading.gateway import (
    AccountState,
    OrderRequest,
    Sink,
    VenueFill,
    VenueFunding,
    VenuePosition,
)
from genesis.trading.money import exact
from genesis.trading.orders import VenueStatus
from genesis.trading.payloads import (
    OrderAccepted,
    OrderModified,
    OrderRejected,
    OrderStatus,
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
        self._tape = Tape(name, self._desk, self._instruments)

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
        market = self._tape.markets.get(order.symbol)
        book = self._tape.book(order.account, order.symbol)
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
        market, old = self._tape.markets[order.symbol], placed.request
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
        """Positions, open orders; fills and funding from ``since_ms`` on that are remembered."""
        books = [b[account] for b in self._tape.books.values() if account in b]
        kept = self._kept_fills(account)
        return AccountState(
            account,
            tuple(
                VenuePosition(account, b.symbol, b.size, exact(b.entry)) for b in books if b.size
            ),
            tuple(order.open_order() for b in books for order in b.orders),
            tuple(sorted((f for f in kept if f.ts_ms >= since_ms), key=lambda f: f.ts_ms)),
            self._desk.now_ms,
            tuple(f for f in self._desk.funding.get(account, ()) if f.ts_ms >= since_ms),
        )

    def on_market(self, event: Event) -> None:
        """Let the exchange see a market event; of other types it takes no notice.

        A price, time or symbol that cannot be is answered with `InputQuarantined` and changes
        nothing. An event that was already taken changes nothing either.
        """
        self._tape.on_market(event)

    # ---- state -----------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """State as JSON can hold it; `restore` takes it back."""
        desk = self._desk
        return {
            "now_ms": desk.now_ms,
            "counter": desk.counter,
            "markets": {symbol: market.plain() for symbol, market in self._tape.markets.items()},
            "orders": [order.plain() for order in desk.orders.values()],
            "ended": [list(key) for key in desk.ended],
            "books": [b.plain() for books in self._tape.books.values() for b in books.values()],
            "fills": {a: [msgspec.to_builtins(f) for f in self._kept_fills(a)] for a in desk.fills},
            "funding": {a: [msgspec.to_builtins(f) for f in k] for a, k in desk.funding.items()},
        }

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over a state that `plain` gave, of a gateway with the same instruments."""
        desk = self._desk
        desk.now_ms, desk.counter = plain["now_ms"], plain["counter"]
        for symbol, value in plain["markets"].items():
            self._tape.markets[symbol] = Market.from_plain(value)
        desk.orders.clear()
        for value in plain["orders"]:
            desk.keep(PaperOrder.from_plain(value))
        desk.ended = deque((account, client_id) for account, client_id in plain["ended"])
        self._tape.books = {symbol: {} for symbol in self._instruments}
        for value in plain["books"]:
            book = PaperBook.from_plain(value, desk.orders)
            self._tape.books[book.symbol][book.account] = book
        desk.fills = {
            account: deque(
                (packed(msgspec.convert(f, VenueFill)) for f in kept), maxlen=desk.remember
            )
            for account, kept in plain["fills"].items()
        }
        desk.funding = {
            account: deque((msgspec.convert(f, VenueFunding) for f in kept), maxlen=desk.remember)
            for account, kept in plain["funding"].items()
        }

    def _kept_fills(self, account: str) -> list[VenueFill]:
        return [unpacked(data) for data in self._desk.fills.get(account, ())]

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
        return order, self._tape.books[symbol][account]

    def _require_connection(self) -> None:
        if self._desk.sink is None:
            raise InfrastructureError(
                f"the gateway '{self._name}' is not connected",
                fix="call connect with a sink for its answers before the first request",
            )
