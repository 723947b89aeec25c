"""What events say: one frozen struct a type. Money is Decimal, market data is float."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from genesis.trading.events import EventType, Payload
from genesis.trading.gateway import AccountState, OrderRequest, Side, VenueFill

# ---- market data ---------------------------------------------------------------------------


class Quote(Payload, frozen=True):
    """Prices since the last quote, conflated while they wait: stops see the extremes."""

    type: ClassVar[EventType] = EventType.MARKET_DATA_UPDATED
    symbol: str
    last: float
    low: float
    high: float
    count: int = 1


class BarOpened(Payload, frozen=True):
    """A bar began; its open is the price that waiting market orders meet."""

    type: ClassVar[EventType] = EventType.BAR_OPENED
    symbol: str
    interval_ms: int
    open_ms: int
    open: float


class FundingDue(Payload, frozen=True):
    """Funding of a settled period, a fraction of notional; positive where longs pay."""

    type: ClassVar[EventType] = EventType.FUNDING_DUE
    symbol: str
    rate: float
    mark: float | None = None


class BarRange(Payload, frozen=True):
    """High and low of a bar, the open included."""

    type: ClassVar[EventType] = EventType.BAR_RANGE
    symbol: str
    open_ms: int
    high: float
    low: float


class BarClosed(Payload, frozen=True):
    """A bar is final, with what is known of funding (per 8 hours) and sentiment at its close."""

    type: ClassVar[EventType] = EventType.BAR_CLOSED
    symbol: str
    interval_ms: int
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    funding: float = float("nan")
    sentiment: float = float("nan")


class BarCorrected(Payload, frozen=True):
    """The source changed a final bar; recorded, and decisions stay as they were."""

    type: ClassVar[EventType] = EventType.BAR_CORRECTED
    symbol: str
    open_ms: int
    field: str
    before: float
    after: float


class BarsMissing(Payload, frozen=True):
    """A symbol's bars jumped over some of the grid; they count as unknown."""

    type: ClassVar[EventType] = EventType.BARS_MISSING
    symbol: str
    interval_ms: int
    first_ms: int
    bars: int


class CandlesReady(Payload, frozen=True):
    """Every bar of this open time that will come has come: strategies may decide."""

    type: ClassVar[EventType] = EventType.CANDLE_STREAM_DATA_READY
    interval_ms: int
    open_ms: int
    symbols: tuple[str, ...]


class SymbolEnded(Payload, frozen=True):
    """The symbol has no further bar; positions are settled at its last close."""

    type: ClassVar[EventType] = EventType.SYMBOL_ENDED
    symbol: str
    close: float


class NewsReceived(Payload, frozen=True):
    """A news item; ``symbols`` empty means all."""

    type: ClassVar[EventType] = EventType.NEWS_RECEIVED
    news_id: str
    headline: str
    symbols: tuple[str, ...] = ()
    action: str = ""


class ScheduleDue(Payload, frozen=True):
    """A scheduled instant was reached."""

    type: ClassVar[EventType] = EventType.SCHEDULE_DUE
    schedule_id: str
    name: str
    symbols: tuple[str, ...] = ()
    action: str = ""


class InputQuarantined(Payload, frozen=True):
    """Input that was malformed or impossible: kept as text, acted on by nobody."""

    type: ClassVar[EventType] = EventType.INPUT_QUARANTINED
    source: str
    why: str
    content: str


# ---- replies of an exchange ----------------------------------------------------------------


class OrderAccepted(Payload, frozen=True):
    """The exchange has the order."""

    type: ClassVar[EventType] = EventType.ORDER_ACCEPTED
    client_id: str
    venue_id: str


class OrderRejected(Payload, frozen=True):
    """The exchange refused an order, a cancel or a modify."""

    type: ClassVar[EventType] = EventType.ORDER_REJECTED
    client_id: str
    what: str
    reason: str
    text: str = ""


class OrderFilled(Payload, frozen=True):
    """A fill, of an order or forced by the exchange."""

    type: ClassVar[EventType] = EventType.ORDER_FILLED
    fill: VenueFill


class OrderCanceled(Payload, frozen=True):
    """The exchange ended an order; what was filled before stays filled.

    ``venue_id`` says which leg ended where a modification replaced one by another.
    """

    type: ClassVar[EventType] = EventType.ORDER_CANCELED
    client_id: str
    reason: str
    venue_id: str = ""


