"""The sequences from price to position and back, as events, and what ledger and journal say."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import Event
from genesis.trading.events import EventType as T
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.journal import TABLES as JOURNAL_TABLES
from genesis.trading.ledger import TABLES as LEDGER_TABLES
from genesis.trading.payloads import (
    FeedbackSubmitted,
    NewsReceived,
    OrderCancel,
    OrderFilled,
    OrderSubmit,
    PositionClosed,
    PositionOpened,
    Quote,
    RiskAssessed,
    SignalGenerated,
    StopLossTriggered,
    TakeProfitTriggered,
    TradeClosed,
    TradeIntent,
)
from tests.unit.trading.core_rig import ACCOUNT, GUARDED, HOUR, NAME, START, Rig, by_seq, kinds, of

COLUMNS = {table.name: list(table.columns) for table in (*LEDGER_TABLES, *JOURNAL_TABLES)}


def rows(rig: Rig, table: str) -> list[dict[str, object]]:
    return [dict(zip(COLUMNS[table], values, strict=True)) for values in rig.table(table)]


def entered(**options: object) -> Rig:
    """A rig that holds 50 at 100 with a stop at 98 and a target at 101.5."""
    rig = Rig(GUARDED, options=DeploymentOptions(**options) if options else None)  # type: ignore[arg-type]
    rig.warm()
    rig.bar(wish="long")
    rig.bar()
    assert rig.position == Decimal(50)
    return rig


# ---- price, signal, risk, order, fill, position ----------------------------------------------


def test_a_price_leads_to_a_position() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    closed = rig.bar(wish="long")
    assert kinds(closed)[-6:] == [
        T.CANDLE_STREAM_DATA_READY,
        T.SIGNAL_GENERATED,
        T.RISK_ASSESSED,
        T.TRADE_INTENT,
        T.ORDER_SUBMIT,
        T.ORDER_ACCEPTED,
    ]
    opened = rig.open(100.0)
    assert kinds(opened)[:2] == [T.ORDER_FILLED, T.BAR_OPENED]
    (position,) = of(opened, PositionOpened)
    assert (position.size, position.entry) == (Decimal("50.0"), Decimal("100.0"))
    assert (position.stop, position.target) == (98.0, 101.5)
    stop, target = (order.order for order in of(opened, OrderSubmit))
    assert (stop.kind, stop.price, stop.reduce_only) == (OrderKind.STOP, Decimal("98.0"), True)
    assert (target.kind, target.price, target.side) == (
        OrderKind.TARGET,
        Decimal("101.5"),
        Side.SELL,
    )
    assert stop.size == target.size == Decimal(50)


def test_what_is_emitted_says_what_it_came_from() -> None:
    rig = entered()
    events = by_seq(rig.log.events)
    ordinals: dict[int, list[int]] = {}
    for event in rig.log.events:
        if event.caused_by:
            assert event.caused_by < event.seq
            ordinals.setdefault(event.caused_by, []).append(event.ordinal)
    assert all(sorted(found) == list(range(len(found))) for found in ordinals.values())
    chain = []
    event = next(e for e in rig.log.events if isinstance(e.data, OrderSubmit))
    while event.caused_by:
        chain.append(event.type)
        event = events[event.caused_by]
    assert [*chain, event.type] == [
        T.ORDER_SUBMIT,
        T.TRADE_INTENT,
        T.SIGNAL_GENERATED,
        T.CANDLE_STREAM_DATA_READY,
    ]


def test_a_command_is_stored_before_it_acts() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    stored: list[bool] = []
    submit = rig.exchange.submit

    def watched(order: object) -> None:
        logged = [e.data.order for e in rig.log.events if isinstance(e.data, OrderSubmit)]
        stored.append(order in logged)
        submit(order)

    rig.exchange.submit = watched
    rig.bar(wish="long")
    rig.bar()
    assert stored == [True, True, True]


def test_the_plan_is_the_signals_and_the_limits_were_asked() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    events = rig.bar(wish="long")
    (signal,), (risk,), (intent,) = (
        of(events, SignalGenerated),
        of(events, RiskAssessed),
        of(events, TradeIntent),
    )
    assert signal.origin.kind == "tick"
    assert by_seq(events)[signal.origin.seq].type is T.CANDLE_STREAM_DATA_READY
    assert signal.rules == {"long": 1, "short": 0, "exit_long": 0, "exit_short": 0}
    assert (signal.bar, signal.quantity, signal.close_reason) == (4, 50.0, "none")
    assert (risk.approved, risk.signal_id) == (True, signal.signal_id)
    assert intent.scope == "NEW"
    assert intent.causality.signal_ids == (signal.signal_id,)
    assert intent.causality.risk_ids == (risk.risk_id,)
    assert intent.causality.origin == signal.origin
    assert intent.entry is not None
    assert (intent.entry.side, intent.entry.reference) == (Side.BUY, Decimal("100.0"))
    assert intent.size is not None
    assert (intent.size.wanted, intent.size.size) == (Decimal("50.0"), Decimal("50.0"))
    assert intent.exit is not None
    assert (intent.exit.stop_atr, intent.exit.target_atr, intent.exit.atr) == (1.0, 1.0, 0.5)
    assert intent.execution is not None
    assert (intent.execution.algorithm, intent.execution.slices) == ("single", (Decimal("50.0"),))


# ---- stops -----------------------------------------------------------------------------------


def test_a_stop_at_the_exchange_closes_the_position_in_order() -> None:
    rig = entered()
    rig.open(100.0)
    hit = rig.range(100.25, 97.0)
    fill = next(e for e in hit if isinstance(e.data, OrderFilled))
    led_to = sorted((e for e in hit if e.caused_by == fill.seq), key=lambda e: e.ordinal)
    assert kinds(led_to) == [
        T.STOP_LOSS_TRIGGERED,
        T.POSITION_CLOSED,
        T.TRADE_CLOSED,
        T.FEEDBACK_SUBMITTED,
        T.ORDER_CANCEL,
    ]
    triggered = led_to[0].data
    assert triggered == StopLossTriggered(NAME, 98.0, 98.0, "venue")
    trade = led_to[2].data
    assert isinstance(trade, TradeClosed)
    assert (trade.reason, trade.pnl) == ("stop", Decimal(-100))
    assert rig.position == 0
    (plan,) = rows(rig, "trade_plans")
    assert plan["status"] == "closed"


def test_the_loop_watches_stops_itself_where_none_rests() -> None:
    rig = entered(stops="loop")
    assert rig.orders("stop") == []
    rig.open(100.0)
    assert of(rig.quote(98.5), StopLossTriggered) == []
    hit = rig.quote(98.25, low=97.75)  # the extreme since the last quote counts
    chain = [
        T.MARKET_DATA_UPDATED,
        T.STOP_LOSS_TRIGGERED,
        T.TRADE_INTENT,
        T.ORDER_SUBMIT,
        T.ORDER_ACCEPTED,
        T.ORDER_FILLED,
        T.POSITION_CLOSED,
        T.TRADE_CLOSED,
        T.FEEDBACK_SUBMITTED,
    ]
    assert kinds(hit) == chain
    (triggered,) = of(hit, StopLossTriggered)
    assert triggered == StopLossTriggered(NAME, 98.0, 97.75, "loop")
    (order,) = of(hit, OrderSubmit)
    assert (order.purpose, order.order.kind, order.order.reduce_only) == (
        "stop",
        OrderKind.MARKET,
        True,
    )
    (closed,) = of(hit, PositionClosed)
    assert closed.reason == "stop"
    (trade,) = of(hit, TradeClosed)
    assert trade.exit == Decimal("98.25")


def test_the_loop_watches_targets_itself_too() -> None:
    rig = entered(stops="loop")
    rig.open(100.0)
    hit = rig.quote(101.0, high=101.5)
    assert of(hit, TakeProfitTriggered) == [TakeProfitTriggered(NAME, 101.5, 101.5, "loop")]
    assert [c.reason for c in of(hit, PositionClosed)] == ["target"]


def test_a_short_is_watched_from_the_other_side() -> None:
    rig = Rig(GUARDED, options=DeploymentOptions(stops="loop"))
    rig.warm()
    rig.bar(wish="short")
    rig.bar()
    assert rig.position == Decimal(-50)
    rig.open(100.0)
    assert of(rig.quote(101.9), StopLossTriggered) == []
    hit = rig.quote(101.5, high=102.0)
    assert of(hit, StopLossTriggered) == [StopLossTriggered(NAME, 102.0, 102.0, "loop")]
    assert rig.position == 0


def test_one_trigger_leads_to_one_close() -> None:
    rig = entered(stops="loop")
    rig.open(100.0)
    rig.exchange.settle = lambda: False
    submit, rig.exchange.submit = rig.exchange.submit, lambda order: None  # the close is on its way
    rig.quote(97.0)
    rig.quote(96.0)
    assert len(rig.orders("stop")) == 1
    assert len(rig.all(StopLossTriggered)) == 1
    assert submit is not None


def test_two_quotes_in_one_batch_trigger_once() -> None:
    """The second is handled before what the first led to."""
    rig = entered(stops="loop")
    rig.open(100.0)
    now = rig.clock.now_ms() + 1
    quotes = [Event(Quote("BTC", price, price, price), now) for price in (97.0, 96.0)]
    between = Event(NewsReceived("n", "so that they stay two"), now)
    events = rig.phase(quotes[0], between, quotes[1])
    assert len(of(events, StopLossTriggered)) == 1
    assert len(of(events, OrderSubmit)) == 1
    assert rig.position == 0


# ---- the critical path -----------------------------------------------------------------------


class Steps:
    """Notes what was true when a trade was recorded."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Decimal, int]] = []
        self.rig: Rig | None = None

    def record(self, trade: TradeClosed, deployment: object) -> None:
        rig = self.rig
        assert rig is not None
        emitted = [e.type for e in rig.core.emitted]
        assert T.POSITION_CLOSED in emitted, "registered before it is recorded"
        assert T.FEEDBACK_SUBMITTED not in emitted, "fed back after it is recorded"
        tables = [table for table, _ in rig.core.rows]
        assert tables.index("fills") < tables.index("trades"), "booked before it is settled"
        self.seen.append((trade.plan_id, rig.position, len(tables)))


