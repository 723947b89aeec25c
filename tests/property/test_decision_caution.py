"""More breaches never make a decision milder, and neither does a value that nobody knows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.decision.context import (
    AccountFacts,
    DailySeries,
    DecisionContext,
    MarketFacts,
    StrategyFacts,
)
from genesis.decision.decision import Decision
from genesis.decision.engine import decide, replay
from genesis.decision.rules import KINDS
from tests.unit.decision.decision_samples import AS_OF, LAST, RULES

SIZING, RETIREMENT, APPROVAL, EMERGENCY, RISK, SESSION = KINDS
NAME = "strat_a"

# How much worse a value can get, and in which direction, by fact.
WORSE: dict[str, dict[str, tuple[float, float, int]]] = {
    SIZING: {"average_sharpe": (-3.0, 4.0, -1)},
    EMERGENCY: {
        "daily_return": (-0.1, 0.1, -1),
        "weekly_return": (-0.3, 0.3, -1),
        "drawdown": (0.0, 0.4, 1),
    },
    RISK: {
        "volatility": (0.0, 0.1, 1),
        "correlation": (-1.0, 1.0, 1),
        "volume_ratio": (0.0, 2.0, -1),
    },
    SESSION: {"volatility": (0.0, 0.1, 1), "correlation": (-1.0, 1.0, 1)},
    APPROVAL: {
        "backtest_sharpe": (-1.0, 3.0, -1),
        "paper_days": (0.0, 30.0, -1),
        "paper_sharpe": (-1.0, 3.0, -1),
        "paper_drawdown": (0.0, 0.3, 1),
    },
}
GRID = 20
"""Values lie on a grid over their range, so that limits themselves are met often."""


def facts_of(kind: str, values: dict[str, float | None], capital: float = 10_000.0) -> Any:
    context = DecisionContext(as_of_ms=AS_OF, data_ms=AS_OF)
    if kind in (RISK, SESSION):
        return msgspec.structs.replace(context, market=MarketFacts(**values))
    if kind == APPROVAL:
        days = values.get("paper_days")
        values = values | {"paper_days": None if days is None else int(days)}
        strategies = {NAME: StrategyFacts(**values)}  # type: ignore[arg-type]
        return msgspec.structs.replace(context, strategies=strategies)
    account = AccountFacts(capital=capital, strategies=8, **values)  # type: ignore[arg-type]
    return msgspec.structs.replace(context, account=account)


def made(kind: str, facts: DecisionContext) -> Decision:
    decision = decide(kind, facts, RULES, strategy=NAME if kind == APPROVAL else "")
    assert decision.error == ""
    return decision


def risk_taken(kind: str, value: Any, action: str) -> tuple[float, ...]:
    """How much risk a value allows; each part is judged by itself."""
    if kind == SIZING:
        return (value["strategies"],)
    if kind == APPROVAL:
        return (float(value["approve"]), value["passed"])
    if kind == EMERGENCY:
        return (float(not value["shutdown"]),)
    if kind == RISK:
        return (value["size_factor"],)
    assert kind == SESSION, action
    return tuple(float(part) for part in value.values())


def is_milder(kind: str, one: Decision, other: Decision) -> bool:
    """Whether the first proposes more risk than the second in any part."""
    parts = zip(
        risk_taken(kind, one.value, one.action),
        risk_taken(kind, other.value, other.action),
        strict=True,
    )
    return any(a > b for a, b in parts)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, float | None], dict[str, float | None]]:
    """A type, values of its facts, and values none of which is better."""
    kind = draw(st.sampled_from(sorted(WORSE)))
    base: dict[str, float | None] = {}
    worse: dict[str, float | None] = {}
    for name, (low, high, sign) in WORSE[kind].items():
        first, second = sorted(draw(st.tuples(*[st.integers(0, GRID)] * 2)))
        if sign < 0:
            first, second = second, first
        base[name], worse[name] = (low + (high - low) * n / GRID for n in (first, second))
    return kind, base, worse


@settings(max_examples=600, deadline=None)
@given(cases(), st.floats(0.0, 1e5))
def test_worse_facts_never_give_a_milder_decision(
    case: tuple[str, dict[str, float | None], dict[str, float | None]], capital: float
) -> None:
    kind, base, worse = case
    before, after = (made(kind, facts_of(kind, values, capital)) for values in (base, worse))
    assert not is_milder(kind, after, before)
    if before.action == "shutdown":
        assert after.action == "shutdown"
        assert after.acts


@settings(max_examples=600, deadline=None)
@given(cases(), st.data())
def test_a_missing_value_never_gives_a_milder_decision(
    case: tuple[str, dict[str, float | None], dict[str, float | None]], data: st.DataObject
) -> None:
    kind, values, _ = case
    gone = data.draw(st.sets(st.sampled_from(sorted(values)), min_size=1))
    odd = data.draw(st.sampled_from([None, math.nan, math.inf, -math.inf]))
    less = values | dict.fromkeys(gone, odd)
    if kind == APPROVAL and odd is not None:
        less = values | dict.fromkeys(gone - {"paper_days"}, odd)
    known, unknown = made(kind, facts_of(kind, values)), made(kind, facts_of(kind, less))
    assert not is_milder(kind, unknown, known)
    if unknown.missing:
        assert unknown.review in ("before", "after")
        assert not (unknown.acts and unknown.action in ("approve", "loosen", "normal", "continue"))
        # If nobody looks, what follows allows no more than what all values would have said.
        late = replace(unknown, value=unknown.cautious, action=unknown.cautious_action)
        assert not is_milder(kind, late, known)
    else:
        assert unknown.value == known.value
    if known.action == "shutdown":
        assert unknown.holds == ("all",)


@st.composite
def day_series(draw: st.DrawFn) -> DailySeries:
    days = draw(st.integers(1, 70))
    step = st.sampled_from([-0.01, -0.001, 0.0, 0.001, 0.01])
    steps = draw(st.lists(step, min_size=days, max_size=days))
    trade = st.lists(st.sampled_from([0, 1, 3]), min_size=days, max_size=days)
    trades, equity, peak = draw(trade), [], 0.0
    bias = draw(st.integers(0, 3))
    lost = draw(st.lists(st.integers(0, 3), min_size=days, max_size=days))
    wins = [n if skip > bias else 0 for n, skip in zip(trades, lost, strict=True)]
    total, falls, closed, won = 0.0, [], [], []
    for n in range(days):
        total += steps[n]
        peak = max(peak, total)
        equity.append(total)
        falls.append((peak - total) * draw(st.sampled_from([1, 1, 5])))
        closed.append(sum(trades[: n + 1]))
        won.append(sum(wins[: n + 1]))
    first = LAST - days + 1
    return DailySeries(first, first, tuple(equity), tuple(falls), tuple(closed), tuple(won))


def cut(series: DailySeries, gone: set[int]) -> DailySeries:
    def without(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(None if n in gone else value for n, value in enumerate(values))

    return DailySeries(
        series.started_day,
        series.first_day,
        *(without(v) for v in (series.equity, series.drawdown, series.trades, series.wins)),
    )


def fate(decision: Decision, name: str) -> int:
    """0 goes on, 1 may add no risk until a person looked, 2 ends."""
    if name in decision.value["retire"]:
        return 2
    return int(name in decision.holds)


@settings(max_examples=300, deadline=None)
@given(day_series(), st.data())
def test_a_gap_never_lets_a_strategy_go_on_that_would_have_ended(
    series: DailySeries, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.integers(0, len(series.equity) - 1), min_size=1, max_size=12))
    whole = made(RETIREMENT, facts_with(series))
    holed = made(RETIREMENT, facts_with(cut(series, gone)))
    if fate(whole, NAME) == 2:
        assert fate(holed, NAME) >= 1
        assert holed.review in ("before", "flagged")
    else:
        assert fate(holed, NAME) <= 1  # and a gap alone ends nothing


def facts_with(series: DailySeries, **others: DailySeries) -> DecisionContext:
    strategies = {name: StrategyFacts(one) for name, one in ({NAME: series} | others).items()}
    return DecisionContext(as_of_ms=AS_OF, data_ms=AS_OF, strategies=strategies)


@settings(max_examples=150, deadline=None)
@given(st.lists(day_series(), min_size=1, max_size=5))
def test_the_fate_of_a_strategy_is_its_own(many: list[DailySeries]) -> None:
    names = {f"s{n}": one for n, one in enumerate(many)}
    together = made(RETIREMENT, facts_with(**{"series": many[0]} | names))
    for name, one in names.items():
        alone = made(RETIREMENT, facts_with(series=one))
        assert (name in together.value["retire"]) == (NAME in alone.value["retire"])
    # Too many at once wait for a person; none of them adds risk until then.
    if len(together.value["retire"]) > 2:
        assert set(together.value["retire"]) <= set(together.holds)
        assert together.cautious["retire"] == together.value["retire"]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KINDS), day_series(), st.data())
def test_every_decision_can_be_taken_again(
    kind: str, series: DailySeries, data: st.DataObject
) -> None:
    number = st.none() | st.floats(allow_nan=False) | st.integers(-5, 50).map(float)
    facts = DecisionContext(
        as_of_ms=AS_OF,
        data_ms=data.draw(st.none() | st.integers(AS_OF - 10**9, AS_OF + 10)),
        market=MarketFacts(data.draw(number), data.draw(number), data.draw(number)),
        account=AccountFacts(
            capital=data.draw(number),
            average_sharpe=data.draw(number),
            daily_return=data.draw(number),
            drawdown=data.draw(number),
        ),
        strategies={NAME: StrategyFacts(series, data.draw(number), 4, data.draw(number), 0.1)},
    )
    decision = decide(kind, facts, RULES, strategy=NAME)
    assert decision.error == ""
    assert replay(decision.plain()) == decision
