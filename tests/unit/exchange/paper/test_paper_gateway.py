from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal

import pytest

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.canonical import content_hash
from genesis.domain.errors import InfrastructureError
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.desk import PartialFills
from genesis.trading.events import Payload
from genesis.trading.gateway import OrderKind, Side, Tif
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    FundingDue,
    FundingPaid,
    InputQuarantined,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    Quote,
    SymbolEnded,
)
from tests.unit.exchange.paper.conftest import HOUR, Stage

Make = Callable[..., Stage]
BUY, SELL = Side.BUY, Side.SELL
STOP, TARGET, LIMIT = OrderKind.STOP, OrderKind.TARGET, OrderKind.LIMIT
D = Decimal
NAN, INF = math.nan, math.inf


def opened(stage: Stage, side: Side = BUY, size: str = "2", price: float = 100.0) -> Stage:
    """A stage with a position taken at the open of a bar that is still open."""
    stage.open(price)
    stage.send(side, size)
    return stage


# ---- bars ----------------------------------------------------------------------------------


def test_a_market_order_waits_for_the_open_and_takes_it_while_it_lasts(stage: Make) -> None:
    s = stage()
    s.send(BUY, "1")
    assert s.prices == []
    s.open(100.0)
    s.send(BUY, "1")
    assert s.prices == [100.0, 100.0]
    s.range(101.0, 99.0)
    s.send(BUY, "1")
    s.close(100.5)
    assert len(s.prices) == 2
    s.open(102.0)
    assert s.prices[2:] == [102.0]


def test_slippage_and_fees_go_against_the_taker(stage: Make) -> None:
    s = opened(stage(CostModel(taker=0.001, maker=0.0002, slippage=0.01)))
    s.send(SELL, "2", TARGET, "110", reduce_only=True)
    s.range(111.0, 100.0)
    entry, leave = (d.fill for d in s.told(OrderFilled))
    assert (entry.price, entry.reference, entry.fee) == (D("101.0"), D("100.0"), D("0.202"))
    assert (leave.price, leave.reference) == (D("110.0"), D("110.0"))
    assert float(leave.fee) == pytest.approx(0.044)
    assert (entry.maker, leave.maker) == (False, True)


def test_noise_of_the_slippage_is_keyed_by_the_open_of_the_bar(stage: Make) -> None:
    costs = CostModel(slippage=0.001, slippage_noise=0.5, seed=9)
    s, other = opened(stage(costs)), opened(stage(costs))
    s.send(SELL, "2", STOP, "100", reduce_only=True)
    s.range(100.0, 99.0)  # at the close's time, of the open's key
    other.send(SELL, "2")  # at the open
    assert s.prices == other.prices


def test_the_stop_comes_before_the_target_and_the_nearer_of_stop_and_liquidation(
    stage: Make,
) -> None:
    s = opened(stage(leverage=10.0))  # liquidation near 90.9
    s.send(SELL, "2", STOP, "95", reduce_only=True)
    s.send(SELL, "2", TARGET, "105", reduce_only=True)
    s.range(110.0, 80.0)
    assert s.prices == [100.0, 95.0]
    s = opened(stage(leverage=10.0))
    s.send(SELL, "2", STOP, "85", reduce_only=True)
    s.range(110.0, 80.0)
    (_, fill) = (d.fill for d in s.told(OrderFilled))
    assert fill.cause == "liquidation"
    assert (fill.client_id, fill.venue_id) == ("", "")
    assert float(fill.price) == pytest.approx(100 * 0.9 / 0.99)


def test_stops_at_one_price_fill_in_order_of_arrival(stage: Make) -> None:
    s = opened(stage())
    ids = [s.send(SELL, "1", STOP, "95", reduce_only=True) for _ in range(3)]
    s.range(100.0, 94.0)
    assert [d.fill.client_id for d in s.told(OrderFilled)[1:]] == ids[:2]


def test_a_gap_fills_at_the_open(stage: Make) -> None:
    s = opened(stage())
    s.send(SELL, "2", STOP, "95", reduce_only=True)
    s.range(100.0, 99.0)
    s.close(99.0)
    s.open(93.0)
    assert s.prices == [100.0, 93.0]
    s = opened(stage())
    s.send(SELL, "2", TARGET, "105", reduce_only=True)
    s.range(101.0, 99.0)
    s.close(101.0)
    s.open(107.0)
    assert s.prices == [100.0, 107.0]


