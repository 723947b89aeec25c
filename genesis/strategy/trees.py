"""Typed trees: the grammar of evolved filters and scores, as data.

A tree composes with a family: a *condition* is and-ed to both entries, a *score* (a ratio) must
exceed a threshold. Types keep the units apart, as in dimensional analysis: prices meet prices,
volumes meet volumes, and only unitless ratios are compared with each other or with constants.

A tree has two spellings: a `Node`, and the prefix list of primitive and terminal names that
genetic programming works on (``["above_level", "price_rank", "close", 56, 0.5]``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from genesis.domain.errors import StrategyError, did_you_mean
from genesis.strategy.genes import RandomSource
from genesis.strategy.grid import GRID
from genesis.strategy.node import Node, Scalar, const, series

MAX_HEIGHT = 5
MAX_SIZE = 15
MAX_WINDOWS = 3
CONSTANTS: tuple[float, ...] = (
    -3.0, -2.0, -1.5, -1.0, -0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0.0,
    0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 0.75, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0,
)  # fmt: skip
BOUNDS: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0, 3.0)

Token: TypeAlias = str | int | float


class Type(StrEnum):
    """What a subtree measures."""

    PRICE = "price"
    VOLUME = "volume"
    RATIO = "ratio"
    BOOL = "bool"
    WINDOW = "window"
    CONST = "const"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Primitive:
    """One production of the grammar.

    Attributes
    ----------
    name : str
        Unique name, used in prefix lists.
    op : str
        Primitive of the expression language that computes it.
    args : tuple of Type
    result : Type
    """

    name: str
    op: str
    args: tuple[Type, ...]
    result: Type


_P, _V, _R, _B, _W, _C = (
    Type.PRICE, Type.VOLUME, Type.RATIO, Type.BOOL, Type.WINDOW, Type.CONST,
)  # fmt: skip

PRIMITIVES: dict[str, Primitive] = {
    p.name: p
    for p in (
        Primitive("price_lag", "lag", (_P, _W), _P),
        Primitive("price_mean", "sma", (_P, _W), _P),
        Primitive("price_max", "highest", (_P, _W), _P),
        Primitive("price_min", "lowest", (_P, _W), _P),
        Primitive("price_change", "roc", (_P, _W), _R),
        Primitive("price_zscore", "zscore", (_P, _W), _R),
        Primitive("price_rank", "rank", (_P, _W), _R),
        Primitive("price_volatility", "realised_vol", (_P, _W), _R),
        Primitive("price_ratio", "div", (_P, _P), _R),
        Primitive("volume_mean", "sma", (_V, _W), _V),
        Primitive("volume_zscore", "zscore", (_V, _W), _R),
        Primitive("volume_rank", "rank", (_V, _W), _R),
        Primitive("volume_ratio", "div", (_V, _V), _R),
        Primitive("ratio_lag", "lag", (_R, _W), _R),
        Primitive("ratio_diff", "diff", (_R, _W), _R),
        Primitive("ratio_mean", "sma", (_R, _W), _R),
        Primitive("ratio_std", "std", (_R, _W), _R),
        Primitive("ratio_rank", "rank", (_R, _W), _R),
        Primitive("ratio_zscore", "zscore", (_R, _W), _R),
        Primitive("ratio_max", "highest", (_R, _W), _R),
        Primitive("ratio_min", "lowest", (_R, _W), _R),
        Primitive("ratio_sub", "sub", (_R, _R), _R),
        Primitive("ratio_offset", "sub", (_R, _C), _R),
        Primitive("ratio_clip", "clip", (_R, Type.BOUND), _R),
        Primitive("above", "gt", (_R, _R), _B),
        Primitive("below", "lt", (_R, _R), _B),
        Primitive("above_level", "gt", (_R, _C), _B),
        Primitive("below_level", "lt", (_R, _C), _B),
        Primitive("crosses_up", "cross_up", (_R, _R), _B),
        Primitive("crosses_down", "cross_down", (_R, _R), _B),
        Primitive("both", "and", (_B, _B), _B),
        Primitive("either", "or", (_B, _B), _B),
        Primitive("negated", "not", (_B,), _B),
    )
}
_BY_OPERANDS = {(p.op, p.args): p for p in PRIMITIVES.values()}
_FIELD_TYPES: dict[str, Type] = {
    "open": _P, "high": _P, "low": _P, "close": _P, "volume": _V, "funding": _R,
}  # fmt: skip
OPTIONAL_FIELDS = ("funding",)


def terminals(fields: Collection[str] = ()) -> dict[Type, tuple[Token, ...]]:
    """Terminals of the grammar by type.

    Parameters
    ----------
    fields : collection of str
        Which of `OPTIONAL_FIELDS` the dataset really has; a tree that reads a missing field would
        never signal.
    """
    names = [n for n in _FIELD_TYPES if n not in OPTIONAL_FIELDS or n in fields]
    found: dict[Type, tuple[Token, ...]] = {
        kind: tuple(n for n in names if _FIELD_TYPES[n] == kind) for kind in Type
    }
    return {**found, Type.WINDOW: GRID, Type.CONST: CONSTANTS, Type.BOUND: BOUNDS}


def from_prefix(tokens: Sequence[Token]) -> Node:
    """Build the node of a prefix list.

    Raises
    ------
    StrategyError
        If the list is no complete tree of the grammar, or breaks a limit.
    """
    stream = iter(tokens)
    node, kind = _read(stream, None, MAX_HEIGHT + 1)
    if next(stream, None) is not None:
        raise StrategyError("the tree has tokens after its end")
    if not isinstance(node, Node) or kind not in (_B, _R):
        raise StrategyError("a tree is a condition or a ratio", why=f"it is a {kind}")
    problem = violation(node)
    if problem:
        raise StrategyError(f"the tree is not legal: {problem}")
    return node


def _read(stream: Iterator[Token], want: Type | None, height: int) -> tuple[Node | Scalar, Type]:
    token = next(stream, None)
    if token is None:
        raise StrategyError("the tree ends too early")
    if height < 0:
        raise StrategyError(f"the tree is higher than {MAX_HEIGHT}")
    if want in (Type.WINDOW, Type.CONST, Type.BOUND):
        grid = {Type.WINDOW: GRID, Type.CONST: CONSTANTS, Type.BOUND: BOUNDS}[want]
        if isinstance(token, str) or token not in grid:
            raise StrategyError(f"{token!r} is no {want} of the grid")
        return (int(token) if want == Type.WINDOW else float(token)), want
    if token in _FIELD_TYPES:
        node, kind = series(str(token)), _FIELD_TYPES[str(token)]
        if want is not None and kind != want:
            raise StrategyError(f"'{token}' is a {kind}, a {want} is needed")
        return node, kind
    primitive = PRIMITIVES.get(str(token))
    if primitive is None:
        raise StrategyError(f"unknown token {token!r}{did_you_mean(str(token), PRIMITIVES)}")
    if want is not None and primitive.result != want:
        raise StrategyError(f"'{token}' gives a {primitive.result}, a {want} is needed")
    parts = [_read(stream, arg, height - 1)[0] for arg in primitive.args]
    return _build(primitive, parts), primitive.result


def _build(primitive: Primitive, parts: Sequence[Node | Scalar]) -> Node:
    operands: list[Node] = []
    params: list[Scalar] = []
    for kind, part in zip(primitive.args, parts, strict=True):
        if isinstance(part, Node):
            operands.append(part)
        elif kind == Type.CONST:
            operands.append(const(float(part)))
        elif kind == Type.BOUND:
            params += [-float(part), float(part)]
        else:
            params.append(part)
    return Node(primitive.op, tuple(operands), tuple(params))


def to_prefix(node: Node) -> list[Token]:
    """Spell a tree as a prefix list.

    Raises
    ------
    StrategyError
        If the node is no tree of the grammar.
    """
    tokens, _ = _spell(node)
    return tokens


def _spell(node: Node) -> tuple[list[Token], Type]:
    if node.op == "field" and len(node.params) == 1 and node.params[0] in _FIELD_TYPES:
        name = str(node.params[0])
        return [name], _FIELD_TYPES[name]
    if node.op == "const":
        value = float(node.params[0])
        if value not in CONSTANTS:
            raise StrategyError(f"{node.text} is no constant of the grid")
        return [value], _C
    parts = [_spell(arg) for arg in node.args]
    kinds = [kind for _, kind in parts]
    tail: list[Token] = []
    if node.op == "clip":
        low, high = node.params
        if -float(low) != float(high) or float(high) not in BOUNDS:
            raise StrategyError(f"{node.text} clips outside the grid")
        tail, kinds = [float(high)], [*kinds, Type.BOUND]
    elif node.params:
        tail, kinds = [int(p) for p in node.params], [*kinds, *(_W for _ in node.params)]
        if any(p not in GRID for p in node.params):
            raise StrategyError(f"{node.text} has a window off the grid")
    primitive = _BY_OPERANDS.get((node.op, tuple(kinds)))
    if primitive is None:
        raise StrategyError(f"the grammar of trees has no {node.op}({', '.join(kinds)})")
    tokens: list[Token] = [primitive.name]
    for part, _ in parts:
        tokens += part
    return tokens + tail, primitive.result


def type_of(node: Node) -> Type:
    """Type of a tree.

    Raises
    ------
    StrategyError
        If the node is no tree of the grammar.
    """
    return _spell(node)[1]


def violation(node: Node) -> str:
    """Say why a node is no legal filter or score; an empty string if it is one."""
    try:
        tokens, kind = _spell(node)
    except (StrategyError, ValueError) as error:
        return str(error)
    if kind not in (_B, _R):
        return f"a {kind} is neither a condition nor a ratio"
    if len(tokens) > MAX_SIZE:
        return f"{len(tokens)} tokens, at most {MAX_SIZE} are allowed"
    windows = sum(1 for t in tokens if isinstance(t, int))
    if windows > MAX_WINDOWS:
        return f"{windows} windows, at most {MAX_WINDOWS} are allowed"
    if height_of(tokens) > MAX_HEIGHT:
        return f"height {height_of(tokens)}, at most {MAX_HEIGHT} is allowed"
    return ""


def height_of(tokens: Sequence[Token]) -> int:
    """Edges from the root of a prefix list to its deepest token."""
    deepest, pending = 0, [0]
    for token in tokens:
        height = pending.pop()
        deepest = max(deepest, height)
        primitive = PRIMITIVES.get(token) if isinstance(token, str) else None
        pending += [height + 1] * (len(primitive.args) if primitive else 0)
    return deepest


def reduce_tree(node: Node) -> Node | None:
    """Return the tree if it is legal, else its largest legal subtree, else None (no filter)."""
    legal = [n for n in _subtrees(node) if not violation(n)]
    return max(legal, key=lambda n: (n.size, n.text)) if legal else None


def _subtrees(node: Node) -> Iterator[Node]:
    yield node
    for arg in node.args:
        yield from _subtrees(arg)


@lru_cache(maxsize=1)
def _least_heights() -> dict[Type, int]:
    """Height of the lowest tree of each type without optional fields (a fixed point)."""
    known = {kind: 0 for kind, names in terminals().items() if names}
    while True:
        for p in PRIMITIVES.values():
            if all(arg in known for arg in p.args):
                height = 1 + max(known[arg] for arg in p.args)
                known[p.result] = min(height, known.get(p.result, height))
        if len(known) == len(Type):
            return known


def random_tree(
    rng: RandomSource,
    result: Type = Type.BOOL,
    *,
    fields: Collection[str] = (),
    max_height: int = MAX_HEIGHT,
) -> Node:
    """Draw a legal tree.

    Parameters
    ----------
    rng : RandomSource
    result : Type
        ``BOOL`` for a condition, ``RATIO`` for a score.
    fields : collection of str
        Optional fields that may be read.
    max_height : int
        At least 2 (the lowest condition).
    """
    while True:
        node = from_tokens_unchecked(random_tokens(rng, result, fields, max_height))
        if not violation(node):
            return node


def from_tokens_unchecked(tokens: Sequence[Token]) -> Node:
    """Build the node of a well-typed prefix list without checking the limits of size."""
    node, _ = _read(iter(tokens), None, len(tokens))
    if not isinstance(node, Node):
        raise StrategyError("a tree is a condition or a ratio")
    return node


def random_tokens(
    rng: RandomSource, result: Type, fields: Collection[str], height: int
) -> list[Token]:
    """Draw a well-typed prefix list of at most a height by the grow method."""
    least, leaves = _least_heights(), terminals(fields)[result]
    choices = [
        p
        for p in PRIMITIVES.values()
        if p.result == result and all(least[arg] < height for arg in p.args)
    ]
    if leaves and (not choices or rng.random() < 0.5):
        return [leaves[rng.randrange(len(leaves))]]
    primitive = choices[rng.randrange(len(choices))]
    tokens: list[Token] = [primitive.name]
    for arg in primitive.args:
        tokens += random_tokens(rng, arg, fields, height - 1)
    return tokens
