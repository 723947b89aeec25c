"""`genesis alerts`: what a person was told, what waits for an answer, and whether it arrives."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.events import Run
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami

if TYPE_CHECKING:
    from genesis.monitoring.alerts.dispatcher import AlertDispatcher
    from genesis.monitoring.alerts.outbox import Outbox
    from genesis.monitoring.alerts.rows import AlertRow, DeliveryRow

app = typer.Typer(no_args_is_help=True, help="Alerts: see, acknowledge, test, forward.")

_COLUMNS = [("id", "left"), ("level", "left"), ("at", "left"), ("source", "left")]
_COLUMNS += [("component", "left"), ("title", "left"), ("acknowledged", "left")]
_DELIVERIES = [("channel", "left"), ("as", "left"), ("state", "left"), ("attempts", "right")]
_DELIVERIES += [("at", "left"), ("why", "left")]
_TESTS = [("channel", "left"), ("kind", "left"), ("tells from", "left"), ("verdict", "left")]
_TESTS += [("took", "right")]

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of an alert, or its beginning.")]


@app.callback()
def alerts() -> None:
    """Alerts: see, acknowledge, test, forward."""


@app.command("list")
def list_(
    ctx: typer.Context,
    unacked: Annotated[
        bool, typer.Option("--unacked", help="Only what still asks for an acknowledgement.")
    ] = False,
    level: Annotated[
        str, typer.Option("--level", help="Least level: info, warning, high, critical, emergency.")
    ] = "info",
    suppressed: Annotated[
        bool, typer.Option("--suppressed", help="Also repetitions that were kept back.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Most alerts.")] = 50,
    as_json: Json = False,
) -> None:
    """List alerts, the latest first, and what became of all of them.

    Examples:

        genesis alerts list

        genesis alerts list --unacked --level critical

        genesis alerts list --suppressed -n 200 --json
    """
    from genesis.monitoring.alerts import queries
    from genesis.monitoring.alerts.levels import parse_level

    outbox = _outbox(ctx)
    found = queries.list_alerts(
        outbox, unacked=unacked, level=parse_level(level), suppressed=suppressed, limit=limit
    )
    sums, failing = queries.counts(outbox), queries.failing_channels(outbox)
    if as_json:
        channels = [{"channel": row.channel, "why": row.why} for row in failing]
        plain = [_plain(row) for row in found]
        render.emit({"alerts": plain, "counts": sums, "failing_channels": channels})
        return
    out = render.console()
    if found:
        out.print(render.table(_COLUMNS, [_cells(row) for row in found]))
    else:
        out.print("no alert meets that", markup=False)
    text = f"{sums['delivered']} delivered, {sums['suppressed']} kept back as repetitions, "
    text += f"{sums['pending']} pending; {sums['unacked']} not acknowledged"
    out.print(text, markup=False)
    for row in failing:
        out.print(f"channel {row.channel} fails: {row.why}", markup=False)


@app.command("show")
def show(ctx: typer.Context, alert_id: Id, as_json: Json = False) -> None:
    """Show an alert whole: its text, which channels told it and when, who acknowledged it.

    Examples:

        genesis alerts show ALR_20250131_120000_0000002a

        genesis alerts show ALR_20250131 --json
    """
    from genesis.monitoring.alerts.message import Message, instant
    from genesis.monitoring.alerts.queries import find_alert

    alert, deliveries = find_alert(_outbox(ctx), alert_id)
    if as_json:
        plain = _plain(alert) | {"deliveries": [_plain_delivery(row) for row in deliveries]}
        render.emit({"alert": plain})
        return
    out = render.console()
    message = Message.of(alert, alert.rank)
    out.print(alert.alert_id, markup=False)
    out.print(message.headline, markup=False)
    body = message.body if not alert.acked_ms else message.body.rpartition("\n")[0]
    out.print(whole(body), markup=False, soft_wrap=True)
    if alert.acked_ms:
        who = f"acknowledged by {alert.acked_by} at {instant(alert.acked_ms)}"
        out.print(f"{who}: {alert.ack_reason}", markup=False, soft_wrap=True)
    if not alert.told:
        out.print("kept back as a repetition; the next one that is told counts it", markup=False)
    elif deliveries:
        out.print(render.table(_DELIVERIES, [_delivery_cells(row) for row in deliveries]))
    else:
        out.print("no channel was asked yet: nothing runs that delivers alerts", markup=False)


@app.command("ack")
def ack(
    ctx: typer.Context,
    alert_ids: Annotated[
        list[str], typer.Argument(metavar="ID…", help="Ids of alerts, or their beginnings.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="What you know or do about it.")],
    same: Annotated[
        bool, typer.Option("--same", help="Also all open ones of the same component and title.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Acknowledge alerts: a person knows of them, and they escalate no further.

    Examples:

        genesis alerts ack ALR_20250131_120000_0000002a --reason "restarted the feed"

        genesis alerts ack ALR_20250131_120000_0000002a --same --reason "exchange maintenance"
    """
    from genesis.monitoring.alerts.queries import acknowledge, find_alert, open_like

    outbox = _outbox(ctx)
    done = acknowledge(outbox, alert_ids, whoami(), reason, same=same)
    left = sum(open_like(outbox, find_alert(outbox, one)[0]) for one in alert_ids)
    if as_json:
        render.emit({"acknowledged": [row.alert_id for row in done], "open_like_them": left})
        return
    out = render.console()
    for row in done:
        out.print(f"acknowledged {row.alert_id}: {row.title}", markup=False, soft_wrap=True)
    if not done:
        out.print("they were acknowledged already", markup=False)
    if left and not same:
        out.print(f"{left} more of the same are open; --same takes them along", markup=False)


