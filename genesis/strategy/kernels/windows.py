"""Statistics of the last n values: deviation, extremes, order statistics, correlation, VWAP."""

from __future__ import annotations

import math

import numpy as np

from genesis.domain.jit import kernel
from genesis.strategy.node import Floats

STD, ZSCORE, LOG_RETURN_STD = range(3)
HIGHEST, LOWEST = 1.0, -1.0
RANK, MEDIAN = range(2)
STOCHASTIC, MIDPOINT = range(2)
CORRELATION, BETA = range(2)

# A running variance below this share of its largest value since the last exact computation has
# lost digits to cancellation and is computed anew from the ring.
_CANCELLED = 1e-6


@kernel
def moments(x: Floats, n: int, mode: int, divisor: float, state: Floats, out: Floats) -> None:
    """Standard deviation (0), z-score of the last value (1), or deviation of log returns (2).

    The variance is the squared deviations over `divisor`. NaN where a z-score has no deviation.
    State: count, place, base, sum, sum of squares, largest sum of squares since the last exact
    one, previous input, ring of n values.
    """
    count = state[0]
    place = int(state[1])
    base = state[2]
    first = state[3]
    second = state[4]
    peak = state[5]
    previous = state[6]
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        if mode == 2:
            ratio = fresh / previous
            previous = fresh
            if not (ratio > 0.0 and ratio < np.inf):
                out[i] = np.nan
                continue
            fresh = math.log(ratio)
        if count == 0.0:
            base = fresh
        deviation = fresh - base
        if count < n:
            count += 1.0
            first += deviation
            second += deviation * deviation
        else:
            leaving = state[7 + place] - base
            first += deviation - leaving
            second += deviation * deviation - leaving * leaving
        state[7 + place] = fresh
        place += 1
        if count < n:
            out[i] = np.nan
            continue
        peak = max(peak, second)
        squares = second - first * first / n
        if place == n or squares < _CANCELLED * peak:
            base = fresh
            first = 0.0
            second = 0.0
            deviation = 0.0
            for j in range(n):
                d = state[7 + j] - base
                first += d
                second += d * d
            peak = second
            squares = second - first * first / n
        if place == n:
            place = 0
        if not squares < np.inf:
            out[i] = np.nan
            continue
        spread = math.sqrt(max(squares, 0.0) / divisor)
        if mode == 1:
            out[i] = (deviation - first / n) / spread if spread > 0.0 else np.nan
        else:
            out[i] = spread
    state[0] = count
    state[1] = place
    state[2] = base
    state[3] = first
    state[4] = second
    state[5] = peak
    state[6] = previous


@kernel
def _push(queue: Floats, n: int, bar: float, value: float, sign: float) -> float:
    """Add a value to a monotonic queue of the last n bars and return its extreme.

    The queue holds (head, size, n values, n bars); from head on, values fall (sign 1) or rise
    (sign -1) and bars grow, so its front is the extreme of the window. Each bar enters and leaves
    once: constant time on average.
    """
    head = int(queue[0])
    size = int(queue[1])
    if size > 0 and queue[2 + n + head] <= bar - n:
        head += 1
        if head == n:
            head = 0
        size -= 1
    while size > 0:
        last = head + size - 1
        if last >= n:
            last -= n
        if sign * queue[2 + last] > sign * value:
            break
        size -= 1
    end = head + size
    if end >= n:
        end -= n
    queue[2 + end] = value
    queue[2 + n + end] = bar
    queue[0] = head
    queue[1] = size + 1
    return float(queue[2 + head])


@kernel
def extreme(x: Floats, n: int, sign: float, state: Floats, out: Floats) -> None:
    """Highest (sign 1) or lowest (sign -1) of the last n values. State: count, queue."""
    count = state[0]
    queue = state[1:]
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        count += 1.0
        best = _push(queue, n, count, fresh, sign)
        out[i] = best if count >= n else np.nan
    state[0] = count


