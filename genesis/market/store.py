"""The bar store: one Parquet file per series, atomic, hashed, merged without silent edits.

Layout under the root::

    bars/VENUE/SYMBOL/INTERVAL.parquet         timestamp, open, high, low, close, volume
    funding/VENUE/SYMBOL.parquet               timestamp, funding_rate
    sentiment/NAME.parquet                     timestamp, value
    quarantine/VENUE/SYMBOL/INTERVAL.parquet   rows that an import refused, with their reason

Names are percent-encoded in paths, so ``BTC/USDC:USDC`` is one folder. Each file carries the
SHA-256 of its columns; a file whose columns say otherwise is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genesis.domain.errors import DataError
from genesis.market.atomic_file import exclusive, remove_leftovers, write_atomic
from genesis.market.bars import Bars, FundingRates, SentimentIndex
from genesis.market.quality import require_storable
from genesis.market.series_file import (
    BARS,
    FUNDING,
    SENTIMENT,
    Form,
    S,
    WriteResult,
    merge,
    read_facts,
    read_series,
    require_ordered,
    to_table,
    write_series,
)


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What the store knows of one series.

    Attributes
    ----------
    kind : str
        ``bars``, ``funding`` or ``sentiment``.
    venue, symbol, interval : str
        Empty where the kind has none; a sentiment index' name is its symbol.
    rows : int
    first_ms, last_ms : int
        Stamps of the first and last row.
    content_hash : str
        SHA-256 over the columns.
    """

    kind: str
    venue: str
    symbol: str
    interval: str
    rows: int
    first_ms: int
    last_ms: int
    content_hash: str


