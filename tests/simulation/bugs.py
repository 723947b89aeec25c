"""Bugs that people write, planted on purpose: to find nothing would prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from genesis.domain.ids import client_order_id
from genesis.trading import worker
from genesis.trading.core import TradingCore
from genesis.trading.events import Event
from genesis.trading.gateway import VenueFill
from genesis.trading.order_manager import Change, Exposure, OrderManager, OrderSettings
from genesis.trading.orders import Move, Order, OrderState
from genesis.trading.payloads import OrderFilled, OrderSubmit
from tests.simulation.market import RUN, Setting
from tests.simulation.trader import fresh_core
from tests.unit.trading.clearing import cleared

Make = Callable[[Setting], TradingCore]


class ResendOnTimeout(OrderManager):
    """No answer is taken for "it did not arrive": the order is made again under a new name."""

    def _lose(self, change: Change, now: int, doubt: str, why: str) -> None:
        order = change.order
        assert order is not None
        if doubt != "submit" or order.state is not OrderState.SUBMITTED:
            super()._lose(change, now, doubt, why)
            return
        self._end(change, Move.EXPIRE, now, why)
        data = _again(order, now)
        self.intend(data, Event(data, now, recorded_ms=now), cleared(data.order))
        change.emit.append(data)


def _again(order: Order, now: int) -> OrderSubmit:
    request = order.request
    name = request.order_id + "r"
    fresh = msgspec.structs.replace(
        request,
        order_id=name,
        client_id=client_order_id(request.account, RUN, name),
        expires_ms=now + request.expires_ms - order.intent_ms,
    )
    deployment, plan, purpose = order.deployment, order.plan_id, order.purpose
    return OrderSubmit(deployment, plan, purpose, fresh, order.intent_id, order.reference)


class DedupeByOrder(OrderManager):
    """A second fill of an order is taken for a repetition of the first."""

    def on_fill(self, data: OrderFilled, event: Event) -> Change:
        order = self.by_client(data.fill.client_id)
        if order is not None and order.fill_ids:
            return Change(order, order.state)
        return super().on_fill(data, event)

    def booked(self, fill: VenueFill) -> bool:
        order = self.by_client(fill.client_id)
        return bool(order is not None and order.fill_ids) or super().booked(fill)


class UnknownIsZero(OrderManager):
    """An order of which nobody knows what became counts for nothing."""

    def exposure(self, account: str, symbol: str) -> Exposure:
        live = self.open_orders(account, symbol)
        held = [order for order in live if order.state is OrderState.UNKNOWN and order.size]
        sizes = [(order, order.size) for order in held]
        for order in held:
            order.size = order.filled
        try:
            return super().exposure(account, symbol)
        finally:
            for order, size in sizes:
                order.size = size


class CancelBeatsFill(OrderManager):
    """What is canceled cannot have filled."""

    def on_fill(self, data: OrderFilled, event: Event) -> Change:
        order = self.by_client(data.fill.client_id)
        if order is not None and order.state is OrderState.CANCELED:
            return Change(order, order.state)
        return super().on_fill(data, event)


def _reused(account: str, run: str, order_id: str) -> str:
    """Without the counter, orders of one second go by one id."""
    return client_order_id(account, run, order_id.rpartition("_")[0])


BUGS: dict[str, type[OrderManager] | None] = {
    "resend_on_timeout": ResendOnTimeout,
    "dedupe_by_order": DedupeByOrder,
    "unknown_is_zero": UnknownIsZero,
    "cancel_beats_fill": CancelBeatsFill,
    "client_id_reused": None,
}


@contextmanager
def planted(name: str) -> Iterator[Make]:
    """Make cores with a bug, or sound ones where the name is empty."""
    if not name:
        yield fresh_core
        return
    manager = BUGS[name]
    if manager is None:
        sound = worker.client_order_id
        worker.client_order_id = _reused
        try:
            yield fresh_core
        finally:
            worker.client_order_id = sound
        return

    def make(setting: Setting) -> TradingCore:
        core = fresh_core(setting)
        core.desk.orders = _with(manager, setting.orders)
        return core

    yield make


def _with(manager: type[OrderManager], settings: OrderSettings) -> OrderManager:
    return manager(settings)
