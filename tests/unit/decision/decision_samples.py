"""Contexts and series for the tests of the decision engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from genesis.decision.context import (
    AccountFacts,
    DailySeries,
    DecisionContext,
    MarketFacts,
    StrategyFacts,
)
from genesis.decision.decision import Decision
from genesis.decision.engine import decide
from genesis.decision.rules import load_rules
from genesis.domain.timeline import DAY_MS, HOUR_MS

RULES = load_rules()
TODAY = 19_700
"""Day (since 1970) of the instant of the contexts; the day before is the last whole one."""
LAST = TODAY - 1
AS_OF = TODAY * DAY_MS + 5 * HOUR_MS
CALM = MarketFacts(volatility=0.02, correlation=0.5, volume_ratio=1.0, fear_greed=50.0)
HEALTHY = AccountFacts(
    capital=10_000.0,
    strategies=8,
    average_sharpe=1.0,
    daily_return=0.001,
    weekly_return=0.01,
    drawdown=0.02,
)
PROVEN = StrategyFacts(backtest_sharpe=1.5, paper_days=10, paper_sharpe=1.2, paper_drawdown=0.05)


def series(
    days: int = 60,
    equity: Sequence[float | None] | None = None,
    drawdown: Sequence[float | None] | None = None,
    trades: Sequence[int | None] | None = None,
    wins: Sequence[int | None] | None = None,
    *,
    last: int = LAST,
) -> DailySeries:
    """A strategy that earns a little each day, with parts of it replaced."""
    first = last - days + 1
    return DailySeries(
        started_day=first,
        first_day=first,
        equity=tuple(equity or (0.001 * (n + 1) for n in range(days))),
        drawdown=tuple(drawdown or (0.01,) * days),
        trades=tuple(trades or (n + 1 for n in range(days))),
        wins=tuple(wins or (n // 2 + 1 for n in range(days))),
    )


def falling(days_negative: int, days: int = 60, window: int = 30) -> DailySeries:
    """A strategy whose window of returns has been negative on exactly the last so many days."""
    # Flat, then one step down that is in the window of each day since, and not big enough before.
    equity = [0.0] * (days - days_negative) + [-0.01] * days_negative
    assert days_negative <= window
    return series(days, equity=equity)


def context(
    *,
    market: MarketFacts = CALM,
    account: AccountFacts = HEALTHY,
    strategies: dict[str, StrategyFacts] | None = None,
    **changes: Any,
) -> DecisionContext:
    made = DecisionContext(
        as_of_ms=AS_OF,
        data_ms=AS_OF - HOUR_MS,
        source="test",
        market=market,
        account=account,
        strategies=strategies or {},
    )
    return msgspec.structs.replace(made, **changes)


def market(**changes: float | None) -> MarketFacts:
    return msgspec.structs.replace(CALM, **changes)


def account(**changes: float | None) -> AccountFacts:
    return msgspec.structs.replace(HEALTHY, **changes)


def proven(**changes: float | None) -> StrategyFacts:
    return msgspec.structs.replace(PROVEN, **changes)


def pool(**by_name: DailySeries | None) -> dict[str, StrategyFacts]:
    return {name: StrategyFacts(series=one) for name, one in by_name.items()}


def ask(kind: str, facts: DecisionContext, strategy: str = "") -> Decision:
    made = decide(kind, facts, RULES, strategy=strategy)
    assert made.error == ""
    return made
