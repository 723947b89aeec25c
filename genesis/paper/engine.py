"""PaperTradingEngine: the trading loop against a simulated exchange, on any market.

The loop is the one that trades live; clock, feed and gateway differ. A run can be stopped at any
moment and continued: the loop comes back from its log, the exchange from the requests and market
events in the same log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.domain.clock import Clock
from genesis.domain.errors import RefusedError
from genesis.domain.instrument import Instrument
from genesis.evolution.identity import source_hash
from genesis.exchange.paper.gateway import PaperGateway
from genesis.paper.beginning import deployments_added, run_started
from genesis.paper.recording import PerformanceRecorder
from genesis.paper.settings import PaperSettings
from genesis.trading.bus import EventBus
from genesis.trading.events import Event, EventType
from genesis.trading.feed import DataFeed, resume_after
from genesis.trading.inbox import Inbox
from genesis.trading.lockstep import FeedClock, LockStep
from genesis.trading.loop import WHOLE_PHASE
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import (
    AccountSnapshot,
    OperatorCommand,
    OrderCancel,
    OrderModify,
    OrderQuery,
    OrderSubmit,
    RunFinished,
)
from genesis.trading.recovery import ask_accounts
from genesis.trading.schedule import TimerWheel
from genesis.trading.session import TradingSession
from genesis.trading.status import FAILED, FINISHED, STOPPED
from genesis.trading.watchdog import Watchdog, watch_lockstep

FEED_TYPES = frozenset(
    {
        EventType.MARKET_DATA_UPDATED,
        EventType.BAR_OPENED,
        EventType.FUNDING_DUE,
        EventType.BAR_RANGE,
        EventType.BAR_CLOSED,
        EventType.CANDLE_STREAM_DATA_READY,
        EventType.SYMBOL_ENDED,
        EventType.NEWS_RECEIVED,
        EventType.SCHEDULE_DUE,
    }
)
"""Events that come from a feed; the last one in the log says where to go on."""

LOOK_EVERY = 64
"""Phases between two looks into the inbox."""


def _heard_before(_: Event) -> None:
    """Drop an answer that the log holds already."""


def _never() -> bool:
    return False


def _untold(_: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class PaperOutcome:
    """What became of a run.

    Attributes
    ----------
    finished : bool
        False if it was stopped before the end of its market.
    events : int
        Number of the last event of the log.
    phases : int
        Steps of the market taken in this sitting.
    recovered : int
        Events of the log that were folded again before it went on.
    state_hash : str
    """

    finished: bool
    events: int
    phases: int
    recovered: int
    state_hash: str


class ExchangeWitness:
    """Brings the simulated exchange back by showing it everything that the log says it saw.

    Parameters
    ----------
    exchange : PaperGateway
    """

    def __init__(self, exchange: PaperGateway) -> None:
        self._exchange = exchange

    def see(self, event: Event, *, acts: bool) -> None:
        """Show an event of the log that is being folded again; answers are in the log already."""
        if event.data.type in FEED_TYPES or event.data.type is EventType.TIMER_FIRED:
            self._exchange.on_market(event)  # of a timer it takes the time
            return
        data = event.data
        if not acts:
            return
        if isinstance(data, OrderSubmit):
            self._exchange.submit(data.order)
        elif isinstance(data, OrderCancel):
            self._exchange.cancel(data.account, data.symbol, data.client_id)
        elif isinstance(data, OrderModify):
            self._exchange.modify(data.order)
        elif isinstance(data, OrderQuery):
            self._exchange.query(data.account, data.symbol, data.client_id)

    def plain(self) -> dict[str, Any]:
        """State of the exchange, stored beside that of the core."""
        return self._exchange.plain()

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`."""
        self._exchange.restore(value)


