"""Tables of the outbox: its present state, one transaction with the events that it follows from."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

from genesis.monitoring.alerts.levels import AlertLevel
from genesis.trading.tables import Row, Table

PENDING: Final = "pending"
SENDING: Final = "sending"
DELIVERED: Final = "delivered"
EXPIRED: Final = "expired"
DROPPED: Final = "dropped"


class StoredRow(msgspec.Struct):
    """A row of one of these tables."""

    table: ClassVar[Table]

    def row(self) -> Row:
        """What the store writes."""
        return self.table.name, msgspec.structs.astuple(self)


def _table(name: str, cls: type[StoredRow], key: list[str], indexes: list[list[str]]) -> Table:
    kinds: dict[Any, str] = {int: "INTEGER"}
    columns = {field.name: kinds.get(field.type, "TEXT") for field in msgspec.structs.fields(cls)}
    return Table(name, columns, key, indexes)


class AlertRow(StoredRow):
    """An alert.

    Attributes
    ----------
    alert_id : str
    seq : int
        Number of the event that took it in.
    raised_level : str
        As it was raised.
    rank : int
        `AlertLevel` now, after escalations.
    component, title, text, source : str
    source_seq, happened_ms : int
        See `sink.RaisedAlert`.
    entered_ms : int
    told : int
        0 for one that was kept back.
    suppressed : int
        How many of the same were kept back before it and are told with it.
    unrouted : int
        1 while the channels for its level are still to be chosen.
    escalate_ms : int
        When its level rises unless it is acknowledged, 0 for never.
    acked_ms : int
        0 until it is acknowledged.
    acked_by, ack_reason : str
    """

    alert_id: str
    seq: int
    raised_level: str
    rank: int
    component: str
    title: str
    text: str
    source: str
    source_seq: int
    happened_ms: int
    entered_ms: int
    told: int
    suppressed: int
    unrouted: int
    escalate_ms: int = 0
    acked_ms: int = 0
    acked_by: str = ""
    ack_reason: str = ""

    @property
    def level(self) -> AlertLevel:
        """Level now."""
        return AlertLevel(self.rank)


class DeliveryRow(StoredRow):
    """An alert at one level for one channel.

    Attributes
    ----------
    alert_id : str
    rank : int
        Level that is told.
    channel : str
    state : str
        ``pending``, ``sending``, ``delivered``, ``expired`` (not delivered in a day) or
        ``dropped`` (the channel is no longer configured).
    attempts : int
    due_ms : int
        Not before this instant.
    doubtful : int
        1 where an earlier attempt may have arrived: the next one is told as a repetition.
    why : str
        What the last attempt failed of.
    instead_of : str
        Channel that failed and that this one stands in for.
    queued_ms, answered_ms : int
    """

    alert_id: str
    rank: int
    channel: str
    state: str
    attempts: int
    due_ms: int
    doubtful: int
    why: str
    instead_of: str
    queued_ms: int
    answered_ms: int = 0


class ThrottleRow(StoredRow):
    """One kind of alert: when it was told last, and how many were kept back since."""

    level: str
    component: str
    title: str
    told_ms: int
    suppressed: int


class SourceRow(StoredRow):
    """How far the log of a run was followed."""

    source: str
    seq: int


class ChannelRow(StoredRow):
    """A channel that failed: how often in a row, until when it rests, since when and why."""

    channel: str
    failures: int
    next_ms: int
    down_ms: int
    why: str


class MarkRow(StoredRow):
    """A number to remember: the last heartbeat."""

    name: str
    value: int


AlertRow.table = _table(
    "alerts", AlertRow, ["alert_id"], [["seq"], ["unrouted"], ["acked_ms", "escalate_ms"]]
)
DeliveryRow.table = _table(
    "deliveries", DeliveryRow, ["alert_id", "rank", "channel"], [["state", "channel"]]
)
ThrottleRow.table = _table("throttle", ThrottleRow, ["level", "component", "title"], [])
SourceRow.table = _table("sources", SourceRow, ["source"], [])
ChannelRow.table = _table("channels", ChannelRow, ["channel"], [])
MarkRow.table = _table("marks", MarkRow, ["name"], [])

TABLES: Final = [
    cls.table for cls in (AlertRow, DeliveryRow, ThrottleRow, SourceRow, ChannelRow, MarkRow)
]
