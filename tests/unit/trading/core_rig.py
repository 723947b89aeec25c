"""A trading core in its loop, an exchange, and bars made by hand: for the tests of the core.

The rules read volume and sentiment, so that a test says of each bar what it wants: ``long``,
``short``, ``exit_long``, ``exit_short`` or nothing. Ranges are small, so that stop and target of
`GUARDED` lie at their nearest bounds: 2 % and 1.5 % from the entry price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.gateway import PaperGateway
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager
from genesis.strategy.language import Market
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.deployment import DeploymentOptions, deployment_added
from genesis.trading.events import Event, EventType, Payload
from genesis.trading.feed import Phase
from genesis.trading.gateway import AccountState, OrderRequest, Side, Sink, VenueFill
from genesis.trading.lockstep import FeedClock, LockStep
from genesis.trading.loop import MemoryLog, TradingLoop
from genesis.trading.order_manager import OrderSettings
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    CandlesReady,
    FundingDue,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderSubmit,
    Quote,
    SymbolEnded,
)
from genesis.trading.schedule import TimerWheel
from genesis.trading.tables import Row
from tests.unit.trading.clearing import observing

HOUR = 3_600_000
START = 1_704_067_200_000
"""2024-01-01T00:00Z."""

COIN = Instrument("BTC", "BTC", maintenance_margin=0.01)
STEPPED = Instrument("BTC", "BTC", tick=0.5, lot=0.01, min_notional=10.0)
FREE = CostModel(taker=0.0, maker=0.0, slippage=0.0)
ACCOUNT, NAME = "paper/a", "DEP_A"

QUIET = (50.0, 50.0)
WISHES = {
    "": QUIET,
    "long": (95.0, 50.0),
    "short": (5.0, 50.0),
    "exit_long": (50.0, 95.0),
    "exit_short": (50.0, 5.0),
}

NAKED = PolicyParams(size=0.5)
GUARDED = PolicyParams(size=0.5, stop_atr=1.0, target_atr=1.0, atr_window=2)
"""With an entry at 100 the stop is 98 and the target 101.5."""

P = TypeVar("P", bound=Payload)


def wishful(policy: PolicyParams = NAKED) -> Strategy:
    """A strategy that does what the bar says."""
    m = Market()
    rules = Rules(m.volume > 90, m.volume < 10, m.sentiment > 90, m.sentiment < 10)
    return Strategy(rules, policy)


class Recorded(MemoryLog):
    """Keeps what it numbers, and fails when a test wants it to."""

    def __init__(self, clock: FeedClock) -> None:
        super().__init__(clock)
        self.events: list[Event] = []
        self.rows: list[Row] = []
        self.batches: list[int] = []
        self.failure: Exception | None = None

    def commit(self, events: list[Event], rows: list[Row]) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        super().commit(events, rows)
        self.events += events
        self.rows += rows
        self.batches.append(len(events))


class Script:
    """An exchange that takes every request and says nothing but what a test lets it say."""

    name = "script"

    def __init__(self, *, accepts: bool = True) -> None:
        self.accepts = accepts
        self.submitted: list[OrderRequest] = []
        self.canceled: list[str] = []
        self.modified: list[OrderRequest] = []
        self.queried: list[str] = []
        self.market: list[Event] = []
        self._sink: Sink | None = None
        self._numbers = 0

    def connect(self, sink: Sink) -> None:
        self._sink = sink

    def tell(self, data: Payload, ts_ms: int = 0) -> None:
        assert self._sink is not None
        self._sink(Event(data, ts_ms))

    def on_market(self, event: Event) -> None:
        self.market.append(event)

    def settle(self) -> bool:
        return False

    def submit(self, order: OrderRequest) -> None:
        self.submitted.append(order)
        if self.accepts:
            self._numbers += 1
            self.tell(OrderAccepted(order.client_id, f"v{self._numbers}"))

    def cancel(self, account: str, symbol: str, client_id: str) -> None:
        self.canceled.append(client_id)
        if self.accepts:
            self.tell(OrderCanceled(client_id, "requested"))

    def modify(self, order: OrderRequest) -> None:
        self.modified.append(order)
        if self.accepts:
            self._numbers += 1
            changed = OrderModified(order.client_id, f"v{self._numbers}", order.price, order.size)
            self.tell(changed)

    def query(self, account: str, symbol: str, client_id: str) -> None:
        self.queried.append(client_id)

    def account_state(self, account: str, since_ms: int) -> AccountState:
        raise NotImplementedError

    def close(self) -> None:
        self._sink = None


class Rig:
    """One or more deployments, a loop over a log in memory, and an exchange.

    Without an exchange it is the paper exchange, free of costs.
    """

    def __init__(
        self,
        policy: PolicyParams = NAKED,
        *,
        options: DeploymentOptions | None = None,
        limits: HardLimits | None = None,
        risk: GeneticRiskManager | None = None,
        instrument: Instrument = COIN,
        exchange: Any = None,
        costs: CostModel = FREE,
        capital: float = 10_000.0,
        orders: OrderSettings | None = None,
        recorders: Iterable[Any] = (),
        deploy: bool = True,
        log: Callable[[FeedClock], Any] = Recorded,
    ) -> None:
        self.instrument, self.capital, self.options = instrument, capital, options
        self.clock = FeedClock(START)
        self.bus = EventBus(self.clock)
        self.log = log(self.clock)
        self.exchange = exchange or PaperGateway({instrument.symbol: instrument}, costs, 3.0)
        self.exchange.connect(self.bus.publish)
        self.timers = TimerWheel()
        self.core = TradingCore(
            "run",
            risk or observing(limits),
            orders=orders or OrderSettings(ack_ms=0),
            recorders=tuple(recorders),
        )
        outlet = Outlet(self.exchange, self.timers)
        self.loop = TradingLoop(self.bus, self.log, self.core, outlet)
        self.driver = LockStep(self.clock, self.exchange, self.bus, self.loop, self.timers)
        self.bars = 0
        if deploy:
            self.deploy(policy)

    # ---- what comes in ---------------------------------------------------------------------

    def deploy(
        self, policy: PolicyParams = NAKED, name: str = NAME, account: str = ACCOUNT
    ) -> None:
        added = deployment_added(
            name,
            wishful(policy),
            account,
            self.instrument,
            capital=self.capital,
            interval_ms=HOUR,
            anchor_ms=START,
            options=self.options,
        )
        self.say(added, aggregate=name)

    def say(self, data: Payload, *, ts_ms: int | None = None, aggregate: str = "") -> list[Event]:
        """Publish an event and run until nothing waits; returns what it led to, itself included."""
        before = len(self.log.events)
        self.bus.publish(Event(data, self.clock.now_ms() if ts_ms is None else ts_ms, aggregate))
        self.driver.settle()
        return self.log.events[before:]

    @property
    def open_ms(self) -> int:
        """Open time of the next bar, or of the one that is open."""
        return START + self.bars * HOUR

    def open(self, price: float, funding: float | None = None) -> list[Event]:
        """Open a bar."""
        now, symbol = self.open_ms, self.instrument.symbol
        events = [] if funding is None else [Event(FundingDue(symbol, funding), now, symbol)]
        events.append(Event(BarOpened(symbol, HOUR, now, price), now, symbol))
        self._open = price
        return self._phase(now, events)

    def range(self, high: float, low: float) -> list[Event]:
        """Show the range of the open bar."""
        now, symbol = self.open_ms, self.instrument.symbol
        self._high, self._low = high, low
        return self._phase(now + HOUR, [Event(BarRange(symbol, now, high, low), now + HOUR)])

    def close(self, price: float, wish: str = "") -> list[Event]:
        """Close the open bar."""
        now, symbol = self.open_ms, self.instrument.symbol
        volume, sentiment = WISHES[wish]
        bar = BarClosed(
            symbol, HOUR, now, self._open, self._high, self._low, price, volume, 0.0, sentiment
        )
        ready = CandlesReady(HOUR, now, (symbol,))
        self.bars += 1
        return self._phase(now + HOUR, [Event(bar, now + HOUR, symbol), Event(ready, now + HOUR)])

    def bar(
        self,
        open_: float = 100.0,
        close: float | None = None,
        wish: str = "",
        *,
        high: float | None = None,
        low: float | None = None,
        funding: float | None = None,
    ) -> list[Event]:
        """A whole bar; by default it barely moves."""
        end = open_ if close is None else close
        top, bottom = max(open_, end), min(open_, end)
        events = self.open(open_, funding)
        events += self.range(high or top + 0.25, low or bottom - 0.25)
        return events + self.close(end, wish)

    def warm(self, bars: int = 4) -> None:
        """Bars until every range is known."""
        for _ in range(bars):
            self.bar()

    def quote(
        self, last: float, low: float | None = None, high: float | None = None
    ) -> list[Event]:
        """A quote inside the bar that is open."""
        self._quotes = getattr(self, "_quotes", 0) + 1
        now, symbol = max(self.clock.now_ms(), self.open_ms) + 1, self.instrument.symbol
        data = Quote(symbol, last, min(low or last, last), max(high or last, last))
        return self._phase(now, [Event(data, now, symbol)])

    def end(self, close: float) -> list[Event]:
        """The symbol has no further bar."""
        now, symbol = self.open_ms, self.instrument.symbol
        return self._phase(now, [Event(SymbolEnded(symbol, close), now, symbol)])

    def phase(self, *events: Event) -> list[Event]:
        """Any phase, at the instant of its first event."""
        return self._phase(events[0].ts_ms, list(events))

    def _phase(self, ts_ms: int, events: list[Event]) -> list[Event]:
        before = len(self.log.events)
        self.driver.take(Phase(ts_ms, tuple(events)))
        return self.log.events[before:]

    # ---- answers of a scripted exchange ------------------------------------------------------

    def fill(
        self,
        order: OrderRequest,
        price: float = 100.0,
        size: str | Decimal | None = None,
        *,
        fill_id: str = "",
        client_id: str | None = None,
        side: Side | None = None,
        cause: str = "order",
        maker: bool = False,
    ) -> list[Event]:
        """Let the exchange say that an order was filled."""
        self._fills = getattr(self, "_fills", 0) + 1
        exact = Decimal(repr(float(price)))
        fill = VenueFill(
            fill_id=fill_id or f"f{self._fills}",
            client_id=order.client_id if client_id is None else client_id,
            venue_id="",
            account=order.account,
            symbol=order.symbol,
            side=side or order.side,
            size=order.size if size is None else Decimal(size),
            price=exact,
            fee=Decimal(0),
            maker=maker,
            ts_ms=self.clock.now_ms(),
            reference=exact,
            cause=cause,
        )
        return self.say(OrderFilled(fill), aggregate=order.order_id)

    def reject(self, order: OrderRequest, reason: str = "no", what: str = "submit") -> list[Event]:
        """Let the exchange refuse a request."""
        return self.say(OrderRejected(order.client_id, what, reason))

    def cancel(self, order: OrderRequest, reason: str = "venue") -> list[Event]:
        """Let the exchange end an order."""
        return self.say(OrderCanceled(order.client_id, reason))

    # ---- what can be asked -------------------------------------------------------------------

    @property
    def deployment(self) -> Any:
        """The one that every rig has."""
        return self.core.desk.deployments[NAME]

    @property
    def position(self) -> Decimal:
        """Position in the ledger."""
        return self.core.desk.ledger.position(ACCOUNT, self.instrument.symbol)

    def all(self, kind: type[P]) -> list[P]:
        """Payloads of a kind in the log."""
        return [e.data for e in self.log.events if isinstance(e.data, kind)]

    def orders(self, purpose: str = "") -> list[OrderSubmit]:
        """Commands to send an order."""
        return [o for o in self.all(OrderSubmit) if purpose in ("", o.purpose)]

    def table(self, name: str) -> list[tuple[Any, ...]]:
        """Rows of a table as a store would keep them: a later one with the same key replaces."""
        self.loop.flush()
        kept: dict[Any, tuple[Any, ...]] = {}
        for table, values in self.log.rows:
            if table == name:
                key = values[:2] if name in ("postings", "order_states") else values[0]
                kept[key] = values
        return list(kept.values())


def kinds(events: Iterable[Event]) -> list[EventType]:
    """Types of events, in their order."""
    return [event.type for event in events]


def of(events: Iterable[Event], kind: type[P]) -> list[P]:
    """Payloads of a kind among events."""
    return [event.data for event in events if isinstance(event.data, kind)]


def by_seq(events: Iterable[Event]) -> dict[int, Event]:
    """Events by their number."""
    return {event.seq: event for event in events}


def sized(policy: PolicyParams, size: float) -> PolicyParams:
    """The same policy with another size."""
    return replace(policy, size=size)
