"""A rerun is the study's own search: on the same bars it finds the same, bar for bar."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genesis.backtest.portfolio import backtest_strategy
from genesis.evidence import worker
from genesis.evidence.campaign import Campaign
from genesis.evidence.jitter import jittered
from genesis.evidence.surrogates import surrogate
from genesis.evidence.worker import EvidenceWorker, request, search_again
from genesis.evolution.evaluation import BLOCK
from genesis.evolution.executors.worker import UnitEvaluator
from genesis.evolution.pool import GeneticStrategyPool
from genesis.evolution.run import load_run
from genesis.evolution.work import WorkUnit
from genesis.market.panel import Panel
from tests.unit.evidence.small_study import campaign_of, small_config, small_study, write_market

pytestmark = pytest.mark.usefixtures("settled_code")


def again(campaign: Campaign, panel: Panel | None = None) -> GeneticStrategyPool:
    return search_again(
        panel or campaign.search,
        campaign.rerun_config,
        campaign.job,
        campaign.material.registry,
    )


def asked(campaign: Campaign, **body: object) -> dict[str, object]:
    answer = EvidenceWorker(campaign.job).run(request(0, **body))  # type: ignore[arg-type]
    found: dict[str, object] = json.loads(answer.payload)
    return found


def search(campaign: Campaign, kind: str = "sign", index: int = 0) -> dict[str, object]:
    config = campaign.rerun_config.to_plain()
    return asked(campaign, what="search", kind=kind, index=index, seed=1, config=config)


def test_with_a_random_arm_beside_it(bred: Path, read_campaign: Campaign) -> None:
    study = load_run("base", bred).study
    pool = again(read_campaign)
    assert pool.archive.archive_hash == study["archive_hash"]
    assert read_campaign.config.evolution.random_arm
    assert read_campaign.best_random is not None


@pytest.mark.parametrize("ml", ["false", "true"])
def test_without_one_the_ledger_too(tmp_path: Path, ml: str) -> None:
    symbols = write_market(tmp_path, seed=4)
    config = small_config(symbols, random_arm="false", seed=6)
    if ml == "true":
        from genesis.evolution.config import with_overrides

        config = with_overrides(
            config,
            seeds__families=["donchian", "linear_svc"],
            evolution__ml_island={"enabled": True, "population_size": 4, "budget": 5},
        )
    small_study(config, tmp_path, "plain")
    campaign = campaign_of("plain", tmp_path)
    pool = again(campaign)
    assert pool.archive.archive_hash == campaign.facts["archive_hash"]
    found = {s.fitness for s in pool.scores.values() if s.feasible}
    assert max(found) == campaign.best_fitness
    assert pool.ledger.trials == campaign.ledger.trials
    families = {row["plain"]["family"] for row in campaign.trials}
    assert ("linear_svc" in families) == (ml == "true")


def ten_best_cells(home: Path) -> float:
    """Mean fitness of the ten best cells, from the archive's file: each cell's best is in it."""
    entries = load_run("base", home).archive_records()
    best: dict[str, float] = {}
    for entry in entries:
        if entry["violation"] == 0.0:
            best[entry["cell"]] = max(entry["objectives"][0], best.get(entry["cell"], -1e9))
    return sum(max(value, 0.0) for value in sorted(best.values())[-10:]) / 10.0


def test_the_statistic_of_a_rerun_is_the_studys_own(
    bred: Path, read_campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the bars as they are: the same number from the ledger, the file and the rerun."""
    monkeypatch.setattr(worker, "surrogate", lambda panel, *_: panel)
    answer = search(read_campaign)
    assert answer["statistic"] == read_campaign.statistic
    assert answer["statistic"] == pytest.approx(ten_best_cells(bred))
    rows = [row for row in read_campaign.ledger.rows() if row["role"] == "search"]
    assert answer["evaluated"] == len({row["genome"] for row in rows})
    feasible = [row for row in rows if row["status"] == "valid" and row["violation"] == 0]
    assert answer["feasible"] == len(feasible)
    assert max(row["objectives"][0] for row in feasible) == read_campaign.best_fitness


