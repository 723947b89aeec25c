"""``quantile_forest``: quantiles of the forward return from random trees on principal components.

Features are standardised and projected on their leading principal components (eigenvectors of
the covariance by Jacobi rotations). A node tries the value of one random sample as threshold for
each component and takes the best (after extremely randomised trees, Geurts et al. 2006); a leaf
holds the quantiles q and 1 - q of its forward returns. The forecast is the forest's mean of the
pessimistic quantile where that is a gain, of the optimistic one where that is a loss, else 0.
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
    sort_order,
    stacked,
    standardise,
    store,
    whole,
)
from genesis.strategy.node import Array, Scalar

Floats = npt.NDArray[np.float64]
Params = tuple[Scalar, ...]

NAMES = ("components", "depth", "trees", "window", "horizon", "bins", "refit", "seed", "quantile")
_BOUNDS = (
    (1, FEATURES), (1, 8), (1, 500), (20, 1000), (1, 200), (2, 4), (8, 2048), (0, 2**31 - 1),
)  # fmt: skip
_HEADER = 3
_SWEEPS = 30
MIN_LEAF = 5
_MULTIPLIER = np.uint64(6364136223846793005)
_INCREMENT = np.uint64(1442695040888963407)


@kernel
def eigen_symmetric(a: Any, vectors: Any) -> None:
    """Diagonalise a symmetric matrix in place by cyclic Jacobi rotations.

    Parameters
    ----------
    a : shape (k, k)
        Becomes diagonal: the eigenvalues.
    vectors : shape (k, k)
        Result: eigenvectors as columns.
    """
    k = a.shape[0]
    for i in range(k):
        for j in range(k):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(_SWEEPS):
        off = 0.0
        for p in range(k):
            for q in range(p + 1, k):
                off += a[p, q] * a[p, q]
        if off < 1e-22:
            break
        for p in range(k):
            for q in range(p + 1, k):
                if a[p, q] == 0.0:
                    continue
                theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                sign = 1.0 if theta >= 0.0 else -1.0
                t = sign / (abs(theta) + np.sqrt(theta * theta + 1.0))
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                for i in range(k):
                    left, right = a[i, p], a[i, q]
                    a[i, p], a[i, q] = c * left - s * right, s * left + c * right
                for i in range(k):
                    left, right = a[p, i], a[q, i]
                    a[p, i], a[q, i] = c * left - s * right, s * left + c * right
                for i in range(k):
                    left, right = vectors[i, p], vectors[i, q]
                    vectors[i, p], vectors[i, q] = c * left - s * right, s * left + c * right


@kernel
def principal_axes(x: Any, axes: Any) -> None:
    """Leading principal axes of standardised samples.

    Parameters
    ----------
    x : shape (n, k)
    axes : shape (components, k)
        Result, by falling variance; the largest entry of each axis is positive.
    """
    n, k = x.shape
    covariance = np.empty((k, k))
    for i in range(k):
        for j in range(i, k):
            total = 0.0
            for row in range(n):
                total += x[row, i] * x[row, j]
            covariance[i, j] = covariance[j, i] = total / n
    vectors = np.empty((k, k))
    eigen_symmetric(covariance, vectors)
    used = np.zeros(k, dtype=np.bool_)
    for component in range(axes.shape[0]):
        best = -1
        for j in range(k):
            if not used[j] and (best < 0 or covariance[j, j] > covariance[best, best]):
                best = j
        used[best] = True
        largest = 0
        for f in range(k):
            if abs(vectors[f, best]) > abs(vectors[largest, best]) + 1e-12:
                largest = f
        sign = 1.0 if vectors[largest, best] >= 0.0 else -1.0
        for f in range(k):
            axes[component, f] = sign * vectors[f, best]


@kernel
def quantile_of(sorted_values: Any, q: float) -> float:
    """Linearly interpolated quantile of sorted values (numpy's default definition)."""
    at = q * (sorted_values.size - 1)
    low = int(np.floor(at))
    high = min(low + 1, sorted_values.size - 1)
    step = sorted_values[high] - sorted_values[low]
    return float(sorted_values[low] + (at - low) * step)


@kernel
def choose_split(z: Any, y: Any, members: Any, draw: Any, best: Any) -> bool:
    """Find the best of one random threshold per component, by variance removed.

    ``draw`` carries the random state; ``best`` receives component and threshold. False if no
    threshold leaves `MIN_LEAF` samples on either side.
    """
    n = members.size
    total = 0.0
    for i in members:
        total += y[i]
    gain = -1.0
    for component in range(z.shape[1]):
        draw[0] = draw[0] * _MULTIPLIER + _INCREMENT
        threshold = z[members[int((draw[0] >> np.uint64(33)) % np.uint64(n))], component]
        count = 0.0
        left = 0.0
        for i in members:
            # Arithmetic instead of a branch: which side a sample falls on cannot be predicted.
            side = 1.0 if z[i, component] <= threshold else 0.0
            count += side
            left += side * y[i]
        if count < MIN_LEAF or n - count < MIN_LEAF:
            continue
        right = total - left
        # Variance removed, up to terms that every split shares.
        score = left * left / count + right * right / (n - count)
        if score > gain:
            gain = score
            best[0] = component
            best[1] = threshold
    return bool(gain >= 0.0)


@kernel
def grow_tree(z: Any, y: Any, depth: int, q: float, draw: Any, tree: Any) -> None:
    """Grow one tree in heap order.

    Parameters
    ----------
    z : shape (n, components)
        Samples in order of rising ``y``, so that every leaf's outcomes are sorted.
    y : shape (n,)
    tree : shape (2 ** (depth + 1) - 1, 4)
        Result: component (-1 for a leaf), threshold, quantiles q and 1 - q.
    """
    n = y.size
    order = np.arange(n)
    spare = np.empty(n, dtype=np.int64)
    nodes = tree.shape[0]
    starts = np.zeros(nodes, dtype=np.int64)
    stops = np.zeros(nodes, dtype=np.int64)
    values = np.empty(n)
    best = np.zeros(2)
    stops[0] = n
    inner = 2**depth - 1
    for node in range(nodes):
        start, stop = starts[node], stops[node]
        if stop == start:
            continue
        members = order[start:stop]
        if node < inner and choose_split(z, y, members, draw, best):
            component = int(best[0])
            tree[node, 0] = component
            tree[node, 1] = best[1]
            # A stable partition keeps either side in order of y.
            count = 0
            for i in members:
                if z[i, component] <= best[1]:
                    spare[count] = i
                    count += 1
            middle = start + count
            for i in members:
                if not z[i, component] <= best[1]:
                    spare[count] = i
                    count += 1
            order[start:stop] = spare[:count]
            starts[2 * node + 1], stops[2 * node + 1] = start, middle
            starts[2 * node + 2], stops[2 * node + 2] = middle, stop
        else:
            for place in range(start, stop):
                values[place] = y[order[place]]
            tree[node, 0] = -1.0
            tree[node, 2] = quantile_of(values[start:stop], q)
            tree[node, 3] = quantile_of(values[start:stop], 1.0 - q)


@kernel
def fit_forest(
    x: Any, y: Any, bins: int, depth: int, q: float, seed: int, model: Any, axes: Any, forest: Any
) -> None:
    """Fit on one window: scaling into ``model``, principal axes, then the trees."""
    n, k = x.shape
    standardise(x, model[:k], model[k : 2 * k])
    principal_axes(x, axes)
    keep = np.empty(n, dtype=np.bool_)
    count = decided(y, bins, keep)
    z = np.empty((count, axes.shape[0]))
    outcome = np.empty(count)
    row = 0
    order = np.empty(n, dtype=np.int64)
    sort_order(y, order)
    for i in order:
        if keep[i]:
            outcome[row] = y[i]
            for component in range(axes.shape[0]):
                total = 0.0
                for f in range(k):
                    total += axes[component, f] * x[i, f]
                z[row, component] = total
            row += 1
    draw = np.empty(1, dtype=np.uint64)
    for tree in range(forest.shape[0]):
        draw[0] = np.uint64(seed) * _INCREMENT + np.uint64(tree + 1) * _MULTIPLIER
        if count == 0:
            forest[tree, 0, 0] = -1.0
            forest[tree, 0, 2] = forest[tree, 0, 3] = 0.0
        else:
            grow_tree(z, outcome, depth, q, draw, forest[tree])


@kernel
def forecast(rows: Any, bar: int, model: Any, axes: Any, forest: Any, z: Any) -> float:
    """Forecast of one bar from a fitted forest."""
    k = rows.shape[0]
    for component in range(axes.shape[0]):
        total = 0.0
        for f in range(k):
            total += axes[component, f] * (rows[f, bar] - model[f]) * model[k + f]
        z[component] = total
    low = 0.0
    high = 0.0
    for tree in range(forest.shape[0]):
        node = 0
        while forest[tree, node, 0] >= 0.0:
            component = int(forest[tree, node, 0])
            node = 2 * node + 1 if z[component] <= forest[tree, node, 1] else 2 * node + 2
        low += forest[tree, node, 2]
        high += forest[tree, node, 3]
    low /= forest.shape[0]
    high /= forest.shape[0]
    if low > 0.0:
        return float(low)
    return float(min(high, 0.0))


@kernel
def run_forest(rows: Any, price: Any, whole_params: Any, q: float, state: Any, out: Any) -> None:
    """Feed a block of bars. State: valid bars, fitted, place, closes, samples, model."""
    components, depth, trees, window, horizon, bins, refit, seed = whole_params
    k = rows.shape[0]
    size = window + horizon
    nodes = 2 ** (depth + 1) - 1
    at = _HEADER
    closes = state[at : at + size]
    at += size
    ring = state[at : at + size * k].reshape((size, k))
    at += size * k
    model = state[at : at + 2 * k]
    at += 2 * k
    axes = state[at : at + components * k].reshape((components, k))
    at += components * k
    forest = state[at : at + trees * nodes * 4].reshape((trees, nodes, 4))
    count = state[0]
    fitted = state[1]
    place = int(state[2])
    x = np.empty((window, k))
    y = np.empty(window)
    z = np.empty(components)
    for bar in range(out.size):
        if not store(rows, price, bar, ring, closes, place):
            out[bar] = np.nan
            continue
        count += 1.0
        if count >= size and count % refit == 0.0:
            gather(ring, closes, place, window, horizon, x, y)
            fit_forest(x, y, bins, depth, q, seed, model, axes, forest)
            fitted = 1.0
        place = (place + 1) % size
        out[bar] = forecast(rows, bar, model, axes, forest, z) if fitted > 0.0 else np.nan
    state[0] = count
    state[1] = fitted
    state[2] = place


def _run(inputs: Sequence[Array | float], params: Params, state: Floats, out: Array) -> None:
    rows, price = stacked(inputs, FEATURES, out.size)
    run_forest(rows, price, tuple(int(p) for p in params[:-1]), float(params[-1]), state, out)


def _check(params: Params) -> None:
    whole(params, NAMES, _BOUNDS)
    if isinstance(params[-1], str) or not 0.0 <= float(params[-1]) <= 0.5:
        raise StrategyError(f"quantile must be within [0, 0.5], not {params[-1]}")


def _state_size(params: Params) -> int:
    components, depth, trees, window, horizon = (int(p) for p in params[:5])
    samples = (window + horizon) * (FEATURES + 1)
    model = (2 + components) * FEATURES
    nodes = (1 << (depth + 1)) - 1
    return _HEADER + samples + model + trees * nodes * 4


def _cost(params: Params) -> float:
    components, depth, trees, window, _, _, refit, _ = (float(p) for p in params[:-1])
    fit = FEATURES**2 * (window + 400.0) + trees * depth * (components * 6.0 + 4.0) * window
    return 1.2 * fit / refit + trees * depth * 3.0 + components * FEATURES


register_learner(
    "quantile_forest",
    NAMES,
    "the {horizon}-bar forecast of {trees} random trees on {components} principal"
    " components (quantile {quantile}), refitted every {refit} bars on the last {window}",
    run=_run,
    check=_check,
    state_size=_state_size,
    cost=_cost,
)
