"""Reading a run's log, from the process that writes it or any other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

from genesis.domain.errors import StorageError
from genesis.trading.events import Event
from genesis.trading.store import snapshots
from genesis.trading.store.chain import StoredRow, event_of
from genesis.trading.store.readonly import Head, ReadOnlyFile
from genesis.trading.store.segments import Segments
from genesis.trading.store.selection import Selection, type_names

PAGE: Final = 2_000
"""Events read at once; no read transaction outlives a page, so that the writer is never held up."""


class Page(NamedTuple):
    """What one read transaction saw.

    Attributes
    ----------
    rows : list of StoredRow
        Empty where the page lies in the archive.
    archived_seq : int
        Events up to this number are in the archive.
    head : Head
    """

    rows: list[StoredRow]
    archived_seq: int
    head: Head


class EventReader(ReadOnlyFile):
    """Read-only view of a run; for one thread at a time.

    Parameters
    ----------
    folder : Path
        Of the run.

    Raises
    ------
    StorageError
        If there is no log, or it cannot be read.
    RefusedError
        If a later version of genesis wrote it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.segments = Segments(folder)

    # ---- events ----------------------------------------------------------------------------

    def events(
        self,
        start: int = 1,
        until: int | None = None,
        *,
        types: Collection[str] | None = None,
        aggregate: str | None = None,
        correlation: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[Event]:
        """Iterate over events in the order of the log, archived ones included.

        Parameters
        ----------
        start, until : int
            First and last number; the last event at the time of the call when left out.
        types : collection of EventType or str, optional
            Any of these.
        aggregate, correlation : str, optional
        since_ms, until_ms : int, optional
            Bounds of ``ts_ms``, both inclusive.
        limit : int, optional
            Most events.
        newest_first : bool
            Begin at the end.

        Raises
        ------
        StorageError
            While iterating, at what is missing or cannot be read.
        """
        selection = Selection(type_names(types), aggregate, correlation, since_ms, until_ms)
        rows = self._rows_between(max(start, 1), until, selection, newest_first=newest_first)
        for count, row in enumerate(rows):
            if limit is not None and count >= limit:
                return
            yield event_of(row)

    def event(self, seq: int) -> Event | None:
        """One event by its number, None if there is none."""
        return next(self.events(seq, seq), None)

    def count(self, types: Collection[str] | None = None) -> int:
        """Number of events of these types, of all when left out; archived ones included."""
        if types is None:
            return self.head.seq
        selection = Selection(type_names(types))
        if not selection.types:
            return 0
        with self.errors(), self.transaction():
            archived_seq = self.stored_archived_seq()
            marks = ", ".join("?" * len(selection.types))
            sql = f"SELECT count(*) FROM events WHERE type IN ({marks})"  # noqa: S608
            live = self.db.execute(sql, selection.types).get
        assert isinstance(live, int)
        total, seq = live, 1
        while seq <= archived_seq:
            anchor = self.segments.holding(seq)
            total += len(self.segments.rows(anchor, selection))
            seq = anchor.last + 1
        return total

    @property
    def head(self) -> Head:
        """Number and hash of the last event."""
        with self.errors():
            return self.stored_head()

    @property
    def archived_seq(self) -> int:
        """Number of the last event that is in the archive, 0 if none is."""
        with self.errors():
            return self.stored_archived_seq()

    def latest_snapshot(self, until_seq: int | None = None) -> tuple[int, bytes] | None:
        """Latest intact snapshot at or before ``until_seq``: its event number and the state."""
        with self.errors():
            return snapshots.latest(self.db, until_seq)

    # ---- for those who look closer ---------------------------------------------------------

    def page(self, low: int, high: int, selection: Selection, *, newest_first: bool) -> Page:
        """Read wanted live events between two numbers, a page at most, in one transaction.

        Raises
        ------
        StorageError
        """
        sql, values = selection.query(newest_first=newest_first)
        values |= {"low": low, "high": high, "limit": PAGE}
        with self.errors(), self.transaction():
            archived_seq = self.stored_archived_seq()
            first = high if newest_first else low
            rows = [] if first <= archived_seq else self.db.execute(sql, values).fetchall()
            return Page(cast(list[StoredRow], rows), archived_seq, self.stored_head())

    def snapshot_rows(self) -> list[tuple[int, int, bytes, bytes]]:
        """Stored snapshots: event number, size, SHA-256, compressed state."""
        with self.errors():
            rows = self.db.execute("SELECT * FROM snapshots ORDER BY seq").fetchall()
        return cast(list[tuple[int, int, bytes, bytes]], rows)

    # ---- inside ----------------------------------------------------------------------------

    def _rows_between(
        self, low: int, until: int | None, selection: Selection, *, newest_first: bool
    ) -> Iterator[StoredRow]:
        last = self.head.seq
        high = last if until is None else min(until, last)
        archived_seq = self.archived_seq
        floor, ceiling = self._live_span(selection)
        # Of live events only those whose time fits are looked at; the archive knows its times.
        if low > archived_seq:
            low = max(low, floor)
        if high > archived_seq:
            high = min(high, max(ceiling, archived_seq))
        yield from (self._backwards if newest_first else self._forwards)(low, high, selection)

    def _forwards(self, low: int, high: int, selection: Selection) -> Iterator[StoredRow]:
        while low <= high:
            page = self.page(low, high, selection, newest_first=False)
            if low <= page.archived_seq:
                anchor = self.segments.holding(low)
                rows = self.segments.rows(anchor, selection)
                yield from (row for row in rows if low <= row[0] <= high)
                low = anchor.last + 1
                continue
            self._require_whole(page.rows, low, high, selection)
            yield from page.rows
            if len(page.rows) < PAGE:
                return
            low = page.rows[-1][0] + 1

    def _backwards(self, low: int, high: int, selection: Selection) -> Iterator[StoredRow]:
        while low <= high:
            page = self.page(low, high, selection, newest_first=True)
            if high <= page.archived_seq:
                anchor = self.segments.holding(high)
                rows = self.segments.rows(anchor, selection)
                yield from (row for row in reversed(rows) if low <= row[0] <= high)
                high = anchor.first - 1
                continue
            yield from page.rows
            full = len(page.rows) == PAGE
            high = page.rows[-1][0] - 1 if full else page.archived_seq

    def _live_span(self, selection: Selection) -> tuple[int, int]:
        """Numbers between which the live events of a span of time lie."""
        if selection.timeless or selection.keyed:
            return 1, 2**63 - 1
        sql = "SELECT min(seq), max(seq) FROM events WHERE ts_ms BETWEEN ? AND ?"
        with self.errors():
            found = self.db.execute(sql, selection.span).get
        assert isinstance(found, tuple)
        return (found[0], found[1]) if found[0] is not None else (1, 0)

    def _require_whole(
        self, rows: list[StoredRow], low: int, high: int, selection: Selection
    ) -> None:
        """Refuse to pass over a gap: what follows would be replayed on another state."""
        if not selection.everything:
            return
        wanted = min(high - low + 1, PAGE)
        gap = next((low + i for i, row in enumerate(rows) if row[0] != low + i), low + len(rows))
        if gap < low + wanted:
            raise StorageError(
                f"event {gap} is missing from {self.path}",
                why="the numbers of a log have no gap unless something was removed",
                fix="genesis events verify RUN tells more; restore the run from a backup",
            )
