"""Columns out of Parquet and CSV files: finding them, and reading any common spelling of time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from genesis.domain.errors import DataError, did_you_mean
from genesis.domain.timeline import format_ts, parse_ts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TIME = "timestamp"
_ALIASES: dict[str, tuple[str, ...]] = {
    TIME: ("time", "date", "datetime", "open_time", "opentime", "unix", "ts", "t", "fundingtime",
           "funding_time", "calc_time", "__index_level_0__"),
    "open": ("o",),
    "high": ("h",),
    "low": ("l",),
    "close": ("c",),
    "volume": ("v", "vol", "base_volume", "volume_base"),
    "funding_rate": ("fundingrate", "rate", "funding", "last_funding_rate"),
    "value": ("index", "fng_value", "fear_greed"),
}  # fmt: skip
_PARQUET = (".parquet", ".pq")
_CSV = (".csv", ".csv.gz")
SUFFIXES = (*_PARQUET, *_CSV)
_LONGEST_HEAD = 65_536
# An epoch below the bound has so many units in a millisecond: seconds, ms, us, ns. Each bound is
# far from any real date in the units on both sides of it.
_EPOCHS = ((1e11, 1e-3), (1e14, 1.0), (1e17, 1e3), (np.inf, 1e6))
_EARLIEST_MS = parse_ts("1990-01-01")
_LATEST_MS = parse_ts("2100-01-01")


def read_columns(
    path: Path, wanted: Sequence[str], mapping: Mapping[str, str]
) -> tuple[Ints, list[Floats]]:
    """Read the time column and number columns of a file.

    Parameters
    ----------
    path : Path
        Parquet or CSV (also gzipped), by its suffix.
    wanted : sequence of str
        Number columns: ``open``, ``funding_rate`` …
    mapping : mapping of str to str
        Our name to the file's; names that are not given are found by their usual spellings.

    Returns
    -------
    ts_ms : int64, shape (N,)
        Milliseconds UTC, in file order.
    columns : list of float64, shape (N,)
        In the order of `wanted`; NaN where a cell is empty.

    Raises
    ------
    DataError
        If the file is unreadable, or a column is missing or holds something else.
    """
    strange = sorted(set(mapping) - {TIME, *wanted})
    if strange:
        hint = did_you_mean(strange[0], (TIME, *wanted))
        raise DataError(
            f"--map names '{strange[0]}', which is no column that is read{hint}",
            fix=f"map one of {', '.join((TIME, *wanted))}, for example --map timestamp=Date",
        )
    table = _table(path)
    names = {name: _find(name, table.column_names, mapping, path) for name in (TIME, *wanted)}
    stamps = _times(table[names[TIME]], names[TIME], path)
    return stamps, [_numbers(table[names[name]], names[name], path) for name in wanted]


def parse_mapping(text: str | None) -> dict[str, str]:
    """Read ``timestamp=Date,close=Close``.

    Raises
    ------
    DataError
        If a part is no pair.
    """
    mapping = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        ours, sign, theirs = part.partition("=")
        if not sign or not ours.strip() or not theirs.strip():
            raise DataError(
                f"--map part '{part.strip()}' is no pair",
                fix="write --map timestamp=Date,close=Close: our name, then the file's",
            )
        mapping[ours.strip()] = theirs.strip()
    return mapping


def _table(path: Path) -> Any:
    lower = path.name.lower()
    try:
        if lower.endswith(_PARQUET):
            return pq.ParquetFile(path).read()
        if lower.endswith(_CSV):
            return pyarrow.csv.read_csv(
                path, parse_options=pyarrow.csv.ParseOptions(delimiter=_delimiter(path))
            )
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        kind = "Parquet" if lower.endswith(_PARQUET) else "CSV"
        raise DataError(
            f"{path} cannot be read as {kind}",
            why=str(error).partition("\n")[0],
            fix="check that the file is complete; download or export it again",
        ) from error
    raise DataError(
        f"{path} is neither Parquet nor CSV", fix=f"use a file that ends in {', '.join(SUFFIXES)}"
    )


def _delimiter(path: Path) -> str:
    """What separates the columns: a comma, unless the first line has none but ``;`` or tabs."""
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        head = file.readline(_LONGEST_HEAD)
    others = [mark for mark in (";", "\t") if mark.encode() in head]
    return others[0] if others and b"," not in head else ","


def _find(name: str, present: Sequence[str], mapping: Mapping[str, str], path: Path) -> str:
    columns = ", ".join(present)
    if name in mapping:
        if mapping[name] in present:
            return mapping[name]
        raise DataError(
            f"{path} has no column '{mapping[name]}'{did_you_mean(mapping[name], present)}",
            why=f"its columns are {columns}",
            fix=f"correct --map {name}=COLUMN",
        )
    folded = {column.strip().lower().replace(" ", "_"): column for column in reversed(present)}
    for alias in (name, *_ALIASES[name]):
        if alias in folded:
            return folded[alias]
    what = "time column" if name == TIME else f"column '{name}'"
    raise DataError(
        f"{path} has no {what}",
        why=f"its columns are {columns}",
        fix=f"say which column it is with --map {name}=COLUMN",
    )


def _numbers(column: Any, name: str, path: Path) -> Floats:
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(
            f"column '{name}' of {path} does not hold numbers",
            why=str(error).splitlines()[0],
            fix="map another column with --map, or remove the rows with text; a decimal point"
            " is written as a point",
        ) from error


def _times(column: Any, name: str, path: Path) -> Ints:
    if column.null_count:
        raise DataError(
            f"time column '{name}' of {path} is empty in {column.null_count} rows",
            fix="remove those rows",
        )
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = column.cast(pa.timestamp("ms", tz=getattr(kind, "tz", None)), safe=False)
        ms: Ints = stamps.cast(pa.int64()).to_numpy().astype(np.int64)
    elif pa.types.is_integer(kind):
        ms = _epochs(column.cast(pa.int64()).to_numpy())
    elif pa.types.is_floating(kind):
        ms = _epochs(column.cast(pa.float64()).to_numpy())
    else:
        ms = _texts([str(cell) for cell in column.to_pylist()], name, path)
    _require_plausible(ms, name, path)
    return ms


def _epochs(numbers: npt.NDArray[np.number[Any]]) -> Ints:
    """Epoch seconds, milliseconds, microseconds or nanoseconds, told by their size."""
    if not numbers.size:
        return np.empty(0, dtype=np.int64)
    size = float(np.median(np.abs(numbers)))
    per_ms = next(count for bound, count in _EPOCHS if size < bound)
    # Nanoseconds do not fit a float: integers stay integers.
    whole = np.issubdtype(numbers.dtype, np.integer) and per_ms >= 1
    stamps: Ints = (
        numbers // int(per_ms) if whole else np.rint(numbers.astype(np.float64) / per_ms)
    ).astype(np.int64)
    return stamps


def _texts(cells: list[str], name: str, path: Path) -> Ints:
    stamps = np.empty(len(cells), dtype=np.int64)
    for row, cell in enumerate(cells):
        try:
            moment = datetime.fromisoformat(cell.strip())
        except ValueError:
            raise DataError(
                f"'{cell}' in row {row + 1} of column '{name}' of {path} is no time",
                fix="use ISO dates (2024-01-31T12:00Z) or epoch numbers, or map another column "
                "with --map timestamp=COLUMN",
            ) from None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        stamps[row] = round(aware.timestamp() * 1000)
    return stamps


def _require_plausible(ms: Ints, name: str, path: Path) -> None:
    odd = np.flatnonzero((ms < _EARLIEST_MS) | (ms > _LATEST_MS))
    if odd.size:
        span = f"{format_ts(_EARLIEST_MS)[:10]} and {format_ts(_LATEST_MS)[:10]}"
        raise DataError(
            f"column '{name}' of {path} holds times that are not between {span}",
            why=f"row {int(odd[0]) + 1} is {int(ms[odd[0]])} ms since 1970",
            fix="map the column with the bars' open time: --map timestamp=COLUMN",
        )
