"""Training samples in a ring: past features, and labels whose horizon ended before the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import StrategyError
from genesis.domain.jit import kernel
from genesis.strategy.node import Array, Op, Scalar, register

Floats = npt.NDArray[np.float64]
Params = tuple[Scalar, ...]

FEATURES = 15
"""Feature operands of every learner; the last operand is the price that labels are made of."""


def register_learner(
    name: str,
    params: tuple[str, ...],
    sentence: str,
    *,
    run: Callable[[Sequence[Array | float], Params, Floats, Array], None],
    check: Callable[[Params], None],
    state_size: Callable[[Params], int],
    cost: Callable[[Params], float],
) -> Op:
    """Add a learner to the primitives.

    Its first prediction comes with its first fit, and it has settled one refit later.

    Parameters
    ----------
    name, params, sentence, run, check, state_size, cost
        As in `genesis.strategy.node.Op`; ``window``, ``horizon`` and ``refit`` are among the
        parameters.

    Raises
    ------
    StrategyError
        If the name is taken.
    """
    window, horizon, refit = (params.index(key) for key in ("window", "horizon", "refit"))

    def lookback(values: Params) -> int:
        return warmup(int(values[window]), int(values[horizon]), int(values[refit]))

    return register(
        Op(
            name=name,
            args="n" * (FEATURES + 1),
            params=params,
            boolean=False,
            run=run,
            state_size=state_size,
            lookback=lookback,
            settle=lambda values: lookback(values) + int(values[refit]),
            cost=cost,
            sentence=sentence,
            check=check,
        )
    )


def stacked(inputs: Sequence[Array | float], features: int, bars: int) -> tuple[Floats, Floats]:
    """Return features, shape (features, bars), and prices, shape (bars,)."""
    rows = np.empty((features, bars))
    for place in range(features):
        rows[place] = inputs[place]
    price = np.empty(bars)
    price[:] = inputs[-1]
    return rows, price


def warmup(window: int, horizon: int, refit: int) -> int:
    """Valid bars before the first prediction: the first refit bar with a whole window."""
    return -(-(window + horizon) // refit) * refit - 1


def whole(params: Params, names: Sequence[str], bounds: Sequence[tuple[int, int]]) -> None:
    """Check integer parameters.

    Raises
    ------
    StrategyError
        Naming the first parameter that is no whole number within its bounds.
    """
    for name, value, (low, high) in zip(names, params, bounds, strict=False):
        if isinstance(value, str) or value != int(value) or not low <= value <= high:
            raise StrategyError(f"{name} must be a whole number from {low} to {high}, not {value}")


@kernel
def store(rows: Any, price: Any, bar: int, ring: Any, closes: Any, place: int) -> bool:
    """Put one bar's sample into the ring; False and no change if any part of it is invalid."""
    if not price[bar] > 0.0:
        return False
    for f in range(rows.shape[0]):
        if np.isnan(rows[f, bar]):
            return False
    closes[place] = price[bar]
    for f in range(rows.shape[0]):
        ring[place, f] = rows[f, bar]
    return True


@kernel
def gather(ring: Any, closes: Any, newest: int, window: int, horizon: int, x: Any, y: Any) -> None:
    """Copy the window's samples, oldest first, with their forward returns.

    Parameters
    ----------
    newest : int
        Place of the newest bar in the ring of ``window + horizon`` bars. The last sample is the
        one whose horizon ends there.
    x : shape (window, features)
    y : shape (window,)
        ``close[i + horizon] / close[i] - 1``.
    """
    size = window + horizon
    for i in range(window):
        at = (newest + 1 + i) % size
        y[i] = closes[(at + horizon) % size] / closes[at] - 1.0
        for f in range(x.shape[1]):
            x[i, f] = ring[at, f]


@kernel
def standardise(x: Any, means: Any, scales: Any) -> None:
    """Scale each column to mean 0 and deviation 1 in place; a constant column becomes 0."""
    n = x.shape[0]
    for f in range(x.shape[1]):
        total = 0.0
        for i in range(n):
            total += x[i, f]
        mean = total / n
        squares = 0.0
        for i in range(n):
            squares += (x[i, f] - mean) ** 2
        deviation = np.sqrt(squares / n)
        # Rounding leaves a constant column a deviation near the precision of its mean.
        means[f] = mean
        scales[f] = 1.0 / deviation if deviation > 1e-12 * (abs(mean) + 1e-12) else 0.0
        for i in range(n):
            x[i, f] = (x[i, f] - mean) * scales[f]


@kernel
def sort_order(values: Any, order: Any) -> None:
    """Places of the values in rising order, ties in their own order (insertion sort)."""
    for i in range(values.size):
        at = i
        while at > 0 and values[order[at - 1]] > values[i]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = i


@kernel
def decided(y: Any, bins: int, keep: Any) -> int:
    """Mark the samples with a decided outcome; return how many there are.

    Of 2 bins every sample but exact zeros is kept, of 3 the two thirds that moved most, of 4 the
    half that moved most.
    """
    n = y.size
    moves = np.abs(y)
    order = np.empty(n, dtype=np.int64)
    sort_order(moves, order)
    least = moves[order[(n * (bins - 2)) // bins]]
    count = 0
    for i in range(n):
        keep[i] = moves[i] >= least and y[i] != 0.0
        if keep[i]:
            count += 1
    return count
