"""The order book of one market: price, then time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict

from genesis.exchange.venue.orders import Order


class Level:
    """Orders at one price, oldest first, and their total size."""

    __slots__ = ("orders", "size")

    def __init__(self) -> None:
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self.size = 0


class Side:
    """One side of a book.

    Prices are kept sorted so that the best one is the last of the list: bids by price, asks by
    its negative.
    """

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, buy: bool) -> None:
        self.sign = 1 if buy else -1
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def best(self) -> int:
        """Best price, 0 for an empty side."""
        return self.keys[-1] * self.sign if self.keys else 0

    def add(self, order: Order) -> None:
        """Put an order behind those at its price."""
        level = self.levels.get(order.px)
        if level is None:
            level = self.levels[order.px] = Level()
            insort(self.keys, order.px * self.sign)
        level.orders[order.oid] = order
        level.size += order.sz

    def remove(self, order: Order) -> None:
        """Take an order out; an empty price goes with it."""
        level = self.levels[order.px]
        del level.orders[order.oid]
        level.size -= order.sz
        if not level.orders:
            self._drop(order.px)

    def reduce(self, order: Order, size: int) -> None:
        """Take a part of an order out; the order's own size is changed here."""
        level = self.levels[order.px]
        level.size -= size
        order.sz -= size
        if not order.sz:
            del level.orders[order.oid]
            if not level.orders:
                self._drop(order.px)

    def _drop(self, px: int) -> None:
        del self.levels[px]
        key = px * self.sign
        if self.keys[-1] == key:
            self.keys.pop()
        else:
            del self.keys[bisect_left(self.keys, key)]

    def top(self, count: int) -> list[tuple[int, int, int]]:
        """Price, size and number of orders of the best prices."""
        out = []
        for key in reversed(self.keys[-count:]):
            px = key * self.sign
            level = self.levels[px]
            out.append((px, level.size, len(level.orders)))
        return out


class Book:
    """Both sides of a market."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(True)
        self.asks = Side(False)

    def side(self, buy: bool) -> Side:
        """Side on which an order of a direction rests."""
        return self.bids if buy else self.asks

    def mid_twice(self) -> int:
        """Twice the mid price, 0 where a side is empty."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid + ask if bid and ask else 0

    def impact(self, buy: bool, notional: int) -> int:
        """Average price at which a market order of a notional would fill; 0 if it would not."""
        left, size, value = notional, 0, 0
        side = self.side(not buy)
        for key in reversed(side.keys):
            px = key * side.sign
            there = side.levels[px].size
            take = min(there, -(-left // px))
            size += take
            value += take * px
            left -= take * px
            if left <= 0:
                return value // size
        return 0
