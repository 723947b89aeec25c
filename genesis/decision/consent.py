"""Consent to a step: what was typed, or a file of one use, compared with the step that wants it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from genesis.decision.approvals import (
    FILE,
    LIFE_MS,
    TYPED,
    Approval,
    Uptime,
    require_bound,
    require_in_time,
    require_typed,
    usd_text,
)
from genesis.decision.grounds import Grounds
from genesis.decision.operations import Draft, OperationsLog
from genesis.decision.ports import Consent, Standing, Wish
from genesis.decision.stages import Step
from genesis.decision.state import OperationsState
from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError
from genesis.trading.payloads import ApprovalGranted, ApprovalUsed


@dataclass(frozen=True, slots=True)
class Token:
    """What makes an approval the only one of its kind.

    Attributes
    ----------
    nonce : callable
        Gives 64 hexadecimal digits that nobody can guess.
    uptime : Uptime
    now_ms : callable
        The machine's clock, which somebody may have set.
    """

    nonce: Callable[[], str]
    uptime: Uptime
    now_ms: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step with what it rests on, measured before the log is held."""

    wish: Wish
    seen_seq: int
    to: str
    step: Step
    standing: Standing | None
    grounds: Grounds
    symbols: tuple[str, ...]
    reason: str


def consented(
    log: OperationsLog,
    state: OperationsState,
    one: Prepared,
    stage: str,
    who: str,
    consent: Consent,
    drafts: list[Draft],
    token: Token,
) -> str:
    """Id of the approval; adds the rows that grant and use it."""
    assert one.standing is not None
    if consent.file is not None:
        _require_granted(state, one, stage, consent.file, token)
        name = consent.file.approval
    elif consent.typed:
        require_typed(consent.typed, one.wish.account, one.grounds.cap)
        granted = _typed(log, one, stage, who, consent.typed, token)
        drafts.append(Draft(granted, one.wish.id))
        name = granted.approval
    else:
        raise RefusedError(
            f"the step to {one.to} needs an approval",
            why="it can send more orders to an exchange",
            fix=f"type it on a terminal, or genesis approve {one.wish.strategy}"
            f" --stage {one.to} --account {one.wish.account} --target {one.wish.target}"
            f" --cap {usd_text(one.grounds.cap)}, then add --approval FILE",
        )
    drafts.append(Draft(ApprovalUsed(name, one.wish.id), one.wish.id))
    return name


def _require_granted(
    state: OperationsState,
    one: Prepared,
    stage: str,
    file: Approval,
    token: Token,
) -> None:
    row = state.approvals.get(file.approval)
    if row is None or row.granted.form != FILE or row.granted.token != file.token:
        raise RefusedError(
            "nobody granted this approval as it is",
            why="its content fits no row of the log of operations: it was edited or invented",
            fix="write a new one: genesis approve STRATEGY --stage STAGE",
        )
    if row.used_by:
        raise RefusedError(
            f"the approval {file.approval} was used already, by {row.used_by}",
            why="an approval is used once",
            fix="write a new one: genesis approve STRATEGY --stage STAGE",
        )
    assert one.standing is not None
    wanted = {
        "strategy": one.wish.strategy,
        "account": one.wish.account,
        "target": one.wish.target.value,
        "symbols": one.symbols,
        "from_stage": stage,
        "to_stage": one.to,
        "max_usd": usd_text(one.grounds.cap),
        "dossier_hash": one.standing.dossier_hash,
        "gates_hash": one.standing.gates.promotion_hash,
    }
    require_bound(file, wanted)
    require_in_time(file, token.now_ms(), token.uptime)
    # The log itself refuses what is over by its own time, which never goes back.


def _typed(
    log: OperationsLog, one: Prepared, stage: str, who: str, typed: str, token: Token
) -> ApprovalGranted:
    assert one.standing is not None
    now = log.now_ms()
    return ApprovalGranted(
        approval=log.new_id("APR"),
        strategy=one.wish.strategy,
        account=one.wish.account,
        symbols=one.symbols,
        from_stage=stage,
        to_stage=one.to,
        dossier_hash=one.standing.dossier_hash,
        max_usd=one.grounds.cap,
        expires_ms=now + LIFE_MS,
        form=TYPED,
        token=content_hash({"typed": typed.strip(), "nonce": token.nonce(), "ms": now}),
        who=who,
        reason=one.reason,
        target=one.wish.target.value,
        gates_hash=one.standing.gates.promotion_hash,
    )
