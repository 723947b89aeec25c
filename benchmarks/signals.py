"""What signals cost: nanoseconds per bar and genome in the first and the tenth generation.

A study breeds the built-in families (without ML) on one synthetic asset of 17,520 hourly bars.
The genomes that it evaluated, in its own order, are then replayed through an empty node cache and
timed generation by generation: the four rules of each, and the ATR and volatility of its policy,
as the backtest asks for them. Building the nodes from genes is timed apart. The reference is the
tenth generation without sharing, with an empty cache for every genome. Times are processor time of
the one thread, so that other programs on the machine do not count.

    python benchmarks/signals.py
    python benchmarks/signals.py --population 128 --bars 17520 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GENERATIONS = 10
LIMIT_FIRST, LIMIT_TENTH = 25.0, 5.0


def config_text(population: int, symbol: str) -> str:
    """Configuration of the study whose genomes are replayed."""
    return f"""
schema: 1
name: signals
dataset: {{venue: synth, symbols: [{symbol}], interval: 1h, funding: "constant:0.0001"}}
split: {{sealed: 0.05, folds: 4}}
evolution:
  population_size: {population}
  generations: {GENERATIONS}
  islands: 2
  seed: 7
  random_arm: false
  local_threshold: 1000000
  ml_island: {{enabled: false}}
