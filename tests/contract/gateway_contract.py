"""What every gateway must do, whatever is behind it: one suite, inherited once a gateway.

A subclass gives a `bench` fixture: a gateway connected to a venue whose price the test can set.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from genesis.trading.events import Event, Payload
from genesis.trading.gateway import OrderKind, OrderRequest, Side, Tif, VenueFill
from genesis.trading.money import by_side
from genesis.trading.orders import VenueStatus, venue_status
from genesis.trading.payloads import (
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderModified,
    OrderRejected,
    OrderStatus,
)

D = Decimal
_IDS = itertools.count(1)


@dataclass
class Bench:
    """A gateway on a venue under the test's control.

    Attributes
    ----------
    gateway : Gateway
    account, symbol : str
        The symbol's price is near 100, its lot divides 0.01, its tick 0.01.
    price : callable
        Sets the price of the venue and lets its orders meet it.
    settle : callable
        Returns when every answer so far has been delivered.
    now : callable
        Time of the venue, milliseconds.
    reopen : callable
        Another gateway to the same venue, as after a restart, connected to a sink.
    events : list of Event
        What the gateway delivered.
    """

    gateway: Any
    account: str
    symbol: str
    price: Callable[[float], None]
    settle: Callable[[], None]
    now: Callable[[], int]
    reopen: Callable[[Callable[[Event], None]], Any]
    events: list[Event] = field(default_factory=list)

    def order(
        self,
        side: Side,
        size: str,
        kind: OrderKind = OrderKind.MARKET,
        price: str | None = None,
        **more: Any,
    ) -> OrderRequest:
        number = next(_IDS)
        given = {"client_id": f"0x{number:032x}", "symbol": self.symbol} | more
        return OrderRequest(
            order_id=f"ORD_{number}",
            account=self.account,
            side=side,
            kind=kind,
            size=D(size),
            price=None if price is None else D(price),
            **given,
        )

    def send(self, *args: Any, **more: Any) -> OrderRequest:
        order = self.order(*args, **more)
        self.gateway.submit(order)
        self.settle()
        return order

    def of(self, kind: type[Payload], client_id: str | None = None) -> list[Any]:
        """Payloads of a type, of one order or of all."""
        out = [e.data for e in self.events if isinstance(e.data, kind)]
        return [d for d in out if client_id is None or self._client(d) == client_id]

    @staticmethod
    def _client(data: Any) -> str:
        return data.fill.client_id if isinstance(data, OrderFilled) else data.client_id

    def fills(self, order: OrderRequest | None = None) -> list[VenueFill]:
        found = self.of(OrderFilled, None if order is None else order.client_id)
        return [data.fill for data in found]

    def filled(self, order: OrderRequest) -> Decimal:
        return sum((f.size for f in self.fills(order)), D(0))

    def position(self) -> Decimal:
        held = self.gateway.account_state(self.account, 0).positions
        return next((p.size for p in held if p.symbol == self.symbol), D(0))

    def open_ids(self) -> set[str]:
        return {o.client_id for o in self.gateway.account_state(self.account, 0).orders}

    def status(self, order: OrderRequest) -> OrderStatus:
        self.gateway.query(self.account, order.symbol, order.client_id)
        self.settle()
        return self.of(OrderStatus, order.client_id)[-1]


class GatewayContract:
    """The suite. Prices begin at 100."""

    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError("give a bench of the gateway under test")

    # ---- orders that take ------------------------------------------------------------------

    def test_a_market_order_is_accepted_and_filled(self, bench: Bench) -> None:
        order = bench.send(Side.BUY, "0.5")
        (accepted,) = bench.of(OrderAccepted, order.client_id)
        assert accepted.venue_id
        assert bench.filled(order) == D("0.5")
        for fill in bench.fills(order):
            assert (fill.account, fill.symbol, fill.side) == (bench.account, bench.symbol, "buy")
            assert fill.price == pytest.approx(D(100), rel=D("0.01"))
            assert fill.price >= fill.reference
            assert fill.fee > 0
            assert not fill.maker
            assert fill.venue_id == accepted.venue_id
        names = [type(e.data) for e in bench.events]
        assert names.index(OrderAccepted) < names.index(OrderFilled)

    def test_fills_add_up_to_the_position_and_the_account_tells_the_same(
        self, bench: Bench
    ) -> None:
        for side, size in ((Side.BUY, "0.5"), (Side.BUY, "0.3"), (Side.SELL, "1.2")):
            bench.send(side, size)
        resting = bench.send(Side.BUY, "0.1", OrderKind.LIMIT, "90")
        state = bench.gateway.account_state(bench.account, 0)
        fills = sorted(bench.fills(), key=lambda f: f.ts_ms)
        assert sum(by_side(f.side, f.size) for f in fills) == D("-0.4") == bench.position()
        assert list(state.fills) == fills
        assert len({f.fill_id for f in fills}) == len(fills)
        (open_,) = state.orders
        assert (open_.client_id, open_.price, open_.filled) == (resting.client_id, D(90), D(0))
        later = bench.gateway.account_state(bench.account, fills[-1].ts_ms + 1)
        assert later.fills == ()

    def test_a_client_id_is_never_a_second_order(self, bench: Bench) -> None:
        order = bench.send(Side.BUY, "0.5")
        bench.gateway.submit(order)
        bench.gateway.submit(bench.order(Side.BUY, "0.7", client_id=order.client_id))
        bench.settle()
        assert bench.position() == D("0.5")
        assert bench.filled(order) == D("0.5")
        answers = bench.of(OrderStatus, order.client_id)
        assert [venue_status(a.status) for a in answers] == [VenueStatus.FILLED] * 2

    def test_a_resting_client_id_is_never_a_second_order(self, bench: Bench) -> None:
        order = bench.send(Side.BUY, "0.5", OrderKind.LIMIT, "95")
        bench.gateway.submit(order)
        bench.settle()
        assert len(bench.gateway.account_state(bench.account, 0).orders) == 1

    # ---- orders that rest ------------------------------------------------------------------

    def test_a_limit_rests_and_fills_as_maker_at_its_price(self, bench: Bench) -> None:
        order = bench.send(Side.BUY, "0.5", OrderKind.LIMIT, "95")
        assert bench.fills() == []
        for _ in range(4):  # in parts, where the venue fills in parts
            bench.price(94.0)
            bench.price(100.0)
        assert bench.filled(order) == D("0.5")
        assert {f.maker for f in bench.fills(order)} == {True}
        assert all(f.price <= D(95) for f in bench.fills(order))
        assert bench.open_ids() == set()

    def test_cancel_ends_a_resting_order(self, bench: Bench) -> None:
        order = bench.send(Side.SELL, "0.5", OrderKind.LIMIT, "105")
        bench.gateway.cancel(bench.account, bench.symbol, order.client_id)
        bench.settle()
        assert len(bench.of(OrderCanceled, order.client_id)) == 1
        bench.price(106.0)
        assert bench.fills() == []
        assert bench.open_ids() == set()

    def test_a_late_cancel_is_refused_and_the_fill_stands(self, bench: Bench) -> None:
        order = bench.send(Side.BUY, "0.5")
        bench.gateway.cancel(bench.account, bench.symbol, order.client_id)
        bench.settle()
        (refused,) = bench.of(OrderRejected, order.client_id)
        assert refused.what == "cancel"
        assert bench.of(OrderCanceled) == []
        assert bench.position() == D("0.5")

    def test_cancel_of_what_never_was_is_refused(self, bench: Bench) -> None:
        bench.gateway.cancel(bench.account, bench.symbol, "0x" + "f" * 32)
        bench.settle()
        (refused,) = bench.of(OrderRejected, "0x" + "f" * 32)
        assert refused.what == "cancel"

    def test_modify_replaces_price_and_size_and_keeps_the_client_id(self, bench: Bench) -> None:
        order = bench.send(Side.BUY, "0.5", OrderKind.LIMIT, "90")
        changed = bench.order(Side.BUY, "0.8", OrderKind.LIMIT, "96", client_id=order.client_id)
        bench.gateway.modify(changed)
        bench.settle()
        (modified,) = bench.of(OrderModified, order.client_id)
        assert (modified.price, modified.size) == (D(96), D("0.8"))
        (open_,) = bench.gateway.account_state(bench.account, 0).orders
        assert (open_.client_id, open_.price, open_.size) == (order.client_id, D(96), D("0.8"))
        for _ in range(4):
            bench.price(95.0)
            bench.price(100.0)
        assert bench.filled(order) == D("0.8")

    def test_modify_of_an_ended_or_unknown_order_is_refused(self, bench: Bench) -> None:
        ended = bench.send(Side.BUY, "0.5")
        for client_id in (ended.client_id, "0x" + "e" * 32):
            bench.gateway.modify(
                bench.order(Side.BUY, "0.8", OrderKind.LIMIT, "96", client_id=client_id)
            )
            bench.settle()
            (refused,) = bench.of(OrderRejected, client_id)
            assert refused.what == "modify"
        assert bench.open_ids() == set()

    def test_query_tells_what_became_of_an_order(self, bench: Bench) -> None:
        done = bench.send(Side.BUY, "0.5")
        rests = bench.send(Side.BUY, "0.4", OrderKind.LIMIT, "90")
        gone = bench.send(Side.BUY, "0.3", OrderKind.LIMIT, "90")
        bench.gateway.cancel(bench.account, bench.symbol, gone.client_id)
        refused = bench.send(Side.SELL, "-1")
        never = bench.order(Side.BUY, "1")
        want = {
            done: (VenueStatus.FILLED, D("0.5")),
            rests: (VenueStatus.OPEN, D(0)),
            gone: (VenueStatus.CANCELED, D(0)),
            refused: (VenueStatus.REJECTED, D(0)),
            never: (VenueStatus.ABSENT, D(0)),
        }
        for order, (status, filled) in want.items():
            answer = bench.status(order)
            assert venue_status(answer.status) is status, order
            assert answer.filled == filled
            assert answer.venue_ms == bench.now()

    def test_ioc_and_post_only(self, bench: Bench) -> None:
        idle = bench.send(Side.BUY, "0.5", OrderKind.LIMIT, "95", tif=Tif.IOC)
        assert len(bench.of(OrderCanceled, idle.client_id)) == 1
        takes = bench.send(Side.BUY, "0.5", OrderKind.LIMIT, "101", tif=Tif.IOC)
        assert bench.filled(takes) == D("0.5")
        crossing = bench.send(Side.BUY, "0.5", OrderKind.LIMIT, "101", tif=Tif.ALO)
        (refused,) = bench.of(OrderRejected, crossing.client_id)
        assert refused.what == "submit"
        rests = bench.send(Side.BUY, "0.5", OrderKind.LIMIT, "95", tif=Tif.ALO)
        assert bench.open_ids() == {rests.client_id}

    # ---- exits -----------------------------------------------------------------------------

    def test_reduce_only_never_opens_nor_flips(self, bench: Bench) -> None:
        lone = bench.send(Side.SELL, "0.5", reduce_only=True)
        (refused,) = bench.of(OrderRejected, lone.client_id)
        assert refused.reason == "reduce_only"
        bench.send(Side.BUY, "0.5")
        wrong = bench.send(Side.BUY, "0.5", reduce_only=True)
        assert len(bench.of(OrderRejected, wrong.client_id)) == 1
        large = bench.send(Side.SELL, "0.9", reduce_only=True)
        assert bench.filled(large) == D("0.5")
        assert bench.position() == 0
        assert venue_status(bench.status(large).status) is not VenueStatus.OPEN
        assert bench.open_ids() == set()

    @pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
    def test_a_stop_closes_the_position_as_taker(self, bench: Bench, side: Side) -> None:
        away = Side.SELL if side is Side.BUY else Side.BUY
        worse, level = (94.0, "95") if side is Side.BUY else (106.0, "105")
        bench.send(side, "0.5")
        stop = bench.send(away, "0.5", OrderKind.STOP, level, reduce_only=True)
        assert venue_status(bench.status(stop).status) is VenueStatus.TRIGGER_WAIT
        assert bench.filled(stop) == 0
        bench.price(worse)
        assert bench.filled(stop) == D("0.5")
        assert {f.maker for f in bench.fills(stop)} == {False}
        beyond = [(f.price - D(level)) * (1 if away is Side.BUY else -1) for f in bench.fills(stop)]
        assert all(slip >= 0 for slip in beyond)
        assert bench.position() == 0

    @pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
    def test_a_target_closes_the_position_as_maker(self, bench: Bench, side: Side) -> None:
        away = Side.SELL if side is Side.BUY else Side.BUY
        better, level = (106.0, "105") if side is Side.BUY else (94.0, "95")
        bench.send(side, "0.5")
        target = bench.send(away, "0.5", OrderKind.TARGET, level, reduce_only=True)
        for _ in range(4):
            bench.price(better)
            bench.price(100.0)
        assert bench.filled(target) == D("0.5")
        assert {f.maker for f in bench.fills(target)} == {True}
        assert bench.position() == 0

    def test_the_other_exit_of_a_flat_position_fills_nothing(self, bench: Bench) -> None:
        bench.send(Side.BUY, "0.5")
        bench.send(Side.SELL, "0.5", OrderKind.STOP, "95", reduce_only=True)
        target = bench.send(Side.SELL, "0.5", OrderKind.TARGET, "105", reduce_only=True)
        bench.price(94.0)
        bench.price(110.0)
        assert bench.filled(target) == 0
        assert bench.position() == 0
        bench.gateway.cancel(bench.account, bench.symbol, target.client_id)
        bench.settle()
        assert bench.open_ids() == set()

    # ---- refusals --------------------------------------------------------------------------

    def test_an_expired_order_is_refused(self, bench: Bench) -> None:
        late = bench.send(Side.BUY, "0.5", expires_ms=bench.now() - 1)
        (refused,) = bench.of(OrderRejected, late.client_id)
        assert (refused.what, refused.reason) == ("submit", "expired")
        in_time = bench.send(Side.BUY, "0.5", expires_ms=bench.now() + 60_000)
        assert bench.filled(in_time) == D("0.5")
        assert bench.position() == D("0.5")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"size": "0"},
            {"size": "-1"},
            {"size": "NaN"},
            {"size": "0.0000123"},
            {"kind": OrderKind.LIMIT, "price": "0"},
            {"kind": OrderKind.LIMIT, "price": "-5"},
            {"kind": OrderKind.LIMIT, "price": "NaN"},
            {"kind": OrderKind.LIMIT, "price": "95.00001"},
            {"kind": OrderKind.STOP},
            {"symbol": "NOSUCH"},
        ],
        ids=str,
    )
    def test_a_malformed_order_is_refused(self, bench: Bench, wrong: dict[str, Any]) -> None:
        order = bench.send(Side.BUY, **({"size": "0.5"} | wrong))
        (refused,) = bench.of(OrderRejected, order.client_id)
        assert refused.what == "submit"
        assert refused.reason
        assert bench.of(OrderAccepted) == []
        assert bench.position() == 0

    def test_accounts_are_apart(self, bench: Bench) -> None:
        bench.send(Side.BUY, "0.5")
        other = bench.gateway.account_state(bench.account + "-other", 0)
        assert (other.positions, other.orders, other.fills) == ((), (), ())

    def test_close_sends_nothing(self, bench: Bench) -> None:
        bench.send(Side.BUY, "0.5")
        rests = bench.send(Side.SELL, "0.5", OrderKind.LIMIT, "110")
        bench.gateway.close()
        later: list[Event] = []
        again = bench.reopen(later.append)
        state = again.account_state(bench.account, 0)
        assert [p.size for p in state.positions] == [D("0.5")]
        assert [o.client_id for o in state.orders] == [rests.client_id]
        again.cancel(bench.account, bench.symbol, rests.client_id)
        again.settle()
        assert [e.data.client_id for e in later if isinstance(e.data, OrderCanceled)] == [
            rests.client_id
        ]
        again.close()