def test_a_fill_is_processed_registered_recorded_and_fed_back_in_this_order() -> None:
    steps = Steps()
    rig = Rig(GUARDED, recorders=[steps])
    steps.rig = rig
    rig.warm()
    rig.bar(wish="long")
    rig.bar()
    assert steps.seen == []
    rig.bar(low=97.0)
    assert [position for _, position, _ in steps.seen] == [Decimal(0)]
    (feedback,) = rig.all(FeedbackSubmitted)
    assert feedback.plan_id == steps.seen[0][0]


@pytest.mark.parametrize(
    ("move", "outcome"),
    [
        (-1.0, "big loss"),  # 1 % of the capital
        (-0.998, "small loss"),
        (0.05, "scratch"),  # below 5 hundredths of a percent once halved
        (0.25, "small win"),
        (1.0, "small win"),
    ],
)
def test_outcomes_are_classed_by_what_they_are_of_the_capital(move: float, outcome: str) -> None:
    rig = Rig()  # half of the capital: 50 units at 100
    rig.bar(wish="long")
    price = 100.0 + (2.0 * move if move < 0 else move)
    rig.bar(100.0, price, "exit_long")
    rig.bar(price)
    (feedback,) = rig.all(FeedbackSubmitted)
    assert feedback.return_on_capital == pytest.approx(0.5 * (price / 100.0 - 1.0))
    assert feedback.outcome == outcome


