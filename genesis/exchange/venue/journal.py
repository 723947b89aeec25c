"""The durable log of a venue's inputs, and snapshots that shorten its replay.

A folder holds ``log.jsonl`` and at most two snapshots. A line is eight hex digits (CRC-32 of what
follows), a space and JSON. The first line describes the venue; a log of another venue is refused.
A line cut off at the end of the file was never answered and is dropped.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from genesis.domain.errors import RefusedError, StorageError
from genesis.market.atomic_file import sync_folder, write_atomic

Json = dict[str, Any]
SCHEMA = 1
_LOG = "log.jsonl"
_SNAPSHOTS_KEPT = 2


class Journal:
    """Append-only file of inputs with checksums.

    Parameters
    ----------
    folder : Path
        Made if need be.
    header : dict
        What the venue is made of: seed, profile, markets.

    Attributes
    ----------
    synced : int
        Length that is on the disk for certain.

    Raises
    ------
    RefusedError
        If the folder belongs to a venue that is made otherwise.
    StorageError
        If the log is damaged elsewhere than at its end.
    """

    def __init__(self, folder: Path, header: Json) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._path = folder / _LOG
        self.synced = 0
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise RefusedError(
                f"{folder} is in use by another venue", fix="stop it, or use another --state folder"
            ) from None
        first = {"schema": SCHEMA, **header}
        with self._path.open("rb") as file:
            begun = file.readline().endswith(b"\n")
        if begun:
            self._check(first)
            self._cut_torn_end()
        else:
            os.ftruncate(self._file, 0)
            self._write(_line(first))
            self.sync()
            sync_folder(folder)

    def _check(self, first: Json) -> None:
        with self._path.open("rb") as file:
            found = _read(file.readline(), self._path, 0)
        if found != msgspec.json.decode(msgspec.json.encode(first)):
            os.close(self._file)
            raise RefusedError(
                f"{self._folder} holds the state of another venue",
                why="its seed, markets or behaviour differ from those asked for",
                fix="use another --state folder, or the settings it was made with",
            )

    def _cut_torn_end(self) -> None:
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(self._path, whole)

    @property
    def end(self) -> int:
        """Length of the log."""
        return os.fstat(self._file).st_size

    def append(self, entry: Json, *, durable: bool = True) -> None:
        """Write an entry; a durable one is on the disk when this returns.

        Raises
        ------
        StorageError
            If it could not be written: the venue must not answer.
        """
        self._write(_line(entry))
        if durable:
            self.sync()

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise StorageError(f"cannot write {self._path}", why=str(error)) from error
        if written != len(line):
            raise StorageError(f"cannot write {self._path}", why="the disk is full")

    def sync(self) -> None:
        """Put everything written so far on the disk.

        Raises
        ------
        StorageError
            If that failed: what the file holds is not known any more.
        """
        mark = self.end
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise StorageError(f"cannot write {self._path}", why=str(error)) from error
        self.synced = max(self.synced, mark)

    def entries(self, offset: int) -> Iterator[Json]:
        """Read entries from a place in the log; 0 is its beginning, behind the header."""
        with self._path.open("rb") as file:
            if offset == 0:
                file.readline()
            else:
                file.seek(offset)
            place = file.tell()
            for line in file:
                yield _read(line, self._path, place)
                place += len(line)

    def save(self, state: Json) -> None:
        """Write a snapshot of the state that the log up to here leads to."""
        self.sync()
        offset = self.end
        data = msgspec.json.encode({"offset": offset, "state": state})
        target = self._folder / f"snapshot-{offset:016d}.json"
        write_atomic(target, lambda file: file.write(b"%08x " % crc32(data) + data))
        for old in sorted(self._folder.glob("snapshot-*.json"))[:-_SNAPSHOTS_KEPT]:
            old.unlink()

    def latest(self) -> tuple[int, Json | None]:
        """Return the newest whole snapshot: where in the log it was taken, and the state."""
        for path in sorted(self._folder.glob("snapshot-*.json"), reverse=True):
            try:
                found = _read(path.read_bytes(), path, 0)
            except StorageError:
                # An older one and a longer replay give the same state.
                continue
            if found["offset"] <= self.end:
                return int(found["offset"]), found["state"]
        return 0, None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _line(entry: Json) -> bytes:
    data = msgspec.json.encode(entry)
    return b"%08x " % crc32(data) + data + b"\n"


def _read(line: bytes, path: Path, place: int) -> Json:
    data = line.rstrip(b"\n")
    try:
        if int(data[:8], 16) != crc32(data[9:]):
            raise ValueError("checksum")
        found = msgspec.json.decode(data[9:])
    except (ValueError, msgspec.DecodeError) as error:
        raise StorageError(
            f"{path} is damaged at byte {place}",
            why=str(error),
            fix="restore the folder from a copy, or start with an empty one",
        ) from None
    if not isinstance(found, dict):
        raise StorageError(f"{path} is damaged at byte {place}")
    return found
