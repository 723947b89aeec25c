"""The execution worker: orders from directives, protective orders where they belong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.domain.ids import client_order_id
from genesis.risk.limits import OrderFacts, RiskView, Verdict
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, Tif
from genesis.trading.money import exact
from genesis.trading.payloads import (
    AlertRaised,
    OpportunityRejected,
    OrderAccepted,
    OrderModify,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    RiskAssessed,
)
from genesis.trading.worker import MOST_ASKED
from tests.unit.trading.core_rig import (
    ACCOUNT,
    GUARDED,
    HOUR,
    NAKED,
    NAME,
    START,
    Rig,
    Script,
    of,
)

TRAILING = GUARDED.__class__(size=0.5, stop_atr=1.0, trail_atr=1.0, atr_window=2)


class Refusing:
    """Refuses the n-th question and those after it."""

    def __init__(self, after: int) -> None:
        self.left = after

    def check(self, order: OrderFacts, view: RiskView) -> Verdict:
        self.left -= 1
        approved = order.reduce_only or self.left >= 0
        return Verdict(approved, "whim", 1.0, 0.0, "a whim" if not approved else "fine")


def entered(policy: object = GUARDED, **more: object) -> tuple[Rig, Script]:
    exchange = Script()
    rig = Rig(policy, exchange=exchange, **more)  # type: ignore[arg-type]
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    return rig, exchange


def plans(rig: Rig) -> list[str]:
    return [str(row[5]) for row in rig.table("trade_plans")]


def test_a_request_has_all_that_an_exchange_needs() -> None:
    options = DeploymentOptions(order_ttl_ms=7_000)
    rig, exchange = entered(options=options)
    entry, stop, target = exchange.submitted
    assert len({o.client_id for o in exchange.submitted}) == 3
    for order in exchange.submitted:
        assert order.client_id == client_order_id(ACCOUNT, "run", order.order_id)
        assert (order.account, order.symbol) == (ACCOUNT, "BTC")
        assert order.expires_ms == START + 5 * HOUR + 7_000
    assert (entry.kind, entry.tif, entry.price, entry.reduce_only) == (
        OrderKind.MARKET,
        Tif.IOC,
        None,
        False,
    )
    assert {stop.tif, target.tif} == {Tif.GTC}
    submits = {o.purpose: o for o in rig.all(OrderSubmit)}
    assert submits["entry"].reference == Decimal("100.0")
    assert submits["stop"].reference == Decimal("98.0")
    assert submits["entry"].intent_id.startswith("INT_")
    assert submits["stop"].intent_id == ""
    assert {o.plan_id for o in submits.values()} == {rig.deployment.plan_id}


def test_an_entry_that_risk_refuses_at_the_last_moment_leaves_no_plan_open() -> None:
    rig = Rig(limits=Refusing(1), exchange=Script())  # type: ignore[arg-type]
    events = rig.bar(wish="long")
    assert of(events, OrderSubmit) == []
    assert [r.approved for r in of(events, RiskAssessed)] == [True, False]
    (rejected,) = of(events, OpportunityRejected)
    assert (rejected.stage, rejected.reason) == ("risk", "a whim")
    assert rig.deployment.plan_id == ""
    assert plans(rig) == ["void"]
    assert rig.core.desk.ledger.plans == {}


def test_a_slice_that_risk_refuses_ends_the_rest_and_keeps_what_is_there() -> None:
    options = DeploymentOptions(algorithm="twap", slices=3, spacing_ms=HOUR)
    exchange = Script()
    rig = Rig(limits=Refusing(2), options=options, exchange=exchange)  # type: ignore[arg-type]
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar()
    rig.bar()
    assert len(exchange.submitted) == 1
    assert rig.deployment.work is None
    assert plans(rig) == ["open"]
    assert rig.position == exchange.submitted[0].size


def test_after_a_gap_the_levels_rest_where_they_belong() -> None:
    """The last price is from before the gap; the collar of orders is not for them."""
    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0], 60.0)
    stop, target = exchange.submitted[1:]
    assert stop.price == pytest.approx(Decimal("58.8"))
    assert target.price == pytest.approx(Decimal("60.9"))


# ---- protection ------------------------------------------------------------------------------


def test_what_is_on_its_way_is_not_asked_for_again() -> None:
    exchange = Script(accepts=False)
    rig = Rig(TRAILING, exchange=exchange)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0], size="20")
    assert [o.kind for o in exchange.submitted] == [OrderKind.MARKET, OrderKind.STOP]
    rig.fill(exchange.submitted[0], size="30")
    rig.bar(100.0, 104.0)
    assert len(exchange.submitted) == 2, "the stop is not acknowledged yet"
    assert exchange.modified == []
    exchange.accepts = True
    rig.say(OrderAccepted(exchange.submitted[1].client_id, "v9"))
    assert len(exchange.modified) == 1, "now it gets the size and level that it should have"
    assert exchange.modified[0].size == Decimal(50)
    assert exchange.modified[0].price == Decimal(repr(rig.deployment.state.stop))


def test_a_stop_follows_the_policy_and_never_goes_back() -> None:
    rig, exchange = entered(TRAILING)
    levels = [Decimal("98.0")]
    for close in (103.0, 106.0, 104.0, 108.0):
        rig.bar(100.0, close)
        stop = rig.core.desk.orders.get(rig.deployment.stop_order)
        assert stop is not None
        assert stop.price == Decimal(repr(rig.deployment.state.stop))
        levels.append(stop.price)
    assert levels == sorted(levels)
    assert len(exchange.modified) == len(set(levels)) - 1
    assert all(o.expires_ms > 0 for o in exchange.modified)


def test_a_modification_that_is_refused_is_not_asked_for_without_end() -> None:
    rig, exchange = entered(TRAILING)
    exchange.accepts = False
    rig.bar(100.0, 104.0)
    stop = rig.core.desk.orders.get(rig.deployment.stop_order)
    assert stop is not None
    asked = 0
    while asked < len(exchange.modified) <= 3 * MOST_ASKED:
        asked = len(exchange.modified)
        rig.say(OrderRejected(stop.request.client_id, "modify", "no"))
        told = OrderStatus(
            client_id=stop.request.client_id,
            status="trigger_wait",
            venue_id=stop.venue_id,
            venue_ms=rig.clock.now_ms() + HOUR,  # late enough to say what became of it
            size=stop.size,
            price=stop.price,
        )
        rig.say(told)
    assert asked == MOST_ASKED
    alerts = [a for a in rig.all(AlertRaised) if "cannot be modified" in a.title]
    assert len(alerts) == 1
    assert rig.position == Decimal(50)
    exchange.accepts = True
    rig.bar(104.0, 110.0)  # the policy moves it again: a new beginning
    assert len(exchange.modified) == asked + 1


def test_an_exit_that_fills_takes_the_other_one_along() -> None:
    rig, exchange = entered()
    stop, target = exchange.submitted[1:]
    rig.fill(target, 101.5)
    assert exchange.canceled == [stop.client_id]
    assert (rig.deployment.stop_order, rig.deployment.target_order) == ("", "")


def test_a_stop_that_fills_in_parts_closes_in_parts() -> None:
    rig, exchange = entered()
    stop, target = exchange.submitted[1:]
    rig.fill(stop, 98.0, size="20")
    assert rig.position == Decimal(30)
    resized = [o for o in exchange.modified if o.client_id == target.client_id]
    assert [o.size for o in resized] == [Decimal(30)]
    assert [o.client_id for o in exchange.modified] == [target.client_id], "the stop fits already"
    rig.fill(stop, 97.9, size="30")
    assert rig.position == 0
    assert plans(rig) == ["closed"]


WATCHED = DeploymentOptions(stop_within_ms=5_000)


def waits(rig: Rig, ms: int) -> list[Event]:
    """Let time pass without any bar."""
    return rig._phase(rig.clock.now_ms() + ms, [])


def test_a_position_whose_stop_is_not_acknowledged_in_time_is_closed() -> None:
    exchange = Script(accepts=False)
    rig = Rig(GUARDED, exchange=exchange, options=WATCHED)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    sent = len(exchange.submitted)
    waits(rig, 4_999)
    assert len(exchange.submitted) == sent
    waits(rig, 1)
    close = exchange.submitted[-1]
    assert (close.kind, close.reduce_only, close.size) == (OrderKind.MARKET, True, rig.position)
    assert [a.level for a in rig.all(AlertRaised) if a.title == "position without a stop"] == [
        "critical"
    ]


def test_a_position_with_its_stop_at_the_exchange_stays() -> None:
    rig, exchange = entered(options=WATCHED)
    sent = len(exchange.submitted)
    waits(rig, 60_000)
    assert len(exchange.submitted) == sent
    assert rig.position


def test_a_policy_without_a_stop_gets_the_one_for_disasters() -> None:
    options = DeploymentOptions(stop_within_ms=5_000, disaster_stop=0.15)
    rig, exchange = entered(NAKED, options=options)
    entry, stop = exchange.submitted
    filled = rig.deployment.entry
    assert (stop.kind, stop.reduce_only, stop.size) == (OrderKind.STOP, True, entry.size)
    assert stop.price == exact(filled * 0.85)
    rig, exchange = entered(NAKED, options=DeploymentOptions())
    assert len(exchange.submitted) == 1


@pytest.mark.parametrize("stops", ["venue", "loop"])
def test_protective_orders_rest_only_where_they_are_to(stops: str) -> None:
    _, exchange = entered(options=DeploymentOptions(stops=stops))
    kinds = [o.kind for o in exchange.submitted[1:]]
    assert kinds == ([OrderKind.STOP, OrderKind.TARGET] if stops == "venue" else [])


def test_what_is_asked_for_is_told_as_coming_from_the_policy() -> None:
    rig, _ = entered(TRAILING)
    (modify,) = of(rig.bar(100.0, 104.0), OrderModify)
    assert (modify.deployment, modify.reason) == (NAME, "policy")
    assert modify.order.reduce_only
