"""Research driver: values of nodes over the whole series of one symbol, through the node cache."""

from __future__ import annotations

import numpy as np

from genesis.domain.errors import StrategyError
from genesis.market.panel import Panel
from genesis.strategy import primitives as _primitives  # noqa: F401  (registers the primitives)
from genesis.strategy.cache import NodeCache
from genesis.strategy.node import FIELDS, OPS, Array, Node

_NO_STATE = np.zeros(0)
_BESIDE_BARS = ("funding", "sentiment")


def fold(node: Node) -> float:
    """Value of a constant node (0, 1 or -1 for truth), by the kernels that series use.

    Raises
    ------
    StrategyError
        If the node depends on the market.
    """
    if not node.constant:
        raise StrategyError(f"not a constant: {node.text}")
    if node.op == "const":
        return float(node.params[0])
    op = OPS[node.op]
    out = np.empty(1, dtype=np.int8 if op.boolean else np.float64)
    op.run([fold(a) for a in node.args], node.params, _NO_STATE, out)
    return float(out[0])


def field_array(
    panel: Panel, symbol: int, node: Node, start: int = 0, stop: int | None = None
) -> Array:
    """Bars ``start`` to ``stop`` of a field node, of the traded symbol or of the one it names.

    Every field is NaN where its symbol has no bar. Funding and sentiment are known there too, but
    a bar that does not exist must not advance a kernel that reads them.

    Raises
    ------
    DataError
        If the panel does not hold the named symbol.
    StrategyError
        If there is no such field.
    """
    name = str(node.params[0])
    if name not in FIELDS:
        raise StrategyError(f"unknown field '{name}'", fix=f"use {', '.join(FIELDS)}")
    place = symbol if len(node.params) == 1 else panel.index_of(str(node.params[1]))
    member = panel.symbols[place]
    found: Array = getattr(member, name)[start:stop]
    return np.where(member.valid[start:stop], found, np.nan) if name in _BESIDE_BARS else found


class SeriesEvaluator:
    """Values of nodes on every bar of one symbol.

    Parameters
    ----------
    panel : Panel
    symbol : int
        Place of the traded symbol in the panel.
    cache : NodeCache
        May be shared between evaluators; entries of other symbols and panels stay apart.
    """

    __slots__ = ("_bars", "_cache", "_panel", "_scope", "_symbol")

    def __init__(self, panel: Panel, symbol: int, cache: NodeCache) -> None:
        start = int(panel.ts_ms[0]) if panel.bars else 0
        self._panel = panel
        self._symbol = symbol
        self._bars = panel.bars
        self._cache = cache
        self._scope = cache.scope(panel.dataset_hash, start, panel.bars, symbol)

    def value(self, node: Node) -> Array:
        """Series of a node.

        Returns
        -------
        read-only array, shape (T,)
            float64 with NaN where invalid, or int8 with 1, 0 and -1 (unknown) for a condition.

        Raises
        ------
        DataError
            If the node reads a symbol that the panel does not hold.
        """
        view = self._series(node).view()
        view.flags.writeable = False
        return view

    def forget(self) -> None:
        """Drop the cached series of this symbol."""
        self._cache.clear(self._scope)

    def _series(self, node: Node) -> Array:
        """Array of a node, writable so that kernels see one array type; nobody writes to it."""
        key = (self._scope, node.text)
        found = self._cache.get(key)
        if found is not None:
            return found
        if node.constant:
            array = self._cache.empty(self._bars, truth=node.boolean)
            array.fill(fold(node))
            self._cache.put(key, array, brief=True)
        elif node.op == "field":
            array = self._cache.empty(self._bars, truth=False)
            array[:] = field_array(self._panel, self._symbol, node)
            self._cache.put(key, array)
        else:
            array = self._computed(node)
            brief = OPS[node.op].elementwise and not node.boolean
            self._cache.put(key, array, brief=brief)
        return array

    def _computed(self, node: Node) -> Array:
        op = OPS[node.op]
        inputs: list[Array | float]
        if op.elementwise:
            inputs = [fold(a) if a.constant else self._series(a) for a in node.args]
            state = _NO_STATE
        else:
            inputs = [self._series(a) for a in node.args]
            state = np.zeros(op.state_size(node.params))
        out = self._cache.empty(self._bars, truth=op.boolean)
        op.run(inputs, node.params, state, out)
        return out


def unique_nodes(*nodes: Node) -> list[Node]:
    """Every distinct node of several graphs, operands before what reads them."""
    seen: dict[str, Node] = {}

    def visit(node: Node) -> None:
        if node.text in seen:
            return
        for arg in node.args:
            visit(arg)
        seen[node.text] = node

    for node in nodes:
        visit(node)
    return list(seen.values())


def work(*nodes: Node) -> float:
    """Static cost per bar of computing these nodes once, in elementwise operations.

    It depends on the expressions only, so a budget on it stops the same genomes everywhere.
    """
    return sum(
        OPS[n.op].cost(n.params) for n in unique_nodes(*nodes) if n.op in OPS and not n.constant
    )


def history_bars(*nodes: Node) -> int:
    """Valid bars before the first one on which all these nodes can be valid."""
    return max((n.history for n in nodes), default=0)


def settle_bars(*nodes: Node) -> int:
    """Valid bars after which the start of the series no longer matters in practice.

    Equal to `history_bars` for windowed primitives; for recursive averages the start then weighs
    less than `genesis.strategy.primitives.SETTLED`.
    """
    settled: dict[str, int] = {}
    for node in unique_nodes(*nodes):
        own = OPS[node.op].settle(node.params) if node.op in OPS else 0
        settled[node.text] = own + max((settled[a.text] for a in node.args), default=0)
    return max((settled[n.text] for n in nodes), default=0)
