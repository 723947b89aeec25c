"""`genesis evolve`: run a study, or go on with one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from rich.console import Console

    from genesis.evolution.config import StudyConfig
    from genesis.system.compose import StudyOutcome


def evolve(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(help="Study configuration (YAML).", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Id of the new run; by default made from the name.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the search.")] = None,
    generations: Annotated[int | None, typer.Option(help="Number of generations.")] = None,
    population: Annotated[int | None, typer.Option(help="Population over all islands.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes or Ray actors.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="auto, local, processes or ray; no result depends on it.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Running Ray cluster to attach to, host:port.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with an unfinished run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Breed strategies as a configuration says, with live progress.

    Ctrl-C saves and prints the command that goes on. The result is the same for any executor,
    number of workers and interruption.

    Examples:

        genesis evolve configs/crypto_perps_1h.yaml

        genesis evolve configs/demo.yaml --seed 3 --generations 5 --json

        genesis evolve configs/crypto_perps_1h.yaml --executor ray --ray-address 10.0.0.5:6379

        genesis evolve --resume crypto_perps_1h-20250131-120000
    """
    from genesis.cli.progress import StudyProgress
    from genesis.system.compose import start_study
    from genesis.system.workspace import Workspace

    home = home_of(ctx)
    place = {
        "executor__workers": workers,
        "executor__address": ray_address,
        "executor__kind": "ray" if ray_address and executor is None else executor,
    }
    search = {
        "evolution__seed": seed,
        "evolution__generations": generations,
        "evolution__population_size": population,
    }
    study, run_id = _study(home, config, run, resume, search)
    study = _overridden(study, {**search, **place})
    out = render.console(stderr=as_json)
    if resume is not None:
        _tell_finished(home, resume, out)
    progress = StudyProgress(out)
    try:
        outcome = start_study(
            study,
            Workspace(home),
            run_id=run_id,
            resume=resume is not None,
            listeners=[progress],
            notify=lambda text: out.print(text, markup=False),
        )
    finally:
        progress.stop()
    if as_json:
        render.emit(outcome.to_plain())
    else:
        show_outcome(outcome)


def _study(
    home: Path,
    config: Path | None,
    run: str | None,
    resume: str | None,
    search: dict[str, int | None],
) -> tuple[StudyConfig, str | None]:
    """Configuration and run id of a new study or of the one to go on with."""
    from genesis.domain.errors import InputError
    from genesis.domain.shipped import shipped
    from genesis.evolution.config import load_config
    from genesis.evolution.run import load_run

    if resume is None:
        if config is None:
            raise InputError(
                "no configuration given",
                fix=f"genesis evolve {shlex.quote(shipped('configs/demo.yaml'))},"
                " or genesis evolve --resume RUN",
            )
        return load_config(config), run
    given = [name.removeprefix("evolution__") for name, v in search.items() if v is not None]
    if config is not None or run is not None or given:
        words = ["CONFIG"] * (config is not None) + ["--run"] * (run is not None)
        words += [f"--{name.removesuffix('_size')}" for name in given]
        raise InputError(
            f"--resume cannot be combined with {', '.join(words)}",
            why="a resumed run keeps the configuration that it was started with",
            fix=f"genesis evolve --resume {resume}; --executor, --workers and --ray-address may"
            " change",
        )
    found = load_run(resume, home)
    return found.config, found.id


def _tell_finished(home: Path, resume: str, out: Console) -> None:
    """Say of a run that has nothing left to search what a resume does with it."""
    from genesis.evolution.run import load_run

    run = load_run(resume, home)
    if run.status == "finished":
        out.print(
            f"{run.id} is finished already: nothing is searched any more; its strategies,"
            " leaderboard and report are written again",
            markup=False,
        )


def _overridden(config: StudyConfig, values: dict[str, Any]) -> StudyConfig:
    from genesis.evolution.config import with_overrides

    given = {key: value for key, value in values.items() if value is not None}
    return with_overrides(config, **given) if given else config


def show_outcome(outcome: StudyOutcome) -> None:
    """Print the leaderboard, where things are and what to do next."""
    result = outcome.result
    out = render.console()
    show_leaderboard(out, result.leaderboard)
    out.print(
        f"{result.evaluations:,} evaluations in {render.duration(result.seconds)}"
        f"   archive {result.archive_hash[:12]}   dataset {result.dataset_hash[:12]}",
        markup=False,
    )
    lines = [("run", result.run_id)]
    if outcome.report is not None:
        lines.append(("report", str(outcome.report)))
    for label, text in lines:
        out.print(f"{label:8} {text}", markup=False)
    steps = [f"genesis runs show {result.run_id}", "genesis ui"]
    if result.leaderboard:
        steps.insert(0, f"genesis strategies explain {result.leaderboard[0]['id']}")
    if any(row["feasible"] for row in result.leaderboard):
        steps.insert(0, f"genesis validate {result.run_id}")
    if not any(row["feasible"] for row in result.leaderboard):
        out.print("no strategy met every constraint of the study", markup=False)
    for place, step in enumerate(steps):
        out.print(f"{'' if place else 'next':8} {whole(step)}", markup=False)


def show_leaderboard(out: Console, rows: Any) -> None:
    """Print the leaderboard and what its marks mean."""
    out.print(leaderboard_table(rows))
    if not all(row.get("feasible", True) for row in rows):
        out.print(render.UNMET_LEGEND, markup=False)


def leaderboard_table(rows: Any, limit: int = 10) -> Any:
    """Table of the best strategies of a run."""
    columns = [
        ("#", "right"),
        ("strategy", "left"),
        ("family", "left"),
        ("fitness", "right"),
        ("Sharpe", "right"),
        ("at 2x cost", "right"),
        ("return", "right"),
        ("drawdown", "right"),
        ("trades", "right"),
    ]
    body = [
        (
            str(place),
            str(row["id"]),
            str(row["family"]),
            render.marked(render.number(row.get("fitness")), met=row.get("feasible", True)),
            render.number(row.get("sharpe")),
            render.number(row.get("sharpe_2x")),
            render.percent(row.get("total_return")),
            render.percent(row.get("max_drawdown")),
            render.number(row.get("trades"), 0),
        )
        for place, row in enumerate(rows[:limit], start=1)
    ]
    if not body:
        return "no leaderboard: the run did not finish, or no genome could be judged"
    return render.table(columns, body, title="leaderboard (searched bars, after costs)")
