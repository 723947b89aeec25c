"""The hash chain: each event carries a SHA-256 over the hash before it and all of its fields."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from genesis.domain.errors import StorageError
from genesis.trading.events import Event, EventType
from genesis.trading.payloads import PAYLOADS, decode

START: Final = bytes(32)
"""Hash before the first event."""
HASH: Final = 9
"""Place of the hash in a stored row."""

StoredRow = tuple[int, str, int, int, str, str, int, int, bytes, bytes]
"""seq, type, ts_ms, recorded_ms, aggregate, correlation, caused_by, ordinal, body, hash."""
Fields = tuple[int, str, int, int, str, str, int, int, bytes]
"""A stored row without its hash: what the hash is over."""

COLUMNS: Final = (
    "seq",
    "type",
    "ts_ms",
    "recorded_ms",
    "aggregate",
    "correlation",
    "caused_by",
    "ordinal",
    "body",
    "hash",
)

_pack = msgspec.msgpack.Encoder().encode
_KINDS: Final = {kind.value: kind for kind in PAYLOADS}


def link(previous: bytes, fields: Fields) -> bytes:
    """Hash of an event: SHA-256 of the previous hash and the MessagePack array of its fields."""
    return sha256(previous + _pack(fields)).digest()


def continues(previous: bytes, row: StoredRow) -> bool:
    """Whether a row is the event that its hash says, right after the one with hash ``previous``."""
    return sha256(previous + _pack(row[:HASH])).digest() == row[HASH]


def event_of(row: StoredRow) -> Event:
    """Event from its stored row.

    Raises
    ------
    StorageError
        If the type is not known or the body is not such a payload.
    """
    seq, name, ts_ms, recorded_ms, aggregate, correlation, caused_by, ordinal, body, _ = row
    kind: EventType | None = _KINDS.get(name)
    try:
        if kind is None:
            raise msgspec.DecodeError(f"this version knows no event type {name!r}")
        data = decode(kind, body)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise StorageError(
            f"event {seq} cannot be read",
            why=str(error),
            fix="genesis events verify RUN tells a damaged log from one of another version",
        ) from error
    return Event(data, ts_ms, aggregate, correlation, caused_by, ordinal, seq, recorded_ms)