@app.command("test")
def try_(
    ctx: typer.Context,
    channel: Annotated[
        str, typer.Option("--channel", metavar="NAME", help="Only this channel.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Send a test alert through each channel and say what happened.

    Exit code 1: a channel did not take it.

    Examples:

        genesis alerts test

        genesis alerts test --channel phone --json
    """
    from genesis.system.alerts import try_channels

    found = try_channels(home_of(ctx), channel)
    ok = all(one.delivered for one in found)
    if as_json:
        plain = [
            {
                "channel": one.channel,
                "kind": one.kind,
                "level": one.level,
                "delivered": one.delivered,
                "why": one.why,
                "took_ms": one.took_ms,
            }
            for one in found
        ]
        render.emit({"channels": plain}, ok=ok)
        return 0 if ok else 1
    rows = [
        (
            one.channel,
            one.kind,
            one.level,
            "delivered" if one.delivered else f"FAILED: {one.why}",
            render.duration(one.took_ms / 1000),
        )
        for one in found
    ]
    render.console().print(render.table(_TESTS, rows))
    return 0 if ok else 1


@app.command("watch")
def watch(
    ctx: typer.Context,
    run: Run = "",
    from_now: Annotated[
        bool, typer.Option("--from-now", help="Leave out what a new run's log holds already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Forward the alerts of a trading run, and all others of the workspace, until Ctrl-C.

    Each alert of the run is taken once, also if this command, or several, are started again.

    Examples:

        genesis alerts watch

        genesis alerts watch paper_20250131 --from-now
    """
    from genesis.monitoring.alerts.feed import AlertFeed
    from genesis.system.alerts import alerting
    from genesis.trading.run_folders import find_run

    home = home_of(ctx)
    folder = find_run(home, run)
    err = render.console(stderr=True)
    if not as_json:
        err.print(f"alerts of {folder.name} are forwarded (Ctrl-C ends it)", markup=False)
    with alerting(home, feeds=[AlertFeed(folder, from_now=from_now)]) as dispatcher:
        _until_interrupted(dispatcher)
    if as_json:
        health = dispatcher.health()
        render.emit({"run": folder.name, "trouble": health.trouble, "waiting": health.waiting})


def _until_interrupted(dispatcher: AlertDispatcher) -> None:
    """Wait for Ctrl-C, SIGTERM or SIGHUP."""
    import signal
    from types import FrameType

    ended = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        ended.set()

    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in ends}
    try:
        trouble = ""
        while not ended.wait(0.5):
            now = dispatcher.health().trouble
            if now and now != trouble:
                render.console(stderr=True).print(f"trouble: {now}", markup=False)
            trouble = now
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _outbox(ctx: typer.Context) -> Outbox:
    from genesis.monitoring.alerts.outbox import Outbox
    from genesis.system.clock import SystemClock

    home: Path = home_of(ctx)
    return Outbox(home, SystemClock())


def _plain(row: AlertRow) -> dict[str, Any]:
    return {
        "alert_id": row.alert_id,
        "level": row.level.word,
        "raised_level": row.raised_level,
        "component": row.component,
        "title": row.title,
        "text": row.text,
        "source": row.source,
        "source_seq": row.source_seq,
        "happened_ms": row.happened_ms,
        "entered_ms": row.entered_ms,
        "told": bool(row.told),
        "suppressed_before": row.suppressed,
        "acknowledged_ms": row.acked_ms or None,
        "acknowledged_by": row.acked_by,
        "reason": row.ack_reason,
    }


def _plain_delivery(row: DeliveryRow) -> dict[str, Any]:
    from genesis.monitoring.alerts.levels import AlertLevel

    return {
        "channel": row.channel,
        "level": AlertLevel(row.rank).word,
        "state": row.state,
        "attempts": row.attempts,
        "why": row.why,
        "instead_of": row.instead_of,
        "answered_ms": row.answered_ms or None,
    }


def _cells(row: AlertRow) -> tuple[str, ...]:
    from genesis.monitoring.alerts.message import instant

    level = row.level.word
    answer = row.acked_by if row.acked_ms else "no" if row.told and row.rank else "-"
    return (
        row.alert_id,
        level if level == row.raised_level else f"{level} (was {row.raised_level})",
        instant(row.happened_ms),
        row.source,
        row.component,
        row.title if row.told else f"{row.title} (kept back)",
        answer,
    )


def _delivery_cells(row: DeliveryRow) -> tuple[str, ...]:
    from genesis.monitoring.alerts.levels import AlertLevel
    from genesis.monitoring.alerts.message import instant

    name = f"{row.channel} (for {row.instead_of})" if row.instead_of else row.channel
    at = instant(row.answered_ms) if row.answered_ms else "-"
    return name, AlertLevel(row.rank).word, row.state, str(row.attempts), at, row.why
