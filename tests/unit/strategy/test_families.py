"""Every built-in family on a synthetic market: no overlap, no dead gene, no look-ahead."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from genesis.domain.canonical import array_hash
from genesis.domain.instrument import Instrument
from genesis.market.panel import Panel, SymbolSeries
from genesis.strategy.cache import NodeCache
from genesis.strategy.genome import (
    Genome,
    default_genome,
    dormant_genes,
    random_genome,
    repair,
)
from genesis.strategy.node import Array
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.series import SeriesEvaluator, history_bars
from genesis.strategy.strategy import Rules
from genesis.strategy.stream import BlockRunner

REGISTRY = SeedRegistry()
BARS = 1800
GENES = [(family.family, gene) for family in SeedRegistry() for gene in family.genes()]


@lru_cache
def market(funding: bool = True) -> Panel:
    """GARCH-like returns with drifts that switch, some missing bars, funding every 8 bars."""
    rng = np.random.default_rng(11)
    sigma, returns = 0.008, np.empty(BARS)
    drift = np.repeat(rng.choice([-1.0, 0.0, 1.0], BARS // 60 + 1), 60)[:BARS] * 0.001
    for t in range(BARS):
        returns[t] = sigma * rng.standard_t(5) * 0.77 + drift[t]
        sigma = np.sqrt(3e-6 + 0.08 * (returns[t] - drift[t]) ** 2 + 0.88 * sigma**2)
    close = 100.0 * np.exp(np.cumsum(returns))
    open_ = np.concatenate([[100.0], close[:-1]])
    spread = np.abs(rng.normal(0, 0.004, (2, BARS))) * close
    high, low = np.maximum(open_, close) + spread[0], np.minimum(open_, close) - spread[1]
    volume = np.exp(rng.normal(5, 0.6, BARS) + 30 * np.abs(returns))
    rate = np.empty(BARS)
    level = 0.0
    for t in range(BARS):
        if t % 8 == 0:
            level = 0.97 * level + rng.normal(0, 0.0004)
        rate[t] = level
    valid = rng.random(BARS) > 0.01
    columns = [np.where(valid, x, np.nan) for x in (open_, high, low, close, volume)]
    series = SymbolSeries(
        Instrument("SYNTH", "SYNTH"),
        *columns,
        valid=valid,
        first=int(np.argmax(valid)),
        last=BARS - 1 - int(np.argmax(valid[::-1])),
        funding_due=np.where(np.arange(BARS) % 8 == 0, rate, 0.0),
        funding=rate if funding else np.full(BARS, np.nan),
        sentiment=np.full(BARS, np.nan),
        has_funding=funding,
    )
    ts = np.arange(BARS, dtype=np.int64) * 3_600_000
    return Panel("synth", "test", 3_600_000, ts, (series,), array_hash(close, volume))


CACHE = NodeCache(400_000_000)


def values(rules: Rules, panel: Panel | None = None) -> dict[str, Array]:
    evaluator = SeriesEvaluator(panel or market(), 0, CACHE)
    return {name: evaluator.value(node) for name, node in rules.named()}


def genomes(family: str, count: int, seed: int = 0) -> list[Genome]:
    """Default genome and random ones, two-sided, so that every rule of the family is seen."""
    kind = REGISTRY.get(family)
    rng = random.Random(f"{family}{seed}")
    drawn = [default_genome(kind), *(random_genome(kind, rng) for _ in range(count))]
    both = [replace(g, genes={**g.genes, "policy.direction": "both"}) for g in drawn]
    return [repair(g, REGISTRY, 500) for g in both]


def count_of(family: str, cheap: int, learned: int) -> int:
    return learned if REGISTRY.get(family).ml else cheap


@pytest.mark.parametrize("family", REGISTRY.names())
def test_sides_exclude_each_other_and_both_occur(family: str) -> None:
    longs = shorts = 0
    for genome in genomes(family, count_of(family, 25, 4)):
        rules = values(REGISTRY.express(genome).rules)
        assert not np.any((rules["long"] == 1) & (rules["short"] == 1)), genome.to_text()
        longs += int(np.sum(rules["long"] == 1))
        shorts += int(np.sum(rules["short"] == 1))
    assert longs > 20
    assert shorts > 20


@pytest.mark.parametrize("family", REGISTRY.names())
def test_no_signal_while_warming_up_or_on_invalid_bars(family: str) -> None:
    valid = market().symbols[0].valid
    for genome in genomes(family, count_of(family, 10, 2), seed=1):
        strategy = REGISTRY.express(genome)
        rules = values(strategy.rules)
        for name, node in strategy.rules.named():
            if node.constant:
                continue
            early = np.cumsum(valid) <= history_bars(node)
            assert not np.any(rules[name][early] == 1), (name, genome.to_text())
            assert np.all(rules[name][~valid] == -1)


@pytest.mark.parametrize("family", REGISTRY.names())
def test_later_bars_change_nothing(family: str) -> None:
    stop = 1201
    for genome in genomes(family, count_of(family, 8, 2), seed=2):
        rules = REGISTRY.express(genome).rules
        full, part = values(rules), values(rules, market().sliced(0, stop))
        for name in full:
            np.testing.assert_array_equal(full[name][:stop], part[name], err_msg=node_text(rules))


@pytest.mark.parametrize("family", REGISTRY.names())
def test_blocks_give_the_same_bits(family: str) -> None:
    for genome in genomes(family, count_of(family, 8, 2), seed=3):
        rules = REGISTRY.express(genome).rules
        runner = BlockRunner([node for _, node in rules.named()], market())
        cuts = [1, 2, 65, 300, 301, 302, 1000, BARS]
        blocks = [runner.advance(stop) for stop in cuts]
        for place, (name, _) in enumerate(rules.named()):
            whole = np.concatenate([block[place] for block in blocks])
            np.testing.assert_array_equal(values(rules)[name], whole, err_msg=node_text(rules))


def node_text(rules: Rules) -> str:
    return "; ".join(node.text for _, node in rules.named())


@pytest.mark.parametrize(("family", "gene"), GENES)
def test_no_gene_is_dead(family: str, gene: str) -> None:
    """From some legal genome, changing this gene alone changes a rule on some bar."""
    kind = REGISTRY.get(family)
    spec = kind.genes()[gene]
    rng = random.Random(gene)
    for base in genomes(family, count_of(family, 40, 8), seed=4):
        if gene in dormant_genes(base, kind):
            continue
        before = values(REGISTRY.express(base).rules)
        other = spec.values[rng.randrange(len(spec))]
        changed = repair(replace(base, genes={**base.genes, gene: other}), REGISTRY, 500)
        differs = {n for n in changed.genes if changed.genes[n] != base.genes[n]}
        # Repair may reset genes that fell asleep; a rule change is still this gene's doing.
        if gene not in differs or differs - {gene, *dormant_genes(changed, kind)}:
            continue
        after = values(REGISTRY.express(changed).rules)
        if any(not np.array_equal(before[name], after[name]) for name in before):
            return
    pytest.fail(f"no genome was found where {gene} matters")


def test_funding_carry_is_silent_without_funding_and_takes_the_paid_side_with_it() -> None:
    rules = REGISTRY.express(default_genome(REGISTRY.get("funding_carry"))).rules
    silent = values(rules, replace(market(False), dataset_hash="no funding"))
    assert all(not np.any(array == 1) for array in silent.values())
    paid = values(rules)
    funding = market().symbols[0].funding
    assert np.nanmean(funding[paid["short"] == 1]) > 0 > np.nanmean(funding[paid["long"] == 1])


def test_donchian_is_the_textbook_breakout_of_earlier_bars() -> None:
    """Independent loop in plain Python: close beyond the channel that ends one bar before."""
    base = default_genome(REGISTRY.get("donchian"))
    rules = REGISTRY.express(base.with_genes(channel=56, exit_channel=28, threshold=0.0)).rules
    panel = market()
    series = panel.symbols[0]
    bars = np.flatnonzero(series.valid)
    got = values(rules)
    entries = 0
    for place in range(70, bars.size):
        enters = series.close[bars[place]] > series.high[bars[place - 56 : place]].max()
        assert (got["long"][bars[place]] == 1) == enters
        entries += enters
        leaves = series.close[bars[place]] < series.low[bars[place - 28 : place]].min()
        assert (got["exit_long"][bars[place]] == 1) == leaves
    assert entries > 10


def test_vwap_reversion_expresses_the_z_score_rule() -> None:
    base = default_genome(REGISTRY.get("vwap_reversion"))
    rules = REGISTRY.express(
        base.with_genes(anchor="mean", period=28, band=1.5, exit_band=0.2)
    ).rules
    assert rules.long.text == "lt(zscore(close,28),-1.5)"
    assert rules.short.text == "gt(zscore(close,28),1.5)"
    assert rules.exit_long.text == "gt(zscore(close,28),-0.2)"
