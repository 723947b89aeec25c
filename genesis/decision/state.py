"""What the log of operations adds up to: deployments, reviews, approvals, kills.

A pure fold, and the only judge of what may be written: an event that does not follow from the
state before it is refused, whoever writes it. So of two people who act on the same row the second
is told what the first did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from genesis.decision import deployment_steps, review_steps
from genesis.decision.rows import (
    EVERYTHING,
    RETIRED,
    ApprovalRow,
    DecisionRow,
    DeploymentRow,
    InForce,
    KillRow,
)
from genesis.domain.errors import RefusedError, StorageError
from genesis.trading.events import Event
from genesis.trading.payloads import (
    ApprovalGranted,
    ApprovalUsed,
    CalibrationFitted,
    CapitalAllocated,
    DecisionMade,
    DeploymentChanged,
    KillLatched,
    Rearmed,
    ReviewResolved,
)


class OperationsState:
    """State after some events of the log; made by `fold`.

    Attributes
    ----------
    seq : int
        Number of the last event, 0 before the first.
    decisions : dict of str to DecisionRow
    deployments : dict of str to DeploymentRow
    approvals : dict of str to ApprovalRow
    kills : dict of str to KillRow
        Latches that are set, by scope.
    calibration : CalibrationFitted or None
        Latest.
    in_force : dict of (kind, strategy) to InForce
        What the decisions add up to; ``strategy`` is empty where a type is about the account.
    open_names : dict of str to None
        Decisions whose review is open, in their order.
    flags : dict of (kind, strategy) to str
        Latest decision of a type that was carried out and flagged.
    tokens : set of str
        Of all approvals that were ever granted.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.decisions: dict[str, DecisionRow] = {}
        self.deployments: dict[str, DeploymentRow] = {}
        self.approvals: dict[str, ApprovalRow] = {}
        self.kills: dict[str, KillRow] = {}
        self.calibration: CalibrationFitted | None = None
        self.in_force: dict[tuple[str, str], InForce] = {}
        self.flags: dict[tuple[str, str], str] = {}
        self.open_names: dict[str, None] = {}
        self.tokens: set[str] = set()

    def copy(self) -> Self:
        """State of its own; rows are frozen and shared."""
        other = type(self)()
        other.seq, other.calibration = self.seq, self.calibration
        other.decisions, other.deployments = dict(self.decisions), dict(self.deployments)
        other.approvals, other.kills = dict(self.approvals), dict(self.kills)
        other.tokens, other.flags = set(self.tokens), dict(self.flags)
        other.in_force, other.open_names = dict(self.in_force), dict(self.open_names)
        return other

    # ---- questions -------------------------------------------------------------------------

    def open_reviews(self) -> list[DecisionRow]:
        """Decisions that somebody has to look at, the most urgent first."""
        rows = [self.decisions[name] for name in self.open_names]
        return sorted(rows, key=lambda row: (row.deadline_ms is None, row.deadline_ms, row.seq))

    def hold_of(self, strategy: str) -> DecisionRow | None:
        """Open decision because of which a strategy may not add risk, if there is one."""
        for row in (self.decisions[name] for name in self.open_names):
            if EVERYTHING in row.holds or strategy in row.holds:
                return row
        return None

    def active(self) -> list[DeploymentRow]:
        """Deployments that are not retired."""
        return [row for row in self.deployments.values() if row.stage != RETIRED]

    def kill_of(self, account: str) -> KillRow | None:
        """Latch that stops an account, if one is set."""
        return self.kills.get(EVERYTHING) or self.kills.get(account)

    # ---- the fold --------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in one event; an event of another kind changes nothing but ``seq``.

        Raises
        ------
        RefusedError
            If it does not follow from the state; nothing is changed then.
        """
        step = _STEPS.get(type(event.data))
        if step is not None:
            step(self, event, event.data)
        self.seq = event.seq


_STEPS: Final[Mapping[type[Any], Callable[[OperationsState, Event, Any], None]]] = {
    DecisionMade: review_steps.decided,
    ReviewResolved: review_steps.resolved,
    CalibrationFitted: review_steps.calibrated,
    ApprovalGranted: deployment_steps.granted,
    ApprovalUsed: deployment_steps.used,
    DeploymentChanged: deployment_steps.moved,
    CapitalAllocated: deployment_steps.allocated,
    KillLatched: deployment_steps.killed,
    Rearmed: deployment_steps.rearmed,
}


def fold(events: Iterable[Event]) -> OperationsState:
    """State after these events of a log, in its order.

    Raises
    ------
    StorageError
        If an event does not follow from those before it: nobody could have written it here.
    """
    state = OperationsState()
    for event in events:
        try:
            state.apply(event)
        except RefusedError as error:
            raise StorageError(
                f"event {event.seq} of the operations log contradicts the log before it",
                why=error.what,
                fix="restore WORKSPACE/operations from a backup: genesis did not write this",
            ) from error
    return state
