"""How much of a known optimum the search recovers, beside random search of equal budget.

A switching trend is planted into GARCH-t markets (4h bars, two years searched). The best candidate
of a study is judged on fresh bars of the same law, as are the known rules, and recovery is the
ratio of the Sharpe ratios, given twice: to the optimum of the family that fits the plant (channel
breakouts), and to the best rule known at all, which a long search over every rule family found on
300,000 other bars of the law. The random
arm draws as many genomes from the same families and picks its best by the same rule.

    python benchmarks/planted_recovery.py                  # 20 seeds, 1 and 4 assets
    python benchmarks/planted_recovery.py --seeds 4 --workers 1

Costs are those of the benchmark's law: 5 bp per side, no further slippage, no funding. A progress
line per study goes to standard error; finished studies are kept in --state and not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from typing import Any

TREND = 0.0010
BARS = 2_190 * 2
FRESH_BARS = 300_000
FOUND = (
    "sma_trend",
    {
        "confirm": 10,
        "fast": 28,
        "slow": 56,
        "momentum": 10,
        "strength": 0.001,
        "policy.atr_window": 20,
        "policy.breakeven_atr": 2.5,
        "policy.cooldown": 6,
        "policy.stop_atr": 0.8,
        "policy.time_stop": 372,
        "policy.trail_atr": 4.2,
        "policy.vol_target": 0.27,
        "policy.vol_window": 14,
    },
)
"""Sharpe 2.40 where it was found, 2.47 on 300,000 further bars; the best breakout has 1.8."""
GRID = [(e, x) for e in (28, 40, 56, 80, 112) for x in (10, 14, 20, 28, 40) if x < e]


def config_text(evaluations: int, seed: int, symbols: tuple[str, ...], ml_share: float) -> str:
    """Study over the whole market (nothing sealed: fresh bars are the test)."""
    ml = max(1, round(evaluations * ml_share))
    budget = evaluations - ml
    population = 96 if budget >= 800 else 48
    return f"""
