"""Halts, reconciliations and alerts."""

from __future__ import annotations

from typing import ClassVar

from genesis.trading.events import EventType, Payload


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


class BreakerTripped(Payload, frozen=True):
    """A circuit breaker of an account tripped.

    ``until_ms`` says when it re-arms by itself; -1 where a person has to.
    """

    type: ClassVar[EventType] = EventType.BREAKER_TRIPPED
    account: str
    breaker: str
    value: float
    limit: float
    until_ms: int
    text: str


class RiskLevelChanged(Payload, frozen=True):
    """The risk level of an account is another one, and why."""

    type: ClassVar[EventType] = EventType.RISK_LEVEL_CHANGED
    account: str
    before: str
    after: str
    why: str


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
