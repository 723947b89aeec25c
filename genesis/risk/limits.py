"""Hard limits: constants that every order of every mode must meet, never genes.

The check is pure: it sees one order and a snapshot of the ledger, and answers with a verdict. An
order that only reduces a position is refused by nothing but the price collar: a limit that keeps
somebody from getting out is a danger itself. A protective stop or target is not refused by that
either: the market must come to its level first, and after a gap the right level may be far away.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any

from genesis.domain.errors import ConfigError, refuse_unknown_keys
from genesis.risk.book import Exposure, Permit

_ROUNDING = 1.0 + 1e-12
"""A size is capital over price in floats: at the limit itself it may be off by its last digit."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What a risk check needs to know of an order.

    Attributes
    ----------
    account, symbol : str
    size : Decimal
        Signed, base units.
    price : Decimal
        Limit or trigger price, or the last known price for a market order.
    reference : Decimal
        Last known price of the symbol.
    reduce_only : bool
    ts_ms : int
        Now, in the run's time.
    trigger : bool
        The price is one that the market must come to first, as of a stop or a target.
    scaled : bool
        It is a part of what was judged before: the multipliers were applied to it then, and only
        caps and refusals count now.
    """

    account: str
    symbol: str
    size: Decimal
    price: Decimal
    reference: Decimal
    reduce_only: bool
    ts_ms: int
    trigger: bool = False
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class RiskView:
    """Snapshot of the ledger at the moment of a check; money in quote units.

    Attributes
    ----------
    capital : Decimal
        Reference capital of the deployment.
    position : Decimal
        Signed position of the account in the symbol, base units.
    buying, selling : Decimal
        Unsigned sizes of entries that are open, pending or UNKNOWN, each at its full size.
    gross : Decimal
        Absolute notional of all positions and working entries of the account.
    account_capital : Decimal
        Reference capital of all deployments of the account.
    daily_pnl : Decimal
        Realised and unrealised result of the account since 00:00 UTC, costs included.
    recent_orders : int
        Orders of the account in the last minute, this one not counted.
    halted : str
        Why new risk is not allowed now, empty if it is.
    exposures : tuple of Exposure
        What the account has in each symbol, in the order of their names; the risk manager needs
        it, the hard limits do not.
    unknown_orders : int
        Orders of the account of which nobody knows what became.
    permit : Permit or None
        A person's approval of new risk at level HIGH.
    """

    capital: Decimal
    position: Decimal
    buying: Decimal
    selling: Decimal
    gross: Decimal
    account_capital: Decimal
    daily_pnl: Decimal
    recent_orders: int
    halted: str = ""
    exposures: tuple[Exposure, ...] = ()
    unknown_orders: int = 0
    permit: Permit | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Answer of a risk check.

    Attributes
    ----------
    approved : bool
    rule : str
        Rule that refused, or the one nearest to its limit.
    value, limit : float
        What was measured and what is allowed, in the rule's unit.
    text : str
        One readable sentence.
    """

    approved: bool
    rule: str
    value: float
    limit: float
    text: str


@dataclass(frozen=True, slots=True)
class HardLimits:
    """Limits on orders and positions, relative to the reference capital.

    Attributes
    ----------
    max_order : float
        Notional of one order over the deployment's capital.
    max_position : float
        Notional of position and working entries in a symbol over the deployment's capital.
    max_gross : float
        Gross notional of the account over its capital.
    max_orders_per_minute : int
        New orders of an account; those that only reduce are not counted against it.
    price_collar : float
        Greatest distance of a price from the last known one, as a fraction of it.
    max_daily_loss : float
        Loss since 00:00 UTC over the account's capital from which nothing new is opened.
    """

    max_order: float = 1.0
    max_position: float = 1.0
    max_gross: float = 3.0
    max_orders_per_minute: int = 60
    price_collar: float = 0.30
    max_daily_loss: float = 0.20

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:
                raise ConfigError(
                    f"limits.{spec.name} must be a positive number, not {value!r}",
                    fix=f"write for example {spec.name}: {spec.default}",
                )

    def plain(self) -> dict[str, Any]:
        """Fields as a mapping that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> HardLimits:
        """Read back what `plain` wrote.

        Raises
        ------
        ConfigError
            For an unknown key or a value out of range.
        """
        refuse_unknown_keys("limits", value, [f.name for f in fields(cls)])
        return cls(**value)

    def check(self, order: OrderFacts, view: RiskView) -> Verdict:
        """Judge an order.

        Parameters
        ----------
        order : OrderFacts
        view : RiskView

        Returns
        -------
        Verdict
            The first rule that refuses, else the price collar's approval.
        """
        if not (order.price.is_finite() and order.reference.is_finite()):
            return Verdict(False, "price", 0.0, 0.0, f"{order.symbol} has a price that is none")
        distance = abs(float(order.price / order.reference) - 1.0) if order.reference else 0.0
        waits = order.trigger and order.reduce_only
        # Written so that a value that is no number is over its limit.
        if not distance <= self.price_collar * _ROUNDING and not waits:
            return _refuse("price_collar", distance, self.price_collar, "price from the last one")
        if order.reduce_only:
            return Verdict(True, "reduce_only", 0.0, 0.0, "the order only reduces a position")
        if view.halted:
            return Verdict(False, "halted", 1.0, 0.0, f"new risk is halted: {view.halted}")
        if not order.reference:
            return Verdict(False, "price", 0.0, 0.0, f"no price of {order.symbol} is known")
        if not (float(view.capital) > 0.0 and float(view.account_capital) > 0.0):
            return Verdict(False, "capital", 0.0, 0.0, "there is no capital to measure risk by")
        for rule, value, limit, what in self._measures(order, view):
            if not value <= limit * _ROUNDING:
                return _refuse(rule, value, limit, what)
        return Verdict(True, "price_collar", distance, self.price_collar, "within all limits")

    def _measures(
        self, order: OrderFacts, view: RiskView
    ) -> tuple[tuple[str, float, float, str], ...]:
        capital, whole = float(view.capital), float(view.account_capital)
        price = float(order.reference)
        size = float(order.size)
        # Whether what works fills nobody knows: its own side is taken for filled, the other not.
        if size > 0.0:
            after = float(view.position + view.buying) + size
        else:
            after = -(float(view.position - view.selling) + size)
        after = (0.0 if after <= 0.0 else after) * price / capital
        gross = (float(view.gross) + abs(size) * price) / whole
        return (
            ("max_order", abs(size) * price / capital, self.max_order, "order over capital"),
            ("max_position", after, self.max_position, "position over capital"),
            ("max_gross", gross, self.max_gross, "gross exposure over capital"),
            (
                "max_orders_per_minute",
                view.recent_orders + 1.0,
                float(self.max_orders_per_minute),
                "orders in the last minute",
            ),
            (
                "max_daily_loss",
                -float(view.daily_pnl) / whole,
                self.max_daily_loss,
                "loss of the day over capital",
            ),
        )


def _refuse(rule: str, value: float, limit: float, what: str) -> Verdict:
    text = f"{what} is {value:.4g}, the limit is {limit:g}"
    # A verdict is written as JSON, which has no infinity and nothing that is no number.
    return Verdict(False, rule, value if math.isfinite(value) else -1.0, limit, text)
