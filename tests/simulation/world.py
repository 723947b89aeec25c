"""A seed's world: market, exchange, network, one process that trades, and what befalls them."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from genesis.domain.errors import GenesisError
from genesis.trading.core import TradingCore
from genesis.trading.events import Event, EventType, Payload
from genesis.trading.feed import Phase
from genesis.trading.gateway import Side
from genesis.trading.payloads import DeploymentStopped, OperatorCommand, Reconciled, RunStarted
from genesis.trading.store import EventReader
from tests.simulation.invariants import judge
from tests.simulation.market import MINUTE, RUN, START_MS, setting_of
from tests.simulation.network import Network, Odds, SimClock
from tests.simulation.trader import Trader, fresh_core
from tests.simulation.venue import Venue

EVENTS, ORDERS, KINDS = 2_000, 50, ("drop", "duplicate", "reorder", "delay", "crash")
"""Least events and orders of a seed, and the faults each of which it meets."""

MOST_BARS = 560
ACCOUNTS = ("sim/a", "sim/b")
LOOKBACK_MS = 15 * MINUTE
FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


@dataclass
class Verdict:
    """What became of a seed."""

    seed: int
    violations: list[str]
    events: int = 0
    orders: int = 0
    fills: int = 0
    recovered: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    log_hash: str = ""
    state_hash: str = ""

    @property
    def complete(self) -> bool:
        """Whether the seed was as eventful as it has to be."""
        return (
            self.events >= EVENTS
            and self.orders >= ORDERS
            and all(self.faults[kind] for kind in KINDS)
        )

    def line(self) -> str:
        faults = " ".join(f"{kind}={self.faults[kind]}" for kind in sorted(self.faults))
        told = "ok" if not self.violations else "; ".join(self.violations)
        return (
            f"seed {self.seed}: {told} | {self.events} events, {self.orders} orders,"
            f" {self.fills} fills, {faults} | log {self.log_hash[:12]}"
        )


class World:
    """One seed, from its first bar to the verdict."""

    def __init__(
        self, seed: int, folder: Path, make: Callable[..., TradingCore] = fresh_core
    ) -> None:
        self.seed = seed
        self.violations: list[str] = []
        self.rng = random.Random(f"world {seed}")
        self.clock = SimClock(START_MS)
        self.setting = setting_of(seed)
        faults = random.Random(f"network {seed}")
        self.network = Network(faults, self.clock, Odds.drawn(faults))
        self.venue = Venue(self.setting, self.network, self.found)
        self.trader = Trader(
            folder,
            self.setting,
            self.venue,
            random.Random(f"gateway {seed}"),
            lambda: make(self.setting),
            self.found,
        )
        self.make = lambda: make(self.setting)
        self._phases: Iterator[Phase] = self.setting.feed.phases()
        self.bars = 0
        self._commands = 0

    def found(self, text: str) -> None:
        """Take down a violation."""
        if len(self.violations) < 5:
            self.violations.append(text)

    # ---- the course of a seed ----------------------------------------------------------------

    def run(self) -> Verdict:
        """Live through the faulty part and the quiet end, then judge."""
        try:
            self._begin()
            while not self.violations and not self._eventful() and self.bars < MOST_BARS - 40:
                self._step()
            if not self.violations:
                self._end()
            if not self.violations:
                judge(self)
        except GenesisError as error:
            self.found(f"I5 {type(error).__name__}: {error}")
        return self._verdict()

    def _begin(self) -> None:
        self._next_phase()
        self.trader.start()
        self.trader.publish(Event(RunStarted(RUN, "simulation", "paper", {}), START_MS))
        for added in self.setting.deployments:
            self.trader.publish(Event(added, START_MS, added.deployment))
        self.trader.work()
        self._plan_poll()
        self._plan_command()
        self._plan_stall()
        self._plan_disk()
        self._plan_outage()
        self.network.at(START_MS + self.rng.randint(3, 30) * MINUTE, self._crash)
        if self.rng.random() < 0.1:
            self.network.at(START_MS + self.rng.randint(40, 90) * MINUTE, self._by_hand)

    def _eventful(self) -> bool:
        counts = self.network.counts
        return (
            self.trader.up
            and self.trader.session.store.head.seq >= EVENTS
            and len(self.trader.submits) >= ORDERS
            and all(counts[kind] for kind in KINDS)
        )

    def _step(self) -> None:
        """Go on to the next thing that happens, and let the process handle it."""
        times = [self.network.next_ms]
        if self.trader.up and not self.trader.stalled:
            times.append(self.trader.timers.next_ms)
        due = min(t for t in times if t is not None)
        self.clock.advance(due)
        if self.network.next_ms is not None and self.network.next_ms <= due:
            self.network.pop()()
        if not self.trader.work():
            self._died()

    def _until(self, ts_ms: int) -> None:
        while not self.violations and self.network.next_ms is not None:
            times = [self.network.next_ms]
            if self.trader.up and self.trader.timers.next_ms is not None:
                times.append(self.trader.timers.next_ms)
            if min(times) > ts_ms:
                return
            self._step()

    # ---- the market --------------------------------------------------------------------------

    def _next_phase(self) -> None:
        phase = next(self._phases, None)
        if phase is not None:
            self.network.at(phase.ts_ms, lambda: self._take(phase))

    def _take(self, phase: Phase) -> None:
        for event in phase.events:
            self.venue.show(event)
        for event in phase.events:
            self.trader.publish(event)
        self.bars += phase.events[-1].type is EventType.CANDLE_STREAM_DATA_READY
        self._next_phase()

    # ---- what befalls the process ------------------------------------------------------------

    def _crash(self) -> None:
        """Die at one of the next crash points, or between two steps."""
        if self.network.healed:
            return
        if self.trader.up and not self.trader.stalled:
            if self.rng.random() < 0.75:
                self.trader.fuse = self.rng.randint(0, 30)
            else:
                self.trader.crash()
                self._died()
        self.network.after(self.rng.randint(15, 70) * MINUTE, self._crash)

    def _died(self) -> None:
        self.network.counts["crash"] += 1
        self.network.after(self.rng.choice([50, 2_000, 15_000, 90_000]), self._restart)

    def _restart(self) -> None:
        if self.trader.up:
            return
        self.trader.start()
        for account in ACCOUNTS:
            self.trader.poll(account, self.clock.now_ms() - LOOKBACK_MS)

    def _plan_stall(self) -> None:
        def stall() -> None:
            if not self.network.healed and self.trader.up and self.trader.fuse < 0:
                self.network.counts["stall"] += 1
                self.trader.stalled = True
                self.network.after(self.rng.randint(500, 40_000), wake)
                self._plan_stall()

        def wake() -> None:
            self.trader.stalled = False

        self.network.after(self.rng.randint(10, 60) * MINUTE + self.rng.randint(0, 3_000), stall)

    def _plan_disk(self) -> None:
        def fill_up() -> None:
            if not self.network.healed:
                self.trader.full = self.rng.randint(0, 5)
                self._plan_disk()

        self.network.after(self.rng.randint(20, 120) * MINUTE, fill_up)

    def _plan_outage(self) -> None:
        """Sometimes no answer comes back for minutes, sometimes nothing gets through at all."""

        def cut() -> None:
            deaf = frozenset({"down", "stream"})
            self.network.cut = deaf if self.rng.random() < 0.7 else deaf | {"up"}
            self.network.after(self.rng.randint(10_000, 200_000), heal)

        def heal() -> None:
            self.network.cut = frozenset()
            self._plan_outage()

        self.network.after(self.rng.randint(3 * MINUTE, 40 * MINUTE), cut)

    def _by_hand(self) -> None:
        if not self.network.healed:
            self.network.counts["foreign"] += 1
            account, symbol = ("sim/b", "AAA") if self.rng.random() < 0.5 else ("sim/a", "BBB")
            self.venue.trade_by_hand(account, symbol, self.rng.choice([Side.BUY, Side.SELL]))

    # ---- the operator ------------------------------------------------------------------------

    def _plan_poll(self) -> None:
        def poll() -> None:
            if self.network.healed:
                return
            if self.trader.up:
                self.trader.poll(self.rng.choice(ACCOUNTS), self.clock.now_ms() - LOOKBACK_MS)
            self._plan_poll()

        self.network.after(self.rng.randint(10_000, 150_000), poll)

    def _plan_command(self) -> None:
        def command() -> None:
            if self.network.healed:
                return
            word = self.rng.choice(["halt", "cancel_all", "flatten", "flatten"])
            if word == "halt":
                scope = self.rng.choice(["run", "symbol:AAA", "account:sim/a"])
                self._order(word, {"scope": scope})
                lasts = self.rng.randint(5_000, 150_000)
                self.network.after(lasts, lambda: self._order("resume", {"scope": scope}))
            else:
                number = self.rng.randrange(len(self.setting.deployments))
                self._order(word, {"deployment": f"DEP_{number}"})
            self._plan_command()

        self.network.after(self.rng.randint(2 * MINUTE, 25 * MINUTE), command)

    def _order(self, word: str, arguments: dict[str, str] | None = None) -> None:
        self._commands += 1
        name = f"CMD_{self._commands}"
        self._tell(OperatorCommand(name, word, "simulated", "operator", arguments or {}))

    def _tell(self, data: Payload) -> None:
        self.trader.publish(Event(data, self.clock.now_ms()))

    # ---- the quiet end -----------------------------------------------------------------------

    def _end(self) -> None:
        """Heal everything, let what is in flight arrive, close what is open, compare."""
        self.network.healed = True
        self.trader.fuse = self.trader.full = -1
        self.trader.stalled = False
        if not self.trader.up:
            self._restart()
        self._until(self.clock.now_ms() + MINUTE)
        for added in self.setting.deployments:
            self._tell(DeploymentStopped(added.deployment, "the simulation ends"))
        for round_ in range(14):
            self._order("cancel_all")
            self._order("flatten")
            self._until(self.clock.now_ms() + MINUTE + MINUTE // 2)
            settled = self._compare(adopt=round_ > 1)
            if settled and self._quiet():
                return
        for order in self.trader.core.desk.orders.open_orders():
            self.found(f"I2 {order.order_id} ({order.purpose}) stays {order.state.value}")
        for held in self.trader.core.desk.ledger.positions():
            self.found(f"I2 {held.account} {held.symbol} stays at {held.size} though flattened")

    def _compare(self, *, adopt: bool) -> bool:
        """Reconcile each account with everything that it ever filled; whether all is equal."""
        before = self.trader.session.store.head.seq
        for account in ACCOUNTS:
            self.trader.poll(account, 0)
        self._until(self.clock.now_ms() + 1_000)
        with EventReader(self.trader.folder) as reader:
            told = [e.data for e in reader.events(before + 1, types=[EventType.RECONCILED])]
        lines = [line for data in told if isinstance(data, Reconciled) for line in data.differences]
        if adopt and lines:
            # A person may settle what an order's price or size is, never where the money went.
            if all(line.startswith("order ") for line in lines):
                for account in ACCOUNTS:
                    self.network.counts["adopted"] += 1
                    self.trader.poll(account, 0, adopt=True)
            self._until(self.clock.now_ms() + 1_000)
        return len(told) == len(ACCOUNTS) and not lines

    def _quiet(self) -> bool:
        desk, state = self.trader.core.desk, self.venue.state
        venue = [state(account, self.clock.now_ms()) for account in ACCOUNTS]
        return (
            not desk.orders.open_orders()
            and not desk.ledger.positions()
            and not any(v.orders or v.positions for v in venue)
        )

    # ---- the verdict -------------------------------------------------------------------------

    def _verdict(self) -> Verdict:
        trader = self.trader
        verdict = Verdict(self.seed, self.violations, faults=self.network.counts)
        if trader.up:
            head = trader.session.store.head
            verdict.events, verdict.log_hash = head.seq, head.hash.hex()
            verdict.state_hash = trader.core.state_hash
            trader.stop()
        verdict.orders = len(trader.submits)
        verdict.fills = sum(len(fills) for fills in self.venue.fills.values())
        verdict.recovered = trader.recovered
        return verdict


def simulate(seed: int, make: Callable[..., TradingCore] = fresh_core) -> Verdict:
    """Run one seed."""
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="genesis-sim-") as folder:
        return World(seed, Path(folder) / "run", make).run()
