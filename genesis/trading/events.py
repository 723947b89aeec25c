"""Events: one envelope, one enum of types, one lane a type."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import ClassVar

import msgspec


class Lane(IntEnum):
    """Priority of an event on the bus."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


class EventType(StrEnum):
    """Every kind of event, with the payload class of the same name in `genesis.trading.payloads`.

    *Inputs* come from outside (feeds, gateways, operators, timers); *derived* events are emitted
    by the core while it handles another event and carry its number in ``caused_by``; *commands*
    are derived events that act on the outside once they are committed.
    """

    # Inputs: market data.
    MARKET_DATA_UPDATED = "market_data_updated"
    BAR_OPENED = "bar_opened"
    FUNDING_DUE = "funding_due"
    BAR_RANGE = "bar_range"
    BAR_CLOSED = "bar_closed"
    BAR_CORRECTED = "bar_corrected"
    BARS_MISSING = "bars_missing"
    MARKET_STATE_UPDATED = "market_state_updated"
    CANDLE_STREAM_DATA_READY = "candle_stream_data_ready"
    SYMBOL_ENDED = "symbol_ended"
    NEWS_RECEIVED = "news_received"
    SCHEDULE_DUE = "schedule_due"
    INPUT_QUARANTINED = "input_quarantined"
    # Inputs: replies of an exchange.
    ORDER_ACCEPTED = "order_accepted"
    ORDER_REJECTED = "order_rejected"
    ORDER_FILLED = "order_filled"
    ORDER_CANCELED = "order_canceled"
    ORDER_MODIFIED = "order_modified"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_STATUS = "order_status"
    FUNDING_PAID = "funding_paid"
    ACCOUNT_SNAPSHOT = "account_snapshot"
    CONNECTION_CHANGED = "connection_changed"
    # Inputs: the run, its operator and its clock.
    RUN_STARTED = "run_started"
    RUN_RESUMED = "run_resumed"
    RUN_FINISHED = "run_finished"
    DEPLOYMENT_ADDED = "deployment_added"
    DEPLOYMENT_STOPPED = "deployment_stopped"
    OPERATOR_COMMAND = "operator_command"
    TIMER_FIRED = "timer_fired"
    STAGE_STALLED = "stage_stalled"
    STAGE_RECOVERED = "stage_recovered"
    QUEUE_OVERFLOWED = "queue_overflowed"
    # Derived: from a signal to an order.
    SIGNAL_GENERATED = "signal_generated"
    RISK_ASSESSED = "risk_assessed"
    OPPORTUNITY_REJECTED = "opportunity_rejected"
    TRADE_INTENT = "trade_intent"
    INTENT_EXPIRED = "intent_expired"
    STOP_LOSS_TRIGGERED = "stop_loss_triggered"
    TAKE_PROFIT_TRIGGERED = "take_profit_triggered"
    # Commands.
    ORDER_SUBMIT = "order_submit"
    ORDER_CANCEL = "order_cancel"
    ORDER_MODIFY = "order_modify"
    ORDER_QUERY = "order_query"
    TIMER_SET = "timer_set"
    # Derived: what a fill leads to.
    POSITION_OPENED = "position_opened"
    POSITION_UPDATED = "position_updated"
    POSITION_CLOSED = "position_closed"
    TRADE_CLOSED = "trade_closed"
    FEEDBACK_SUBMITTED = "feedback_submitted"
    # Derived: safety.
    TRADING_HALTED = "trading_halted"
    TRADING_RESUMED = "trading_resumed"
    RECONCILED = "reconciled"
    ALERT_RAISED = "alert_raised"
    BREAKER_TRIPPED = "breaker_tripped"
    RISK_LEVEL_CHANGED = "risk_level_changed"
    # Operations: what happens to strategies outside any one run.
    DECISION_MADE = "decision_made"
    REVIEW_RESOLVED = "review_resolved"
    CALIBRATION_FITTED = "calibration_fitted"
    APPROVAL_GRANTED = "approval_granted"
    APPROVAL_USED = "approval_used"
    DEPLOYMENT_CHANGED = "deployment_changed"
    CAPITAL_ALLOCATED = "capital_allocated"
    KILL_LATCHED = "kill_latched"
    REARMED = "rearmed"
    # The outbox of alerts, a log of its own.
    ALERT_ENTERED = "alert_entered"
    ALERT_ROUTED = "alert_routed"
    ALERT_SENDING = "alert_sending"
    ALERT_ANSWERED = "alert_answered"
    ALERT_ESCALATED = "alert_escalated"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    # Input: market data of no symbol.
    SENTIMENT_UPDATED = "sentiment_updated"
    # Operations again.
    LIMITS_CHANGED = "limits_changed"


