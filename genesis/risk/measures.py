"""Statistics of returns as sequential loops: the same bits on every machine, NaN for no answer.

numpy's sums are ordered by the machine's vector width and its products may come from a linear
algebra library; a decision that is replayed elsewhere must not hang on either.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@kernel
def bar_deviation(returns: Floats, spans: Floats) -> float:
    """Standard deviation (n - 1) of returns, each scaled to one bar; NaN for fewer than two.

    Parameters
    ----------
    returns : float64, shape (N,)
        Log returns.
    spans : float64, shape (N,)
        Bars that each one covers: the variance of a return grows with its time.
    """
    n = returns.size
    if n < 2:
        return math.nan
    mean = 0.0
    for i in range(n):
        mean += returns[i] / math.sqrt(spans[i])
    mean /= n
    total = 0.0
    for i in range(n):
        off = returns[i] / math.sqrt(spans[i]) - mean
        total += off * off
    return math.sqrt(total / (n - 1))


@kernel
def trend_strength(returns: Floats, spans: Floats) -> float:
    """Sum of log returns over the standard deviation of such a sum; 0 where nothing moves."""
    deviation = bar_deviation(returns, spans)
    moved = 0.0
    bars = 0.0
    for i in range(returns.size):
        moved += returns[i]
        bars += spans[i]
    if deviation == 0.0:
        return 0.0
    return moved / (deviation * math.sqrt(bars))


@kernel
def percentile_of(value: float, history: Floats) -> float:
    """Share of a history below a value, ties counted half; NaN without history."""
    below = 0.0
    for past in history:
        if past < value:
            below += 1.0
        elif past == value:
            below += 0.5
    return below / history.size if history.size else math.nan


@kernel
def correlations(returns: Floats, least: int) -> Floats:
    """Pearson correlation of each pair on the bars that both have.

    Parameters
    ----------
    returns : float64, shape (S, N)
        Rows are symbols on one timeline; NaN where a symbol has no return of a single bar.
    least : int
        Common bars below which a pair has no answer.

    Returns
    -------
    float64, shape (S, S)
        NaN where a pair has too few bars in common or one of it does not move.
    """
    symbols, bars = returns.shape
    out = np.full((symbols, symbols), np.nan)
    for a in range(symbols):
        for b in range(a, symbols):
            n = 0
            mean_a = 0.0
            mean_b = 0.0
            for t in range(bars):
                if not (math.isnan(returns[a, t]) or math.isnan(returns[b, t])):
                    n += 1
                    mean_a += returns[a, t]
                    mean_b += returns[b, t]
            if n < least or n < 2:
                continue
            mean_a /= n
            mean_b /= n
            aa = 0.0
            bb = 0.0
            ab = 0.0
            for t in range(bars):
                if not (math.isnan(returns[a, t]) or math.isnan(returns[b, t])):
                    x = returns[a, t] - mean_a
                    y = returns[b, t] - mean_b
                    aa += x * x
                    bb += y * y
                    ab += x * y
            if aa > 0.0 and bb > 0.0:
                value = min(1.0, max(-1.0, ab / math.sqrt(aa * bb)))
                out[a, b] = value
                out[b, a] = value
    return out


@kernel
def on_timeline(
    stamps: Ints, returns: Floats, spans: Floats, newest_ms: int, interval_ms: int, bars: int
) -> Floats:
    """Returns of single bars on the timeline that ends with a bar; NaN where there is none.

    Parameters
    ----------
    stamps, returns, spans : int64 and float64, shape (N,)
        Open times, log returns, and bars that each return covers.
    newest_ms : int
        Open time of the last bar of the timeline.
    interval_ms, bars : int
        Length of a bar, and of the timeline.

    Returns
    -------
    float64, shape (bars,)
    """
    out = np.full(bars, np.nan)
    for i in range(stamps.size):
        behind = newest_ms - stamps[i]
        place = bars - 1 - behind // interval_ms
        if spans[i] == 1.0 and behind >= 0 and behind % interval_ms == 0 and place >= 0:
            out[place] = returns[i]
    return out


@kernel
def mean_above_diagonal(matrix: Floats, missing: float) -> float:
    """Mean of all pairs of a symmetric matrix, a missing one counted as `missing`; NaN if none."""
    size = matrix.shape[0]
    total = 0.0
    pairs = 0
    for a in range(size):
        for b in range(a + 1, size):
            total += missing if math.isnan(matrix[a, b]) else matrix[a, b]
            pairs += 1
    return total / pairs if pairs else math.nan
