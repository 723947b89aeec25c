"""Executions on the paper exchange: prices, fees, positions, and the events that tell of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

import msgspec

from genesis.costs.execution import ExecutionModel, keyed_uniform
from genesis.costs.margin import liquidation_level
from genesis.costs.model import CostModel, fill_price, slippage_rate
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.market import Market
from genesis.exchange.paper.state import PaperBook, PaperOrder
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, Side, Sink, VenueFill, VenueFunding
from genesis.trading.money import by_side, exact
from genesis.trading.orders import VenueStatus
from genesis.trading.payloads import FundingPaid, OrderCanceled, OrderFilled, OrderRejected

_CONTINUOUS_LOT = Decimal("1e-8")
_PACK = msgspec.msgpack.Encoder().encode
_FIELDS: Any = tuple[tuple(field.type for field in msgspec.structs.fields(VenueFill))]  # type: ignore[misc]
_UNPACK = msgspec.msgpack.Decoder(_FIELDS).decode


def packed(fill: VenueFill) -> bytes:
    """Values of a fill without their names, in a third of its memory."""
    return _PACK(msgspec.structs.astuple(fill))


def unpacked(data: bytes) -> VenueFill:
    """Fill that `packed` put away."""
    return VenueFill(*_UNPACK(data))


@dataclass(frozen=True, slots=True)
class PartialFills:
    """A rule that fills orders in parts, a pure function of seed and order.

    A taker's fill is told in up to `parts` pieces at one price; an order that rests as a maker
    gets a share at each touch until a last touch fills it.

    Attributes
    ----------
    seed : int
    chance : float
        Share of orders, in [0, 1], that are filled in parts.
    parts : int
        Most pieces of one order.
    """

    seed: int
    chance: float = 0.5
    parts: int = 3

    def pieces(self, order: PaperOrder, size: Decimal, lot: float) -> list[Decimal]:
        """Sizes that ``size`` is filled in, adding up to it."""
        client_id = order.request.client_id
        draw = keyed_uniform(0.0, 1.0, self.seed, client_id)
        if draw >= self.chance or self.parts < 2:
            return [size]
        count = 2 + int(keyed_uniform(0.0, self.parts - 1, self.seed, client_id, "parts"))
        step = exact(lot) if lot > 0.0 else _CONTINUOUS_LOT
        piece = (size / count / step).to_integral_value(ROUND_DOWN) * step
        if piece <= 0:
            return [size]
        return [piece] * (count - 1) + [size - piece * (count - 1)]


class Desk:
    """Executes orders and tells of it; the matching rules decide when and at which price.

    Parameters
    ----------
    instruments : mapping of str to Instrument
    costs : CostModel
    leverage : float
        Of the isolated margin behind each position.
    execution : ExecutionModel, optional
        Slippage and latency in its way; without it slippage is the cost model's and there is
        no latency.
    partial : PartialFills, optional
    remember : int
        Ended orders and fills that can still be asked for.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        costs: CostModel,
        leverage: float,
        execution: ExecutionModel | None,
        partial: PartialFills | None,
        remember: int,
    ) -> None:
        self.instruments = instruments
        self.costs = costs
        self.leverage = leverage
        self.execution = execution
        self.partial = partial
        self.sink: Sink | None = None
        self.now_ms = 0
        # A range is told at the close; what filled in it filled before the next bar began.
        self.before_ms = 0
        self.counter = 0
        # As bytes: of ten accounts twenty thousand are kept, and hardly ever looked at.
        self.fills: dict[str, deque[bytes]] = {}
        self.funding: dict[str, deque[VenueFunding]] = {}
        self.ended: deque[tuple[str, str]] = deque()
        self.orders: dict[tuple[str, str], PaperOrder] = {}
        self.remember = remember
        self._keys = {symbol: costs.noise_key(symbol) for symbol in instruments}

    def tell(self, data: Payload, aggregate: str, ts_ms: int) -> None:
        """Deliver one event."""
        if self.sink is not None:
            self.sink(Event(data, ts_ms, aggregate))

    def pay(self, data: FundingPaid, ts_ms: int) -> None:
        """Tell of funding, and remember it."""
        kept = self.funding.get(data.account)
        if kept is None:
            kept = self.funding[data.account] = deque(maxlen=self.remember)
        paid = (data.account, data.symbol, data.amount, data.rate, data.position, data.mark)
        kept.append(VenueFunding(*paid, ts_ms))
        self.tell(data, f"{data.account}/{data.symbol}", ts_ms)

    def number(self, prefix: str) -> str:
        """Next id of an order or a fill."""
        self.counter += 1
        return f"{prefix}{self.counter:08x}"

    def take(
        self, book: PaperBook, order: PaperOrder, market: Market, price: float, *, resting: bool
    ) -> None:
        """Fill an order as a taker at a price that slippage moves; end what is left of it."""
        size = self._size(book, order)
        if size == 0:
            self.refuse(book, order, "reduce_only")
            return
        filled = self._slipped(book.symbol, market, price, order.sign, float(size))
        if order.kind in (OrderKind.LIMIT, OrderKind.TARGET):
            filled = min(filled, order.price) if order.sign > 0.0 else max(filled, order.price)
        latency = self._latency(order, resting=resting)
        for piece in self._pieces(book, order, size):
            self._fill(book, order, piece, filled, price, maker=False, latency=latency)
        self._finish(book, order)

    def make(self, book: PaperBook, order: PaperOrder, price: float) -> None:
        """Fill a resting order as a maker, the next piece of it where it is filled in parts."""
        size = self._size(book, order)
        if size == 0:
            return
        whole = order.left == size
        pieces = self._pieces(book, order, order.request.size) if whole else [size]
        piece = size
        if order.fills + 1 < len(pieces):
            piece = min(pieces[0], size)
        latency = self._latency(order, resting=True)
        self._fill(book, order, piece, price, price, maker=True, latency=latency)
        if piece == size:
            self._finish(book, order)

    def force(self, book: PaperBook, market: Market, price: float, cause: str) -> None:
        """Close a position without an order: liquidation or delisting; end everything else."""
        if book.quantity != 0.0:
            sign = -1.0 if book.quantity > 0.0 else 1.0
            size = abs(book.size)
            filled = self._slipped(book.symbol, market, price, sign, float(size))
            self._book(book, None, sign, size, filled, price, False, 0, cause)
        self.bury(book, "liquidated" if cause == "liquidation" else cause)

    def bury(self, book: PaperBook, why: str) -> None:
        """End an account's trading in a symbol."""
        book.dead = why
        for order in tuple(book.orders):
            self.cancel(book, order, why)

    def refuse(self, book: PaperBook, order: PaperOrder, reason: str) -> None:
        """Reject an order that was waiting for a price."""
        self.end(order, VenueStatus.REJECTED, reason, book)
        data = OrderRejected(order.request.client_id, "submit", reason)
        self.tell(data, order.request.order_id, self.now_ms)

    def cancel(self, book: PaperBook, order: PaperOrder, reason: str) -> None:
        """End an order; what was filled stays filled."""
        self.end(order, VenueStatus.CANCELED, reason, book)
        data = OrderCanceled(order.request.client_id, reason)
        self.tell(data, order.request.order_id, self.now_ms)

    def revalue(self, book: PaperBook) -> None:
        """Recompute the liquidation price of a position."""
        if book.quantity != 0.0:
            book.changed()
            book.liquidation = liquidation_level(
                book.quantity,
                book.entry,
                book.accrued,
                self.leverage,
                self.instruments[book.symbol].maintenance_margin,
            )

    def keep(self, order: PaperOrder) -> None:
        """Remember an order by account and client id."""
        self.orders[order.request.account, order.request.client_id] = order

    def end(
        self, order: PaperOrder, status: VenueStatus, reason: str, book: PaperBook | None = None
    ) -> None:
        """Give an order its last state; the oldest ended ones are forgotten."""
        order.status, order.reason = status, reason
        if book is not None and order in book.orders:
            book.remove(order)
        self.ended.append((order.request.account, order.request.client_id))
        if len(self.ended) > self.remember:
            self.orders.pop(self.ended.popleft(), None)

    def _size(self, book: PaperBook, order: PaperOrder) -> Decimal:
        if order.request.reduce_only:
            return min(order.left, book.reducible(order.sign))
        return order.left

    def _pieces(self, book: PaperBook, order: PaperOrder, size: Decimal) -> list[Decimal]:
        if self.partial is None:
            return [size]
        return self.partial.pieces(order, size, self.instruments[book.symbol].lot)

    def _slipped(
        self, symbol: str, market: Market, price: float, sign: float, size: float
    ) -> float:
        keyed_ms = self.now_ms if market.last > 0.0 else market.open_ms
        if self.execution is not None:
            share = size * price / self.execution.capital
            rate = self.execution.slippage(symbol, share, market.volatility(), keyed_ms, sign)
        else:
            costs = self.costs
            rate = costs.slippage
            if costs.slippage_noise != 0.0:
                key = self._keys[symbol]
                rate = slippage_rate(rate, costs.slippage_noise, key, keyed_ms, sign)
        return fill_price(price, sign, rate)

    def _latency(self, order: PaperOrder, *, resting: bool) -> int:
        if self.execution is None:
            return 0
        key = order.request.client_id
        return self.execution.latency_ms(order.kind, self.now_ms, key, resting=resting)

    def _fill(
        self,
        book: PaperBook,
        order: PaperOrder,
        size: Decimal,
        price: float,
        reference: float,
        *,
        maker: bool,
        latency: int,
    ) -> None:
        order.filled += size
        order.fills += 1
        if order.left == 0:
            self.end(order, VenueStatus.FILLED, "", book)
        self._book(book, order, order.sign, size, price, reference, maker, latency, "order")

    def _finish(self, book: PaperBook, order: PaperOrder) -> None:
        if order.open:  # capped at the position
            self.cancel(book, order, "reduce_only")

    def _book(
        self,
        book: PaperBook,
        order: PaperOrder | None,
        sign: float,
        size: Decimal,
        price: float,
        reference: float,
        maker: bool,
        latency: int,
        cause: str,
    ) -> None:
        side = Side.BUY if sign > 0.0 else Side.SELL
        fee = float(size) * price * (self.costs.maker if maker else self.costs.taker)
        fill = VenueFill(
            fill_id=self.number("F"),
            client_id=order.request.client_id if order else "",
            venue_id=order.venue_id if order else "",
            account=book.account,
            symbol=book.symbol,
            side=side,
            size=size,
            price=exact(price),
            fee=exact(fee),
            maker=maker,
            ts_ms=self.now_ms - self.before_ms,  # its bar; how late it was known is the latency
            reference=exact(reference),
            cause=cause,
            latency_ms=latency,
        )
        book.move(by_side(side, size), price)
        self.revalue(book)
        kept = self.fills.get(book.account)
        if kept is None:
            kept = self.fills[book.account] = deque(maxlen=self.remember)
        kept.append(packed(fill))
        about = order.request.order_id if order else f"{book.account}/{book.symbol}"
        self.tell(OrderFilled(fill), about, fill.ts_ms)
