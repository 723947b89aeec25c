"""`genesis review`: decisions that a person has to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of
from genesis.cli.person import whoami

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genesis.decision.rows import DecisionRow

app = typer.Typer(
    no_args_is_help=True, help="Decisions that wait for a person, or want to be seen by one."
)

COLUMNS: Final = [
    ("decision", "left"), ("made", "left"), ("type", "left"), ("strategy", "left"),
    ("answer", "left"), ("confidence", "right"), ("review", "left"), ("due", "left"),
    ("state", "left"), ("by", "left"),
]  # fmt: skip

Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.")]
Decided = Annotated[
    str, typer.Argument(metavar="ID", help="Decision: its id, or the beginning or end of it.")
]


@app.command("list")
def list_reviews(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also those that are resolved.")] = False,
    as_json: Json = False,
) -> None:
    """List open reviews, the most urgent first.

    Examples:

        genesis review list

        genesis review list --all --json
    """
    from genesis.decision.operations import read_operations
    from genesis.system.clock import SystemClock

    state, now = read_operations(home_of(ctx)), SystemClock().now_ms()
    rows = state.open_reviews()
    if every:
        rows += [row for row in state.decisions.values() if row.state and not row.is_open]
    if as_json:
        render.emit({"reviews": [plain_row(row, now) for row in rows]})
        return
    out = render.console()
    if not rows:
        out.print("nothing to review")
        return
    out.print(render.table(COLUMNS, [cells(row, now) for row in rows]))
    for row in rows:
        if row.is_open and row.holds:
            held = ", ".join(row.holds)
            out.print(f"{row.decision} keeps from steps up: {held}", markup=False)
    out.print(whole("next       genesis review show ID"), markup=False)


@app.command("show")
def show(ctx: typer.Context, name: Decided, as_json: Json = False) -> None:
    """Show a decision with inputs, thresholds and reasons, and take it again from them.

    Examples:

        genesis review show DEC_20250131_120000_0000002a

        genesis review show 2a --json
    """
    from genesis.cli.decide import REVIEWS, show_decision
    from genesis.decision.engine import replay
    from genesis.decision.operations import read_event, read_operations
    from genesis.decision.review import find_decision
    from genesis.domain.errors import StorageError
    from genesis.system.clock import SystemClock
    from genesis.trading.payloads import DecisionMade

    home = home_of(ctx)
    row = find_decision(read_operations(home), name)
    event = read_event(home, row.seq)
    if event is None or not isinstance(event.data, DecisionMade):
        raise StorageError(f"event {row.seq} of the operations log is no decision")
    body = dict(event.data.body)
    same = body["context"] is not None and _content(replay(body).plain()) == _content(body)
    now = SystemClock().now_ms()
    if as_json:
        render.emit({"review": plain_row(row, now), "decision": body, "replays": same})
        return
    out = render.console()
    if body["context"] is not None:
        show_decision(replay(body), row.decision)
    else:
        out.print(f"decision   {row.kind} {row.strategy}  {row.decision}", markup=False)
        out.print(f"error      {body['error']}", markup=False)
        out.print(f"review     {REVIEWS[row.review]}", markup=False)
    out.print(f"replay     {'the same' if same else 'NOT the same'}", markup=False)
    if row.cautious_action and row.review == "before":
        late = f"{row.cautious_action} {dict(row.cautious)}"
        out.print(f"if late    {late}", markup=False)
    out.print(f"state      {_state(row, now)}", markup=False)
    if row.who:
        out.print(f"by         {row.who}: {row.reason}", markup=False)
    if row.is_open:
        for word in ("approve", "reject"):
            line = whole(f'genesis review {word} {row.decision} --reason "…"')
            out.print(f"next       {line}", markup=False)


@app.command("approve")
def approve(ctx: typer.Context, name: Decided, reason: Reason = "", as_json: Json = False) -> None:
    """Say that a decision stands; one that waited is carried out.

    Refused for a review that is resolved already, or whose deadline has passed.

    Examples:

        genesis review approve DEC_20250131_120000_0000002a --reason "seen the paper run"
    """
    _resolve(ctx, name, reason, approve=True, as_json=as_json)


@app.command("reject")
def reject(ctx: typer.Context, name: Decided, reason: Reason = "", as_json: Json = False) -> None:
    """Say that a decision does not stand: what waited never happens.

    A setting that was carried out is taken back. A kill stays: genesis rearm takes it away; a
    retired strategy stays retired.

    Examples:

        genesis review reject DEC_20250131_120000_0000002a --reason "the feed was wrong"
    """
    _resolve(ctx, name, reason, approve=False, as_json=as_json)


def _resolve(ctx: typer.Context, name: str, reason: str, *, approve: bool, as_json: bool) -> None:
    from genesis.system.clock import SystemClock
    from genesis.system.decisions import resolve_review
    from genesis.system.workspace import Workspace

    who = whoami()
    resolved, done = resolve_review(
        Workspace(home_of(ctx)),
        name,
        approve=approve,
        who=who,
        reason=reason,
        clock=SystemClock(),
    )
    if as_json:
        render.emit(
            {
                "decision": resolved.decision,
                "resolution": resolved.resolution,
                "who": resolved.who,
                "reason": resolved.reason,
                "action": resolved.action,
                "value": resolved.value,
                "done": done,
            }
        )
        return
    out = render.console()
    out.print(f"{resolved.decision} is {resolved.resolution} by {who}", markup=False)
    if resolved.action:
        out.print(f"from now on {resolved.action} {dict(resolved.value)}", markup=False)
    for line in done:
        out.print(f"done       {line}", markup=False)


def plain_row(row: DecisionRow, now_ms: int | None = None) -> dict[str, Any]:
    """A decision on record as JSON values."""
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(row)
    return plain if now_ms is None else plain | {"late": row.is_late(now_ms)}


def cells(row: DecisionRow, now_ms: int | None = None) -> list[str]:
    """A decision on record as the cells of `COLUMNS`."""
    from genesis.domain.timeline import format_ts

    return [
        row.decision,
        format_ts(row.made_ms),
        row.kind,
        row.strategy or "-",
        row.action or "none",
        f"{row.confidence:.2f}",
        row.review,
        "-" if row.deadline_ms is None else format_ts(row.deadline_ms),
        _state(row, now_ms),
        row.who or "-",
    ]


def _content(body: Mapping[str, Any]) -> Any:
    """What was decided and on what, without the words that tell of a rule: those may improve."""
    plain = render.plain(dict(body))
    for reason in plain["reasons"]:
        reason.pop("what", None)
        reason.pop("text", None)
    return plain


def _state(row: DecisionRow, now_ms: int | None) -> str:
    if now_ms is not None and row.has_expired(now_ms):
        return "expired"
    if now_ms is not None and row.is_late(now_ms):
        return "open, LATE"
    return row.state or "-"
