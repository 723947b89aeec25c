"""What the decision engine said of a strategy that is to leave paper, by the runs it traded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from genesis.decision.grounds import RunRef
from genesis.decision.rows import APPROVED, EXPIRED, REJECTED, DecisionRow
from genesis.decision.state import OperationsState
from genesis.domain.errors import RefusedError

KIND: Final = "new_strategy_approval"
APPROVE: Final = "approve"
"""Action of a decision of this kind that lets a strategy trade."""


def decision_on(
    state: OperationsState,
    strategy: str,
    runs: Sequence[RunRef],
    rules_hash: str,
    since_ms: int = 0,
) -> DecisionRow | None:
    """Decision on a strategy that answers for its evidence, None where the engine is to be asked.

    The latest one counts if it was taken on the newest run, whose log was then what it is now: what
    a run did later nobody has judged. On another run or another log it says nothing, but for a
    person's no: that holds until a person has it decided anew.

    Parameters
    ----------
    state : OperationsState
    strategy : str
    runs : sequence of RunRef
        Paper runs that are evidence, as they were measured, the newest first.
    rules_hash : str
        Rules that count: what was decided by others is no answer here.
    since_ms : int
        What was decided before says nothing any more.
    """
    found = latest_on(state, strategy, runs, rules_hash, since_ms)
    if found is None or not (found.log == runs[0] or found.state == REJECTED):
        return None
    return found


def latest_on(
    state: OperationsState,
    strategy: str,
    runs: Sequence[RunRef],
    rules_hash: str,
    since_ms: int = 0,
) -> DecisionRow | None:
    """Latest decision that was measured on one of some runs, however far that had come."""
    names = {one.run for one in runs}
    found = None
    for row in state.decisions.values():
        own = row.kind == KIND and row.strategy == strategy
        on_run = row.log is not None and row.log.run in names
        if own and on_run and row.rules_hash == rules_hash and row.made_ms >= since_ms:
            found = row
    return found


def standing_problem(state: OperationsState, row: DecisionRow) -> tuple[str, bool]:
    """Why a decision lets no orders out, and whether a person may still approve it.

    Returns
    -------
    problem : str
        Empty if it does: it approves, waits for nobody, and no later decision rejects or waits.
    waits : bool
        The review that it waits for is open.
    """
    if row.is_open and not row.acts:
        answer = row.action or "nothing: the engine failed"
        return f"it says {answer} and waits for a review", bool(row.action)
    if row.state == EXPIRED:
        return "nobody looked at its review in time", False
    if row.state == REJECTED:
        return f"its review was rejected by {row.who}: {row.reason}", False
    if row.action != APPROVE or not (row.acts or row.state == APPROVED):
        return f"it says {row.action or 'nothing'}", False
    holds = state.in_force.get((KIND, row.strategy))
    if holds is None or holds.action != APPROVE:
        later = f"{holds.decision}, which says {holds.action}" if holds is not None else "nothing"
        return f"what holds is {later}", False
    for other in (state.decisions[name] for name in state.open_names):
        own = (other.kind, other.strategy) == (KIND, row.strategy)
        if own and other.seq > row.seq and not other.acts:
            return f"a later decision waits for a review: {other.decision}", False
    return "", False


def require_standing(
    state: OperationsState, name: str, now_ms: int, reasons: Collection[str] = ()
) -> None:
    """Refuse a step that the decision on record does not carry.

    Parameters
    ----------
    state : OperationsState
    name : str
        The decision.
    now_ms : int
    reasons : collection of str
        Of the decision, to be told.

    Raises
    ------
    RefusedError
        Naming the decision, its reasons, and the command that goes on.
    """
    row = state.decisions[name]
    problem, waits = standing_problem(state, row)
    if not problem:
        return
    if waits and row.has_expired(now_ms):
        problem, waits = "nobody looked at its review in time", False
    again = f"genesis decide {KIND} --strategy {row.strategy} --from-run {row.source}"
    approves = waits and row.action == APPROVE
    raise RefusedError(
        f"the decision engine has not approved {row.strategy}: {name}",
        why="; ".join((problem, *reasons)),
        fix=f'genesis review approve {name} --reason "…"' if approves else f"ask again: {again}",
    )
