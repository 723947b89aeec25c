"""The process that trades: a session on a real log that can be killed at any crash point."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import apsw

from genesis.domain.errors import StorageError
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.events import Event, EventType
from genesis.trading.gateway import AccountState
from genesis.trading.orders import OrderState
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import AccountSnapshot, OrderSubmit, TimerFired
from genesis.trading.recovery import asked_since
from genesis.trading.schedule import TimerWheel
from genesis.trading.session import TradingSession
from genesis.trading.store import EventReader
from tests.simulation.market import LIMITS, RUN, Setting
from tests.simulation.venue import FaultyGateway, Venue
from tests.unit.trading.clearing import observing

MARKET = (
    EventType.FUNDING_DUE,
    EventType.BAR_OPENED,
    EventType.BAR_RANGE,
    EventType.BAR_CLOSED,
    EventType.CANDLE_STREAM_DATA_READY,
    EventType.SYMBOL_ENDED,
)
"""Types of the feed that nobody conflates: each is in the log once."""


class Crash(BaseException):
    """The process dies here; nobody may catch it on the way."""


class WatchedOutlet(Outlet):
    """Looks at every order that leaves."""

    def watch(self, core: TradingCore, found: Callable[[str], None], sent: Counter[str]) -> None:
        self._core, self._found, self._sent = core, found, sent

    def act(self, event: Event) -> str:
        if isinstance(event.data, OrderSubmit):
            self._look(event, event.data)
        return super().act(event)

    def _look(self, event: Event, data: OrderSubmit) -> None:
        desk, order = self._core.desk, data.order
        if event.recorded_ms > order.expires_ms:
            self._found(f"I2 {order.order_id} is sent after its expiry")
        if not order.reduce_only:
            live = desk.orders.open_orders(order.account, order.symbol)
            doubts = [one for one in live if one.state is OrderState.UNKNOWN]
            if doubts:
                name = doubts[0].order_id
                self._found(f"I2 entry {order.order_id} is sent while {name} is UNKNOWN")
        deployment = desk.deployments[data.deployment]
        if data.intent_id:
            self._sent[data.intent_id] += 1
            if self._sent[data.intent_id] > deployment.options.slices:
                self._found(f"I1 intent {data.intent_id} leads to another order: {order.order_id}")


class Trader:
    """A trading process that dies and comes back."""

    def __init__(
        self,
        folder: Path,
        setting: Setting,
        venue: Venue,
        rng: random.Random,
        make: Callable[[], TradingCore],
        found: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.up = False
        self.stalled = False
        self.fuse = -1  # crash points until the process dies
        self.full = -1  # commits until the disk is full, once
        self.recovered = 0
        self.submits: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._setting = setting
        self._venue = venue
        self._clock = venue.network.clock
        self._rng = rng
        self._make = make
        self._found = found
        self._feed: list[Event] = []

    # ---- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or go on from the log; what the feed told meanwhile is told now."""
        core = self._make()
        self.core = core
        self.bus = EventBus(self._clock)
        self.timers = TimerWheel()
        self.gateway = FaultyGateway(self._venue, self._rng, self.submits)
        self.gateway.connect(self.bus.publish)
        outlet = WatchedOutlet(self.gateway, self.timers)
        outlet.watch(core, self._found, self._sent)
        self.session = TradingSession(
            self.folder,
            core,
            self.bus,
            outlet,
            self._clock,
            build="simulation",
            synchronous="OFF",
            snapshot_events=self._setting.snapshot_events,
            probe=self._probe,
        )
        self.recovered += self.session.recovered
        self.timers.restore(core.desk.timers)
        self.up = True
        if self.session.resumed:
            with EventReader(self.folder) as reader:
                seen = reader.count(MARKET)
            for event in self._feed[seen:]:
                self.bus.publish(_copy(event))

    def crash(self) -> None:
        """Die: everything but the log is gone."""
        self.up = self.stalled = False
        self.fuse = -1
        self.gateway.close()
        self.session.store.close()

    def stop(self) -> None:
        """End properly."""
        self.gateway.close()
        self.session.close()
        self.up = False

    def _probe(self, point: str) -> None:
        if self.full >= 0 and point == "store.before_commit":
            self.full -= 1
            if self.full < 0:
                raise apsw.FullError("database or disk is full")
        if self.fuse >= 0:
            self.fuse -= 1
            if self.fuse < 0:
                raise Crash(point)

    # ---- work --------------------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        """Input for the process; the feed keeps what it told."""
        if event.type in MARKET:
            self._feed.append(event)
        if self.up:
            self.bus.publish(_copy(event))

    def work(self) -> bool:
        """Fire what is due and handle what waits; whether the process lived through it."""
        if not self.up or self.stalled:
            return True
        try:
            try:
                self._work()
            except StorageError:  # the disk is full for a moment: what was not stored is kept
                self._venue.network.counts["disk"] += 1
                self._work()
        except Crash:
            self.crash()
            return False
        return True

    def _work(self) -> None:
        now = self._clock.now_ms()
        self.session.loop.run_until_idle()
        while self.timers.next_ms is not None and self.timers.next_ms <= now:
            for timer in self.timers.due(now):
                self.bus.publish(Event(TimerFired(timer), now, timer))
            self.session.loop.run_until_idle()
        self.session.maybe_snapshot()

    def poll(self, account: str, since_ms: int, *, adopt: bool = False) -> None:
        """Ask for the state of an account, and for its funding again."""
        gateway, bus = self.gateway, self.bus
        since_ms = min(since_ms, asked_since(self.core.desk, account))

        def tell(state: AccountState) -> None:
            for event in self._venue.fundings[account][-8:]:
                gateway.deliver(event)
            bus.publish(Event(AccountSnapshot(state, adopt), state.ts_ms, account))

        gateway.ask_state(account, since_ms, tell)


def _copy(event: Event) -> Event:
    return Event(event.data, event.ts_ms, event.aggregate)


def fresh_core(setting: Setting) -> TradingCore:
    """A core as the real one."""
    return TradingCore(RUN, observing(LIMITS), orders=setting.orders)
