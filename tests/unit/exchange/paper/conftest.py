"""A paper exchange of one symbol, and ways to show it a market."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.gateway import PaperGateway
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.payloads import BarClosed, BarOpened, BarRange, OrderFilled, Quote

HOUR = 3_600_000
FREE = CostModel(taker=0.0, maker=0.0, slippage=0.0)


@dataclass
class Stage:
    """A gateway with what it told, and a market in time order."""

    gateway: PaperGateway
    events: list[Event] = field(default_factory=list)
    bar: int = 0

    def __post_init__(self) -> None:
        self.gateway.connect(self.events.append)
        self.numbers = itertools.count(1)

    def show(self, data: Payload, ts_ms: int | None = None) -> None:
        self.gateway.on_market(Event(data, self.bar * HOUR if ts_ms is None else ts_ms))

    def open(self, price: float) -> None:
        self.bar += 1
        self.show(BarOpened("X", HOUR, self.bar * HOUR, price))

    def range(self, high: float, low: float) -> None:
        self.show(BarRange("X", self.bar * HOUR, high, low), (self.bar + 1) * HOUR)

    def close(self, price: float) -> None:
        data = BarClosed("X", HOUR, self.bar * HOUR, price, price, price, price, 1.0)
        self.show(data, (self.bar + 1) * HOUR)

    def quote(self, ts_ms: int, last: float, low: float = 0.0, high: float = 0.0) -> None:
        self.show(Quote("X", last, low or last, high or last), ts_ms)

    def send(
        self,
        side: Side,
        size: str,
        kind: OrderKind = OrderKind.MARKET,
        price: str | None = None,
        **more: Any,
    ) -> str:
        number = next(self.numbers)
        given = {"account": "a", "symbol": "X", "client_id": f"c{number}"} | more
        order = OrderRequest(
            order_id=f"ORD_{number}",
            side=side,
            kind=kind,
            size=Decimal(size),
            price=None if price is None else Decimal(price),
            **given,
        )
        self.gateway.submit(order)
        return str(given["client_id"])

    def told(self, kind: type[Payload]) -> list[Any]:
        return [e.data for e in self.events if isinstance(e.data, kind)]

    @property
    def prices(self) -> list[float]:
        return [float(d.fill.price) for d in self.told(OrderFilled)]


@pytest.fixture
def stage() -> Callable[..., Stage]:
    """Make a stage: ``stage(costs=…, leverage=…, …)`` as for `PaperGateway`."""

    def make(costs: CostModel = FREE, leverage: float = 3.0, **options: Any) -> Stage:
        instrument = options.pop("instrument", Instrument("X", "X"))
        return Stage(PaperGateway({"X": instrument}, costs, leverage, **options))

    return make
