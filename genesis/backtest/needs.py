"""What expressions need before they are evaluated: warm-up and work, remembered by node.

The numbers are those of `genesis.strategy.series.history_bars` and `work`. A search asks about
thousands of expressions that share most of their nodes, and a fresh walk over each graph costs as
much as the policy pass, so the work of every node is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from genesis.strategy.node import OPS, Node

REMEMBERED = 20_000
"""Nodes kept before all are forgotten."""


class Needs:
    """Warm-up and work of expressions."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, float]] = {}

    def of(self, nodes: Iterable[Node]) -> tuple[int, float]:
        """Warm-up and work of some expressions together.

        Returns
        -------
        warm_up : int
            Valid bars before the first one on which all nodes can be valid.
        load : float
            Work per bar of computing each distinct node once, in elementwise operations.
        """
        if len(self._known) > REMEMBERED:
            self._known.clear()
        warm_up = 0
        costs: dict[str, float] = {}
        for node in nodes:
            warm_up = max(warm_up, node.history)
            costs.update(self._costs(node))
        return warm_up, sum(costs.values())

    def _costs(self, node: Node) -> dict[str, float]:
        found = self._known.get(node.text)
        if found is not None:
            return found
        costs: dict[str, float] = {}
        for arg in node.args:
            costs.update(self._costs(arg))
        op = OPS.get(node.op)
        if op is not None and not node.constant:
            costs[node.text] = op.cost(node.params)
        self._known[node.text] = costs
        return costs
