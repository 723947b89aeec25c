"""Ten minutes of orders and cancels at the budgets of the local exchange.

The exchange has its real limits of weight and of an account's requests; its clock and the
gateway's are one that runs ten times as fast as the machine's. ``value`` is how many requests the
exchange refused for going over a budget; ``reference`` is how many it got.

    python benchmarks/budget_soak.py
    python benchmarks/budget_soak.py --seconds 120 --address 1500
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.integration.hyperliquid.budget_soak import soak

WEIGHT, GROWTH_MB = 1_200, 64.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="on the shared clock")
    parser.add_argument("--address", type=int, default=6_000, help="requests of the account")
    parser.add_argument("--factor", type=float, default=10.0, help="how fast the clock runs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = soak(Path(folder), given.seconds, given.address, given.factor)
    over = out.too_many + out.over_budget
    result = {
        "name": "budget_soak",
        "value": over,
        "unit": "requests over a budget",
        "reference": out.sent,
        "ratio": over / max(out.sent, 1),
        **asdict(out),
        "checks": {
            "never_over": over == 0,
            "weight": out.most_weight <= WEIGHT,
            "budget_reached": out.held_back > 0,
            "cancel_reserve": out.requests <= out.cap,
            "memory_flat": out.grown_mb < GROWTH_MB,
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
