"""Events for other programs: one JSON object a line, or a Parquet file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from genesis.market.atomic_file import write_atomic
from genesis.trading.events import Event
from genesis.trading.store.parquet import write_events

_json = msgspec.json.Encoder().encode


def plain_event(event: Event) -> dict[str, Any]:
    """Fields of an event and its payload under ``data``; Decimals as text."""
    return {
        "seq": event.seq,
        "type": event.type.value,
        "ts_ms": event.ts_ms,
        "recorded_ms": event.recorded_ms,
        "aggregate": event.aggregate,
        "correlation": event.correlation,
        "caused_by": event.caused_by,
        "ordinal": event.ordinal,
        "data": msgspec.to_builtins(event.data),
    }


def export_events(
    events: Iterable[Event], target: Path, progress: Callable[[int], None] | None = None
) -> int:
    """Write events to a file: Parquet if its name ends so, else one JSON object a line.

    A number that is not finite becomes null in JSON.

    Returns
    -------
    int
        Number of events.

    Raises
    ------
    StorageError
        If the file cannot be written, or the events not read; the target is then unchanged.
    """
    if target.suffix == ".parquet":
        return write_events(target, events, progress)
    count = 0

    def write(file: BinaryIO) -> None:
        nonlocal count
        os.fchmod(file.fileno(), 0o600)
        for event in events:
            file.write(_json(plain_event(event)) + b"\n")
            count += 1
            if progress is not None and count % 1_000 == 0:
                progress(count)

    write_atomic(target, write)
    return count
