"""GARCH(1,1) with Student-t shocks: the likelihood, its maximum and the recursion that draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel

Floats = npt.NDArray[np.float64]

MOST_PERSISTENT = 0.999
_DOF_LOW, _DOF_HIGH = 2.5, 100.0
_START = (0.08, 0.90, 6.0)


@dataclass(frozen=True, slots=True)
class Garch:
    """Parameters; the variance is that of unit-variance returns (variance targeting).

    Attributes
    ----------
    alpha, beta : float
        Reaction to the last squared return, and persistence; their sum is below 1.
    dof : float
        Degrees of freedom of the shocks, which are scaled to unit variance.
    """

    alpha: float
    beta: float
    dof: float


@kernel
def variances(shocks: Floats, alpha: float, beta: float, out: Floats) -> None:
    """Conditional variances of a path with stationary variance 1 that the shocks drive.

    Parameters
    ----------
    shocks : float64, shape (T,)
        Of unit variance; the return of bar t is ``sqrt(out[t]) * shocks[t]``.
    alpha, beta : float
    out : float64, shape (T,)
    """
    omega = 1.0 - alpha - beta
    variance = 1.0
    for t in range(shocks.size):
        out[t] = variance
        variance = omega + variance * (alpha * shocks[t] * shocks[t] + beta)


@kernel
def shocks_of(returns: Floats, alpha: float, beta: float, out: Floats) -> None:
    """Shocks behind returns of unit variance: what `variances` would be driven by."""
    omega = 1.0 - alpha - beta
    variance = 1.0
    for t in range(returns.size):
        out[t] = returns[t] / math.sqrt(variance)
        variance = omega + alpha * returns[t] * returns[t] + beta * variance


@kernel
def minus_log_likelihood(returns: Floats, alpha: float, beta: float, dof: float) -> float:
    """Minus the mean log density of returns of unit variance (Bollerslev 1987)."""
    omega = 1.0 - alpha - beta
    level = (
        math.lgamma(0.5 * (dof + 1.0))
        - math.lgamma(0.5 * dof)
        - 0.5 * math.log(math.pi * (dof - 2.0))
    )
    variance = 1.0
    total = 0.0
    for t in range(returns.size):
        square = returns[t] * returns[t]
        total += 0.5 * math.log(variance) + 0.5 * (dof + 1.0) * math.log(
            1.0 + square / (variance * (dof - 2.0))
        )
        variance = omega + alpha * square + beta * variance
    return total / returns.size - level


def fit(returns: Floats) -> Garch:
    """Maximum likelihood with variance targeting, by the simplex of Nelder and Mead.

    Parameters
    ----------
    returns : float64, shape (T,)
        Any mean and scale.
    """
    from scipy.optimize import minimize

    unit = (returns - returns.mean()) / returns.std()

    def loss(point: Floats) -> float:
        chosen = _of_point(point)
        return minus_log_likelihood(unit, chosen.alpha, chosen.beta, chosen.dof)

    best = minimize(
        loss,
        _point_of(*_START),
        method="Nelder-Mead",
        options={"maxiter": 400, "xatol": 1e-4, "fatol": 1e-8},
    )
    return _of_point(np.asarray(best.x, dtype=np.float64))


def _of_point(point: Floats) -> Garch:
    """Parameters of an unbounded point: persistence, share of alpha in it, degrees of freedom."""
    persistence = MOST_PERSISTENT * _logistic(point[0])
    alpha = persistence * _logistic(point[1])
    dof = _DOF_LOW + (_DOF_HIGH - _DOF_LOW) * _logistic(point[2])
    return Garch(alpha, persistence - alpha, dof)


def _point_of(alpha: float, beta: float, dof: float) -> Floats:
    shares = (
        (alpha + beta) / MOST_PERSISTENT,
        alpha / (alpha + beta),
        (dof - _DOF_LOW) / (_DOF_HIGH - _DOF_LOW),
    )
    return np.array([math.log(share / (1.0 - share)) for share in shares])


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(x, -30.0), 30.0)))
