"""`genesis events`: the log of a trading run: look, search, verify, archive, export."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genesis.cli import render
from genesis.cli.events_view import (
    COLUMNS,
    OPERATIONS,
    cells,
    json_line,
    log_folder,
    progress,
    text_line,
)
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from genesis.domain.errors import GenesisError
    from genesis.trading.events import Event
    from genesis.trading.store import Damage, EventReader, VerifyReport

app = typer.Typer(
    no_args_is_help=True, help="Look into, verify, archive and export the log of a trading run."
)

_POLL_S = 0.2


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of trading runs for shell completion."""
    from genesis.trading.run_folders import list_runs

    home = ctx.find_root().params.get("home") or Path(".genesis")
    return [path.name for path in list_runs(Path(home)) if path.name.startswith(incomplete)]


def complete_log(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of logs for shell completion: trading runs, and the log of operations."""
    own = [OPERATIONS] if OPERATIONS.startswith(incomplete) else []
    return [*complete_run(ctx, incomplete), *own]


def complete_type(incomplete: str) -> list[str]:
    """Event types for shell completion."""
    from genesis.trading.events import EventType

    return [kind.value for kind in EventType if kind.value.startswith(incomplete)]


Run = Annotated[
    str,
    typer.Argument(
        help="Trading run, or its beginning; else the last.", autocompletion=complete_run
    ),
]
Log = Annotated[
    str,
    typer.Argument(
        help="Trading run, or its beginning, or `operations`; else the last run.",
        autocompletion=complete_log,
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type", help="Event type; may be repeated: any of them.", autocompletion=complete_type
    ),
]
Aggregate = Annotated[
    str | None, typer.Option("--aggregate", help="What it is about: order, account/symbol, symbol.")
]
Correlation = Annotated[
    str | None, typer.Option("--correlation", help="Flow it belongs to: plan or origin.")
]
Since = Annotated[
    str | None, typer.Option("--since", help="Not before this instant, e.g. 2025-01-31T12:00.")
]
Until = Annotated[str | None, typer.Option("--until", help="Not after this instant.")]
First = Annotated[int, typer.Option("--from", min=1, help="First number.")]
Last = Annotated[int | None, typer.Option("--to", help="Last number.")]


@app.command("tail")
def tail(
    ctx: typer.Context,
    run: Log = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Events to show.")] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    types: Types = None,
    as_json: Json = False,
) -> None:
    """Show the latest events, and with -f those to come.

    With -f and --json each event is an object on a line of its own.

    Examples:

        genesis events tail

        genesis events tail paper_20250131 -f --type order_filled

        genesis events tail -n 5 --json
    """
    from genesis.trading.store import EventReader, plain_event

    folder = log_folder(home_of(ctx), run)
    with EventReader(folder) as reader:
        seen = reader.head.seq
        latest = list(reader.events(until=seen, types=types, limit=lines, newest_first=True))[::-1]
        if as_json and not follow:
            render.emit({"run": folder.name, "events": [plain_event(e) for e in latest]})
            return
        show = json_line if as_json else text_line(render.console())
        for event in latest:
            show(event)
        if follow:
            _follow(reader, seen, types, show)


@app.command("query")
def query(
    ctx: typer.Context,
    run: Log = "",
    types: Types = None,
    aggregate: Aggregate = None,
    correlation: Correlation = None,
    since: Since = None,
    until: Until = None,
    first: First = 1,
    last: Last = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most events to show.")] = 100,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin at the end.")] = False,
    as_json: Json = False,
) -> None:
    """Find events by type, by what they are about, by flow, time or number.

    Archived events are found too. All conditions must hold.

    Examples:

        genesis events query --type order_filled --type order_rejected

        genesis events query paper_20250131 --correlation TPL_20250131_120000_0000002a

        genesis events query --aggregate BTC --since 2025-01-31T12:00 --until 2025-01-31T13:00

        genesis events query --from 1000 --to 1010 --json
    """
    from genesis.trading.store import EventReader, plain_event

    folder = log_folder(home_of(ctx), run)
    conditions = _conditions(types, aggregate, correlation, since, until)
    with EventReader(folder) as reader:
        found = list(
            reader.events(first, last, **conditions, limit=limit + 1, newest_first=newest_first)
        )
    more, found = len(found) > limit, found[:limit]
    if as_json:
        events = [plain_event(event) for event in found]
        render.emit({"run": folder.name, "events": events, "more": more})
        return
    out = render.console()
    if not found:
        out.print(f"no event of {folder.name} meets all of that", markup=False)
        return
    out.print(render.table(COLUMNS, [cells(event) for event in found]))
    if more:
        out.print(f"the first {limit} are shown; --limit shows more", markup=False)


@app.command("verify")
def verify(ctx: typer.Context, run: Log = "", as_json: Json = False) -> int:
    """Check every link of the log's chain, its archived segments and its database.

    Exit code 3: the log is not what was written (edited, removed, reordered, cut, forged);
    1: it cannot be read. The first thing that is wrong is named, and where.

    Examples:

        genesis events verify

        genesis events verify paper_20250131 --json

        genesis events verify operations
    """
    import msgspec

    from genesis.trading import store

    folder = log_folder(home_of(ctx), run)
    with progress("verifying", quiet=as_json) as step:
        report = store.verify(folder, step)
    if report.damage is not None:
        error = _damage_error(folder.name, report, report.damage)
        if not as_json:
            raise error
        plain = msgspec.to_builtins(report)
        render.emit({"run": folder.name, "report": plain, **render.error_payload(error)}, ok=False)
        return error.exit_code
    if as_json:
        render.emit({"run": folder.name, "report": msgspec.to_builtins(report)})
        return 0
    segments = f", {report.segments} archived segments" if report.segments else ""
    text = f"{folder.name}: {report.events:,} events{segments}: every link of the chain holds"
    render.console().print(text, markup=False)
    return 0


@app.command("archive")
def archive(
    ctx: typer.Context,
    run: Run = "",
    before: Annotated[
        int | None, typer.Option("--before", min=1, help="Only events with a smaller number.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Only events recorded before this instant.")
    ] = None,
    segment: Annotated[
        int, typer.Option("--segment", min=1, help="Events a file; a part of one stays.")
    ] = 100_000,
    as_json: Json = False,
) -> None:
    """Move whole segments of old events into compressed files behind signed anchors.

    Every other command reads them as before. The run must not be trading meanwhile.

    Examples:

        genesis events archive paper_20250131

        genesis events archive --older-than 2025-01-01 --segment 20000
    """
    import msgspec

    from genesis.domain.timeline import parse_ts
    from genesis.system.clock import SystemClock
    from genesis.trading.run_folders import find_run
    from genesis.trading.store import EventReader, EventStore

    folder = find_run(home_of(ctx), run)
    older_than_ms = None if older_than is None else parse_ts(older_than)
    with EventReader(folder) as reader:
        name = reader.meta["run"]
    with (
        EventStore.open(folder, run=name, tables=[], clock=SystemClock()) as store,
        progress("archiving", quiet=as_json) as step,
    ):
        anchors = store.archive(
            before_seq=before, older_than_ms=older_than_ms, segment_events=segment, progress=step
        )
    if as_json:
        render.emit({"run": folder.name, "segments": [msgspec.to_builtins(a) for a in anchors]})
        return
    out = render.console()
    if not anchors:
        out.print(f"nothing to do: no {segment:,} events in a row are that old", markup=False)
        return
    first, last = anchors[0].first, anchors[-1].last
    text = f"events {first:,} to {last:,} are now in {len(anchors)} files of {folder / 'archive'}"
    out.print(text, markup=False, soft_wrap=True)


@app.command("export")
def export(
    ctx: typer.Context,
    run: Log = "",
    target: Annotated[
        Path | None, typer.Option("--out", help="File to write: NAME.jsonl or NAME.parquet.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    types: Types = None,
    aggregate: Aggregate = None,
    correlation: Correlation = None,
    since: Since = None,
    until: Until = None,
    first: First = 1,
    last: Last = None,
    as_json: Json = False,
) -> None:
    """Write events to a file that other programs read: JSON lines or Parquet.

    Examples:

        genesis events export --out events.jsonl

        genesis events export paper_20250131 --type order_filled --out fills.parquet
    """
    from genesis.trading.store import EventReader, export_events

    folder = log_folder(home_of(ctx), run)
    path = _export_path(target, folder.name, force=force)
    conditions = _conditions(types, aggregate, correlation, since, until)
    with EventReader(folder) as reader, progress("exporting", quiet=as_json) as step:
        total = reader.head.seq
        events = reader.events(first, last, **conditions)
        count = export_events(events, path, lambda done: step(done, total))
    if as_json:
        render.emit({"run": folder.name, "events": count, "path": str(path)})
        return
    render.console().print(f"{count:,} events written to {path}", markup=False, soft_wrap=True)


# ---- what comes ----------------------------------------------------------------------------


def _follow(
    reader: EventReader, seen: int, types: list[str] | None, show: Callable[[Event], None]
) -> None:
    """Show what comes, until the user has seen enough."""
    try:
        while True:
            _pause()
            head = reader.head.seq
            if head == seen:
                continue
            for event in reader.events(seen + 1, head, types=types):
                show(event)
            seen = head
    except KeyboardInterrupt:
        return


def _pause() -> None:
    time.sleep(_POLL_S)


# ---- what was asked ------------------------------------------------------------------------


def _conditions(
    types: list[str] | None,
    aggregate: str | None,
    correlation: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    from genesis.domain.timeline import parse_ts
    from genesis.trading.store.selection import type_names

    return {
        "types": type_names(types) or None,
        "aggregate": aggregate,
        "correlation": correlation,
        "since_ms": None if since is None else parse_ts(since),
        "until_ms": None if until is None else parse_ts(until),
    }


def _export_path(target: Path | None, run: str, *, force: bool) -> Path:
    from genesis.domain.errors import InputError

    if target is None:
        raise InputError(
            "where to write is not said", fix=f"genesis events export {run} --out {run}.jsonl"
        )
    path = target.expanduser().absolute()
    if path.suffix not in (".jsonl", ".parquet"):
        raise InputError(
            f"{target} ends neither in .jsonl nor in .parquet",
            why="the ending says which format is meant",
            fix=f"genesis events export {run} --out {target.with_suffix('.jsonl')}",
        )
    if path.exists() and not force:
        raise InputError(f"{target} is there already", fix="choose another name, or add --force")
    return path


def _damage_error(run: str, report: VerifyReport, damage: Damage) -> GenesisError:
    from genesis.domain.errors import RefusedError, StorageError
    from genesis.trading.store import Fault

    kind = StorageError if damage.fault is Fault.CORRUPT else RefusedError
    where = "file" if damage.seq == 0 else f"event {damage.seq}"
    sound = f"; the {report.events:,} events before it are sound" if report.events else ""
    return kind(
        f"the log of {run} is damaged ({damage.fault.value} {where}): {damage.text}",
        why=f"in {damage.file}{sound}",
        fix="restore the run's folder, and the key beside it, from a backup",
    )
