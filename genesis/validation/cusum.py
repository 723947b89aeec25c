"""A one-sided CUSUM that watches whether an edge is gone, and how often it is wrong.

With standardised daily returns x of mean s while the edge lasts, the sum
``C_t = max(0, C_{t-1} + k - x_t)``, ``k = s / 2``, is the best detector of a fall of the mean to
zero (Page 1954, Moustakides 1986). Average run lengths follow Siegmund (1985): a sum with drift d
and variance 1 reaches h after ``(exp(-2 d b) + 2 d b - 1) / (2 d^2)`` days, ``b = h + 1.166``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]

OVERSHOOT = 1.166
"""Twice the mean overshoot of a normal random walk (0.583): discrete sums pass a bound, they do
not touch it."""


def cusum(standardised: Floats, daily_sharpe: float) -> Floats:
    """The sum after each day, shape (n,), in standard deviations; it begins at 0.

    Parameters
    ----------
    standardised : float64, shape (n,)
        Daily returns over their volatility.
    daily_sharpe : float
        s of the edge that is expected, positive.
    """
    _require(daily_sharpe)
    steps = 0.5 * daily_sharpe - standardised
    walk = np.concatenate(([0.0], np.cumsum(steps)))
    # C_t is the walk over its lowest point so far.
    out: Floats = (walk - np.minimum.accumulate(walk))[1:]
    return out


def run_length(h: float, drift: float) -> float:
    """Average number of days until a sum with a drift per day reaches ``h`` (Siegmund 1985).

    Parameters
    ----------
    h : float
        In standard deviations.
    drift : float
        Mean of ``k - x``: ``-s / 2`` while the edge lasts, ``s / 2`` once it is gone.
    """
    b = h + OVERSHOOT
    y = 2.0 * drift * b
    if abs(y) < 1e-5:  # the limit of no drift, and its first correction
        return b * b * (1.0 - y / 3.0)
    return (math.expm1(-y) + y) / (2.0 * drift * drift)


def bound_for(run_days: float, daily_sharpe: float) -> float:
    """Bound h at which false alarms are ``run_days`` apart on average while the edge lasts.

    Raises
    ------
    InputError
        If the ratio is not positive, or no bound above zero is that close.
    """
    _require(daily_sharpe)
    drift = -0.5 * daily_sharpe
    low, high = 0.0, 1.0
    if run_length(low, drift) > run_days:
        raise InputError(f"a false alarm each {run_days:g} days is more often than any bound gives")
    while run_length(high, drift) < run_days:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if run_length(middle, drift) < run_days:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def delay(h: float, daily_sharpe: float, left: float = 0.0) -> float:
    """Average number of days to the alarm once the daily Sharpe ratio fell to ``left``."""
    _require(daily_sharpe)
    return run_length(h, 0.5 * daily_sharpe - left)


def _require(daily_sharpe: float) -> None:
    if not (math.isfinite(daily_sharpe) and daily_sharpe > 0.0):
        raise InputError(f"a CUSUM needs a positive expected Sharpe ratio, not {daily_sharpe!r}")
