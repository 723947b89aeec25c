"""As many orders and cancels as the budgets let through, on a clock that all sides share."""

from __future__ import annotations

import resource
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from genesis.exchange.venue.core import VenueProfile
from genesis.exchange.venue.limits import LimitProfile
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.payloads import AlertRaised, OrderAccepted, OrderCanceled, OrderRejected
from tests.integration.hyperliquid.live_rig import (
    ACCOUNT,
    COIN,
    MASTER,
    START,
    LiveRig,
    live_rig,
    order,
)
from tests.integration.hyperliquid.stream_faults import FastWaits

OPEN, PENDING = 60, 40


class FastClock:
    """A clock that runs faster than the machine's, calendar and stopwatch alike."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._began = time.monotonic()

    def now_ms(self) -> int:
        return START + int((time.monotonic() - self._began) * self._factor * 1000)

    def monotonic(self) -> float:
        return time.monotonic() * self._factor


@dataclass
class Soak:
    """What came of it; times are those of the shared clock."""

    seconds: float = 0.0
    sent: int = 0
    accepted: int = 0
    canceled: int = 0
    held_back: int = 0
    too_many: int = 0
    over_budget: int = 0
    most_weight: int = 0
    requests: int = 0
    cap: int = 0
    cancels_again: int = 0
    last_cancels_s: float = 0.0
    grown_mb: float = 0.0


def soak(folder: Path, seconds: float, address_start: int, factor: float = 10.0) -> Soak:
    """Send orders and cancel them for a while, then cancel what is left."""
    out, clock = Soak(), FastClock(factor)
    profile, limits = VenueProfile(step_ms=0), LimitProfile(address_start=address_start)
    with live_rig(folder, profile=profile, limits=limits, scripted=False, clock=clock) as rig:
        _run(rig, FastWaits(rig.venue.clock, factor), seconds, out)
    return out


def _run(rig: LiveRig, waits: FastWaits, seconds: float, out: Soak) -> None:
    rig.price(100.0)
    events: deque[Event] = deque()
    patient = dict.fromkeys(("timeout_s", "least_timeout_s", "least_act_timeout_s"), 8 * 20.0)
    gateway = rig.gateway(events.append, waits, mid_age_s=1e9, **patient)
    transport, resting = gateway.parts.transport, deque[str]()
    began, before, held = waits.monotonic(), 0.0, 0
    while (now := waits.monotonic() - began) < seconds:
        if not before and now > seconds / 4:
            before = _memory_mb()
        refused, held = out.held_back > held, out.held_back
        for _ in range(1 if refused else PENDING - gateway._pending):
            gateway.submit(order(Side.BUY, "0.2", OrderKind.LIMIT, "90"))
            if len(resting) > OPEN:
                gateway.cancel(ACCOUNT, COIN, resting.popleft())
        _hear(events, resting, out)
        time.sleep(0.005)
    assert gateway.settle(60.0 * waits.factor)
    _hear(events, resting, out)
    out.grown_mb = _memory_mb() - before
    last = waits.monotonic()
    while resting:  # whatever was spent, there is room for these
        while resting:
            gateway.cancel(ACCOUNT, COIN, resting.popleft())
        assert gateway.settle(60.0 * waits.factor)
        _hear(events, resting, out)
        assert waits.monotonic() - last < 120.0
    out.last_cancels_s = waits.monotonic() - last
    rate = rig.info("userRateLimit")
    out.requests, out.cap = int(rate["nRequestsUsed"]), int(rate["nRequestsCap"])
    out.seconds, out.sent = waits.monotonic() - began, transport.sent
    out.most_weight = transport.budget.most
    _hear(events, resting, out)
    assert rig.info("openOrders", MASTER) == []


def _hear(events: deque[Event], resting: deque[str], out: Soak) -> None:
    while events:
        data = events.popleft().data
        if isinstance(data, OrderAccepted):
            out.accepted += 1
            resting.append(data.client_id)
        elif isinstance(data, OrderCanceled):
            out.canceled += 1
        elif isinstance(data, OrderRejected):
            if data.what == "cancel":
                out.cancels_again += 1
                resting.append(data.client_id)
            else:
                out.held_back += 1
            out.over_budget += data.text.startswith("Too many cumulative")
            out.too_many += data.reason == "rate_limited"
        elif isinstance(data, AlertRaised):
            out.too_many += "429" in data.title + data.text


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
