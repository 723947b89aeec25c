"""The rules of the six types of decisions, each a pure function of its facts.

A value that is not known is taken at its most cautious, and noted: what follows is then a proposal
for a person, never an automatic decision.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from genesis.decision.breaches import breaches
from genesis.decision.context import DecisionContext, StrategyFacts, known
from genesis.decision.decision import Reason
from genesis.decision.rows import EVERYTHING
from genesis.decision.rules import (
    Approval,
    Data,
    Emergency,
    PoolSizing,
    Retirement,
    RiskAdjustment,
    SessionOptimization,
)

_RELATIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
ROUNDING: Final = 1.0 + 1e-12
"""A loss is a difference of floats: at the limit itself it may be off by its last digit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rules of a type say, before confidence and review.

    Attributes
    ----------
    action, value
        Proposal.
    cautious_action, cautious
        The more cautious of the proposal and of what is.
    confidence : float
    review : bool
        The rules ask for a person.
    reasons, missing
    loosens : bool
        The proposal allows more risk than there is.
    holds : tuple of str
        Strategies that may not add risk while a person is waited for.
    """

    action: str
    value: Mapping[str, Any]
    cautious_action: str
    cautious: Mapping[str, Any]
    confidence: float
    review: bool
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]
    loosens: bool = False
    holds: tuple[str, ...] = ()


@dataclass(slots=True)
class _Sheet:
    """Rules as they are looked at, one after the other."""

    reasons: list[Reason] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def test(
        self,
        rule: str,
        what: str,
        value: float | None,
        relation: str,
        limit: float,
        strategy: str = "",
    ) -> bool | None:
        """Whether a rule holds, None where its value is not known."""
        holds = None if value is None else _RELATIONS[relation](value, limit)
        self.reasons.append(Reason(rule, what, value, float(limit), relation, holds, strategy))
        if value is None:
            self.missing.append(f"{strategy}.{what}" if strategy else what)
        return holds


def pool_size(context: DecisionContext, rules: PoolSizing) -> Finding:
    """How many strategies the capital carries."""
    sheet, account = _Sheet(), context.account
    capital, sharpe = known(account, "capital"), known(account, "average_sharpe")
    if capital is None:
        sheet.missing.append("capital")
    per_unit = rules.base_strategies_per_1k_capital
    size = max(int((capital or 0.0) / 1000.0 * per_unit), rules.min_strategies)
    low = sheet.test("low_sharpe", "average Sharpe ratio", sharpe, "<", rules.low_sharpe)
    if low is not False:
        size += rules.low_sharpe_change
    elif sheet.test("high_sharpe", "average Sharpe ratio", sharpe, ">", rules.high_sharpe):
        size += rules.high_sharpe_change
    size = min(max(size, rules.min_strategies), rules.max_strategies)
    above, below = (
        rules.review_above * rules.max_strategies,
        rules.review_below * rules.min_strategies,
    )
    review = bool(sheet.test("review_above", "proposed size of the pool", size, ">", above))
    review |= bool(sheet.test("review_below", "proposed size of the pool", size, "<", below))
    now = known(account, "strategies")
    cautious = min(size, int(now) if now is not None else rules.min_strategies)
    return Finding(
        action=_direction(size, now),
        value={"strategies": size},
        cautious_action=_direction(cautious, now),
        cautious={"strategies": cautious},
        confidence=rules.review_confidence if review else rules.confidence,
        review=review,
        reasons=tuple(sheet.reasons),
        missing=tuple(sheet.missing),
        loosens=now is None or size > now,
    )


def _direction(size: int, now: float | None) -> str:
    if now is None:
        return "resize"
    return "keep" if size == now else "grow" if size > now else "shrink"


def retirement(context: DecisionContext, rules: Retirement, data: Data, strategy: str) -> Finding:
    """Which strategies end, each by its own days in breach."""
    sheet = _Sheet()
    facts = dict(context.strategies)
    if strategy:
        facts = {strategy: facts.get(strategy, StrategyFacts())}
    if not facts:
        sheet.missing.append("strategies")
    retire, pause = [], []
    for name in sorted(facts):
        verdict = _retires(sheet, name, facts[name], context.last_day, rules, data)
        if verdict:
            retire.append(name)
        elif verdict is None:
            pause.append(name)
    many = sheet.test("review_above", "retirements at once", len(retire), ">", rules.review_above)
    value = {"retire": tuple(retire), "pause": tuple(pause)}
    action = "retire" if retire else "keep"
    return Finding(
        action=action,
        value=value,
        cautious_action=action if retire or not pause else "pause",
        cautious=value,
        confidence=rules.confidence if retire else rules.keep_confidence,
        review=bool(many),
        reasons=tuple(sheet.reasons),
        missing=tuple(sheet.missing),
        holds=(*retire, *pause) if many or pause else (),
    )


def _retires(
    sheet: _Sheet, name: str, facts: StrategyFacts, last_day: int, rules: Retirement, data: Data
) -> bool | None:
    """Whether a strategy ends; None where days that nobody measured could decide it."""
    if facts.series is None:
        sheet.missing.append(f"{name}.series")
        return None
    found = breaches(facts.series, rules, data, last_day)
    limits = {
        "negative_sharpe": ("negative_sharpe_days", rules.negative_sharpe_days),
        "drawdown": ("drawdown_days", rules.drawdown_days),
        "low_win_rate": ("low_win_rate_days", rules.low_win_rate_days),
    }
    ends = unsure = False
    for what, (rule, limit) in limits.items():
        breach = found[what]
        words = f"days of {what.replace('_', ' ')}"
        certain = breach.days >= limit
        possible = breach.possible >= limit
        holds = True if certain else None if possible else False
        reason = Reason(rule, words, float(breach.days), float(limit), ">=", holds, name)
        sheet.reasons.append(reason)
        ends |= certain
        if holds is None:
            unsure = True
            sheet.missing.append(f"{name}.{words}")
    return True if ends else None if unsure else False


def approval(context: DecisionContext, rules: Approval, strategy: str) -> Finding:
    """Whether a new strategy may trade."""
    sheet = _Sheet()
    facts = context.strategies.get(strategy)
    if not strategy:
        sheet.missing.append("strategy")

    def test(rule: str, what: str, name: str, relation: str, limit: float) -> bool:
        value = known(facts, name)
        return bool(sheet.test(rule, what, value, relation, limit, strategy))

    passed = sum(
        (
            test("min_backtest_sharpe", "Sharpe ratio of the backtest", "backtest_sharpe", ">=",
                 rules.min_backtest_sharpe),
            test("min_paper_days", "days on paper", "paper_days", ">=", rules.min_paper_days),
            test("min_paper_sharpe", "Sharpe ratio on paper", "paper_sharpe", ">=",
                 rules.min_paper_sharpe),
            test("max_paper_drawdown", "drawdown on paper", "paper_drawdown", "<=",
                 rules.max_paper_drawdown),
        )
    )  # fmt: skip
    enough = sheet.test("min_passed", "criteria that are met", passed, ">=", rules.min_passed)
    confidence = passed / 4
    return Finding(
        action="approve" if enough else "reject",
        value={"approve": bool(enough), "passed": passed},
        cautious_action="reject",
        cautious={"approve": False, "passed": passed},
        confidence=confidence,
        review=confidence < rules.review_below,
        reasons=tuple(sheet.reasons),
        missing=tuple(sheet.missing),
        loosens=bool(enough),
    )


def emergency(context: DecisionContext, rules: Emergency) -> Finding:
    """Whether everything stops: one condition that is known to hold is enough."""
    sheet, account = _Sheet(), context.account
    tests = (
        ("daily_loss", "loss of a day", _loss(known(account, "daily_return")), rules.daily_loss),
        (
            "weekly_loss",
            "loss of a week",
            _loss(known(account, "weekly_return")),
            rules.weekly_loss,
        ),
        ("max_drawdown", "drawdown", known(account, "drawdown"), rules.max_drawdown),
    )
    verdicts = [
        sheet.test(rule, what, None if value is None else value * ROUNDING, ">=", limit)
        for rule, what, value, limit in tests
    ]
    stop = any(verdicts)
    action, value = ("shutdown" if stop else "continue"), {"shutdown": stop}
    return Finding(
        action=action,
        value=value,
        cautious_action=action,
        cautious=value,
        confidence=rules.confidence,
        review=stop,
        reasons=tuple(sheet.reasons),
        missing=() if stop else tuple(sheet.missing),
        holds=(EVERYTHING,) if stop else (),
    )


def _loss(change: float | None) -> float | None:
    return None if change is None else -change


def risk_adjustment(context: DecisionContext, rules: RiskAdjustment) -> Finding:
    """By what all position sizes are multiplied."""
    sheet, market = _Sheet(), context.market
    tests = (
        ("high_volatility", "volatility", "volatility", ">", rules.high_volatility),
        ("high_correlation", "correlation", "correlation", ">", rules.high_correlation),
        ("low_volume_ratio", "volume ratio", "volume_ratio", "<", rules.low_volume_ratio),
    )
    found = [
        sheet.test(rule, what, known(market, name), relation, limit)
        for rule, what, name, relation, limit in tests
    ]
    count, certain = 3 - found.count(False), found.count(True)
    factor = (rules.factor_calm, rules.factor_one, rules.factor_several)[min(count, 2)]
    cautious = min(factor, 1.0)
    return Finding(
        action=_pressure(factor),
        value={"size_factor": factor},
        cautious_action=_pressure(cautious),
        cautious={"size_factor": cautious},
        confidence=rules.confidence,
        review=count >= 2,
        reasons=tuple(sheet.reasons),
        missing=() if certain >= 2 else tuple(sheet.missing),  # a third changes nothing
        loosens=factor > 1.0,
    )


def _pressure(factor: float) -> str:
    return "keep" if factor == 1.0 else "tighten" if factor < 1.0 else "loosen"


def session(context: DecisionContext, rules: SessionOptimization) -> Finding:
    """Settings of a session: where several conditions hold, the smaller of each number."""
    sheet, market = _Sheet(), context.market
    settings = [rules.normal]
    volatile = sheet.test(
        "high_volatility", "volatility", known(market, "volatility"), ">", rules.high_volatility
    )
    correlated = sheet.test(
        "high_correlation", "correlation", known(market, "correlation"), ">", rules.high_correlation
    )
    settings += [rules.volatile] if volatile is not False else []
    settings += [rules.correlated] if correlated is not False else []
    value = {
        "size_factor": min(one.size_factor for one in settings),
        "max_positions": min(one.max_positions for one in settings),
        "risk_factor": min(one.risk_factor for one in settings),
    }
    action = "normal" if len(settings) == 1 else "defend"
    return Finding(
        action=action,
        value=value,
        cautious_action=action,
        cautious=value,
        confidence=rules.confidence,
        review=False,
        reasons=tuple(sheet.reasons),
        missing=tuple(sheet.missing),
        loosens=action == "normal",
    )


def verdicts(
    kind: str, action: str, value: Mapping[str, Any], strategies: Sequence[str]
) -> dict[str, str]:
    """What a decision says of each thing it is about: strategies of a retirement, else itself."""
    if kind != "strategy_retirement":
        return {"": action}
    retired = value.get("retire", ())
    return {name: "retire" if name in retired else "keep" for name in strategies}
