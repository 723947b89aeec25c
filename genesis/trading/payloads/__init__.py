"""What events say: one frozen struct a type. Money is Decimal, market data is float."""

from __future__ import annotations

import msgspec

from genesis.trading.events import EventType, Payload
from genesis.trading.payloads.alerts import (
    AlertAcknowledged,
    AlertAnswered,
    AlertEntered,
    AlertEscalated,
    AlertRouted,
    AlertSending,
)
from genesis.trading.payloads.commands import (
    OrderCancel,
    OrderModify,
    OrderQuery,
    OrderSubmit,
    TimerSet,
)
from genesis.trading.payloads.decisions import (
    Causality,
    EntryPlan,
    ExecutionPlan,
    ExitPlan,
    IntentExpired,
    OpportunityRejected,
    Origin,
    RiskAssessed,
    SignalGenerated,
    SizePlan,
    StopLossTriggered,
    TakeProfitTriggered,
    TradeIntent,
)
from genesis.trading.payloads.market import (
    BarClosed,
    BarCorrected,
    BarOpened,
    BarRange,
    BarsMissing,
    CandlesReady,
    FundingDue,
    InputQuarantined,
    MarketState,
    NewsReceived,
    Quote,
    ScheduleDue,
    SentimentUpdated,
    SymbolEnded,
)
from genesis.trading.payloads.operations import (
    ApprovalGranted,
    ApprovalUsed,
    CalibrationFitted,
    CapitalAllocated,
    DecisionMade,
    DeploymentChanged,
    KillLatched,
    LimitsChanged,
    Rearmed,
    ReviewResolved,
)
from genesis.trading.payloads.outcomes import (
    FeedbackSubmitted,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    TradeClosed,
)
from genesis.trading.payloads.replies import (
    AccountSnapshot,
    ConnectionChanged,
    FundingPaid,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderStatus,
    OrderUnknown,
)
from genesis.trading.payloads.run import (
    DeploymentAdded,
    DeploymentStopped,
    OperatorCommand,
    QueueOverflowed,
    RunFinished,
    RunResumed,
    RunStarted,
    StageRecovered,
    StageStalled,
    TimerFired,
)
from genesis.trading.payloads.safety import (
    AlertRaised,
    BreakerTripped,
    Reconciled,
    RiskLevelChanged,
    TradingHalted,
    TradingResumed,
)

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


__all__ = [
    "PAYLOADS",
    "Quote",
    "BarOpened",
    "FundingDue",
    "BarRange",
    "BarClosed",
    "BarCorrected",
    "BarsMissing",
    "MarketState",
    "CandlesReady",
    "SymbolEnded",
    "NewsReceived",
    "ScheduleDue",
    "SentimentUpdated",
    "InputQuarantined",
    "OrderAccepted",
    "OrderRejected",
    "OrderFilled",
    "OrderCanceled",
    "OrderModified",
    "OrderUnknown",
    "OrderStatus",
    "FundingPaid",
    "AccountSnapshot",
    "ConnectionChanged",
    "RunStarted",
    "RunResumed",
    "RunFinished",
    "DeploymentAdded",
    "DeploymentStopped",
    "OperatorCommand",
    "TimerFired",
    "StageStalled",
    "StageRecovered",
    "QueueOverflowed",
    "Origin",
    "SignalGenerated",
    "RiskAssessed",
    "OpportunityRejected",
    "EntryPlan",
    "SizePlan",
    "ExitPlan",
    "ExecutionPlan",
    "Causality",
    "TradeIntent",
    "IntentExpired",
    "StopLossTriggered",
    "TakeProfitTriggered",
    "OrderSubmit",
    "OrderCancel",
    "OrderModify",
    "OrderQuery",
    "TimerSet",
    "PositionOpened",
    "PositionUpdated",
    "PositionClosed",
    "TradeClosed",
    "FeedbackSubmitted",
    "TradingHalted",
    "TradingResumed",
    "Reconciled",
    "AlertRaised",
    "BreakerTripped",
    "RiskLevelChanged",
    "DecisionMade",
    "ReviewResolved",
    "CalibrationFitted",
    "ApprovalGranted",
    "ApprovalUsed",
    "DeploymentChanged",
    "CapitalAllocated",
    "KillLatched",
    "Rearmed",
    "LimitsChanged",
    "AlertEntered",
    "AlertRouted",
    "AlertSending",
    "AlertAnswered",
    "AlertEscalated",
    "AlertAcknowledged",
    "decode",
    "encode",
]
