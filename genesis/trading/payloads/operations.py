"""Operations: decisions, reviews, approvals, stages and kills, the log of the workspace.

They live in ``WORKSPACE/operations``, not in the log of a run: a strategy outlives its runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from genesis.trading.events import EventType, Payload


class DecisionMade(Payload, frozen=True):
    """The decision engine answered; ``body`` is the whole answer, which can be computed again.

    Attributes
    ----------
    decision : str
        Its id.
    kind : str
        Type of the decision, such as ``strategy_retirement``.
    strategy : str
        Strategy that it was asked about, empty where it is about the whole account.
    action : str
        What was decided, in a word; empty after an error of the engine.
    acts : bool
        It was carried out at once.
    holds : tuple of str
        Strategies that may not add risk until its review is resolved; ``all`` means everything.
    review : str
        ``none``, ``flagged`` (acted, to be looked at), ``after`` (acted, must be looked at) or
        ``before`` (acts only if a person approves).
    urgency : str
        ``LOW``, ``MEDIUM``, ``HIGH`` or ``CRITICAL``.
    deadline_ms : int or None
        When the review is due, None for no deadline.
    confidence : float
        Between 0 and 1, calibrated where it could be.
    rules_hash : str
    body : mapping
    """

    type: ClassVar[EventType] = EventType.DECISION_MADE
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
    rules_hash: str
    body: Mapping[str, Any]


class ReviewResolved(Payload, frozen=True):
    """A review ended: ``approved`` or ``rejected`` by a person, or ``expired``.

    ``action`` and ``value`` are what holds from now on; both are empty where nothing changes.
    """

    type: ClassVar[EventType] = EventType.REVIEW_RESOLVED
    decision: str
    resolution: str
    who: str
    reason: str
    action: str = ""
    value: Mapping[str, Any] = msgspec.field(default_factory=dict)


class CalibrationFitted(Payload, frozen=True):
    """Confidence was compared with what came true; decisions from here on use ``body``."""

    type: ClassVar[EventType] = EventType.CALIBRATION_FITTED
    calibration: str
    decisions: int
    body: Mapping[str, Any]


class ApprovalGranted(Payload, frozen=True):
    """A person allows one step of one strategy, once.

    Attributes
    ----------
    approval : str
        Its id.
    strategy, account : str
    symbols : tuple of str
    from_stage, to_stage : str
        The step that it allows.
    dossier_hash : str
        Evidence that the person looked at.
    max_usd : Decimal
        Cap on the capital of the deployment.
    expires_ms : int
        Last instant at which it may be used.
    form : str
        ``typed`` or ``file``.
    token : str
        Hash of the file, or of what was typed: the same may not be granted twice.
    who, reason : str
    target : str
        Exchange that it is for: ``loopback``, ``testnet`` or ``mainnet``.
    gates_hash : str
        Gates of promotion that were in force.
    """

    type: ClassVar[EventType] = EventType.APPROVAL_GRANTED
    approval: str
    strategy: str
    account: str
    symbols: tuple[str, ...]
    from_stage: str
    to_stage: str
    dossier_hash: str
    max_usd: Decimal
    expires_ms: int
    form: str
    token: str
    who: str
    reason: str
    target: str = ""
    gates_hash: str = ""


class ApprovalUsed(Payload, frozen=True):
    """An approval was used up by a deployment, in the same transaction as the step."""

    type: ClassVar[EventType] = EventType.APPROVAL_USED
    approval: str
    deployment: str


class DeploymentChanged(Payload, frozen=True):
    """A deployment moved from one stage to another; ``from_stage`` is empty for a new one.

    Attributes
    ----------
    deployment, strategy, account : str
    symbols : tuple of str
    from_stage, to_stage : str
    capital : Decimal
        Reference capital of the deployment, quote units.
    dossier_hash : str
        Evidence that the step rests on, empty where it needs none.
    approval : str
        Id of the approval that it used, empty where it needs none.
    who : str
        Person, or ``decision engine`` and the like for an automatic step.
    reason : str
    evidence : mapping
        What was measured: gates with value and bound, limits.
    """

    type: ClassVar[EventType] = EventType.DEPLOYMENT_CHANGED
    deployment: str
    strategy: str
    account: str
    symbols: tuple[str, ...]
    from_stage: str
    to_stage: str
    capital: Decimal
    dossier_hash: str
    approval: str
    who: str
    reason: str
    evidence: Mapping[str, Any] = msgspec.field(default_factory=dict)


class CapitalAllocated(Payload, frozen=True):
    """Capital of deployments was divided anew; quote units by deployment."""

    type: ClassVar[EventType] = EventType.CAPITAL_ALLOCATED
    capital: Mapping[str, Decimal]
    method: str
    who: str
    reason: str
    evidence: Mapping[str, Any] = msgspec.field(default_factory=dict)


class KillLatched(Payload, frozen=True):
    """The kill latch was set; ``scope`` is an account, or ``all``."""

    type: ClassVar[EventType] = EventType.KILL_LATCHED
    scope: str
    source: str
    who: str
    reason: str


class Rearmed(Payload, frozen=True):
    """A person took the kill latch off."""

    type: ClassVar[EventType] = EventType.REARMED
    scope: str
    who: str
    reason: str


class LimitsChanged(Payload, frozen=True):
    """An account is traded live with other hard limits from here on.

    Attributes
    ----------
    account : str
        Address.
    before, after : mapping of str to float
        Plain forms of `genesis.risk.limits.HardLimits`.
    loosened : tuple of str
        Limits that got looser.
    confirmed : str
        What was typed to allow that, empty where nothing got looser.
    who, reason : str
    """

    type: ClassVar[EventType] = EventType.LIMITS_CHANGED
    account: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    loosened: tuple[str, ...]
    confirmed: str
    who: str
    reason: str
