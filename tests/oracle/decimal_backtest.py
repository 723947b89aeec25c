"""A backtest in plain Decimal, written from the stated rules alone: slow, obvious, no shared code.

The rules, in the order in which they act on each bar:

1. Funding is due at the open on the position carried in, at the previous close, for every rate
   settled since that close. It is taken from (or added to) the position's isolated margin.
2. At the open: liquidated if the margin no longer covers maintenance; else the stop if the open is
   through it; else the target if the open is through it. All at the open price.
3. Orders decided at the last close: closing first, then opening. If rule 2 closed the position,
   nothing is opened.
4. Against the bar's range: the nearer of stop and liquidation price, then the target.
5. At the close: trailing, break-even, and after every n bars held a quarter of the stop's first
   distance less; then the decision for the next bar. Where somebody left a share of entries, what
   is to be opened becomes that share of it, down to the lot, or nothing below the least notional.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, getcontext

getcontext().prec = 40
ONE = Decimal(1)


@dataclass
class Bar:
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass
class Terms:
    """What the account trades under."""

    taker: Decimal
    maker: Decimal
    slippage: Decimal
    leverage: Decimal
    maintenance: Decimal
    capital: Decimal
    tick: Decimal
    lot: Decimal
    min_notional: Decimal


@dataclass
class Plan:
    """The strategy's policy; a zero switches a rule off."""

    longs: bool
    shorts: bool
    size: Decimal
    vol_target_per_bar: Decimal
    stop_atr: Decimal
    target_atr: Decimal
    trail_atr: Decimal
    breakeven_atr: Decimal
    time_stop: int
    cooldown: int
    tighten_bars: int = 0


@dataclass
class Execution:
    bar: int
    quantity: Decimal
    price: Decimal
    fee: Decimal
    slippage: Decimal
    why: str
    first_stop: Decimal | None = None
    stop: Decimal | None = None


@dataclass
class Position:
    quantity: Decimal
    entry: Decimal
    bar: int
    atr: Decimal
    margin: Decimal
    stop: Decimal | None = None
    target: Decimal | None = None
    best: Decimal | None = None
    gap: Decimal = Decimal(0)
    first_stop: Decimal | None = None

    @property
    def is_long(self) -> bool:
        return self.quantity > 0


@dataclass
class Book:
    """Everything that happened."""

    executions: list[Execution] = field(default_factory=list)
    equity: list[Decimal] = field(default_factory=list)
    funding: Decimal = Decimal(0)
    liquidated: bool = False


@dataclass
class Wish:
    """What was decided at a close for the next open."""

    close_why: str = ""
    open_quantity: Decimal = Decimal(0)
    atr: Decimal = Decimal(0)


