"""Orders under any sequence of requests, replies, repetitions and silence."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.canonical import content_hash
from genesis.trading.order_manager import Change, OrderManager, OrderSettings
from genesis.trading.orders import MOVES, TERMINAL, Order, OrderState
from genesis.trading.payloads import OrderSubmit, TimerSet
from tests.unit.trading.order_samples import ACCOUNT, SYMBOL, Talk, event, request, submit_of

LEGS = st.sampled_from(["", "v1", "v2", "v3"])
WORDS = st.sampled_from(
    ["open", "filled", "canceled", "tickRejected", "unknownOid", "waitingForTrigger", "strange"]
)
SIZES = st.sampled_from(["1", "2.5", "4", "10"])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["submit", "cancel", "resume", "timer"])),
    st.tuples(st.just("accept"), LEGS),
    st.tuples(st.just("reject"), st.sampled_from(["submit", "cancel", "modify"])),
    st.tuples(st.just("fill"), st.integers(1, 8), SIZES, LEGS),
    st.tuples(st.just("canceled"), LEGS),
    st.tuples(st.just("modify"), st.sampled_from(["98", "99"]), SIZES),
    st.tuples(st.just("modified"), LEGS, st.sampled_from(["98", "99"]), SIZES),
    st.tuples(st.just("unknown"), st.sampled_from(["submit", "cancel", "modify"])),
    st.tuples(st.just("status"), WORDS, LEGS, st.sampled_from(["0", "4", "10"])),
)


def reachable(state: OrderState) -> set[OrderState]:
    """States within two moves: an answer may be followed by a request at once."""
    once = set(MOVES[state].values()) | {state}
    return once | {after for middle in once for after in MOVES[middle].values()}


class Course:
    """Plays steps and keeps its own account of what was filled."""

    def __init__(self) -> None:
        self.talk = Talk(OrderManager(OrderSettings(ack_ms=3)), request(expires_ms=40))
        self.now = 0
        self.fills: dict[int, Decimal] = {}
        self.timers: list[TimerSet] = []

    @property
    def order(self) -> Order | None:
        return self.talk.manager.get(self.talk.order.order_id)

    def play(self, step: tuple[object, ...]) -> list[Change]:
        self.now += 1
        name, arguments = step[0], step[1:]
        changes = self._play(str(name), arguments)
        for change in changes:
            self.timers += [p for p in change.emit if isinstance(p, TimerSet)]
        return changes

    def _play(self, name: str, arguments: tuple[object, ...]) -> list[Change]:
        manager, order_id = self.talk.manager, self.talk.order.order_id
        at = event(submit_of(self.talk.order), self.now)
        if name == "cancel":
            return [manager.request_cancel(order_id, "asked", at)]
        if name == "modify":
            price, size = (Decimal(str(word)) for word in arguments)
            return [manager.request_modify(order_id, price, size, "trail", at)]
        if name == "resume":
            return manager.on_resumed(at)
        if name == "timer":
            if not self.timers:
                return []
            timer = self.timers.pop(0)
            self.now = max(self.now, timer.due_ms)
            return [self.talk.timer(timer.timer, self.now)]
        if name == "fill":
            number, size, leg = arguments
            known = self.order is not None
            assert isinstance(number, int)
            change = self.talk.fill(number, str(size), venue_id=str(leg), ts_ms=number)
            if known and number not in self.fills:
                self.fills[number] = Decimal(str(size))
                assert change.fill is not None
            else:
                assert change.fill is None or not known
            return [change]
        if name == "status":
            word, leg, filled = (str(word) for word in arguments)
            when = self.now * 10
            return [self.talk.status(word, venue_id=leg, filled=filled, venue_ms=when)]
        return [getattr(self.talk, name)(*arguments)]


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_sequence_leaves_the_table(steps: list[tuple[object, ...]]) -> None:
    course = Course()
    course.play(("submit",))
    sent = 1
    for step in steps:
        order = course.order
        assert order is not None
        before, filled = order.state, order.filled
        changes = course.play(step)
        sent += any(change.send for change in changes)
        assert sent == 1
        assert order.state in reachable(before)
        assert order.filled >= filled
        if before in TERMINAL and order.state is not before:
            assert step[0] == "fill"
        assert order.filled == sum(course.fills.values(), Decimal(0))
        if order.state is OrderState.FILLED:
            assert order.filled >= order.size
        _check_exposure(course.talk.manager, order)


def _check_exposure(manager: OrderManager, order: Order) -> None:
    """Open, pending and UNKNOWN count in full, whatever is over counts nothing."""
    exposure = manager.exposure(ACCOUNT, SYMBOL)
    if order.state in TERMINAL:
        assert exposure.buy == 0
        return
    sizes = [size for size in (order.size, order.asked_size) if size is not None]
    assert exposure.buy == max(max(sizes) - order.filled, Decimal(0))
    assert manager.blocked(ACCOUNT, SYMBOL) is (order.state is OrderState.UNKNOWN)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=25), st.lists(STEPS, max_size=15))
def test_a_restored_manager_goes_on_alike(
    first: list[tuple[object, ...]], then: list[tuple[object, ...]]
) -> None:
    course, twin = Course(), Course()
    for step in [("submit",), *first]:
        course.play(step)
    twin.talk.manager.restore(course.talk.manager.plain())
    twin.now, twin.timers, twin.fills = course.now, list(course.timers), dict(course.fills)
    for step in then:
        emitted = [change.emit for change in course.play(step)]
        assert [change.emit for change in twin.play(step)] == emitted
    assert content_hash(twin.talk.manager.plain()) == content_hash(course.talk.manager.plain())


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_healed_every_order_ends(steps: list[tuple[object, ...]]) -> None:
    """After any course an exchange that answers truthfully brings the order to an end."""
    course = Course()
    course.play(("submit",))
    for step in steps:
        course.play(step)
    order = course.order
    assert order is not None
    at = event(submit_of(course.talk.order), course.now)
    total = str(order.filled)
    for _ in range(3):
        data: OrderSubmit = submit_of(course.talk.order)
        assert not course.talk.manager.submit(data, at).send
        course.talk.status("canceled", venue_id="", filled=total)
    assert order.state in TERMINAL
