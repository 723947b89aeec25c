"""A strategy's orders and fills as the chained log of a run has them.

States and sums are folded from the events alone: the tables beside them can be edited without a
trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from genesis.costs.execution import signed_slippage
from genesis.trading.desk import WARM_UP
from genesis.trading.events import Event, EventType
from genesis.trading.gateway import Side, VenueFill
from genesis.trading.ledger_tables import money
from genesis.trading.payloads import (
    AlertRaised,
    BreakerTripped,
    DeploymentAdded,
    FundingPaid,
    OpportunityRejected,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    PositionClosed,
    PositionOpened,
    RiskAssessed,
    RunFinished,
    RunStarted,
    SignalGenerated,
    TradeClosed,
    TradeIntent,
    TradingHalted,
)

TYPES: Final = (
    EventType.RUN_STARTED,
    EventType.RUN_FINISHED,
    EventType.DEPLOYMENT_ADDED,
    EventType.SIGNAL_GENERATED,
    EventType.RISK_ASSESSED,
    EventType.OPPORTUNITY_REJECTED,
    EventType.TRADE_INTENT,
    EventType.ORDER_SUBMIT,
    EventType.ORDER_ACCEPTED,
    EventType.ORDER_REJECTED,
    EventType.ORDER_FILLED,
    EventType.ORDER_CANCELED,
    EventType.ORDER_MODIFIED,
    EventType.ORDER_UNKNOWN,
    EventType.ORDER_STATUS,
    EventType.FUNDING_PAID,
    EventType.POSITION_OPENED,
    EventType.POSITION_CLOSED,
    EventType.TRADE_CLOSED,
    EventType.TRADING_HALTED,
    EventType.BREAKER_TRIPPED,
    EventType.ALERT_RAISED,
)
"""Events that the fold reads."""

SENT, OPEN, UNKNOWN, FILLED, CANCELED, REJECTED = (
    "sent", "open", "unknown", "filled", "canceled", "rejected",
)  # fmt: skip
_TOLD: Final = {
    "open": OPEN, "trigger_wait": OPEN, "canceled": CANCELED, "rejected": REJECTED,
    "absent": REJECTED, "unknown": UNKNOWN,
}  # fmt: skip
"""State by what an exchange answers to a question; what it filled comes as fills."""


@dataclass(slots=True)
class OrderFacts:
    """An order: what was asked, and what came of it."""

    sent: OrderSubmit
    seq: int
    sent_ms: int
    size: Decimal
    price: Decimal | None
    state: str = SENT
    why: str = ""
    accepted_ms: int | None = None
    filled: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)

    def to_plain(self) -> dict[str, Any]:
        """JSON form; money as text, exact."""
        order = self.sent.order
        average = self.value / self.filled if self.filled else None
        return {
            "order_id": order.order_id,
            "plan_id": self.sent.plan_id,
            "purpose": self.sent.purpose,
            "symbol": order.symbol,
            "side": order.side.value,
            "kind": order.kind.value,
            "size": money(self.size),
            "price": money(self.price),
            "reduce_only": order.reduce_only,
            "state": self.state,
            "why": self.why,
            "filled": money(self.filled),
            "average": None if average is None else float(average),
            "fees": money(self.fees),
            "slippage_bp": slippage_bp(order.side, self.sent.reference, average),
            "sent_ms": self.sent_ms,
            "seq": self.seq,
        }


@dataclass(slots=True)
class FillFacts:
    """A fill, counted once however often it was told."""

    fill: VenueFill
    seq: int
    order: OrderFacts | None
    deployment: str
    fill_id: str = ""


@dataclass(slots=True)
class PositionFacts:
    """A position and when a stop for it rested at the exchange; run's clock, milliseconds."""

    plan: str
    deployment: str
    seq: int
    opened_ms: int
    stop_ms: int | None = None
    closed_ms: int | None = None


@dataclass(slots=True)
class TradedLog:
    """What a log says of one strategy; made by `fold_log`.

    Attributes
    ----------
    started : RunStarted or None
    added : list of DeploymentAdded
        Of the strategy.
    others : set of str
        Other strategies of the run.
    orders : dict of str to OrderFacts
        By client id.
    fills : list of FillFacts
    intents : dict of str to TradeIntent
        By their id, and the first of each plan by the plan's.
    signals : dict of str to int
        Number of the event of each.
    risks : list of (seq, RiskAssessed)
    passed_up : Counter of (stage, reason)
        Opportunities that led to no order.
    positions : dict of str to PositionFacts
        By plan, the latest of each.
    trades : list of TradeClosed
    funding : Decimal
        Paid, on its account and symbols.
    halts, breakers, alerts : list of (seq, ts_ms, payload)
        Of the run; breakers of its accounts.
    finished : str
        Why no further input came; empty where it may go on.
    first_ms, last_ms : int
        Instants of its first and last event that was looked at.
    """

    started: RunStarted | None = None
    added: list[DeploymentAdded] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    orders: dict[str, OrderFacts] = field(default_factory=dict)
    fills: list[FillFacts] = field(default_factory=list)
    intents: dict[str, TradeIntent] = field(default_factory=dict)
    signals: dict[str, int] = field(default_factory=dict)
    risks: list[tuple[int, RiskAssessed]] = field(default_factory=list)
    passed_up: Counter[tuple[str, str]] = field(default_factory=Counter)
    positions: dict[str, PositionFacts] = field(default_factory=dict)
    trades: list[TradeClosed] = field(default_factory=list)
    funding: Decimal = Decimal(0)
    halts: list[tuple[int, int, TradingHalted]] = field(default_factory=list)
    breakers: list[tuple[int, int, BreakerTripped]] = field(default_factory=list)
    alerts: list[tuple[int, int, AlertRaised]] = field(default_factory=list)
    finished: str = ""
    first_ms: int = 0
    last_ms: int = 0

    @property
    def accounts(self) -> set[str]:
        """Accounts that it trades."""
        return {one.account for one in self.added}

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """Accounts with their symbols."""
        return {(one.account, one.symbol) for one in self.added}


