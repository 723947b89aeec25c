"""Steps of the fold of operations: decisions, their reviews, and calibrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from genesis.decision.grounds import RunRef
from genesis.decision.rows import (
    APPROVED,
    EXPIRED,
    OPEN,
    REJECTED,
    SUPERSEDED,
    DecisionRow,
    InForce,
)
from genesis.domain.errors import RefusedError
from genesis.domain.timeline import format_ts
from genesis.trading.events import Event
from genesis.trading.payloads import CalibrationFitted, DecisionMade, ReviewResolved

if TYPE_CHECKING:
    from genesis.decision.state import OperationsState


def decided(state: OperationsState, event: Event, data: DecisionMade) -> None:
    """A decision is on record, and holds at once if it was carried out."""
    if data.decision in state.decisions:
        raise RefusedError(f"there is a decision {data.decision} already")
    state.decisions[data.decision] = DecisionRow(
        seq=event.seq,
        made_ms=event.ts_ms,
        decision=data.decision,
        kind=data.kind,
        strategy=data.strategy,
        action=data.action,
        acts=data.acts,
        holds=data.holds,
        review=data.review,
        urgency=data.urgency,
        deadline_ms=data.deadline_ms,
        confidence=data.confidence,
        value=data.body.get("value", {}),
        cautious=data.body.get("cautious", {}),
        cautious_action=data.body.get("cautious_action", ""),
        state="" if data.review == "none" else OPEN,
        source=(data.body.get("context") or {}).get("source", ""),
        rules_hash=data.rules_hash,
        log=_log_of(data),
    )
    _supersede(state, data)
    if data.review != "none":
        state.open_names[data.decision] = None
    if data.acts:
        row = state.decisions[data.decision]
        state.in_force[data.kind, data.strategy] = InForce(
            data.decision, data.action, row.value, event.ts_ms
        )


def _log_of(data: DecisionMade) -> RunRef | None:
    """Log that the facts were measured on; None where there is none, or nothing that reads so."""
    plain = (data.body.get("context") or {}).get("log")
    try:
        return None if plain is None else msgspec.convert(plain, RunRef)
    except msgspec.ValidationError:
        return None


def _supersede(state: OperationsState, data: DecisionMade) -> None:
    """End the review of what an earlier decision did, once a later one took its place.

    One that waits is not ended so: its deadline must come, or what is decided daily would
    never be done. Nor is one that holds something back.
    """
    key = data.kind, data.strategy
    earlier = state.flags.get(key)
    if earlier is not None and state.decisions[earlier].is_open:
        row = state.decisions[earlier]
        state.decisions[earlier] = msgspec.structs.replace(row, state=SUPERSEDED)
        del state.open_names[earlier]
    if data.review == "flagged" and not data.holds:
        state.flags[key] = data.decision


def resolved(state: OperationsState, event: Event, data: ReviewResolved) -> None:
    """A review ends: by a person before its deadline, or by the rules after it."""
    row = state.decisions.get(data.decision)
    if row is None:
        raise RefusedError(f"there is no decision {data.decision}", fix="genesis review list")
    if not row.is_open:
        raise RefusedError(_resolved_already(row), fix="genesis review list shows what is open")
    late = row.has_expired(event.ts_ms)
    if data.resolution == EXPIRED and not late:
        raise RefusedError(f"the review of {data.decision} has not expired")
    if data.resolution != EXPIRED and late:
        assert row.deadline_ms is not None
        raise RefusedError(
            f"the review of {data.decision} ended at {format_ts(row.deadline_ms)}",
            why="what the rules say of an expired review holds now",
            fix="let the engine decide again: genesis decide",
        )
    if data.resolution not in (APPROVED, REJECTED, EXPIRED):
        raise RefusedError(f"a review is not resolved by {data.resolution!r}")
    state.decisions[data.decision] = msgspec.structs.replace(
        row,
        state=data.resolution,
        who=data.who,
        reason=data.reason,
        resolved_ms=event.ts_ms,
        resolved_action=data.action,
    )
    del state.open_names[data.decision]
    key = row.kind, row.strategy
    if data.resolution == REJECTED:
        # What was done is taken back only while it is what holds.
        if key in state.in_force and state.in_force[key].decision == row.decision:
            del state.in_force[key]
    elif data.action and not row.acts:
        state.in_force[key] = InForce(row.decision, data.action, data.value, event.ts_ms)


def calibrated(state: OperationsState, _: Event, data: CalibrationFitted) -> None:
    """Confidence is calibrated anew."""
    state.calibration = data


def _resolved_already(row: DecisionRow) -> str:
    if not row.state:
        return f"the decision {row.decision} asked for no review"
    when = f" at {format_ts(row.resolved_ms)}" if row.resolved_ms is not None else ""
    who = f" by {row.who}" if row.who else ""
    return f"the review of {row.decision} was {row.state}{who}{when}: {row.reason}"
