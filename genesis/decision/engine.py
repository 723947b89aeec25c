"""AutomatedDecisionEngine: six types of decisions, their confidence, and who has to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import msgspec

from genesis.decision import findings
from genesis.decision.breaches import history_days
from genesis.decision.calibration import Calibration
from genesis.decision.context import (
    AccountFacts,
    DecisionContext,
    MarketFacts,
    StrategyFacts,
)
from genesis.decision.decision import (
    AFTER,
    AUTOMATIC,
    BEFORE,
    FLAGGED,
    LOW,
    MEDIUM,
    NONE,
    Decision,
)
from genesis.decision.findings import Finding
from genesis.decision.rows import EVERYTHING
from genesis.decision.rules import KINDS, DecisionRules, Handling
from genesis.domain.errors import did_you_mean
from genesis.domain.timeline import HOUR_MS

EMERGENCY = "emergency_shutdown"


class AutomatedDecisionEngine:
    """Decides by rules; pure: the same context and rules give the same decision.

    Parameters
    ----------
    rules : DecisionRules
    calibration : Calibration, optional
        What confidence turned out to be worth; the rules' own numbers are used where it says
        nothing of a type.
    """

    def __init__(self, rules: DecisionRules, calibration: Calibration | None = None) -> None:
        self.rules = rules
        self.calibration = calibration

    def decide(
        self,
        kind: str,
        context: DecisionContext,
        *,
        strategy: str = "",
        made_ms: int | None = None,
    ) -> Decision:
        """Decide one question.

        Parameters
        ----------
        kind : str
            One of `genesis.decision.rules.KINDS`.
        context : DecisionContext
        strategy : str
            Strategy that it is about: needed for an approval; a retirement looks at all without.
        made_ms : int, optional
            Instant from which deadlines count; that of the context when left out.

        Returns
        -------
        Decision
            Never an exception: what cannot be decided, or fails inside, is left to a person.
        """
        facts: DecisionContext | None = None
        try:
            made_ms = context.as_of_ms if made_ms is None else made_ms
            if kind not in KINDS:
                text = f"unknown type of decision '{kind}'{did_you_mean(kind, KINDS)}"
                return self._undecided(kind, strategy, made_ms, context, "MEDIUM", text)
            facts = narrowed(kind, context, self.rules, strategy)
            finding = self._find(kind, facts, strategy)
            return self._judge(kind, strategy, made_ms, facts, finding)
        except Exception as error:  # whatever it is: no decision is the only safe answer
            text = f"{type(error).__name__}: {error}"
            return self._undecided(kind, strategy, made_ms or 0, facts, "HIGH", text)

    def _find(self, kind: str, facts: DecisionContext, strategy: str) -> Finding:
        file = self.rules.file
        if kind == "strategy_pool_sizing":
            return findings.pool_size(facts, file.strategy_pool_sizing)
        if kind == "strategy_retirement":
            return findings.retirement(facts, file.strategy_retirement, file.data, strategy)
        if kind == "new_strategy_approval":
            return findings.approval(facts, file.new_strategy_approval, strategy)
        if kind == EMERGENCY:
            return findings.emergency(facts, file.emergency_shutdown)
        if kind == "risk_adjustment":
            return findings.risk_adjustment(facts, file.risk_adjustment)
        return findings.session(facts, file.trading_session_optimization)

    def _judge(
        self, kind: str, strategy: str, made_ms: int, facts: DecisionContext, finding: Finding
    ) -> Decision:
        """Add confidence, review, urgency and deadline to what the rules say."""
        handling = self.rules.handling(kind)
        certain_stop = kind == EMERGENCY and finding.review
        missing = finding.missing if certain_stop else (*finding.missing, *self._stale(facts))
        if kind == EMERGENCY and missing:  # nothing that is known is a reason, and not all is known
            finding = _unsure_stop(finding)
        raw, confidence = self._confidence(kind, finding, missing)
        band = self._band(confidence)
        if kind == EMERGENCY:  # waits for no confidence, and for a person only if it is not sure
            review = AFTER if certain_stop else BEFORE if missing else NONE
            urgency = handling.review_urgency if certain_stop else "HIGH" if missing else "LOW"
        else:
            review = _review(finding, handling, band, incomplete=bool(missing))
            urgency = handling.urgency if review in (NONE, FLAGGED) else handling.review_urgency
        return Decision(
            kind=kind,
            strategy=strategy,
            made_ms=made_ms,
            action=finding.action,
            value=finding.value,
            cautious=finding.cautious if handling.on_expiry == "cautious" else {},
            cautious_action=finding.cautious_action if handling.on_expiry == "cautious" else "",
            acts=review != BEFORE,
            holds=finding.holds if review in (BEFORE, AFTER) else (),
            review=review,
            urgency=urgency,
            band=band,
            deadline_ms=None if review == NONE else self.rules.deadline_ms(urgency, made_ms),
            raw_confidence=raw,
            confidence=confidence,
            reasons=finding.reasons,
            missing=missing,
            context=facts,
            rules=self.rules,
            calibration=self.calibration,
        )

    def _confidence(
        self, kind: str, finding: Finding, missing: tuple[str, ...]
    ) -> tuple[float, float]:
        """Confidence by the rules, and by what came true."""
        if missing:
            raw = min(finding.confidence, self.rules.file.confidence.incomplete)
            return raw, raw
        raw = finding.confidence
        if self.calibration is None or kind == EMERGENCY:
            return raw, raw
        return raw, self.calibration.apply(kind, raw)

    def _band(self, confidence: float) -> str:
        bands = self.rules.file.confidence
        if confidence >= bands.automatic:
            return AUTOMATIC
        return MEDIUM if confidence >= bands.review else LOW

    def _stale(self, facts: DecisionContext) -> tuple[str, ...]:
        """Say that the data are too old to count, or of the future."""
        if facts.data_ms is None:
            return ("data_ms",)
        age = facts.as_of_ms - facts.data_ms
        if age < 0 or age > self.rules.file.data.max_age_hours * HOUR_MS:
            return (f"fresh data (they are {age / HOUR_MS:.1f} hours old)",)
        return ()

    def _undecided(
        self,
        kind: str,
        strategy: str,
        made_ms: int,
        facts: DecisionContext | None,
        urgency: str,
        error: str,
    ) -> Decision:
        return Decision(
            kind=kind,
            strategy=strategy,
            made_ms=made_ms,
            action="",
            value={},
            cautious={},
            cautious_action="",
            acts=False,
            holds=(EVERYTHING,) if kind == EMERGENCY else (),
            review=BEFORE,
            urgency=urgency,
            band=LOW,
            deadline_ms=self.rules.deadline_ms(urgency, made_ms),
            raw_confidence=0.0,
            confidence=0.0,
            reasons=(),
            missing=(),
            context=facts,
            rules=self.rules,
            calibration=self.calibration,
            error=error,
        )


def _review(finding: Finding, handling: Handling, band: str, *, incomplete: bool) -> str:
    """Who looks when. What adds risk never goes ahead of a review that it needs."""
    after = AFTER if not finding.loosens else BEFORE
    if incomplete:
        return after if handling.incomplete == "cautious" else BEFORE
    asked = finding.review or (band == MEDIUM and handling.medium_confidence == "review")
    if asked or band == LOW:
        return after if handling.review == "after" else BEFORE
    return FLAGGED if band == MEDIUM else NONE


def _unsure_stop(finding: Finding) -> Finding:
    """Propose to stop, and add no risk meanwhile, where nobody knows whether there is a reason."""
    stop = {"shutdown": True}
    return replace(
        finding,
        action="shutdown",
        value=stop,
        cautious_action="shutdown",
        cautious=stop,
        holds=(EVERYTHING,),
    )


def decide(
    kind: str,
    context: DecisionContext,
    rules: DecisionRules,
    *,
    strategy: str = "",
    made_ms: int | None = None,
    calibration: Calibration | None = None,
) -> Decision:
    """Decide one question; see `AutomatedDecisionEngine.decide`."""
    engine = AutomatedDecisionEngine(rules, calibration)
    return engine.decide(kind, context, strategy=strategy, made_ms=made_ms)


def replay(body: Mapping[str, Any]) -> Decision:
    """Decide a stored decision again, from the context, rules and calibration it was taken with.

    Parameters
    ----------
    body : mapping
        What `Decision.plain` gave.

    Raises
    ------
    InputError
        If it holds no context, or one, or rules, that cannot be read.
    """
    calibration = body["calibration"]
    return decide(
        body["kind"],
        DecisionContext.from_plain(body["context"]),
        _rules_of(msgspec.json.encode(body["rules"])),
        strategy=body["strategy"],
        made_ms=body["made_ms"],
        calibration=None if calibration is None else Calibration.from_plain(calibration),
    )


@lru_cache(maxsize=8)
def _rules_of(content: bytes) -> DecisionRules:
    """Rules of a stored decision; many were taken by the same ones."""
    return DecisionRules.from_plain(msgspec.json.decode(content))


def narrowed(
    kind: str, context: DecisionContext, rules: DecisionRules, strategy: str
) -> DecisionContext:
    """Context with what a type of decision looks at, and nothing else."""
    market, account = MarketFacts(), AccountFacts()
    strategies: dict[str, StrategyFacts] = {}
    if kind in ("risk_adjustment", "trading_session_optimization"):
        market = context.market
    elif kind in ("strategy_pool_sizing", EMERGENCY):
        account = context.account
    elif kind == "strategy_retirement":
        days = history_days(rules.file.strategy_retirement, rules.file.data)
        strategies = {
            name: StrategyFacts(None if facts.series is None else facts.series.latest(days))
            for name, facts in context.strategies.items()
            if strategy in ("", name)
        }
    elif strategy in context.strategies:
        facts = context.strategies[strategy]
        strategies = {
            strategy: StrategyFacts(
                backtest_sharpe=facts.backtest_sharpe,
                paper_days=facts.paper_days,
                paper_sharpe=facts.paper_sharpe,
                paper_drawdown=facts.paper_drawdown,
            )
        }
    return msgspec.structs.replace(context, market=market, account=account, strategies=strategies)
