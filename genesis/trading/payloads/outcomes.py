"""What a fill leads to. Money is in quote units, costs positive."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from genesis.trading.events import EventType, Payload
from genesis.trading.gateway import Side


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
