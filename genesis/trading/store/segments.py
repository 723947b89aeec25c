"""Archived segments as a reader sees them: found by number, and believed only if unchanged."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

from genesis.domain.errors import StorageError
from genesis.market.atomic_file import storage_error
from genesis.trading.store.anchors import FOLDER, Anchor, file_hash, read_anchors
from genesis.trading.store.chain import StoredRow
from genesis.trading.store.parquet import segment_rows
from genesis.trading.store.selection import Selection


class Segments:
    """The archive of one run.

    Parameters
    ----------
    folder : Path
        Of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._anchors: list[Anchor] = []

    def path(self, anchor: Anchor) -> Path:
        """File of a segment."""
        return self._folder / FOLDER / anchor.name

    def holding(self, seq: int) -> Anchor:
        """Anchor of the segment with this event.

        Raises
        ------
        StorageError
            If no anchor names it.
        """
        found = self._search(seq)
        if found is None:
            # The writer may have archived it since we last looked.
            self._anchors, _ = read_anchors(self._folder)
            found = self._search(seq)
        if found is None:
            raise StorageError(
                f"the archived event {seq} is missing",
                why=f"no line of {self._folder / FOLDER / 'anchors.jsonl'} names it",
                fix="restore the archive folder of the run from a backup",
            )
        return found

    def rows(self, anchor: Anchor, selection: Selection) -> list[StoredRow]:
        """Wanted rows of a segment, oldest first.

        Raises
        ------
        StorageError
            If the file is missing or not the one that was archived.
        """
        since, until = selection.span
        if anchor.ts_max < since or anchor.ts_min > until:
            return []
        path = self.path(anchor)
        content = read_segment(path)
        if file_hash(content) != anchor.sha256:
            raise StorageError(
                f"the archived segment {path} was changed",
                why="its SHA-256 is not that of its anchor",
                fix="genesis events verify RUN names the event; restore the file from a backup",
            )
        return segment_rows(content, path, selection)

    def _search(self, seq: int) -> Anchor | None:
        place = bisect_right(self._anchors, seq, key=lambda anchor: anchor.first) - 1
        if place < 0 or self._anchors[place].last < seq:
            return None
        return self._anchors[place]


def read_segment(path: Path) -> bytes:
    """Content of a segment's file.

    Raises
    ------
    StorageError
        If it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StorageError(
            f"the archived segment {path} is missing",
            why="its anchor is there, the file is not",
            fix="restore the file from a backup",
        ) from error
    except OSError as error:
        raise storage_error(f"cannot read {path}", error) from error
