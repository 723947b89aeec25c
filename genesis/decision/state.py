"""What the log of operations adds up to: deployments, reviews, approvals, kills.

A pure fold, and the only judge of what may be written: an event that does not follow from the
state before it is refused, whoever writes it. So of two people who act on the same row the second
is told what the first did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Self

import msgspec

from genesis.decision.rows import (
    APPROVED,
    CANDIDATE,
    EVERYTHING,
    EXPIRED,
    OPEN,
    PAPER,
    REAL,
    REJECTED,
    RETIRED,
    STAGES,
    SUPERSEDED,
    ApprovalRow,
    DecisionRow,
    DeploymentRow,
    InForce,
    KillRow,
)
from genesis.domain.errors import RefusedError, StorageError
from genesis.domain.timeline import format_ts
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
    """

    def __init__(self) -> None:
        self.seq = 0
        self.decisions: dict[str, DecisionRow] = {}
        self.deployments: dict[str, DeploymentRow] = {}
        self.approvals: dict[str, ApprovalRow] = {}
        self.kills: dict[str, KillRow] = {}
        self.calibration: CalibrationFitted | None = None
        self.in_force: dict[tuple[str, str], InForce] = {}
        self._flagged: dict[tuple[str, str], str] = {}
        self._open: dict[str, None] = {}
        self._tokens: set[str] = set()

    def copy(self) -> Self:
        """State of its own; rows are frozen and shared."""
        other = type(self)()
        other.seq, other.calibration = self.seq, self.calibration
        other.decisions, other.deployments = dict(self.decisions), dict(self.deployments)
        other.approvals, other.kills = dict(self.approvals), dict(self.kills)
        other._tokens, other._flagged = set(self._tokens), dict(self._flagged)
        other.in_force, other._open = dict(self.in_force), dict(self._open)
        return other

    # ---- questions -------------------------------------------------------------------------

    def open_reviews(self) -> list[DecisionRow]:
        """Decisions that somebody has to look at, the most urgent first."""
        rows = [self.decisions[name] for name in self._open]
        return sorted(rows, key=lambda row: (row.deadline_ms is None, row.deadline_ms, row.seq))

    def hold_of(self, strategy: str) -> DecisionRow | None:
        """Open decision because of which a strategy may not add risk, if there is one."""
        for row in (self.decisions[name] for name in self._open):
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

    def _decided(self, event: Event, data: DecisionMade) -> None:
        if data.decision in self.decisions:
            raise _no(f"there is a decision {data.decision} already")
        self.decisions[data.decision] = DecisionRow(
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
        )
        self._supersede(data)
        if data.review != "none":
            self._open[data.decision] = None
        if data.acts:
            row = self.decisions[data.decision]
            self.in_force[data.kind, data.strategy] = InForce(
                data.decision, data.action, row.value, event.ts_ms
            )

    def _supersede(self, data: DecisionMade) -> None:
        """End the review of what an earlier decision did, once a later one took its place.

        One that waits is not ended so: its deadline must come, or what is decided daily would
        never be done. Nor is one that holds something back.
        """
        key = data.kind, data.strategy
        earlier = self._flagged.get(key)
        if earlier is not None and self.decisions[earlier].is_open:
            row = self.decisions[earlier]
            self.decisions[earlier] = msgspec.structs.replace(row, state=SUPERSEDED)
            del self._open[earlier]
        if data.review == "flagged" and not data.holds:
            self._flagged[key] = data.decision

    def _resolved(self, event: Event, data: ReviewResolved) -> None:
        row = self.decisions.get(data.decision)
        if row is None:
            raise _no(f"there is no decision {data.decision}", fix="genesis review list")
        if not row.is_open:
            raise _no(_resolved_already(row), fix="genesis review list shows what is open")
        late = row.has_expired(event.ts_ms)
        if data.resolution == EXPIRED and not late:
            raise _no(f"the review of {data.decision} has not expired")
        if data.resolution != EXPIRED and late:
            assert row.deadline_ms is not None
            raise _no(
                f"the review of {data.decision} ended at {format_ts(row.deadline_ms)}",
                why="what the rules say of an expired review holds now",
                fix="let the engine decide again: genesis decide",
            )
        if data.resolution not in (APPROVED, REJECTED, EXPIRED):
            raise _no(f"a review is not resolved by {data.resolution!r}")
        self.decisions[data.decision] = msgspec.structs.replace(
            row,
            state=data.resolution,
            who=data.who,
            reason=data.reason,
            resolved_ms=event.ts_ms,
            resolved_action=data.action,
        )
        del self._open[data.decision]
        key = row.kind, row.strategy
        if data.resolution == REJECTED:
            # What was done is taken back only while it is what holds.
            if key in self.in_force and self.in_force[key].decision == row.decision:
                del self.in_force[key]
        elif data.action and not row.acts:
            self.in_force[key] = InForce(row.decision, data.action, data.value, event.ts_ms)

    def _calibrated(self, _: Event, data: CalibrationFitted) -> None:
        self.calibration = data

    def _granted(self, event: Event, data: ApprovalGranted) -> None:
        if data.approval in self.approvals:
            raise _no(f"there is an approval {data.approval} already")
        if data.token in self._tokens:
            raise _no(
                "this approval was given before",
                why="an approval is used once; the same file or words count once",
                fix="write a new one",
            )
        if data.expires_ms <= event.ts_ms:
            raise _no(f"the approval expired at {format_ts(data.expires_ms)}")
        self._tokens.add(data.token)
        self.approvals[data.approval] = ApprovalRow(data, event.ts_ms)

    def _used(self, event: Event, data: ApprovalUsed) -> None:
        row = self.approvals.get(data.approval)
        if row is None:
            raise _no(f"there is no approval {data.approval}", fix="genesis approve STRATEGY")
        if row.used_by:
            raise _no(f"the approval {data.approval} was used by {row.used_by}")
        if row.granted.expires_ms < event.ts_ms:
            raise _no(f"the approval expired at {format_ts(row.granted.expires_ms)}")
        self.approvals[data.approval] = msgspec.structs.replace(row, used_by=data.deployment)

    def _moved(self, event: Event, data: DeploymentChanged) -> None:
        row = self.deployments.get(data.deployment)
        self._require_place(row, data)
        cap = row.cap if row is not None else None
        if data.to_stage in REAL and _rank(data.to_stage) > _rank(data.from_stage):
            cap = self._spend_approval(data)
        if data.to_stage in REAL and (cap is None or data.capital > cap):
            allowed = "nothing" if cap is None else f"{cap} USD"
            raise _no(f"{data.deployment} would get {data.capital} USD; {allowed} is approved")
        self.deployments[data.deployment] = DeploymentRow(
            deployment=data.deployment,
            strategy=data.strategy,
            account=data.account,
            symbols=data.symbols,
            stage=data.to_stage,
            capital=data.capital,
            dossier_hash=data.dossier_hash,
            since_ms=event.ts_ms,
            seq=event.seq,
            cap=cap if data.to_stage in REAL else None,
        )

    def _require_place(self, row: DeploymentRow | None, data: DeploymentChanged) -> None:
        if data.to_stage not in STAGES:
            raise _no(f"there is no stage {data.to_stage!r}", fix=f"use {', '.join(STAGES)}")
        now = row.stage if row is not None else ""
        if data.from_stage != now:
            raise _no(
                f"{data.deployment} is {now or 'not deployed'}, not {data.from_stage or 'new'}",
                why="somebody else moved it in the meantime",
                fix="genesis deployments show tells by whom",
            )
        if row is None and data.to_stage not in (CANDIDATE, PAPER):
            raise _no(f"a deployment begins as {CANDIDATE} or {PAPER}, not as {data.to_stage}")
        if row is not None and (row.strategy, row.account, row.symbols) != (
            data.strategy,
            data.account,
            data.symbols,
        ):
            raise _no(f"{data.deployment} keeps its strategy, account and symbols for life")
        if data.to_stage != RETIRED:
            self._require_alone(data)

    def _require_alone(self, data: DeploymentChanged) -> None:
        """Refuse a second deployment on a symbol of an account: the exchange nets positions."""
        if not data.account:
            return
        for other in self.active():
            if other.deployment == data.deployment or other.account != data.account:
                continue
            shared = sorted(set(other.symbols) & set(data.symbols))
            if shared:
                raise _no(
                    f"{other.deployment} trades {', '.join(shared)} on {data.account}",
                    why="an exchange nets positions, so one deployment owns a symbol of an account",
                    fix="retire it first, or use another account",
                )

    def _spend_approval(self, data: DeploymentChanged) -> Decimal:
        """Cap of the approval that the step used; an approval serves one step."""
        kill = self.kill_of(data.account)
        if kill is not None:
            raise _no(
                f"{data.account} is killed: {kill.reason}",
                why=f"by {kill.who} at {format_ts(kill.latched_ms)}",
                fix="genesis rearm",
            )
        row = self.approvals.get(data.approval)
        if row is None or row.used_by != data.deployment or row.spent:
            raise _no(
                f"the step of {data.deployment} to {data.to_stage} has no approval of its own",
                why="each step towards more orders on an exchange needs one, used once",
                fix="genesis approve STRATEGY",
            )
        granted = row.granted
        for name in ("strategy", "account", "symbols", "from_stage", "to_stage", "dossier_hash"):
            asked, allowed = getattr(data, name), getattr(granted, name)
            if asked != allowed:
                raise _no(f"the approval {granted.approval} is for {name} {allowed}, not {asked}")
        self.approvals[data.approval] = msgspec.structs.replace(row, spent=True)
        return granted.max_usd

    def _allocated(self, _: Event, data: CapitalAllocated) -> None:
        for name, capital in data.capital.items():
            row = self.deployments.get(name)
            if row is None or row.stage == RETIRED:
                raise _no(f"there is no active deployment {name}")
            if capital < 0:
                raise _no(f"{name} cannot get {capital} USD")
            if row.cap is not None and capital > row.cap:
                raise _no(f"{name} would get {capital} USD; {row.cap} USD is approved")
        for name, capital in data.capital.items():
            row = msgspec.structs.replace(self.deployments[name], capital=capital)
            self.deployments[name] = row

    def _killed(self, event: Event, data: KillLatched) -> None:
        row = KillRow(data.scope, data.who, data.reason, event.ts_ms)
        self.kills.setdefault(data.scope, row)  # a second kill changes nothing

    def _rearmed(self, _: Event, data: Rearmed) -> None:
        if data.scope not in self.kills:
            raise _no(f"no kill of {data.scope} is latched")
        if not data.reason.strip():
            raise _no("re-arming needs a reason", fix="add --reason")
        del self.kills[data.scope]


_STEPS: Final[Mapping[type[Any], Callable[[OperationsState, Event, Any], None]]] = {
    DecisionMade: OperationsState._decided,
    ReviewResolved: OperationsState._resolved,
    CalibrationFitted: OperationsState._calibrated,
    ApprovalGranted: OperationsState._granted,
    ApprovalUsed: OperationsState._used,
    DeploymentChanged: OperationsState._moved,
    CapitalAllocated: OperationsState._allocated,
    KillLatched: OperationsState._killed,
    Rearmed: OperationsState._rearmed,
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


def _rank(stage: str) -> int:
    """How much an exchange sees of a stage: a retired deployment comes back from the bottom."""
    return STAGES.index(stage) if stage in REAL else -1


def _resolved_already(row: DecisionRow) -> str:
    if not row.state:
        return f"the decision {row.decision} asked for no review"
    when = f" at {format_ts(row.resolved_ms)}" if row.resolved_ms is not None else ""
    who = f" by {row.who}" if row.who else ""
    return f"the review of {row.decision} was {row.state}{who}{when}: {row.reason}"


def _no(what: str, *, why: str = "", fix: str = "") -> RefusedError:
    return RefusedError(what, why=why, fix=fix)