def fold_log(events: Iterable[Event], strategy: str) -> TradedLog:
    """What events, in order, say of one strategy.

    Parameters
    ----------
    events : iterable of Event
        Of `TYPES`.
    strategy : str
        Id.
    """
    fold = _Fold(strategy)
    for event in events:
        fold.take(event)
    return fold.log


class _Fold:
    def __init__(self, strategy: str) -> None:
        self.log = TradedLog()
        self._strategy = strategy
        self._names: dict[str, DeploymentAdded] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._known: set[tuple[str, str]] = set()
        self._filled_ms: dict[int, int] = {}

    def take(self, event: Event) -> None:
        log, data = self.log, event.data
        log.first_ms = log.first_ms or event.ts_ms
        log.last_ms = max(log.last_ms, event.ts_ms)
        match data:
            case RunStarted():
                log.started = log.started or data
            case RunFinished():
                log.finished = data.reason
            case DeploymentAdded():
                self._add(data)
            case OrderSubmit() if data.deployment in self._names:
                order = data.order
                facts = OrderFacts(data, event.seq, event.ts_ms, order.size, order.price)
                log.orders[order.client_id] = facts
            case OrderFilled():
                self._fill(event, data.fill)
            case FundingPaid() if (data.account, data.symbol) in self._owners:
                log.funding += data.amount
            case TradingHalted() if data.scope != f"stage:{WARM_UP}":  # every start
                log.halts.append((event.seq, event.ts_ms, data))
            case AlertRaised():
                log.alerts.append((event.seq, event.ts_ms, data))
            case BreakerTripped() if data.account in log.accounts:
                log.breakers.append((event.seq, event.ts_ms, data))
            case PositionOpened() | PositionClosed() if data.deployment in self._names:
                self._position(event)
            case _:
                self._answered(event)
                self._decided(event)

    def _add(self, data: DeploymentAdded) -> None:
        if data.strategy_id != self._strategy:
            self.log.others.add(data.strategy_id)
            return
        self.log.added.append(data)
        self._names[data.deployment] = data
        self._owners[data.account, data.symbol] = data.deployment

    def _decided(self, event: Event) -> None:
        log, data = self.log, event.data
        if getattr(data, "deployment", "") not in self._names:
            return
        match data:
            case SignalGenerated():
                log.signals[data.signal_id] = event.seq
            case RiskAssessed():
                log.risks.append((event.seq, data))
            case OpportunityRejected():
                log.passed_up[data.stage, data.reason] += 1
            case TradeIntent():
                log.intents[data.intent_id] = data
                log.intents.setdefault(data.causality.plan_id, data)
            case TradeClosed():
                log.trades.append(data)

    def _answered(self, event: Event) -> None:
        data: Any = event.data
        order = self.log.orders.get(getattr(data, "client_id", ""))
        if order is None:
            return
        match data:
            case OrderAccepted():
                self._accepted(order, event)
            case OrderRejected(what="submit"):
                order.state, order.why = REJECTED, f"{data.reason} {data.text}".strip()
            case OrderCanceled() if order.state != FILLED:
                order.state, order.why = CANCELED, data.reason
            case OrderModified():
                order.size, order.price = data.size, data.price
            case OrderUnknown(what="submit") if order.state == SENT:
                order.state, order.why = UNKNOWN, data.why
            case OrderStatus() if order.state in (SENT, UNKNOWN, OPEN):
                told = _TOLD.get(data.status, order.state)
                if told == OPEN:
                    self._accepted(order, event)
                else:
                    order.state = told

    def _accepted(self, order: OrderFacts, event: Event) -> None:
        if order.state in (SENT, UNKNOWN):
            order.state, order.why = OPEN, ""
        if order.accepted_ms is None:
            order.accepted_ms = event.recorded_ms
        position = self.log.positions.get(order.sent.plan_id)
        if order.sent.purpose == "stop" and position is not None and position.stop_ms is None:
            position.stop_ms = event.recorded_ms

    def _fill(self, event: Event, fill: VenueFill) -> None:
        pair, name = (fill.account, fill.symbol), (fill.account, fill.fill_id)
        if pair not in self._owners or name in self._known:
            return  # a fill that is told again is no other fill
        self._known.add(name)
        self._filled_ms[event.seq] = event.recorded_ms
        order = self.log.orders.get(fill.client_id)
        self.log.fills.append(FillFacts(fill, event.seq, order, self._owners[pair]))
        if order is not None:
            order.filled += fill.size
            order.value += fill.size * fill.price
            order.fees += fill.fee
            if order.filled >= order.size:
                order.state, order.why = FILLED, ""

    def _position(self, event: Event) -> None:
        data = event.data
        if isinstance(data, PositionOpened):
            began = self._filled_ms.get(event.caused_by, event.recorded_ms)
            self.log.positions[data.plan_id] = PositionFacts(
                data.plan_id, data.deployment, event.seq, began
            )
        elif isinstance(data, PositionClosed) and data.plan_id in self.log.positions:
            self.log.positions[data.plan_id].closed_ms = event.recorded_ms


def slippage_bp(side: Side, reference: Decimal | None, price: Decimal | None) -> float | None:
    """Slippage in basis points, positive where it cost money; None without a reference."""
    if not reference or price is None:
        return None
    sign = 1.0 if side is Side.BUY else -1.0
    return 1e4 * signed_slippage(sign, float(reference), float(price))
