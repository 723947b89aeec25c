"""The allow-list of primitives: name, operands, kernel, warm-up, cost and wording of each.

Importing this module registers them. Costs are in units of one elementwise operation, about
half a nanosecond a bar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from genesis.domain.errors import StrategyError
from genesis.strategy.kernels import averages, elementwise, memory, oscillators, windows
from genesis.strategy.node import Array, Floats, Op, Scalar, register

MAX_WINDOW = 5_000
SETTLED = 1e-6
"""A recursive average counts as settled when its start weighs less than this."""

Params = tuple[Scalar, ...]
Operand = Array | float
Run = Callable[[Sequence[Operand], Params, Floats, Array], None]


def _numbers(operand: Operand) -> Array:
    return operand if isinstance(operand, np.ndarray) else np.array([operand], dtype=np.float64)


def _truth(operand: Operand) -> Array:
    return operand if isinstance(operand, np.ndarray) else np.array([operand], dtype=np.int8)


def _none(_: Params) -> int:
    return 0


def _window(params: Params) -> int:
    return int(params[0])


def _before(params: Params) -> int:
    return int(params[0]) - 1


def _at_least(least: int) -> Callable[[Params], None]:
    def check(params: Params) -> None:
        n = params[0]
        whole = not isinstance(n, str) and float(n).is_integer()
        if not whole or not least <= float(n) <= MAX_WINDOW:
            raise StrategyError(
                f"a window of {n} bars is not possible here",
                fix=f"use a whole number from {least} to {MAX_WINDOW}",
            )

    return check


# --- elementwise ------------------------------------------------------------------------------


def _elementwise(
    name: str,
    args: str,
    run: Run,
    sentence: str,
    *,
    boolean: bool = False,
    params: tuple[str, ...] = (),
    check: Callable[[Params], None] | None = None,
    cost: float = 1.0,
) -> None:
    register(
        Op(
            name=name,
            args=args,
            params=params,
            boolean=boolean,
            run=run,
            state_size=_none,
            lookback=_none,
            settle=_none,
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
    elementwise.add_series(a, b, out)


def _sub(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    elementwise.subtract_series(_numbers(inputs[0]), _numbers(inputs[1]), out)


def _mul(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    a, b = _constant_last(inputs)
    elementwise.multiply_series(a, b, out)


def _div(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    elementwise.divide_series(_numbers(inputs[0]), _numbers(inputs[1]), out)


def _smaller(sign: float) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        a, b = _constant_last(inputs)
        elementwise.smaller_series(a, b, sign, out)

    return run


def _unary(code: int) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        elementwise.unary(code, _numbers(inputs[0]), out)

    return run


def _clip(inputs: Sequence[Operand], params: Params, _s: Floats, out: Array) -> None:
    elementwise.clip_series(_numbers(inputs[0]), float(params[0]), float(params[1]), out)


def _check_clip(params: Params) -> None:
    if any(isinstance(p, str) for p in params) or not float(params[0]) <= float(params[1]):
        raise StrategyError(f"clip needs two numbers lo <= hi, not {params[0]} and {params[1]}")


def _greater(swap: bool, equal: bool) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        a, b = (inputs[1], inputs[0]) if swap else (inputs[0], inputs[1])
        elementwise.greater(_numbers(a), _numbers(b), equal, out)

    return run


def _conjunction(either: bool) -> Run:
    def run(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
        a, b = inputs
        if not isinstance(a, np.ndarray):
            a, b = b, a
        elementwise.conjunction(_truth(a), _truth(b), either, out)

    return run


def _not(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    elementwise.negation(_truth(inputs[0]), out)


def _between(inputs: Sequence[Operand], _p: Params, _s: Floats, out: Array) -> None:
    x, low, high = (_numbers(v) for v in inputs)
    elementwise.within(x, low, high, out)


_elementwise("add", "nn", _add, "{0} plus {1}")
_elementwise("sub", "nn", _sub, "{0} minus {1}")
_elementwise("mul", "nn", _mul, "{0} times {1}")
_elementwise("div", "nn", _div, "{0} divided by {1}")
_elementwise("min2", "nn", _smaller(1.0), "the smaller of {0} and {1}")
_elementwise("max2", "nn", _smaller(-1.0), "the larger of {0} and {1}")
_elementwise("abs", "n", _unary(elementwise.ABS), "the absolute value of {0}")
_elementwise("log", "n", _unary(elementwise.LOG), "the logarithm of {0}", cost=12.0)
_elementwise("sqrt", "n", _unary(elementwise.SQRT), "the square root of {0}", cost=4.0)
_elementwise("sign", "n", _unary(elementwise.SIGN), "the sign of {0}")
_elementwise(
    "clip",
    "n",
    _clip,
    "{0} held between {lo} and {hi}",
    params=("lo", "hi"),
    check=_check_clip,
)
_elementwise("gt", "nn", _greater(False, False), "{0} is above {1}", boolean=True)
_elementwise("ge", "nn", _greater(False, True), "{0} is at or above {1}", boolean=True)
_elementwise("lt", "nn", _greater(True, False), "{0} is below {1}", boolean=True)
_elementwise("le", "nn", _greater(True, True), "{0} is at or below {1}", boolean=True)
_elementwise("between", "nnn", _between, "{0} is between {1} and {2}", boolean=True)
_elementwise("and", "bb", _conjunction(False), "{0} and {1}", boolean=True)
_elementwise("or", "bb", _conjunction(True), "{0} or {1}", boolean=True)
_elementwise("not", "b", _not, "it is not the case that {0}", boolean=True)


# --- kernels with state -----------------------------------------------------------------------


def _kernel(
    name: str,
    args: str,
    run: Run,
    sentence: str,
    *,
    state: Callable[[Params], int],
    lookback: Callable[[Params], int] = _before,
    settle: Callable[[Params], int] | None = None,
    cost: float | Callable[[Params], float] = 8.0,
    params: tuple[str, ...] = ("n",),
    least: int = 1,
    boolean: bool = False,
    check: Callable[[Params], None] | None = None,
) -> None:
    def constant_cost(_: Params, cost: Any = cost) -> float:
        return float(cost)

    if check is None and params:
        check = _at_least(least)
    register(
        Op(
            name=name,
            args=args,
            params=params,
            boolean=boolean,
            run=run,
            state_size=state,
            lookback=lookback,
            settle=settle or lookback,
            cost=cost if callable(cost) else constant_cost,
            sentence=sentence,
            check=check,
        )
    )


def _ring(fixed: int, copies: int = 1) -> Callable[[Params], int]:
    return lambda params: fixed + copies * int(params[0])


def _memory_of(alpha: Callable[[int], float], rounds: int = 1) -> Callable[[Params], int]:
    """Bars after which the start of a recursive average weighs less than `SETTLED`."""

    def settle(params: Params) -> int:
        n = int(params[0])
        keep = 1.0 - alpha(n)
        fade = math.ceil(math.log(SETTLED) / math.log(keep)) if keep > 0.0 else 0
        return rounds * (n + fade)

    return settle


def _ema_alpha(n: int) -> float:
    return 2.0 / (n + 1.0)


def _wilder_alpha(n: int) -> float:
    return 1.0 / n


def _exponential(alpha: Callable[[int], float]) -> Run:
    def run(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
        n = int(params[0])
        averages.exponential(inputs[0], n, alpha(n), state, out)

    return run


def _shifted(mode: int) -> Run:
    return lambda x, p, state, out: memory.shifted(_first(x), int(p[0]), mode, state, out)


def _first(inputs: Sequence[Operand]) -> Any:
    return inputs[0]


def _summed(mean: bool) -> Run:
    return lambda x, p, state, out: averages.summed(_first(x), int(p[0]), mean, state, out)


def _weighted(mode: int) -> Run:
    return lambda x, p, state, out: averages.weighted(_first(x), int(p[0]), mode, state, out)


def _moments(mode: int, lost: int) -> Run:
    def run(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
        n = int(params[0])
        windows.moments(inputs[0], n, mode, float(n - lost), state, out)

    return run


def _extreme(sign: float) -> Run:
    return lambda x, p, state, out: windows.extreme(_first(x), int(p[0]), sign, state, out)


def _ordered(mode: int) -> Run:
    return lambda x, p, state, out: windows.ordered(_first(x), int(p[0]), mode, state, out)


def _comoments(mode: int) -> Run:
    def run(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
        windows.comoments(inputs[0], inputs[1], int(params[0]), mode, state, out)

    return run


def _adaptive(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    averages.adaptive(inputs[0], int(params[0]), state, out)


def _rsi(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    oscillators.relative_strength(inputs[0], int(params[0]), state, out)


def _true_range(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    high, low, close = inputs
    oscillators.true_range(high, low, close, int(params[0]) if params else 0, state, out)


def _adx(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    high, low, close = inputs
    oscillators.directional_index(high, low, close, int(params[0]), state, out)


def _stochastic(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    high, low, close = inputs
    windows.channel(high, low, close, int(params[0]), windows.STOCHASTIC, state, out)


def _midpoint(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    high, low = inputs
    windows.channel(high, low, low, int(params[0]), windows.MIDPOINT, state, out)


def _vwap(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    high, low, close, volume = inputs
    windows.volume_weighted(high, low, close, volume, int(params[0]), state, out)


def _nw_size(params: Params) -> int:
    """Bars that a kernel regression reads: three bandwidths, or one for compact weights."""
    n = int(params[0])
    return 3 * n + 1 if int(params[1]) == averages.GAUSSIAN else n


def _nw(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    n, shape = int(params[0]), int(params[1])
    averages.kernel_regression(inputs[0], n, shape, _nw_size(params), state, out)


def _check_nw(params: Params) -> None:
    _at_least(2)(params)
    if params[1] not in (averages.GAUSSIAN, averages.EPANECHNIKOV):
        raise StrategyError(f"nw has kernel 0 (Gaussian) or 1 (Epanechnikov), not {params[1]}")


def _crossing(sign: float) -> Run:
    def run(inputs: Sequence[Any], _p: Params, state: Floats, out: Array) -> None:
        memory.crossing(inputs[0], inputs[1], sign, state, out)

    return run


def _persist(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    memory.persistence(inputs[0], int(params[0]), state, out)


def _since(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    memory.bars_since(inputs[0], int(params[0]), state, out)


def _latch(inputs: Sequence[Any], _p: Params, state: Floats, out: Array) -> None:
    memory.latched(inputs[0], inputs[1], state, out)


def _two(_: Params) -> int:
    return 2


def _three(_: Params) -> int:
    return 3


def _one(_: Params) -> int:
    return 1


for _name, _mode, _words in (
    ("lag", memory.LAG, "{0} {n} bars ago"),
    ("diff", memory.DIFF, "the {n}-bar change of {0}"),
    ("roc", memory.ROC, "the {n}-bar rate of change of {0}"),
):
    _kernel(_name, "n", _shifted(_mode), _words, state=_ring(2), lookback=_window, cost=4.0)

_kernel(
    "ema",
    "n",
    _exponential(_ema_alpha),
    "the {n}-bar EMA of {0}",
    state=_two,
    settle=_memory_of(_ema_alpha),
    cost=6.0,
)
_kernel(
    "wilder",
    "n",
    _exponential(_wilder_alpha),
    "Wilder's {n}-bar average of {0}",
    state=_two,
    settle=_memory_of(_wilder_alpha),
    cost=6.0,
)
_kernel("sma", "n", _summed(True), "the {n}-bar mean of {0}", state=_ring(4))
_kernel("sum", "n", _summed(False), "the {n}-bar sum of {0}", state=_ring(4))
_kernel("wma", "n", _weighted(averages.WMA), "the {n}-bar weighted mean of {0}", state=_ring(5))
_kernel(
    "slope",
    "n",
    _weighted(averages.SLOPE),
    "the {n}-bar trend of {0} per bar",
    state=_ring(5),
    cost=14.0,
    least=2,
)
_kernel(
    "kama",
    "n",
    _adaptive,
    "the {n}-bar adaptive average of {0}",
    state=_ring(6),
    lookback=_window,
    settle=_memory_of(lambda _: (2.0 / 31.0) ** 2),
    cost=16.0,
)
_kernel(
    "nw",
    "n",
    _nw,
    "the kernel regression of {0} over a bandwidth of {n} bars (kernel {kernel})",
    params=("n", "kernel"),
    state=lambda p: 2 + 3 * _nw_size(p),
    lookback=lambda p: _nw_size(p) - 1,
    cost=lambda p: 4.0 + 0.6 * _nw_size(p),
    check=_check_nw,
)

_kernel(
    "std",
    "n",
    _moments(windows.STD, 0),
    "the {n}-bar standard deviation of {0}",
    state=_ring(7),
    cost=16.0,
    least=2,
)
_kernel(
    "zscore",
    "n",
    _moments(windows.ZSCORE, 0),
    "the {n}-bar z-score of {0}",
    state=_ring(7),
    cost=20.0,
    least=2,
)
_kernel(
    "realised_vol",
    "n",
    _moments(windows.LOG_RETURN_STD, 1),
    "the {n}-bar volatility of {0} per bar",
    state=_ring(7),
    lookback=_window,
    cost=30.0,
    least=2,
)
_kernel(
    "highest",
    "n",
    _extreme(windows.HIGHEST),
    "the {n}-bar high of {0}",
    state=_ring(3, 2),
    cost=16.0,
)
_kernel(
    "lowest", "n", _extreme(windows.LOWEST), "the {n}-bar low of {0}", state=_ring(3, 2), cost=16.0
)
_kernel(
    "rank",
    "n",
    _ordered(windows.RANK),
    "the {n}-bar percentile rank of {0}",
    state=_ring(2, 2),
    cost=lambda p: 16.0 + 0.5 * _window(p),
    least=2,
)
_kernel(
    "median",
    "n",
    _ordered(windows.MEDIAN),
    "the {n}-bar median of {0}",
    state=_ring(2, 2),
    cost=lambda p: 16.0 + 0.5 * _window(p),
)
_kernel(
    "corr",
    "nn",
    _comoments(windows.CORRELATION),
    "the {n}-bar correlation of {0} with {1}",
    state=_ring(11, 2),
    cost=32.0,
    least=2,
)
_kernel(
    "beta",
    "nn",
    _comoments(windows.BETA),
    "the {n}-bar beta of {0} to {1}",
    state=_ring(11, 2),
    cost=28.0,
    least=2,
)
_kernel(
    "stoch",
    "nnn",
    _stochastic,
    "the {n}-bar stochastic %K of {0}, {1} and {2}",
    state=_ring(5, 4),
    cost=32.0,
    least=2,
)
_kernel(
    "midpoint",
    "nn",
    _midpoint,
    "the middle of the {n}-bar channel of {0} and {1}",
    state=_ring(5, 4),
    cost=30.0,
)
_kernel(
    "vwap",
    "nnnn",
    _vwap,
    "the {n}-bar volume-weighted price of {0}, {1}, {2} and {3}",
    state=_ring(6, 2),
    cost=16.0,
)

_kernel(
    "rsi",
    "n",
    _rsi,
    "the {n}-bar RSI of {0}",
    state=lambda _: 4,
    lookback=_window,
    settle=_memory_of(_wilder_alpha),
    cost=14.0,
)
_kernel(
    "tr",
    "nnn",
    _true_range,
    "the true range of {0}, {1} and {2}",
    params=(),
    state=_three,
    lookback=_one,
    cost=4.0,
)
_kernel(
    "atr",
    "nnn",
    _true_range,
    "the {n}-bar ATR of {0}, {1} and {2}",
    state=_three,
    lookback=_window,
    settle=_memory_of(_wilder_alpha),
    cost=8.0,
)
_kernel(
    "adx",
    "nnn",
    _adx,
    "the {n}-bar ADX of {0}, {1} and {2}",
    state=lambda _: 8,
    lookback=lambda p: 2 * _window(p) - 1,
    settle=_memory_of(_wilder_alpha, 2),
    cost=24.0,
    least=2,
)

_kernel(
    "cross_up",
    "nn",
    _crossing(1.0),
    "{0} crosses above {1}",
    params=(),
    state=_two,
    lookback=_one,
    cost=4.0,
    boolean=True,
)
_kernel(
    "cross_down",
    "nn",
    _crossing(-1.0),
    "{0} crosses below {1}",
    params=(),
    state=_two,
    lookback=_one,
    cost=4.0,
    boolean=True,
)
_kernel("persist", "b", _persist, "{0} for {n} bars in a row", state=_two, cost=4.0, boolean=True)
_kernel(
    "since",
    "b",
    _since,
    "the number of bars since {0}, at most {n}",
    state=_two,
    cost=4.0,
    lookback=_window,
)
_kernel(
    "latch",
    "bb",
    _latch,
    "{0} came later than {1}",
    params=(),
    state=_one,
    lookback=_none,
    cost=4.0,
    boolean=True,
)
