"""Paper runs on a test network: key, gateway and engine put together, for a start and a resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from genesis.domain.counting import several
from genesis.domain.errors import GenesisError, InputError, RefusedError
from genesis.system.clock import SystemClock
from genesis.system.live_hold import leased, seen_latch
from genesis.system.paper import RESULT, PaperRun, find_run, report_paper, runs_folder
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from genesis.domain.clock import Clock
    from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
    from genesis.exchange.hyperliquid.keys import AgentKey
    from genesis.exchange.hyperliquid.pacing import PacedTime
    from genesis.exchange.hyperliquid.settings import HyperliquidSettings
    from genesis.paper.live import LivePaperEngine
    from genesis.paper.settings import PaperSettings
    from genesis.strategy.strategy import Strategy
    from genesis.trading.bus import EventBus
    from genesis.trading.feeds.sentiment import SentimentFeed
    from genesis.trading.kill_latch import SeenLatch
    from genesis.trading.kill_report import KillReport
    from genesis.trading.live import MarketGate
    from genesis.trading.outlet import Latch

GATEWAY = "gateway"
"""Folder of a workspace with what gateways remember: nonces, by the address of the key."""

SENTIMENT = "fear-greed.json"
"""File of a workspace with the last value of fear and greed."""

HISTORY, MOST_HISTORY = 200, 4_000
"""Bars that warm the kernels up: at least so many, and at most."""

DEAD_MAN_S = 30.0
"""Of a live run whose ``--gateway`` file says nothing of it."""

_MAINNET = ("api.hyperliquid.xyz", "api2.hyperliquid.xyz", "app.hyperliquid.xyz", "hyperliquid.xyz")


@dataclass(frozen=True, slots=True)
class LiveWay:
    """How a sitting of a live run is taken.

    Attributes
    ----------
    stopped : callable
        Asked several times a second whether somebody wants to stop.
    told : callable
        Called with one line on how it stands.
    found : callable
        Called with the address of each account and one line on what is in it already.
    begun : callable
        Called with the run's id once the exchange has accepted key and accounts.
    duration_ms : int
        The run ends by itself after so long; 0 for never.
    flatten : bool
        Whether positions are closed when somebody stops it.
    clock : Clock
    gateway : mapping
        Settings of the gateway besides address, accounts and folder.
    grace_ms : int
    over : callable
        Asked about once a second why the run is to close its positions and end.
    leases : tuple of Latch
        Looked at before each order.
    paced : PacedTime, optional
        The run lets the time of its exchange pass; ``clock`` is the same.
    sentiment : str
        Address of fear and greed, ``off`` for none; by default the public one, and none where the
        exchange is on this machine.
    sizing : str
        How a live run is to size its entries, empty for as before (docs/risk.md).
    latch : SeenLatch, optional
        Kept from sitting to sitting; each looks for itself where it is left out.
    """

    stopped: Callable[[], bool]
    told: Callable[[str], None]
    found: Callable[[str, str], None] = lambda _, __: None
    begun: Callable[[str], None] = lambda _: None
    duration_ms: int = 0
    flatten: bool = False
    clock: Clock = field(default_factory=SystemClock)
    gateway: dict[str, Any] | None = None
    grace_ms: int = 2_000
    over: Callable[[], str] = str
    leases: tuple[Latch, ...] = ()
    paced: PacedTime | None = None
    sentiment: str = ""
    sizing: str = ""
    latch: SeenLatch | None = None


def paced_way(way: LiveWay, url: str) -> LiveWay:
    """The same sitting on a local exchange whose time it lets pass.

    A stream that is silent says nothing there, and no switch can be moved on: hours pass between
    two frames.

    Raises
    ------
    RefusedError, InfrastructureError
        As `PacedTime`.
    """
    from genesis.exchange.hyperliquid.pacing import PacedTime
    from genesis.exchange.hyperliquid.settings import StreamSettings

    paced = PacedTime(url)
    never = 1e12
    calm = StreamSettings(
        silence_s=3 * never, quiet_s=never, ping_s=never, pong_s=never, ack_s=never
    )
    gateway = {**(way.gateway or {}), "stream": calm, "weight_limit": 10**7, "dead_man_s": 0.0}
    return replace(way, clock=paced, paced=paced, gateway=gateway)


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A paper run and what is left of it at its exchange."""

    run: PaperRun
    note: str