_CRITICAL = (
    EventType.STOP_LOSS_TRIGGERED,
    EventType.TRADING_HALTED,
    EventType.OPERATOR_COMMAND,
    EventType.STAGE_STALLED,
)
_NORMAL = (
    EventType.MARKET_DATA_UPDATED,
    EventType.BAR_OPENED,
    EventType.FUNDING_DUE,
    EventType.BAR_RANGE,
    EventType.BAR_CLOSED,
    EventType.BAR_CORRECTED,
    EventType.BARS_MISSING,
    EventType.MARKET_STATE_UPDATED,
    EventType.CANDLE_STREAM_DATA_READY,
    EventType.SYMBOL_ENDED,
    EventType.NEWS_RECEIVED,
    EventType.SCHEDULE_DUE,
    EventType.SENTIMENT_UPDATED,
)
_LOW = (
    EventType.INPUT_QUARANTINED,
    EventType.QUEUE_OVERFLOWED,
    EventType.FEEDBACK_SUBMITTED,
    EventType.ALERT_RAISED,
    EventType.STAGE_RECOVERED,
)
LANES: dict[EventType, Lane] = dict.fromkeys(EventType, Lane.HIGH)
LANES.update(dict.fromkeys(_CRITICAL, Lane.CRITICAL))
LANES.update(dict.fromkeys(_NORMAL, Lane.NORMAL))
LANES.update(dict.fromkeys(_LOW, Lane.LOW))

COMMANDS = frozenset(
    {
        EventType.ORDER_SUBMIT,
        EventType.ORDER_CANCEL,
        EventType.ORDER_MODIFY,
        EventType.ORDER_QUERY,
        EventType.TIMER_SET,
    }
)
"""Types whose handling acts on the outside, after the commit that holds them."""


class Payload(msgspec.Struct, frozen=True):
    """What an event says; one subclass a type, see `genesis.trading.payloads`."""

    type: ClassVar[EventType]


class Event(msgspec.Struct, gc=False):
    """An event on the bus and in the store.

    Attributes
    ----------
    data : Payload
        Its class says the type.
    ts_ms : int
        When it happened, in the time of its source.
    aggregate : str
        What it is about: an order id, ``account/symbol``, a symbol, a deployment.
    correlation : str
        The flow it belongs to: id of the origin, plan or order that began it.
    caused_by : int
        Number of the event whose handling emitted it, 0 for an input.
    ordinal : int
        Place among the events that the same handling emitted, from 0.
    seq : int
        Number in the log, from 1; 0 before it is numbered.
    recorded_ms : int
        Clock of the run when it was numbered: "now" for whoever handles it.
    """

    data: Payload
    ts_ms: int
    aggregate: str = ""
    correlation: str = ""
    caused_by: int = 0
    ordinal: int = 0
    seq: int = 0
    recorded_ms: int = 0

    @property
    def type(self) -> EventType:
        """Kind of the event."""
        return self.data.type

    @property
    def lane(self) -> Lane:
        """Lane that it travels on."""
        return LANES[self.data.type]
