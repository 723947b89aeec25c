"""Import of files and folders: what each file is, and its way into the store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from genesis.domain.errors import DataError
from genesis.domain.timeline import DAY_MS, INTERVALS, interval_name
from genesis.market.bars import Bars, FundingRates, SentimentIndex
from genesis.market.funding import whole_hours
from genesis.market.quality import check, clean, dominant_spacing, require_storable
from genesis.market.series_file import WriteResult
from genesis.market.sources.columns import SUFFIXES, read_columns
from genesis.market.store import BarStore

_VENUE = re.compile(r"[A-Za-z0-9][\w.-]*")
_SYMBOL = re.compile(r"[A-Za-z0-9@][\w.:/-]*")

_BAR_COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class ImportItem:
    """One file and the series it belongs to.

    Attributes
    ----------
    path : Path
    kind : str
        ``bars``, ``funding`` or ``sentiment``.
    venue, symbol, interval : str
        A sentiment index' name is its symbol; an empty interval is inferred.
    """

    path: Path
    kind: str
    venue: str
    symbol: str
    interval: str = ""

    @property
    def name(self) -> str:
        """How the series is called in messages."""
        return " ".join(
            part for part in (self.venue, self.symbol, self.interval or self.kind) if part
        )


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """Files to import, and how many data files have no place in the layout."""

    items: tuple[ImportItem, ...]
    skipped: int


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of one file.

    Attributes
    ----------
    item : ImportItem
        With the interval that was found.
    rows : int
        Rows in the file.
    written : WriteResult
    quarantined : int
        Rows set aside.
    quarantine : Path or None
        Where they are.
    warnings : tuple of str
        Gaps and spikes, one line each.
    """

    item: ImportItem
    rows: int
    written: WriteResult
    quarantined: int = 0
    quarantine: Path | None = None
    warnings: tuple[str, ...] = ()


def plan(
    paths: Sequence[Path],
    *,
    venue: str = "",
    symbol: str = "",
    interval: str = "",
    funding: bool = False,
    sentiment: str = "",
) -> ImportPlan:
    """Decide what each file is.

    A folder, or a file in one, is laid out ``candles/VENUE/SYMBOL/INTERVAL.parquet`` (or
    ``bars/``), ``funding/VENUE/SYMBOL.parquet``, ``sentiment/NAME.csv``; any part of such a tree
    may be given. Another file needs its venue and symbol, or the name of a sentiment index.

    Raises
    ------
    DataError
        If a path does not exist, nothing in it is laid out so, or a file is left unnamed.
    """
    items: list[ImportItem] = []
    skipped = 0
    named = bool(venue or symbol or sentiment)
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist", fix="give a file or folder that does")
        if path.is_file():
            found_as = None if named else laid_out(path)
            items.append(found_as or _named(path, venue, symbol, interval, funding, sentiment))
            continue
        if named:
            raise DataError(
                f"{path} is a folder, and --venue, --symbol and --sentiment name a single file",
                fix="leave them out for a folder laid out candles/VENUE/SYMBOL/INTERVAL.parquet",
            )
        files = sorted(f for f in path.rglob("*") if f.name.lower().endswith(SUFFIXES))
        found = [item for item in map(laid_out, files) if item is not None]
        skipped += len(files) - len(found)
        if not found:
            raise DataError(
                f"nothing to import in {path}",
                why=f"{len(files)} data files, none at candles/VENUE/SYMBOL/INTERVAL, "
                "funding/VENUE/SYMBOL or sentiment/NAME",
                fix="lay the folder out so, or import file by file with --venue and --symbol",
            )
        items += found
    return ImportPlan(tuple(items), skipped)


def laid_out(path: Path) -> ImportItem | None:
    """Read what a file is from its place in the layout, or None if it has none."""
    parts = [unquote(part) for part in path.absolute().parts[-4:]]
    suffix = next((end for end in SUFFIXES if parts[-1].lower().endswith(end)), "")
    stem = parts[-1][: len(parts[-1]) - len(suffix)]
    if len(parts) == 4 and parts[0] in ("candles", "bars") and stem in INTERVALS:
        return ImportItem(path, "bars", parts[1], parts[2], stem)
    if len(parts) >= 3 and parts[-3] == "funding":
        return ImportItem(path, "funding", parts[-2], stem)
    if len(parts) >= 2 and parts[-2] == "sentiment":
        return ImportItem(path, "sentiment", "", stem)
    return None


