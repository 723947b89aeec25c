"""Alerts of a trading run, taken from its log: each exactly once, whatever restarts.

The log is only read. How far it was read stands in the outbox, in the same transaction as the
alerts themselves; so two processes that follow the same run do not take anything twice either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from genesis.domain.errors import GenesisError
from genesis.monitoring.alerts.intake import enter
from genesis.monitoring.alerts.outbox import Sitting
from genesis.monitoring.alerts.rows import AlertRow, SourceRow
from genesis.monitoring.alerts.sink import RaisedAlert
from genesis.trading.events import EventType
from genesis.trading.payloads import AlertRaised
from genesis.trading.store import EventReader
from genesis.trading.store.schema import FILE

MOST: Final = 500
"""Alerts at once."""
PATIENCE: Final = 10
"""Failures in a row that are an alert: a log that is being laid out is unreadable for a moment."""

Mark = Callable[[list[RaisedAlert]], list[RaisedAlert]]


class AlertFeed:
    """Follows the log of a run; for one thread at a time.

    Parameters
    ----------
    folder : Path
        Of the run; its log may still have to appear.
    from_now : bool
        A run that was never followed is followed from its present end, not from its beginning.
    """

    def __init__(self, folder: Path, *, from_now: bool = False) -> None:
        self.folder = folder
        self.source = folder.name
        self._from_now = from_now
        self._reader: EventReader | None = None
        self._seen: int | None = None
        self._until = 0
        self._batch: list[RaisedAlert] = []
        self._failures = 0

    def read(self) -> list[RaisedAlert]:
        """New alerts in the log, at most `MOST`; nothing before `take` was called once.

        The same ones again until `taken` says that they are stored. A log that cannot be read
        `PATIENCE` times in a row is an alert too, once.
        """
        if self._seen is None or self._batch:
            return self._batch
        try:
            found = self._new(self._seen)
        except GenesisError as error:
            self._let_go()
            self._failures += 1
            if self._failures != PATIENCE:
                return []
            title = f"the alerts of {self.source} cannot be followed"
            found = [RaisedAlert("critical", "alerts", title, f"{error.what}: {error.why}")]
        else:
            self._failures = 0
        self._batch = found
        return found

    def take(self, sitting: Sitting, mark: Mark = list) -> list[AlertRow]:
        """Enter what was read, but for what the outbox has from there already.

        Parameters
        ----------
        sitting : Sitting
        mark : callable
            Gives the alerts as they are to be stored.
        """
        stored = sitting.first(SourceRow, "source = ?", (self.source,))
        if self._seen is None:
            self._begin(sitting, stored)
            return []
        at = stored.seq if stored is not None else 0
        fresh = [one for one in self._batch if not one.source_seq or one.source_seq > at]
        last = max([one.source_seq for one in fresh], default=at)
        if last > at:
            sitting.put(SourceRow(self.source, last))
        return enter(sitting, mark(fresh))

    def taken(self) -> None:
        """What `take` entered is stored: go on behind it."""
        if self._batch and self._seen is not None:
            self._seen = max(self._seen, self._until)
        self._batch = []

    def close(self) -> None:
        """Let go of the log."""
        self._let_go()

    def _begin(self, sitting: Sitting, stored: SourceRow | None) -> None:
        self._seen = stored.seq if stored is not None else 0
        if stored is None and self._from_now and (self.folder / FILE).is_file():
            with EventReader(self.folder) as reader:
                self._seen = reader.head.seq
            sitting.put(SourceRow(self.source, self._seen))

    def _new(self, seen: int) -> list[RaisedAlert]:
        if self._reader is None:
            if not (self.folder / FILE).is_file():
                return []
            self._reader = EventReader(self.folder)
        head = self._reader.head.seq
        if head == seen:
            return []
        found = []
        events = self._reader.events(seen + 1, head, types=[EventType.ALERT_RAISED], limit=MOST)
        for event in events:
            data = event.data
            assert isinstance(data, AlertRaised)
            about = f"\nabout: {event.aggregate}" if event.aggregate else ""
            found.append(
                RaisedAlert(
                    data.level,
                    data.category,
                    data.title,
                    f"{data.text}{about}",
                    self.source,
                    event.ts_ms,
                    event.seq,
                )
            )
        self._until = found[-1].source_seq if len(found) == MOST else head
        if not found:
            self._seen = head
        return found

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
