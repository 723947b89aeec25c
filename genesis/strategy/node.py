"""Nodes: the immutable graph that a strategy's rules are written in.

A node's text is its identity: two nodes with equal text are the same computation and share one
cache entry. Numbers are float64 with NaN for invalid; truth is int8 with 1 true, 0 false and
-1 unknown. An unknown operand makes every result unknown, negation included, and unknown is
never a signal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import StrategyError, did_you_mean

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Scalar = int | float | str

FIELDS = ("open", "high", "low", "close", "volume", "funding", "sentiment")
_WORD = re.compile(r"(?!inf\b)[A-Za-z_][A-Za-z0-9_]*")
MAX_NODES = 512
MAX_DEPTH = 48


@dataclass(frozen=True, slots=True)
class Op:
    """A primitive: what a node computes, how much it costs and how it reads.

    Attributes
    ----------
    name : str
    args : str
        One letter an operand: ``n`` number series, ``b`` truth series.
    params : tuple of str
        Names of the scalar parameters, in order.
    boolean : bool
        Whether the result is truth (int8) instead of numbers (float64).
    run : callable
        ``run(inputs, params, state, out)``: reads a block of any length from each input, carries
        its state in the float64 array ``state`` and writes the block's results. Running a series
        in one block or in many gives the same bits. All input arrays have the block's length,
        are C-contiguous and must not be written to. A bar with an invalid operand (NaN, -1) must
        leave the state alone and give an invalid result. State that is not a number (a fitted
        model, a ring of past bars) is laid out in the float array as well, so that a snapshot of
        it is plain data. An elementwise primitive gets a constant operand as a float.
    state_size : callable
        ``state_size(params)``: length of the state array, which starts as zeros.
    lookback : callable
        ``lookback(params)``: bars that the first valid value needs beyond its operands'.
    settle : callable
        ``settle(params)``: bars after which the start no longer matters in practice (recursive
        averages); equal to ``lookback`` for windowed kernels.
    cost : callable
        ``cost(params)``: work per bar, in units of one elementwise operation.
    sentence : str
        Format string over operand texts ``{0}`` and parameter names.
    elementwise : bool
        Whether a result depends on the operands of its own bar only. Such nodes are folded when
        all operands are constant, and are cheap enough not to be kept in the node cache.
    check : callable, optional
        ``check(params)`` raises StrategyError for parameters that make no sense.
    """

    name: str
    args: str
    params: tuple[str, ...]
    boolean: bool
    run: Callable[[Sequence[Array | float], tuple[Scalar, ...], Floats, Array], None]
    state_size: Callable[[tuple[Scalar, ...]], int]
    lookback: Callable[[tuple[Scalar, ...]], int]
    settle: Callable[[tuple[Scalar, ...]], int]
    cost: Callable[[tuple[Scalar, ...]], float]
    sentence: str
    elementwise: bool = False
    check: Callable[[tuple[Scalar, ...]], None] | None = None


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Add a primitive to the allow-list.

    Raises
    ------
    StrategyError
        If the name is taken.
    """
    if op.name in OPS or op.name in FIELDS:
        raise StrategyError(f"the primitive '{op.name}' exists already")
    OPS[op.name] = op
    return op


