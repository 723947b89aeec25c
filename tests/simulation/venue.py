"""An exchange behind an unreliable network, with a private truth that only the judge reads.

The exchange is the paper gateway: it takes orders and fills them, never in doubt about anything.
All doubt is the network's: a request may not arrive, its answer may not come back or come back as
an error, fills are told on a stream that loses, repeats and reorders frames.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal

import msgspec

from genesis.exchange.paper.gateway import PaperGateway
from genesis.trading.events import Event
from genesis.trading.gateway import (
    AccountState,
    OrderKind,
    OrderRequest,
    Side,
    Sink,
    VenueFill,
)
from genesis.trading.money import by_side
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    FundingPaid,
    OrderAccepted,
    OrderFilled,
    OrderStatus,
    OrderUnknown,
    Quote,
)
from tests.simulation.market import CAPITAL, LIMITS, Setting
from tests.simulation.network import Network

_NO_FILLS = 2**62
TOLERANCE = 1.08
"""A price may move between the judgement of an order and its arrival."""


class Venue:
    """The exchange, its truth, and the limits that it sees kept or broken."""

    def __init__(self, setting: Setting, network: Network, found: Callable[[str], None]) -> None:
        self.paper = PaperGateway(
            setting.instruments, setting.costs, 3.0, partial=setting.partial, remember=100_000
        )
        self.network = network
        self.received: dict[str, OrderRequest] = {}
        self.arrived_ms: dict[str, int] = {}
        self.fills: dict[str, list[VenueFill]] = defaultdict(list)
        self.fundings: dict[str, list[Event]] = defaultdict(list)
        self.stream: Callable[[Event], None] = lambda _: None
        self.foreign: set[str] = set()
        self.prices: dict[str, float] = {}
        self._capitals = Counter(d.account for d in setting.deployments)
        self._found = found
        self._told: list[Event] = []
        self.paper.connect(self._told.append)

    def call(self, act: Callable[[], None]) -> list[Event]:
        """Let the exchange do something now; returns what it tells."""
        self._tick()
        act()
        told = list(self._told)
        self._told.clear()
        for event in told:
            data = event.data
            if isinstance(data, OrderFilled):
                self.fills[data.fill.account].append(data.fill)
            elif isinstance(data, FundingPaid):
                self.fundings[data.account].append(event)
        return told

    def _tick(self) -> None:
        """This exchange has a clock, not only the times of its market events."""
        desk = self.paper._desk
        desk.now_ms = max(desk.now_ms, self.network.clock.now_ms())

    def show(self, event: Event) -> None:
        """A market event, and what it leads to on the stream."""
        data = event.data
        if isinstance(data, BarOpened):
            self.prices[data.symbol] = data.open
        elif isinstance(data, BarClosed):
            self.prices[data.symbol] = data.close
        elif isinstance(data, Quote):
            self.prices[data.symbol] = data.last
        for told in self.call(lambda: self.paper.on_market(event)):
            self.stream(told)

    def submit(self, order: OrderRequest) -> list[Event]:
        """An order arrives."""
        known = self.received.setdefault(order.client_id, order)
        self.arrived_ms.setdefault(order.client_id, self.network.clock.now_ms())
        if known.order_id != order.order_id:
            self._found(f"I1 client id {order.client_id} is that of two orders")
        fresh = known is order
        gross, side = self._exposed(order)
        told = self.call(lambda: self.paper.submit(order))
        taken = fresh and any(isinstance(event.data, OrderAccepted) for event in told)
        if taken and not order.reduce_only and order.account not in self.foreign:
            self._judge(order, gross, side)
        return told

    def _exposed(self, order: OrderRequest) -> tuple[float, float]:
        """Notional of the account, and of the symbol on the order's side, before it."""
        state = self.paper.account_state(order.account, _NO_FILLS)
        sizes = {p.symbol: float(p.size) for p in state.positions}
        buys: defaultdict[str, float] = defaultdict(float)
        sells: defaultdict[str, float] = defaultdict(float)
        for other in state.orders:
            if not other.reduce_only:
                sums = buys if other.side is Side.BUY else sells
                sums[other.symbol] += float(other.size - other.filled)
        gross = 0.0
        for symbol in sizes.keys() | buys.keys() | sells.keys():
            working = max(buys[symbol], sells[symbol])
            gross += (abs(sizes.get(symbol, 0.0)) + working) * self.prices[symbol]
        size, own = sizes.get(order.symbol, 0.0), order.symbol
        side = size + buys[own] if order.side is Side.BUY else sells[own] - size
        return gross, side * self.prices[own]

    def _judge(self, order: OrderRequest, gross: float, side: float) -> None:
        value = float(order.size) * self.prices[order.symbol]
        capital = CAPITAL * self._capitals[order.account]
        if gross + value > LIMITS.max_gross * capital * TOLERANCE:
            self._found(f"I4 gross {gross + value:.0f} of {order.account} with {order.order_id}")
        if side + value > LIMITS.max_position * CAPITAL * TOLERANCE:
            self._found(f"I4 position {side + value:.0f} in {order.symbol} with {order.order_id}")

    def trade_by_hand(self, account: str, symbol: str, side: Side) -> None:
        """A person trades on the exchange's own page."""
        self.foreign.add(account)
        name = f"hand{len(self.received)}"
        order = OrderRequest(name, name, account, symbol, side, OrderKind.MARKET, Decimal("1.5"))
        for event in self.call(lambda: self.paper.submit(order)):
            self.stream(event)
        self.received[name] = order

    def state(self, account: str, since_ms: int) -> AccountState:
        """The account, with the fills as they were told."""
        self._tick()
        state = self.paper.account_state(account, _NO_FILLS)
        fills = [fill for fill in self.fills[account] if fill.ts_ms >= since_ms]
        fills.sort(key=lambda fill: fill.ts_ms)
        return msgspec.structs.replace(state, fills=tuple(fills))

    def position(self, account: str, symbol: str) -> Decimal:
        """Position that the fills add up to."""
        sizes = (by_side(f.side, f.size) for f in self.fills[account] if f.symbol == symbol)
        return sum(sizes, Decimal(0))


