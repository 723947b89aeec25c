"""Isolated margin: the price at which a position is liquidated."""

from __future__ import annotations

from genesis.domain.jit import kernel


@kernel
def liquidation_level(
    position: float, entry: float, accrued: float, leverage: float, maintenance: float
) -> float:
    """Price at which an isolated margin is used up to its maintenance requirement.

    The margin is ``|q| * entry / leverage``; funding paid so far (``accrued``, quote units,
    positive when paid) has been taken from it. Liquidation where
    ``margin - accrued + q * (p - entry) = maintenance * |q| * p``, solved for p.
    """
    side = 1.0 if position > 0.0 else -1.0
    level = entry * (1.0 - side / leverage) + side * accrued / abs(position)
    return level / (1.0 - side * maintenance)
