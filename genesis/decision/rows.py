"""Rows of the state of operations: decisions, approvals, deployments, kills."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from genesis.decision.grounds import RunRef
from genesis.trading.payloads import ApprovalGranted

CANDIDATE, PAPER, CANARY, RETIRED = "candidate", "paper", "canary", "retired"
STAGES: Final = (CANDIDATE, PAPER, CANARY, "live_25", "live_50", "live_100", RETIRED)
"""Stages of a deployment, in the order of a career."""
REAL: Final = STAGES[2:6]
"""Stages whose orders reach an exchange."""
ENGINE: Final = "decision engine"
"""Who does what an automatic decision says."""
OPEN, APPROVED, REJECTED, EXPIRED = "open", "approved", "rejected", "expired"
SUPERSEDED: Final = "superseded"
"""State of a review of what was done, once a later decision of the type took its place."""
EVERYTHING: Final = "all"
"""Scope of a kill that stops every account."""


class DecisionRow(msgspec.Struct, frozen=True):
    """A decision and what became of its review; ``state`` is empty where none was asked for.

    ``value`` is what it proposes, ``cautious`` what holds if nobody looks in time, ``source`` the
    run or file that its facts are from, ``log`` the log of that run as it was measured; None for
    a file, and in decisions of before this was kept.
    """

    seq: int
    made_ms: int
    decision: str
    kind: str
    strategy: str
    action: str
    acts: bool
    holds: tuple[str, ...]
    review: str
    urgency: str
    deadline_ms: int | None
    confidence: float
    value: Mapping[str, Any]
    cautious: Mapping[str, Any]
    cautious_action: str
    state: str
    who: str = ""
    reason: str = ""
    resolved_ms: int | None = None
    resolved_action: str = ""
    source: str = ""
    rules_hash: str = ""
    log: RunRef | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to look at it."""
        return self.state == OPEN

    def is_late(self, now_ms: int) -> bool:
        """Whether its review is open after its deadline."""
        return self.is_open and self.deadline_ms is not None and now_ms > self.deadline_ms

    def has_expired(self, now_ms: int) -> bool:
        """Whether nobody may approve or reject it any more: it waited, and its time is over."""
        return self.review == "before" and self.is_late(now_ms)


class ApprovalRow(msgspec.Struct, frozen=True):
    """An approval, and the deployment that used it (empty while none did)."""

    granted: ApprovalGranted
    used_by: str = ""
    spent: bool = False


class DeploymentRow(msgspec.Struct, frozen=True):
    """Where a deployment stands; ``cap`` is what its last approval allows, quote units."""

    deployment: str
    strategy: str
    account: str
    symbols: tuple[str, ...]
    stage: str
    capital: Decimal
    dossier_hash: str
    since_ms: int
    seq: int
    cap: Decimal | None = None

    @property
    def is_real(self) -> bool:
        """Whether its orders reach an exchange."""
        return self.stage in REAL


class InForce(msgspec.Struct, frozen=True):
    """What holds by the latest decision of a type that was carried out, approved or expired."""

    decision: str
    action: str
    value: Mapping[str, Any]
    since_ms: int


class KillRow(msgspec.Struct, frozen=True):
    """A kill latch that is set."""

    scope: str
    who: str
    reason: str
    latched_ms: int
