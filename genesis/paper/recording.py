"""From a trading run to performance: on the path of a fill, and from the rows of its ledger."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from genesis.domain.errors import InputError
from genesis.paper import outcomes as o
from genesis.paper.outcomes import OrderOutcome, RoundTrip
from genesis.paper.performance import StrategyPerformance
from genesis.trading.deployment import Deployment
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.orders import OrderState
from genesis.trading.payloads import TradeClosed

_BY_REASON = {"requested": o.WITHDRAWN, "reduce_only": o.VOID}
_NOT_SENT = "expired before it was sent"
_PROTECTIVE = frozenset((OrderKind.STOP, OrderKind.TARGET))


class PerformanceRecorder:
    """Running performance of every strategy of a run; a `TradeRecorder` of the trading core.

    Parameters
    ----------
    capitals : mapping of str to float
        Strategy id to its reference capital over all symbols, quote units.
    """

    def __init__(self, capitals: Mapping[str, float]) -> None:
        self.strategies = {
            name: StrategyPerformance(name, capital) for name, capital in capitals.items()
        }

    def record(self, trade: TradeClosed, deployment: Deployment) -> None:
        """Count a completed round trip."""
        name = deployment.strategy_id
        self.strategies[name].record_trade(RoundTrip.of(trade, name, deployment.symbol))

    def plain(self) -> dict[str, Any]:
        """State as JSON values."""
        return {name: one.plain() for name, one in self.strategies.items()}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over what `plain` gave."""
        self.strategies = {}
        for name, state in plain.items():
            self.strategies[name] = StrategyPerformance(name, 1.0)
            self.strategies[name].restore(state)


def round_trip_of(row: Mapping[str, Any], strategies: Mapping[str, str]) -> RoundTrip:
    """Round trip of a row of the table ``trades``.

    Parameters
    ----------
    row : mapping
        Column to value.
    strategies : mapping of str to str
        Deployment to strategy id.

    Raises
    ------
    InputError
        If the deployment is not among them.
    """
    return RoundTrip(
        strategy=_strategy_of(row, strategies),
        deployment=row["deployment"],
        symbol=row["symbol"],
        plan_id=row["plan_id"],
        side=Side(row["side"]),
        size=Decimal(row["size"]),
        entry=Decimal(row["entry"]),
        exit=Decimal(row["exit"]),
        pnl=Decimal(row["net"]),
        fees=Decimal(row["fees"]),
        funding=Decimal(row["funding"]),
        slippage=Decimal(row["slippage"]),
        entry_ms=row["entry_ms"],
        exit_ms=row["exit_ms"],
        reason=row["exit_reason"],
        exit_class=row["exit_class"],
        mfe=row["mfe"],
        mae=row["mae"],
    )


def order_outcome_of(row: Mapping[str, Any], strategies: Mapping[str, str]) -> OrderOutcome:
    """Outcome of a row of the table ``orders``; parameters as in `round_trip_of`.

    Slippage is the one that the venue tells, else the one since the decision, like the grade.

    Raises
    ------
    InputError
        If the deployment is not among the strategies.
    """
    filled = Decimal(row["filled"])
    average = row["average"]
    slippage = row["slippage"] if row["slippage"] is not None else row["intent_slippage"]
    return OrderOutcome(
        strategy=_strategy_of(row, strategies),
        symbol=row["symbol"],
        order_id=row["order_id"],
        purpose=row["purpose"],
        status=_status(row, filled),
        submitted_ms=row["submitted_ms"],
        accepted_ms=row["accepted_ms"],
        filled_ms=row["last_fill_ms"],
        latency_ms=row["latency_ms"],
        slippage_bp=None if slippage is None else 1e4 * slippage,
        notional=float(filled) * float(average) if average is not None else 0.0,
        maker_share=row["maker_share"] or 0.0,
        quality=row["grade"] or "",
    )


def _status(row: Mapping[str, Any], filled: Decimal) -> str:
    """How an order stands, in the words of `genesis.paper.outcomes`.

    A protective order that ends without a fill was withdrawn, whoever ended it: it goes with its
    position. An order that was called off before it was sent was withdrawn too, unless its time
    had run out.
    """
    state, reason = OrderState(row["state"]), row["reason"]
    if state is OrderState.FILLED:
        return o.FILLED
    if state is OrderState.UNKNOWN:
        return o.UNKNOWN
    if state is OrderState.REJECTED:
        return o.VOID if reason == "reduce_only" else o.REJECTED
    if state is OrderState.EXPIRED:
        return o.EXPIRED if row["submitted_ms"] or reason == _NOT_SENT else o.WITHDRAWN
    if state is not OrderState.CANCELED:
        return o.OPEN
    if filled:
        return o.PARTIAL
    if OrderKind(row["kind"]) in _PROTECTIVE:
        return o.VOID if reason == "reduce_only" else o.WITHDRAWN
    return _BY_REASON.get(reason, o.EXPIRED)


def _strategy_of(row: Mapping[str, Any], strategies: Mapping[str, str]) -> str:
    name = row["deployment"]
    if name not in strategies:
        raise InputError(
            f"no strategy is known for the deployment '{name}'",
            fix=f"the run has {', '.join(sorted(strategies)) or 'none'}",
        )
    return strategies[name]
