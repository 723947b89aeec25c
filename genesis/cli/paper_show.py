"""How a paper run is shown in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.domain.counting import several

if TYPE_CHECKING:
    from genesis.paper.fidelity import Fidelity
    from genesis.paper.report import PaperReport
    from genesis.system.paper import PaperRun


def show_outcome(done: PaperRun, *, as_json: bool, note: str = "") -> None:
    """Print what became of a run; one that was stopped is an error that says how it goes on.

    Raises
    ------
    InterruptedRun
    """
    outcome = done.outcome
    if not outcome.finished:
        from genesis.domain.errors import InterruptedRun

        raise InterruptedRun(
            f"the paper run {done.run_id} was stopped; everything is saved",
            why=f"its log has {several(outcome.events, 'event')}" + (f"; {note}" if note else ""),
            fix=whole(f"genesis paper run --resume {done.run_id}"),
        )
    assert done.report is not None
    if as_json:
        payload = done.report.to_plain()
        render.emit({"paper": payload, "events": outcome.events, "page": str(done.page)})
        _require_faithful(done.report)
        return
    show_report(done.report)
    out = render.console()
    out.print(f"{several(outcome.events, 'event')}   state {outcome.state_hash[:12]}", markup=False)
    for label, text in (("run", done.run_id), ("page", str(done.page))):
        out.print(f"{label:8} {text}", markup=False)
    steps = (f"genesis replay {done.run_id} --verify", f"genesis trades {done.run_id}")
    for place, step in enumerate(steps):
        out.print(f"{'' if place else 'next':8} {whole(step)}", markup=False)
    _require_faithful(done.report)


def _require_faithful(report: PaperReport) -> None:
    """Fail a validation that is not its backtest.

    Raises
    ------
    RefusedError
        Naming the strategies that differ.
    """
    from genesis.domain.errors import RefusedError
    from genesis.paper.fidelity import FAITHFUL, UNTESTED

    if report.provenance.mode != "backtest-validation":
        return
    differ = [
        one.id
        for one in report.strategies
        if one.entry.fidelity and one.entry.fidelity.verdict not in (FAITHFUL, UNTESTED)
    ]
    if differ:
        raise RefusedError(
            f"the paper run is not the backtest of {', '.join(differ)}",
            why="see fidelity above; the report's page lists the first fills that differ",
            fix=f"genesis paper report {report.provenance.run_id} --json",
        )


def show_report(report: PaperReport) -> None:
    """Print performance, fidelity and advice of a run."""
    out = render.console()
    columns = [
        ("#", "right"),
        ("strategy", "left"),
        ("trades", "right"),
        ("win rate", "right"),
        ("return", "right"),
        ("Sharpe", "right"),
        ("drawdown", "right"),
        ("slippage bp", "right"),
        ("filled", "right"),
        ("feedback", "right"),
        ("fidelity", "left"),
    ]
    body = []
    for one in report.strategies:
        n, faithful = one.entry.numbers, one.entry.fidelity
        body.append(
            (
                str(one.rank),
                one.id,
                str(n.trades),
                render.percent(n.win_rate),
                render.percent(n.return_on_capital),
                render.number(n.sharpe),
                render.percent(n.max_drawdown),
                render.number(n.median_slippage_bp),
                render.percent(n.success_rate),
                render.number(one.feedback.score),
                _agreement(faithful) if faithful else "-",
            )
        )
    out.print(render.table(columns, body, title="paper run (after costs)"))
    for one in report.strategies:
        for advice in one.recommendations:
            out.print(f"{one.id}: {advice.text}", markup=False)
    risk = report.risk
    out.print(f"risk     {risk.sentence()} ({risk.profile}, {risk.genome})", markup=False)
    for warning in report.warnings:
        out.print(f"note: {warning}", markup=False)


def _agreement(found: Fidelity) -> str:
    aside = f", {found.outside} bars aside" if found.outside else ""
    return f"{found.verdict} ({found.position_match:.1%}{aside})"
