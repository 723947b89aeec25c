"""Decisions put together: facts, rules, the log of operations, and what is done because of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.decision.rows import ENGINE
from genesis.system.retirements import finish_retirements, retire

if TYPE_CHECKING:
    from genesis.decision.calibration import Calibration
    from genesis.decision.decision import Decision
    from genesis.decision.operations import OperationsLog
    from genesis.decision.rules import DecisionRules
    from genesis.domain.clock import Clock
    from genesis.system.decision_facts import Facts
    from genesis.system.workspace import Workspace
    from genesis.trading.payloads import ReviewResolved


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision that was taken.

    Attributes
    ----------
    decision : Decision
    id : str
        On record; empty where it was not put there.
    done : tuple of str
        What was carried out because of it.
    note : str
        Why it is not on record, or what else should be known.
    expired : tuple of ReviewResolved
        Older reviews whose deadline had passed.
    """

    decision: Decision
    id: str = ""
    done: tuple[str, ...] = ()
    note: str = ""
    expired: tuple[ReviewResolved, ...] = ()


# ---- decisions -------------------------------------------------------------------------------


def calibration_now(workspace: Workspace) -> Calibration | None:
    """The calibration on record, None if there is none."""
    from genesis.decision.operations import read_operations
    from genesis.decision.review import calibration_of

    return calibration_of(read_operations(workspace.home))


def preview(
    workspace: Workspace,
    kind: str,
    facts: Facts,
    rules: DecisionRules,
    strategy: str,
    clock: Clock,
    note: str,
) -> Outcome:
    """Decide without putting anything on record or doing anything."""
    from genesis.decision.engine import decide

    decision = decide(
        kind,
        facts.context,
        rules,
        strategy=strategy,
        made_ms=clock.now_ms(),
        calibration=calibration_now(workspace),
    )
    return Outcome(decision, note=note)


def decide_now(
    workspace: Workspace,
    kind: str,
    facts: Facts,
    rules: DecisionRules,
    strategy: str,
    clock: Clock,
) -> Outcome:
    """Decide, put it on record, and do what it says where nobody has to look first.

    A shutdown that is certain sets the kill latch before anything else is waited for.

    Raises
    ------
    RefusedError
        If another command holds the log of operations for too long; the latch of a shutdown is
        set even so, and a retirement that was decided is carried out by the next such command.
    StorageError
        If the log cannot be written; the same.
    """
    from genesis.decision.engine import EMERGENCY, decide
    from genesis.decision.review import calibration_of, record

    done: list[str] = []
    if kind == EMERGENCY:
        first = decide(kind, facts.context, rules, made_ms=clock.now_ms())
        if first.acts and first.action == "shutdown":
            done += _shut_down(workspace, _why(first), clock)
    done += finish_retirements(workspace, clock)
    with _sitting(workspace, clock) as (log, expired):
        decision = decide(
            kind,
            facts.context,
            rules,
            strategy=strategy,
            made_ms=log.now_ms(),
            calibration=calibration_of(log.state),
        )
        made = record(log, decision)
    if decision.acts and kind != EMERGENCY:
        why = f"{made.decision}: {_why(decision)}"
        done += carry_out(workspace, kind, decision.value, why, clock)
    return Outcome(decision, made.decision, tuple(done), expired=tuple(expired))


def resolve_review(
    workspace: Workspace, name: str, *, approve: bool, who: str, reason: str, clock: Clock
) -> tuple[ReviewResolved, tuple[str, ...]]:
    """Resolve a review as a person says, and do what it allows.

    Returns
    -------
    resolved : ReviewResolved
    done : tuple of str
        What was carried out because of it.

    Raises
    ------
    InputError, RefusedError
        As `genesis.decision.review.resolve`.
    """
    from genesis.decision.review import find_decision, resolve

    done = finish_retirements(workspace, clock) if approve else []
    with _sitting(workspace, clock) as (log, _):
        resolved = resolve(log, name, approve=approve, who=who, reason=reason)
        kind = find_decision(log.state, resolved.decision).kind
    if not approve:  # what is left undone may be what is rejected
        done = finish_retirements(workspace, clock)
    why = f"{resolved.decision}, approved by {who}: {resolved.reason}"
    return resolved, (*done, *carry_out(workspace, kind, resolved.value, why, clock))


@contextmanager
def _sitting(
    workspace: Workspace, clock: Clock
) -> Iterator[tuple[OperationsLog, list[ReviewResolved]]]:
    """A sitting at the log that begins by ending reviews whose time is over."""
    from genesis.decision.operations import OperationsLog
    from genesis.decision.review import settle

    kinds: Mapping[str, str] = {}
    expired: list[ReviewResolved] = []
    try:
        with OperationsLog.open(workspace.home, clock) as log:
            expired += settle(log)
            kinds = {name: row.kind for name, row in log.state.decisions.items()}
            yield log, expired
    finally:
        for one in expired:  # also if what the sitting was for is refused
            why = f"{one.decision}: {one.reason}"
            carry_out(workspace, kinds[one.decision], one.value, why, clock)


def carry_out(
    workspace: Workspace, kind: str, value: Mapping[str, Any], why: str, clock: Clock
) -> list[str]:
    """Do what a decision says beyond what the log of operations itself makes of it.

    Returns
    -------
    list of str
        What was done, a line each.
    """
    if kind == "emergency_shutdown" and value.get("shutdown"):
        return _shut_down(workspace, why, clock)
    if kind == "strategy_retirement" and value.get("retire"):
        return retire(workspace, value["retire"], why, clock)
    return []


def _shut_down(workspace: Workspace, why: str, clock: Clock) -> list[str]:
    from genesis.system.kill import set_latch

    order, trouble = set_latch(workspace, why, ENGINE, clock)
    note = f"; not on record yet: {trouble}" if trouble else ""
    return [f"the kill latch is set: {order.text}{note}"]


def _why(decision: Decision) -> str:
    held = [reason.text for reason in decision.reasons if reason.holds]
    return "; ".join(held[:6]) or decision.action


# ---- calibration -----------------------------------------------------------------------------


def calibrate(workspace: Workspace, runs: Sequence[Path], rules: DecisionRules) -> Calibration:
    """Judge the decisions that each day of some runs would have led to, and fit to them.

    Raises
    ------
    InputError, RefusedError
        If a run holds no bar, or its log is damaged.
    """
    from genesis.decision.calibration import Judged, fit
    from genesis.decision.judging import decide_daily, judge
    from genesis.system.decision_facts import history_of

    judged: list[Judged] = []
    for folder in runs:
        history = history_of(workspace, folder)
        judged += judge(list(decide_daily(history, rules)), history, rules)
    return fit(judged)


def keep_calibration(workspace: Workspace, calibration: Calibration, clock: Clock) -> None:
    """Put a calibration on record.

    Raises
    ------
    InputError
        If there were too few decisions of every type.
    """
    from genesis.decision.review import record_calibration

    finish_retirements(workspace, clock)
    with _sitting(workspace, clock) as (log, _):
        record_calibration(log, calibration)
