"""What passes through a loop: counted by its thread, read by the one that watches it.

The loop pays for it with a few integers a batch and one look-up an event. Everything else (what
waits on the bus, what a batch still holds) is looked at by the reader, about once a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from genesis.trading.events import Event, Payload
from genesis.trading.payloads import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    OrderSubmit,
    OrderUnknown,
    SignalGenerated,
    TradeIntent,
)
from genesis.trading.tables import Row

_FOLLOWED: dict[type[Payload], bool] = {
    SignalGenerated: False,
    TradeIntent: False,
    OrderFilled: True,
    OrderAccepted: True,
    OrderRejected: True,
    OrderCanceled: True,
    OrderStatus: True,
    OrderUnknown: True,
}
"""Types that are counted when they are handled, and whether one answers an order."""


class Flow:
    """Counters of a loop. Written by the thread of the loop, read by any.

    Attributes
    ----------
    drained, committed, handled : int
        Events taken from the bus, stored, and handled to their end, since the loop began.
    seq : int
        Number of the last stored event.
    batch : sequence of Event
        What is between the bus and the end of its handling.
    begun : int
        ``handled`` when that batch began.
    counts : dict of payload class to int
        Handled events of the types that are followed.
    booked : int
        Handled fills of which every row is stored.
    sent : int
        Orders that left for the exchange.
    awaiting : dict of str to int
        Client id of each that was not answered yet, and which one it was, from 1.
    """

    __slots__ = (
        "awaiting",
        "batch",
        "begun",
        "booked",
        "committed",
        "counts",
        "drained",
        "handled",
        "sent",
        "seq",
    )

    def __init__(self) -> None:
        self.drained = self.committed = self.handled = self.begun = 0
        self.seq = self.booked = self.sent = 0
        self.batch: Sequence[Event] = ()
        self.counts: dict[type[Payload], int] = dict.fromkeys(_FOLLOWED, 0)
        self.awaiting: dict[str, int] = {}

    # ---- the thread of the loop --------------------------------------------------------------

    def took(self, batch: Sequence[Event]) -> None:
        """A batch came from the bus."""
        self.begun = self.handled
        self.batch = batch
        self.drained += len(batch)

    def stored(self, batch: Sequence[Event]) -> None:
        """The batch is committed, and the rows of everything that was handled before."""
        self.booked = self.counts[OrderFilled]
        self.committed += len(batch)
        if batch:
            self.seq = batch[-1].seq

    def done(self, event: Event, rows: Sequence[Row]) -> None:
        """An event was handled to its end and led to rows."""
        self.handled += 1
        data = event.data
        kind = type(data)
        answers = _FOLLOWED.get(kind)
        if answers is None:
            return
        self.counts[kind] += 1
        if kind is OrderFilled and not rows:
            self.booked += 1  # a repetition: there is nothing to store
        if answers and self.awaiting:
            self.awaiting.pop(answered_order(data), None)

    def left(self, order: OrderSubmit) -> None:
        """An order was handed to the exchange."""
        self.sent += 1
        self.awaiting[order.order.client_id] = self.sent

    # ---- any thread --------------------------------------------------------------------------

    def in_work(self) -> Sequence[Event]:
        """Events of the batch that are not handled yet."""
        return self.batch[max(self.handled - self.begun, 0) :]

    def unanswered(self, waiting: Collection[str] = ()) -> list[int]:
        """Numbers of the orders that have no answer, ascending.

        Parameters
        ----------
        waiting : collection of str
            Client ids whose answers are here and were not handled yet.
        """
        # `list` of a dict's items is one step of the interpreter: the loop cannot come between.
        return [number for client, number in list(self.awaiting.items()) if client not in waiting]


def answered_order(data: Payload) -> str:
    """Client id of the order that a reply is about, empty for anything else."""
    if isinstance(data, OrderFilled):
        return data.fill.client_id
    if isinstance(data, OrderRejected):
        return data.client_id if data.what == "submit" else ""
    if isinstance(data, OrderAccepted | OrderCanceled | OrderStatus | OrderUnknown):
        return data.client_id
    return ""


class Waiting(NamedTuple):
    """What waits between the producers and the end of its handling.

    Attributes
    ----------
    counts : Counter of payload class
    answered : set of str
        Client ids of orders whose answer waits.
    """

    counts: Counter[type[Payload]]
    answered: set[str]


def waiting_of(events: Sequence[Event]) -> Waiting:
    """Count events by type and find the answers among them."""
    answered = {answered_order(e.data) for e in events if _FOLLOWED.get(type(e.data))}
    return Waiting(Counter(type(e.data) for e in events), answered - {""})
