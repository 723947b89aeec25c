"""The risk manager in the loop: sizes that it cuts, breakers that act, and who re-arms them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from genesis.risk.genome import GENES, RiskGenes, RiskGenome
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.trading.core import TradingCore
from genesis.trading.gateway import OrderKind
from genesis.trading.payloads import (
    AlertRaised,
    BreakerTripped,
    OperatorCommand,
    OpportunityRejected,
    RiskAssessed,
    RiskLevelChanged,
    TradingHalted,
)
from tests.unit.trading.core_rig import ACCOUNT, NAKED, Rig, Script, sized

WARM = 260
"""Bars after which the market of a symbol is known."""
SMALL = sized(NAKED, 0.05)
"""Five units at 100 of a capital of 10,000."""
LOOSE = RiskGenes(**{gene.name: gene.loosest for gene in GENES})


def manager(profile: RiskProfile = RiskProfile.ENFORCE, **genes: float) -> GeneticRiskManager:
    """Loose but for some genes, and so that what a quiet market does cuts nothing."""
    return GeneticRiskManager(RiskGenome(LOOSE).replace(**genes), profile=profile)


def warmed(risk: GeneticRiskManager, exchange: Any = None, bars: int = WARM, **more: Any) -> Rig:
    """A market that rises and falls by one, long enough to be known."""
    rig = Rig(SMALL, risk=risk, exchange=exchange, **more)
    for number in range(bars):
        rig.bar(100.0 + number % 2, 101.0 - number % 2)
    return rig


def lasts(rig: Rig, kind: type) -> Any:
    return rig.all(kind)[-1]


def command(rig: Rig, name: str, **arguments: Any) -> None:
    rig.say(OperatorCommand(f"CMD_{name}", name, "seen to", "ann", arguments))


def test_nothing_is_cut_where_nothing_is_the_matter() -> None:
    exchange = Script()
    rig = warmed(manager(), exchange)
    rig.bar(100.0, wish="long")
    (assessed,) = rig.all(RiskAssessed)
    assert (assessed.approved, assessed.asked, assessed.size, assessed.would) == (True, 5, 5, 5)
    assert assessed.level == "LOW"
    assert exchange.submitted[0].size == 5


@pytest.mark.parametrize(
    ("profile", "sent"), [(RiskProfile.ENFORCE, "2"), (RiskProfile.OBSERVE, "5")]
)
def test_a_cap_cuts_the_size_where_it_is_enforced(profile: RiskProfile, sent: str) -> None:
    exchange = Script()
    rig = warmed(manager(profile, max_position=0.02), exchange)
    rig.bar(100.0, wish="long")
    (assessed,) = rig.all(RiskAssessed)
    assert assessed.asked == 5
    assert float(assessed.would) == pytest.approx(2.0)
    assert float(assessed.size) == pytest.approx(float(sent))
    assert float(exchange.submitted[0].size) == pytest.approx(float(sent))


def test_a_cut_is_made_once_and_not_again_when_the_order_is_made() -> None:
    """The multiplier of a bear market takes half of a long; it is not taken twice."""
    exchange = Script()
    rig = warmed(manager(bear_cut=0.5), exchange)
    for number in range(40):
        rig.bar(100.0 - number, 99.0 - number)
    rig.bar(60.0, wish="long")
    (assessed,) = rig.all(RiskAssessed)
    assert assessed.multipliers["bear"] == 0.5
    assert exchange.submitted[0].size == pytest.approx(assessed.size, abs=Decimal("0.001"))
    assert assessed.size == pytest.approx(assessed.asked / 2, rel=Decimal("0.01"))


def test_a_market_that_is_not_known_yet_is_not_traded() -> None:
    exchange = Script()
    rig = warmed(manager(), exchange, bars=50)
    rig.bar(100.0, wish="long")
    assert exchange.submitted == []
    assert "unknown" in lasts(rig, OpportunityRejected).reason
    rig = warmed(manager(RiskProfile.OBSERVE), exchange, bars=50)
    rig.bar(100.0, wish="long")
    assert len(exchange.submitted) == 1


def test_a_look_before_the_first_bar_knows_nothing_and_allows_nothing() -> None:
    rig = Rig(SMALL, risk=manager(), deploy=False)
    guard = rig.core.guard
    assert guard.look(ACCOUNT) is None
    assert guard.metrics(ACCOUNT) is None, "nobody trades it yet"
    rig.deploy(SMALL)
    assert guard.look(ACCOUNT) is not None
    assert guard.look(ACCOUNT) is None, "it is flat, with the equity of the last look"
    metrics = guard.metrics(ACCOUNT)
    assert metrics is not None
    assert [trip.breaker for trip in metrics.breakers] == ["stale_data"]
    assert metrics.breakers[0].text == "no bar was seen"
    assert metrics.level.name == "CRITICAL"
    assert (metrics.largest, metrics.daily_drawdown, metrics.losses) == (0.0, 0.0, 0)
    for known, rule in ((False, "price"), (True, "stale_data")):
        if known:
            rig.core.desk.market.prices[rig.instrument.symbol] = 100.0
        verdict = guard.judge(rig.deployment, Decimal(1), None, reduce_only=False)
        assert (verdict.approved, verdict.rule) == (False, rule)
    assert guard.judge(rig.deployment, Decimal(-1), None, reduce_only=True).approved


def test_a_loss_that_leaves_an_account_flat_between_two_bars_trips_at_once() -> None:
    exchange = Script()
    rig = warmed(manager(rapid_loss=0.005), exchange)
    rig.bar(100.0, wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(100.0, wish="exit_long")
    assert "rapid_loss" not in {one.breaker for one in rig.all(BreakerTripped)}
    rig.fill(exchange.submitted[-1], 85.0)  # five units lose 75 of 10,000, and nothing is left
    (tripped,) = [one for one in rig.all(BreakerTripped) if one.breaker == "rapid_loss"]
    assert tripped.value == pytest.approx(0.0075, rel=0.01)
    assert any("rapid_loss" in alert.title for alert in rig.all(AlertRaised))


def test_a_daily_loss_stops_new_risk_until_the_next_day() -> None:
    exchange = Script()
    morning = WARM + 8
    rig = warmed(manager(daily_drawdown=0.005, rapid_loss=0.1), exchange, bars=morning)
    rig.bar(100.0, wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(100.0, 85.0)  # five units lose 75 of 10,000
    tripped = lasts(rig, BreakerTripped)
    assert (tripped.breaker, tripped.account) == ("daily_drawdown", ACCOUNT)
    assert tripped.value == pytest.approx(0.0075, rel=0.01)
    assert lasts(rig, RiskLevelChanged).after == "CRITICAL"
    assert any("daily_drawdown" in alert.title for alert in rig.all(AlertRaised))
    rig.bar(85.0, wish="exit_long")
    close = exchange.submitted[-1]
    assert close.reduce_only, "what reduces is never refused"
    rig.fill(close, 85.0)
    sent = len(exchange.submitted)
    rig.bar(85.0, wish="long")
    assert len(exchange.submitted) == sent
    assert lasts(rig, RiskAssessed).rule == "daily_drawdown"
    for _ in range(24):
        rig.bar(85.0, 86.0)
        rig.bar(86.0, 85.0)
    rig.bar(85.0, wish="long")
    assert len(exchange.submitted) == sent + 1


def test_an_emergency_closes_the_position_and_waits_for_a_person() -> None:
    exchange = Script()
    rig = warmed(manager(total_drawdown=0.01, daily_drawdown=0.1, rapid_loss=0.1), exchange)
    rig.bar(100.0, wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(100.0, 70.0)
    close = exchange.submitted[-1]
    assert (close.kind, close.reduce_only, close.size) == (OrderKind.MARKET, True, 5)
    assert lasts(rig, TradingHalted).scope == f"account:{ACCOUNT}"
    rig.fill(close, 70.0)
    assert rig.position == 0
    sent = len(exchange.submitted)
    for _ in range(30):
        rig.bar(70.0, 71.0)
        rig.bar(71.0, 70.0)
    rig.bar(70.0, wish="long")
    assert len(exchange.submitted) == sent
    command(rig, "resume", scope=f"account:{ACCOUNT}")
    rig.bar(70.0, wish="long")
    assert len(exchange.submitted) == sent, "a halt that is lifted re-arms no breaker"
    command(rig, "rearm", breaker="total_drawdown", account=ACCOUNT)
    rig.bar(70.0, wish="long")
    assert len(exchange.submitted) == sent + 1


def test_observed_breakers_are_on_record_and_change_nothing() -> None:
    exchange = Script()
    risk = manager(RiskProfile.OBSERVE, total_drawdown=0.01, daily_drawdown=0.005)
    rig = warmed(risk, exchange)
    rig.bar(100.0, wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(100.0, 70.0)
    assert {"total_drawdown", "daily_drawdown"} <= {b.breaker for b in rig.all(BreakerTripped)}
    assert len(exchange.submitted) == 1
    assert not rig.all(TradingHalted)
    assert not [alert for alert in rig.all(AlertRaised) if alert.category == "risk"]


def test_new_risk_at_level_high_needs_a_person_for_a_while() -> None:
    exchange = Script()
    rig = warmed(manager(high_volatility=0.5), exchange)
    for number in range(60):  # wilder than ever before
        rig.bar(100.0 + 4 * (number % 2), 104.0 - 4 * (number % 2))
    rig.bar(100.0, wish="long")
    assert exchange.submitted == []
    assert lasts(rig, RiskAssessed).rule == "volatility_spike"
    command(rig, "permit", account=ACCOUNT, for_ms=7_200_000)
    rig.bar(100.0, wish="long")
    assert len(exchange.submitted) == 1
    assert lasts(rig, RiskAssessed).permitted_by == "ann"
    assert exchange.submitted[0].size < 5, "at this level the size is cut all the same"


@pytest.mark.parametrize(
    ("asked", "lasts"),
    [(3_600_000, 3_600_000), (10**15, 86_400_000), ("1h", 0), (None, 0), (1e9, 0), (-5, -5)],
)
def test_a_permit_ends_after_a_day_at_the_latest(asked: Any, lasts: int) -> None:
    """Whoever wrote the command: its file may come from another hand."""
    rig = Rig(SMALL, risk=manager(), exchange=Script())
    rig.bar()
    command(rig, "permit", account=ACCOUNT, for_ms=asked)
    permit = rig.core.guard.book.permits[ACCOUNT]
    assert permit.until_ms == rig.clock.now_ms() + lasts
    assert permit.holds(rig.clock.now_ms()) is (lasts > 0)


def test_an_observed_order_says_what_would_have_cut_it() -> None:
    for profile in RiskProfile:
        rig = warmed(manager(profile, max_position=0.02), Script())
        rig.bar(100.0, wish="long")
        (assessed,) = rig.all(RiskAssessed)
        assert assessed.would_rule == "max_position"
        rig = warmed(manager(profile, max_trades_per_hour=1.0), Script(), bars=20)
        rig.bar(100.0, wish="long")
        assert lasts(rig, RiskAssessed).would_rule == "regime"
        rig = warmed(manager(profile), Script())
        rig.bar(100.0, wish="long")
        assert lasts(rig, RiskAssessed).would_rule == ""


def test_what_risk_remembers_is_part_of_the_state() -> None:
    exchange = Script()
    rig = warmed(manager(daily_drawdown=0.005), exchange)
    rig.bar(100.0, wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(100.0, 85.0)
    other = TradingCore("run", manager(daily_drawdown=0.005), orders=rig.core.desk.orders.settings)
    other.restore(rig.core.plain())
    assert other.state_hash == rig.core.state_hash
    assert other._guard.book.accounts[ACCOUNT].trips(rig.clock.now_ms())
    fresh = TradingCore("run", manager(), orders=rig.core.desk.orders.settings)
    assert fresh.state_hash != rig.core.state_hash
