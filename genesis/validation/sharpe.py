"""How sure a Sharpe ratio is: moments, probabilistic and deflated ratios, lengths of record.

Everything counts in periods of the returns; only what is named annual is annualised. With S the
ratio, T the number of returns, g3 the skew and g4 the raw kurtosis (normal: 3), the standard error
of S is ``sqrt((1 - g3 S + (g4 - 1) / 4 S^2) / (T - 1))`` (Mertens 2002; Bailey & López de Prado
2012). A ratio that does not exist is NaN and makes every result NaN, which passes no threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]

_NORMAL = NormalDist()
EULER_GAMMA = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class Moments:
    """What the probability of a Sharpe ratio depends on.

    Attributes
    ----------
    n : int
        Number of returns.
    mean, sd : float
        Mean and sample standard deviation (ddof 1) of one return.
    skew, kurtosis : float
        Population skew and raw kurtosis; a normal variable has 0 and 3.
    """

    n: int
    mean: float
    sd: float
    skew: float
    kurtosis: float

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per period; NaN without variation."""
        return self.mean / self.sd if self.sd > 0.0 else math.nan

    @property
    def shape(self) -> float:
        """``1 - g3 S + (g4 - 1) / 4 S^2``, the variance of S times ``T - 1``.

        Never negative for moments of any distribution, since ``g4 >= 1 + g3^2``.

        Raises
        ------
        InputError
            Skew and kurtosis belong to no distribution.
        """
        s = self.sharpe
        value = 1.0 - self.skew * s + (self.kurtosis - 1.0) / 4.0 * s * s
        if value < -1e-9:
            raise InputError(
                f"no distribution has skew {self.skew:g} and kurtosis {self.kurtosis:g}",
                fix="pass the raw kurtosis, which is 3 for a normal variable",
            )
        return max(value, 0.0) if not math.isnan(value) else math.nan


def moments(returns: Floats) -> Moments:
    """Moments of a return series of shape (n,).

    Without variation, or with fewer than two returns, ``sd`` is 0, skew and kurtosis are NaN, and
    so is the Sharpe ratio: a strategy that never traded has none.
    """
    n = returns.size
    if n == 0:
        return Moments(0, math.nan, 0.0, math.nan, math.nan)
    mean = float(np.mean(returns))
    centred = returns - mean
    variance = float(np.mean(centred * centred))
    # A constant series leaves only rounding behind.
    if n < 2 or not variance > 1e-28 * float(np.max(np.abs(returns))) ** 2:
        return Moments(n, mean, 0.0, math.nan, math.nan)
    unit = centred / math.sqrt(variance)
    squares = unit * unit
    skew, kurtosis = float(np.mean(squares * unit)), float(np.mean(squares * squares))
    return Moments(n, mean, math.sqrt(variance * n / (n - 1)), skew, kurtosis)


def annual_sharpe(returns: Floats, periods: float) -> float:
    """Sharpe ratio of a return series (shape (n,)) times ``sqrt(periods)``; NaN as in `moments`."""
    return moments(returns).sharpe * math.sqrt(periods)


