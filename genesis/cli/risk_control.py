"""`genesis risk permit|rearm|status`: what a person may do while the risk manager holds back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.events import Run, complete_run
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami

if TYPE_CHECKING:
    from pathlib import Path

    from genesis.system.run_commands import Sent

NamedRun = Annotated[
    str, typer.Argument(metavar="RUN", help="Run, or its beginning.", autocompletion=complete_run)
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the journal.")]
Account = Annotated[
    str, typer.Option("--account", help="Name or address; needed where a run has several.")
]
Wait = Annotated[
    float, typer.Option("--wait", min=0.0, help="Seconds to wait for the running loop.")
]


def complete_breaker(incomplete: str) -> list[str]:
    """Names of breakers for shell completion."""
    from genesis.risk.breaker_kinds import Breaker

    return [one.value for one in Breaker if one.value.startswith(incomplete)]


def permit(
    ctx: typer.Context,
    run: NamedRun,
    reason: Reason = "",
    lasts: Annotated[
        str, typer.Option("--for", metavar="1h", help="How long; 24h at most.")
    ] = "1h",
    account: Account = "",
    wait: Wait = 30.0,
    as_json: Json = False,
) -> None:
    """Let new risk through at level HIGH for a while, at three quarters of its size.

    It is good for level HIGH alone: at CRITICAL and EMERGENCY no permit helps. A later permit
    takes the place of an earlier one. The time counts from when the loop takes it.

    Examples:

        genesis risk permit live-20250131 --for 1h --reason "spike over, spreads are normal"

        genesis risk permit live-20250131 --for 4h --account 0x52…c1 --reason "seen to" --json
    """
    from genesis.system.run_commands import permit_length, running_run
    from genesis.system.run_state import fold_run

    for_ms = permit_length(lasts)
    folder = running_run(home_of(ctx), run)
    name = fold_run(folder).account(account)
    sent = _send(folder, "permit", {"account": name, "for_ms": for_ms}, reason, wait)
    _tell(folder, sent, name, as_json=as_json)


def rearm(
    ctx: typer.Context,
    run: NamedRun,
    breaker: Annotated[
        str,
        typer.Argument(
            metavar="BREAKER",
            help="Its name: genesis risk status.",
            autocompletion=complete_breaker,
        ),
    ],
    reason: Reason = "",
    account: Account = "",
    wait: Wait = 30.0,
    as_json: Json = False,
) -> None:
    """Re-arm a breaker that tripped: total_drawdown waits for that, others may be hurried.

    What it measured begins anew: a drawdown counts from the equity of that moment. The halt of
    the account that an EMERGENCY brought is lifted too. A condition that still holds trips it
    again.

    Examples:

        genesis risk rearm live-20250131 total_drawdown --reason "cause found, size halved"

        genesis risk rearm live-20250131 rapid_loss --reason "one bad print" --json
    """
    from genesis.system.run_commands import running_run, tripped_breaker
    from genesis.system.run_state import fold_run

    folder = running_run(home_of(ctx), run)
    state = fold_run(folder)
    name = state.account(account)
    arguments = {"account": name, "breaker": tripped_breaker(state, name, breaker)}
    sent = _send(folder, "rearm", arguments, reason, wait)
    _tell(folder, sent, name, as_json=as_json)


def status(ctx: typer.Context, run: Run = "", as_json: Json = False) -> None:
    """Show how a run's accounts stand: level, breakers, drawdowns, caps in use, permits.

    It is folded from the log, so it is as fresh as the run's last event; nothing is touched.

    Examples:

        genesis risk status

        genesis risk status live-20250131 --json
    """
    from genesis.system.run_state import fold_run, risk_status
    from genesis.trading.run_folders import find_run
    from genesis.trading.status import writer_of

    folder = find_run(home_of(ctx), run)
    found = risk_status(fold_run(folder))
    found["process"] = writer_of(folder)
    if as_json:
        render.emit({"risk": found})
    else:
        show_status(found)


def _send(
    folder: Path, command: str, arguments: Mapping[str, Any], reason: str, wait: float
) -> Sent:
    import time

    from genesis.system.clock import SystemClock
    from genesis.system.run_commands import send

    return send(
        folder,
        command,
        arguments,
        reason=reason,
        who=whoami(),
        clock=SystemClock(),
        wait_s=wait,
        pause=time.sleep,
    )


def _tell(folder: Path, sent: Sent, account: str, *, as_json: bool) -> None:
    """Say whether the loop took it, and how the account stands now."""
    from genesis.system.run_state import account_status, fold_run

    state = fold_run(folder)
    found = account_status(state, account)
    profile = state.settings.risk.profile.value
    if as_json:
        payload = {"run": sent.run, "command": sent.command_id, "done": sent.taken}
        render.emit({**payload, "profile": profile, "account": found})
        return
    show_sent(sent)
    if profile == "observe":
        render.console().print(
            "note: risk is only observed in this run; nothing waits for it", markup=False
        )
    show_account(found)


def show_sent(sent: Sent) -> None:
    """Say whether the loop of a run took a command."""
    out = render.console()
    if sent.taken:
        out.print(f"{sent.run} has taken {sent.command_id}", markup=False)
        return
    out.print(f"{sent.command_id} waits in the inbox of {sent.run}", markup=False)
    out.print("no loop has taken it yet; it is carried out once it runs", markup=False)


def show_status(found: Mapping[str, Any]) -> None:
    """Print how the accounts of a run stand."""
    from genesis.domain.timeline import format_ts

    out = render.console()
    trades = f"process {found['process']}" if found["process"] else "nobody trades it now"
    out.print(
        f"run {found['run']}   {trades}   event {found['event']:,}, {format_ts(found['ts_ms'])}",
        markup=False,
    )
    out.print(f"risk {found['profile']}, genome {found['genome']}", markup=False)
    if found["differs"]:
        out.print("note: another build trades it; what it holds may differ", markup=False)
    for scope, why in found["halts"].items():
        out.print(f"HALTED {scope}: {why}", markup=False)
    for account in found["accounts"]:
        show_account(account)
        columns = [("measure", "left"), ("now", "right"), ("limit", "right")]
        rows = [
            (row["name"], _cell(row["value"]), _cell(row["limit"])) for row in account["measures"]
        ]
        out.print(render.table(columns, rows))
    if any(one["breakers"] for one in found["accounts"]):
        line = f'genesis risk rearm {found["run"]} BREAKER --reason "…"'
        out.print(f"next     {whole(line)}", markup=False)


def show_account(found: Mapping[str, Any]) -> None:
    """Print level, breakers and permit of an account."""
    from genesis.domain.timeline import format_ts

    out = render.console()
    out.print(
        f"{found['account']}   {found['level']}: {found['meaning']}   equity {found['equity']}",
        markup=False,
    )
    for one in found["breakers"]:
        until = "by a person" if one["until_ms"] is None else format_ts(one["until_ms"])
        if not one["held"]:
            until = one["rearms"]
        out.print(f"  {one['breaker']}: {one['text']}; armed again {until}", markup=False)
    for caution in found["cautions"]:
        out.print(f"  {caution}", markup=False)
    if found["permit"] is not None:
        by, until = found["permit"]["by"], format_ts(found["permit"]["until_ms"])
        out.print(f"  permit of {by} until {until}: {found['permit']['reason']}", markup=False)


def _cell(value: float) -> str:
    import math

    return f"{value:.4g}" if math.isfinite(value) else "unknown"