def number_text(value: Scalar) -> str:
    """Shortest spelling that reads back as the same number (``20``, ``1.013``, ``inf``)."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    number = float(value)
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return repr(number)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One computation on series. Compare and hash by ``text``.

    Attributes
    ----------
    op : str
        Name of the primitive, ``field`` or ``const``.
    args : tuple of Node
    params : tuple of scalars
        Of a field: (name,) or (name, symbol) for another symbol; of a constant: (value,).
    text : str
        Canonical spelling, parsed back by `genesis.strategy.text.parse`.
    boolean : bool
    depth : int
    size : int
        Nodes counted as a tree, constants included.
    constant : bool
        Whether the value is the same on every bar: a constant, or elementwise on constants.
    history : int
        Valid bars before the first one on which the node can be valid.
    """

    op: str
    args: tuple[Node, ...]
    params: tuple[Scalar, ...]
    text: str = field(init=False)
    boolean: bool = field(init=False)
    depth: int = field(init=False)
    size: int = field(init=False)
    constant: bool = field(init=False)
    history: int = field(init=False)

    def __post_init__(self) -> None:
        boolean = False
        history = 0
        constant = self.op == "const"
        if self.op == "const":
            text = number_text(self.params[0])
        elif self.op == "field":
            text = "@".join(str(p) for p in self.params)
        else:
            op = OPS.get(self.op)
            if op is None:
                raise StrategyError(
                    f"unknown primitive '{self.op}'{did_you_mean(self.op, OPS)}",
                    fix="`genesis seeds list --primitives` shows what exists",
                )
            _check_operands(op, self.args, self.params)
            if op.check is not None:
                op.check(self.params)
            parts = [a.text for a in self.args] + [number_text(p) for p in self.params]
            text = f"{self.op}({','.join(parts)})"
            boolean = op.boolean
            history = op.lookback(self.params) + max((a.history for a in self.args), default=0)
            constant = op.elementwise and all(a.constant for a in self.args)
        put = object.__setattr__
        put(self, "text", text)
        put(self, "boolean", boolean)
        put(self, "constant", constant)
        put(self, "history", history)
        put(self, "depth", 1 + max((a.depth for a in self.args), default=0))
        put(self, "size", 1 + sum(a.size for a in self.args))
        if self.depth > MAX_DEPTH or self.size > MAX_NODES:
            raise StrategyError(
                f"expression too large: depth {self.depth}, {self.size} nodes",
                why=f"at most depth {MAX_DEPTH} and {MAX_NODES} nodes are allowed",
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Node({self.text})"

    def __bool__(self) -> bool:
        raise StrategyError(
            "a node has no truth value of its own",
            fix="combine conditions with &, | and ~ instead of and, or, not",
        )

    # Arithmetic, comparison and logic build nodes; == stays identity of text.
    def __add__(self, other: Any) -> Node:
        return apply("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return apply("add", self, other)

    def __sub__(self, other: Any) -> Node:
        return apply("sub", self, other)

    def __rsub__(self, other: Any) -> Node:
        return apply("sub", as_node(other), self)

    def __mul__(self, other: Any) -> Node:
        return apply("mul", self, other)

    def __rmul__(self, other: Any) -> Node:
        return apply("mul", self, other)

    def __truediv__(self, other: Any) -> Node:
        return apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return apply("div", as_node(other), self)

    def __neg__(self) -> Node:
        return apply("mul", self, -1.0)

    def __abs__(self) -> Node:
        return apply("abs", self)

    def __gt__(self, other: Any) -> Node:
        return apply("gt", self, other)

    def __ge__(self, other: Any) -> Node:
        return apply("ge", self, other)

    def __lt__(self, other: Any) -> Node:
        return apply("lt", self, other)

    def __le__(self, other: Any) -> Node:
        return apply("le", self, other)

    def __and__(self, other: Any) -> Node:
        return apply("and", self, other)

    def __or__(self, other: Any) -> Node:
        return apply("or", self, other)

    def __invert__(self) -> Node:
        return apply("not", self)


def _check_operands(op: Op, args: tuple[Node, ...], params: tuple[Scalar, ...]) -> None:
    if len(args) != len(op.args) or len(params) != len(op.params):
        raise StrategyError(
            f"'{op.name}' takes {len(op.args)} operands and {len(op.params)} parameters,"
            f" not {len(args)} and {len(params)}"
        )
    for value in params:
        if value != value or (isinstance(value, str) and not _WORD.fullmatch(value)):
            raise StrategyError(f"'{value}' cannot be a parameter of '{op.name}'")
    for place, (want, arg) in enumerate(zip(op.args, args, strict=True)):
        if arg.boolean != (want == "b"):
            raise StrategyError(
                f"operand {place + 1} of '{op.name}' must be a"
                f" {'condition' if want == 'b' else 'number'}: {arg.text}"
            )


def as_node(value: Any) -> Node:
    """A node as it is; a number as a constant.

    Raises
    ------
    StrategyError
        For anything else.
    """
    if isinstance(value, Node):
        return value
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return const(float(value))
    raise StrategyError(f"cannot use {value!r} in an expression")


@lru_cache(maxsize=16_384)
def _made(op: str, args: tuple[Node, ...], params: tuple[Scalar, ...]) -> Node:
    """Make a node, or return the same one as before: genomes share most of their nodes."""
    return Node(op, args, params)


def const(value: float) -> Node:
    """A constant.

    Raises
    ------
    StrategyError
        For NaN, which would make every use of it unknown.
    """
    if value != value:
        raise StrategyError("a constant cannot be NaN", fix="leave the condition out")
    return _made("const", (), (float(value),))


def series(name: str, symbol: str | None = None) -> Node:
    """A field of the traded symbol, or of another symbol of the panel.

    Raises
    ------
    StrategyError
        If there is no such field.
    """
    if name not in FIELDS:
        raise StrategyError(
            f"unknown field '{name}'{did_you_mean(name, FIELDS)}", fix=f"use {', '.join(FIELDS)}"
        )
    if symbol is None:
        return _made("field", (), (name,))
    if not symbol or any(c.isspace() or c in "(),@" for c in symbol[1:]) or symbol[0] in "(), ":
        raise StrategyError(f"'{symbol}' cannot be the name of a symbol")
    return Node("field", (), (name, symbol))


def apply(op: str, *operands: Any, **params: Scalar) -> Node:
    """Build a node of a primitive from operands (numbers allowed) and named parameters."""
    spec = OPS.get(op)
    if spec is None:
        return Node(op, (), ())  # raises with the list of what exists
    if params.keys() != set(spec.params):
        raise StrategyError(f"'{op}' takes the parameters {', '.join(spec.params) or 'none'}")
    args = tuple([v if type(v) is Node else as_node(v) for v in operands])
    return _made(op, args, tuple([params[name] for name in spec.params]))
