"""Opening a log for writing: its folder, its file, its tables, and whether its end is sound."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw

from genesis.domain.clock import Clock
from genesis.domain.errors import InputError, StorageError
from genesis.trading.store import schema
from genesis.trading.store.chain import HASH, continues
from genesis.trading.store.readonly import BUSY_MS
from genesis.trading.tables import Table

WAL_PAGES: Final = 4_000
"""Pages in the write-ahead log at which they are moved into the database (about 16 MB).

A commit of one event writes about ten, and moving them takes two more forced writes: at a thousand
pages that is once in a hundred commits, and late is then one event in a hundred."""
TAIL: Final = 1_000
"""Events whose chain is checked when a log is opened."""


def verify_tail(db: apsw.Connection, folder: Path) -> None:
    """Check the last events, where an unclean end would show.

    Raises
    ------
    StorageError
        Naming the first event that is not what its hash says.
    """
    head = db.execute("SELECT seq, hash, archived_seq, archived_hash FROM head").get
    assert isinstance(head, tuple)
    first = max(head[0] - TAIL, 1)
    rows = schema.stored_rows(db, "seq >= ? ORDER BY seq", (first,))
    expected, previous = head[2] + 1, head[3]
    if rows and rows[0][0] > expected and rows[0][0] == first:
        expected, previous = rows[0][0] + 1, rows.pop(0)[HASH]
    for row in rows:
        if row[0] != expected or not continues(previous, row):
            raise _damaged(folder, expected)
        expected, previous = row[0] + 1, row[HASH]
    if (expected - 1, previous) != (head[0], head[1]):
        raise _damaged(folder, min(expected, head[0]))


def _damaged(folder: Path, seq: int) -> StorageError:
    return StorageError(
        f"the log in {folder} is damaged at event {seq}",
        why="it is missing or not what its hash says",
        fix=f"genesis events verify {folder.name} tells more; restore the folder from a backup",
    )


def make_private(folder: Path, path: Path) -> None:
    """Make folder and file readable by their owner alone, before SQLite would choose the mode."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}",
            why=error.strerror or str(error),
            fix="check that the folder is yours to write, and that the disk has space",
        ) from error


def connect(path: Path, synchronous: str) -> apsw.Connection:
    """Open the file for writing, in write-ahead mode, with our settings."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    db.set_busy_timeout(BUSY_MS)
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", synchronous)
    db.pragma("wal_autocheckpoint", 0)  # `commit` does it, where its time is accounted for
    db.pragma("journal_size_limit", 4 * WAL_PAGES * 4096)
    db.pragma("cache_size", -16_000)
    db.pragma("trusted_schema", 0)
    return db


def prepare(
    db: apsw.Connection,
    path: Path,
    run: str,
    tables: Sequence[Table],
    born: Clock,
    *,
    quick_check: bool,
) -> None:
    """Lay the file out, or make sure that it is the log of this run in a schema that we know.

    Raises
    ------
    StorageError, RefusedError, InputError
        As `genesis.trading.store.EventStore.open` says.
    """
    if schema.version_of(db) == 0 and db.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        schema.create(db, run, born.now_ms())
    schema.check_version(db, path)
    stored = db.execute("SELECT value FROM meta WHERE key = 'run'").get
    if stored != run:
        raise InputError(
            f"{path} is the log of the run {stored}, not of {run}",
            fix="name that run, or give the new run a folder of its own",
        )
    if quick_check:
        found = db.pragma("quick_check")
        if found != "ok":
            raise StorageError(
                f"{path} is damaged",
                why=str(found),
                fix="restore the folder of the run from a backup",
            )
    db.execute("BEGIN IMMEDIATE")
    schema.ensure_tables(db, tables)
    db.execute("COMMIT")
