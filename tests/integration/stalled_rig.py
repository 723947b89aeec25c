"""A trading run in real time whose consumer can be taken away: clock by hand, all else is real."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from genesis.costs.model import CostModel
from genesis.exchange.paper.gateway import PaperGateway
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.deployment import deployment_added
from genesis.trading.events import Event, EventType, Lane, Payload
from genesis.trading.gateway import OrderRequest, Sink
from genesis.trading.inbox import Inbox
from genesis.trading.order_manager import OrderSettings
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    CandlesReady,
    RunStarted,
    TradeIntent,
)
from genesis.trading.progress import StageMonitor, StageReport
from genesis.trading.replay import Refold
from genesis.trading.schedule import TimerWheel
from genesis.trading.session import TradingSession
from genesis.trading.stages import in_order, inbox_stage, loop_stages
from genesis.trading.status import RunStatus, read_status
from genesis.trading.store import EventReader
from genesis.trading.watchdog import ALERTS, RunAlerts, Watchdog
from tests.unit.trading.clearing import observing
from tests.unit.trading.core_rig import ACCOUNT, COIN, HOUR, NAME, START, WISHES, wishful
from tests.unit.trading.event_samples import HandClock

BUILD = "test"
MINUTE = 60_000


class Counting(PaperGateway):
    """The paper exchange, which also remembers what it was sent, and may swallow it."""

    def __init__(self) -> None:
        super().__init__({COIN.symbol: COIN}, CostModel(taker=0.0, maker=0.0, slippage=0.0), 3.0)
        self.sent: list[OrderRequest] = []
        self.mute = False

    def submit(self, order: OrderRequest) -> None:
        self.sent.append(order)
        if not self.mute:
            super().submit(order)


def fresh_core(run: str) -> TradingCore:
    return TradingCore(run, observing(), orders=OrderSettings(ack_ms=0))


class LiveRun:
    """One deployment, its store, the paper exchange and the watch; the loop runs when asked."""

    def __init__(
        self,
        folder: Path,
        *,
        lanes: dict[Lane, int] | None = None,
        alive: Callable[[], bool] | None = None,
        publish: bool = True,
    ) -> None:
        self.folder = folder
        self.clock = HandClock(START)
        self.bus = EventBus(self.clock, lanes or {Lane.HIGH: 20_000})
        self.exchange = Counting()
        self.core = fresh_core(folder.name)
        outlet = Outlet(self.exchange, TimerWheel())
        self.session = TradingSession(
            folder, self.core, self.bus, outlet, self.clock, build=BUILD, synchronous="OFF"
        )
        self.loop = self.session.loop
        sink: Sink = self.bus.publish
        self.exchange.connect(sink)
        stages = [*loop_stages(self.bus, self.loop, alive=alive), inbox_stage(Inbox(folder))]
        self.monitor = StageMonitor(in_order(stages), self.clock)
        outlet.guard(self.monitor)
        self.stderr = io.StringIO()
        self.watchdog = Watchdog(
            self.monitor,
            self.clock,
            folder,
            run=folder.name,
            build=BUILD,
            mode="live",
            loop=self.loop,
            bus=self.bus,
            sink=RunAlerts(folder, self.stderr),
            publish=publish,
        )
        self.running = True
        self.open_ms = START
        if not self.session.resumed:
            self.say(RunStarted(folder.name, BUILD, "live", {}))
            added = deployment_added(
                NAME,
                wishful(),
                ACCOUNT,
                COIN,
                capital=10_000.0,
                interval_ms=HOUR,
                anchor_ms=START,
            )
            self.say(added)

    # ---- time ------------------------------------------------------------------------------

    def work(self) -> None:
        """Let the consumer do what waits, if it is there."""
        if self.running:
            self.loop.run_until_idle()

    def second(self) -> None:
        """A second passes: the consumer works, the watch looks."""
        self.clock.ms += 1_000
        self.work()
        self.watchdog.tick()

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.second()

    # ---- what comes in ---------------------------------------------------------------------

    def say(self, data: Payload) -> None:
        event = Event(data, self.clock.now_ms())
        self.exchange.on_market(event)
        self.bus.publish(event)
        self.work()

    def bar(self, price: float, wish: str = "") -> None:
        """A bar that ends now; its open is the next event after the last close."""
        symbol, now = COIN.symbol, self.open_ms
        self.clock.ms = max(self.clock.ms, now)
        self.say(BarOpened(symbol, HOUR, now, price))
        self.clock.ms = max(self.clock.ms, now + HOUR)
        self.say(BarRange(symbol, now, price + 0.25, price - 0.25))
        volume, sentiment = WISHES[wish]
        self.say(
            BarClosed(
                symbol, HOUR, now, price, price + 0.25, price - 0.25, price, volume, 0.0, sentiment
            )
        )
        self.say(CandlesReady(HOUR, now, (symbol,)))
        self.open_ms = now + HOUR

    # ---- what it looks like ----------------------------------------------------------------

    def stage(self, name: str) -> StageReport:
        (found,) = (report for report in self.monitor.reports if report.stage == name)
        return found

    def log(self, *types: EventType) -> list[Event]:
        with EventReader(self.folder) as reader:
            return list(reader.events(types=types or None))

    def table(self, name: str, where: str = "") -> list[dict[str, Any]]:
        self.loop.flush()
        with EventReader(self.folder) as reader:
            return reader.rows(name, where)

    @property
    def status(self) -> RunStatus:
        found = read_status(self.folder)
        assert found is not None
        return found

    @property
    def alerts(self) -> list[dict[str, Any]]:
        path = self.folder / ALERTS
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def refolded(self) -> Refold:
        """The log folded again by a core that knows nothing."""
        refold = Refold(fresh_core(self.folder.name))
        with EventReader(self.folder) as reader:
            for event in reader.events():
                refold.handle(event)
        return refold


def another(intent: TradeIntent, number: int, expires_ms: int) -> TradeIntent:
    """The same directive once more, under a name of its own."""
    return msgspec.structs.replace(intent, intent_id=f"INT_{number:05d}", expires_ms=expires_ms)
