"""The true Sharpe ratio of a planted edge: that of the best rule that a long search finds.

The search breeds every family that fits no model, with filters, on 100,000 bars of one asset. Its
champions by Sharpe ratio meet on 300,000 fresh bars, where one is chosen, which is judged on
300,000 further ones: no bar is used twice. Costs are 5 bp a side without slippage. The champions
of earlier reports take part with --known.

    python benchmarks/calibrate_plants.py                       # the trend of strength 2, checked
    python benchmarks/calibrate_plants.py --plant carry --strength 4 --known earlier.json
    python benchmarks/calibrate_plants.py --plant carry --strength 0.001 --also 0.002 0.003

With --also the champions are judged at other strengths too, which brackets a wanted ratio.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import markets
import numpy as np

from genesis.backtest.evaluator import Evaluator
from genesis.backtest.portfolio import combine
from genesis.evolution.config import StudyConfig, parse_config
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.fitness import ScoreRule
from genesis.evolution.material import evaluation_setup
from genesis.evolution.pool import GeneticStrategyPool, StudyIdentity, families_of
from genesis.evolution.trials import TrialLedger
from genesis.evolution.work import StudyJob
from genesis.market.panel import Panel
from genesis.strategy.genome import Genome, express, from_plain
from genesis.strategy.registry import SeedRegistry
from genesis.system.clock import SystemClock

EXCESS, SHORTFALL = 0.25, 0.15
"""How far a search may be above the best rule known (about three standard errors of a ratio on
300,000 bars), and below it (a share of it, if that is more): not every search finds the best."""


def config_of(population: int, generations: int, seed: int, filters: bool = True) -> StudyConfig:
    """A search for the best Sharpe ratio and nothing else.

    The leverage of 1 keeps the account from being liquidated: that ends it for good, and the
    centuries looked at here hold crashes that the years of a study do not.
    """
    return parse_config(
        f"""
schema: 1
name: calibrate
dataset: {{venue: synth, symbols: [SYN1], interval: {markets.INTERVAL}, funding: none}}
costs: {{taker: 0.0005, maker: 0.0005, slippage: 0.0, leverage: 1}}
evolution:
  population_size: {population}
  generations: {generations}
  islands: 2
  seed: {seed}
  filters: {str(filters).lower()}
  random_arm: false
  local_threshold: 1000000
  ml_island: {{enabled: false}}
objectives: [sharpe]
constraints: {{min_sharpe_2x: null}}
tracking: {{enabled: false}}
""",
        "calibrate",
    )


def champions(
    panel: Panel, config: StudyConfig, registry: SeedRegistry, count: int
) -> list[Genome]:
    """Breed on a panel; the best genomes by Sharpe ratio, each with other orders."""
    executor = InlineExecutor()
    executor.start(
        StudyJob(
            panel=panel,
            setup=evaluation_setup(config).plain(),
            families=families_of(config, registry, panel)[0],
        )
    )
    pool = GeneticStrategyPool(
        config,
        registry,
        panel,
        executor,
        TrialLedger(None),
        score=ScoreRule.of(config, panel, registry).scores,
        identity=StudyIdentity(config.config_hash, panel.dataset_hash, "", ""),
        clock=SystemClock(),
    )
    pool.evolve()
    executor.close()
    able = [key for key, score in pool.scores.items() if score.feasible]
    best: dict[str, Genome] = {}
    for key in sorted(able, key=lambda k: (-pool.scores[k].measures["symbol_sharpe"], k)):
        best.setdefault(pool.scores[key].phenotype, pool.book[key].genome)
    return list(best.values())[:count]


def ratios(panel: Panel, genomes: Sequence[Genome], registry: SeedRegistry) -> list[float]:
    """Annual Sharpe ratio of each genome over the whole panel, 0 where it does not trade."""
    setup = replace(evaluation_setup(config_of(8, 1, 1)), folds=1)
    strategies = [express(genome, registry.get(genome.family)) for genome in genomes]
    found = combine([Evaluator(panel, setup).evaluate(0, strategies)]).symbol_sharpe
    return [float(value) for value in np.nan_to_num(found)]


def known(paths: Sequence[Path]) -> list[Genome]:
    """Rules of earlier reports."""
    rows = [row for path in paths for row in json.loads(path.read_text())["rows"]]
    return [from_plain(row["rule"]) for row in rows]


def calibrate(options: argparse.Namespace, sizes: Sequence[float]) -> list[dict[str, Any]]:
    """Search at the first strength; choose and judge at each."""
    kind, seed = options.plant, options.seed
    registry = SeedRegistry()
    found = known(options.known)
    for number in range(options.searches):
        spec = markets.plant_spec(kind, sizes[0], seed + number, bars=options.bars)
        config = config_of(
            options.population, options.generations, seed + number, not options.plain
        )
        panel = markets.panel_of_plant(kind, spec)
        found += champions(panel, config, registry, options.champions)
        print(f"search {number + 1} of {options.searches} is done", file=sys.stderr, flush=True)

    def judged(size: float, stream: int, genomes: Sequence[Genome]) -> list[float]:
        spec = markets.plant_spec(kind, size, seed, bars=options.fresh, stream=stream)
        return ratios(markets.panel_of_plant(kind, spec), genomes, registry)

    rows = []
    for size in sizes:
        chosen = found[int(np.argmax(judged(size, 1, found)))]
        (value,) = judged(size, 2, [chosen])
        rows.append({"strength": size, "sharpe": round(value, 3), "rule": chosen.plain()})
    return rows


def report_of(options: argparse.Namespace) -> dict[str, Any]:
    """Calibrate, and compare with the table where it has the strength."""
    table = markets.STRENGTHS.get(options.plant, {})
    first = table[options.strength].size if options.strength in table else float(options.strength)
    began = time.process_time()
    rows = calibrate(options, [first, *options.also])
    value = rows[0]["sharpe"]
    held = [strength.sharpe for strength in table.values() if strength.size == first]
    reference = held[0] if held else None
    checks = {}
    if reference is not None:
        room = max(EXCESS, SHORTFALL * reference)
        checks = {"as in the table": -room <= value - reference <= EXCESS}
    return {
        "name": "calibrate_plants",
        "plant": options.plant,
        "value": value,
        "unit": "annual Sharpe ratio of the best rule found, on fresh bars",
        "reference": reference,
        "ratio": round(value / reference, 3) if reference else None,
        "rows": rows,
        "cpu_seconds": round(time.process_time() - began, 1),
        "checks": checks,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--plant", choices=markets.PLANT_KINDS, default="trend")
    parser.add_argument("--strength", default="2", help="a name of the table, or a number")
    parser.add_argument("--also", type=float, nargs="*", default=[], help="further strengths")
    parser.add_argument("--known", type=Path, nargs="*", default=[], help="reports: rules to add")
    parser.add_argument("--searches", type=int, default=3, help="on other bars each")
    parser.add_argument("--plain", action="store_true", help="search without filters")
    parser.add_argument("--bars", type=int, default=100_000)
    parser.add_argument("--fresh", type=int, default=300_000)
    parser.add_argument("--population", type=int, default=256)
    parser.add_argument("--generations", type=int, default=30)
    parser.add_argument("--champions", type=int, default=10, help="of each search")
    parser.add_argument("--seed", type=int, default=9_001)
    report = report_of(parser.parse_args())
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
