"""Promotion by real evidence: a bred strategy, its dossier file, the logs of its runs."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from genesis.backtest.portfolio import backtest_strategy
from genesis.decision.ports import Consent, Wish
from genesis.decision.stages import Target
from genesis.domain.canonical import content_hash
from genesis.domain.errors import InputError, RefusedError
from genesis.evidence import gates as gates_module
from genesis.paper import agreement as agreements
from genesis.paper.began import began_ms
from genesis.system import promotion_runs
from genesis.system.promotion import live_deployments
from genesis.system.promotion_runs import WorkspaceEvidence
from genesis.trading.deployment import DeploymentOptions
from tests.conftest import REPOSITORY
from tests.unit.decision.deployment_desk import ACCOUNT, copied
from tests.unit.evidence.small_study import campaign_of
from tests.unit.system.evidence_homes import evidence_of
from tests.unit.system.promotion_homes import (
    PRODUCTION,
    REHEARSAL,
    PromotionHome,
    promotion_home,
)

LENIENT = REPOSITORY / "configs" / "gates.rehearsal.yaml"


@pytest.fixture
def home(bred: Path, tmp_path: Path) -> PromotionHome:
    return promotion_home(bred, tmp_path)


def wish(home: PromotionHome, **changes: Any) -> Wish:
    values: dict[str, Any] = {
        "strategy": home.record.id,
        "account": ACCOUNT,
        "target": Target.LOOPBACK,
        "symbols": ("SYN1", "SYN2"),
        "cap": Decimal(2000),
    }
    return Wish(**(values | changes))


def promote(home: PromotionHome, to: str, gates: Path | None = None, **changes: Any) -> Any:
    return home.manager(gates).promote(
        wish(home, **changes), to, "ann", lambda words: Consent(typed=words)
    )


def refusal(home: PromotionHome, to: str, gates: Path | None = None, **changes: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        promote(home, to, gates, **changes)
    return str(caught.value)


def test_the_baseline_is_what_the_study_measured(home: PromotionHome) -> None:
    home.judged()
    base = promote(home, "paper").baseline
    material = campaign_of("base", home.home).material
    direct = backtest_strategy(material.search, home.record.strategy, material.setup)
    assert base.searched_sharpe == pytest.approx(direct.metrics["daily_sharpe"], rel=1e-6)
    assert base.sealed_sharpe == 4.0
    years = base.sealed_years
    assert base.haircut_sharpe == pytest.approx(4.0 * 0.25 / (0.25 + 1.0 / years))
    assert list(base.drawdown_95) == sorted(base.drawdown_95)
    assert all(a < b for a, b in zip(base.drawdown_95, base.drawdown_99, strict=True))


def test_without_a_sealed_ratio_a_rehearsal_takes_half_of_the_searched_one(
    home: PromotionHome,
) -> None:
    home.judged(sealed=False)
    assert "no Sharpe ratio on sealed bars" in refusal(home, "paper")
    home.judged(REHEARSAL, sealed=False)
    (home.home / "dossiers" / f"{home.record.id}.json").unlink()
    base = promote(home, "paper").baseline
    assert base.sealed_sharpe == pytest.approx(0.5 * base.searched_sharpe)
    assert base.haircut_sharpe < base.sealed_sharpe


def test_paper_runs_are_read_from_their_logs_and_judged(home: PromotionHome) -> None:
    home.judged()
    promote(home, "paper")
    told = refusal(home, "canary")
    assert "G4 paper_days could not be measured" in told
    assert f"no paper run trades {home.record.id} in a mode that counts" in told
    home.trade("short", days=20)
    told = refusal(home, "canary")
    assert "paper_days is 20, at least 30 is needed: missed by 10" in told
    assert "paper_position_match" not in told
    home.trade("whole")
    done = promote(home, "canary")
    values = {r["measure"]: r["value"] for r in done.history[-1].grounds.results}
    assert values["paper_position_match"] == 1.0
    assert values["paper_slippage"] == 1.0
    assert values["paper_equivalence"] == pytest.approx(0.0, abs=1e-9)
    assert values["paper_trades"] >= 50
    assert [run.run for run in done.history[-1].grounds.runs] == ["whole"]
    assert [one.id for one in live_deployments(home.home, ACCOUNT)] == [done.id]
    assert live_deployments(home.home, "0x" + "9" * 40) == ()


def test_a_day_counts_once_however_often_it_is_replayed(home: PromotionHome) -> None:
    home.judged()
    promote(home, "paper")
    for number in range(3):
        home.trade(f"again{number}", days=15)
    assert "paper_days is 15" in refusal(home, "canary")


def test_of_runs_on_the_same_bars_the_one_that_began_last_counts(home: PromotionHome) -> None:
    """By the log's own instant: a file that is copied or touched is no newer for that."""
    home.judged()
    promote(home, "paper")
    early, late = home.trade("early", days=40), home.trade("late", days=20)
    assert began_ms(early) < began_ms(late)
    os.utime(early / "events.db")
    os.utime(late / "events.db", (1, 1))
    told = refusal(home, "canary")
    assert "paper_days is 20" in told


