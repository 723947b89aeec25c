"""Arithmetic, comparison and three-valued logic, one bar at a time.

Operands are arrays of the block's length or of length one (a constant). With a block of one bar
both readings agree.
"""

from __future__ import annotations

import math

import numpy as np

from genesis.domain.jit import kernel
from genesis.strategy.node import Array, Floats

ADD, SUB, MUL, DIV, MIN, MAX = range(6)
ABS, LOG, SQRT, SIGN = range(4)
AND, OR = range(2)


@kernel
def _finite(value: float) -> float:
    """NaN for an infinite value: ``inf - inf`` is the only NaN that ``v - v`` can add."""
    return value if value - value == 0.0 else np.nan


@kernel
def add_series(a: Floats, b: Floats, out: Floats) -> None:
    """``a + b``."""
    if b.size == 1:
        shift = b[0]
        for i in range(out.size):
            out[i] = _finite(a[i] + shift)
    else:
        for i in range(out.size):
            out[i] = _finite(a[i] + b[i])


@kernel
def subtract_series(a: Floats, b: Floats, out: Floats) -> None:
    """``a - b``."""
    if b.size == 1:
        shift = b[0]
        for i in range(out.size):
            out[i] = _finite(a[i] - shift)
    elif a.size == 1:
        start = a[0]
        for i in range(out.size):
            out[i] = _finite(start - b[i])
    else:
        for i in range(out.size):
            out[i] = _finite(a[i] - b[i])


@kernel
def multiply_series(a: Floats, b: Floats, out: Floats) -> None:
    """``a * b``."""
    if b.size == 1:
        factor = b[0]
        for i in range(out.size):
            out[i] = _finite(a[i] * factor)
    else:
        for i in range(out.size):
            out[i] = _finite(a[i] * b[i])


@kernel
def divide_series(a: Floats, b: Floats, out: Floats) -> None:
    """``a / b``, NaN where b is zero."""
    if b.size == 1:
        divisor = b[0]
        for i in range(out.size):
            out[i] = _finite(a[i] / divisor)
    elif a.size == 1:
        dividend = a[0]
        for i in range(out.size):
            out[i] = _finite(dividend / b[i])
    else:
        for i in range(out.size):
            out[i] = _finite(a[i] / b[i])


@kernel
def smaller_series(a: Floats, b: Floats, sign: float, out: Floats) -> None:
    """Minimum for sign 1, maximum for sign -1; invalid if either operand is."""
    step = 0 if b.size == 1 else 1
    for i in range(out.size):
        x = a[i]
        y = b[i * step]
        z = x if sign * x < sign * y else y
        out[i] = _finite(z) if x == x and y == y else np.nan


@kernel
def unary(code: int, a: Floats, out: Floats) -> None:
    """Absolute value, natural logarithm, square root or sign."""
    if code == 0:
        for i in range(out.size):
            out[i] = _finite(abs(a[i]))
    elif code == 1:
        for i in range(out.size):
            out[i] = math.log(a[i]) if a[i] > 0.0 and a[i] < np.inf else np.nan
    elif code == 2:
        for i in range(out.size):
            out[i] = _finite(math.sqrt(a[i]))
    else:
        for i in range(out.size):
            x = a[i]
            out[i] = 1.0 if x > 0.0 else (-1.0 if x < 0.0 else (0.0 if x == 0.0 else np.nan))


@kernel
def clip_series(a: Floats, low: float, high: float, out: Floats) -> None:
    """``min(max(a, low), high)``, NaN stays NaN."""
    for i in range(out.size):
        x = a[i]
        y = low if x < low else x
        out[i] = _finite(high if y > high else y)


@kernel
def greater(a: Floats, b: Floats, equal: bool, out: Array) -> None:
    """``a > b`` (``a >= b`` if `equal`): 1, 0, or -1 where an operand is NaN."""
    if b.size == 1:
        bound = b[0]
        for i in range(out.size):
            x = a[i]
            truth = np.int8(x > bound) | np.int8(equal and x == bound)
            out[i] = truth if x == x and bound == bound else np.int8(-1)
    elif a.size == 1:
        bound = a[0]
        for i in range(out.size):
            y = b[i]
            truth = np.int8(bound > y) | np.int8(equal and bound == y)
            out[i] = truth if y == y and bound == bound else np.int8(-1)
    else:
        for i in range(out.size):
            x = a[i]
            y = b[i]
            truth = np.int8(x > y) | np.int8(equal and x == y)
            out[i] = truth if x == x and y == y else np.int8(-1)


@kernel
def conjunction(a: Array, b: Array, either: bool, out: Array) -> None:
    """``a and b`` (``a or b`` if `either`); unknown if any operand is unknown."""
    step = 0 if b.size == 1 else 1
    for i in range(out.size):
        x = a[i]
        y = b[i * step]
        truth = (x | y) if either else (x & y)
        out[i] = np.int8(-1) if (x | y) < 0 else truth


@kernel
def negation(a: Array, out: Array) -> None:
    """``not a``; unknown stays unknown."""
    for i in range(out.size):
        x = a[i]
        out[i] = np.int8(-1) if x < 0 else np.int8(1) - x


@kernel
def within(x: Floats, low: Floats, high: Floats, out: Array) -> None:
    """``low <= x <= high``; unknown if any operand is NaN."""
    low_step = 0 if low.size == 1 else 1
    high_step = 0 if high.size == 1 else 1
    for i in range(out.size):
        a = low[i * low_step]
        b = high[i * high_step]
        if x[i] == x[i] and a == a and b == b:
            out[i] = np.int8(a <= x[i] <= b)
        else:
            out[i] = np.int8(-1)
