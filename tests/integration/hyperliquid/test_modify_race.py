"""A modification is a new order: its news come in any order, the reply too (check 44)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from genesis.exchange.venue.core import VenueProfile
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.orders import Order, OrderState
from tests.integration.hyperliquid.live_rig import ACCOUNT, MASTER, LiveRig, live_rig, order, until
from tests.integration.hyperliquid.trader_rig import Trader

NEWS = ("open new", "cancel old", "fill new")


def _status(rig: LiveRig, oid: str) -> dict[str, Any]:
    return dict(rig.info("orderStatus", oid=int(oid))["order"])


def _modified(rig: LiveRig, old: str) -> str:
    """Number of the order that replaced another at the venue, once there is one."""
    found: list[str] = []

    def there() -> bool:
        found[:] = [str(row["oid"]) for row in rig.info("openOrders") if str(row["oid"]) != old]
        return bool(found)

    until(there)
    return found[0]


def _tell(trader: Trader, name: str, news: dict[str, Any]) -> None:
    gateway = trader.gateway
    assert gateway is not None
    listener = gateway.parts.listeners[ACCOUNT]
    channel = "userFills" if name == "fill new" else "orderUpdates"
    gateway._loop.call_soon_threadsafe(listener.on_frame, channel, news[name])


@pytest.mark.parametrize("reply", ["first", "last", "lost"])
@pytest.mark.parametrize("sequence", itertools.permutations(NEWS), ids=" ".join)
def test_check_44_the_news_of_a_modification_in_any_order(
    tmp_path: Path, sequence: tuple[str, ...], reply: str
) -> None:
    with live_rig(tmp_path, profile=VenueProfile(step_ms=0)) as rig:
        rig.price(100.0)
        trader = Trader(rig)
        gateway = trader.gateway = rig.gateway(trader.sink, timeout_s=2.0, least_act_timeout_s=2.0)
        placed: Order = trader.submit(order(Side.SELL, "0.5", OrderKind.LIMIT, "104"))
        trader.settle()
        old = placed.venue_id
        rig.fault("ws_drop", where={"user": MASTER})  # the test tells the news itself
        if reply == "last":
            rig.fault("delay_after", delay_ms=400, where={"path": "exchange"}, count=1)
        elif reply == "lost":
            rig.fault("drop_after", where={"path": "exchange"}, count=1)
        trader.modify(placed, "103", "0.7")
        new = _modified(rig, old)
        news: dict[str, Any] = {
            "open new": [_status(rig, new)],
            "cancel old": [_status(rig, old)],
        }
        rig.price(105.0)
        news["fill new"] = {"user": MASTER, "fills": rig.fills()}
        assert len(rig.fills()) == 1
        if reply != "last":
            until(lambda: gateway._pending == 0)
        for name in sequence:
            _tell(trader, name, news)
        trader.run_until(lambda: not placed.live)
        trader.settle()
        assert (placed.state, str(placed.filled)) == (OrderState.FILLED, "0.7")
        assert trader.booked == [str(row["tid"]) for row in rig.fills()]
        assert gateway.parts.tickets.live(ACCOUNT) == []
        assert not [alert for alert in trader.alerts if alert.level == "critical"]
