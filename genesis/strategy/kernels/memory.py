"""Kernels that remember truth or a few past values: lags, crossings, runs and latches."""

from __future__ import annotations

import numpy as np

from genesis.domain.jit import kernel
from genesis.strategy.node import Array, Floats

LAG, DIFF, ROC = range(3)


@kernel
def shifted(x: Floats, n: int, mode: int, state: Floats, out: Floats) -> None:
    """Value n valid bars ago (0), change since then (1) or fractional change (2).

    State: count, place, ring of n values.
    """
    count = state[0]
    place = int(state[1])
    for i in range(x.size):
        value = x[i]
        if value != value:
            out[i] = np.nan
            continue
        past = state[2 + place]
        state[2 + place] = value
        place += 1
        if place == n:
            place = 0
        if count < n:
            count += 1.0
            out[i] = np.nan
        elif mode == 0:
            out[i] = past
        else:
            result = value - past if mode == 1 else value / past - 1.0
            out[i] = result if result - result == 0.0 else np.nan
    state[0] = count
    state[1] = place


@kernel
def crossing(a: Floats, b: Floats, sign: float, state: Floats, out: Array) -> None:
    """Whether a crosses above b (sign 1) or below b (sign -1) since the previous valid pair.

    True where ``sign * (a - b) > 0`` now and was ``<= 0`` before; unknown on the first pair.
    State: seen, whether the previous pair was above.
    """
    seen = state[0]
    above = state[1]
    a_step = 0 if a.size == 1 else 1
    b_step = 0 if b.size == 1 else 1
    for i in range(out.size):
        x = sign * a[i * a_step]
        y = sign * b[i * b_step]
        if not (x == x and y == y):
            out[i] = np.int8(-1)
            continue
        now = 1.0 if x > y else 0.0
        if seen == 0.0:
            out[i] = np.int8(-1)
            seen = 1.0
        else:
            out[i] = np.int8(now > above)
        above = now
    state[0] = seen
    state[1] = above


@kernel
def persistence(a: Array, n: int, state: Floats, out: Array) -> None:
    """Whether the condition held on each of the last n known bars; unknown before n of them.

    State: known bars (up to n), length of the run (up to n).
    """
    known = state[0]
    run = state[1]
    for i in range(out.size):
        if a[i] < 0:
            out[i] = np.int8(-1)
            continue
        known = min(known + 1.0, n)
        run = min(run + 1.0, n) if a[i] > 0 else 0.0
        out[i] = np.int8(run >= n) if known >= n else np.int8(-1)
    state[0] = known
    state[1] = run


@kernel
def bars_since(a: Array, n: int, state: Floats, out: Floats) -> None:
    """Known bars since the condition was last true (0 on the bar itself), at most n.

    NaN until the condition was true once or n bars have passed, so that the answer does not
    depend on where the series was started. State: bars since, whether that is known.
    """
    age = state[0]
    certain = state[1]
    for i in range(out.size):
        if a[i] < 0:
            out[i] = np.nan
            continue
        if a[i] > 0:
            age = 0.0
            certain = 1.0
        else:
            age = min(age + 1.0, n)
            if age >= n:
                certain = 1.0
        out[i] = age if certain > 0.0 else np.nan
    state[0] = age
    state[1] = certain


@kernel
def latched(on: Array, off: Array, state: Floats, out: Array) -> None:
    """True from a set to the next reset; a reset wins where both hold.

    Unknown until the first of either, and on bars with an unknown operand, which change nothing.
    State: 0 nothing yet, 1 set, 2 reset.
    """
    now = state[0]
    for i in range(out.size):
        if on[i] < 0 or off[i] < 0:
            out[i] = np.int8(-1)
            continue
        if off[i] > 0:
            now = 2.0
        elif on[i] > 0:
            now = 1.0
        out[i] = np.int8(-1) if now == 0.0 else np.int8(now == 1.0)
    state[0] = now
