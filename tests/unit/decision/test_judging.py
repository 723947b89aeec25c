"""Past days decided as they would have been then, and judged by the 30 days that followed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genesis.decision.history import BookHistory, StrategyHistory
from genesis.decision.judging import decide_daily, judge
from genesis.decision.rules import KINDS
from genesis.domain.timeline import DAY_MS, HOUR_MS
from tests.unit.decision.decision_samples import RULES

FIRST, DAYS = 20_000, 90
RETIREMENT, APPROVAL, EMERGENCY, SESSION = KINDS[1], KINDS[2], KINDS[3], KINDS[5]


def book(*, turn: int = 45, calm_from: int = 0, days: int = DAYS) -> BookHistory:
    """A loser, one that loses until a day and then gains, one that gains; four bars a day."""
    bars = 4 * days
    ends = FIRST * DAY_MS + 6 * HOUR_MS * np.arange(1, bars + 1)
    n = np.arange(bars)
    loses = -0.0005 * (n + 1.0)
    turns = np.where(n < 4 * turn, loses, loses[4 * turn - 1] + 0.001 * (n - 4 * turn + 1))
    exits = ends[::4]
    none = np.zeros(exits.size, dtype=bool)
    strategies = {
        "loses": StrategyHistory(1000.0, loses, exits, none, 2.0),
        "turns": StrategyHistory(1000.0, turns, exits, ~none, 2.0),
        "gains": StrategyHistory(1000.0, -loses, exits, ~none, 2.0),
    }
    wild = np.where(n < 4 * calm_from, 0.08, 0.001)
    prices = 100 * np.exp(np.cumsum(wild * np.where(n // 4 % 2, 1.0, -1.0) / 4))
    other = 100 * np.exp(np.cumsum(wild * np.where(n // 4 % 4 < 2, 1.0, -1.0) / 4))
    closes = {"A": prices, "B": other}
    volumes = dict.fromkeys(closes, np.ones(bars))
    return BookHistory("made", ends, closes, volumes, strategies)


def test_every_day_has_every_decision() -> None:
    past = list(decide_daily(book(), RULES))
    assert len(past) == DAYS * (5 + 3)
    assert {one.decision.kind for one in past} == set(KINDS)
    assert {one.day for one in past} == set(range(FIRST, FIRST + DAYS))
    assert not any(one.decision.error for one in past)


def test_a_decision_of_a_day_knows_nothing_later() -> None:
    whole = [one.decision for one in decide_daily(book(), RULES) if one.day < FIRST + 50]
    short = [one.decision for one in decide_daily(book(days=50), RULES)]
    assert whole == short


def verdicts(about: str, day: int) -> list[tuple[float, bool]]:
    history = book()
    past = list(decide_daily(history, RULES, kinds=[RETIREMENT]))
    found = judge(past, history, RULES)
    return [(v.confidence, v.overturned) for v in found if (v.about, v.day) == (about, FIRST + day)]


@pytest.mark.parametrize(
    ("about", "day", "verdict"),
    [
        ("loses", 40, (0.8, False)),  # ended, and would be ended again
        ("turns", 40, (0.8, True)),  # ended, and it gained for 25 of the 30 days that followed
        ("gains", 40, (1.0, False)),
        ("turns", 5, (1.0, True)),  # kept, being too young to be judged, and then it lost
    ],
)
def test_a_retirement_is_overturned_by_the_days_after_it_alone(
    about: str, day: int, verdict: tuple[float, bool]
) -> None:
    assert verdicts(about, day) == [verdict]


def test_a_fall_of_the_days_before_is_none_of_the_days_after() -> None:
    whole = book()
    equity = np.where(np.arange(4 * DAYS) < 40, 0.0, -0.3)
    strategies = {"falls": replace(whole.strategies["gains"], equity=equity)}
    history = BookHistory("made", whole.ends_ms, whole.closes, whole.volumes, strategies)
    past = list(decide_daily(history, RULES, kinds=[EMERGENCY]))
    assert past[25].decision.action == "shutdown"  # still 0.3 below the highest
    found = {one.day - FIRST: one for one in judge(past, history, RULES)}
    assert found[25].overturned
    assert found[5].about == ""


def test_decisions_whose_days_are_not_over_are_not_judged() -> None:
    history = book()
    found = judge(list(decide_daily(history, RULES)), history, RULES)
    assert max(one.day for one in found) == FIRST + DAYS - 1 - 30


def test_a_session_is_overturned_once_the_market_is_calm() -> None:
    history = book(calm_from=30)
    past = list(decide_daily(history, RULES, kinds=[SESSION]))
    found = {one.day - FIRST: one for one in judge(past, history, RULES)}
    at = {one.day - FIRST: one.decision.action for one in past}
    assert (at[25], at[59]) == ("defend", "normal")
    assert found[29].overturned  # defended; the 30 days after it are calm
    assert not found[12].overturned  # defended; 17 of the 30 days after it are wild


def test_what_a_missing_value_decided_is_not_judged() -> None:
    history = book()
    past = list(decide_daily(history, RULES, kinds=[SESSION]))
    judged = {one.day for one in judge(past, history, RULES)}
    assert past[5].decision.missing  # too few days for a market
    assert past[5].day not in judged
    assert past[15].day in judged


def test_what_ended_is_not_asked_about_again() -> None:
    past = list(decide_daily(book(), RULES, lasting=True))
    retired = [set(p.decision.value["retire"]) for p in past if p.decision.kind == RETIREMENT]
    assert sum(map(len, retired)) == len(set.union(*retired))
    first = next(p.day for p in past if "loses" in p.decision.value.get("retire", ()))
    later = [p for p in past if p.day > first]
    assert not any("loses" in p.context.strategies for p in later)
    assert all(p.context.account.strategies == len(p.context.strategies) for p in later)
    approved = [
        p.decision.strategy
        for p in past
        if p.decision.kind == APPROVAL and p.decision.acts and p.decision.value["approve"]
    ]
    assert len(approved) == len(set(approved))