# ---- ledger and journal ----------------------------------------------------------------------


def test_from_a_fill_one_walks_back_to_its_origin() -> None:
    rig = entered()
    rig.bar(low=97.0)
    entries = {row["entry_id"]: row for row in rows(rig, "journal")}
    fills = [row for row in entries.values() if row["kind"] == "fill"]
    assert len(fills) == 2
    walks = []
    for fill in fills:
        walk, entry = [fill["kind"]], fill
        while entry["previous_id"]:
            entry = entries[entry["previous_id"]]
            walk.append(entry["kind"])
        walks.append(walk)
        for other in ("origin_kind", "origin_id", "origin_seq", "signal_ids", "risk_ids"):
            assert fill[other] == entry[other], "causes are carried along"
    assert walks == [["fill", "order", "intent"], ["fill", "order", "intent"]]
    signal = rig.all(SignalGenerated)[0]
    assert json.loads(str(fills[1]["signal_ids"])) == [signal.signal_id]
    assert fills[1]["origin_id"] == signal.origin.id
    ledger = {row["fill_id"]: row for row in rows(rig, "fills")}
    assert {fill["fill_id"] for fill in fills} == set(ledger)
    assert all(ledger[fill["fill_id"]]["order_id"] == fill["order_id"] for fill in fills)


