"""How orders move, and the procedure for those of which nobody knows what became.

An UNKNOWN order is never sent again and never taken for rejected. It is asked for, with growing
pauses, until the exchange tells what it is, its fills complete it, or two answers from after its
expiry agree that the exchange has never heard of it.
"""

from __future__ import annotations

from decimal import Decimal
from heapq import heappop, heappush

from genesis.trading.gateway import OrderKind, VenueFill
from genesis.trading.money import add, multiply
from genesis.trading.order_changes import TIMER, Change, OrderSettings
from genesis.trading.order_index import FillWindow, OrderIndex
from genesis.trading.orders import (
    IN_FLIGHT,
    TERMINAL,
    ZERO,
    Move,
    Order,
    OrderState,
    VenueStatus,
    next_state,
    opening,
)
from genesis.trading.payloads import AlertRaised, OrderCancel, OrderQuery, OrderStatus, TimerSet

_CANCEL_ASKS = 3
_LONG_DOUBT = 10

DOUBTS = {
    OrderState.SUBMITTED: "submit",
    OrderState.PENDING_CANCEL: "cancel",
    OrderState.PENDING_MODIFY: "modify",
}
"""Which request has no answer yet in a state."""


class OrderMoves:
    """Orders in memory and how they move; `OrderManager` is what others talk to."""

    def __init__(self, settings: OrderSettings | None = None) -> None:
        self.settings = settings or OrderSettings()
        self._index = OrderIndex(self.settings.retained)
        self._fills = FillWindow(self.settings.window)
        self._due: list[tuple[int, str]] = []
        self._armed = 0

    def get(self, order_id: str) -> Order | None:
        """Order by our id, while it is in memory."""
        return self._index.orders.get(order_id)

    # ---- how an order moves ------------------------------------------------------------------

    def _move(self, change: Change, move: Move, now: int) -> None:
        order = change.order
        assert order is not None
        after = next_state(order.state, move)
        if after is None:
            self._alert(change, "warning", f"{move.value} while {order.state.value}: ignored")
            return
        if after is order.state:
            return
        order.state = after
        change.moved = True
        if after is not OrderState.UNKNOWN:
            order.attempts = order.absent = 0
            order.doubt = ""
        if after not in IN_FLIGHT and after is not OrderState.UNKNOWN:
            order.deadline_ms = 0
        if after in TERMINAL:
            order.done_ms = now
            order.asked_size = order.asked_price = None
        self._index.moved(order)

    def _end(self, change: Change, move: Move, now: int, reason: str) -> None:
        order = change.order
        assert order is not None
        if order.live:
            order.reason = reason
        self._move(change, move, now)

    def _after_fill(self, change: Change, now: int) -> None:
        order = change.order
        assert order is not None
        was = order.state
        most = order.full_size  # before the move: its end forgets what was asked for
        full = order.filled >= most
        self._move(change, Move.FULL_FILL if full else Move.PART_FILL, now)
        if order.filled > most:
            self._alert(change, "critical", f"filled {order.filled} of {most}")
        if was in (OrderState.REJECTED, OrderState.EXPIRED):
            self._alert(change, "critical", f"filled although it was {was.value}")
        if order.state is OrderState.UNKNOWN:
            if was is not OrderState.UNKNOWN:
                order.doubt = "submit"
                self._query(change, now)
            elif order.final is OrderState.CANCELED and order.filled >= order.expected:
                self._end(change, Move.CANCELED, now, order.reason)

    def _replaced(self, order: Order, price: Decimal | None, size: Decimal) -> None:
        order.price, order.size = price, size
        if order.request.kind in (OrderKind.STOP, OrderKind.TARGET):
            order.reference = price  # it is measured against the level that it has now
        order.asked_price = order.asked_size = None
        order.modifications += 1

    def _ask_cancel(self, change: Change, now: int) -> None:
        order = change.order
        assert order is not None
        self._move(change, Move.ASK_CANCEL, now)
        if not order.live:
            return  # it was never sent
        if order.state is OrderState.PENDING_CANCEL:
            self._wait_for_answer(change, now)
        order.cancel_asks += 1
        request = order.request
        change.emit.append(
            OrderCancel(
                request.order_id,
                request.client_id,
                request.account,
                request.symbol,
                order.cancel_reason,
            )
        )

    def _refused(self, change: Change, move: Move, now: int) -> None:
        order = change.order
        assert order is not None
        self._move(change, move, now)
        if change.moved and order.state is OrderState.UNKNOWN:
            order.doubt = "cancel" if move is Move.CANCEL_REFUSED else "modify"
            self._query(change, now)

    # ---- UNKNOWN -----------------------------------------------------------------------------

    def _lose(self, change: Change, now: int, doubt: str, why: str) -> None:
        order = change.order
        assert order is not None
        before = order.state
        self._move(change, Move.LOST, now)
        if order.state is not OrderState.UNKNOWN or before is OrderState.UNKNOWN:
            return
        order.doubt, order.attempts, order.absent = doubt, 0, 0
        self._alert(change, "warning", f"nobody knows what became of the {doubt}: {why}")
        self._query(change, now)

    def _query(self, change: Change, now: int) -> None:
        order = change.order
        assert order is not None
        order.attempts += 1
        request = order.request
        change.emit.append(
            OrderQuery(
                request.order_id,
                request.client_id,
                request.account,
                request.symbol,
                order.attempts,
            )
        )
        if order.attempts == _LONG_DOUBT:
            self._alert(change, "critical", f"still unknown after {_LONG_DOUBT} queries")
        wait = self.settings.query_ms << min(order.attempts - 1, 20)
        self._deadline(change, now + min(wait, self.settings.longest_query_ms))

    def _absent(self, change: Change, data: OrderStatus, now: int) -> None:
        """Count "never heard of it" where it can be believed: twice, after the expiry."""
        order = change.order
        assert order is not None
        expires = order.request.expires_ms
        was_there = bool(order.venue_id or order.accepted_ms or order.filled)
        conclusive = expires > 0 and data.venue_ms > expires + self.settings.margin_ms
        if was_there:
            if order.state is OrderState.UNKNOWN and order.attempts == 1:
                self._alert(change, "critical", "the exchange denies an order that it had")
            return
        if not conclusive or data.venue_ms <= order.absent_ms:
            return
        order.absent += 1
        order.absent_ms = data.venue_ms
        if order.absent >= 2:
            self._end(change, Move.EXPIRE, now, "never reached the exchange")

    def _found(self, change: Change, data: OrderStatus, now: int) -> None:
        order = change.order
        assert order is not None
        doubt = order.doubt
        if order.state is OrderState.UNKNOWN and data.filled > order.filled:
            order.expected = data.filled
        late = data.venue_id in order.legs and data.venue_id != order.venue_id
        if late or data.venue_id in order.ended_legs:
            return  # an answer from before that leg was replaced or ended
        replaced = bool(order.venue_id and data.venue_id and data.venue_id != order.venue_id)
        if order.state is OrderState.UNKNOWN and not (replaced or self._settled(order, data)):
            return  # the modification may still be on its way: it is asked for again
        self._index.name(order, data.venue_id)
        if not order.accepted_ms:
            order.accepted_ms = now
        if order.state is OrderState.UNKNOWN and order.asked_size is not None:
            if data.size > ZERO:
                self._replaced(order, data.price, data.size)
            elif replaced:
                self._replaced(order, order.asked_price, order.asked_size)
            order.asked_price = order.asked_size = None
        elif order.state is OrderState.UNKNOWN and data.size > ZERO:
            self._adopt_terms(change, data)
        order.final = None
        self._move(change, opening(order), now)
        if doubt and order.cancel_reason and order.state is not OrderState.UNKNOWN:
            if order.cancel_asks < _CANCEL_ASKS:
                self._ask_cancel(change, now)
            else:
                self._alert(change, "critical", "the exchange does not cancel it")

    def _adopt_terms(self, change: Change, data: OrderStatus) -> None:
        """What rests at the exchange is what can fill, whatever was wanted last."""
        order = change.order
        assert order is not None
        if order.price is None or order.has(data.size, data.price):
            return
        self._replaced(order, data.price, data.size)
        text = f"the exchange has it as {data.size} at {data.price}"
        self._alert(change, "warning", text)

    def _settled(self, order: Order, data: OrderStatus) -> bool:
        """Whether a status tells what became of a modification that is under way, if one is."""
        if order.asked_size is None or order.asked_until_ms == 0:
            return True
        done = data.size == order.asked_size and data.price == order.asked_price
        return done or data.venue_ms > order.asked_until_ms + self.settings.margin_ms

    def _ended(self, change: Change, status: VenueStatus, data: OrderStatus, now: int) -> None:
        """It is over at the exchange; here it is when its fills are complete."""
        order = change.order
        assert order is not None
        self._index.name(order, data.venue_id)
        if status is VenueStatus.REJECTED and not order.filled and not data.filled:
            self._end(change, Move.REJECTED, now, data.status)
            return
        if status is VenueStatus.FILLED:
            self._full_at(order, data.filled)
            order.final, order.expected = OrderState.FILLED, order.full_size
            if order.filled >= order.expected:
                self._end(change, Move.FULL_FILL, now, "")
                return
        else:
            order.final, order.expected = OrderState.CANCELED, data.filled
            order.reason = data.status
            if order.filled >= order.expected:
                self._end(change, Move.CANCELED, now, data.status)
                return
        missing = order.expected - order.filled
        if order.attempts == 3:
            self._alert(change, "critical", f"fills of {missing} are missing; run reconcile")
        self._lose(change, now, order.doubt or "submit", f"fills of {missing} are missing")

    def _full_at(self, order: Order, filled: Decimal) -> None:
        """It is full at the size that the exchange has: ours, the one asked for, or an older one.

        A request to modify may arrive twice, or after a later one: the exchange knows the last.
        """
        if filled == order.size:
            order.asked_size = order.asked_price = None
        elif filled:
            asked = filled == order.asked_size
            self._replaced(order, order.asked_price if asked else order.price, filled)

    # ---- deadlines ---------------------------------------------------------------------------

    def _wait_for_answer(self, change: Change, now: int) -> None:
        if self.settings.ack_ms:
            self._deadline(change, now + self.settings.ack_ms)

    def _deadline(self, change: Change, due: int) -> None:
        order = change.order
        assert order is not None
        order.deadline_ms = due
        heappush(self._due, (due, order.order_id))
        self._arm(change)

    def _arm(self, change: Change) -> None:
        """Set one timer for the earliest deadline that still stands."""
        while self._due:
            due, order_id = self._due[0]
            order = self.get(order_id)
            if order is not None and order.deadline_ms == due:
                if not self._armed or due < self._armed:
                    self._armed = due
                    change.emit.append(TimerSet(f"{TIMER}{due}", due))
                return
            heappop(self._due)

    # ---- alerts ------------------------------------------------------------------------------

    def _alert(self, change: Change, level: str, text: str) -> None:
        order = change.order
        assert order is not None
        request = order.request
        where = f"{request.account} {request.symbol}"
        change.emit.append(alert(level, f"order {request.order_id}: {text}", where))

    def _stranger(self, client_id: str, what: str) -> Change:
        text = f"{what} for {client_id or 'an order without client id'}, which nobody here knows"
        return Change(emit=[alert("warning", text, "")])


def alert(level: str, title: str, text: str) -> AlertRaised:
    """Alert of the order manager."""
    return AlertRaised(level, "orders", title, text)


def sum_up(order: Order, fill: VenueFill, now: int) -> None:
    """Add a fill to the sums of its order."""
    order.fill_ids.append(fill.fill_id)
    order.filled = add(order.filled, fill.size)
    order.value = add(order.value, multiply(fill.size, fill.price))
    order.reference_value = add(order.reference_value, multiply(fill.size, fill.reference))
    order.fees = add(order.fees, fill.fee)
    if fill.maker:
        order.maker_filled = add(order.maker_filled, fill.size)
    if not order.first_fill_ms:
        order.first_fill_ms, order.first_price = now, fill.price
        order.venue_latency_ms = fill.latency_ms
    order.last_fill_ms, order.last_price = now, fill.price
