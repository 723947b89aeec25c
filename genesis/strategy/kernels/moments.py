"""Moments of the last n values: deviation, correlation, volume-weighted price."""

from __future__ import annotations

import math

import numpy as np

from genesis.domain.jit import kernel
from genesis.strategy.node import Floats

STD, ZSCORE, LOG_RETURN_STD = range(3)
CORRELATION, BETA = range(2)

# A running variance below this share of its largest value since the last exact computation has
# lost digits to cancellation and is computed anew from the ring.
_CANCELLED = 1e-6


@kernel
def deviation(x: Floats, n: int, mode: int, lost: int, state: Floats, out: Floats) -> None:
    """Standard deviation (0), z-score of the last value (1), or deviation of log returns (2).

    The variance is the squared deviations over ``n - lost``. NaN where a z-score has no deviation.
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
    divisor = float(n - lost)
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
        offset = fresh - base
        if count < n:
            count += 1.0
            first += offset
            second += offset * offset
        else:
            leaving = state[7 + place] - base
            first += offset - leaving
            second += offset * offset - leaving * leaving
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
            offset = 0.0
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
            out[i] = (offset - first / n) / spread if spread > 0.0 else np.nan
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
