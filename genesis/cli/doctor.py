"""`genesis doctor`: whether this machine is fit to run studies and to trade."""

from __future__ import annotations

from typing import Annotated

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of


def doctor(
    ctx: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Judge as genesis live run does before it starts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the machine, the installation and the workspace.

    Exit code 1 if something keeps studies or trading from running; warnings do not count. A kill
    latch that is set and a clock that was set back are warnings, and failures with --live.

    Examples:

        genesis doctor

        genesis doctor --live

        genesis doctor --json
    """
    from genesis.system.doctor import examine
    from genesis.system.workspace import Workspace

    checks = list(examine(Workspace(home_of(ctx)), live=live))
    healthy = all(check.status != "fail" for check in checks)
    if as_json:
        plain = [check.to_plain() | {"fix": whole(check.fix)} for check in checks]
        render.emit({"checks": plain}, ok=healthy)
    else:
        out = render.console()
        colours = {"ok": "green", "warn": "yellow", "fail": "bold red"}
        for check in checks:
            out.print(f"[{colours[check.status]}]{check.status:4}[/]", end="  ")
            out.print(f"{check.name:14}  {check.detail}", markup=False)
            if check.fix and check.status != "ok":
                out.print(f"      {'':14}  fix: {whole(check.fix)}", markup=False)
    if not healthy:
        raise typer.Exit(1)
