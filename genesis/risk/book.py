"""What an account holds and has at work, symbol by symbol, at its worst."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

from genesis.domain.timeline import DAY_MS

MOST_PERMIT_MS = DAY_MS
"""A permit ends after a day at the latest: nobody remembers an older one."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Position and working entries of an account in one symbol.

    Attributes
    ----------
    symbol : str
    position : Decimal
        Signed, base units.
    buying, selling : Decimal
        Unsigned sizes of entries that are open, pending or UNKNOWN, each at its full size.
    price : Decimal
        Last known price, or the entry price where there is none.
    unknown : int
        Orders among them of which nobody knows what became.
    """

    symbol: str
    position: Decimal
    buying: Decimal
    selling: Decimal
    price: Decimal
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Permit:
    """A person's approval of new risk at level HIGH.

    Attributes
    ----------
    by : str
        Who gave it.
    until_ms : int
        When it ends.
    reason : str
    """

    by: str
    until_ms: int
    reason: str = ""

    def holds(self, now_ms: int) -> bool:
        """Whether it counts at an instant."""
        return bool(self.by) and now_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class Holding:
    """One symbol of a book in quote units.

    Attributes
    ----------
    position : float
        Absolute notional of the position alone.
    long, short : float
        Notional on either side if all that works on it fills and nothing else does, at least 0.
    net : tuple of float
        Signed notional with all buying filled, and less that with all selling filled.
    gross : float
        Position and the greater side of what works.
    unknown : int
    """

    position: float
    long: float
    short: float
    net: tuple[float, float]
    gross: float
    unknown: int


def holding(exposure: Exposure) -> Holding:
    """Turn an exposure into notional; numbers that are not finite stay not finite."""
    price = float(exposure.price)
    size, buying, selling = map(float, (exposure.position, exposure.buying, exposure.selling))
    up, down = (size + buying) * price, (selling - size) * price
    return Holding(
        position=abs(size) * price,
        long=_above_zero(up),
        short=_above_zero(down),
        net=(up, down),
        gross=(abs(size) + max(buying, selling)) * price,
        unknown=exposure.unknown,
    )


def _above_zero(value: float) -> float:
    return 0.0 if value <= 0.0 else value  # a NaN stays one


@dataclass(frozen=True, slots=True)
class Book:
    """Holdings of an account as notional, and what the snapshot does not tell apart.

    Attributes
    ----------
    capital : float
        Reference capital of the account, quote units.
    holdings : dict of str to Holding
    elsewhere : float
        Gross notional that no exposure explains; it counts on the side of every order.
    unknown : int
        Orders of the account of which nobody knows what became.
    sound : bool
        Every number is finite and there is capital.
    """

    capital: float
    holdings: dict[str, Holding]
    elsewhere: float
    unknown: int
    sound: bool = field(init=False)

    def __post_init__(self) -> None:
        numbers = [self.elsewhere]
        for one in self.holdings.values():
            numbers += (one.position, one.long, one.short, one.gross)
        capital = math.isfinite(self.capital) and self.capital > 0.0
        sound = capital and all(map(math.isfinite, numbers)) and min(numbers) >= 0.0
        object.__setattr__(self, "sound", sound)

    @property
    def gross(self) -> float:
        """Gross notional, working entries included, as a share of capital."""
        total = self.elsewhere
        for one in self.holdings.values():
            total += one.gross
        return total / self.capital

    def net(self, side: float) -> float:
        """Notional of a side less the other's with all that works on it filled, of capital."""
        total = self.elsewhere
        for one in self.holdings.values():
            total += one.net[0] if side > 0.0 else one.net[1]
        return total / self.capital

    def one_way(self, side: float, symbols: frozenset[str]) -> float:
        """Sum of the notional on a side in some symbols, as a share of capital.

        What no exposure explains is in all of them.
        """
        total = self.elsewhere
        for symbol, one in self.holdings.items():
            if symbol in symbols:
                total += one.long if side > 0.0 else one.short
        return total / self.capital

    def largest(self) -> tuple[str, float]:
        """Symbol and share of capital of the largest position."""
        symbol, share = "", 0.0
        for name, one in self.holdings.items():
            if one.position / self.capital > share:
                symbol, share = name, one.position / self.capital
        return symbol, share
