"""Fills while the socket is cut or silent: what is booked here is what happened there."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from genesis.exchange.hyperliquid.settings import StreamSettings
from genesis.exchange.venue.clock import VenueClock
from genesis.exchange.venue.core import VenueProfile
from genesis.trading.gateway import OrderKind, Side, Tif
from tests.integration.hyperliquid.live_rig import (
    ACCOUNT,
    COIN,
    MASTER,
    LiveRig,
    live_rig,
    order,
    until,
)
from tests.integration.hyperliquid.trader_rig import Trader

KINDS = ("cut", "stall")


class FastWaits:
    """Time of sockets that runs faster than that of the machine; the calendar is the venue's."""

    def __init__(self, clock: VenueClock, factor: float = 20.0) -> None:
        self._clock = clock
        self.factor = factor

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def monotonic(self) -> float:
        return time.monotonic() * self.factor

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.factor)


@dataclass
class Report:
    """What came of a campaign; times are the gateway's seconds."""

    fills: int = 0
    faults: int = 0
    longest_s: float = 0.0
    repeated: int = 0
    disagree: list[str] = field(default_factory=list)


def campaign(folder: Path, fills: int, seed: int, factor: float = 20.0) -> Report:
    """Trade until there are so many fills, with a fault now and then."""
    rng, out = random.Random(seed), Report()
    with live_rig(folder, profile=VenueProfile(step_ms=0)) as rig:
        rig.act("fund", MASTER, "100000000")
        rig.price(100.0)
        trader = Trader(rig)
        waits = FastWaits(rig.venue.clock, factor)
        gateway = trader.gateway = rig.gateway(
            trader.sink,
            waits,
            weight_limit=10**8,
            stream=StreamSettings(),
            timeout_s=8.0 * factor,  # requests are as slow as the machine is
            least_timeout_s=2.0 * factor,
            least_act_timeout_s=2.0 * factor,
        )
        while len(trader.booked) < fills:
            _trade(rig, trader, rng)
            if rng.random() < 0.3:
                _fault(rig, trader, waits, KINDS[out.faults % 2], rng, out)
            rig.advance(rng.randrange(1, 2_000))
            trader.pump()
        trader.run_until(lambda: not trader.in_doubt())
        for resting in trader.orders.open_orders():
            trader.cancel(resting)
        trader.run_until(lambda: not trader.orders.open_orders())
        trader.settle()
        out.fills = len(trader.booked)
        out.repeated = gateway.parts.teller.repeated
        _judge(rig, trader, out)
    return out


def _trade(rig: LiveRig, trader: Trader, rng: random.Random) -> None:
    """Some orders of ours, and one by hand that only the stream tells of."""
    for _ in range(rng.randrange(1, 6)):
        side = rng.choice((Side.BUY, Side.SELL))
        trader.submit(order(side, f"{rng.randrange(20, 90) / 100:g}", tif=Tif.IOC))
    if rng.random() < 0.5:
        away = "98" if rng.random() < 0.5 else "102"
        side = Side.BUY if away == "98" else Side.SELL
        trader.submit(order(side, "0.5", OrderKind.LIMIT, away))
    assert trader.gateway is not None
    if rng.random() < 0.7:
        trader.settle()
    rig.price(rng.choice((97.5, 99.0, 100.0, 101.0, 102.5)))
    row = {"a": 5, "b": rng.random() < 0.5, "p": "110", "s": "0.3", "r": False}
    if not row["b"]:
        row["p"] = "90"
    kind = {"t": {"limit": {"tif": "Ioc"}}}
    rig.submit(MASTER, {"type": "order", "orders": [row | kind], "grouping": "na"})


def _fault(
    rig: LiveRig, trader: Trader, waits: FastWaits, kind: str, rng: random.Random, out: Report
) -> None:
    gateway = trader.gateway
    assert gateway is not None
    stream, listener = gateway.streams[ACCOUNT], gateway.parts.listeners[ACCOUNT]
    made, done = stream.connections, listener.reconciled
    began = waits.monotonic()
    if kind == "cut":
        rig.fault("ws_cut", count=1)
        rig.advance(1)
    else:
        rig.fault("ws_freeze")
    _trade(rig, trader, rng)
    until(lambda: stream.connections > made or not stream.up, 60.0)
    rig.heal()
    # A comparison that was due before the fault may pass while the connection is still lost.
    until(lambda: stream.up and not listener.down and listener.reconciled > done, 60.0)
    out.faults += 1
    out.longest_s = max(out.longest_s, waits.monotonic() - began)


def _judge(rig: LiveRig, trader: Trader, out: Report) -> None:
    there = [str(row["tid"]) for row in rig.fills()]
    if sorted(trader.booked) != sorted(there):
        out.disagree.append(f"{len(trader.booked)} fills here, {len(there)} there")
    if trader.position[COIN] != rig.position():
        out.disagree.append(f"position {trader.position[COIN]} here, {rig.position()} there")
