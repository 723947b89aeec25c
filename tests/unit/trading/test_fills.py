"""What fills and other answers lead to, apart from the flows of `test_core_flows`."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.strategy.exits import ExitClass
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.gateway import Side
from genesis.trading.payloads import (
    FeedbackSubmitted,
    OpportunityRejected,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    TradeClosed,
)
from tests.unit.trading.core_rig import GUARDED, HOUR, NAKED, Rig, Script, of

TRAILING = GUARDED.__class__(size=0.5, stop_atr=1.0, trail_atr=1.0, atr_window=2)


def entered(policy: object = GUARDED, **more: object) -> tuple[Rig, Script]:
    exchange = Script()
    rig = Rig(policy, exchange=exchange, **more)  # type: ignore[arg-type]
    rig.warm()
    rig.bar(wish="long")
    return rig, exchange


def test_parts_of_an_entry_make_one_position_at_their_average() -> None:
    rig, exchange = entered()
    entry = exchange.submitted[0]
    (opened,) = of(rig.fill(entry, 100.0, "20"), PositionOpened)
    assert (opened.size, opened.stop, opened.target) == (Decimal(20), 98.0, 101.5)
    (updated,) = of(rig.fill(entry, 103.0, "30"), PositionUpdated)
    assert updated.size == Decimal(50)
    assert updated.entry == Decimal("101.8")  # (20·100 + 30·103) / 50
    assert updated.stop == pytest.approx(101.8 * 0.98)
    assert updated.target == pytest.approx(101.8 * 1.015)
    rig.fill(exchange.submitted[1], 99.0, size="50")
    (trade,) = rig.all(TradeClosed)
    assert (trade.size, trade.entry, trade.pnl) == (Decimal(50), Decimal("101.8"), Decimal(-140))


def test_the_trade_and_its_feedback_are_net_of_all_costs() -> None:
    from genesis.costs.model import CostModel

    costs = CostModel(taker=0.001, maker=0.0005, slippage=0.002)
    rig = Rig(NAKED, costs=costs)
    rig.bar(wish="long")
    rig.bar(funding=0.25)  # flat at the instant of the open
    rig.bar(100.0, 110.0, "exit_long", funding=2.0**-7)
    rig.bar(110.0)
    (trade,), (feedback,) = rig.all(TradeClosed), rig.all(FeedbackSubmitted)
    buy, sell = Decimal("100.2"), Decimal("109.78")
    assert (trade.entry, trade.exit) == (buy, sell)
    assert trade.pnl == 50 * (sell - buy)
    assert trade.fees == pytest.approx(Decimal("0.001") * 50 * (buy + sell))
    assert trade.funding == Decimal(50) * 100 / 128
    assert trade.slippage == pytest.approx(50 * Decimal("0.42"))
    net = trade.pnl - trade.fees - trade.funding
    assert feedback.pnl == net
    assert feedback.return_on_capital == pytest.approx(float(net) / 10_000)
    assert rig.core.desk.ledger.account("paper/a").cash == 10_000 + net


def test_excursions_are_those_of_the_bars_it_lived_in() -> None:
    rig = Rig(NAKED)
    rig.bar(wish="long")
    rig.bar(100.0, high=104.0, low=97.0)
    rig.bar(100.0, 100.0, "exit_long", high=103.0, low=98.0)
    rig.bar(101.0, high=150.0, low=50.0)  # it left at this open
    (trade,) = rig.all(TradeClosed)
    assert (trade.mfe, trade.mae) == (pytest.approx(0.04), pytest.approx(0.03))


@pytest.mark.parametrize(
    ("policy", "bars", "reason", "kind"),
    [
        (GUARDED, [(100.0, 97.5)], "stop", ExitClass.STOP_LOSS),
        (TRAILING, [(110.0, 99.5), (110.0, 90.0)], "stop", ExitClass.TRAILING_STOP),
    ],
)
def test_exits_are_classed(
    policy: object, bars: list[tuple[float, float]], reason: str, kind: ExitClass
) -> None:
    rig = Rig(policy)  # type: ignore[arg-type]
    rig.warm()
    rig.bar(wish="long")
    rig.bar()
    price = 100.0
    for close, low in bars:
        rig.bar(price, close, low=low, high=max(price, close))
        price = close
    (closed,) = rig.all(PositionClosed)
    assert (closed.reason, closed.exit_class) == (reason, kind)


def test_a_close_that_misses_a_late_part_of_the_entry_is_followed_by_another() -> None:
    rig, exchange = entered(NAKED)
    entry = exchange.submitted[0]
    rig.fill(entry, 100.0, "20")
    rig.bar(wish="exit_long")
    close = exchange.submitted[-1]
    assert close.size == Decimal(20)
    rig.fill(entry, 100.0, "30")
    rig.fill(close, 100.0)
    rest = exchange.submitted[-1]
    assert (rest.size, rest.side, rest.reduce_only) == (Decimal(30), Side.SELL, True)
    rig.fill(rest, 100.0)
    assert rig.position == 0
    assert rig.deployment.closing == ""
    assert len(rig.all(TradeClosed)) == 1


def test_a_close_that_is_refused_is_decided_again() -> None:
    rig, exchange = entered(NAKED)
    rig.fill(exchange.submitted[0])
    rig.bar(wish="exit_long")
    rig.reject(exchange.submitted[-1], "busy")
    assert rig.deployment.closing == ""
    sent = len(exchange.submitted)
    rig.bar(wish="exit_long")
    assert len(exchange.submitted) == sent + 1


def test_an_entry_that_was_partly_filled_and_ended_is_a_position() -> None:
    rig, exchange = entered()
    rig.fill(exchange.submitted[0], size="20")
    rig.cancel(exchange.submitted[0], "ioc")
    assert rig.deployment.plan_id != ""
    assert rig.position == Decimal(20)
    rig.fill(exchange.submitted[1], 98.0)
    assert rig.position == 0
    assert [str(row[5]) for row in rig.table("trade_plans")] == ["closed"]
    assert rig.deployment.plan_id == ""


def test_a_late_fill_of_a_canceled_entry_is_owned_and_protected() -> None:
    rig, exchange = entered()
    rig.cancel(exchange.submitted[0], "venue")
    assert rig.deployment.plan_id == ""
    rig.fill(exchange.submitted[0], size="20")
    assert rig.position == Decimal(20)
    assert rig.deployment.plan_id != ""
    stop, target = exchange.submitted[1:]
    assert stop.size == target.size == Decimal(20)
    rig.fill(stop, 98.0)
    assert rig.position == 0
    (trade,) = rig.all(TradeClosed)
    assert trade.pnl == Decimal(-40)


def test_a_stop_and_a_target_that_both_fill_leave_the_truth() -> None:
    """The other exit was filled before its cancel arrived: the position is what it is."""
    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    stop, target = exchange.submitted[1:]
    exchange.accepts = False
    rig.fill(stop, 98.0)
    rig.fill(target, 101.5)
    assert rig.position == Decimal(-50), "booked, not dreamt away"


def test_the_policy_counts_bars_from_the_bar_of_the_fill() -> None:
    rig = Rig(NAKED.__class__(size=0.5, cooldown=3))
    rig.bar(wish="long")
    rig.bar(wish="exit_long")
    for _ in range(3):  # left at the first of these opens: bar 2
        rig.bar(wish="long")
    rig.bar(wish="long")  # bar 5
    assert rig.position == 0
    rig.bar()
    assert rig.position > 0


def test_while_an_entry_works_no_other_is_made() -> None:
    rig, exchange = entered(
        NAKED, options=DeploymentOptions(algorithm="twap", slices=3, spacing_ms=5 * HOUR)
    )
    rig.bar(wish="long")
    assert len(exchange.submitted) == 1
    assert [r.reason for r in rig.all(OpportunityRejected)] == ["an entry is working already"]
