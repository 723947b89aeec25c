"""How a primitive with a block kernel is declared: adapters, warm-up, state and window checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from genesis.domain.errors import StrategyError
from genesis.strategy.node import Array, Floats, Op, Scalar, register

MAX_WINDOW = 5_000
SETTLED = 1e-6
"""A recursive average counts as settled when its start weighs less than this."""

Params = tuple[Scalar, ...]
Count = Callable[[Params], int]
Check = Callable[[Params], None]
Run = Callable[[Sequence[Any], Params, Floats, Array], None]


def none(_: Params) -> int:
    """No bars, no state."""
    return 0


def one(_: Params) -> int:
    """One bar: kernels that compare with the previous one."""
    return 1


def window(params: Params) -> int:
    """The window itself: kernels that look n bars back."""
    return int(params[0])


def before(params: Params) -> int:
    """Bars before a window is full."""
    return int(params[0]) - 1


def ring(fixed: int, copies: int = 1) -> Count:
    """State of some fixed entries and rings of the window's length."""
    return lambda params: fixed + copies * int(params[0])


def fading(alpha: Callable[[int], float], rounds: int = 1) -> Count:
    """Bars after which the start of a recursive average weighs less than `SETTLED`."""

    def settle(params: Params) -> int:
        n = int(params[0])
        keep = 1.0 - alpha(n)
        fade = math.ceil(math.log(SETTLED) / math.log(keep)) if keep > 0.0 else 0
        return rounds * (n + fade)

    return settle


def ema_alpha(n: int) -> float:
    """Weight of the newest value in an exponential average of n bars."""
    return 2.0 / (n + 1.0)


def wilder_alpha(n: int) -> float:
    """Weight of the newest value in Wilder's average of n bars."""
    return 1.0 / n


def at_least(least: int) -> Check:
    """Check that the first parameter is a whole window within ``[least, MAX_WINDOW]``."""

    def check(params: Params) -> None:
        n = params[0]
        whole = not isinstance(n, str) and float(n).is_integer()
        if not whole or not least <= float(n) <= MAX_WINDOW:
            raise StrategyError(
                f"a window of {n} bars is not possible here",
                fix=f"use a whole number from {least} to {MAX_WINDOW}",
            )

    return check


def windowed(kernel: Callable[..., None], *fixed: float) -> Run:
    """Adapter of ``kernel(operands…, n, fixed…, state, out)``."""

    def run(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
        kernel(*inputs, int(params[0]), *fixed, state, out)

    return run


def unwindowed(kernel: Callable[..., None], *fixed: float) -> Run:
    """Adapter of ``kernel(operands…, fixed…, state, out)``."""

    def run(inputs: Sequence[Any], _: Params, state: Floats, out: Array) -> None:
        kernel(*inputs, *fixed, state, out)

    return run


def declare(
    name: str,
    args: str,
    run: Run,
    sentence: str,
    *,
    state: int | Count,
    cost: float | Callable[[Params], float],
    lookback: Count = before,
    settle: Count | None = None,
    params: tuple[str, ...] = ("n",),
    least: int = 1,
    check: Check | None = None,
    boolean: bool = False,
) -> None:
    """Register a primitive with a kernel; see `genesis.strategy.node.Op` for the meanings.

    Costs are in units of one elementwise operation, about half a nanosecond a bar.

    Parameters
    ----------
    least : int
        Smallest window, where there is a window and no other `check`.
    """
    if check is None and params:
        check = at_least(least)
    register(
        Op(
            name=name,
            args=args,
            params=params,
            boolean=boolean,
            run=run,
            state_size=_constant(state) if isinstance(state, int) else state,
            lookback=lookback,
            settle=settle or lookback,
            cost=cost if callable(cost) else _constant(float(cost)),
            sentence=sentence,
            check=check,
        )
    )


def _constant(value: Any) -> Callable[[Params], Any]:
    return lambda _: value
