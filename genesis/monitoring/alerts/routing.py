"""Which channels tell an alert, which one steps in for another, and when it escalates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from genesis.monitoring.alerts.channels import ChannelSlot
from genesis.monitoring.alerts.levels import ESCALATION, AlertLevel
from genesis.monitoring.alerts.outbox import Sitting
from genesis.monitoring.alerts.rows import (
    DROPPED,
    PENDING,
    AlertRow,
    ChannelRow,
    DeliveryRow,
)
from genesis.monitoring.alerts.settings import CONSOLE, AlertSettings
from genesis.trading.payloads.alerts import AlertAnswered, AlertEscalated, AlertRouted

ABOUT_CHANNEL: Final = "channel:"
"""Component of an alert about a channel, with its name: that channel is not asked to tell it."""
HEARTBEAT: Final = "heartbeat"
_AT_ONCE: Final = 200


def route(sitting: Sitting, slots: Sequence[ChannelSlot], settings: AlertSettings) -> int:
    """Choose the channels of the alerts that have none; number of those alerts."""
    alerts = sitting.find(AlertRow, "unrouted = 1", order="rank DESC, seq", limit=_AT_ONCE)
    down = _down(sitting) if alerts else set()
    for alert in alerts:
        meant = [slot for slot in slots if _wants(slot, alert)]
        wanted = [slot for slot in meant if not _is_about(slot, alert)]
        _supersede(sitting, alert)
        due = _queue(sitting, alert, wanted, settings, "")
        taken = {slot.name for slot in meant}
        for slot in meant:
            if slot.name in down or slot not in wanted:
                substitute = _next(slots, slot.name, alert, taken | down)
                if substitute is not None:
                    taken.add(substitute.name)
                    _queue(sitting, alert, [substitute], settings, slot.name)
        alert.unrouted = 0
        alert.escalate_ms = _escalation_ms(alert, max([sitting.now_ms, *due]), settings)
        sitting.put(alert)
    return len(alerts)


def step_in(
    sitting: Sitting,
    failed: DeliveryRow,
    slots: Sequence[ChannelSlot],
    settings: AlertSettings,
) -> None:
    """Have the next channel tell what one failed to tell, unless it does so anyway."""
    alert = sitting.first(AlertRow, "alert_id = ?", (failed.alert_id,))
    if alert is None:
        return
    others = sitting.find(DeliveryRow, "alert_id = ? AND rank = ?", (failed.alert_id, failed.rank))
    if any(row.instead_of == failed.channel for row in others):
        return
    taken = {row.channel for row in others} | _down(sitting) | {failed.channel}
    substitute = _next(slots, failed.channel, alert, taken)
    if substitute is not None:
        _queue(sitting, alert, [substitute], settings, failed.channel, failed.rank)


def escalate(sitting: Sitting) -> int:
    """Raise the level of what nobody acknowledged in time; number of those alerts.

    Where another open alert of the same component and title has that level already, one of them
    is enough: ninety-seven warnings about one thing become one critical alert.
    """
    where = "acked_ms = 0 AND escalate_ms > 0 AND escalate_ms <= ?"
    due = sitting.find(AlertRow, where, (sitting.now_ms,), order="escalate_ms, seq")
    raised: dict[tuple[str, str], AlertLevel] = {}
    count = 0
    for alert in due:
        target, _ = ESCALATION[alert.level]
        matter = (alert.component, alert.title)
        peers = "acked_ms = 0 AND component = ? AND title = ? AND rank >= ? AND alert_id <> ?"
        peer = sitting.first(AlertRow, peers, (*matter, int(target), alert.alert_id))
        alert.escalate_ms = 0
        if peer is None and raised.get(matter, AlertLevel.INFO) < target:
            alert.rank, alert.unrouted = target, 1
            raised[matter] = target
            sitting.add(AlertEscalated(alert.alert_id, target.word), alert.alert_id)
            count += 1
        sitting.put(alert)
    return count


def _wants(slot: ChannelSlot, alert: AlertRow) -> bool:
    heard = alert.component == HEARTBEAT and slot.name != CONSOLE
    return heard or alert.rank >= slot.level


def _is_about(slot: ChannelSlot, alert: AlertRow) -> bool:
    return alert.component == ABOUT_CHANNEL + slot.name


def _next(
    slots: Sequence[ChannelSlot], failed: str, alert: AlertRow, taken: set[str]
) -> ChannelSlot | None:
    """The channel after the failed one, in a circle, that has nothing to do with it yet."""
    names = [slot.name for slot in slots]
    start = names.index(failed) + 1 if failed in names else 0
    for slot in [*slots[start:], *slots[:start]]:
        if slot.name not in taken and not _is_about(slot, alert):
            return slot
    return None


def _queue(
    sitting: Sitting,
    alert: AlertRow,
    slots: Sequence[ChannelSlot],
    settings: AlertSettings,
    instead_of: str,
    rank: int | None = None,
) -> list[int]:
    """Queue an alert for channels; when each is due, ms."""
    rank = alert.rank if rank is None else rank
    now, due = sitting.now_ms, []
    for slot in slots:
        held = slot.quiet and rank < AlertLevel.CRITICAL and alert.component != HEARTBEAT
        quiet = settings.quiet_hours if held else None
        due.append(now if quiet is None else quiet.until(now))
        sitting.put(
            DeliveryRow(
                alert.alert_id, rank, slot.name, PENDING, 0, due[-1], 0, "", instead_of, now
            )
        )
    names = tuple(slot.name for slot in slots)
    payload = AlertRouted(alert.alert_id, AlertLevel(rank).word, names, instead_of)
    sitting.add(payload, alert.alert_id)
    return due


def _supersede(sitting: Sitting, alert: AlertRow) -> None:
    """What still waits at a lower level is told at the higher one instead."""
    where = "alert_id = ? AND rank < ? AND state = ?"
    for row in sitting.find(DeliveryRow, where, (alert.alert_id, alert.rank, PENDING)):
        drop(sitting, row, f"told as {alert.level.word} instead")


def drop(sitting: Sitting, row: DeliveryRow, why: str) -> None:
    """Give up a delivery for a reason that is no failure."""
    row.state, row.why, row.answered_ms = DROPPED, why, sitting.now_ms
    level = AlertLevel(row.rank).word
    payload = AlertAnswered(row.alert_id, level, row.channel, row.attempts, DROPPED, why)
    sitting.add(payload, row.alert_id)
    sitting.put(row)


def _down(sitting: Sitting) -> set[str]:
    return {row.channel for row in sitting.find(ChannelRow, "failures > 0")}


def _escalation_ms(alert: AlertRow, told_ms: int, settings: AlertSettings) -> int:
    """When the level rises; what quiet hours hold back has its time from their end."""
    following = ESCALATION.get(alert.level)
    if following is None or alert.acked_ms or not settings.escalation:
        return 0
    return told_ms + following[1]
