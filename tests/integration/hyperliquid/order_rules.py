"""Random orders that our own rules call valid, sent to the venue: none may break its rules."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from genesis.exchange.venue.core import VenueProfile
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, OrderRequest, Side, Tif
from genesis.trading.payloads import OrderAccepted, OrderCanceled, OrderRejected, OrderUnknown
from tests.integration.hyperliquid.live_rig import MASTER, LiveRig, live_rig, of, order

RULES = ("tick", "invalid_size", "invalid_price", "min_notional", "malformed", "trigger_price")
_TIFS = (Tif.GTC, Tif.IOC, Tif.ALO)
_BATCH = 250


@dataclass
class Tally:
    """What the venue said; ``broken`` are refusals for one of its rules of prices and sizes."""

    sent: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0


def campaign(folder: Path, orders: int, seed: int) -> Tally:
    """Send random orders over every market, in batches."""
    rng, tally = random.Random(seed), Tally()
    with live_rig(folder, profile=VenueProfile(step_ms=0, open_orders=10**6)) as rig:
        rig.act("fund", MASTER, "1000000000")
        events: list[Event] = []
        gateway = rig.gateway(events.append, weight_limit=10**8, mid_age_s=3_600.0)
        meta, contexts = rig.info("metaAndAssetCtxs")
        marks = {
            row["name"]: float(context["markPx"])
            for row, context in zip(meta["universe"], contexts, strict=True)
        }
        live = [coin for coin, rule in gateway.parts.markets.rules.items() if not rule.delisted]
        wanted = [_order(rng, rig, coin, marks[coin]) for coin in rng.choices(live, k=orders)]
        began = time.perf_counter()
        for start in range(0, orders, _BATCH):
            for request in wanted[start : start + _BATCH]:
                gateway.submit(request)
            assert gateway.settle(120.0)
        tally.seconds = time.perf_counter() - began
        tally.sent = gateway.parts.transport.sent
        tally.accepted = len(of(events, OrderAccepted)) + len(of(events, OrderCanceled))
        for data in of(events, OrderRejected):
            tally.refused[data.reason] += 1
            if data.reason in RULES:
                asked = next(one for one in wanted if one.client_id == data.client_id)
                tally.broken.append(f"{data.text}: {asked}")
        tally.broken += [repr(data) for data in of(events, OrderUnknown)]
    return tally


def _order(rng: random.Random, rig: LiveRig, coin: str, mark: float) -> OrderRequest:
    """An order with the digits that arithmetic of floats leaves in prices and sizes."""
    side = rng.choice((Side.BUY, Side.SELL))
    price = mark * (1.0 + rng.uniform(-0.3, 0.3)) * (1.0 + rng.choice((0.0, 1e-16, 1e-12)))
    kind = rng.choice((OrderKind.LIMIT, OrderKind.LIMIT, OrderKind.MARKET, OrderKind.STOP))
    decimals = rig.venue.core.meta.perps
    rule = next(perp for perp in decimals if perp.coin == coin)
    if kind is OrderKind.STOP:  # a buy stop waits above the mark price, a sell stop below
        side = Side.BUY if price > mark else Side.SELL
    if kind is OrderKind.LIMIT:  # a limit has no more decimals than its market
        price = round(price, 6 - rule.sz_decimals)
    least = Decimal(11) / Decimal(repr(min(price, mark)))
    size = float(least) * 10 ** rng.uniform(0.0, 2.0) + 10.0**-rule.sz_decimals
    return order(
        side,
        repr(size),
        kind,
        None if kind is OrderKind.MARKET else repr(price),
        symbol=coin,
        reduce_only=kind is OrderKind.STOP,
        tif=rng.choice(_TIFS) if kind is OrderKind.LIMIT else Tif.GTC,
    )
