"""`genesis report`: a study as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of
from genesis.cli.runs import RunId


def report(
    ctx: typer.Context,
    run: RunId,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default in the run's folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a study's report: one self-contained HTML file that works offline.

    Examples:

        genesis report demo

        genesis report crypto_perps_1h --out study.html
    """
    from genesis.evolution.run import load_run
    from genesis.system.compose import write_study_report

    found = load_run(run, home_of(ctx))
    path = write_study_report(found, out)
    if as_json:
        render.emit({"run_id": found.id, "report": str(path)})
    else:
        render.console().print(str(path), markup=False)
