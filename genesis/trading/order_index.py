"""Orders by every name they go by, and the fills that were booked: what stays in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from genesis.trading.orders import Order, OrderState

Place = tuple[str, str]
"""Account and symbol."""


class OrderIndex:
    """Orders in memory.

    Live orders stay. An order that is over stays until ``retained`` later ones are over too;
    its row in the store stays for ever, and a fill that comes for it even later is booked as one
    of an order that nobody here knows.
    """

    __slots__ = ("_client", "_done", "_live", "_retained", "_unknown", "_venue", "orders")

    def __init__(self, retained: int) -> None:
        self.orders: dict[str, Order] = {}
        self._retained = retained
        self._client: dict[str, Order] = {}
        self._venue: dict[Place, Order] = {}
        self._live: dict[Place, dict[str, Order]] = {}
        self._unknown: dict[Place, set[str]] = {}
        self._done: deque[str] = deque()

    def add(self, order: Order) -> None:
        """Take in a new order."""
        self.orders[order.order_id] = order
        if order.request.client_id:
            self._client[order.request.client_id] = order
        for leg in order.legs:
            self._venue[order.request.account, leg] = order
        self.moved(order)

    def name(self, order: Order, venue_id: str) -> None:
        """Learn a new id of an order at the exchange, its current one from here on.

        One that it had before is no news: what names it is late.
        """
        if venue_id and venue_id not in order.legs:
            order.venue_id = venue_id
            order.legs.append(venue_id)
            self._venue[order.request.account, venue_id] = order

    def moved(self, order: Order) -> None:
        """Take note of the state of an order."""
        request = order.request
        place = (request.account, request.symbol)
        if order.live:
            self._live.setdefault(place, {})[request.order_id] = order
        else:
            here = self._live.get(place)
            if here is not None and here.pop(request.order_id, None) is not None:
                self._done.append(request.order_id)
                if not here:
                    del self._live[place]
        if order.state is OrderState.UNKNOWN:
            self._unknown.setdefault(place, set()).add(request.order_id)
        elif place in self._unknown:
            self._unknown[place].discard(request.order_id)
            if not self._unknown[place]:
                del self._unknown[place]
        self._retire()

    def _retire(self) -> None:
        while len(self._done) > self._retained:
            order = self.orders.get(self._done.popleft())
            if order is None or order.live:
                continue  # a late fill brought it back; it is queued again when it is over
            del self.orders[order.order_id]
            self._client.pop(order.request.client_id, None)
            for leg in order.legs:
                self._venue.pop((order.request.account, leg), None)

    def by_client(self, client_id: str) -> Order | None:
        """Order with this client id."""
        return self._client.get(client_id)

    def by_reply(self, client_id: str, account: str, venue_id: str) -> Order | None:
        """Order that a fill belongs to: by client id, else by the exchange's id."""
        order = self._client.get(client_id)
        if order is None and venue_id:
            order = self._venue.get((account, venue_id))
        return order

    def at(self, account: str, symbol: str) -> Iterable[Order]:
        """Live orders of an account on a symbol, oldest first."""
        here = self._live.get((account, symbol))
        if not here:
            return ()
        # By id, not by when they came in here: one that a late fill brought back keeps its place.
        return here.values() if len(here) == 1 else [here[name] for name in sorted(here)]

    def live(self) -> Iterator[Order]:
        """All live orders, by account and symbol."""
        for place in sorted(self._live):
            yield from self.at(*place)

    def in_doubt(self, account: str, symbol: str) -> bool:
        """Whether an order there is UNKNOWN."""
        return (account, symbol) in self._unknown

    def plain(self) -> list[str]:
        """Ids of orders that are over, in the order in which they leave."""
        return list(self._done)

    def restore(self, orders: Iterable[Order], done: Iterable[str]) -> None:
        """Take over the orders of a snapshot."""
        for order in orders:
            self.add(order)
        self._done = deque(done)


class FillWindow:
    """Which fills were booked: an exchange tells them again after a reconnect.

    Ids are kept for the latest ``size`` fills of each account, as many as an exchange repeats by
    itself (Hyperliquid's snapshot has 2,000); an order in memory keeps all of its own. A fill
    that is in neither and no younger than the youngest forgotten one cannot be told from a
    repetition: it is not booked, and reconciliation shows whether anything is missing.
    """

    __slots__ = ("_ids", "_newest", "_size", "floor")

    def __init__(self, size: int) -> None:
        self._size = size
        self._ids: dict[str, dict[str, int]] = {}
        self._newest: dict[str, int] = {}
        self.floor: dict[str, int] = {}

    def seen(self, account: str, fill_id: str) -> bool:
        """Whether this fill was booked, as far as the window reaches."""
        ids = self._ids.get(account)
        return ids is not None and fill_id in ids

    def too_old(self, account: str, ts_ms: int) -> bool:
        """Whether a fill of that time may be one that the window has forgotten."""
        return ts_ms <= self.floor.get(account, -1)

    def newest_ms(self, account: str) -> int:
        """Time of the latest fill that was booked, 0 without one."""
        return self._newest.get(account, 0)

    def add(self, account: str, fill_id: str, ts_ms: int) -> None:
        """Remember a fill."""
        ids = self._ids.setdefault(account, {})
        ids[fill_id] = ts_ms
        self._newest[account] = max(self._newest.get(account, 0), ts_ms)
        if len(ids) > self._size:
            oldest = next(iter(ids))
            self.floor[account] = max(self.floor.get(account, -1), ids.pop(oldest))

    def plain(self) -> dict[str, Any]:
        """State as JSON can hold it."""
        return {
            "ids": {name: [[k, v] for k, v in ids.items()] for name, ids in self._ids.items()},
            "newest": dict(self._newest),
            "floor": dict(self.floor),
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """Take over what `plain` wrote."""
        self._ids = {name: dict(rows) for name, rows in plain["ids"].items()}
        self._newest = dict(plain["newest"])
        self.floor = dict(plain["floor"])
