"""What must hold at the end of a seed, judged from the exchange's truth and the stored log."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from genesis.domain.ids import client_order_id
from genesis.trading.events import Event, EventType
from genesis.trading.money import by_side
from genesis.trading.orders import OrderState, VenueStatus
from genesis.trading.payloads import FundingPaid, OrderStatus, TradeIntent
from genesis.trading.replay import Refold
from genesis.trading.store import EventReader
from tests.simulation.market import RUN

if TYPE_CHECKING:
    from tests.simulation.world import World

_MEANT = {
    VenueStatus.FILLED: (OrderState.FILLED,),
    VenueStatus.CANCELED: (OrderState.CANCELED,),
    VenueStatus.REJECTED: (OrderState.REJECTED, OrderState.EXPIRED),
}
_LEADS = (EventType.ORDER_SUBMIT, EventType.INTENT_EXPIRED, EventType.OPPORTUNITY_REJECTED)


def judge(world: World) -> None:
    """Check I1, I2, I3 and I5 over everything that happened; I4 was watched all along."""
    world.trader.session.loop.flush()
    with EventReader(world.trader.folder) as reader:
        events = list(reader.events())
        fills = reader.rows("fills")
    _sent_once(world)
    _intents_end(world, events)
    _orders_agree(world)
    _books_agree(world, [(row["account"], row["venue_fill_id"]) for row in fills])
    _fold(world, events)


def _sent_once(world: World) -> None:
    for client_id, count in world.trader.submits.items():
        if count > 1:
            world.found(f"I1 {client_id} was sent {count} times")


def _intents_end(world: World, events: list[Event]) -> None:
    led = {event.caused_by for event in events if event.type in _LEADS}
    for event in events:
        if isinstance(event.data, TradeIntent) and event.seq not in led:
            world.found(f"I2 nothing became of intent {event.data.intent_id}")


def _orders_agree(world: World) -> None:
    orders, paper = world.trader.core.desk.orders, world.venue.paper
    for client_id, request in world.venue.received.items():
        told = world.venue.call(lambda r=request: paper.query(r.account, r.symbol, r.client_id))
        there = told[0].data
        assert isinstance(there, OrderStatus)
        order = orders.by_client(client_id)
        if client_id != client_order_id(request.account, RUN, request.order_id) and order:
            world.found(f"I1 the client id of {request.order_id} is not made of its own id")
        if order is None:
            if not client_id.startswith("hand"):
                world.found(f"I3 nobody here knows {request.order_id}")
            continue
        if order.filled != there.filled:
            world.found(f"I3 {order.order_id} filled {order.filled} here, {there.filled} there")
        if order.state not in _MEANT.get(VenueStatus(there.status), ()):
            world.found(f"I3 {order.order_id} is {order.state} here, {there.status} there")


def _books_agree(world: World, booked: list[tuple[str, str]]) -> None:
    counts = Counter(booked)
    real = {(f.account, f.fill_id) for fills in world.venue.fills.values() for f in fills}
    for key, count in counts.items():
        if count > 1:
            world.found(f"I3 fill {key} is booked {count} times")
    if real != set(counts):
        world.found(
            f"I3 {len(real - set(counts))} fills are missing, {len(set(counts) - real)} made up"
        )
    ledger = world.trader.core.desk.ledger
    deposits = Counter[str]()
    for added in world.setting.deployments:
        deposits[added.account] += int(added.capital)
    for account, deposit in deposits.items():
        cash = Decimal(deposit)
        for fill in world.venue.fills[account]:
            cash -= by_side(fill.side, fill.size) * fill.price + fill.fee
        for event in world.venue.fundings[account]:
            assert isinstance(event.data, FundingPaid)
            cash -= event.data.amount
        held = ledger.positions(account)
        here = ledger.account(account).cash - sum((h.cost for h in held), Decimal(0))
        if abs(here - cash) > Decimal("1e-12"):
            world.found(f"I3 cash of {account}: {here} here, {cash} there")
        for symbol in world.setting.instruments:
            mine, there = ledger.position(account, symbol), world.venue.position(account, symbol)
            if mine != there:
                world.found(f"I3 {account} {symbol}: {mine} here, {there} there")


def _fold(world: World, events: list[Event]) -> None:
    refold = Refold(world.make())
    for event in events:
        refold.handle(event)
    for divergence in refold.divergences[:3]:
        world.found(f"I5 event {divergence.seq}: {divergence.what}")
    for event in refold.pending()[:3]:
        world.found(f"I5 {event.type} of {event.caused_by} was emitted and is not in the log")
    live = world.trader.core
    if refold.core.state_hash != live.state_hash:
        parts = _differing(refold.core.plain(), live.plain(), "")
        world.found(f"I5 the fold of the log is another state: {', '.join(parts[:5])}")


def _differing(one: object, two: object, path: str) -> list[str]:
    """Where two plain states differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        found = []
        for key in one.keys() | two.keys():
            found += _differing(one.get(key), two.get(key), f"{path}.{key}")
        return sorted(found)
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        return [
            x
            for k, (a, b) in enumerate(zip(one, two, strict=True))
            for x in _differing(a, b, f"{path}[{k}]")
        ]
    return [] if one == two or repr(one) == repr(two) else [f"{path}: {one!r} and {two!r}"[:200]]
