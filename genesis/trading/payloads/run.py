"""The run, its operator and its clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from genesis.trading.events import EventType, Payload


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
