"""Random orders on random bars: the paper gateway does what the stated rules say."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.gateway import PaperGateway
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side, Tif
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    FundingDue,
    OrderFilled,
    OrderStatus,
    SymbolEnded,
)
from tests.oracle.paper_exchange import Oracle, Want

D = Decimal
HOUR = 3_600_000
KINDS = ["market", "market", "limit", "limit", "stop", "stop", "target"]


class Pair:
    """The gateway and the oracle, asked the same and shown the same."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        slip, leverage = float(rng.choice([0.0, 0.001])), float(rng.choice([3, 10, 25]))
        costs = CostModel(slippage=slip)
        self.gateway = PaperGateway({"X": Instrument("X", "X")}, costs, leverage)
        self.oracle = Oracle(
            D(str(costs.taker)), D(str(costs.maker)), D(str(slip)), D(str(leverage)), D("0.01")
        )
        self.events: list[Event] = []
        self.gateway.connect(self.events.append)
        self.ids: list[str] = []

    def grid(self, low: float, high: float) -> Decimal:
        return D(int(self.rng.integers(round(low * 100), round(high * 100) + 1))) / 100

    def act(self, near: float) -> None:
        """Submit, cancel or modify something."""
        rng = self.rng
        what = rng.choice(["submit"] * 6 + ["cancel", "modify"])
        if what == "submit" or not self.ids:
            id = f"o{len(self.ids)}"
            self.ids.append(id)
            kind = str(rng.choice(KINDS))
            price = None if kind == "market" else self.grid(near - 4, near + 4)
            want = Want(
                id,
                int(rng.choice([-1, 1])),
                kind,
                self.grid(0.1, 3),
                price,
                bool(rng.uniform() < 0.45),
                kind == "limit" and bool(rng.uniform() < 0.3),
            )
            self.gateway.submit(self.request(want))
            self.oracle.submit(want)
            return
        id = str(rng.choice(self.ids))
        if what == "cancel":
            self.gateway.cancel("a", "X", id)
            self.oracle.cancel(id)
            return
        known = next(w for w in self.oracle.orders if w.id == id)
        size = self.grid(0.1, 3)
        price = None if known.kind == "market" else self.grid(near - 4, near + 4)
        changed = Want(id, known.sign, known.kind, size, price, known.reduce, known.ioc)
        self.gateway.modify(self.request(changed))
        self.oracle.modify(id, size, price)

    @staticmethod
    def request(want: Want) -> OrderRequest:
        return OrderRequest(
            f"ORD_{want.id}",
            want.id,
            "a",
            "X",
            Side.BUY if want.sign > 0 else Side.SELL,
            OrderKind(want.kind),
            want.size,
            want.price,
            want.reduce,
            Tif.IOC if want.ioc else Tif.GTC,
        )

    def show(self, data: Payload, ts_ms: int) -> None:
        self.gateway.on_market(Event(data, ts_ms))

    def compare(self) -> None:
        fills = [e.data.fill for e in self.events if isinstance(e.data, OrderFilled)]
        want = self.oracle.fills
        got = [(f.client_id, f.side, f.size, f.cause) for f in fills]
        assert got == [(i, "buy" if s > 0 else "sell", q, c) for i, s, q, _, _, c in want]
        for fill, (_, _, _, price, fee, _) in zip(fills, want, strict=True):
            assert float(fill.price) == pytest.approx(float(price), rel=1e-12)
            assert float(fill.fee) == pytest.approx(float(fee), rel=1e-12)
        state = self.gateway.account_state("a", 0)
        assert sum(p.size for p in state.positions) == self.oracle.position
        if state.positions:
            assert float(state.positions[0].entry) == pytest.approx(float(self.oracle.entry))
        assert {o.client_id for o in state.orders} == {
            w.id for w in self.oracle.orders if w.state == "open"
        }

    def states(self) -> dict[str, str]:
        del self.events[:]
        for id in self.ids:
            self.gateway.query("a", "X", id)
        told = [e.data for e in self.events if isinstance(e.data, OrderStatus)]
        return {s.client_id: s.status.replace("trigger_wait", "open") for s in told}


def run(seed: int, seen: Counter[str]) -> None:
    rng = np.random.default_rng(seed)
    pair = Pair(rng)
    close = 100.0
    bars = 40
    for t in range(bars):
        start = t * HOUR
        for _ in range(rng.integers(0, 3)):
            pair.act(close)
        if rng.uniform() < 0.3:
            rate = float(rng.normal(0, 0.01))
            pair.show(FundingDue("X", rate), start)
            pair.oracle.fund(D(repr(rate)), D(str(close)))
        first = float(pair.grid(max(close - 3, 5), close + 3))
        pair.show(BarOpened("X", HOUR, start, first), start)
        pair.oracle.open_(D(str(first)))
        pair.compare()
        for _ in range(rng.integers(0, 3)):
            pair.act(first)
        pair.compare()
        high, low = float(pair.grid(first, first + 5)), float(pair.grid(first - 5, first))
        pair.show(BarRange("X", start, high, low), start + HOUR)
        pair.oracle.range_(D(str(high)), D(str(low)))
        pair.compare()
        close = float(pair.grid(low, high))
        pair.show(BarClosed("X", HOUR, start, first, high, low, close, 1.0), start + HOUR)
        seen[pair.oracle.dead] += 1
    if rng.uniform() < 0.5:
        pair.show(SymbolEnded("X", close), bars * HOUR)
        pair.oracle.end(D(str(close)))
        pair.compare()
    for _, _, _, _, _, cause in pair.oracle.fills:
        seen[cause] += 1
    for want in pair.oracle.orders:
        seen[f"{want.kind} {want.state}"] += 1
    assert pair.states() == {w.id: w.state for w in pair.oracle.orders}


def test_random_orders_do_what_the_rules_say() -> None:
    seen: Counter[str] = Counter()
    for seed in range(120):
        run(seed, seen)
    for kind in ("market", "limit", "stop", "target"):
        for state in ("filled", "canceled"):
            assert seen[f"{kind} {state}"] > 20, seen
    assert seen["market rejected"] > 20
    assert seen["liquidation"] > 20
    assert seen["delisted"] > 8
