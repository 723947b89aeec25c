"""Steps of the fold of operations: approvals, stages and capital of deployments, kills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from genesis.decision.rows import (
    CANDIDATE,
    PAPER,
    REAL,
    RETIRED,
    STAGES,
    ApprovalRow,
    DeploymentRow,
    KillRow,
)
from genesis.domain.errors import RefusedError
from genesis.domain.timeline import format_ts
from genesis.trading.events import Event
from genesis.trading.payloads import (
    ApprovalGranted,
    ApprovalUsed,
    CapitalAllocated,
    DeploymentChanged,
    KillLatched,
    Rearmed,
)

if TYPE_CHECKING:
    from genesis.decision.state import OperationsState


def granted(state: OperationsState, event: Event, data: ApprovalGranted) -> None:
    """A person allows one step, once."""
    if data.approval in state.approvals:
        raise RefusedError(f"there is an approval {data.approval} already")
    if data.token in state.tokens:
        raise RefusedError(
            "this approval was given before",
            why="an approval is used once; the same file or words count once",
            fix="write a new one",
        )
    if data.expires_ms <= event.ts_ms:
        raise RefusedError(f"the approval expired at {format_ts(data.expires_ms)}")
    state.tokens.add(data.token)
    state.approvals[data.approval] = ApprovalRow(data)


def used(state: OperationsState, event: Event, data: ApprovalUsed) -> None:
    """A deployment takes an approval for its step."""
    row = state.approvals.get(data.approval)
    if row is None:
        raise RefusedError(
            f"there is no approval {data.approval}", fix="genesis approve STRATEGY --stage STAGE"
        )
    if row.used_by:
        raise RefusedError(f"the approval {data.approval} was used by {row.used_by}")
    if row.granted.expires_ms < event.ts_ms:
        raise RefusedError(f"the approval expired at {format_ts(row.granted.expires_ms)}")
    state.approvals[data.approval] = msgspec.structs.replace(row, used_by=data.deployment)


def moved(state: OperationsState, event: Event, data: DeploymentChanged) -> None:
    """A deployment takes a step: from where it is, alone on its symbols, with what it needs."""
    row = state.deployments.get(data.deployment)
    _require_place(state, row, data)
    cap = row.cap if row is not None else None
    larger = data.to_stage in REAL and _rank(data.to_stage) > _rank(data.from_stage)
    if larger or (row is not None and row.stage in REAL and data.capital > row.capital):
        _require_free(state, data)
    if larger:
        approval = _approval_of(state, data)
        cap = approval.granted.max_usd
    if data.to_stage in REAL and (cap is None or data.capital > cap):
        allowed = "nothing" if cap is None else f"{cap:f} USD"
        raise RefusedError(
            f"{data.deployment} would get {data.capital:f} USD; {allowed} is approved"
        )
    if larger:
        state.approvals[data.approval] = msgspec.structs.replace(approval, spent=True)
    state.deployments[data.deployment] = DeploymentRow(
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


def _require_place(
    state: OperationsState, row: DeploymentRow | None, data: DeploymentChanged
) -> None:
    if data.to_stage not in STAGES:
        raise RefusedError(f"there is no stage {data.to_stage!r}", fix=f"use {', '.join(STAGES)}")
    now = row.stage if row is not None else ""
    if data.from_stage != now:
        raise RefusedError(
            f"{data.deployment} is {now or 'not deployed'}, not {data.from_stage or 'new'}",
            why="somebody else moved it in the meantime",
            fix="genesis deployments show tells by whom",
        )
    if row is None and data.to_stage not in (CANDIDATE, PAPER):
        raise RefusedError(f"a deployment begins as {CANDIDATE} or {PAPER}, not as {data.to_stage}")
    if row is not None and not _is_same(row, data):
        raise RefusedError(f"{data.deployment} keeps its strategy, account and symbols for life")
    if data.to_stage != RETIRED:
        _require_alone(state, data)


def _is_same(row: DeploymentRow, data: DeploymentChanged) -> bool:
    """Whether a step is of this deployment; one that was retired may begin anew on others."""
    anew = row.stage == RETIRED and data.to_stage == CANDIDATE
    same = (row.strategy, row.account) == (data.strategy, data.account)
    return same and (anew or row.symbols == data.symbols)


def _require_alone(state: OperationsState, data: DeploymentChanged) -> None:
    """Refuse a second deployment on a symbol of an account: the exchange nets positions."""
    if not data.account:
        return
    for other in state.active():
        if other.deployment == data.deployment or other.account != data.account:
            continue
        shared = sorted(set(other.symbols) & set(data.symbols))
        if shared:
            raise RefusedError(
                f"{other.deployment} trades {', '.join(shared)} on {data.account}",
                why="an exchange nets positions, so one deployment owns a symbol of an account",
                fix="retire it first, or use another account",
            )


def _require_free(state: OperationsState, data: DeploymentChanged) -> None:
    """Refuse more risk where an account is killed or an open decision holds the strategy."""
    kill = state.kill_of(data.account)
    if kill is not None:
        raise RefusedError(
            f"{data.account} is killed: {kill.reason}",
            why=f"by {kill.who} at {format_ts(kill.latched_ms)}",
            fix="genesis rearm",
        )
    held = state.hold_of(data.strategy)
    if held is not None:
        raise RefusedError(
            f"{data.strategy} may not add risk while {held.decision} is open",
            why=f"the decision on {held.kind} waits for a person",
            fix=f"genesis review show {held.decision}",
        )


def _approval_of(state: OperationsState, data: DeploymentChanged) -> ApprovalRow:
    """The approval that the step used; it serves one step."""
    row = state.approvals.get(data.approval)
    if row is None or row.used_by != data.deployment or row.spent:
        raise RefusedError(
            f"the step of {data.deployment} to {data.to_stage} has no approval of its own",
            why="each step towards more orders on an exchange needs one, used once",
            fix="genesis approve STRATEGY --stage STAGE",
        )
    granted = row.granted
    for name in ("strategy", "account", "symbols", "from_stage", "to_stage", "dossier_hash"):
        asked, allowed = getattr(data, name), getattr(granted, name)
        if asked != allowed:
            raise RefusedError(
                f"the approval {granted.approval} is for {name} {allowed}, not {asked}"
            )
    return row


def allocated(state: OperationsState, _: Event, data: CapitalAllocated) -> None:
    """Capital is divided anew, within what was approved."""
    for name, capital in data.capital.items():
        row = state.deployments.get(name)
        if row is None or row.stage == RETIRED:
            raise RefusedError(f"there is no active deployment {name}")
        if capital < 0:
            raise RefusedError(f"{name} cannot get {capital:f} USD")
        if row.cap is not None and capital > row.cap:
            raise RefusedError(f"{name} would get {capital:f} USD; {row.cap:f} USD is approved")
    for name, capital in data.capital.items():
        row = msgspec.structs.replace(state.deployments[name], capital=capital)
        state.deployments[name] = row


def killed(state: OperationsState, event: Event, data: KillLatched) -> None:
    """The kill latch is set."""
    row = KillRow(data.scope, data.who, data.reason, event.ts_ms)
    state.kills.setdefault(data.scope, row)  # a second kill changes nothing


def rearmed(state: OperationsState, _: Event, data: Rearmed) -> None:
    """A person takes the kill latch off."""
    if data.scope not in state.kills:
        raise RefusedError(f"no kill of {data.scope} is latched")
    if not data.reason.strip():
        raise RefusedError("re-arming needs a reason", fix="add --reason")
    del state.kills[data.scope]


def _rank(stage: str) -> int:
    """How much an exchange sees of a stage: a retired deployment comes back from the bottom."""
    return STAGES.index(stage) if stage in REAL else -1
