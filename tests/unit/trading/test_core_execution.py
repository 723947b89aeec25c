"""How directives are carried out: slices, reversals, and what the exchange may answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from genesis.domain.instrument import Instrument
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import EventType as T
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.orders import OrderState
from genesis.trading.payloads import (
    AlertRaised,
    IntentExpired,
    OpportunityRejected,
    OrderSubmit,
    OrderUnknown,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    SignalGenerated,
    TimerSet,
    TradeClosed,
    TradeIntent,
)
from tests.unit.trading.core_rig import (
    ACCOUNT,
    GUARDED,
    HOUR,
    NAKED,
    NAME,
    START,
    STEPPED,
    Rig,
    Script,
    kinds,
    of,
)

TWAP = DeploymentOptions(algorithm="twap", slices=3, spacing_ms=HOUR)
ICEBERG = DeploymentOptions(algorithm="iceberg", slices=3)


def plan_status(rig: Rig) -> list[str]:
    return [str(row[5]) for row in rig.table("trade_plans")]


def scripted(policy: object = NAKED, options: DeploymentOptions | None = None, **more: object):  # type: ignore[no-untyped-def]
    exchange = Script()
    rig = Rig(policy, options=options, exchange=exchange, **more)  # type: ignore[arg-type]
    rig.warm()
    return rig, exchange


# ---- TWAP ------------------------------------------------------------------------------------


def test_a_twap_fills_at_one_open_after_another() -> None:
    rig = Rig(options=TWAP, instrument=replace(STEPPED, lot=0.7))
    rig.bar(wish="long")
    assert [o.order.size for o in rig.orders()] == [Decimal("16.1")]
    sizes = []
    for price in (100.0, 110.0, 120.0):
        rig.bar(price)
        sizes.append(rig.position)
    # 5000 / 100 = 50, on a lot of 0.7: 49.7 in parts of 16.1, the last one takes the rest
    assert sizes == [Decimal("16.1"), Decimal("32.2"), Decimal("49.7")]
    assert [o.order.kind for o in rig.orders()] == [OrderKind.MARKET] * 3
    assert [t.due_ms for t in rig.all(TimerSet)] == [START + 2 * HOUR, START + 3 * HOUR]
    assert len(rig.all(PositionOpened)) == 1
    assert len(rig.all(PositionUpdated)) == 2
    cost = Decimal("16.1") * 100 + Decimal("16.1") * 110 + Decimal("17.5") * 120
    assert rig.all(PositionUpdated)[-1].entry == pytest.approx(cost / Decimal("49.7"))


def test_the_protection_of_a_twap_grows_with_it() -> None:
    rig = Rig(GUARDED, options=TWAP)
    rig.warm()
    rig.bar(wish="long")
    rig.bar()
    rig.bar()
    (stop,) = [o for o in rig.core.desk.orders.open_orders() if o.purpose == "stop"]
    assert stop.size == rig.position == pytest.approx(Decimal(100) / 3, abs=Decimal("1e-6"))
    rig.bar()
    assert stop.size == rig.position == Decimal(50)


def test_a_stop_during_a_twap_cancels_the_rest() -> None:
    five = DeploymentOptions(algorithm="twap", slices=5, spacing_ms=HOUR)
    rig = Rig(GUARDED, options=five)
    rig.warm()
    rig.bar(wish="long")
    rig.bar()
    rig.bar(low=97.0)
    assert rig.position == 0
    assert len(rig.orders("entry")) == 3, "the third waited for an open, two were still to come"
    for _ in range(4):
        rig.bar()
    assert len(rig.orders("entry")) == 3
    assert rig.position == 0
    assert rig.deployment.plan_id == ""
    assert plan_status(rig) == ["closed"]


def test_a_position_is_left_by_twap_too() -> None:
    rig = Rig(options=TWAP)
    rig.bar(wish="long")
    for _ in range(3):
        rig.bar()
    assert rig.position == Decimal(50)
    rig.bar(wish="exit_long")
    left = []
    for _ in range(3):
        rig.bar()
        left.append(rig.position)
    assert left[0] == pytest.approx(Decimal(50) * 2 / 3, abs=Decimal("1e-6"))
    assert left[1] == pytest.approx(Decimal(50) / 3, abs=Decimal("1e-6"))
    assert left[2] == 0
    assert [c.reason for c in rig.all(PositionClosed)] == ["exit signal"]
    assert all(o.order.reduce_only for o in rig.orders("exit signal"))


def test_a_slice_that_is_partly_filled_does_not_hold_up_the_next() -> None:
    rig, exchange = scripted(options=TWAP)
    rig.bar(wish="long")
    first = exchange.submitted[0]
    rig.fill(first, size="1")
    rig.bar()
    rig.bar()
    assert len(exchange.submitted) == 3
    assert sum(o.size for o in exchange.submitted) == Decimal(50)
    for order in exchange.submitted:
        left = order.size - (1 if order is first else 0)
        rig.fill(order, size=left)
    assert rig.position == Decimal(50)
    assert rig.deployment.work is None


def test_a_halt_in_a_twap_stops_the_slices_that_add_risk() -> None:
    rig = Rig(options=TWAP)
    rig.bar(wish="long")
    rig.bar()
    assert len(rig.orders("entry")) == 2, "the second waits for the next open"
    rig.core.desk.halts["run"] = "somebody said so"
    rig.bar()
    rig.bar()
    assert len(rig.orders("entry")) == 2
    assert rig.position == sum(o.order.size for o in rig.orders("entry"))
    assert rig.deployment.work is None
    assert "somebody said so" in rig.all(OpportunityRejected)[-1].reason


def test_a_slice_closes_no_more_than_is_left() -> None:
    rig, exchange = scripted(GUARDED, options=TWAP)
    rig.bar(wish="long")
    for _ in range(3):
        rig.fill(exchange.submitted[-1])
        rig.bar()
    rig.bar(wish="exit_long")
    rig.fill(exchange.submitted[-1])
    stop = rig.core.desk.orders.get(rig.deployment.stop_order)
    assert stop is not None
    rig.fill(stop.request, 98.0, size=rig.position - 5)
    rig.bar()
    assert exchange.submitted[-1].size == Decimal(5)


# ---- iceberg ---------------------------------------------------------------------------------


def test_an_iceberg_shows_the_next_part_when_one_is_gone() -> None:
    rig, exchange = scripted(options=ICEBERG)
    rig.bar(wish="long")
    shown: list[OrderRequest] = []
    for _ in range(3):
        assert len(exchange.submitted) == len(shown) + 1
        order = exchange.submitted[-1]
        assert (order.kind, order.price) == (OrderKind.LIMIT, Decimal("100.0"))
        shown.append(order)
        half = order.size / 2
        rig.fill(order, size=half)
        assert len(exchange.submitted) == len(shown), "what is partly there still rests"
        rig.fill(order, size=order.size - half)
    assert len(exchange.submitted) == 3
    assert sum(order.size for order in shown) == rig.position == Decimal(50)


def test_an_iceberg_leaves_part_by_part_too() -> None:
    rig, exchange = scripted(options=ICEBERG)
    rig.bar(wish="long")
    for _ in range(3):
        rig.fill(exchange.submitted[-1])
    rig.bar(wish="exit_long")
    for number in range(3):
        order = exchange.submitted[-1]
        assert (order.side, order.reduce_only) == (Side.SELL, True)
        assert len(exchange.submitted) == 4 + number
        rig.fill(order)
    assert rig.position == 0
    assert [c.reason for c in rig.all(PositionClosed)] == ["exit signal"]


@pytest.mark.parametrize(("wish", "price"), [("long", "100.0"), ("short", "100.5")])
def test_an_iceberg_rests_on_the_tick_grid_and_no_worse_than_the_decision(
    wish: str, price: str
) -> None:
    rig, exchange = scripted(options=ICEBERG, instrument=STEPPED)
    rig.bar(100.0, 100.3, wish)
    assert [order.price for order in exchange.submitted] == [Decimal(price)]


def test_an_iceberg_entry_that_nothing_fills_is_decided_anew_at_the_next_close() -> None:
    """An entry is wanted at the close that asked for it, not for ever."""
    rig, exchange = scripted(options=ICEBERG)
    rig.bar(wish="long")
    rig.bar(105.0, 105.0)  # the market runs away and the rule does not hold any more
    assert exchange.canceled == [exchange.submitted[0].client_id]
    assert rig.deployment.plan_id == ""
    assert plan_status(rig) == ["void"]
    rig.bar(105.0, 105.0, "long")
    assert len(exchange.submitted) == 2
    assert exchange.submitted[1].price == Decimal("105.0")


def test_an_iceberg_exit_that_rests_does_not_keep_a_position_for_ever() -> None:
    rig, exchange = scripted(options=ICEBERG)
    rig.bar(wish="long")
    for _ in range(3):
        rig.fill(exchange.submitted[-1])
    rig.bar(100.0, 100.0, "exit_long")
    rig.bar(95.0, 95.0, "exit_long")
    assert exchange.canceled == [exchange.submitted[3].client_id]
    last = exchange.submitted[-1]
    assert (last.side, last.kind, last.size) == (Side.SELL, OrderKind.MARKET, Decimal(50))
    rig.fill(last, 95.0)
    assert rig.position == 0
    assert [c.reason for c in rig.all(PositionClosed)] == ["exit signal"]


def test_a_reversal_by_iceberg_goes_on_when_its_close_took_too_long() -> None:
    rig, exchange = scripted(options=ICEBERG)
    rig.bar(wish="long")
    for _ in range(3):
        rig.fill(exchange.submitted[-1])
    rig.bar(100.0, 100.0, "short")
    rig.bar(95.0, 95.0)
    rig.fill(exchange.submitted[-1], 95.0)
    entry = exchange.submitted[-1]
    assert (entry.side, entry.kind, entry.reduce_only) == (Side.SELL, OrderKind.LIMIT, False)


@pytest.mark.parametrize("options", [TWAP, ICEBERG])
def test_a_stop_that_the_loop_watches_does_not_wait_for_a_slow_close(
    options: DeploymentOptions,
) -> None:
    import msgspec

    loop = msgspec.structs.replace(options, stops="loop")
    rig, exchange = scripted(GUARDED, options=loop)
    rig.bar(wish="long")
    while rig.position < 50:
        rig.fill(exchange.submitted[-1])
        if options is TWAP:
            rig.bar()
    rig.bar(wish="exit_long")
    slow = exchange.submitted[-1]
    rig.open(99.0)
    rig.quote(97.5)
    last = exchange.submitted[-1]
    assert last is not slow
    assert (slow.client_id in exchange.canceled) == (options is ICEBERG), (
        "what rests is called back"
    )
    assert (last.kind, last.reduce_only, last.size) == (OrderKind.MARKET, True, Decimal(50))
    rig.fill(last, 97.5)
    assert rig.position == 0
    assert [c.reason for c in rig.all(PositionClosed)] == ["stop"]
    rig.range(99.0, 97.0)
    rig.close(97.5)
    rig.bar(97.5)
    assert exchange.submitted[-1] is last


# ---- reversals -------------------------------------------------------------------------------


def test_a_reversal_closes_and_enters_at_one_open() -> None:
    rig = Rig()
    rig.bar(wish="long")
    rig.bar(wish="short")
    assert [i.scope for i in rig.all(TradeIntent)] == ["NEW", "CLOSE"], "the entry waits"
    events = rig.open(102.0)
    scopes = [(i.scope, i.reason) for i in of(events, TradeIntent)]
    assert scopes == [("NEW", "reversal")]
    (closed,) = of(events, TradeClosed)
    (opened,) = of(events, PositionOpened)
    assert closed.exit == opened.entry == Decimal("102.0")
    assert closed.reason == "reversal"
    assert rig.position == Decimal(-50)
    assert closed.plan_id != opened.plan_id
    signals = rig.all(SignalGenerated)
    assert (signals[1].close_reason, signals[1].quantity) == ("reversal", -50.0)
    assert of(events, TradeIntent)[0].causality.signal_ids == (signals[1].signal_id,)


def test_a_stop_at_the_open_makes_a_reversal_void() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    rig.bar(wish="long")
    rig.bar(wish="short")
    events = rig.open(97.0)
    assert [c.reason for c in of(events, PositionClosed)] == ["stop"]
    assert rig.position == 0
    assert of(events, PositionOpened) == []
    (rejected,) = of(events, OpportunityRejected)
    assert (rejected.stage, rejected.reason) == ("execution", "closed by stop before")
    signal = rig.all(SignalGenerated)[1]
    assert rejected.signal_id == signal.signal_id
    assert rig.deployment.waiting is None
    assert rig.deployment.plan_id == ""
    rig.range(97.5, 96.5)
    rig.close(97.0, "long")  # and the next close decides again
    rig.bar(97.0)
    assert rig.position > 0


def test_the_entry_of_a_reversal_is_judged_when_it_is_sent() -> None:
    rig = Rig()
    rig.bar(wish="long")
    rig.bar(wish="short")
    rig.core.desk.halts["run"] = "halted meanwhile"
    events = rig.open(100.0)
    assert rig.position == 0
    (rejected,) = of(events, OpportunityRejected)
    assert "halted meanwhile" in rejected.reason
    assert rejected.risk_id != ""


def test_a_reversal_whose_close_is_refused_enters_nothing() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(wish="short")
    close = exchange.submitted[-1]
    rig.reject(close, "busy")
    assert rig.position == Decimal(50)
    assert (rig.deployment.closing, rig.deployment.waiting) == ("", None)
    rig.bar(wish="exit_long")
    assert exchange.submitted[-1] is not close
    rig.fill(exchange.submitted[-1])
    assert rig.position == 0
    assert len(exchange.submitted) == 3


# ---- answers of an exchange ------------------------------------------------------------------


def test_a_refused_entry_leaves_nothing_and_is_decided_again() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    rig.reject(exchange.submitted[0], "margin")
    assert plan_status(rig) == ["void"]
    assert rig.deployment.plan_id == ""
    rig.bar(wish="long")
    assert len(exchange.submitted) == 2
    rig.fill(exchange.submitted[1])
    assert rig.position == Decimal(50)
    assert plan_status(rig) == ["void", "open"]


def test_an_entry_that_expired_before_it_was_sent_is_void() -> None:
    rig, exchange = scripted(options=DeploymentOptions(order_ttl_ms=1_000))
    act = rig.core.desk.orders.submit

    def late(data: object, event: object) -> object:
        event.recorded_ms += 5_000  # type: ignore[attr-defined]
        return act(data, event)  # type: ignore[arg-type]

    rig.core.desk.orders.submit = late  # type: ignore[method-assign,assignment]
    rig.bar(wish="long")
    assert exchange.submitted == []
    assert rig.deployment.plan_id == ""
    assert rig.core.desk.orders.open_orders() == []


def test_an_intent_that_waited_too_long_is_never_fired() -> None:
    rig, exchange = scripted(options=DeploymentOptions(intent_ttl_ms=1_000))
    rig.bar(wish="long")
    intent = rig.all(TradeIntent)[0]
    late = replace_intent(intent, "INT_LATE")
    rig.clock.advance(rig.clock.now_ms() + 60_000)
    events = rig.say(late)
    (expired,) = of(events, IntentExpired)
    assert expired.intent_id == "INT_LATE"
    assert expired.late_ms == 59_000
    assert of(events, OrderSubmit) == []
    assert len(exchange.submitted) == 1
    (entry,) = [row for row in rig.table("journal") if row[2] == "expired_intent"]
    assert entry[5] == "INT_LATE"


def replace_intent(intent: TradeIntent, name: str) -> TradeIntent:
    import msgspec

    return msgspec.structs.replace(intent, intent_id=name)


def test_a_lost_close_is_over_when_it_expires() -> None:
    rig, exchange = scripted(options=DeploymentOptions(intent_ttl_ms=1_000))
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.deployment.closing = "exit signal"
    close = rig.core._planning._planner.leave(
        rig.deployment,
        "exit signal",
        rig.position,
        100.0,
        rig.all(TradeIntent)[0].causality,
        "INT_X",
        rig.clock.now_ms(),
    )
    rig.clock.advance(rig.clock.now_ms() + 60_000)
    rig.say(close)
    assert rig.deployment.closing == ""
    rig.bar(wish="exit_long")
    rig.fill(exchange.submitted[-1])
    assert rig.position == 0


@pytest.mark.parametrize("refusal", ["reject", "cancel"])
def test_a_position_whose_stop_is_refused_is_closed(refusal: str) -> None:
    rig, exchange = scripted(GUARDED)
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    stop = next(o for o in exchange.submitted if o.kind is OrderKind.STOP)
    getattr(rig, refusal)(stop, "no triggers today")
    alerts = [a for a in rig.all(AlertRaised) if a.title == "position without a stop"]
    assert [a.level for a in alerts] == ["critical"]
    close = exchange.submitted[-1]
    assert (close.kind, close.side, close.reduce_only) == (OrderKind.MARKET, Side.SELL, True)
    assert close.size == Decimal(50)
    rig.fill(close)
    assert rig.position == 0
    assert [c.reason for c in rig.all(PositionClosed)] == ["unprotected"]
    assert rig.core.desk.orders.open_orders() == []


def test_a_target_that_is_refused_leaves_the_position_to_its_stop() -> None:
    rig, exchange = scripted(GUARDED)
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    target = next(o for o in exchange.submitted if o.kind is OrderKind.TARGET)
    sent = len(exchange.submitted)
    rig.reject(target)
    assert len(exchange.submitted) == sent
    assert rig.deployment.target_order == ""
    assert rig.position == Decimal(50)


def test_an_entry_is_not_sent_while_an_order_on_the_symbol_is_unknown() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    lost = exchange.submitted[0]
    rig.say(OrderUnknown(lost.client_id, "submit", "timeout"))
    rig.deployment.plan_id = ""  # as after a void plan: the order alone stands in the way
    rig.bar(wish="long")
    assert len(exchange.submitted) == 1
    rejected = rig.all(OpportunityRejected)[-1]
    assert "UNKNOWN" in rejected.reason or "limit" in rejected.reason


def test_a_late_fill_of_a_lost_entry_is_a_position_with_a_stop() -> None:
    rig, exchange = scripted(GUARDED)
    rig.bar(wish="long")
    lost = exchange.submitted[0]
    rig.say(OrderUnknown(lost.client_id, "submit", "timeout"))
    rig.fill(lost)
    order = rig.core.desk.orders.get(lost.order_id)
    assert order is not None
    assert order.state is OrderState.FILLED
    assert rig.position == Decimal(50)
    assert [o.purpose for o in rig.orders()] == ["entry", "stop", "target"]


def test_a_fill_that_is_told_twice_counts_once() -> None:
    rig, exchange = scripted(GUARDED)
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0], fill_id="x")
    sent = len(exchange.submitted)
    again = rig.fill(exchange.submitted[0], fill_id="x")
    assert kinds(again) == [T.ORDER_FILLED]
    assert rig.position == Decimal(50)
    assert len(exchange.submitted) == sent


# ---- what nobody here ordered ----------------------------------------------------------------


def test_a_foreign_fill_is_booked_and_stops_the_deployment() -> None:
    rig, exchange = scripted(GUARDED)
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.fill(exchange.submitted[0], size="10", client_id="0xother", side=Side.SELL)
    assert rig.position == Decimal(40)
    assert rig.deployment.stopped.startswith("external fill")
    (alert,) = [a for a in rig.all(AlertRaised) if a.title == "external fill"]
    assert alert.level == "critical"
    stop = rig.core.desk.orders.get(rig.deployment.stop_order)
    assert stop is not None
    assert stop.size == Decimal(40), "what is left stays protected"
    sent = len(exchange.submitted)
    rig.bar(wish="short")  # it may leave, and enters nothing any more
    assert [o.reduce_only for o in exchange.submitted[sent:]] == [True]
    rig.fill(exchange.submitted[-1])
    assert rig.position == 0
    rig.bar(wish="long")
    assert len(exchange.submitted) == sent + 1


def test_a_liquidation_ends_the_deployment() -> None:
    rig = Rig(NAKED.__class__(size=1.0), instrument=Instrument("BTC", "BTC"))
    rig.bar(wish="long")
    rig.bar()
    rig.bar(low=60.0)  # a third of the price is the margin
    assert rig.position == 0
    (closed,) = rig.all(PositionClosed)
    assert closed.reason == "liquidation"
    assert rig.deployment.stopped == "liquidation"
    assert [a.title for a in rig.all(AlertRaised)] == ["liquidation"]
    rig.bar(wish="long")
    rig.bar()
    assert rig.position == 0
    assert [r.reason for r in rig.all(OpportunityRejected)] == ["new risk is halted: liquidation"]


def test_a_symbol_that_ends_takes_its_positions_along() -> None:
    rig = Rig(GUARDED)
    rig.warm()
    rig.bar(wish="long")
    rig.bar()
    rig.end(99.0)
    assert rig.position == 0
    (trade,) = rig.all(TradeClosed)
    assert (trade.reason, trade.exit) == ("delisted", Decimal("99.0"))
    assert rig.deployment.stopped != ""
    assert rig.core.desk.orders.open_orders() == []


def test_a_pair_has_one_owner() -> None:
    rig = Rig()
    rig.deploy(name="DEP_B")
    (alert,) = rig.all(AlertRaised)
    assert (alert.level, alert.category, alert.title) == ("critical", "deployment", "refused")
    assert "DEP_A is there already" in alert.text
    assert list(rig.core.desk.deployments) == [NAME]
    assert rig.core.desk.ledger.account(ACCOUNT).deposits == Decimal("10000.0")
    rig.deploy(name=NAME, account="paper/b")
    assert len(rig.all(AlertRaised)) == 2, "an id is taken once too"
    rig.deploy(name="DEP_C", account="paper/c")
    assert list(rig.core.desk.deployments) == [NAME, "DEP_C"]
