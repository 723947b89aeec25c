"""A decision: what is to be done, why, how sure, and everything needed to decide it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from genesis.decision.calibration import Calibration
from genesis.decision.context import DecisionContext
from genesis.decision.rules import DecisionRules

SCHEMA: Final = 1
NONE, FLAGGED, AFTER, BEFORE = "none", "flagged", "after", "before"
"""Reviews: none asked for; carried out and shown; carried out and to be seen; nothing before it."""
AUTOMATIC, MEDIUM, LOW = "automatic", "medium", "low"
"""Bands of confidence."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that was looked at.

    Attributes
    ----------
    rule : str
        Key of the rules file.
    what : str
        What was measured, in words.
    value : float or None
        None where it is not known.
    limit : float
        Number of the rules that it was compared with.
    relation : str
        ``>``, ``>=``, ``<`` or ``<=``: how value and limit stand where the rule holds.
    holds : bool or None
        Whether it does; None where that is not known.
    strategy : str
        Empty where the rule is about the account or the market.
    """

    rule: str
    what: str
    value: float | None
    limit: float
    relation: str
    holds: bool | None
    strategy: str = ""

    @property
    def text(self) -> str:
        """One readable sentence."""
        of = f"{self.strategy}: " if self.strategy else ""
        if self.value is None:
            return f"{of}{self.what} is not known ({self.rule} {self.relation} {self.limit:g})"
        verdict = {True: "holds", False: "does not hold", None: "is not known"}[self.holds]
        return f"{of}{self.what} is {self.value:.4g}; {self.relation} {self.limit:g} {verdict}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Answer of the engine; see `genesis.trading.payloads.DecisionMade` for what is not told here.

    Attributes
    ----------
    kind, strategy : str
    made_ms : int
        Instant from which its deadline counts.
    action : str
        Empty after an error: then nothing is decided.
    value : mapping
        What is to be done, in the terms of its type.
    cautious : mapping
        What holds instead if its review passes its deadline; empty where nothing changes.
    cautious_action : str
    acts : bool
    holds : tuple of str
    review, urgency, band : str
    deadline_ms : int or None
    raw_confidence, confidence : float
        By the rules alone, and calibrated where a calibration covers it.
    reasons : tuple of Reason
    missing : tuple of str
        What a rule needed and nobody knew.
    context : DecisionContext or None
        The facts it rests on, and no others; None where they could not be read.
    rules : DecisionRules
    calibration : Calibration or None
    error : str
        What went wrong inside, empty if nothing did.
    """

    kind: str
    strategy: str
    made_ms: int
    action: str
    value: Mapping[str, Any]
    cautious: Mapping[str, Any]
    cautious_action: str
    acts: bool
    holds: tuple[str, ...]
    review: str
    urgency: str
    band: str
    deadline_ms: int | None
    raw_confidence: float
    confidence: float
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]
    context: DecisionContext | None
    rules: DecisionRules = field(repr=False)
    calibration: Calibration | None = field(repr=False)
    error: str = ""

    def plain(self) -> dict[str, Any]:
        """Decision as JSON values: inputs, thresholds and reasons with the outcome."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "strategy": self.strategy,
            "made_ms": self.made_ms,
            "action": self.action,
            "value": _plain(self.value),
            "cautious": _plain(self.cautious),
            "cautious_action": self.cautious_action,
            "acts": self.acts,
            "holds": list(self.holds),
            "review": self.review,
            "urgency": self.urgency,
            "band": self.band,
            "deadline_ms": self.deadline_ms,
            "raw_confidence": self.raw_confidence,
            "confidence": self.confidence,
            "reasons": [_reason(reason) for reason in self.reasons],
            "missing": list(self.missing),
            "context": self.context.plain() if self.context is not None else None,
            "rules": self.rules.plain(),
            "rules_hash": self.rules.hash,
            "calibration": self.calibration.plain() if self.calibration is not None else None,
            "error": self.error,
        }


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in value.items()}


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "rule": reason.rule,
        "what": reason.what,
        "value": reason.value,
        "limit": reason.limit,
        "relation": reason.relation,
        "holds": reason.holds,
        "strategy": reason.strategy,
        "text": reason.text,
    }