def test_on_a_surrogate_it_is_another_search(read_campaign: Campaign) -> None:
    one, two = search(read_campaign), search(read_campaign, index=1)
    assert search(read_campaign) == one
    assert len({one["statistic"], two["statistic"], read_campaign.statistic}) == 3
    market = surrogate(read_campaign.search, "sign", 0, 1)
    pool = again(read_campaign, market)
    assert pool.ledger.head == one["ledger_head"]


def test_a_rerun_leaves_no_files_and_no_seal(home: Path) -> None:
    before = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    campaign = campaign_of("base", home)
    search(campaign)
    again(campaign)
    after = {p: p.read_bytes() for p in home.rglob("*") if p.is_file()}
    assert after == before


def test_nothing_feasible_is_null(
    read_campaign: Campaign,
) -> None:
    config = read_campaign.rerun_config.to_plain()
    config["constraints"]["min_trades"] = 10_000
    answer = asked(read_campaign, what="search", kind="sign", index=0, seed=1, config=config)
    assert answer["statistic"] is None
    assert answer["feasible"] == 0


def test_the_sealed_bars_are_never_in_a_workers_job(read_campaign: Campaign) -> None:
    job, material = read_campaign.job, read_campaign.material
    assert job.panel.bars == material.search.bars < material.panel.bars
    assert int(job.panel.ts_ms[-1]) < material.sealed_span[0]


def test_blocks_are_answered_as_in_a_study(read_campaign: Campaign) -> None:
    texts = tuple(read_campaign.phenotypes[:5])
    unit = WorkUnit(3, 1, texts)
    mine = EvidenceWorker(read_campaign.job).run(unit)
    theirs = UnitEvaluator(read_campaign.job, "x").run(unit)
    assert mine.unit == 3
    assert np.array_equal(mine.block.marks, theirs.block.marks, equal_nan=True)
    assert np.array_equal(mine.block.phenotype, theirs.block.phenotype)
    assert len(texts) < BLOCK


def test_a_worker_answers_alike_whatever_it_did_before(read_campaign: Campaign) -> None:
    texts = tuple(read_campaign.phenotypes[:3])
    used = EvidenceWorker(read_campaign.job)
    block = WorkUnit(0, 0, texts)
    jitter = request(1, "jitter", index=2, seed=0, scale=0.2, genomes=list(texts))
    first = [used.run(block).block.marks, used.run(jitter).payload, used.run(block).block.marks]
    assert np.array_equal(first[0], first[2], equal_nan=True)
    assert EvidenceWorker(read_campaign.job).run(jitter).payload == first[1]
    assert used.probe() == EvidenceWorker(read_campaign.job).probe()


def test_a_jittered_market_is_judged_by_the_whole_portfolio(read_campaign: Campaign) -> None:
    """Total return and ratio of each genome by a backtest of its own on the jittered bars."""
    candidates = read_campaign.candidates(3)
    texts = [c.genome.to_text() for c in candidates]
    answer = asked(read_campaign, what="jitter", index=4, seed=9, scale=0.3, genomes=texts)
    market = jittered(read_campaign.search, 0.3, 4, 9)
    for place, candidate in enumerate(candidates):
        own = backtest_strategy(market, candidate.record.strategy, read_campaign.material.setup)
        total, ratio = answer["total_return"][place], answer["sharpe"][place]  # type: ignore[index]
        assert total == pytest.approx(float(np.sum(own.returns)), abs=1e-12)
        assert ratio == pytest.approx(own.metrics["daily_sharpe"], rel=1e-9)


def test_what_cannot_be_judged_on_a_jittered_market_is_null(read_campaign: Campaign) -> None:
    genome = read_campaign.candidates(1)[0].genome
    never = replace(genome, genes={**genome.genes, "policy.vol_target": 0.05})
    short = read_campaign.job.panel.sliced(0, 12)
    job = replace(read_campaign.job, panel=short)
    body = request(0, "jitter", index=0, seed=0, scale=0.1, genomes=[never.to_text()])
    answer = json.loads(EvidenceWorker(job).run(body).payload)
    assert answer == {"total_return": [None], "sharpe": [None]}