class OrderModified(Payload, frozen=True):
    """The exchange replaced an order; it may have a new venue id."""

    type: ClassVar[EventType] = EventType.ORDER_MODIFIED
    client_id: str
    venue_id: str
    price: Decimal | None
    size: Decimal


class OrderUnknown(Payload, frozen=True):
    """Nobody knows whether the exchange has the request."""

    type: ClassVar[EventType] = EventType.ORDER_UNKNOWN
    client_id: str
    what: str
    why: str


class OrderStatus(Payload, frozen=True):
    """Answer to a query; ``status`` in the words of `genesis.trading.orders.VenueStatus`.

    ``size`` (zero where it is not told) and ``price`` are those of an open order now.
    """

    type: ClassVar[EventType] = EventType.ORDER_STATUS
    client_id: str
    status: str
    venue_id: str = ""
    filled: Decimal = Decimal(0)
    venue_ms: int = 0
    size: Decimal = Decimal(0)
    price: Decimal | None = None


class FundingPaid(Payload, frozen=True):
    """Funding booked by the exchange; positive amount is paid, negative received."""

    type: ClassVar[EventType] = EventType.FUNDING_PAID
    account: str
    symbol: str
    amount: Decimal
    rate: float
    position: Decimal
    mark: float


class AccountSnapshot(Payload, frozen=True):
    """What the exchange says about an account, for reconciliation.

    ``adopt``: take over what differs, as a person confirmed.
    """

    type: ClassVar[EventType] = EventType.ACCOUNT_SNAPSHOT
    state: AccountState
    adopt: bool = False


class ConnectionChanged(Payload, frozen=True):
    """A feed or gateway was lost or came back."""

    type: ClassVar[EventType] = EventType.CONNECTION_CHANGED
    source: str
    connected: bool
    why: str = ""


# ---- the run, its operator and its clock ---------------------------------------------------


class RunStarted(Payload, frozen=True):
    """First event of a run: everything besides the inputs that its course depends on."""

    type: ClassVar[EventType] = EventType.RUN_STARTED
    run: str
    build: str
    mode: str
    settings: Mapping[str, Any]


class RunResumed(Payload, frozen=True):
    """A new process goes on with the run."""

    type: ClassVar[EventType] = EventType.RUN_RESUMED
    build: str


class RunFinished(Payload, frozen=True):
    """No further input will come."""

    type: ClassVar[EventType] = EventType.RUN_FINISHED
    reason: str


class DeploymentAdded(Payload, frozen=True):
    """A strategy begins to trade a symbol on an account. It owns that pair.

    ``strategy`` is the plain form of `genesis.strategy.text.strategy_to_plain`; ``instrument`` the
    fields of an `Instrument`; ``history`` bars before its first decision come from the feed.
    """

    type: ClassVar[EventType] = EventType.DEPLOYMENT_ADDED
    deployment: str
    strategy_id: str
    strategy: Mapping[str, Any]
    account: str
    symbol: str
    instrument: Mapping[str, Any]
    capital: float
    interval_ms: int
    anchor_ms: int
    options: Mapping[str, Any]


class DeploymentStopped(Payload, frozen=True):
    """A deployment takes no further decision; ``flatten`` closes what it holds."""

    type: ClassVar[EventType] = EventType.DEPLOYMENT_STOPPED
    deployment: str
    reason: str
    flatten: bool = False


class OperatorCommand(Payload, frozen=True):
    """A person's command: halt, resume, flatten, reconcile, quarantine and so on."""

    type: ClassVar[EventType] = EventType.OPERATOR_COMMAND
    command_id: str
    command: str
    reason: str
    who: str
    arguments: Mapping[str, Any] = msgspec.field(default_factory=dict)


class TimerFired(Payload, frozen=True):
    """A timer that was set is due."""

    type: ClassVar[EventType] = EventType.TIMER_FIRED
    timer: str


class StageStalled(Payload, frozen=True):
    """A stage of the flow makes no progress: its lag, the age of its oldest item, its last sign."""

    type: ClassVar[EventType] = EventType.STAGE_STALLED
    stage: str
    lag: int
    oldest_ms: int
    last_ms: int


class StageRecovered(Payload, frozen=True):
    """A stalled stage moves again."""

    type: ClassVar[EventType] = EventType.STAGE_RECOVERED
    stage: str


class QueueOverflowed(Payload, frozen=True):
    """A lane was full: its producers were held back; the archive holds what was waiting."""

    type: ClassVar[EventType] = EventType.QUEUE_OVERFLOWED
    lane: str
    waiting: int
    archive: str


