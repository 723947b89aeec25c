"""`genesis strategies`: what survived, in words and as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render, standings
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of, not_empty
from genesis.cli.strategy_list import rank, require_known, show_table, summary

if TYPE_CHECKING:
    from genesis.evidence.sealed import Budget
    from genesis.evolution.store import StoredStrategy, StrategyStore
    from genesis.evolution.strategy_export import Moved
    from genesis.system.strategy_evidence import StrategyEvidence
    from genesis.system.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Stored strategies: explain, export, import.")


def complete_strategy(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of stored strategies for shell completion."""
    home = Path(ctx.find_root().params.get("home") or ".genesis")
    return sorted(
        file.stem for file in (home / "strategies").glob(f"{incomplete or 'strat_'}*.json")
    )


StrategyId = Annotated[
    str,
    typer.Argument(
        help="Id of a strategy, or its unique beginning.",
        autocompletion=complete_strategy,
        callback=not_empty,
    ),
]


@app.command("list")
def list_(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Option(help="Only strategies that this run found.", callback=not_empty)
    ] = None,
    promotable: Annotated[
        bool, typer.Option("--promotable", help="Only strategies that passed every gate.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the stored strategies, best first.

    The column "gates" says promotable (passed the production gates), validated (passed a
    rehearsal's), refused, mismatch (the dossier is not about what is here) or - (never judged).
    --promotable refuses, with exit code 3, if a dossier, its strategy or its gates were changed.

    Examples:

        genesis strategies list

        genesis strategies list --run demo --json

        genesis strategies list --promotable
    """
    from genesis.system.dossiers import promotable_standings, standing_of

    home = _workspace(ctx).home
    # Checked before the store is read: whatever does not match is refused here.
    passed = promotable_standings(home) if promotable else None
    stored = _store(ctx).list()
    if run is not None:
        require_known(run, stored, home)
    records = []
    for record in stored:
        found = standing_of(home, record) if passed is None else passed.get(record.id)
        wanted = run is None or any(name.startswith(run) for name in record.finders)
        if wanted and (passed is None or found is not None):
            records.append(summary(record, found))
    records.sort(key=rank)
    if as_json:
        render.emit({"strategies": records})
        return
    out = render.console()
    if promotable:
        standings.show_promotable(out, records)
        return
    if not records:
        nothing = "no strategies yet: genesis demo, or genesis evolve CONFIG"
        if stored:
            nothing = f"the run '{run}' left no strategy: genesis runs list shows the runs"
        out.print(whole(nothing), markup=False)
        return
    show_table(out, records)


@app.command("show")
def show(
    ctx: typer.Context,
    strategy: StrategyId,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write all of it to this HTML file, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the evidence on a strategy, from its genes to its last fill.

    Where it stands and what holds it back; rules, measures, parents, study, gates, paper runs,
    decisions, approvals, stages, live orders and fills, profit against expectation, alerts. Each
    part says where it was read and how to check it. Every digest and every chain is verified:
    exit code 3 names what is not what was written, and everything else is still shown.

    Examples:

        genesis strategies show strat_3fa9

        genesis strategies show strat_3fa9 --page strat_3fa9.html

        genesis strategies show strat_3fa9 --json
    """
    from genesis.cli.strategy_evidence import show_evidence
    from genesis.evolution.origins import origin_problem
    from genesis.system.clock import SystemClock
    from genesis.system.dossiers import standing_of
    from genesis.system.strategy_evidence import gather

    workspace = _workspace(ctx)
    record = _store(ctx).get(strategy)
    standing = standing_of(workspace.home, record)
    # A dossier says itself what its origin lacks.
    origin = origin_problem(workspace.home, record) if standing is None else None
    budget, sealed = _sealed(record, workspace)
    traded, runs = standings.feedback(workspace.home, record)
    evidence = gather(workspace, record, standing, SystemClock().now_ms())
    written = _write_page(evidence, page)
    error = evidence.error
    if as_json:
        dossier = standing.to_plain() if standing is not None else None
        left = budget.to_plain() if budget is not None else None
        document = {
            "strategy": record.to_plain(),
            "dossier": dossier,
            "origin_problem": origin,
            "sealed_budget": left,
            "feedback": traded,
            "verdict": evidence.verdict.to_plain(),
            "evidence": evidence.to_plain()["sections"],
            "page": written,
        }
        failed = render.error_payload(error) if error is not None else {}
        render.emit({**document, **failed}, ok=error is None)
        if error is not None:
            raise typer.Exit(error.exit_code)
        return
    out = render.console()
    out.print(f"{record.id}  {record.strategy.family}", markup=False, style="bold")
    out.print(evidence.verdict.line, markup=False)
    for name, node in record.strategy.rules.named():
        out.print(f"  {name:12} {node.text}", markup=False)
    gates = standings.block(record, standing, origin, sealed)
    for title, block in [*record.details(), ("gates", gates), ("trading feedback", runs)]:
        out.print(f"\n{title}", style="bold")
        for key, value in block.items():
            out.print(f"  {key:20} {render.number(value, 4)}", markup=False)
    show_evidence(out, evidence)
    if written is not None:
        out.print(f"\npage  {written}", markup=False)
    if error is not None:
        raise error


def _write_page(evidence: StrategyEvidence, page: Path | None) -> str | None:
    if page is None:
        return None
    from genesis.system.strategy_evidence_page import write_evidence_page

    return str(write_evidence_page(evidence, page))


@app.command("explain")
def explain(ctx: typer.Context, strategy: StrategyId, as_json: Json = False) -> None:
    """Say in words what a strategy does and where it came from.

    Examples:

        genesis strategies explain strat_3fa9
    """
    from genesis.strategy.explain import sentence

    record = _store(ctx).get(strategy)
    text = sentence(record.strategy)
    if as_json:
        render.emit({"id": record.id, "sentence": text, "parents": list(record.parents)})
        return
    out = render.console()
    out.print(f"{record.id}  {record.strategy.family}", markup=False, style="bold")
    out.print(text, markup=False)


@app.command("export")
def export(
    ctx: typer.Context,
    strategy: StrategyId,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default ID.json here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the files.")] = False,
    as_json: Json = False,
) -> None:
    """Write a strategy to a file that another workspace can import.

    The ledgers of all studies on overlapping data travel with it, in FILE.ledgers.zip beside
    FILE.json: without them nobody can say how many trials stand behind it.

    Examples:

        genesis strategies export strat_3fa9 --out breakout.json
    """
    from genesis.evolution.strategy_export import export_strategy

    home = _workspace(ctx).home
    record = _store(ctx).get(strategy)
    path = out or Path(f"{record.id}.json")
    if not force:
        _refuse_existing(path)
    moved = export_strategy(home, record.id, path)
    _show_moved(moved, str(moved.path), as_json)


def _refuse_existing(path: Path) -> None:
    """Refuse to write over a strategy or ledgers that somebody exported before."""
    from genesis.domain.errors import InputError
    from genesis.evolution.strategy_export import ledgers_file

    for file in (path, ledgers_file(path)):
        if file.is_file():
            raise InputError(
                f"{file} exists", fix="give --force to replace it, or another file with --out"
            )


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="File that `export` wrote.")],
    as_json: Json = False,
) -> None:
    """Take a strategy from a file, and the ledgers of its trials if they lie beside it.

    Its content must match its id, and the ledgers must be whole. Without the ledgers it can be
    looked at and backtested, but not promoted.

    Examples:

        genesis strategies import breakout.json
    """
    from genesis.cli.backtest import read_document
    from genesis.evolution.strategy_export import import_strategy

    read_document(file)  # a file that is no JSON is the user's to mend
    workspace = _workspace(ctx).open()
    before = _store(ctx).ids()
    moved = import_strategy(workspace.home, file)
    known = moved.record.id in before
    said = f"already here: {moved.record.id}" if known else f"imported {moved.record.id}"
    _show_moved(moved, said, as_json, already_here=known)