class PaperTradingEngine:
    """Runs strategies on a feed against the paper exchange.

    Parameters
    ----------
    folder : Path
        Of the run; its name is the run's id.
    settings : PaperSettings
    feed : DataFeed
    instruments : sequence of Instrument
        Of the feed's symbols.
    build : str
        What the log says of the code.
    synchronous : str
        Durability, see `genesis.trading.store.EventStore.open`.
    wall : Clock, optional
        Clock of the machine: with it the run is watched for progress and has a heartbeat.

    Attributes
    ----------
    performance : PerformanceRecorder
        Of the round trips of this sitting; a report reads all of them from the ledger.

    Raises
    ------
    RefusedError
        For the mode ``testnet``, or if another process writes the run.
    """

    def __init__(
        self,
        folder: Path,
        settings: PaperSettings,
        feed: DataFeed,
        instruments: Sequence[Instrument],
        *,
        build: str,
        synchronous: str = "FULL",
        wall: Clock | None = None,
    ) -> None:
        if settings.mode.over_network:
            raise RefusedError(
                "a replayed market is not traded on a testnet", fix="use LivePaperEngine for it"
            )
        self._settings = settings
        self._feed = feed
        self._instruments = tuple(instruments)
        self._clock = FeedClock(feed.anchor_ms)
        self._bus = EventBus(self._clock, archive=folder / "overflow")
        self._timers = TimerWheel()
        self.exchange = PaperGateway(
            {one.symbol: one for one in instruments},
            settings.cost_model(),
            settings.leverage,
            settings.execution_model(),
        )
        witness = ExchangeWitness(self.exchange)
        self.exchange.connect(_heard_before)
        self.performance = PerformanceRecorder(
            {str(plain["id"]): settings.capital for plain in settings.strategies}
        )
        self.core = settings.core(folder.name, (self.performance,))
        self.session = TradingSession(
            folder,
            self.core,
            self._bus,
            Outlet(self.exchange, self._timers),
            self._clock,
            build=build,
            synchronous=synchronous,
            witness=witness,
            batch=WHOLE_PHASE,
            born=wall,
        )
        self._last_feed = self.session.last_event(FEED_TYPES) if self.session.resumed else None
        self._clock.advance(max(feed.anchor_ms, self.session.store.recorded_ms))
        self.exchange.connect(self._bus.publish)
        self._inbox = Inbox(folder)
        self._build = build
        self._wall = wall

    def run(
        self,
        stopped: Callable[[], bool] = _never,
        told: Callable[[int], None] = _untold,
    ) -> PaperOutcome:
        """Trade until the market ends or somebody stops it.

        Parameters
        ----------
        stopped : callable
            Asked between phases.
        told : callable
            Called with the number of phases taken, after each.

        Raises
        ------
        HaltedOnEvent
            If a handler fails; the log is whole.
        StorageError
            If the log cannot be written; what is stored is whole.
        """
        driver = LockStep(self._clock, self.exchange, self._bus, self.session.loop, self._timers)
        for timer, due in self.core.desk.timers.items():
            self._timers.set(timer, due)
        phases = 0

        def after_phase() -> None:
            nonlocal phases
            phases += 1
            if phases % LOOK_EVERY == 0:
                self._take_commands(driver)
                self.session.maybe_snapshot()
            told(phases)

        watch = self._watch(driver)
        state = FAILED
        try:
            if self._last_feed is None:
                self._begin()
            driver.settle()
            if self.session.resumed:  # what the exchange told and the log does not hold
                for event in ask_accounts(self.core.desk, self.exchange, self._clock.now_ms()):
                    self._bus.publish(event)
                driver.settle()
            self._take_commands(driver)
            finished = driver.run(resume_after(self._feed, self._last_feed), stopped, after_phase)
            if finished:
                self._bus.publish(Event(RunFinished("the market ended"), self._clock.now_ms()))
                driver.settle()
            state = FINISHED if finished else STOPPED
        finally:
            try:
                self.session.close()
            finally:
                if watch is not None:
                    watch.stop(state)
        return PaperOutcome(
            finished=finished,
            events=self.session.head_seq,
            phases=phases,
            recovered=self.session.recovered,
            state_hash=self.core.state_hash,
        )

    def _watch(self, driver: LockStep) -> Watchdog | None:
        """Begin to watch over the run, where it was given a clock to watch by."""
        if self._wall is None:
            return None
        watch = watch_lockstep(
            self.session.store.folder,
            self.core.desk.run,
            driver,
            self._bus,
            self.session.loop,
            self._inbox,
            self._wall,
            build=self._build,
            mode=self._settings.mode.value,
        )
        watch.start()
        return watch

    def _begin(self) -> None:
        """First events of a run, those that are not in its log: what it is, what trades in it."""
        settings, desk, feed = self._settings, self.core.desk, self._feed
        if not self.session.resumed:
            self._bus.publish(run_started(settings, desk.run, self._build, feed.anchor_ms))
        rules = {one.symbol: one for one in self._instruments}
        for event in deployments_added(
            settings, desk, tuple(rules), rules.__getitem__, feed.interval_ms, feed.anchor_ms
        ):
            self._bus.publish(event)

    def _take_commands(self, driver: LockStep) -> None:
        """Publish what operators put into the inbox; each is removed once it is stored.

        The answer of the exchange to a reconciliation is stored before the command leaves the
        inbox: if the process ends in between, it is asked for again.
        """
        for command in self._inbox.pending():
            if not self.session.knows_command(command.command_id):
                self._bus.publish(Event(command, self._clock.now_ms(), command.command_id))
                driver.settle()
            if command.command == "reconcile":
                self._reconcile(command, driver)
            self._inbox.consumed(command.command_id)

    def _reconcile(self, command: OperatorCommand, driver: LockStep) -> None:
        wanted = str(command.arguments.get("account", ""))
        adopt = bool(command.arguments.get("adopt", False))
        for account in sorted(self.core.desk.ledger.accounts):
            if wanted in ("", account):
                state = self.exchange.account_state(account, 0)
                snapshot = AccountSnapshot(state, adopt=adopt)
                self._bus.publish(Event(snapshot, self._clock.now_ms(), account))
                driver.settle()


def trading_build() -> str:
    """Which code a run was traded by: hash of the sources that decide what it does."""
    packages = ("domain", "costs", "risk", "strategy", "trading", "exchange")
    return source_hash(*packages)[:16]
