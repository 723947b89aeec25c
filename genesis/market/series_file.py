"""One series as one Parquet file: columns, content hash, and the merge of new rows into old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from genesis.domain.errors import DataError, StorageError
from genesis.domain.timeline import format_ts
from genesis.market.atomic_file import write_atomic
from genesis.market.bars import Bars, FundingRates, SentimentIndex

SCHEMA_VERSION = "1"
_HASH = b"genesis.content_hash"
_SCHEMA = b"genesis.schema"
_SHOWN = 5

S = TypeVar("S", Bars, FundingRates, SentimentIndex)


@dataclass(frozen=True)
class Form(Generic[S]):
    """How one kind of series is spelled as a table.

    Attributes
    ----------
    columns : tuple of str
        Column names in storage order, ``timestamp`` first.
    make : callable
        Builds the series from its columns.
    """

    columns: tuple[str, ...]
    make: Callable[..., S]


BARS = Form(("timestamp", "open", "high", "low", "close", "volume"), Bars)
FUNDING = Form(("timestamp", "funding_rate"), FundingRates)
SENTIMENT = Form(("timestamp", "value"), SentimentIndex)


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write changed: rows added, rows replaced, rows in the series now."""

    added: int
    replaced: int
    total: int


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a series file says of itself: rows, first and last stamp, content hash."""

    rows: int
    first_ms: int
    last_ms: int
    content_hash: str


def to_table(series: Bars | FundingRates | SentimentIndex, names: tuple[str, ...]) -> Any:
    """Arrow table of a series; the time column is ``timestamp[ms, UTC]``."""
    stamps, *floats = series.columns()
    arrays = [pa.array(stamps, pa.timestamp("ms", tz="UTC"))]
    arrays += [pa.array(column, pa.float64()) for column in floats]
    return pa.table(dict(zip(names, arrays, strict=True)))


def read_series(path: Path, form: Form[S]) -> S:
    """Read a series file and prove it against its hash.

    Raises
    ------
    StorageError
        If the file is unreadable or its columns do not match the hash written with them.
    """
    file = _open(path)
    try:
        table = file.read(columns=list(form.columns))
        stamps = table["timestamp"].cast(pa.int64()).to_numpy()
        series = form.make(stamps, *(table[name].to_numpy() for name in form.columns[1:]))
    except (pa.ArrowException, KeyError, OSError) as error:
        raise _damaged(path, str(error)) from error
    if _metadata(file).get(_HASH, b"").decode() != series.content_hash:
        raise _damaged(path, "its columns do not match the hash written with them")
    return series


def read_facts(path: Path) -> FileFacts:
    """Facts of a series file; reads its time column only."""
    file = _open(path)
    try:
        stamps = file.read(columns=["timestamp"])["timestamp"].cast(pa.int64()).to_numpy()
    except (pa.ArrowException, KeyError, OSError) as error:
        raise _damaged(path, str(error)) from error
    first, last = (int(stamps[0]), int(stamps[-1])) if stamps.size else (0, 0)
    return FileFacts(int(stamps.size), first, last, _metadata(file).get(_HASH, b"").decode())


def write_series(path: Path, series: S, form: Form[S]) -> None:
    """Write a series file in one step, its content hash in the Parquet metadata."""
    table = to_table(series, form.columns).replace_schema_metadata(
        {_HASH: series.content_hash.encode(), _SCHEMA: SCHEMA_VERSION.encode()}
    )
    write_atomic(path, lambda file: pq.write_table(table, file, compression="zstd"))


def merge(
    old: S | None, new: S, form: Form[S], name: str, *, replace: bool
) -> tuple[S, WriteResult]:
    """Merge new rows into old ones by their stamp.

    Rows of equal stamp and equal values are one row. Rows of equal stamp and different values
    are a conflict: an error, or, with `replace`, the new row counts.

    Raises
    ------
    DataError
        On a conflict, naming the first stamps.
    """
    if old is None:
        return new, WriteResult(len(new), 0, len(new))
    known = np.isin(new.ts_ms, old.ts_ms, assume_unique=True)
    places = np.searchsorted(old.ts_ms, new.ts_ms[known])
    differs = np.zeros(places.size, dtype=bool)
    for mine, theirs in zip(old.columns()[1:], new.columns()[1:], strict=True):
        differs |= mine[places] != theirs[known]
    conflicts = int(np.count_nonzero(differs))
    if conflicts and not replace:
        raise _conflict(name, new.ts_ms[known][differs])
    kept = np.ones(len(old), dtype=bool)
    kept[places[differs]] = False
    taken = ~known
    taken[np.flatnonzero(known)[differs]] = True
    columns = [
        np.concatenate([mine[kept], theirs[taken]])
        for mine, theirs in zip(old.columns(), new.columns(), strict=True)
    ]
    order = np.argsort(columns[0], kind="stable")
    merged = form.make(*(column[order] for column in columns))
    added = int(np.count_nonzero(~known))
    return merged, WriteResult(added, conflicts, len(merged))


def require_ordered(
    stamps: npt.NDArray[np.int64], values: npt.NDArray[np.float64], name: str
) -> None:
    """Refuse a series of numbers that is not sorted, unique and finite.

    Raises
    ------
    DataError
    """
    if stamps.size == 0:
        raise DataError(f"{name}: no rows", fix="import a file that has rows in it")
    if np.any(np.diff(stamps) <= 0):
        at = stamps[1:][np.diff(stamps) <= 0][0]
        raise DataError(
            f"{name}: rows are not sorted and unique (at {format_ts(int(at))})",
            fix="sort the rows by time and keep one per stamp",
        )
    bad = ~np.isfinite(values)
    if np.any(bad):
        raise DataError(
            f"{name}: {int(bad.sum())} values are not finite (first at "
            f"{format_ts(int(stamps[bad][0]))})",
            fix="remove those rows; a missing row is handled, a NaN is not data",
        )


def _conflict(name: str, stamps: npt.NDArray[np.int64]) -> DataError:
    shown = ", ".join(format_ts(int(ts)) for ts in stamps[:_SHOWN])
    more = f" and {stamps.size - _SHOWN} more" if stamps.size > _SHOWN else ""
    return DataError(
        f"{name}: {stamps.size} rows differ from the stored rows of the same time",
        why=f"at {shown}{more}",
        fix="use --replace if the new values are right, or another venue name to keep both",
    )


def _open(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error)) from error


def _metadata(file: Any) -> dict[bytes, bytes]:
    return dict(file.schema_arrow.metadata or {})


def _damaged(path: Path, why: str) -> StorageError:
    return StorageError(
        f"the stored series {path} cannot be read",
        why=why,
        fix="delete that file and import or fetch the series again",
    )