def probabilistic_sharpe(m: Moments, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds a benchmark.

    ``PSR = Z[(S - S*) sqrt(T - 1) / sqrt(1 - g3 S + (g4 - 1) / 4 S^2)]`` (Bailey & López de Prado
    2012, The Sharpe ratio efficient frontier).

    Parameters
    ----------
    m : Moments
    benchmark : float
        S*, per period. An annualised benchmark must be divided by the root of the periods.
    """
    excess = m.sharpe - benchmark
    shape = m.shape
    if math.isnan(excess) or math.isnan(shape):
        return math.nan
    if shape == 0.0:
        return 0.5 if excess == 0.0 else float(excess > 0.0)
    # In this form the small probabilities keep their digits, which NormalDist.cdf loses.
    return 0.5 * math.erfc(-excess * math.sqrt((m.n - 1) / shape / 2.0))


def expected_max(n: float) -> float:
    """Expected maximum of n independent standard normal variables.

    ``(1 - g) Z^-1[1 - 1/n] + g Z^-1[1 - 1/(n e)]`` with Euler's g (Bailey & López de Prado 2014).
    The approximation falls below zero under about 1.4 variables, where 0 is returned, as for the
    one variable whose expected maximum that is.

    Parameters
    ----------
    n : float
        Number of trials, at least 1; an effective number need not be whole.
    """
    if not n >= 1.0:
        raise InputError(f"the number of trials must be at least 1, got {n!r}")
    if n == 1.0:
        return 0.0
    # -Z^-1[x] for Z^-1[1 - x]: the small probability keeps its digits.
    far = -_NORMAL.inv_cdf(1.0 / n)
    farther = -_NORMAL.inv_cdf(1.0 / (n * math.e))
    return max((1.0 - EULER_GAMMA) * far + EULER_GAMMA * farther, 0.0)


def deflated_sharpe(m: Moments, trials: float, variance: float | None = None) -> float:
    """Probability that the true Sharpe ratio is above 0, given that the best of many was chosen.

    The probabilistic ratio against ``sqrt(V) E[max](N)`` (Bailey & López de Prado 2014, The
    deflated Sharpe ratio).

    Parameters
    ----------
    m : Moments
        Moments of the chosen strategy.
    trials : float
        Number of independent trials N, at least 1.
    variance : float, optional
        Variance V of the trials' Sharpe ratios *per period*; without it the variance that trials
        without skill have, ``1 / (T - 1)``.
    """
    if variance is None:
        variance = 1.0 / (m.n - 1) if m.n > 1 else math.nan
    if variance < 0.0:
        raise InputError(f"a variance is not negative, got {variance!r}")
    return probabilistic_sharpe(m, math.sqrt(variance) * expected_max(trials))


def min_track_record(m: Moments, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Number of returns after which the probabilistic ratio would reach a confidence.

    ``1 + (1 - g3 S + (g4 - 1) / 4 S^2) (z / (S - S*))^2`` (Bailey & López de Prado 2012); infinite
    when S does not exceed the benchmark (per period).
    """
    excess = m.sharpe - benchmark
    if math.isnan(excess):
        return math.nan
    if excess <= 0.0:
        return math.inf
    return 1.0 + m.shape * (_NORMAL.inv_cdf(confidence) / excess) ** 2


def min_backtest_length(trials: float, annual_sharpe: float = 1.0) -> float:
    """Years of data below which the best of N skill-less trials is expected to reach a ratio.

    ``(E[max](N) / annual Sharpe)^2`` (Bailey, Borwein, López de Prado & Zhu 2014).
    """
    if not annual_sharpe > 0.0:
        raise InputError(f"the annual Sharpe ratio must be positive, got {annual_sharpe!r}")
    return (expected_max(trials) / annual_sharpe) ** 2


def autocorrelations(returns: Floats, lags: int) -> Floats:
    """Sample autocorrelations at lags 1 to ``lags`` of a series of shape (n,), divided by n."""
    centred = returns - np.mean(returns)
    total = float(centred @ centred)
    return np.array([float(centred[k:] @ centred[:-k]) / total for k in range(1, lags + 1)])


def annualisation_factor(correlations: Floats, periods: int) -> float:
    """Factor between the Sharpe ratio of one return and that of ``periods`` of them added up.

    ``q / sqrt(q + 2 sum_{k<q} (q - k) rho_k)`` (Lo 2002, The statistics of Sharpe ratios); NaN
    where the estimates leave the sum without variance.

    Parameters
    ----------
    correlations : float64, shape (lags,)
        Autocorrelations at lags 1, 2, …; those beyond ``periods - 1`` are not used.
    periods : int
        q, returns in a year.
    """
    rho = correlations[: periods - 1]
    lag = np.arange(1, rho.size + 1)
    variance = periods + 2.0 * float(np.sum((periods - lag) * rho))
    return periods / math.sqrt(variance) if variance > 0.0 else math.nan


def autocorrelation_adjusted(returns: Floats, periods: int, lags: int | None = None) -> float:
    """Annualised Sharpe ratio that allows for serial correlation (Lo 2002).

    Parameters
    ----------
    returns : float64, shape (n,)
    periods : int
        Returns in a year.
    lags : int, optional
        Autocorrelations to use; without it ``sqrt(n)`` of them, ``periods - 1`` at most. All of
        them cannot be used: sample autocorrelations add up to -1/2 whatever the series is.

    Returns
    -------
    float
        NaN without variation.
    """
    m = moments(returns)
    if math.isnan(m.sharpe):
        return math.nan
    if lags is None:
        lags = math.isqrt(m.n)
    rho = autocorrelations(returns, min(lags, periods - 1, m.n - 1))
    return m.sharpe * annualisation_factor(rho, periods)
