"""What is remembered of one symbol: the last returns, volatilities and traded notionals.

All windows are counted in bars and finite. So the measures of a symbol are a function of its last
bars alone: a trader that starts today and one that has run for a year agree once both have seen
`Windows.memory` bars.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import ConfigError, refuse_unknown_keys
from genesis.risk.measures import bar_deviation, on_timeline, percentile_of, trend_strength

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Lengths of the windows, in bars.

    Attributes
    ----------
    trend, volatility, correlation : int
        Returns that each is measured on.
    history : int
        Volatilities that the newest one is compared with.
    least_history : int
        Fewer give no percentile.
    least_common : int
        Common returns below which two symbols have no correlation.
    turnover : int
        Bars that the traded notional is averaged over.
    stale : int
        Bars without a new one after which a symbol is unknown.
    """

    trend: int = 168
    volatility: int = 48
    correlation: int = 168
    history: int = 720
    least_history: int = 168
    least_common: int = 48
    turnover: int = 24
    stale: int = 3

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 2:
                raise ConfigError(
                    f"risk windows: {spec.name} = {value!r} is no number of bars",
                    fix="write a whole number of at least 2",
                )
        if self.least_history > self.history or self.least_common > self.correlation:
            raise ConfigError("risk windows: the least number of bars is longer than its window")

    @property
    def warm_up(self) -> int:
        """Bars after which all measures of a symbol exist."""
        return max(self.trend, self.correlation, self.volatility + self.least_history - 1) + 1

    @property
    def memory(self) -> int:
        """Bars after which nothing is left of what was before them."""
        return max(self.returns, self.volatility + self.history - 1) + 1

    @property
    def returns(self) -> int:
        """Returns that are remembered of a symbol."""
        return max(self.trend, self.volatility, self.correlation)

    def plain(self) -> dict[str, Any]:
        """Fields as a mapping that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> Windows:
        """Read back what `plain` wrote.

        Raises
        ------
        ConfigError
            For an unknown key or a value that is no number of bars.
        """
        refuse_unknown_keys("risk windows", value, [f.name for f in fields(cls)])
        return cls(**value)


class SymbolTrack:
    """The last bars of one symbol, as far as risk needs them.

    Parameters
    ----------
    windows : Windows
    interval_ms : int

    Attributes
    ----------
    close : float
        Last close, quote units.
    ts_ms : int
        Open time of the last bar, -1 before the first.
    stamps, returns, spans : int64 and float64, shape (N,)
        Open times, log returns, and bars that each return covers.
    volatilities : float64, shape (N,)
        Deviations of the returns of a bar, each over its window.
    notionals : float64, shape (N,)
        Traded notional of the last bars.
    percentile : float
        Place of the newest volatility in its own history, 0 to 1; NaN where unknown.
    strength : float
        Return over the trend window in standard deviations; NaN where unknown.
    """

    __slots__ = (
        "_interval",
        "_windows",
        "close",
        "notionals",
        "percentile",
        "returns",
        "spans",
        "stamps",
        "strength",
        "ts_ms",
        "volatilities",
    )

    def __init__(self, windows: Windows, interval_ms: int) -> None:
        self._windows = windows
        self._interval = interval_ms
        self.close = math.nan
        self.ts_ms = -1
        self.stamps: Ints = np.empty(0, dtype=np.int64)
        self.returns: Floats = np.empty(0)
        self.spans: Floats = np.empty(0)
        self.volatilities: Floats = np.empty(0)
        self.notionals: Floats = np.empty(0)
        self.percentile = math.nan
        self.strength = math.nan

    def on_bar(self, open_ms: int, close: float, volume: float) -> bool:
        """Take a closed bar.

        Returns
        -------
        bool
            False, and nothing changes, for a bar that is not newer than the last one or whose
            price or volume is impossible.
        """
        sound = math.isfinite(close) and close > 0.0 and math.isfinite(volume) and volume >= 0.0
        if open_ms <= self.ts_ms or not sound:
            return False
        windows = self._windows
        if self.ts_ms >= 0:
            span = max((open_ms - self.ts_ms) / self._interval, 1.0)
            change = math.log(close / self.close)
            self.stamps = np.append(self.stamps, open_ms)[-windows.returns :]
            self.returns = np.append(self.returns, change)[-windows.returns :]
            self.spans = np.append(self.spans, span)[-windows.returns :]
            if self.returns.size >= windows.volatility:
                newest = bar_deviation(
                    self.returns[-windows.volatility :], self.spans[-windows.volatility :]
                )
                self.volatilities = np.append(self.volatilities, newest)[-windows.history :]
        self.notionals = np.append(self.notionals, close * volume)[-windows.turnover :]
        self.close, self.ts_ms = float(close), open_ms
        self._measure()
        return True

    @property
    def warm(self) -> bool:
        """Whether all measures exist."""
        enough = self.returns.size >= max(self._windows.trend, self._windows.correlation)
        return enough and self.volatilities.size >= self._windows.least_history

    @property
    def seen(self) -> int:
        """Bars that were seen, as far as the memory tells."""
        measured = self.volatilities.size
        before = self._windows.volatility
        return measured + before if measured else self.returns.size + 1

    @property
    def deviation(self) -> float:
        """Volatility per bar, NaN where unknown."""
        return float(self.volatilities[-1]) if self.volatilities.size else math.nan

    @property
    def turnover(self) -> float:
        """Mean notional traded in a bar, quote units; 0 where unknown."""
        total = 0.0
        for notional in self.notionals.tolist():
            total += notional
        return total / self.notionals.size if self.notionals.size else 0.0

    def _measure(self) -> None:
        """Measure once a bar: an order that is judged must not wait for it."""
        if self.warm:
            n = self._windows.trend
            self.percentile = float(percentile_of(self.deviation, self.volatilities))
            self.strength = float(trend_strength(self.returns[-n:], self.spans[-n:]))

    def row(self, newest_ms: int, bars: int) -> Floats:
        """Returns of single bars on the timeline that ends with a bar; NaN where there is none.

        Parameters
        ----------
        newest_ms : int
            Open time of the last bar of the timeline.
        bars : int

        Returns
        -------
        float64, shape (bars,)
        """
        row: Floats = on_timeline(
            self.stamps, self.returns, self.spans, newest_ms, self._interval, bars
        )
        return row

    def plain(self) -> dict[str, Any]:
        """Memory as a mapping that JSON can hold, oldest first."""
        return {
            "close": self.close,
            "ts_ms": self.ts_ms,
            "stamps": self.stamps.tolist(),
            "returns": self.returns.tolist(),
            "spans": self.spans.tolist(),
            "volatilities": self.volatilities.tolist(),
            "notionals": self.notionals.tolist(),
        }

    @classmethod
    def restore(cls, value: Mapping[str, Any], windows: Windows, interval_ms: int) -> SymbolTrack:
        """Read back what `plain` wrote."""
        track = cls(windows, interval_ms)
        track.close = number(value["close"])
        track.ts_ms = int(value["ts_ms"])
        track.stamps = np.array(value["stamps"], dtype=np.int64)
        for name in ("returns", "spans", "volatilities", "notionals"):
            setattr(track, name, np.array([number(v) for v in value[name]], dtype=np.float64))
        track._measure()
        return track


def number(value: Any) -> float:
    """Float of a plain value: a number, or `float.hex` as canonical JSON spells it."""
    return float.fromhex(value) if isinstance(value, str) else float(value)
