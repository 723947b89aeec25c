"""Reviews: decisions on record, who looked at them, and what holds when nobody did."""

from __future__ import annotations

from typing import Final

from genesis.decision.calibration import Calibration
from genesis.decision.decision import Decision
from genesis.decision.operations import Draft, OperationsLog
from genesis.decision.rows import APPROVED, EXPIRED, REJECTED, DecisionRow
from genesis.decision.state import OperationsState
from genesis.domain.errors import InputError, StorageError
from genesis.trading.events import Event
from genesis.trading.payloads import CalibrationFitted, DecisionMade, ReviewResolved

CLOCKWORK: Final = "decision rules"
"""Who resolves a review whose deadline has passed."""


def record(log: OperationsLog, decision: Decision) -> DecisionMade:
    """Put a decision on record, with everything needed to take it again.

    Raises
    ------
    StorageError
        If it cannot be stored: then nothing may be done because of it.
    """
    name = log.new_id("DEC")
    made = DecisionMade(
        decision=name,
        kind=decision.kind,
        strategy=decision.strategy,
        action=decision.action,
        acts=decision.acts,
        holds=decision.holds,
        review=decision.review,
        urgency=decision.urgency,
        deadline_ms=decision.deadline_ms,
        confidence=decision.confidence,
        rules_hash=decision.rules.hash,
        body=decision.plain(),
    )
    log.append(made, aggregate=name, correlation=decision.strategy or decision.kind)
    return made


def settle(log: OperationsLog) -> list[ReviewResolved]:
    """End the reviews whose deadline has passed; what the rules say of that holds from here on.

    Raises
    ------
    StorageError
    """
    now = log.now_ms()
    ended = [
        ReviewResolved(
            decision=row.decision,
            resolution=EXPIRED,
            who=CLOCKWORK,
            reason="nobody looked in time",
            action=row.cautious_action,
            value=row.cautious,
        )
        for row in log.state.open_reviews()
        if row.has_expired(now)
    ]
    if ended:
        log.append_all([_draft(one) for one in ended])
    return ended


def resolve(
    log: OperationsLog, name: str, *, approve: bool, who: str, reason: str
) -> ReviewResolved:
    """Resolve a review as a person says.

    Parameters
    ----------
    log : OperationsLog
    name : str
        Id of the decision, or its beginning or end where that is unique among those on record.
    approve : bool
        Whether the decision stands.
    who, reason : str
        For the record; neither may be empty.

    Raises
    ------
    InputError
        If there is no such decision, or no reason.
    RefusedError
        If it is resolved already, was not to be reviewed, or its deadline has passed.
    """
    if not reason.strip() or not who.strip():
        raise InputError("no reason given", fix='add --reason "…": it stays on record')
    row = find_decision(log.state, name)
    waited = approve and not row.acts
    resolved = ReviewResolved(
        decision=row.decision,
        resolution=APPROVED if approve else REJECTED,
        who=who,
        reason=reason.strip(),
        action=row.action if waited else "",
        value=row.value if waited else {},
    )
    log.append_all([_draft(resolved)])
    return resolved


def _draft(resolved: ReviewResolved) -> Draft:
    return Draft(resolved, resolved.decision, resolved.decision)


def find_decision(state: OperationsState, name: str) -> DecisionRow:
    """Decision by its id, or the beginning or the end of it.

    Raises
    ------
    InputError
        If none fits, or several.
    """
    rows = state.decisions
    if name in rows:
        return rows[name]
    wanted = name.strip()
    fitting = [one for one in rows if wanted and (one.startswith(wanted) or one.endswith(wanted))]
    if len(fitting) == 1:
        return rows[fitting[0]]
    if fitting:
        raise InputError(
            f"{name!r} fits {len(fitting)} decisions",
            why=", ".join(fitting[-5:]),
            fix="write more of it",
        )
    raise InputError(f"there is no decision {name!r}", fix="genesis decide history shows them")


def calibration_of(state: OperationsState) -> Calibration | None:
    """The calibration that decisions use from here on, None while nothing was fitted.

    Raises
    ------
    StorageError
        If the stored one is not what its hash says.
    """
    stored = state.calibration
    if stored is None:
        return None
    calibration = Calibration.from_plain(stored.body)
    if calibration.hash != stored.calibration:
        raise StorageError("the stored calibration is not what its hash says")
    return calibration


def record_calibration(log: OperationsLog, calibration: Calibration) -> Event:
    """Put a calibration on record: decisions use it from here on.

    Raises
    ------
    InputError
        If it covers no type.
    """
    if not calibration.types:
        raise InputError(
            "there are too few judged decisions to calibrate any type",
            fix="decide on more days; until then the rules' own confidence is used",
        )
    fitted = CalibrationFitted(calibration.hash, calibration.decisions, calibration.plain())
    return log.append(fitted, aggregate="calibration")
