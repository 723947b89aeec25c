"""Live trading: promoted deployments on the exchange of their target, one process an account.

It begins only where everything that is asked for is there: evidence that stands, a green doctor,
an open kill latch, an agent's key, and a lease that nobody else holds. Starting and going on are
one path: a run of the account that is not finished is taken up where its log ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from genesis.decision.deployments import Deployment, read_book
from genesis.decision.rehearsal_time import require_rehearsal
from genesis.decision.stages import Target
from genesis.domain.errors import GenesisError, InputError, RefusedError
from genesis.risk.limits import HardLimits
from genesis.system.limits import LimitsChoice, ended_by_limits, take_limits
from genesis.system.live_changes import DeploymentChanges, assignments
from genesis.system.live_hold import leases_of, seen_latch
from genesis.system.live_paper import MOST_HISTORY, LiveRun, resume_live, start_live
from genesis.system.live_reviews import DailyReviews
from genesis.system.paper import RESULT, new_run_id, runs_folder
from genesis.system.promotion import live_deployments
from genesis.system.sizing import ended_by_sizing, kept_sizing, known_edges
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from genesis.exchange.hyperliquid.keys import AgentKey
    from genesis.paper.settings import PaperSettings, RiskSettings
    from genesis.system.live_paper import LiveWay

STOP_WITHIN_MS = 5_000
"""A position without its stop at the exchange so long after its entry is closed."""
DISASTER_STOP = 0.15
"""Distance of the stop of a strategy without one: the widest that the crypto-safe bounds allow."""
RISK_HISTORY = 800
"""Bars that tell the risk manager all that it remembers of a market."""
LOCAL_URL = "http://127.0.0.1:3001"


def require_healthy(workspace: Workspace, *, scripted: bool = False) -> None:
    """Refuse to trade where the doctor finds something broken.

    Parameters
    ----------
    workspace : Workspace
    scripted : bool
        Time is that of a local exchange: the machine's clock says nothing of it.

    Raises
    ------
    RefusedError
        Naming each failure with its remedy.
    """
    from genesis.system.doctor import examine

    found = (one for one in examine(workspace, live=True) if not (scripted and one.name == "clock"))
    broken = [check for check in found if check.status == "fail"]
    if broken:
        raise RefusedError(
            f"the doctor finds {len(broken)} failures",
            why="; ".join(f"{check.name}: {check.detail}" for check in broken),
            fix="; ".join(check.fix for check in broken if check.fix) or "genesis doctor",
        )


def deployments_of(workspace: Workspace, account: str) -> tuple[Deployment, ...]:
    """Deployments that send orders from an account, with evidence that stands.

    Raises
    ------
    RefusedError
        If there is none, they have several targets, or their evidence does not stand.
    """
    found = live_deployments(workspace.home, account)
    if not found:
        raise RefusedError(
            f"no deployment sends orders from {account}",
            why="only canaries and live stages do",
            fix="genesis deployments list; genesis promote STRATEGY --to canary",
        )
    if len({one.target for one in found}) > 1:
        raise RefusedError(
            f"the deployments of {account} have several targets",
            why=", ".join(f"{one.id} {one.target.value}" for one in found),
            fix="retire those of the other exchange",
        )
    return found


def run_live(
    workspace: Workspace,
    account: str,
    key: AgentKey,
    way: LiveWay,
    *,
    url: str = "",
    choice: LimitsChoice | None = None,
    live: bool = False,
) -> LiveRun:
    """Trade the deployments of an account until somebody stops it.

    When a deployment changes its stage the run closes its positions and ends, and another begins
    with what is deployed then: so each run is the evidence of one stage.

    Parameters
    ----------
    workspace : Workspace
    account : str
        Address.
    key : AgentKey
    way : LiveWay
    url : str
        Of a local exchange; empty for the one of the target.
    choice : LimitsChoice, optional
        Hard limits; those of the workspace, with nothing confirmed, where it is left out.
    live : bool
        Whether a person agreed to real money.

    Raises
    ------
    RefusedError
        Naming what is missing; nothing was sent then.
    GenesisError
        As `genesis.system.live_paper.start_live`.
    """
    latch, way = seen_latch(workspace, way)
    killed = latch.closed()
    if not killed:  # an account is emptied whatever is broken
        if way.paced is not None:
            require_rehearsal(read_book(workspace.home)[1])
        require_healthy(workspace, scripted=way.paced is not None)
    workspace.open()
    address = account.lower()
    with (
        leases_of(workspace, address, "genesis live run", way) as leases,
        DailyReviews(workspace, address, way.clock, way.told),
    ):
        limits = None if killed else _limits(workspace, address, way, choice or LimitsChoice())
        asked = "" if killed else way.sizing
        sizing, note = kept_sizing(asked, last_run(workspace, address))
        if note and not killed:
            way.told(note)
        while True:
            own = replace(way, leases=leases, sizing=sizing)
            done, changed = _sitting(workspace, address, key, own, url, limits, live=live)
            if not (done.run.outcome.finished and changed) or way.stopped():
                return done
            way.told(f"run {done.run.run_id} is over; looking at what is deployed now")


def _limits(workspace: Workspace, address: str, way: LiveWay, choice: LimitsChoice) -> HardLimits:
    going_on = unfinished_run(workspace, address) is not None
    limits, note = take_limits(workspace.home, address, choice, way.clock, going_on=going_on)
    if note:
        way.found(address, note)
    return limits


def _sitting(
    workspace: Workspace,
    address: str,
    key: AgentKey,
    way: LiveWay,
    url: str,
    limits: HardLimits | None,
    *,
    live: bool,
) -> tuple[LiveRun, str]:
    """Take up the account's run that is not finished, or begin one; its alerts are delivered.

    Without ``limits`` the account is being emptied, and those of the run do not matter. The text
    beside the run says what ended it, empty where that was its time or a person.
    """
    from genesis.monitoring.alerts.feed import AlertFeed
    from genesis.system.alerts import alerting

    unfinished = unfinished_run(workspace, address)
    if unfinished is not None:
        folder, settings = unfinished
        _require_allowed(settings, way, live=live or limits is None)
        why = "" if limits is None else ended_by_limits(settings, limits)
        why = why or ended_by_sizing(settings, way.sizing)  # as it is where it is killed
        over = DeploymentChanges(workspace, address, settings.assignments, why)
        with alerting(workspace.home, feeds=[AlertFeed(folder)]):
            done = resume_live(workspace, folder.name, key, replace(way, over=over))
        return done, over.said
    deployments = deployments_of(workspace, address)
    now = way.clock.now_ms()
    settings = live_run_settings(workspace, deployments, now, url, limits, way.sizing)
    _require_allowed(settings, way, live=live or limits is None)
    over = DeploymentChanges(workspace, address, settings.assignments)
    run_id = new_run_id(workspace, "live", None)
    with alerting(workspace.home, feeds=[AlertFeed(runs_folder(workspace) / run_id)]):
        done = start_live(workspace, settings, run_id, key, replace(way, over=over))
    return done, over.said


def _require_allowed(settings: PaperSettings, way: LiveWay, *, live: bool) -> None:
    from genesis.paper.live_facts import LiveFacts
    from genesis.system.promotion_runs import NETWORKS

    network = LiveFacts.of(settings).network
    if way.paced is not None and network != NETWORKS[Target.LOOPBACK]:
        raise RefusedError(
            f"--scripted moves the time of an exchange, and this account trades on {network}",
            fix="leave --scripted out",
        )
    if network == NETWORKS[Target.MAINNET] and not live:
        raise RefusedError(
            "this is real money",
            why=f"the account trades on {network}",
            fix="add --live",
        )


def unfinished_run(workspace: Workspace, address: str) -> tuple[Path, PaperSettings] | None:
    """Folder and settings of the account's live run that goes on, None if there is none."""
    for folder, settings in _live_runs(workspace, address):
        if not (folder / RESULT).is_file():
            return folder, settings
    return None