def test_a_close_that_a_stop_preceded_is_refused(stage: Make) -> None:
    s = opened(stage())
    s.send(SELL, "2", STOP, "95", reduce_only=True)
    s.range(100.0, 99.0)
    s.close(99.0)
    late = s.send(SELL, "2", reduce_only=True)
    assert [d.client_id for d in s.told(OrderAccepted)][-1] == late
    s.open(93.0)
    (refused,) = s.told(OrderRejected)
    assert (refused.client_id, refused.what, refused.reason) == (late, "submit", "reduce_only")
    assert s.prices == [100.0, 93.0]
    assert s.gateway.account_state("a", 0).positions == ()


def test_liquidation_ends_the_account_in_the_symbol_and_nowhere_else(stage: Make) -> None:
    s = opened(stage(leverage=10.0))
    s.send(BUY, "1", account="b")
    rests = s.send(SELL, "2", TARGET, "105", reduce_only=True)
    s.range(100.0, 90.95)
    assert s.gateway.account_state("a", 0).positions != ()
    s.close(91.0)
    s.open(60.0)
    assert [d.fill.account for d in s.told(OrderFilled)[2:]] == ["a", "b"]
    (gone,) = s.told(OrderCanceled)
    assert (gone.client_id, gone.reason) == (rests, "liquidated")
    s.send(BUY, "1")
    assert s.told(OrderRejected)[-1].reason == "liquidated"
    s.send(BUY, "1", account="c")
    assert s.told(OrderFilled)[-1].fill.account == "c"


def test_funding_moves_the_liquidation_price(stage: Make) -> None:
    s = opened(stage(leverage=10.0))
    s.range(100.0, 99.0)
    s.close(100.0)
    s.show(FundingDue("X", 0.02), 2 * HOUR)
    (paid,) = s.told(FundingPaid)
    assert (paid.amount, paid.position, paid.mark) == (D("4.0"), D(2), 100.0)
    s.open(100.0)
    s.range(100.0, 92.8)  # 90.9 before the funding, (90 + 2) / 0.99 = 92.93 after it
    assert float(s.told(OrderFilled)[-1].fill.price) == pytest.approx(92.0 / 0.99)


def test_funding_uses_the_mark_where_it_is_known_and_is_received_by_a_short(stage: Make) -> None:
    s = opened(stage(), SELL)
    s.show(FundingDue("X", 0.01, mark=110.0), HOUR)
    (paid,) = s.told(FundingPaid)
    assert float(paid.amount) == pytest.approx(-2.2)


def test_a_symbol_that_ends_settles_everybody(stage: Make) -> None:
    s = opened(stage(CostModel(taker=0.001, slippage=0.01)))
    rests = s.send(SELL, "2", TARGET, "150", reduce_only=True)
    s.range(100.0, 99.0)
    s.close(99.0)
    s.show(SymbolEnded("X", 99.0), 2 * HOUR)
    fill = s.told(OrderFilled)[-1].fill
    assert (fill.cause, fill.side, fill.size, fill.price) == ("delisted", SELL, D(2), D("98.01"))
    assert float(fill.fee) == pytest.approx(2 * 98.01 * 0.001)
    assert [(d.client_id, d.reason) for d in s.told(OrderCanceled)] == [(rests, "delisted")]
    s.send(BUY, "1", account="new")
    assert s.told(OrderRejected)[-1].reason == "delisted"


def test_the_open_of_the_moment_does_not_judge_a_size_decided_at_the_close(stage: Make) -> None:
    s = stage(instrument=Instrument("X", "X", min_notional=100.0))
    s.open(100.0)
    s.range(100.0, 100.0)
    s.close(100.0)
    s.open(99.0)
    s.send(BUY, "1")
    assert s.prices == [99.0]
    s.send(BUY, "0.9")
    assert s.told(OrderRejected)[-1].reason == "min_notional"


# ---- quotes --------------------------------------------------------------------------------


def test_quotes_trigger_on_their_extremes(stage: Make) -> None:
    s = stage()
    s.quote(1, 100.0)
    s.send(BUY, "2")
    s.send(SELL, "1", STOP, "95", reduce_only=True)
    s.send(SELL, "1", TARGET, "105", reduce_only=True)
    s.quote(2, 100.0, low=94.0, high=104.0)  # back above the stop: filled at its level
    assert s.prices == [100.0, 95.0]
    s.quote(3, 101.0, low=100.0, high=106.0)
    assert s.prices == [100.0, 95.0, 105.0]