constraints: {{min_trades: 30, min_trades_per_fold: 3}}
tracking: {{enabled: false}}
"""


def breed(panel_spec: Any, population: int) -> list[list[Any]]:
    """Genomes that a study evaluated, by generation, in its order."""
    from genesis.evolution.config import parse_config
    from genesis.evolution.executors.inline import InlineExecutor
    from genesis.evolution.run import load_run
    from genesis.evolution.study import run_study
    from genesis.evolution.trials import TrialLedger
    from genesis.market.sources.synthetic import synthesize
    from genesis.market.store import BarStore
    from genesis.strategy.genome import from_plain
    from genesis.system.clock import SystemClock

    generations: list[list[Any]] = [[] for _ in range(GENERATIONS)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = BarStore(home / "data")
        for item in synthesize(panel_spec):
            store.write_bars("synth", item.symbol, panel_spec.interval, item.bars)
        config = parse_config(config_text(population, panel_spec.symbols[0]), "signals")
        result = run_study(
            config, home, clock=SystemClock(), executor=InlineExecutor(), listeners=()
        )
        run = load_run(result.run_id, home)
        for row in TrialLedger(run.folder / "trials.jsonl").rows():
            generations[row["generation"]].append(from_plain(row["plain"]))
    return generations


@dataclass(frozen=True, slots=True)
class Timing:
    """One generation's cost.

    Attributes
    ----------
    series, build : float
        Nanoseconds per bar and genome for evaluating nodes, and for making them from genes.
    hit_rate : float
        Share of cache look-ups that were served.
    genomes : int
    """

    series: float
    build: float
    hit_rate: float
    genomes: int


def wanted(strategy: Any) -> list[Any]:
    """Nodes that the backtest of a strategy asks for."""
    from genesis.strategy.policy_inputs import policy_nodes
    from genesis.strategy.strategy import NEVER

    nodes = [node for _, node in strategy.rules.named() if node != NEVER]
    return nodes + [node for node in policy_nodes(strategy.policy) if node is not None]


def replay(panel: Any, generations: list[list[Any]], registry: Any, cache: Any) -> list[Timing]:
    """Time every generation in turn through one cache that holds nothing at first.

    Its memory is that of earlier replays, as a worker's is that of the symbols before.
    """
    from genesis.strategy.series import SeriesEvaluator

    cache.clear()
    series = SeriesEvaluator(panel, 0, cache)
    timings = []
    for genomes in generations:
        began = time.process_time()
        nodes = [wanted(registry.express(g)) for g in genomes]
        built = time.process_time()
        hits, misses = cache.hits, cache.misses
        for group in nodes:
            for node in group:
                series.value(node)
        done = time.process_time()
        scale = 1e9 / (panel.bars * max(len(genomes), 1))
        found = cache.hits - hits
        rate = found / max(found + cache.misses - misses, 1)
        timings.append(Timing((done - built) * scale, (built - began) * scale, rate, len(genomes)))
    return timings


def unshared(panel: Any, genomes: list[Any], registry: Any) -> float:
    """Nanoseconds per bar and genome where every genome computes everything itself."""
    from genesis.strategy.cache import NodeCache
    from genesis.strategy.series import SeriesEvaluator

    groups = [wanted(registry.express(g)) for g in genomes]
    began = time.process_time()
    for group in groups:
        series = SeriesEvaluator(panel, 0, NodeCache(64 * 1024 * 1024))
        for node in group:
            series.value(node)
    return (time.process_time() - began) * 1e9 / (panel.bars * len(genomes))


def same_signals(panel: Any, genomes: list[Any], registry: Any) -> bool:
    """Whether a shared cache, no cache and blocks of bars give the same bits."""
    from genesis.strategy.cache import NodeCache
    from genesis.strategy.series import SeriesEvaluator
    from genesis.strategy.stream import BlockRunner

    shared = SeriesEvaluator(panel, 0, NodeCache(512 * 1024 * 1024))
    for genome in genomes:
        nodes = wanted(registry.express(genome))
        runner = BlockRunner(nodes, panel)
        parts = [runner.advance(stop) for stop in (1, 777, panel.bars // 2, panel.bars)]
        alone = SeriesEvaluator(panel, 0, NodeCache(0))
        for place, node in enumerate(nodes):
            bits = shared.value(node).tobytes()
            blocks = b"".join(part[place].tobytes() for part in parts)
            if bits != alone.value(node).tobytes() or bits != blocks:
                return False
    return True


def main() -> int:
    """Breed, replay, print one JSON object last."""
    from genesis.market.sources.synthetic import Plant, SynthSpec, panel_of
    from genesis.strategy.cache import NodeCache
    from genesis.strategy.registry import SeedRegistry

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--population", type=int, default=256)
    parser.add_argument("--bars", type=int, default=17_520)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    spec = SynthSpec(
        assets=1, bars=options.bars, interval="1h", seed=11, plants=(Plant("trend", 0.001),)
    )
    panel, registry = panel_of(spec), SeedRegistry()
    generations = breed(spec, options.population)
    cache = NodeCache(512 * 1024 * 1024)
    replay(panel, generations, registry, cache)  # compiles what the study did not
    runs = [replay(panel, generations, registry, cache) for _ in range(options.repeats)]
    best = [min((run[g] for run in runs), key=lambda t: t.series) for g in range(GENERATIONS)]
    for place, timing in enumerate(best):
        print(
            f"generation {place + 1:2d}: {timing.genomes:4d} genomes {timing.series:6.2f}"
            f" ns/bar/genome, nodes {timing.build:5.2f}, hits {timing.hit_rate:.3f}",
            file=sys.stderr,
        )
    first, tenth = best[0], best[-1]
    reference = unshared(panel, generations[-1], registry)
    report = {
        "name": "signals",
        "value": round(tenth.series, 3),
        "unit": "ns per bar and genome, tenth generation",
        "reference": round(reference, 3),
        "ratio": round(reference / tenth.series, 3),
        "figures": {
            "first_generation": round(first.series, 3),
            "tenth_generation": round(tenth.series, 3),
            "hit_rate_first": round(first.hit_rate, 4),
            "hit_rate_tenth": round(tenth.hit_rate, 4),
            "build_first": round(first.build, 3),
            "build_tenth": round(tenth.build, 3),
            "genomes_first": first.genomes,
            "genomes_tenth": tenth.genomes,
            "bars": panel.bars,
        },
        "checks": {
            f"first generation within {LIMIT_FIRST:g} ns": first.series <= LIMIT_FIRST,
            f"tenth generation within {LIMIT_TENTH:g} ns": tenth.series <= LIMIT_TENTH,
            "shared, unshared and block by block give the same bits": same_signals(
                panel, generations[-1][:20], registry
            ),
        },
    }
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
