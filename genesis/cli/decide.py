"""`genesis decide`: ask the decision engine, and look at what it decided before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from genesis.cli import render
from genesis.cli.commands import whole
from genesis.cli.options import Json, home_of

if TYPE_CHECKING:
    from genesis.decision.decision import Decision
    from genesis.decision.rules import DecisionRules
    from genesis.system.decision_facts import Facts
    from genesis.system.decisions import Outcome
    from genesis.system.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True,
    help="Decide by rules what happens to strategies and risk, and who has to look first.",
)

TYPES: Final = {
    "strategy_pool_sizing": "How many strategies the capital carries.",
    "strategy_retirement": "Which strategies end, each by its own days in breach.",
    "new_strategy_approval": "Whether a strategy may trade, by its backtest and its days on paper.",
    "emergency_shutdown": "Whether everything stops. If so it is killed first, and reviewed later.",
    "risk_adjustment": "By what all position sizes are multiplied.",
    "trading_session_optimization": "Sizes, positions and risk of a session.",
}
_NOTES: Final = """
Facts come from a trading run (--from-run, else the latest) or from a file (--context). A run of
stored or simulated bars is not of now: except for an approval its decision is only shown, unless
--record is given. Nothing is decided without a valid rules file.

Exits with 0 whatever is decided, with 1 if the engine failed and a person has to decide.
"""

Rules = Annotated[
    Path | None, typer.Option("--rules", help="Rules file instead of configs/decision_rules.yaml.")
]


def _command(kind: str, sentence: str) -> Callable[..., None]:
    example = " --strategy strat_3fa9" if kind == "new_strategy_approval" else ""

    def ask(
        ctx: typer.Context,
        strategy: Annotated[
            str, typer.Option("--strategy", help="Id of a strategy, or its beginning.")
        ] = "",
        context: Annotated[
            Path | None, typer.Option("--context", help="JSON file of facts.")
        ] = None,
        from_run: Annotated[
            str | None, typer.Option("--from-run", metavar="RUN", help="Trading run of the facts.")
        ] = None,
        context_out: Annotated[
            Path | None, typer.Option("--context-out", help="Write the facts to a file as well.")
        ] = None,
        rules: Rules = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Decide, and neither record nor do anything.")
        ] = False,
        record: Annotated[
            bool, typer.Option("--record", help="Record and act also on a run that is not of now.")
        ] = False,
        as_json: Json = False,
    ) -> None:
        _decide(
            ctx, kind, strategy, context, from_run, context_out, rules, dry_run, record, as_json
        )

    ask.__doc__ = f"""{sentence}
{_NOTES}
    Examples:

        genesis decide {kind}{example}

        genesis decide {kind}{example} --from-run testnet-20250131-120000 --json

        genesis decide {kind}{example} --context facts.json --dry-run
    """
    return ask


for _kind, _sentence in TYPES.items():
    app.command(_kind)(_command(_kind, _sentence))


def _decide(
    ctx: typer.Context,
    kind: str,
    strategy: str,
    context: Path | None,
    from_run: str | None,
    context_out: Path | None,
    rules_file: Path | None,
    dry_run: bool,
    record: bool,
    as_json: bool,
) -> None:
    from genesis.decision.rules import load_rules
    from genesis.decision.strategy_approval import KIND as APPROVAL
    from genesis.domain.errors import InputError
    from genesis.system.clock import SystemClock
    from genesis.system.decision_facts import strategy_in
    from genesis.system.decisions import decide_now, preview
    from genesis.system.workspace import Workspace

    if dry_run and record:
        raise InputError("--dry-run and --record contradict each other", fix="leave one out")
    rules = load_rules(rules_file)
    workspace, clock = Workspace(home_of(ctx)), SystemClock()
    facts = _facts(workspace, context, from_run, rules)
    if context_out is not None:
        _write_context(context_out, facts)
    name = strategy_in(facts.context, kind, strategy)
    if facts.caveat and kind == APPROVAL:
        typer.echo(f"note: {facts.caveat}", err=True)
    if dry_run:
        outcome = preview(workspace, kind, facts, rules, name, clock, "--dry-run")
    elif not (facts.present or record or kind == APPROVAL):
        note = f"{facts.context.source} traded stored or simulated bars; --record records it"
        outcome = preview(workspace, kind, facts, rules, name, clock, note)
    else:
        outcome = decide_now(workspace.open(), kind, facts, rules, name, clock)
    _show(outcome, as_json=as_json)
    if outcome.decision.error:
        raise typer.Exit(1)


def _facts(
    workspace: Workspace, context: Path | None, from_run: str | None, rules: DecisionRules
) -> Facts:
    from genesis.decision.context import read_context
    from genesis.domain.errors import InputError
    from genesis.system.clock import SystemClock
    from genesis.system.decision_facts import Facts, facts_of_run

    if context is None:
        return facts_of_run(workspace, from_run or "", rules, SystemClock())
    if from_run is not None:
        raise InputError("--context and --from-run are both sources of facts", fix="give one")
    try:
        text = context.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {context}",
            why=str(error),
            fix="genesis decide TYPE --from-run RUN --context-out FILE writes one",
        ) from None
    return Facts(read_context(text, str(context)), present=True)


def _write_context(path: Path, facts: Facts) -> None:
    from genesis.decision.context import SCHEMA
    from genesis.evolution.files import write_json

    write_json(path, {"schema": SCHEMA, "context": facts.context.plain()})


def _show(outcome: Outcome, *, as_json: bool) -> None:
    decision = outcome.decision
    if as_json:
        render.emit(
            {
                "decision": outcome.id,
                "recorded": bool(outcome.id),
                "note": outcome.note,
                "done": outcome.done,
                "expired": [one.decision for one in outcome.expired],
                **_short(decision),
            },
            ok=not decision.error,
        )
        return
    out = render.console()
    show_decision(decision, outcome.id)
    for line in outcome.done:
        out.print(f"done       {line}", markup=False)
    for one in outcome.expired:
        what = one.action or "nothing changes"
        out.print(f"expired    {one.decision}: {what}", markup=False)
    if outcome.note:
        out.print(f"not on record: {outcome.note}", markup=False)
    if outcome.id and decision.review != "none":
        out.print(whole(f"next       genesis review show {outcome.id}"), markup=False)


def _short(decision: Decision) -> dict[str, Any]:
    """Decision without the rules, which its hash names."""
    plain = decision.plain()
    calibration = plain.pop("calibration")
    del plain["rules"]
    return plain | {"calibrated": calibration is not None}


def show_decision(decision: Decision, name: str) -> None:
    """Print a decision with its reasons, for a person."""
    from genesis.domain.timeline import format_ts

    out = render.console()
    value = ", ".join(f"{key} {_text(part)}" for key, part in decision.value.items())
    out.print(f"decision   {decision.kind} {decision.strategy}  {name}", markup=False)
    out.print(f"answer     {decision.action or 'none'}  {value}", markup=False)
    if decision.error:
        out.print(f"error      {decision.error}", markup=False)
    sure = f"{decision.confidence:.2f} ({decision.band})"
    if decision.calibration is not None and decision.confidence != decision.raw_confidence:
        sure += f", by the rules {decision.raw_confidence:.2f}"
    elif decision.calibration is None:
        sure += ", by the rules: nothing is calibrated yet"
    out.print(f"confidence {sure}", markup=False)
    due = "" if decision.deadline_ms is None else f", due {format_ts(decision.deadline_ms)}"
    out.print(f"review     {REVIEWS[decision.review]} ({decision.urgency}{due})", markup=False)
    if decision.holds:
        out.print(f"on hold    {', '.join(decision.holds)}: no step up until it", markup=False)
    for one in decision.missing:
        out.print(f"missing    {one}", markup=False)
    for reason in _telling(decision):
        out.print(f"  {reason}", markup=False)
    out.print(f"rules      {decision.rules.file.name} {decision.rules.hash[:12]}", markup=False)


REVIEWS: Final = {
    "none": "not needed",
    "flagged": "carried out, and flagged",
    "after": "carried out; somebody must look",
    "before": "nothing happens before somebody looked",
}


def _telling(decision: Decision) -> list[str]:
    """Reasons; of many strategies those alone about which there is something to say."""
    many = len(decision.reasons) > 12
    return [r.text for r in decision.reasons if not many or r.holds is not False or not r.strategy]


def _text(part: Any) -> str:
    if isinstance(part, (list, tuple)):
        return ", ".join(str(one) for one in part) or "none"
    return str(part)


@app.command("history")
def history(
    ctx: typer.Context,
    kind: Annotated[str, typer.Option("--type", help="Only decisions of this type.")] = "",
    strategy: Annotated[str, typer.Option("--strategy", help="Only about this strategy.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Latest so many.")] = 30,
    as_json: Json = False,
) -> None:
    """List the decisions on record, the latest at the end.

    Examples:

        genesis decide history

        genesis decide history --type strategy_retirement --limit 100 --json
    """
    from genesis.cli.review import COLUMNS, cells, plain_row
    from genesis.decision.operations import read_operations
    from genesis.domain.errors import InputError, did_you_mean

    if kind and kind.replace("-", "_") not in TYPES:
        raise InputError(
            f"unknown type of decision '{kind}'{did_you_mean(kind, TYPES)}",
            fix=f"use {', '.join(TYPES)}",
        )
    rows = [
        row
        for row in read_operations(home_of(ctx)).decisions.values()
        if kind.replace("-", "_") in ("", row.kind) and row.strategy.startswith(strategy)
    ][-limit:]
    if as_json:
        render.emit({"decisions": [plain_row(row) for row in rows]})
        return
    if not rows:
        render.console().print(whole("no decision on record: genesis decide --help"))
        return
    render.console().print(render.table(COLUMNS, [cells(row) for row in rows]))


@app.command("calibrate")
def calibrate(
    ctx: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN…", help="Trading runs whose days are judged.")
    ],
    rules: Rules = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the table.")] = False,
    as_json: Json = False,
) -> None:
    """Compare confidence with what came true on past days, and correct it from here on.

    Every day of the runs is decided as it would have been then. A decision is overturned if the
    same rule decides the opposite on the 30 days that follow. Types with fewer than 200 judged
    decisions keep the confidence of the rules.

    Examples:

        genesis decide calibrate replay-20250131-120000

        genesis decide calibrate replay-20250131-120000 --dry-run --json
    """
    from genesis.decision.rules import load_rules
    from genesis.system.clock import SystemClock
    from genesis.system.decisions import calibrate as fit_runs
    from genesis.system.decisions import keep_calibration
    from genesis.system.workspace import Workspace
    from genesis.trading.run_folders import find_run

    workspace = Workspace(home_of(ctx))
    folders = [find_run(workspace.home, name) for name in dict.fromkeys(runs)]
    fitted = fit_runs(workspace, folders, load_rules(rules))
    if not dry_run:
        keep_calibration(workspace, fitted, SystemClock())
    if as_json:
        plain = fitted.plain()
        render.emit({"hash": fitted.hash, "recorded": not dry_run, **plain})
        return
    out = render.console()
    columns = [("type", "left"), ("by the rules", "right"), ("decisions", "right"),
               ("not overturned", "right"), ("95 %", "left"), ("95 %, disjoint", "left"),
               ("from here on", "right")]  # fmt: skip
    body = [
        [
            kind,
            f"{one.confidence:.2f}",
            str(one.count),
            f"{one.frequency:.3f}",
            f"{one.low:.3f} to {one.high:.3f}",
            f"{one.low_apart:.3f} to {one.high_apart:.3f} ({one.apart})",
            f"{one.calibrated:.3f}",
        ]
        for kind, bins in fitted.types.items()
        for one in bins
    ]
    out.print(render.table(columns, body))
    missing = sorted(set(TYPES) - set(fitted.types))
    if missing:
        out.print(f"fewer than 200 decisions: {', '.join(missing)}", markup=False)
