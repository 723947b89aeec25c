"""`genesis runs`: what studies left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of, not_empty
from genesis.domain.counting import several

if TYPE_CHECKING:
    from genesis.evolution.run import Run
    from genesis.system.run_verdicts import RunVerdict

app = typer.Typer(no_args_is_help=True, help="List, show and compare runs; ship them to MLflow.")


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of runs for shell completion."""
    from pathlib import Path

    from genesis.evolution.run import list_runs

    home = ctx.find_root().params.get("home") or Path(".genesis")
    return [run.id for run in list_runs(Path(home)) if run.id.startswith(incomplete)]


RunId = Annotated[
    str,
    typer.Argument(
        help="Id of a run, or its beginning.", autocompletion=complete_run, callback=not_empty
    ),
]


@app.command("list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """List the runs of the workspace, newest last.

    Examples:

        genesis runs list

        genesis --home /data/genesis runs list --json
    """
    from genesis.evolution.run import list_runs

    runs = list_runs(home_of(ctx))
    summaries = [_summary(run) for run in runs]
    if as_json:
        render.emit({"runs": summaries})
        return
    out = render.console()
    if not runs:
        out.print(whole("no runs yet: genesis demo, or genesis evolve CONFIG"), markup=False)
        return
    columns = [("run", "left"), ("status", "left"), ("generations", "right")]
    columns += [("evaluations", "right"), ("best", "right"), ("time", "right"), ("started", "left")]
    rows = [
        (
            s["run_id"],
            s["status"],
            f"{s['generations_done']}/{s['generations']}",
            render.number(s["evaluations"]),
            render.number(s["best"]),
            render.duration(s["seconds"]),
            s["created"],
        )
        for s in summaries
    ]
    out.print(render.table(columns, rows))


@app.command("show")
def show(
    ctx: typer.Context,
    run: RunId,
    as_json: Json = False,
) -> None:
    """Show one run: its search, its leaderboard, why genomes failed, what the gates said.

    Examples:

        genesis runs show demo

        genesis runs show crypto_perps_1h-20250131-120000 --json
    """
    from genesis.cli.evolve import show_leaderboard
    from genesis.evolution.run import load_run
    from genesis.system.run_verdicts import run_verdict

    found = load_run(run, home_of(ctx))
    summary = _summary(found)
    verdict = run_verdict(home_of(ctx), found.id)
    if as_json:
        render.emit(
            {
                "run": summary,
                "validation": verdict.to_plain() if verdict is not None else None,
                "study": found.study,
                "config": found.config.to_plain(),
                "metrics": found.metrics_records(),
                "leaderboard": found.leaderboard_records(),
            }
        )
        return
    out = render.console()
    for key, value in summary.items():
        out.print(f"{key:17} {_shown(key, value)}", markup=False)
    failures = _failures(found)
    if failures:
        text = ", ".join(f"{cause} {count:,}" for cause, count in sorted(failures.items()))
        out.print(f"{'invalid genomes':17} {text}", markup=False)
    if summary["status"] == "finished":
        out.print(f"{'validation':17} {_validation(found.id, verdict)}", markup=False)
    show_leaderboard(out, found.leaderboard_records())
    if summary["status"] in ("interrupted", "failed"):
        out.print(whole(f"go on with: genesis evolve --resume {found.id}"), markup=False)


@app.command("compare")
def compare(
    ctx: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(help="Two or more runs.", autocompletion=complete_run)
    ],
    as_json: Json = False,
) -> None:
    """Compare runs: results side by side, and the settings in which they differ.

    Examples:

        genesis runs compare demo-1 demo-2

        genesis runs compare demo-1 demo-2 demo-3 --json
    """
    from genesis.domain.errors import InputError
    from genesis.evolution.run import load_run

    if len(runs) < 2:
        raise InputError("one run cannot be compared", fix="name at least two runs")
    found = [load_run(name, home_of(ctx)) for name in runs]
    summaries = [_summary(run) for run in found]
    settings = _differences([_flat(run.config.to_plain()) for run in found])
    same_archive = len({s["archive_hash"] for s in summaries}) == 1
    if as_json:
        render.emit({"runs": summaries, "differences": settings, "same_archive": same_archive})
        return
    out = render.console()
    columns = [("", "left"), *((run.id, "right") for run in found)]
    keys = [key for key in summaries[0] if key != "run_id"]
    rows = [(key, *(_shown(key, s[key]) for s in summaries)) for key in keys]
    out.print(render.table(columns, rows, title="results"))
    if settings:
        body = [(key, *(render.number(v, 6) for v in values)) for key, values in settings.items()]
        out.print(render.table(columns, body, title="settings that differ"))
    else:
        out.print("the configurations are equal")
    if same_archive and summaries[0]["archive_hash"]:
        out.print("the archives are equal to the bit")


@app.command("sync")
def sync(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            help="Run to ship; all that wait when left out.", autocompletion=complete_run
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ship what MLflow has not received yet, because its server was away.

    Examples:

        genesis runs sync

        genesis runs sync demo-20250131-120000
    """
    from genesis.domain.errors import InfrastructureError
    from genesis.system.compose import sync_runs
    from genesis.system.workspace import Workspace

    reports = sync_runs(Workspace(home_of(ctx)), run)
    sent = sum(report.sent for report in reports.values())
    pending = sum(report.pending for report in reports.values())
    if pending:
        why = next(report.error for report in reports.values() if report.pending)
        raise InfrastructureError(
            f"{pending} tracking events are still waiting, {sent} were shipped",
            why=why,
            fix="start the tracking server and run genesis runs sync again",
        )
    if as_json:
        render.emit({"sent": sent, "pending": pending, "runs": sorted(reports)})
    else:
        render.console().print(f"{several(sent, 'event')} shipped, nothing waits")


def _summary(run: Run) -> dict[str, Any]:
    """What `runs list`, `show` and `compare` say about a run."""
    from genesis.domain.timeline import format_ts

    records = run.metrics_records()
    last = records[-1] if records else {}
    study = run.study
    return {
        "run_id": run.id,
        "status": run.status,
        "created": format_ts(int(study["created_ms"])),
        # Not from the configuration: it is only read where the families it names still exist.
        "generations": study["generations"],
        "generations_done": len(records),
        "evaluations": study.get("evaluations") or last.get("evaluations"),
        "best": last.get("best"),
        "median": last.get("median"),
        "random_best": last.get("random_best"),
        "evaluations_per_s": last.get("evaluations_per_s"),
        "seconds": study.get("seconds") or last.get("elapsed_s"),
        "archive_hash": study.get("archive_hash"),
        "dataset_hash": study.get("dataset_hash"),
    }


def _shown(key: str, value: Any) -> str:
    return str(value)[:12] if value and key.endswith("_hash") else render.number(value)


def _validation(run_id: str, verdict: RunVerdict | None) -> str:
    from genesis.domain.timeline import format_ts

    if verdict is None:
        return whole(f"none yet: genesis validate {run_id}")
    passed = f"{verdict.promotable} promotable"
    if verdict.rehearsed:
        passed += f", {verdict.rehearsed} passed a rehearsal"
    return (
        f"{verdict.judged} judged, {passed} (gates {', '.join(verdict.gates)};"
        f" {format_ts(verdict.last_ms)})"
    )


def _failures(run: Run) -> dict[str, int]:
    total: dict[str, int] = {}
    for record in run.metrics_records():
        for cause, count in (record.get("failures") or {}).items():
            total[cause] = total.get(cause, 0) + int(count)
    return total


def _flat(plain: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(_flat(value, f"{name}."))
        else:
            flat[name] = (
                value if not isinstance(value, (list, tuple)) else ", ".join(map(str, value))
            )
    return flat


def _differences(configs: list[dict[str, Any]]) -> dict[str, list[Any]]:
    keys = sorted({key for config in configs for key in config})
    table = {key: [config.get(key) for config in configs] for key in keys}
    return {key: values for key, values in table.items() if any(v != values[0] for v in values)}
