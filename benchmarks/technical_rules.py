"""A few thousand simple technical rules, fixed in advance, and what each of them earned.

The rules are those of Brock, Lakonishok & LeBaron (1992) and Sullivan, Timmermann & White (1999),
filters, moving averages and channels, and those that are popular since: momentum, oscillators,
distances from an average, volatility. Windows lie on the product's grid. Nothing here looks at the
data before a rule is formed: the tests of data snooping hold only for such a universe.

A position in {-1, 0, 1} is decided at a close and earns the return to the next one. Each rule comes
twice: long and short, and long only with cash instead of shorts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genesis.domain.instrument import Instrument
from genesis.domain.jit import kernel
from genesis.domain.timeline import DAY_MS
from genesis.market.panel import Panel, SymbolSeries
from genesis.strategy.cache import NodeCache
from genesis.strategy.grid import GRID
from genesis.strategy.language import (
    Market,
    Node,
    atr,
    ema,
    highest,
    lag,
    lowest,
    realised_vol,
    rsi,
    sma,
    zscore,
)
from genesis.strategy.series import SeriesEvaluator

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int8]

BANDS = (0.0, 0.005, 0.02)
FILTERS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3)
HOLDS = (0, 5, 10, 20)
"""Days that a breakout is held whatever comes; 0 holds it until the opposite one."""

LATE = (0, 1, 5)
"""Days that momentum is known before it is followed."""

WARM_UP = max(GRID) + max(LATE) + 1
"""Days before the first that counts: on it, and on the day before whose position it may have to
change, the windows of every rule are full, so that all are judged on the same days."""

_LONGER = tuple(n for n in GRID if n >= 5)
"""Deviations of fewer values are mostly noise."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Daily bars; every array is float64 of shape (T,)."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def until(self, stop: int) -> Prices:
        """The first bars."""
        return Prices(self.open[:stop], self.high[:stop], self.low[:stop], self.close[:stop])


class Rule(NamedTuple):
    """Conditions of a rule, each of shape (T,).

    Attributes
    ----------
    name : str
        Family and parameters; the family is the first word.
    long, short : bool
        What opens or reverses a position.
    leave_long, leave_short : bool
        What closes one, unless the same bar opens it again.
    hold : int
        Days that a position is kept whatever the conditions say, and then closed; 0 for no limit.
    """

    name: str
    long: Bools
    short: Bools
    leave_long: Bools
    leave_short: Bools
    hold: int = 0


@dataclass(frozen=True, slots=True)
class Universe:
    """Positions of all rules on every bar.

    Attributes
    ----------
    names : tuple of str
    positions : int8, shape (T, K)
        Decided at the close of the bar.
    """

    names: tuple[str, ...]
    positions: Positions


class _Indicators:
    """Indicators of the product on one series of prices."""

    def __init__(self, prices: Prices) -> None:
        bars = prices.close.size
        nothing = np.zeros(bars)
        series = SymbolSeries(
            instrument=Instrument("INDEX", "INDEX"),
            open=prices.open,
            high=prices.high,
            low=prices.low,
            close=prices.close,
            volume=np.ones(bars),
            valid=np.ones(bars, dtype=np.bool_),
            first=0,
            last=bars - 1,
            funding_due=nothing,
            funding=nothing,
            sentiment=nothing,
            has_funding=False,
        )
        # The days are numbered: an index has no bars on holidays and rules count bars.
        days = np.arange(bars, dtype=np.int64) * DAY_MS
        panel = Panel("index", "none", DAY_MS, days, (series,), "index")
        self._evaluator = SeriesEvaluator(panel, 0, NodeCache(1 << 26))
        self.bars = bars
        self.never = np.zeros(bars, dtype=np.bool_)
        self.m = Market()

    def __call__(self, node: Node) -> Floats:
        """Values of a node; NaN, for which no comparison holds, while the window is not full."""
        return np.array(self._evaluator.value(node))


