"""LivePaperEngine: the trading loop in real time on an exchange's test network.

One thread owns the loop; who called waits, hears how it goes, and says when to stop. A run that is
stopped takes back its resting entries, leaves the protective orders at the exchange, and is saved;
one whose time is over closes its positions and ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from secrets import token_hex

from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError, InfrastructureError
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import interval_ms
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.history import (
    Candles,
    instrument_of,
    past_bars,
    stored_candles,
)
from genesis.exchange.hyperliquid.pacing import PacedTime, Pacer
from genesis.exchange.hyperliquid.settings import ForeignPolicy
from genesis.paper.beginning import deployments_added, run_started
from genesis.paper.engine import PaperOutcome
from genesis.paper.live_end import WindDown
from genesis.paper.live_facts import LiveFacts
from genesis.paper.live_kill import KILL, KillSequence
from genesis.paper.settings import PaperSettings
from genesis.trading.bus import EventBus
from genesis.trading.desk import WARM_UP
from genesis.trading.events import Event
from genesis.trading.feeds.sentiment import SentimentFeed
from genesis.trading.inbox import Inbox
from genesis.trading.kill_latch import SeenLatch
from genesis.trading.kill_report import KillReport
from genesis.trading.live import LiveDriver, MarketGate
from genesis.trading.outlet import Latch, Outlet
from genesis.trading.payloads import (
    AccountSnapshot,
    ConnectionChanged,
    OperatorCommand,
    RunFinished,
)
from genesis.trading.progress import StageMonitor
from genesis.trading.recovery import asked_since
from genesis.trading.schedule import TimerWheel
from genesis.trading.session import TradingSession
from genesis.trading.stages import in_order, inbox_stage, loop_stages
from genesis.trading.status import FAILED, FINISHED, STOPPED
from genesis.trading.watchdog import RunAlerts, Watchdog

LOOK_S = 1.0
"""Time between two looks into the inbox."""
ANSWER_S = 5.0
"""How long answers are waited for before an account is read."""
LOOKS = 5
"""After so many tenths of a second a kill that the loop has not begun is carried out beside it."""
PATIENCE_S = 1.0
"""How long a scripted exchange is given to come to rest before time goes on a little."""
_CHUNK = 256


def _nobody(*_: object) -> None:
    """Take a command where there is no loop."""


class LivePaperEngine:
    """Runs strategies on live bars through a gateway.

    Parameters
    ----------
    folder : Path
        Of the run; its name is the run's id. It is there already where the run goes on.
    settings : PaperSettings
    gateway : HyperliquidGateway
        Not connected; `run` connects and closes it.
    gate : MarketGate
        What the gateway tells goes through it.
    bus : EventBus
        Behind the gate.
    clock : Clock
        Real time.
    build : str
    duration_ms : int
        The run ends by itself after so long; 0 for never.
    flatten : bool
        Whether positions are closed when somebody stops it.
    grace_ms : int
        How long after its end a bar is waited for.
    latch : SeenLatch, optional
        Once it was seen nothing that adds risk leaves, and the run empties its accounts and ends.
    leases : sequence of Latch
        Looked at before each order too.
    over : callable
        Asked about once a second why the run is to close its positions and end; empty to go on.
    paced : PacedTime, optional
        The run lets the time of its exchange pass; ``clock`` is the same.
    sentiment : SentimentFeed, optional
        Asked beside the loop, from the moment on at which live bars are let in.

    Attributes
    ----------
    killed : KillReport or None
        How a kill ended.
    note : str
        What a person should know of how it ended.
    story : str
        One line on how it stands, replaced about once a second.

    Raises
    ------
    RefusedError
        If another process writes the run.
    """

    def __init__(
        self,
        folder: Path,
        settings: PaperSettings,
        gateway: HyperliquidGateway,
        gate: MarketGate,
        bus: EventBus,
        clock: Clock,
        *,
        build: str,
        duration_ms: int = 0,
        flatten: bool = False,
        grace_ms: int = 2_000,
        latch: SeenLatch | None = None,
        leases: Sequence[Latch] = (),
        over: Callable[[], str] = str,
        paced: PacedTime | None = None,
        sentiment: SentimentFeed | None = None,
    ) -> None:
        self.settings, self._facts = settings, LiveFacts.of(settings)
        self._gateway, self._gate, self._bus, self._clock = gateway, gate, bus, clock
        self._build = build
        self._duration_ms, self._flatten, self._grace_ms = duration_ms, flatten, grace_ms
        self._timers = TimerWheel()
        self._latch = latch
        self._outlet = Outlet(gateway, self._timers, latch)
        for lease in leases:
            self._outlet.guard(lease)
        self.core = settings.core(folder.name)
        self.session = TradingSession(
            folder, self.core, bus, self._outlet, clock, build=build, synchronous="FULL"
        )
        self._over, self._paced, self._sentiment = over, paced, sentiment
        rest = None if paced is None else self._pacer(paced).rest
        self._driver = LiveDriver(clock, bus, self.session.loop, self._timers, self._answered, rest)
        self._end = WindDown(self.core, self._driver, gate, self._publish, self._latched)
        accounts, holds = tuple(self._facts.accounts), self._end.holds
        self._kill = KillSequence(
            self._driver, gate, gateway, accounts, self._publish, folder, clock, holds
        )
        self._beside = KillSequence(None, gate, gateway, accounts, _nobody, folder, clock, holds)
        self._unheeded = 0
        self.killed: KillReport | None = None
        self._inbox = Inbox(folder)
        self._wanted, self._left = threading.Event(), threading.Event()
        self._ready = False
        self._failure: BaseException | None = None
        self._finished = False
        self._thread = threading.Thread(target=self._guarded, name="trading-loop", daemon=True)
        self.note = self.story = ""

    def knows(self, client_id: str) -> bool:
        """Whether a resting order is one of this run."""
        return self.core.desk.orders.by_client(client_id) is not None

    def run(
        self, connect: Callable[[], None], stopped: Callable[[], bool], told: Callable[[str], None]
    ) -> PaperOutcome:
        """Trade until the time is over or somebody stops it.

        Parameters
        ----------
        connect : callable
            Connects the gateway to the gate, where that has not been done.
        stopped : callable
            Asked several times a second.
        told : callable
            Called as often, with one line on how it stands.

        Raises
        ------
        GenesisError
            As the gateway and `TradingLoop.step`; the log is whole.
        """
        watch, state = self._watch(), FAILED
        try:
            if self.session.resumed:  # before what happened meanwhile is heard
                self._bus.publish(self._warm_up(False))
            connect()
            watch.start()
            self._thread.start()
            while self._thread.is_alive():
                self._thread.join(0.1)
                told(self.story)
                if stopped():
                    self._wanted.set()
                self._kill_beside()
            if self._failure is not None:
                raise self._failure
            state = FINISHED if self._finished else STOPPED
        finally:
            self._wanted.set()
            self._left.set()
            if self._sentiment is not None:
                self._sentiment.stop()
            self._bus.close()
            if self._thread.ident is not None:
                self._thread.join(ANSWER_S)
            try:
                self._gateway.close()
                self.session.close()
            finally:
                watch.stop(state)
        return PaperOutcome(
            finished=self._finished,
            events=self.session.head_seq,
            phases=self._gate.bars,
            recovered=self.session.recovered,
            state_hash=self.core.state_hash,
        )

    def _kill_beside(self) -> None:
        """Empty the accounts where the loop is too busy, or hangs: a kill asks nobody.

        The loop finds them empty when it gets to it.
        """
        order = self._latch.read() if self._latch is not None else None
        if order is None or self._kill.begun or self._beside.begun:
            self._unheeded = 0
            return
        self._unheeded += 1
        if self._unheeded >= LOOKS:
            with suppress(GenesisError):
                self._beside.run(order, lambda: self._kill.begun or not self._thread.is_alive())

    def _watch(self) -> Watchdog:
        def alive() -> bool:
            return not self._ready or self._left.is_set() or self._thread.is_alive()

        loop = self.session.loop
        stages = [*loop_stages(self._bus, loop, alive=alive), inbox_stage(self._inbox)]
        monitor = StageMonitor(in_order(stages), self._clock, warming=lambda: not self._ready)
        if self._paced is None:
            self._outlet.guard(monitor)
        folder = self.session.store.folder
        return Watchdog(
            monitor,
            self._clock,
            folder,
            run=self.core.desk.run,
            build=self._build,
            mode=self.settings.mode.value,
            loop=loop,
            bus=self._bus,
            sink=RunAlerts(folder),
            publish=self._paced is None,  # its time stands while the loop does: nothing gets late
        )

    def _pacer(self, paced: PacedTime) -> Pacer:
        length = interval_ms(self._facts.interval)

        def settle() -> bool:
            return self._gateway.settle(PATIENCE_S, reads=True)

        return Pacer(paced, length, settle, lambda: not self._bus.idle)

    def _answered(self) -> bool:
        """Whether the exchange has said everything; one that is away has not."""
        try:
            return self._gateway.settle(ANSWER_S)
        except InfrastructureError:
            return False

    # ---- the thread of the loop ------------------------------------------------------------

    def _guarded(self) -> None:
        try:
            self._trade()
        except BaseException as error:
            self._failure = self._kill.failure = error
            with suppress(GenesisError):
                if self.killed is None and self._killed():  # it needs no loop
                    self._failure = None
        if self._failure is None:
            self._left.set()  # that nobody works here any more is no alarm

    def _trade(self) -> None:
        desk, driver = self.core.desk, self._driver
        for timer, due in desk.timers.items():
            self._timers.set(timer, due)
        began = self._clock.now_ms()
        if self._killed():
            return
        driver.settle()
        if self.session.resumed:
            self._compare_all()
        self._rearmed()
        self._begin()
        if not self.session.resumed:
            self._adopt_kept()
        self.story = self._tell()
        self._ready = True
        if why := self._over():  # before a bar can open what is not deployed any more
            self._finish(why)
            return
        looked = self._clock.monotonic()
        while not self._wanted.is_set():
            if self._duration_ms and self._clock.now_ms() >= began + self._duration_ms:
                self._finish("its time was over")
                return
            driver.turn()
            if self._killed():
                return
            if self._clock.monotonic() - looked >= LOOK_S:
                self._gateway.beat()
                self._take_commands()
                if why := self._over():
                    self._finish(why)
                    return
                self.session.maybe_snapshot()
                self.story = self._tell()
                looked = self._clock.monotonic()
        self.note = self._end.run(flatten=self._flatten)
        if not self._killed(self._left):
            driver.settle()

    def _latched(self) -> bool:
        return self._latch is not None and bool(self._latch.closed())

    def _killed(self, given_up: threading.Event | None = None) -> bool:
        """Whether the latch is set; then the accounts are emptied before anything else.

        A person who stops the run gives that up too; one who had stopped it before does not.
        """
        order = self._latch.read() if self._latch is not None else None
        if order is None or self._latch is None:
            return False
        self._ready = True
        self.story = f"{order.text}; emptying the accounts"
        self.killed = self._kill.run(order, (given_up or self._wanted).is_set, self._latch.read)
        self.note = f"{order.text}; {self.killed.text}"
        if self._kill.failure is not None:
            self.note += f"; the loop failed, and its books do not follow: {self._kill.failure}"
            return True
        self._driver.settle()
        if self.killed.verified:
            with suppress(InfrastructureError):  # the books follow at the next start else
                self._compare_all()
        if self.killed.flatten and self.killed.done and not self._end.positions():
            self._bus.publish(Event(RunFinished(order.text), self._clock.now_ms()))
            self._driver.settle()
            self._finished = True  # what is traded after a kill begins anew
        return True

    def _rearmed(self) -> None:
        """Lift the halt of a kill that somebody has taken back since."""
        why = self.core.desk.halts.get("run", "")
        if KILL in why:
            data = OperatorCommand(
                f"CMD_{token_hex(8)}", "resume", f"re-armed after {why}", "genesis"
            )
            self._publish(data, data.command_id)

    def _begin(self) -> None:
        """Tell what the run is, and what the market did until now; then let live bars in."""
        facts, gateway, desk = self._facts, self._gateway, self.core.desk
        gateway.follow(facts.symbols, facts.interval, grace_ms=self._grace_ms)
        self._answered()
        length = interval_ms(facts.interval)
        first = self._gate.first_ms()
        now = self._clock.now_ms()
        until = now - now % length if first is None else first
        seen = [bar.open_ms for bar in desk.market.bars.values()]
        since = min(seen, default=facts.anchor_ms)
        candles = stored_candles(gateway, facts.symbols, facts.interval, since, until)
        self._introduce(candles)
        self._gate.remember(desk.market)
        if not self.session.resumed:  # bars of the time in which nobody was here open nothing
            self._bus.publish(self._warm_up(False))
            self.session.loop.run_until_idle()
        past = past_bars(candles, facts.interval, since, until)
        while chunk := list(islice(past, _CHUNK)):
            for event in chunk:
                if not self._gate.known(event):
                    self._bus.publish(event)
            self.session.loop.run_until_idle()
        self._bus.publish(self._warm_up(True))
        self.session.loop.run_until_idle()
        self._gate.open()
        if self._sentiment is not None:
            self._sentiment.start()

    def _warm_up(self, done: bool) -> Event:
        why = "past bars are complete" if done else "past bars are fetched"
        return Event(ConnectionChanged(WARM_UP, done, why), self._clock.now_ms(), WARM_UP)

    def _introduce(self, candles: Mapping[str, Candles]) -> None:
        settings, facts, desk = self.settings, self._facts, self.core.desk
        if not self.session.resumed:
            self._bus.publish(run_started(settings, desk.run, self._build, facts.anchor_ms))

        def instrument(symbol: str) -> Instrument:
            return self._instrument(symbol, candles[symbol])

        length = interval_ms(facts.interval)
        for event in deployments_added(
            settings, desk, facts.symbols, instrument, length, facts.anchor_ms
        ):
            self._bus.publish(event)
        self.session.loop.run_until_idle()

    def _instrument(self, symbol: str, candles: Candles) -> Instrument:
        price = candles[max(candles)][3] if candles else 0.0
        rule = self._gateway.parts.markets.rules[symbol]
        return instrument_of(rule, price, self._gateway.settings.min_notional)

    # ---- accounts and operators ------------------------------------------------------------

    def _compare(self, account: str, *, adopt: bool = False) -> None:
        """Read an account and let the core compare it, with the fills since the run began.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        """
        desk = self.core.desk
        self._driver.settle()
        since = max(asked_since(desk, account), self._facts.trade_from_ms)
        state = self._gateway.account_state(account, since)
        self._driver.settle()  # what it tells may have been told by the stream meanwhile
        self._publish(AccountSnapshot(state, adopt=adopt), account)

    def _compare_all(self) -> None:
        for account in sorted(self.core.desk.ledger.accounts):
            self._compare(account)

    def _adopt_kept(self) -> None:
        """Enter the resting orders that were found at start, and are to be kept, in the ledger."""
        if self._gateway.settings.foreign is ForeignPolicy.KEEP:
            for account, report in self._gateway.reports.items():
                if report.foreign:
                    self._compare(account, adopt=True)

    def _take_commands(self) -> None:
        for command in self._inbox.pending():
            if not self.session.knows_command(command.command_id):
                self._publish(command, command.command_id)
            if command.command == "reconcile":
                wanted = str(command.arguments.get("account", ""))
                try:
                    for account in sorted(self.core.desk.ledger.accounts):
                        if wanted in ("", account):
                            self._compare(account, adopt=bool(command.arguments.get("adopt")))
                except InfrastructureError:
                    return  # it stays in the inbox, and is carried out once there is an answer
            self._inbox.consumed(command.command_id)

    def _publish(
        self, data: AccountSnapshot | OperatorCommand | ConnectionChanged, about: str = ""
    ) -> None:
        self._bus.publish(Event(data, self._clock.now_ms(), about))
        self.session.loop.run_until_idle()

    # ---- the end ---------------------------------------------------------------------------

    def _finish(self, why: str) -> None:
        """Close everything, and end if that went well."""
        self.note = self._end.run(flatten=True)
        if self._killed(self._left):
            return
        self._finished = not self._end.positions() and not self._end.working()
        if self._finished:
            self._bus.publish(Event(RunFinished(why), self._clock.now_ms()))
        self._driver.settle()

    def _tell(self) -> str:
        desk = self.core.desk
        halts = f"; new risk is HALTED: {'; '.join(desk.halts.values())}" if desk.halts else ""
        if any(scope.startswith("account:") for scope in desk.halts):
            halts += f" (see genesis reconcile {desk.run})"
        held = ", ".join(self._end.positions()) or "flat"
        return f"{self._gate.bars} bars, {held}, {self._end.working()} orders{halts}"
