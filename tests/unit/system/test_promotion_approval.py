"""A strategy leaves paper only with the word of the decision engine on the run that proves it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.decision import rules as rules_module
from genesis.decision.operations import read_operations
from genesis.decision.ports import Consent, Wish
from genesis.decision.rules import DecisionRules, load_rules
from genesis.decision.stages import Target
from genesis.domain.errors import RefusedError
from genesis.system.decision_facts import facts_of_run
from genesis.system.decisions import decide_now, resolve_review
from tests.unit.decision.deployment_desk import ACCOUNT
from tests.unit.system.promotion_homes import PromotionHome, promotion_home

KIND = "new_strategy_approval"
SHARPE = ("min_paper_sharpe: 0.8", "min_paper_sharpe: 80")
BACKTEST = ("min_backtest_sharpe: 1.0", "min_backtest_sharpe: 90")
FEW = ("min_backtest_sharpe: 1.0", "min_backtest_sharpe: -9")


@pytest.fixture
def home(bred: Path, tmp_path: Path) -> PromotionHome:
    """A strategy on paper with a run that passes G4."""
    return on_paper(bred, tmp_path)


def on_paper(bred: Path, folder: Path, now_ms: int | None = None) -> PromotionHome:
    made = promotion_home(bred, folder)
    made.clock.ms = made.clock.ms if now_ms is None else now_ms
    made.judged()
    promote(made, "paper")
    made.trade("whole")
    return made


def wish(home: PromotionHome) -> Wish:
    place = (ACCOUNT, Target.LOOPBACK, ("SYN1", "SYN2"))
    return Wish(home.record.id, *place, Decimal(2000))


def promote(home: PromotionHome, to: str, consent: Any = None) -> Any:
    typed = consent or (lambda words: Consent(typed=words))
    return home.manager().promote(wish(home), to, "ann", typed)


def refusal(home: PromotionHome, consent: Any = None) -> str:
    with pytest.raises(RefusedError) as caught:
        promote(home, "canary", consent)
    error = caught.value
    return f"{error.what} | {error.why} | {error.fix}"


def with_rules(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *changes: tuple[str, str]
) -> DecisionRules:
    """Rules of this machine, changed."""
    text = Path(rules_module.SHIPPED).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(rules_module, "SHIPPED", file)
    return load_rules()


def decisions(home: PromotionHome) -> list[Any]:
    return [row for row in read_operations(home.home).decisions.values() if row.kind == KIND]


def decide(home: PromotionHome, run: str, rules: DecisionRules) -> str:
    """As `genesis decide new_strategy_approval --from-run` does."""
    facts = facts_of_run(home.workspace, run, rules, home.clock)
    return decide_now(home.workspace, KIND, facts, rules, home.record.id, home.clock).id


def resolve(home: PromotionHome, name: str, *, approve: bool) -> None:
    resolve_review(
        home.workspace, name, approve=approve, who="eve", reason="seen it", clock=home.clock
    )


def test_the_engine_is_asked_once_and_its_word_is_on_record(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rules(tmp_path, monkeypatch, FEW)
    assert "needs an approval" in refusal(home, lambda _: Consent())
    (row,) = decisions(home)
    assert (row.strategy, row.source, row.action) == (home.record.id, "whole", "approve")
    done = promote(home, "canary")
    assert len(decisions(home)) == 1
    assert done.history[-1].grounds.decision == row.decision


def test_a_decision_that_waits_lets_nothing_out_until_somebody_approves(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rules(tmp_path, monkeypatch, FEW, SHARPE)
    for _ in range(2):  # asked once, however often somebody tries
        told = refusal(home)
        (row,) = decisions(home)
        assert "has not approved" in told
        assert "waits for a review" in told
        assert "Sharpe ratio on paper" in told
        assert f"genesis review approve {row.decision}" in told
    assert home.manager().find(wish(home)).stage == "paper"
    resolve(home, row.decision, approve=True)
    assert promote(home, "canary").stage == "canary"


def test_a_review_that_was_rejected_or_missed_bars_the_way(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = with_rules(tmp_path, monkeypatch, FEW, SHARPE)
    refusal(home)
    resolve(home, decisions(home)[0].decision, approve=False)
    told = refusal(home)
    assert "rejected by eve: seen it" in told
    assert f"genesis decide {KIND} --strategy {home.record.id} --from-run whole" in told
    assert len(decisions(home)) == 1  # nobody is asked around
    decide(home, "whole", rules)
    home.clock.ms += 25 * 3_600_000
    told = refusal(home)
    assert "nobody looked at its review in time" in told
    assert f"genesis decide {KIND}" in told


def test_a_strategy_that_the_engine_rejects_stays_on_paper(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rules(tmp_path, monkeypatch, SHARPE, BACKTEST)
    told = refusal(home)
    assert "it says reject" in told
    assert "Sharpe ratio of the backtest" in told
    assert f"genesis decide {KIND}" in told
    # What speaks for it from elsewhere is not about the run that proves it.
    lenient = load_rules(Path(rules_module.__file__).parents[2] / "configs/decision_rules.yaml")
    decide(home, "whole", lenient)
    assert "has not approved" in refusal(home)


def test_a_decision_on_another_run_or_by_other_rules_is_no_answer(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.trade("short", days=20)
    home.trade("whole2")  # the newest: it alone is evidence
    strict = with_rules(tmp_path, monkeypatch, SHARPE, BACKTEST)
    monkeypatch.undo()
    decide(home, "whole2", strict)
    with_rules(tmp_path, monkeypatch, FEW)
    decide(home, "short", load_rules())
    before = len(decisions(home))
    done = promote(home, "canary")
    assert len(decisions(home)) == before + 1
    assert decisions(home)[-1].source == "whole2"
    assert done.history[-1].grounds.decision == decisions(home)[-1].decision


def test_what_is_rejected_while_the_person_types_stops_the_step(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = with_rules(tmp_path, monkeypatch, SHARPE, BACKTEST)
    monkeypatch.undo()
    with_rules(tmp_path, monkeypatch, FEW)

    def typing(words: str) -> Consent:
        decide(home, "whole", strict)
        return Consent(typed=words)

    told = refusal(home, typing)
    later = decisions(home)[-1].decision
    assert f"a later decision waits for a review: {later}" in told
    resolve(home, later, approve=True)
    assert f"{later}, which says reject" in refusal(home)
    assert home.manager().find(wish(home)).stage == "paper"


def test_after_a_fall_an_old_decision_says_nothing(
    bred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = on_paper(bred, tmp_path, now_ms=1)  # before the bars of the runs, which stay fresh
    with_rules(tmp_path, monkeypatch, FEW)
    first = promote(home, "canary").history[-1].grounds.decision
    home.clock.ms += 1
    home.manager().demote(wish(home), "paper", "ann", "odd fills")
    home.clock.ms += 1
    second = promote(home, "canary").history[-1].grounds.decision
    assert second != first
