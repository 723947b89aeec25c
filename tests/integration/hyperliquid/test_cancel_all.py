"""`cancel_all` while the exchange refuses and fills: nothing rests afterwards (check 50)."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.crash.market import fresh_core, strategies
from genesis.domain.instrument import Instrument
from genesis.exchange.hyperliquid.limits import Priority
from genesis.exchange.venue.core import VenueProfile
from genesis.trading.bus import EventBus
from genesis.trading.deployment import deployment_added
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.loop import MemoryLog, TradingLoop
from genesis.trading.orders import OrderState
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import OperatorCommand, OrderSubmit, RunStarted, TimerFired
from genesis.trading.schedule import TimerWheel
from tests.integration.hyperliquid.live_rig import ACCOUNT, COIN, LiveRig, live_rig, order
from tests.integration.hyperliquid.stream_faults import FastWaits
from tests.unit.trading.clearing import cleared

QUIET = VenueProfile(step_ms=0)
HOUR = 3_600_000
BUY_STATES = {OrderState.FILLED, OrderState.CANCELED}


class Desk:
    """A trading core on a live gateway, driven by hand; its calendar is the venue's."""

    def __init__(self, rig: LiveRig, **settings: Any) -> None:
        self.rig = rig
        clock = rig.venue.clock
        self.core = fresh_core("RUN")
        self.bus = EventBus(clock)
        self.timers = TimerWheel()
        self.waits = FastWaits(clock)
        patient = dict.fromkeys(("timeout_s", "least_timeout_s", "least_act_timeout_s"), 160.0)
        self.gateway = rig.gateway(
            self.bus.publish, self.waits, mid_age_s=1e6, **(patient | settings)
        )
        self.loop = TradingLoop(
            self.bus, MemoryLog(clock), self.core, Outlet(self.gateway, self.timers)
        )
        self.say(RunStarted("RUN", "test", "live", {}))
        strategy = strategies()[0][0]
        instrument = Instrument(COIN, COIN, 0.01, 0.01, 10.0, 0.025)
        self.say(
            deployment_added(
                "DEP",
                strategy,
                ACCOUNT,
                instrument,
                capital=100_000.0,
                interval_ms=HOUR,
                anchor_ms=clock.now_ms() // HOUR * HOUR,
            )
        )

    def say(self, data: Payload) -> None:
        self.bus.publish(Event(data, self.rig.venue.clock.now_ms(), "DEP"))
        self.loop.run_until_idle()

    def place(self, request: OrderRequest) -> str:
        command = OrderSubmit("DEP", "TPL", "entry", request)
        now = self.rig.venue.clock.now_ms()
        self.core.desk.orders.intend(command, Event(command, now), cleared(request))
        self.say(command)
        return request.order_id

    def settle(self) -> None:
        while True:
            assert self.gateway.settle(120.0)
            if not self.loop.run_until_idle():
                return

    def run_until(self, done: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Let timers come due as the gateway's time goes by."""
        ends = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < ends, "it did not happen in time"
            self.rig.advance(100)
            now = self.rig.venue.clock.now_ms()
            for timer in self.timers.due(now):
                self.bus.publish(Event(TimerFired(timer), now, timer))
            self.loop.run_until_idle()
            time.sleep(0.005)

    def state(self, order_id: str) -> OrderState:
        found = self.core.desk.orders.get(order_id)
        assert found is not None
        return found.state


def _cancel_all() -> OperatorCommand:
    return OperatorCommand("OPR_1", "cancel_all", "enough", "a person")


def _sold(rig: LiveRig, size: str) -> None:
    """Somebody sells to the best bids."""
    row = {"a": 5, "b": False, "p": "99.9", "s": size, "r": False}
    kind = {"t": {"limit": {"tif": "Ioc"}}}
    rig.submit(rig.sub, {"type": "order", "orders": [row | kind], "grouping": "na"})


@pytest.mark.slow
def test_check_50_cancel_all_takes_back_everything_under_429_and_partial_fills(
    tmp_path: Path,
) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.act("fund", rig.sub, "1000000")
        rig.price(100.0)
        desk = Desk(rig)
        bids = [desk.place(order(Side.BUY, "0.5", OrderKind.LIMIT, "99.995")) for _ in range(17)]
        asks = [desk.place(order(Side.SELL, "0.5", OrderKind.LIMIT, "105")) for _ in range(10)]
        desk.settle()
        _sold(rig, "0.7")  # the first bid is full, the second one in part
        stop = order(Side.SELL, "0.5", OrderKind.STOP, "90", reduce_only=True)
        stops = [desk.place(stop)]
        desk.settle()
        assert len(rig.info("frontendOpenOrders")) == 29  # with stop and target of what filled
        rig.fault("too_many", where={"path": "exchange"}, count=120)
        rig.fault("too_many", where={"path": "info"}, probability=0.3)
        orders = desk.core.desk.orders
        before = {one.order_id for one in orders.open_orders()}
        desk.say(_cancel_all())
        _sold(rig, "0.7")  # while nothing can be taken back
        desk.run_until(lambda: before.isdisjoint(o.order_id for o in orders.open_orders()))
        rig.heal()
        # What filled after the command is protected; nothing else is there.
        assert all(row["reduceOnly"] for row in rig.info("frontendOpenOrders"))
        desk.settle()
        desk.say(_cancel_all())
        desk.run_until(lambda: not orders.open_orders())
        assert rig.info("frontendOpenOrders") == []
        assert {desk.state(one) for one in bids} == BUY_STATES
        assert {desk.state(one) for one in (*asks, *stops)} == {OrderState.CANCELED}
        filled = sum((orders.get(one).filled for one in bids), Decimal(0))  # type: ignore[union-attr]
        assert filled == rig.position() == Decimal("1.4")
        assert {p.size for p in desk.core.desk.ledger.positions(ACCOUNT)} == {Decimal("1.4")}
        sent = [row["cloid"] for row in rig.fills()]
        assert len(sent) == 4
        assert desk.gateway.parts.transport.budget.most <= 1_200


def test_check_50_the_reserve_of_the_weight_is_there_for_cancel_all(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        desk = Desk(rig)
        for _ in range(30):
            desk.place(order(Side.BUY, "0.5", OrderKind.LIMIT, "95"))
        desk.settle()
        budget = desk.gateway.parts.transport.budget
        spare = budget.left(Priority.ORDER)  # of orders
        budget.add(spare)
        late = order(Side.BUY, "0.5", OrderKind.LIMIT, "94")
        desk.place(late)  # there is no weight for it
        desk.say(_cancel_all())
        began = desk.waits.monotonic()
        while rig.info("frontendOpenOrders"):
            assert desk.waits.monotonic() - began < 30.0
        assert budget.left(Priority.ORDER) <= 0
        desk.run_until(lambda: not desk.core.desk.orders.open_orders())
        assert rig.info("frontendOpenOrders") == []
        assert budget.most <= 1_200
