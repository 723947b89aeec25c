"""Verifying a log: every link of the chain, every archived file, the structure of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from genesis.domain.errors import StorageError
from genesis.trading.store.anchors import (
    FILE,
    FOLDER,
    Anchor,
    file_hash,
    is_signed,
    read_anchors,
    read_key,
)
from genesis.trading.store.chain import HASH, START, StoredRow, continues
from genesis.trading.store.parquet import segment_rows
from genesis.trading.store.reader import EventReader, Page
from genesis.trading.store.readonly import Head
from genesis.trading.store.segments import read_segment
from genesis.trading.store.selection import Selection
from genesis.trading.store.snapshots import unpack

_ALL: Final = Selection()
_MOST: Final = 2**63 - 1


class Fault(StrEnum):
    """What is wrong with a log.

    The first six say that it is not what was written; the last two, that it cannot be read.
    """

    EDITED = "edited"
    MISSING = "missing"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    FORGED = "forged"
    CHANGED_FILE = "changed_file"
    MISSING_FILE = "missing_file"
    CORRUPT = "corrupt"


class Damage(msgspec.Struct, frozen=True):
    """First thing that is wrong.

    Attributes
    ----------
    fault : Fault
    file : str
        Where it is.
    seq : int
        Event that it is about, 0 for none.
    text : str
        One sentence for a person.
    """

    fault: Fault
    file: str
    seq: int
    text: str


class VerifyReport(msgspec.Struct, frozen=True):
    """What `verify` found.

    Attributes
    ----------
    events : int
        Events whose link was checked and holds.
    segments : int
        Archived segments among them.
    head : int
        Number of the last event as the log says.
    damage : Damage or None
    """

    events: int
    segments: int
    head: int
    damage: Damage | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.damage is None


class _Found(Exception):
    def __init__(self, fault: Fault, file: Path, seq: int, text: str) -> None:
        super().__init__(text)
        self.damage = Damage(fault, str(file), seq, text)


def verify(folder: Path, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """Walk the whole log of a run, archived segments included, to the first thing that is wrong.

    Parameters
    ----------
    folder : Path
        Of the run; another process may be writing to it.
    progress : callable, optional
        Called with events checked and events in all.

    Raises
    ------
    StorageError
        If there is no log at all.
    RefusedError
        If a later version of genesis wrote it.
    """
    walk = _Walk(folder, progress)
    try:
        with EventReader(folder) as reader:
            walk.run(reader)
    except _Found as found:
        return walk.report(found.damage)
    except StorageError as error:
        if not (folder / "events.db").is_file():
            raise
        text = f"{error.what}: {error.why}" if error.why else error.what
        return walk.report(Damage(Fault.CORRUPT, str(folder / "events.db"), walk.seq + 1, text))
    return walk.report(None)


class _Walk:
    def __init__(self, folder: Path, progress: Callable[[int, int], None] | None) -> None:
        self._folder = folder
        self._file = folder / "events.db"
        self._progress = progress
        self.seq = 0
        self._hash = START
        self._head = 0
        self._segments = 0

    def report(self, damage: Damage | None) -> VerifyReport:
        return VerifyReport(self.seq, self._segments, self._head, damage)

    def run(self, reader: EventReader) -> None:
        self._head = reader.head.seq
        self._archived(reader)
        self._live(reader)
        verdict = reader.integrity()
        if verdict != "ok":
            text = f"the structure of the database is damaged: {verdict}"
            raise _Found(Fault.CORRUPT, self._file, 0, text)
        self._snapshots(reader)

    # ---- the archive -----------------------------------------------------------------------

    def _archived(self, reader: EventReader) -> None:
        place = self._folder / FOLDER / FILE
        try:
            anchors, _ = read_anchors(self._folder)
            key = read_key(self._folder)
        except StorageError as error:
            raise _Found(Fault.FORGED, place, 0, f"{error.what}: {error.why}") from error
        archived_seq = reader.archived_seq
        for anchor in anchors:
            if anchor.first > archived_seq:
                break  # its rows are still in the database: archiving is not complete
            self._anchor(anchor, key, place)
            self._segment(anchor)
        if self.seq < archived_seq:
            text = f"archived events from {self.seq + 1} to {archived_seq} have no anchor"
            raise _Found(Fault.MISSING, place, self.seq + 1, text)

    def _anchor(self, anchor: Anchor, key: bytes | None, place: Path) -> None:
        if key is None:
            text = f"the key {self._folder.parent / 'anchor.key'} is missing: no signature holds"
            raise _Found(Fault.FORGED, place, anchor.first, text)
        if not is_signed(anchor, key):
            text = f"the anchor of {anchor.name} is not signed with the key of this workspace"
            raise _Found(Fault.FORGED, place, anchor.first, text)
        if anchor.first != self.seq + 1 or anchor.hash_before != self._hash.hex():
            text = f"the anchor of {anchor.name} does not follow event {self.seq}"
            fault = Fault.MISSING if anchor.first > self.seq + 1 else Fault.REORDERED
            raise _Found(fault, place, self.seq + 1, text)

    def _segment(self, anchor: Anchor) -> None:
        path = self._folder / FOLDER / anchor.name
        try:
            content = read_segment(path)
        except StorageError as error:
            raise _Found(Fault.MISSING_FILE, path, anchor.first, error.what) from error
        same = file_hash(content) == anchor.sha256
        try:
            rows = segment_rows(content, path)
        except StorageError as error:
            text = f"{error.what}: {error.why}"
            raise _Found(Fault.CHANGED_FILE, path, anchor.first, text) from error
        self._links(rows, path)
        if self.seq != anchor.last or self._hash.hex() != anchor.hash_after:
            text = f"the segment ends at event {self.seq}, its anchor says {anchor.last}"
            raise _Found(Fault.TRUNCATED, path, self.seq + 1, text)
        if not same:
            text = "the file is not the one that was archived, though its events are"
            raise _Found(Fault.CHANGED_FILE, path, anchor.first, text)
        self._segments += 1

    # ---- the live log ----------------------------------------------------------------------

    def _live(self, reader: EventReader) -> None:
        while True:
            page = self._page(reader)
            if page.archived_seq > self.seq:
                self._archived_since(reader)  # a writer moved events away while we looked
                continue
            if not page.rows:
                self._end(page.head)
                return
            self._links(page.rows, self._file)

    def _archived_since(self, reader: EventReader) -> None:
        anchor = reader.segments.holding(self.seq + 1)
        rows = reader.segments.rows(anchor, _ALL)
        self._links([row for row in rows if row[0] > self.seq], reader.segments.path(anchor))

    def _page(self, reader: EventReader) -> Page:
        try:
            return reader.page(self.seq + 1, _MOST, _ALL, newest_first=False)
        except StorageError:
            # One at a time as far as they can be read, to name the first that cannot.
            seq = self.seq + 1
            try:
                while (page := reader.page(seq, seq, _ALL, newest_first=False)).rows:
                    self._links(page.rows, self._file)
                    seq += 1
            except StorageError as error:
                text = f"event {seq} cannot be read: {error.why}"
                raise _Found(Fault.CORRUPT, self._file, seq, text) from error
            raise

    def _end(self, head: Head) -> None:
        self._head = head.seq
        if self.seq < head.seq:
            text = f"events from {self.seq + 1} to {head.seq} are missing from the end"
            raise _Found(Fault.TRUNCATED, self._file, self.seq + 1, text)
        if (self.seq, self._hash) != (head.seq, head.hash):
            text = f"the head of the log does not name event {self.seq}"
            raise _Found(Fault.EDITED, self._file, self.seq, text)

    def _snapshots(self, reader: EventReader) -> None:
        for seq, size, digest, packed in reader.snapshot_rows():
            state: Any = unpack(packed, size)
            if state is None or sha256(state).digest() != digest:
                text = f"the snapshot of event {seq} is not what its hash says"
                raise _Found(Fault.EDITED, self._file, seq, text)

    # ---- links -----------------------------------------------------------------------------

    def _links(self, rows: list[StoredRow], file: Path) -> None:
        for place, row in enumerate(rows):
            expected = self.seq + 1
            if row[0] != expected or not continues(self._hash, row):
                raise _broken(expected, self._hash, rows[place:], file)
            self.seq, self._hash = expected, row[HASH]
            if self._progress is not None and expected % 1_000 == 0:
                self._progress(expected, max(self._head, expected))


def _broken(expected: int, previous: bytes, rows: list[StoredRow], file: Path) -> _Found:
    """Say what became of the event that should come next."""
    for row in _moved(expected, previous, rows):
        text = f"event {expected} stands in the place of event {row[0]}: the log was reordered"
        return _Found(Fault.REORDERED, file, expected, text)
    if rows[0][0] > expected:
        last = rows[0][0] - 1
        which = f"event {expected} is" if last == expected else f"events {expected} to {last} are"
        return _Found(Fault.MISSING, file, expected, f"{which} missing")
    text = f"event {expected} is not what its hash says: it, or its link to the one before, changed"
    return _Found(Fault.EDITED, file, expected, text)


def _moved(expected: int, previous: bytes, rows: list[StoredRow]) -> Iterator[StoredRow]:
    for row in rows:
        as_expected: Any = (expected, *row[1:])
        if (row[0] != expected or row is not rows[0]) and continues(previous, as_expected):
            yield row