@kernel
def channel(
    high: Floats, low: Floats, close: Floats, n: int, mode: int, state: Floats, out: Floats
) -> None:
    """Place of the close in the high-low channel of n bars, 0 to 100 (0), or its middle (1).

    The place is NaN where the channel has no width. State: count, queue of highs, queue of lows.
    """
    count = state[0]
    tops = state[1 : 3 + 2 * n]
    bottoms = state[3 + 2 * n : 5 + 4 * n]
    for i in range(out.size):
        if not (high[i] == high[i] and low[i] == low[i] and close[i] == close[i]):
            out[i] = np.nan
            continue
        count += 1.0
        top = _push(tops, n, count, high[i], 1.0)
        bottom = _push(bottoms, n, count, low[i], -1.0)
        if count < n:
            out[i] = np.nan
        elif mode == 0:
            place = 100.0 * ((close[i] - bottom) / (top - bottom)) if top > bottom else np.nan
            out[i] = place if place - place == 0.0 else np.nan
        else:
            out[i] = 0.5 * top + 0.5 * bottom
    state[0] = count


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
def ordered(x: Floats, n: int, mode: int, state: Floats, out: Floats) -> None:
    """Percentile rank of the last value, ties averaged, in (0, 1] (0), or the median (1).

    State: count, place, ring of n values, the same values sorted.
    """
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
        if count < n:
            out[i] = np.nan
        elif mode == 0:
            below = hole
            while below > 0 and ranks[below - 1] == fresh:
                below -= 1
            above = hole + 1
            while above < n and ranks[above] == fresh:
                above += 1
            out[i] = (below + above + 1) / (2.0 * n)
        else:
            out[i] = 0.5 * (ranks[(n - 1) // 2] + ranks[n // 2])
    state[0] = count
    state[1] = place


@kernel
def comoments(x: Floats, y: Floats, n: int, mode: int, state: Floats, out: Floats) -> None:
    """Correlation of two series over n bars (0), or the slope of x on y (1).

    NaN where a series does not vary. State: count, place, two bases, sums of x, y, xx, yy, xy,
    largest xx and yy since the last exact computation, two rings of n values.
    """
    count = state[0]
    place = int(state[1])
    bx, by, sx, sy = state[2], state[3], state[4], state[5]
    sxx, syy, sxy, px, py = state[6], state[7], state[8], state[9], state[10]
    xs = state[11 : 11 + n]
    ys = state[11 + n : 11 + 2 * n]
    for i in range(out.size):
        if not (x[i] == x[i] and y[i] == y[i]):
            out[i] = np.nan
            continue
        if count == 0.0:
            bx, by = x[i], y[i]
        dx, dy = x[i] - bx, y[i] - by
        sx += dx
        sy += dy
        sxx += dx * dx
        syy += dy * dy
        sxy += dx * dy
        if count < n:
            count += 1.0
        else:
            dx, dy = xs[place] - bx, ys[place] - by
            sx -= dx
            sy -= dy
            sxx -= dx * dx
            syy -= dy * dy
            sxy -= dx * dy
        xs[place] = x[i]
        ys[place] = y[i]
        place += 1
        if count < n:
            out[i] = np.nan
            continue
        px, py = max(px, sxx), max(py, syy)
        vx = sxx - sx * sx / n
        vy = syy - sy * sy / n
        if place == n or vx < _CANCELLED * px or vy < _CANCELLED * py:
            bx, by = x[i], y[i]
            sx = sy = sxx = syy = sxy = 0.0
            for j in range(n):
                dx, dy = xs[j] - bx, ys[j] - by
                sx += dx
                sy += dy
                sxx += dx * dx
                syy += dy * dy
                sxy += dx * dy
            px, py = sxx, syy
            vx = sxx - sx * sx / n
            vy = syy - sy * sy / n
        if place == n:
            place = 0
        cross = sxy - sx * sy / n
        if not (vx < np.inf and vy < np.inf and abs(cross) < np.inf):
            out[i] = np.nan
            continue
        if mode == 0:
            scale = math.sqrt(vx) * math.sqrt(vy) if vx > 0.0 and vy > 0.0 else 0.0
            out[i] = min(max(cross / scale, -1.0), 1.0) if scale > 0.0 else np.nan
        else:
            out[i] = cross / vy if vy > 0.0 else np.nan
    state[0] = count
    state[1] = place
    state[2], state[3], state[4], state[5] = bx, by, sx, sy
    state[6], state[7], state[8], state[9], state[10] = sxx, syy, sxy, px, py


@kernel
def volume_weighted(
    high: Floats, low: Floats, close: Floats, volume: Floats, n: int, state: Floats, out: Floats
) -> None:
    """Mean of the typical price ``(high + low + close) / 3`` over n bars, weighted by volume.

    NaN where nothing was traded in the window. State: count, place, base, sum of weighted
    deviations, sum of volume, largest sum of volume since the last exact one, two rings.
    """
    count = state[0]
    place = int(state[1])
    base, money, weight, peak = state[2], state[3], state[4], state[5]
    prices = state[6 : 6 + n]
    volumes = state[6 + n : 6 + 2 * n]
    for i in range(out.size):
        price = (high[i] + low[i] + close[i]) / 3.0
        if not (price == price and volume[i] == volume[i]):
            out[i] = np.nan
            continue
        if count == 0.0:
            base = price
        money += (price - base) * volume[i]
        weight += volume[i]
        if count < n:
            count += 1.0
        else:
            money -= (prices[place] - base) * volumes[place]
            weight -= volumes[place]
        prices[place] = price
        volumes[place] = volume[i]
        place += 1
        peak = max(peak, weight)
        if place == n or (count >= n and weight < _CANCELLED * peak):
            base = price
            money = 0.0
            weight = 0.0
            for j in range(n):
                money += (prices[j] - base) * volumes[j]
                weight += volumes[j]
            peak = weight
        if place == n:
            place = 0
        result = base + money / weight if count >= n and weight > 0.0 else np.nan
        out[i] = result if result - result == 0.0 else np.nan
    state[0] = count
    state[1] = place
    state[2], state[3], state[4], state[5] = base, money, weight, peak
