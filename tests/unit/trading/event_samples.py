"""Events, clocks and logs for the tests of the bus and the store."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.payloads import (
    AlertRaised,
    BarClosed,
    OrderAccepted,
    OrderSubmit,
    Payload,
    Quote,
    TradingHalted,
)
from genesis.trading.store import EventStore
from genesis.trading.tables import Table

ORDERS = Table(
    "orders",
    {"order_id": "TEXT", "state": "TEXT", "price": "TEXT", "ts_ms": "INTEGER"},
    ["order_id"],
    [["ts_ms"]],
)


class HandClock:
    """A clock that moves when a test says so."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


def quote(symbol: str, price: float, ts_ms: int = 0) -> Event:
    return Event(Quote(symbol, price, price, price), ts_ms, aggregate=symbol)


def critical(n: int) -> Event:
    return Event(TradingHalted("run", str(n)), n)


def high(n: int) -> Event:
    return Event(OrderAccepted(f"0x{n:032x}", f"v{n}"), n, aggregate=f"ORD_{n % 7}")


def normal(n: int, symbol: str = "BTC") -> Event:
    data = BarClosed(symbol, 60_000, n * 60_000, 100.0, 101.5, 99.25, 100.5, 12.0 + n, 1e-4, 50.0)
    return Event(data, (n + 1) * 60_000, aggregate=symbol)


def low(n: int) -> Event:
    return Event(AlertRaised("info", "test", str(n), ""), n)


def submit(n: int) -> Event:
    order = OrderRequest(
        f"ORD_{n}", f"0x{n:032x}", "paper", "BTC", Side.BUY, OrderKind.LIMIT,
        Decimal("0.001") * (n + 1), Decimal("64000.5"),
    )  # fmt: skip
    data: Payload = OrderSubmit("DEP_1", f"TPL_{n // 4}", "entry", order)
    return Event(data, n * 1_000, f"ORD_{n}", f"TPL_{n // 4}", caused_by=n, ordinal=n % 3)


def mixed(n: int) -> Event:
    """The n-th event of an endless sample with bars, orders, replies and alerts."""
    return (normal, submit, high, low)[n % 4](n)


def open_store(folder: Path, clock: HandClock | None = None, **options: object) -> EventStore:
    return EventStore.open(
        folder,
        run=folder.name,
        tables=options.pop("tables", [ORDERS]),
        clock=clock or HandClock(),
        synchronous=options.pop("synchronous", "OFF"),
        **options,
    )


def filled_store(folder: Path, events: int, batch: int = 50, **options: object) -> EventStore:
    """An open store with this many sample events."""
    store = open_store(folder, **options)
    for first in range(0, events, batch):
        store.commit([mixed(n) for n in range(first, min(first + batch, events))], [])
    return store


def same(a: Event, b: Event) -> bool:
    """Whether two events say the same, their numbers aside."""
    return (a.data, a.ts_ms, a.aggregate, a.correlation, a.caused_by, a.ordinal) == (
        b.data,
        b.ts_ms,
        b.aggregate,
        b.correlation,
        b.caused_by,
        b.ordinal,
    )
