"""Exact sums of money: Decimal arithmetic that never rounds a cent away.

Sizes and prices come from floats with up to 17 digits each, so that a product has 34; Decimal's
default context keeps 28. This one keeps a hundred, more than any sum of such products fills.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
_SHARE = Context(prec=34, rounding=ROUND_HALF_EVEN)

add = EXACT.add
subtract = EXACT.subtract
multiply = EXACT.multiply


def divide(value: Decimal, by: Decimal) -> Decimal:
    """Quotient to 34 digits: exact for the price of a single fill."""
    return _SHARE.divide(value, by)


def share(value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``value · part / whole`` to 34 digits, all of it where the part is the whole."""
    if part == whole:
        return value
    return _SHARE.plus(EXACT.divide(EXACT.multiply(value, part), whole))
