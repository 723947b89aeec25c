"""From a signal to a directive: what the core emits while it decides."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

import msgspec

from genesis.trading.events import EventType, Payload
from genesis.trading.gateway import Side


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
    """What the risk check said about an order before it was sent.

    Sizes are signed: what was asked for, what may be sent, and what profile ``enforce`` would
    approve; the difference of the first and the last is the risk impact, and ``would_rule`` is
    what makes it, empty where there is none.
    """

    type: ClassVar[EventType] = EventType.RISK_ASSESSED
    risk_id: str
    deployment: str
    signal_id: str
    approved: bool
    rule: str
    value: float
    limit: float
    text: str
    asked: Decimal = Decimal(0)
    size: Decimal = Decimal(0)
    would: Decimal = Decimal(0)
    level: str = ""
    breakers: tuple[str, ...] = ()
    multipliers: dict[str, float] = msgspec.field(default_factory=dict)
    permitted_by: str = ""
    would_rule: str = ""


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


class SizePlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much: the policy's wish and what rounding and sizing left of it.

    ``method`` is what decided, ``sizing`` what the position sizer said, empty where none was asked:
    it is left out then, as in logs that know of no sizer.
    """

    wanted: Decimal
    size: Decimal
    method: str
    sizing: str = ""


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
