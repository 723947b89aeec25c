"""`genesis backtest`: one strategy on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of, naming_options

if TYPE_CHECKING:
    from genesis.backtest.portfolio import PortfolioBacktest
    from genesis.market.dataset_spec import DatasetSpec
    from genesis.market.panel import Panel
    from genesis.strategy.strategy import Strategy
    from genesis.system.workspace import Workspace


def backtest(
    ctx: typer.Context,
    strategy: Annotated[
        str, typer.Argument(help="Id of a stored strategy (or its beginning), or a JSON file.")
    ],
    dataset: Annotated[
        str, typer.Option("--dataset", "-d", help="venue:SYM[,SYM]:interval[:from..to]")
    ],
    funding: Annotated[
        str,
        typer.Option(
            help="For symbols without a funding series: required, none, constant:RATE, proxy:SYM."
        ),
    ] = "required",
    taker: Annotated[float, typer.Option(help="Fee of market orders and stops.")] = 4.5e-4,
    maker: Annotated[float, typer.Option(help="Fee of targets.")] = 1.5e-4,
    slippage: Annotated[float, typer.Option(help="Slippage of market orders and stops.")] = 2e-4,
    leverage: Annotated[float, typer.Option(help="Sets the liquidation price.")] = 3.0,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
    open_sealed: Annotated[
        bool,
        typer.Option("--open-sealed", help="Use bars that a study sealed too; it is recorded."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Backtest a strategy with real costs, funding and liquidation.

    Each symbol trades with an equal share of the reference capital; nothing compounds. Bars that
    a study of this workspace sealed are left out unless --open-sealed is given. The first backtest
    of a strategy on a dataset is registered as a trial of yours.

    Examples:

        genesis backtest strat_3fa9 --dataset binance_perp:BTCUSDT,ETHUSDT:1h

        genesis backtest breakout.json -d synth:SYN1:4h --funding none --report page.html

        genesis backtest strat_3fa9 -d hyperliquid:BTC:1h:2025-01-01..2025-03-31 --json
    """
    from genesis.backtest.evaluator import EvaluationSetup
    from genesis.backtest.portfolio import backtest_strategy
    from genesis.costs.model import CostModel
    from genesis.domain.errors import InputError
    from genesis.evolution.trial_count import register_backtest
    from genesis.market import dataset as datasets
    from genesis.market.store import BarStore
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    if report is not None and not report.absolute().parent.is_dir():
        raise InputError(
            f"the folder {report.absolute().parent} does not exist",
            fix="make it first, or write the report elsewhere",
        )
    chosen = find_strategy(workspace, strategy)
    spec = datasets.parse(dataset, funding=funding)
    with naming_options():
        setup = EvaluationSetup(
            costs=CostModel(taker=taker, maker=maker, slippage=slippage), leverage=leverage
        )
    panel = datasets.load(BarStore(workspace.data), spec)
    panel, sealed_from, notice = _honour_seals(
        workspace, panel, spec, chosen.id, open_sealed=open_sealed
    )
    result = backtest_strategy(panel, chosen, setup)
    # A look at data is a trial, and it is registered before anybody has looked.
    register_backtest(workspace.home, chosen.id, panel)
    if report is not None:
        _write_report(panel, chosen, setup, result, report)
    payload = {
        "strategy": chosen.id,
        "dataset": panel.name,
        "dataset_hash": panel.dataset_hash,
        "sealed_from": sealed_from,
        "notice": notice,
        "metrics": dict(result.metrics),
        "symbols": _by_symbol(result),
        "without_funding": [s.symbol for s in panel.symbols if not s.has_funding],
        "report": str(report) if report is not None else None,
    }
    if as_json:
        render.emit({"backtest": payload})
    else:
        _show(chosen, payload)


def find_strategy(workspace: Workspace, name: str) -> Strategy:
    """Strategy of an id in the store, or of a JSON file (exported, or rules and policy alone).

    Raises
    ------
    InputError
        If there is neither, or the file is no strategy.
    """
    from genesis.evolution.store import StoredStrategy, StrategyStore

    file = Path(name)
    if file.suffix != ".json" and not file.is_file():
        return StrategyStore(workspace.strategies).get(name).strategy
    from genesis.strategy.text import load_strategy

    document = read_document(file)
    if isinstance(document, dict) and "digest" in document:
        return StoredStrategy.from_plain(document).strategy
    return load_strategy(document)


