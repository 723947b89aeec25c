"""Files of a run: written whole or not at all, appended line by line, read back checked."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from genesis.domain.errors import RefusedError, StorageError
from genesis.market.atomic_file import storage_error, write_atomic


def write_text(path: Path, text: str) -> None:
    """Replace a file by new content, synced to disk; on failure the old content stays.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """

    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    write_atomic(path, write)


def write_json(path: Path, value: Any) -> None:
    """`write_text` of readable JSON; numbers that JSON has no form for are refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Value of a JSON file.

    Raises
    ------
    StorageError
        If the file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}", why=str(error)) from None


def append_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows as JSON lines, synced; on failure the file is cut back to what it was.

    Raises
    ------
    StorageError
        If the rows cannot be written.
    """
    text = _lines(rows)
    try:
        before = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            if path.exists():
                os.truncate(path, before)
            raise
    except OSError as error:
        raise storage_error(f"cannot append to {path}", error) from None


def add_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """`append_lines` of which a crash leaves all rows or none; the file ends with a whole line.

    A crash while one row is appended leaves a torn line, which is none; several take the place of
    the file with what it had.

    Raises
    ------
    StorageError
        If the rows cannot be written.
    """
    if len(rows) == 1:
        append_lines(path, rows)
        return
    try:
        before = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise storage_error(f"cannot read {path}", error) from None
    text = _lines(rows).encode()

    def write(file: BinaryIO) -> None:
        file.write(before)
        file.write(text)

    write_atomic(path, write)


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """`write_text` of rows as JSON lines."""
    write_text(path, _lines(rows))


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(
        json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        for row in rows
    )


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON lines file; a torn last line is left out.

    Raises
    ------
    StorageError
        If a line before the last is no JSON.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                raise StorageError(f"{path}:{number} is damaged", why=str(error)) from None


def cut_torn_tail(path: Path) -> int:
    """Drop an unfinished last line, left by a crash in mid-write; return the bytes dropped."""
    if not path.exists():
        return 0
    size = path.stat().st_size
    with path.open("rb") as file:
        at, tail = size, b""
        while at > 0 and b"\n" not in tail:
            step = min(65536, at)
            at -= step
            file.seek(at)
            tail = file.read(step) + tail
    keep = at + tail.rfind(b"\n") + 1
    if keep < size:
        os.truncate(path, keep)
    return size - keep


@contextmanager
def exclusive(
    path: Path, what: str, fix: str = "wait until it ends, or choose another id with --run"
) -> Iterator[None]:
    """Hold a lock file for the length of a block; the system frees it if the process dies.

    Parameters
    ----------
    path : Path
    what : str
        What is held, for the error.
    fix : str
        What its reader can do.

    Raises
    ------
    RefusedError
        If another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    except OSError as error:
        raise storage_error(f"cannot write {path}", error) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise RefusedError(
                f"{what} is in use by process {owner}",
                fix=fix,
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield
    finally:
        handle.close()
