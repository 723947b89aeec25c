"""The database of a run, opened so that it cannot be written, and the tables beside the events."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, cast

import apsw

from genesis.domain.errors import InputError, StorageError
from genesis.trading.store import schema

BUSY_MS: Final = 5_000
"""How long a lock of a foreign program is waited for."""


class Head(NamedTuple):
    """Last event of a log: its number and hash."""

    seq: int
    hash: bytes


class ReadOnlyFile:
    """Read-only connection to the database of a run; for one thread at a time.

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
        if not self.path.is_file():
            raise StorageError(
                f"there is no log in {folder}", fix="genesis events tail names the runs there are"
            )
        with self.errors():
            self.db = _connect(self.path)
            try:
                schema.check_version(self.db, self.path)
            except BaseException:
                self.db.close()
                raise

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def meta(self) -> dict[str, str]:
        """What the log says about itself: ``run``, ``created_ms``."""
        with self.errors():
            rows = self.db.execute("SELECT key, value FROM meta").fetchall()
        return dict(cast(list[tuple[str, str]], rows))

    # ---- the other tables ------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Names of the tables beside the events."""
        sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        with self.errors():
            names = [str(name) for (name,) in self.db.execute(sql)]
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
            cursor = self.db.execute(sql, cast(Any, bindings))
            try:
                names = [column[0] for column in cursor.get_description()]
            except apsw.ExecutionCompleteError:
                return []  # no row, and then SQLite does not say what its columns would be
            return [dict(zip(names, row, strict=True)) for row in cursor]

    # ---- for the reader of events ----------------------------------------------------------

    def integrity(self) -> str:
        """Verdict of SQLite on the structure of the file: ``ok``, or its first complaint."""
        with self.errors():
            return str(self.db.execute("PRAGMA integrity_check(1)").get)

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

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See one state of the file throughout."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")

    def stored_head(self) -> Head:
        """Read the head within whatever transaction is open."""
        row = self.db.execute("SELECT seq, hash FROM head").get
        if not (isinstance(row, tuple) and isinstance(row[0], int) and isinstance(row[1], bytes)):
            raise _no_head(self.path)
        return Head(row[0], row[1])

    def stored_archived_seq(self) -> int:
        """Read where the archive ends within whatever transaction is open."""
        seq = self.db.execute("SELECT archived_seq FROM head").get
        if not isinstance(seq, int):
            raise _no_head(self.path)
        return seq


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
