"""Checking on demand: stored series, datasets, and files before they are imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from genesis.domain.errors import DataError
from genesis.market.dataset import DatasetSpec, parse, require_stored
from genesis.market.quality import QualityReport, check
from genesis.market.sources.files import ImportItem, laid_out, plan, read_bars_file
from genesis.market.store import BarStore


def check_targets(store: BarStore, targets: Sequence[str]) -> Iterator[QualityReport]:
    """Check bars by name.

    Parameters
    ----------
    store : BarStore
    targets : sequence of str
        Paths of files or folders in the import layout, or datasets of the store; everything in
        the store if empty.

    Raises
    ------
    DataError
        If a target is neither a path nor a stored dataset.
    StorageError
        If a stored file is damaged.
    """
    if not targets:
        for info in store.list():
            if info.kind == "bars":
                yield _stored(store, info.venue, info.symbol, info.interval)
        return
    for target in targets:
        if Path(target).exists():
            yield from _files(Path(target))
        elif ":" in target:
            yield from _dataset(store, parse(target))
        else:
            raise DataError(
                f"'{target}' is neither a file nor a dataset",
                fix="give a path that exists, or venue:SYM:interval",
            )


def _dataset(store: BarStore, spec: DatasetSpec) -> Iterator[QualityReport]:
    for symbol in require_stored(store, spec):
        yield _stored(store, spec.venue, symbol, spec.interval)


def _stored(store: BarStore, venue: str, symbol: str, interval: str) -> QualityReport:
    bars = store.read_bars(venue, symbol, interval)
    assert bars is not None, "the series was listed a moment ago"
    return check(bars, interval, f"{venue} {symbol} {interval}")


def _files(path: Path) -> Iterator[QualityReport]:
    # A file outside the layout has no name yet; its path is its name and its spacing its interval.
    loose = path.is_file() and laid_out(path) is None
    items = (ImportItem(path, "bars", "", ""),) if loose else plan([path]).items
    for item in items:
        if item.kind == "bars":
            found, bars = read_bars_file(item, {})
            yield check(bars, found.interval, str(item.path))
