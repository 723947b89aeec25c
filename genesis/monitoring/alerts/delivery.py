"""From queued to delivered: what a lane sends next, and what its outcome means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from genesis.monitoring.alerts.channels import ChannelSlot
from genesis.monitoring.alerts.lanes import Job, Outcome
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message, instant
from genesis.monitoring.alerts.outbox import Sitting
from genesis.monitoring.alerts.routing import ABOUT_CHANNEL, drop, step_in
from genesis.monitoring.alerts.rows import (
    DELIVERED,
    EXPIRED,
    PENDING,
    SENDING,
    AlertRow,
    ChannelRow,
    DeliveryRow,
)
from genesis.monitoring.alerts.settings import AlertSettings
from genesis.monitoring.alerts.sink import RaisedAlert
from genesis.trading.payloads.alerts import AlertAnswered, AlertSending

FIRST_REST_MS: Final = 5_000
LONGEST_REST_MS: Final = 10 * 60_000
EXPIRY_MS: Final = 24 * 3_600_000
"""An alert that a channel refused for so long is not told there any more."""


def rest_ms(failures: int) -> int:
    """How long a channel rests after so many failures in a row: 5 s, doubled up to 10 minutes."""
    return min(FIRST_REST_MS << min(failures - 1, 20), LONGEST_REST_MS)


def adopt(sitting: Sitting, slots: Sequence[ChannelSlot]) -> None:
    """Take over what another process left: what it was sending may have arrived or not."""
    names = {slot.name for slot in slots}
    for row in sitting.find(DeliveryRow, "state IN (?, ?)", (PENDING, SENDING)):
        if row.channel not in names:
            drop(sitting, row, "the channel is not configured any more")
        elif row.state == SENDING:
            row.state, row.doubtful = PENDING, 1
            _answer(sitting, row, "the process that was sending it ended")
            sitting.put(row)


def next_job(sitting: Sitting, slot: ChannelSlot) -> Job | None:
    """Most urgent message that a channel is to send now; the outbox notes that it is under way."""
    rest = sitting.first(ChannelRow, "channel = ?", (slot.name,))
    if rest is not None and rest.failures and rest.next_ms > sitting.now_ms:
        return None
    where = "state = ? AND channel = ? AND due_ms <= ?"
    values = (PENDING, slot.name, sitting.now_ms)
    row = sitting.first(DeliveryRow, where, values, "rank DESC, queued_ms, alert_id")
    if row is None:
        return None
    alert = sitting.first(AlertRow, "alert_id = ?", (row.alert_id,))
    assert alert is not None
    row.state, row.attempts = SENDING, row.attempts + 1
    repeated = bool(row.doubtful)
    level = AlertLevel(row.rank)
    payload = AlertSending(row.alert_id, level.word, slot.name, row.attempts, repeated)
    sitting.add(payload, row.alert_id)
    sitting.put(row)
    message = Message.of(alert, row.rank, repeated=repeated, instead_of=row.instead_of)
    return Job(message, stored=True)


def settle(
    sitting: Sitting, outcome: Outcome, slots: Sequence[ChannelSlot], settings: AlertSettings
) -> list[RaisedAlert]:
    """Note an outcome; returns what is to be told of the channel itself."""
    message = outcome.job.message
    if outcome.job.stored:
        where = "alert_id = ? AND rank = ? AND channel = ?"
        key = (message.alert_id, int(message.level), outcome.channel)
        row = sitting.first(DeliveryRow, where, key)
        if row is not None and row.state in (PENDING, SENDING):
            _note(sitting, row, outcome)
            if not outcome.delivered:
                step_in(sitting, row, slots, settings)
    return _health(sitting, outcome)


def expire(sitting: Sitting) -> None:
    """Give up what was tried for a day."""
    where = "state = ? AND attempts > 0 AND due_ms < ?"
    for row in sitting.find(DeliveryRow, where, (PENDING, sitting.now_ms - EXPIRY_MS)):
        row.state, row.answered_ms = EXPIRED, sitting.now_ms
        _answer(sitting, row, row.why)
        sitting.put(row)


def _note(sitting: Sitting, row: DeliveryRow, outcome: Outcome) -> None:
    if outcome.delivered:
        row.state, row.why, row.answered_ms = DELIVERED, "", sitting.now_ms
    else:
        row.state, row.why = PENDING, outcome.why
        row.doubtful = int(row.doubtful or outcome.doubtful)
    _answer(sitting, row, outcome.why)
    sitting.put(row)


def _answer(sitting: Sitting, row: DeliveryRow, why: str) -> None:
    level = AlertLevel(row.rank).word
    payload = AlertAnswered(row.alert_id, level, row.channel, row.attempts, row.state, why)
    sitting.add(payload, row.alert_id)


def _health(sitting: Sitting, outcome: Outcome) -> list[RaisedAlert]:
    name, now = outcome.channel, sitting.now_ms
    row = sitting.first(ChannelRow, "channel = ?", (name,)) or ChannelRow(name, 0, 0, 0, "")
    if outcome.delivered:
        if not row.failures:
            return []
        sitting.put(ChannelRow(name, 0, 0, 0, ""))
        text = f"it failed {row.failures} times since {instant(row.down_ms)}: {row.why}"
        return [RaisedAlert("info", ABOUT_CHANNEL + name, f"channel {name} delivers again", text)]
    failures = row.failures + 1
    down_ms = row.down_ms or now
    sitting.put(ChannelRow(name, failures, now + rest_ms(failures), down_ms, outcome.why))
    if failures > 1:
        return []
    text = f"{outcome.why}; what it should tell goes to the next channel and the local file"
    return [RaisedAlert("high", ABOUT_CHANNEL + name, f"channel {name} fails", text)]
