"""Hard limits: at, below and above each; what reduces passes; doubt counts in full."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from genesis.domain.errors import ConfigError
from genesis.risk.limits import HardLimits, OrderFacts, RiskView

LIMITS = HardLimits(
    max_order=0.5,
    max_position=1.0,
    max_gross=2.0,
    max_orders_per_minute=5,
    price_collar=0.25,
    max_daily_loss=0.1,
)
D = Decimal


def order(size: str = "10", price: str = "100", **more: object) -> OrderFacts:
    facts = OrderFacts("paper/a", "BTC", D(size), D(price), D(100), False, 0)
    return replace(facts, **more)  # type: ignore[arg-type]


def view(**more: object) -> RiskView:
    """A flat account of one deployment with 10,000."""
    base = {
        "capital": D(10_000),
        "position": D(0),
        "buying": D(0),
        "selling": D(0),
        "gross": D(0),
        "account_capital": D(10_000),
        "daily_pnl": D(0),
        "recent_orders": 0,
    }
    return RiskView(**{**base, **more})  # type: ignore[arg-type]


CASES = [
    # rule, order and view at the limit, the same just beyond it
    ("max_order", (order("50"), view()), (order("50.01"), view())),
    ("max_order", (order("-50"), view()), (order("-50.01"), view())),
    (
        "max_position",
        (order("40"), view(position=D(60), gross=D(6_000))),
        (order("40"), view(position=D("60.01"), gross=D(6_000))),
    ),
    (
        "max_position",
        (order("-40"), view(position=D(-60), gross=D(6_000))),
        (order("-40.01"), view(position=D(-60), gross=D(6_000))),
    ),
    (
        "max_position",
        (order("40"), view(buying=D(60), gross=D(6_000))),
        (order("40"), view(buying=D("60.01"), gross=D(6_000))),
    ),
    ("max_gross", (order("10"), view(gross=D(19_000))), (order("10"), view(gross=D("19000.01")))),
    ("max_orders_per_minute", (order(), view(recent_orders=4)), (order(), view(recent_orders=5))),
    (
        "max_daily_loss",
        (order(), view(daily_pnl=D(-1_000))),
        (order(), view(daily_pnl=D("-1000.01"))),
    ),
    ("price_collar", (order(price="125"), view()), (order(price="125.01"), view())),
    ("price_collar", (order(price="75"), view()), (order(price="74.99"), view())),
]


@pytest.mark.parametrize(("rule", "at", "beyond"), CASES)
def test_a_limit_may_be_reached_and_not_passed(
    rule: str, at: tuple[OrderFacts, RiskView], beyond: tuple[OrderFacts, RiskView]
) -> None:
    approved = LIMITS.check(*at)
    assert approved.approved, approved
    refused = LIMITS.check(*beyond)
    assert not refused.approved
    assert refused.rule == rule
    assert refused.value > refused.limit == getattr(LIMITS, rule)
    assert f"the limit is {refused.limit:g}" in refused.text


@pytest.mark.parametrize(("rule", "_", "beyond"), CASES)
def test_what_only_reduces_meets_the_collar_alone(
    rule: str, _: object, beyond: tuple[OrderFacts, RiskView]
) -> None:
    facts, seen = beyond
    verdict = LIMITS.check(replace(facts, reduce_only=True), replace(seen, halted="all of it"))
    assert verdict.approved == (rule != "price_collar")


def test_a_protective_level_may_be_anywhere() -> None:
    far = order("-10", "30", reduce_only=True, trigger=True)
    assert LIMITS.check(far, view(position=D(10))).approved
    assert not LIMITS.check(replace(far, trigger=False), view(position=D(10))).approved
    assert not LIMITS.check(replace(far, reduce_only=False), view(position=D(10))).approved


def test_a_halt_refuses_new_risk_and_says_why() -> None:
    verdict = LIMITS.check(order(), view(halted="the person at the desk"))
    assert (verdict.approved, verdict.rule) == (False, "halted")
    assert "the person at the desk" in verdict.text


def test_orders_of_both_sides_do_not_cancel_each_other_out() -> None:
    """Of a sale whose fate is unknown nobody may say that it makes room for a purchase."""
    crowded = view(selling=D(60), gross=D(6_000))
    assert LIMITS.check(order("50"), crowded).approved
    long = view(position=D(60), selling=D(60), gross=D(12_000))
    assert LIMITS.check(order("50"), long).rule == "max_position"
    short = view(position=D(-60), buying=D(60), gross=D(12_000))
    assert LIMITS.check(order("-50"), short).rule == "max_position"


def test_an_order_against_the_position_is_measured_by_where_it_ends() -> None:
    long = view(position=D(90), gross=D(9_000))
    assert LIMITS.check(order("-50"), long).approved
    assert LIMITS.check(order("50"), long).rule == "max_position"


def test_without_a_known_price_nothing_can_be_measured_and_nothing_is_opened() -> None:
    blind = order(price="0", reference=D(0))
    verdict = LIMITS.check(blind, view())
    assert (verdict.approved, verdict.rule) == (False, "price")
    assert LIMITS.check(replace(blind, reduce_only=True), view(position=D(-10))).approved


@pytest.mark.parametrize("price", [97.31, 3.3e-5, 64_123.7, 0.1 + 0.2])
@pytest.mark.parametrize("share", [1.0, 0.7, 1 / 3])
def test_a_size_made_from_the_limit_itself_is_within_it(price: float, share: float) -> None:
    """Sizes are capital over price, in floats: the noise of that is no breach."""
    limits = HardLimits(max_order=share, max_position=share, max_gross=share)
    for step in range(200):
        at = price * (1 + step / 977)
        size = D(repr(share * 100_000.0 / at))
        facts = order(str(size), str(D(repr(at))), reference=D(repr(at)))
        seen = view(capital=D(100_000), account_capital=D(100_000))
        assert limits.check(facts, seen).approved


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, True])
@pytest.mark.parametrize("name", list(HardLimits().plain()))
def test_a_limit_is_a_positive_number(name: str, value: float) -> None:
    with pytest.raises(ConfigError) as caught:
        HardLimits(**{name: value})  # type: ignore[arg-type]
    assert name in caught.value.what
    assert caught.value.fix


def test_limits_travel_as_plain_values() -> None:
    assert HardLimits.from_plain(LIMITS.plain()) == LIMITS
    with pytest.raises(ConfigError) as caught:
        HardLimits.from_plain({"max_ordr": 1.0})
    assert "max_order" in f"{caught.value.what} {caught.value.fix}"


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("capital", "NaN"),
        ("account_capital", "NaN"),
        ("gross", "NaN"),
        ("gross", "Infinity"),
        ("buying", "NaN"),
        ("buying", "Infinity"),
        ("daily_pnl", "NaN"),
        ("daily_pnl", "-Infinity"),
    ],
)
def test_a_snapshot_that_is_no_number_admits_nothing(name: str, bad: str) -> None:
    verdict = LIMITS.check(order(), view(**{name: D(bad)}))
    assert not verdict.approved
    assert math.isfinite(verdict.value)


@pytest.mark.parametrize("bad", ["NaN", "Infinity"])
@pytest.mark.parametrize("reduce_only", [True, False])
def test_a_price_that_is_none_is_not_sent(bad: str, reduce_only: bool) -> None:
    for changes in ({"price": D(bad)}, {"reference": D(bad)}):
        facts = order(reduce_only=reduce_only, trigger=True, **changes)
        assert not LIMITS.check(facts, view()).approved


def test_without_capital_nothing_is_opened() -> None:
    for name in ("capital", "account_capital"):
        verdict = LIMITS.check(order(), view(**{name: D(0)}))
        assert (verdict.approved, verdict.rule) == (False, "capital")
        assert LIMITS.check(order(reduce_only=True), view(**{name: D(0)})).approved