def read_document(file: Path) -> Any:
    """Value of a user's JSON file.

    Raises
    ------
    InputError
        If it cannot be read, or is no JSON.
    """
    import json

    from genesis.domain.errors import InputError

    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot read {file}", why=error.strerror or str(error), fix="check the path"
        ) from None
    except ValueError as error:
        raise InputError(
            f"{file} is not JSON", why=str(error), fix="write it with genesis strategies export"
        ) from None


def _honour_seals(
    workspace: Workspace, panel: Panel, spec: DatasetSpec, strategy: str, *, open_sealed: bool
) -> tuple[Panel, str | None, str | None]:
    """Bars that may be used, when the sealed ones begin, and what to tell the user.

    Raises
    ------
    RefusedError
        If every bar of the dataset lies in or behind a sealed span.
    """
    from dataclasses import replace

    from genesis.domain.errors import RefusedError
    from genesis.domain.timeline import format_ts
    from genesis.evolution.seals import SealRegistry, sealed_bases
    from genesis.market.dataset import load
    from genesis.market.store import BarStore
    from genesis.system.clock import SystemClock

    registry = SealRegistry(workspace.home / "seals.json")
    start = int(panel.ts_ms[0])
    span = (start, int(panel.ts_ms[-1]) + panel.interval_ms)
    reached = registry.reached(sealed_bases(panel), span)
    if not reached:
        return panel, None, None
    first = reached[0].start_ms
    since, who = format_ts(first), ", ".join(sorted({seal.study for seal in reached}))
    if open_sealed:
        registry.open_sealed(strategy, spec.text, reached, SystemClock())
        return panel, since, f"bars from {since} on, sealed by {who}, were opened; it is recorded"
    last = first - panel.interval_ms  # open time of the last bar that closes before the seal
    if last < start:
        raise RefusedError(
            f"every bar of {spec.text} is sealed by {who}",
            why=f"{reached[0].base} is sealed from {since} to {format_ts(reached[0].end_ms)}",
            fix="choose a span outside that, or look at the sealed bars on purpose and on record"
            " with --open-sealed",
        )
    # Read again, so that name and hash are those of the bars that are used.
    cut = load(BarStore(workspace.data), replace(spec, end_ms=last))
    return cut, since, f"ends before {since}: later bars are sealed by {who} (--open-sealed)"


def _by_symbol(result: PortfolioBacktest) -> dict[str, dict[str, Any]]:
    """Measures of each symbol with its status, ``valid`` or why there are none."""
    from genesis.backtest.result import METRICS, STATUS

    return {
        symbol.symbol: {
            "status": STATUS[int(block.status[0])],
            "reason": block.reasons[0],
            **dict(zip(METRICS, block.metrics[0].tolist(), strict=True)),
        }
        for symbol, block in zip(result.symbols, result.blocks, strict=True)
    }


def _write_report(panel: Any, strategy: Any, setup: Any, result: Any, path: Path) -> None:
    from genesis.backtest.report import report_data, write_backtest_report

    write_backtest_report(report_data(panel, strategy, setup, result), path)


_PERCENT = {"total_return", "max_drawdown", "cdar95", "exposure", "win_rate"}
_PERCENT |= {"fees", "slippage", "funding"}


def _show(strategy: Strategy, payload: dict[str, Any]) -> None:
    from genesis.strategy.explain import sentence

    out = render.console()
    out.print(f"{strategy.id}  {strategy.family}", markup=False, style="bold")
    out.print(sentence(strategy) + "\n", markup=False)
    names = list(payload["symbols"])
    columns = [("", "left"), ("portfolio", "right"), *((name, "right") for name in names)]
    rows = []
    for key, value in payload["metrics"].items():
        shown = render.percent if key in _PERCENT else render.number
        cells = [shown(payload["symbols"][name].get(key)) for name in names]
        rows.append((key.replace("_", " "), shown(value), *cells))
    out.print(render.table(columns, rows))
    for name in names:
        if payload["symbols"][name]["status"] != "valid":
            out.print(f"{name}: {payload['symbols'][name]['reason']}", markup=False)
    if payload["without_funding"]:
        out.print(f"no funding: {', '.join(payload['without_funding'])}", markup=False)
    if payload["notice"]:
        out.print(payload["notice"], markup=False)
    out.print(f"dataset {payload['dataset_hash'][:12]}", markup=False)
    if payload["report"]:
        out.print(f"report  {payload['report']}", markup=False)
