"""Events that a person took out of a run because no handler can deal with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from genesis.domain.errors import StorageError

FILE = "quarantine.jsonl"


def quarantine(folder: Path, seq: int, reason: str, who: str, ts_ms: int) -> None:
    """Take an event out: the fold skips it from now on. Its place in the log stays.

    Raises
    ------
    StorageError
        If it cannot be recorded.
    """
    line = json.dumps({"seq": seq, "reason": reason, "who": who, "ts_ms": ts_ms}) + "\n"
    path = folder / FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(f"cannot write {path}", why=error.strerror or str(error)) from error


def quarantined(folder: Path) -> tuple[int, ...]:
    """Numbers of the events that were taken out of a run.

    Raises
    ------
    StorageError
        If the file is damaged: the fold would be another one without it.
    """
    path = folder / FILE
    if not path.exists():
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(sorted({int(json.loads(line)["seq"]) for line in lines if line.strip()}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} cannot be read", why=str(error), fix="restore it from a backup"
        ) from None
