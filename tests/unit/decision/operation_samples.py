"""Payloads and sittings for the tests of the log of operations."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from genesis.decision.operations import OperationsLog
from genesis.domain.timeline import DAY_MS
from genesis.trading.payloads import (
    ApprovalGranted,
    ApprovalUsed,
    DecisionMade,
    DeploymentChanged,
    ReviewResolved,
)
from tests.unit.trading.event_samples import HandClock

NOW = 1_700_000_000_000
STRATEGY, ACCOUNT = "strat_0123456789ab", "0x" + "ab" * 20
DEPLOYMENT = f"{STRATEGY}@{ACCOUNT}"


def sitting(home: Path, clock: HandClock | None = None, **options: Any) -> OperationsLog:
    return OperationsLog.open(home, clock or HandClock(NOW), **options)


def decided(decision: str = "DEC_1", **changes: Any) -> DecisionMade:
    made = DecisionMade(
        decision=decision,
        kind="strategy_retirement",
        strategy=STRATEGY,
        action="retire",
        acts=False,
        holds=(),
        review="before",
        urgency="MEDIUM",
        deadline_ms=NOW + DAY_MS,
        confidence=0.8,
        rules_hash="00",
        body={},
    )
    return msgspec.structs.replace(made, **changes)


def resolved(decision: str = "DEC_1", **changes: Any) -> ReviewResolved:
    made = ReviewResolved(decision, "approved", "ann", "looks right")
    return msgspec.structs.replace(made, **changes)


def granted(approval: str = "APR_1", **changes: Any) -> ApprovalGranted:
    made = ApprovalGranted(
        approval=approval,
        strategy=STRATEGY,
        account=ACCOUNT,
        symbols=("BTC",),
        from_stage="paper",
        to_stage="canary",
        dossier_hash="d0",
        max_usd=Decimal(500),
        expires_ms=NOW + DAY_MS,
        form="file",
        token=f"token of {approval}",
        who="ann",
        reason="evidence is green",
    )
    return msgspec.structs.replace(made, **changes)


def used(approval: str = "APR_1", deployment: str = DEPLOYMENT) -> ApprovalUsed:
    return ApprovalUsed(approval, deployment)


def moved(from_stage: str, to_stage: str, **changes: Any) -> DeploymentChanged:
    made = DeploymentChanged(
        deployment=DEPLOYMENT,
        strategy=STRATEGY,
        account=ACCOUNT,
        symbols=("BTC",),
        from_stage=from_stage,
        to_stage=to_stage,
        capital=Decimal(500),
        dossier_hash="d0",
        approval="",
        who="ann",
        reason="test",
    )
    return msgspec.structs.replace(made, **changes)
