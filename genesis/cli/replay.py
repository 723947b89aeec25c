"""`genesis replay`: the state of a trading run at any event, and whether its log leads there."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.options import Json, home_of


def replay(
    ctx: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Id of a run; the latest by default.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="SEQ|TIME", help="Last event to handle: time travel."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="SEQ|TIME", help="With --publish: where to begin."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Fail unless everything equals the log.")
    ] = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Print every event again as a JSON line.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Handle the log of a trading run again, without acting, and compare it with what is stored.

    Each event that the core emits is compared with the stored one, byte by byte, and the state at
    the end with the state that the run ended with. With --until the state at that event is shown.

    Examples:

        genesis replay --verify

        genesis replay replay-20250131-120000 --until 15000

        genesis replay --publish --from 2024-03-01T00:00 --until 2024-03-02
    """
    from genesis.domain.errors import InputError, RefusedError
    from genesis.system.paper import find_run
    from genesis.system.replays import replay_run, state_summary
    from genesis.system.workspace import Workspace
    from genesis.trading.store import plain_event

    if publish and as_json:
        raise InputError(
            "--publish cannot be combined with --json", fix="--publish prints JSON lines already"
        )
    if since is not None and not publish:
        raise InputError(
            "--from goes with --publish alone",
            why="a state is always folded from the first event",
            fix="add --publish, or leave --from out",
        )
    folder = find_run(Workspace(home_of(ctx)), run)
    out = render.console(stderr=as_json or publish)
    with _Progress(out) as progress:
        found = replay_run(
            folder,
            until=until,
            since=since,
            publish=(lambda event: _print_line(plain_event(event))) if publish else None,
            told=progress.told,
        )
    payload = {
        "run": found.run,
        "until": found.until,
        "events": found.events,
        "state_hash": found.state_hash,
        "expected": found.expected,
        "equal": found.equal,
        "pending": found.pending,
        "divergences": [{"seq": d.seq, "what": d.what} for d in found.divergences],
        "state": state_summary(found.core),
    }
    if verify and not found.equal:
        first = found.divergences[0] if found.divergences else None
        raise RefusedError(
            f"the log of {found.run} does not lead to what is stored",
            why=f"event {first.seq}: {first.what}"
            if first
            else f"state {found.state_hash[:12]}, stored {found.expected[:12]}",
            fix=f"genesis events verify {found.run} tells whether the log was changed; "
            "else use the build that wrote it",
        )
    if as_json:
        render.emit({"replay": payload}, ok=True)
    elif not publish:
        _show(payload)


def _print_line(value: dict[str, Any]) -> None:
    import json

    sys.stdout.write(json.dumps(render.plain(value), ensure_ascii=False) + "\n")


def _show(payload: dict[str, Any]) -> None:
    out = render.console()
    state = payload["state"]
    columns = [("account", "left"), ("cash", "right"), ("equity", "right"), ("fees", "right")]
    rows = [
        (a["account"], *(f"{float(a[k]):,.2f}" for k in ("cash", "equity", "fees")))
        for a in state["accounts"]
    ]
    out.print(render.table(columns, rows, title=f"state after event {payload['until']:,}"))
    for held in state["positions"]:
        out.print(
            f"position {held['account']} {held['symbol']} {held['size']} at {held['entry']}",
            markup=False,
        )
    for order in state["orders"]:
        out.print(
            f"order    {order['order']} {order['purpose']} {order['side']} {order['size']} "
            f"{order['symbol']} at {order['price'] or 'market'}: {order['state']}",
            markup=False,
        )
    for scope, why in state["halts"].items():
        out.print(f"halted   {scope}: {why}", markup=False)
    same = "every emitted event equals the log" if not payload["divergences"] else "DIFFERS"
    out.print(f"{payload['events']:,} events; {same}; state {payload['state_hash'][:12]}")
    for one in payload["divergences"][:10]:
        out.print(f"event {one['seq']}: {one['what']}", markup=False)
    if payload["expected"]:
        agrees = payload["expected"] == payload["state_hash"]
        words = "is the state that the run ended with" if agrees else "is NOT the run's"
        out.print(f"that {words}")
    if payload["pending"]:
        out.print(f"{payload['pending']} emissions were not stored before the run stopped")


class _Progress:
    """A bar on a terminal, nothing elsewhere: a replay takes seconds."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> _Progress:
        if self._out.is_terminal:
            from rich.progress import Progress

            self._bar = Progress(console=self._out, transient=True)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def told(self, done: int, total: int) -> None:
        """Show how far the replay is."""
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("replaying", total=total)
        self._bar.update(self._task, completed=done)
