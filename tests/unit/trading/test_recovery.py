"""What is asked after a restart, and that what was missed is booked once and in order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.trading.desk import Desk
from genesis.trading.events import Event
from genesis.trading.gateway import AccountState, OrderKind, VenueFunding, VenuePosition
from genesis.trading.order_manager import OrderManager
from genesis.trading.orders import OrderState
from genesis.trading.payloads import AccountSnapshot, FundingPaid, OrderFilled, RunFinished
from genesis.trading.reconcile import Kind, Reconciler, compare
from genesis.trading.recovery import OVERLAP_MS, ask_accounts
from tests.unit.trading.order_samples import ACCOUNT, SYMBOL, Talk, event, fill_of, request

D = Decimal
HOUR = 3_600_000
NOTHING = RunFinished("")


class Oracle:
    """An exchange that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def account_state(self, account: str, since_ms: int) -> AccountState:
        self.asked.append((account, since_ms))
        return AccountState(account, (), (), (), 7)


def paid(ts_ms: int, amount: str = "0.5", symbol: str = SYMBOL) -> VenueFunding:
    return VenueFunding(ACCOUNT, symbol, D(amount), 1e-4, D(1), 100.0, ts_ms)


def funded(desk: Desk, one: VenueFunding) -> bool:
    data = FundingPaid(one.account, one.symbol, one.amount, one.rate, one.position, one.mark)
    return desk.ledger.fund(data, Event(data, one.ts_ms), [])


def test_each_account_is_asked_from_before_its_latest_fill() -> None:
    desk, oracle = Desk("r"), Oracle()
    for account in ("b", "a"):
        desk.ledger.deposit(account, D(10), event(NOTHING), [])
    fill = OrderFilled(fill_of(request(), 1, "1", ts_ms=5 * HOUR))
    desk.orders.on_fill(fill, event(fill))
    desk.ledger.deposit(ACCOUNT, D(10), event(NOTHING), [])
    events = list(ask_accounts(desk, oracle, 9))  # type: ignore[arg-type]
    assert oracle.asked == [("a", 0), ("b", 0), (ACCOUNT, 5 * HOUR - OVERLAP_MS)]
    assert [(e.ts_ms, e.aggregate) for e in events] == [(9, "a"), (9, "b"), (9, ACCOUNT)]
    assert all(isinstance(e.data, AccountSnapshot) for e in events)


def test_funding_that_was_missed_is_booked_once_at_its_own_time() -> None:
    desk = Desk("r")
    assert funded(desk, paid(1 * HOUR))
    state = AccountState(ACCOUNT, (), (), (), 9 * HOUR, (paid(1 * HOUR), paid(2 * HOUR, "-3")))
    snapshot = event(AccountSnapshot(state), 9 * HOUR)
    desk.begin(snapshot)
    done = Reconciler().on_snapshot(AccountSnapshot(state), snapshot, desk)
    assert [one.kind for one in done.differences] == [Kind.FUNDING_MISSING]
    assert done.halt == ""
    emitted = [e for e in desk.emitted if isinstance(e.data, FundingPaid)]
    assert [(e.ts_ms, e.data.amount) for e in emitted] == [(2 * HOUR, D(-3))]
    assert desk.ledger.fund(emitted[0].data, emitted[0], [])
    assert desk.ledger.account(ACCOUNT).cash == D("2.5")
    assert not compare(state, desk.ledger, desk.orders)


def test_missed_funding_and_fills_are_booked_in_the_order_of_their_times() -> None:
    desk, order = Desk("r"), request()
    fills = tuple(fill_of(order, n, "1", ts_ms=n * HOUR) for n in (2, 4))
    state = AccountState(
        ACCOUNT,
        (VenuePosition(ACCOUNT, SYMBOL, D(2), D(100)),),
        (),
        fills,
        9 * HOUR,
        tuple(paid(n * HOUR) for n in (2, 3, 5)),
    )
    snapshot = event(AccountSnapshot(state), 9 * HOUR)
    desk.begin(snapshot)
    Reconciler().on_snapshot(AccountSnapshot(state), snapshot, desk)
    told = [
        ("fill", e.data.fill.ts_ms // HOUR)
        if isinstance(e.data, OrderFilled)
        else ("funding", e.ts_ms // HOUR)
        for e in desk.emitted
        if isinstance(e.data, OrderFilled | FundingPaid)
    ]
    # Funding is due on what was carried in, so it comes before the fills of its instant.
    assert told == [("funding", 2), ("fill", 2), ("funding", 3), ("fill", 4), ("funding", 5)]


def test_funding_that_memory_forgot_is_not_booked_again() -> None:
    desk = Desk("r")
    for hour in range(1, 41):
        funded(desk, paid(hour * HOUR))
    again = tuple(paid(hour * HOUR) for hour in range(1, 42))
    state = AccountState(ACCOUNT, (), (), (), 99 * HOUR, again)
    missing = [one.funding for one in compare(state, desk.ledger, desk.orders)]
    assert missing == [paid(41 * HOUR)]


@pytest.mark.parametrize(("asked", "full"), [("12", "10"), ("12", "12"), ("8", "8"), ("8", "10")])
def test_an_order_that_was_full_before_or_after_another_size_is_over(asked: str, full: str) -> None:
    order = request(kind=OrderKind.STOP)
    manager = OrderManager()
    talk = Talk(manager, order)
    talk.submit()
    talk.accept()
    manager.request_modify(order.order_id, D(99), D(asked), "policy", event(NOTHING))
    talk.unknown("modify")
    talk.fill(1, full)
    talk.status("filled", venue_id="v1", filled=full)
    found = manager.get(order.order_id)
    assert found is not None
    assert (found.state, found.filled) == (OrderState.FILLED, D(full))
