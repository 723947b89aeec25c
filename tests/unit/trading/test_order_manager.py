"""What the order manager makes of requests, replies, silence and repetition."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from itertools import permutations

import msgspec
import pytest

from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.order_manager import Change, OrderManager, OrderSettings
from genesis.trading.orders import OrderState
from genesis.trading.payloads import (
    AlertRaised,
    OrderAccepted,
    OrderCancel,
    OrderFilled,
    OrderModify,
    OrderQuery,
    RunResumed,
    TimerSet,
)
from tests.unit.trading.clearing import cleared
from tests.unit.trading.order_samples import (
    ACCOUNT,
    SYMBOL,
    Talk,
    event,
    fill_of,
    request,
    submit_of,
)


def talk(order: OrderRequest | None = None, **settings: int) -> Talk:
    return Talk(OrderManager(OrderSettings(**settings)), order or request())


def state(of: Talk) -> OrderState:
    order = of.manager.get(of.order.order_id)
    assert order is not None
    return order.state


def filled(of: Talk) -> Decimal:
    order = of.manager.get(of.order.order_id)
    assert order is not None
    return order.filled


def of_kind(change: Change, kind: type) -> list[object]:
    return [payload for payload in change.emit if isinstance(payload, kind)]


def resting(**settings: int) -> Talk:
    one = talk(**settings)
    one.submit()
    one.accept()
    return one


# ---- sending ---------------------------------------------------------------------------------


def test_an_order_is_sent_once() -> None:
    one = talk()
    assert one.submit().send
    assert not one.submit().send
    assert state(one) is OrderState.SUBMITTED


def test_an_intended_order_counts_before_it_is_sent() -> None:
    manager = OrderManager()
    data = submit_of(request(size="3"))
    manager.intend(data, event(data), cleared(data.order))
    assert manager.exposure(ACCOUNT, SYMBOL).buy == 3
    assert manager.submit(data, event(data)).send


def test_an_order_past_its_expiry_is_never_sent() -> None:
    one = talk(request(expires_ms=5_000))
    assert not one.submit(now=5_001).send
    assert state(one) is OrderState.EXPIRED
    assert one.manager.open_orders(ACCOUNT, SYMBOL) == []


def test_an_order_called_off_before_it_was_sent_is_not_sent() -> None:
    manager = OrderManager()
    data = submit_of(request())
    manager.intend(data, event(data), cleared(data.order))
    change = manager.request_cancel(data.order.order_id, "changed my mind", event(data))
    assert not of_kind(change, OrderCancel)
    assert not manager.submit(data, event(data)).send


# ---- fills -----------------------------------------------------------------------------------


def test_a_fill_counts_once() -> None:
    one = resting()
    assert one.fill(1, "4").fill is not None
    assert one.fill(1, "4").fill is None
    assert filled(one) == 4
    assert state(one) is OrderState.PARTIAL


def test_two_fills_of_one_order_both_count() -> None:
    one = resting()
    one.fill(1, "4")
    one.fill(2, "6")
    assert filled(one) == 10
    assert state(one) is OrderState.FILLED


def test_a_fill_may_come_before_the_acknowledgement() -> None:
    one = talk()
    one.submit()
    one.fill(1, "4")
    one.accept()
    assert state(one) is OrderState.PARTIAL
    one.fill(2, "6")
    one.accept()
    assert state(one) is OrderState.FILLED


def test_a_late_fill_of_a_canceled_order_counts() -> None:
    one = resting()
    one.canceled()
    assert one.fill(1, "4").fill is not None
    assert state(one) is OrderState.CANCELED
    one.fill(2, "6")
    assert state(one) is OrderState.FILLED


@pytest.mark.parametrize("word", ["reject", "expire"])
def test_a_refused_order_that_fills_is_in_doubt(word: str) -> None:
    one = talk(request(expires_ms=1_000))
    if word == "reject":
        one.submit()
        one.reject()
    else:
        one.submit(now=2_000)
    change = one.fill(1, "4")
    assert state(one) is OrderState.UNKNOWN
    assert of_kind(change, OrderQuery)
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 6


def test_a_fill_without_client_id_finds_its_order_by_the_venues_id() -> None:
    one = resting()
    data = OrderFilled(fill_of(one.order, 1, "4"))
    nameless = OrderFilled(type(data.fill)(**{**_fields(data.fill), "client_id": ""}))
    assert one.manager.on_fill(nameless, event(nameless)).order is not None


def _fields(fill: object) -> dict[str, object]:
    return {name: getattr(fill, name) for name in fill.__struct_fields__}  # type: ignore[attr-defined]


def test_a_fill_of_a_strangers_order_is_foreign() -> None:
    one = talk()
    change = one.fill(1, "4")
    assert change.order is None
    assert change.foreign
    assert change.fill is not None
    assert one.fill(1, "4").fill is None


def test_a_liquidation_is_no_foreign_order() -> None:
    manager = OrderManager()
    fill = fill_of(request(), 1, "4")
    forced = OrderFilled(type(fill)(**{**_fields(fill), "client_id": "", "cause": "liquidation"}))
    change = manager.on_fill(forced, event(forced))
    assert change.fill is not None
    assert not change.foreign


def test_more_than_the_size_filled_raises_an_alert() -> None:
    one = resting()
    change = one.fill(1, "11")
    assert filled(one) == 11
    assert [a.level for a in of_kind(change, AlertRaised)] == ["critical"]  # type: ignore[attr-defined]


def test_fills_are_known_again_within_the_window_and_never_booked_beyond_it() -> None:
    one = talk(window=3)
    for number in range(1, 6):
        assert one.fill(number, "1", ts_ms=1_000 + number).fill is not None
    assert one.fill(5, "1", ts_ms=1_005).fill is None
    forgotten = one.fill(1, "1", ts_ms=1_001)
    assert forgotten.fill is None
    assert of_kind(forgotten, AlertRaised)


def test_an_order_in_memory_knows_all_its_fills_whatever_the_window() -> None:
    one = talk(request(size="100"), window=2)
    one.submit()
    for number in range(1, 9):
        one.fill(number, "1", ts_ms=number)
    assert one.fill(1, "1", ts_ms=1).fill is None
    # A fill of it that comes late and is older than the window counts all the same.
    assert one.fill(99, "1", ts_ms=0).fill is not None
    assert filled(one) == 9


def test_ids_of_fills_are_unique_in_an_account_only() -> None:
    manager = OrderManager()
    first = fill_of(request(), 1, "1")
    other = type(first)(**{**_fields(first), "account": "paper/b"})
    assert manager.on_fill(OrderFilled(first), event(OrderFilled(first))).fill is not None
    assert manager.on_fill(OrderFilled(other), event(OrderFilled(other))).fill is not None


# ---- cancel ----------------------------------------------------------------------------------


def test_a_cancel_is_asked_for_once_and_the_order_counts_until_it_is_over() -> None:
    one = resting()
    change = one.manager.request_cancel(one.order.order_id, "enough", event(submit_of(one.order)))
    assert of_kind(change, OrderCancel)
    again = one.manager.request_cancel(one.order.order_id, "enough", event(submit_of(one.order)))
    assert not again.emit
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 10
    one.fill(1, "4")
    assert state(one) is OrderState.PENDING_CANCEL
    one.canceled()
    assert state(one) is OrderState.CANCELED
    assert filled(one) == 4


def test_a_refused_cancel_is_a_hint_that_is_asked_about() -> None:
    one = resting()
    one.manager.request_cancel(one.order.order_id, "enough", event(submit_of(one.order)))
    change = one.reject("cancel")
    assert state(one) is OrderState.UNKNOWN
    assert of_kind(change, OrderQuery)
    one.fill(1, "10")
    assert state(one) is OrderState.FILLED


def test_a_lost_cancel_is_asked_again_when_the_order_turns_out_open() -> None:
    one = resting()
    one.manager.request_cancel(one.order.order_id, "enough", event(submit_of(one.order)))
    one.unknown("cancel")
    change = one.status("open", venue_id="v1")
    assert of_kind(change, OrderCancel)
    assert state(one) is OrderState.PENDING_CANCEL


def test_a_venue_that_never_cancels_is_not_asked_for_ever() -> None:
    one = resting()
    one.manager.request_cancel(one.order.order_id, "enough", event(submit_of(one.order)))
    asked = 0
    for _ in range(20):
        one.unknown("cancel")
        asked += len(of_kind(one.status("open", venue_id="v1"), OrderCancel))
    assert asked == 2  # three in all


def test_a_cancel_that_the_exchange_did_not_hear_is_asked_for_until_it_does() -> None:
    one = resting()
    one.manager.request_cancel(one.order.order_id, "enough", event(submit_of(one.order)))
    for _ in range(20):
        one.reject("cancel", "rate_limited")
        change = one.status("open")
        assert len(of_kind(change, OrderCancel)) == 1
    one.canceled()
    assert state(one) is OrderState.CANCELED


# ---- modify ----------------------------------------------------------------------------------

_NEWS = ("cancel old", "open new", "fill new")


@pytest.mark.parametrize("order", list(permutations(_NEWS)))
@pytest.mark.parametrize("size", ["4", "12"])
def test_a_modification_in_every_order_of_news(order: tuple[str, ...], size: str) -> None:
    one = resting()
    wanted = Decimal(size)
    at = event(submit_of(one.order))
    changed = msgspec.structs.replace(one.order, size=wanted, price=Decimal(99))
    change = one.manager.request_modify(
        one.order.order_id, Decimal(99), wanted, "trail", at, cleared(changed)
    )
    assert of_kind(change, OrderModify)
    tell = {
        "cancel old": lambda: one.canceled("v1"),
        "open new": lambda: one.modified("v2", "99", size),
        "fill new": lambda: one.fill(1, size, venue_id="v2"),
    }
    for news in order:
        assert state(one) is not OrderState.CANCELED
        tell[news]()
    assert filled(one) == wanted
    assert state(one) is OrderState.FILLED


@pytest.mark.parametrize("order", list(permutations(_NEWS)))
def test_a_modified_order_stays_alive_after_a_part_of_it_filled(order: tuple[str, ...]) -> None:
    one = resting()
    at = event(submit_of(one.order))
    one.manager.request_modify(one.order.order_id, Decimal(99), Decimal(8), "trail", at)
    tell = {
        "cancel old": lambda: one.canceled("v1"),
        "open new": lambda: one.modified("v2", "99", "8"),
        "fill new": lambda: one.fill(1, "3", venue_id="v2"),
    }
    for news in order:
        tell[news]()
    assert state(one) is OrderState.PARTIAL
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 5
    one.canceled("v2")
    assert state(one) is OrderState.CANCELED


def test_the_larger_size_counts_while_a_modification_is_under_way() -> None:
    one = resting()
    at = event(submit_of(one.order))
    larger = msgspec.structs.replace(one.order, size=Decimal(25), price=Decimal(99))
    one.manager.request_modify(
        one.order.order_id, Decimal(99), Decimal(25), "grow", at, cleared(larger)
    )
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 25


def test_an_entry_gets_no_larger_without_a_risk_check() -> None:
    one = resting()
    at = event(submit_of(one.order))
    ask = partial(one.manager.request_modify, one.order.order_id, Decimal(99), Decimal(25), "", at)
    change = ask()
    assert not of_kind(change, OrderModify)
    assert [a.level for a in of_kind(change, AlertRaised)] == ["critical"]
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 10
    with pytest.raises(RefusedError):  # that of another size is good for nothing here
        ask(cleared(one.order))


def test_an_order_that_passed_no_risk_check_is_not_sent() -> None:
    manager, data = OrderManager(), submit_of(request())
    change = manager.submit(data, event(data))
    assert not change.send
    assert manager.get(data.order.order_id) is None
    assert [a.level for a in of_kind(change, AlertRaised)] == ["critical"]


def test_a_risk_check_is_good_for_one_order_and_no_other() -> None:
    manager, data = OrderManager(), submit_of(request())
    passed = cleared(data.order)
    other = submit_of(request(2, size="11"))
    with pytest.raises(RefusedError):
        manager.intend(other, event(other), passed)
    manager.intend(data, event(data), passed)
    same = submit_of(request(3))
    with pytest.raises(RefusedError):
        manager.intend(same, event(same), passed)


def test_the_new_leg_canceled_before_it_was_announced() -> None:
    one = resting()
    at = event(submit_of(one.order))
    one.manager.request_modify(one.order.order_id, Decimal(99), Decimal(10), "trail", at)
    one.canceled("v2")
    one.modified("v2", "99", "10")
    assert state(one) is OrderState.CANCELED


def test_a_refused_modification_of_an_order_that_was_canceled() -> None:
    one = resting()
    at = event(submit_of(one.order))
    one.manager.request_modify(one.order.order_id, Decimal(99), Decimal(10), "trail", at)
    one.canceled()
    one.reject("modify", "not_open")
    assert state(one) is OrderState.CANCELED


def test_a_lost_modification_that_took_effect_is_learnt_from_the_new_leg() -> None:
    one = resting()
    at = event(submit_of(one.order))
    one.manager.request_modify(one.order.order_id, Decimal(99), Decimal(8), "trail", at)
    one.unknown("modify")
    one.fill(1, "3", venue_id="v2")
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 7  # of the larger size, while in doubt
    one.status("open", venue_id="v2", filled="3")
    order = one.manager.get(one.order.order_id)
    assert order is not None
    assert (order.size, order.price, order.state) == (8, 99, OrderState.PARTIAL)


def test_a_lost_modification_that_came_to_nothing_leaves_the_order_as_it_was() -> None:
    one = resting()
    at = event(submit_of(one.order))
    one.manager.request_modify(one.order.order_id, Decimal(99), Decimal(8), "trail", at)
    one.unknown("modify")
    one.status("open", venue_id="v1")
    order = one.manager.get(one.order.order_id)
    assert order is not None
    assert (order.size, order.price, order.state) == (10, 100, OrderState.RESTING)
    assert order.asked_size is None


def test_a_repeated_answer_to_an_earlier_modification_changes_nothing() -> None:
    one = resting()
    at = event(submit_of(one.order))
    for price in ("99", "98"):
        one.manager.request_modify(one.order.order_id, Decimal(price), Decimal(10), "trail", at)
        one.modified("v1", price, "10")
    one.modified("v1", "99", "10")
    order = one.manager.get(one.order.order_id)
    assert order is not None
    assert order.price == 98


def test_a_late_word_about_an_old_leg_changes_nothing() -> None:
    one = resting()
    at = event(submit_of(one.order))
    for price, leg in (("99", "v2"), ("98", "v3")):
        one.manager.request_modify(one.order.order_id, Decimal(price), Decimal(10), "trail", at)
        one.modified(leg, price, "10")
    one.modified("v2", "99", "10")
    order = one.manager.get(one.order.order_id)
    assert order is not None
    assert (order.price, order.venue_id) == (98, "v3")
    one.unknown("cancel")
    one.status("open", venue_id="v2")
    assert order.state is OrderState.UNKNOWN
    one.status("open", venue_id="v3")
    assert order.state is OrderState.RESTING


# ---- UNKNOWN ---------------------------------------------------------------------------------


def test_a_timeout_is_unknown_counted_in_full_and_blocks_the_symbol() -> None:
    one = talk()
    one.submit()
    change = one.unknown()
    assert state(one) is OrderState.UNKNOWN
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 10
    assert one.manager.blocked(ACCOUNT, SYMBOL)
    assert not one.manager.blocked(ACCOUNT, "ETH")
    assert len(of_kind(change, OrderQuery)) == 1
    assert not one.submit().send  # never sent again


def test_silence_becomes_unknown() -> None:
    one = talk()
    (timer,) = of_kind(one.submit(now=1_000), TimerSet)
    assert isinstance(timer, TimerSet)
    assert timer.due_ms == 11_000
    change = one.timer(timer.timer, 11_000)
    assert state(one) is OrderState.UNKNOWN
    assert of_kind(change, OrderQuery)


def test_an_answer_in_time_needs_no_query() -> None:
    one = talk()
    (timer,) = of_kind(one.submit(), TimerSet)
    one.accept()
    assert isinstance(timer, TimerSet)
    assert not one.timer(timer.timer, timer.due_ms).emit


def test_queries_back_off() -> None:
    one = talk(ack_ms=0)
    one.submit(now=0)
    now, pauses = 0, []
    change = one.unknown(now=0)
    for _ in range(9):
        (timer,) = of_kind(change, TimerSet)
        assert isinstance(timer, TimerSet)
        pauses.append(timer.due_ms - now)
        now = timer.due_ms
        change = one.timer(timer.timer, now)
        assert len(of_kind(change, OrderQuery)) == 1
    assert pauses == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]


def test_unknown_is_resolved_by_what_the_exchange_says() -> None:
    for word, expected in (
        ("open", OrderState.RESTING),
        ("marginCanceled", OrderState.CANCELED),
        ("tickRejected", OrderState.REJECTED),
    ):
        one = talk()
        one.submit()
        one.unknown()
        one.status(word, venue_id="v1")
        assert state(one) is expected
        assert not one.manager.blocked(ACCOUNT, SYMBOL)


def test_unknown_is_resolved_by_fills() -> None:
    one = talk()
    one.submit()
    one.unknown()
    one.fill(1, "4")
    assert state(one) is OrderState.UNKNOWN
    one.fill(2, "6")
    assert state(one) is OrderState.FILLED


@pytest.mark.parametrize("word", ["filled", "canceled"])
def test_over_at_the_exchange_is_over_here_when_the_fills_are_complete(word: str) -> None:
    one = resting()
    total = "10" if word == "filled" else "4"
    one.status(word, venue_id="v1", filled=total)
    assert state(one) is OrderState.UNKNOWN
    assert one.manager.exposure(ACCOUNT, SYMBOL).buy == 10
    one.fill(1, total)
    assert state(one).value == word


def test_never_heard_of_it_counts_after_the_expiry_and_twice() -> None:
    one = talk(request(expires_ms=10_000), margin_ms=5_000)
    one.submit()
    one.unknown()
    for venue_ms in (9_000, 12_000, 15_000):
        one.status("unknownOid", venue_ms=venue_ms)
        assert state(one) is OrderState.UNKNOWN
    one.status("unknownOid", venue_ms=15_001)
    one.status("unknownOid", venue_ms=15_001)  # the same answer again is no second one
    assert state(one) is OrderState.UNKNOWN
    one.status("unknownOid", venue_ms=16_000)
    assert state(one) is OrderState.EXPIRED
    assert not one.manager.blocked(ACCOUNT, SYMBOL)


def test_never_heard_of_it_is_not_believed_of_an_order_that_was_there() -> None:
    one = talk(request(expires_ms=10_000))
    one.submit()
    one.accept()
    one.unknown("cancel")
    for venue_ms in (20_000, 30_000, 40_000):
        one.status("unknownOid", venue_ms=venue_ms)
    assert state(one) is OrderState.UNKNOWN


def test_without_an_expiry_absence_proves_nothing() -> None:
    one = talk(request(expires_ms=0))
    one.submit()
    one.unknown()
    for venue_ms in (10**9, 2 * 10**9, 3 * 10**9):
        one.status("unknownOid", venue_ms=venue_ms)
    assert state(one) is OrderState.UNKNOWN


def test_a_word_that_nobody_knows_is_unknown_and_alarms() -> None:
    one = resting()
    change = one.status("frozenByCommittee")
    assert state(one) is OrderState.UNKNOWN
    levels = {a.level for a in of_kind(change, AlertRaised)}  # type: ignore[attr-defined]
    assert "critical" in levels


def test_what_was_in_flight_when_the_process_ended_is_unknown() -> None:
    one = talk()
    one.submit()
    changes = one.manager.on_resumed(event(RunResumed("build"), 2_000))
    assert state(one) is OrderState.UNKNOWN
    assert [p for c in changes for p in c.emit if isinstance(p, OrderQuery)]


# ---- memory and snapshots --------------------------------------------------------------------


def test_memory_is_bounded_over_many_orders() -> None:
    manager = OrderManager(OrderSettings(retained=10, window=20))
    for number in range(1, 2_001):
        one = Talk(manager, request(number))
        one.submit(now=number)
        one.accept(f"v{number}", now=number)
        one.fill(number, "10", venue_id=f"v{number}", ts_ms=number, now=number)
    plain = manager.plain()
    assert len(plain["orders"]) == 10
    assert len(plain["fills"]["ids"][ACCOUNT]) == 20
    assert len(manager._index._venue) == len(manager._index._client) == 10
    assert len(manager._due) < 2_001
    manager.on_timer("orders@1", event(RunResumed(""), 10**9))
    assert manager._due == []


def test_a_snapshot_gives_the_same_manager_back() -> None:
    one = resting()
    one.fill(1, "4")
    one.manager.request_cancel(one.order.order_id, "enough", event(submit_of(one.order)))
    two = Talk(one.manager, request(2, side=Side.SELL, kind=OrderKind.STOP, reduce_only=True))
    two.submit()
    two.unknown()
    plain = one.manager.plain()
    again = OrderManager()
    again.restore(plain)
    assert content_hash(again.plain()) == content_hash(plain)
    assert again.exposure(ACCOUNT, SYMBOL) == one.manager.exposure(ACCOUNT, SYMBOL)
    assert again.blocked(ACCOUNT, SYMBOL)
    twin = Talk(again, one.order)
    assert twin.fill(1, "4").fill is None
    assert twin.fill(2, "6").emit == one.fill(2, "6").emit
    data = OrderAccepted(two.order.client_id, "v9")
    assert again.on_accepted(data, event(data)).moved
    assert content_hash(again.plain()) != content_hash(plain)


def test_a_reply_about_a_stranger_raises_an_alert_and_nothing_else() -> None:
    one = talk()
    for change in (one.accept(), one.reject(), one.canceled(), one.unknown(), one.status("open")):
        assert change.order is None
        assert [type(payload) for payload in change.emit] == [AlertRaised]
