"""Whether the best of many columns beats its benchmark by more than luck.

White's (2000) Reality Check, Hansen's (2005) test for superior predictive ability and its stepwise
form by Romano & Wolf (2005) and Hsu, Hsu & Kuan (2010). Columns must not have been chosen by
looking at the data: on the survivors of a search the tests reject far too often.

With d_k the mean of a column, M_k its mean in a resample and w_k the sd of ``sqrt(T) d_k`` under
the stationary bootstrap, the statistic is ``max(0, max_k sqrt(T) d_k / w_k)``. Dividing by w_k
matters: without it one loud column without an edge hides a quiet one with an edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len

from genesis.domain.errors import InputError
from genesis.validation.bootstrap import median_length, resampled_means

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_COLUMNS = 256
"""Columns whose autocovariances are computed at a time."""


@dataclass(frozen=True, slots=True)
class SpaResult:
    """P-values of the superior predictive ability test.

    Attributes
    ----------
    lower, consistent, upper : float
        Bad columns count as harmless, by Hansen's threshold, or as if their mean were 0;
        ``lower <= consistent <= upper``. The consistent one is the test's result.
    statistic : float
        Studentised statistic, 0 when no column has a positive mean.
    """

    lower: float
    consistent: float
    upper: float
    statistic: float


def reality_check(
    excess: Floats,
    *,
    draws: int = 1000,
    block: float | None = None,
    rng: np.random.Generator,
) -> float:
    """P-value of "no column beats the benchmark" (White 2000): nothing studentised, all recentred.

    Parameters
    ----------
    excess : float64, shape (T, K)
        Returns less the benchmark's; a benchmark of nothing is 0.
    draws : int
        Resamples; the p-value is ``(1 + #{resampled >= observed}) / (1 + draws)``.
    block : float, optional
        Mean block length; without it the median of the columns' Politis-White lengths.
    rng : numpy.random.Generator
    """
    means = _checked_means(excess)
    resampled = resampled_means(excess, draws, _block(excess, block), rng)
    return _p(np.max(resampled - means, axis=1), float(np.max(means)))


def spa(
    excess: Floats,
    *,
    draws: int = 1000,
    block: float | None = None,
    rng: np.random.Generator,
) -> SpaResult:
    """Test of superior predictive ability (Hansen 2005), studentised.

    Parameters as in `reality_check`. Columns without variation are left out; if none varies all
    p-values are 1.
    """
    _checked_means(excess)
    t, shifted, _ = _studentised(excess, draws, _block(excess, block), rng)
    if t.size == 0:
        return SpaResult(1.0, 1.0, 1.0, 0.0)
    statistic = max(0.0, float(np.max(t)))
    centres = (np.maximum(t, 0.0), _consistent_centre(t, excess.shape[0]), t)
    lower, consistent, upper = (
        _p(np.maximum(np.max(shifted - centre, axis=1), 0.0), statistic) for centre in centres
    )
    return SpaResult(lower, consistent, upper, statistic)


def step_m(
    excess: Floats,
    *,
    draws: int = 1000,
    block: float | None = None,
    rng: np.random.Generator,
    level: float = 0.05,
) -> Bools:
    """Columns that beat the benchmark, the chance of any false one being ``level`` at most.

    The consistent test is repeated without the columns found so far until it finds no more.
    Parameters as in `reality_check`.

    Returns
    -------
    bool, shape (K,)
    """
    _checked_means(excess)
    t, shifted, varies = _studentised(excess, draws, _block(excess, block), rng)
    deviations = shifted - _consistent_centre(t, excess.shape[0])
    superior = np.zeros(t.size, dtype=np.bool_)
    while not superior.all():
        highest = np.sort(np.max(deviations[:, ~superior], axis=1))
        reached = draws - np.searchsorted(highest, t, side="left")
        found = ((1.0 + reached) / (1.0 + draws) <= level) & (t > 0.0) & ~superior
        if not found.any():
            break
        superior |= found
    mask = np.zeros(excess.shape[1], dtype=np.bool_)
    mask[varies] = superior
    return mask


def long_run_sd(columns: Floats, length: float) -> Floats:
    """Sd of ``sqrt(T)`` times each column's mean under the stationary bootstrap.

    Exact for the given data (Politis & Romano 1994; Hansen 2005, section 3.2): autocovariances
    weighted by ``(1 - i/T) (1 - q)^i + i/T (1 - q)^(T - i)`` with ``q = 1 / length``.

    Parameters
    ----------
    columns : float64, shape (T, K)
    length : float
        Mean block length, at least 1.

    Returns
    -------
    float64, shape (K,)
        0 for columns without variation.
    """
    rows = columns.shape[0]
    lag = np.arange(rows)
    stay = 1.0 - 1.0 / length
    weights = (1.0 - lag / rows) * stay**lag + lag / rows * stay ** (rows - lag)
    weights[1:] *= 2.0
    # All autocovariances at once: the padding keeps the circular products apart. Some columns at
    # a time, because the spectra of thousands would fill gigabytes.
    padded = next_fast_len(2 * rows, real=True)
    variance = np.empty(columns.shape[1])
    for start in range(0, columns.shape[1], _COLUMNS):
        part = columns[:, start : start + _COLUMNS]
        spectrum = np.fft.rfft(part - np.mean(part, axis=0), padded, axis=0)
        products = np.fft.irfft(np.abs(spectrum) ** 2, padded, axis=0)[:rows] / rows
        variance[start : start + _COLUMNS] = weights @ products
    # The rounding that a constant column leaves behind is no variation.
    floor = 1e-26 * np.max(np.abs(columns), axis=0) ** 2
    return np.sqrt(np.where(variance > floor, variance, 0.0))


def _studentised(
    excess: Floats, draws: int, length: float, rng: np.random.Generator
) -> tuple[Floats, Floats, Bools]:
    """``sqrt(T) d / w`` and ``sqrt(T) M / w`` of the columns that vary, and which do."""
    sd = long_run_sd(excess, length)
    varies = sd > 0.0
    kept = excess[:, varies]
    scale = math.sqrt(excess.shape[0]) / sd[varies]
    resampled = resampled_means(kept, draws, length, rng)
    return np.mean(kept, axis=0) * scale, resampled * scale, varies


def _consistent_centre(t: Floats, rows: int) -> Floats:
    """What Hansen's consistent recentring subtracts: nothing from columns that are clearly bad."""
    return np.where(t >= -math.sqrt(2.0 * math.log(math.log(rows))), t, 0.0)


def _checked_means(excess: Floats) -> Floats:
    if excess.ndim != 2 or excess.shape[0] < 3 or excess.shape[1] < 1:
        raise InputError(f"the test needs 3 rows and a column, got shape {excess.shape}")
    means: Floats = np.mean(excess, axis=0)
    if not np.isfinite(means).all():
        raise InputError("the returns to be tested are not all finite")
    return means


def _block(excess: Floats, block: float | None) -> float:
    return median_length(excess) if block is None else block


def _p(resampled: Floats, observed: float) -> float:
    return (1.0 + float(np.count_nonzero(resampled >= observed))) / (1.0 + resampled.size)
