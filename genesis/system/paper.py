"""How paper runs are put together: strategies, market, engine; and read back for a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.market.panel import Panel
    from genesis.paper.engine import PaperOutcome
    from genesis.paper.report import PaperReport
    from genesis.paper.settings import PaperSettings
    from genesis.trading.feed import DataFeed

DURABILITY = "NORMAL"
"""A stored market can be traded again: a loss of power may take the last moments of a run."""

RESULT = "result.json"
PAGE = "report.html"


@dataclass(frozen=True, slots=True)
class PaperMarket:
    """A feed, and the panel behind it where there is one.

    Attributes
    ----------
    feed : DataFeed
    instruments : tuple of Instrument
    panel : Panel or None
        None for an endless simulation.
    facts : mapping
        What the settings say of it.
    """

    feed: DataFeed
    instruments: tuple[Any, ...]
    panel: Panel | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TradedMarket:
    """What a report needs to know of the market that a run traded.

    Attributes
    ----------
    symbols : tuple of str
    interval_ms : int
    panel : Panel or None
        None where its bars are in the log alone.
    facts : mapping
        What the settings say of it.
    """

    symbols: tuple[str, ...]
    interval_ms: int
    panel: Panel | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PaperRun:
    """A paper run that was taken as far as it went.

    Attributes
    ----------
    run_id : str
    folder : Path
    outcome : PaperOutcome
    report : PaperReport or None
        None for a run that was stopped.
    page : Path or None
    """

    run_id: str
    folder: Path
    outcome: PaperOutcome
    report: PaperReport | None
    page: Path | None


def runs_folder(workspace: Workspace) -> Path:
    """Folder of the trading runs."""
    from genesis.trading.run_folders import FOLDER

    return workspace.home / FOLDER


def find_run(workspace: Workspace, name: str | None) -> Path:
    """Folder of a trading run; the latest one where no name is given.

    Raises
    ------
    InputError
        If there is none, or the name means none or several.
    """
    from genesis.trading import run_folders

    return run_folders.find_run(workspace.home, name or "")


def new_run_id(workspace: Workspace, mode: str, wanted: str | None) -> str:
    """Id of a new run.

    Raises
    ------
    InputError
        If it is taken, or cannot be the name of a folder.
    """
    from datetime import UTC, datetime

    root = runs_folder(workspace)
    if wanted is not None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", wanted):
            raise InputError(
                f"'{wanted}' cannot be the id of a run",
                fix="use up to 100 letters, digits, '.', '-' and '_', the first a letter or digit",
            )
        if (root / wanted).exists():
            raise InputError(
                f"there is a trading run {wanted} already",
                fix=f"go on with it: genesis paper run --resume {wanted}, or use another --run",
            )
        return wanted
    stamp = datetime.fromtimestamp(SystemClock().now_ms() / 1000, tz=UTC).strftime("%Y%m%d-%H%M%S")
    name, number = f"{mode}-{stamp}", 2
    while (root / name).exists():
        name, number = f"{mode}-{stamp}-{number}", number + 1
    return name


def dataset_market(
    workspace: Workspace,
    dataset: str,
    funding: str,
    honour: Callable[[Any, Any], Any],
    quotes: int = 0,
) -> PaperMarket:
    """Market of a stored dataset.

    Parameters
    ----------
    dataset, funding : str
        As in `genesis.market.dataset.parse`.
    honour : callable
        Takes panel and spec and gives the panel that may be used: sealed bars are cut off.
    quotes : int
        Prices inside each bar, along a path that has its open, high, low and close.

    Raises
    ------
    InputError
        If the dataset is not there.
    RefusedError
        If every bar is sealed.
    """
    from genesis.market import dataset as datasets
    from genesis.market.store import BarStore
    from genesis.trading.feeds.panel import PanelFeed

    spec = datasets.parse(dataset, funding=funding)
    panel = honour(datasets.load(BarStore(workspace.data), spec), spec)
    feed = PanelFeed(panel, quotes)
    facts = {
        "dataset": panel.name,
        "funding": funding,
        "dataset_hash": panel.dataset_hash,
        "from_ms": int(panel.ts_ms[0]),
        "bars": panel.bars,
        "quotes": quotes,
    }
    return PaperMarket(feed, feed.instruments, panel, facts)


def stored_market(workspace: Workspace, facts: Mapping[str, Any]) -> PaperMarket:
    """Market of a run from what its settings say, for a resume, a replay or a report.

    Raises
    ------
    InputError
        If the stored bars are not those any more.
    """
    if "dataset" not in facts:
        return simulated_market(facts)

    def same_bars(panel: Panel, _: Any) -> Panel:
        if panel.dataset_hash != facts["dataset_hash"]:
            raise InputError(
                f"the bars of {facts['dataset']} were replaced since the run began",
                fix="import the old bars again, or begin another run",
            )
        return panel.sliced(0, int(facts["bars"]))

    quotes = int(facts.get("quotes", 0))
    return dataset_market(workspace, facts["dataset"], facts["funding"], same_bars, quotes)


def traded_market(workspace: Workspace, settings: PaperSettings) -> TradedMarket:
    """Market of a run, for its report.

    Raises
    ------
    InputError
        If the stored bars are not those any more.
    """
    from genesis.domain.timeline import interval_ms

    facts = settings.market
    if settings.mode == "testnet":
        return TradedMarket(tuple(facts["symbols"]), interval_ms(facts["interval"]), None, facts)
    market = stored_market(workspace, facts)
    return TradedMarket(tuple(market.feed.symbols), market.feed.interval_ms, market.panel, facts)


def simulated_market(facts: Mapping[str, Any]) -> PaperMarket:
    """Synthetic market of a seed."""
    from genesis.trading.feeds.synthetic import SimulatedMarket, SyntheticFeed

    law = SimulatedMarket(
        symbols=tuple(facts["symbols"]),
        interval=facts["interval"],
        seed=int(facts["seed"]),
        bars=int(facts["bars"]),
    )
    feed = SyntheticFeed(law, int(facts.get("quotes", 0)))
    return PaperMarket(feed, feed.instruments, None, dict(facts))


def start_paper(
    workspace: Workspace,
    market: PaperMarket,
    settings: PaperSettings,
    run_id: str,
    *,
    synchronous: str = DURABILITY,
    stopped: Callable[[], bool],
    told: Callable[[int], None],
) -> PaperRun:
    """Begin a paper run and take it as far as it goes.

    Raises
    ------
    GenesisError
        As `PaperTradingEngine`.
    """
    from genesis.paper.settings import write_settings

    folder = runs_folder(workspace) / run_id
    feed = with_origins(market.feed, settings, Path.cwd())  # read before anything is made
    folder.mkdir(parents=True, mode=0o700)
    settings = _with_copies(folder, settings)
    write_settings(folder, settings, {"synchronous": synchronous})
    return _take(workspace, folder, settings, market, feed, synchronous, stopped, told)


def resume_paper(
    workspace: Workspace, name: str, *, stopped: Callable[[], bool], told: Callable[[int], None]
) -> PaperRun:
    """Go on with a paper run.

    Raises
    ------
    InputError
        If there is no such run, it is finished, or its bars were replaced.
    """
    from genesis.paper.settings import read_settings

    folder = find_run(workspace, name)
    settings, facts = read_settings(folder)
    if (folder / RESULT).is_file():
        raise InputError(
            f"the paper run {folder.name} is finished", fix=f"genesis paper report {folder.name}"
        )
    market = stored_market(workspace, settings.market)
    feed = with_origins(market.feed, settings, folder)
    return _take(workspace, folder, settings, market, feed, facts["synchronous"], stopped, told)


def _take(
    workspace: Workspace,
    folder: Path,
    settings: PaperSettings,
    market: PaperMarket,
    feed: DataFeed,
    synchronous: str,
    stopped: Callable[[], bool],
    told: Callable[[int], None],
) -> PaperRun:
    from genesis.evolution.files import write_json
    from genesis.paper.engine import PaperTradingEngine, trading_build

    engine = PaperTradingEngine(
        folder,
        settings,
        feed,
        market.instruments,
        build=trading_build(),
        synchronous=synchronous,
        wall=SystemClock(),
    )
    outcome = engine.run(stopped, told)
    if not outcome.finished:
        return PaperRun(folder.name, folder, outcome, None, None)
    write_json(
        folder / RESULT,
        {"state_hash": outcome.state_hash, "events": outcome.events, "build": trading_build()},
    )
    report, page = report_paper(workspace, folder.name)
    return PaperRun(folder.name, folder, outcome, report, page)


def _with_copies(folder: Path, settings: PaperSettings) -> PaperSettings:
    """Settings whose news and schedules are the run's own copies: a resume reads the same."""
    import msgspec

    copies = {}
    for name in ("news", "schedule"):
        source = Path(getattr(settings, name))
        if getattr(settings, name):
            copies[name] = name + source.suffix
            (folder / copies[name]).write_bytes(source.read_bytes())
    return msgspec.structs.replace(settings, **copies)