def averages(on: _Indicators) -> Iterator[Rule]:
    """A faster average above a slower one by a band is long, below it short, between them flat."""
    for kind, average in (("sma", sma), ("ema", ema)):
        values = {1: on(on.m.close), **{n: on(average(on.m.close, n)) for n in GRID}}
        for (fast, slow), band in product(combinations(values, 2), BANDS):
            long = values[fast] > values[slow] * (1.0 + band)
            short = values[fast] < values[slow] * (1.0 - band)
            yield Rule(f"average {kind} {fast}/{slow} band {band}", long, short, ~long, ~short)


def channels(on: _Indicators) -> Iterator[Rule]:
    """A close beyond the range of the days before, by a band, is followed."""
    close, m = on(on.m.close), on.m
    for kind, (top, bottom) in (("closes", (m.close, m.close)), ("range", (m.high, m.low))):
        for n in GRID:
            high, low = on(lag(highest(top, n), 1)), on(lag(lowest(bottom, n), 1))
            for band, hold in product(BANDS, HOLDS):
                yield Rule(
                    f"channel {kind} {n} band {band} hold {hold}",
                    close > high * (1.0 + band),
                    close < low * (1.0 - band),
                    on.never,
                    on.never,
                    hold,
                )


def momentum(on: _Indicators) -> Iterator[Rule]:
    """The return over n days, in its standard deviations, is followed, some days late or not."""
    close = on(on.m.close)
    day = np.diff(np.log(close), prepend=np.nan)
    risk = on(realised_vol(on.m.close, 56))
    for n, late, least in product(GRID, LATE, (0.0, 0.5, 1.0)):
        moved = _moved(day, n, late)
        # Without a threshold the sign needs no risk and the rule no further warm-up.
        scaled = moved / (risk * np.sqrt(n)) if least else moved
        long, short = scaled > least, scaled < -least
        yield Rule(f"momentum {n} late {late} over {least}", long, short, ~long, ~short)


def oscillators(on: _Indicators) -> Iterator[Rule]:
    """An extreme of the relative strength index is faded or followed, to its middle or beyond."""
    for n in GRID:
        value = on(rsi(on.m.close, n)) - 50.0
        yield from _extremes(f"rsi {n}", value, (10.0, 20.0, 30.0, 40.0), on)


def distances(on: _Indicators) -> Iterator[Rule]:
    """A distance from the average in standard deviations is faded or followed."""
    for n in _LONGER:
        yield from _extremes(f"zscore {n}", on(zscore(on.m.close, n)), (1.0, 1.5, 2.0, 2.5), on)


def calm(on: _Indicators) -> Iterator[Rule]:
    """Long while volatility is below its longer self and short while above, or the reverse."""
    values = {n: on(realised_vol(on.m.close, n)) for n in _LONGER}
    for (fast, slow), ratio in product(combinations(_LONGER, 2), (1.0, 1.25)):
        low, high = values[fast] * ratio < values[slow], values[fast] > values[slow] * ratio
        name = f"volatility {fast}/{slow} ratio {ratio}"
        yield Rule(f"{name} calm", low, high, ~low, ~high)
        yield Rule(f"{name} wild", high, low, ~high, ~low)


def jumps(on: _Indicators) -> Iterator[Rule]:
    """A day that moves by some average true ranges is followed."""
    close = on(on.m.close)
    change = np.diff(close, prepend=np.nan)
    for n in _LONGER:
        span = on(lag(atr(on.m, n), 1))
        for times, hold in product((0.5, 1.0, 1.5, 2.0), HOLDS):
            long, short = change > times * span, change < -times * span
            yield Rule(f"jump {n} times {times} hold {hold}", long, short, on.never, on.never, hold)


def _moved(day: Floats, n: int, late: int) -> Floats:
    """Log return over n days that ended some days ago; NaN before there are as many."""
    total = np.concatenate(([0.0], np.cumsum(np.nan_to_num(day))))[1:]
    out = np.full(day.size, np.nan)
    out[n + late :] = total[n : total.size - late] - total[: max(total.size - late - n, 0)]
    return out


