"""Weights, windows and budgets."""

from __future__ import annotations

from decimal import Decimal

from genesis.exchange.venue.limits import (
    AddressBudget,
    LimitProfile,
    WeightLimits,
    Window,
    answer_weight,
    exchange_weight,
    info_weight,
)

PROFILE = LimitProfile()


def test_a_window_forgets_after_its_span() -> None:
    window = Window(10, span_ms=1000)
    assert window.take(10, 0)
    assert not window.take(1, 999)
    assert window.take(1, 1000)
    assert window.spent(1000) == 1


def test_weight_1201_in_a_minute_is_too_much() -> None:
    limits = WeightLimits(PROFILE)
    assert all(limits.take("a", 20, 0) for _ in range(60))
    assert not limits.take("a", 1, 59_999)
    assert limits.take("b", 20, 0), "another address has a minute of its own"
    assert limits.take("a", 1, 60_000)


def test_what_rows_add_may_exceed_the_bound_and_then_blocks() -> None:
    limits = WeightLimits(PROFILE)
    assert limits.take("a", 1190, 0)
    limits.add("a", 100, 0)
    assert not limits.take("a", 1, 1)
    assert limits.spent("a", 1) == 1290


def test_weights_per_request() -> None:
    assert [info_weight(kind) for kind in ("l2Book", "orderStatus", "userRole", "meta")] == [
        2,
        2,
        60,
        20,
    ]
    assert answer_weight("userFills", [0] * 2000) == 100
    assert answer_weight("candleSnapshot", [0] * 5000) == 83
    assert answer_weight("meta", {"universe": []}) == 0
    assert exchange_weight({"type": "order", "orders": [0] * 39}) == 1
    assert exchange_weight({"type": "order", "orders": [0] * 40}) == 2
    assert exchange_weight({"type": "noop"}) == 1


def test_an_address_may_ask_ten_thousand_times_and_once_per_dollar() -> None:
    budget = AddressBudget(PROFILE)
    budget.spend("u", 10_000)
    text = budget.refusal("u", 2, Decimal(0), 0, cancels=False)
    assert text == (
        "Too many cumulative requests sent (10002 > 10000) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    assert budget.refusal("u", 2, Decimal(5), 0, cancels=False) is None
    assert budget.cap(Decimal("12.7")) == 10_012


def test_an_exhausted_address_gets_one_request_in_ten_seconds() -> None:
    budget = AddressBudget(PROFILE)
    budget.spend("u", 10_000)
    assert budget.refusal("u", 1, Decimal(0), 50_000, cancels=False) is None
    assert budget.refusal("u", 1, Decimal(0), 59_999, cancels=False) is not None
    assert budget.refusal("u", 1, Decimal(0), 60_000, cancels=False) is None


def test_cancels_have_twice_the_limit() -> None:
    budget = AddressBudget(PROFILE)
    budget.spend("u", 19_999)
    assert budget.refusal("u", 1, Decimal(0), 0, cancels=True) is None
    budget.spend("u", 1)
    assert budget.refusal("u", 2, Decimal(0), 0, cancels=True) is not None
    budget.spend("v", 1_090_000)
    assert budget.refusal("v", 10_000, Decimal(1_000_000), 0, cancels=True) is None
    assert budget.refusal("v", 20_001, Decimal(1_000_000), 0, cancels=True) is not None


def test_budget_comes_back() -> None:
    budget, again = AddressBudget(PROFILE), AddressBudget(PROFILE)
    budget.spend("u", 7)
    again.restore(budget.state())
    assert again.used("u") == 7
    assert again.state() == budget.state()
