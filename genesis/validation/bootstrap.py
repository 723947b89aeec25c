"""Stationary bootstrap (Politis & Romano 1994): block length, indices, resampling counts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PORTION = 2_000_000
"""Resampled values at a time: the counts of a long sample would take gigabytes."""


def politis_white_length(x: Floats) -> float:
    """Mean block length that suits a series of shape (n,), for the stationary bootstrap.

    Politis & White (2004) as corrected by Patton, Politis & White (2009), with the choices of
    `arch.bootstrap.optimal_block_length`. May be under 1 for a series without memory; callers hold
    it at 1 at least. 1 for fewer than three values or without variation.
    """
    n = x.size
    eps = x - np.mean(x) if n else x
    if n < 3 or not float(eps @ eps) > 1e-26 * float(x @ x):
        return 1.0
    run = max(5, int(math.log10(n)))
    # Both overlapping parts of a lag need a value, which binds only in the shortest series.
    longest = min(math.isqrt(n - 1) + 1 + run, n - 2)
    covariance, correlation = _autocovariances(eps, longest)
    # The first lag after which a whole run of correlations is insignificant.
    small = np.abs(correlation) < 2.0 * math.sqrt(math.log10(n) / n)
    first = next((i for i in range(longest - run + 1) if small[i : i + run].all()), None)
    m = longest if first is None else min(2 * max(first, 1), longest)
    lag = np.arange(1, m + 1)
    taper = np.minimum(1.0, 2.0 * (1.0 - lag / m))
    weighted = 2.0 * taper * covariance[1 : m + 1]
    slope = float(np.sum(lag * weighted))
    level = float(covariance[0] + np.sum(weighted))
    limit = float(math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))
    if level == 0.0:
        return limit
    return float(min(((slope / level) ** 2 * n) ** (1.0 / 3.0), limit))


def _autocovariances(eps: Floats, longest: int) -> tuple[Floats, Floats]:
    """Autocovariances of lags 0 to ``longest`` and correlations of the overlapping parts."""
    n = eps.size
    covariance = np.array([float(eps[k:] @ eps[: n - k]) for k in range(longest + 1)]) / n
    # Both parts lose one more value than they need; arch does so, and the rule is tuned to it.
    squares = np.concatenate(([0.0], np.cumsum(eps * eps)))
    heads = squares[n - 1 - np.arange(longest + 1)]
    tails = squares[-1] - squares[1 + np.arange(longest + 1)]
    scale = np.sqrt(np.maximum(heads * tails, 0.0))
    correlation = np.full(longest + 1, np.inf)
    np.divide(covariance * n, scale, out=correlation, where=scale > 0.0)
    return covariance, correlation


def median_length(columns: Floats) -> float:
    """Median over columns (shape (T, K)) of their Politis-White length, at least 1."""
    lengths = [politis_white_length(np.ascontiguousarray(x)) for x in columns.T]
    return max(float(np.median(lengths)), 1.0) if lengths else 1.0


def stationary_indices(n: int, length: float, rng: np.random.Generator) -> Ints:
    """One resample: n indices below n in blocks of geometric length that wrap at the end.

    Parameters
    ----------
    n : int
        At least 1.
    length : float
        Mean length of a block, at least 1.
    rng : numpy.random.Generator
    """
    row: Ints = _resamples(n, 1, length, rng)[0]
    return row


def resample_counts(n: int, draws: int, length: float, rng: np.random.Generator) -> Floats:
    """How often each value occurs in each resample, so that sums are one matrix product.

    Returns
    -------
    float64, shape (draws, n)
        Whole numbers; each row adds up to n. Row r is the same however many rows follow it.
    """
    rows = _resamples(n, draws, length, rng)
    rows += np.arange(draws, dtype=np.int64)[:, None] * n
    counts = np.bincount(rows.ravel(), minlength=draws * n).reshape(draws, n)
    return counts.astype(np.float64)


def _resamples(n: int, draws: int, length: float, rng: np.random.Generator) -> Ints:
    if n < 1 or not length >= 1.0:
        raise InputError(f"cannot draw {n} values in blocks of mean length {length!r}")
    chance = 1.0 / length
    u = rng.random((draws, n))
    begins = u < chance
    begins[:, 0] = True
    # Below the chance, u is uniform there and serves as the block's start as well; the first of a
    # row begins a block whatever it is.
    start = np.where(u < chance, u * length, u)
    start[:, 0] = u[:, 0]
    place = np.arange(n, dtype=np.int64)
    origin = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    starts = np.minimum((start * n).astype(np.int64), n - 1)
    rows: Ints = (np.take_along_axis(starts, origin, axis=1) + place - origin) % n
    return rows


def resampled_means(columns: Floats, draws: int, length: float, rng: np.random.Generator) -> Floats:
    """Means of all columns in each resample, all columns being drawn at the same times.

    Parameters
    ----------
    columns : float64, shape (T, K)

    Returns
    -------
    float64, shape (draws, K)
    """
    n = columns.shape[0]
    portion = max(1, PORTION // n)
    parts = [
        resample_counts(n, min(portion, draws - at), length, rng) @ columns
        for at in range(0, draws, portion)
    ]
    means: Floats = np.concatenate(parts) / n
    return means
