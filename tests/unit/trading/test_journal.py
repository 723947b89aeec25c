"""Causes carried from the intent to the last fill of its orders."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

from genesis.domain.canonical import content_hash
from genesis.trading import journal as module
from genesis.trading.gateway import Side
from genesis.trading.journal import PLANS, RETAINED, StrategyJournal
from genesis.trading.order_manager import OrderManager
from genesis.trading.orders import Order
from genesis.trading.payloads import (
    Causality,
    EntryPlan,
    ExecutionPlan,
    IntentExpired,
    OperatorCommand,
    OpportunityRejected,
    Origin,
    RiskAssessed,
    RunResumed,
    SignalGenerated,
    SizePlan,
    TradeIntent,
)
from genesis.trading.tables import Row
from tests.unit.trading.clearing import cleared
from tests.unit.trading.order_samples import event, fill_of, request, submit_of

COLUMNS = list(module.JOURNAL.columns)


def signal(number: int = 1) -> SignalGenerated:
    return SignalGenerated(
        f"SIG_{number}",
        "DEP_1",
        Origin("news", f"NWS_{number}", 7),
        4,
        {"long": 1},
        {"close": 100.0, "funding": float("nan")},
        "none",
        1.0,
    )


def risk(number: int = 1, *, approved: bool = True) -> RiskAssessed:
    return RiskAssessed(
        f"RSK_{number}", "DEP_1", f"SIG_{number}", approved, "max_order", 5.0, 10.0, "within"
    )


def intent(number: int = 1, plan: str = "TPL_1") -> TradeIntent:
    causes = Causality(
        Origin("news", f"NWS_{number}", 7), (f"SIG_{number}",), (f"RSK_{number}",), "STR_1", plan
    )
    return TradeIntent(
        f"INT_{number}",
        "DEP_1",
        "NEW",
        "entry",
        causes,
        10_000,
        EntryPlan(Side.BUY, "market", Decimal(100)),
        SizePlan(Decimal(10), Decimal(10), "policy"),
        None,
        ExecutionPlan("twap", (Decimal(5), Decimal(5)), 60_000),
    )


def entries(rows: list[Row]) -> list[dict[str, object]]:
    assert all(name == "journal" and len(values) == len(COLUMNS) for name, values in rows)
    return [dict(zip(COLUMNS, values, strict=True)) for _, values in rows]


def decided(journal: StrategyJournal, rows: list[Row], number: int = 1) -> None:
    journal.on_signal(signal(number))
    journal.on_risk(risk(number))
    data = intent(number)
    journal.on_intent(data, event(data), rows)


def order_of(number: int = 1) -> Order:
    data = submit_of(request(number))
    order = OrderManager().intend(data, event(data), cleared(data.order)).order
    assert order is not None
    return order


def test_a_fill_finds_its_causes_through_the_orders_previous_entry() -> None:
    journal, rows = StrategyJournal(), []
    decided(journal, rows)
    order, at = order_of(), event(RunResumed(""))
    journal.on_order(order, at, rows)
    journal.on_fill(order, fill_of(order.request, 1, "4"), "FIL_1", at, rows)
    journal.on_fill(order, fill_of(order.request, 2, "6"), "FIL_2", at, rows)
    told = entries(rows)
    assert [one["kind"] for one in told] == ["intent", "order", "fill", "fill"]
    for before, after in pairwise(told):
        assert after["previous_id"] == before["entry_id"]
    for one in told:
        assert (one["origin_kind"], one["origin_id"], one["origin_seq"]) == ("news", "NWS_1", 7)
        assert json.loads(str(one["signal_ids"])) == ["SIG_1"]
        assert json.loads(str(one["risk_ids"])) == ["RSK_1"]
        assert (one["directive_id"], one["plan_id"]) == ("STR_1", "TPL_1")
    assert told[3]["fill_id"] == "FIL_2"
    assert told[3]["order_id"] == order.order_id


def test_an_intent_holds_what_its_decision_saw() -> None:
    journal, rows = StrategyJournal(), []
    decided(journal, rows)
    (told,) = entries(rows)
    context = json.loads(str(told["context"]))
    assert context["signal"]["values"] == {"close": 100.0, "funding": None}
    assert context["signal"]["rules"] == {"long": 1}
    assert context["risks"][0]["limit"] == 10.0
    assert context["execution"] == {"algorithm": "twap", "slices": ["5", "5"], "spacing_ms": 60_000}


def test_a_refused_opportunity_names_signal_and_rule() -> None:
    journal, rows = StrategyJournal(), []
    journal.on_signal(signal())
    journal.on_risk(risk(approved=False))
    data = OpportunityRejected("DEP_1", "SIG_1", "risk", "too much", "RSK_1")
    journal.on_rejected_opportunity(data, event(data), rows)
    (told,) = entries(rows)
    assert told["kind"] == "rejected_opportunity"
    assert told["origin_id"] == "NWS_1"
    assert json.loads(str(told["context"]))["risks"][0]["approved"] is False


def test_a_refusal_without_signal_does_not_borrow_the_last_one() -> None:
    journal, rows = StrategyJournal(), []
    journal.on_signal(signal())
    data = OpportunityRejected("DEP_1", "", "policy", "cooldown")
    journal.on_rejected_opportunity(data, event(data), rows)
    (told,) = entries(rows)
    assert told["origin_id"] == ""
    assert "signal" not in json.loads(str(told["context"]))


def test_a_protective_order_has_the_causes_of_its_plan() -> None:
    journal, rows = StrategyJournal(), []
    decided(journal, rows)
    order = order_of()
    order.intent_id, order.purpose = "", "stop"
    journal.on_order(order, event(RunResumed("")), rows)
    assert entries(rows)[-1]["origin_id"] == "NWS_1"


def test_expired_intents_refusals_and_operators_are_written() -> None:
    journal, rows = StrategyJournal(), []
    decided(journal, rows)
    late = IntentExpired("INT_1", "DEP_1", 1_500)
    journal.on_intent_expired(late, event(late), rows)
    lost = IntentExpired("INT_9", "DEP_1", 1_500)
    journal.on_intent_expired(lost, event(lost), rows, intent(9).causality)
    order = order_of()
    order.state, order.reason = type(order.state).REJECTED, "reduce_only"
    journal.on_order_over(order, event(RunResumed("")), rows)
    command = OperatorCommand("CMD_1", "flatten", "panic", "me", {"deployment": "DEP_1"})
    journal.on_operator(command, event(command), rows)
    kinds = {str(one["kind"]): one for one in entries(rows)}
    assert set(kinds) == {"intent", "expired_intent", "rejection", "operator"}
    assert kinds["expired_intent"]["origin_id"] == "NWS_9"
    assert kinds["rejection"]["text"] == "reduce_only"
    assert (kinds["operator"]["origin_kind"], kinds["operator"]["text"]) == ("operator", "panic")


def test_a_fill_without_an_order_is_external() -> None:
    journal, rows = StrategyJournal(), []
    fill = fill_of(request(), 1, "4")
    journal.on_fill(None, fill, "FIL_1", event(RunResumed("")), rows, deployment="DEP_1")
    (told,) = entries(rows)
    assert (told["kind"], told["origin_kind"], told["deployment"]) == (
        "external_fill",
        "external",
        "DEP_1",
    )


def test_memory_is_bounded_over_many_plans_and_orders() -> None:
    journal, at = StrategyJournal(), event(RunResumed(""))
    for number in range(1, 2_000):
        rows: list[Row] = []
        journal.on_signal(signal(number))
        data = intent(number, f"TPL_{number}")
        journal.on_intent(data, event(data), rows)
        order = order_of(number)
        order.plan_id, order.intent_id = f"TPL_{number}", f"INT_{number}"
        journal.on_order(order, at, rows)
        order.state = type(order.state).FILLED
        journal.on_fill(order, fill_of(order.request, number, "10"), "FIL", at, rows)
        journal.on_fill(order, fill_of(order.request, -number, "1"), "FIL", at, rows)  # late
        assert entries(rows)[-1]["origin_id"] == f"NWS_{number}"
    plain = journal.plain()
    assert len(plain["plans"]) == PLANS
    assert len(plain["orders"]) == len(plain["done"]) == RETAINED


def test_a_snapshot_gives_the_same_journal_back() -> None:
    journal, rows, again = StrategyJournal(), [], StrategyJournal()
    decided(journal, rows)
    order, at = order_of(), event(RunResumed(""))
    journal.on_order(order, at, rows)
    again.restore(journal.plain())
    assert content_hash(again.plain()) == content_hash(journal.plain())
    one: list[Row] = []
    two: list[Row] = []
    journal.on_fill(order, fill_of(order.request, 1, "4"), "FIL_1", at, one)
    again.on_fill(order, fill_of(order.request, 1, "4"), "FIL_1", at, two)
    assert one == two
