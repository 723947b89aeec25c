"""Random orders that the gateway's own rules call valid, sent to the local exchange.

Every market, prices with the digits that float arithmetic leaves, sizes from the least value up:
none may be refused for its tick, its size or its value.

    python benchmarks/order_rules.py
    python benchmarks/order_rules.py --orders 1000
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.integration.hyperliquid.order_rules import campaign


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=47)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(Path(folder), given.orders, given.seed)
    for line in tally.broken[:10]:
        print(line, file=sys.stderr)
    result = {
        "name": "order_rules",
        "value": len(tally.broken),
        "unit": "tick, size and minimum rejections",
        "reference": given.orders,
        "ratio": len(tally.broken) / given.orders,
        "sent": tally.sent,
        "accepted": tally.accepted,
        "refused_otherwise": dict(tally.refused),
        "orders_per_s": round(tally.sent / tally.seconds),
        "checks": {
            "no_rejections": not tally.broken,
            "all_sent": tally.sent >= 0.99 * given.orders,
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
