"""What the guard shows the limits: unknown orders in full, the loss of the day, recent orders."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.domain.timeline import DAY_MS
from genesis.risk.limits import HardLimits, OrderFacts, RiskView, Verdict
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.payloads import OpportunityRejected, OrderUnknown, RiskAssessed
from tests.unit.trading.core_rig import ACCOUNT, HOUR, NAKED, NAME, START, Rig, Script, of


class Watcher:
    """Approves everything and keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[OrderFacts, RiskView]] = []

    def check(self, order: OrderFacts, view: RiskView) -> Verdict:
        self.seen.append((order, view))
        return Verdict(True, "watched", 0.0, 0.0, "seen")


def watched(**more: object) -> tuple[Rig, Script, Watcher]:
    watcher, exchange = Watcher(), Script()
    return Rig(limits=watcher, exchange=exchange, **more), exchange, watcher  # type: ignore[arg-type]


def test_every_order_that_adds_risk_is_judged_when_decided_and_when_made() -> None:
    rig, exchange, watcher = watched()
    rig.bar(wish="long")
    assert len(watcher.seen) == 2
    for facts, view in watcher.seen:
        assert (facts.size, facts.price, facts.reference) == (50, 100, 100)
        assert facts.ts_ms == START + HOUR
        assert (view.capital, view.account_capital) == (10_000, 10_000)
        assert (view.position, view.buying, view.selling, view.gross) == (0, 0, 0, 0)
    rig.fill(exchange.submitted[0])
    rig.bar(wish="exit_long")
    facts, view = watcher.seen[-1]
    assert (facts.size, facts.reduce_only) == (-50, True)
    assert (view.position, view.gross) == (50, 5_000)


def test_orders_in_the_market_count_at_full_size_whatever_became_of_them() -> None:
    rig, exchange, watcher = watched()
    rig.bar(wish="long")
    order = exchange.submitted[0]
    guard, deployment = rig.core._guard, rig.deployment

    def view() -> RiskView:
        guard.judge(deployment, Decimal(1), None, reduce_only=False)
        return watcher.seen[-1][1]

    assert (view().buying, view().selling, view().gross) == (50, 0, 5_000)
    rig.say(OrderUnknown(order.client_id, "submit", "timeout"))
    assert (view().buying, view().gross) == (50, 5_000)
    rig.fill(order, size="20")
    assert (view().position, view().buying, view().gross) == (20, 30, 5_000)
    rig.fill(order, size="30")
    assert (view().position, view().buying, view().gross) == (50, 0, 5_000)


def test_protective_orders_are_no_exposure() -> None:
    from tests.unit.trading.core_rig import GUARDED

    watcher, exchange = Watcher(), Script()
    rig = Rig(GUARDED, limits=watcher, exchange=exchange)  # type: ignore[arg-type]
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.core._guard.judge(rig.deployment, Decimal(1), None, reduce_only=False)
    view = watcher.seen[-1][1]
    assert (view.buying, view.selling, view.gross) == (0, 0, 5_000)


def test_the_gross_of_an_account_is_that_of_all_its_symbols() -> None:
    from dataclasses import replace

    rig, exchange, watcher = watched()
    rig.instrument = replace(rig.instrument, symbol="ETH", base="ETH")
    rig.deploy(name="DEP_ETH")
    rig.core.desk.market.prices["ETH"] = 10.0
    rig.instrument = replace(rig.instrument, symbol="BTC", base="BTC")
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    other = rig.core.desk.deployments["DEP_ETH"]
    rig.core._guard.judge(other, Decimal(1), None, reduce_only=False)
    view = watcher.seen[-1][1]
    assert (view.position, view.gross, view.account_capital) == (0, 5_000, 20_000)


def test_only_orders_of_the_last_minute_are_counted() -> None:
    rig, exchange, watcher = watched(
        options=DeploymentOptions(algorithm="twap", slices=4, spacing_ms=20_000)
    )
    rig.bar(wish="long")
    rig.bar()  # the other three slices fall due in this hour
    assert len(exchange.submitted) == 4
    first = [view.recent_orders for facts, view in watcher.seen]
    # judged when decided, then at 0, 20, 40 and 60 s: an order a minute ago is none of this minute
    assert first == [0, 0, 1, 2, 2]


def test_orders_that_only_reduce_are_not_counted() -> None:
    rig, exchange, _ = watched()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(wish="exit_long")
    rig.fill(exchange.submitted[-1])
    assert rig.core.desk.recent[ACCOUNT] == [START + HOUR]


def test_the_loss_of_the_day_begins_anew_at_midnight_utc() -> None:
    limits = HardLimits(max_daily_loss=0.05)
    rig = Rig(NAKED, limits=limits)
    for _ in range(19):
        rig.bar()
    rig.bar(wish="long")
    rig.bar(100.0, 88.0, "exit_long")  # 50 units lose 12: 6 % of 10,000
    rig.bar(88.0, 88.0, "long")
    assert rig.position == 0
    (refused,) = [r for r in rig.all(RiskAssessed) if not r.approved]
    assert refused.rule == "max_daily_loss"
    assert refused.value == pytest.approx(0.06)
    assert rig.bars == 22
    rig.bar(88.0, 88.0, "long")  # closes at 23:00, the day is still the same
    rig.bar(88.0, 88.0, "long")  # closes at midnight
    rig.bar(88.0, 88.0)
    assert rig.position > 0
    day, equity = rig.core.desk.day[ACCOUNT]
    assert (day, Decimal(equity)) == (START // DAY_MS + 1, 9_400)


def test_an_open_loss_is_a_loss_of_the_day_too() -> None:
    rig = Rig(limits=HardLimits(max_daily_loss=0.05))
    rig.bar(wish="long")
    rig.bar(100.0, 88.0, "short")
    rig.bar(88.0)
    assert rig.position == 0, "closed, and the entry of the other side is refused"
    assert [r.reason for r in rig.all(OpportunityRejected)] == [
        "loss of the day over capital is 0.06, the limit is 0.05"
    ]


def test_a_deployment_that_joins_later_does_not_make_a_loss_undone() -> None:
    from dataclasses import replace

    rig = Rig(limits=HardLimits(max_daily_loss=0.04))
    rig.bar(wish="long")
    rig.bar(100.0, 80.0, "exit_long")
    rig.bar(80.0, 80.0)  # 1,000 are lost
    rig.instrument = replace(rig.instrument, symbol="ETH", base="ETH")
    rig.deploy(name="DEP_ETH")
    rig.instrument = replace(rig.instrument, symbol="BTC", base="BTC")
    assert rig.core._guard._daily_pnl(ACCOUNT, rig.core._guard.equity(ACCOUNT)) == Decimal(-1_000)
    rig.bar(80.0, 80.0, "long")
    (refused,) = [r for r in rig.all(RiskAssessed) if not r.approved]
    assert (refused.rule, refused.value) == ("max_daily_loss", pytest.approx(0.05))


def test_a_verdict_is_on_record_with_all_that_it_was_made_from() -> None:
    rig = Rig(limits=HardLimits(max_order=0.25))
    events = rig.bar(wish="long")
    (risk,) = of(events, RiskAssessed)
    assert (risk.deployment, risk.approved, risk.rule) == (NAME, False, "max_order")
    assert (risk.value, risk.limit) == (0.5, 0.25)
    (rejected,) = of(events, OpportunityRejected)
    assert (rejected.risk_id, rejected.signal_id) == (risk.risk_id, risk.signal_id)
