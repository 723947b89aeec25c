"""Cash and positions against an oracle that knows no averages: sums of exact fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.canonical import content_hash
from genesis.domain.ids import Ids
from genesis.trading.accounts import ClosedTrade
from genesis.trading.gateway import Side, VenueFill
from genesis.trading.ledger import StrategyLedger
from genesis.trading.money import EXACT
from genesis.trading.payloads import FundingPaid, RunResumed
from genesis.trading.tables import Row
from tests.unit.trading.order_samples import event

ACCOUNTS, SYMBOLS = ("paper/a", "paper/b"), ("BTC", "ETH")
# As they come from floats: up to 17 digits, whose products no default context holds.
NUMBERS = st.floats(1e-6, 1e6).map(lambda x: Decimal(repr(x)))
FEES = st.floats(-10.0, 100.0).map(lambda x: Decimal(repr(x if abs(x) > 1e-9 else 0.0)))
PLACES = st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(SYMBOLS))
STEPS = st.one_of(
    st.tuples(st.just("fill"), PLACES, st.sampled_from(list(Side)), NUMBERS, NUMBERS, FEES),
    st.tuples(st.just("part"), PLACES, st.integers(1, 9), NUMBERS, FEES),
    st.tuples(st.just("flip"), PLACES, st.integers(1, 3), NUMBERS, FEES),
    st.tuples(st.just("liquidation"), PLACES, NUMBERS, FEES),
    st.tuples(st.just("funding"), PLACES, FEES),
    st.tuples(st.just("deposit"), PLACES, FEES),
)


def fraction(value: Decimal) -> Fraction:
    return Fraction(*value.as_integer_ratio())


class Oracle:
    """Cash as if every fill were paid in full: deposit − Σ signed size·price − fees − funding."""

    def __init__(self) -> None:
        self.cash = dict.fromkeys(ACCOUNTS, Fraction(0))
        self.size = {(a, s): Fraction(0) for a in ACCOUNTS for s in SYMBOLS}

    def fill(self, fill: VenueFill) -> None:
        size = fraction(fill.size) * (1 if fill.side is Side.BUY else -1)
        self.cash[fill.account] -= size * fraction(fill.price) + fraction(fill.fee)
        self.size[fill.account, fill.symbol] += size


class Books:
    """A ledger and the oracle beside it."""

    def __init__(self) -> None:
        self.ledger, self.oracle, self.ids = StrategyLedger(), Oracle(), Ids()
        self.rows: list[Row] = []
        self.trades: list[ClosedTrade] = []
        self.net = Fraction(0)
        self.now = 0

    def play(self, step: tuple[object, ...]) -> None:
        self.now += 1
        name, (account, symbol), rest = step[0], step[1], step[2:]
        held = self.ledger.position(account, symbol)
        if name == "deposit":
            at = event(RunResumed(""), self.now)
            self.ledger.deposit(account, rest[0], at, self.rows)
            self.oracle.cash[account] += fraction(rest[0])
        elif name == "funding":
            data = FundingPaid(account, symbol, rest[0], 1e-4, held, 1.0)
            assert self.ledger.fund(data, event(data, self.now), self.rows)
            assert not self.ledger.fund(data, event(data, self.now), self.rows)
            self.oracle.cash[account] -= fraction(rest[0])
        elif name == "fill":
            self.fill(account, symbol, *rest)
        elif held:
            side = Side.SELL if held > 0 else Side.BUY
            size = held.copy_abs()
            if name == "part":
                size = Decimal(repr(float(size) * rest[0] / 10))
            elif name == "flip":
                size = EXACT.multiply(size, Decimal(1 + rest[0]))
            forced = "order" if name != "liquidation" else "liquidation"
            self.fill(account, symbol, side, size, *rest[-2:], cause=forced)

    def fill(
        self,
        account: str,
        symbol: str,
        side: Side,
        size: Decimal,
        price: Decimal,
        fee: Decimal,
        cause: str = "order",
    ) -> None:
        fill = VenueFill(
            f"f{self.now}",
            "",
            "",
            account,
            symbol,
            side,
            size,
            price,
            fee,
            False,
            self.now,
            price,
            cause,
        )
        at = event(RunResumed(""), self.now)
        booking = self.ledger.book(None, fill, at, self.ids, self.rows, deployment="DEP_1")
        self.oracle.fill(fill)
        if booking.closed is not None:
            self.trades.append(booking.closed)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40), NUMBERS, NUMBERS)
def test_cash_is_conserved_to_the_last_digit(
    steps: list[tuple[object, ...]], btc: Decimal, eth: Decimal
) -> None:
    books = Books()
    marks = {"BTC": btc, "ETH": eth}
    for step in steps:
        books.play(step)
        for account in ACCOUNTS:
            worth = books.oracle.cash[account] + sum(
                books.oracle.size[account, symbol] * fraction(mark)
                for symbol, mark in marks.items()
            )
            assert fraction(books.ledger.equity(account, marks)) == worth
            for symbol in SYMBOLS:
                held = books.ledger.position(account, symbol)
                assert fraction(held) == books.oracle.size[account, symbol]
            own = books.ledger.account(account)
            parts = [fraction(own.deposits), fraction(own.realised)]
            parts += [-fraction(own.fees), -fraction(own.funding)]
            assert fraction(own.cash) == sum(parts)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_flat_trades_add_up_to_the_cash(steps: list[tuple[object, ...]]) -> None:
    """With every position closed, the round trips hold all that the account gained."""
    books = Books()
    for step in steps:
        if step[0] not in ("deposit", "funding"):  # funding while flat belongs to no trade
            books.play(step)
    for held in books.ledger.positions():
        side = Side.SELL if held.size > 0 else Side.BUY
        books.now += 1
        books.fill(
            held.account, held.symbol, side, held.size.copy_abs(), Decimal("7.1"), Decimal("0.3")
        )
    gained = sum((fraction(trade.net) for trade in books.trades), Fraction(0))
    assert gained == sum(books.oracle.cash.values())
    assert not books.ledger.positions()


@settings(max_examples=100, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(list(Side)))
def test_after_one_fill_the_entry_is_its_price(size: Decimal, price: Decimal, side: Side) -> None:
    books = Books()
    books.now = 1
    books.fill("paper/a", "BTC", side, size, price, Decimal(0))
    assert books.ledger.holding("paper/a", "BTC").entry == price
    assert float(books.ledger.holding("paper/a", "BTC").entry) == float(price)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEPS, max_size=20), st.lists(STEPS, max_size=20))
def test_a_restored_ledger_goes_on_alike(
    first: list[tuple[object, ...]], then: list[tuple[object, ...]]
) -> None:
    books, twin = Books(), Books()
    for step in first:
        books.play(step)
    twin.ledger.restore(books.ledger.plain())
    twin.now, twin.ids.counter = books.now, books.ids.counter
    before = len(books.rows)
    for step in then:
        books.play(step)
        twin.play(step)
    assert books.rows[before:] == twin.rows
    assert content_hash(books.ledger.plain()) == content_hash(twin.ledger.plain())
