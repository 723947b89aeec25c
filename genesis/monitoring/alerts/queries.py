"""What a person asks of the outbox, and what they write into it: acknowledgements."""

from __future__ import annotations

from typing import Any, Final

from genesis.domain.errors import InputError
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.outbox import Outbox, Sitting
from genesis.monitoring.alerts.rows import AlertRow, ChannelRow, DeliveryRow
from genesis.trading.payloads.alerts import AlertAcknowledged
from genesis.trading.store import EventReader

MOST_REASON: Final = 1_000


def list_alerts(
    outbox: Outbox,
    *,
    unacked: bool = False,
    level: AlertLevel = AlertLevel.INFO,
    suppressed: bool = False,
    limit: int = 50,
) -> list[AlertRow]:
    """Alerts, the latest first.

    Parameters
    ----------
    outbox : Outbox
    unacked : bool
        Only those that ask for an acknowledgement: warnings and above that have none.
    level : AlertLevel
        Least level, after escalations.
    suppressed : bool
        Also those that were kept back.
    limit : int
    """
    least = max(level, AlertLevel.WARNING) if unacked else level
    where = f"rank >= {int(least)}"
    where += " AND acked_ms = 0" if unacked else ""
    where += "" if suppressed else " AND told = 1"
    reader = outbox.reader()
    if reader is None:
        return []
    with reader:
        found = reader.rows(AlertRow.table.name, where, order="seq DESC", limit=limit)
    return [AlertRow(**row) for row in found]


def counts(outbox: Outbox) -> dict[str, int]:
    """Sums over the outbox: every alert that was raised is in exactly one of the first three.

    Returns
    -------
    dict
        ``delivered`` (by one channel at least), ``suppressed``, ``pending`` (by none yet); then
        ``unacked``, and ``undelivered``: deliveries that wait or were given up.
    """
    names = ("delivered", "suppressed", "pending", "unacked", "undelivered")
    reader = outbox.reader()
    if reader is None:
        return dict.fromkeys(names, 0)
    sql = """
        SELECT
          (SELECT count(*) FROM alerts a WHERE told = 1 AND EXISTS (SELECT 1 FROM deliveries d
             WHERE d.alert_id = a.alert_id AND d.state = 'delivered')) AS delivered,
          (SELECT count(*) FROM alerts WHERE told = 0) AS suppressed,
          (SELECT count(*) FROM alerts a WHERE told = 1 AND NOT EXISTS (SELECT 1 FROM deliveries d
             WHERE d.alert_id = a.alert_id AND d.state = 'delivered')) AS pending,
          (SELECT count(*) FROM alerts WHERE told = 1 AND acked_ms = 0 AND rank >= ?) AS unacked,
          (SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending', 'expired'))
             AS undelivered
    """
    with reader:
        found = reader.query(sql, (int(AlertLevel.WARNING),))[0]
    return {name: int(found[name]) for name in names}


def find_alert(outbox: Outbox, alert_id: str) -> tuple[AlertRow, list[DeliveryRow]]:
    """An alert by its id or a unique beginning of it, with its deliveries.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    reader = outbox.reader()
    if reader is None:
        raise _unknown(alert_id)
    with reader:
        alert = _find(reader, alert_id)
        found = reader.rows(
            DeliveryRow.table.name, "alert_id = ?", (alert.alert_id,), order="queued_ms, channel"
        )
    return alert, [DeliveryRow(**row) for row in found]


def failing_channels(outbox: Outbox) -> list[ChannelRow]:
    """Channels that fail now."""
    reader = outbox.reader()
    if reader is None:
        return []
    with reader:
        found = reader.rows(ChannelRow.table.name, "failures > 0", order="channel")
    return [ChannelRow(**row) for row in found]


def acknowledge(
    outbox: Outbox, alert_ids: list[str], who: str, reason: str, *, same: bool = False
) -> list[AlertRow]:
    """Note that a person knows of alerts; they escalate no further.

    Parameters
    ----------
    outbox : Outbox
    alert_ids : list of str
        Ids or unique beginnings.
    who, reason : str
    same : bool
        Also all open alerts of the same component and title, of whatever level.

    Returns
    -------
    list of AlertRow
        Those that are acknowledged by this; what was so already is not among them.

    Raises
    ------
    InputError
        If one of them is unknown, or no reason is given; nothing is acknowledged then.
    """
    reason = " ".join(reason.split())[:MOST_REASON]
    if not reason:
        raise InputError("an acknowledgement needs a reason", fix="write --reason TEXT")
    wanted = {find_alert(outbox, one)[0].alert_id for one in alert_ids}
    done: dict[str, AlertRow] = {}
    with outbox.sitting() as sitting:
        for alert_id in sorted(wanted):
            alert = sitting.first(AlertRow, "alert_id = ?", (alert_id,))
            assert alert is not None
            for one in [alert, *(_same(sitting, alert) if same else [])]:
                if not one.acked_ms and one.alert_id not in done:
                    _acknowledge(sitting, one, who, reason)
                    done[one.alert_id] = one
    return list(done.values())


def open_like(outbox: Outbox, alert: AlertRow) -> int:
    """Number of open alerts of the same component and title beside this one."""
    reader = outbox.reader()
    assert reader is not None
    with reader:
        return len(reader.rows(AlertRow.table.name, _SAME, _same_values(alert)))


_SAME: Final = "acked_ms = 0 AND told = 1 AND component = ? AND title = ? AND alert_id <> ?"


def _same_values(alert: AlertRow) -> tuple[Any, ...]:
    return alert.component, alert.title, alert.alert_id


def _same(sitting: Sitting, alert: AlertRow) -> list[AlertRow]:
    return sitting.find(AlertRow, _SAME, _same_values(alert))


def _acknowledge(sitting: Sitting, alert: AlertRow, who: str, reason: str) -> None:
    alert.acked_ms, alert.acked_by, alert.ack_reason = sitting.now_ms, who, reason
    alert.escalate_ms = 0
    sitting.add(AlertAcknowledged(alert.alert_id, who, reason), alert.alert_id)
    sitting.put(alert)


def _find(reader: EventReader, alert_id: str) -> AlertRow:
    beginning = "substr(alert_id, 1, length(?)) = ?"
    found = reader.rows(AlertRow.table.name, beginning, (alert_id, alert_id), limit=2)
    if not found or not alert_id:
        raise _unknown(alert_id)
    if len(found) > 1:
        raise InputError(f"{alert_id!r} is the beginning of several alerts", fix="write more of it")
    return AlertRow(**found[0])


def _unknown(alert_id: str) -> InputError:
    return InputError(f"there is no alert {alert_id!r}", fix="genesis alerts list shows their ids")
