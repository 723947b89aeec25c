"""`genesis live halt|resume`: no new risk in a run, and again."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami
from genesis.cli.risk_control import NamedRun, Reason, Wait, show_sent

Scope = Annotated[
    str, typer.Option("--scope", help="run, symbol:SYM or account:NAME; to resume, any halt.")
]


def halt(
    ctx: typer.Context,
    run: NamedRun,
    reason: Reason = "",
    scope: Scope = "run",
    wait: Wait = 30.0,
    as_json: Json = False,
) -> None:
    """Open nothing new in a run; positions keep their stops and may be closed.

    It lasts over a restart, until genesis live resume. To get out of everything at once: genesis
    kill.

    Examples:

        genesis live halt live-20250131 --reason "venue announces maintenance"

        genesis live halt live-20250131 --scope symbol:SOL --reason "odd prints" --json
    """
    _carry_out(ctx, run, "halt", scope, reason, wait, as_json=as_json)


def resume(
    ctx: typer.Context,
    run: NamedRun,
    reason: Reason = "",
    scope: Scope = "run",
    wait: Wait = 30.0,
    as_json: Json = False,
) -> None:
    """Allow new risk again in a run, or in a part of it that is halted.

    It re-arms no breaker (genesis risk rearm), nor a workspace that was killed (genesis rearm).

    Examples:

        genesis live resume live-20250131 --reason "maintenance over"

        genesis live resume live-20250131 --scope account:live/0x52…c1 --reason "reconciled"
    """
    _carry_out(ctx, run, "resume", scope, reason, wait, as_json=as_json)


def _carry_out(
    ctx: typer.Context,
    run: str,
    command: str,
    scope: str,
    reason: str,
    wait: float,
    *,
    as_json: bool,
) -> None:
    from genesis.system.clock import SystemClock
    from genesis.system.run_commands import halt_scope, running_run, send
    from genesis.system.run_state import fold_run

    folder = running_run(home_of(ctx), run)
    scope = halt_scope(fold_run(folder), scope, lift=command == "resume")
    sent = send(
        folder,
        command,
        {"scope": scope},
        reason=reason,
        who=whoami(),
        clock=SystemClock(),
        wait_s=wait,
        pause=time.sleep,
    )
    halts = dict(fold_run(folder).core.desk.halts)
    if as_json:
        payload = {"run": sent.run, "command": sent.command_id, "done": sent.taken}
        render.emit({**payload, "scope": scope, "halts": halts})
        return
    show_sent(sent)
    out = render.console()
    for name, why in halts.items():
        out.print(f"HALTED {name}: {why}", markup=False)
    if not halts:
        out.print("nothing is halted", markup=False)