def import_item(
    store: BarStore,
    item: ImportItem,
    *,
    mapping: Mapping[str, str] | None = None,
    quarantine: bool = False,
    remove_spikes: bool = False,
    replace: bool = False,
) -> ImportResult:
    """Bring one file into the store.

    Parameters
    ----------
    store : BarStore
    item : ImportItem
    mapping : mapping of str to str, optional
        Our column name to the file's.
    quarantine : bool
        Set bad bars aside and store the others, instead of refusing the file.
    remove_spikes : bool
        With `quarantine`: set reverting spikes aside too.
    replace : bool
        Whether rows count that differ from stored ones.

    Raises
    ------
    DataError
        If the file cannot be read, has bad bars, or conflicts with the store. The store is
        unchanged then.
    """
    columns = mapping or {}
    if item.kind == "funding":
        stamps, (rate,) = read_columns(item.path, ("funding_rate",), columns)
        rates = FundingRates(whole_hours(stamps), rate)
        done = store.write_funding(item.venue, item.symbol, rates, replace=replace)
        return ImportResult(item, len(rates), done)
    if item.kind == "sentiment":
        stamps, (value,) = read_columns(item.path, ("value",), columns)
        index = SentimentIndex(stamps // DAY_MS * DAY_MS, value)
        done = store.write_sentiment(item.symbol, index, replace=replace)
        return ImportResult(item, len(index), done)
    item, bars = read_bars_file(item, columns)
    if quarantine:
        return _import_clean(store, item, bars, remove_spikes, replace)
    require_storable(bars, item.interval, str(item.path))
    done = store.write_bars(item.venue, item.symbol, item.interval, bars, replace=replace)
    return ImportResult(item, len(bars), done, warnings=_warnings(bars, item))


def read_bars_file(item: ImportItem, mapping: Mapping[str, str]) -> tuple[ImportItem, Bars]:
    """Bars of a file as they are, good or bad, and the item with its interval.

    Raises
    ------
    DataError
        If the file cannot be read, or its interval is neither given nor plain.
    """
    stamps, floats = read_columns(item.path, _BAR_COLUMNS, mapping)
    bars = Bars(stamps, *floats)
    return _with_interval(item, bars), bars


def _import_clean(
    store: BarStore, item: ImportItem, bars: Bars, remove_spikes: bool, replace: bool
) -> ImportResult:
    parts = clean(bars, item.interval, remove_spikes=remove_spikes)
    if not len(parts.good):
        raise DataError(
            f"{item.path}: no good bar is left of {len(bars)}",
            why=f"reasons: {', '.join(sorted(set(parts.reasons)))}",
            fix="check the columns with --map, and the file itself",
        )
    written = store.write_bars(item.venue, item.symbol, item.interval, parts.good, replace=replace)
    place = None
    if parts.reasons:
        place = store.write_quarantine(
            item.venue, item.symbol, item.interval, parts.refused, parts.reasons
        )
    return ImportResult(
        item, len(bars), written, len(parts.reasons), place, _warnings(parts.good, item)
    )


def _warnings(bars: Bars, item: ImportItem) -> tuple[str, ...]:
    return tuple(issue.message for issue in check(bars, item.interval, item.name).warnings)


def _with_interval(item: ImportItem, bars: Bars) -> ImportItem:
    if item.interval:
        return item
    if len(bars) < 2 or not np.any(np.diff(bars.ts_ms)):
        raise DataError(
            f"the interval of {item.path} cannot be told from {len(bars)} bars",
            fix="give it with --interval 1h",
        )
    name = interval_name(dominant_spacing(bars.ts_ms))
    if name not in INTERVALS:
        raise DataError(
            f"the bars of {item.path} are {name} apart, which is no interval",
            fix=f"resample to one of {', '.join(INTERVALS)}",
        )
    return ImportItem(item.path, item.kind, item.venue, item.symbol, name)


def _named(
    path: Path, venue: str, symbol: str, interval: str, funding: bool, sentiment: str
) -> ImportItem:
    if sentiment:
        return ImportItem(path, "sentiment", "", sentiment)
    if not venue or not symbol:
        missing = "--symbol" if venue else "--venue"
        raise DataError(
            f"{path} needs a venue and a symbol",
            why=f"{missing} is missing",
            fix="add --venue binance_perp --symbol BTCUSDT (and --interval 1h if it is not told "
            "by the bars)",
        )
    for what, name, pattern in (("venue", venue, _VENUE), ("symbol", symbol, _SYMBOL)):
        if not pattern.fullmatch(name) or ".." in name:
            raise DataError(
                f"'{name}' is no name for a {what}",
                why="a dataset is written venue:SYM,SYM:interval, and both name folders",
                fix="use letters, digits and . _ - (symbols also / and :)",
            )
    return ImportItem(path, "funding" if funding else "bars", venue, symbol, interval)