def last_run(workspace: Workspace, address: str) -> tuple[Path, PaperSettings] | None:
    """The account's live run that goes on, else the one that began last, None if there was none."""
    from genesis.paper.live_facts import LiveFacts

    over = max(
        _live_runs(workspace, address),
        key=lambda one: (LiveFacts.of(one[1]).trade_from_ms, one[0].name),
        default=None,
    )
    return unfinished_run(workspace, address) or over


def _live_runs(workspace: Workspace, address: str) -> Iterator[tuple[Path, PaperSettings]]:
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode, read_settings

    root = runs_folder(workspace)
    for folder in sorted(root.iterdir(), reverse=True) if root.is_dir() else ():
        if not folder.is_dir():
            continue
        try:
            settings, _ = read_settings(folder)
        except GenesisError:
            continue
        if settings.mode is not PaperMode.LIVE:
            continue
        if address in (at.lower() for at in LiveFacts.of(settings).accounts.values()):
            yield folder, settings


def live_run_settings(
    workspace: Workspace,
    deployments: Sequence[Deployment],
    now_ms: int,
    url: str,
    limits: HardLimits | None = None,
    sizing: str = "strategy",
) -> PaperSettings:
    """Settings of a new live run; the built-in hard limits where none are given.

    Raises
    ------
    InputError
        If a strategy is not stored or has no backtest that its sizing needs, or the strategies
        trade bars of several lengths.
    RefusedError
        If the address is not that of the target.
    """
    import msgspec

    from genesis.domain.timeline import interval_ms
    from genesis.evolution.store import StrategyStore
    from genesis.market.dataset_spec import parse
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode, PaperSettings
    from genesis.strategy.genome import warmup_bars
    from genesis.strategy.text import dump_strategy
    from genesis.trading.deployment import DeploymentOptions

    store = StrategyStore(workspace.strategies)
    records = {one.strategy: store.get(one.strategy) for one in deployments}
    lengths = {parse(record.dataset).interval for record in records.values()}
    if len(lengths) > 1:
        raise InputError(
            f"the strategies of one account decide on bars of {', '.join(sorted(lengths))}",
            fix="give those of another length an account of their own",
        )
    (interval,) = lengths
    length = interval_ms(interval)
    strategies = [record.strategy for record in records.values()]
    bars = min(max(RISK_HISTORY, *(warmup_bars(one) + 10 for one in strategies)), MOST_HISTORY)
    network, address = exchange_of(deployments[0].target, url)
    account = deployments[0].account
    facts = LiveFacts(
        venue="hyperliquid",
        network=network,
        url=address,
        symbols=tuple(sorted({symbol for one in deployments for symbol in one.symbols})),
        interval=interval,
        accounts={f"live/{account}": account},
        anchor_ms=now_ms - now_ms % length - bars * length,
        trade_from_ms=now_ms,
    )
    return PaperSettings(
        mode=PaperMode.LIVE,
        strategies=tuple(dump_strategy(strategy) for strategy in strategies),
        market=msgspec.to_builtins(facts),
        options=DeploymentOptions(
            trade_from_ms=now_ms,
            stop_within_ms=STOP_WITHIN_MS,
            disaster_stop=DISASTER_STOP,
            sizing=sizing,
        ),
        limits=(limits or HardLimits()).plain(),
        risk=risk_settings(workspace),
        assignments=assignments(deployments),
        edges=known_edges(workspace, strategies, sizing),
    )


