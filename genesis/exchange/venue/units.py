"""Numbers of the venue: integers on a decimal grid, and their spelling on the wire.

A price of a market whose sizes have ``d`` decimals is an integer in steps of ``10**(d - 8)``, a
size one in steps of ``10**-d``; their product is money in steps of 1e-8 USD. Nothing is ever
rounded in a trade, so that the books of the venue balance to the last digit.
"""

from __future__ import annotations

MONEY_DECIMALS = 8
POW10: tuple[int, ...] = tuple(10**k for k in range(64))
MONEY = POW10[MONEY_DECIMALS]
# Fees, funding and realised profit are shown, and paid, in millionths of a dollar.
MICRO = 100
RATE_DECIMALS = 10
RATE = POW10[RATE_DECIMALS]
TOO_FINE = -1
_SIGNIFICANT = 5
# How far from the mark price a market trigger and a liquidation may fill, in percent.
TOLERANCE = 10


class MalformedAction(ValueError):
    """A request that does not have the documented shape (HTTP 422 at the protocol's level)."""


def parse(text: object, decimals: int) -> int:
    """Read an unsigned decimal number.

    Parameters
    ----------
    text : object
        What stood in the request; only a plain decimal string is accepted.
    decimals : int
        Places of the grid.

    Returns
    -------
    int
        The number in steps of ``10**-decimals``, or ``TOO_FINE`` where it is not on the grid.

    Raises
    ------
    MalformedAction
        For anything that is not an unsigned decimal string.
    """
    if not isinstance(text, str):
        raise MalformedAction(f"expected a decimal string, got {text!r}")
    whole, dot, fraction = text.partition(".")
    if not (whole.isdigit() and whole.isascii()) or len(text) > 40:
        raise MalformedAction(f"not a decimal number: {text[:60]!r}")
    if not dot:
        return int(whole) * POW10[decimals]
    if not (fraction.isdigit() and fraction.isascii()):
        raise MalformedAction(f"not a decimal number: {text[:60]!r}")
    if len(fraction) > decimals:
        fraction = fraction.rstrip("0")
        if len(fraction) > decimals:
            return TOO_FINE
    return int(whole + fraction.ljust(decimals, "0"))


def parse_money(text: object) -> int:
    """Read an amount of money or of a token, in steps of 1e-8.

    Raises
    ------
    MalformedAction
        For anything that is none.
    """
    amount = parse(text, MONEY_DECIMALS)
    if amount == TOO_FINE:
        raise MalformedAction("an amount has at most eight decimals")
    return amount


def show(value: int, decimals: int) -> str:
    """Spell a number as the recorded answers do: no trailing zeros, at least one decimal."""
    if value < 0:
        return "-" + show(-value, decimals)
    whole, fraction = divmod(value, POW10[decimals])
    if not fraction:
        return f"{whole}.0"
    return f"{whole}.{fraction:0{decimals}d}".rstrip("0")


def show_money(value: int) -> str:
    """Spell an amount of money in millionths of a dollar, cut towards zero."""
    return show(value // MICRO if value >= 0 else -(-value // MICRO), 6)


def ratio(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, halves away from zero; the divisor is positive."""
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)


def on_tick(price: int, px_decimals: int, coarsest: int) -> bool:
    """Whether a price has at most five significant figures and the market's decimals.

    Parameters
    ----------
    price : int
    px_decimals : int
        Decimals of the integer grid the price is written on.
    coarsest : int
        Grid steps of the smallest legal price step: 100 for perpetuals, which have two decimals
        less than spot pairs.
    """
    if price % coarsest:
        return False
    digits = len(str(price))
    # Whole prices are legal whatever their number of figures.
    return (
        digits <= _SIGNIFICANT
        or not price % POW10[digits - _SIGNIFICANT]
        or not price % POW10[px_decimals]
    )


def to_tick(price: int, coarsest: int, *, up: bool | None = None) -> int:
    """Round a price to a legal one: up, down, or to the nearest (None)."""
    step = tick_at(price, coarsest)
    if up is None:
        return ratio(price, step) * step
    return -(-price // step) * step if up else price // step * step


def within_percent(price: int, percent: int, coarsest: int, *, buy: bool) -> int:
    """Worst legal price so many percent from a price that an order may take, or a step beyond."""
    share = 100 + percent if buy else 100 - percent
    return to_tick(price * share // 100, coarsest, up=buy)


def tick_at(price: int, coarsest: int) -> int:
    """Step between legal prices around a price."""
    return max(coarsest, POW10[max(len(str(price)) - _SIGNIFICANT, 0)])
