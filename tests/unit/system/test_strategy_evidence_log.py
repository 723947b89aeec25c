"""Orders, fills, stops and alerts folded from hand-made events: every answer an exchange gives."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.system.strategy_evidence_alerts import alerts_section
from genesis.system.strategy_evidence_fills import fill_plain, name_fills
from genesis.system.strategy_evidence_log import TradedLog, fold_log
from genesis.system.strategy_evidence_operations import Operations
from genesis.system.strategy_evidence_parts import Source
from genesis.system.strategy_evidence_runs import EvidenceRun, _live_facts
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side, VenueFill
from genesis.trading.kill_latch import KillLatch, KillOrder
from genesis.trading.payloads import (
    AlertAcknowledged,
    AlertAnswered,
    AlertEntered,
    AlertRaised,
    Causality,
    DeploymentAdded,
    FundingPaid,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    Origin,
    PositionClosed,
    PositionOpened,
    RiskAssessed,
    RunStarted,
    TradeIntent,
)
from genesis.trading.store import EventStore
from tests.unit.trading.event_samples import HandClock

STRATEGY, ACCOUNT, NAME = "strat_a", "live/0x1", "strat_a/BTC"


def added(strategy: str = STRATEGY, account: str = ACCOUNT) -> DeploymentAdded:
    options = {"stop_within_ms": 5_000}
    name = f"{strategy}/BTC"
    return DeploymentAdded(name, strategy, {}, account, "BTC", {}, 100.0, 60_000, 0, options)


def submit(number: int, purpose: str = "entry", plan: str = "TPL_1", **more: Any) -> OrderSubmit:
    order = OrderRequest(
        f"ORD_{number}", f"c{number}", ACCOUNT, "BTC", Side.BUY, OrderKind.MARKET, Decimal(2)
    )
    return OrderSubmit(NAME, plan, purpose, order, f"INT_{number}", Decimal(100), **more)


def filled(number: int, size: str = "2", price: str = "101", fill: str = "v1") -> OrderFilled:
    return OrderFilled(
        VenueFill(
            fill, f"c{number}", "V", ACCOUNT, "BTC", Side.BUY, Decimal(size), Decimal(price),
            Decimal("0.1"), False, 1, Decimal("100.5"),
        )
    )  # fmt: skip


def folded(*payloads: Payload | tuple[Payload, int] | tuple[Payload, int, int]) -> TradedLog:
    """A log of these; a pair has the clock of the run, a third member what caused it."""
    started = RunStarted("r", "b", "live", {"market": {"network": "local"}})
    events = [Event(started, 1, seq=1), Event(added(), 1, seq=2)]
    for place, one in enumerate(payloads, start=3):
        data, at, cause = (*one, 0, 0)[:3] if isinstance(one, tuple) else (one, place, 0)
        events.append(Event(data, at, caused_by=cause, seq=place, recorded_ms=at))
    return fold_log(events, STRATEGY)


@pytest.mark.parametrize(
    ("answers", "state", "why"),
    [
        ([], "sent", ""),
        ([OrderAccepted("c1", "V")], "open", ""),
        ([OrderRejected("c1", "submit", "margin", "too little")], "rejected", "margin too little"),
        ([OrderAccepted("c1", "V"), OrderRejected("c1", "cancel", "late")], "open", ""),
        ([OrderUnknown("c1", "submit", "timeout")], "unknown", "timeout"),
        ([OrderUnknown("c1", "submit", "timeout"), OrderAccepted("c1", "V")], "open", ""),
        ([OrderUnknown("c1", "submit", "t"), OrderStatus("c1", "absent")], "rejected", "t"),
        ([OrderUnknown("c1", "submit", "t"), OrderStatus("c1", "trigger_wait")], "open", ""),
        ([OrderAccepted("c1", "V"), OrderCanceled("c1", "user")], "canceled", "user"),
        ([filled(1)], "filled", ""),
        ([filled(1), OrderCanceled("c1", "late")], "filled", ""),
        ([filled(1, "1"), OrderCanceled("c1", "user")], "canceled", "user"),
        ([OrderModified("c1", "W", Decimal(99), Decimal(1)), filled(1, "1")], "filled", ""),
    ],
)
def test_the_state_of_an_order_follows_its_answers(
    answers: list[Payload], state: str, why: str
) -> None:
    plain = folded(submit(1), *answers).orders["c1"].to_plain()
    assert (plain["state"], plain["why"]) == (state, why)


def test_a_fill_that_is_told_twice_counts_once() -> None:
    log = folded(
        submit(1), filled(1, "1", "100"), filled(1, "1", "100"), filled(1, "1", "102", "v2")
    )
    plain = log.orders["c1"].to_plain()
    assert [one.seq for one in log.fills] == [4, 6]
    assert (plain["filled"], plain["fees"], plain["average"]) == ("2", "0.2", 101.0)
    assert plain["slippage_bp"] == pytest.approx(100.0)  # 1 of 100
    told = fill_plain(log.fills[1], log)
    assert told["intent_slippage_bp"] == pytest.approx(200.0)
    assert told["slippage_bp"] == pytest.approx((102 / 100.5 - 1) * 1e4)


def test_other_strategies_of_the_run_are_left_out() -> None:
    alien = OrderSubmit(
        "strat_b/BTC", "TPL_9", "entry",
        OrderRequest("ORD_9", "c9", "live/0x2", "BTC", Side.BUY, OrderKind.MARKET, Decimal(1)),
    )  # fmt: skip
    fill = OrderFilled(
        VenueFill("v", "c9", "V", "live/0x2", "BTC", Side.BUY, Decimal(1), Decimal(1), Decimal(1),
                  False, 1, Decimal(1))
    )  # fmt: skip
    paid = [FundingPaid(name, "BTC", Decimal(3), 0.0, Decimal(1), 1.0) for name in
            (ACCOUNT, "live/0x2")]  # fmt: skip
    log = folded(added("strat_b", "live/0x2"), alien, fill, *paid)
    assert (log.orders, log.fills, log.funding) == ({}, [], Decimal(3))
    assert log.others == {"strat_b"}


def test_a_fill_names_the_signals_of_its_own_intent() -> None:
    def intent(number: int, signal: str) -> TradeIntent:
        cause = Causality(Origin("tick", "TCK", 1), (signal,), (), "STR", "TPL_1")
        return TradeIntent(f"INT_{number}", NAME, "NEW", "entry", cause, 0)

    log = folded(intent(1, "SIG_in"), submit(1), filled(1), intent(2, "SIG_out"),
                 submit(2, "exit signal"), filled(2, fill="v2"), submit(3, "stop"),
                 filled(3, fill="v3"))  # fmt: skip
    log.orders["c3"].sent = submit(77, "stop")  # a stop has an intent of nobody
    signals = [fill_plain(one, log)["signal_ids"] for one in log.fills]
    assert signals == [["SIG_in"], ["SIG_out"], ["SIG_in"]]


@pytest.mark.parametrize(
    ("stop_at", "closed_at", "late", "longest"),
    [(5_500, None, False, 4_500), (6_100, None, True, 5_100), (None, 5_900, False, None),
     (None, 9_000, True, None)],
)  # fmt: skip
def test_positions_without_a_stop_in_time_are_counted(
    stop_at: int | None, closed_at: int | None, late: bool, longest: int | None
) -> None:
    rows: list[Any] = [
        (submit(1), 900),
        (filled(1), 1_000),
        (PositionOpened(NAME, "TPL_1", Decimal(2), Decimal(101), 0.0, 0.0), 1_400, 4),
        (submit(2, "stop"), 1_500),
    ]
    if stop_at is not None:
        rows.append((OrderAccepted("c2", "W"), stop_at))
    if closed_at is not None:
        rows.append((PositionClosed(NAME, "TPL_1", "unprotected", ""), closed_at))
    rows.append((AlertRaised("info", "x", "later", ""), 20_000))
    found = _live_facts(folded(*rows), STRATEGY, "")["stops"]
    assert (found["positions"], found["longest_ms"]) == (1, longest)
    assert bool(found["late"]) == late


def test_risk_impact_counts_refusals_and_cuts() -> None:
    def risk(approved: bool, rule: str, asked: str, size: str, would: str) -> RiskAssessed:
        sizes = {"asked": Decimal(asked), "size": Decimal(size), "would": Decimal(would)}
        return RiskAssessed("RSK", NAME, "SIG", approved, rule, 0.0, 1.0, "", **sizes)

    log = folded(
        risk(False, "regime", "1", "0", "0"), risk(False, "halted", "1", "0", "0"),
        risk(False, "regime", "1", "0", "0"), risk(True, "size", "-4", "-3", "-3"),
        risk(True, "size", "4", "2", "2"), risk(True, "size", "4", "4", "1"),
    )  # fmt: skip
    found = _live_facts(log, STRATEGY, "")["risk"]
    assert (found["assessed"], found["refused_total"]) == (6, 3)
    assert found["refused"] == {"regime": 2, "halted": 1}
    assert (found["made_smaller"], found["mean_cut"], found["would_cut"]) == (2, 0.375, 1)


def test_ids_of_fills_must_fit_their_events() -> None:
    log = folded(submit(1), filled(1))
    row = {
        "account": ACCOUNT, "symbol": "BTC", "seq": 4, "fill_id": "FIL_1", "venue_fill_id": "v1",
        "client_id": "c1", "side": "buy", "size": "2", "price": "101", "fee": "0.1", "maker": 0,
        "cause": "order", "ts_ms": 1, "order_id": "ORD_1", "deployment": NAME,
    }  # fmt: skip
    assert name_fills(log, [row]) == ""
    assert log.fills[0].fill_id == "FIL_1"
    assert "differs from event 4: fee, order_id" in name_fills(
        log, [{**row, "fee": "0.01", "order_id": "ORD_2"}]
    )
    assert "event 4 is not in the table" in name_fills(log, [])
    assert "one of event 9" in name_fills(log, [row, {**row, "seq": 9}])


# ---- alerts ----------------------------------------------------------------------------------


def alerted() -> EvidenceRun:
    log = folded(
        added("strat_b", "live/0x2"),
        AlertRaised("critical", "halt", "everything halts", "no connection"),
        AlertRaised("warning", "risk", "breaker", f"{ACCOUNT}: too wild"),
        AlertRaised("warning", "risk", "breaker", "strat_b/BTC: too wild"),
    )
    return EvidenceRun("r", log, Source("log", "f"), (), live=True)


def outbox(home: Path) -> None:
    """An outbox in which the first alert was told and is known, and the second waits."""
    store = EventStore.open(home / "alerts", run="alerts", tables=(), clock=HandClock(1))
    rows: list[Payload] = [
        AlertEntered("ALR_1", "critical", "halt", "t", "", "r", 4, True, 0),
        AlertEntered("ALR_2", "warning", "risk", "t", "", "r", 5, True, 0),
        AlertAnswered("ALR_1", "critical", "console", 1, "delivered", ""),
        AlertAnswered("ALR_2", "warning", "console", 1, "pending", "busy"),
        AlertAcknowledged("ALR_1", "ann", "seen"),
    ]
    store.commit([Event(one, 1) for one in rows])
    store.close()


def test_alerts_say_who_was_told_and_who_knows(tmp_path: Path) -> None:
    outbox(tmp_path)
    KillLatch(tmp_path).set(KillOrder("a drill", "ann", 1))
    found = alerts_section(tmp_path, Operations(tmp_path), STRATEGY, [alerted()])
    told = [(a["title"], a["alert_id"], a["told"], a["acknowledged_by"])
            for a in found.facts["alerts"]]  # fmt: skip
    assert told == [
        ("everything halts", "ALR_1", "delivered", "ann"),
        ("breaker", "ALR_2", "waiting", ""),
    ]
    assert found.facts["latch"] == "killed by ann: a drill"
    assert found.problems == ()


def test_an_edited_outbox_is_named_and_the_alerts_of_the_run_stay(tmp_path: Path) -> None:
    from tests.unit.system.evidence_homes import edit

    outbox(tmp_path)
    edit(tmp_path / "alerts", "UPDATE events SET ts_ms = 9 WHERE seq = 5")
    found = alerts_section(tmp_path, Operations(tmp_path), STRATEGY, [alerted()])
    assert [one.what for one in found.problems] == ["the outbox of alerts is not what was written"]
    assert [a["told"] for a in found.facts["alerts"]] == ["", ""]
