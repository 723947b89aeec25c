"""What an exchange says about an account beside what is in the books."""

from __future__ import annotations

from decimal import Decimal

from genesis.trading.desk import Desk
from genesis.trading.events import Payload
from genesis.trading.gateway import (
    AccountState,
    OpenOrder,
    OrderKind,
    OrderRequest,
    Side,
    VenueFill,
    VenuePosition,
)
from genesis.trading.orders import OrderState
from genesis.trading.payloads import (
    AccountSnapshot,
    OrderFilled,
    OrderQuery,
    OrderStatus,
    Reconciled,
    RunResumed,
    TradingHalted,
    TradingResumed,
)
from genesis.trading.reconcile import Kind, Reconciler, Reconciliation
from tests.unit.trading.order_samples import ACCOUNT, SYMBOL, Talk, event, fill_of, request


class Bench:
    """Books of one account, and an exchange that says what a test lets it say."""

    def __init__(self) -> None:
        self.desk = Desk("run")
        self.reconciler = Reconciler()
        self.now = 10_000

    def begin(self, data: Payload) -> None:
        self.now += 1
        numbered = event(data, self.now)
        numbered.seq = self.now
        self.desk.begin(numbered)

    def book(self, fill: VenueFill) -> None:
        """Handle a fill as the core does: the order moves, then the books."""
        data = OrderFilled(fill)
        self.begin(data)
        change = self.desk.orders.on_fill(data, self.desk.event)
        if change.fill is not None:
            self.desk.ledger.book(
                change.order, fill, self.desk.event, self.desk.ids, self.desk.rows
            )

    def order(self, number: int = 1, *, accepted: bool = True) -> OrderRequest:
        one = request(number)
        talk = Talk(self.desk.orders, one)
        talk.submit(now=1_000)
        if accepted:
            talk.accept(f"v{number}", now=1_000)
        return one

    def snapshot(
        self,
        *,
        positions: dict[str, tuple[str, str]] | None = None,
        orders: tuple[OpenOrder, ...] = (),
        fills: tuple[VenueFill, ...] = (),
        adopt: bool = False,
        ts_ms: int = 5_000,
    ) -> Reconciliation:
        state = AccountState(
            ACCOUNT,
            tuple(
                VenuePosition(ACCOUNT, symbol, Decimal(size), Decimal(entry))
                for symbol, (size, entry) in (positions or {}).items()
            ),
            orders,
            fills,
            ts_ms,
        )
        data = AccountSnapshot(state, adopt)
        self.begin(data)
        done = self.reconciler.on_snapshot(data, self.desk.event, self.desk)
        self.emitted = [one.data for one in self.desk.emitted]
        for payload in self.emitted:
            if isinstance(payload, OrderFilled):
                self.book(payload.fill)
        return done

    def kinds(self, done: Reconciliation) -> list[Kind]:
        return [one.kind for one in done.differences]


def rests(order: OrderRequest, *, filled: str = "0", price: str = "100") -> OpenOrder:
    return OpenOrder(
        order.client_id,
        f"v{int(order.client_id, 16)}",
        order.account,
        order.symbol,
        order.side,
        order.kind,
        order.size,
        Decimal(filled),
        Decimal(price),
        order.reduce_only,
    )


def test_equal_books_have_no_difference() -> None:
    bench = Bench()
    order = bench.order()
    bench.book(fill_of(order, 1, "4", ts_ms=2_000))
    done = bench.snapshot(positions={SYMBOL: ("4", "100")}, orders=(rests(order, filled="4"),))
    assert done.differences == ()
    assert bench.emitted == [Reconciled(ACCOUNT, (), adopted=False)]


def test_a_missing_fill_is_booked_once_and_explains_the_position() -> None:
    bench = Bench()
    order = bench.order()
    missing = fill_of(order, 1, "10", ts_ms=2_000)
    done = bench.snapshot(positions={SYMBOL: ("10", "100")}, fills=(missing,))
    # The order that is filled cannot rest; it is asked for, and the fill answers that.
    assert bench.kinds(done) == [Kind.FILL_MISSING, Kind.ORDER_ABSENT]
    assert not done.halt
    assert bench.desk.ledger.position(ACCOUNT, SYMBOL) == 10
    known = bench.desk.orders.get(order.order_id)
    assert known is not None
    assert known.state is OrderState.FILLED
    again = bench.snapshot(positions={SYMBOL: ("10", "100")}, fills=(missing,))
    assert again.differences == ()
    assert bench.desk.ledger.position(ACCOUNT, SYMBOL) == 10


def test_a_position_that_no_fill_explains_halts_until_it_is_adopted() -> None:
    bench = Bench()
    done = bench.snapshot(positions={SYMBOL: ("-3", "120")})
    assert bench.kinds(done) == [Kind.POSITION_DIFFERS]
    assert "-3 at the exchange" in done.differences[0].text
    assert bench.desk.ledger.position(ACCOUNT, SYMBOL) == 0
    assert [type(p) for p in bench.emitted].count(TradingHalted) == 1
    assert f"account:{ACCOUNT}" in bench.desk.halts
    bench.snapshot(positions={SYMBOL: ("-3", "120")})
    assert not [p for p in bench.emitted if isinstance(p, TradingHalted)]  # told once
    adopted = bench.snapshot(positions={SYMBOL: ("-3", "120")}, adopt=True)
    assert adopted.adopted
    held = bench.desk.ledger.holding(ACCOUNT, SYMBOL)
    assert (held.size, held.entry) == (Decimal(-3), Decimal(120))
    assert [p for p in bench.emitted if isinstance(p, TradingResumed)]
    assert bench.snapshot(positions={SYMBOL: ("-3", "120")}).differences == ()