def with_origins(feed: DataFeed, settings: PaperSettings, folder: Path) -> DataFeed:
    """The feed, with news and schedules where the run has files of them.

    A file without a folder of its own is a copy in the run's ``folder``.
    """
    from genesis.trading.feeds.merged import MergedFeed
    from genesis.trading.feeds.origins import NewsProvider, OriginProvider, ScheduleProvider
    from genesis.trading.origin_actions import ACTIONS

    providers: list[OriginProvider] = []
    if settings.schedule:
        providers.append(ScheduleProvider(folder / settings.schedule, feed.symbols, ACTIONS))
    if settings.news:
        providers.append(NewsProvider(folder / settings.news, feed.symbols, ACTIONS))
    return MergedFeed(feed, providers) if providers else feed


def result_of(folder: Path) -> dict[str, Any]:
    """State hash, number of events and build at the end of a run.

    Raises
    ------
    InputError
        If it is not finished.
    StorageError
        If the file is damaged.
    """
    from genesis.evolution.files import read_json

    if not (folder / RESULT).is_file():
        raise InputError(
            f"the run {folder.name} is not finished",
            fix=f"genesis paper run --resume {folder.name}",
        )
    value = read_json(folder / RESULT)
    if not isinstance(value, dict) or not {"state_hash", "events", "build"} <= set(value):
        raise StorageError(
            f"{folder / RESULT} is damaged", fix=f"make it anew: genesis replay {folder.name}"
        )
    return value


