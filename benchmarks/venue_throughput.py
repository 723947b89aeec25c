"""Orders a second: signed ones over HTTP, and through the matching engine alone.

Half of the orders rest and half are filled. The exchange runs in a process of its own; the
requests are signed before the clock starts. With a state folder each order is on the disk before
it is answered; that is measured on the disk that is here, and on a slower one. The reference is
how many reads of the smallest answer the same server gives over the same connections.

    python benchmarks/venue_throughput.py
    python benchmarks/venue_throughput.py --orders 20000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.venue_process import flood, order, port_of, serving, signed, wallet
from genesis.exchange.venue.core import VenueCore, VenueMeta
from genesis.exchange.venue.profile import STILL

REST, ENGINE = 600.0, 20_000.0
WIDTH = 8
SLOW_DISK_MS = 3.0
"""What a write to the disk takes longer in the last run: an ordinary one of a rented machine."""


def over_http(
    home: Path, orders: int, *options: str, disk_ms: float = 0.0
) -> tuple[float, float, int]:
    """Orders a second, reads a second, and orders that were neither filled nor rested."""
    with serving(home, "--market", "still", *options, disk_ms=disk_ms) as url:
        accounts = [wallet(url) for _ in range(WIDTH)]
        stamp = time.time_ns() // 1_000_000
        bodies = [
            signed(accounts[k % WIDTH], order("60000", buy=(k // WIDTH) % 2 == k % 2), stamp + k)
            for k in range(orders)
        ]
        port = port_of(url)
        ask = json.dumps({"type": "exchangeStatus"}).encode()
        start = time.perf_counter()
        asyncio.run(flood(port, "/info", [ask] * orders, WIDTH))
        reads = orders / (time.perf_counter() - start)
        start = time.perf_counter()
        answers = asyncio.run(flood(port, "/exchange", bodies, WIDTH))
        rate = orders / (time.perf_counter() - start)
    lost = sum(b'"resting"' not in a and b'"filled"' not in a for a in answers)
    return rate, reads, lost


def in_core(orders: int) -> float:
    """Orders a second through the core, half of them filled."""
    core = VenueCore(VenueMeta.default(), seed=1, profile=STILL, now_ms=1_795_600_000_000)
    users = [f"0x{k:040x}" for k in (1, 2)]
    for user in users:
        core.fund(user, "100000000")
    actions = [order("60000", buy=k % 2 == 0) for k in range(2)]
    start = time.perf_counter()
    for k in range(orders):
        core.submit(users[k % 2], actions[k % 2], 1_795_600_000_000 + k)
        if k % 64 == 0:
            core.drain()
    return orders / (time.perf_counter() - start)


def main() -> int:
    """Measure, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--orders", type=int, default=4000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        rest, reads, lost = over_http(home, given.orders)
        durable, _, more = over_http(home, given.orders, "--state", str(home / "state"))
        slow, _, most = over_http(
            home, given.orders, "--state", str(home / "slow"), disk_ms=SLOW_DISK_MS
        )
    engine = max(in_core(5 * given.orders) for _ in range(3))
    result: dict[str, Any] = {
        "name": "venue_throughput",
        "value": rest,
        "unit": "signed orders/s over HTTP",
        "reference": reads,
        "ratio": rest / reads,
        "durable": durable,
        "durable_on_a_slow_disk": slow,
        "engine": engine,
        "aims": {"rest": rest >= REST, "engine": engine >= ENGINE},
        "checks": {
            "no order was lost": lost + more + most == 0,
            "600 a second": rest >= REST,
            "600 a second, each on the disk first": durable >= REST,
        },
    }
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
