"""What becomes of an alert in the outbox of a workspace; no trading run has these events."""

from __future__ import annotations

from typing import ClassVar

from genesis.trading.events import EventType, Payload


class AlertEntered(Payload, frozen=True):
    """An alert was taken in.

    ``source`` is a run or ``operations``, ``source_seq`` the number of its event there (0 for
    none). ``told`` is False for one that its window of silence keeps back; ``suppressed`` of the
    same were kept back before it and are told with it.
    """

    type: ClassVar[EventType] = EventType.ALERT_ENTERED
    alert_id: str
    level: str
    component: str
    title: str
    text: str
    source: str
    source_seq: int
    told: bool
    suppressed: int


class AlertRouted(Payload, frozen=True):
    """Which channels are to tell an alert of this level; ``instead_of`` names one that failed."""

    type: ClassVar[EventType] = EventType.ALERT_ROUTED
    alert_id: str
    level: str
    channels: tuple[str, ...]
    instead_of: str


class AlertSending(Payload, frozen=True):
    """A channel is about to be asked; ``repeated`` where an earlier attempt may have arrived."""

    type: ClassVar[EventType] = EventType.ALERT_SENDING
    alert_id: str
    level: str
    channel: str
    attempt: int
    repeated: bool


class AlertAnswered(Payload, frozen=True):
    """What became of an attempt.

    ``state`` is ``delivered``, ``pending`` (to be tried again), ``expired`` or ``dropped``.
    """

    type: ClassVar[EventType] = EventType.ALERT_ANSWERED
    alert_id: str
    level: str
    channel: str
    attempt: int
    state: str
    why: str


class AlertEscalated(Payload, frozen=True):
    """Nobody acknowledged it in time: from now on it has this level."""

    type: ClassVar[EventType] = EventType.ALERT_ESCALATED
    alert_id: str
    level: str


class AlertAcknowledged(Payload, frozen=True):
    """A person knows of it."""

    type: ClassVar[EventType] = EventType.ALERT_ACKNOWLEDGED
    alert_id: str
    who: str
    reason: str
