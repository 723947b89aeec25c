"""Risk managers for rigs, and clearances for orders that a test makes by hand."""

from __future__ import annotations

from decimal import Decimal

from genesis.risk.decision import Clearance
from genesis.risk.limits import HardLimits, OrderFacts, RiskView
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState
from genesis.trading.gateway import OrderRequest
from genesis.trading.money import by_side

_PLENTY = Decimal("1e30")


def observing(limits: HardLimits | None = None) -> GeneticRiskManager:
    """A manager whose hard limits alone change orders."""
    return GeneticRiskManager(limits=limits, profile=RiskProfile.OBSERVE)


def cleared(order: OrderRequest) -> Clearance:
    """Clearance of an order by a manager that finds nothing wrong with it."""
    price = order.price or Decimal(1)
    facts = OrderFacts(
        account=order.account,
        symbol=order.symbol,
        size=by_side(order.side, order.size),
        price=price,
        reference=price,
        reduce_only=order.reduce_only,
        ts_ms=1,
        trigger=True,
    )
    zero = Decimal(0)
    view = RiskView(_PLENTY, zero, zero, zero, zero, _PLENTY, zero, 0)
    state, market = RiskState(), MarketState(60_000)
    found = observing().evaluate_trade_risk(facts, view, state, market).clearance
    assert found is not None
    return found
