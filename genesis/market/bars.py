"""Columns of one series: bars, funding rates, a sentiment index. Pure values, no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.canonical import array_hash
from genesis.domain.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRICES = ("open", "high", "low", "close")


def _same_length(what: str, *columns: npt.NDArray[np.generic]) -> None:
    lengths = {column.shape for column in columns}
    if len(lengths) != 1 or columns[0].ndim != 1:
        raise DataError(f"{what}: columns of different lengths ({sorted(lengths)})")


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars of one symbol and interval; every array has shape (N,).

    Attributes
    ----------
    ts_ms : int64
        Open time in milliseconds UTC. A stored series is sorted, unique and on the grid.
    open, high, low, close : float64
        Prices in quote units.
    volume : float64
        Traded volume in base units.
    """

    ts_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        _same_length("bars", *self.columns())

    def __len__(self) -> int:
        return int(self.ts_ms.size)

    def columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        """All columns in storage order, the time first."""
        return (self.ts_ms, self.open, self.high, self.low, self.close, self.volume)

    def take(self, rows: npt.NDArray[np.generic] | slice) -> Bars:
        """Rows by index, mask or slice."""
        return Bars(
            ts_ms=self.ts_ms[rows],
            open=self.open[rows],
            high=self.high[rows],
            low=self.low[rows],
            close=self.close[rows],
            volume=self.volume[rows],
        )

    @property
    def content_hash(self) -> str:
        """SHA-256 over all columns."""
        return array_hash(*self.columns())


@dataclass(frozen=True, slots=True, eq=False)
class FundingRates:
    """Settled funding rates of one symbol; every array has shape (N,).

    Attributes
    ----------
    ts_ms : int64
        Settlement in milliseconds UTC, sorted and unique.
    rate : float64
        Rate of that one period as a fraction of notional; positive means that longs pay shorts.
    """

    ts_ms: Ints
    rate: Floats

    def __post_init__(self) -> None:
        _same_length("funding rates", self.ts_ms, self.rate)

    def __len__(self) -> int:
        return int(self.ts_ms.size)

    def columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Both columns in storage order, the time first."""
        return (self.ts_ms, self.rate)

    def take(self, rows: npt.NDArray[np.generic] | slice) -> FundingRates:
        """Rows by index, mask or slice."""
        return FundingRates(self.ts_ms[rows], self.rate[rows])

    @property
    def content_hash(self) -> str:
        """SHA-256 over both columns."""
        return array_hash(*self.columns())


@dataclass(frozen=True, slots=True, eq=False)
class SentimentIndex:
    """A daily index from 0 to 100; every array has shape (N,).

    Attributes
    ----------
    ts_ms : int64
        00:00 UTC of its day in milliseconds, sorted and unique.
    value : float64
        0 is extreme fear, 100 extreme greed.
    """

    ts_ms: Ints
    value: Floats

    def __post_init__(self) -> None:
        _same_length("sentiment", self.ts_ms, self.value)

    def __len__(self) -> int:
        return int(self.ts_ms.size)

    def columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Both columns in storage order, the time first."""
        return (self.ts_ms, self.value)

    def take(self, rows: npt.NDArray[np.generic] | slice) -> SentimentIndex:
        """Rows by index, mask or slice."""
        return SentimentIndex(self.ts_ms[rows], self.value[rows])

    @property
    def content_hash(self) -> str:
        """SHA-256 over both columns."""
        return array_hash(*self.columns())


Series = Bars | FundingRates | SentimentIndex
