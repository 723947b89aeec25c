"""`genesis reconcile`: compare a run's ledger with its exchange, and adopt what differs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.events import Run
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami

if TYPE_CHECKING:
    from genesis.trading.store.reader import EventReader


def reconcile(
    ctx: typer.Context,
    run: Run = "",
    account: Annotated[
        str, typer.Option("--account", help="Account; needed where a run has several.")
    ] = "",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over what differs, on record as external.")
    ] = False,
    confirm: Annotated[
        str, typer.Option("--confirm", help="Name of the account, where nobody can be asked.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why, for the journal.")] = "",
    wait: Annotated[
        float, typer.Option("--wait", min=0.0, help="Seconds to wait for the running loop.")
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """Compare the ledger of a run with what its exchange says.

    The command goes into the run's inbox and is carried out by its loop, at once if it is running
    and else when it is started again. Fills that are missing are booked in any case; the rest is
    only reported, unless --adopt takes it over. Adopting asks for the name of the account.

    Examples:

        genesis reconcile paper_20250201

        genesis reconcile paper_20250201 --adopt --reason "sold by hand on the venue"
    """
    from genesis.domain.errors import InputError, RefusedError
    from genesis.system.paper import RESULT
    from genesis.trading.run_folders import find_run
    from genesis.trading.store.reader import EventReader

    folder = find_run(home_of(ctx), run)
    if (folder / RESULT).is_file():
        raise InputError(
            f"the run {folder.name} is finished: no loop would take the command",
            fix=f"genesis replay {folder.name} shows its last state",
        )
    with EventReader(folder) as reader:
        name = _account(reader, account)
        if adopt:
            _confirm(name, confirm)
        before = reader.head.seq
        command_id = _send(folder, name, adopt=adopt, reason=reason)
        verdict = _await(reader, name, command_id, before, wait)
    result: dict[str, Any] = {"run": folder.name, "account": name, "command": command_id}
    if verdict is None:
        result |= {"done": False}
        if as_json:
            render.emit(result)
            return
        out = render.console()
        out.print(f"{command_id} waits in the inbox of {folder.name}", markup=False)
        out.print("no loop has answered yet; it is carried out once it runs", markup=False)
        return
    differences, adopted = verdict
    result |= {"done": True, "differences": differences, "adopted": adopted}
    if as_json:
        render.emit(result)
    else:
        _show(name, differences, adopted=adopted)
    if differences and not adopted:
        raise RefusedError(
            f"{name}: {len(differences)} differences",
            why="see above; fills that were missing are booked now",
            fix=f"genesis reconcile {folder.name} --account {name} --adopt",
        )


def _account(reader: EventReader, wanted: str) -> str:
    from genesis.domain.errors import InputError, did_you_mean

    rows = reader.query("SELECT DISTINCT account FROM postings ORDER BY account")
    names = [str(row["account"]) for row in rows]
    if wanted in names:
        return wanted
    if not wanted and len(names) == 1:
        return names[0]
    what = f"no account {wanted!r}{did_you_mean(wanted, names)}" if wanted else "which account"
    raise InputError(
        what, why=f"the run has {', '.join(names) or 'none yet'}", fix="write --account NAME"
    )


def _confirm(account: str, given: str) -> None:
    """Ask a person to type the account's name.

    Raises
    ------
    RefusedError
        If another name is given, or nobody is there to give one.
    """
    from genesis.domain.errors import RefusedError

    if not given:
        if not sys.stdin.isatty():
            raise RefusedError(
                "adopting changes the ledger, and nobody is there to confirm it",
                why="standard input is no terminal",
                fix=f"write --confirm {account}",
            )
        typer.echo(f"The ledger of {account} will take over what its exchange says.", err=True)
        given = str(typer.prompt("Type the name of the account", err=True))
    if given != account:
        raise RefusedError(
            f"{given!r} is not {account!r}: nothing was changed",
            fix="type the name of the account as it is",
        )


def _send(folder: Path, account: str, *, adopt: bool, reason: str) -> str:
    import secrets

    from genesis.system.clock import SystemClock
    from genesis.trading.inbox import Inbox
    from genesis.trading.payloads import OperatorCommand

    command_id = f"CMD_{secrets.token_hex(8)}"
    text = reason or ("adopt" if adopt else "compare")
    arguments = {"account": account, "adopt": adopt}
    command = OperatorCommand(command_id, "reconcile", text, whoami(), arguments)
    Inbox(folder).send(command, SystemClock().now_ms())
    return command_id


def _await(
    reader: EventReader, account: str, command_id: str, after: int, seconds: float
) -> tuple[list[str], bool] | None:
    """Verdict that the command led to, None if none came in time.

    A run that is just being resumed compares its accounts by itself, before it takes commands.
    """
    import time

    from genesis.trading.events import EventType
    from genesis.trading.payloads import OperatorCommand, Reconciled

    until = time.monotonic() + seconds
    while True:
        taken = False
        kinds = [EventType.OPERATOR_COMMAND, EventType.RECONCILED]
        for event in reader.events(after + 1, types=kinds):
            data = event.data
            if isinstance(data, OperatorCommand):
                taken = taken or data.command_id == command_id
            if taken and isinstance(data, Reconciled) and data.account == account:
                return list(data.differences), data.adopted
        if time.monotonic() >= until:
            return None
        time.sleep(0.1)


def _show(account: str, differences: Sequence[str], *, adopted: bool) -> None:
    out = render.console()
    if not differences:
        out.print(f"{account}: ledger and exchange agree", markup=False)
        return
    word = "taken over" if adopted else "different"
    for line in differences:
        out.print(f"{word:11}{line}", markup=False)
