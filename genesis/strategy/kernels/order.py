"""Order statistics of the last n values: extremes, channels, percentile rank, median."""

from __future__ import annotations

import numpy as np

from genesis.domain.jit import kernel
from genesis.strategy.node import Floats

HIGHEST, LOWEST = 1.0, -1.0
STOCHASTIC, MIDPOINT = range(2)


@kernel
def _largest(past: Floats, place: int, value: float) -> float:
    """Enter a value at a place of the ring and return the largest of the last ``past.size - 1``.

    The window is cut where the ring turns (van Herk 1992; Gil and Werman 1993). Places behind the
    newest hold, for the turn before, the largest from there to its end; the last entry holds the
    largest of this turn so far. A turn is rewritten when it ends: constant time on average,
    whatever the data.
    """
    n = past.size - 1
    past[place] = value
    if place > 0 and past[n] > value:
        value = past[n]
    past[n] = value
    if place < n - 1:
        return float(max(value, past[place + 1]))
    for j in range(n - 2, -1, -1):
        if past[j + 1] > past[j]:
            past[j] = past[j + 1]
    return value


@kernel
def extreme(x: Floats, n: int, sign: float, state: Floats, out: Floats) -> None:
    """Highest (sign 1) or lowest (sign -1) of the last n values.

    State: count, place, ring of n values and its largest (see `_largest`).
    """
    count = state[0]
    place = int(state[1])
    past = state[2 : 3 + n]
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        best = sign * _largest(past, place, sign * fresh)
        place += 1
        if place == n:
            place = 0
        if count < n:
            count += 1.0
        out[i] = best if count >= n else np.nan
    state[0] = count
    state[1] = place


@kernel
def channel(
    high: Floats, low: Floats, close: Floats, n: int, mode: int, state: Floats, out: Floats
) -> None:
    """Place of the close in the high-low channel of n bars, 0 to 100 (0), or its middle (1).

    The place is NaN where the channel has no width. State: count, place, the rings of `extreme`
    for highs and for negated lows.
    """
    count = state[0]
    place = int(state[1])
    highs = state[2 : 3 + n]
    lows = state[3 + n : 4 + 2 * n]
    for i in range(out.size):
        if not (high[i] == high[i] and low[i] == low[i] and close[i] == close[i]):
            out[i] = np.nan
            continue
        top = _largest(highs, place, high[i])
        bottom = -_largest(lows, place, -low[i])
        place += 1
        if place == n:
            place = 0
        if count < n:
            count += 1.0
        if count < n:
            out[i] = np.nan
        elif mode == 0:
            share = 100.0 * ((close[i] - bottom) / (top - bottom)) if top > bottom else np.nan
            out[i] = share if share - share == 0.0 else np.nan
        else:
            out[i] = 0.5 * top + 0.5 * bottom
    state[0] = count
    state[1] = place


@kernel
def _place_of(ranks: Floats, value: float) -> int:
    """First place in a sorted array that is not below the value."""
    low = 0
    high = ranks.size
    while low < high:
        middle = (low + high) // 2
        if ranks[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def percentile(x: Floats, n: int, state: Floats, out: Floats) -> None:
    """Percentile rank of the last value among n, ties averaged, in (0, 1].

    State: count, place, ring of n values.
    """
    count = state[0]
    place = int(state[1])
    ring = state[2 : 2 + n]
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        ring[place] = fresh
        place += 1
        if place == n:
            place = 0
        if count < n:
            count += 1.0
        if count < n:
            out[i] = np.nan
            continue
        # Below counts two and equal one: twice the number of values at or below the middle tie.
        doubled = 1
        for j in range(n):
            doubled += int(ring[j] < fresh) + int(ring[j] <= fresh)
        out[i] = doubled / (2.0 * n)
    state[0] = count
    state[1] = place


@kernel
def middle(x: Floats, n: int, state: Floats, out: Floats) -> None:
    """Median of the last n values. State: count, place, ring of n values, the same sorted."""
    count = int(state[0])
    place = int(state[1])
    ring = state[2 : 2 + n]
    ranks = state[2 + n : 2 + 2 * n]
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        if count < n:
            hole = count
            count += 1
        else:
            hole = _place_of(ranks, ring[place])
        ring[place] = fresh
        place += 1
        if place == n:
            place = 0
        while hole > 0 and ranks[hole - 1] > fresh:
            ranks[hole] = ranks[hole - 1]
            hole -= 1
        while hole < count - 1 and ranks[hole + 1] < fresh:
            ranks[hole] = ranks[hole + 1]
            hole += 1
        ranks[hole] = fresh
        out[i] = 0.5 * (ranks[(n - 1) // 2] + ranks[n // 2]) if count >= n else np.nan
    state[0] = count
    state[1] = place
