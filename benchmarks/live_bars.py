"""Microseconds per live bar: many nodes in one compiled call, beside blocks of one bar.

One random genome of every built-in family without ML gives its rules and what its policy reads.
``value`` is the mean over the families of `BlockRunner.feed_bar`, ``reference`` that of
`BlockRunner.feed` on blocks of one bar; ``shared`` is one runner with the nodes of all families,
as for several strategies on one symbol. Times are processor time, the best of the repeats.

    python benchmarks/live_bars.py
    python benchmarks/live_bars.py --bars 2000 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from typing import Any

import numpy as np

LEAST_RATIO = 3.0


def nodes_of_families() -> dict[str, list[Any]]:
    """Nodes that a live strategy of each family needs, and ``shared``, all of them."""
    from genesis.strategy.genome import random_genome
    from genesis.strategy.policy_inputs import policy_nodes
    from genesis.strategy.registry import SeedRegistry

    registry, rng = SeedRegistry(), random.Random(3)
    found: dict[str, list[Any]] = {}
    for name in registry.names(ml=False):
        strategy = registry.express(random_genome(registry.get(name), rng))
        own = [node for _, node in strategy.rules.named()]
        found[name] = own + [n for n in policy_nodes(strategy.policy) if n is not None]
    found["shared"] = [node for nodes in found.values() for node in nodes]
    return found


def microseconds(nodes: list[Any], panel: Any, repeats: int) -> tuple[float, float, bool]:
    """Per bar: in one call, in blocks of one bar, and whether both give the same bits."""
    from genesis.strategy.stream import BlockRunner

    fields = BlockRunner(nodes).fields
    rows = np.array([getattr(panel.symbols[0], name) for name in fields]).T.tolist()
    blocks = [{f: np.array([v]) for f, v in zip(fields, row, strict=True)} for row in rows]
    best = [float("inf")] * 2
    for _ in range(repeats):
        single, block = BlockRunner(nodes), BlockRunner(nodes)
        single.feed_bar(rows[0])  # writes the nodes down
        block.feed(blocks[0])
        began = time.process_time()
        for row in rows[1:]:
            values = single.feed_bar(row)
        middle = time.process_time()
        for one in blocks[1:]:
            arrays = block.feed(one)
        end = time.process_time()
        for k, spent in enumerate((middle - began, end - middle)):
            best[k] = min(best[k], spent * 1e6 / (len(rows) - 1))
    last = repr([float(array[0]) for array in arrays]) == repr([float(v) for v in values])
    return best[0], best[1], last and single.state_hash == block.state_hash


def main() -> int:
    from genesis.market.sources.synthetic import SynthSpec, panel_of

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    panel = panel_of(SynthSpec(assets=1, bars=options.bars, interval="1h", sigma=0.006, seed=3))
    found = {
        name: microseconds(nodes, panel, options.repeats)
        for name, nodes in nodes_of_families().items()
    }
    shared = found.pop("shared")
    value, reference = (float(np.mean([f[k] for f in found.values()])) for k in (0, 1))
    result = {
        "name": "live_bars",
        "value": round(value, 2),
        "unit": "microseconds per bar and strategy",
        "reference": round(reference, 2),
        "ratio": round(reference / value, 2),
        "shared": {"one_call": round(shared[0], 2), "blocks": round(shared[1], 2)},
        "families": {name: round(f[0], 2) for name, f in found.items()},
        "checks": {
            f"at least {LEAST_RATIO:g} times as fast": reference / value >= LEAST_RATIO,
            "same bits": shared[2] and all(f[2] for f in found.values()),
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
