"""Plans, groups, orders and trades as the ledger writes them, and the quality of an execution."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.costs.execution import ExecutionQuality
from genesis.domain.ids import Ids
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.ledger import EXTERNAL, StrategyLedger
from genesis.trading.ledger_tables import TABLES
from genesis.trading.order_manager import OrderManager
from genesis.trading.orders import Order
from genesis.trading.payloads import FundingPaid, OrderFilled, RunResumed
from genesis.trading.quality import quality_of
from genesis.trading.tables import Row
from tests.unit.trading.clearing import cleared
from tests.unit.trading.order_samples import (
    ACCOUNT,
    SYMBOL,
    Talk,
    event,
    fill_of,
    request,
    submit_of,
)
from tests.unit.trading.test_journal import intent


class Books:
    """Order manager and ledger, told of one thing after another."""

    def __init__(self) -> None:
        self.orders, self.ledger, self.ids = OrderManager(), StrategyLedger(), Ids()
        self.rows: list[Row] = []

    def told(self, table: str) -> list[dict[str, object]]:
        columns = next(list(one.columns) for one in TABLES if one.name == table)
        return [
            dict(zip(columns, values, strict=True)) for name, values in self.rows if name == table
        ]

    def send(self, order: OrderRequest, reference: str | None = "100", now: int = 1_000) -> Order:
        data = submit_of(order, reference)
        self.orders.intend(data, event(data, now), cleared(data.order))
        sent = self.orders.submit(data, event(data, now)).order
        assert sent is not None
        self.ledger.record_order(sent, event(data, now), self.rows)
        return sent

    def fill(self, order: OrderRequest, number: int, size: str, price: str, **more: object):
        data = OrderFilled(fill_of(order, number, size, price, **more))  # type: ignore[arg-type]
        at = event(data, 2_000)
        change = self.orders.on_fill(data, at)
        assert change.fill is not None
        return self.ledger.book(change.order, change.fill, at, self.ids, self.rows)


def test_a_plan_its_group_and_orders_hang_together() -> None:
    books = Books()
    data = intent()
    books.ledger.on_intent(data, event(data), books.rows)
    first, second = books.send(request(1)), books.send(request(2))
    assert first.group_id == second.group_id != ""
    (group,) = books.told("execution_groups")
    assert (group["algorithm"], group["slices"], group["plan_id"]) == ("twap", 2, "TPL_1")
    plan = books.told("trade_plans")[-1]
    assert (plan["account"], plan["symbol"], plan["status"]) == (ACCOUNT, SYMBOL, "open")
    assert [order["group_id"] for order in books.told("orders")] == [first.group_id] * 2


def test_a_round_trip_in_numbers() -> None:
    books = Books()
    data = intent()
    books.ledger.on_intent(data, event(data), books.rows)
    books.fill(books.send(request(1)).request, 1, "10", "101", fee="0.5", reference="100.5")
    funding = FundingPaid(ACCOUNT, SYMBOL, Decimal("0.25"), 1e-4, Decimal(10), 100.0)
    books.ledger.fund(funding, event(funding), books.rows)
    leave = request(2, side=Side.SELL, kind=OrderKind.STOP, price="95", reduce_only=True)
    booking = books.fill(books.send(leave, None).request, 2, "10", "94", fee="0.5", reference="95")
    assert booking.closed is not None
    trade = books.ledger.settle(
        booking.closed,
        event(RunResumed("")),
        books.ids,
        books.rows,
        reason="stop",
        exit_class="initial",
        mfe=0.01,
        mae=-0.07,
    )
    assert (trade.side, trade.size, trade.entry, trade.exit) == (Side.BUY, 10, 101, 94)
    assert (trade.pnl, trade.fees, trade.funding) == (-70, 1, Decimal("0.25"))
    assert trade.slippage == 10 * Decimal("0.5") + 10 * 1
    (row,) = books.told("trades")
    assert row["net"] == "-71.25"
    # Against what the decisions saw: 100 for the entry, the level of the stop for the exit.
    assert row["intent_slippage"] == "20"
    assert (row["origin_kind"], row["entry_reason"], row["exit_reason"]) == (
        "news",
        "entry",
        "stop",
    )
    assert books.told("trade_plans")[-1]["status"] == "closed"
    assert books.ledger.plans == {}
    assert books.ledger.account(ACCOUNT).cash == Decimal("-71.25")


def test_a_flip_ends_one_trade_and_begins_the_next_with_its_share_of_the_fee() -> None:
    books = Books()
    books.fill(books.send(request(1)).request, 1, "10", "100", fee="1")
    booking = books.fill(
        books.send(request(2, side=Side.SELL, size="30")).request, 2, "30", "110", fee="3"
    )
    assert booking.closed is not None
    assert (booking.closed.pnl, booking.closed.fees) == (100, 2)
    held = books.ledger.holding(ACCOUNT, SYMBOL)
    assert (held.size, held.entry, held.fees) == (-20, 110, 2)


def test_a_liquidation_belongs_to_the_position_that_it_ends() -> None:
    books = Books()
    books.fill(books.send(request(1)).request, 1, "10", "100")
    forced = fill_of(request(99, side=Side.SELL), 2, "10", "70", fee="3")
    forced = type(forced)(
        **{n: getattr(forced, n) for n in forced.__struct_fields__ if n not in ("cause",)},
        cause="liquidation",
    )
    at = event(RunResumed(""))
    booking = books.ledger.book(None, forced, at, books.ids, books.rows)
    assert booking.closed is not None
    assert (booking.closed.plan_id, booking.closed.deployment) == ("TPL_1", "DEP_1")
    assert booking.closed.net == -303
    assert books.told("postings")[-1]["kind"] == "liquidation"


def test_what_nobody_ordered_is_external() -> None:
    books = Books()
    at = event(RunResumed(""))
    books.ledger.book(None, fill_of(request(), 1, "1"), at, books.ids, books.rows)
    assert books.told("fills")[0]["deployment"] == EXTERNAL


def test_stop_and_target_of_a_plan_are_one_group() -> None:
    books = Books()
    for number, kind in enumerate((OrderKind.STOP, OrderKind.TARGET)):
        data = submit_of(request(number + 1, side=Side.SELL, kind=kind))
        plain = type(data)(data.deployment, data.plan_id, kind.value, data.order)
        books.orders.intend(plain, event(plain), cleared(plain.order))
        order = books.orders.submit(plain, event(plain)).order
        assert order is not None
        books.ledger.record_order(order, event(plain), books.rows)
    (group,) = books.told("execution_groups")
    assert group["purpose"] == "protection"


def test_a_moved_stop_is_measured_against_its_new_level() -> None:
    one = Talk(OrderManager(), request(side=Side.SELL, kind=OrderKind.STOP, price="95"))
    one.submit()
    one.accept()
    at = event(submit_of(one.order))
    one.manager.request_modify(one.order.order_id, Decimal(98), Decimal(10), "trail", at)
    one.modified("v1", "98", "10")
    one.fill(1, "10")
    order = one.manager.get(one.order.order_id)
    assert order is not None
    assert quality_of(order).intent_slippage == pytest.approx(-(100 / 98 - 1))


def test_money_is_written_without_exponents() -> None:
    books = Books()
    books.fill(books.send(request(1, size="0.00000001")).request, 1, "0.00000001", "0.00000002")
    assert books.told("fills")[0]["size"] == "0.00000001"
    assert "E" not in str(books.told("postings")[-1]["cash"])


# Limits of the seeds: 0.1 % and 200 ms, 0.2 % and 500 ms, 0.5 % and 1,000 ms.
@pytest.mark.parametrize(
    ("price", "waited", "grade"),
    [
        ("100.05", 150, ExecutionQuality.EXCELLENT),
        ("99", 150, ExecutionQuality.EXCELLENT),
        ("100.15", 150, ExecutionQuality.GOOD),
        ("100.05", 400, ExecutionQuality.GOOD),
        ("100.4", 150, ExecutionQuality.FAIR),
        ("100.05", 900, ExecutionQuality.FAIR),
        ("100.6", 150, ExecutionQuality.POOR),
        ("100.05", 2_000, ExecutionQuality.POOR),
    ],
)
def test_grades_of_an_execution(price: str, waited: int, grade: ExecutionQuality) -> None:
    manager = OrderManager()
    market = request(kind=OrderKind.MARKET, price=None)
    data = submit_of(market, "100")
    manager.intend(data, event(data, 1_000), cleared(data.order))
    manager.submit(data, event(data, 1_000))
    told = OrderFilled(fill_of(market, 1, "10", price))
    order = manager.on_fill(told, event(told, 1_000 + waited)).order
    assert order is not None
    quality = quality_of(order)
    assert quality.grade is grade
    assert quality.latency_ms == waited
    assert quality.intent_slippage == pytest.approx(float(price) / 100 - 1)


def test_the_venues_own_price_counts_where_it_is_told() -> None:
    """A market that moved between decision and fill is not the execution's fault."""
    manager = OrderManager()
    market = request(kind=OrderKind.MARKET, price=None)
    data = submit_of(market, "100")
    manager.intend(data, event(data, 1_000), cleared(data.order))
    manager.submit(data, event(data, 1_000))
    told = OrderFilled(fill_of(market, 1, "10", "110.011", reference="110"))
    order = manager.on_fill(told, event(told, 1_100)).order
    assert order is not None
    quality = quality_of(order)
    assert quality.slippage == pytest.approx(1e-4)
    assert quality.intent_slippage == pytest.approx(0.10011)
    assert quality.grade is ExecutionQuality.EXCELLENT


def test_a_refused_order_failed_and_one_without_fills_is_not_graded() -> None:
    one = Talk(OrderManager(), request())
    one.submit()
    order = one.manager.get(one.order.order_id)
    assert order is not None
    assert quality_of(order).grade is None
    one.reject()
    assert quality_of(order).grade is ExecutionQuality.FAILED


def test_impact_and_maker_share() -> None:
    manager = OrderManager()
    sell = request(side=Side.SELL)
    data = submit_of(sell, "100")
    manager.intend(data, event(data), cleared(data.order))
    manager.submit(data, event(data))
    for number, (size, price, maker) in enumerate((("4", "100", True), ("6", "99", False))):
        told = OrderFilled(fill_of(sell, number, size, price, maker=maker))
        manager.on_fill(told, event(told))
    order = manager.get(sell.order_id)
    assert order is not None
    quality = quality_of(order)
    assert quality.impact == pytest.approx(0.01)
    assert quality.maker_share == pytest.approx(0.4)
    assert quality.intent_slippage == pytest.approx(0.006)
