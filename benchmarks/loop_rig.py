"""A trading loop on a synthetic market of one-minute bars, for the benchmarks beside this file."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.costs.model import CostModel
from genesis.exchange.paper.gateway import PaperGateway
from genesis.market.panel import Panel
from genesis.market.sources.synthetic import SynthSpec, panel_of
from genesis.paper.recording import PerformanceRecorder
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.strategy.genome import random_genome
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import Strategy
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.deployment import DeploymentOptions, deployment_added
from genesis.trading.events import Event
from genesis.trading.feed import Phase
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.fills import TradeRecorder
from genesis.trading.lockstep import FeedClock, LockStep
from genesis.trading.loop import Log, TradingLoop
from genesis.trading.order_manager import OrderSettings
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import encode
from genesis.trading.schedule import TimerWheel
from genesis.trading.tables import Row, Table

RUN = "bench"
CAPITAL = 100_000.0
BACKLOG = 512
"""Events that wait for a loop under full load: two full batches."""
# Market time runs faster than the machine's: what is decided must not expire by that.
PATIENT = DeploymentOptions(intent_ttl_ms=3_600_000, order_ttl_ms=3_600_000)


@dataclass(frozen=True, slots=True)
class Mix:
    """What the events of a market are.

    Attributes
    ----------
    symbols, strategies, quotes : int
        Quotes are those inside each bar of each symbol.
    spread : bool
        Every strategy trades every symbol; else each trades one, in turn.
    """

    symbols: int
    strategies: int
    quotes: int
    spread: bool

    @property
    def text(self) -> str:
        """Description for a report."""
        places = "each on all of them" if self.spread else "one symbol each"
        return (
            f"1m bars of {self.symbols} symbols with {self.quotes} quotes a bar and symbol,"
            f" {self.strategies} strategies, {places}"
        )

    def panel(self, bars: int, seed: int = 5) -> Panel:
        """Synthetic market of this many bars."""
        law = SynthSpec(assets=self.symbols, bars=bars, interval="1m", sigma=0.002, seed=seed)
        return panel_of(law)


def traders(count: int, seed: int = 1) -> list[Strategy]:
    """Random strategies of all families without ML, each of another family while they last."""
    registry, rng = SeedRegistry(), random.Random(seed)
    names = [name for name in registry.names(ml=False) if name != "funding_carry"]
    return [
        registry.express(random_genome(registry.get(names[k % len(names)]), rng))
        for k in range(count)
    ]


class Rig:
    """Loop, paper exchange and market.

    Parameters
    ----------
    mix : Mix
    panel : Panel
    log : callable
        Makes the log of the loop, given its clock.
    recorders : sequence of TradeRecorder, optional
        By default the recorder of a paper run.
    """

    def __init__(
        self,
        mix: Mix,
        panel: Panel,
        log: Callable[[FeedClock], Log],
        recorders: Sequence[TradeRecorder] = (),
    ) -> None:
        self.feed = PanelFeed(panel, mix.quotes)
        self.clock = FeedClock(self.feed.anchor_ms)
        self.bus = EventBus(self.clock)
        self.timers = TimerWheel()
        instruments = {one.symbol: one for one in self.feed.instruments}
        self.exchange = PaperGateway(instruments, CostModel(), leverage=3.0)
        self.exchange.connect(self.bus.publish)
        strategies = traders(mix.strategies)
        own = PerformanceRecorder({one.id: CAPITAL for one in strategies})
        limits = HardLimits(max_order=10, max_position=10, max_gross=100)
        risk = GeneticRiskManager(limits=limits, profile=RiskProfile.OBSERVE)
        orders = OrderSettings(ack_ms=0)
        self.core = TradingCore(RUN, risk, orders=orders, recorders=[*recorders] or [own])
        self.outlet = Outlet(self.exchange, self.timers)
        self.log = log(self.clock)
        self.loop = TradingLoop(self.bus, self.log, self.core, self.outlet)
        self.driver = LockStep(self.clock, self.exchange, self.bus, self.loop, self.timers)
        for place, strategy in enumerate(strategies):
            own_place = place % len(self.feed.instruments)
            for number, instrument in enumerate(self.feed.instruments):
                if mix.spread or number == own_place:
                    self._deploy(strategy, instrument, panel.interval_ms)
        self.driver.settle()

    def _deploy(self, strategy: Strategy, instrument: Any, interval_ms: int) -> None:
        added = deployment_added(
            f"{strategy.id}/{instrument.symbol}",
            strategy,
            f"paper/{strategy.id}",
            instrument,
            capital=CAPITAL,
            interval_ms=interval_ms,
            anchor_ms=self.feed.anchor_ms,
            options=PATIENT,
        )
        self.bus.publish(Event(added, self.feed.anchor_ms))

    def lockstep(self, phases: Iterable[Phase]) -> None:
        """Trade as a paper run does: every step of the market is handled to its end."""
        for phase in phases:
            self.driver.take(phase)
        self.loop.flush()

    def stream(self, phases: Iterable[Phase]) -> None:
        """Trade as under more load than it can take: at least `BACKLOG` events always wait."""
        bus, loop = self.bus, self.loop
        for phase in phases:
            self.clock.advance(phase.ts_ms)
            for event in phase.events:
                self.exchange.on_market(event)
                bus.publish(event)
            while sum(bus.waiting.values()) >= BACKLOG:
                loop.step()
        loop.run_until_idle()
        loop.flush()


class Recording:
    """A log that passes on what it is given and keeps it.

    Parameters
    ----------
    log : Log
    close : callable, optional
        Closes it.
    """

    def __init__(self, log: Log, close: Callable[[], None] = lambda: None) -> None:
        self._log = log
        self.close = close
        self.commits: list[tuple[list[Event], list[Row]]] = []

    def commit(self, events: list[Event], rows: list[Row]) -> None:
        """Pass on and keep."""
        self._log.commit(events, rows)
        self.commits.append((list(events), list(rows)))


class PlainStore:
    """The least that stores the same rows: the standard library, no chain, no index.

    Parameters
    ----------
    path : Path
    tables : sequence of Table
    """

    def __init__(self, path: Path, tables: Sequence[Table]) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = wal")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(
            "CREATE TABLE events(seq INTEGER PRIMARY KEY, type, ts_ms, recorded_ms, aggregate,"
            " correlation, caused_by, ordinal, body)"
        )
        self._insert = {}
        for table in tables:
            self._db.execute(f"CREATE TABLE {table.name}({', '.join(table.columns)})")
            marks = ", ".join("?" * len(table.columns))
            self._insert[table.name] = f"INSERT INTO {table.name} VALUES({marks})"

    def commit(self, events: Sequence[Event], rows: Sequence[Row]) -> None:
        """Store events and rows in one transaction."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        values = [
            (
                e.seq,
                e.data.type.value,
                e.ts_ms,
                e.recorded_ms,
                e.aggregate,
                e.correlation,
                e.caused_by,
                e.ordinal,
                encode(e.data),
            )
            for e in events
        ]
        db.executemany("INSERT INTO events VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        for name, row in rows:
            db.execute(self._insert[name], row)
        db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