# ---- derived: from a signal to an order ----------------------------------------------------


class Origin(msgspec.Struct, frozen=True):
    """Why a flow began: ``tick``, ``schedule`` or ``news``, and the event it began with."""

    kind: str
    id: str
    seq: int


class SignalGenerated(Payload, frozen=True):
    """A deployment's rules and policy want something.

    Attributes
    ----------
    rules : mapping
        Rule to truth (1, 0, -1) at the close of ``bar``.
    values : mapping
        What the policy read: close, atr, vol; and the operands of the rules that fired.
    close_reason : str
        Why the position is to be closed, ``none`` if it is not.
    quantity : float
        Signed size of the entry wanted, 0 for none.
    """

    type: ClassVar[EventType] = EventType.SIGNAL_GENERATED
    signal_id: str
    deployment: str
    origin: Origin
    bar: int
    rules: Mapping[str, int]
    values: Mapping[str, float]
    close_reason: str
    quantity: float


class RiskAssessed(Payload, frozen=True):
    """What the risk check said about an order before it was sent."""

    type: ClassVar[EventType] = EventType.RISK_ASSESSED
    risk_id: str
    deployment: str
    signal_id: str
    approved: bool
    rule: str
    value: float
    limit: float
    text: str


class OpportunityRejected(Payload, frozen=True):
    """A signal that led to no order, and why."""

    type: ClassVar[EventType] = EventType.OPPORTUNITY_REJECTED
    deployment: str
    signal_id: str
    stage: str
    reason: str
    risk_id: str = ""


class EntryPlan(msgspec.Struct, frozen=True):
    """How to get in: side, kind of order, and the price that the decision saw."""

    side: Side
    kind: str
    reference: Decimal


class SizePlan(msgspec.Struct, frozen=True):
    """How much: the policy's wish and what rounding and sizing left of it."""

    wanted: Decimal
    size: Decimal
    method: str


class ExitPlan(msgspec.Struct, frozen=True):
    """How to get out: distances in ATR of the decision bar, zero where there is no such rule."""

    stop_atr: float
    target_atr: float
    trail_atr: float
    breakeven_atr: float
    time_stop: int
    atr: float


class ExecutionPlan(msgspec.Struct, frozen=True):
    """How to execute: algorithm, its slices and their spacing."""

    algorithm: str
    slices: tuple[Decimal, ...]
    spacing_ms: int = 0


class Causality(msgspec.Struct, frozen=True):
    """Chain from the origin to the plan; orders and fills are joined by the journal."""

    origin: Origin
    signal_ids: tuple[str, ...]
    risk_ids: tuple[str, ...]
    strategy_directive_id: str
    plan_id: str


class TradeIntent(Payload, frozen=True):
    """What is to be done, decided and sized: the execution directive.

    ``scope``: NEW, MODIFY or CLOSE. A reversal closes first; its entry waits for that fill.
    """

    type: ClassVar[EventType] = EventType.TRADE_INTENT
    intent_id: str
    deployment: str
    scope: str
    reason: str
    causality: Causality
    expires_ms: int
    entry: EntryPlan | None = None
    size: SizePlan | None = None
    exit: ExitPlan | None = None
    execution: ExecutionPlan | None = None


class IntentExpired(Payload, frozen=True):
    """An intent was not sent in time; the next decision is made afresh."""

    type: ClassVar[EventType] = EventType.INTENT_EXPIRED
    intent_id: str
    deployment: str
    late_ms: int


class StopLossTriggered(Payload, frozen=True):
    """The stop of a position was reached; ``by`` says who noticed: ``venue`` or ``loop``."""

    type: ClassVar[EventType] = EventType.STOP_LOSS_TRIGGERED
    deployment: str
    level: float
    price: float
    by: str


class TakeProfitTriggered(Payload, frozen=True):
    """The target of a position was reached."""

    type: ClassVar[EventType] = EventType.TAKE_PROFIT_TRIGGERED
    deployment: str
    level: float
    price: float
    by: str


# ---- commands ------------------------------------------------------------------------------


class OrderSubmit(Payload, frozen=True):
    """Send an order.

    ``intent_id`` names the intent it executes, ``reference`` the price that the decision saw;
    without one a trigger order is measured against its own level.
    """

    type: ClassVar[EventType] = EventType.ORDER_SUBMIT
    deployment: str
    plan_id: str
    purpose: str
    order: OrderRequest
    intent_id: str = ""
    reference: Decimal | None = None


