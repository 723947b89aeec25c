"""How deep a strategy that is as it was falls within some days: bootstrapped drawdowns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError
from genesis.validation.bootstrap import PORTION, politis_white_length, stationary_indices

Floats = npt.NDArray[np.float64]


def drawdown_bounds(
    returns: Floats,
    horizons: tuple[int, ...],
    levels: tuple[float, ...],
    draws: int,
    rng: np.random.Generator,
) -> Floats:
    """Quantiles of the greatest drawdown within horizons, by the stationary bootstrap.

    Each draw is one path as long as the longest horizon, in blocks of the Politis-White length;
    shorter horizons are its beginnings, so that the bounds rise with the horizon.

    Parameters
    ----------
    returns : float64, shape (n,)
        Daily returns, fractions of capital; they are added.
    horizons : tuple of int
        Days, at least 1.
    levels : tuple of float
        Such as 0.95.
    draws : int
    rng : numpy.random.Generator

    Returns
    -------
    float64, shape (levels, horizons)
        Fractions of capital, positive; the start is the first peak.

    Raises
    ------
    InputError
        If there are fewer than 30 returns, or nothing is asked for.
    """
    n = int(returns.size)
    if n < 30 or not horizons or min(horizons) < 1 or draws < 1:
        raise InputError(
            f"drawdowns of {draws} paths from {n} returns say nothing",
            fix="use at least 30 daily returns",
        )
    longest = max(horizons)
    length = max(politis_white_length(returns), 1.0)
    found = np.empty((draws, len(horizons)))
    portion = max(1, PORTION // longest)
    places = np.array(horizons) - 1
    for at in range(0, draws, portion):
        count = min(portion, draws - at)
        paths = np.stack([_path(returns, longest, length, rng) for _ in range(count)])
        equity = np.cumsum(paths, axis=1)
        peak = np.maximum(np.maximum.accumulate(equity, axis=1), 0.0)
        deepest = np.maximum.accumulate(peak - equity, axis=1)
        found[at : at + count] = deepest[:, places]
    out: Floats = np.quantile(found, levels, axis=0)
    return out


def _path(returns: Floats, days: int, length: float, rng: np.random.Generator) -> Floats:
    """Resampled returns of as many days as asked, shape (days,)."""
    parts, have = [], 0
    while have < days:
        part = returns[stationary_indices(returns.size, length, rng)]
        parts.append(part)
        have += part.size
    return np.concatenate(parts)[:days]