def _extremes(name: str, value: Floats, levels: tuple[float, ...], on: _Indicators) -> list[Rule]:
    """Fade and follow each level, until the middle or until the opposite level."""
    rules = []
    for level in levels:
        low, high, below, above = value < -level, value > level, value < 0.0, value > 0.0
        for end, under, over in (("middle", below, above), ("reverse", on.never, on.never)):
            rules.append(Rule(f"{name} fade {level} to {end}", low, high, over, under))
            rules.append(Rule(f"{name} follow {level} to {end}", high, low, under, over))
    return rules


@kernel
def hold_positions(
    long: Bools, short: Bools, leave_long: Bools, leave_short: Bools, hold: int, out: Positions
) -> None:
    """Position at each close by a rule's conditions; both sides at once open nothing."""
    now, age = 0, 0
    for i in range(out.size):
        age += 1
        if hold > 0 and now != 0:
            if age < hold:
                out[i] = now
                continue
            now = 0
        if (now > 0 and leave_long[i]) or (now < 0 and leave_short[i]):
            now = 0
        wanted = int(long[i]) - int(short[i])
        if wanted != 0 and wanted != now:
            now, age = wanted, 0
        out[i] = now


@kernel
def filter_positions(close: Floats, enter: float, leave: float, out: Positions) -> None:
    """Alexander's filter: long after a rise by `enter` from the lowest close, short after a fall.

    A position ends when the close moves by `leave` against its best one; with `leave` equal to
    `enter` it is reversed. The extremes count from the last change of position.
    """
    now = 0
    high = low = close[0]
    for i in range(out.size):
        price = close[i]
        high, low = max(high, price), min(low, price)
        was = now
        if now <= 0 and price >= low * (1.0 + enter):
            now = 1
        elif now >= 0 and price <= high * (1.0 - enter):
            now = -1
        elif (now > 0 and price <= high * (1.0 - leave)) or (
            now < 0 and price >= low * (1.0 + leave)
        ):
            now = 0
        if now != was:
            high = low = price
        out[i] = now


def universe(prices: Prices) -> Universe:
    """Positions of every rule; the rules are the same whatever the prices are."""
    on = _Indicators(prices)
    names, rows = [], []
    for family in (averages, channels, momentum, oscillators, distances, calm, jumps):
        for rule in family(on):
            row = np.empty(on.bars, dtype=np.int8)
            hold_positions(*rule[1:], row)
            names.append(rule.name)
            rows.append(row)
    for enter, leave in (pair for pair in product(FILTERS, FILTERS) if pair[1] <= pair[0]):
        row = np.empty(on.bars, dtype=np.int8)
        filter_positions(prices.close, enter, leave, row)
        names.append(f"filter {enter} leave {leave}")
        rows.append(row)
    both = np.stack(rows, axis=1)
    sides = [f"{name} {side}" for side in ("long/short", "long/flat") for name in names]
    return Universe(tuple(sides), np.concatenate((both, np.maximum(both, 0)), axis=1))


def earned(positions: Positions, close: Floats, cost: float, delay: int = 1) -> Floats:
    """Return of every rule on every day, after costs.

    Parameters
    ----------
    positions : int8, shape (T, K)
    close : float64, shape (T,)
    cost : float
        Share of the traded value; a reversal trades twice the capital.
    delay : int
        1: a position earns the day after its close. 0 would earn the day that decided it.

    Returns
    -------
    float64, shape (T - 1, K)
    """
    held = positions[:-1] if delay else positions[1:]
    out = np.empty(held.shape)
    _earn(held, close[1:] / close[:-1] - 1.0, cost, out)
    return out


@kernel
def _earn(held: Positions, day: Floats, cost: float, out: Floats) -> None:
    """Fill `out` row by row; whole-array arithmetic would copy hundreds of megabytes."""
    for i in range(held.shape[0]):
        for k in range(held.shape[1]):
            before = held[i - 1, k] if i > 0 else 0
            out[i, k] = held[i, k] * day[i] - cost * abs(held[i, k] - before)
