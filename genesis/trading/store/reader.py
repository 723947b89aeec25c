"""Reading a run's log, from the process that writes it or any other."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, cast

import apsw

from genesis.domain.errors import InputError, StorageError
from genesis.trading.events import Event
from genesis.trading.store import schema, snapshots
from genesis.trading.store.chain import StoredRow, event_of
from genesis.trading.store.segments import Segments
from genesis.trading.store.selection import Selection, type_names

PAGE: Final = 2_000
"""Events read at once; no read transaction outlives a page, so that the writer is never held up."""
BUSY_MS: Final = 5_000


class Head(NamedTuple):
    """Last event of a log: its number and hash."""

    seq: int
    hash: bytes


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


class EventReader:
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
        self.folder = folder
        self.path = folder / schema.FILE
        self.segments = Segments(folder)
        if not self.path.is_file():
            raise StorageError(
                f"there is no log in {folder}", fix="genesis events tail names the runs there are"
            )
        with self.errors():
            self._db = _connect(self.path)
            try:
                schema.check_version(self._db, self.path)
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        with self.errors(), self._transaction():
            archived_seq = self._archived_seq()
            marks = ", ".join("?" * len(selection.types))
            sql = f"SELECT count(*) FROM events WHERE type IN ({marks})"  # noqa: S608
            live = self._db.execute(sql, selection.types).get
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
            return self._head()

    @property
    def archived_seq(self) -> int:
        """Number of the last event that is in the archive, 0 if none is."""
        with self.errors():
            return self._archived_seq()

    @property
    def meta(self) -> dict[str, str]:
        """What the log says about itself: ``run``, ``created_ms``."""
        with self.errors():
            rows = self._db.execute("SELECT key, value FROM meta").fetchall()
        return dict(cast(list[tuple[str, str]], rows))

    def latest_snapshot(self, until_seq: int | None = None) -> tuple[int, bytes] | None:
        """Latest intact snapshot at or before ``until_seq``: its event number and the state."""
        with self.errors():
            return snapshots.latest(self._db, until_seq)

    # ---- the other tables ------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Names of the tables beside the events."""
        sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        with self.errors():
            names = [str(name) for (name,) in self._db.execute(sql)]
        return [name for name in names if name not in schema.OWN_TABLES]

    def rows(
        self,
        table: str,
        where: str = "",
        bindings: Sequence[object] | Mapping[str, object] = (),
        *,
        order: str = "",
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of a table, by column name.

        Parameters
        ----------
        table : str
        where : str
            SQL condition with ``?`` or ``:name`` for each value.
        bindings : sequence or mapping
            Those values.
        order : str
            SQL, such as ``ts_ms DESC``.
        limit : int, optional

        Raises
        ------
        InputError
            If there is no such table.
        StorageError
            If it cannot be read.
        """
        if table not in self.tables():
            raise InputError(
                f"the log of {self.folder.name} has no table {table!r}",
                fix=f"it has {', '.join(self.tables()) or 'none beside the events'}",
            )
        sql = f"SELECT * FROM {table}"  # noqa: S608
        sql += f" WHERE {where}" if where else ""
        sql += f" ORDER BY {order}" if order else ""
        sql += f" LIMIT {int(limit)}" if limit is not None else ""
        return self.query(sql, bindings)

    def query(
        self, sql: str, bindings: Sequence[object] | Mapping[str, object] = ()
    ) -> list[dict[str, Any]]:
        """Answer of any SQL statement that reads, by column name; live events only.

        Raises
        ------
        StorageError
            If SQLite refuses it.
        """
        with self.errors():
            cursor = self._db.execute(sql, cast(Any, bindings))
            try:
                names = [column[0] for column in cursor.get_description()]
            except apsw.ExecutionCompleteError:
                return []  # no row, and then SQLite does not say what its columns would be
            return [dict(zip(names, row, strict=True)) for row in cursor]

    # ---- for those who look closer ---------------------------------------------------------

    def page(self, low: int, high: int, selection: Selection, *, newest_first: bool) -> Page:
        """Read wanted live events between two numbers, a page at most, in one transaction.

        Raises
        ------
        StorageError
        """
        sql, values = selection.query(newest_first=newest_first)
        values |= {"low": low, "high": high, "limit": PAGE}
        with self.errors(), self._transaction():
            archived_seq = self._archived_seq()
            first = high if newest_first else low
            rows = [] if first <= archived_seq else self._db.execute(sql, values).fetchall()
            return Page(cast(list[StoredRow], rows), archived_seq, self._head())

    def integrity(self) -> str:
        """Verdict of SQLite on the structure of the file: ``ok``, or its first complaint."""
        with self.errors():
            return str(self._db.execute("PRAGMA integrity_check(1)").get)

    def snapshot_rows(self) -> list[tuple[int, int, bytes, bytes]]:
        """Stored snapshots: event number, size, SHA-256, compressed state."""
        with self.errors():
            rows = self._db.execute("SELECT * FROM snapshots ORDER BY seq").fetchall()
        return cast(list[tuple[int, int, bytes, bytes]], rows)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of SQLite into ours, text that is no UTF-8 included."""
        try:
            yield
        except apsw.Error as error:
            raise schema.storage_failure(f"cannot read {self.path}", error) from error
        except UnicodeDecodeError as error:
            raise StorageError(
                f"cannot read {self.path}",
                why="the file is damaged: a text in it is no text",
                fix="genesis events verify RUN names the event; restore the rest from a backup",
            ) from error

    # ---- inside ----------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _head(self) -> Head:
        row = self._db.execute("SELECT seq, hash FROM head").get
        if not (isinstance(row, tuple) and isinstance(row[0], int) and isinstance(row[1], bytes)):
            raise _no_head(self.path)
        return Head(row[0], row[1])

    def _archived_seq(self) -> int:
        seq = self._db.execute("SELECT archived_seq FROM head").get
        if not isinstance(seq, int):
            raise _no_head(self.path)
        return seq

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
            found = self._db.execute(sql, selection.span).get
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


def _no_head(path: Path) -> StorageError:
    return StorageError(
        f"cannot read {path}",
        why="the file is damaged: its head is missing",
        fix="restore events.db and events.db-wal together from a backup",
    )


def _connect(path: Path) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READONLY
    db = apsw.Connection(str(path), flags=flags)
    try:
        _settle(db)
    except apsw.CantOpenError:
        db.close()
        if path.with_name(f"{path.name}-wal").exists() or os.access(path.parent, os.W_OK):
            raise
        # A copy on a read-only disk: nobody can write it, so nothing has to be locked.
        uri = f"{path.absolute().as_uri()}?immutable=1"
        db = apsw.Connection(uri, flags=flags | apsw.SQLITE_OPEN_URI)
        _settle(db)
    except BaseException:
        db.close()
        raise
    return db


def _settle(db: apsw.Connection) -> None:
    db.set_busy_timeout(BUSY_MS)
    db.pragma("query_only", 1)
    db.pragma("trusted_schema", 0)
    db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
