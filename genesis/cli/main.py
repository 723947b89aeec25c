"""The `genesis` command: global options, sub-commands, and how errors reach the user."""

from __future__ import annotations

import sys
from contextvars import copy_context
from pathlib import Path
from typing import Annotated

import typer

from genesis.cli import (
    alerts,
    audit,
    backtest,
    closed_pipe,
    commands,
    decide,
    demo,
    deployments,
    doctor,
    events,
    evolve,
    keys,
    kill,
    live,
    paper,
    promote,
    reconcile,
    render,
    replay,
    report,
    review,
    risk,
    runs,
    seeds,
    story,
    strategies,
    trades,
    ui,
    validate,
    venue,
)
from genesis.cli.data import app as data_app
from genesis.cli.data_resample import resample_data
from genesis.cli.deployment_files import activate, save
from genesis.cli.deployment_files import validate as validate_file
from genesis.cli.events_quarantine import quarantine
from genesis.domain.errors import GenesisError, InputError
from genesis.system.workspace import DEFAULT_HOME

app = typer.Typer(
    name="genesis",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Typer's rich help costs 0.2 s of imports
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Breed trading strategies on real or synthetic markets, and explain what was found.",
    epilog="Start with `genesis demo`. Each command explains itself with --help.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"genesis {version('genesis')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    home: Annotated[
        Path,
        typer.Option(
            "--home",
            envvar="GENESIS_HOME",
            help="Workspace folder: data, runs, strategies.",
            show_default=True,
        ),
    ] = Path(DEFAULT_HOME),
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Breed trading strategies, judge them honestly, explain what survived."""
    del debug, version  # read by `dispatch` and by their own callback
    source = ctx.get_parameter_source("home")
    commands.keep_home(str(home) if source is not None and source.name == "COMMANDLINE" else "")
    ctx.obj = home.expanduser().absolute()


for _noun, _module in (
    ("demo", demo.demo),
    ("doctor", doctor.doctor),
    ("evolve", evolve.evolve),
    ("validate", validate.validate),
    ("report", report.report),
    ("backtest", backtest.backtest),
    ("ui", ui.ui),
    ("replay", replay.replay),
    ("story", story.story),
    ("trades", trades.trades),
    ("reconcile", reconcile.reconcile),
    ("promote", promote.promote),
    ("approve", promote.approve),
    ("demote", promote.demote),
    ("retire", promote.retire),
    ("kill", kill.kill),
    ("rearm", kill.rearm),
):
    app.command(_noun)(_module)
data_app.command("resample")(resample_data)
events.app.command("quarantine")(quarantine)
app.add_typer(data_app, name="data", help="Import, fetch, synthesise and check market data.")
app.add_typer(runs.app, name="runs")
app.add_typer(strategies.app, name="strategies")
app.add_typer(seeds.app, name="seeds")
deployments.app.command("save")(save)
deployments.app.command("validate")(validate_file)
deployments.app.command("activate")(activate)
app.add_typer(events.app, name="events")
app.add_typer(audit.app, name="audit")
app.add_typer(alerts.app, name="alerts")
app.add_typer(paper.app, name="paper")
app.add_typer(risk.app, name="risk")
app.add_typer(decide.app, name="decide")
app.add_typer(review.app, name="review")
app.add_typer(deployments.app, name="deployments")
app.add_typer(venue.app, name="venue")
app.add_typer(keys.app, name="keys")
app.add_typer(live.app, name="live")


def run() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(dispatch(sys.argv[1:]))


def dispatch(arguments: list[str]) -> int:
    """Run one command line.

    Returns
    -------
    int
        0 ok, 1 failed, 2 bad usage or input, 3 refused, 130 interrupted, 141 nobody reads.
    """
    # In a context of its own: what a line says of its workspace ends with it.
    return copy_context().run(_dispatch, arguments)


def _dispatch(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    debug = "--debug" in arguments
    # Accepted anywhere, since one adds it to the end of the line that just failed.
    arguments = [word for word in arguments if word != "--debug"]
    try:
        code = app(arguments, prog_name="genesis", standalone_mode=False)
    except GenesisError as error:
        return _fail(error, as_json=as_json, debug=debug)
    except closed_pipe.NobodyReads:
        return closed_pipe.EXIT_CODE  # nothing was under way that would have to be saved
    except KeyboardInterrupt:
        return _fail(_Interrupted(), as_json=as_json, debug=debug)
    except typer.Abort:
        return _fail(_Interrupted(), as_json=as_json, debug=debug)
    except BrokenPipeError:  # the reader went away (`genesis runs list | head`)
        closed_pipe.silence(stderr=False)
        return closed_pipe.EXIT_CODE
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:  # Typer's own complaints about arguments and options
            hint = f"see `{_command_of(error)} --help`"
            return _fail(InputError(usage(), fix=hint), as_json=as_json, debug=debug)
        return _fail(_Unexpected(error), as_json=as_json, debug=debug)
    if closed_pipe.closed():
        return closed_pipe.EXIT_CODE  # a run of trading that stopped and saved
    return code if isinstance(code, int) else 0


class _Interrupted(GenesisError):
    exit_code = 130

    def __init__(self) -> None:
        super().__init__("interrupted")


class _Unexpected(GenesisError):
    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"unexpected {type(error).__name__}: {error}",
            why="this is a defect of genesis, not of your input",
            fix="run the command again with `genesis --debug …` and report the traceback",
        )


def _command_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "genesis"


def _fail(error: GenesisError, *, as_json: bool, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    try:
        if as_json:
            render.emit(render.error_payload(error), ok=False)
        else:
            render.show_error(error)
    except (BrokenPipeError, closed_pipe.NobodyReads):
        closed_pipe.silence(stderr=not as_json)
    return closed_pipe.EXIT_CODE if closed_pipe.closed() else error.exit_code
