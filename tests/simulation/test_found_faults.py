"""Faults of the trading core that simulated days brought to light, each in its smallest form."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from genesis.trading.deployment import DeploymentOptions
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.order_manager import OrderSettings
from genesis.trading.orders import OrderState
from genesis.trading.payloads import (
    OperatorCommand,
    OrderModified,
    OrderStatus,
    OrderUnknown,
    TradeIntent,
)
from tests.unit.trading.core_rig import GUARDED, HOUR, NAKED, Rig, Script

SLOW = DeploymentOptions(algorithm="twap", slices=3, spacing_ms=10 * 60_000, order_ttl_ms=HOUR)
ICEBERG = DeploymentOptions(algorithm="iceberg", slices=3)


def scripted(options: DeploymentOptions | None = None) -> tuple[Rig, Script]:
    exchange = Script()
    return Rig(NAKED, exchange=exchange, options=options, orders=OrderSettings(ack_ms=0)), exchange


def flatten(rig: Rig) -> None:
    rig.say(OperatorCommand("CMD_1", "flatten", "enough", "somebody"))


def test_the_next_part_of_a_twap_waits_for_one_that_is_unknown() -> None:
    rig, exchange = scripted(SLOW)
    rig.bar(wish="long")
    (first,) = exchange.submitted
    rig.say(OrderUnknown(first.client_id, "submit", "timeout"))
    rig.bar()  # the time of the other parts comes
    assert exchange.submitted == [first]
    live = rig.core.desk.orders.open_orders()
    assert [o.order_id for o in live if o.state is OrderState.UNKNOWN] == [first.order_id]


def test_what_a_filled_close_left_is_closed_too() -> None:
    """A part of the entry was told only after the close was made: its size was not in it."""
    rig, exchange = scripted()
    rig.bar(wish="long")
    entry = exchange.submitted[0]
    rig.fill(entry, size="20")
    rig.bar(wish="exit_long")
    close = exchange.submitted[-1]
    assert close.size == 20
    rig.fill(close, size="10")
    rig.fill(entry, size="30")
    rig.fill(close, size="10")
    assert rig.position == 30
    rest = exchange.submitted[-1]
    assert (rest.side, rest.size, rest.kind) == (Side.SELL, 30, OrderKind.MARKET)
    rig.fill(rest)
    assert rig.position == 0
    assert rig.deployment.closing == ""


@pytest.mark.parametrize("options", [SLOW, ICEBERG])
def test_a_person_who_flattens_does_not_wait_for_parts(options: DeploymentOptions) -> None:
    rig, exchange = scripted(options)
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    flatten(rig)
    last = exchange.submitted[-1]
    assert (last.kind, last.size, last.reduce_only) == (OrderKind.MARKET, rig.position, True)


@pytest.mark.parametrize("options", [SLOW, ICEBERG])
def test_a_person_who_flattens_does_not_wait_for_a_slow_close(options: DeploymentOptions) -> None:
    rig, exchange = scripted(options)
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(wish="exit_long")
    flatten(rig)
    last = exchange.submitted[-1]
    assert (last.kind, last.size, last.reduce_only) == (OrderKind.MARKET, rig.position, True)
    rig.fill(last)
    assert rig.position == 0


def test_the_entry_of_a_reversal_goes_with_a_close_that_came_too_late() -> None:
    rig, exchange = scripted(DeploymentOptions(intent_ttl_ms=1_000))
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    entry = rig.all(TradeIntent)[0]
    rig.deployment.closing, rig.deployment.waiting = "reversal", entry
    late = msgspec.structs.replace(entry, intent_id="INT_LATE", scope="CLOSE", reason="reversal")
    rig.clock.advance(late.expires_ms + 1)
    rig.say(late)
    assert rig.deployment.closing == ""
    rig.bar(wish="exit_long")
    rig.fill(exchange.submitted[-1])
    assert [order.reduce_only for order in exchange.submitted] == [False, True], "nothing follows"


def test_a_close_that_is_canceled_before_its_last_fill_is_told_is_over() -> None:
    rig, exchange = scripted()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(wish="exit_long")
    close = exchange.submitted[-1]
    rig.say(OrderUnknown(close.client_id, "submit", "timeout"))
    filled = close.size / 2
    rig.say(OrderStatus(close.client_id, "canceled", "v2", filled, rig.clock.now_ms()))
    rig.fill(close, size=filled)
    assert rig.core.desk.orders.get(close.order_id).state is OrderState.CANCELED  # type: ignore[union-attr]
    assert rig.deployment.closing == ""
    rig.bar(wish="exit_long")
    assert exchange.submitted[-1].size == close.size - filled


def test_an_order_is_full_at_the_size_that_the_exchange_has() -> None:
    """A request to modify came twice, its second time after a later one had been carried out."""
    rig, exchange = scripted()
    rig.bar(wish="long")
    order = exchange.submitted[0]
    manager = rig.core.desk.orders
    full = manager.get(order.order_id)
    assert full is not None
    manager._replaced(full, None, order.size * 2)
    rig.fill(order)
    assert full.state is OrderState.PARTIAL
    rig.say(OrderUnknown(order.client_id, "submit", "not listed"))
    rig.say(OrderStatus(order.client_id, "filled", "v1", order.size, rig.clock.now_ms()))
    assert full.state is OrderState.FILLED
    assert full.size == order.size


def test_a_stop_that_an_older_request_changed_again_is_asked_for_and_put_right() -> None:
    """The network delivered a request to modify twice, its second time after a later one."""
    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.warm()
    rig.bar(wish="long")
    entry = exchange.submitted[0]
    rig.fill(entry, size="20")
    rig.fill(entry, size="30")
    stop = rig.core.desk.orders.get(rig.deployment.stop_order)
    assert stop is not None
    assert (stop.state, stop.size) == (OrderState.TRIGGER_WAIT, 50)
    older, price, venue_id = Decimal(20), stop.price, stop.venue_id
    before = len(exchange.modified)
    rig.say(OrderModified(stop.request.client_id, venue_id, price, older))
    assert stop.state is OrderState.UNKNOWN
    assert exchange.queried[-1] == stop.request.client_id
    told = OrderStatus(
        stop.request.client_id, "trigger_wait", venue_id, size=older, price=price, venue_ms=1
    )
    rig.say(told)
    assert exchange.modified[before:] == [wanted := exchange.modified[-1]]
    assert (wanted.client_id, wanted.size, wanted.price) == (stop.request.client_id, 50, price)
    assert (stop.state, stop.size) == (OrderState.TRIGGER_WAIT, 50)


def test_a_notice_that_only_repeats_the_terms_changes_nothing() -> None:
    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    stop = rig.core.desk.orders.get(rig.deployment.stop_order)
    assert stop is not None
    rig.say(OrderModified(stop.request.client_id, stop.venue_id, stop.price, stop.size))
    assert stop.state is OrderState.TRIGGER_WAIT
    assert exchange.queried == []
