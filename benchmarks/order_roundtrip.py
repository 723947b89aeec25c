"""How long an order takes to the local exchange and back, over a real socket.

The exchange runs in a process of its own, once still and once with its market alive. The
reference is a read of the smallest answer on the same connection, so that the difference is what
signature, matching and journal cost.

    python benchmarks/order_roundtrip.py
    python benchmarks/order_roundtrip.py --orders 5000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.venue_process import order, port_of, serving, signed, timed, wallet

MEDIAN_MS, TAIL_MS = 5.0, 20.0


def tail(taken: list[float]) -> float:
    """The 99th percentile."""
    return sorted(taken)[int(0.99 * len(taken))]


def measured(home: Path, orders: int, *options: str) -> dict[str, float]:
    """Median and tail of orders and of reads on one venue, milliseconds."""
    with serving(home, *options) as url:
        account = wallet(url)
        start = time.time_ns() // 1_000_000
        signing = time.perf_counter()
        bodies = [signed(account, order("30000"), start + k) for k in range(orders)]
        sign_s = (time.perf_counter() - signing) / orders
        ask = json.dumps({"type": "exchangeStatus"}).encode()
        reads, _ = asyncio.run(timed(port_of(url), "/info", [ask] * orders))
        taken, answers = asyncio.run(timed(port_of(url), "/exchange", bodies))
        resting = sum(b'"resting"' in answer for answer in answers)
    return {
        "order_ms": 1e3 * median(taken),
        "order_p99_ms": 1e3 * tail(taken),
        "read_ms": 1e3 * median(reads),
        "sign_ms": 1e3 * sign_s,
        "resting": resting / orders,
    }


def main() -> int:
    """Measure, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--orders", type=int, default=900)
    given = parser.parse_args()
    runs: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, options in (
            ("still", ["--market", "still"]),
            ("alive", []),
            ("durable", ["--market", "still", "--state", str(home / "state")]),
        ):
            runs[name] = measured(home, given.orders, *options)
            print(f"{name}: {runs[name]}", file=sys.stderr)
    result: dict[str, Any] = {
        "name": "order_roundtrip",
        "value": runs["still"]["order_ms"],
        "unit": "ms",
        "reference": runs["still"]["read_ms"],
        "ratio": runs["still"]["order_ms"] / runs["still"]["read_ms"],
        "runs": runs,
        "checks": {
            "every order came to rest": all(run["resting"] == 1.0 for run in runs.values()),
            "median below 5 ms": all(run["order_ms"] < MEDIAN_MS for run in runs.values()),
            "p99 below 20 ms on a still market": runs["still"]["order_p99_ms"] < TAIL_MS,
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
