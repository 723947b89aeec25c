"""`genesis kill` and `genesis rearm`: stop all trading at once, and allow it again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami

if TYPE_CHECKING:
    from genesis.system.kill import RunKill

Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


def kill(
    ctx: typer.Context,
    reason: Reason = "",
    keep_positions: Annotated[
        bool,
        typer.Option("--keep-positions", help="Only cancel entries; positions keep their stops."),
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0.0, help="Seconds to wait for running traders.")
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """Stop all trading of this workspace, cancel every order and close every position.

    A latch is set first: from that moment nothing that adds risk leaves, in any process, also
    after a restart. Each running trader then empties its accounts until its exchange says that
    nothing is left. A file named kill in the workspace does the same, and so does the signal
    SIGUSR1 to a trader. It asks nobody; genesis rearm takes the latch away again.

    Exits with 0 when nothing is left, with 1 when something is, or nobody could look: a run
    whose settings cannot be read may be trading, and is named.

    Examples:

        genesis kill

        genesis kill --reason "the feed is wrong" --keep-positions
    """
    import time

    from genesis.system.clock import SystemClock
    from genesis.system.kill import await_empty, set_latch
    from genesis.system.workspace import Workspace

    workspace, clock = Workspace(home_of(ctx)), SystemClock()
    order, trouble = set_latch(
        workspace, reason or "no reason given", whoami(), clock, flatten=not keep_positions
    )
    err = render.console(stderr=True)
    if not as_json:
        err.print(f"latched: {workspace.home / 'kill'}; {order.text}", markup=False)
    if trouble:
        err.print(f"note: it is not in the log of operations: {trouble}", markup=False)
    found = await_empty(workspace, order, clock, wait, time.sleep)
    left = [one for one in found if not one.done]
    _show(found, as_json=as_json, reason=order.reason)
    if left:
        raise typer.Exit(1)


def _show(found: list[RunKill], *, as_json: bool, reason: str) -> None:
    import msgspec

    if as_json:
        render.emit({"latched": True, "reason": reason, "runs": msgspec.to_builtins(found)})
        return
    out = render.console()
    if not found:
        out.print("no live run has anything at an exchange", markup=False)
    for one in found:
        process = f" (process {one.process})" if one.process else ""
        had = f"had {one.had}; now " if one.had else ""
        out.print(f"{one.run}{process}: {had}{one.text}", markup=False)
        if one.fix:
            out.print(f"  {one.fix}", markup=False)
        elif not one.done and not one.process:
            out.print(f"  empty it: {whole(one.again)}", markup=False)
        elif not one.done:
            out.print(f"  it is still at it; if it hangs, end process {one.process} and resume it")


def rearm(
    ctx: typer.Context,
    reason: Reason = "",
    confirm: Annotated[
        str, typer.Option("--confirm", help="The word REARM, where nobody can be asked.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Allow trading again after a kill.

    It asks for a reason and for the word REARM, and records both who and why. Nothing starts by
    itself: each run is resumed by its own command.

    Examples:

        genesis rearm --reason "feed mended, positions checked"

        genesis rearm --reason "drill over" --confirm REARM
    """
    from genesis.domain.errors import InputError
    from genesis.system.clock import SystemClock
    from genesis.system.kill import rearm as lift
    from genesis.system.workspace import Workspace
    from genesis.trading.kill_latch import KillLatch

    workspace = Workspace(home_of(ctx))
    held = KillLatch(workspace.home).read()
    if held is not None:
        if not reason and sys.stdin.isatty():
            reason = typer.prompt(f"{held.text}. Why may it trade again?", err=True)
        word = confirm or (typer.prompt("type REARM", err=True) if sys.stdin.isatty() else "")
        if word != "REARM":
            raise InputError(
                "re-arming is confirmed by the word REARM",
                why="nobody can be asked here" if not word else f"{word!r} was given",
                fix="add --confirm REARM",
            )
    order = lift(workspace, reason, whoami(), SystemClock())
    if as_json:
        render.emit({"rearmed": True, "was": order.text, "reason": reason})
        return
    render.console().print(f"re-armed; it was {order.text}", markup=False)