def network_of(url: str) -> tuple[str, str]:
    """Network and address that ``--url`` means; the test network where it is empty.

    Raises
    ------
    RefusedError
        For the main network.
    """
    from genesis.exchange.loopback import LOOPBACK

    host = (urlsplit(url).hostname or "").lower()
    if host in _MAINNET:
        raise RefusedError(
            "live trading on mainnet is not part of paper trading",
            why=f"{host} trades real money",
            fix="leave --url out for the testnet, or run genesis venue serve",
        )
    if host in LOOPBACK:
        return "local", url.rstrip("/")
    return "testnet", url.rstrip("/") or "https://api.hyperliquid-testnet.xyz"


def live_settings(
    strategies: Sequence[Strategy],
    accounts: Sequence[str],
    symbols: Sequence[str],
    interval: str,
    url: str,
    capital: float,
    options: Any,
    clock: Clock,
) -> PaperSettings:
    """Settings of a new run.

    Raises
    ------
    InputError
        If there is not one account for each strategy, or no symbol.
    RefusedError
        For the main network.
    """
    import msgspec

    from genesis.domain.timeline import interval_ms
    from genesis.paper.beginning import account_of
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode, PaperSettings
    from genesis.strategy.genome import warmup_bars
    from genesis.strategy.text import dump_strategy

    if len(accounts) != len(strategies):
        raise InputError(
            f"{several(len(strategies), 'strategy', 'strategies')} and"
            f" {several(len(accounts), 'account')} given",
            why="each strategy trades an account (or sub-account) of its own: positions are netted",
            fix="write --account 0x… once for each strategy, in their order",
        )
    if not symbols:
        raise InputError("no market is named", fix="write --symbols BTC,ETH")
    if not 10.0 <= capital < float("inf"):
        raise InputError(f"a capital of {capital} is not possible", fix="write --capital 1000")
    network, address = network_of(url)
    length, now = interval_ms(interval), clock.now_ms()
    bars = min(max(HISTORY, *(warmup_bars(one) + 10 for one in strategies)), MOST_HISTORY)
    facts = LiveFacts(
        venue="hyperliquid",
        network=network,
        url=address,
        symbols=tuple(dict.fromkeys(symbols)),
        interval=interval,
        accounts={account_of(one.id): at for one, at in zip(strategies, accounts, strict=True)},
        anchor_ms=now - now % length - bars * length,
        trade_from_ms=now,
    )
    return PaperSettings(
        mode=PaperMode.TESTNET,
        strategies=tuple(dump_strategy(strategy) for strategy in strategies),
        market=msgspec.to_builtins(facts),
        capital=capital,
        options=msgspec.structs.replace(options, trade_from_ms=now),
    )


def gateway_settings(
    workspace: Workspace, settings: PaperSettings, key: AgentKey, way: LiveWay
) -> HyperliquidSettings:
    """Settings of the gateway of a run.

    Raises
    ------
    ConfigError
        If an account is no address, or the server cannot be used.
    """
    from genesis.exchange.hyperliquid.settings import (
        AccountBinding,
        HyperliquidSettings,
        Network,
        private_folder,
    )
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode

    facts = LiveFacts.of(settings)
    folder = workspace.home / GATEWAY
    given = way.gateway or {}
    if settings.mode is PaperMode.LIVE:
        given = {"dead_man_s": DEAD_MAN_S, **given}
    found = HyperliquidSettings(
        state_dir=str(folder / key.address),
        accounts=tuple(AccountBinding(name, at) for name, at in facts.accounts.items()),
        network=Network(facts.network),
        base_url=facts.url,
        symbols=facts.symbols,
        **given,
    )
    private_folder(folder)
    return found


