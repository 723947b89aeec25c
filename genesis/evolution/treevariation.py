"""Variation of filter trees: DEAP's typed genetic programming on the grammar of the strategies.

DEAP's crossover picks a type from a *set* of types. A class hashes by its address, so the pick
would differ from one process to the next; the types made here hash by their rank instead.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from deap import gp

from genesis.strategy.node import Node
from genesis.strategy.trees import (
    BOUNDS,
    CONSTANTS,
    PRIMITIVES,
    Token,
    Type,
    from_tokens_unchecked,
    random_tokens,
    terminals,
    to_prefix,
)

LEAF_CHANCE = 0.1
_NEW_HEIGHT = 2


class _Ranked(type):
    """Metaclass of tree types whose hash is the same in every process."""

    rank: int

    def __hash__(cls) -> int:
        return cls.rank

    def __eq__(cls, other: object) -> bool:
        return cls is other


_TYPES: dict[Type, type] = {
    kind: _Ranked(f"Tree{kind.name.title()}", (), {"rank": rank, "kind": kind})
    for rank, kind in enumerate(Type)
}


class TreeOperators:
    """Crossover and mutation of filter trees.

    Results may exceed the limits of size; `genesis.strategy.genome.repair` reduces them. Draws
    come from the global generator, which `genesis.evolution.randomness.stream` has set.

    Parameters
    ----------
    fields : collection of str
        Optional fields that every symbol of the dataset has.
    """

    def __init__(self, fields: Collection[str] = ()) -> None:
        self._fields = tuple(sorted(fields))
        self._set = _primitive_set(self._fields)

    def cross(self, first: Node, second: Node) -> tuple[Node, Node]:
        """Exchange one subtree of equal type, an inner one in nine of ten draws."""
        one, two = _to_tree(first), _to_tree(second)
        one, two = gp.cxOnePointLeafBiased(one, two, LEAF_CHANCE)
        return _to_node(one), _to_node(two)

    def mutate(self, node: Node) -> Node:
        """Replace a subtree, replace a token, step a constant, shrink or hoist."""
        tree = _to_tree(node)
        draw = random.random()  # noqa: S311
        if draw < 0.3:
            (tree,) = gp.mutUniform(tree, self._grown, self._set)
        elif draw < 0.6:
            (tree,) = gp.mutNodeReplacement(tree, self._set)
        elif draw < 0.75:
            tree = _step_number(tree)
        elif draw < 0.9:
            (tree,) = gp.mutShrink(tree)
        else:
            tree = _hoist(tree)
        return _to_node(tree)

    def _grown(self, pset: gp.PrimitiveSetTyped, type_: Any) -> list[Any]:  # noqa: ARG002
        # DEAP's own generator stops at leaves only, and conditions have no leaves.
        kind: Type = type_.kind
        least = 2 if kind is Type.BOOL else 1
        height = least + random.randrange(_NEW_HEIGHT)  # noqa: S311
        return _parts(random_tokens(random, kind, self._fields, height), kind)


def _primitive_set(fields: Sequence[str]) -> gp.PrimitiveSetTyped:
    found = gp.PrimitiveSetTyped("filter", [], _TYPES[Type.BOOL])
    for name, spec in PRIMITIVES.items():
        types = [_TYPES[arg] for arg in spec.args]
        found.addPrimitive(spec, types, _TYPES[spec.result], name=name)
    for kind, tokens in terminals(fields).items():
        for token in tokens:
            found.addTerminal(token, _TYPES[kind])
    return found


@cache
def _terminal(kind: Type, token: Token) -> gp.Terminal:
    return gp.Terminal(token, isinstance(token, str), _TYPES[kind])


@cache
def _primitive(name: str) -> gp.Primitive:
    spec = PRIMITIVES[name]
    return gp.Primitive(name, [_TYPES[arg] for arg in spec.args], _TYPES[spec.result])


def _parts(tokens: Sequence[Token], kind: Type) -> list[Any]:
    parts: list[Any] = []
    wanted = [kind]
    for token in tokens:
        want = wanted.pop()
        if isinstance(token, str) and token in PRIMITIVES:
            parts.append(_primitive(token))
            wanted.extend(reversed(PRIMITIVES[token].args))
        else:
            parts.append(_terminal(want, token))
    return parts


def _to_tree(node: Node) -> gp.PrimitiveTree:
    kind = Type.BOOL if node.boolean else Type.RATIO
    return gp.PrimitiveTree(_parts(to_prefix(node), kind))


def _to_node(tree: gp.PrimitiveTree) -> Node:
    return from_tokens_unchecked([p.value if isinstance(p, gp.Terminal) else p.name for p in tree])


def _step_number(tree: gp.PrimitiveTree) -> gp.PrimitiveTree:
    """Move one constant, bound or window to a neighbour on its grid."""
    places = [i for i, p in enumerate(tree) if isinstance(p, gp.Terminal) and p.ret.kind in _GRIDS]
    if not places:
        return tree
    place = random.choice(places)  # noqa: S311
    kind: Type = tree[place].ret.kind
    grid = _GRIDS[kind]
    step = random.choice((-1, 1))  # noqa: S311
    at = min(max(grid.index(tree[place].value) + step, 0), len(grid) - 1)
    tree[place] = _terminal(kind, grid[at])
    return tree


_GRIDS: dict[Type, tuple[Token, ...]] = {
    Type.WINDOW: terminals()[Type.WINDOW],
    Type.CONST: CONSTANTS,
    Type.BOUND: BOUNDS,
}


def _hoist(tree: gp.PrimitiveTree) -> gp.PrimitiveTree:
    """Replace the tree by one of its subtrees of the root's type."""
    places = [i for i in range(1, len(tree)) if tree[i].ret is tree.root.ret and tree[i].arity]
    if not places:
        return tree
    return gp.PrimitiveTree(tree[tree.searchSubtree(random.choice(places))])  # noqa: S311
