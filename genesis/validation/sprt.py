"""Wald's sequential test of a Sharpe ratio: two hypotheses, daily returns, no fixed length.

Returns are standardised by a volatility that was known before them, so that under H1 they have mean
``s`` (the daily Sharpe ratio) and variance 1, under H0 mean 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a log-likelihood ratio decides.

    Attributes
    ----------
    lower, upper : float
        At or below the lower one H0 is accepted, at or above the upper one H1.
    """

    lower: float
    upper: float


def sprt_bounds(alpha: float = 0.05, beta: float = 0.2) -> Bounds:
    """``ln(beta / (1 - alpha))`` and ``ln((1 - beta) / alpha)`` (Wald 1945).

    Parameters
    ----------
    alpha, beta : float
        Chances to accept H1 under H0, and H0 under H1.

    Raises
    ------
    InputError
        If they are no chances that add up to less than 1.
    """
    if not (alpha > 0.0 and beta > 0.0 and alpha + beta < 1.0):
        raise InputError(f"errors of {alpha!r} and {beta!r} leave nothing to decide")
    return Bounds(math.log(beta / (1.0 - alpha)), math.log((1.0 - beta) / alpha))


def log_likelihood_ratio(standardised: Floats, daily_sharpe: float) -> float:
    """``sum(s x - s^2 / 2)``: normal returns of mean s against mean 0, variance 1 in both.

    Parameters
    ----------
    standardised : float64, shape (n,)
        Daily returns over their volatility.
    daily_sharpe : float
        s, the daily Sharpe ratio of H1.
    """
    s = daily_sharpe
    return s * float(np.sum(standardised)) - 0.5 * s * s * standardised.size


def mean_times(daily_sharpe: float, alpha: float = 0.05, beta: float = 0.2) -> tuple[float, float]:
    """Mean number of days until the test decides, under H1 and under H0.

    Wald's approximation, which neglects the overshoot over a bound.

    Raises
    ------
    InputError
        If the ratio is not positive.
    """
    if not daily_sharpe > 0.0:
        raise InputError(f"the Sharpe ratio of H1 must be positive, got {daily_sharpe!r}")
    bounds = sprt_bounds(alpha, beta)
    drift = 0.5 * daily_sharpe * daily_sharpe
    with_edge = ((1.0 - beta) * bounds.upper + beta * bounds.lower) / drift
    without = -(alpha * bounds.upper + (1.0 - alpha) * bounds.lower) / drift
    return with_edge, without
