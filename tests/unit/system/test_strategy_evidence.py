"""The evidence on a strategy: numbers against their sources, what is missing, what was changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis.decision.operations import OperationsLog
from genesis.domain.canonical import canonical_json
from genesis.trading.payloads import KillLatched, Rearmed
from genesis.trading.store import EventReader
from genesis.trading.story import tell
from tests.unit.cli.command_answers import call
from tests.unit.decision.deployment_desk import ACCOUNT, ManualClock
from tests.unit.decision.operation_samples import decided, resolved
from tests.unit.system.evidence_homes import (
    NOW,
    OWN,
    PAPER,
    edit,
    evidence_of,
    live_home,
    mark_live,
    promote,
    read,
)
from tests.unit.system.promotion_homes import PromotionHome, promotion_home

SECTIONS = [
    "strategy", "lineage", "study", "gates", "paper", "decisions", "approvals", "stages", "live",
    "expectation", "alerts",
]  # fmt: skip


@pytest.fixture
def home(bred: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PromotionHome:
    mark_live(monkeypatch)
    return promotion_home(bred, tmp_path)


@pytest.fixture
def traded(home: PromotionHome) -> PromotionHome:
    return live_home(home)


# ---- what is not there yet -------------------------------------------------------------------


def test_what_is_not_there_yet_says_so(home: PromotionHome) -> None:
    found = evidence_of(home)
    assert list(found.sections) == SECTIONS
    assert found.problems == ()
    assert found.verdict.line == "not deployed: it was not judged by the gates yet"
    absent = {name for name, one in found.sections.items() if one.missing}
    assert absent == set(SECTIONS) - {"strategy", "lineage", "study"}
    for name in absent:
        assert found.sections[name].facts == {}
    answer = call(home.home, "strategies", "show", home.record.id)
    assert answer.code == 0, answer.err
    assert answer.out.count("not there yet") == len(absent - {"gates"})  # gates have a block


@pytest.mark.parametrize(
    ("worse", "line"),
    [
        ({}, "not deployed: nothing holds it back from paper"),
        (
            {"sealed_ratio": 0.1},
            "not deployed: G3 sealed_ratio is 0.1, at least 0.35 is needed: missed by 0.25",
        ),
    ],
)
def test_the_verdict_before_a_deployment(
    home: PromotionHome, worse: dict[str, float], line: str
) -> None:
    home.judged(**worse)
    assert evidence_of(home).verdict.line == line


def test_the_verdict_names_what_holds_the_next_stage_back(home: PromotionHome) -> None:
    home.clock.ms = 1
    home.judged()
    promote(home, "paper")
    home.trade("short", days=20)
    found = evidence_of(home).verdict
    assert found.stage == "paper"
    assert any("G4 paper_days is 20, at least 30 is needed: missed by 10" in h for h in found.holds)
    home.trade(PAPER)
    shutil.rmtree(home.home / "trading" / "short")


# ---- numbers against their sources -----------------------------------------------------------


def test_gates_and_their_distances_are_those_of_the_dossier(home: PromotionHome) -> None:
    home.judged(sharpe_2x=0.75, correlation=0.3)
    facts = evidence_of(home).sections["gates"].facts
    plain = json.loads((home.home / "dossiers" / f"{home.record.id}.json").read_text())
    assert facts["digest"] == plain["digest"]
    assert [g["measure"] for g in facts["gates"]] == [g["measure"] for g in plain["gates"]]
    rows = {g["measure"]: g for g in facts["gates"]}
    file = {g["measure"]: g for g in plain["gates"]}
    assert file["sharpe_2x"]["bound"] == "at least"
    assert rows["sharpe_2x"]["distance"] == pytest.approx(0.75 - file["sharpe_2x"]["threshold"])
    assert file["correlation"]["bound"] == "at most"
    assert rows["correlation"]["distance"] == pytest.approx(file["correlation"]["threshold"] - 0.3)


def test_the_study_is_the_one_of_the_ledger(home: PromotionHome) -> None:
    found = evidence_of(home)
    study, lineage = found.sections["study"].facts, found.sections["lineage"].facts
    lines = (home.home / "runs" / "base" / "trials.jsonl").read_text().splitlines()
    head, first = "0" * 64, {}
    for line in lines:
        row = json.loads(line)
        claimed = row.pop("hash")
        head = hashlib.sha256((head + canonical_json(row)).encode()).hexdigest()
        assert head == claimed
        first.setdefault(row["genome"], row)
    assert (study["ledger_head_now"], study["ledger_rows"]) == (head, len(lines))
    config = (home.home / "runs" / "base" / "config.yaml").read_text()
    assert f"seed: {study['seed']}" in config
    own = first[home.record.genome]
    assert lineage["generation"] == own["generation"]
    assert lineage["parents"] == own["parents"]
    for one in lineage["ancestors"]:
        assert one["generation"] == first[one["genome"]]["generation"]
        assert one["parents"] == first[one["genome"]]["parents"]


def test_orders_fills_and_money_are_those_of_the_run(traded: PromotionHome) -> None:
    """The events that the section is folded from against the tables that the ledger wrote."""
    found = evidence_of(traded)
    assert found.problems == ()
    (run,) = found.sections["live"].facts["runs"]
    folder = traded.home / "trading" / OWN
    states = Counter(state for (state,) in read(folder, "SELECT state FROM orders"))
    assert run["orders"] == sum(states.values())
    assert run["order_states"]["filled"] == states["filled"]
    assert run["order_states"].get("canceled", 0) == states["canceled"]
    rows = read(folder, "SELECT fill_id, fee, seq, order_id, plan_id FROM fills ORDER BY seq")
    assert [f["fill_id"] for f in run["fill_list"]] == [row[0] for row in rows]
    assert [f["seq"] for f in run["fill_list"]] == [row[2] for row in rows]
    assert [(f["order_id"], f["plan_id"]) for f in run["fill_list"]] == [row[3:] for row in rows]
    fees = sum(Decimal(row[1]) for row in rows)
    assert Decimal(run["fees"]) == fees
    paid = read(folder, "SELECT funding FROM postings WHERE kind = 'funding'")
    assert Decimal(run["funding"]) == sum((Decimal(one) for (one,) in paid), Decimal(0))
    pnl = [Decimal(one) for (one,) in read(folder, "SELECT pnl FROM trades")]
    assert run["trades"] == len(pnl)
    assert Decimal(run["pnl"]) == pytest.approx(sum(pnl), rel=Decimal("1e-20"))
    assert Decimal(run["net"]) == Decimal(run["pnl"]) - fees - Decimal(run["funding"])
    plans = read(folder, "SELECT count(*) FROM trade_plans")
    assert run["stops"]["positions"] == plans[0][0]
    slips = read(folder, "SELECT side, price, reference FROM fills WHERE reference IS NOT NULL")
    by_hand = [
        (1 if side == "buy" else -1) * (float(price) / float(reference) - 1.0) * 1e4
        for side, price, reference in slips
        if float(reference)
    ]
    assert run["slippage_bp"] == pytest.approx(np.mean(by_hand))


def test_the_last_fill_leads_back_to_its_genome(traded: PromotionHome) -> None:
    (run,) = evidence_of(traded).sections["live"].facts["runs"]
    last = run["last_fill"]
    with EventReader(traded.home / "trading" / OWN) as reader:
        story = tell(reader, last["fill_id"])
    assert story.strategy == {
        "strategy_id": traded.record.id,
        "family": traded.record.strategy.family,
        "genome": traded.record.genome,
    }
    assert story.what["plan"]["plan_id"] == last["plan_id"]
    assert set(last["signal_ids"]) <= {one["id"] for one in story.why["signals"]}
    assert last["signal_ids"]
    assert last["genome"] == traded.record.genome
    told = call(traded.home, "story", last["fill_id"], "--run", OWN)
    assert f"strategy {traded.record.id}" in told.out
    assert traded.record.genome in told.out


def test_profit_against_expectation_by_hand(traded: PromotionHome) -> None:
    found = evidence_of(traded).sections["expectation"]
    (one,) = found.facts["deployments"]
    folder = traded.home / "trading" / OWN
    flows, held = Decimal(0), Counter[str]()
    for symbol, side, size, price, fee in read(
        folder, "SELECT symbol, side, size, price, fee FROM fills"
    ):
        signed = Decimal(size) if side == "buy" else -Decimal(size)
        flows -= signed * Decimal(price) + Decimal(fee)
        held[symbol] += signed
    with EventReader(folder) as reader:
        closes = {e.data.symbol: e.data.close for e in reader.events(types=("bar_closed",))}
    worth = float(flows) + sum(float(size) * closes[name] for name, size in held.items())
    assert one["live"][-1] == pytest.approx(worth / 100_000.0, rel=1e-6)
    daily = np.diff([0.0, *one["live"]])
    base = traded.manager().book().deployments[one["deployment"]].baseline
    peak, deepest, total, floor = 0.0, 0.0, 0.0, []
    for day, change in enumerate(daily, start=1):
        total += change
        peak = max(peak, total)
        deepest = max(deepest, peak - total)
        floor.append(peak - base.drawdown_bound(day, 0.99))
    assert one["drawdown"] == pytest.approx(deepest)
    np.testing.assert_allclose(one["floor_99"], floor, atol=1e-12)
    assert one["drawdown_bound_99"] == base.drawdown_99[base.horizons.index(180)]
    assert one["days"] == 200
    step = base.haircut_sharpe / np.sqrt(365.0)
    assert one["expected"][9] == pytest.approx(10 * step * base.daily_sd)
    level = 0.0
    for change in daily:
        level = max(0.0, level + step / 2 - float(np.clip(change / base.daily_sd, -4.0, 4.0)))
    assert one["cusum"]["now"] == pytest.approx(level, abs=1e-9)
    assert one["cusum"]["amber"] < one["cusum"]["red"]
    assert one["health"]["alarm"] in ("green", "amber", "red")


def test_stages_and_approvals_are_rows_of_the_log(traded: PromotionHome) -> None:
    found = evidence_of(traded)
    (granted,) = found.sections["approvals"].facts["approvals"]
    with EventReader(traded.home / "operations") as reader:
        events = {event.seq: event.data for event in reader.events()}
        head = reader.head
    assert events[granted["seq"]].approval == granted["approval"]
    assert events[granted["used_seq"]].approval == granted["approval"]
    assert (granted["who"], granted["max_usd"], granted["state"]) == ("ann", "2000", "used")
    (one,) = found.sections["stages"].facts["deployments"]
    assert [step["to_stage"] for step in one["steps"]] == ["candidate", "paper", "canary"]
    assert [events[step["seq"]].to_stage for step in one["steps"]] == [
        "candidate", "paper", "canary",
    ]  # fmt: skip
    assert [log["run"] for log in one["steps"][-1]["logs"]] == [PAPER]
    assert one["steps"][-1]["logs"][0]["state"] == "as judged"
    (source,) = found.sections["stages"].sources
    assert (source.hash, source.events) == (head.hash.hex(), (1, head.seq))
    assert found.sections["paper"].facts["judged"]["seq"] == one["steps"][-1]["seq"]


def test_decisions_and_kills_that_concern_it(traded: PromotionHome) -> None:
    mine = traded.record.id
    reason = {"rule": "negative_sharpe_days", "text": "5 days", "strategy": mine}
    other = {"rule": "negative_sharpe_days", "text": "9 days", "strategy": "strat_other"}
    with OperationsLog.open(traded.home, ManualClock(NOW)) as log:
        body = {"reasons": [reason, other]}
        log.append(decided("DEC_1", strategy=mine, body=body, rules_hash="ab" * 32,
                           deadline_ms=NOW + 1))  # fmt: skip
        log.append(decided("DEC_2", strategy="strat_other"))
        log.append(decided("DEC_3", strategy="", holds=("all",), kind="emergency_shutdown"))
        log.append(resolved("DEC_1", resolution="rejected", who="bob", reason="too early"))
        log.append(KillLatched(ACCOUNT, "cli", "ann", "a drill"))
        log.append(KillLatched("0x" + "1" * 40, "cli", "ann", "another account"))
        log.append(Rearmed(ACCOUNT, "ann", "the drill is over"))
    found = evidence_of(traded)
    rows = {one["decision"]: one for one in found.sections["decisions"].facts["decisions"]}
    (approval,) = set(rows) - {"DEC_1", "DEC_3"}
    assert rows[approval]["kind"] == "new_strategy_approval"  # asked for by the step to canary
    assert set(rows) == {"DEC_1", "DEC_3", approval}
    one = rows["DEC_1"]
    assert one["reasons"] == ["5 days"]
    assert (one["state"], one["resolved_by"], one["resolution"]) == ("rejected", "bob", "too early")
    assert (one["rules_hash"], one["confidence"]) == ("ab" * 32, 0.8)
    kills = found.sections["alerts"].facts["kills"]
    assert [(k["what"], k["reason"]) for k in kills] == [
        ("killed", "a drill"), ("rearmed", "the drill is over"),
    ]  # fmt: skip
    assert any("DEC_3" in hold for hold in found.verdict.holds)


# ---- what was changed ------------------------------------------------------------------------


def _line(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _dossier(home: PromotionHome) -> None:
    path = home.home / "dossiers" / f"{home.record.id}.json"
    plain = json.loads(path.read_text())
    plain["gates"][0]["value"] = 0.5
    path.write_text(json.dumps(plain))


def _live_event(home: PromotionHome) -> None:
    edit(
        home.home / "trading" / OWN,
        "UPDATE events SET ts_ms = ts_ms + 1 WHERE seq ="
        " (SELECT max(seq) FROM events WHERE type = 'order_filled')",
    )


def _fill_row(home: PromotionHome) -> None:
    edit(home.home / "trading" / OWN, "UPDATE fills SET price = '1' WHERE seq ="
         " (SELECT max(seq) FROM fills)")  # fmt: skip


def _fill_gone(home: PromotionHome) -> None:
    edit(home.home / "trading" / OWN, "DELETE FROM fills WHERE seq ="
         " (SELECT max(seq) FROM fills)")  # fmt: skip


def _fill_added(home: PromotionHome) -> None:
    edit(home.home / "trading" / OWN, "INSERT INTO fills SELECT 'FIL_x', 'v', account, symbol,"
         " order_id, client_id, deployment, plan_id, group_id, side, size, price, reference,"
         " intent_reference, fee, maker, cause, realised, position, ts_ms, recorded_ms,"
         " latency_ms, 1 FROM fills LIMIT 1")  # fmt: skip


def _operations(home: PromotionHome) -> None:
    edit(home.home / "operations", "UPDATE events SET ts_ms = ts_ms + 1 WHERE seq = 3")


def _ledger(home: PromotionHome) -> None:
    _line(home.home / "runs" / "base" / "trials.jsonl", '"generation":0', '"generation":1')


def _config(home: PromotionHome) -> None:
    _line(home.home / "runs" / "base" / "config.yaml", "seed: 1", "seed: 2")


def _study(home: PromotionHome) -> None:
    path = home.home / "runs" / "base" / "study.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "config_hash": "0" * 64}))


def _paper_gone(home: PromotionHome) -> None:
    shutil.rmtree(home.home / "trading" / PAPER)


def _paper_swapped(home: PromotionHome) -> None:
    _paper_gone(home)
    home.trade(PAPER, days=40)


@pytest.mark.parametrize(
    ("change", "part", "named"),
    [
        (_dossier, "gates", "was changed after it was written"),
        (_live_event, "live", f"the log of {OWN} is not what was written"),
        (_fill_row, "live", f"{OWN}: the table of fills differs from event"),
        (_fill_gone, "live", "is not in the table of fills"),
        (_fill_added, "live", "has one of event 1, which is no fill"),
        (_operations, "operations", "the log of operations was changed"),
        (_ledger, "study", "ledger"),
        (_config, "study", "config.yaml of base was changed after the study"),
        (_study, "study", "study.json of base is not that of"),
        (_paper_gone, "stages", f"the log of {PAPER}, on which step 6 of"),
        (_paper_swapped, "stages", f"the log of {PAPER}, on which step 6 of"),
    ],
)
def test_what_was_changed_is_named_and_the_rest_still_shown(
    traded: PromotionHome, tmp_path: Path, change: Any, part: str, named: str
) -> None:
    assert evidence_of(traded).problems == ()
    change(traded)
    page = tmp_path / "page.html"
    shown = ("strategies", "show", traded.record.id)
    answer = call(traded.home, *shown, "--json", "--page", str(page))
    assert answer.code == 3
    assert answer.json["ok"] is False
    told = [(one["part"], one["what"]) for s in answer.json["evidence"].values()
            for one in s["problems"]]  # fmt: skip
    assert any(p == part and named in what for p, what in told), told
    error = answer.json["error"]
    assert named in f"{error['what']} {error['why']}"
    assert "Not what was written" in page.read_text()
    assert answer.json["evidence"]["strategy"]["facts"]["genome"] == traded.record.genome
    text = call(traded.home, *shown)
    assert text.code == 3
    assert named in " ".join((text.out + text.err).split())
    assert "Traceback" not in text.err


def test_a_changed_record_is_refused_before_anything_is_shown(traded: PromotionHome) -> None:
    path = traded.home / "strategies" / f"{traded.record.id}.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "trials": 1}))
    answer = call(traded.home, "strategies", "show", traded.record.id, "--json")
    assert answer.code == 3
    assert path.name in answer.error["what"]


def test_a_log_that_contradicts_hides_stage_and_approvals(traded: PromotionHome) -> None:
    _operations(traded)
    found = evidence_of(traded)
    assert found.verdict.stage == "unknown"
    assert all(found.sections[name].facts == {} for name in ("stages", "approvals", "decisions"))
    assert found.sections["live"].facts["runs"]  # its own chain holds
