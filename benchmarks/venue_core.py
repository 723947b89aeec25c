"""Orders per second of the local exchange's core, without network and signatures.

Two figures, on one core: orders as the core takes them (JSON values in, checks, margin, matching,
events, answer) and orders through the matching engine alone (an order that is already accepted
meets the book, both accounts are settled, the rest comes to rest).

    python benchmarks/venue_core.py [--orders 40000]
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
from typing import Any

from genesis.exchange.venue.core import VenueCore, VenueMeta
from genesis.exchange.venue.matching import Matching, register
from genesis.exchange.venue.orders import FILLED, Order
from genesis.exchange.venue.profile import STILL
from genesis.exchange.venue.state import VenueState

START_MS = 1_700_000_000_000
USERS = tuple(f"0x{k:040x}" for k in range(1, 21))
CORE_AIM, MATCHING_AIM = 5_000.0, 20_000.0


def quotes(count: int, seed: int) -> list[tuple[str, bool, int, int]]:
    """Draw orders around one price: about a third of them crosses the book."""
    rng = random.Random(seed)
    out = []
    for _ in range(count):
        buy = rng.random() < 0.5
        ticks = rng.randint(-20, 5) if buy else rng.randint(-5, 20)
        out.append((rng.choice(USERS), buy, 60_000 + ticks, rng.randint(100, 999)))
    return out


def through_the_core(orders: list[tuple[str, bool, int, int]]) -> tuple[float, VenueCore]:
    """Submit them as a client's actions; return seconds."""
    core = VenueCore(VenueMeta.default(), seed=1, profile=STILL, now_ms=START_MS)
    for user in USERS:
        core.fund(user, "10000000")
    actions: list[tuple[str, dict[str, Any]]] = []
    for user, buy, px, sz in orders:
        wire = {
            "a": 0,
            "b": buy,
            "p": str(px),
            "s": f"0.{sz:05d}",
            "r": False,
            "t": {"limit": {"tif": "Gtc"}},
        }
        actions.append((user, {"type": "order", "orders": [wire], "grouping": "na"}))
    begun = time.perf_counter()
    for place, (user, action) in enumerate(actions):
        core.submit(user, action, START_MS + place)
        if place % 50 == 0:
            core.drain()
    return time.perf_counter() - begun, core


def through_the_matching(orders: list[tuple[str, bool, int, int]]) -> tuple[float, VenueState]:
    """Match them without the checks of admission; return seconds."""
    state = VenueState(VenueMeta.default(), STILL, 1, START_MS)
    state.events.silent = True
    matching = Matching(state)
    for user in USERS:
        state.account(user).raw = 10**15
    state.deposits[0] = len(USERS) * 10**15
    accepted = [
        Order(
            oid=place,
            user=user,
            asset=0,
            buy=buy,
            px=px * 1000,
            sz=sz,
            orig=sz,
            tif="Gtc",
            ts_ms=START_MS,
        )
        for place, (user, buy, px, sz) in enumerate(orders, start=1)
    ]
    begun = time.perf_counter()
    for order in accepted:
        register(state.accounts[order.user], order)
        matching.take(order, order.px)
        if order.status != FILLED:
            matching.rest(order)
    return time.perf_counter() - begun, state


def main() -> int:
    """Print both figures; exit 1 if money is not conserved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    orders = quotes(args.orders, 1)
    gc.disable()
    core_s = matching_s = float("inf")
    balances: list[int] = []
    for _ in range(args.repeats):
        seconds, core = through_the_core(orders)
        core_s = min(core_s, seconds)
        seconds, state = through_the_matching(orders)
        matching_s = min(matching_s, seconds)
        balances += [core.balance(), state.balance()]
        gc.collect()
    per_core, per_matching = args.orders / core_s, args.orders / matching_s
    checks = {"money conserved": not any(balances)}
    print(f"core      {per_core:10,.0f} orders/s")
    print(f"matching  {per_matching:10,.0f} orders/s")
    print(
        json.dumps(
            {
                "name": "venue_core",
                "value": round(per_core, 1),
                "unit": "orders/s",
                "reference": CORE_AIM,
                "ratio": round(per_core / CORE_AIM, 3),
                "matching": round(per_matching, 1),
                "matching_aim": MATCHING_AIM,
                "checks": checks,
            }
        )
    )
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