class BarStore:
    """Series on disk.

    Parameters
    ----------
    root : Path
        The store's folder, made on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_bars(
        self,
        venue: str,
        symbol: str,
        interval: str,
        bars: Bars,
        *,
        replace: bool = False,
        overwrite: bool = False,
    ) -> WriteResult:
        """Merge bars into a series, or put them in its place.

        Parameters
        ----------
        venue, symbol, interval : str
        bars : Bars
        replace : bool
            Whether a new bar counts where it differs from the stored one of the same time.
        overwrite : bool
            Whether to drop the stored series first, in the same step.

        Raises
        ------
        DataError
            If a bar is impossible, off the grid or out of order, or differs from the stored bar
            of the same time and `replace` is false. Nothing is written then.
        StorageError
            If the file cannot be written; the series is unchanged.
        """
        name = f"{venue} {symbol} {interval} bars"
        require_storable(bars, interval, name)
        path = self._bars_path(venue, symbol, interval)
        return self._merge(path, bars, BARS, name, replace, overwrite)

    def read_bars(self, venue: str, symbol: str, interval: str) -> Bars | None:
        """Bars of a symbol, or None if the store does not hold them."""
        return _read(self._bars_path(venue, symbol, interval), BARS)

    def write_funding(
        self,
        venue: str,
        symbol: str,
        rates: FundingRates,
        *,
        replace: bool = False,
        overwrite: bool = False,
    ) -> WriteResult:
        """Merge settled rates into a series; arguments and errors as in `write_bars`."""
        name = f"{venue} {symbol} funding"
        require_ordered(rates.ts_ms, rates.rate, name)
        path = self._funding_path(venue, symbol)
        return self._merge(path, rates, FUNDING, name, replace, overwrite)

    def read_funding(self, venue: str, symbol: str) -> FundingRates | None:
        """Funding rates of a symbol, or None if the store does not hold them."""
        return _read(self._funding_path(venue, symbol), FUNDING)

    def write_sentiment(
        self, name: str, index: SentimentIndex, *, replace: bool = False
    ) -> WriteResult:
        """Merge a daily index into a series; errors as in `write_bars`."""
        title = f"sentiment {name}"
        require_ordered(index.ts_ms, index.value, title)
        if np.any((index.value < 0) | (index.value > 100)):
            raise DataError(
                f"{title}: values outside 0 to 100",
                fix="import a Fear & Greed index, or scale the column to 0 to 100 first",
            )
        return self._merge(self._sentiment_path(name), index, SENTIMENT, title, replace, False)

    def read_sentiment(self, name: str) -> SentimentIndex | None:
        """Read a sentiment index, or None if the store does not hold it."""
        return _read(self._sentiment_path(name), SENTIMENT)

    def write_quarantine(
        self, venue: str, symbol: str, interval: str, bars: Bars, reasons: Sequence[str]
    ) -> Path:
        """Keep refused rows and why; those of an earlier import of the series are replaced.

        Returns
        -------
        Path
            The file written.
        """
        folder = self.root / "quarantine" / _part(venue) / _part(symbol)
        path = folder / f"{_part(interval)}.parquet"
        column = pa.array(list(reasons), pa.string())
        table = to_table(bars, BARS.columns).append_column("reason", column)
        with exclusive(self.root / ".lock"):
            remove_leftovers(path)
            write_atomic(path, lambda file: pq.write_table(table, file, compression="zstd"))
        return path

    def list(self) -> list[SeriesInfo]:
        """Every series in the store, in the order kind, venue, symbol, interval."""
        bars = [
            _info("bars", path, path.parent.parent.name, path.parent.name, path.stem)
            for path in sorted((self.root / "bars").glob("*/*/*.parquet"))
        ]
        funding = [
            _info("funding", path, path.parent.name, path.stem, "")
            for path in sorted((self.root / "funding").glob("*/*.parquet"))
        ]
        sentiment = [
            _info("sentiment", path, "", path.stem, "")
            for path in sorted((self.root / "sentiment").glob("*.parquet"))
        ]
        return bars + funding + sentiment

    def venues(self) -> tuple[str, ...]:
        """Venues that have bars."""
        return _folders(self.root / "bars")

    def symbols(self, venue: str) -> tuple[str, ...]:
        """Symbols of a venue that have bars of any interval."""
        return _folders(self.root / "bars" / _part(venue))

    def intervals(self, venue: str, symbol: str) -> tuple[str, ...]:
        """Intervals that a symbol has bars of."""
        folder = self.root / "bars" / _part(venue) / _part(symbol)
        return tuple(unquote(path.stem) for path in sorted(folder.glob("*.parquet")))

    def _bars_path(self, venue: str, symbol: str, interval: str) -> Path:
        folder = self.root / "bars" / _part(venue) / _part(symbol)
        return folder / f"{_part(interval)}.parquet"

    def _funding_path(self, venue: str, symbol: str) -> Path:
        return self.root / "funding" / _part(venue) / f"{_part(symbol)}.parquet"

    def _sentiment_path(self, name: str) -> Path:
        return self.root / "sentiment" / f"{_part(name)}.parquet"

    def _merge(
        self, path: Path, new: S, form: Form[S], name: str, replace: bool, overwrite: bool
    ) -> WriteResult:
        # The lock spans read, merge and write: two imports of one series must not lose rows.
        with exclusive(self.root / ".lock"):
            remove_leftovers(path)
            old = None if overwrite else _read(path, form)
            merged, result = merge(old, new, form, name, replace=replace)
            if result.added or result.replaced:
                write_series(path, merged, form)
        return result


def _read(path: Path, form: Form[S]) -> S | None:
    return read_series(path, form) if path.exists() else None


def _info(kind: str, path: Path, venue: str, symbol: str, interval: str) -> SeriesInfo:
    facts = read_facts(path)
    return SeriesInfo(
        kind,
        unquote(venue),
        unquote(symbol),
        unquote(interval),
        facts.rows,
        facts.first_ms,
        facts.last_ms,
        facts.content_hash,
    )


def _folders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    return tuple(unquote(path.name) for path in sorted(folder.iterdir()) if path.is_dir())


def _part(name: str) -> str:
    """Spell a name as one part of a path; ``.`` and ``..`` cannot leave the store."""
    if not name or name != name.strip() or "," in name or not name.isprintable():
        raise DataError(
            f"'{name}' is no name of a venue, symbol or series",
            fix="use letters, digits and - _ / : . @, without blanks and commas",
        )
    encoded = quote(name, safe="")
    return encoded.replace(".", "%2E") if set(encoded) == {"."} else encoded
