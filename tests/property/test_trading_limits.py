"""Tightening a limit never admits an order that the looser one refused."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.risk.limits import HardLimits, OrderFacts, RiskView

amount = st.integers(-200_000, 200_000).map(lambda n: Decimal(n) / 1000)
positive = st.integers(0, 200_000).map(lambda n: Decimal(n) / 1000)
price = st.integers(1, 10**7).map(lambda n: Decimal(n) / 1000)
share = st.floats(1e-3, 5.0)
limits = st.builds(
    HardLimits,
    max_order=share,
    max_position=share,
    max_gross=share,
    max_orders_per_minute=st.integers(1, 100),
    price_collar=share,
    max_daily_loss=share,
)
orders = st.builds(
    OrderFacts,
    account=st.just("a"),
    symbol=st.just("BTC"),
    size=amount.filter(bool),
    price=price,
    reference=price,
    reduce_only=st.booleans(),
    ts_ms=st.just(0),
    trigger=st.booleans(),
)
views = st.builds(
    RiskView,
    capital=price,
    position=amount,
    buying=positive,
    selling=positive,
    gross=positive,
    account_capital=price,
    daily_pnl=amount,
    recent_orders=st.integers(0, 100),
    halted=st.sampled_from(["", "", "halted"]),
)


@settings(max_examples=400, deadline=None)
@given(limits, orders, views, st.data())
def test_tighter_never_admits_more(
    loose: HardLimits, order: OrderFacts, view: RiskView, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([f.name for f in fields(HardLimits)]))
    value = getattr(loose, name)
    if isinstance(value, int):
        tight = replace(loose, **{name: data.draw(st.integers(1, value))})
    else:
        tight = replace(loose, **{name: value * data.draw(st.floats(1e-3, 1.0))})
    if tight.check(order, view).approved:
        assert loose.check(order, view).approved


@settings(max_examples=400, deadline=None)
@given(limits, orders, views, st.data())
def test_more_of_anything_never_helps(
    limit: HardLimits, order: OrderFacts, view: RiskView, data: st.DataObject
) -> None:
    """More in the market, more lost, more sent: what was refused before stays refused."""
    worse = replace(
        view,
        buying=view.buying + data.draw(positive),
        selling=view.selling + data.draw(positive),
        gross=view.gross + data.draw(positive),
        daily_pnl=view.daily_pnl - data.draw(positive),
        recent_orders=view.recent_orders + data.draw(st.integers(0, 5)),
    )
    if limit.check(order, worse).approved:
        assert limit.check(order, view).approved
