"""Snapshots: the state after an event, so that a restart need not begin at the first one."""

from __future__ import annotations

from hashlib import sha256
from typing import cast

import apsw


def write(db: apsw.Connection, seq: int, state: bytes, keep: int) -> None:
    """Store a state as zstd with its SHA-256, and drop all but the last ``keep``."""
    import pyarrow as pa

    packed = pa.compress(state, codec="zstd", asbytes=True)
    row = (seq, len(state), sha256(state).digest(), packed)
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT OR REPLACE INTO snapshots VALUES(?, ?, ?, ?)", row)
    db.execute(
        "DELETE FROM snapshots WHERE seq NOT IN"
        " (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?)",
        (max(keep, 1),),
    )
    db.execute("COMMIT")


def latest(db: apsw.Connection, until_seq: int | None) -> tuple[int, bytes] | None:
    """Latest snapshot at or before an event that is what its hash says.

    A damaged one is passed over: the log before it leads to the same state.
    """
    bound = 2**63 - 1 if until_seq is None else until_seq
    query = "SELECT * FROM snapshots WHERE seq <= ? ORDER BY seq DESC"
    found = cast(list[tuple[int, int, bytes, bytes]], db.execute(query, (bound,)).fetchall())
    for seq, size, digest, packed in found:
        state = unpack(packed, size)
        if state is not None and sha256(state).digest() == digest:
            return seq, state
    return None


def unpack(packed: bytes, size: int) -> bytes | None:
    """State from its compressed form, None if that is damaged."""
    import pyarrow as pa

    try:
        return bytes(pa.decompress(packed, decompressed_size=size, codec="zstd", asbytes=True))
    except (OSError, ValueError, MemoryError, OverflowError):
        return None
