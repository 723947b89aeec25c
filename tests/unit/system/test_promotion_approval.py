"""A strategy leaves paper only with the word of the decision engine on the run that proves it."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.decision import rules as rules_module
from genesis.decision.grounds import RunRef
from genesis.decision.operations import OperationsLog, read_operations
from genesis.decision.ports import Consent, Wish
from genesis.decision.rules import DecisionRules, load_rules
from genesis.decision.stages import Target
from genesis.decision.strategy_approval import decision_on
from genesis.domain.errors import RefusedError
from genesis.paper.settings import PaperMode
from genesis.system.decision_facts import facts_of_run
from genesis.system.decisions import decide_now, resolve_review
from genesis.trading.deployment import DeploymentOptions
from tests.unit.cli.command_answers import call
from tests.unit.decision.deployment_desk import ACCOUNT, ManualClock
from tests.unit.decision.operation_samples import decided, resolved
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


def test_a_file_of_facts_that_names_the_run_is_no_answer(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = with_rules(tmp_path, monkeypatch, SHARPE)
    real = facts_of_run(home.workspace, "whole", rules, home.clock).context.plain()
    real["strategies"][home.record.id] = {
        "backtest_sharpe": 99.0, "paper_days": 99, "paper_sharpe": 99.0, "paper_drawdown": 0.0,
    }  # fmt: skip
    assert real["log"]["run"] == real["source"] == "whole"
    path = tmp_path / "facts.json"
    path.write_text(json.dumps({"schema": 1, "context": real}))
    forged = call(home.home, "decide", KIND, "--context", str(path), "--json")
    assert (forged.json["action"], forged.json["acts"]) == ("approve", True)
    told = refusal(home)
    assert "Sharpe ratio on paper" in told
    assert [row.source for row in decisions(home)] == [f"file:{path}", "whole"]


def test_a_decision_on_less_of_the_run_is_asked_for_again(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run did after it was decided on nobody has judged."""
    rules = with_rules(tmp_path, monkeypatch, FEW)
    shutil.rmtree(home.home / "trading" / "whole")
    home.trade("whole", days=5)
    early = decide(home, "whole", rules)
    shutil.rmtree(home.home / "trading" / "whole")
    home.trade("whole")
    done = promote(home, "canary")
    first, second = decisions(home)
    assert first.decision == early
    assert done.history[-1].grounds.decision == second.decision
    assert second.log == done.history[-1].grounds.runs[0]
    assert second.log.events > first.log.events


def test_a_run_that_goes_on_is_to_be_ended_before_its_review(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = with_rules(tmp_path, monkeypatch, SHARPE)
    shutil.rmtree(home.home / "trading" / "whole")
    home.trade("whole", days=5)
    early = decide(home, "whole", rules)
    resolve(home, early, approve=True)
    shutil.rmtree(home.home / "trading" / "whole")
    home.trade("whole")
    told = refusal(home)
    assert f"{early} was taken on" in told
    assert "end the run before its review" in told
    resolve(home, decisions(home)[-1].decision, approve=True)
    assert promote(home, "canary").stage == "canary"
    assert len(decisions(home)) == 2


def test_the_command_takes_the_decision_on_a_finished_run(
    bred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`genesis decide`, then `genesis promote`: the engine is not asked a second time."""
    home = on_paper(bred, tmp_path, now_ms=1)  # the commands go by the machine's clock
    with_rules(tmp_path, monkeypatch, FEW)
    line = ("decide", KIND, "--strategy", home.record.id, "--from-run", "whole", "--json")
    made = call(home.home, *line).json
    file = str(tmp_path / "approval.json")
    step = ("--account", ACCOUNT, "--target", "loopback")
    given = call(home.home, "approve", home.record.id, "--stage", "canary", *step, "--out", file)
    assert given.code == 0, given.err
    done = call(
        home.home, "promote", home.record.id, "--to", "canary", *step, "--approval", file, "--json"
    )
    assert done.code == 0, done.out + done.err
    (row,) = decisions(home)
    assert row.decision == made["decision"]


def test_paper_facts_of_smaller_entries_are_no_answer(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = with_rules(tmp_path, monkeypatch, FEW)
    home.trade("sized", mode=PaperMode.REPLAY, options=DeploymentOptions(sizing="fixed"))
    for run, known in (("whole", True), ("sized", False)):
        found = facts_of_run(home.workspace, run, rules, home.clock)
        assert ("smaller in sized" in found.caveat) is not known
        facts = found.context.strategies[home.record.id]
        paper = (facts.paper_days, facts.paper_sharpe, facts.paper_drawdown)
        assert [value is not None for value in paper] == [known] * 3
        assert facts.series is not None  # what it does is judged all the same
    name = decide(home, "sized", rules)
    assert not read_operations(home.home).decisions[name].acts
    line = ("new_strategy_approval", "--from-run", "sized", "--dry-run", "--json")
    assert "a run without --sizing does" in call(home.home, "decide", *line).err


NEWEST, OLDER = RunRef("b", 9, "bb"), RunRef("a", 5, "aa")


@pytest.mark.parametrize(
    ("log", "state", "counts"),
    [
        (NEWEST, "approved", True),
        (NEWEST, "rejected", True),
        (RunRef("b", 8, "b0"), "approved", False),
        (RunRef("b", 9, "xx"), "approved", False),
        (OLDER, "approved", False),
        (OLDER, "rejected", True),  # a person's no is not asked around
        (RunRef("c", 9, "cc"), "rejected", False),
        (None, "approved", False),  # of before the log was kept
    ],
)
def test_a_decision_answers_for_the_newest_run_as_it_was_measured(
    tmp_path: Path, log: RunRef | None, state: str, counts: bool
) -> None:
    plain = {"source": "b"}
    if log is not None:
        plain |= {"source": log.run, "log": {"run": log.run, "events": log.events,
                                             "head": log.head}}  # fmt: skip
    made = decided("DEC_1", kind=KIND, strategy="s", action="approve", body={"context": plain})
    with OperationsLog.open(tmp_path, ManualClock()) as sitting:
        sitting.append(made, aggregate="DEC_1")
        sitting.append(resolved("DEC_1", resolution=state), aggregate="DEC_1")
    found = decision_on(read_operations(tmp_path), "s", (NEWEST, OLDER), "00")
    assert (found is not None) is counts