def risk_settings(workspace: Workspace) -> RiskSettings:
    """The risk manager of live trading: it acts, with the genome that was accepted last."""
    from genesis.evolution.risk.result import accepted_genome
    from genesis.paper.settings import RiskSettings
    from genesis.risk.manager import RiskProfile

    genome = accepted_genome(workspace.home)
    plain = genome.plain() if genome is not None else {}
    return RiskSettings(profile=RiskProfile.ENFORCE, genome=plain)


def exchange_of(target: Target, url: str) -> tuple[str, str]:
    """Network and address of a target.

    Raises
    ------
    RefusedError
        If an address is given that is not of the target.
    """
    from genesis.exchange.hyperliquid.settings import ADDRESSES, Network
    from genesis.exchange.loopback import on_loopback

    if target is Target.LOOPBACK:
        if url and not on_loopback(url):
            raise RefusedError(
                f"{url} is not on this machine",
                why="the deployment was promoted for a local exchange",
                fix="leave --url out, or promote it for that target",
            )
        return Network.LOCAL.value, url.rstrip("/") or LOCAL_URL
    if url:
        raise RefusedError(
            f"--url says nothing for a deployment on {target.value}",
            why="its exchange is the one that it was promoted for",
            fix="leave --url out",
        )
    network = Network.TESTNET if target is Target.TESTNET else Network.MAINNET
    return network.value, ADDRESSES[network]
