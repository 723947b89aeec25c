"""What a line of `genesis paper run` means: strategies, market, execution and settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.cli import render

if TYPE_CHECKING:
    from genesis.paper.settings import PaperSettings, RiskSettings
    from genesis.risk.limits import HardLimits
    from genesis.strategy.strategy import Strategy
    from genesis.system.paper import PaperMarket
    from genesis.system.workspace import Workspace
    from genesis.trading.deployment import DeploymentOptions


@dataclass(frozen=True)
class Judged:
    """What the orders of a run must meet: hard limits, the risk manager, and the sizer."""

    limits: HardLimits
    risk: RiskSettings
    sizing: str
    edges: dict[str, tuple[float, float]]


MODES = ("replay", "simulation", "testnet", "backtest-validation")


def check_execution(mode: str, algorithm: str, slices: int, capital: float) -> None:
    """Refuse options that would do nothing, or defeat the mode.

    Raises
    ------
    InputError
    """
    from genesis.domain.errors import InputError

    if algorithm in ("twap", "iceberg") and slices == 1:
        raise InputError(
            f"--algorithm {algorithm} with {slices} part is one order", fix="add --slices 3, say"
        )
    if algorithm == "single" and slices > 1:
        raise InputError("--slices goes with --algorithm twap or iceberg", fix="add one of them")
    if mode == "backtest-validation" and algorithm != "single":
        raise InputError(
            f"--mode {mode} executes each order at once, as the backtest does",
            fix="leave --algorithm out, or use --mode replay",
        )
    if not 1.0 <= capital <= 1e12:
        raise InputError(f"--capital {capital:g} is not allowed", fix="give 1 to 1e12")


def chosen_strategies(workspace: Workspace, names: list[str] | None, mode: str) -> list[Strategy]:
    """Strategies that are named.

    Raises
    ------
    InputError
        If there is no such mode, or no such strategy, or one is named twice.
    """
    from genesis.cli.backtest import find_strategy
    from genesis.domain.errors import InputError, did_you_mean

    if mode == "live":
        from genesis.domain.errors import RefusedError

        raise RefusedError(
            "live trading is no mode of paper trading",
            why="it trades promoted strategies alone, with evidence, approval and a cap",
            fix="genesis promote STRATEGY --to canary, then genesis live run --account 0x…",
        )
    if mode not in MODES:
        raise InputError(
            f"unknown mode '{mode}'{did_you_mean(mode, MODES)}", fix=f"use {', '.join(MODES)}"
        )
    if not names:
        raise InputError(
            "no strategy given", fix="genesis strategies list shows them; then genesis paper run ID"
        )
    found: dict[str, tuple[str, Strategy]] = {}
    for name in names:
        strategy = find_strategy(workspace, name)
        if strategy.id in found:
            raise InputError(
                f"the strategy {strategy.id} is named twice",
                why=f"{found[strategy.id][0]} and {name} are the same one, and it trades once",
                fix="name it once",
            )
        found[strategy.id] = name, strategy
    return [strategy for _, strategy in found.values()]


def chosen_risk(
    workspace: Workspace,
    mode: str,
    profile: str,
    genome: str,
    limits: Path | None,
    sizing: str,
    chosen: list[Strategy],
) -> Judged:
    """Hard limits, risk manager and sizer that a line names.

    Raises
    ------
    GenesisError
        As `genesis.system.paper_risk.paper_risk`, `genesis.system.limits.stated_limits` and
        `genesis.system.sizing`.
    """
    from genesis.system.limits import stated_limits
    from genesis.system.paper_risk import paper_risk
    from genesis.system.sizing import known_edges, require_sizing

    require_sizing(sizing, mode)
    risk = paper_risk(workspace.home, mode, profile, genome)
    held = stated_limits(workspace.home, limits).limits
    return Judged(held, risk, sizing, known_edges(workspace, chosen, sizing))


def refuse_live(workspace: Workspace, name: str) -> None:
    """Refuse to go on with a live run as if it were paper.

    Raises
    ------
    RefusedError
    """
    from genesis.domain.errors import RefusedError
    from genesis.paper.live_facts import LiveFacts
    from genesis.paper.settings import PaperMode, read_settings
    from genesis.system.paper import find_run

    settings, _ = read_settings(find_run(workspace, name))
    if settings.mode is PaperMode.LIVE:
        (account,) = LiveFacts.of(settings).accounts.values()
        raise RefusedError(
            f"{name} is a live run",
            why="promoted deployments are traded under the lease of their account",
            fix=f"genesis live run --account {account} goes on with it",
        )


def origin_file(path: Path | None) -> str:
    """Absolute path of a file of news or schedules; empty for none.

    Raises
    ------
    InputError
        If it is not there.
    """
    from genesis.domain.errors import InputError

    if path is None:
        return ""
    if not path.is_file():
        raise InputError(f"there is no file {path}", fix="check the path")
    return str(path.absolute())


def chosen_market(
    workspace: Workspace,
    mode: str,
    dataset: str | None,
    funding: str,
    chosen: list[Strategy],
    symbols: str,
    interval: str,
    bars: int,
    seed: int,
    open_sealed: bool,
    quotes: int,
) -> PaperMarket:
    """Market of a replay or simulation; sealed bars are left out unless ``open_sealed``.

    Raises
    ------
    InputError
        If there is no dataset, or one too many.
    RefusedError
        If every bar is sealed.
    """
    from genesis.cli.backtest import _honour_seals
    from genesis.domain.errors import InputError
    from genesis.system.paper import dataset_market, simulated_market

    if mode == "simulation":
        if dataset is not None:
            raise InputError(
                "a simulation has no dataset",
                fix="leave --dataset out, or use --mode replay",
            )
        names = [name.strip() for name in symbols.split(",") if name.strip()]
        return simulated_market(
            {
                "symbols": names,
                "interval": interval,
                "bars": bars,
                "seed": seed,
                "quotes": quotes,
            }
        )
    if dataset is None:
        raise InputError(
            f"--mode {mode} needs a dataset",
            fix="give --dataset venue:SYM,SYM:interval; genesis data list shows what there is",
        )

    def honour(panel: Any, spec: Any) -> Any:
        for strategy in chosen:
            panel, _, notice = _honour_seals(
                workspace, panel, spec, strategy.id, open_sealed=open_sealed
            )
            if notice:
                render.console(stderr=True).print(f"note: {notice}", markup=False)
        return panel

    market = dataset_market(workspace, dataset, funding, honour, quotes)
    if market.panel is not None:
        from genesis.evolution.trial_count import register_backtest

        for strategy in chosen:
            register_backtest(workspace.home, strategy.id, market.panel)
    return market


def run_settings(
    mode: str,
    chosen: list[Strategy],
    market: PaperMarket,
    capital: float,
    leverage: float,
    algorithm: str,
    slices: int,
    stops: str,
    origins: dict[str, str],
    seed: int,
    judged: Judged,
) -> PaperSettings:
    """Settings of a replay or simulation.

    Raises
    ------
    ConfigError
        If an option is out of range.
    """
    from genesis.backtest.setup import EvaluationSetup
    from genesis.cli.options import naming_options
    from genesis.costs.execution import ExecutionModel
    from genesis.paper.settings import PaperMode, PaperSettings
    from genesis.strategy.text import dump_strategy

    with naming_options():
        setup = EvaluationSetup(capital=capital, leverage=leverage)
    setup.require_margin(market.instruments)
    execution: dict[str, Any] = {}
    if mode != "backtest-validation":
        share = capital / len(market.instruments)
        execution = ExecutionModel(seed=seed, capital=share).plain()
    options = execution_options(algorithm, slices, stops, market.feed.interval_ms, judged.sizing)
    return PaperSettings(
        mode=PaperMode(mode),
        strategies=tuple(dump_strategy(strategy) for strategy in chosen),
        market=dict(market.facts),
        costs=dict(setup.costs.plain()),
        limits=judged.limits.plain(),
        risk=judged.risk,
        execution=execution,
        capital=capital,
        leverage=leverage,
        options=options,
        edges=judged.edges,
        news=origins["news"],
        schedule=origins["schedule"],
    )


def execution_options(
    algorithm: str, slices: int, stops: str, interval: int | str, sizing: str
) -> DeploymentOptions:
    """How entries are sized, and how all is executed; slices of a TWAP are a bar apart.

    Raises
    ------
    ConfigError
        If an option is none.
    """
    from genesis.domain.timeline import interval_ms
    from genesis.trading.deployment import read_options

    length = interval if isinstance(interval, int) else interval_ms(interval)
    spacing = length if algorithm == "twap" else 0
    return read_options(
        {
            "algorithm": algorithm,
            "slices": slices,
            "spacing_ms": spacing,
            "stops": stops,
            "sizing": sizing,
        }
    )
