"""One bar through many nodes in one compiled call, for live trading.

A call into a compiled kernel costs a microsecond, mostly for handing over its arrays; on one bar
the kernel itself takes a few nanoseconds. So the nodes are written down as rows of numbers once,
and one compiled loop calls the kernels of all of them. The kernels are those of research on
blocks of one bar: same code, same order of operations, same bits.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genesis.domain.errors import DataError
from genesis.strategy import tape_kernel as code
from genesis.strategy.kernels import averages, elementwise, memory, moments, order
from genesis.strategy.node import Array, Floats, Node, Op
from genesis.strategy.primitives.declare import Params, ema_alpha, wilder_alpha
from genesis.strategy.primitives.rolling import nw_size
from genesis.strategy.series import fold
from genesis.strategy.tape_kernel import COLUMNS, Ints, Truth, run_steps


@dataclass(slots=True)
class Step:
    """One computed node: where its operands come from and what it remembers.

    Attributes
    ----------
    inputs : list of int or float
        Places of operand arrays, or constants as floats.
    start : int
        Where its state begins in the state of all steps.
    state : float64
        View of its part of that array.
    """

    op: Op
    node: Node
    place: int
    inputs: list[int | float]
    start: int
    state: Floats


@dataclass(frozen=True, slots=True)
class _Form:
    """How a primitive is written down.

    Attributes
    ----------
    code, mode : int
        The kernel and its variant.
    span : int or callable
        A second whole number, of the parameters where it depends on them.
    real : float or callable
        A number, of the window where it depends on it.
    operands : tuple of int
        Operands in the kernel's order, where that is not their own.
    """

    code: int
    mode: int = 0
    span: int | Callable[[Params], int] = 0
    real: float | Callable[[int], float] = 0.0
    operands: tuple[int, ...] = ()


_FORMS: Mapping[str, _Form] = {
    "add": _Form(code.ADD),
    "sub": _Form(code.SUB),
    "mul": _Form(code.MUL),
    "div": _Form(code.DIV),
    "min2": _Form(code.SMALLER, real=1.0),
    "max2": _Form(code.SMALLER, real=-1.0),
    "abs": _Form(code.UNARY, elementwise.ABS),
    "log": _Form(code.UNARY, elementwise.LOG),
    "sqrt": _Form(code.UNARY, elementwise.SQRT),
    "sign": _Form(code.UNARY, elementwise.SIGN),
    "clip": _Form(code.CLIP),
    "gt": _Form(code.GREATER, 0),
    "ge": _Form(code.GREATER, 1),
    "lt": _Form(code.GREATER, 0, operands=(1, 0)),
    "le": _Form(code.GREATER, 1, operands=(1, 0)),
    "between": _Form(code.WITHIN),
    "and": _Form(code.CONJUNCTION, 0),
    "or": _Form(code.CONJUNCTION, 1),
    "not": _Form(code.NOT),
    "lag": _Form(code.SHIFTED, memory.LAG),
    "diff": _Form(code.SHIFTED, memory.DIFF),
    "roc": _Form(code.SHIFTED, memory.ROC),
    "cross_up": _Form(code.CROSSING, real=1.0),
    "cross_down": _Form(code.CROSSING, real=-1.0),
    "persist": _Form(code.PERSISTENCE),
    "since": _Form(code.SINCE),
    "latch": _Form(code.LATCH),
    "ema": _Form(code.EXPONENTIAL, real=ema_alpha),
    "wilder": _Form(code.EXPONENTIAL, real=wilder_alpha),
    "sma": _Form(code.SUMMED, 1),
    "sum": _Form(code.SUMMED, 0),
    "wma": _Form(code.WEIGHTED, averages.WMA),
    "slope": _Form(code.WEIGHTED, averages.SLOPE),
    "kama": _Form(code.ADAPTIVE),
    "nw": _Form(code.REGRESSION, span=nw_size),
    "std": _Form(code.DEVIATION, moments.STD, 0),
    "zscore": _Form(code.DEVIATION, moments.ZSCORE, 0),
    "realised_vol": _Form(code.DEVIATION, moments.LOG_RETURN_STD, 1),
    "corr": _Form(code.COMOMENTS, moments.CORRELATION),
    "beta": _Form(code.COMOMENTS, moments.BETA),
    "vwap": _Form(code.VWAP),
    "highest": _Form(code.EXTREME, real=float(order.HIGHEST)),
    "lowest": _Form(code.EXTREME, real=float(order.LOWEST)),
    "stoch": _Form(code.CHANNEL, order.STOCHASTIC),
    "midpoint": _Form(code.CHANNEL, order.MIDPOINT, operands=(0, 1, 1)),
    "rank": _Form(code.PERCENTILE),
    "median": _Form(code.MIDDLE),
    "rsi": _Form(code.STRENGTH),
    "tr": _Form(code.RANGE),
    "atr": _Form(code.RANGE),
    "adx": _Form(code.DIRECTION),
}
_CONSTANT_LAST = ("add", "mul", "min2", "max2", "and", "or")


def written(op: Op) -> bool:
    """Whether a primitive runs in the compiled loop; others run beside it, one call each."""
    return op.name in _FORMS


def _row(step: Step, places: Mapping[str, int]) -> tuple[list[int], list[float]]:
    """Numbers of a step, in the columns of ``steps`` and ``reals``."""
    node, form = step.node, _FORMS[step.op.name]
    args = [node.args[i] for i in form.operands] if form.operands else list(node.args)
    # As the primitives do it: which operand comes first decides between equal ones (0 and -0).
    if step.op.name in _CONSTANT_LAST and args[0].constant:
        args.reverse()
    operands = [places[a.text] for a in args]
    operands += [0] * (4 - len(operands))
    params, mode, n = node.params, form.mode, 0
    low, high = form.real if isinstance(form.real, float) else 0.0, 0.0
    if form.code == code.CLIP:
        low, high = float(params[0]), float(params[1])
    elif params:
        n = int(params[0])
        low = form.real if isinstance(form.real, float) else form.real(n)
    if form.code == code.REGRESSION:
        mode = int(params[1])
    span = form.span if isinstance(form.span, int) else form.span(params)
    stop = step.start + step.state.size
    return [form.code, *operands, step.place, n, mode, span, step.start, stop], [low, high]


class Tape:
    """Nodes written down for `feed`.

    Parameters
    ----------
    steps : sequence of Step
        In the order of computation.
    places : mapping of text to int
        Place of every node; those of the fields are 0, 1, 2 … in the order of a bar's values.
    constants : sequence of (Node, int)
        Constant nodes and their places.
    width : int
        Number of fields.
    nodes : sequence of Node
        Whose values `feed` returns.
    state : float64
        State of all steps, shared with who runs them in blocks.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        places: Mapping[str, int],
        constants: Sequence[tuple[Node, int]],
        width: int,
        nodes: Sequence[Node],
        state: Floats,
    ) -> None:
        self._values: Floats = np.zeros(max(len(places), 1))
        self._truth: Truth = np.zeros(max(len(places), 1), dtype=np.int8)
        self._state = state
        self._width = width
        for node, place in constants:
            (self._truth if node.boolean else self._values)[place] = fold(node)
        rows = [_row(s, places) if written(s.op) else ([0] * COLUMNS, [0.0, 0.0]) for s in steps]
        self._steps: Ints = np.array([r for r, _ in rows], dtype=np.int64).reshape(-1, COLUMNS)
        self._reals: Floats = np.array([r for _, r in rows], dtype=np.float64).reshape(-1, 2)
        self._parts = self._plan(steps)
        numbers, truths = self._values.data, self._truth.data
        self._bar = numbers[:width]
        self._answers = [(truths if n.boolean else numbers, places[n.text]) for n in nodes]

    def _one(self, place: int, boolean: bool) -> Array:
        return (self._truth if boolean else self._values)[place : place + 1]

    def _plan(self, steps: Sequence[Step]) -> list[tuple[int, int, Callable[[], None] | None]]:
        """Stretches of the compiled loop, each with the call that follows it."""
        parts: list[tuple[int, int, Callable[[], None] | None]] = []
        first = 0
        for k, step in enumerate(steps):
            if not written(step.op):
                parts.append((first, k, self._call(step)))
                first = k + 1
        if first < len(steps):
            parts.append((first, len(steps), None))
        return parts

    def _call(self, step: Step) -> Callable[[], None]:
        inputs: list[Any] = [
            self._one(i, kind == "b") if isinstance(i, int) else i
            for i, kind in zip(step.inputs, step.op.args, strict=True)
        ]
        run, params, state = step.op.run, step.node.params, step.state
        out = self._one(step.place, step.op.boolean)

        def call() -> None:
            run(inputs, params, state, out)

        return call

    def feed(self, bar: Sequence[float]) -> tuple[float | int, ...]:
        """Read one bar; see `genesis.strategy.stream.BlockRunner.feed_bar`."""
        try:
            self._bar[:] = array("d", bar)
        except (TypeError, ValueError):
            raise DataError(
                f"a bar is {self._width} numbers here, one for each field, not {bar!r}"[:300],
                fix="give NaN for what is missing",
            ) from None
        for first, stop, call in self._parts:
            if stop > first:
                run_steps(
                    self._steps,
                    self._reals,
                    first,
                    stop,
                    self._values,
                    self._truth,
                    self._state,
                )
            if call is not None:
                call()
        return tuple([view[place] for view, place in self._answers])
