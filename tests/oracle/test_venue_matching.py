"""Price-time priority against an engine that searches a list for the best order each time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.unit.exchange.venue.venue_rig import ALICE, BOB, CAROL, Rig, limit

USERS = (ALICE, BOB, CAROL)


@dataclass
class Resting:
    oid: int
    user: str
    buy: bool
    px: Decimal
    sz: Decimal
    age: int


class Naive:
    """The whole exchange: one list."""

    def __init__(self) -> None:
        self.orders: list[Resting] = []
        self.fills: list[tuple[str, str, Decimal, Decimal]] = []
        self.age = 0

    def best(self, buy: bool) -> Resting | None:
        side = [o for o in self.orders if o.buy == buy]
        sign = -1 if buy else 1
        return min(side, key=lambda o: (sign * o.px, o.age), default=None)

    def order(self, oid, user, buy, px, sz, tif) -> Decimal:
        """Return the size that rests."""
        other = self.best(not buy)
        crosses = other is not None and (other.px <= px if buy else other.px >= px)
        if tif == "Alo" and crosses:
            return Decimal(0)
        while sz and crosses:
            if other.user == user:
                self.orders.remove(other)
            else:
                size = min(sz, other.sz)
                self.fills.append((user, other.user, other.px, size))
                sz -= size
                other.sz -= size
                if not other.sz:
                    self.orders.remove(other)
            other = self.best(not buy)
            crosses = other is not None and (other.px <= px if buy else other.px >= px)
        if sz and tif != "Ioc":
            self.age += 1
            self.orders.append(Resting(oid, user, buy, px, sz, self.age))
            return sz
        return Decimal(0)

    def cancel(self, oid) -> None:
        self.orders = [o for o in self.orders if o.oid != oid]


@pytest.mark.parametrize("seed", range(8))
def test_the_same_orders_give_the_same_fills_and_book(seed):
    rng = random.Random(seed)
    rig, naive = Rig(usd="1000000000"), Naive()
    for number in range(1500):
        user = rng.choice(USERS)
        alive = [o for o in naive.orders if o.user == user]
        buy, px = rng.random() < 0.5, Decimal(3000 + rng.randint(-12, 12))
        sz = Decimal(rng.randint(1, 40)) / 10
        tif = rng.choice(("Gtc", "Gtc", "Gtc", "Ioc", "Alo"))
        roll = rng.random()
        if roll < 0.15 and alive:
            gone = rng.choice(alive)
            assert rig.cancel(user, "ETH", gone.oid) == "success"
            naive.cancel(gone.oid)
        elif roll < 0.3 and alive:
            old = rng.choice(alive)
            wire = limit("ETH", "B" if buy else "A", px, sz)
            action = {"type": "batchModify", "modifies": [{"oid": old.oid, "order": wire}]}
            (status,) = rig.act(user, action)["response"]["data"]["statuses"]
            naive.cancel(old.oid)
            naive.order(next(iter(status.values()))["oid"], user, buy, px, sz, "Gtc")
        else:
            status = rig.order(user, "ETH", "B" if buy else "A", px, sz, tif)
            inner = next(iter(status.values()))
            oid = inner["oid"] if isinstance(inner, dict) else 0
            naive.order(oid, user, buy, px, sz, tif)
        if number % 100 == 99:
            _compare(rig, naive)
    assert len(naive.fills) > 300


def _compare(rig, naive):
    tape = [
        (Decimal(e.data["px"]), Decimal(e.data["sz"]), set(e.data["users"]))
        for e in rig.events("trade")
    ]
    done, naive.seen = getattr(naive, "seen", 0), len(naive.fills)
    assert tape == [(px, sz, {a, b}) for a, b, px, sz in naive.fills[done:]]
    for user in USERS:
        found = {
            (row["oid"], Decimal(row["limitPx"]), Decimal(row["sz"]))
            for row in rig.core.user_info.open_orders(user)
        }
        assert found == {(o.oid, o.px, o.sz) for o in naive.orders if o.user == user}