def test_plan_group_order_and_fill_belong_together() -> None:
    rig = entered()
    rig.bar(low=97.0)
    (plan,) = rows(rig, "trade_plans")
    groups = {row["group_id"]: row for row in rows(rig, "execution_groups")}
    assert {(g["plan_id"], g["scope"]) for g in groups.values()} == {
        (plan["plan_id"], "NEW"),
        (plan["plan_id"], ""),
    }
    orders = {row["order_id"]: row for row in rows(rig, "orders")}
    assert {row["purpose"]: row["state"] for row in orders.values()} == {
        "entry": "filled",
        "stop": "filled",
        "target": "canceled",
    }
    assert all(row["group_id"] in groups for row in orders.values())
    for fill in rows(rig, "fills"):
        assert orders[fill["order_id"]]["plan_id"] == fill["plan_id"] == plan["plan_id"]


def test_the_ledger_does_not_know_why_and_the_journal_not_what() -> None:
    causes = {"origin_id", "signal_ids", "risk_ids", "strategy_directive_id"}
    money = {"cash", "fee", "price", "filled", "state"}
    for table in LEDGER_TABLES:
        assert not causes & set(table.columns), table.name
    for table in JOURNAL_TABLES:
        assert not money & set(table.columns), table.name


def test_a_reply_finds_its_order_without_any_decision() -> None:
    rig = entered()
    before = len(rig.all(SignalGenerated))
    rig.open(100.0)
    reply = rig.range(102.0, 99.9)  # the target
    assert of(reply, TakeProfitTriggered) == [TakeProfitTriggered(NAME, 101.5, 101.5, "venue")]
    assert len(rig.all(SignalGenerated)) == before
    assert [c.reason for c in of(reply, PositionClosed)] == ["target"]
    stop = rig.orders("stop")[0].order
    assert [c.client_id for c in of(reply, OrderCancel)] == [stop.client_id]


def test_scopes_new_modify_and_close() -> None:
    policy = GUARDED.__class__(size=0.5, stop_atr=1.0, trail_atr=1.0, atr_window=2)
    rig = Rig(policy)
    rig.warm()
    rig.bar(wish="long")
    rig.bar(100.0, 104.0)  # the trailing stop follows the close
    assert [i.scope for i in rig.all(TradeIntent)] == ["NEW"]
    stop = rig.core.desk.orders.get(rig.deployment.stop_order)
    assert stop is not None
    assert T.ORDER_MODIFY in kinds(rig.log.events)
    assert stop.price == Decimal(repr(rig.deployment.state.stop)) > Decimal(102)
    assert stop.modifications == 1
    rig.bar(104.0, 104.0, "exit_long")
    assert [i.scope for i in rig.all(TradeIntent)] == ["NEW", "CLOSE"]
    rig.bar(104.0)
    (closed,) = rig.all(PositionClosed)
    assert closed.reason == "exit signal"
    assert rig.position == 0
    assert rig.core.desk.orders.open_orders() == []


def test_a_time_stop_closes_at_the_open_after_its_bars() -> None:
    rig = Rig(GUARDED.__class__(size=0.5, time_stop=2))
    rig.bar(wish="long")
    rig.bar()
    rig.bar()
    assert rig.position != 0
    rig.open(100.0)
    assert rig.position == 0
    assert [c.reason for c in rig.all(PositionClosed)] == ["time stop"]


def test_funding_is_booked_on_what_was_carried_in() -> None:
    rig = Rig()
    rig.bar(wish="long")
    rig.open(100.0, funding=0.001)  # flat at that instant: nothing is paid
    rig.range(100.25, 99.75)
    rig.close(102.0)
    assert rig.core.desk.ledger.account(ACCOUNT).funding == 0
    rig.bar(101.0, funding=2.0**-10)  # 50 units at the previous close, 102
    assert rig.core.desk.ledger.account(ACCOUNT).funding == Decimal("4.98046875")
    assert rig.core.equity(ACCOUNT) == Decimal("10045.01953125")


def test_a_warming_deployment_takes_no_decision() -> None:
    rig = Rig(options=DeploymentOptions(trade_from_ms=START + 3 * HOUR))
    rig.bar(wish="long")
    rig.bar(wish="long")
    assert rig.all(SignalGenerated) == []
    rig.bar(wish="long")
    assert len(rig.all(SignalGenerated)) == 1
