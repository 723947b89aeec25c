"""`genesis risk`: the numbers by which accounts take risk, and what a person may do about them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import limits, render, risk_control
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of, not_empty

if TYPE_CHECKING:
    from genesis.system.risk_evolution import Request

app = typer.Typer(
    no_args_is_help=True, help="Breed risk genomes, show and steer what accounts may risk."
)
app.command("status")(risk_control.status)
app.command("permit")(risk_control.permit)
app.command("rearm")(risk_control.rearm)
app.command("limits")(limits.limits)


@app.command("evolve")
def evolve(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(help="Configuration of a campaign (YAML).", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Instead: venue:SYM[,SYM]:interval[:from..to]"),
    ] = None,
    funding: Annotated[
        str,
        typer.Option(help="With --dataset: required, none, constant:RATE or proxy:SYM."),
    ] = "required",
    quick: Annotated[
        bool, typer.Option("--quick", help="A small campaign, whose result is unfit for use.")
    ] = False,
    campaign: Annotated[str | None, typer.Option("--id", help="Id of the new campaign.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the campaign.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="auto, local, processes or ray; no result depends on it.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="CAMPAIGN", help="Go on with an interrupted campaign."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Breed a risk genome on simulated accounts, and test it on paths that it never saw.

    The strategies are those of the workspace, good and bad, topped up with random ones. Sealed
    bars of the dataset are never used. The genome counts only if it beats the defaults and a plain
    volatility target on unseen paths of unseen strategies; else the defaults stay, which is no
    failure: the exit code is 0 whenever a campaign came to its end. Ctrl-C keeps what was
    simulated.

    Examples:

        genesis risk evolve configs/risk_evolution.yaml

        genesis risk evolve --dataset binance_perp:BTCUSDT,ETHUSDT:1h --quick

        genesis risk evolve --resume risk-20250131-120000 --json
    """
    from genesis.cli.risk_show import RiskProgress, show_result
    from genesis.system.risk_evolution import evolve_risk
    from genesis.system.workspace import Workspace

    home = home_of(ctx)
    if resume is not None:
        request = _resumed(ctx, home, resume, workers, executor)
    else:
        request = _new(config, dataset, funding, seed, workers, executor, campaign, quick=quick)
    progress = RiskProgress(render.console(stderr=True))
    result = evolve_risk(request, Workspace(home), listener=progress.told, begun=progress.begun)
    if as_json:
        render.emit({"result": result.to_plain()})
    else:
        show_result(result)


def _new(
    config: Path | None,
    dataset: str | None,
    funding: str,
    seed: int | None,
    workers: int | None,
    executor: str | None,
    campaign: str | None,
    *,
    quick: bool,
) -> Request:
    from genesis.system.risk_evolution import Request, quick_unfit, risk_config

    chosen = risk_config(
        config,
        dataset,
        funding=funding,
        seed=seed,
        workers=workers,
        executor=executor,
        quick=quick,
    )
    return Request(chosen, not_empty(campaign), unfit=quick_unfit(quick))


def _resumed(
    ctx: typer.Context,
    home: Path,
    resume: str,
    workers: int | None,
    executor: str | None,
) -> Request:
    """Campaign to go on with.

    Raises
    ------
    InputError
        If options were given that would make it another one.
    """
    from genesis.domain.errors import InputError
    from genesis.system.risk_evolution import Request, placed, unfinished_campaign

    free = ("resume", "workers", "executor", "as_json")
    given = [name for name in ctx.params if name not in free and _was_given(ctx, name)]
    if given:
        raise InputError(
            f"--resume cannot be combined with {', '.join(sorted(given))}",
            why="a resumed campaign keeps the configuration that it was started with",
            fix=f"genesis risk evolve --resume {resume}; --workers and --executor may change",
        )
    not_empty(resume)
    name, config = unfinished_campaign(home, resume)
    return Request(placed(config, workers, executor), name, resume=True)


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def complete_result(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of risk results for shell completion."""
    from genesis.evolution.risk.result import result_ids

    home = ctx.find_root().params.get("home") or Path(".genesis")
    return [name for name in result_ids(Path(home)) if name.startswith(incomplete)]


@app.command("show")
def show(
    ctx: typer.Context,
    result: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="Id of a result, or its beginning; the newest by default.",
            autocompletion=complete_result,
            callback=not_empty,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a campaign came to: verdict, acceptance, genes, regimes.

    Examples:

        genesis risk show

        genesis risk show risk-20250131-120000 --json
    """
    from genesis.cli.risk_show import show_result
    from genesis.domain.errors import InputError
    from genesis.evolution.risk.result import load_risk_result, result_ids

    home = home_of(ctx)
    if result is None:
        ids = result_ids(home)
        if not ids:
            raise InputError("there is no risk result yet", fix=whole("genesis risk evolve"))
        result = ids[-1]
    found = load_risk_result(home, result)
    if as_json:
        body: dict[str, Any] = found.to_plain()
        render.emit({"result": body})
    else:
        show_result(found)
