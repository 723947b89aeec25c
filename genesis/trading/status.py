"""The heartbeat of a run: a small file, replaced about once a second by whoever watches it.

It says what the stages do, so that another process need not ask the one that may be stuck. Its
age is evidence too: a run that is being written and whose heartbeat is old is not well.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from genesis.market.atomic_file import storage_error
from genesis.trading.progress import StageReport
from genesis.trading.store.lock import FILE as LOCK
from genesis.trading.struct_file import read_struct

FILE = "status.json"
SCHEMA = 1
STALE_MS = 10_000
"""A heartbeat that is older says that nobody watches any more."""
RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


class Fault(msgspec.Struct, frozen=True):
    """The event that a run is halted on, and why."""

    seq: int
    type: str
    error: str


class RunStatus(msgspec.Struct, frozen=True):
    """What the heartbeat says.

    Attributes
    ----------
    schema : int
    run, build, mode : str
    pid : int
    started_ms, written_ms : int
        By the clock of the machine.
    beat : int
        Number of this heartbeat, from 1.
    state : str
        ``running``, ``finished``, ``stopped`` or ``failed``.
    healthy : bool
        Whether every stage makes progress and no event halts the run; nothing else counts.
    stages : tuple of StageReport
    seq : int
        Number of the last stored event.
    halts : mapping of str to str
        Where new risk is halted, and why.
    fault : Fault or None
    trouble : str
        What the watch itself could not do, empty if all went well.
    """

    schema: int
    run: str
    build: str
    mode: str
    pid: int
    started_ms: int
    written_ms: int
    beat: int
    state: str
    healthy: bool
    stages: tuple[StageReport, ...]
    seq: int
    halts: dict[str, str] = {}
    fault: Fault | None = None
    trouble: str = ""


def write_status(folder: Path, status: RunStatus) -> None:
    """Replace the heartbeat; a reader sees the old one or the new one.

    It is not forced to disk: after a loss of power there is no run that it could speak of.

    Raises
    ------
    StorageError
    """
    path = folder / FILE
    part = folder / f".{FILE}.part"
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(status))
        part.replace(path)
    except OSError as error:
        raise storage_error(f"cannot write {path}", error) from error


def read_status(folder: Path) -> RunStatus | None:
    """Heartbeat of a run, None if it never had one.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    return read_struct(folder / FILE, RunStatus, fix="remove it; a running run writes it anew")


def writer_of(folder: Path) -> str:
    """Process id of whoever writes the run now, empty if nobody does; nothing is changed."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        # A shared lock of an instant: a writer that begins just now may be turned away once.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(handle)
    return ""