def start_live(
    workspace: Workspace, settings: PaperSettings, run_id: str, key: AgentKey, way: LiveWay
) -> LiveRun:
    """Begin a run; nothing of it is written before the exchange has accepted key and accounts.

    Raises
    ------
    RefusedError
        If the workspace is killed, or another process trades one of the accounts.
    GenesisError
        As the gateway and `LivePaperEngine`.
    """
    from genesis.paper.live_facts import LiveFacts

    latch, way = seen_latch(workspace, way)
    if why := latch.closed():
        raise RefusedError(
            "nothing is traded in this workspace", why=why, fix="genesis rearm --reason …"
        )
    with leased(workspace, LiveFacts.of(settings), run_id, way) as own:
        return _begin(workspace, settings, run_id, key, own)


def _begin(
    workspace: Workspace, settings: PaperSettings, run_id: str, key: AgentKey, way: LiveWay
) -> LiveRun:
    from genesis.paper.live_checks import require_empty, require_funds, require_markets
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import write_settings

    facts = LiveFacts.of(settings)
    gateway, gate, bus = _connection(workspace, settings, key, way, lambda _: False)
    folder = runs_folder(workspace) / run_id
    gate.hold()
    try:
        gateway.connect(gate.put)
        require_markets(gateway, facts.symbols)
        gate.admit(require_empty(gateway, facts.accounts, way.clock.now_ms()))
        require_funds(gateway, facts.accounts, _capital(settings))
        folder.mkdir(parents=True, mode=0o700)
        write_settings(folder, settings, {"synchronous": "FULL"})
        engine = _engine(workspace, folder, settings, gateway, gate, bus, way)
    except BaseException:
        gateway.close()
        raise
    return _take(workspace, folder, engine, gateway, way, lambda: None)


def _capital(settings: PaperSettings) -> float:
    """What each account must hold."""
    return sum(one.capital for one in settings.assignments) or settings.capital


def resume_live(workspace: Workspace, name: str, key: AgentKey, way: LiveWay) -> LiveRun:
    """Go on with a run: its account is compared with the exchange before anything is traded.

    Raises
    ------
    InputError
        If there is no such run, or it is finished.
    GenesisError
        As `start_live`.
    """
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import read_settings

    folder = find_run(workspace, name)
    settings, _ = read_settings(folder)
    if (folder / RESULT).is_file():
        live = bool(settings.assignments)
        raise InputError(
            f"the {'live' if live else 'paper'} run {folder.name} is finished",
            fix=f"genesis {'trades' if live else 'paper report'} {folder.name}",
        )
    _, way = seen_latch(workspace, way)
    with leased(workspace, LiveFacts.of(settings), folder.name, way) as own:
        return _go_on(workspace, folder, settings, key, own)


def _go_on(
    workspace: Workspace, folder: Path, settings: PaperSettings, key: AgentKey, way: LiveWay
) -> LiveRun:
    known: list[LivePaperEngine] = []
    gateway, gate, bus = _connection(
        workspace, settings, key, way, lambda client_id: bool(known) and known[0].knows(client_id)
    )
    try:
        engine = _engine(workspace, folder, settings, gateway, gate, bus, way)
        known.append(engine)
    except GenesisError as error:
        try:
            _empty(workspace, folder, settings, gateway, gate, way, error)
        finally:
            gateway.close()
        raise
    except BaseException:
        gateway.close()
        raise
    return _take(workspace, folder, engine, gateway, way, lambda: gateway.connect(gate.put))


def _empty(
    workspace: Workspace,
    folder: Path,
    settings: PaperSettings,
    gateway: HyperliquidGateway,
    gate: MarketGate,
    way: LiveWay,
    error: GenesisError,
) -> None:
    """Empty the accounts of a killed run whose log cannot be opened; nothing where none is killed.

    Raises
    ------
    RefusedError
        Saying what it came to.
    InfrastructureError
        If the exchange does not answer.
    """
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.live_kill import KillSequence

    latch, _ = seen_latch(workspace, way)
    order = latch.read()
    if order is None:
        return
    gateway.connect(lambda _: None)
    accounts = tuple(LiveFacts.of(settings).accounts)
    kill = KillSequence(None, gate, gateway, accounts, lambda *_: None, folder, way.clock)
    report = kill.run(order, way.stopped, latch.read)
    raise RefusedError(
        f"the run {folder.name} was killed: {report.text}",
        why=f"it was done without its log, which cannot be opened: {error.what}",
        fix=error.fix or "mend the log, then compare it: genesis reconcile",
    )


