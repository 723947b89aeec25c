"""`genesis validate`: what of a study survives honest statistics."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of, not_empty

if TYPE_CHECKING:
    from genesis.domain.errors import RefusedError
    from genesis.system.validation import ValidationOutcome
    from genesis.system.validation_target import Target


def complete_target(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of runs and strategies for shell completion."""
    from genesis.cli.runs import complete_run
    from genesis.cli.strategies import complete_strategy

    return [*complete_run(ctx, incomplete), *complete_strategy(ctx, incomplete)]


def validate(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="RUN|STRATEGY",
            help="Id of a finished run or of a strategy, or its unique beginning.",
            autocompletion=complete_target,
            callback=not_empty,
        ),
    ],
    gates: Annotated[
        Path | None,
        typer.Option(help="File of gates marked as a rehearsal; else the production gates."),
    ] = None,
    surrogates: Annotated[
        int | None,
        typer.Option(min=1, help="More reruns than the gates ask: no verdict depends on them."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Do every rerun, even when its gate is lost already.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes or Ray actors.")
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="auto, local, processes or ray; no result depends on it.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Running Ray cluster to attach to, host:port.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Write an HTML page beside each dossier.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge a study's best strategies, or one strategy, and write a dossier on each.

    The whole search is run again on markets without an edge; the strategies are disturbed,
    cross-validated and, if every gate before is passed, opened on the sealed bars. All that are
    ever opened there share one error budget, and a rehearsal (--gates) spends it like the
    production gates do: practise on data that you do not mean to trade. Ctrl-C keeps
    the finished reruns. Exit code 0 when a run was judged, whatever the verdict; 3 when a strategy
    was named and is not promotable.

    Examples:

        genesis validate crypto_perps_1h-20250131-120000

        genesis validate strat_3fa9 --report

        genesis validate demo --gates configs/gates.rehearsal.yaml --json
    """
    from genesis.cli.validation_progress import ValidationProgress
    from genesis.domain.errors import InterruptedRun
    from genesis.evidence.gates import load_gates
    from genesis.system.clock import SystemClock
    from genesis.system.sealed_bars import remarks_on
    from genesis.system.validation import Placement, reruns_of, start_validation
    from genesis.system.validation_target import find_target
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    judged_by = load_gates(gates)
    target = find_target(name, workspace)
    out = render.console(stderr=as_json)

    def head() -> None:
        mark = ", a REHEARSAL" if judged_by.rehearsal else ""
        out.print(f"run {target.run.id}   gates '{judged_by.name}'{mark}", markup=False)
        for text in remarks_on(judged_by):
            out.print(f"note: {text}", markup=False)

    progress = ValidationProgress(out, SystemClock(), reruns_of(judged_by))
    try:
        outcome = start_validation(
            target,
            judged_by,
            workspace,
            surrogates=surrogates,
            full=full,
            place=Placement(executor, workers, ray_address),
            report=report,
            progress=progress,
            notify=lambda text: out.print(text, markup=False),
            on_begin=head,
        )
        progress.finish()
    except InterruptedRun as error:
        raise InterruptedRun(error.what, fix=f"go on with: {command_again(ctx)}") from None
    finally:
        progress.stop()
    _answer(target, outcome, as_json)


def _answer(target: Target, outcome: ValidationOutcome, as_json: bool) -> None:
    """Print the verdicts; leave with 3 if a strategy was named and is not promotable."""
    refusal = refusal_of(target, outcome)
    if as_json:
        error = render.error_payload(refusal) if refusal is not None else {}
        render.emit({**outcome.to_plain(), **error}, ok=refusal is None)
    else:
        from genesis.cli.verdicts import show_outcome

        show_outcome(render.console(), outcome, steps=refusal is None)
        if refusal is not None:
            render.show_error(refusal)
    if refusal is not None:
        raise typer.Exit(refusal.exit_code)


def refusal_of(target: Target, outcome: ValidationOutcome) -> RefusedError | None:
    """Refusal of the one strategy that was asked for; None if it passed or a run was."""
    from genesis.cli.next_steps import next_steps
    from genesis.domain.errors import RefusedError
    from genesis.evidence.report_words import shortfalls

    if target.strategy is None or outcome.validation.promotable:
        return None
    reasons = [text for one in outcome.validation.judged for text in shortfalls(one.dossier.facts)]
    return RefusedError(
        f"{target.strategy} is not promotable",
        why="; ".join(reasons),
        fix="\n".join(next_steps(outcome.validation)),
    )


def command_again(ctx: typer.Context) -> str:
    """The command line that was given, as a person would write it again."""
    words = ["genesis", "validate", str(ctx.params["name"])]
    for option, value in ctx.params.items():
        flag = "--json" if option == "as_json" else f"--{option.replace('_', '-')}"
        if option == "name" or value is None or value is False:
            continue
        words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)
