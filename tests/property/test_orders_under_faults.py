"""Orders against a truthful exchange behind a channel that loses, repeats, delays and reorders.

The exchange keeps its own books. While faults last, whatever is open there must be counted here;
once they end, every order must come to agree with the exchange, nothing sent twice, nothing lost.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count

import msgspec
import pytest

from genesis.trading.desk import Desk
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import (
    AccountState,
    OpenOrder,
    OrderKind,
    OrderRequest,
    Side,
    VenueFill,
    VenuePosition,
)
from genesis.trading.money import by_side
from genesis.trading.order_manager import Change, OrderManager, OrderSettings
from genesis.trading.orders import TERMINAL, OrderState
from genesis.trading.payloads import (
    AccountSnapshot,
    OrderAccepted,
    OrderCancel,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderModify,
    OrderQuery,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    RunResumed,
    TimerFired,
    TimerSet,
)
from genesis.trading.reconcile import Reconciler
from tests.unit.trading.clearing import cleared
from tests.unit.trading.order_samples import ACCOUNT, SYMBOL

SEEDS = int(os.environ.get("GENESIS_ORDER_SEEDS", "150"))
TTL = 8_000
OPEN = (OrderState.RESTING, OrderState.PARTIAL, OrderState.TRIGGER_WAIT)


class Resting(msgspec.Struct):
    """An order at the exchange."""

    request: OrderRequest
    size: Decimal
    price: Decimal | None
    filled: Decimal = Decimal(0)
    state: str = "open"
    leg: int = 1

    @property
    def venue_id(self) -> str:
        return f"{self.request.order_id}.{self.leg}"


class Exchange:
    """Does what it is asked, once, and tells the truth."""

    def __init__(self) -> None:
        self.orders: dict[str, Resting] = {}
        self.fills: list[VenueFill] = []
        self.numbers = count(1)

    def take(self, data: Payload, now: int) -> list[Payload]:
        if isinstance(data, OrderSubmit):
            return self.submit(data.order, now)
        if isinstance(data, OrderModify):
            return self.modify(data.order, now)
        if isinstance(data, OrderCancel):
            return self.cancel(data.client_id)
        assert isinstance(data, OrderQuery)
        return [self.status(data.client_id, now)]

    def submit(self, order: OrderRequest, now: int) -> list[Payload]:
        assert order.client_id not in self.orders, "an order was sent twice"
        there = Resting(order, order.size, order.price)
        self.orders[order.client_id] = there
        if now > order.expires_ms:
            there.state = "expiredRejected"
            return [OrderRejected(order.client_id, "submit", "expired")]
        return [OrderAccepted(order.client_id, there.venue_id)]

    def cancel(self, client_id: str) -> list[Payload]:
        there = self.orders.get(client_id)
        if there is None or there.state != "open":
            return [OrderRejected(client_id, "cancel", "never placed, canceled or filled")]
        there.state = "canceled"
        return [OrderCanceled(client_id, "asked", there.venue_id)]

    def modify(self, order: OrderRequest, now: int) -> list[Payload]:
        there = self.orders.get(order.client_id)
        over = there is None or there.state != "open" or now > order.expires_ms
        if there is None or over or order.size <= there.filled:
            return [OrderRejected(order.client_id, "modify", "cannot modify")]
        old = there.venue_id
        there.leg += 1
        there.size, there.price = order.size, order.price
        changed = OrderModified(order.client_id, there.venue_id, order.price, order.size)
        return [OrderCanceled(order.client_id, "replaced", old), changed]

    def status(self, client_id: str, now: int) -> Payload:
        there = self.orders.get(client_id)
        if there is None:
            return OrderStatus(client_id, "unknownOid", venue_ms=now)
        return OrderStatus(
            client_id, there.state, there.venue_id, there.filled, now, there.size, there.price
        )

    def trade(self, rng: random.Random, now: int) -> list[Payload]:
        working = [there for there in self.orders.values() if there.state == "open"]
        if not working:
            return []
        there = rng.choice(working)
        left = there.size - there.filled
        size = left if rng.random() < 0.4 else min(left, Decimal(rng.randint(1, 4)))
        there.filled += size
        if there.filled == there.size:
            there.state = "filled"
        order = there.request
        fill = VenueFill(
            f"t{next(self.numbers)}",
            order.client_id,
            there.venue_id,
            ACCOUNT,
            SYMBOL,
            order.side,
            size,
            Decimal(rng.randint(90, 110)),
            Decimal("0.01"),
            False,
            now,
            Decimal(100),
        )
        self.fills.append(fill)
        return [OrderFilled(fill)]

    def account(self, now: int) -> AccountState:
        size = sum((by_side(f.side, f.size) for f in self.fills), Decimal(0))
        positions = (VenuePosition(ACCOUNT, SYMBOL, size, Decimal(100)),) if size else ()
        orders = tuple(
            OpenOrder(
                there.request.client_id,
                there.venue_id,
                ACCOUNT,
                SYMBOL,
                there.request.side,
                there.request.kind,
                there.size,
                there.filled,
                there.price,
                False,
            )
            for there in self.orders.values()
            if there.state == "open"
        )
        return AccountState(ACCOUNT, positions, orders, tuple(self.fills), now)


class World:
    """An order manager, an exchange, and what is between them; all from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.desk, self.exchange = Desk("run"), Exchange()
        self.desk.orders = OrderManager(
            OrderSettings(ack_ms=3_000, margin_ms=1_000, retained=10**6)
        )
        self.now, self.faults = 1_000, True
        self.ties = count()
        self.queue: list[tuple[int, float, int, Callable[[], None]]] = []
        self.seen: list[str] = []
        self.process = 1

    # ---- the channel -------------------------------------------------------------------------

    def later(self, delay: int, what: Callable[[], None], *, certain: bool = False) -> None:
        """Let something arrive: lost, twice, late and out of order while faults last."""
        times = 1
        if self.faults and not certain:
            times = self.rng.choices((0, 1, 2), (0.15, 0.75, 0.10))[0]
            delay = self.rng.choice((0, delay, 40 * delay))
        for _ in range(times):
            entry = (self.now + delay, self.rng.random(), next(self.ties), what)
            heappush(self.queue, entry)

    def advance(self, ms: int) -> None:
        until = self.now + ms
        while self.queue and self.queue[0][0] <= until:
            due, _, _, what = heappop(self.queue)
            self.now = max(self.now, due)
            what()
        self.now = until

    def tell(self, data: Payload) -> None:
        """Let the order manager hear of a reply."""
        self.desk.begin(Event(data, self.now, seq=self.now, recorded_ms=self.now))
        orders, at = self.desk.orders, self.desk.event
        if isinstance(data, OrderFilled):
            self.fill(data, at)
            return
        for kind, handle in (
            (OrderAccepted, orders.on_accepted),
            (OrderRejected, orders.on_rejected),
            (OrderCanceled, orders.on_canceled),
            (OrderModified, orders.on_modified),
            (OrderStatus, orders.on_status),
            (OrderUnknown, orders.on_unknown),
        ):
            if isinstance(data, kind):
                self.follow(handle(data, at))

    def fill(self, data: OrderFilled, at: Event) -> None:
        change = self.desk.orders.on_fill(data, at)
        if change.fill is not None:
            self.desk.ledger.book(change.order, change.fill, at, self.desk.ids, self.desk.rows)
        self.follow(change)

    def follow(self, change: Change) -> None:
        for payload in change.emit:
            if isinstance(payload, TimerSet):
                wait = max(payload.due_ms - self.now, 0)
                timer, process = payload.timer, self.process
                self.later(wait, lambda t=timer, p=process: self.timer(t, p), certain=True)
            elif isinstance(payload, OrderCancel | OrderModify | OrderQuery):
                self.send(payload)

    def timer(self, name: str, process: int) -> None:
        if process != self.process:
            return  # timers end with their process
        at = Event(TimerFired(name), self.now, seq=self.now, recorded_ms=self.now)
        for change in self.desk.orders.on_timer(name, at):
            self.follow(change)

    def send(self, data: Payload) -> None:
        """Carry a request to the exchange. A transport does not repeat orders, it loses them."""

        def arrive() -> None:
            for reply in self.exchange.take(data, self.now):
                self.later(self.rng.randint(1, 50), lambda told=reply: self.tell(told))

        if self.faults and self.rng.random() < 0.15:
            if self.rng.random() < 0.5 and isinstance(data, OrderSubmit):
                lost = OrderUnknown(data.order.client_id, "submit", "timeout")
                self.later(100, lambda: self.tell(lost))
            return
        delay = self.rng.choice((1, 20, 2_000)) if self.faults else 1
        self.later(delay, arrive, certain=True)

    # ---- what happens ------------------------------------------------------------------------

    def step(self) -> None:
        orders, rng = self.desk.orders, self.rng
        at = Event(RunResumed(""), self.now, seq=self.now, recorded_ms=self.now)
        act = rng.random()
        mine = orders.open_orders(ACCOUNT, SYMBOL)
        if act < 0.2 and not orders.blocked(ACCOUNT, SYMBOL):
            self.submit(at)
        elif act < 0.3 and mine:
            self.follow(orders.request_cancel(rng.choice(mine).order_id, "asked", at))
        elif act < 0.4 and mine:
            one = rng.choice(mine)
            size = one.filled + rng.randint(1, 12)
            price = Decimal(rng.randint(90, 110))
            self.follow(orders.request_modify(one.order_id, price, size, "moved", at))
        elif act < 0.6:
            for told in self.exchange.trade(rng, self.now):
                self.later(rng.randint(1, 50), lambda fill=told: self.tell(fill))
        elif act < 0.63:
            self.crash(at)
        self.advance(rng.choice((1, 50, 500, 3_000)))
        self.check()

    def submit(self, at: Event) -> None:
        number = len(self.seen) + 1
        order = OrderRequest(
            f"ORD_{number:08x}",
            f"0x{number:032x}",
            ACCOUNT,
            SYMBOL,
            self.rng.choice(list(Side)),
            OrderKind.LIMIT,
            Decimal(self.rng.randint(1, 12)),
            Decimal(100),
            expires_ms=self.now + TTL,
        )
        self.seen.append(order.client_id)
        data = OrderSubmit("DEP_1", "TPL_1", "entry", order)
        self.desk.orders.intend(data, at, cleared(order))
        change = self.desk.orders.submit(data, at)
        assert change.send
        self.follow(change)
        self.send(data)

    def crash(self, at: Event) -> None:
        """A new process with the state that the log leads to; timers are gone."""
        fresh = OrderManager(self.desk.orders.settings)
        fresh.restore(self.desk.orders.plain())
        self.desk.orders = fresh
        self.process += 1
        for change in fresh.on_resumed(at):
            self.follow(change)

    def check(self) -> None:
        """Whatever is open at the exchange counts here, in full."""
        for client_id, there in self.exchange.orders.items():
            here = self.desk.orders.by_client(client_id)
            assert here is not None
            assert here.filled <= there.filled
            if there.state == "open":
                assert here.live, f"{client_id} is {here.state} here and open there"
                assert here.full_size >= there.size, f"{client_id} counts too little"

    def heal(self) -> None:
        """No more faults: let everything arrive, compare accounts, let that settle too."""
        self.faults = False
        self.advance(40 * TTL)
        for _ in range(3):
            data = AccountSnapshot(self.exchange.account(self.now))
            self.desk.begin(Event(data, self.now, seq=self.now, recorded_ms=self.now))
            done = Reconciler().on_snapshot(data, self.desk.event, self.desk)
            for change in done.changes:
                self.follow(change)
            for payload in done.emit:
                if isinstance(payload, OrderFilled):
                    self.tell(payload)
            self.advance(40 * TTL)

    def verify(self) -> None:
        size = sum((by_side(f.side, f.size) for f in self.exchange.fills), Decimal(0))
        assert self.desk.ledger.position(ACCOUNT, SYMBOL) == size
        for client_id in self.seen:
            here = self.desk.orders.by_client(client_id)
            there = self.exchange.orders.get(client_id)
            assert here is not None
            if there is None:
                assert (here.state, here.filled) == (OrderState.EXPIRED, 0)
                continue
            assert here.filled == there.filled
            if there.state == "open":
                assert here.state in OPEN
                assert (here.size, here.price) == (there.size, there.price)
            elif there.state == "expiredRejected":
                assert here.state in (OrderState.REJECTED, OrderState.EXPIRED)
            else:
                assert here.state in TERMINAL
                assert here.state.value == there.state


def simulate(seed: int, steps: int = 120) -> World:
    world = World(seed)
    for _ in range(steps):
        world.step()
    world.heal()
    world.verify()
    return world


@pytest.mark.parametrize("block", range(5))
def test_everything_agrees_once_the_faults_end(block: int) -> None:
    sent = filled = 0
    for seed in range(block * SEEDS // 5, (block + 1) * SEEDS // 5):
        try:
            world = simulate(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        sent += len(world.seen)
        filled += len(world.exchange.fills)
    assert sent > SEEDS // 2
    assert filled > SEEDS // 5


def test_the_same_seed_gives_the_same_course() -> None:
    one, two = simulate(7), simulate(7)
    assert one.desk.orders.plain() == two.desk.orders.plain()
    assert one.exchange.fills == two.exchange.fills
