"""`genesis events quarantine`: go on without an event that no handler can deal with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami

if TYPE_CHECKING:
    from genesis.system.quarantines import Halt


def quarantine(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(metavar="[RUN] SEQ", help="Trading run (else the last) and event number."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Take the event that a run is halted on out of it, so that the run can go on.

    A handler that fails halts its run on that event: nothing after it is handled, and a resume
    halts there again. The event stays in the log, and is passed over by the run and by every
    replay from now on. Nothing else can be taken out, and only while nobody trades the run.

    Examples:

        genesis events quarantine 15203 --reason "news item with a broken symbol"

        genesis events quarantine replay-20250131-120000 15203 --reason "see ticket 12" --yes
    """
    from genesis.domain.errors import InputError
    from genesis.system.clock import SystemClock
    from genesis.system.quarantines import find_halt, take_out
    from genesis.trading.run_folders import find_run
    from genesis.trading.store import plain_event

    run, seq = _meant(words)
    if not reason.strip():
        raise InputError("no reason given", fix='add --reason "…": it stays on record')
    folder = find_run(home_of(ctx), run)
    _require_idle(folder)
    halt = find_halt(folder, seq)
    if not as_json:
        _show(folder, halt)
    if not yes:
        _confirm(folder.name, seq)
    take_out(folder, seq, reason, whoami(), SystemClock().now_ms())
    resume = whole(f"genesis paper run --resume {folder.name}")
    if as_json:
        event = plain_event(halt.event)
        out = {"run": folder.name, "event": event, "error": halt.error, "behind": halt.behind}
        render.emit({"quarantined": out, "next": resume})
        return
    render.console().print(f"event {seq} is passed over from now on", markup=False)
    render.console().print(f"next     {resume}", markup=False)


def _meant(words: list[str]) -> tuple[str, int]:
    from genesis.domain.errors import InputError

    *run, number = words
    if len(run) > 1 or not number.isdecimal() or int(number) < 1:
        raise InputError(
            f"{' '.join(words)!r} is not a run and the number of an event",
            fix='genesis events quarantine RUN SEQ --reason "…"',
        )
    return run[0] if run else "", int(number)


def _require_idle(folder: Path) -> None:
    from genesis.domain.errors import RefusedError
    from genesis.trading.status import writer_of

    if pid := writer_of(folder):
        raise RefusedError(
            f"process {pid} holds the run {folder.name}",
            why="an event can be taken out only while nobody trades the run",
            fix="end that process first; a run that is halted on an event ends by itself",
        )


def _show(folder: Path, halt: Halt) -> None:
    from genesis.cli.events_view import COLUMNS, cells

    out = render.console(stderr=True)
    out.print(render.table(COLUMNS, [cells(halt.event)], title=folder.name))
    out.print(f"halted   {halt.error}", markup=False)
    if halt.behind:
        out.print(f"behind   {halt.behind:,} stored events wait to be handled", markup=False)


def _confirm(run: str, seq: int) -> None:
    """Ask a person.

    Raises
    ------
    RefusedError
        If the answer is no, or nobody is there to give one.
    """
    from genesis.domain.errors import RefusedError

    if not sys.stdin.isatty():
        raise RefusedError(
            f"event {seq} of {run} would be passed over, and nobody is there to confirm it",
            why="standard input is no terminal",
            fix="look at the event, then add --yes",
        )
    if not typer.confirm(f"Go on without event {seq} of {run}?", err=True):
        raise RefusedError(f"nothing was changed: {run} stays halted on event {seq}")
