"""What a loop counts of what passes through it, and that nothing passes a fault."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.trading.events import Event, Payload
from genesis.trading.flow import Flow, answered_order, waiting_of
from genesis.trading.gateway import OrderKind, OrderRequest, Side, VenueFill
from genesis.trading.loop import HaltedOnEvent
from genesis.trading.payloads import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
)
from tests.unit.trading.core_rig import Rig
from tests.unit.trading.event_samples import normal, quote


def submit(client_id: str) -> OrderSubmit:
    order = OrderRequest(
        f"ORD_{client_id}", client_id, "a", "BTC", Side.BUY, OrderKind.MARKET, Decimal(1)
    )
    return OrderSubmit("DEP", "TPL", "entry", order)


def filled(client_id: str) -> OrderFilled:
    return OrderFilled(
        VenueFill("f", client_id, "v", "a", "BTC", Side.BUY, Decimal(1), Decimal(1), Decimal(0),
                  False, 0, Decimal(1))
    )  # fmt: skip


ANSWERS: list[tuple[Payload, str]] = [
    (OrderAccepted("b", "v"), "b"),
    (OrderRejected("b", "submit", "no"), "b"),
    (OrderRejected("b", "cancel", "no"), ""),
    (OrderRejected("b", "modify", "no"), ""),
    (OrderCanceled("b", "x"), "b"),
    (OrderUnknown("b", "submit", "lost"), "b"),
    (OrderStatus("b", "open"), "b"),
    (filled("b"), "b"),
    (OrderModified("b", "v", None, Decimal(1)), ""),
]


@pytest.mark.parametrize(("reply", "client"), ANSWERS)
def test_a_reply_answers_its_own_order_and_no_other(reply: Payload, client: str) -> None:
    assert answered_order(reply) == client
    flow = Flow()
    for name in "abc":
        flow.left(submit(name))
    assert flow.unanswered() == [1, 2, 3]
    assert flow.unanswered(waiting_of([Event(reply, 0)]).answered) == (
        [1, 3] if client else [1, 2, 3]
    )
    flow.done(Event(reply, 0), [])
    assert flow.unanswered() == ([1, 3] if client else [1, 2, 3])


def test_a_fill_is_booked_when_its_rows_are_stored_and_a_repetition_at_once() -> None:
    flow = Flow()
    flow.done(Event(filled("a"), 0), [("fills", ())])
    assert (flow.counts[OrderFilled], flow.booked) == (1, 0)
    flow.stored([])
    assert flow.booked == 1
    flow.done(Event(filled("a"), 0), [])
    assert (flow.counts[OrderFilled], flow.booked) == (2, 2)


def test_what_is_left_of_a_batch_shrinks_as_it_is_handled() -> None:
    flow = Flow()
    batch = [normal(n) for n in range(4)]
    flow.took(batch[:1])
    flow.done(batch[0], [])
    flow.took(batch[1:])
    assert list(flow.in_work()) == batch[1:]
    flow.done(batch[1], [])
    assert list(flow.in_work()) == batch[2:]
    assert (flow.drained, flow.handled) == (4, 2)


def test_nothing_passes_an_event_that_a_handler_failed_on() -> None:
    rig = Rig()
    handle = rig.core.handle
    asked: list[Event] = []

    def failing(event: Event) -> None:
        asked.append(event)
        if event.data.type == "bar_closed":
            raise KeyError("x")
        handle(event)

    rig.core.handle = failing  # type: ignore[method-assign]
    before = rig.loop.handled
    for event in (quote("BTC", 1.0), normal(1), quote("BTC", 2.0)):
        rig.bus.publish(event)
    with pytest.raises(HaltedOnEvent) as first:
        rig.loop.run_until_idle()
    rig.bus.publish(quote("BTC", 3.0))
    for _ in range(3):
        with pytest.raises(HaltedOnEvent) as again:
            rig.loop.run_until_idle()
        assert str(again.value) == str(first.value)
    assert len(asked) == 2
    assert rig.loop.handled == before + 1
    assert len(rig.bus.peek()) == 1
