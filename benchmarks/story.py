"""Milliseconds to tell the story of a fill among a million events.

A log of real trades is written through the event store: bars, signals, risk assessments, intents,
entries filled in two parts, protective stops that are moved, exits, with every row that the order
manager, ledger and journal make of them. Then stories of fills, orders and plans from all over the
log are told, each by a fresh reader, as a command would. ``value`` is the slowest of them;
``reference`` is what a scan of the journal for the same fill takes, the way without an index.

    python benchmarks/story.py
    python benchmarks/story.py --events 100000 --stories 50
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from genesis.domain.ids import Ids, client_order_id
from genesis.trading import journal as journal_module
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side, VenueFill
from genesis.trading.journal import StrategyJournal
from genesis.trading.ledger import StrategyLedger
from genesis.trading.ledger_tables import TABLES
from genesis.trading.order_manager import OrderManager
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    CandlesReady,
    Causality,
    EntryPlan,
    ExecutionPlan,
    ExitPlan,
    OrderAccepted,
    OrderFilled,
    OrderModified,
    OrderSubmit,
    Origin,
    RiskAssessed,
    SignalGenerated,
    SizePlan,
    TradeIntent,
)
from genesis.trading.tables import Row
from tests.unit.trading.clearing import cleared

ALL_TABLES = (*TABLES, *journal_module.TABLES)
HOUR = 3_600_000
MOST_MS = 50.0


class Flows:
    """Writes trades into a store: the events of each, then the rows that they lead to."""

    def __init__(self, store: Any, run: str = "bench") -> None:
        self.store, self.run = store, run
        self.orders, self.ledger = OrderManager(), StrategyLedger()
        self.journal, self.ids = StrategyJournal(), Ids()
        self.rows: list[Row] = []
        self.now = 1_700_000_000_000
        self.trades = 0
        self.fills: list[str] = []
        self.plans: list[str] = []
        self.order_ids: list[str] = []

    def bars(self, symbol: str, price: float, count: int) -> Iterator[Event]:
        """Events of bars, so that trades are rare in the log, as they are."""
        for _ in range(count):
            opened = self.now
            self.now += HOUR
            yield Event(BarOpened(symbol, HOUR, opened, price), opened, symbol)
            yield Event(BarRange(symbol, opened, price * 1.01, price * 0.99), self.now, symbol)
            bar = BarClosed(
                symbol, HOUR, opened, price, price * 1.01, price * 0.99, price * 1.001, 1.0
            )
            yield Event(bar, self.now, symbol)
            yield Event(CandlesReady(HOUR, opened, (symbol,)), self.now)

    def trade(self, account: str, symbol: str, *, bars: int = 5, win: bool = True) -> str:
        """One round trip: two entry fills, a stop that is moved, its fill. Returns the plan."""
        self.trades += 1
        price = Decimal(100 + self.trades % 50)
        market = list(self.bars(symbol, float(price), bars))
        self.commit(market)
        origin = Origin("tick", self.ids.new("TCK", self.now), market[-1].seq if market else 0)
        deployment = f"DEP_{account.rpartition('/')[2]}_{symbol}"
        plan, signal = self.ids.new("TPL", self.now), self.ids.new("SIG", self.now)
        risk, intent = self.ids.new("RSK", self.now), self.ids.new("INT", self.now)
        self.plans.append(plan)
        seen = {"close": float(price), "atr": float(price) * 0.01 * (1 + self.trades % 3)}
        size = Decimal("1.5")
        decided: list[Payload] = [
            SignalGenerated(
                signal, deployment, origin, 9, {"long": 1, "short": 0}, seen, "none", 1.5
            ),
            RiskAssessed(risk, deployment, signal, True, "max_order", 150.0, 1_000.0, "within"),
            TradeIntent(
                intent,
                deployment,
                "NEW",
                "entry",
                Causality(origin, (signal,), (risk,), self.ids.new("STR", self.now), plan),
                self.now + 60_000,
                EntryPlan(Side.BUY, "market", price),
                SizePlan(Decimal("1.52"), size, "policy"),
                ExitPlan(2.0, 4.0, 1.5, 0.0, 0, seen["atr"]),
                ExecutionPlan("single", (size,)),
            ),
        ]
        entry = self.request(account, symbol, Side.BUY, OrderKind.MARKET, size, None)
        half = Decimal("0.75")
        decided += [
            OrderSubmit(deployment, plan, "entry", entry, intent, price),
            OrderAccepted(entry.client_id, f"v{entry.order_id}"),
            self.fill(entry, half, price * Decimal("1.0002"), price),
            self.fill(entry, half, price * Decimal("1.0003"), price),
        ]
        level = price * Decimal("0.98")
        stop = self.request(account, symbol, Side.SELL, OrderKind.STOP, size, level)
        decided += [
            OrderSubmit(deployment, plan, "stop", stop),
            OrderAccepted(stop.client_id, f"v{stop.order_id}"),
        ]
        self.play(decided)
        level = price * (Decimal("1.01") if win else Decimal("0.99"))
        self.now += HOUR
        at = Event(OrderAccepted("", ""), self.now, seq=self.head, recorded_ms=self.now)
        change = self.orders.request_modify(stop.order_id, level, size, "trail", at)
        self.ledger.record_order(change.order, at, self.rows)
        moved = OrderModified(stop.client_id, f"v{stop.order_id}", level, size)
        self.play([*change.emit, moved])
        self.now += HOUR
        self.play([self.fill(stop, size, level * Decimal("0.9998"), level)])
        return plan

    def request(
        self, account: str, symbol: str, side: Side, kind: OrderKind, size: Decimal, price: Any
    ) -> OrderRequest:
        """A fresh order."""
        order_id = self.ids.new("ORD", self.now)
        self.order_ids.append(order_id)
        client = client_order_id(account, self.run, order_id)
        stop = kind is OrderKind.STOP
        return OrderRequest(order_id, client, account, symbol, side, kind, size, price, stop)

    def fill(
        self, order: OrderRequest, size: Decimal, price: Decimal, reference: Decimal
    ) -> OrderFilled:
        """A fill of an order, by the venue."""
        return OrderFilled(
            VenueFill(
                self.ids.new("f", self.now),
                order.client_id,
                f"v{order.order_id}",
                order.account,
                order.symbol,
                order.side,
                size,
                price,
                size * price * Decimal("0.00045"),
                False,
                self.now,
                reference,
                latency_ms=180,
            )
        )

    @property
    def head(self) -> int:
        """Number of the last event."""
        return int(self.store.head.seq)

    def commit(self, events: list[Event]) -> None:
        """Store events with the rows that earlier ones led to."""
        rows, self.rows = self.rows, []
        self.store.commit(events, rows)

    def play(self, payloads: list[Payload]) -> None:
        """Store events, then handle them."""
        events = [Event(data, self.now, self.about(data)) for data in payloads]
        self.commit(events)
        for event in events:
            event.recorded_ms = self.now
            self.handle(event)

    def about(self, data: Any) -> str:
        """Aggregate of an event."""
        order = getattr(data, "order", None)
        return order.order_id if order is not None else getattr(data, "client_id", "")

    def handle(self, event: Event) -> None:
        """Handle an event as the trading core does."""
        data, rows = event.data, self.rows
        if isinstance(data, SignalGenerated):
            self.journal.on_signal(data)
        elif isinstance(data, RiskAssessed):
            self.journal.on_risk(data)
        elif isinstance(data, TradeIntent):
            self.ledger.on_intent(data, event, rows)
            self.journal.on_intent(data, event, rows)
        elif isinstance(data, OrderSubmit):
            self.orders.intend(data, event, cleared(data.order))
            order = self.orders.submit(data, event).order
            self.ledger.record_order(order, event, rows)
            self.journal.on_order(order, event, rows)
        elif isinstance(data, OrderAccepted):
            self.ledger.record_order(self.orders.on_accepted(data, event).order, event, rows)
        elif isinstance(data, OrderModified):
            self.ledger.record_order(self.orders.on_modified(data, event).order, event, rows)
        elif isinstance(data, OrderFilled):
            self.book(data, event)

    def book(self, data: OrderFilled, event: Event) -> None:
        """Take a fill through order, ledger and journal."""
        change = self.orders.on_fill(data, event)
        assert change.fill is not None
        booking = self.ledger.book(change.order, change.fill, event, self.ids, self.rows)
        self.fills.append(booking.fill_id)
        self.journal.on_fill(change.order, change.fill, booking.fill_id, event, self.rows)
        if booking.closed is not None:
            self.ledger.settle(
                booking.closed,
                event,
                self.ids,
                self.rows,
                reason="stop",
                exit_class="trailing",
                mfe=0.02,
                mae=-0.005,
            )


def build(folder: Path, events: int) -> Flows:
    """Write a log of about this many events."""
    from genesis.system.clock import SystemClock
    from genesis.trading.store.writer import EventStore

    with EventStore.open(
        folder, run="bench", tables=ALL_TABLES, clock=SystemClock(), synchronous="OFF"
    ) as store:
        flows = Flows(store)
        places = [(f"paper/s{k}", symbol) for k in range(10) for symbol in ("BTC", "ETH", "SOL")]
        while flows.head < events:
            account, symbol = places[flows.trades % len(places)]
            flows.trade(account, symbol, bars=6, win=flows.trades % 3 != 0)
        flows.commit([])
    return flows


def timed(folder: Path, name: str) -> tuple[float, Any]:
    """Milliseconds of one story, opening the log included."""
    from genesis.trading.store.reader import EventReader
    from genesis.trading.story import tell

    began = time.perf_counter()
    with EventReader(folder) as reader:
        found = tell(reader, name)
    return (time.perf_counter() - began) * 1e3, found


def scan(folder: Path, name: str) -> float:
    """Milliseconds to find the journal entry of a fill without an index."""
    from genesis.trading.store.reader import EventReader

    began = time.perf_counter()
    with EventReader(folder) as reader:
        assert reader.query("SELECT * FROM journal WHERE +fill_id = ?", (name,))
    return (time.perf_counter() - began) * 1e3


def measure(folder: Path, events: int, stories: int) -> dict[str, Any]:
    from genesis.trading.store.reader import EventReader

    began = time.perf_counter()
    flows = build(folder, events)
    built = time.perf_counter() - began
    names = [
        one[len(one) * k // stories]
        for one in (flows.fills, flows.order_ids, flows.plans)
        for k in range(stories)
    ]
    told = [timed(folder, name) for name in names]
    times = [ms for ms, _ in told]
    whole = all(
        found.why["origin"]["kind"] == "tick"
        and len(found.why["signals"]) == len(found.why["risks"]) == 1
        and len(found.outcome["fills"]) == 3
        and found.outcome["trade"] is not None
        for _, found in told
    )
    with EventReader(folder) as reader:
        count = reader.head.seq
    slow = statistics.median(scan(folder, flows.fills[len(flows.fills) * k // 5]) for k in range(5))
    return {
        "name": "story",
        "value": round(max(times), 2),
        "unit": "ms, slowest story",
        "reference": round(slow, 2),
        "ratio": round(slow / max(times), 2),
        "median": round(statistics.median(times), 2),
        "stories": len(times),
        "events": count,
        "trades": flows.trades,
        "build_seconds": round(built, 1),
        "megabytes": round(sum(p.stat().st_size for p in folder.glob("events.db*")) / 1e6, 1),
        "checks": {
            "under_50_ms": max(times) < MOST_MS,
            "whole_stories": whole,
            "events": count >= events,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--stories", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder) / "bench", options.events, options.stories)
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
