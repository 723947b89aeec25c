"""The daily sign of life: a day without it is an alarm."""

from __future__ import annotations

from typing import Final

from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.outbox import Sitting
from genesis.monitoring.alerts.quiet import last_daily
from genesis.monitoring.alerts.routing import HEARTBEAT
from genesis.monitoring.alerts.rows import ChannelRow, MarkRow
from genesis.monitoring.alerts.settings import AlertSettings
from genesis.monitoring.alerts.sink import RaisedAlert

DAY_MS: Final = 24 * 3_600_000
TITLE: Final = "alerts are working; if none came today, something is wrong"


def heartbeat(sitting: Sitting, settings: AlertSettings) -> list[RaisedAlert]:
    """The heartbeat, if it is due and was not sent; also at the very first start."""
    if settings.heartbeat is None:
        return []
    mark = sitting.first(MarkRow, "name = ?", (HEARTBEAT,))
    now = sitting.now_ms
    if mark is not None and mark.value >= last_daily(settings.heartbeat, settings.zone, now):
        return []
    sitting.put(MarkRow(HEARTBEAT, now))
    return [RaisedAlert("info", HEARTBEAT, TITLE, _summary(sitting, now - DAY_MS))]


def _summary(sitting: Sitting, since_ms: int) -> str:
    """What happened in a day, one line a fact."""
    count = "SELECT count(*) FROM "
    raised = sitting.number(f"{count} alerts WHERE entered_ms >= ?", (since_ms,))
    kept = sitting.number(f"{count} alerts WHERE entered_ms >= ? AND told = 0", (since_ms,))
    least = int(AlertLevel.WARNING)
    unacked = sitting.number(
        f"{count} alerts WHERE told = 1 AND acked_ms = 0 AND rank >= ?", (least,)
    )
    late = sitting.number(
        f"{count} deliveries WHERE state IN ('pending', 'expired') AND queued_ms >= ?",
        (since_ms,),
    )
    lines = [f"in the last day: {raised} alerts raised, {kept} of them kept back as repetitions"]
    lines.append(f"not acknowledged: {unacked} (genesis alerts list --unacked)")
    lines.append(f"not delivered in the last day: {late}")
    lines += [
        f"channel {row.channel} fails: {row.why}"
        for row in sitting.find(ChannelRow, "failures > 0")
    ]
    return "\n".join(lines)