class FaultyGateway:
    """One connection of one process to the exchange; it dies with its process."""

    def __init__(self, venue: Venue, rng: random.Random, submits: Counter[str]) -> None:
        self.alive = True
        self._venue = venue
        self._network = venue.network
        self._rng = rng
        self._submits = submits
        self._sink: Sink | None = None
        # This connection gives up after so long; without, the order manager's own time counts.
        self._patience_ms = rng.choice([0, 0, 1_500, 5_000])
        self._errors = rng.choice([0.0, 0.03, 0.08])
        venue.stream = self._told

    @property
    def name(self) -> str:
        return "simulated"

    def connect(self, sink: Sink) -> None:
        self._sink = sink

    def close(self) -> None:
        self.alive = False

    def submit(self, order: OrderRequest) -> None:
        self._submits[order.client_id] += 1
        self._ask("submit", order.client_id, lambda: self._venue.submit(order))

    def cancel(self, account: str, symbol: str, client_id: str) -> None:
        paper = self._venue.paper
        self._ask(
            "cancel", client_id, self._calling(lambda: paper.cancel(account, symbol, client_id))
        )

    def modify(self, order: OrderRequest) -> None:
        paper = self._venue.paper
        self._ask("modify", order.client_id, self._calling(lambda: paper.modify(order)))

    def query(self, account: str, symbol: str, client_id: str) -> None:
        paper, clock = self._venue.paper, self._network.clock
        asked = self._calling(lambda: paper.query(account, symbol, client_id))

        def answer() -> list[Event]:
            told = asked()
            if not self._network.healed and self._rng.random() < 0.05:
                # A replica that lags: it has not heard of what is young, and says how old it is.
                self._network.counts["stale"] += 1
                back = clock.now_ms() - 3_000
                status = told[0].data
                assert isinstance(status, OrderStatus)
                if self._venue.arrived_ms.get(client_id, back) > back and not status.filled:
                    return [Event(OrderStatus(client_id, "absent", venue_ms=back), back)]
            return told

        self._ask("query", client_id, answer)

    def account_state(self, account: str, since_ms: int) -> AccountState:
        return self._venue.state(account, since_ms)

    def ask_state(self, account: str, since_ms: int, tell: Callable[[AccountState], None]) -> None:
        """Read an account over the network: what is told may be old when it comes."""

        def read() -> None:
            state = self._venue.state(account, since_ms)
            self._network.carry("down", lambda: tell(state) if self.alive else None)

        self._network.carry("up", read)

    def deliver(self, event: Event) -> None:
        """Hand an answer over, if anybody still listens."""
        if self.alive and self._sink is not None:
            self._sink(Event(event.data, event.ts_ms, event.aggregate))

    def _calling(self, act: Callable[[], None]) -> Callable[[], list[Event]]:
        return lambda: self._venue.call(act)

    def _ask(self, what: str, client_id: str, act: Callable[[], list[Event]]) -> None:
        answered: list[Event] = []

        def give_up() -> None:
            if not answered:
                unknown = OrderUnknown(client_id, what, "timeout")
                self.deliver(Event(unknown, self._network.clock.now_ms(), client_id))

        def arrive() -> None:
            told = act()
            mine = next((e for e in told if getattr(e.data, "client_id", "") == client_id), None)
            for event in told:
                if event is not mine:
                    self._venue.stream(event)
            if mine is not None:
                self._reply(what, client_id, mine, answered)

        if self._patience_ms and what != "query":
            self._network.after(self._patience_ms, give_up)
        self._network.carry("up", arrive)

    def _reply(self, what: str, client_id: str, event: Event, answered: list[Event]) -> None:
        if what != "query" and not self._network.healed and self._rng.random() < self._errors:
            self._network.counts["error"] += 1
            event = Event(OrderUnknown(client_id, what, "502 bad gateway"), event.ts_ms, client_id)

        def come() -> None:
            answered.append(event)
            self.deliver(event)

        self._network.carry("down", come)

    def _told(self, event: Event) -> None:
        """A frame of the stream. Funding is told again with every state of the account."""
        self._network.carry("stream", lambda: self.deliver(event))
