"""The outbox of a workspace: an event store that several processes write in short sittings.

What is in it survives every crash, and its hash chain shows later edits. A sitting holds the lock
of the store, reads the tables and commits what it decides; nothing slow happens within it, no
network above all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from genesis.domain.clock import Clock
from genesis.domain.errors import StorageError
from genesis.monitoring.alerts.rows import TABLES, StoredRow
from genesis.trading.crash_points import no_probe
from genesis.trading.events import Event, Payload
from genesis.trading.store import EventReader, EventStore
from genesis.trading.store.lock import WriterBusyError
from genesis.trading.store.schema import FILE
from genesis.trading.tables import Row

FOLDER: Final = "alerts"
RUN: Final = "alerts"
_TRIES: Final = 500
_PAUSE_S: Final = 0.01
"""A sitting takes milliseconds: who cannot have one within five seconds will not get one."""
_READ_TRIES: Final = 20

R = TypeVar("R", bound=StoredRow)


class Sitting:
    """The right to read and write the outbox; see `Outbox.sitting`."""

    def __init__(self, store: EventStore, reader: EventReader, now_ms: int) -> None:
        self.now_ms = now_ms
        self._store = store
        self._reader = reader
        self._events: list[Event] = []
        self._rows: list[Row] = []

    def find(
        self,
        cls: type[R],
        where: str = "",
        bindings: Sequence[object] = (),
        *,
        order: str = "",
        limit: int | None = None,
    ) -> list[R]:
        """Committed rows of a table that meet an SQL condition."""
        found = self._reader.rows(cls.table.name, where, bindings, order=order, limit=limit)
        return [cls(**row) for row in found]

    def first(
        self, cls: type[R], where: str, bindings: Sequence[object], order: str = ""
    ) -> R | None:
        """First of them."""
        return next(iter(self.find(cls, where, bindings, order=order, limit=1)), None)

    def number(self, sql: str, bindings: Sequence[object] = ()) -> int:
        """Single number that a statement gives, 0 for none."""
        found = self._reader.query(sql, bindings)
        value: Any = next(iter(found[0].values())) if found else 0
        return int(value or 0)

    @property
    def next_seq(self) -> int:
        """Number of the next event that is added."""
        return self._store.head.seq + len(self._events) + 1

    def add(self, payload: Payload, about: str) -> None:
        """Write an event at the next commit."""
        self._events.append(Event(payload, self.now_ms, about))

    def put(self, row: StoredRow) -> None:
        """Write a row at the next commit."""
        self._rows.append(row.row())

    def commit(self) -> None:
        """Store what was added, all of it or nothing.

        Raises
        ------
        StorageError
        """
        events, self._events = self._events, []
        rows, self._rows = self._rows, []
        self._store.commit(events, rows)


class Outbox:
    """Alerts of a workspace.

    Parameters
    ----------
    home : Path
        The workspace; the outbox is its folder ``alerts``.
    clock : Clock
    probe : callable
        Called with the name of each crash point.
    """

    def __init__(
        self, home: Path, clock: Clock, *, probe: Callable[[str], None] = no_probe
    ) -> None:
        self.folder = home / FOLDER
        self._clock = clock
        self._probe = probe

    @contextmanager
    def sitting(self) -> Iterator[Sitting]:
        """Hold the outbox for a moment; what was added and not committed is committed at the end.

        Raises
        ------
        RefusedError
            If other processes do not let go of it, or a later version of genesis wrote it.
        StorageError
            If it cannot be read or written; nothing was stored then.
        """
        with self._open() as store, EventReader(self.folder) as reader:
            sitting = Sitting(store, reader, self._clock.now_ms())
            yield sitting
            sitting.commit()

    def reader(self) -> EventReader | None:
        """Read-only view of the outbox, None before the first alert.

        Raises
        ------
        StorageError
            If it cannot be read.
        """
        for left in reversed(range(_READ_TRIES)):
            if not (self.folder / FILE).is_file():
                return None
            try:
                found = EventReader(self.folder)
                if TABLES[-1].name in found.tables():
                    return found
                found.close()
            except StorageError:
                if not left:
                    raise
            time.sleep(_PAUSE_S)  # another process is laying it out at this moment
        return None  # whoever began it was killed before the first alert was in it

    def _open(self) -> EventStore:
        for left in reversed(range(_TRIES)):
            try:
                return EventStore.open(
                    self.folder, run=RUN, tables=TABLES, clock=self._clock, probe=self._probe
                )
            except WriterBusyError:
                if not left:
                    raise
                time.sleep(_PAUSE_S)
        raise AssertionError("unreachable")