schema: 1
name: planted
dataset: {{venue: synth, symbols: [{", ".join(symbols)}], interval: 4h, funding: none}}
split: {{sealed: 0.2, folds: 4}}
costs: {{taker: 0.0005, maker: 0.0005, slippage: 0.0}}
evolution:
  population_size: {population}
  generations: {-(-budget // population) + 5}
  budget: {budget}
  islands: 2
  seed: {seed}
  local_threshold: 1000000
  ml_island: {{enabled: true, population_size: 4, budget: {ml}}}
constraints: {{min_trades: 30, min_trades_per_fold: 3}}
tracking: {{enabled: false}}
"""


def one_study(assets: int, seed: int, evaluations: int, ml_share: float) -> dict[str, Any]:
    """Breed on one market and judge the choice of both arms on fresh bars."""
    import numpy as np

    from genesis.backtest.evaluator import Evaluator
    from genesis.backtest.portfolio import combine
    from genesis.evolution.archive import Archive
    from genesis.evolution.candidate import Candidate, Score
    from genesis.evolution.config import parse_config
    from genesis.evolution.executors.inline import InlineExecutor
    from genesis.evolution.run import load_run
    from genesis.evolution.study import evaluation_setup, run_study
    from genesis.evolution.trials import TrialLedger
    from genesis.market.panel import Panel
    from genesis.market.sources.synthetic import Plant, SynthSpec, panel_of, synthesize
    from genesis.market.store import BarStore
    from genesis.strategy.genome import default_genome, from_plain
    from genesis.strategy.registry import SeedRegistry
    from genesis.system.clock import SystemClock

    spec = SynthSpec(assets=assets, bars=BARS * 5 // 4, seed=seed, plants=(Plant("trend", TREND),))
    registry = SeedRegistry()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = BarStore(home / "data")
        for item in synthesize(spec):
            store.write_bars("synth", item.symbol, spec.interval, item.bars)
        config = parse_config(
            config_text(evaluations // assets, seed, spec.symbols, ml_share), "planted"
        )
        result = run_study(
            config, home, clock=SystemClock(), executor=InlineExecutor(), listeners=()
        )
        run = load_run(result.run_id, home)
        ledger = TrialLedger(run.folder / "trials.jsonl")
        arms: dict[str, Archive] = {
            role: Archive(lambda name: str(registry.get(name).kind))
            for role in ("search", "random")
        }
        for row in ledger.rows():
            candidate = Candidate(from_plain(row["plain"]), row["origin"], tuple(row["parents"]))
            arms[row["role"]].insert(candidate, Score.from_plain(row), assets)
        setup = replace(evaluation_setup(config), folds=1)
    chosen = [arms[role].elites()[0].candidate.genome for role in ("search", "random")]
    plain = default_genome(registry.get("donchian"))
    known = [
        plain.with_genes(channel=entry, exit_channel=leave, threshold=0.0) for entry, leave in GRID
    ]
    family, genes = FOUND
    known.append(default_genome(registry.get(family)).with_genes(**genes))
    names = [*(f"breakout{pair}" for pair in GRID), f"{family}, found by search"]
    strategies = [registry.express(g) for g in (*chosen, *known)]
    fresh = panel_of(spec.fresh(FRESH_BARS // assets))
    unfunded = tuple(
        replace(s, funding_due=np.zeros_like(s.funding_due), has_funding=False)
        for s in fresh.symbols
    )
    panel: Panel = replace(fresh, symbols=unfunded)
    evaluator = Evaluator(panel, setup)
    blocks = []
    for symbol in range(assets):
        blocks.append(evaluator.evaluate(symbol, strategies))
        evaluator.forget(symbol)
    ratios = combine(blocks).symbol_sharpe
    best = int(np.nanargmax(ratios[2:]))
    optimum = float(np.nanmax(ratios[2:-1]))
    best_known = float(ratios[2 + best])
    return {
        "assets": assets,
        "seed": seed,
        "evaluations": result.evaluations,
        "optimum": optimum,
        "best_known": best_known,
        "best_known_rule": names[best],
        "search": float(np.nan_to_num(ratios[0])) / optimum,
        "random": float(np.nan_to_num(ratios[1])) / optimum,
        "search_of_best_known": float(np.nan_to_num(ratios[0])) / best_known,
        "random_of_best_known": float(np.nan_to_num(ratios[1])) / best_known,
        "family": chosen[0].family,
        "family_random": chosen[1].family,
    }


def percentile(values: list[float], share: float) -> float:
    """Empirical quantile, lower."""
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))]


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Recovery of both arms for one number of assets."""
    figures: dict[str, float] = {
        "optimum_sharpe": mean(r["optimum"] for r in rows),
        "best_known_sharpe": mean(r["best_known"] for r in rows),
    }
    for arm in ("search", "random", "search_of_best_known", "random_of_best_known"):
        values = [r[arm] for r in rows]
        figures[f"{arm}_median"] = median(values)
        figures[f"{arm}_mean"] = mean(values)
        figures[f"{arm}_p10"] = percentile(values, 0.1)
    return figures


def main() -> int:
    """Run the studies, print one JSON object last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--evaluations", type=int, default=2000, help="genomes times symbols")
    parser.add_argument("--ml-share", type=float, default=0.02, help="share for the ML island")
    parser.add_argument("--assets", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--state", type=Path, help="JSON lines file of finished studies")
    options = parser.parse_args()
    done: dict[tuple[int, int], dict[str, Any]] = {}
    if options.state and options.state.exists():
        for line in options.state.read_text().splitlines():
            row = json.loads(line)
            done[row["assets"], row["seed"]] = row
    tasks = [
        (assets, seed)
        for assets in options.assets
        for seed in range(options.first_seed, options.first_seed + options.seeds)
    ]
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as workers:
        waiting = {
            workers.submit(one_study, a, s, options.evaluations, options.ml_share): (a, s)
            for a, s in tasks
            if (a, s) not in done
        }
        for future in as_completed(waiting):
            row = future.result()
            done[waiting[future]] = row
            if options.state:
                with options.state.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            print(json.dumps(row), file=sys.stderr, flush=True)
    figures = {
        f"{assets}_assets": summary([done[t] for t in tasks if t[0] == assets])
        for assets in options.assets
    }
    print(json.dumps(figures, indent=1), file=sys.stderr)
    four = figures.get("4_assets") or next(iter(figures.values()))
    report = {
        "name": "planted_recovery",
        "value": round(four["search_median"], 4),
        "unit": "share of the best breakout's true Sharpe ratio, median, four assets",
        "reference": round(four["random_median"], 4),
        "ratio": round(four["search_median"] / max(four["random_median"], 1e-9), 3),
        "figures": figures,
        "checks": {
            f"{name}: median >= 0.80 and mean >= 0.86 is the aim": bool(
                f["search_median"] >= 0.80 and f["search_mean"] >= 0.86
            )
            for name, f in figures.items()
        },
    }
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
