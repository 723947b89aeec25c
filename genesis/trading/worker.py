"""ExecutionWorker: turns directives into orders, and keeps protective orders where they belong."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from genesis.domain.ids import client_order_id
from genesis.risk.decision import RiskDecision
from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, OrderRequest, Side, Tif
from genesis.trading.guard import RiskGuard
from genesis.trading.money import by_side, exact
from genesis.trading.order_manager import Change
from genesis.trading.orders import Order, OrderState
from genesis.trading.payloads import (
    AlertRaised,
    EntryPlan,
    IntentExpired,
    OpportunityRejected,
    OrderSubmit,
    TimerSet,
    TradeIntent,
)
from genesis.trading.planners import CLOSE, NEW, round_size

SLICE = "slice:"
"""Beginning of the names of this component's timers."""

ENTRY, STOP, TARGET = "entry", "stop", "target"
ICEBERG = "iceberg"

STALE = "not filled by the next close"
"""Why a part of an iceberg is withdrawn: its price is as old as the decision."""

WATCH = "stop:"
"""Beginning of the names of timers after which a position must have its stop."""

MOST_ASKED = 3
"""Requests to move protective orders of a deployment before somebody is told."""


class ExecutionWorker:
    """Executes directives of scope NEW and CLOSE, and modifies what rests.

    Parameters
    ----------
    desk : Desk
    guard : RiskGuard
    """

    def __init__(self, desk: Desk, guard: RiskGuard) -> None:
        self._desk = desk
        self._guard = guard

    # ---- directives ------------------------------------------------------------------------

    def on_intent(self, event: Event) -> None:
        """Send the first order of a directive, unless it came too late or its reason is gone."""
        intent = event.data
        assert isinstance(intent, TradeIntent)
        deployment = self._desk.deployments[intent.deployment]
        late = event.recorded_ms - intent.expires_ms
        if late > 0:
            expired = IntentExpired(intent.intent_id, deployment.id, late)
            desk = self._desk
            desk.journal.on_intent_expired(expired, event, desk.rows, intent.causality)
            desk.emit(expired, deployment.id, event.correlation)
            if intent.scope == CLOSE:  # with it goes the entry that would have followed
                if not intent.causality.signal_ids:  # no next bar decides it again
                    text = f"{intent.reason} of {deployment.id} was {late} ms too late: not closed"
                    self.alarm("critical", "a close was not sent", text, deployment.id)
                deployment.closing = ""
                deployment.waiting = None
            return
        if intent.scope == NEW:
            self._enter(event, deployment, intent)
        elif intent.scope == CLOSE:
            self._leave(event, deployment, intent)

    def _enter(self, event: Event, deployment: Deployment, intent: TradeIntent) -> None:
        desk = self._desk
        why = desk.halted(deployment)
        if deployment.position != 0.0 or deployment.plan_id:
            why = "a position or an entry is there already"
        elif desk.orders.blocked(deployment.account, deployment.symbol):
            why = "an order on the symbol is UNKNOWN"
        if why:
            self.reject(deployment, intent, "execution", why)
            return
        assert intent.execution is not None
        assert intent.entry is not None
        deployment.plan_id = intent.causality.plan_id
        self._register(event, intent)
        self._begin(deployment, intent)

    def _leave(self, event: Event, deployment: Deployment, intent: TradeIntent) -> None:
        if deployment.position == 0.0:
            self.reject(deployment, intent, "execution", "the position is flat already")
            deployment.closing = ""
            return
        self._register(event, intent)
        self._begin(deployment, intent)

    def _register(self, event: Event, intent: TradeIntent) -> None:
        desk = self._desk
        desk.ledger.on_intent(intent, event, desk.rows)
        desk.journal.on_intent(intent, event, desk.rows)

    def _begin(self, deployment: Deployment, intent: TradeIntent) -> None:
        deployment.work = intent
        deployment.sliced = 0
        self._next_slice(deployment)

    def _next_slice(self, deployment: Deployment) -> None:
        """Send the next part of the directive under way."""
        intent = deployment.work
        if intent is None or intent.execution is None or intent.entry is None:
            return
        plan, place = intent.execution, deployment.sliced
        closing = intent.scope == CLOSE
        size = plan.slices[place]
        if closing:
            size = min(size, self._held(deployment))
        deployment.sliced += 1
        last = deployment.sliced == len(plan.slices)
        iceberg = plan.algorithm == ICEBERG
        if last:
            deployment.work = None
        elif not iceberg:
            due = self._desk.now_ms + plan.spacing_ms
            self._desk.emit(TimerSet(f"{SLICE}{deployment.id}:{deployment.sliced}", due))
        sent = self.send(
            deployment,
            purpose=ENTRY if not closing else intent.reason,
            side=intent.entry.side,
            kind=OrderKind.LIMIT if iceberg else OrderKind.MARKET,
            size=size,
            price=self._limit(deployment, intent.entry) if iceberg else None,
            reduce_only=closing,
            reference=intent.entry.reference,
            intent_id=intent.intent_id,
        )
        if not sent:
            deployment.work = None
            if closing:
                deployment.closing = ""
                deployment.waiting = None
            elif not self._entering(deployment) and deployment.position == 0.0:
                desk = self._desk
                desk.ledger.end_plan(deployment.plan_id, "void", desk.event, desk.rows)
                deployment.plan_id = ""

    def on_slice_timer(self, timer: str) -> None:
        """Send the next part of a TWAP that is still wanted."""
        name, _, place = timer.removeprefix(SLICE).rpartition(":")
        deployment = self._desk.deployments.get(name)
        if deployment and deployment.work is not None and deployment.sliced == int(place):
            self._next_slice(deployment)

    def on_slice_filled(self, deployment: Deployment) -> None:
        """Send the next part of an iceberg whose visible part is gone."""
        work = deployment.work
        if work is not None and work.execution and work.execution.algorithm == ICEBERG:
            self._next_slice(deployment)

    def call_off(self, deployment: Deployment) -> None:
        """Let no entry follow: neither one that waits, nor parts to come, nor one that rests."""
        deployment.waiting = None
        if deployment.work is not None and deployment.work.scope == NEW:
            deployment.work = None
        orders = self._desk.orders.open_orders(deployment.account, deployment.symbol)
        for order in orders:
            unsent = order.state is OrderState.INTENT
            mine = order.deployment == deployment.id and order.purpose == ENTRY
            if mine and (unsent or order.request.kind is OrderKind.LIMIT):
                self.cancel(order.order_id, "no entry is wanted any more")

    def give_way(self, deployment: Deployment) -> bool:
        """Whether the position may be closed at once; a close that takes its time is given up."""
        slow = deployment.work is not None and deployment.work.scope == CLOSE
        resting = self._resting(deployment, deployment.closing) if deployment.closing else []
        if deployment.closing and not slow and not resting:
            return False  # a market order is on its way
        deployment.work = None
        for order in resting:
            self.cancel(order.order_id, "closed at once instead")
        return True

    def slow(self, deployment: Deployment) -> bool:
        """Whether the position is being closed in parts or by an order that rests."""
        if deployment.work is not None and deployment.work.scope == CLOSE:
            return True
        return bool(deployment.closing and self._resting(deployment, deployment.closing))

    def withdraw(self, deployment: Deployment) -> None:
        """Call back what an iceberg still shows: at each close it is decided anew."""
        resting = self._resting(deployment, ENTRY)
        if deployment.closing:
            resting += self._resting(deployment, deployment.closing)
        if resting:
            deployment.work = None
        for order in resting:
            self.cancel(order.order_id, STALE)

    def _resting(self, deployment: Deployment, purpose: str) -> list[Order]:
        orders = self._desk.orders.open_orders(deployment.account, deployment.symbol, deployment.id)
        limit = OrderKind.LIMIT
        return [o for o in orders if o.purpose == purpose and o.request.kind is limit]

    def _held(self, deployment: Deployment) -> Decimal:
        """Size of the position to the last digit; the policy's own is a float."""
        return self._desk.ledger.position(deployment.account, deployment.symbol).copy_abs()

    @staticmethod
    def _limit(deployment: Deployment, entry: EntryPlan) -> Decimal:
        """Limit price on the tick grid that is no worse than the one the decision saw."""
        tick = exact(deployment.instrument.tick)
        if tick == 0:
            return entry.reference
        rounding = ROUND_FLOOR if entry.side is Side.BUY else ROUND_CEILING
        return (entry.reference / tick).to_integral_value(rounding) * tick

    def _entering(self, deployment: Deployment) -> bool:
        orders = self._desk.orders.open_orders(deployment.account, deployment.symbol)
        return any(order.purpose == ENTRY for order in orders)

    # ---- orders ----------------------------------------------------------------------------

    def send(
        self,
        deployment: Deployment,
        *,
        purpose: str,
        side: Side,
        kind: OrderKind,
        size: Decimal,
        price: Decimal | None,
        reduce_only: bool,
        reference: Decimal | None,
        intent_id: str = "",
    ) -> str:
        """Make an order and the command to send it.

        Returns
        -------
        str
            Its id, empty if risk refused it.
        """
        desk = self._desk
        decision = self._guard.judge(
            deployment,
            by_side(side, size),
            price,
            reduce_only=reduce_only,
            trigger=kind in (OrderKind.STOP, OrderKind.TARGET),
            scaled=True,
        )
        if decision.size != decision.asked:
            size = round_size(decision.size.copy_abs(), deployment.instrument)
        if decision.clearance is None or not size:
            self._refuse(deployment, decision)
            return ""
        if not reduce_only:
            self._guard.count(deployment.account)
        order_id = desk.new_id("ORD")
        request = OrderRequest(
            order_id=order_id,
            client_id=client_order_id(deployment.account, desk.run, order_id),
            account=deployment.account,
            symbol=deployment.symbol,
            side=side,
            kind=kind,
            size=size,
            price=price,
            reduce_only=reduce_only,
            tif=Tif.IOC if kind is OrderKind.MARKET else Tif.GTC,
            expires_ms=desk.now_ms + deployment.options.order_ttl_ms,
        )
        command = OrderSubmit(
            deployment=deployment.id,
            plan_id=deployment.plan_id,
            purpose=purpose,
            order=request,
            intent_id=intent_id,
            reference=reference,
        )
        self.apply(desk.orders.intend(command, desk.event, decision.clearance))
        desk.emit(command, order_id, deployment.plan_id)
        return order_id

    def _refuse(self, deployment: Deployment, decision: RiskDecision) -> None:
        risk_id = self._guard.assess(deployment, deployment.signal_id, decision)
        self._desk.emit(
            OpportunityRejected(
                deployment.id, deployment.signal_id, "risk", decision.text, risk_id
            ),
            deployment.id,
            deployment.plan_id or deployment.id,
        )

    def cancel(self, order_id: str, reason: str) -> None:
        """Ask for the end of an order, if it is not over."""
        desk = self._desk
        self.apply(desk.orders.request_cancel(order_id, reason, desk.event))

    def apply(self, change: Change) -> None:
        """Put on record what the order manager made of an event, and emit what it asks for."""
        order = change.order
        if order is not None and change.moved and order.submitted_ms:
            desk = self._desk
            desk.ledger.record_order(order, desk.event, desk.rows)
        self.announce(change)

    def announce(self, change: Change) -> None:
        """Emit what the order manager asks for."""
        order = change.order
        about, plan = (order.order_id, order.plan_id) if order is not None else ("", "")
        for payload in change.emit:
            self._desk.emit(payload, about, plan)

    # ---- protection ------------------------------------------------------------------------

    def protect(self, deployment: Deployment, *, again: bool = False) -> None:
        """Let the resting stop and target agree with the policy's levels and the position.

        Called after each fill that leaves a position, whenever the policy moves a level, and when
        an earlier request for a protective order was answered (``again``); it asks for what is
        missing only, and not without end for what is refused.
        """
        if not again:
            deployment.asked = 0
        if deployment.options.stops != "venue" or deployment.position == 0.0:
            return
        state = deployment.state
        deployment.stop_order = self._keep(
            deployment, deployment.stop_order, STOP, OrderKind.STOP, self._stop_level(deployment)
        )
        deployment.target_order = self._keep(
            deployment, deployment.target_order, TARGET, OrderKind.TARGET, state.target
        )

    @staticmethod
    def _stop_level(deployment: Deployment) -> float:
        """Level of the policy's stop, else that of the disaster stop; 0 where there is neither."""
        level, distance = deployment.state.stop, deployment.options.disaster_stop
        if (math.isfinite(level) and level > 0.0) or distance == 0.0:
            return level
        return deployment.entry * (1.0 - math.copysign(distance, deployment.position))

    def watch_stop(self, deployment: Deployment) -> None:
        """Look after a while whether the stop of a new position has reached the exchange."""
        within = deployment.options.stop_within_ms
        if within:
            name = f"{WATCH}{deployment.id}:{deployment.plan_id}"
            self._desk.emit(TimerSet(name, self._desk.now_ms + within))

    def unprotected(self, timer: str) -> Deployment | None:
        """Deployment whose position has no acknowledged stop at the end of its time."""
        name, _, plan = timer.removeprefix(WATCH).rpartition(":")
        deployment = self._desk.deployments.get(name)
        if deployment is None or deployment.position == 0.0 or deployment.plan_id != plan:
            return None
        order = self._desk.orders.get(deployment.stop_order) if deployment.stop_order else None
        return None if order is not None and order.live and order.accepted_ms else deployment

    def _keep(
        self, deployment: Deployment, order_id: str, purpose: str, kind: OrderKind, level: float
    ) -> str:
        desk = self._desk
        order = desk.orders.get(order_id) if order_id else None
        if not (math.isfinite(level) and level > 0.0):  # no price reaches a level below zero
            if order is not None and order.live:
                self.cancel(order_id, "no such level any more")
            return ""
        price, size = exact(level), self._held(deployment)
        if order is None or not order.live:
            side = Side.SELL if deployment.position > 0.0 else Side.BUY
            return self.send(
                deployment,
                purpose=purpose,
                side=side,
                kind=kind,
                size=size,
                price=price,
                reduce_only=True,
                reference=price,
            )
        if order.state in (OrderState.RESTING, OrderState.TRIGGER_WAIT, OrderState.PARTIAL):
            total = size + order.filled
            if order.price != price or order.size != total:
                deployment.asked += 1
                if deployment.asked > MOST_ASKED:
                    self._give_up(deployment, order)
                    return order_id
                self.apply(desk.orders.request_modify(order_id, price, total, "policy", desk.event))
        return order_id

    def _give_up(self, deployment: Deployment, order: Order) -> None:
        """A protective order cannot be moved: tell once, and try again when the policy moves it."""
        if deployment.asked == MOST_ASKED + 1:
            text = f"{order.order_id} stays at {order.price}: {order.reason or 'modify refused'}"
            self.alarm("critical", "a protective order cannot be modified", text, deployment.id)

    def release(self, deployment: Deployment) -> None:
        """Cancel everything that still works for a deployment that is flat now."""
        desk = self._desk
        deployment.work = None
        for order in desk.orders.open_orders(deployment.account, deployment.symbol):
            if order.deployment == deployment.id:
                self.cancel(order.order_id, "position closed")
        deployment.stop_order = deployment.target_order = ""

    # ---- refusals --------------------------------------------------------------------------

    def reject(self, deployment: Deployment, intent: TradeIntent, stage: str, reason: str) -> None:
        """Put on record that a directive leads to no order."""
        causes = intent.causality
        signal = causes.signal_ids[-1] if causes.signal_ids else ""
        self._desk.emit(
            OpportunityRejected(deployment.id, signal, stage, reason),
            deployment.id,
            causes.plan_id,
        )

    def alarm(self, level: str, title: str, text: str, about: str = "") -> None:
        """Raise an alert."""
        self._desk.emit(AlertRaised(level, "trading", title, text), about)
