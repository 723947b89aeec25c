"""The writer of a run's log: numbers, chains and commits events with the rows they led to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

import apsw

from genesis.domain.clock import Clock
from genesis.domain.errors import InputError, StorageError
from genesis.trading.crash_points import no_probe
from genesis.trading.events import Event
from genesis.trading.payloads import PAYLOADS, encode
from genesis.trading.store import schema, snapshots
from genesis.trading.store.anchors import Anchor
from genesis.trading.store.archive import SEGMENT_EVENTS, archive_segments, repair
from genesis.trading.store.chain import HASH, Fields, StoredRow, link
from genesis.trading.store.lock import WriterLock
from genesis.trading.store.opening import WAL_PAGES, connect, make_private, prepare, verify_tail
from genesis.trading.store.readonly import Head
from genesis.trading.tables import Row, Table

_NAMES: Final = {cls: kind.value for kind, cls in PAYLOADS.items()}
_INSERT: Final = "INSERT INTO events VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HEAD: Final = "UPDATE head SET seq = ?, hash = ?, recorded_ms = ?"


class EventStore:
    """Single writer of a run's log. Made by `EventStore.open`; for one thread at a time."""

    def __init__(
        self,
        folder: Path,
        db: apsw.Connection,
        lock: WriterLock,
        *,
        run: str,
        tables: Sequence[Table],
        clock: Clock,
        probe: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.run = run
        self._db = db
        self._lock = lock
        self._clock = clock
        self._probe = probe
        self._insert = {table.name: schema.insert_sql(table) for table in tables}
        self._seq, self._hash, self._recorded_ms = self._stored_head()
        self._back_ms = 0
        self._steps_back = 0
        self._wal_pages = 0
        self._checkpoint_failure: StorageError | None = None

    # ---- opening and closing ---------------------------------------------------------------

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        run: str,
        tables: Sequence[Table],
        clock: Clock,
        synchronous: str = "FULL",
        probe: Callable[[str], None] = no_probe,
        quick_check: bool = False,
        born: Clock | None = None,
    ) -> Self:
        """Open the log of a run for writing; it is created when there is none.

        Parameters
        ----------
        folder : Path
            Of the run, made with mode 0700 when missing.
        run : str
            Id of the run, recorded in the log.
        tables : sequence of Table
            Tables beside the events.
        clock : Clock
            Gives ``recorded_ms``.
        synchronous : str
            ``FULL``: a commit survives a loss of power. ``NORMAL``: it survives the end of the
            process, and a loss of power takes the last moments. ``OFF`` is for benchmarks.
        probe : callable
            Called with the name of each crash point.
        quick_check : bool
            Also check the structure of the whole file, which takes a second per few 100 MB.
        born : Clock, optional
            Says when the log was created, where ``clock`` is that of a replayed market.

        Raises
        ------
        RefusedError
            If another writer holds the folder, or a later version of genesis wrote it.
        InputError
            If it is the log of another run.
        StorageError
            If it is damaged, or cannot be read or written.
        """
        if synchronous not in ("FULL", "NORMAL", "OFF"):
            raise InputError(f"unknown durability {synchronous!r}", fix="use FULL, NORMAL or OFF")
        path = folder / schema.FILE
        make_private(folder, path)
        lock = WriterLock(folder)
        try:
            db = connect(path, synchronous)
        except apsw.Error as error:
            lock.release()
            raise schema.storage_failure(f"cannot open {path}", error) from error
        try:
            prepare(db, path, run, tables, born or clock, quick_check=quick_check)
            repair(db, folder)
            store = cls(folder, db, lock, run=run, tables=tables, clock=clock, probe=probe)
            verify_tail(db, folder)
        except apsw.Error as error:
            db.close()
            lock.release()
            raise schema.storage_failure(f"cannot open {path}", error) from error
        except BaseException:
            db.close()
            lock.release()
            raise
        db.set_wal_hook(store._after_write)
        return store

    def close(self) -> None:
        """Move everything into the database file and give up the lock; safe to call twice."""
        try:
            self._db.close()
        except apsw.Error as error:
            raise schema.storage_failure(f"cannot close {self.folder}", error) from error
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- writing ---------------------------------------------------------------------------

    def commit(self, events: Sequence[Event], rows: Sequence[Row] = ()) -> None:
        """Number events and store them, with the rows, in one transaction.

        Each event receives ``seq`` and ``recorded_ms`` once it is stored. Rows of a table are
        written in their order; the same key again replaces the row.

        Raises
        ------
        StorageError
            If the disk is full, locked or failing. Nothing was stored and the events are as they
            were: the same call may be made again.
        """
        if not events and not rows:
            return
        now, back_ms = self._next_ms()
        stored = self._chained(events, now)
        head = (stored[-1][0], stored[-1][HASH], now) if stored else None
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            if head is not None:
                db.executemany(_INSERT, stored)
                db.execute(_HEAD, head)
            if rows:
                self._put(rows)
            self._probe("store.before_commit")
            db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            if head is None or self._hash != head[1]:
                if isinstance(error, apsw.Error):
                    what = f"{len(events)} events could not be stored in {self.folder}"
                    raise schema.storage_failure(what, error) from error
                raise
            # The commit stands although it was told as failed: it must not be made again.
            self._number(events, stored, back_ms)
            if not isinstance(error, apsw.Error):
                raise
        else:
            if head is not None:
                self._seq, self._hash, self._recorded_ms = head
                self._number(events, stored, back_ms)
        self._probe("store.after_commit")
        if self._wal_pages >= WAL_PAGES:
            self._tidy()

    def write_snapshot(self, seq: int, state: bytes, *, keep: int = 3) -> None:
        """Store the state after event ``seq``; only the last ``keep`` snapshots remain.

        Raises
        ------
        StorageError
        """
        try:
            snapshots.write(self._db, seq, state, keep)
        except apsw.Error as error:
            self._undo()
            raise schema.storage_failure(f"the snapshot of {seq} was not stored", error) from error

    def latest_snapshot(self, until_seq: int | None = None) -> tuple[int, bytes] | None:
        """Latest intact snapshot at or before ``until_seq``: its event number and the state."""
        try:
            return snapshots.latest(self._db, until_seq)
        except apsw.Error as error:
            raise schema.storage_failure("the snapshots cannot be read", error) from error

    def archive(
        self,
        *,
        before_seq: int | None = None,
        older_than_ms: int | None = None,
        segment_events: int = SEGMENT_EVENTS,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Anchor]:
        """Move whole segments of old events into Parquet files behind signed anchors.

        Parameters
        ----------
        before_seq : int, optional
            Only events with a smaller number.
        older_than_ms : int, optional
            Only events that were recorded before this instant.
        segment_events : int
            Events a segment; a part of one stays where it is.
        progress : callable, optional
            Called with events done and events to do.

        Returns
        -------
        list of Anchor
            Of the segments that were written.

        Raises
        ------
        StorageError
            If the log is damaged or a file cannot be written; nothing is lost.
        """
        try:
            return archive_segments(
                self._db,
                self.folder,
                before_seq=before_seq,
                older_than_ms=older_than_ms,
                segment_events=segment_events,
                probe=self._probe,
                progress=progress,
            )
        except BaseException as error:
            self._undo()
            if isinstance(error, apsw.Error):
                what = f"the events of {self.folder} could not be archived"
                raise schema.storage_failure(what, error) from error
            raise

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file, as far as readers allow.

        Raises
        ------
        StorageError
        """
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return  # a reader is at the old pages: the next commit tries again
        except apsw.Error as error:
            what = f"the write-ahead log of {self.folder} could not be taken over"
            raise schema.storage_failure(what, error) from error

    # ---- what it knows ---------------------------------------------------------------------

    @property
    def head(self) -> Head:
        """Number and hash of the last stored event; 0 and zeros before the first."""
        return Head(self._seq, self._hash)

    @property
    def recorded_ms(self) -> int:
        """Instant of the last commit; the clock of what is stored never goes back."""
        return self._recorded_ms

    @property
    def clock_behind_ms(self) -> int:
        """By how much the clock was behind ``recorded_ms`` at the last commit: it stepped back."""
        return self._back_ms

    @property
    def clock_steps_back(self) -> int:
        """How often the clock stepped back since the log was opened."""
        return self._steps_back

    @property
    def wal_pages(self) -> int:
        """Pages in the write-ahead log; it grows while a reader holds an old state."""
        return self._wal_pages

    @property
    def checkpoint_failure(self) -> StorageError | None:
        """Why the write-ahead log could not be taken over after the last commits, if it could not.

        Nothing is lost by it: what was committed stays in the write-ahead log, which grows.
        """
        return self._checkpoint_failure

    # ---- inside ----------------------------------------------------------------------------

    def _next_ms(self) -> tuple[int, int]:
        now = self._clock.now_ms()
        if now < self._recorded_ms:
            return self._recorded_ms, self._recorded_ms - now
        return now, 0

    def _chained(self, events: Sequence[Event], now: int) -> list[StoredRow]:
        seq, previous = self._seq, self._hash
        stored: list[StoredRow] = []
        for event in events:
            seq += 1
            data = event.data
            fields: Fields = (
                seq,
                _NAMES[type(data)],
                event.ts_ms,
                now,
                event.aggregate,
                event.correlation,
                event.caused_by,
                event.ordinal,
                encode(data),
            )
            previous = link(previous, fields)
            stored.append((*fields, previous))
        return stored

    def _number(self, events: Sequence[Event], stored: Sequence[StoredRow], back_ms: int) -> None:
        """Give events that are stored their numbers and the instant of their commit."""
        self._steps_back += bool(back_ms and not self._back_ms)
        self._back_ms = back_ms
        for event, row in zip(events, stored, strict=True):
            event.seq = row[0]
            event.recorded_ms = self._recorded_ms

    def _put(self, rows: Sequence[Row]) -> None:
        tables: dict[str, list[tuple[object, ...]]] = {}
        for table, values in rows:
            batch = tables.get(table)
            if batch is None:
                tables[table] = [values]
            else:
                batch.append(values)
        for table, batch in tables.items():
            self._db.executemany(self._insert[table], batch)

    def _undo(self) -> None:
        """Leave the database as it was and trust it, not memory, about what is stored."""
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._seq, self._hash, self._recorded_ms = self._stored_head()
        except apsw.Error:
            return  # the error that brought us here says more

    def _stored_head(self) -> tuple[int, bytes, int]:
        row = self._db.execute("SELECT seq, hash, recorded_ms FROM head").get
        assert isinstance(row, tuple)
        return int(row[0]), bytes(row[1]), int(row[2])

    def _tidy(self) -> None:
        """Checkpoint after a commit, which stands whether this succeeds or not."""
        try:
            self.checkpoint()
        except StorageError as error:
            self._checkpoint_failure = error
        else:
            self._checkpoint_failure = None

    def _after_write(self, db: apsw.Connection, name: str, pages: int) -> int:
        del db, name
        self._wal_pages = pages
        return int(apsw.SQLITE_OK)
