"""Statements about a mean that hold at every moment, however often one looks.

Normal-mixture confidence sequences (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021) for
returns that were standardised by a volatility known before them, and a betting e-process for
bounded ones (Waudby-Smith & Ramdas 2023). Both are valid up to that model: sub-Gaussian with
variance 1 for the former, within the bounds for the latter.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]


def half_width(n: int, rho: float, alpha: float = 0.05) -> float:
    """Half-width of the two-sided normal-mixture confidence sequence of a mean after n values.

    ``sqrt((n r + 1) / (n^2 r) ln((n r + 1) / a^2))`` for values of variance 1.

    Parameters
    ----------
    n : int
        At least 1.
    rho : float
        r, variance of the mixing law of the mean; `tuned` gives the best one for a length.
    alpha : float
        Chance that the mean is ever outside.
    """
    _require(n, rho, alpha)
    return math.sqrt((n * rho + 1.0) / (n * n * rho) * math.log((n * rho + 1.0) / (alpha * alpha)))


def tuned(n: int, alpha: float = 0.05) -> float:
    """Mixing variance r at which `half_width` after n values is least.

    With u = n r the minimum solves ``u = ln(u + 1) - 2 ln(alpha)`` (the derivative set to zero);
    the fixed point is reached from above since the right side rises slower than u.
    """
    _require(n, 1.0, alpha)
    u = 10.0
    for _ in range(200):
        u = math.log1p(u) - 2.0 * math.log(alpha)
    return u / n


def upper_bound(standardised: Floats, rho: float, alpha: float = 0.05) -> float:
    """Upper end of a one-sided confidence sequence of the mean, after all of the values.

    The mixture lies on one side (half normal), so that all of alpha is spent there: the bound is
    the mean plus b / n, where ``2 / sqrt(1 + n r) exp(b^2 r / (2 (1 + n r))) Z(b sqrt(r / (1 + n
    r))) = 1 / alpha`` (Howard et al. 2021, one-sided normal mixture).

    Parameters
    ----------
    standardised : float64, shape (n,)
        At least one value.
    rho : float
        As in `half_width`.
    alpha : float
        Chance that the mean is ever above the bound.
    """
    n = int(standardised.size)
    _require(n, rho, alpha)
    target = -math.log(alpha)
    scale = rho / (1.0 + n * rho)
    low, high = 0.0, math.sqrt(n)
    while _log_mixture(high, n, rho, scale) < target:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if _log_mixture(middle, n, rho, scale) < target:
            low = middle
        else:
            high = middle
    return float(np.mean(standardised)) + high / n


def _log_mixture(b: float, n: int, rho: float, scale: float) -> float:
    """Logarithm of the one-sided mixture martingale at a sum of b."""
    tail = 0.5 * math.erfc(-b * math.sqrt(scale) / math.sqrt(2.0))
    return math.log(2.0) - 0.5 * math.log1p(n * rho) + 0.5 * b * b * scale + math.log(tail)


def e_process(values: Floats, least: float, bound: float) -> Floats:
    """Evidence against "the mean is at least ``least``" after each value, shape (n,).

    A bettor against the null: ``E_t = prod(1 + l_t (m - x_t))`` with stakes l_t that depend on
    what came before alone. Under the null it is a non-negative supermartingale of mean at most 1,
    so that it ever exceeds 20 with a chance of at most 5 % (Ville 1939). The stakes maximise the
    growth to second order on what was seen so far (Waudby-Smith & Ramdas 2023, aGRAPA), held
    within half of what could be lost.

    Parameters
    ----------
    values : float64, shape (n,)
        Each conditionally of mean at least ``least`` under the null.
    least : float
        m, inside of the bounds.
    bound : float
        Values lie within ± bound; what lies beyond is clipped to it.

    Raises
    ------
    InputError
        If the bound is not positive or the mean lies outside.
    """
    if not (bound > 0.0 and abs(least) < bound):
        raise InputError(f"a mean of {least!r} is not within ± {bound!r}")
    most = 0.5 / (bound - least)  # a stake at which the worst value costs half
    total, squares, log_e = 0.0, 1.0, 0.0
    out = np.empty(values.size)
    for place, value in enumerate(np.clip(values, -bound, bound).tolist()):
        gain = total / (place + 1.0)
        stake = min(max(gain / (squares / (place + 1.0) + gain * gain), 0.0), most)
        log_e += math.log1p(stake * (least - value))
        out[place] = log_e
        total += least - value
        squares += (least - value) ** 2
    return np.exp(out)


def _require(n: int, rho: float, alpha: float) -> None:
    if n < 1 or not rho > 0.0 or not 0.0 < alpha < 1.0:
        raise InputError(
            f"a confidence sequence needs a value, a mixture and a level, not {n!r}, {rho!r},"
            f" {alpha!r}"
        )
