"""What the decisions that hold mean for capital, and for how many deployments there may be.

They only ever take away: a factor above 1 gives nobody more than a person has approved.
"""

from __future__ import annotations

from dataclasses import dataclass

from genesis.decision.state import OperationsState

_SIZES = (
    ("risk_adjustment", "size_factor"),
    ("trading_session_optimization", "size_factor"),
    ("trading_session_optimization", "risk_factor"),
)
_NUMBERS = (
    ("strategy_pool_sizing", "strategies"),
    ("trading_session_optimization", "max_positions"),
)


@dataclass(frozen=True, slots=True)
class Bound:
    """A number, and the decision that it comes from; empty where none bounds.

    Attributes
    ----------
    value : float
    text : str
    """

    value: float
    text: str = ""


def size_factor(state: OperationsState) -> Bound:
    """By what capital is multiplied, 0 to 1: the smallest factor of the decisions that hold.

    The smallest and not the product, as within one decision: volatility is a reason of both types,
    and is not to be paid for twice.
    """
    return _least(state, _SIZES, Bound(1.0))


def most_deployments(state: OperationsState, most: int) -> Bound:
    """How many deployments beyond paper there may be: ``most``, or fewer by a decision."""
    return _least(state, _NUMBERS, Bound(float(most)))


def _least(state: OperationsState, sources: tuple[tuple[str, str], ...], least: Bound) -> Bound:
    for kind, key in sources:
        held = state.in_force.get((kind, ""))
        value = None if held is None else held.value.get(key)
        if held is not None and value is not None and float(value) < least.value:
            least = Bound(float(value), f"{key} {value:g} by {kind}, {held.decision}")
    return least
