"""`genesis trades`: what a run's trades say about origins, signals, risk and execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.events import Run
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from genesis.trading.questions import Answers, SlippageGroup, TradeGroup


def trades(
    ctx: typer.Context,
    run: Run = "",
    bars: Annotated[
        int, typer.Option("--bars", min=1, help="Bars after a refused signal that judge it.")
    ] = 24,
    last: Annotated[int, typer.Option("--last", min=0, help="Trades to list.")] = 10,
    as_json: Json = False,
) -> None:
    """Show a run's trades and answer what they teach.

    Which origins and which signals win; which risk rules kept bad trades away; how far fills are
    from what was intended, by purpose, execution algorithm, hour and volatility.

    Examples:

        genesis trades

        genesis trades paper_20250201 --bars 48 --json
    """
    import msgspec

    from genesis.trading.questions import answer
    from genesis.trading.run_folders import find_run
    from genesis.trading.store.reader import EventReader

    folder = find_run(home_of(ctx), run)
    with EventReader(folder) as reader:
        answers = answer(reader, bars=bars)
        listed = reader.rows("trades", order="trade_id DESC", limit=last)
    if as_json:
        render.emit({"run": folder.name, "trades": listed, "answers": msgspec.to_builtins(answers)})
        return
    out = render.console()
    out.print(f"run      {folder.name}", markup=False)
    _list(out, listed)
    _show(out, answers, bars)


def _list(out: Console, trades: Sequence[dict[str, object]]) -> None:
    words, numbers = ("plan_id", "symbol", "side"), ("size", "entry", "exit", "net")
    columns = [(name.replace("_", " "), "left") for name in words]
    columns += [(name, "right") for name in numbers]
    columns += [("exit reason", "left"), ("class", "left")]
    rows = [
        [
            *(str(trade[name]) for name in words),
            *(render.number(float(str(trade[name])), 4) for name in numbers),
            str(trade["exit_reason"]),
            str(trade["exit_class"]),
        ]
        for trade in trades
    ]
    if rows:
        out.print(
            render.table(columns, rows, title="latest trades (genesis story PLAN tells more)")
        )
    else:
        out.print("no round trip is complete", markup=False)


def _show(out: Console, answers: Answers, bars: int) -> None:
    for title, groups in (
        ("origins", answers.origins),
        ("signals", answers.signals),
        ("exits", answers.exits),
    ):
        if groups:
            out.print(_trades(title, groups))
    if answers.risks:
        columns = [("refused by", "left"), ("times", "right"), ("judged", "right")]
        columns += [("were right", "right"), ("mean move", "right")]
        rows = [
            (
                one.rule,
                render.number(one.refused),
                render.number(one.judged),
                render.number(one.prevented),
                render.percent(one.mean_move, 2),
            )
            for one in answers.risks
        ]
        title = f"what was refused, and the move in its favour {bars} bars later"
        out.print(render.table(columns, rows, title=title))
    for title, found in (
        ("slippage by purpose", answers.slippage),
        ("by execution algorithm", answers.algorithms),
        ("by hour", answers.sessions),
        ("by volatility of the decision", answers.volatility),
    ):
        if found:
            out.print(_slippage(title, found))


def _trades(title: str, groups: Sequence[TradeGroup]) -> object:
    columns = [(title, "left"), ("trades", "right"), ("won", "right"), ("net", "right")]
    rows = [
        (g.name, render.number(g.trades), render.percent(g.win_rate), render.number(g.net))
        for g in groups
    ]
    return render.table(columns, rows)


def _slippage(title: str, groups: Sequence[SlippageGroup]) -> object:
    columns = [(title, "left"), ("orders", "right"), ("since intent, bp", "right")]
    columns += [("median", "right"), ("venue, bp", "right"), ("grades", "left")]
    rows = [
        (
            g.name,
            render.number(g.orders),
            render.number(g.intent_bp),
            render.number(g.intent_median_bp),
            render.number(g.venue_bp),
            ", ".join(f"{name} {count}" for name, count in g.grades.items()),
        )
        for g in groups
    ]
    return render.table(columns, rows)