def test_what_is_given_up_realises_no_profit() -> None:
    bench = Bench()
    order = bench.order()
    bench.book(fill_of(order, 1, "10", "100", ts_ms=2_000))
    for size, entry in (("4", "100"), ("-2", "90"), ("0", "0")):
        there = {SYMBOL: (size, entry)} if size != "0" else {}
        bench.snapshot(positions=there, adopt=True)
        assert bench.desk.ledger.position(ACCOUNT, SYMBOL) == Decimal(size)
        assert bench.desk.ledger.account(ACCOUNT).realised == 0
    assert bench.snapshot().differences == ()


def test_an_order_that_is_not_listed_is_in_doubt_and_asked_for() -> None:
    bench = Bench()
    order = bench.order()
    done = bench.snapshot()
    assert bench.kinds(done) == [Kind.ORDER_ABSENT]
    known = bench.desk.orders.get(order.order_id)
    assert known is not None
    assert known.state is OrderState.UNKNOWN
    assert [p for p in bench.emitted if isinstance(p, OrderQuery)]
    assert not done.halt  # the symbol is blocked by the order itself


def test_an_order_from_after_the_snapshot_is_not_missed() -> None:
    bench = Bench()
    bench.order()
    assert bench.snapshot(ts_ms=999).differences == ()
    assert bench.kinds(bench.snapshot(ts_ms=1_000)) == [Kind.ORDER_ABSENT]


def test_an_order_with_other_terms_is_in_doubt_and_takes_those_of_the_exchange() -> None:
    bench = Bench()
    order = bench.order()
    known = bench.desk.orders.get(order.order_id)
    assert known is not None
    known.price = Decimal("101")  # it was modified, and an older request came in again since
    done = bench.snapshot(orders=(rests(order, price="100"),))
    assert bench.kinds(done) == [Kind.ORDER_DIFFERS]
    assert not done.halt  # the symbol is blocked by the order itself
    assert known.state is OrderState.UNKNOWN
    assert [p for p in bench.emitted if isinstance(p, OrderQuery)]
    told = OrderStatus(order.client_id, "open", "v1", Decimal(0), 6_000, order.size, Decimal("100"))
    bench.begin(told)
    bench.desk.orders.on_status(told, bench.desk.event)
    assert (known.state, known.size, known.price) == (OrderState.RESTING, order.size, 100)
    assert bench.snapshot(orders=(rests(order, price="100"),), ts_ms=6_001).differences == ()


def test_an_unknown_order_that_rests_is_found_again() -> None:
    bench = Bench()
    order = bench.order(accepted=False)
    Talk(bench.desk.orders, order).unknown()
    done = bench.snapshot(orders=(rests(order),))
    assert bench.kinds(done) == [Kind.ORDER_KNOWN_AGAIN]
    known = bench.desk.orders.get(order.order_id)
    assert known is not None
    assert known.state is OrderState.RESTING
    assert not done.halt


def test_a_foreign_order_is_told_and_adopted_with_its_unbooked_fill_once() -> None:
    bench = Bench()
    stranger = request(77, side=Side.SELL, kind=OrderKind.LIMIT)
    there = rests(stranger, filled="4")
    done = bench.snapshot(orders=(there,))
    assert bench.kinds(done) == [Kind.ORDER_FOREIGN]
    assert done.halt
    fill = fill_of(stranger, 9, "4", venue_id="v77", ts_ms=2_000)
    bench.snapshot(positions={SYMBOL: ("-4", "100")}, orders=(there,), fills=(fill,), adopt=True)
    (known,) = bench.desk.orders.open_orders(ACCOUNT, SYMBOL)
    assert known.filled == 4
    assert bench.desk.ledger.position(ACCOUNT, SYMBOL) == -4
    assert bench.desk.orders.exposure(ACCOUNT, SYMBOL).sell == 6
    equal = bench.snapshot(positions={SYMBOL: ("-4", "100")}, orders=(there,))
    assert equal.differences == ()


def test_a_snapshot_older_than_the_latest_fill_says_nothing_about_positions() -> None:
    bench = Bench()
    order = bench.order()
    bench.book(fill_of(order, 1, "10", ts_ms=6_000))
    done = bench.snapshot(ts_ms=5_000, adopt=True)
    assert bench.kinds(done) == [Kind.STALE]
    assert not done.adopted
    assert bench.desk.ledger.position(ACCOUNT, SYMBOL) == 10


def test_fills_that_memory_forgot_are_not_booked_again() -> None:
    bench = Bench()
    bench.desk.orders._fills._size = 2
    fills = [fill_of(request(50 + n), n, "1", ts_ms=1_000 + n) for n in range(5)]
    for fill in fills:
        bench.book(fill)
    done = bench.snapshot(positions={SYMBOL: ("5", "100")}, fills=tuple(fills))
    assert done.differences == ()


def test_adoption_leaves_a_journal_entry() -> None:
    bench = Bench()
    data = AccountSnapshot(
        AccountState(
            ACCOUNT, (VenuePosition(ACCOUNT, SYMBOL, Decimal(1), Decimal(9)),), (), (), 5_000
        ),
        adopt=True,
    )
    bench.begin(data)
    bench.reconciler.on_snapshot(data, bench.desk.event, bench.desk)
    entries = [values for name, values in bench.desk.rows if name == "journal"]
    assert len(entries) == 1
    assert entries[0][2] == "reconciled"
    bench.begin(RunResumed(""))
    assert bench.desk.rows == []
