"""OrderManager: what became of every order, from what exchanges said so far.

Pure and in memory: it is told of each request and reply in the order of the log, moves orders by
the table in `genesis.trading.orders`, and returns what is to be emitted. It never sends.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from heapq import heappop
from typing import Any

import msgspec

from genesis.risk.decision import Clearance
from genesis.trading.events import Event
from genesis.trading.gateway import OpenOrder, OrderRequest, Side, VenueFill
from genesis.trading.money import add, by_side, multiply
from genesis.trading.order_changes import (
    EXTERNAL,
    FORCED,
    TIMER,
    Change,
    Exposure,
    OrderSettings,
)
from genesis.trading.order_index import FillWindow, OrderIndex
from genesis.trading.order_moves import DOUBTS, OrderMoves, alert, sum_up
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
    reopening,
    venue_status,
)
from genesis.trading.payloads import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderModify,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
)

__all__ = ["EXTERNAL", "FORCED", "TIMER", "Change", "Exposure", "OrderManager", "OrderSettings"]

_UNHEARD = ("rate_limited", "unreachable", "expired", "address_budget")
"""Refusals of a cancel that say nothing of its order: it is asked for again, however often."""


class OrderManager(OrderMoves):
    """Keeper of order states.

    Parameters
    ----------
    settings : OrderSettings, optional
    """

    # ---- what one may ask --------------------------------------------------------------------

    def by_client(self, client_id: str) -> Order | None:
        """Order by its client id, while it is in memory."""
        return self._index.by_client(client_id)

    def by_venue(self, account: str, venue_id: str) -> Order | None:
        """Order by the exchange's id, while it is in memory."""
        return self._index.by_reply("", account, venue_id)

    def open_orders(self, account: str = "", symbol: str = "", deployment: str = "") -> list[Order]:
        """Live orders, of an account, symbol or deployment where one is named."""
        if account and symbol:
            orders = list(self._index.at(account, symbol))
        else:
            orders = [
                order
                for order in self._index.live()
                if account in ("", order.request.account) and symbol in ("", order.request.symbol)
            ]
        if deployment:
            orders = [order for order in orders if order.deployment == deployment]
        return orders

    def blocked(self, account: str, symbol: str) -> bool:
        """Whether new entries must wait there, because an order is UNKNOWN."""
        return self._index.in_doubt(account, symbol)

    def exposure(self, account: str, symbol: str) -> Exposure:
        """What the live orders of an account on a symbol may still buy and sell."""
        buy = sell = ZERO
        for order in self._index.at(account, symbol):
            request = order.request
            if request.reduce_only:
                continue
            if request.side is Side.BUY:
                buy = add(buy, order.remaining)
            else:
                sell = add(sell, order.remaining)
        return Exposure(buy, sell)

    def last_fill_ms(self, account: str) -> int:
        """Time of the latest fill booked for an account: since when to ask for more."""
        return self._fills.newest_ms(account)

    def booked(self, fill: VenueFill) -> bool:
        """Whether a fill was booked, or is so old that memory cannot tell it from one that was."""
        if self._fills.seen(fill.account, fill.fill_id):
            return True
        order = self._index.by_reply(fill.client_id, fill.account, fill.venue_id)
        if order is not None:
            return fill.fill_id in order.fill_ids
        return self._fills.too_old(fill.account, fill.ts_ms)

    # ---- requests ----------------------------------------------------------------------------

    def intend(self, data: OrderSubmit, event: Event, clearance: Clearance) -> Change:
        """Count an order from the moment it is decided on, before its command is handled.

        Parameters
        ----------
        data : OrderSubmit
        event : Event
        clearance : Clearance
            Of the risk manager, for this very order; it is used up.

        Raises
        ------
        RefusedError
            If the clearance is another order's, or was used before.
        """
        known, asked = self.get(data.order.order_id), data.order
        if known is not None:
            return Change(known, known.state)
        signed, only = by_side(asked.side, asked.size), asked.reduce_only
        clearance.spend(asked.account, asked.symbol, signed, asked.price, reduce_only=only)
        order = Order(
            request=data.order,
            deployment=data.deployment,
            plan_id=data.plan_id,
            purpose=data.purpose,
            size=data.order.size,
            price=data.order.price,
            reference=data.order.price if data.reference is None else data.reference,
            intent_id=data.intent_id,
            intent_ms=event.recorded_ms or event.ts_ms,
        )
        self._index.add(order)
        return Change(order, OrderState.INTENT, moved=True)

    def submit(self, data: OrderSubmit, event: Event) -> Change:
        """Handle the command to send an order; ``send`` says whether it may be sent, once."""
        order = self.get(data.order.order_id)
        if order is None:  # nobody judged it: it never leaves
            text = f"order {data.order.order_id} has passed no risk check; it is not sent"
            return Change(emit=[alert("critical", text, data.order.account)])
        change = Change(order, order.state)
        if order.state is not OrderState.INTENT:
            return change  # sent before, or called off before it was sent
        now = event.recorded_ms
        if data.order.expires_ms and now > data.order.expires_ms:
            order.reason = "expired before it was sent"
            self._move(change, Move.EXPIRE, now)
            return change
        if not data.order.reduce_only and self.blocked(data.order.account, data.order.symbol):
            # The doubt may be younger than the decision: this is the last moment to see it.
            order.reason = "an order on the symbol is UNKNOWN"
            self._move(change, Move.EXPIRE, now)
            return change
        self._move(change, Move.SENT, now)
        order.submitted_ms = now
        self._wait_for_answer(change, now)
        change.send = True
        return change

    def expire(self, order_id: str, event: Event, reason: str) -> Change:
        """Call off an order that was not sent yet."""
        order = self.get(order_id)
        change = Change(order, order.state if order else None)
        if order is not None and order.state is OrderState.INTENT:
            order.reason = reason
            self._move(change, Move.EXPIRE, event.recorded_ms)
        return change

    def request_cancel(self, order_id: str, reason: str, event: Event) -> Change:
        """Ask for the end of an order; one that was not sent yet never will be."""
        order = self.get(order_id)
        change = Change(order, order.state if order else None)
        if order is None or not order.live or order.state is OrderState.PENDING_CANCEL:
            return change
        if order.state is OrderState.INTENT:
            order.reason = reason
        else:
            order.cancel_reason = reason
        self._ask_cancel(change, event.recorded_ms)
        return change

    def request_modify(
        self,
        order_id: str,
        price: Decimal | None,
        size: Decimal,
        reason: str,
        event: Event,
        clearance: Clearance | None = None,
    ) -> Change:
        """Ask for another price and total size; only an order that rests can be asked.

        Parameters
        ----------
        order_id : str
        price : Decimal or None
        size : Decimal
        reason : str
        event : Event
        clearance : Clearance, optional
            Of the risk manager; without one an order that may add risk gets no larger.

        Raises
        ------
        RefusedError
            If the clearance is another order's, or was used before.
        """
        order = self.get(order_id)
        change = Change(order, order.state if order else None)
        if order is None or next_state(order.state, Move.ASK_MODIFY) is None:
            return change
        request = order.request
        if not request.reduce_only and size > order.size:
            if clearance is None:
                self._alert(
                    change, "critical", "more of it has passed no risk check: not asked for"
                )
                return change
            signed = by_side(request.side, size)
            clearance.spend(request.account, request.symbol, signed, price, reduce_only=False)
        if price == order.price and size == order.size:
            return change
        order.asked_price, order.asked_size = price, size
        self._move(change, Move.ASK_MODIFY, event.recorded_ms)
        self._wait_for_answer(change, event.recorded_ms)
        # The exchange is given as long to accept the change as it was for the order itself.
        lasts = request.expires_ms - order.intent_ms
        expires = event.recorded_ms + lasts if request.expires_ms else 0
        order.asked_until_ms = expires
        wanted = msgspec.structs.replace(request, price=price, size=size, expires_ms=expires)
        change.emit.append(OrderModify(order.deployment, reason, wanted))
        return change

    # ---- replies -----------------------------------------------------------------------------

    def on_accepted(self, data: OrderAccepted, event: Event) -> Change:
        """The exchange has the order."""
        order = self._index.by_client(data.client_id)
        if order is None:
            return self._stranger(data.client_id, "an acknowledgement")
        change = Change(order, order.state)
        contradicts = order.state in (OrderState.REJECTED, OrderState.EXPIRED)
        if not order.venue_id:
            self._index.name(order, data.venue_id)
        if not order.accepted_ms:
            order.accepted_ms = event.recorded_ms
        self._move(change, opening(order), event.recorded_ms)
        if contradicts:
            self._alert(change, "critical", f"accepted although it is {order.state.value}")
        return change

    def on_rejected(self, data: OrderRejected, event: Event) -> Change:
        """The exchange refused an order, a cancel or a modification."""
        order = self._index.by_client(data.client_id)
        if order is None:
            return self._stranger(data.client_id, "a refusal")
        change = Change(order, order.state)
        now = event.recorded_ms
        if data.what == "cancel":
            if data.reason in _UNHEARD:
                order.cancel_asks = max(order.cancel_asks - 1, 0)
            self._refused(change, Move.CANCEL_REFUSED, now)
        elif data.what == "modify":
            if order.venue_id in order.ended_legs:
                self._end(change, Move.CANCELED, now, data.reason)
            else:
                if order.state is OrderState.PENDING_CANCEL:
                    order.asked_price = order.asked_size = None
                self._refused(change, Move.MODIFY_REFUSED, now)
        else:
            self._end(change, Move.REJECTED, now, data.reason or data.text)
        return change

    def on_fill(self, data: OrderFilled, event: Event) -> Change:
        """Book a fill once, whatever the state of its order."""
        fill = data.fill
        order = self._index.by_reply(fill.client_id, fill.account, fill.venue_id)
        change = Change(order, order.state if order else None)
        known = order is not None and fill.fill_id in order.fill_ids
        if known or self._fills.seen(fill.account, fill.fill_id):
            return change
        if order is None and self._fills.too_old(fill.account, fill.ts_ms):
            text = f"fill {fill.fill_id} of {fill.account} is older than what is remembered"
            change.emit.append(alert("critical", f"{text}; run genesis reconcile", ""))
            return change
        self._fills.add(fill.account, fill.fill_id, fill.ts_ms)
        change.fill = fill
        change.moved = True
        if order is None:
            change.foreign = fill.cause not in FORCED
            return change
        sum_up(order, fill, event.recorded_ms)
        if not order.venue_id:
            self._index.name(order, fill.venue_id)
        self._after_fill(change, event.recorded_ms)
        return change

    def on_canceled(self, data: OrderCanceled, event: Event) -> Change:
        """The exchange ended an order, or the leg that a modification replaces."""
        order = self._index.by_client(data.client_id)
        if order is None:
            return self._stranger(data.client_id, "a cancellation")
        change = Change(order, order.state)
        leg = data.venue_id or order.venue_id
        other = bool(data.venue_id and order.venue_id and data.venue_id != order.venue_id)
        # While a modification has no answer, "canceled" may mean the leg that it replaces, also
        # when the end of the order was asked for since.
        replacing = order.asked_size is not None
        if leg and (other or replacing):
            if leg not in order.ended_legs:
                order.ended_legs.append(leg)
            return change
        self._end(change, Move.CANCELED, event.recorded_ms, data.reason)
        return change

    def on_modified(self, data: OrderModified, event: Event) -> Change:
        """The exchange replaced price and size of an order."""
        order = self._index.by_client(data.client_id)
        if order is None:
            return self._stranger(data.client_id, "a modification")
        change = Change(order, order.state)
        if not order.live:
            if data.venue_id not in (*order.legs, *order.ended_legs):
                self._alert(change, "critical", f"modified although it is {order.state.value}")
            return change
        same, now = data.venue_id == order.venue_id, event.recorded_ms
        late = data.venue_id in order.legs and not same
        stale = same and (order.asked_size != data.size or order.asked_price != data.price)
        if stale and order.asked_size is None and not order.has(data.size, data.price):
            # An older request may have arrived again, after the one that was confirmed.
            self._lose(change, now, "modify", f"it became {data.size} at {data.price} unasked")
            return change
        if stale or late:
            return change
        self._index.name(order, data.venue_id)
        self._replaced(order, data.price, data.size)
        if order.venue_id in order.ended_legs:
            self._end(change, Move.CANCELED, now, "canceled after a modification")
        elif order.filled >= order.size:
            self._move(change, Move.FULL_FILL, now)
        else:
            self._move(change, reopening(order), now)
        change.moved = True
        return change

    def on_unknown(self, data: OrderUnknown, event: Event) -> Change:
        """A request got no clear answer: the order is UNKNOWN until a query tells."""
        order = self._index.by_client(data.client_id)
        if order is None:
            return self._stranger(data.client_id, "a lost request")
        change = Change(order, order.state)
        what = data.what if data.what in ("cancel", "modify") else "submit"
        self._lose(change, event.recorded_ms, what, data.why)
        return change

    def on_status(self, data: OrderStatus, event: Event) -> Change:
        """Take in the answer to a query."""
        order = self._index.by_client(data.client_id)
        if order is None:
            return self._stranger(data.client_id, "a status")
        change = Change(order, order.state)
        if order.state in TERMINAL or order.state is OrderState.INTENT:
            return change
        status, now = venue_status(data.status), event.recorded_ms
        if status is VenueStatus.UNKNOWN:
            self._alert(change, "critical", f"the exchange says {data.status!r}: nobody knows it")
            self._lose(change, now, order.doubt or "submit", f"status {data.status!r}")
        elif status is VenueStatus.ABSENT:
            self._absent(change, data, now)
        elif status in (VenueStatus.OPEN, VenueStatus.TRIGGER_WAIT):
            self._found(change, data, now)
        else:
            self._ended(change, status, data, now)
        return change

    def on_timer(self, timer: str, event: Event) -> list[Change]:
        """A timer of this component fired: ask again about what is overdue."""
        changes: list[Change] = []
        if not timer.startswith(TIMER):
            return changes
        now, self._armed = event.recorded_ms, 0
        while self._due and self._due[0][0] <= now:
            due, order_id = heappop(self._due)
            order = self.get(order_id)
            if order is None or order.deadline_ms != due:
                continue  # answered meanwhile
            change = Change(order, order.state)
            if order.state is OrderState.UNKNOWN:
                self._query(change, now)
            elif order.state in IN_FLIGHT:
                self._lose(change, now, DOUBTS[order.state], "no answer in time")
            changes.append(change)
        again = Change()
        self._arm(again)
        return [*changes, again] if again.emit else changes

    def on_resumed(self, event: Event) -> list[Change]:
        """A new process goes on: what was in flight may or may not have been sent."""
        self._armed = 0
        changes = []
        for order in list(self._index.live()):
            if order.state in IN_FLIGHT:
                change = Change(order, order.state)
                self._lose(change, event.recorded_ms, DOUBTS[order.state], "process restarted")
                changes.append(change)
        again = Change()
        self._arm(again)
        return [*changes, again] if again.emit else changes

    # ---- reconciliation ----------------------------------------------------------------------

    def adopt(self, found: OpenOrder, order_id: str, event: Event) -> Change:
        """Take over an order that rests at the exchange: what it says of ours, a stranger's whole.

        Parameters
        ----------
        found : OpenOrder
        order_id : str
            Fresh id for an order that nobody here knows.
        event : Event
        """
        order = self._index.by_reply(found.client_id, found.account, found.venue_id)
        now = event.recorded_ms
        if order is not None and order.live:
            change = Change(order, order.state)
            told = OrderStatus(
                found.client_id, "open", found.venue_id, found.filled, now, found.size, found.price
            )
            self._found(change, told, now)
            self._replaced(order, found.price, found.size)
            change.moved = True
            return change
        again = _stranger_of(found, order_id, now)
        if order is not None:  # it was over here: what goes on there is kept under a new id
            again.deployment, again.plan_id = order.deployment, order.plan_id
        self._index.add(again)
        return Change(again, None, moved=True)

    def doubt(self, order_id: str, why: str, event: Event) -> Change:
        """Treat an order as UNKNOWN, as the exchange lists it otherwise or not; it is asked for."""
        order = self.get(order_id)
        change = Change(order, order.state if order else None)
        if order is not None and order.live and order.state is not OrderState.INTENT:
            self._lose(change, event.recorded_ms, DOUBTS.get(order.state, "submit"), why)
        return change

    # ---- snapshots ---------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """State as canonical JSON can hold it."""
        return {
            "orders": [msgspec.to_builtins(order) for order in self._orders()],
            "done": self._index.plain(),
            "fills": self._fills.plain(),
            "armed": self._armed,
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """Take over what `plain` wrote."""
        self._index = OrderIndex(self.settings.retained)
        self._fills = FillWindow(self.settings.window)
        orders = [msgspec.convert(row, Order) for row in plain["orders"]]
        self._index.restore(orders, plain["done"])
        self._fills.restore(plain["fills"])
        self._due = sorted((o.deadline_ms, o.order_id) for o in orders if o.deadline_ms)
        self._armed = plain["armed"]

    def _orders(self) -> Iterator[Order]:
        yield from self._index.orders.values()


def _stranger_of(found: OpenOrder, order_id: str, now: int) -> Order:
    request = OrderRequest(
        order_id=order_id,
        client_id=found.client_id,
        account=found.account,
        symbol=found.symbol,
        side=found.side,
        kind=found.kind,
        size=found.size,
        price=found.price,
        reduce_only=found.reduce_only,
    )
    order = Order(
        request=request,
        deployment=EXTERNAL,
        plan_id="",
        purpose=EXTERNAL,
        size=found.size,
        price=found.price,
        state=OrderState.PARTIAL if found.filled else OrderState.RESTING,
        venue_id=found.venue_id,
        legs=[found.venue_id] if found.venue_id else [],
        filled=found.filled,
        intent_ms=now,
        accepted_ms=now,
    )
    # What it filled before is not ours to average: its value is that of its own price.
    if found.price is not None:
        order.value = order.reference_value = multiply(found.filled, found.price)
    return order