def test_a_quote_beyond_the_level_fills_at_the_last_price(stage: Make) -> None:
    s = stage()
    s.quote(1, 100.0)
    s.send(BUY, "1")
    s.send(SELL, "1", STOP, "95", reduce_only=True)
    s.quote(2, 92.0, low=90.0, high=93.0)
    assert s.prices == [100.0, 92.0]
    s.send(BUY, "1", LIMIT, "90")
    s.quote(3, 88.0, low=87.0, high=89.0)  # never above 89: the limit gets that
    assert s.prices[2:] == [89.0]


@pytest.mark.parametrize(("side", "level", "last"), [(BUY, "105", 107.0), (SELL, "95", 93.0)])
def test_a_stop_that_enters_fills_at_the_worse_of_level_and_last_price(
    stage: Make, side: Side, level: str, last: float
) -> None:
    s = stage()
    s.quote(1, 100.0)
    s.send(side, "1", STOP, level)
    s.quote(2, 100.0, low=96.0, high=104.0)
    assert s.prices == []
    s.quote(3, last, low=90.0, high=110.0)
    assert s.prices == [last]


def test_bars_of_a_quoted_symbol_fill_nothing(stage: Make) -> None:
    s = stage()
    s.quote(1, 100.0)
    s.send(BUY, "1")
    s.send(SELL, "1", STOP, "95", reduce_only=True)
    s.open(90.0)
    s.range(91.0, 89.0)
    s.close(90.0)
    assert s.prices == [100.0]


def test_a_stop_that_is_through_on_arrival_triggers_at_once_on_quotes(stage: Make) -> None:
    s = stage()
    s.quote(1, 100.0)
    s.send(BUY, "1")
    s.send(SELL, "1", STOP, "101", reduce_only=True)
    assert s.prices == [100.0, 100.0]


# ---- orders --------------------------------------------------------------------------------


def test_a_capped_stop_ends_with_the_position(stage: Make) -> None:
    s = opened(stage())
    stop = s.send(SELL, "5", STOP, "95", reduce_only=True)
    s.range(100.0, 94.0)
    assert [d.fill.size for d in s.told(OrderFilled)] == [D(2), D(2)]
    (rest,) = s.told(OrderCanceled)
    assert (rest.client_id, rest.reason) == (stop, "reduce_only")


def test_a_reversal_in_one_order_flips_and_takes_the_new_entry(stage: Make) -> None:
    s = opened(stage())
    s.range(100.0, 99.0)
    s.close(99.0)
    s.open(98.0)
    s.send(SELL, "5")
    (held,) = s.gateway.account_state("a", 0).positions
    assert (held.size, held.entry) == (D(-3), D("98.0"))


def test_adding_averages_the_entry(stage: Make) -> None:
    s = opened(stage(), size="1")
    s.range(100.0, 99.0)
    s.close(99.0)
    s.open(130.0)
    s.send(BUY, "2")
    (held,) = s.gateway.account_state("a", 0).positions
    assert (held.size, held.entry) == (D(3), D("120.0"))


def test_modify_cannot_change_side_or_go_below_what_is_filled(stage: Make) -> None:
    s = stage(partial=PartialFills(1, chance=1.0, parts=2))
    s.open(100.0)
    order = s.send(BUY, "2", LIMIT, "95", client_id="m")
    s.range(100.0, 94.0)
    (part,) = s.told(OrderFilled)
    assert part.fill.size == D(1)
    request = s.gateway._desk.orders["a", order].request
    change = type(request)
    fields = {f: getattr(request, f) for f in request.__struct_fields__}
    for wrong, reason in (
        ({"side": SELL}, "not_modifiable"),
        ({"size": D(1)}, "invalid_size"),
        ({"price": D("NaN")}, "invalid_price"),
    ):
        s.gateway.modify(change(**{**fields, **wrong}))
        refused = s.told(OrderRejected)[-1]
        assert (refused.what, refused.reason) == ("modify", reason)
    assert s.gateway._desk.orders["a", order].request == request


def test_partial_fills_add_up_and_depend_on_the_order_alone(stage: Make) -> None:
    rule = PartialFills(seed=3, chance=0.5, parts=4)
    counts = []
    for _ in range(2):
        s = stage(partial=rule, instrument=Instrument("X", "X", lot=0.1))
        s.open(100.0)
        ids = [s.send(BUY, "1.3") for _ in range(60)]
        parts: dict[str, list[Decimal]] = {i: [] for i in ids}
        for d in s.told(OrderFilled):
            parts[d.fill.client_id].append(d.fill.size)
        assert all(sum(p) == D("1.3") for p in parts.values())
        assert all(size % D("0.1") == 0 for p in parts.values() for size in p)
        counts.append([len(p) for p in parts.values()])
    assert counts[0] == counts[1]
    assert set(counts[0]) == {1, 2, 3, 4}
    assert 15 < sum(n > 1 for n in counts[0]) < 45


