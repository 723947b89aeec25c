"""Moving averages and trends: exponential, simple, weighted, adaptive, kernel regression."""

from __future__ import annotations

import math

import numpy as np

from genesis.domain.jit import kernel
from genesis.strategy.node import Floats

WMA, SLOPE = range(2)
GAUSSIAN, EPANECHNIKOV = range(2)


@kernel
def exponential(x: Floats, n: int, alpha: float, state: Floats, out: Floats) -> None:
    """Recursive average ``s = (1 - alpha) s + alpha x`` started by the mean of n values.

    With ``alpha = 2 / (n + 1)`` it is the EMA, with ``1 / n`` Wilder's average, both as TA-Lib
    starts them. State: value, count.
    """
    value = state[0]
    count = state[1]
    keep = 1.0 - alpha
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        if count < n:
            count += 1.0
            value += fresh / count - value / count
            out[i] = value if count >= n else np.nan
        else:
            value = keep * value + alpha * fresh
            out[i] = value
    state[0] = value
    state[1] = count


@kernel
def summed(x: Floats, n: int, mean: bool, state: Floats, out: Floats) -> None:
    """Sum or mean of the last n values.

    The sum runs over deviations from a base, the value at the last turn of the ring, where the
    sum is recomputed. State: count, place, base, sum of deviations, ring of n values.
    """
    count = state[0]
    place = int(state[1])
    base = state[2]
    total = state[3]
    share = 1.0 / n
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        if count < n:
            if count == 0.0:
                base = fresh
            count += 1.0
            total += fresh - base
        else:
            total += (fresh - base) - (state[4 + place] - base)
        state[4 + place] = fresh
        place += 1
        if place == n:
            place = 0
            base = fresh
            total = 0.0
            for j in range(n):
                total += state[4 + j] - base
        if count < n:
            out[i] = np.nan
        else:
            result = base + total * share if mean else base * n + total
            out[i] = result if result - result == 0.0 else np.nan
    state[0] = count
    state[1] = place
    state[2] = base
    state[3] = total


@kernel
def weighted(x: Floats, n: int, mode: int, state: Floats, out: Floats) -> None:
    """Linearly weighted mean (0), or least-squares slope per bar over the last value (1).

    With deviations d from a base and weights 1 (oldest) to n: ``W = sum(k d_k)``,
    ``S = sum(d_k)``; the mean is ``base + 2 W / (n (n + 1))`` and the slope
    ``12 (W - (n + 1) S / 2) / (n (n^2 - 1))``. Both sums are recomputed once per turn of the ring.
    State: count, place, base, S, W, ring of n values.
    """
    count = state[0]
    place = int(state[1])
    base = state[2]
    plain = state[3]
    tilted = state[4]
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        if count < n:
            if count == 0.0:
                base = fresh
            count += 1.0
            plain += fresh - base
            tilted += count * (fresh - base)
        else:
            tilted += n * (fresh - base) - plain
            plain += (fresh - base) - (state[5 + place] - base)
        state[5 + place] = fresh
        place += 1
        if place == n:
            place = 0
            base = fresh
            plain = 0.0
            tilted = 0.0
            for j in range(n):
                plain += state[5 + j] - base
                tilted += (j + 1.0) * (state[5 + j] - base)
        if count < n:
            out[i] = np.nan
            continue
        if mode == 0:
            result = base + 2.0 * tilted / (n * (n + 1.0))
        else:
            slope = 12.0 * (tilted - 0.5 * (n + 1.0) * plain) / (n * (n * n - 1.0))
            result = slope / fresh
        out[i] = result if result - result == 0.0 else np.nan
    state[0] = count
    state[1] = place
    state[2] = base
    state[3] = plain
    state[4] = tilted


@kernel
def adaptive(x: Floats, n: int, state: Floats, out: Floats) -> None:
    """Kaufman's adaptive average with the smoothing constants of 2 and 30 bars.

    Efficiency ``e = |x - x_n| / sum |x_k - x_{k-1}|`` over n changes, smoothing
    ``(e (2/3 - 2/31) + 2/31)^2``; started at the value before the first full window, as TA-Lib.
    State: count, place, value, path, ring of n + 1 values, whether it was started.
    """
    count = state[0]
    place = int(state[1])
    value = state[2]
    path = state[3]
    slow = 2.0 / 31.0
    span = 2.0 / 3.0 - slow
    size = n + 1
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        before = state[4 + (place - 1 if place > 0 else n)]
        oldest = state[4 + place]
        if count > 0.0:
            path += abs(fresh - before)
        if count > n:
            following = state[4 + (place + 1 if place < n else 0)]
            path -= abs(following - oldest)
            oldest = following
        state[4 + place] = fresh
        place += 1
        if place == size:
            place = 0
            path = 0.0
            for j in range(n):
                path += abs(state[5 + j] - state[4 + j])
        count = min(count + 1.0, size)
        if count < size:
            out[i] = np.nan
            continue
        if state[4 + size] == 0.0:
            value = before
            state[4 + size] = 1.0
            oldest = state[4]
        move = abs(fresh - oldest)
        efficiency = move / path if path < np.inf else 0.0
        if path <= move or path <= 0.0:
            efficiency = 1.0
        smooth = efficiency * span + slow
        weight = smooth * smooth
        value += weight * fresh - weight * value
        out[i] = value
    state[0] = count
    state[1] = place
    state[2] = value
    state[3] = path


@kernel
def kernel_regression(x: Floats, n: int, shape: int, size: int, state: Floats, out: Floats) -> None:
    """Causal Nadaraya-Watson regression of bandwidth n over the last `size` values.

    Weights of a value k bars old: ``exp(-k^2 / (2 n^2))`` for shape 0, up to three bandwidths;
    ``1 - (k / n)^2`` for shape 1, up to one. State: count, place, weights scaled to one (oldest
    first), the ring written twice so that a window is one contiguous stretch.
    """
    count = state[0]
    place = int(state[1])
    weights = state[2 : 2 + size]
    ring = state[2 + size : 2 + 3 * size]
    if weights[size - 1] == 0.0:
        total = 0.0
        for k in range(size):
            u = k / n
            weight = math.exp(-0.5 * u * u) if shape == 0 else 1.0 - u * u
            weights[size - 1 - k] = weight
            total += weight
        for k in range(size):
            weights[k] /= total
    whole = size - size % 4
    for i in range(x.size):
        fresh = x[i]
        if fresh != fresh:
            out[i] = np.nan
            continue
        ring[place] = fresh
        ring[place + size] = fresh
        place += 1
        if place == size:
            place = 0
        if count < size:
            count += 1.0
        if count < size:
            out[i] = np.nan
            continue
        # Four partial sums in a fixed order: the same bits everywhere, a quarter of the latency.
        a = b = c = d = 0.0
        for j in range(0, whole, 4):
            a += weights[j] * (ring[place + j] - fresh)
            b += weights[j + 1] * (ring[place + j + 1] - fresh)
            c += weights[j + 2] * (ring[place + j + 2] - fresh)
            d += weights[j + 3] * (ring[place + j + 3] - fresh)
        for j in range(whole, size):
            a += weights[j] * (ring[place + j] - fresh)
        result = fresh + ((a + b) + (c + d))
        out[i] = result if result - result == 0.0 else np.nan
    state[0] = count
    state[1] = place