class OrderCancel(Payload, frozen=True):
    """Ask the exchange to end an order."""

    type: ClassVar[EventType] = EventType.ORDER_CANCEL
    order_id: str
    client_id: str
    account: str
    symbol: str
    reason: str


class OrderModify(Payload, frozen=True):
    """Ask the exchange to replace price and size of an order."""

    type: ClassVar[EventType] = EventType.ORDER_MODIFY
    deployment: str
    reason: str
    order: OrderRequest


class OrderQuery(Payload, frozen=True):
    """Ask what became of an order."""

    type: ClassVar[EventType] = EventType.ORDER_QUERY
    order_id: str
    client_id: str
    account: str
    symbol: str
    attempt: int


class TimerSet(Payload, frozen=True):
    """Fire a timer at an instant of the run's clock."""

    type: ClassVar[EventType] = EventType.TIMER_SET
    timer: str
    due_ms: int


# ---- derived: what a fill leads to ---------------------------------------------------------


class PositionOpened(Payload, frozen=True):
    """A flat deployment now holds a position."""

    type: ClassVar[EventType] = EventType.POSITION_OPENED
    deployment: str
    plan_id: str
    size: Decimal
    entry: Decimal
    stop: float
    target: float


class PositionUpdated(Payload, frozen=True):
    """Size, average price or protective levels of a position changed."""

    type: ClassVar[EventType] = EventType.POSITION_UPDATED
    deployment: str
    plan_id: str
    size: Decimal
    entry: Decimal
    stop: float
    target: float


class PositionClosed(Payload, frozen=True):
    """A position is flat again."""

    type: ClassVar[EventType] = EventType.POSITION_CLOSED
    deployment: str
    plan_id: str
    reason: str
    exit_class: str


class TradeClosed(Payload, frozen=True):
    """A round trip is complete: money in quote units, excursions as fractions of the entry."""

    type: ClassVar[EventType] = EventType.TRADE_CLOSED
    deployment: str
    plan_id: str
    side: Side
    size: Decimal
    entry: Decimal
    exit: Decimal
    pnl: Decimal
    fees: Decimal
    funding: Decimal
    slippage: Decimal
    entry_ms: int
    exit_ms: int
    reason: str
    exit_class: str
    mfe: float
    mae: float


class FeedbackSubmitted(Payload, frozen=True):
    """The outcome of a trade, queued durably for those who learn from it."""

    type: ClassVar[EventType] = EventType.FEEDBACK_SUBMITTED
    strategy_id: str
    deployment: str
    plan_id: str
    outcome: str
    pnl: Decimal
    return_on_capital: float


# ---- derived: safety -----------------------------------------------------------------------


class TradingHalted(Payload, frozen=True):
    """No new risk from here on; reduce-only orders and cancels go on."""

    type: ClassVar[EventType] = EventType.TRADING_HALTED
    scope: str
    reason: str


class TradingResumed(Payload, frozen=True):
    """New risk is allowed again."""

    type: ClassVar[EventType] = EventType.TRADING_RESUMED
    scope: str
    reason: str


class Reconciled(Payload, frozen=True):
    """The ledger was compared with an exchange.

    ``differences`` are readable lines; empty means equal. ``adopted``: the ledger took them over.
    """

    type: ClassVar[EventType] = EventType.RECONCILED
    account: str
    differences: tuple[str, ...]
    adopted: bool


class AlertRaised(Payload, frozen=True):
    """Something a person should know; level ``info``, ``warning``, ``critical``."""

    type: ClassVar[EventType] = EventType.ALERT_RAISED
    level: str
    category: str
    title: str
    text: str


PAYLOADS: dict[EventType, type[Payload]] = {
    cls.type: cls for cls in Payload.__subclasses__() if hasattr(cls, "type")
}
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODERS = {kind: msgspec.msgpack.Decoder(cls) for kind, cls in PAYLOADS.items()}


def encode(payload: Payload) -> bytes:
    """Bytes of a payload, the same for equal payloads."""
    return _ENCODE(payload)


def decode(kind: EventType, body: bytes) -> Payload:
    """Payload of an event type from its bytes.

    Raises
    ------
    msgspec.DecodeError
        If the bytes are not such a payload.
    """
    return _DECODERS[kind].decode(body)
