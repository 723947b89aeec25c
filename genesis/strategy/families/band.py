"""Distances as fractions of price."""

from __future__ import annotations

from genesis.strategy.node import Node


def shifted(level: Node, fraction: float) -> Node:
    """Return a level moved by a fraction of itself; the level's own node for a fraction of 0."""
    return level * (1.0 + fraction) if fraction else level