def test_the_execution_model_sets_slippage_and_latency(stage: Make) -> None:
    model = ExecutionModel(seed=4, capital=1_000.0)
    s = opened(stage(CostModel(slippage=0.05), execution=model))
    fill = s.told(OrderFilled)[0].fill
    rate = model.slippage("X", 0.2, 0.0, HOUR, 1.0)
    assert float(fill.price) == pytest.approx(100.0 * (1 + rate))
    assert fill.latency_ms == model.latency_ms("market", HOUR, "c1") > 0
    assert fill.ts_ms == HOUR  # its bar; the latency is told apart
    assert s.events[-1].ts_ms == fill.ts_ms


def test_only_the_latest_ended_orders_are_remembered(stage: Make) -> None:
    s = stage(remember=3)
    s.open(100.0)
    rests = s.send(BUY, "1", LIMIT, "90")
    ids = [s.send(BUY, "1") for _ in range(10)]
    for client_id in (rests, ids[-1], ids[-3], ids[-4]):
        s.gateway.query("a", "X", client_id)
    assert [d.status for d in s.told(OrderStatus)] == ["open", "filled", "filled", "absent"]
    assert len(s.gateway.account_state("a", 0).fills) == 3


def test_a_gateway_without_a_sink_refuses_requests(stage: Make) -> None:
    s = stage()
    s.gateway.close()
    with pytest.raises(InfrastructureError):
        s.send(BUY, "1")


def test_ioc_waits_for_a_price_and_then_not_longer(stage: Make) -> None:
    s = stage()
    miss = s.send(BUY, "1", LIMIT, "95", tif=Tif.IOC)
    s.send(BUY, "1", LIMIT, "105", tif=Tif.IOC)
    s.open(100.0)
    assert s.prices == [100.0]
    assert [(d.client_id, d.reason) for d in s.told(OrderCanceled)] == [(miss, "ioc")]


# ---- state ---------------------------------------------------------------------------------


def played(s: Stage, first: int, last: int) -> None:
    """Some bars with orders of every kind, of two accounts."""
    for t in range(first, last):
        s.open(100.0 + t % 5)
        s.send((BUY, SELL)[t % 2], str(1 + t % 3), account="ab"[t % 2], client_id=f"m{t}")
        s.send(SELL, "1", STOP, str(97 + t % 3), reduce_only=True, client_id=f"s{t}")
        s.send(BUY, "1", LIMIT, str(98 + t % 2), client_id=f"l{t}", account="b")
        s.range(106.0, 96.5 + t % 4)
        s.close(101.0 + t % 3)
        s.show(FundingDue("X", 0.001 * (t % 3 - 1)), (s.bar + 1) * HOUR)


def test_a_restored_gateway_goes_on_as_if_nothing_had_been(stage: Make) -> None:
    options = {"partial": PartialFills(2), "execution": ExecutionModel(seed=1)}
    whole, first = stage(**options), stage(**options)
    played(whole, 0, 40)
    played(first, 0, 20)
    plain = json.loads(json.dumps(first.gateway.plain()))
    second = stage(**options)
    second.gateway.restore(plain)
    assert content_hash(second.gateway.plain()) == content_hash(plain)
    second.bar, second.numbers = first.bar, first.numbers
    played(second, 20, 40)
    assert first.events + second.events == whole.events
    assert content_hash(second.gateway.plain()) == content_hash(whole.gateway.plain())
    assert len(whole.told(OrderFilled)) > 50


def test_what_rests_and_what_is_held_is_met_after_a_restart(stage: Make) -> None:
    s = opened(stage())
    s.send(SELL, "2", STOP, "95", reduce_only=True)
    s.send(BUY, "1", account="b")
    again = stage()
    again.gateway.restore(s.gateway.plain())
    again.show(BarRange("X", HOUR, 100.0, 60.0), 2 * HOUR)
    assert [(d.fill.account, d.fill.cause) for d in again.told(OrderFilled)] == [
        ("a", "order"),
        ("b", "liquidation"),
    ]


