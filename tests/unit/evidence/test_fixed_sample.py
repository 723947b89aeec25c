"""The sample that SPA and CSCV see is drawn once: no data, study or seed can choose it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from genesis.backtest.portfolio import backtest_strategy
from genesis.domain.timeline import DAY_MS
from genesis.evidence import sample as module
from genesis.evidence.campaign import Campaign
from genesis.evidence.sample import fixed_sample, sample_measures
from genesis.evolution.config import with_overrides
from genesis.strategy.genome import Genome, repair
from genesis.validation.snooping import spa
from tests.unit.evidence.small_study import (
    campaign_of,
    small_config,
    small_study,
    started,
    write_market,
)

pytestmark = pytest.mark.usefixtures("settled_code")


def keys(genomes: list[Genome]) -> list[str]:
    return [genome.key for genome in genomes]


def test_neither_data_nor_seed_nor_search_change_it(
    read_campaign: Campaign, tmp_path: Path
) -> None:
    symbols = write_market(tmp_path, seed=77, size=0.001)
    config = with_overrides(
        small_config(symbols, seed=99, random_arm="false"),
        evolution__population_size=8,
        evolution__generations=1,
        evolution__mutation_rate=0.5,
    )
    small_study(config, tmp_path, "other")
    other = campaign_of("other", tmp_path)
    assert other.search.symbols[0].close[0] != read_campaign.search.symbols[0].close[0]
    assert keys(fixed_sample(other, 40)) == keys(fixed_sample(read_campaign, 40))


def test_a_smaller_sample_is_the_start_of_a_larger_one(read_campaign: Campaign) -> None:
    whole = fixed_sample(read_campaign, 40)
    assert keys(fixed_sample(read_campaign, 15)) == keys(whole)[:15]
    assert len(set(keys(whole))) == 40


def test_it_holds_legal_genomes_of_all_the_studys_families(read_campaign: Campaign) -> None:
    found = fixed_sample(read_campaign, 60)
    assert {genome.family for genome in found} == {"ema_cross", "donchian"}
    registry = read_campaign.material.registry
    limit = int(read_campaign.config.constraints.max_warmup * read_campaign.search.bars)
    assert all(repair(genome, registry, limit).key == genome.key for genome in found)
    assert any(genome.filter is not None for genome in found)


def test_the_state_of_random_is_not_touched(read_campaign: Campaign) -> None:
    import random

    random.seed(5)
    before = random.getstate()
    fixed_sample(read_campaign, 10)
    assert random.getstate() == before


def daily_table(campaign: Campaign, genomes: list[Genome]) -> np.ndarray:
    """Daily returns of the genomes that trade, one column each."""
    columns = []
    for genome in genomes:
        strategy = campaign.material.registry.express(genome)
        result = backtest_strategy(campaign.search, strategy, campaign.material.setup)
        marks: dict[int, float] = {}
        for ts, value in zip(result.ts_ms.tolist(), result.equity.tolist(), strict=True):
            marks[ts // DAY_MS] = value
        if any(symbol.trades for symbol in result.symbols):
            columns.append(np.diff([0.0, *marks.values()]))
    return np.array(columns).T


def ratio(values: np.ndarray) -> float:
    spread = values.std(ddof=1)
    return float(values.mean() / spread) if spread > 1e-12 else 0.0


def overfitting(table: np.ndarray, blocks: int) -> float:
    """CSCV in plain loops: how often the winner of one half is in the lower half of the other."""
    days = table.shape[0] // blocks * blocks
    parts = np.array_split(table[table.shape[0] - days :], blocks)
    below = []
    for chosen in combinations(range(blocks), blocks // 2):
        halves = [
            np.concatenate([parts[k] for k in range(blocks) if (k in chosen) == inside])
            for inside in (True, False)
        ]
        inside, outside = ([ratio(half[:, k]) for k in range(half.shape[1])] for half in halves)
        own = outside[int(np.argmax(inside))]
        lower = sum(value < own - 1e-12 for value in outside)
        alike = sum(abs(value - own) <= 1e-12 for value in outside)
        below.append((lower + (alike + 1) / 2) / (table.shape[1] + 1) <= 0.5)
    return float(np.mean(below))


def test_its_measures_are_those_of_plain_backtests(
    read_campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCKS", 6)
    found = sample_measures(read_campaign, started(read_campaign), 12)
    table = daily_table(read_campaign, fixed_sample(read_campaign, 12))
    assert found["sample_size"] == table.shape[1]
    expected = spa(table, rng=np.random.default_rng(20200101))
    assert found["sample_spa"][0] == pytest.approx(expected.consistent)
    assert found["sample_pbo"][0] == pytest.approx(overfitting(table, 6))
    again = sample_measures(read_campaign, started(read_campaign), 12)
    assert again == found


def test_too_few_that_trade_measure_nothing(
    read_campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> np.ndarray:
        return np.zeros((12, 200))

    monkeypatch.setattr(module, "portfolio_marks", nothing)
    found = sample_measures(read_campaign, started(read_campaign), 12)
    assert (
        found["sample_spa"]
        == found["sample_pbo"]
        == (None, "0 of 12 strategies of the sample trade, 2 are needed")
    )


def test_a_sample_of_too_few_days_says_how_many_are_needed(
    read_campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    rising = np.cumsum(np.ones((12, 7)), axis=1)
    monkeypatch.setattr(module, "portfolio_marks", lambda *_: rising)
    found = sample_measures(read_campaign, started(read_campaign), 12)
    assert found["sample_spa"] == (None, "7 days are too few, 32 are needed")
