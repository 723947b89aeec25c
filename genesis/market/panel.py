"""A panel: several symbols on one timeline, with what a decision may know at each bar."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError, did_you_mean
from genesis.domain.instrument import Instrument

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SymbolSeries:
    """Bars of one symbol on the panel's timeline; every array has shape (T,).

    Attributes
    ----------
    instrument : Instrument
        Its trading rules.
    open, high, low, close, volume : float64
        NaN where the bar is missing or quarantined.
    valid : bool
        Whether the bar exists. Bars outside ``[first, last]`` are never valid.
    first, last : int
        First and last valid bar; ``first > last`` if there is none.
    funding_due : float64
        Sum of the rates settled in ``(ts[t-1], ts[t]]``, as a fraction of notional, 0 where none.
        Positive means that longs pay shorts. Due at the open of bar t on the position carried in.
    funding : float64
        Last settled rate known at the close of bar t, per 8 hours; NaN while unknown or stale.
    sentiment : float64
        Last Fear & Greed value (0 to 100) known at the close of bar t; NaN while unknown or stale.
    has_funding : bool
        Whether a real, constant or proxy funding series is present.
    """

    instrument: Instrument
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    valid: Bools
    first: int
    last: int
    funding_due: Floats
    funding: Floats
    sentiment: Floats
    has_funding: bool

    @property
    def symbol(self) -> str:
        """The venue's name of the symbol."""
        return self.instrument.symbol

    def sliced(self, start: int, stop: int) -> SymbolSeries:
        """Bars ``start`` to ``stop`` (exclusive) as views."""
        valid = self.valid[start:stop]
        places = np.flatnonzero(valid)
        return replace(
            self,
            **{name: getattr(self, name)[start:stop] for name in ARRAYS},
            first=int(places[0]) if places.size else 0,
            last=int(places[-1]) if places.size else -1,
        )


ARRAYS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "valid",
    "funding_due",
    "funding",
    "sentiment",
)


@dataclass(frozen=True, slots=True)
class Panel:
    """Symbols of one dataset on one timeline.

    Attributes
    ----------
    name : str
        The dataset's spelling, ``venue:SYM,SYM:interval[:from..to]``.
    venue : str
    interval_ms : int
        Bar length in milliseconds.
    ts_ms : int64, shape (T,)
        Open time of each bar, on a regular grid.
    symbols : tuple of SymbolSeries
        In the dataset's fixed order.
    dataset_hash : str
        SHA-256 over venue, symbols, interval, timestamps, column bytes and masks.
    """

    name: str
    venue: str
    interval_ms: int
    ts_ms: Ints
    symbols: tuple[SymbolSeries, ...]
    dataset_hash: str

    @property
    def bars(self) -> int:
        """Number of bars T on the timeline."""
        return int(self.ts_ms.size)

    def index_of(self, symbol: str) -> int:
        """Place of a symbol in the panel.

        Raises
        ------
        DataError
            If the panel does not hold it.
        """
        names = [s.symbol for s in self.symbols]
        if symbol not in names:
            raise DataError(
                f"symbol '{symbol}' is not in {self.name}{did_you_mean(symbol, names)}",
                fix=f"use one of {', '.join(names)}",
            )
        return names.index(symbol)

    def sliced(self, start: int, stop: int) -> Panel:
        """Bars ``start`` to ``stop`` (exclusive) as views; the hash stays that of the dataset."""
        return replace(
            self,
            ts_ms=self.ts_ms[start:stop],
            symbols=tuple(s.sliced(start, stop) for s in self.symbols),
        )


WELL_FUNDED = 0.99


def partly_funded(panel: Panel) -> dict[str, float]:
    """Symbols whose funding series leaves more than 1 % of their bars without a known rate.

    Returns
    -------
    dict
        Symbol to the share of its valid bars at whose close a rate is known.
    """
    found = {}
    for series in panel.symbols:
        if series.has_funding and series.valid.any():
            share = float(np.isfinite(series.funding[series.valid]).mean())
            if share < WELL_FUNDED:
                found[series.symbol] = share
    return found
