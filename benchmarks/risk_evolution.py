"""How many simulated accounts a second the breeding of risk genomes gets through.

The simulator runs random risk genomes on paths of every kind, one core, scenarios made before. The
reference is the same account in plain Python under the real `GeneticRiskManager`, `MarketState`
and `RiskState`, timed in the same run; both must come to the same equity. The
reference measures the market as it goes, so the simulator's time for that (`market_features`) is
shown too, and counted in a second ratio.

    python benchmarks/risk_evolution.py
    python benchmarks/risk_evolution.py --genomes 64 --paths 20 --references 3
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

LEAST_RATIO = 100.0
LEAST_PER_S = 300.0
"""A campaign simulates about a million accounts: at this rate it takes 30 minutes on two cores."""


def market(bars: int) -> Any:
    """The test suite's small market with as many traded bars as a campaign has."""
    from tests.unit.evolution.risk.small_market import small_market

    return small_market(assets=4, bars=bars)


def simulator(one: Any, scenarios: list[Any], genomes: list[Any]) -> tuple[float, int]:
    """Seconds for every genome on every scenario, and how many that are."""
    import numpy as np

    from genesis.evolution.risk.fills import terms_of
    from genesis.evolution.risk.ledger import ACCOUNT
    from genesis.evolution.risk.measures import COLUMNS, measure
    from genesis.evolution.risk.simulate import run_account

    terms = terms_of(one.settings, len(one.panel.symbols))
    bars = one.settings.bars
    equity, falls, totals, out = (np.empty(n) for n in (bars, bars, ACCOUNT, COLUMNS))

    def everything() -> int:
        count = 0
        for path in scenarios:
            for book in path.books:
                for genome in genomes:
                    run_account(genome.genes, path.tape, book, terms, equity, totals)
                    measure(equity, one.settings.capital, falls, out)
                    count += 1
        return count

    everything()  # compiles
    began = time.process_time()
    count = everything()
    return time.process_time() - began, count


def reference(one: Any, path: Any, genome: Any, number: int) -> tuple[float, bool]:
    """Seconds of one account in plain Python, and whether the simulator agrees with it."""
    import numpy as np

    from genesis.evolution.risk import ledger
    from genesis.evolution.risk.fills import terms_of
    from genesis.evolution.risk.simulate import run_account
    from tests.oracle.risk_reference import ReferenceAccount

    chosen = {f.id: f.strategy for f in one.strategies}
    strategies = [chosen[name] for name in path.members[number]]
    drawn, panel = one.path(path.key)
    account = ReferenceAccount(genome, drawn, panel, strategies, one.settings)
    began = time.process_time()
    expected = account.run()
    spent = time.process_time() - began
    equity, totals = np.empty(one.settings.bars), np.empty(ledger.ACCOUNT)
    terms = terms_of(one.settings, len(one.panel.symbols))
    run_account(genome.genes, path.tape, path.books[number], terms, equity, totals)
    same = bool(np.allclose(equity, expected, rtol=1e-9, atol=0.0))
    counted = (int(totals[ledger.TRADES]), int(totals[ledger.FORCED]))
    return spent, same and counted == (account.trades, account.forced)


def preparation(one: Any, count: int) -> tuple[float, float]:
    """Seconds a path for everything that is done once, and for the market measures alone."""
    from genesis.evolution.risk.features import market_features
    from genesis.evolution.risk.paths import PathKey
    from genesis.risk.track import Windows

    maker = one.maker()
    began = time.process_time()
    for index in range(count):
        maker.make(PathKey("train", index))
    whole = (time.process_time() - began) / count
    path, _ = one.path(PathKey("train", 0))
    began = time.process_time()
    market_features(path, one.settings.interval_ms, one.settings.warm_up, Windows())
    return whole, time.process_time() - began


def main() -> int:
    """Time both, compare, print one JSON object last."""
    import numpy as np

    from genesis.evolution.risk.paths import PathKey
    from genesis.risk.genome import GENES, RiskGenome

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--genomes", type=int, default=32)
    parser.add_argument("--paths", type=int, default=20)
    parser.add_argument("--bars", type=int, default=1_440)
    parser.add_argument("--references", type=int, default=3)
    options = parser.parse_args()
    one = market(options.bars)
    rng = np.random.default_rng(1)
    genomes = [RiskGenome()]
    while len(genomes) < options.genomes:
        genomes.append(RiskGenome.from_unit(rng.random(len(GENES))))
    maker = one.maker()
    scenarios = [maker.make(PathKey("train", index)) for index in range(options.paths)]
    seconds, count = simulator(one, scenarios, genomes)
    whole, features = preparation(one, min(options.paths, 10))
    spent, agreed = [], []
    for k in range(options.references):
        path = scenarios[(4 * k) % len(scenarios)]
        used, same = reference(one, path, genomes[k % len(genomes)], k % len(path.books))
        spent.append(used)
        agreed.append(same)
        print(f"reference {k + 1}: {used:.2f} s, {'same' if same else 'OTHER'}", file=sys.stderr)
    per_s, slow = count / seconds, float(np.mean(spent))
    report = {
        "name": "risk_evolution",
        "value": round(per_s, 1),
        "unit": f"simulated accounts per second ({options.bars} bars, 4 symbols, one core)",
        "reference": round(1.0 / slow, 4),
        "ratio": round(per_s * slow, 1),
        "figures": {
            "ratio_with_market_measures": round(slow / (seconds / count + features), 1),
            "path_preparation_ms": round(1e3 * whole, 2),
            "nanoseconds_per_bar_and_symbol": round(1e9 * seconds / count / options.bars / 4, 1),
            "accounts": count,
        },
        "checks": {
            "same_numbers": all(agreed) and bool(agreed),
            "fast_enough": per_s >= LEAST_PER_S,
            "worth_it": per_s * slow >= LEAST_RATIO,
        },
    }
    print(json.dumps(report))
    return 0 if all(report["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