def _connection(
    workspace: Workspace,
    settings: PaperSettings,
    key: AgentKey,
    way: LiveWay,
    ours: Callable[[str], bool],
) -> tuple[HyperliquidGateway, MarketGate, EventBus]:
    from msgspec.structs import replace as changed

    from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
    from genesis.exchange.hyperliquid.settings import ForeignPolicy
    from genesis.exchange.hyperliquid.waits import RealWaits
    from genesis.trading.bus import EventBus
    from genesis.trading.live import MarketGate

    bus = EventBus(way.clock)
    found = gateway_settings(workspace, settings, key, way)
    if seen_latch(workspace, way)[0].closed():  # whoever else trades it, the account is emptied
        found = changed(found, foreign=ForeignPolicy.KEEP, leverage={})
    gateway = HyperliquidGateway(found, key, way.paced or RealWaits(way.clock), ours=ours)
    return gateway, MarketGate(bus), bus


def _engine(
    workspace: Workspace,
    folder: Path,
    settings: PaperSettings,
    gateway: HyperliquidGateway,
    gate: MarketGate,
    bus: EventBus,
    way: LiveWay,
) -> LivePaperEngine:
    from genesis.paper.engine import trading_build
    from genesis.paper.live import LivePaperEngine

    return LivePaperEngine(
        folder,
        settings,
        gateway,
        gate,
        bus,
        way.clock,
        build=trading_build(),
        duration_ms=way.duration_ms,
        flatten=way.flatten,
        grace_ms=way.grace_ms,
        latch=seen_latch(workspace, way)[0],
        leases=way.leases,
        over=way.over,
        paced=way.paced,
        sentiment=_sentiment(workspace, settings, bus, way),
    )


def _sentiment(
    workspace: Workspace, settings: PaperSettings, bus: EventBus, way: LiveWay
) -> SentimentFeed | None:
    """Feed of fear and greed, None where there is to be none."""
    from genesis.market.sources.fear_greed import ADDRESS, FearGreedClient
    from genesis.paper.live_facts import LiveFacts
    from genesis.trading.feeds.sentiment import SentimentFeed

    local = LiveFacts.of(settings).network == "local"
    address = way.sentiment or ("off" if local else ADDRESS)
    if address == "off":
        return None
    client = FearGreedClient(way.clock, address, workspace.home / SENTIMENT)
    return SentimentFeed(client, address, bus.publish, way.clock)


def _take(
    workspace: Workspace,
    folder: Path,
    engine: LivePaperEngine,
    gateway: HyperliquidGateway,
    way: LiveWay,
    connect: Callable[[], None],
) -> LiveRun:
    from genesis.evolution.files import write_json
    from genesis.paper.engine import trading_build

    def connected() -> None:
        connect()
        for bound in gateway.settings.accounts:
            way.found(bound.address, gateway.reports[bound.name].text)
        way.begun(folder.name)

    outcome = engine.run(connected, way.stopped, way.told)
    if outcome.finished:
        facts = {"state_hash": outcome.state_hash, "events": outcome.events}
        write_json(folder / RESULT, {**facts, "build": trading_build()})
    if engine.killed is not None:
        raise _killed(folder.name, engine.killed, engine.note)
    done = PaperRun(folder.name, folder, outcome, None, None)
    if not outcome.finished:
        return LiveRun(done, engine.note)
    if engine.settings.assignments:  # what a live run came to is read from its log
        return LiveRun(done, engine.note)
    report, page = report_paper(workspace, folder.name)
    return LiveRun(replace(done, report=report, page=page), engine.note)


def _killed(run: str, report: KillReport, note: str) -> RefusedError:
    if not report.done:
        fix = "look at the exchange; the same command goes on emptying the accounts"
    elif report.flatten:
        fix = "genesis rearm --reason …; what is traded after that is a new run"
    else:
        fix = "genesis rearm --reason …, then the same command goes on"
    return RefusedError(f"the run {run} was killed: {report.text}", why=note, fix=fix)