def between(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    return low if value < low else high if value > high else value


def to_tick(price: Decimal, tick: Decimal, up: bool) -> Decimal:
    if tick == 0:
        return price
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    return (price / tick).to_integral_value(rounding=rounding) * tick


class Backtest:
    def __init__(self, plan: Plan, terms: Terms) -> None:
        self.plan = plan
        self.terms = terms
        self.book = Book()
        self.position: Position | None = None
        self.cash = Decimal(0)
        self.last_exit: int | None = None
        self.wish = Wish()

    def run(
        self,
        bars: Sequence[Bar | None],
        signals: Sequence[tuple[int, int, int, int]],
        atr: Sequence[Decimal | None],
        vol: Sequence[Decimal | None],
        rates: Sequence[Decimal],
        shares: Sequence[Decimal] = (),
    ) -> Book:
        """``signals``: long, short, exit long, exit short per bar; 1 fires, 0 and -1 do not."""
        waiting = Decimal(0)
        previous: Decimal | None = None
        final = max(t for t, bar in enumerate(bars) if bar is not None)
        for t, bar in enumerate(bars):
            waiting += rates[t]
            if bar is not None and not self.book.liquidated:
                self.one_bar(t, bar, previous, waiting)
                if t == final and final < len(bars) - 1 and self.position:
                    self.fill(t, -self.position.quantity, bar.close, "delisted")
                elif not self.book.liquidated:
                    self.at_close(t, bar.close, signals[t], atr[t], vol[t])
                    if shares:
                        self.leave(shares[t], bar.close)
            if bar is not None:
                previous = bar.close
                waiting = Decimal(0)
            worth = self.position.quantity * previous if self.position else Decimal(0)
            self.book.equity.append(self.cash + worth)
        return self.book

    def one_bar(self, t: int, bar: Bar, previous: Decimal | None, rate: Decimal) -> None:
        wish, self.wish = self.wish, Wish()
        stopped = False
        if self.position:
            self.pay_funding(previous, rate)
            stopped = self.resting_at_open(t, bar)
        if self.position and wish.close_why:
            self.fill(t, -self.position.quantity, bar.open, wish.close_why)
        if wish.open_quantity and not stopped:
            self.enter(t, wish, bar.open)
        if self.position:
            self.resting_in_range(t, bar)

    def pay_funding(self, previous: Decimal | None, rate: Decimal) -> None:
        assert self.position is not None
        assert previous is not None
        payment = self.position.quantity * previous * rate
        self.cash -= payment
        self.position.margin -= payment
        self.book.funding += payment

    def liquidation_price(self) -> Decimal:
        """Where margin + profit equals the maintenance requirement."""
        p, m = self.position, self.terms.maintenance
        assert p is not None
        if p.is_long:  # margin + q (x - entry) = m q x
            return (p.entry * p.quantity - p.margin) / (p.quantity * (ONE - m))
        q = -p.quantity  # margin + q (entry - x) = m q x
        return (p.entry * q + p.margin) / (q * (ONE + m))

    def resting_at_open(self, t: int, bar: Bar) -> bool:
        p = self.position
        assert p is not None
        level = self.liquidation_price()
        if (bar.open <= level) if p.is_long else (bar.open >= level):
            self.liquidate(t, bar.open)
        elif p.stop is not None and ((bar.open <= p.stop) if p.is_long else (bar.open >= p.stop)):
            self.fill(t, -p.quantity, bar.open, "stop")
        elif p.target is not None and (
            (bar.open >= p.target) if p.is_long else (bar.open <= p.target)
        ):
            self.fill(t, -p.quantity, bar.open, "target")
        return self.position is None

    def resting_in_range(self, t: int, bar: Bar) -> None:
        p = self.position
        assert p is not None
        liquidation = self.liquidation_price()
        if p.is_long:
            if p.stop is not None and p.stop >= liquidation and bar.low <= p.stop:
                self.fill(t, -p.quantity, min(p.stop, bar.open), "stop")
            elif bar.low <= liquidation:
                self.liquidate(t, min(liquidation, bar.open))
            elif p.target is not None and bar.high >= p.target:
                self.fill(t, -p.quantity, max(p.target, bar.open), "target")
        else:
            if p.stop is not None and p.stop <= liquidation and bar.high >= p.stop:
                self.fill(t, -p.quantity, max(p.stop, bar.open), "stop")
            elif bar.high >= liquidation:
                self.liquidate(t, max(liquidation, bar.open))
            elif p.target is not None and bar.low <= p.target:
                self.fill(t, -p.quantity, min(p.target, bar.open), "target")

    def liquidate(self, t: int, price: Decimal) -> None:
        assert self.position is not None
        self.fill(t, -self.position.quantity, price, "liquidation")
        self.book.liquidated = True

    def fill(self, t: int, quantity: Decimal, price: Decimal, why: str) -> Decimal:
        """Execute; closes the position (entries set theirs afterwards)."""
        terms = self.terms
        slip = Decimal(0) if why == "target" else terms.slippage
        paid = price * (ONE + slip) if quantity > 0 else price * (ONE - slip)
        rate = terms.maker if why == "target" else terms.taker
        fee = abs(quantity) * paid * rate
        self.cash -= quantity * paid + fee
        cost = abs(quantity) * abs(paid - price)
        done = Execution(t, quantity, paid, fee, cost, why)
        self.book.executions.append(done)
        if why != "entry":
            assert self.position is not None
            done.first_stop, done.stop = self.position.first_stop, self.position.stop
            self.position = None
            self.last_exit = t
        return paid

    def enter(self, t: int, wish: Wish, price: Decimal) -> None:
        q = wish.open_quantity
        paid = self.fill(t, q, price, "entry")
        p = Position(q, paid, t, wish.atr, abs(q) * paid / self.terms.leverage)
        plan, tick = self.plan, self.terms.tick
        sign = 1 if q > 0 else -1
        if plan.stop_atr:
            gap = between(plan.stop_atr * p.atr, Decimal("0.02") * paid, Decimal("0.15") * paid)
            p.stop, p.gap = to_tick(paid - sign * gap, tick, up=sign < 0), gap
        if plan.target_atr:
            gap = between(plan.target_atr * p.atr, Decimal("0.015") * paid, Decimal("0.25") * paid)
            p.target = to_tick(paid + sign * gap, tick, up=sign > 0)
        p.first_stop = p.stop
        self.position = p

    def at_close(
        self,
        t: int,
        close: Decimal,
        signal: tuple[int, int, int, int],
        atr: Decimal | None,
        vol: Decimal | None,
    ) -> None:
        if self.position:
            self.tighten(t, close)
        fires = [value == 1 for value in signal]
        long, short, exit_long, exit_short = fires
        want = 0
        if long and not short and not exit_long and self.plan.longs:
            want = 1
        if short and not long and not exit_short and self.plan.shorts:
            want = -1
        p = self.position
        if p is None:
            resting = self.last_exit is not None and t - self.last_exit < self.plan.cooldown
            if want and not resting:
                self.wish = Wish("", want * self.quantity(close, atr, vol), atr or Decimal(0))
            return
        against = want == (-1 if p.is_long else 1)
        bars_held = t - p.bar + 1
        if against:
            opening = Decimal(0)
            if self.plan.cooldown == 0:
                opening = want * self.quantity(close, atr, vol)
            self.wish = Wish("reversal", opening, atr or Decimal(0))
        elif exit_long if p.is_long else exit_short:
            self.wish = Wish("exit signal")
        elif self.plan.time_stop and bars_held >= self.plan.time_stop:
            self.wish = Wish("time stop")

    def leave(self, share: Decimal, close: Decimal) -> None:
        """Of what was decided to be opened, leave a share."""
        wanted, terms = self.wish.open_quantity, self.terms
        if share == ONE:
            return
        left = abs(wanted) * share
        if terms.lot:
            left = (left / terms.lot).to_integral_value(rounding=ROUND_FLOOR) * terms.lot
        if left * close < terms.min_notional:
            left = Decimal(0)
        self.wish.open_quantity = left if wanted > 0 else -left

    def tighten(self, t: int, close: Decimal) -> None:
        p, plan, tick = self.position, self.plan, self.terms.tick
        assert p is not None
        candidates = []
        if plan.tighten_bars:
            quarters = 4 - min((t - p.bar + 1) // plan.tighten_bars, 4)
            candidates.append(p.entry - (1 if p.is_long else -1) * p.gap * quarters / 4)
        if p.is_long:
            p.best = close if p.best is None else max(p.best, close)
            if plan.trail_atr:
                candidates.append(p.best - plan.trail_atr * p.atr)
            if plan.breakeven_atr and close - p.entry >= plan.breakeven_atr * p.atr:
                candidates.append(p.entry)
            for level in candidates:
                level = to_tick(level, tick, up=False)
                p.stop = level if p.stop is None else max(p.stop, level)
        else:
            p.best = close if p.best is None else min(p.best, close)
            if plan.trail_atr:
                candidates.append(p.best + plan.trail_atr * p.atr)
            if plan.breakeven_atr and p.entry - close >= plan.breakeven_atr * p.atr:
                candidates.append(p.entry)
            for level in candidates:
                level = to_tick(level, tick, up=True)
                p.stop = level if p.stop is None else min(p.stop, level)

    def quantity(self, close: Decimal, atr: Decimal | None, vol: Decimal | None) -> Decimal:
        plan, terms = self.plan, self.terms
        needs_atr = plan.stop_atr or plan.target_atr or plan.trail_atr or plan.breakeven_atr
        if needs_atr and (atr is None or atr <= 0):
            return Decimal(0)
        factor = ONE
        if plan.vol_target_per_bar:
            if vol is None:
                return Decimal(0)
            factor = Decimal(3)
            if vol > 0:
                factor = between(plan.vol_target_per_bar / vol, Decimal("0.1"), Decimal(3))
        quantity = plan.size * factor * terms.capital / close
        if terms.lot:
            quantity = (quantity / terms.lot).to_integral_value(rounding=ROUND_FLOOR) * terms.lot
        if quantity * close < terms.min_notional:
            return Decimal(0)
        return quantity
