"""Halts, stalls, connections and a person's commands."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.trading.deployment import DeploymentOptions
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.payloads import (
    AlertRaised,
    ConnectionChanged,
    DeploymentStopped,
    OperatorCommand,
    OpportunityRejected,
    OrderSubmit,
    PositionClosed,
    QueueOverflowed,
    StageRecovered,
    StageStalled,
    StopLossTriggered,
    TradingHalted,
    TradingResumed,
)
from tests.unit.trading.core_rig import GUARDED, NAME, Rig, Script, of

NUMBERS = iter(range(1, 10_000))


def command(name: str, **arguments: object) -> OperatorCommand:
    return OperatorCommand(f"CMD_{next(NUMBERS)}", name, "just so", "anna", arguments)


def held(**more: object) -> tuple[Rig, Script]:
    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange, **more)  # type: ignore[arg-type]
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    return rig, exchange


SCOPES = [
    ("run", True),
    ("symbol:BTC", True),
    ("symbol:ETH", False),
    ("account:paper/a", True),
    ("account:paper/b", False),
]


@pytest.mark.parametrize(("scope", "mine"), SCOPES)
def test_a_halt_holds_in_its_scope_until_it_is_lifted(scope: str, mine: bool) -> None:
    rig = Rig()
    rig.bar()
    (halted,) = of(rig.say(command("halt", scope=scope)), TradingHalted)
    assert (halted.scope, halted.reason) == (scope, "anna: just so")
    assert of(rig.say(command("halt", scope=scope)), TradingHalted) == [], "it is told once"
    rig.bar(wish="long")
    rig.bar()
    assert (rig.position == 0) == mine
    (resumed,) = of(rig.say(command("resume", scope=scope)), TradingResumed)
    assert resumed.scope == scope
    if mine:
        assert "anna: just so" in rig.all(OpportunityRejected)[0].reason
        rig.bar(wish="long")
        rig.bar()
        assert rig.position != 0


def test_a_halt_lets_everybody_out() -> None:
    rig, exchange = held()
    rig.say(command("halt"))
    rig.bar(wish="exit_long")
    close = exchange.submitted[-1]
    assert (close.reduce_only, close.kind) == (True, OrderKind.MARKET)
    rig.fill(close)
    assert rig.position == 0


@pytest.mark.parametrize(
    ("lost", "back", "mine"),
    [
        (StageStalled("loop", 10_014, 12_000, 0), StageRecovered("loop"), True),
        (StageStalled("feed:BTC", 1, 30_000, 0), StageRecovered("feed:BTC"), True),
        (StageStalled("feed:ETH", 1, 30_000, 0), StageRecovered("feed:ETH"), False),
        (ConnectionChanged("hyperliquid", False, "gone"),
         ConnectionChanged("hyperliquid", True), True),
    ],
)  # fmt: skip
def test_what_stands_still_halts_new_risk_until_it_moves(
    lost: object, back: object, mine: bool
) -> None:
    rig = Rig()
    rig.bar()
    events = rig.say(lost)  # type: ignore[arg-type]
    assert len(of(events, TradingHalted)) == 1
    assert [a.level for a in of(events, AlertRaised)] == ["critical"]
    rig.bar(wish="long")
    rig.bar()
    assert (rig.position == 0) == mine
    assert len(of(rig.say(back), TradingResumed)) == 1  # type: ignore[arg-type]
    rig.bar(wish="long")
    rig.bar()
    assert rig.position != 0


def test_an_overflow_is_told() -> None:
    (alert,) = of(Rig().say(QueueOverflowed("HIGH", 10_000, "/x.parquet")), AlertRaised)
    assert "HIGH" in alert.title
    assert "10000" in alert.text
    assert "/x.parquet" in alert.text


# ---- commands --------------------------------------------------------------------------------


def test_flatten_closes_at_once() -> None:
    rig, exchange = held()
    rig.say(command("flatten"))
    close = exchange.submitted[-1]
    assert (close.kind, close.side, close.size, close.reduce_only) == (
        OrderKind.MARKET,
        Side.SELL,
        Decimal(50),
        True,
    )
    sent = len(exchange.submitted)
    rig.say(command("flatten"))
    assert len(exchange.submitted) == sent, "it is on its way"
    rig.fill(close)
    assert [c.reason for c in rig.all(PositionClosed)] == ["manual"]
    entries = [row for row in rig.table("journal") if row[2] == "operator"]
    assert len(entries) == 2


def test_a_command_can_name_its_deployment() -> None:
    rig, exchange = held()
    sent = len(exchange.submitted)
    rig.say(command("flatten", deployment="DEP_OTHER"))
    rig.say(command("stop", deployment="DEP_OTHER"))
    assert len(exchange.submitted) == sent
    assert rig.deployment.stopped == ""
    rig.say(command("flatten", deployment=NAME))
    assert len(exchange.submitted) == sent + 1


def test_stop_ends_decisions_and_keeps_the_position_protected() -> None:
    rig, exchange = held()
    rig.say(command("stop"))
    assert rig.deployment.stopped == "stopped by anna: just so"
    assert rig.position == Decimal(50)
    stop = rig.core.desk.orders.get(rig.deployment.stop_order)
    assert stop is not None
    assert stop.live
    rig.fill(exchange.submitted[1], 98.0)
    rig.bar(wish="long")
    assert rig.position == 0
    assert exchange.submitted[-1] is exchange.submitted[2], "nothing new was sent"


@pytest.mark.parametrize("flatten", [True, False])
def test_a_stopped_deployment_leaves_if_it_is_told_to(flatten: bool) -> None:
    rig, exchange = held()
    sent = len(exchange.submitted)
    rig.say(DeploymentStopped(NAME, "retired", flatten))
    assert rig.deployment.stopped == "retired"
    assert len(exchange.submitted) - sent == flatten
    rig.say(DeploymentStopped("DEP_OTHER", "retired", True))


def test_cancel_all_takes_back_everything_and_a_stop_that_is_gone_is_no_surprise() -> None:
    rig, exchange = held()
    rig.say(command("cancel_all"))
    assert set(exchange.canceled) == {o.client_id for o in exchange.submitted[1:3]}
    assert rig.deployment.stop_order == ""
    assert [a for a in rig.all(AlertRaised) if a.title == "position without a stop"] == []
    assert rig.position == Decimal(50)


def test_entries_are_called_off_and_what_protects_a_position_stays() -> None:
    rig, exchange = held()
    rig.say(command("cancel_entries"))
    assert exchange.canceled == []
    assert rig.deployment.stop_order
    assert rig.position == Decimal(50)
    assert rig.deployment.stopped == "", "it may go on later"


def test_a_command_that_nobody_knows_is_told() -> None:
    rig = Rig()
    (alert,) = of(rig.say(command("explode")), AlertRaised)
    assert (alert.level, alert.title) == ("warning", "unknown command")
    assert "'explode'" in alert.text
    assert of(rig.say(command("quarantine")), AlertRaised) == []


def test_a_person_can_flatten_what_was_found_before_any_price_came() -> None:
    """A position taken over at the start of a run has no last price yet."""
    exchange = Script()
    rig = Rig(exchange=exchange)
    unknown = OrderRequest(
        "", "0xforeign", "paper/a", "BTC", Side.BUY, OrderKind.MARKET, Decimal(3)
    )
    rig.fill(unknown, 97.0)
    assert rig.position == Decimal(3)
    rig.say(command("flatten"))
    close = exchange.submitted[-1]
    assert (close.size, close.side, close.reduce_only) == (Decimal(3), Side.SELL, True)
    rig.fill(close, 97.0)
    assert rig.position == 0


# ---- stops that the loop watches -------------------------------------------------------------


def test_a_stop_that_is_not_acknowledged_yet_is_watched() -> None:
    exchange = Script(accepts=False)
    rig = Rig(GUARDED, exchange=exchange)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.open(100.0)
    hit = rig.quote(97.0)
    assert [t.by for t in of(hit, StopLossTriggered)] == ["loop"]
    assert of(hit, OrderSubmit)[0].order.kind is OrderKind.MARKET


def test_a_stop_that_rests_is_left_to_the_exchange() -> None:
    rig, exchange = held()
    sent = len(exchange.submitted)
    rig.open(100.0)
    assert of(rig.quote(97.0), StopLossTriggered) == []
    assert len(exchange.submitted) == sent


def test_a_trigger_that_comes_when_the_position_is_gone_does_nothing() -> None:
    rig, exchange = held(options=DeploymentOptions(stops="loop"))
    rig.open(100.0)
    rig.quote(97.0)
    close = exchange.submitted[-1]
    rig.fill(close, 97.0)
    again = rig.say(StopLossTriggered(NAME, 98.0, 97.0, "loop"))
    assert of(again, OrderSubmit) == []
    assert rig.deployment.closing == ""
