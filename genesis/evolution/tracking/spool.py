"""The spool: events of a run on disk, in order, until they have been shipped.

`RUN.jsonl` holds one JSON object a line and is only ever appended to; `RUN.shipped.json` says how
far it has been shipped. The study writes the first, the one process that holds `RUN.lock` the
second, so neither waits for the other. A line counts once its newline is on disk: what a crash
left behind it is cut off when the file is next opened for writing and never read before.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genesis.domain.errors import StorageError

Event = dict[str, Any]


@dataclass(slots=True)
class Shipped:
    """How far a spool has been shipped.

    Attributes
    ----------
    offset : int
        Bytes of the spool whose events have arrived.
    events : int
        Count of those events.
    error : str
        Last failure, without credentials; empty after a success.
    rejected : list of str
        Events that the server refused for good, with its reason.
    """

    offset: int = 0
    events: int = 0
    error: str = ""
    rejected: list[str] = field(default_factory=list)


class Spool:
    """Append-only event file of one run.

    Parameters
    ----------
    folder : Path
        Created, private to the user, when first written to.
    run_id : str
        Names the files.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder = folder
        self.run_id = run_id
        self.path = folder / f"{run_id}.jsonl"
        self._state = folder / f"{run_id}.shipped.json"
        self._lock = folder / f"{run_id}.lock"

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event and force it to disk.

        Raises
        ------
        StorageError
            If the disk refuses; the file then still ends at the event before.
        """
        line = json.dumps(dict(event), separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                end = self._repair(handle)
                try:
                    _write(handle, line)
                    os.fsync(handle)
                except OSError:
                    os.ftruncate(handle, end)
                    raise
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageError(
                f"a tracking event could not be written to {self.path.name}",
                why=str(error.strerror),
                fix="free disk space; the study itself is not affected",
            ) from error

    def _repair(self, handle: int) -> int:
        """Cut a torn last line and leave the file position at the end; return that position."""
        end = os.lseek(handle, 0, os.SEEK_END)
        if end and os.pread(handle, 1, end - 1) != b"\n":
            whole = os.pread(handle, end, 0).rfind(b"\n") + 1
            os.ftruncate(handle, whole)
            end = os.lseek(handle, whole, os.SEEK_SET)
        return end

    def events(self, offset: int = 0) -> Iterator[tuple[Event, int]]:
        """Whole events from a byte offset on, each with the offset behind it."""
        try:
            with self.path.open("rb") as handle:
                handle.seek(offset)
                data = handle.read()
        except FileNotFoundError:
            return
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield json.loads(line), offset

    def pending(self) -> int:
        """Count of events that have not been shipped."""
        return sum(1 for _ in self.events(self.shipped().offset))

    def shipped(self) -> Shipped:
        """How far the spool has been shipped; the start where nothing is recorded."""
        try:
            return Shipped(**json.loads(self._state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            # An unreadable state is safe to forget: what is sent again is checked first.
            return Shipped()

    def record(self, shipped: Shipped) -> None:
        """Replace the shipped state atomically."""
        state = {
            "offset": shipped.offset,
            "events": shipped.events,
            "error": shipped.error,
            "rejected": shipped.rejected,
        }
        new = self._state.with_suffix(".new")
        with new.open("w") as handle:
            json.dump(state, handle)
            handle.flush()
            os.fsync(handle.fileno())
        new.replace(self._state)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the shipping lock; yields False where another process holds it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def spooled_runs(folder: Path) -> list[str]:
    """Ids of the runs that have a spool, sorted."""
    return sorted(path.stem for path in folder.glob("*.jsonl"))


def leftovers(folder: Path) -> list[str]:
    """Ids of the runs whose spool holds events that have not been shipped, sorted."""
    return [run for run in spooled_runs(folder) if Spool(folder, run).pending()]
