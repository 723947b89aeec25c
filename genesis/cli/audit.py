"""`genesis audit`: whether what goes into a trading run also comes out of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.events import Run
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from genesis.trading.flow_audit import FlowAudit, StageFinding

app = typer.Typer(no_args_is_help=True, help="Look for what got stuck in a trading run.")

_COLUMNS = [("stage", "left"), ("verdict", "left"), ("waiting", "right"), ("oldest", "right")]
_COLUMNS += [("last evidence", "left"), ("at", "left"), ("why", "left")]


@app.callback()
def audit() -> None:
    """Look for what got stuck in a trading run."""


@app.command("flow")
def flow(ctx: typer.Context, run: Run = "", as_json: Json = False) -> int:
    """Show for each stage of a run what waits, since when, and the last sign that it moved.

    A run that is being traded is judged by its heartbeat (and by how old that is), one that nobody
    trades by its log alone: signals without intent, intents without order, orders without answer,
    fills that are not in the ledger, commands that nobody took.

    Exit code 1: a stage is stalled.

    Examples:

        genesis audit flow

        genesis audit flow replay-20250131-120000 --json
    """
    import msgspec

    from genesis.system.clock import SystemClock
    from genesis.trading.flow_audit import audit_flow
    from genesis.trading.run_folders import find_run

    found = audit_flow(find_run(home_of(ctx), run), SystemClock().now_ms())
    if as_json:
        render.emit({"flow": msgspec.to_builtins(found)}, ok=found.healthy)
    else:
        _show(found)
    return 0 if found.healthy else 1


def _show(found: FlowAudit) -> None:
    out = render.console()
    if found.source == "heartbeat":
        assert found.heartbeat_ms is not None
        age = render.duration(max(found.heartbeat_ms, 0) / 1000)
        out.print(f"{found.run}: traded by process {found.pid}, heartbeat {age} old", markup=False)
    else:
        holder = f"held by process {found.pid}, " if found.pid else ""
        ended = f", it {_ENDED[found.state]}" if found.state in _ENDED else ""
        out.print(f"{found.run}: {holder}not being traded{ended}; by its log", markup=False)
    out.print(render.table(_COLUMNS, [_cells(one) for one in found.stages]))
    for scope, why in found.halts.items():
        out.print(f"halted   {scope}: {why}", markup=False)
    stuck = [one.stage for one in found.stages if one.verdict == "stalled"]
    text = "every stage moves" if found.healthy else f"stalled: {', '.join(stuck)}"
    out.print(text, markup=False)
    if stuck and not found.pid and found.state != "finished":
        step = whole(f"genesis paper run --resume {found.run}")
        out.print(f"next     what waits is taken up again by {step}", markup=False)


_ENDED = {"finished": "is finished", "stopped": "was stopped", "failed": "failed"}


def _cells(one: StageFinding) -> tuple[str, ...]:
    last = one.last
    evidence = f"{last.seq} {last.type}" if last is not None else "-"
    at = one.last_ms or (last.recorded_ms if last is not None else 0)
    return (
        one.stage,
        one.verdict,
        render.number(one.lag),
        render.duration(one.oldest_ms / 1000) if one.oldest_ms else "-",
        evidence,
        _instant(at) if at else "-",
        one.why,
    )


def _instant(ts_ms: int) -> str:
    return f"{datetime.fromtimestamp(ts_ms / 1000, tz=UTC):%Y-%m-%d %H:%M:%SZ}"
