"""Market regimes: trend and volatility of each symbol, correlation between them, sentiment.

Everything is measured on completed bars. Too little data, or data that stopped, is UNKNOWN, and the
manager allows no new risk on what is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import ConfigError
from genesis.domain.timeline import HOUR_MS, bars_per_year
from genesis.market.sentiment import STALE_MS, valid_index
from genesis.risk import formulas
from genesis.risk.measures import correlations, mean_above_diagonal
from genesis.risk.track import SymbolTrack, Windows, number

Floats = npt.NDArray[np.float64]

CLUSTER = 0.7
"""Correlation from which two symbols count as one bet."""


class MarketRegime(StrEnum):
    """Direction and volatility of a market."""

    BULL_STABLE = "bull_stable"
    BULL_VOLATILE = "bull_volatile"
    BEAR_STABLE = "bear_stable"
    BEAR_VOLATILE = "bear_volatile"
    SIDEWAYS_STABLE = "sideways_stable"
    SIDEWAYS_VOLATILE = "sideways_volatile"
    UNKNOWN = "unknown"


_NAMES = {1: "bull", 0: "sideways", -1: "bear"}


@dataclass(frozen=True, slots=True)
class SymbolMarket:
    """What is known of one symbol at an instant.

    Attributes
    ----------
    regime : MarketRegime
    trend : int
        +1, 0 or -1.
    strength : float
        Log return over the trend window in standard deviations.
    volatility : float
        Standard deviation of returns per year.
    percentile : float
        Place of the volatility in its own history, 0 to 1.
    turnover : float
        Mean notional traded in a bar, quote units.
    why : str
        Why the regime is unknown, empty if it is known.
    """

    regime: MarketRegime
    trend: int
    strength: float
    volatility: float
    percentile: float
    turnover: float
    why: str = ""

    @property
    def volatile(self) -> bool:
        """Whether the regime is known, and volatile."""
        known = self.regime is not MarketRegime.UNKNOWN
        return known and bool(formulas.is_volatile(self.percentile))


@dataclass(frozen=True, slots=True)
class Sentiment:
    """What is known of fear and greed at an instant.

    Attributes
    ----------
    index : float
        0 to 100; NaN, which is neutral, where there is no value or a stale one.
    last : float
        The last value, however old; NaN if there never was one.
    age_ms : int
        Its age, -1 if there never was one.
    extreme : bool
        The last value was extreme: that a source falls silent lifts no cut.
    note : str
        Why the index is neutral, empty if it is fresh.
    """

    index: float
    last: float
    age_ms: int
    extreme: bool
    note: str = ""


_NO_SYMBOL = SymbolMarket(
    MarketRegime.UNKNOWN, 0, math.nan, math.nan, math.nan, 0.0, "no bar was seen"
)


class MarketState:
    """Markets as risk sees them: a fold over closed bars and sentiment values.

    Symbols are independent of each other, so the order in which the bars of one instant arrive
    changes nothing.

    Parameters
    ----------
    interval_ms : int
        Length of a bar.
    windows : Windows
    """

    def __init__(self, interval_ms: int, windows: Windows | None = None) -> None:
        if interval_ms <= 0:
            raise ConfigError(f"a bar of {interval_ms} ms has no length")
        self.interval_ms = interval_ms
        self.windows = windows or Windows()
        self._tracks: dict[str, SymbolTrack] = {}
        self._sentiment: tuple[int, float] | None = None
        self._pairs: tuple[dict[str, int], Floats] | None = None
        self._mean: float | None = None
        self._fresh: list[str] | None = None

    # ---- intake ----------------------------------------------------------------------------

    def on_bar(self, symbol: str, open_ms: int, close: float, volume: float) -> bool:
        """Take a closed bar; False if it is old or impossible and nothing changed.

        Parameters
        ----------
        symbol : str
        open_ms : int
        close, volume : float
            Quote units, and base units.
        """
        track = self._tracks.get(symbol) or SymbolTrack(self.windows, self.interval_ms)
        if not track.on_bar(open_ms, close, volume):
            return False
        self._tracks[symbol] = track
        self._pairs = self._mean = self._fresh = None
        return True

    def on_sentiment(self, ts_ms: int, index: float) -> bool:
        """Take a value of the index; False if it is older than the last or no index value."""
        if not valid_index(index) or (self._sentiment is not None and ts_ms <= self._sentiment[0]):
            return False
        self._sentiment = (ts_ms, float(index))
        return True

    def forget(self, symbol: str) -> None:
        """Drop a symbol that is not traded any more."""
        if self._tracks.pop(symbol, None) is not None:
            self._pairs = self._mean = self._fresh = None

    # ---- answers ---------------------------------------------------------------------------

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that have a bar, sorted."""
        return tuple(sorted(self._tracks))

    def newest_close_ms(self) -> int:
        """When the newest bar of any symbol closed, -1 if there is none."""
        newest = max((track.ts_ms for track in self._tracks.values()), default=None)
        return -1 if newest is None else newest + self.interval_ms

    def symbol(self, symbol: str, now_ms: int) -> SymbolMarket:
        """What is known of a symbol; UNKNOWN while it warms up and when its bars stopped."""
        track = self._tracks.get(symbol)
        if track is None:
            return _NO_SYMBOL
        known = SymbolMarket(
            regime=MarketRegime.UNKNOWN,
            trend=0,
            strength=track.strength,
            volatility=track.deviation * math.sqrt(bars_per_year(self.interval_ms)),
            percentile=track.percentile,
            turnover=track.turnover,
        )
        late = now_ms - (track.ts_ms + self.interval_ms)
        if late < 0:
            return replace(known, why="its last bar is not over yet")
        if late > self.windows.stale * self.interval_ms:
            return replace(known, why=f"its last bar closed {late // 1000} s ago")
        if not track.warm:
            return replace(known, why=f"{track.seen} of {self.windows.warm_up} bars")
        trend = int(formulas.trend_of(track.strength))
        kind = "volatile" if formulas.is_volatile(track.percentile) else "stable"
        return replace(known, trend=trend, regime=MarketRegime(f"{_NAMES[trend]}_{kind}"))

    def sentiment(self, now_ms: int) -> Sentiment:
        """Fear and greed; a value counts for instants after its stamp."""
        if self._sentiment is None:
            return Sentiment(math.nan, math.nan, -1, False, "no value was seen")
        ts_ms, index = self._sentiment
        age = now_ms - ts_ms
        extreme = bool(formulas.sentiment_extreme(index))
        if age <= 0:
            return Sentiment(math.nan, index, age, extreme, "the last value is not known yet")
        if age > STALE_MS:
            note = f"the last value is {age // HOUR_MS} h old"
            return Sentiment(math.nan, index, age, extreme, note)
        return Sentiment(index, index, age, extreme)

    def correlation(self, first: str, second: str) -> float:
        """Correlation of the returns of two symbols; NaN where it is not known."""
        if first == second:
            return 1.0
        places, matrix = self._matrix()
        if first not in places or second not in places:
            return math.nan
        return float(matrix[places[first], places[second]])

    def mean_correlation(self) -> float:
        """Mean over all pairs of the symbols that are warm and not behind the others.

        A pair without an answer counts as 1. With fewer than three such symbols it is 0: one pair
        says nothing of the market.
        """
        if self._mean is None:
            places, matrix = self._matrix()
            rows = [places[symbol] for symbol in self._current()]
            if len(rows) < 3:
                self._mean = 0.0
            else:
                self._mean = float(mean_above_diagonal(matrix[np.ix_(rows, rows)], 1.0))
        return self._mean

    def mean_percentile(self) -> float:
        """Mean volatility percentile of the same symbols; 0 if there are none."""
        total = 0.0
        current = self._current()
        for symbol in current:
            total += self._tracks[symbol].percentile
        return total / len(current) if current else 0.0

    def cluster(self, symbol: str) -> frozenset[str]:
        """Symbols that are one bet with this one, itself included.

        Those are linked to it by correlations of at least `CLUSTER`, over others too, and those
        whose correlation with it is not known.
        """
        places, matrix = self._matrix()
        names = list(places)
        if symbol not in places:
            return frozenset((*names, symbol))
        reached = {places[symbol]}
        frontier = [places[symbol]]
        while frontier:
            row = matrix[frontier.pop()]
            linked = [j for j in np.flatnonzero(row >= CLUSTER).tolist() if j not in reached]
            reached.update(linked)
            frontier.extend(linked)
        reached.update(np.flatnonzero(np.isnan(matrix[places[symbol]])).tolist())
        return frozenset(names[j] for j in reached)

    def _current(self) -> list[str]:
        """Warm symbols whose last bar is about as new as the newest one, sorted."""
        if self._fresh is None:
            oldest = self.newest_close_ms() - (self.windows.stale + 1) * self.interval_ms
            tracks = sorted(self._tracks.items())
            self._fresh = [name for name, t in tracks if t.warm and t.ts_ms >= oldest]
        return self._fresh

    def _matrix(self) -> tuple[dict[str, int], Floats]:
        if self._pairs is None:
            names = self.symbols
            newest = max((track.ts_ms for track in self._tracks.values()), default=0)
            bars = self.windows.correlation
            table = np.empty((len(names), bars))
            for place, symbol in enumerate(names):
                table[place] = self._tracks[symbol].row(newest, bars)
            matrix = correlations(table, self.windows.least_common)
            self._pairs = ({symbol: place for place, symbol in enumerate(names)}, matrix)
        return self._pairs

    # ---- snapshot --------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """Memory as a mapping that JSON can hold; equal memories have equal spellings."""
        return {
            "interval_ms": self.interval_ms,
            "windows": self.windows.plain(),
            "symbols": {symbol: self._tracks[symbol].plain() for symbol in self.symbols},
            "sentiment": None if self._sentiment is None else list(self._sentiment),
        }

    @classmethod
    def restore(cls, value: Mapping[str, Any]) -> MarketState:
        """Read back what `plain` wrote, in JSON or in its canonical form."""
        market = cls(int(value["interval_ms"]), Windows.from_plain(value["windows"]))
        for symbol, memory in sorted(value["symbols"].items()):
            market._tracks[symbol] = SymbolTrack.restore(memory, market.windows, market.interval_ms)
        if value["sentiment"] is not None:
            ts_ms, index = value["sentiment"]
            market._sentiment = (int(ts_ms), number(index))
        return market
