"""One symbol laid out for the kernels: bars, funding, activity, folds and marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.passes import accumulate_due
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import DAY_MS, bars_per_year
from genesis.market.panel import Panel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Truth = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Frame:
    """A symbol of a panel as the passes read it; arrays are read-only, of shape (T,) unless said.

    Attributes
    ----------
    instrument : Instrument
    capital : float
        The symbol's share of the reference capital.
    open, high, low, close, valid, ts_ms
        Bars as in `SymbolSeries`.
    known : float64
        Close of the last valid bar so far, for marking to market across missing bars.
    due : float64
        Funding due at each valid bar, that of the missing bars before it added.
    first, last : int
    periods : float
        Bars in 365 days.
    fold_stop, mark_stop : int64, shapes (F,) and (M,)
        Exclusive ends of folds and days.
    fold_bars : int64, shape (F,)
        Active bars in each fold.
    none : int8
        Zeros: the signal of a rule that never fires.
    active_marks : slice
        Days on which the symbol is active.
    noise_key : int
        Key of its slippage noise.
    """

    instrument: Instrument
    capital: float
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    valid: Bools
    ts_ms: Ints
    known: Floats
    due: Floats
    first: int
    last: int
    periods: float
    fold_stop: Ints
    mark_stop: Ints
    fold_bars: Ints
    none: Truth
    active_marks: slice
    noise_key: int

    @property
    def active_bars(self) -> int:
        """Bars from the first to the last valid one."""
        return max(self.last - self.first + 1, 0)


def frozen(array: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
    """Contiguous read-only array: one type for the kernels, whoever owns the memory."""
    out: npt.NDArray[Any] = np.ascontiguousarray(array, dtype=dtype).view()
    out.flags.writeable = False
    return out


def day_stops(ts_ms: Ints) -> Ints:
    """Exclusive end of each UTC day's bars; of each bar where bars are a day or longer."""
    days = ts_ms // DAY_MS
    return np.append(np.flatnonzero(np.diff(days)) + 1, ts_ms.size).astype(np.int64)


def fold_stops(bars: int, folds: int) -> Ints:
    """Exclusive ends of equal consecutive folds of a timeline."""
    return np.array([bars * (i + 1) // folds for i in range(folds)], dtype=np.int64)


def last_known(values: Floats, valid: Bools) -> Floats:
    """Value of the last valid bar at or before each bar, NaN before the first."""
    place = np.where(valid, np.arange(values.size), -1)
    place = np.maximum.accumulate(place)
    return np.where(place >= 0, values[np.maximum(place, 0)], np.nan)


def _days_between(stops: Ints, first: int, last: int) -> slice:
    if last < first:
        return slice(0, 0)
    low, high = (int(np.searchsorted(stops, bar, side="right")) for bar in (first, last))
    return slice(low, high + 1)


def frame_of(panel: Panel, symbol: int, capital: float, setup: EvaluationSetup) -> Frame:
    """Lay out a symbol.

    Parameters
    ----------
    panel : Panel
    symbol : int
        Place of the symbol in the panel.
    capital : float
        Reference capital of the symbol.
    setup : EvaluationSetup
    """
    s = panel.symbols[symbol]
    bars = panel.bars
    stops = fold_stops(bars, setup.folds)
    days = day_stops(panel.ts_ms)
    starts = np.append(0, stops[:-1])
    inside = np.minimum(stops, s.last + 1) - np.maximum(starts, s.first)
    floats = {
        "open": s.open,
        "high": np.maximum(s.high, s.open),  # the open belongs to the range of its bar
        "low": np.minimum(s.low, s.open),
        "close": s.close,
        "known": last_known(s.close, s.valid),
        "due": accumulate_due(s.funding_due, s.valid),
    }
    return Frame(
        instrument=s.instrument,
        capital=capital,
        valid=frozen(s.valid, np.bool_),
        ts_ms=frozen(panel.ts_ms, np.int64),
        first=s.first,
        last=s.last,
        periods=bars_per_year(panel.interval_ms),
        fold_stop=frozen(stops, np.int64),
        mark_stop=frozen(days, np.int64),
        fold_bars=np.maximum(inside, 0),
        none=frozen(np.zeros(bars), np.int8),
        active_marks=_days_between(days, s.first, s.last),
        noise_key=setup.costs.noise_key(s.symbol),
        **{name: frozen(values, np.float64) for name, values in floats.items()},
    )
