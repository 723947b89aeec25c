"""Orders whose replies, or whose requests, are lost: one campaign for tests and benchmark."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from genesis.exchange.venue.core import VenueProfile
from genesis.trading.gateway import OrderKind, OrderRequest, Side, Tif
from genesis.trading.orders import Order, OrderState
from tests.integration.hyperliquid.live_rig import COIN, LiveRig, live_rig, order
from tests.integration.hyperliquid.trader_rig import Trader

AFTER = ("drop_after", "hang_after", "error_after", "html_after", "duplicate")
BEFORE = ("drop_before", "hang_before")
TTL_MS = 5_000


@dataclass
class Outcome:
    """What came of a campaign, judged by the exchange's own histories."""

    runs: int = 0
    states: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    latest_ms: int = -(10**9)
    duplicates: int = 0
    ghosts: int = 0
    disagree: list[str] = field(default_factory=list)


def campaign(folder: Path, runs: int, kinds: tuple[str, ...], seed: int) -> Outcome:
    """One order a run, each with a fault of its own, on one venue.

    ``latest_ms`` is how long after its expiry the last order was still in doubt.
    """
    out = Outcome()
    with live_rig(folder, profile=VenueProfile(step_ms=0)) as rig:
        rig.price(100.0)
        trader = Trader(rig)
        trader.gateway = rig.gateway(
            trader.sink,
            timeout_s=0.25,
            least_timeout_s=0.05,
            least_act_timeout_s=0.05,
            breaker_failures=10**6,
            weight_limit=10**7,
        )
        for run in range(runs):
            _one(rig, trader, random.Random(f"{seed}/{run}"), kinds, out)
        trader.settle()
        _judge(rig, trader, out)
    return out


def _one(
    rig: LiveRig, trader: Trader, rng: random.Random, kinds: tuple[str, ...], out: Outcome
) -> None:
    kind = rng.choice(kinds)
    out.runs += 1
    out.kinds[kind] += 1
    rig.fault(kind, where={"path": "exchange"}, count=1)
    if rng.random() < 0.3:  # and the way to the truth is not smooth either
        rig.fault(
            "too_many" if rng.random() < 0.2 else "server_error", where={"path": "info"}, count=1
        )
    placed = trader.submit(_request(rng, trader))
    trader.run_until(lambda: _resolved(placed))
    out.states[placed.state.value] += 1
    late = trader.now - placed.request.expires_ms
    out.latest_ms = max(out.latest_ms, late)
    rig.heal()
    if placed.live:
        trader.cancel(placed)
        trader.run_until(lambda: not placed.live)
    rig.advance(rng.randrange(1, 50))


def _request(rng: random.Random, trader: Trader) -> OrderRequest:
    side = rng.choice((Side.BUY, Side.SELL))
    size = str(Decimal(rng.randrange(20, 100)) / 100)
    expires = trader.now + TTL_MS
    shape = rng.randrange(3)
    if shape == 0:
        return order(side, size, tif=Tif.IOC, expires_ms=expires)
    if shape == 1:
        away = "95" if side is Side.BUY else "105"
        return order(side, size, OrderKind.LIMIT, away, expires_ms=expires)
    across = "101" if side is Side.BUY else "99"
    return order(side, size, OrderKind.LIMIT, across, expires_ms=expires)


def _resolved(placed: Order) -> bool:
    return placed.state not in (OrderState.SUBMITTED, OrderState.UNKNOWN)


def _judge(rig: LiveRig, trader: Trader, out: Outcome) -> None:
    """Compare with what the exchange itself remembers."""
    fills = rig.fills()
    there = Counter[str]()
    for row in fills:
        there[row["cloid"]] += Decimal(row["sz"])  # type: ignore[assignment]
    placed: dict[str, set[int]] = {}
    for row in rig.info("historicalOrders"):
        placed.setdefault(row["order"]["cloid"], set()).add(row["order"]["oid"])
    out.duplicates = sum(len(oids) > 1 for oids in placed.values())
    for one in trader.orders._orders():
        client_id = one.request.client_id
        if one.filled != there[client_id]:
            out.disagree.append(f"{one.order_id}: {one.filled} here, {there[client_id]} there")
        if one.state is OrderState.EXPIRED and client_id in placed:
            out.ghosts += 1
    if sorted(trader.booked) != sorted(str(row["tid"]) for row in fills):
        out.disagree.append("the fills are not those of the exchange")
    # What was doubted was doubted at once: nothing was told that had to be taken back.
    out.disagree += [alert.title for alert in trader.alerts if "although" in alert.title]
    if trader.position[COIN] != rig.position():
        out.disagree.append(f"position {trader.position[COIN]} here, {rig.position()} there")