def report_paper(
    workspace: Workspace, name: str | None, page: Path | None = None
) -> tuple[PaperReport, Path]:
    """Report of a finished paper run; also writes feedback beside the stored strategies.

    Raises
    ------
    InputError
        If there is no such run, it is not finished, or it is a live run.
    """
    from genesis.paper.report import write_paper_report
    from genesis.paper.settings import read_settings
    from genesis.system.paper_report import build_report
    from genesis.trading.store import verify

    folder = find_run(workspace, name) if name else _latest_paper(workspace)
    settings, _ = read_settings(folder)
    _require_paper(folder, settings)
    result = result_of(folder)
    damage = verify(folder).damage
    if damage is not None:
        raise RefusedError(
            f"the log of {folder.name} is damaged: its numbers would be worth nothing",
            why=f"event {damage.seq}: {damage.text}",
            fix=f"restore its folder from a copy; genesis events verify {folder.name} tells more",
        )
    market = traded_market(workspace, settings)
    report = build_report(workspace, folder, settings, market, result)
    return report, write_paper_report(report, page or folder / PAGE)


def _latest_paper(workspace: Workspace) -> Path:
    """Folder of the paper run that was written last: live runs have no such report."""
    from genesis.paper.settings import PaperMode, read_settings
    from genesis.trading.run_folders import list_runs

    latest = find_run(workspace, None)
    for folder in reversed(list_runs(workspace.home)):
        if read_settings(folder)[0].mode is not PaperMode.LIVE:
            return folder
    raise InputError(
        "no paper run is in the workspace, only live runs",
        fix=f"genesis paper run STRATEGY… makes one; of a live run: genesis trades {latest.name}",
    )


def _require_paper(folder: Path, settings: PaperSettings) -> None:
    """Refuse to report a live run as paper: its strategies share an account, and orders of it."""
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode

    if settings.mode is not PaperMode.LIVE:
        return
    look = f"what it traded: genesis trades {folder.name}; how its strategies fare:"
    look += " genesis strategies explain STRATEGY"
    if not (folder / RESULT).is_file():
        (account,) = LiveFacts.of(settings).accounts.values()
        look += f"; it is not finished: genesis live run --account {account} goes on with it"
    raise InputError(
        f"{folder.name} is a live run, which has no report of paper trading",
        why="its strategies share the account of an exchange; each is judged by its own orders",
        fix=look,
    )


def list_paper(workspace: Workspace) -> list[dict[str, Any]]:
    """Paper runs of a workspace, oldest first: id, mode, number of strategies, state."""
    from genesis.domain.errors import GenesisError
    from genesis.paper.settings import read_settings
    from genesis.trading.status import writer_of

    root = runs_folder(workspace)
    rows: list[dict[str, Any]] = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir():
            continue
        try:
            settings, _ = read_settings(folder)
        except GenesisError as error:
            state = f"damaged: {error.what}"
            rows.append({"run": folder.name, "mode": "-", "strategies": 0, "state": state})
            continue
        ends = "finished" if (folder / RESULT).is_file() else "can be resumed"
        state = state_of(folder, writer_of(folder), ends)
        rows.append(
            {
                "run": folder.name,
                "mode": settings.mode.value,
                "strategies": len(settings.strategies),
                "state": state,
            }
        )
    return rows


def state_of(folder: Path, writer: str, ends: str) -> str:
    """One line on a run for a list: who writes it, how it ended, and what is missing of it.

    Parameters
    ----------
    folder : Path
    writer : str
        Id of the process that writes it, empty if none does.
    ends : str
        What it is where nobody writes it and nothing is missing.
    """
    from genesis.trading.run_folders import damage_of

    damage = damage_of(folder)
    if writer:
        return f"running, process {writer}{'; ' if damage else ''}{damage}"
    return damage or ends