def _show_moved(moved: Moved, said: str, as_json: bool, **more: bool) -> None:
    if as_json:
        render.emit(
            {
                "id": moved.record.id,
                "path": str(moved.path),
                "ledgers": str(moved.ledgers) if moved.ledgers is not None else None,
                "origin_problem": moved.problem,
                **more,
            }
        )
        return
    out = render.console()
    out.print(said, markup=False)
    if moved.ledgers is not None:
        out.print(f"ledgers  {moved.ledgers}", markup=False)
    if moved.problem is not None:
        out.print(f"not promotable: {moved.problem}", markup=False)


def _sealed(record: StoredStrategy, workspace: Workspace) -> tuple[Budget | None, str]:
    """What the sealed bars behind a strategy have left, and in words; empty if nobody knows."""
    from genesis.domain.errors import GenesisError
    from genesis.system.sealed_bars import budget_behind

    try:
        budget = budget_behind(record, workspace)
    except GenesisError as error:  # a changed record is no reason not to show the strategy
        return None, f"nobody can say what is left: {error.what}"
    return budget, budget.text if budget is not None else ""


def _workspace(ctx: typer.Context) -> Workspace:
    from genesis.system.workspace import Workspace

    return Workspace(home_of(ctx))


def _store(ctx: typer.Context) -> StrategyStore:
    from genesis.evolution.store import StrategyStore

    return StrategyStore(_workspace(ctx).strategies)
