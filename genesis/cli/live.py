"""`genesis live`: trade what was promoted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.limits import Confirm, LimitsFile, chosen_limits
from genesis.cli.live_control import halt, resume
from genesis.cli.options import Json, Sizing, home_of

if TYPE_CHECKING:
    from genesis.system.live_paper import LiveRun
    from genesis.system.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Trade promoted strategies on their exchange.")
app.command("halt")(halt)
app.command("resume")(resume)


@app.command("run")
def run(
    ctx: typer.Context,
    account: Annotated[str, typer.Option(help="Address of the account, 0x…")],
    live: Annotated[
        bool, typer.Option("--live", help="Yes, real money: needed where the target is mainnet.")
    ] = False,
    url: Annotated[str, typer.Option(help="Local exchange of a loopback deployment.")] = "",
    key_file: Annotated[
        Path | None, typer.Option(help="Encrypted file of the agent's key.")
    ] = None,
    passphrase_fd: Annotated[
        int, typer.Option(help="File descriptor to read its passphrase from.")
    ] = -1,
    key_fd: Annotated[int, typer.Option(help="File descriptor to read the key from.")] = -1,
    keyring: Annotated[str, typer.Option(help="SERVICE/USER of the system's keyring.")] = "",
    duration: Annotated[
        str, typer.Option("--for", help="Close everything and end after so long: 8h, 30d.")
    ] = "",
    flatten: Annotated[
        bool, typer.Option("--flatten-on-exit", help="Close positions when it is stopped.")
    ] = False,
    gateway: Annotated[
        Path | None, typer.Option(help="Settings of the gateway, such as dead_man_s: 0.")
    ] = None,
    sentiment: Annotated[
        str, typer.Option(help="Address of fear and greed, or off; else the public one.")
    ] = "",
    scripted: Annotated[
        bool,
        typer.Option(
            "--scripted",
            help="Let the time of a local exchange pass (genesis venue serve --scripted).",
        ),
    ] = False,
    sizing: Sizing = "",
    limits: LimitsFile = None,
    confirm: Confirm = "",
    reason: Annotated[str, typer.Option(help="Why limits change, for the record.")] = "",
    as_json: Json = False,
) -> None:
    """Send the orders of an account's canaries and live deployments until Ctrl-C.

    It starts only with evidence that stands, a green doctor, an agent's key (never a master key),
    an approved capital and a lease that no other process holds. A run that was stopped goes on
    from its log. When a deployment changes its stage, positions are closed and the next run begins
    with the new size. Hard limits are those of WORKSPACE/limits.yaml; others than the account had
    count from this start on, looser ones once they are confirmed. Without --sizing entries are
    sized as in the account's last run: strategy brings full sizes back. Another one than a run has
    closes its positions and begins the next. genesis kill, a file named kill in the workspace and
    the signal SIGUSR1 empty the account at once.

    Examples:

        genesis live run --account 0x52…c1 --key-file agent.key

        genesis live run --account 0x52…c1 --keyring genesis/agent --live
    """
    from genesis.cli.paper_testnet import LiveProgress, Options, kill_by_signal, read_key, way_of
    from genesis.system.live import LOCAL_URL, run_live
    from genesis.system.live_paper import paced_way
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    _require_consent(workspace, account, live=live)
    choice = chosen_limits(workspace.home, account, limits, confirm, reason)
    options = Options(
        [account],
        url,
        key_file,
        passphrase_fd,
        key_fd,
        keyring,
        duration,
        flatten,
        gateway,
        sentiment=sentiment,
    )
    key = read_key(options)
    err = render.console(stderr=True)
    with LiveProgress(err) as progress, kill_by_signal(workspace):
        way = replace(way_of(options, progress), sizing=sizing)
        if scripted:
            way = paced_way(way, url or LOCAL_URL)
        done = run_live(workspace, account, key, way, url=url, choice=choice, live=live)
    _tell(done, as_json=as_json)


def _require_consent(workspace: Workspace, account: str, *, live: bool) -> None:
    from genesis.decision.stages import Target
    from genesis.domain.errors import RefusedError
    from genesis.system.live import deployments_of, unfinished_run

    if unfinished_run(workspace, account.lower()) is not None:
        return  # what it holds is looked after in any case
    real = deployments_of(workspace, account)[0].target is Target.MAINNET
    if real and not live:
        raise RefusedError(
            "this is real money",
            why=f"the deployments of {account} are promoted for mainnet",
            fix="add --live",
        )


def _tell(done: LiveRun, *, as_json: bool) -> None:
    outcome = done.run.outcome
    if as_json:
        render.emit(
            {
                "run": done.run.run_id,
                "finished": outcome.finished,
                "events": outcome.events,
                "bars": outcome.phases,
                "remains": done.note,
            }
        )
        return
    out = render.console()
    state = "is over" if outcome.finished else "is saved; the same command goes on"
    out.print(f"run {done.run.run_id} {state}: {outcome.events:,} events", markup=False)
    out.print(whole(done.note), markup=False)
    out.print(whole(f"next     genesis trades {done.run.run_id}"), markup=False)


@app.command("list")
def list_live(ctx: typer.Context, as_json: Json = False) -> None:
    """List live runs, the latest last: account, state, deployments.

    Examples:

        genesis live list

        genesis live list --json
    """
    from genesis.system.live_list import list_live_runs
    from genesis.system.workspace import Workspace

    rows = list_live_runs(Workspace(home_of(ctx)))
    if as_json:
        render.emit({"runs": rows})
        return
    out = render.console()
    if not rows:
        out.print("nothing was traded live", markup=False)
        return
    columns = [(name, "left") for name in ("run", "network", "account", "state", "deployments")]
    body = [
        (
            str(row["run"]),
            str(row["network"]),
            str(row["account"]),
            str(row["state"]),
            ", ".join(f"{d['strategy']} {d['stage']} {d['capital']:,.2f}" for d in row["assigned"]),
        )
        for row in rows
    ]
    out.print(render.table(columns, body, title="live runs"))
