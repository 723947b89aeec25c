"""`genesis backtest`: one strategy on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from genesis.backtest.portfolio import PortfolioBacktest
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
    as_json: Json = False,
) -> None:
    """Backtest a strategy with real costs, funding and liquidation.

    Each symbol trades with an equal share of the reference capital; nothing compounds.

    Examples:

        genesis backtest strat_3fa9 --dataset binance_perp:BTCUSDT,ETHUSDT:1h

        genesis backtest breakout.json -d synth:SYN1:4h --funding none --report page.html

        genesis backtest strat_3fa9 -d hyperliquid:BTC:1h:2025-01-01..2025-03-31 --json
    """
    from genesis.backtest.evaluator import EvaluationSetup
    from genesis.backtest.portfolio import backtest_strategy
    from genesis.costs.model import CostModel
    from genesis.market import dataset as datasets
    from genesis.market.store import BarStore
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    chosen = find_strategy(workspace, strategy)
    spec = datasets.parse(dataset, funding=funding)
    setup = EvaluationSetup(
        costs=CostModel(taker=taker, maker=maker, slippage=slippage), leverage=leverage
    )
    panel = datasets.load(BarStore(workspace.data), spec)
    result = backtest_strategy(panel, chosen, setup)
    if report is not None:
        _write_report(panel, chosen, setup, result, report)
    payload = {
        "strategy": chosen.id,
        "dataset": spec.text,
        "dataset_hash": panel.dataset_hash,
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
    out.print(f"dataset {payload['dataset_hash'][:12]}", markup=False)
    if payload["report"]:
        out.print(f"report  {payload['report']}", markup=False)
