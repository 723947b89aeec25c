"""The answer of the risk manager, and the clearance without which no order is made.

A `Clearance` can only come from `GeneticRiskManager.evaluate_trade_risk`: its constructor asks for
a seal that is private to this package, it cannot be changed, copied or stored, and it is spent on
one order. A submit path that takes a clearance cannot be handed an order that nobody checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from genesis.domain.errors import RefusedError
from genesis.risk.levels import RiskLevel
from genesis.risk.limits import OrderFacts, Verdict
from genesis.risk.state import Trip


class Seal:
    """Proof that the risk manager made a clearance; there is one, and it is not exported."""

    __slots__ = ()


_SEAL = Seal()


class Clearance:
    """Permission to make one order, at most as large as it says.

    Parameters
    ----------
    seal : Seal
        That of this package.
    order : OrderFacts
        As it was judged, with the size that was approved.
    """

    __slots__ = ("_order", "_spent")
    _order: OrderFacts
    _spent: bool

    def __init__(self, seal: Seal, order: OrderFacts) -> None:
        if seal is not _SEAL:
            raise TypeError("a clearance is made by the risk manager alone")
        object.__setattr__(self, "_order", order)
        object.__setattr__(self, "_spent", False)

    @property
    def order(self) -> OrderFacts:
        """The order that was judged, with the size that was approved."""
        return self._order

    def spend(
        self, account: str, symbol: str, size: Decimal, price: Decimal | None, *, reduce_only: bool
    ) -> None:
        """Use the clearance for an order.

        Parameters
        ----------
        account, symbol : str
        size : Decimal
            Signed; rounding to the lot may have made it smaller than what was approved.
        price : Decimal or None
            Limit or trigger price; None for a market order.
        reduce_only : bool

        Raises
        ------
        RefusedError
            If it was used before, or the order is not the one that was judged.
        """
        judged = self._order
        if self._spent:
            raise RefusedError(
                f"a second order in {symbol} on one risk check",
                why="a clearance is good for one order",
                fix="have each order judged",
            )
        same = (account, symbol, reduce_only) == (judged.account, judged.symbol, judged.reduce_only)
        fits = size * judged.size > 0 and abs(size) <= abs(judged.size)
        if not (same and fits and (price is None or price == judged.price)):
            raise RefusedError(
                f"the order in {symbol} is not the one that was judged",
                why=f"{judged.size} {judged.symbol} at {judged.price} was, "
                f"{size} {symbol} at {price} is to be sent",
                fix="have the order judged as it is to be sent",
            )
        object.__setattr__(self, "_spent", True)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a clearance cannot be changed ({name})")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a clearance cannot be changed ({name})")

    def __copy__(self) -> NoReturn:
        raise TypeError("a clearance cannot be copied")

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        raise TypeError("a clearance cannot be copied")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a clearance cannot be stored")


@dataclass(frozen=True, slots=True)
class RiskDecision:
    """What the risk manager says of one order.

    Attributes
    ----------
    approved : bool
    size : Decimal
        Signed size that may be sent: the asked one or less, 0 if refused.
    asked : Decimal
        Signed size that was asked for.
    would : Decimal
        Size that profile `enforce` approves; under `observe` the difference to `size` is the
        risk impact.
    rule : str
        Rule that refused or cut the order, or the hard limit's approval.
    value, limit : float
        What was measured and what is allowed, in the rule's unit.
    text : str
        One readable sentence.
    level : RiskLevel
        Of the account, with what the market of the symbol adds.
    breakers : tuple of Trip
        Breakers that are active.
    multipliers : tuple of (str, float)
        Share of size that each cause leaves.
    would_rule : str
        Rule by which profile `enforce` refuses or cuts the order, empty where it does neither;
        under `observe` nothing else says so.
    permitted_by : str
        Who approved new risk at level HIGH, empty where nobody had to.
    flatten : bool
        The positions of the account are to be closed.
    cancel_open : bool
        Entries that still work are to be cancelled.
    clearance : Clearance or None
        Needed to make the order; None if refused.
    """

    approved: bool
    size: Decimal
    asked: Decimal
    would: Decimal
    rule: str
    value: float
    limit: float
    text: str
    level: RiskLevel
    breakers: tuple[Trip, ...] = ()
    multipliers: tuple[tuple[str, float], ...] = ()
    would_rule: str = ""
    permitted_by: str = ""
    flatten: bool = False
    cancel_open: bool = False
    clearance: Clearance | None = field(default=None, compare=False, repr=False)

    @property
    def verdict(self) -> Verdict:
        """The same as the answer of a plain risk check, for its record."""
        return Verdict(self.approved, self.rule, self.value, self.limit, self.text)
