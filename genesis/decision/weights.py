"""Risk weights of strategies that are traded together: hierarchical risk parity, equal risk.

Clustering and optimisation are SciPy's. The portfolio libraries at hand all need scikit-learn,
which live trading does not install; skfolio is the oracle of both in the tests.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def covariance(returns: Floats) -> Floats:
    """Sample covariance of returns of shape (days, N)."""
    found: Floats = np.atleast_2d(np.cov(returns, rowvar=False))
    return found


def correlation(cov: Floats) -> Floats:
    """Correlation matrix of a covariance matrix of shape (N, N)."""
    sd = np.sqrt(np.diag(cov))
    if not (np.isfinite(cov).all() and (sd > 0.0).all()):
        raise InputError("a strategy without variation has no risk weight")
    found: Floats = np.clip(cov / np.outer(sd, sd), -1.0, 1.0)
    return found


def clusters(corr: Floats, least: float) -> Ints:
    """Cluster of each strategy, shape (N,), numbered from 1: correlated by at least ``least``.

    Single linkage, so that a chain of correlated strategies is one cluster: a cap on it cannot be
    avoided by a strategy in between.
    """
    if corr.shape[0] == 1:
        return np.ones(1, dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(_condensed(1.0 - corr), method="single")
    return np.asarray(fcluster(tree, t=1.0 - least + 1e-12, criterion="distance"), dtype=np.int64)


def hrp(cov: Floats) -> Floats:
    """Weights by hierarchical risk parity (López de Prado 2016), shape (N,), they add up to 1.

    Strategies are ordered by single linkage of the distance ``sqrt((1 - rho) / 2)``, neighbours as
    close as the tree allows, which makes the order the only one; then the weight is halved along
    that order, in inverse proportion to the variance of each half under inverse-variance weights.
    """
    n = cov.shape[0]
    if n == 1:
        return np.ones(1)
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = np.sqrt(np.clip((1.0 - correlation(cov)) / 2.0, 0.0, 1.0))
    order = leaves_list(linkage(_condensed(distance), method="single", optimal_ordering=True))
    weights = np.ones(n)
    parts = [order]
    while parts:
        halves = []
        for part in parts:
            if part.size < 2:
                continue
            left, right = part[: part.size // 2], part[part.size // 2 :]
            a, b = _variance(cov, left), _variance(cov, right)
            weights[left] *= 1.0 - a / (a + b)
            weights[right] *= a / (a + b)
            halves += [left, right]
        parts = halves
    return weights


def equal_risk(cov: Floats) -> Floats:
    """Weights that carry equal risk (Maillard, Roncalli & Teïletche 2010), they add up to 1.

    The minimum of ``x' C x / 2 - sum(ln x) / N`` over positive x, which is convex (Spinu 2013),
    scaled to add up to 1.

    Raises
    ------
    InputError
        If the optimiser does not find it.
    """
    from scipy.optimize import minimize

    sd = np.sqrt(np.diag(cov))
    corr, n = correlation(cov), cov.shape[0]
    # In units of risk the problem is scaled well whatever the strategies' volatilities.
    result = minimize(
        lambda x: 0.5 * float(x @ corr @ x) - float(np.sum(np.log(x))) / n,
        np.full(n, 1.0 / np.sqrt(n)),
        jac=lambda x: corr @ x - 1.0 / (n * x),
        bounds=[(1e-9, None)] * n,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000},
    )
    weights: Floats = result.x / sd
    share = weights * (cov @ weights)
    if not np.allclose(share / share.sum(), 1.0 / n, atol=1e-4):
        raise InputError("no weights of equal risk were found", why=str(result.message))
    weights /= weights.sum()
    return weights


def _variance(cov: Floats, part: Ints) -> float:
    """Variance of a part under inverse-variance weights."""
    own = cov[np.ix_(part, part)]
    weights = 1.0 / np.diag(own)
    weights /= weights.sum()
    return float(weights @ own @ weights)


def _condensed(distance: Floats) -> Floats:
    """Upper triangle of a distance matrix, as SciPy wants it."""
    rows, columns = np.triu_indices(distance.shape[0], k=1)
    return np.maximum(distance[rows, columns], 0.0)
