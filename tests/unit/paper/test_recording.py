"""From a ledger's rows and a core's events to the same performance; how an order ended."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from genesis.domain.canonical import content_hash
from genesis.domain.errors import InputError
from genesis.domain.instrument import Instrument
from genesis.paper.outcomes import RoundTrip
from genesis.paper.performance import performance_of
from genesis.paper.recording import PerformanceRecorder, order_outcome_of, round_trip_of
from genesis.trading.accounts import ClosedTrade
from genesis.trading.deployment import Deployment, deployment_added
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.ledger_tables import ORDERS, TRADES, order_rows, trade_row
from genesis.trading.order_manager import OrderManager
from genesis.trading.payloads import OrderCanceled, OrderFilled, OrderSubmit, TradeClosed
from tests.unit.paper.paper_runs import trading_strategy
from tests.unit.trading.clearing import cleared
from tests.unit.trading.order_samples import Talk, event, fill_of, request

STRATEGIES = {"DEP_1": "strat_a"}


def row_of(manager: OrderManager) -> dict[str, Any]:
    """The row that the ledger writes of an order."""
    order = manager.get("ORD_00000001")
    assert order is not None
    (_, values), _ = order_rows(order, event(OrderCanceled("", "")))
    return dict(zip(ORDERS.columns, values, strict=True))


def told(talk: Talk, reason: str) -> None:
    data = OrderCanceled(talk.order.client_id, reason)
    talk.manager.on_canceled(data, event(data))


def submitted(talk: Talk) -> None:
    talk.submit()


def resting(talk: Talk) -> None:
    talk.submit()
    talk.accept()


def filled(talk: Talk) -> None:
    resting(talk)
    talk.fill(1, "10")


def part(talk: Talk) -> None:
    resting(talk)
    talk.fill(1, "4")


def part_then_ended(talk: Talk) -> None:
    part(talk)
    told(talk, "ioc")


def rejected(talk: Talk) -> None:
    talk.submit()
    talk.reject(reason="min_notional")


def met_no_position(talk: Talk) -> None:
    talk.submit()
    talk.reject(reason="reduce_only")


def asked_to_end(talk: Talk) -> None:
    resting(talk)
    told(talk, "requested")


def ended_by_the_venue(talk: Talk) -> None:
    resting(talk)
    told(talk, "ioc")


def unanswered(talk: Talk) -> None:
    talk.submit()
    talk.unknown()


def intended(talk: Talk) -> OrderSubmit:
    data = OrderSubmit("DEP_1", "TPL_1", "entry", talk.order, "INT_1", None)
    talk.manager.intend(data, event(data), cleared(data.order))
    return data


def called_off(talk: Talk) -> None:
    talk.manager.expire(talk.order.order_id, event(intended(talk)), "halted")


def too_late(talk: Talk) -> None:
    data = intended(talk)
    talk.manager.submit(data, event(data, 5_000))


LIMIT, STOP = OrderKind.LIMIT, OrderKind.STOP


@pytest.mark.parametrize(
    ("course", "kind", "status"),
    [
        (submitted, LIMIT, "open"),
        (resting, LIMIT, "open"),
        (part, LIMIT, "open"),
        (filled, LIMIT, "filled"),
        (part_then_ended, LIMIT, "partial"),
        (rejected, LIMIT, "rejected"),
        (met_no_position, LIMIT, "void"),
        (asked_to_end, LIMIT, "withdrawn"),
        (ended_by_the_venue, LIMIT, "expired"),
        (ended_by_the_venue, STOP, "withdrawn"),
        (unanswered, LIMIT, "unknown"),
        (called_off, LIMIT, "withdrawn"),
        (too_late, LIMIT, "expired"),
    ],
)
def test_how_an_order_ended(course: Callable[[Talk], None], kind: OrderKind, status: str) -> None:
    manager = OrderManager()
    course(Talk(manager, request(kind=kind, expires_ms=2_000)))
    assert order_outcome_of(row_of(manager), STRATEGIES).status == status


def test_a_filled_order_tells_its_slippage_and_share_of_maker() -> None:
    manager = OrderManager()
    talk = Talk(manager, request(side=Side.SELL, kind=OrderKind.MARKET, price=None))
    talk.submit()
    talk.accept()
    for number, (size, price, maker) in enumerate((("4", "99.9", True), ("6", "99.8", False))):
        data = OrderFilled(
            fill_of(talk.order, number, size, price, maker=maker, reference="100", ts_ms=1_200)
        )
        manager.on_fill(data, event(data, 1_200))
    made = order_outcome_of(row_of(manager), STRATEGIES)
    average = (4 * 99.9 + 6 * 99.8) / 10
    assert made.slippage_bp == pytest.approx((100 - average) / 100 * 1e4)
    assert made.notional == pytest.approx(10 * average)
    assert made.maker_share == pytest.approx(0.4)
    assert made.latency_ms == 200
    assert (made.status, made.quality) == ("filled", "good")  # 16 bp, below 20
    assert made.strategy == "strat_a"


def closed(number: int) -> ClosedTrade:
    return ClosedTrade(
        account="paper/a", symbol="BTC", deployment="DEP_1", plan_id=f"TPL_{number}",
        side=Side.SELL, size=Decimal(2), entry=Decimal(50), exit=Decimal("48.1"),
        pnl=Decimal("3.8") - number, fees=Decimal("0.31"), funding=Decimal("-0.02"),
        slippage=Decimal("0.1"), intent_slippage=Decimal("0.2"), entry_ms=5_000 + number,
        exit_ms=9_000 + number,
    )  # fmt: skip


def as_event(one: ClosedTrade) -> TradeClosed:
    return TradeClosed(
        one.deployment, one.plan_id, one.side, one.size, one.entry, one.exit, one.pnl, one.fees,
        one.funding, one.slippage, one.entry_ms, one.exit_ms, "target", "target", 0.05, 0.01,
    )  # fmt: skip


def from_row(one: ClosedTrade) -> RoundTrip:
    words = ("entry", "target", "target", "tick")
    _, values = trade_row("TRD_1", one, words, (0.05, 0.01), event(OrderCanceled("", "")))
    return round_trip_of(dict(zip(TRADES.columns, values, strict=True)), STRATEGIES)


def test_a_row_and_an_event_of_a_trade_are_one_round_trip() -> None:
    one = closed(0)
    made = from_row(one)
    assert made == RoundTrip.of(as_event(one), "strat_a", "BTC")
    assert made.pnl == one.net == Decimal("3.51")


def test_the_recorder_of_a_run_and_its_ledger_agree() -> None:
    strategy = trading_strategy(3)
    added = deployment_added(
        "DEP_1", strategy, "paper/a", Instrument("BTC", "BTC"), capital=500.0,
        interval_ms=3_600_000, anchor_ms=0,
    )  # fmt: skip
    deployment = Deployment(added)
    recorder = PerformanceRecorder({strategy.id: 1000.0})
    trades = [closed(number) for number in range(6)]
    for one in trades:
        recorder.record(as_event(one), deployment)
    kept = performance_of(strategy.id, 1000.0, [from_row(one) for one in trades])
    assert recorder.strategies[strategy.id].numbers() == kept.numbers()
    assert kept.numbers().pnl == pytest.approx(sum(3.51 - n for n in range(6)))
    resumed = PerformanceRecorder({})
    resumed.restore(recorder.plain())
    assert content_hash(resumed.plain()) == content_hash(recorder.plain())


def test_a_row_of_an_unknown_deployment_is_refused() -> None:
    manager = OrderManager()
    filled(Talk(manager, request()))
    with pytest.raises(InputError, match="no strategy is known for the deployment 'DEP_1'"):
        order_outcome_of(row_of(manager), {"DEP_2": "strat_b"})
