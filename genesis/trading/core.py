"""The trading core: a pure fold over the log: same events in, same state, emissions, rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal, getcontext, setcontext
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.risk.manager import GeneticRiskManager
from genesis.trading.decisions import Decisions
from genesis.trading.deployment import Deployment
from genesis.trading.desk import Desk
from genesis.trading.events import Event, EventType
from genesis.trading.fills import Fills, TradeRecorder
from genesis.trading.guard import RiskGuard
from genesis.trading.order_manager import TIMER, OrderSettings
from genesis.trading.origin_actions import OriginActions
from genesis.trading.payloads import (
    PAYLOADS,
    AccountSnapshot,
    AlertRaised,
    BarClosed,
    CandlesReady,
    DeploymentAdded,
    OpportunityRejected,
    OrderAccepted,
    OrderCanceled,
    OrderModified,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    RiskAssessed,
    SentimentUpdated,
    TimerFired,
    TimerSet,
)
from genesis.trading.planning import Planning
from genesis.trading.reconcile import Reconciler
from genesis.trading.safety import Safety
from genesis.trading.tables import Row
from genesis.trading.worker import SLICE, WATCH, ExecutionWorker

Handler = Callable[[Event], None]

_ARITHMETIC = Context(prec=28, rounding=ROUND_HALF_EVEN)
"""Of every Decimal in the fold: a replay in another process must round like the run."""


class TradingCore:
    """State of a trading run; moved by `handle` alone.

    Parameters
    ----------
    run : str
    risk : GeneticRiskManager
        Judges every order.
    orders : OrderSettings, optional
        Times and bounds of the order manager.
    recorders : sequence of TradeRecorder
        Told of each round trip; not part of the state.

    Attributes
    ----------
    desk : Desk
        What the parts share.
    """

    def __init__(
        self,
        run: str,
        risk: GeneticRiskManager,
        *,
        orders: OrderSettings | None = None,
        recorders: Sequence[TradeRecorder] = (),
    ) -> None:
        self.desk = Desk(run, orders)
        self._guard = RiskGuard(self.desk, risk)
        self._worker = ExecutionWorker(self.desk, self._guard)
        self._planning = Planning(self.desk, self._guard)
        self._decisions = Decisions(self.desk, self._worker)
        self._fills = Fills(self.desk, self._worker, self._planning, self._guard, tuple(recorders))
        self._safety = Safety(self.desk, self._worker, self._planning, self._guard)
        self._origins = OriginActions(self.desk, self._worker, self._planning, self._safety)
        self._reconciler = Reconciler()
        # By class: an enum's hash is a Python call.
        self._handlers = {PAYLOADS[kind]: call for kind, call in self._dispatch().items()}

    @property
    def guard(self) -> RiskGuard:
        """Risk as the loop sees it, to be looked at."""
        return self._guard

    # ---- the fold --------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Handle one numbered event.

        What follows from it is in `emitted`, `rows` and `acts` until the next call.
        """
        self.desk.begin(event)
        handler = self._handlers.get(type(event.data))
        if handler is None:
            return
        outside = getcontext()
        setcontext(_ARITHMETIC)  # whatever precision the caller's thread is set to
        try:
            handler(event)
        finally:
            setcontext(outside)

    @property
    def emitted(self) -> list[Event]:
        """Events that the last one led to, in order."""
        return self.desk.emitted

    @property
    def rows(self) -> list[Row]:
        """Rows of ledger and journal that the last event led to."""
        return self.desk.rows

    @property
    def acts(self) -> bool:
        """Whether the last event is a command that is to be carried out now."""
        return self.desk.acts

    def _dispatch(self) -> dict[EventType, Handler]:
        kind, decisions, fills, safety = EventType, self._decisions, self._fills, self._safety
        return {
            kind.MARKET_DATA_UPDATED: self._on_quote,
            kind.BAR_OPENED: decisions.on_bar_opened,
            kind.BAR_RANGE: fills.on_bar_range,
            kind.BAR_CLOSED: self._on_bar_closed,
            kind.CANDLE_STREAM_DATA_READY: self._on_candles,
            kind.SYMBOL_ENDED: safety.on_symbol_ended,
            kind.NEWS_RECEIVED: self._origins.on_news,
            kind.SCHEDULE_DUE: self._origins.on_schedule,
            kind.SENTIMENT_UPDATED: self._on_sentiment,
            kind.ORDER_ACCEPTED: self._on_reply,
            kind.ORDER_REJECTED: self._on_reply,
            kind.ORDER_CANCELED: self._on_reply,
            kind.ORDER_MODIFIED: self._on_reply,
            kind.ORDER_UNKNOWN: self._on_reply,
            kind.ORDER_STATUS: self._on_reply,
            kind.ORDER_FILLED: fills.on_filled,
            kind.FUNDING_PAID: fills.on_funding,
            kind.TRADE_CLOSED: safety.on_trade_closed,
            kind.ACCOUNT_SNAPSHOT: self._on_snapshot,
            kind.CONNECTION_CHANGED: safety.on_connection,
            kind.RUN_RESUMED: self._on_resumed,
            kind.DEPLOYMENT_ADDED: self._on_added,
            kind.DEPLOYMENT_STOPPED: safety.on_deployment_stopped,
            kind.OPERATOR_COMMAND: safety.on_command,
            kind.TIMER_FIRED: self._on_timer,
            kind.STAGE_STALLED: safety.on_stalled,
            kind.STAGE_RECOVERED: safety.on_recovered,
            kind.QUEUE_OVERFLOWED: safety.on_overflow,
            kind.SIGNAL_GENERATED: self._planning.on_signal,
            kind.RISK_ASSESSED: self._on_risk,
            kind.OPPORTUNITY_REJECTED: self._on_rejected,
            kind.TRADE_INTENT: self._worker.on_intent,
            kind.STOP_LOSS_TRIGGERED: safety.on_triggered,
            kind.TAKE_PROFIT_TRIGGERED: safety.on_triggered,
            kind.ORDER_SUBMIT: self._on_submit,
            kind.ORDER_CANCEL: self._on_command,
            kind.ORDER_MODIFY: self._on_command,
            kind.ORDER_QUERY: self._on_command,
            kind.TIMER_SET: self._on_command,
        }

    # ---- market ----------------------------------------------------------------------------

    def _on_quote(self, event: Event) -> None:
        self._decisions.on_quote(event)
        self._safety.on_quote(event)

    def _on_bar_closed(self, event: Event) -> None:
        assert isinstance(event.data, BarClosed)
        self._decisions.on_bar_closed(event)
        self._guard.book.on_bar(event.data, event.ts_ms)

    def _on_candles(self, event: Event) -> None:
        assert isinstance(event.data, CandlesReady)
        self._guard.roll_day(event.ts_ms)
        self._safety.look_at_risk(event)
        self._decisions.on_candles(event)

    def _on_sentiment(self, event: Event) -> None:
        assert isinstance(event.data, SentimentUpdated)
        self._guard.book.on_sentiment(event.data)

    # ---- deployments -----------------------------------------------------------------------

    def _on_added(self, event: Event) -> None:
        data = event.data
        assert isinstance(data, DeploymentAdded)
        if not data.capital > 0.0:
            text = f"{data.deployment}: its capital is {data.capital}, it must be positive"
            self.desk.emit(AlertRaised("critical", "deployment", "refused", text))
            return
        owner = self.desk.owners.get((data.account, data.symbol))
        if owner is not None or data.deployment in self.desk.deployments:
            held = owner.id if owner is not None else data.deployment
            text = f"{data.deployment} on {data.account} {data.symbol}: {held} is there already"
            self.desk.emit(AlertRaised("critical", "deployment", "refused", text))
            return
        deployment = Deployment(data)
        self.desk.add(deployment)
        self._decisions.enlist(deployment)
        self.desk.ledger.deposit(data.account, deployment.capital, event, self.desk.rows)
        self._guard.on_added(data, deployment.capital, event.ts_ms)

    # ---- replies and commands --------------------------------------------------------------

    def _on_reply(self, event: Event) -> None:
        orders, data = self.desk.orders, event.data
        if isinstance(data, OrderAccepted):
            change = orders.on_accepted(data, event)
        elif isinstance(data, OrderRejected):
            change = orders.on_rejected(data, event)
        elif isinstance(data, OrderCanceled):
            change = orders.on_canceled(data, event)
        elif isinstance(data, OrderModified):
            change = orders.on_modified(data, event)
        elif isinstance(data, OrderUnknown):
            change = orders.on_unknown(data, event)
        else:
            assert isinstance(data, OrderStatus)
            change = orders.on_status(data, event)
        self._fills.settle(event, change)

    def _on_submit(self, event: Event) -> None:
        data, desk = event.data, self.desk
        assert isinstance(data, OrderSubmit)
        why = "" if data.order.reduce_only else self._forbidden(data)
        if why:
            change = desk.orders.expire(data.order.order_id, event, why)
        else:
            change = desk.orders.submit(data, event)
        order = change.order
        if order is not None and change.send:
            desk.ledger.record_order(order, event, desk.rows)
            desk.journal.on_order(order, event, desk.rows)
            self._worker.announce(change)
        else:
            self._fills.settle(event, change)
        desk.acts = change.send

    def _forbidden(self, data: OrderSubmit) -> str:
        """Why an order that adds risk may not leave any more, though it was decided."""
        deployment = self.desk.deployments.get(data.deployment)
        return self.desk.halted(deployment) if deployment is not None else ""

    def _on_command(self, event: Event) -> None:
        if isinstance(event.data, TimerSet):
            self.desk.timers[event.data.timer] = event.data.due_ms
        self.desk.acts = True

    def _on_timer(self, event: Event) -> None:
        data = event.data
        assert isinstance(data, TimerFired)
        self.desk.timers.pop(data.timer, None)
        if data.timer.startswith(TIMER):
            for change in self.desk.orders.on_timer(data.timer, event):
                self._fills.settle(event, change)
        elif data.timer.startswith(SLICE):
            self._worker.on_slice_timer(data.timer)
        elif data.timer.startswith(WATCH):
            self._safety.on_stop_timer(event, data.timer)

    def _on_resumed(self, event: Event) -> None:
        """A new process: what was in flight is in doubt, and what was waiting is decided anew."""
        for change in self.desk.orders.on_resumed(event):
            self._fills.settle(event, change)

    def _on_snapshot(self, event: Event) -> None:
        data = event.data
        assert isinstance(data, AccountSnapshot)
        self._reconciler.on_snapshot(data, event, self.desk)

    # ---- causality -------------------------------------------------------------------------

    def _on_risk(self, event: Event) -> None:
        assert isinstance(event.data, RiskAssessed)
        self.desk.journal.on_risk(event.data)

    def _on_rejected(self, event: Event) -> None:
        data, desk = event.data, self.desk
        assert isinstance(data, OpportunityRejected)
        desk.journal.on_rejected_opportunity(data, event, desk.rows)

    # ---- state -----------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """The whole state, for snapshots and the state hash."""
        return {
            "desk": self.desk.plain(),
            "decisions": self._decisions.plain(),
            "risk": self._guard.book.plain(),
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`."""
        self.desk.restore(value["desk"])
        self._decisions.restore(value["decisions"])
        self._guard.book.restore(value["risk"])

    @property
    def state_hash(self) -> str:
        """SHA-256 over ledger, orders, positions, strategy and policy state.

        Numbers of events are left out: a run that was interrupted has events of its own in
        between, and comes to the same state nevertheless.
        """
        return content_hash(_without_numbers(self.plain()))

    def equity(self, account: str) -> Decimal:
        """Cash of an account and its positions at the last prices, quote units."""
        return self._guard.equity(account)


def _without_numbers(value: Any) -> Any:
    """A plain state without the places in the log that it refers to."""
    if isinstance(value, dict):
        return {k: _without_numbers(v) for k, v in value.items() if k != "seq"}
    if isinstance(value, list | tuple):
        return [_without_numbers(v) for v in value]
    return value
