"""Exact sums of money: Decimal arithmetic that never rounds a cent away.

Sizes and prices come from floats with up to 17 digits each, so that a product has 34; Decimal's
default context keeps 28, and even ``-value`` and ``abs(value)`` round to it. This one keeps a
hundred, more than any sum of such products fills.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from genesis.trading.gateway import Side

EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
_SHARE = Context(prec=34, rounding=ROUND_HALF_EVEN)

add = EXACT.add
subtract = EXACT.subtract
multiply = EXACT.multiply


def by_side(side: Side, value: Decimal) -> Decimal:
    """Value with the sign of a side, to the last digit."""
    return value if side is Side.BUY else value.copy_negate()


def exact(value: float) -> Decimal:
    """Decimal with the shortest digits that give the float back."""
    return Decimal(repr(float(value)))


def divide(value: Decimal, by: Decimal) -> Decimal:
    """Quotient to 34 digits: exact for the price of a single fill."""
    return _SHARE.divide(value, by)


def share(value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``value · part / whole`` to 34 digits, all of it where the part is the whole."""
    if part == whole:
        return value
    return _SHARE.plus(EXACT.divide(EXACT.multiply(value, part), whole))
