"""Decisions of a past time, and what the days that followed made of them.

Every day of a book's history all types are decided as they would have been then; the same rule is
asked again on the 30 days after it, and on those alone. Pure: history and rules in, verdicts out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from genesis.decision.calibration import HORIZON_DAYS, Calibration, Judged, opposite
from genesis.decision.context import DecisionContext
from genesis.decision.decision import Decision
from genesis.decision.engine import AutomatedDecisionEngine
from genesis.decision.findings import verdicts
from genesis.decision.history import BookHistory
from genesis.decision.rules import KINDS, DecisionRules
from genesis.domain.timeline import DAY_MS

_APPROVAL, _RETIREMENT = "new_strategy_approval", "strategy_retirement"


@dataclass(frozen=True, slots=True)
class Past:
    """A decision of a past day.

    Attributes
    ----------
    day : int
        The day (since 1970) at whose end it was taken.
    context : DecisionContext
        All facts of that instant.
    decision : Decision
    """

    day: int
    context: DecisionContext
    decision: Decision


def decide_daily(
    history: BookHistory,
    rules: DecisionRules,
    *,
    calibration: Calibration | None = None,
    kinds: Sequence[str] = KINDS,
    lasting: bool = False,
) -> Iterator[Past]:
    """Take the decisions of every day, each on what was known at its end.

    Approvals are asked for each strategy by itself, the other types once a day.

    Parameters
    ----------
    history : BookHistory
    rules : DecisionRules
    calibration : Calibration, optional
    kinds : sequence of str
    lasting : bool
        A strategy that was retired, or approved, is not asked about again; nobody looks at a
        review, so the next day holds what the rules say of one whose deadline has passed. The
        equity of the account is that of all strategies all the same.
    """
    engine = AutomatedDecisionEngine(rules, calibration)
    retired: set[str] = set()
    approved: set[str] = set()
    for day in range(history.first_day, history.last_day + 1):
        context = history.context((day + 1) * DAY_MS, rules.file.data)
        if lasting:
            context = _without(context, retired)
        for kind in kinds:
            if kind == _RETIREMENT and not context.strategies:
                continue  # nothing is left that could end
            names = [n for n in context.strategies if n not in approved]
            for strategy in names if kind == _APPROVAL else ("",):
                decision = engine.decide(kind, context, strategy=strategy)
                yield Past(day, context, decision)
                held = decision.value if decision.acts else decision.cautious
                if lasting:
                    retired.update(held.get("retire", ()))
                    approved.update([strategy] if held.get("approve") else [])


def _without(context: DecisionContext, gone: set[str]) -> DecisionContext:
    left = {name: one for name, one in context.strategies.items() if name not in gone}
    account = msgspec.structs.replace(context.account, strategies=len(left))
    return msgspec.structs.replace(context, strategies=left, account=account)


def judge(past: Sequence[Past], history: BookHistory, rules: DecisionRules) -> list[Judged]:
    """Say of each decision whether the 30 days that followed overturned it.

    A retirement is judged strategy by strategy, each with the confidence that the rules give to
    ending or to keeping one. Decisions that could not be taken without a value, then or later, and
    those whose 30 days are not over, are left out.
    """
    engine = AutomatedDecisionEngine(rules)
    later: dict[int, DecisionContext] = {}
    found: list[Judged] = []
    for one in past:
        end = one.day + HORIZON_DAYS
        if end > history.last_day or one.decision.missing or one.decision.error:
            continue
        if end not in later:
            instant = (end + 1) * DAY_MS
            later[end] = history.context(instant, rules.file.data, since_day=one.day + 1)
        decision = one.decision
        again = engine.decide(decision.kind, later[end], strategy=decision.strategy)
        if again.missing or again.error:
            continue
        found += _compare(decision, again, one.day, rules)
    return found


def _compare(
    decision: Decision, again: Decision, day: int, rules: DecisionRules
) -> Iterator[Judged]:
    facts = decision.context
    names = sorted(facts.strategies) if facts is not None else []
    before = verdicts(decision.kind, decision.action, decision.value, names)
    after = verdicts(again.kind, again.action, again.value, names)
    limits = rules.file.strategy_retirement
    for about, action in before.items():
        confidence = decision.raw_confidence
        if decision.kind == _RETIREMENT:
            confidence = limits.confidence if action == "retire" else limits.keep_confidence
        overturned = opposite(action, after[about])
        yield Judged(decision.kind, confidence, overturned, about or decision.strategy, day)
