"""``svc``: a linear support vector classifier of the sign of the forward return.

The machine is L2-regularised with squared hinge loss and the bias as one more weight: the problem
of scikit-learn's ``LinearSVC``, whose solution is unique. It is found exactly by the finite Newton
method in the primal (Keerthi and DeCoste, JMLR 2005), a few small ridge regressions. Several
machines on ever more recent parts of the window form an ensemble, and a purged cross-validation
inside the window tells how much to trust it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import StrategyError
from genesis.domain.jit import kernel
from genesis.strategy.learners.samples import (
    FEATURES,
    decided,
    gather,
    register_learner,
    stacked,
    standardise,
    store,
    whole,
)
from genesis.strategy.node import Array, Scalar

Floats = npt.NDArray[np.float64]
Params = tuple[Scalar, ...]

NAMES = ("features", "window", "horizon", "ensemble", "folds", "bins", "refit", "c")
_BOUNDS = ((1, FEATURES), (10, 1000), (1, 200), (1, 10), (2, 20), (2, 4), (8, 2048))
_HEADER = 3
MAX_STEPS = 40
TOLERANCE = 1e-8


@kernel
def solve_positive(a: Any, b: Any) -> None:
    """Solve ``a x = b`` for a symmetric positive definite matrix; ``b`` becomes x, ``a`` its root.

    Parameters
    ----------
    a : shape (k, k)
        Only the lower triangle is read.
    b : shape (k,)
    """
    k = b.size
    for j in range(k):
        for i in range(j, k):
            total = a[i, j]
            for m in range(j):
                total -= a[i, m] * a[j, m]
            a[i, j] = np.sqrt(total) if i == j else total / a[j, j]
    for i in range(k):
        for m in range(i):
            b[i] -= a[i, m] * b[m]
        b[i] /= a[i, i]
    for i in range(k - 1, -1, -1):
        for m in range(i + 1, k):
            b[i] -= a[m, i] * b[m]
        b[i] /= a[i, i]


@kernel
def newton_target(x: Any, signs: Any, margins: Any, c: float, hessian: Any, target: Any) -> None:
    """Minimum of the loss if the set of violating samples stayed as it is: a ridge regression."""
    n, k = x.shape
    hessian[:] = 0.0
    target[:] = 0.0
    for i in range(n):
        if signs[i] * margins[i] >= 1.0:
            continue
        for f in range(k):
            target[f] += signs[i] * x[i, f]
            for g in range(f + 1):
                hessian[f, g] += x[i, f] * x[i, g]
        target[k] += signs[i]
        for g in range(k):
            hessian[k, g] += x[i, g]
        hessian[k, k] += 1.0
    for f in range(k + 1):
        target[f] *= 2.0 * c
        for g in range(f + 1):
            hessian[f, g] *= 2.0 * c
        hessian[f, f] += 1.0
    solve_positive(hessian, target)


@kernel
def loss_along(w: Any, d: Any, signs: Any, margins: Any, moves: Any, t: float, c: float) -> float:
    """``|v|^2 / 2 + c * sum(max(0, 1 - sign * margin)^2)`` at ``v = w + t d``."""
    total = 0.0
    for f in range(w.size):
        total += 0.5 * (w[f] + t * d[f]) ** 2
    for i in range(signs.size):
        short = 1.0 - signs[i] * (margins[i] + t * moves[i])
        if short > 0.0:
            total += c * short * short
    return total


@kernel
def fit_machine(x: Any, y: Any, use: Any, c: float, w: Any) -> None:
    """Fit one machine.

    Parameters
    ----------
    x : shape (n, features)
    y : shape (n,)
        Only the sign is read.
    use : bool, shape (n,)
        Samples to train on.
    c : float
        Penalty of a violation.
    w : shape (features + 1,)
        Result: weights, then the bias.
    """
    k = x.shape[1]
    n = 0
    for i in range(y.size):
        n += use[i]
    chosen = np.empty((n, k))
    signs = np.empty(n)
    row = 0
    for i in range(y.size):
        if use[i]:
            chosen[row] = x[i]
            signs[row] = 1.0 if y[i] > 0.0 else -1.0
            row += 1
    margins = np.zeros(n)
    moves = np.empty(n)
    hessian = np.empty((k + 1, k + 1))
    d = np.empty(k + 1)
    w[:] = 0.0
    for _ in range(MAX_STEPS):
        newton_target(chosen, signs, margins, c, hessian, d)
        largest = 0.0
        for f in range(k + 1):
            d[f] -= w[f]
            largest = max(largest, abs(d[f]))
        if largest < TOLERANCE:
            break
        for i in range(n):
            moves[i] = d[k]
            for f in range(k):
                moves[i] += d[f] * chosen[i, f]
        # A full step nearly always falls; halving guards against cycling between violating sets.
        before = loss_along(w, d, signs, margins, moves, 0.0, c)
        t = 1.0
        while t > 1e-6 and loss_along(w, d, signs, margins, moves, t, c) > before:
            t *= 0.5
        if t <= 1e-6:
            break
        for f in range(k + 1):
            w[f] += t * d[f]
        for i in range(n):
            margins[i] += t * moves[i]


@kernel
def validated_edge(x: Any, y: Any, keep: Any, folds: int, horizon: int, c: float) -> float:
    """``2 * hit rate - 1``, at least 0, of contiguous folds purged by the label horizon."""
    n, k = x.shape
    use = np.empty(n, dtype=np.bool_)
    w = np.empty(k + 1)
    hits = 0
    tested = 0
    for fold in range(folds):
        start = (n * fold) // folds
        stop = (n * (fold + 1)) // folds
        for i in range(n):
            use[i] = keep[i] and (i < start - horizon or i >= stop + horizon)
        if not two_classes(y, use):
            continue
        fit_machine(x, y, use, c, w)
        for i in range(start, stop):
            if keep[i]:
                value = w[k]
                for f in range(k):
                    value += w[f] * x[i, f]
                tested += 1
                if (value > 0.0) == (y[i] > 0.0):
                    hits += 1
    if tested == 0:
        return 0.0
    return max(0.0, 2.0 * hits / tested - 1.0)


@kernel
def two_classes(y: Any, use: Any) -> bool:
    """Whether at least two samples of either sign are used."""
    up = 0
    down = 0
    for i in range(y.size):
        if use[i]:
            if y[i] > 0.0:
                up += 1
            else:
                down += 1
    return up >= 2 and down >= 2


@kernel
def fit_ensemble(
    x: Any, y: Any, horizon: int, members: int, folds: int, bins: int, c: float, model: Any
) -> None:
    """Fit on one window; the model is edge, means, scales, then weights and bias averaged."""
    n, k = x.shape
    means = model[1 : 1 + k]
    scales = model[1 + k : 1 + 2 * k]
    weights = model[1 + 2 * k :]
    standardise(x, means, scales)
    keep = np.empty(n, dtype=np.bool_)
    decided(y, bins, keep)
    weights[:] = 0.0
    model[0] = 0.0
    if not two_classes(y, keep):
        return
    model[0] = validated_edge(x, y, keep, folds, horizon, c)
    use = np.empty(n, dtype=np.bool_)
    w = np.empty(k + 1)
    for member in range(members):
        # Member 0 sees the whole window, the last one little more than its newer half.
        first = (n * member) // (2 * members)
        for i in range(n):
            use[i] = keep[i] and i >= first
        if two_classes(y, use):
            fit_machine(x, y, use, c, w)
            for f in range(k + 1):
                weights[f] += w[f] / members


@kernel
def run_svc(rows: Any, price: Any, whole_params: Any, c: float, state: Any, out: Any) -> None:
    """Feed a block of bars. State: valid bars, fitted, place, closes, samples, model."""
    k, window, horizon, members, folds, bins, refit = whole_params
    size = window + horizon
    closes = state[_HEADER : _HEADER + size]
    ring = state[_HEADER + size : _HEADER + size + size * k].reshape((size, k))
    model = state[_HEADER + size + size * k :]
    count = state[0]
    fitted = state[1]
    place = int(state[2])
    x = np.empty((window, k))
    y = np.empty(window)
    for bar in range(out.size):
        if not store(rows, price, bar, ring, closes, place):
            out[bar] = np.nan
            continue
        count += 1.0
        if count >= size and count % refit == 0.0:
            gather(ring, closes, place, window, horizon, x, y)
            fit_ensemble(x, y, horizon, members, folds, bins, c, model)
            fitted = 1.0
        place = (place + 1) % size
        if fitted == 0.0:
            out[bar] = np.nan
            continue
        value = model[1 + 3 * k]
        for f in range(k):
            value += model[1 + 2 * k + f] * (rows[f, bar] - model[1 + f]) * model[1 + k + f]
        out[bar] = model[0] * value / (1.0 + abs(value))
    state[0] = count
    state[1] = fitted
    state[2] = place


def _run(inputs: Sequence[Array | float], params: Params, state: Floats, out: Array) -> None:
    integers = tuple(int(p) for p in params[:-1])
    rows, price = stacked(inputs, integers[0], out.size)
    run_svc(rows, price, integers, float(params[-1]), state, out)


def _check(params: Params) -> None:
    whole(params, NAMES, _BOUNDS)
    if isinstance(params[-1], str) or not 0.0 < float(params[-1]) <= 1e6:
        raise StrategyError(f"c must be positive, not {params[-1]}")


def _state_size(params: Params) -> int:
    k, window, horizon = int(params[0]), int(params[1]), int(params[2])
    return _HEADER + (window + horizon) * (k + 1) + 2 + 3 * k


def _cost(params: Params) -> float:
    k, window, _, members, folds, _, refit = (float(p) for p in params[:-1])
    # Measured: a few Newton steps a fit, each a rank-one update per violating sample.
    return 4.0 * k + (members + folds) * 1.6 * window * (k + 2.0) * (0.5 * k + 4.0) / refit


register_learner(
    "svc",
    NAMES,
    "the {horizon}-bar outlook of a linear classifier on {features} features,"
    " refitted every {refit} bars on the last {window}",
    run=_run,
    check=_check,
    state_size=_state_size,
    cost=_cost,
)