def test_symbols_are_known_by_stored_bars_and_runs(home: PromotionHome) -> None:
    home.judged()
    with pytest.raises(InputError, match="nothing here knows the symbol 'ETH'"):
        promote(home, "paper", symbols=("SYN1", "ETH"))
    home.trade("whole")
    shutil.rmtree(home.workspace.data)
    assert WorkspaceEvidence(home.workspace).symbols() == {"SYN1", "SYN2"}


def test_a_simulated_market_and_other_symbols_prove_nothing(
    home: PromotionHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesis.paper.settings import PaperMode

    home.judged()
    monkeypatch.setattr(WorkspaceEvidence, "symbols", lambda _: frozenset())
    promote(home, "paper", symbols=("SYN1", "ETH"))
    home.trade("whole")
    told = refusal(home, "canary", symbols=())
    assert "could not be measured" in told
    assert "no paper run trades ETH (the runs of this strategy trade SYN1, SYN2)" in told
    assert f"genesis paper run {home.record.id} -m testnet --symbols SYN1,ETH" in told
    assert "wait" not in told
    promote(home, "paper", symbols=("SYN1",), account="0x" + "7" * 40)
    folder = home.trade("sim", mode=PaperMode.SIMULATION)
    assert folder.exists()
    found = WorkspaceEvidence(home.workspace)
    deployment = home.manager().find(wish(home, account="0x" + "7" * 40))
    runs = [run.ref.run for run in found._paper_runs(deployment)]
    assert runs == ["whole"]


SIZED = DeploymentOptions(sizing="fixed")


def test_paper_runs_with_smaller_entries_are_no_evidence(home: PromotionHome) -> None:
    """Live runs trade the strategy's own sizes: a drawdown of smaller ones says too little."""
    home.judged()
    promote(home, "paper")
    home.trade("sized", options=SIZED)
    told = refusal(home, "canary")
    assert f"no paper run of {home.record.id} has its own sizes" in told
    assert "sized by anything but the strategy do not count: sized by fixed" in told
    assert any("sized by fixed" in hold for hold in evidence_of(home).verdict.holds)
    home.trade("short", days=20)
    home.trade("sized2", options=SIZED)  # newer, on the same bars: it takes no bar away
    told = refusal(home, "canary")
    assert "paper_days is 20" in told
    assert "sized by fixed, sized2 by fixed" in told
    home.trade("whole")
    done = promote(home, "canary")
    assert [run.run for run in done.history[-1].grounds.runs] == ["whole"]


def test_the_edited_result_of_a_paper_run_changes_nothing(home: PromotionHome) -> None:
    home.judged()
    promote(home, "paper")
    folder = home.trade("short", days=20)
    (folder / "result.json").write_text(json.dumps({"paper_days": 400, "days": 400}))
    (folder / "report.html").write_text("400 days")
    assert "paper_days is 20" in refusal(home, "canary")


def test_an_edited_log_of_a_paper_run_is_refused(home: PromotionHome) -> None:
    home.judged()
    promote(home, "paper")
    folder = home.trade("whole")
    db = apsw.Connection(str(folder / "events.db"))
    db.execute(
        "UPDATE events SET ts_ms = ts_ms + 1 WHERE seq ="
        " (SELECT max(seq) FROM events WHERE type = 'order_filled')"
    )
    db.close()
    assert "no evidence" in refusal(home, "canary")


def dossier_file(home: PromotionHome) -> Path:
    return home.home / "dossiers" / f"{home.record.id}.json"


def test_a_tampered_dossier_is_refused(home: PromotionHome) -> None:
    home.judged(sealed_ratio=0.1)
    assert "sealed_ratio is 0.1" in refusal(home, "paper")
    path = dossier_file(home)
    plain = json.loads(path.read_text())
    plain["passed"], plain["stopped_by"] = True, []
    path.write_text(json.dumps(plain))
    assert "changed after it was written" in refusal(home, "paper")
    # With a digest that fits, its verdicts still say what they say.
    del plain["digest"]
    for result in plain["gates"]:
        result["verdict"] = "pass"
    path.write_text(json.dumps({**plain, "digest": content_hash(plain)}))
    assert "sealed_ratio is 0.1" in refusal(home, "paper")


def test_a_dossier_that_is_replaced_later_stops_promotion_and_trading(
    home: PromotionHome,
) -> None:
    home.judged()
    promote(home, "paper")
    home.trade("whole")
    promote(home, "canary")
    home.judged(trades=500.0)
    with pytest.raises(RefusedError, match="not the one that it was promoted with"):
        live_deployments(home.home, ACCOUNT)
    assert "not the one that it was promoted with" in refusal(home, "live_25")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("paper_days: {at_least: 30}", "paper_days: {at_least: 1}"),
        ("  sealed_ratio: {at_least: 0.35", "  sealed_ratio: {at_least: 0.05"),
        ("concurrent: 5", "concurrent: 500"),
        ("name: production", "name: production\nrehearsal: true"),
    ],
)
def test_a_swapped_gates_file_is_refused(
    home: PromotionHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    home.judged()
    promote(home, "paper", target=Target.MAINNET)
    home.trade("short", days=20)
    text = (REPOSITORY / "configs" / "gates.yaml").read_text()
    assert old in text
    swapped = tmp_path / "gates.yaml"
    swapped.write_text(text.replace(old, new))
    monkeypatch.setattr(gates_module, "PRODUCTION", swapped)
    assert "are not the production gates" in refusal(home, "canary", target=Target.MAINNET)


def test_rehearsals_lead_to_loopback_and_testnet_alone(home: PromotionHome) -> None:
    home.judged(REHEARSAL)
    told = refusal(home, "paper", target=Target.MAINNET)
    assert "mainnet does not accept it" in told
    done = promote(home, "paper")
    assert done.mark == "REHEARSAL"
    home.trade("short", days=29)
    assert promote(home, "canary").stage == "canary"  # five days are enough for a rehearsal
    assert live_deployments(home.home, ACCOUNT)[0].mark == "REHEARSAL"


def test_the_rehearsal_beside_a_failed_dossier_serves_practice_only(home: PromotionHome) -> None:
    home.judged(REHEARSAL)
    home.judged(PRODUCTION, sealed_ratio=0.1)
    assert "sealed_ratio" in refusal(home, "paper", target=Target.MAINNET)
    assert promote(home, "paper", target=Target.TESTNET).mark == "REHEARSAL"


def test_gates_of_a_rehearsal_never_judge_mainnet(home: PromotionHome) -> None:
    home.judged()
    told = refusal(home, "paper", LENIENT, target=Target.MAINNET)
    assert "production gates alone" in told
    assert promote(home, "paper", LENIENT).mark == "REHEARSAL"


def live(home: PromotionHome, monkeypatch: pytest.MonkeyPatch, run: str, **facts: Any) -> Path:
    """A run of the deployment's own orders, as one that trades live leaves it."""
    monkeypatch.setattr(promotion_runs, "LIVE_MODE", "backtest-validation")
    monkeypatch.setattr(promotion_runs, "PAPER_MODES", ("replay",))
    market = {
        "network": "local",
        "accounts": {f"paper/{home.record.id}": ACCOUNT},
    } | facts
    return home.trade(run, market=market)


@pytest.fixture
def canary(home: PromotionHome) -> PromotionHome:
    """A strategy whose canary began before the bars of the study."""
    home.clock.ms = 1
    home.judged()
    promote(home, "paper")
    home.trade("whole")
    promote(home, "canary")
    return home


def test_the_canary_is_judged_by_its_own_orders(
    canary: PromotionHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refusal(canary, "live_25")
    assert "canary_days could not be measured" in told
    assert "0 days: no live run yet" in told
    assert f"genesis live run --account {ACCOUNT}" in told
    live(canary, monkeypatch, "foreign", accounts={f"paper/{canary.record.id}": "0x" + "8" * 40})
    assert "those of the 2 runs found (whole, foreign) are others" in refusal(canary, "live_25")
    live(canary, monkeypatch, "testnet", network="testnet")
    assert "could not be measured" in refusal(canary, "live_25")
    live(canary, monkeypatch, "own")
    found = WorkspaceEvidence(canary.workspace).measure(canary.manager().find(wish(canary)), "G5")
    values = {r["measure"]: r["value"] for r in found.results}
    assert values["canary_position_match"] == 1.0
    assert values["canary_days"] > 60
    assert values["canary_upper_bound"] > 0.0
    assert [run.run for run in found.runs] == ["own"]


def test_live_runs_with_smaller_entries_count_for_health_alone(
    canary: PromotionHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion_runs, "LIVE_MODE", "backtest-validation")
    market = {"network": "local", "accounts": {f"paper/{canary.record.id}": ACCOUNT}}
    canary.trade("small", market=market, options=SIZED)
    deployment = canary.manager().find(wish(canary))
    evidence = WorkspaceEvidence(canary.workspace)
    assert evidence.health(deployment).numbers["days"] > 60
    found = evidence.measure(deployment, "G5")
    assert found.runs == ()
    assert "no live run has the strategy's own sizes" in found.absent
    assert "small by fixed" in found.aside
    told = refusal(canary, "live_25")
    assert "--sizing strategy" in told
    live(canary, monkeypatch, "own")
    found = evidence.measure(deployment, "G5")
    assert [run.run for run in found.runs] == ["own"]
    assert "small by fixed" in found.aside


def test_after_a_fall_the_bars_from_before_it_are_named(home: PromotionHome) -> None:
    home.clock.ms = 1_900_000_000_000  # after every stored bar
    home.judged()
    promote(home, "paper")
    home.trade("whole")
    promote(home, "canary")
    home.manager().demote(wish(home), "paper", "ann", "odd")
    told = refusal(home, "canary")
    assert "bars before the fall at 2030-03-17" in told
    assert "those of the 1 run found (whole) end before" in told
    assert "genesis data fetch DATASET" in told


def test_runs_that_follow_each_other_on_a_day_both_count(
    canary: PromotionHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run ends at a change of stage and another begins: no day of either is lost."""
    live(canary, monkeypatch, "own")
    deployment = canary.manager().find(wish(canary))
    evidence = WorkspaceEvidence(canary.workspace)
    own = next(iter(evidence._live_runs(deployment)))
    start, end = own.agreement.span_ms
    middle = start + (end - start) // 2
    live(canary, monkeypatch, "next")
    for overlap, count in ((0, 2), (1, 1)):
        spans = [(middle, end), (start, middle + overlap)]
        parts = [replace(own.agreement, span_ms=span) for span in spans]
        monkeypatch.setattr(agreements, "agreement", lambda *_, parts=parts: parts.pop(0))
        assert len(list(evidence._live_runs(deployment))) == count


def test_what_was_traded_before_the_canary_is_no_evidence_for_it(
    canary: PromotionHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary.manager().demote(wish(canary), "paper", "ann", "again")
    folder = live(canary, monkeypatch, "own")
    assert folder.exists()
    deployment = canary.manager().find(wish(canary))
    evidence = WorkspaceEvidence(canary.workspace)
    whole = next(iter(evidence._live_runs(deployment))).agreement
    half = int(np.median(whole.day_ms))
    late = next(iter(evidence._live_runs(copied(deployment, live_since_ms=half)))).agreement
    assert late.days < 0.6 * whole.days


def test_health_is_read_from_the_same_logs(
    canary: PromotionHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(canary, monkeypatch, "own")
    evidence = WorkspaceEvidence(canary.workspace)
    found = evidence.health(canary.manager().find(wish(canary)))
    assert found.numbers["position_match"] == 1.0
    assert found.numbers["slippage"] == 1.0
    assert found.numbers["days"] > 60
    done, _ = canary.manager().review(wish(canary))
    assert done.stage == ("paper" if found.alarm.value == "red" else "canary")


def test_the_same_strategy_on_another_account_gets_no_canary(canary: PromotionHome) -> None:
    place = {"account": "0x" + "5" * 40}
    promote(canary, "paper", **place)
    assert "adds nothing to the book" in refusal(canary, "canary", **place)
    canary.manager().retire(wish(canary), "ann", "moved to another account")
    assert promote(canary, "canary", **place).stage == "canary"


def test_a_twin_adds_nothing_to_the_book(canary: PromotionHome) -> None:
    evidence = WorkspaceEvidence(canary.workspace)
    first = canary.manager().find(wish(canary))
    twin = copied(first, id="other", account="0x" + "5" * 40)
    told = evidence.admission(twin, [first])
    assert "the book holds it already, correlated 1" in told
    assert first.id in told
    assert evidence.admission(first, [first]) == ""  # a deployment is no twin of itself
    assert evidence.admission(first, []) == ""
    _, returns = evidence.common_returns([first, twin])
    np.testing.assert_array_equal(returns[:, 0], returns[:, 1])
