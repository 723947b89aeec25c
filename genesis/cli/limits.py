"""`genesis risk limits`, and how looser limits are confirmed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from genesis.system.limits import LimitsChange, LimitsChoice

LimitsFile = Annotated[
    Path | None,
    typer.Option("--limits", metavar="FILE", help="Hard limits, instead of WORKSPACE/limits.yaml."),
]
Confirm = Annotated[
    str,
    typer.Option("--confirm", metavar="PHRASE", help="Allows looser limits where nobody can type."),
]


def limits(
    ctx: typer.Context,
    account: Annotated[
        str, typer.Option("--account", help="Also what a start would change for this address.")
    ] = "",
    file: LimitsFile = None,
    as_json: Json = False,
) -> None:
    """Show the hard limits that hold, where they come from, and what running traders have.

    A run keeps the limits that it began with; others count from the next start. Looser ones then
    want a phrase, word by word: --account shows which.

    Examples:

        genesis risk limits

        genesis risk limits --account 0x52…c1 --limits looser.yaml --json
    """
    from genesis.risk.limits import HardLimits
    from genesis.system.limits import limits_change, stated_limits, traded_limits
    from genesis.system.workspace import Workspace

    workspace = Workspace(home_of(ctx))
    found = stated_limits(workspace.home, file)
    change = limits_change(workspace.home, account, file) if account else None
    runs = traded_limits(workspace, found.limits)
    values, built_in = found.limits.plain(), HardLimits().plain()
    if as_json:
        payload: dict[str, Any] = {
            "limits": values,
            "source": found.source,
            "stated": list(found.stated),
            "built_in": built_in,
            "runs": runs,
        }
        render.emit(payload | {"account": None if change is None else _plain(change)})
        return
    out = render.console()
    columns = [("limit", "left"), ("value", "right"), ("built in", "right"), ("from", "left")]
    rows = [
        (name, f"{value:g}", f"{built_in[name]:g}", _origin(name, found.stated))
        for name, value in values.items()
    ]
    out.print(render.table(columns, rows, title=f"hard limits ({found.source})"))
    for row in runs:
        if row["differs"]:
            out.print(f"{row['run']} trades with others: {row['differs']}", markup=False)
    if change is not None:
        _show(change)


def _origin(name: str, stated: tuple[str, ...]) -> str:
    return "file" if name in stated else "built in"


def _plain(change: LimitsChange) -> dict[str, Any]:
    return {
        "account": change.account,
        "before": change.before.plain(),
        "changes": change.text,
        "loosened": list(change.loosened),
        "phrase": change.phrase,
    }


def _show(change: LimitsChange) -> None:
    out = render.console()
    if not change.text:
        out.print(f"{change.account}: traded with these last", markup=False)
        return
    out.print(f"{change.account}: the next start changes {change.text}", markup=False)
    if change.phrase:
        line = f'genesis live run --account {change.account} … --confirm "{change.phrase}"'
        out.print(f"looser, so that it must be confirmed: {whole(line)}", markup=False)


def chosen_limits(
    home: Path, account: str, file: Path | None, confirm: str, reason: str
) -> LimitsChoice:
    """Limits of a start of live trading; a person at a terminal types what loosens them.

    Raises
    ------
    ConfigError, StorageError, RefusedError
        As `genesis.system.limits.limits_change`.
    """
    from genesis.cli.person import whoami
    from genesis.system.limits import LimitsChoice, limits_change
    from genesis.trading.kill_latch import KillLatch

    killed = KillLatch(home).closed()  # then nothing is asked: the account is emptied
    if not confirm and not killed and sys.stdin.isatty():
        change = limits_change(home, account, file)
        if change.phrase:
            typer.echo(f"Hard limits of {account} get looser: {change.text}.", err=True)
            typer.echo("A run that is not finished closes its positions first.", err=True)
            confirm = str(typer.prompt(f"Type {change.phrase}", err=True))
    return LimitsChoice(file, confirm, whoami(), reason)
