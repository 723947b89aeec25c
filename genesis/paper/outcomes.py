"""What performance is computed from: completed round trips and the fate of each order."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from genesis.trading.gateway import Side
from genesis.trading.money import subtract
from genesis.trading.payloads import TradeClosed

FILLED = "filled"
PARTIAL = "partial"
REJECTED = "rejected"
EXPIRED = "expired"
UNKNOWN = "unknown"
WITHDRAWN = "withdrawn"
VOID = "void"
OPEN = "open"
STATUSES = (FILLED, PARTIAL, REJECTED, EXPIRED, UNKNOWN, WITHDRAWN, VOID, OPEN)
"""How an order stands. *Partial* ended with a rest unfilled. *Withdrawn* was cancelled by
ourselves: the other exit of a pair, a level that moved. *Void* was reduce-only and met no position
any more. *Open* still rests or waits."""

ASKED = frozenset((FILLED, PARTIAL, REJECTED, EXPIRED, UNKNOWN))
"""Orders that asked for an execution, so that the share of filled ones says something."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A position from its first fill to flat, as `TradeClosed` tells it.

    Attributes
    ----------
    strategy, deployment, symbol, plan_id : str
    side : Side
        Of the entry.
    size, entry, exit : Decimal
        Base units, unsigned; average prices with slippage.
    pnl : Decimal
        Quote units, net of fees, slippage and funding; in the event it is before fees and funding.
    fees, funding, slippage : Decimal
        Quote units, positive where they cost.
    entry_ms, exit_ms : int
    reason, exit_class : str
        Why it was closed, and the class of the exit.
    mfe, mae : float
        Greatest excursions for and against it, fractions of the entry price.
    """

    strategy: str
    deployment: str
    symbol: str
    plan_id: str
    side: Side
    size: Decimal
    entry: Decimal
    exit: Decimal
    pnl: Decimal
    fees: Decimal
    funding: Decimal
    slippage: Decimal
    entry_ms: int
    exit_ms: int
    reason: str
    exit_class: str
    mfe: float = 0.0
    mae: float = 0.0

    @staticmethod
    def of(trade: TradeClosed, strategy: str, symbol: str) -> RoundTrip:
        """Round trip of an event; a deployment has one strategy and one symbol."""
        return RoundTrip(
            strategy=strategy,
            deployment=trade.deployment,
            symbol=symbol,
            plan_id=trade.plan_id,
            side=trade.side,
            size=trade.size,
            entry=trade.entry,
            exit=trade.exit,
            pnl=subtract(subtract(trade.pnl, trade.fees), trade.funding),
            fees=trade.fees,
            funding=trade.funding,
            slippage=trade.slippage,
            entry_ms=trade.entry_ms,
            exit_ms=trade.exit_ms,
            reason=trade.reason,
            exit_class=trade.exit_class,
            mfe=trade.mfe,
            mae=trade.mae,
        )


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """The fate of one order.

    Attributes
    ----------
    strategy, symbol, order_id, purpose : str
        ``purpose``: entry, exit, stop, target.
    status : str
        One of `STATUSES`.
    submitted_ms, accepted_ms, filled_ms : int
        0 where it did not happen.
    latency_ms : int or None
        To the last fill: from the submission of an order that takes liquidity at once, from its
        trigger for one that rests. None if nothing was filled.
    slippage_bp : float or None
        Of the average fill against the price that was meant, basis points, positive where it
        costs. None if nothing was filled.
    notional : float
        Filled, quote units.
    maker_share : float
        Part of what was filled that rested.
    quality : str
        A `genesis.costs.execution.ExecutionQuality`; empty while it is open.
    """

    strategy: str
    symbol: str
    order_id: str
    purpose: str
    status: str
    submitted_ms: int
    accepted_ms: int = 0
    filled_ms: int = 0
    latency_ms: int | None = None
    slippage_bp: float | None = None
    notional: float = 0.0
    maker_share: float = 0.0
    quality: str = ""
