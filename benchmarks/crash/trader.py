"""A trader as a process of its own: it dies where it is told to, and goes on from its log.

    python -m benchmarks.crash.trader '{"folder": …, "address": …, "scenario": …}'

One line of JSON tells that it has recovered, and waits for a line on standard input before it
goes on with the market; another tells how it ended. SIGTERM: it saves and exits with 130.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from benchmarks.crash.market import Scenario, deployments, feed_of, fresh_core
from genesis.exchange.paper.remote import RemotePaperGateway
from genesis.paper.engine import FEED_TYPES
from genesis.trading.bus import EventBus
from genesis.trading.events import Event
from genesis.trading.feed import resume_after
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.lockstep import FeedClock, LockStep, MarketExchange
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import DeploymentAdded, RunFinished, RunStarted
from genesis.trading.recovery import ask_accounts
from genesis.trading.schedule import TimerWheel
from genesis.trading.session import TradingSession

SNAPSHOT_EVENTS = 500
SEGMENT_EVENTS = 300
SAVED = 130


class Plan(msgspec.Struct, frozen=True):
    """What a trader is told.

    Attributes
    ----------
    folder : str
        Of the run.
    address : str
        Of the exchange.
    scenario : Scenario
    point : str
        Crash point at which it dies, empty for none.
    passes : int
        How many times it passes that point before.
    """

    folder: str
    address: str
    scenario: Scenario
    point: str = ""
    passes: int = 0


class Report(msgspec.Struct, frozen=True):
    """What a trader tells: ``recovered``, ``finished`` or ``saved``, and its state by then."""

    what: str
    events: int
    folded: int
    state_hash: str


class Executioner:
    """Kills its own process at a crash point.

    Parameters
    ----------
    point : str
    passes : int
    """

    def __init__(self, point: str, passes: int) -> None:
        self._point = point
        self._left = passes

    def __call__(self, name: str) -> None:
        """Pass a crash point."""
        if name == self._point:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Trader:
    """Everything of one process.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        folder = Path(plan.folder)
        self.feed = self.market(plan)
        self.clock = FeedClock(self.feed.anchor_ms)
        self.bus = EventBus(self.clock)
        self.gateway = self.open_gateway(plan)
        self.timers = TimerWheel()
        self.core = fresh_core(folder.name)
        probe = Executioner(plan.point, plan.passes)
        self.session = TradingSession(
            folder,
            self.core,
            self.bus,
            Outlet(self.gateway, self.timers),
            self.clock,
            build="crash",
            snapshot_events=SNAPSHOT_EVENTS,
            probe=probe,
        )
        self.last = self.session.last_event(FEED_TYPES) if self.session.resumed else None
        self.clock.advance(self.session.store.recorded_ms)
        side = self.connect(plan)
        self.driver = LockStep(
            self.clock, side, self.bus, self.session.loop, self.timers, probe=probe
        )
        self.stopped = False

    def market(self, plan: Plan) -> PanelFeed:
        """Feed of the run."""
        return feed_of(plan.scenario)

    def open_gateway(self, plan: Plan) -> Any:
        """Gateway of this process, not connected yet."""
        return RemotePaperGateway(plan.address, self.clock)

    def connect(self, plan: Plan) -> MarketExchange:  # noqa: ARG002 - of other exchanges
        """Connect the gateway; returns the exchange as the driver sees it."""
        gateway: RemotePaperGateway = self.gateway
        gateway.connect(self.bus.publish)
        return gateway

    def recover(self) -> None:
        """Begin the run, or come back to where it stopped."""
        if not self.session.resumed:
            run = RunStarted(self.core.desk.run, "crash", "paper", {})
            self.bus.publish(Event(run, self.feed.anchor_ms))
            for added in self.added():
                self.bus.publish(Event(added, self.feed.anchor_ms, added.deployment))
        for timer, due in self.core.desk.timers.items():
            self.timers.set(timer, due)
        self.driver.settle()
        self.ask()

    def added(self) -> list[DeploymentAdded]:
        """Deployments of the run."""
        return deployments(self.feed)

    def ask(self) -> None:
        """Compare every account with the exchange."""
        for event in ask_accounts(self.core.desk, self.gateway, self.clock.now_ms()):
            self.bus.publish(event)
        self.driver.settle()
        self.session.loop.flush()

    def trade(self) -> str:
        """Take the rest of the feed; returns how it ended."""
        phases = resume_after(self.feed, self.last)
        if not self.driver.run(phases, lambda: self.stopped, self.after_phase):
            return "saved"
        if not self.finished:
            self.bus.publish(Event(RunFinished("the feed ended"), self.clock.now_ms()))
            self.driver.settle()
        self.ask()
        return "finished"

    @property
    def finished(self) -> bool:
        """Whether the log says that the run is over."""
        return self.session.last_event([RunFinished.type]) is not None

    def after_phase(self) -> None:
        """Now and then a snapshot and, before it, an archived segment."""
        if self.session.maybe_snapshot():
            seq = self.session.store.head.seq
            self.session.store.archive(
                before_seq=seq - SEGMENT_EVENTS, segment_events=SEGMENT_EVENTS
            )

    def tell(self, what: str) -> None:
        """Write one line for the process that watches."""
        report = Report(
            what, self.session.store.head.seq, self.session.recovered, self.core.state_hash
        )
        os.write(1, msgspec.json.encode(report) + b"\n")


def live(trader: Trader) -> int:
    """Trade to the end of the feed, or until something kills it."""

    def stop(_signum: int, _: FrameType | None) -> None:
        trader.stopped = True

    signal.signal(signal.SIGTERM, stop)
    trader.recover()
    trader.tell("recovered")
    sys.stdin.readline()
    what = trader.trade()
    trader.session.close()
    trader.gateway.close()
    trader.tell(what)
    return SAVED if what == "saved" else 0


if __name__ == "__main__":
    sys.exit(live(Trader(msgspec.json.decode(sys.argv[1], type=Plan))))
