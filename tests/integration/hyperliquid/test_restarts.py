"""A process that dies around a request: the next one finds the truth (check 46, within a process).

What a death at each point leaves is what was stored until then: the order manager's state of that
moment, and nothing of what the gateway told afterwards.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.exchange.venue.core import VenueProfile
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, Side, Tif
from genesis.trading.orders import OrderState
from genesis.trading.payloads import OrderFilled, OrderSubmit, RunResumed
from tests.integration.hyperliquid.live_rig import ACCOUNT, COIN, LiveRig, live_rig, order
from tests.integration.hyperliquid.trader_rig import Trader
from tests.unit.trading.clearing import cleared

POINTS = ("stored, not sent", "sent", "answered, nothing stored", "answered, a part stored")
SHAPES: dict[str, tuple[Any, ...]] = {
    "taken": (OrderKind.MARKET, None, Tif.IOC, OrderState.FILLED),
    "rests": (OrderKind.LIMIT, "95", Tif.GTC, OrderState.RESTING),
    "crosses": (OrderKind.LIMIT, "101", Tif.GTC, OrderState.FILLED),
    "refused": (OrderKind.LIMIT, "101", Tif.ALO, OrderState.REJECTED),
}


def _dies(rig: LiveRig, trader: Trader, shape: str, point: str) -> tuple[str, dict[str, Any]]:
    """Send an order and die; returns its id and what was stored."""
    kind, price, tif, _ = SHAPES[shape]
    request = order(Side.BUY, "0.5", kind, price, tif=tif, expires_ms=trader.now + 5_000)
    command = OrderSubmit("DEP", "TPL", "entry", request)
    event = Event(command, trader.now, seq=1, recorded_ms=trader.now)
    trader.orders.intend(command, event, cleared(request))
    trader._follow(trader.orders.submit(command, event))
    gateway = trader.gateway
    assert gateway is not None
    if point != "stored, not sent":
        gateway.submit(request)
    if point.startswith("answered"):
        assert gateway.settle()
    if point.endswith("a part stored"):
        del trader._waiting[1:]
        trader.pump()
    stored = trader.orders.plain()
    gateway.close()
    return request.order_id, stored


def _goes_on(rig: LiveRig, stored: dict[str, Any]) -> Trader:
    """A new process with what was stored: what was in flight is in doubt, the account is read."""
    trader = Trader(rig)
    trader.gateway = rig.gateway(trader.sink)
    trader.orders.restore(stored)
    resumed = Event(RunResumed("test"), trader.now, seq=10, recorded_ms=trader.now)
    for change in trader.orders.on_resumed(resumed):
        trader._follow(change)
    for fill in trader.gateway.account_state(ACCOUNT, 0).fills:
        trader._handle(trader._number(Event(OrderFilled(fill), fill.ts_ms)))
    return trader


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_check_46_the_next_process_finds_what_became_of_an_order(
    tmp_path: Path, shape: str, point: str
) -> None:
    with live_rig(tmp_path, profile=VenueProfile(step_ms=0)) as rig:
        rig.price(100.0)
        first = Trader(rig)
        first.gateway = rig.gateway(first.sink)
        order_id, stored = _dies(rig, first, shape, point)
        trader = _goes_on(rig, stored)
        placed = trader.orders.get(order_id)
        assert placed is not None
        waiting = (OrderState.UNKNOWN, OrderState.SUBMITTED)
        trader.run_until(lambda: placed.state not in waiting)
        unsent = point == "stored, not sent" or (
            point == "sent" and not rig.info("historicalOrders")
        )
        if unsent:
            assert placed.state is OrderState.EXPIRED
        elif shape == "refused":  # the venue need not remember what it refused
            assert placed.state in (OrderState.REJECTED, OrderState.EXPIRED)
        else:
            assert placed.state is SHAPES[shape][3]
        there = [row for row in rig.info("historicalOrders") if row["status"] != "rejected"]
        assert len({row["order"]["oid"] for row in there}) <= 1  # nothing was sent twice
        assert sum((Decimal(row["sz"]) for row in rig.fills()), Decimal(0)) == placed.filled
        assert rig.position(COIN) == placed.filled
        assert len(set(trader.booked)) == len(trader.booked)


@pytest.mark.parametrize("late", [False, True], ids=["reply first", "stream first"])
def test_check_46_the_next_process_changes_an_order_and_keeps_it(
    tmp_path: Path, late: bool
) -> None:
    """News of the leg that is replaced is no end of the order, and what filled of it counts."""
    with live_rig(tmp_path, profile=VenueProfile(step_ms=0)) as rig:
        rig.act("fund", rig.sub, "1000000")
        rig.price(100.0)
        first = Trader(rig)
        first.gateway = rig.gateway(first.sink)
        order_id = first.submit(order(Side.BUY, "0.5", OrderKind.LIMIT, "99.995")).order_id
        first.settle()
        _sold(rig, "0.2")
        first.settle()
        first.gateway.close()
        trader = _goes_on(rig, first.orders.plain())
        trader.settle()
        placed = trader.orders.get(order_id)
        assert placed is not None
        assert placed.state is OrderState.PARTIAL
        if late:
            rig.fault("delay_after", where={"path": "exchange"}, delay_ms=300, count=1)
        trader.modify(placed, "99.996", "0.6")
        trader.settle()
        (row,) = rig.info("openOrders")
        assert (row["sz"], str(row["oid"])) == ("0.4", placed.venue_id)
        assert placed.state is OrderState.PARTIAL
        _sold(rig, "0.4")
        trader.settle()
        assert placed.state is OrderState.FILLED
        assert rig.position(COIN) == placed.filled == Decimal("0.6")


def _sold(rig: LiveRig, size: str) -> None:
    row = {"a": 5, "b": False, "p": "99.9", "s": size, "r": False, "t": {"limit": {"tif": "Ioc"}}}
    rig.submit(rig.sub, {"type": "order", "orders": [row], "grouping": "na"})
