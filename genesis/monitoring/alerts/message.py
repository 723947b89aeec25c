"""An alert as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.rows import AlertRow
from genesis.monitoring.alerts.sink import OPERATIONS

_NEXT: Final[Mapping[str, str]] = {
    "halt": "genesis audit flow {run}",
    "queue": "genesis audit flow {run}",
    "watch": "genesis audit flow {run}",
    "reconcile": "genesis reconcile {run}",
    "orders": "genesis events tail {run}",
    "trading": "genesis events tail {run}",
    "deployment": "genesis events tail {run}",
}
"""First thing to look at, by component of a run's alert."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is given.

    Attributes
    ----------
    alert_id : str
        Empty for an alert that could not be stored.
    level : AlertLevel
    raised_level : str
        Level before escalations.
    component, title, text, source : str
    happened_ms : int
    suppressed : int
        Of the same, kept back before it.
    repeated : bool
        An earlier attempt may have arrived.
    instead_of : str
        Channel that failed to tell it.
    unstored : bool
        The outbox does not have it.
    """

    alert_id: str
    level: AlertLevel
    raised_level: str
    component: str
    title: str
    text: str
    source: str
    happened_ms: int
    suppressed: int = 0
    repeated: bool = False
    instead_of: str = ""
    unstored: bool = False

    @classmethod
    def of(
        cls, row: AlertRow, rank: int, *, repeated: bool = False, instead_of: str = ""
    ) -> Message:
        """Message of a stored alert at one of its levels."""
        return cls(
            row.alert_id,
            AlertLevel(rank),
            row.raised_level,
            row.component,
            row.title,
            row.text,
            row.source,
            row.happened_ms,
            row.suppressed,
            repeated,
            instead_of,
        )

    @property
    def headline(self) -> str:
        """One line."""
        again = " (possibly a repetition)" if self.repeated else ""
        return f"[{self.level.word.upper()}] {self.component}: {self.title}{again}"

    @property
    def body(self) -> str:
        """Everything else, a line each."""
        lines = [self.text] if self.text else []
        lines.append(f"source: {self.source}, at {instant(self.happened_ms)}")
        lines += self.remarks()
        if self.source != OPERATIONS and self.component in _NEXT:
            lines.append(f"next: {_NEXT[self.component].format(run=self.source)}")
        if self.alert_id and self.level > AlertLevel.INFO:
            lines.append(f"acknowledge: genesis alerts ack {self.alert_id} --reason TEXT")
        return "\n".join(lines)

    def remarks(self) -> list[str]:
        """What is special about this message."""
        found = []
        if self.level.word != self.raised_level:
            found.append(f"raised as {self.raised_level} and acknowledged by nobody since")
        if self.suppressed:
            found.append(f"{self.suppressed} of the same were kept back before it")
        if self.repeated:
            found.append("an earlier attempt to send it may have arrived")
        if self.instead_of:
            found.append(f"channel {self.instead_of} failed to tell it")
        if self.unstored:
            found.append("it could not be stored: look at the workspace's disk and at its load")
        return found

    def plain(self) -> dict[str, Any]:
        """A line of the file channel."""
        return {
            "alert_id": self.alert_id,
            "level": self.level.word,
            "raised_level": self.raised_level,
            "component": self.component,
            "title": self.title,
            "text": self.text,
            "source": self.source,
            "happened_ms": self.happened_ms,
            "suppressed": self.suppressed,
            "repeated": self.repeated,
            "instead_of": self.instead_of,
            "unstored": self.unstored,
        }


def instant(ts_ms: int) -> str:
    """``2025-01-31 12:00:00Z``."""
    return f"{datetime.fromtimestamp(ts_ms / 1000, tz=UTC):%Y-%m-%d %H:%M:%SZ}"
