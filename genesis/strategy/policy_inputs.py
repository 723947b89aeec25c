"""What a policy reads besides the rules' signals: average true range and realised volatility."""

from __future__ import annotations

from functools import cache

from genesis.strategy import primitives as _primitives  # noqa: F401  (registers the primitives)
from genesis.strategy.node import Node, series
from genesis.strategy.policy import uses_atr
from genesis.strategy.strategy import PolicyParams


def policy_nodes(policy: PolicyParams) -> tuple[Node | None, Node | None]:
    """Average true range and realised volatility that a policy reads, None where it does not."""
    atr = _range_node(policy.atr_window) if uses_atr(policy) else None
    vol = _volatility_node(policy.vol_window) if policy.vol_target > 0 else None
    return atr, vol


@cache
def _range_node(window: int) -> Node:
    return Node("atr", (series("high"), series("low"), series("close")), (window,))


@cache
def _volatility_node(window: int) -> Node:
    return Node("realised_vol", (series("close"),), (window,))
