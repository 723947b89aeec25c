"""Events in Parquet: archived segments bit for bit, and readable files for everybody else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from genesis.domain.errors import StorageError
from genesis.market.atomic_file import write_atomic
from genesis.trading.events import Event
from genesis.trading.store.chain import COLUMNS, StoredRow
from genesis.trading.store.selection import Selection

_CHUNK: Final = 10_000
_json = msgspec.json.Encoder().encode


@cache
def _segment_schema() -> Any:
    import pyarrow as pa

    kinds = {"type": pa.string(), "aggregate": pa.string(), "correlation": pa.string()}
    kinds |= {"body": pa.binary(), "hash": pa.binary(32)}
    return pa.schema([pa.field(name, kinds.get(name, pa.int64()), False) for name in COLUMNS])


@cache
def _readable_schema() -> Any:
    import pyarrow as pa

    names = [*COLUMNS[:-2], "data"]
    text = {"type", "aggregate", "correlation", "data"}
    return pa.schema([(name, pa.string() if name in text else pa.int64()) for name in names])


def segment_bytes(rows: list[StoredRow]) -> bytes:
    """Parquet file (zstd) of stored rows, hashes included."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _segment_schema()
    columns = [
        pa.array(column, field.type)
        for column, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    sink = pa.BufferOutputStream()
    # A hash is random: neither a dictionary nor statistics have any use for it.
    plain = [name for name in COLUMNS if name not in ("body", "hash")]
    pq.write_table(
        pa.Table.from_arrays(columns, schema=schema),
        sink,
        compression="zstd",
        use_dictionary=["type", "aggregate", "correlation"],
        write_statistics=plain,
    )
    return bytes(sink.getvalue())


def segment_rows(content: bytes, path: Path, selection: Selection | None = None) -> list[StoredRow]:
    """Stored rows of a segment, in the order of the file; those that are wanted, or all.

    Raises
    ------
    StorageError
        If the content is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content), use_threads=False)
        if selection is not None and not selection.everything:
            table = table.filter(selection.mask(table))
        columns = [table.column(name).to_pylist() for name in COLUMNS]
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise StorageError(
            f"the archived segment {path} cannot be read",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            fix="restore the file from a backup",
        ) from error
    return list(zip(*columns, strict=True))


def write_events(target: Path, events: Iterable[Event], progress: Any | None = None) -> int:
    """Write events as Parquet (zstd), payloads as JSON text, for whoever analyses them.

    Parameters
    ----------
    target : Path
        Replaced as a whole or not at all; readable by its owner alone.
    events : iterable of Event
    progress : callable, optional
        Called with the number of events written so far.

    Returns
    -------
    int
        Number of events.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _readable_schema()
    count = 0

    def write(file: BinaryIO) -> None:
        nonlocal count
        os.fchmod(file.fileno(), 0o600)
        rest = iter(events)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            while chunk := list(islice(rest, _CHUNK)):
                columns = zip(*(_readable(event) for event in chunk), strict=True)
                arrays = [
                    pa.array(column, field.type)
                    for column, field in zip(columns, schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                count += len(chunk)
                if progress is not None:
                    progress(count)

    write_atomic(target, write)
    return count


def _readable(event: Event) -> tuple[object, ...]:
    return (
        event.seq,
        event.type.value,
        event.ts_ms,
        event.recorded_ms,
        event.aggregate,
        event.correlation,
        event.caused_by,
        event.ordinal,
        _json(event.data).decode(),
    )
