"""Archiving: whole segments of old events leave the database for Parquet files.

A segment moves in four steps, each forced to disk before the next: its file, its anchor, and last
the removal of its rows together with the new beginning of the live log, in one transaction. The
file of a crash before the anchor is thrown away, since the rows are still there; after the anchor
the removal is completed. `repair` does so whenever the log is opened for writing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from genesis.domain.errors import InputError, StorageError
from genesis.market.atomic_file import storage_error
from genesis.trading.store.anchors import (
    FOLDER,
    Anchor,
    append_anchor,
    file_hash,
    read_anchors,
    require_key,
    segment_name,
    sign,
    write_private,
)
from genesis.trading.store.chain import HASH, StoredRow, continues
from genesis.trading.store.parquet import segment_bytes
from genesis.trading.store.schema import stored_rows

SEGMENT_EVENTS: Final = 100_000
_FILE: Final = re.compile(r"segment-(\d{12})-(\d{12})\.parquet\Z")


def archive_segments(
    db: apsw.Connection,
    folder: Path,
    *,
    before_seq: int | None,
    older_than_ms: int | None,
    segment_events: int,
    probe: Callable[[str], None],
    progress: Callable[[int, int], None] | None,
) -> list[Anchor]:
    """Archive the whole segments up to a bound; see `EventStore.archive`."""
    if segment_events < 1:
        raise InputError("a segment holds at least one event", fix="give a positive number")
    done_seq, _ = archived(db)
    bound = _bound(db, done_seq, before_seq, older_than_ms)
    count = max(bound - done_seq, 0) // segment_events
    if not count:
        return []
    key = require_key(folder)
    _make_folder(folder)
    anchors = []
    for number in range(count):
        anchors.append(_archive_segment(db, folder, segment_events, key, probe))
        if progress is not None:
            progress((number + 1) * segment_events, count * segment_events)
    return anchors


def archived(db: apsw.Connection) -> tuple[int, bytes]:
    """Number and hash of the last event that is not in the database any more."""
    row = db.execute("SELECT archived_seq, archived_hash FROM head").get
    assert isinstance(row, tuple)
    return int(row[0]), bytes(row[1])


def repair(db: apsw.Connection, folder: Path) -> None:
    """Complete or undo what a crash left of archiving.

    Raises
    ------
    StorageError
        If the archive contradicts the log.
    """
    place = folder / FOLDER
    if not place.is_dir():
        return
    for part in place.glob(".*.part"):
        part.unlink(missing_ok=True)
    anchors, _ = read_anchors(folder)
    for anchor in anchors:
        done_seq, done_hash = archived(db)
        if anchor.last <= done_seq:
            continue
        row = db.execute("SELECT hash FROM events WHERE seq = ?", (anchor.last,)).get
        content = _content(place / anchor.name)
        if (
            anchor.first != done_seq + 1
            or anchor.hash_before != done_hash.hex()
            or not isinstance(row, bytes)
            or row.hex() != anchor.hash_after
            or file_hash(content) != anchor.sha256
        ):
            raise StorageError(
                f"the anchor of {place / anchor.name} does not fit the log",
                why="an anchored segment must be the beginning of what the database still holds",
                fix="restore the folder of the run from a backup",
            )
        _remove_rows(db, anchor)
    _remove_orphans(db, place, {anchor.name for anchor in anchors})


def _bound(
    db: apsw.Connection, done_seq: int, before_seq: int | None, older_than_ms: int | None
) -> int:
    """Number of the last event that may be archived."""
    head = db.execute("SELECT seq FROM head").get
    assert isinstance(head, int)
    bound = head if before_seq is None else min(head, before_seq - 1)
    if older_than_ms is None:
        return bound
    # recorded_ms never goes back, so the instant is found by halving.
    low, high = done_seq, bound
    while low < high:
        middle = (low + high + 1) // 2
        at = db.execute("SELECT recorded_ms FROM events WHERE seq = ?", (middle,)).get
        if isinstance(at, int) and at < older_than_ms:
            low = middle
        else:
            high = middle - 1
    return low


def _archive_segment(
    db: apsw.Connection,
    folder: Path,
    segment_events: int,
    key: bytes,
    probe: Callable[[str], None],
) -> Anchor:
    done_seq, done_hash = archived(db)
    first, last = done_seq + 1, done_seq + segment_events
    rows = stored_rows(db, "seq BETWEEN ? AND ? ORDER BY seq", (first, last))
    _require_chain(folder, rows, first, last, done_hash)
    content = segment_bytes(rows)
    path = folder / FOLDER / segment_name(first, last)
    probe("archive.before_segment")
    write_private(path, content)
    probe("archive.segment_written")
    anchor = sign(
        Anchor(
            first=first,
            last=last,
            ts_min=min(row[2] for row in rows),
            ts_max=max(row[2] for row in rows),
            hash_before=done_hash.hex(),
            hash_after=rows[-1][HASH].hex(),
            sha256=file_hash(content),
        ),
        key,
    )
    append_anchor(folder, anchor)
    probe("archive.anchored")
    _remove_rows(db, anchor)
    probe("archive.rows_removed")
    return anchor


def _require_chain(
    folder: Path, rows: list[StoredRow], first: int, last: int, previous: bytes
) -> None:
    """Archive nothing that is damaged: behind an anchor it would look sound."""
    expected = first
    for row in rows:
        if row[0] != expected or not continues(previous, row):
            break
        expected, previous = expected + 1, row[HASH]
    if expected != last + 1:
        raise StorageError(
            f"the log in {folder} is damaged at event {expected}, so nothing was archived",
            why="it is missing or not what its hash says",
            fix="genesis events verify RUN tells more; restore the folder from a backup",
        )


def _remove_rows(db: apsw.Connection, anchor: Anchor) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM events WHERE seq <= ?", (anchor.last,))
    db.execute(
        "UPDATE head SET archived_seq = ?, archived_hash = ?",
        (anchor.last, bytes.fromhex(anchor.hash_after)),
    )
    db.execute("COMMIT")


def _remove_orphans(db: apsw.Connection, place: Path, anchored: set[str]) -> None:
    """Remove files that were written and not anchored, whose events the database still holds."""
    done_seq, _ = archived(db)
    for path in place.glob("segment-*.parquet"):
        match = _FILE.match(path.name)
        if match and path.name not in anchored and int(match[1]) > done_seq:
            path.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        (folder / FOLDER).mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise storage_error(f"cannot make {folder / FOLDER}", error) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise storage_error(f"cannot read {path}", error) from error
