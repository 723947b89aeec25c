"""Many tests at once: adjusted p-values, Sharpe ratios after a haircut, exact intervals.

The haircut is Harvey & Liu's (2015, Backtesting): a Sharpe ratio becomes a p-value, the p-value is
adjusted for the number of tests, and the adjusted p-value becomes a Sharpe ratio again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]

_NORMAL = NormalDist()


def sharpe_to_p(annual_sharpe: float, years: float) -> float:
    """Two-sided p-value of an annual Sharpe ratio with ``t = SR sqrt(years)``, normal.

    A loss is no discovery, however significant it is: a negative ratio has p = 1, so that p falls
    with the ratio and remains valid (conservative) as a test of "no skill".
    """
    t = annual_sharpe * math.sqrt(years)
    return math.erfc(max(t, 0.0) / math.sqrt(2.0)) if not math.isnan(t) else math.nan


def p_to_sharpe(p: float, years: float) -> float:
    """Annual Sharpe ratio whose two-sided p-value is p: the inverse of `sharpe_to_p`.

    0 for p = 1, infinite for p = 0.
    """
    if not 0.0 <= p <= 1.0:
        raise InputError(f"a p-value lies between 0 and 1, got {p!r}")
    return -_NORMAL.inv_cdf(p / 2.0) / math.sqrt(years) + 0.0 if p > 0.0 else math.inf


def bonferroni(p: Floats) -> Floats:
    """P-values (shape (n,)) times their number, at most 1; holds under any dependence."""
    return np.minimum(p * p.size, 1.0)


def sidak(p: float, n: float) -> float:
    """``1 - (1 - p)^n``: chance that the least of n independent p-values is at most p."""
    if p >= 1.0:
        return 1.0
    return -math.expm1(n * math.log1p(-p))


def holm(p: Floats) -> Floats:
    """Holm's (1979) adjusted p-values, in the order given.

    ``max_{j<=k} min(1, (N - j + 1) p_(j))``: the family-wise error rate holds under any dependence.
    """
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(p.size, 0, -1)
    adjusted = np.empty_like(scaled)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def bhy(p: Floats) -> Floats:
    """Adjusted p-values of Benjamini, Hochberg & Yekutieli (2001), in the order given.

    ``min_{j>=k} min(1, N c(N) p_(j) / j)`` with ``c(N) = sum_{j<=N} 1/j``: the false discovery
    rate holds under any dependence.
    """
    n = p.size
    ranks = np.arange(1, n + 1)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (n * float(np.sum(1.0 / ranks))) / ranks
    adjusted = np.empty_like(scaled)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


@dataclass(frozen=True, slots=True)
class Haircut:
    """A Sharpe ratio after allowing for the number of tests.

    Attributes
    ----------
    p, adjusted : float
        P-value of the ratio alone and among the tests.
    sharpe : float
        Annual ratio that has the adjusted p-value when it is tested alone.
    haircut : float
        Share of the ratio that is lost, 0 to 1; NaN for a ratio that is not positive.
    """

    p: float
    adjusted: float
    sharpe: float
    haircut: float


def haircut_sharpe(
    annual_sharpe: float,
    years: float,
    tests: float,
    method: Literal["sidak", "bonferroni"] = "sidak",
) -> Haircut:
    """Haircut of one ratio that is the best of a number of tests.

    Parameters
    ----------
    annual_sharpe, years : float
    tests : float
        Number of independent tests, at least 1.
    method : {"sidak", "bonferroni"}
    """
    if not tests >= 1.0:
        raise InputError(f"the number of tests must be at least 1, got {tests!r}")
    p = sharpe_to_p(annual_sharpe, years)
    return _haircut(annual_sharpe, years, p, sidak(p, tests) if method == "sidak" else p * tests)


def haircut_sharpes(
    annual_sharpes: Floats, years: float, method: Literal["holm", "bhy", "bonferroni"] = "holm"
) -> list[Haircut]:
    """Haircuts of all ratios of a search (shape (n,)), which adjusts each by its rank."""
    p = np.array([sharpe_to_p(float(s), years) for s in annual_sharpes])
    adjusted = {"holm": holm, "bhy": bhy, "bonferroni": bonferroni}[method](p)
    return [
        _haircut(float(s), years, float(a), float(b))
        for s, a, b in zip(annual_sharpes, p, adjusted, strict=True)
    ]


def _haircut(annual_sharpe: float, years: float, p: float, adjusted: float) -> Haircut:
    adjusted = min(adjusted, 1.0)
    left = p_to_sharpe(adjusted, years)
    lost = 1.0 - left / annual_sharpe if annual_sharpe > 0.0 else math.nan
    return Haircut(p, adjusted, left, lost)


def binomial_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper & Pearson 1934) two-sided interval of a share, ``successes`` out of n."""
    if not 0 <= successes <= n or n < 1:
        raise InputError(f"{successes} successes out of {n} are impossible")
    tail = (1.0 - confidence) / 2.0
    low = special.betaincinv(successes, n - successes + 1, tail) if successes > 0 else 0.0
    high = special.betaincinv(successes + 1, n - successes, 1.0 - tail) if successes < n else 1.0
    return float(low), float(high)


def uniform_p(counts: npt.NDArray[np.int64]) -> float:
    """Pearson's chi-square p-value of "all cells are equally likely".

    Parameters
    ----------
    counts : int64, shape (k,)
        Observations in each of k >= 2 cells; the approximation wants about 5 in each.
    """
    total = int(np.sum(counts))
    if counts.size < 2 or total == 0:
        raise InputError("uniformity needs two cells and an observation")
    expected = total / counts.size
    statistic = float(np.sum((counts - expected) ** 2)) / expected
    return float(special.gammaincc((counts.size - 1) / 2.0, statistic / 2.0))
