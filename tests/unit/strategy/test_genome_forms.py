from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from genesis.domain.errors import StrategyError
from genesis.strategy.genome import (
    FALLBACK_TIME_STOP,
    THRESHOLD,
    Genome,
    all_genes,
    complexity,
    default_genome,
    dormant_genes,
    from_text,
    repair,
    warmup_bars,
)
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import NEVER
from genesis.strategy.text import parse

REGISTRY = SeedRegistry()


def genome(family: str = "ema_cross", filter_text: str | None = None, **genes: object) -> Genome:
    base = default_genome(REGISTRY.get(family))
    changed = {k.replace("__", "."): v for k, v in genes.items()}
    tree = parse(filter_text) if filter_text else None
    return replace(base, genes={**base.genes, **changed}, filter=tree)  # type: ignore[dict-item]


def test_text_round_trip_keeps_the_key() -> None:
    one = genome(filter_text="gt(rank(close,56),0.5)", band=0.0013, policy__stop_atr=2.5)
    again = from_text(one.to_text())
    assert again == one
    assert again.to_text() == one.to_text()
    assert again.key == one.key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema":2,"family":"rsi","genes":{},"filter":null}',
        '{"schema":1,"family":"rsi","genes":[],"filter":null}',
        '{"schema":1,"family":"rsi","genes":{"a":null},"filter":null}',
        '{"schema":1,"family":"rsi","genes":{},"filter":3}',
        '{"schema":1,"family":"rsi","genes":{},"filter":"gt(close"}',
    ],
)
def test_bad_texts_are_refused(text: str) -> None:
    with pytest.raises(StrategyError):
        from_text(text)


def test_genes_are_clipped_snapped_filled_and_stripped() -> None:
    wild = Genome("ema_cross", {"fast": 21.4, "slow": 1e9, "band": -1, "colour": 3})
    fixed = repair(wild, REGISTRY)
    assert set(fixed.genes) == set(all_genes(REGISTRY.get("ema_cross")))
    assert (fixed.genes["fast"], fixed.genes["slow"], fixed.genes["band"]) == (20, 224, 0.0)


def test_orderings_lower_the_smaller_gene_first() -> None:
    assert repair(genome(fast=40, slow=28), REGISTRY).genes["fast"] == 14
    chain = repair(genome("ichimoku", tenkan=14, kijun=56, senkou_b=40), REGISTRY).genes
    assert chain["kijun"] <= 0.8 * chain["senkou_b"]  # type: ignore[operator]
    assert chain["tenkan"] <= 0.7 * chain["kijun"]  # type: ignore[operator]


def test_dormant_genes_do_not_change_the_key() -> None:
    first = repair(genome(policy__vol_window=10, policy__atr_window=5), REGISTRY)
    assert first == repair(genome(), REGISTRY)
    awake = repair(genome(policy__stop_atr=2.0, policy__atr_window=5), REGISTRY)
    assert awake.genes["policy.atr_window"] == 5
    family = REGISTRY.get("ichimoku")
    assert "senkou_b" in dormant_genes(genome("ichimoku", cloud=False), family)
    assert "senkou_b" not in dormant_genes(genome("ichimoku", cloud=True), family)


def test_one_sided_genomes_leave_by_the_opposite_entry() -> None:
    both = REGISTRY.express(genome()).rules
    long = REGISTRY.express(genome(policy__direction="long")).rules
    assert (long.long, long.exit_long) == (both.long, both.short)
    assert long.short == long.exit_short == NEVER
    short = REGISTRY.express(genome("donchian", policy__direction="short")).rules
    donchian = REGISTRY.express(genome("donchian")).rules
    assert short.exit_short == donchian.exit_short | donchian.long


def test_a_position_without_a_way_out_gets_a_time_stop(tmp_path: Path) -> None:
    file = tmp_path / "hold.py"
    file.write_text(
        "from genesis import Market, Rules, Seed, SeedKind, Window, roc, seed\n"
        "@seed(kind=SeedKind.MOMENTUM)\n"
        "class Hold(Seed):\n"
        '    """Buy a rise."""\n'
        "    n = Window(5, 40)\n"
        "    def rules(self, m: Market) -> Rules:\n"
        "        return Rules(long=roc(m.close, self.n) > 0)\n"
    )
    registry = SeedRegistry([file])
    base = default_genome(registry.get("hold"))
    assert repair(base, registry).genes["policy.time_stop"] == FALLBACK_TIME_STOP
    stopped = replace(base, genes={**base.genes, "policy.stop_atr": 2.0})
    assert repair(stopped, registry).genes["policy.time_stop"] == 0
    assert repair(genome(policy__direction="long"), REGISTRY).genes["policy.time_stop"] == 0


def test_conditions_and_scores_join_the_entries_only() -> None:
    plain = REGISTRY.express(genome("donchian")).rules
    tree = parse("gt(rank(close,56),0.5)")
    rules = REGISTRY.express(genome("donchian", tree.text)).rules
    assert rules.long == plain.long & tree
    assert rules.short == plain.short & tree
    assert (rules.exit_long, rules.exit_short) == (plain.exit_long, plain.exit_short)
    score = genome("donchian", "zscore(close,56)", filter__threshold=0.5)
    threshold = score.genes[THRESHOLD]
    rules = REGISTRY.express(score).rules
    node = parse("zscore(close,56)")
    value = all_genes(REGISTRY.get("donchian"))[THRESHOLD].repair(threshold)
    assert rules.long == plain.long & (node > value)
    assert rules.short == plain.short & (node < -value)


def test_warm_up_limit_shortens_the_longest_windows_and_then_drops_the_filter() -> None:
    long = genome("sma_trend", fast=80, slow=320, momentum=112)
    fixed = repair(long, REGISTRY, max_warmup=100)
    assert warmup_bars(REGISTRY.express(fixed)) <= 100
    assert fixed.genes["slow"] < 320
    assert fixed.genes["fast"] <= 0.7 * fixed.genes["slow"]  # type: ignore[operator]
    filtered = genome(filter_text="gt(rank(close,320),0.5)")
    assert repair(filtered, REGISTRY, max_warmup=400).filter is not None
    assert repair(filtered, REGISTRY, max_warmup=200).filter is None


def test_complexity_counts_active_choices() -> None:
    base = repair(genome(), REGISTRY)
    stop = repair(genome(policy__stop_atr=2.0), REGISTRY)
    tree = repair(genome(filter_text="gt(rank(close,56),0.5)"), REGISTRY)
    # A stop brings its distance and the window of its ATR.
    assert complexity(stop, REGISTRY) == complexity(base, REGISTRY) + 2
    assert complexity(tree, REGISTRY) == complexity(base, REGISTRY) + 4


def test_genomes_are_equal_by_content() -> None:
    names = list(default_genome(REGISTRY.get("rsi")).genes.items())
    random.Random(1).shuffle(names)
    shuffled = Genome("rsi", dict(names))
    assert shuffled == default_genome(REGISTRY.get("rsi"))
    assert len({shuffled, default_genome(REGISTRY.get("rsi"))}) == 1
