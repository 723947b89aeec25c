"""The SQLite file of a trading run: its tables, how it is opened, what its errors mean.

Besides the tables here it holds those that `genesis.trading.tables.Table` declares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import apsw

from genesis.domain.errors import RefusedError, StorageError
from genesis.trading.store.chain import START, StoredRow
from genesis.trading.tables import Table

VERSION: Final = 1
APPLICATION: Final = 0x47454E45
"""Marks the file as ours, for `file` and for us ("GENE")."""
FILE: Final = "events.db"
_TYPES: Final = ("INTEGER", "REAL", "TEXT", "BLOB", "ANY")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z")
OWN_TABLES: Final = ("events", "head", "meta", "snapshots")

# The rowid is part of every index, so each of these finds events by key in the order of the log.
_SCHEMA: Final = """
CREATE TABLE events(
    seq INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    ts_ms INTEGER NOT NULL,
    recorded_ms INTEGER NOT NULL,
    aggregate TEXT NOT NULL,
    correlation TEXT NOT NULL,
    caused_by INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    body BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX events_type ON events(type);
CREATE INDEX events_aggregate ON events(aggregate) WHERE aggregate <> '';
CREATE INDEX events_correlation ON events(correlation) WHERE correlation <> '';
CREATE INDEX events_ts ON events(ts_ms);
CREATE TABLE head(
    id INTEGER PRIMARY KEY CHECK (id = 0),
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    recorded_ms INTEGER NOT NULL,
    archived_seq INTEGER NOT NULL,
    archived_hash BLOB NOT NULL
) STRICT;
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots(
    seq INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    state BLOB NOT NULL
) STRICT;
"""


def create(db: apsw.Connection, run: str, now_ms: int) -> None:
    """Lay out an empty database in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    db.execute(_SCHEMA)
    db.execute("INSERT INTO head VALUES(0, 0, ?, 0, 0, ?)", (START, START))
    rows = [("run", run), ("created_ms", str(now_ms))]
    db.executemany("INSERT INTO meta VALUES(?, ?)", rows)
    db.execute(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def version_of(db: apsw.Connection) -> int:
    """Schema version of a database, 0 for an empty one."""
    return int(db.pragma("user_version"))


def check_version(db: apsw.Connection, path: Path) -> None:
    """Refuse a database of another kind or of a later version.

    Raises
    ------
    StorageError
        If it is no event store.
    RefusedError
        If a later version of genesis wrote it.
    """
    if db.pragma("application_id") != APPLICATION:
        raise StorageError(
            f"{path} is no event store of genesis",
            fix="name the folder of a trading run, which holds its events.db",
        )
    if version_of(db) > VERSION:
        raise RefusedError(
            f"{path} was written by a later version of genesis",
            why=f"its schema is {version_of(db)}, this version knows {VERSION}",
            fix="install that version, or read a copy exported with it: genesis events export",
        )


def ensure_tables(db: apsw.Connection, tables: Sequence[Table]) -> None:
    """Create the declared tables that are missing, and columns that were added at their end.

    Raises
    ------
    StorageError
        If a declaration is not valid, or the stored table is another one.
    """
    for table in tables:
        _check_declaration(table)
        stored = [str(row[1]) for row in db.execute(f"PRAGMA table_info({table.name})")]
        declared = list(table.columns)
        if not stored:
            db.execute(_table_sql(table))
        elif stored != declared[: len(stored)]:
            raise StorageError(
                f"the stored table {table.name} has other columns than this version declares",
                why=f"stored: {', '.join(stored)}; declared: {', '.join(declared)}",
                fix="go on with the version of genesis that began the run",
            )
        for name in declared[len(stored) :] if stored else ():
            db.execute(f"ALTER TABLE {table.name} ADD COLUMN {name} {table.columns[name]}")
        for columns in table.indexes:
            name = f"{table.name}_{'_'.join(columns)}"
            db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table.name}({', '.join(columns)})")


def stored_rows(
    db: apsw.Connection, condition: str, bindings: tuple[object, ...]
) -> list[StoredRow]:
    """Rows of the table of events that meet a condition, which may order and limit them."""
    found = db.execute(f"SELECT * FROM events WHERE {condition}", bindings).fetchall()  # noqa: S608
    return cast(list[StoredRow], found)


def insert_sql(table: Table) -> str:
    """Statement that puts a row into a declared table, replacing one with the same key."""
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT OR REPLACE INTO {table.name}({', '.join(table.columns)}) VALUES({marks})"


def _table_sql(table: Table) -> str:
    columns = ", ".join(f"{name} {kind}" for name, kind in table.columns.items())
    key = ", ".join(table.key)
    return f"CREATE TABLE {table.name}({columns}, PRIMARY KEY({key})) STRICT, WITHOUT ROWID"


def _check_declaration(table: Table) -> None:
    problems = [
        f"{name!r} is no name of lower case letters, digits and underscores"
        for name in (table.name, *table.columns)
        if not _NAME.match(name)
    ]
    problems += [
        f"column {name} has type {kind!r}, not one of {', '.join(_TYPES)}"
        for name, kind in table.columns.items()
        if kind not in _TYPES
    ]
    used = {*table.key, *(name for columns in table.indexes for name in columns)}
    problems += [f"there is no column {name}" for name in sorted(used - set(table.columns))]
    if not table.key:
        problems.append("it has no key")
    if table.name in OWN_TABLES or table.name.startswith("sqlite_"):
        problems.append("its name is one of the store's own")
    if problems:
        raise StorageError(
            f"the table {table.name!r} cannot be stored",
            why="; ".join(problems),
            fix="correct its declaration (genesis.trading.tables.Table)",
        )


def storage_failure(what: str, error: apsw.Error) -> StorageError:
    """Turn an error of SQLite into one that names cause and remedy."""
    for kind, why, fix in _CAUSES:
        if isinstance(error, kind):
            return StorageError(what, why=why or str(error), fix=fix)
    return StorageError(what, why=str(error), fix="genesis events verify RUN tells what is wrong")


_CAUSES: Final[tuple[tuple[type[apsw.Error], str, str], ...]] = (
    (
        apsw.FullError,
        "the disk is full",
        "free space on that disk and try again; nothing of this step was stored",
    ),
    (
        apsw.BusyError,
        "another program holds a lock on it",
        "close the program that has the file open (`fuser events.db` names it) and try again",
    ),
    (apsw.LockedError, "another statement holds a lock on it", "try again"),
    (
        apsw.CorruptError,
        "the file is damaged: its structure contradicts itself",
        "genesis events verify RUN names what is still sound; restore the rest from a backup",
    ),
    (
        apsw.NotADBError,
        "the file is damaged: it is no SQLite database",
        "restore events.db and events.db-wal together from a backup",
    ),
    (
        apsw.ReadOnlyError,
        "the file or its folder is read-only",
        "make the folder of the run writable: chmod -R u+rwX FOLDER",
    ),
    (
        apsw.CantOpenError,
        "",
        "check that the file is there and that you may read it and write its folder",
    ),
    (
        apsw.PermissionsError,
        "",
        "the run's files belong to another user: work as that user",
    ),
    (
        apsw.IOError,
        "",
        "look at the disk (dmesg, df), free space and try again; nothing of this step was stored",
    ),
    (apsw.NoMemError, "no memory is left", "end other programs and try again"),
)
