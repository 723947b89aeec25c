"""Alerts while the outbox cannot be written: told at once all the same, stored when it can be."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from genesis.domain.clock import Clock
from genesis.monitoring.alerts.intake import one_line, printable
from genesis.monitoring.alerts.lanes import Job, Lane
from genesis.monitoring.alerts.levels import level_of
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.sink import RaisedAlert
from genesis.monitoring.alerts.throttle import is_told

_REMARK = "(possibly a repetition: it was sent before it could be stored)"


class Unstored:
    """Brings alerts to the channels without the outbox.

    Windows of silence hold here too, from memory. Nothing is tried twice: an alert is delivered
    properly once it is stored, and then says that it may be a repetition.

    Parameters
    ----------
    lanes : sequence of Lane
    clock : Clock
    """

    def __init__(self, lanes: Sequence[Lane], clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock
        self._waiting: dict[str, deque[Job]] = {lane.slot.name: deque() for lane in lanes}
        self._seen: dict[int, RaisedAlert] = {}
        self._sent: set[int] = set()
        self._told_ms: dict[tuple[int, str, str], int] = {}

    def message(self, alert: RaisedAlert) -> Message:
        """Message of an alert that has no id."""
        level = level_of(alert.level)
        return Message(
            "",
            level,
            level.word,
            one_line(alert.component),
            one_line(alert.title),
            printable(alert.text),
            one_line(alert.source),
            alert.happened_ms,
            unstored=True,
        )

    def tell(self, alerts: Iterable[RaisedAlert], trouble: str) -> None:
        """Queue what was not seen before, and start idle lanes."""
        now = self._clock.now_ms()
        for alert in alerts:
            if id(alert) in self._seen:
                continue
            self._seen[id(alert)] = alert
            level = level_of(alert.level)
            key = (int(level), alert.component, alert.title)
            if is_told(level, self._told_ms.get(key), now):
                self._told_ms[key] = now
                self._sent.add(id(alert))
                self._queue(alert, trouble)
        for lane in self._lanes:
            waiting = self._waiting[lane.slot.name]
            if waiting and not lane.busy:
                lane.start(waiting.popleft())

    def marked(self, alerts: Iterable[RaisedAlert]) -> list[RaisedAlert]:
        """Alerts as they are stored; what was sent before says so."""
        return [
            replace(one, text=f"{one.text}\n{_REMARK}".strip()) if id(one) in self._sent else one
            for one in alerts
        ]

    def drop(self, alert: RaisedAlert) -> None:
        """It will not be stored: forget it."""
        self._seen.pop(id(alert), None)
        self._sent.discard(id(alert))

    def forget(self) -> None:
        """They are stored: from here on the outbox delivers."""
        self._seen.clear()
        self._sent.clear()
        for waiting in self._waiting.values():
            waiting.clear()

    def _queue(self, alert: RaisedAlert, trouble: str) -> None:
        message = self.message(alert)
        message = replace(message, text=f"{message.text}\nthe outbox: {trouble}".strip())
        for lane in self._lanes:
            if message.level >= lane.slot.level:
                self._waiting[lane.slot.name].append(Job(message, stored=False))
