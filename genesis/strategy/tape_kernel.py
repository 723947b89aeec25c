"""The compiled loop over steps: what each code runs on one bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel
from genesis.strategy.kernels import averages, elementwise, memory, moments, order, oscillators
from genesis.strategy.node import Floats

Ints = npt.NDArray[np.int64]
Truth = npt.NDArray[np.int8]

# Codes of steps that read their own bar only, then of those that carry state.
ADD, SUB, MUL, DIV, SMALLER, UNARY, CLIP, GREATER, CONJUNCTION, NOT, WITHIN = range(11)
SHIFTED, CROSSING, PERSISTENCE, SINCE, LATCH = range(11, 16)
EXPONENTIAL, SUMMED, WEIGHTED, ADAPTIVE, REGRESSION = range(16, 21)
DEVIATION, COMOMENTS, VWAP, EXTREME, CHANNEL, PERCENTILE, MIDDLE = range(21, 28)
STRENGTH, RANGE, DIRECTION = range(28, 31)

# Columns of a step.
_CODE, _A, _B, _C, _D, _OUT, _N, _MODE, _SPAN, _START, _STOP = range(11)
COLUMNS = 11


@kernel
def _one(array: Any, place: int) -> Any:
    """Block of one bar at a place."""
    return array[place : place + 1]


@kernel
def _elementwise(
    code: int,
    mode: int,
    low: float,
    high: float,
    values: Floats,
    truth: Truth,
    a: int,
    b: int,
    c: int,
    at: int,
) -> None:
    """Run a step that reads its own bar only."""
    if code == ADD:
        elementwise.add_series(_one(values, a), _one(values, b), _one(values, at))
    elif code == SUB:
        elementwise.subtract_series(_one(values, a), _one(values, b), _one(values, at))
    elif code == MUL:
        elementwise.multiply_series(_one(values, a), _one(values, b), _one(values, at))
    elif code == DIV:
        elementwise.divide_series(_one(values, a), _one(values, b), _one(values, at))
    elif code == SMALLER:
        elementwise.smaller_series(_one(values, a), _one(values, b), low, _one(values, at))
    elif code == UNARY:
        elementwise.unary(mode, _one(values, a), _one(values, at))
    elif code == CLIP:
        elementwise.clip_series(_one(values, a), low, high, _one(values, at))
    elif code == GREATER:
        elementwise.greater(_one(values, a), _one(values, b), mode == 1, _one(truth, at))
    elif code == CONJUNCTION:
        elementwise.conjunction(_one(truth, a), _one(truth, b), mode == 1, _one(truth, at))
    elif code == NOT:
        elementwise.negation(_one(truth, a), _one(truth, at))
    else:
        elementwise.within(_one(values, a), _one(values, b), _one(values, c), _one(truth, at))


@kernel
def _remembering(
    code: int,
    n: int,
    mode: int,
    span: int,
    real: float,
    values: Floats,
    truth: Truth,
    a: int,
    b: int,
    c: int,
    d: int,
    state: Floats,
    at: int,
) -> None:
    """Run a step that carries state."""
    if code == SHIFTED:
        memory.shifted(_one(values, a), n, mode, state, _one(values, at))
    elif code == CROSSING:
        memory.crossing(_one(values, a), _one(values, b), real, state, _one(truth, at))
    elif code == PERSISTENCE:
        memory.persistence(_one(truth, a), n, state, _one(truth, at))
    elif code == SINCE:
        memory.bars_since(_one(truth, a), n, state, _one(values, at))
    elif code == LATCH:
        memory.latched(_one(truth, a), _one(truth, b), state, _one(truth, at))
    elif code == EXPONENTIAL:
        averages.exponential(_one(values, a), n, real, state, _one(values, at))
    elif code == SUMMED:
        averages.summed(_one(values, a), n, mode == 1, state, _one(values, at))
    elif code == WEIGHTED:
        averages.weighted(_one(values, a), n, mode, state, _one(values, at))
    elif code == ADAPTIVE:
        averages.adaptive(_one(values, a), n, state, _one(values, at))
    elif code == REGRESSION:
        averages.kernel_regression(_one(values, a), n, mode, span, state, _one(values, at))
    elif code == DEVIATION:
        moments.deviation(_one(values, a), n, mode, span, state, _one(values, at))
    elif code == COMOMENTS:
        moments.comoments(_one(values, a), _one(values, b), n, mode, state, _one(values, at))
    elif code == VWAP:
        moments.volume_weighted(
            _one(values, a),
            _one(values, b),
            _one(values, c),
            _one(values, d),
            n,
            state,
            _one(values, at),
        )
    elif code == EXTREME:
        order.extreme(_one(values, a), n, real, state, _one(values, at))
    elif code == CHANNEL:
        order.channel(
            _one(values, a), _one(values, b), _one(values, c), n, mode, state, _one(values, at)
        )
    elif code == PERCENTILE:
        order.percentile(_one(values, a), n, state, _one(values, at))
    elif code == MIDDLE:
        order.middle(_one(values, a), n, state, _one(values, at))
    elif code == STRENGTH:
        oscillators.relative_strength(_one(values, a), n, state, _one(values, at))
    elif code == RANGE:
        oscillators.true_range(
            _one(values, a), _one(values, b), _one(values, c), n, state, _one(values, at)
        )
    else:
        oscillators.directional_index(
            _one(values, a), _one(values, b), _one(values, c), n, state, _one(values, at)
        )


@kernel
def run_steps(
    steps: Ints, reals: Floats, first: int, stop: int, values: Floats, truth: Truth, state: Floats
) -> None:
    """Run steps ``first`` to ``stop`` (exclusive) on one bar."""
    for k in range(first, stop):
        code = steps[k, _CODE]
        a, b, c, d = steps[k, _A], steps[k, _B], steps[k, _C], steps[k, _D]
        n, mode, span = steps[k, _N], steps[k, _MODE], steps[k, _SPAN]
        low, high, at = reals[k, 0], reals[k, 1], steps[k, _OUT]
        if code <= WITHIN:
            _elementwise(code, mode, low, high, values, truth, a, b, c, at)
        else:
            own = state[steps[k, _START] : steps[k, _STOP]]
            _remembering(code, n, mode, span, low, values, truth, a, b, c, d, own, at)
