"""A paper exchange for one account and symbol in plain Decimal, from the stated rules alone.

1. Funding is taken from the isolated margin at the price it is marked at.
2. At an open: liquidation; then stops the open has reached, by arrival; then resting limits and
   targets it has reached, by arrival, at the open as makers; then waiting orders by arrival.
3. Within the range, for a position: the stop or liquidation price nearest to where the price came
   from, a stop before a liquidation at the same price, an earlier stop before a later; again
   until none is reached. Then what opens or adds, by arrival; if anything did, stops and
   liquidation again. Then limits and targets that reduce, by arrival.
4. A level beyond the open fills at the open. Takers slip against themselves, makers do not; a
   limit never fills worse than its price.
5. A reduce-only order fills up to the position and what is left of it ends. With nothing to
   reduce, one that takes at once is refused, one that rests waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, getcontext

getcontext().prec = 40
ONE = Decimal(1)


@dataclass
class Want:
    id: str
    sign: int
    kind: str
    size: Decimal
    price: Decimal | None
    reduce: bool
    ioc: bool
    done: Decimal = Decimal(0)
    state: str = "open"


@dataclass
class Oracle:
    taker: Decimal
    maker: Decimal
    slip: Decimal
    leverage: Decimal
    maintenance: Decimal
    position: Decimal = Decimal(0)
    entry: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    now: Decimal | None = None
    dead: str = ""
    orders: list[Want] = field(default_factory=list)
    fills: list[tuple[str, int, Decimal, Decimal, Decimal, str]] = field(default_factory=list)

    # ---- what is asked ----

    def submit(self, want: Want) -> None:
        self.orders.append(want)
        takes = want.kind in ("market", "limit")
        if self.dead or (want.reduce and takes and not self._room(want)):
            want.state = "rejected"
        elif self.now is not None:
            self._arrive(want)

    def cancel(self, id: str) -> None:
        for want in self._open():
            if want.id == id:
                want.state = "canceled"

    def modify(self, id: str, size: Decimal, price: Decimal | None) -> None:
        for want in self._open():
            if want.id == id and size > want.done and not self.dead:
                if want.reduce and want.kind in ("market", "limit") and not self._room(want):
                    return
                want.size, want.price = size, price
                if self.now is not None:
                    self._arrive(want)

    # ---- what the market does ----

    def fund(self, rate: Decimal, mark: Decimal) -> None:
        self.paid += self.position * mark * rate

    def open_(self, price: Decimal) -> None:
        self.now = price
        if self.position and (price - self._broke()) * self._side() <= 0:
            self._force(price, "liquidation")
            return
        for want in self._open():
            reached = want.kind == "stop" and (price - want.price) * want.sign >= 0
            if reached and self._room(want):
                self._take(want, price)
        for want in self._open():
            rests = want.kind in ("limit", "target") and not want.ioc
            if rests and (want.price - price) * want.sign >= 0 and self._room(want):
                self._give(want, price)
        for want in self._open():
            if want.kind == "market" or want.ioc:
                self._arrive(want)

    def range_(self, high: Decimal, low: Decimal) -> None:
        first = self.now
        assert first is not None
        high, low = max(high, first), min(low, first)
        if self._losses(first, high, low):
            if self._entries(first, high, low):
                self._losses(first, high, low)
            for want in self._open():
                better = want.kind in ("limit", "target") and want.sign * self.position < 0
                if better and self._touched(want, high, low):
                    self._give(want, self._at_best(want, first))
        self.now = None

    def end(self, close: Decimal) -> None:
        self.now = None
        if not self.dead:
            self._force(close, "delisted")

    # ---- rules ----

    def _open(self) -> list[Want]:
        return [w for w in self.orders if w.state == "open"]

    def _side(self) -> int:
        return 1 if self.position > 0 else -1

    def _room(self, want: Want) -> Decimal:
        left = want.size - want.done
        if not want.reduce:
            return left
        return min(left, abs(self.position)) if want.sign * self.position < 0 else Decimal(0)

    def _broke(self) -> Decimal:
        """Price at which margin - funding + pnl equals maintenance."""
        q, m = self.position, self.maintenance
        margin = abs(q) * self.entry / self.leverage - self.paid
        return (q * self.entry - margin) / (q - m * abs(q))

    @staticmethod
    def _touched(want: Want, high: Decimal, low: Decimal) -> bool:
        assert want.price is not None
        up = (want.sign > 0) == (want.kind == "stop")
        return high >= want.price if up else low <= want.price

    @staticmethod
    def _at_best(want: Want, first: Decimal) -> Decimal:
        assert want.price is not None
        return min(want.price, first) if want.sign > 0 else max(want.price, first)

    @staticmethod
    def _at_worst(want: Want, first: Decimal) -> Decimal:
        assert want.price is not None
        return max(want.price, first) if want.sign > 0 else min(want.price, first)

    def _arrive(self, want: Want) -> None:
        assert self.now is not None
        if want.kind == "market":
            self._take(want, self.now)
            return
        crossing = want.kind == "limit" and (want.price - self.now) * want.sign >= 0
        if crossing and self._room(want):
            self._take(want, self.now)
        elif want.ioc:
            if crossing:
                self._take(want, self.now)
            else:
                want.state = "canceled"

    def _losses(self, first: Decimal, high: Decimal, low: Decimal) -> bool:
        while self.position:
            side, broke = self._side(), self._broke()
            stops = [w for w in self._open() if w.kind == "stop" and w.sign == -side]
            stops = [w for w in stops if (w.price - broke) * side >= 0]
            stops.sort(key=lambda w: -side * w.price)  # stable: by arrival at one price
            level = stops[0].price if stops else broke
            if ((low if side > 0 else high) - level) * side > 0:
                return True
            if not stops:
                self._force(min(first, broke) if side > 0 else max(first, broke), "liquidation")
                return False
            self._take(stops[0], self._at_worst(stops[0], first))
        return True

    def _entries(self, first: Decimal, high: Decimal, low: Decimal) -> bool:
        some = False
        for want in self._open():
            if want.reduce or want.kind == "market" or want.sign * self.position < 0:
                continue
            if self._touched(want, high, low):
                some = True
                if want.kind == "stop":
                    self._take(want, self._at_worst(want, first))
                else:
                    self._give(want, self._at_best(want, first))
        return some

    # ---- executions ----

    def _take(self, want: Want, price: Decimal) -> None:
        size = self._room(want)
        if not size:
            want.state = "rejected"
            return
        got = price * (ONE + want.sign * self.slip)
        if want.kind in ("limit", "target"):
            got = min(got, want.price) if want.sign > 0 else max(got, want.price)
        self._fill(want, size, got, self.taker)

    def _give(self, want: Want, price: Decimal) -> None:
        self._fill(want, self._room(want), price, self.maker)

    def _fill(self, want: Want, size: Decimal, price: Decimal, fee: Decimal) -> None:
        want.done += size
        want.state = "filled" if want.done == want.size else "canceled"
        self._move(want.sign * size, price)
        self.fills.append((want.id, want.sign, size, price, size * price * fee, "order"))

    def _force(self, price: Decimal, cause: str) -> None:
        if self.position:
            sign, size = -self._side(), abs(self.position)
            got = price * (ONE + sign * self.slip)
            self._move(sign * size, got)
            self.fills.append(("", sign, size, got, size * got * self.taker, cause))
        self.dead = "liquidated" if cause == "liquidation" else cause
        for want in self._open():
            want.state = "canceled"

    def _move(self, delta: Decimal, price: Decimal) -> None:
        before, after = self.position, self.position + delta
        if after == 0 or before * after < 0 or before == 0:
            self.entry, self.paid = (price if after else Decimal(0)), Decimal(0)
        elif abs(after) > abs(before):
            self.entry = (before * self.entry + delta * price) / after
        else:
            self.paid *= after / before
        self.position = after
