"""Recorded bars as a price that moves within them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import msgspec

from genesis.exchange.venue.meta import VenueMeta
from genesis.exchange.venue.path import PricePath, chance
from genesis.exchange.venue.units import POW10

# Waves per bar that are laid over the way between its four prices, and their share of its range.
_WAVES = (5, 11, 23)
_WAVE_SHARE = 0.12


class BarSeries(msgspec.Struct, frozen=True):
    """Bars of one market: open times in milliseconds, rising, and their four prices."""

    open_ms: Sequence[int]
    open: Sequence[float]
    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]


class BarPath:
    """Plays recorded bars.

    Within a bar the price goes from the open to one extreme, to the other and to the close; which
    extreme comes first, and when, is a hash of the bar, and waves are laid over the way: the
    bar's candle comes out, but its close cannot be read off its first half. Between bars that do
    not follow each other the last close stays; so it does after the last bar, and before the
    first one the first open.

    Parameters
    ----------
    meta : VenueMeta
    series : mapping
        Coin to bars.
    interval_ms : int
        Length of a bar.
    seed : int
    shift_ms : int
        Added to recorded times, to play them at the venue's time.
    fallback : PricePath, optional
        Prices of the coins that have no bars.
    """

    def __init__(
        self,
        meta: VenueMeta,
        series: Mapping[str, BarSeries],
        *,
        interval_ms: int,
        seed: int = 0,
        shift_ms: int = 0,
        fallback: PricePath | None = None,
    ) -> None:
        self._scales = {s.coin: POW10[s.px_decimals] for s in meta.instruments()}
        self._assets = {spec.coin: spec.asset for spec in meta.instruments()}
        self._series = dict(series)
        self._interval = interval_ms
        self._seed = seed
        self._shift = shift_ms
        self._fallback = fallback

    def price(self, coin: str, ts_ms: int) -> int | None:
        """Return the price on the market's grid."""
        bars = self._series.get(coin)
        if bars is None:
            return self._fallback.price(coin, ts_ms) if self._fallback is not None else None
        at = ts_ms - self._shift
        place = bisect_right(bars.open_ms, at) - 1
        if place < 0:
            value = bars.open[0]
        elif at - bars.open_ms[place] >= self._interval:
            value = bars.close[place]
        else:
            share = (at - bars.open_ms[place]) / self._interval
            value = self._within(bars, place, share, self._assets[coin])
        return max(1, round(value * self._scales[coin]))

    def _within(self, bars: BarSeries, place: int, share: float, asset: int) -> float:
        keys = (self._seed, asset, place)
        opened, closed = bars.open[place], bars.close[place]
        high, low = bars.high[place], bars.low[place]
        # A rising bar has more often seen its low first.
        low_first = (chance(*keys, 1) < 0.65) == (closed >= opened)
        first, second = (low, high) if low_first else (high, low)
        turn, back = 0.1 + 0.35 * chance(*keys, 2), 0.55 + 0.35 * chance(*keys, 3)
        points = ((0.0, opened), (turn, first), (back, second), (1.0, closed))
        left = max(k for k in range(3) if share >= points[k][0])
        (start, before), (end, after) = points[left], points[left + 1]
        leg = (share - start) / (end - start)
        # No wave at the turning points: the extremes are those of the bar.
        calm = 4.0 * leg * (1.0 - leg)
        wave = sum(self._wave(keys, k, share) for k in _WAVES) / len(_WAVES)
        value = before + (after - before) * leg + wave * calm * _WAVE_SHARE * 2.0 * (high - low)
        return min(high, max(low, value))

    def _wave(self, keys: tuple[int, ...], count: int, share: float) -> float:
        """Smooth noise in [-1, 1] with so many cells a bar."""
        cell = int(share * count)
        inside = share * count - cell
        smooth = inside * inside * (3.0 - 2.0 * inside)
        left, right = chance(*keys, count, cell), chance(*keys, count, cell + 1)
        return 2.0 * (left + (right - left) * smooth) - 1.0