def test_the_open_is_no_price_once_time_has_moved_on_inside_the_bar(stage: Make) -> None:
    s = stage()
    s.open(100.0)
    s.show(FundingDue("X", 0.0001), HOUR + 1)
    s.send(BUY, "1")
    assert s.prices == []
    crossing = s.send(BUY, "1", LIMIT, "101", tif=Tif.ALO)  # rests: there is nothing to cross
    assert s.told(OrderRejected) == []
    s.range(101.0, 99.0)
    assert [d.fill.client_id for d in s.told(OrderFilled)] == [crossing]


# ---- bad input -----------------------------------------------------------------------------


def bar(open_ms: int, price: float) -> BarClosed:
    return BarClosed("X", HOUR, open_ms, price, price, price, price, 1.0)


@pytest.mark.parametrize("wrong", [NAN, INF, -INF, 0.0, -1.0])
@pytest.mark.parametrize(
    "make",
    [
        lambda p: BarOpened("X", HOUR, 5 * HOUR, p),
        lambda p: BarRange("X", HOUR, p, 99.0),
        lambda p: BarRange("X", HOUR, 101.0, p),
        lambda p: bar(HOUR, p),
        lambda p: FundingDue("X", 0.01, p),
        lambda p: Quote("X", p, 99.0, 101.0),
        lambda p: Quote("X", 100.0, p, 101.0),
        lambda p: Quote("X", 100.0, 99.0, p),
        lambda p: SymbolEnded("X", p),
    ],
)
def test_an_impossible_price_is_told_and_changes_nothing(
    stage: Make, make: Callable[[float], Payload], wrong: float
) -> None:
    s = opened(stage())
    s.send(SELL, "2", STOP, "95", reduce_only=True)
    s.send(BUY, "1", LIMIT, "95")
    before, events = s.gateway.plain(), len(s.events)
    s.show(make(wrong), 5 * HOUR)
    assert s.gateway.plain() == before
    (told,) = s.events[events:]
    assert isinstance(told.data, InputQuarantined)
    assert told.data.why.startswith(make(wrong).type)


@pytest.mark.parametrize(
    "data",
    [
        BarOpened("X", HOUR, 0, 100.0),  # older than the last bar
        BarOpened("X", HOUR, HOUR, 101.0),  # the same bar with another open
        BarRange("X", 0, 101.0, 99.0),
        BarRange("X", 7 * HOUR, 101.0, 99.0),
        BarRange("X", HOUR, 99.0, 101.0),  # low above high
        bar(0, 100.0),
        FundingDue("X", NAN),
        FundingDue("NOSUCH", 0.01),
        BarOpened("NOSUCH", HOUR, 9 * HOUR, 100.0),
        Quote("X", 102.0, 99.0, 101.0),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_and_changes_nothing(stage: Make, data: Payload) -> None:
    s = opened(stage())
    s.send(SELL, "2", STOP, "95", reduce_only=True)
    before, events = s.gateway.plain(), len(s.events)
    s.show(data, 5 * HOUR)
    assert s.gateway.plain() == before
    assert [type(e.data) for e in s.events[events:]] == [InputQuarantined]


def test_a_clock_that_steps_back_is_refused(stage: Make) -> None:
    s = stage()
    s.quote(1_000, 100.0)
    s.show(FundingDue("X", 0.01), 1_000)
    before = s.gateway.plain()
    s.quote(999, 101.0)
    s.show(FundingDue("X", 0.02), 999)
    assert s.gateway.plain() == before
    assert len(s.told(InputQuarantined)) == 2


def test_an_event_that_is_shown_again_is_taken_once(stage: Make) -> None:
    s = opened(stage())
    s.send(SELL, "1", STOP, "95", reduce_only=True)
    shown = [
        (BarOpened("X", HOUR, HOUR, 100.0), HOUR),
        (BarRange("X", HOUR, 101.0, 94.0), 2 * HOUR),
        (bar(HOUR, 96.0), 2 * HOUR),
        (FundingDue("X", 0.01), 2 * HOUR),
    ]
    for data, ts_ms in shown:
        s.show(data, ts_ms)
        before, events = s.gateway.plain(), len(s.events)
        s.show(data, ts_ms)
        assert s.gateway.plain() == before
        assert len(s.events) == events
    assert len(s.told(FundingPaid)) == 1


def test_nothing_is_heard_of_a_symbol_that_has_ended(stage: Make) -> None:
    s = stage()
    s.open(100.0)
    s.show(SymbolEnded("X", 100.0), 2 * HOUR)
    s.show(SymbolEnded("X", 100.0), 2 * HOUR)
    assert s.told(InputQuarantined) == []
    s.open(101.0)
    assert [d.why for d in s.told(InputQuarantined)] == ["bar_opened: the symbol has ended"]
