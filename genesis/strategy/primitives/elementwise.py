"""Primitives whose value depends on the operands of its own bar only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from genesis.domain.errors import StrategyError
from genesis.strategy.kernels import elementwise as kernels
from genesis.strategy.node import Array, Floats, Op, register
from genesis.strategy.primitives.declare import Check, Params, none

Operand = Array | float
Run = Callable[[Sequence[Operand], Params, Floats, Array], None]


def _numbers(operand: Operand) -> Array:
    return operand if isinstance(operand, np.ndarray) else np.array([operand], dtype=np.float64)


def _truth(operand: Operand) -> Array:
    return operand if isinstance(operand, np.ndarray) else np.array([operand], dtype=np.int8)


def _declare(
    name: str,
    args: str,
    run: Run,
    sentence: str,
    *,
    boolean: bool = False,
    params: tuple[str, ...] = (),
    check: Check | None = None,
    cost: float = 1.0,
) -> None:
    register(
        Op(
            name=name,
            args=args,
            params=params,
            boolean=boolean,
            run=run,
            state_size=none,
            lookback=none,
            settle=none,
            cost=lambda _: cost,
            sentence=sentence,
            elementwise=True,
            check=check,
        )
    )


def _constant_last(inputs: Sequence[Operand]) -> tuple[Array, Array]:
    """Operands of a commutative kernel, which takes a constant as its second."""
    a, b = inputs
    return (_numbers(b), _numbers(a)) if isinstance(a, float) else (_numbers(a), _numbers(b))


def _add(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    a, b = _constant_last(inputs)
    kernels.add_series(a, b, out)


def _sub(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    kernels.subtract_series(_numbers(inputs[0]), _numbers(inputs[1]), out)


def _mul(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    a, b = _constant_last(inputs)
    kernels.multiply_series(a, b, out)


def _div(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    kernels.divide_series(_numbers(inputs[0]), _numbers(inputs[1]), out)


def _smaller(sign: float) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        a, b = _constant_last(inputs)
        kernels.smaller_series(a, b, sign, out)

    return run


def _unary(code: int) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        kernels.unary(code, _numbers(inputs[0]), out)

    return run


def _clip(inputs: Sequence[Operand], params: Params, _s: Floats, out: Array) -> None:
    kernels.clip_series(_numbers(inputs[0]), float(params[0]), float(params[1]), out)


def _check_clip(params: Params) -> None:
    if any(isinstance(p, str) for p in params) or not float(params[0]) <= float(params[1]):
        raise StrategyError(f"clip needs two numbers lo <= hi, not {params[0]} and {params[1]}")


def _greater(swap: bool, equal: bool) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        a, b = (inputs[1], inputs[0]) if swap else (inputs[0], inputs[1])
        kernels.greater(_numbers(a), _numbers(b), equal, out)

    return run


def _conjunction(either: bool) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        a, b = inputs
        if not isinstance(a, np.ndarray):
            a, b = b, a
        kernels.conjunction(_truth(a), _truth(b), either, out)

    return run


def _not(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    kernels.negation(_truth(inputs[0]), out)


def _between(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    x, low, high = (_numbers(v) for v in inputs)
    kernels.within(x, low, high, out)


_declare("add", "nn", _add, "{0} plus {1}")
_declare("sub", "nn", _sub, "{0} minus {1}")
_declare("mul", "nn", _mul, "{0} times {1}")
_declare("div", "nn", _div, "{0} divided by {1}")
_declare("min2", "nn", _smaller(1.0), "the smaller of {0} and {1}")
_declare("max2", "nn", _smaller(-1.0), "the larger of {0} and {1}")
_declare("abs", "n", _unary(kernels.ABS), "the absolute value of {0}")
_declare("log", "n", _unary(kernels.LOG), "the logarithm of {0}", cost=8.0)
_declare("sqrt", "n", _unary(kernels.SQRT), "the square root of {0}", cost=4.0)
_declare("sign", "n", _unary(kernels.SIGN), "the sign of {0}")
_declare(
    "clip",
    "n",
    _clip,
    "{0} held between {lo} and {hi}",
    params=("lo", "hi"),
    check=_check_clip,
)
_declare("gt", "nn", _greater(False, False), "{0} is above {1}", boolean=True)
_declare("ge", "nn", _greater(False, True), "{0} is at or above {1}", boolean=True)
_declare("lt", "nn", _greater(True, False), "{0} is below {1}", boolean=True)
_declare("le", "nn", _greater(True, True), "{0} is at or below {1}", boolean=True)
_declare("between", "nnn", _between, "{0} is between {1} and {2}", boolean=True)
_declare("and", "bb", _conjunction(False), "{0} and {1}", boolean=True)
_declare("or", "bb", _conjunction(True), "{0} or {1}", boolean=True)
_declare("not", "b", _not, "it is not the case that {0}", boolean=True)
