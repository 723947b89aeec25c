"""Evaluations per second and core, beside vectorbt's public batched portfolio.

Random genomes of the built-in families without ML, in equal share, each with a stop, are evaluated
on one synthetic asset of 17,520 hourly bars with funding: signals, policy pass with liquidation
level, accounting with per-order fee and slippage, every metric, and Sharpe ratios at 1, 1.5 and 2
times the costs. ``value`` is a generation of genomes that the evaluator has not seen, after earlier
ones have filled its node cache, as in a search; ``cold`` is the first generation. The reference is
one call of ``vectorbt.Portfolio.from_orders`` on ready arrays of the same generation's orders (with
their fees and slippage, netted to one order a bar), then Sharpe ratio, drawdown, return and trade
count; ``reference_in_blocks`` is the same in batches of 64, which suits the processor's cache
better. Times are processor time of the one thread, so that other programs on the machine do not
count; the best of the repeats is taken for both.

    python benchmarks/evaluator.py
    python benchmarks/evaluator.py --genomes 260 --bars 17520 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

LEAST, LEAST_RATIO = 1_500.0, 10.0
BLOCK = 64


def genomes_of(registry: Any, count: int, seed: int) -> list[Any]:
    """Strategies of random genomes, the families in turn, every one with a stop."""
    from genesis.strategy.genome import random_genome, repair

    rng = random.Random(seed)
    names = registry.names(ml=False)
    out = []
    for k in range(count):
        genome = random_genome(registry.get(names[k % len(names)]), rng)
        if not genome.genes.get("policy.stop_atr"):
            genome = genome.with_genes(**{"policy.stop_atr": rng.uniform(1.0, 6.0)})
        out.append(registry.express(repair(genome, registry)))
    return out


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def in_blocks(evaluator: Any, strategies: Sequence[Any]) -> list[Any]:
    """Evaluate as a worker does, in blocks."""
    return [
        evaluator.evaluate(0, strategies[start : start + BLOCK])
        for start in range(0, len(strategies), BLOCK)
    ]


def stages(evaluator: Any, strategies: Sequence[Any], bars: int) -> dict[str, float]:
    """Nanoseconds per bar and genome of each stage, cache filled."""
    from genesis.backtest import evaluator as parts
    from genesis.backtest.accounting import account
    from genesis.backtest.result import VALID

    frame = evaluator.frame(0)
    scale = 1e9 / (bars * len(strategies))
    lists: list[Any] = []
    records: list[Any] = []
    sums: list[Any] = []
    spent = {
        "signals_and_policy": seconds(
            lambda: lists.extend(evaluator.orders(0, s) for s in strategies)
        )
    }
    live = [orders for orders in lists if orders.status == VALID]
    books = [orders.book for orders in live]
    spent["accounting"] = seconds(
        lambda: [
            records.extend(account(books[i : i + BLOCK], engine=evaluator.engine))
            for i in range(0, len(books), BLOCK)
        ]
    )
    pairs = list(zip(live, records, strict=True))
    spent["equity"] = seconds(lambda: sums.extend(parts._walk(frame, o, r) for o, r in pairs))
    spent["metrics"] = seconds(
        lambda: [
            (parts.metrics_row(frame, *part, False), parts.fold_ratios(frame, part[0]))
            for part in sums
        ]
    )
    return {name: round(value * scale, 2) for name, value in spent.items()}


def reference_rate(evaluator: Any, batch: Sequence[Any], repeats: int) -> float:
    """Evaluations per second of vectorbt's public API on ready arrays of a batch's orders."""
    import numpy as np
    import pandas as pd
    import vectorbt as vbt

    frame, costs = evaluator.frame(0), evaluator.setup.costs
    bars = frame.close.size
    size = np.full((bars, len(batch)), np.nan)
    price = np.repeat(frame.known[:, None], len(batch), axis=1)
    fees, slippage = np.full(size.shape, costs.taker), np.full(size.shape, costs.slippage)
    for column, strategy in enumerate(batch):
        orders = evaluator.orders(0, strategy)
        for (amount, at, fee, slip), (bar, _, _) in zip(orders.book, orders.tags, strict=True):
            size[bar, column] = amount + np.nan_to_num(size[bar, column])
            price[bar, column], fees[bar, column], slippage[bar, column] = at, fee, slip
    close = pd.DataFrame(np.repeat(frame.known[:, None], len(batch), axis=1))

    def run() -> None:
        portfolio = vbt.Portfolio.from_orders(
            close,
            size=size,
            price=price,
            fees=fees,
            slippage=slippage,
            init_cash=1e9,
            freq="1h",
        )
        portfolio.sharpe_ratio()
        portfolio.max_drawdown()
        portfolio.total_return()
        portfolio.trades.count()

    run()
    return len(batch) / min(seconds(run) for _ in range(max(repeats // 2, 2)))


def measure(count: int, bars: int, repeats: int) -> dict[str, Any]:
    """Both rates and the stages."""
    import numpy as np

    from genesis.backtest.evaluator import EvaluationSetup, Evaluator
    from genesis.backtest.result import COLUMN, STATUS, VALID
    from genesis.market.sources.synthetic import SynthSpec, panel_of
    from genesis.strategy.registry import SeedRegistry

    panel = panel_of(SynthSpec(assets=1, bars=bars, interval="1h", sigma=0.006, seed=3))
    registry = SeedRegistry()
    evaluator = Evaluator(panel, EvaluationSetup())
    in_blocks(evaluator, genomes_of(registry, 64, 1))  # compiles
    evaluator = Evaluator(panel, EvaluationSetup())
    cold = seconds(lambda: in_blocks(evaluator, genomes_of(registry, count, 2)))
    best = float("inf")
    blocks: list[Any] = []
    for k in range(repeats):
        unseen = genomes_of(registry, count, 100 + k)
        before = time.process_time()
        blocks = in_blocks(evaluator, unseen)
        best = min(best, time.process_time() - before)
    rate = count / best
    status = np.concatenate([block.status for block in blocks])
    orders = np.concatenate([block.metrics[:, COLUMN["orders"]] for block in blocks])
    valid = float(np.mean(status == VALID))
    parts = stages(evaluator, unseen, bars)
    reference = reference_rate(evaluator, unseen, repeats)
    in_batches = reference_rate(evaluator, unseen[:BLOCK], repeats)
    return {
        "name": "evaluator",
        "value": round(rate, 1),
        "unit": "evaluations per second and core",
        "reference": round(reference, 1),
        "ratio": round(rate / reference, 2),
        "reference_in_blocks": round(in_batches, 1),
        "cold": round(count / cold, 1),
        "bars": bars,
        "genomes": count,
        "valid_share": round(valid, 3),
        "statuses": {STATUS[k]: int(np.sum(status == k)) for k in np.unique(status)},
        "orders_per_genome": round(float(np.nanmean(orders)), 1),
        "ns_per_bar": parts,
        "checks": {
            "evaluations_per_second": rate >= LEAST,
            "times_vectorbt": rate / reference >= LEAST_RATIO,
            "mostly_valid": valid >= 0.8,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genomes", type=int, default=264)
    parser.add_argument("--bars", type=int, default=17_520)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    result = measure(options.genomes, options.bars, options.repeats)
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
