"""What was weak in the engine that this one is built after; each must be impossible here."""

from __future__ import annotations

from pathlib import Path

import pytest

import genesis.decision.findings as findings
import genesis.decision.rules as rules_module
from genesis.decision.context import AccountFacts, DailySeries, StrategyFacts
from genesis.decision.engine import decide
from genesis.decision.rules import KINDS, DecisionRules, load_rules
from genesis.domain.errors import ConfigError
from tests.unit.decision.decision_samples import (
    RULES,
    account,
    ask,
    context,
    falling,
    pool,
    proven,
    series,
)

SIZING, RETIREMENT, APPROVAL, EMERGENCY = KINDS[:4]


def days_of(facts: DailySeries, what: str) -> float | None:
    made = ask(RETIREMENT, context(strategies=pool(a=facts)))
    return next(one.value for one in made.reasons if one.what == f"days of {what}")


@pytest.mark.parametrize("days", [1, 5, 9, 12])
def test_days_in_breach_are_no_literals(days: int) -> None:
    """There, every breach lasted 7 or 3 days, whatever the market did."""
    assert days_of(falling(days), "negative sharpe") == days
    falls = [0.01] * (60 - days) + [0.2] * days
    assert days_of(series(drawdown=falls), "drawdown") == days


@pytest.mark.parametrize("days", [0, 2, 3, 5, 40])
def test_days_on_paper_are_no_literal(days: int) -> None:
    """There, every strategy had 5 days on paper."""
    made = ask(APPROVAL, context(strategies={"s": proven(paper_days=days)}), "s")
    reason = next(one for one in made.reasons if one.rule == "min_paper_days")
    assert (reason.value, reason.holds) == (days, days >= 3)


@pytest.mark.parametrize("average", [None, -5.0, 0.0, 5.0])
def test_a_paper_result_is_not_made_of_the_average(average: float | None) -> None:
    """There, the ratio on paper was nine tenths of the pool's average."""
    facts = context(
        account=account(average_sharpe=average), strategies={"s": proven(paper_sharpe=0.7)}
    )
    made = ask(APPROVAL, facts, "s")
    reason = next(one for one in made.reasons if one.rule == "min_paper_sharpe")
    assert (reason.value, reason.holds) == (0.7, False)
    absent = ask(APPROVAL, context(strategies={"s": proven(paper_sharpe=None)}), "s")
    assert "s.Sharpe ratio on paper" in absent.missing


def test_a_low_win_rate_alone_ends_a_strategy() -> None:
    """There, the rule was in the file and in no code."""
    made = ask(RETIREMENT, context(strategies=pool(a=series(wins=[0] * 60))))
    assert made.value["retire"] == ("a",)
    assert [one.rule for one in made.reasons if one.holds] == ["low_win_rate_days"]


def test_every_number_of_the_rules_is_read_by_some_code() -> None:
    """A rule that no code looks at promises what nothing keeps."""
    folder = Path(findings.__file__).parent
    code = "".join(
        (folder / name).read_text() for name in ("findings.py", "engine.py", "breaches.py")
    )
    for kind in KINDS:
        for key in RULES.plain()[kind]:
            if key != "handling":
                assert f".{key}" in code, f"{kind}.{key}"
    for key in ("review", "medium_confidence", "incomplete", "on_expiry", "urgency"):
        assert f"handling.{key}" in code, key


def test_no_strategy_is_judged_by_the_facts_of_the_account() -> None:
    """There, one context of the portfolio stood in for every strategy."""
    terrible = AccountFacts(
        capital=1.0, strategies=2, average_sharpe=-9.0, drawdown=0.9, daily_return=-0.5, losers=2
    )
    strategies = {"bad": StrategyFacts(falling(9)), "good": StrategyFacts(series())}
    for facts in (terrible, account()):
        made = ask(RETIREMENT, context(account=facts, strategies=strategies))
        assert made.value["retire"] == ("bad",)
    two = {"s": proven(), "t": proven(paper_sharpe=0.0, backtest_sharpe=0.0)}
    assert ask(APPROVAL, context(strategies=two), "s").action == "approve"
    assert ask(APPROVAL, context(strategies=two), "t").action == "reject"


@pytest.mark.parametrize("sharpe", [-1.0, 0.5, 1.0, 2.0, 2.1])
@pytest.mark.parametrize("capital", [0.0, 1e3, 3e4, 1e9])
def test_the_size_of_the_pool_is_within_its_bounds_in_every_branch(
    sharpe: float, capital: float
) -> None:
    """There, the normal branch forgot the upper bound."""
    made = ask(SIZING, context(account=account(capital=capital, average_sharpe=sharpe)))
    assert 3 <= made.value["strategies"] <= 25


def test_without_its_file_nothing_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, an unreadable file silently gave rules that were written in the code."""
    monkeypatch.setattr(rules_module, "SHIPPED", tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="cannot read"):
        load_rules()
    for kind in KINDS:
        with pytest.raises(ConfigError, match=f"{kind} is missing"):
            DecisionRules.from_plain({k: v for k, v in RULES.plain().items() if k != kind})


def test_an_emergency_is_routed_through_no_confidence() -> None:
    """There, a stop passed the same scoring as every other decision."""
    plain = RULES.plain()
    plain["emergency_shutdown"]["confidence"] = 0.0
    made = decide(
        EMERGENCY, context(account=account(daily_return=-0.06)), DecisionRules.from_plain(plain)
    )
    assert (made.band, made.acts, made.action) == ("low", True, "shutdown")
