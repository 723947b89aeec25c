"""What a fill leads to, in the order of the critical path, and what other replies lead to.

1. order processing: the order moves, the fill is booked, pnl is realised;
2. position registration: the policy learns of it, protective orders follow;
3. performance recording;
4. feedback submission: an event in the log, so that no outcome is lost with the process.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from genesis.strategy.exits import Excursion, exit_class
from genesis.strategy.policy import on_fill
from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.gateway import VenueFill
from genesis.trading.guard import RiskGuard
from genesis.trading.ledger import Booking
from genesis.trading.order_manager import EXTERNAL, FORCED, Change
from genesis.trading.orders import TERMINAL, Order, OrderState
from genesis.trading.payloads import (
    BarRange,
    FeedbackSubmitted,
    FundingPaid,
    OrderFilled,
    Origin,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    StopLossTriggered,
    TakeProfitTriggered,
    TradeClosed,
)
from genesis.trading.planning import Planning
from genesis.trading.worker import ENTRY, STALE, STOP, TARGET, ExecutionWorker

SCRATCH, BIG = Decimal("0.0005"), Decimal("0.01")
"""Net result over capital: below the first it is a scratch, from the second on it is big."""


class TradeRecorder(Protocol):
    """Keeps performance; called once a round trip, on the critical path."""

    def record(self, trade: TradeClosed, deployment: Deployment) -> None:
        """Take note of a trade."""
        ...


class Ended(NamedTuple):
    """Entry price, stop and target of a position before the fill that ended it."""

    entry: float
    stop: float
    target: float


class Fills:
    """Handles fills, funding and the answers that end or refuse orders.

    Parameters
    ----------
    desk : Desk
    worker : ExecutionWorker
    planning : Planning
    guard : RiskGuard
    recorders : sequence of TradeRecorder
    """

    def __init__(
        self,
        desk: Desk,
        worker: ExecutionWorker,
        planning: Planning,
        guard: RiskGuard,
        recorders: tuple[TradeRecorder, ...] = (),
    ) -> None:
        self._desk = desk
        self._worker = worker
        self._planning = planning
        self._guard = guard
        self._recorders = recorders

    # ---- fills -----------------------------------------------------------------------------

    def on_filled(self, event: Event) -> None:
        """Take a fill through the critical path; a repetition changes nothing."""
        data = event.data
        assert isinstance(data, OrderFilled)
        desk, fill = self._desk, data.fill
        change = desk.orders.on_fill(data, event)
        if change.fill is None:
            self._worker.announce(change)
            return
        deployment = desk.owners.get((fill.account, fill.symbol))
        booking = desk.ledger.book(
            change.order,
            fill,
            event,
            desk.ids,
            desk.rows,
            deployment=deployment.id if deployment else "",
        )
        desk.journal.on_fill(
            change.order,
            fill,
            booking.fill_id,
            event,
            desk.rows,
            deployment=deployment.id if deployment else "",
            plan_id=booking.plan_id,
        )
        self._worker.announce(change)
        if deployment is None or change.foreign:
            self._foreign(fill, deployment)
        if deployment is not None:
            self._register(event, deployment, fill, change.order, booking)
            order = change.order
            ended = order is not None and not order.live and change.before not in TERMINAL
            if order is not None and ended and order.state is not OrderState.FILLED:
                self._over(event, deployment, order)  # its last fill came after its end was told

    def _foreign(self, fill: VenueFill, deployment: Deployment | None) -> None:
        """A fill that nobody here ordered is booked, and its strategy pauses."""
        text = f"{fill.side} {fill.size} {fill.symbol} at {fill.price} on {fill.account}"
        self._worker.alarm("critical", "external fill", text, fill.symbol)
        if deployment is not None and not deployment.stopped:
            deployment.stopped = f"external fill {fill.fill_id}"

    def _register(
        self,
        event: Event,
        deployment: Deployment,
        fill: VenueFill,
        order: Order | None,
        booking: Booking,
    ) -> None:
        before, after = float(booking.before), float(booking.size)
        ended = Ended(deployment.entry, deployment.state.stop, deployment.state.target)
        deployment.state = on_fill(
            deployment.state,
            deployment.params,
            deployment.bar_of(fill.ts_ms),
            before,
            after,
            float(booking.entry),
        )
        deployment.position, deployment.entry = after, float(booking.entry)
        if after == 0.0:
            self._closed(event, deployment, fill, order, booking, ended)
            return
        if before == 0.0 or deployment.excursion is None:
            deployment.initial_stop = deployment.state.stop
            deployment.excursion = Excursion(after, float(fill.price))
            deployment.plan_id = booking.plan_id or deployment.plan_id
        else:
            deployment.excursion.fill(float(fill.price), deployment.entry)
        self._worker.protect(deployment)
        if before == 0.0:
            self._worker.watch_stop(deployment)
        kind = PositionOpened if before == 0.0 else PositionUpdated
        self._desk.emit(
            kind(
                deployment.id,
                deployment.plan_id,
                booking.size,
                booking.entry,
                deployment.state.stop,
                deployment.state.target,
            ),
            deployment.id,
            deployment.plan_id,
        )
        if order is None or order.state is not OrderState.FILLED:
            return
        if order.purpose == ENTRY:
            self._worker.on_slice_filled(deployment)
        elif deployment.closing and order.purpose == deployment.closing:
            self._close_rest(event, deployment)

    def _close_rest(self, event: Event, deployment: Deployment) -> None:
        """Close what is left although the close was filled: it was made before all was known.

        An entry's fill that came late, or a trade of somebody else, was not in its size.
        """
        if deployment.work is not None:
            self._worker.on_slice_filled(deployment)
        elif not self._working(deployment, deployment.closing):
            origin = Origin("tick", self._desk.new_id("TCK"), event.seq)
            self._planning.leave(event, deployment, deployment.closing, origin)

    def _closed(
        self,
        event: Event,
        deployment: Deployment,
        fill: VenueFill,
        order: Order | None,
        booking: Booking,
        ended: Ended,
    ) -> None:
        desk, plan = self._desk, deployment.plan_id
        reason = order.purpose if order is not None else EXTERNAL
        if fill.cause in FORCED:
            reason = fill.cause
        price = float(fill.price)
        why = exit_class(
            reason,
            float(booking.before),
            ended.entry,
            ended.stop,
            deployment.initial_stop,
            deployment.instrument.tick,
        )
        if order is not None and order.order_id == deployment.stop_order:
            payload = StopLossTriggered(deployment.id, ended.stop, price, "venue")
            desk.emit(payload, deployment.id, plan)
        elif order is not None and order.order_id == deployment.target_order:
            target = TakeProfitTriggered(deployment.id, ended.target, price, "venue")
            desk.emit(target, deployment.id, plan)
        desk.emit(PositionClosed(deployment.id, plan, reason, why), deployment.id, plan)
        if booking.closed is not None:
            excursion = deployment.excursion
            mfe, mae = excursion.close(price) if excursion else (0.0, 0.0)
            trade = desk.ledger.settle(
                booking.closed,
                event,
                desk.ids,
                desk.rows,
                reason=reason,
                exit_class=why,
                mfe=mfe,
                mae=mae,
            )
            desk.emit(trade, deployment.id, plan)
            for recorder in self._recorders:
                recorder.record(trade, deployment)
            self._feed_back(deployment, trade)
        deployment.plan_id = deployment.closing = ""
        deployment.excursion = None
        self._worker.release(deployment)
        if fill.cause != "order":
            self._force(deployment, fill)
        by_order = order is not None and reason not in (STOP, TARGET)
        void = "" if by_order and not deployment.stopped else f"closed by {reason} before"
        self._planning.release(event, deployment, void=void)

    def _force(self, deployment: Deployment, fill: VenueFill) -> None:
        """The exchange closed the position itself: the deployment is over."""
        deployment.stopped = deployment.stopped or fill.cause
        if fill.cause == "liquidation":
            text = f"{fill.size} {fill.symbol} at {fill.price} on {fill.account}"
            self._worker.alarm("critical", "liquidation", text, deployment.id)

    def _feed_back(self, deployment: Deployment, trade: TradeClosed) -> None:
        net = trade.pnl - trade.fees - trade.funding
        self._guard.on_result(deployment.account, net)
        if deployment.results is not None:
            deployment.results.take(float(net / (trade.size * trade.entry)))
        share = net / deployment.capital
        size = "scratch" if abs(share) < SCRATCH else "big" if abs(share) >= BIG else "small"
        outcome = size if size == "scratch" else f"{size} {'win' if net > 0 else 'loss'}"
        self._desk.emit(
            FeedbackSubmitted(
                deployment.strategy_id, deployment.id, trade.plan_id, outcome, net, float(share)
            ),
            deployment.id,
            trade.plan_id,
        )

    # ---- other replies ---------------------------------------------------------------------

    def settle(self, event: Event, change: Change) -> None:
        """Take in what a reply did to an order, and what has to follow from it."""
        self._worker.apply(change)
        order = change.order
        if order is None or not change.moved:
            return
        deployment = self._desk.deployments.get(order.deployment)
        if deployment is None:
            return
        if order.live:
            if order.order_id in (deployment.stop_order, deployment.target_order):
                self._worker.protect(deployment, again=True)
            return
        if order.state is not OrderState.FILLED:
            self._over(event, deployment, order)

    def _over(self, event: Event, deployment: Deployment, order: Order) -> None:
        """An order ended without being filled completely."""
        desk = self._desk
        desk.journal.on_order_over(order, event, desk.rows)
        if order.purpose == ENTRY:
            if deployment.position == 0.0 and not self._working(deployment, ENTRY):
                desk.ledger.end_plan(order.plan_id, "void", event, desk.rows)
                if deployment.plan_id == order.plan_id:
                    deployment.plan_id = ""
                    deployment.work = None
            return
        if deployment.position == 0.0:
            return
        if order.order_id == deployment.stop_order:
            deployment.stop_order = ""
            if order.cancel_reason:
                return
            why = f"the stop was {order.state.value}: {order.reason}"
            self._worker.alarm("critical", "position without a stop", why, deployment.id)
            if not deployment.closing:
                origin = Origin("operator", desk.new_id("OPR"), event.seq)
                self._planning.leave(event, deployment, "unprotected", origin)
        elif order.order_id == deployment.target_order:
            deployment.target_order = ""
        elif order.purpose == deployment.closing and order.cancel_reason == STALE:
            origin = Origin("tick", desk.new_id("TCK"), event.seq)
            self._planning.leave(event, deployment, deployment.closing, origin)
        elif order.purpose == deployment.closing:
            deployment.closing = ""  # decided again at the next bar
            deployment.waiting = deployment.work = None

    def _working(self, deployment: Deployment, purpose: str) -> bool:
        orders = self._desk.orders.open_orders(deployment.account, deployment.symbol)
        return any(o.purpose == purpose and o.deployment == deployment.id for o in orders)

    # ---- money and marks -------------------------------------------------------------------

    def on_funding(self, event: Event) -> None:
        """Book funding."""
        data = event.data
        assert isinstance(data, FundingPaid)
        self._desk.ledger.fund(data, event, self._desk.rows)

    def on_bar_range(self, event: Event) -> None:
        """Follow the excursions of the positions on a symbol."""
        data = event.data
        assert isinstance(data, BarRange)
        for deployment in self._desk.by_symbol.get(data.symbol, ()):
            if deployment.excursion is not None:
                deployment.excursion.update(data.high, data.low)
