"""Reconciliation: what an exchange says about an account beside what the ledger holds.

Fills and funding that are missing here are facts and are always booked, once, by the way that
all of them take. An order that the exchange does not list, or lists with other terms, becomes
UNKNOWN and is asked for. What is left (a position that its fills do not explain, an order that
nobody here sent) halts new risk until a person has the difference adopted.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import msgspec

from genesis.domain.ids import Ids
from genesis.trading.accounts import Holding
from genesis.trading.desk import Desk
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import (
    AccountState,
    OpenOrder,
    Side,
    VenueFill,
    VenueFunding,
    VenuePosition,
)
from genesis.trading.ledger import StrategyLedger
from genesis.trading.money import add, by_side, subtract
from genesis.trading.order_manager import Change, OrderManager
from genesis.trading.orders import ZERO, Order, OrderState
from genesis.trading.payloads import (
    AccountSnapshot,
    AlertRaised,
    FundingPaid,
    OrderFilled,
    Reconciled,
    TradingHalted,
    TradingResumed,
)

ADOPTED = "adopted"
"""Cause of a fill that reconciliation invents to explain a position, with a person's consent."""

HALT = "reconcile: "
"""Beginning of the reason of halts that a later, equal comparison lifts."""

_OPEN = (OrderState.RESTING, OrderState.PARTIAL, OrderState.TRIGGER_WAIT)


class Kind(StrEnum):
    """Kinds of differences; the first five resolve themselves."""

    FILL_MISSING = "fill_missing"
    FUNDING_MISSING = "funding_missing"
    ORDER_ABSENT = "order_absent"
    ORDER_KNOWN_AGAIN = "order_known_again"
    ORDER_DIFFERS = "order_differs"
    ORDER_FOREIGN = "order_foreign"
    POSITION_DIFFERS = "position_differs"
    STALE = "stale"


_SELF_HEALING = (
    Kind.FILL_MISSING,
    Kind.FUNDING_MISSING,
    Kind.ORDER_ABSENT,
    Kind.ORDER_KNOWN_AGAIN,
    Kind.ORDER_DIFFERS,
)


class Difference(msgspec.Struct, frozen=True):
    """One thing that the ledger and the exchange see differently.

    Attributes
    ----------
    kind : Kind
    symbol : str
    text : str
        Readable, with both values.
    """

    kind: Kind
    symbol: str
    text: str
    fill: VenueFill | None = None
    funding: VenueFunding | None = None
    found: OpenOrder | None = None
    order_id: str = ""
    here: Decimal = ZERO
    there: Decimal = ZERO
    entry: Decimal = ZERO


class Reconciliation(msgspec.Struct, frozen=True):
    """What comes of a comparison.

    Attributes
    ----------
    differences : tuple of Difference
    changes : tuple of Change
        What it did to orders, to be put on record as any other change.
    emit : tuple of Payload
        Fills to book, in order, then the verdict.
    halt : str
        Why new risk must stop on this account, empty if it need not.
    adopted, stale : bool
        Whether differences were taken over, and whether the snapshot was too old to say much.
    """

    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]
    emit: tuple[Payload, ...]
    halt: str
    adopted: bool
    stale: bool


def compare(
    state: AccountState, ledger: StrategyLedger, orders: OrderManager
) -> tuple[Difference, ...]:
    """Compare an account with the exchange's word; changes nothing.

    Positions are compared after the fills that are missing here. A snapshot from before the
    latest fill that is booked says nothing about positions, and is told as STALE.
    """
    missing = [fill for fill in state.fills if not orders.booked(fill)]
    found: list[Difference] = [_missing_fill(fill) for fill in missing]
    found += [
        _missing_funding(paid)
        for paid in state.funding
        if not ledger.funded(paid.account, paid.symbol, paid.ts_ms)
    ]
    if orders.last_fill_ms(state.account) > state.ts_ms:
        text = f"the snapshot of {state.ts_ms} is older than the latest fill: take another one"
        return (*found, Difference(Kind.STALE, "", text))
    found += _positions(state, ledger, missing)
    found += _orders(state, orders)
    return tuple(found)


def _missing_fill(fill: VenueFill) -> Difference:
    text = (
        f"fill {fill.fill_id} is not booked: {fill.side.value} {fill.size} {fill.symbol}"
        f" at {fill.price}"
    )
    return Difference(Kind.FILL_MISSING, fill.symbol, text, fill=fill)


def _missing_funding(paid: VenueFunding) -> Difference:
    text = f"funding of {paid.symbol} at {paid.ts_ms} is not booked: {paid.amount}"
    return Difference(Kind.FUNDING_MISSING, paid.symbol, text, funding=paid)


def _positions(
    state: AccountState, ledger: StrategyLedger, missing: Sequence[VenueFill]
) -> list[Difference]:
    here = {held.symbol: held.size for held in ledger.positions(state.account)}
    for fill in missing:
        here[fill.symbol] = add(here.get(fill.symbol, ZERO), by_side(fill.side, fill.size))
    there = {position.symbol: position for position in state.positions}
    found = []
    for symbol in sorted(here.keys() | there.keys()):
        venue = there.get(symbol) or VenuePosition(state.account, symbol, ZERO, ZERO)
        mine = here.get(symbol, ZERO)
        if mine != venue.size:
            text = f"position in {symbol}: {mine} in the ledger, {venue.size} at the exchange"
            found.append(
                Difference(
                    Kind.POSITION_DIFFERS,
                    symbol,
                    text,
                    here=mine,
                    there=venue.size,
                    entry=venue.entry,
                )
            )
    return found


def _orders(state: AccountState, orders: OrderManager) -> list[Difference]:
    found: list[Difference] = []
    listed = set()
    for there in state.orders:
        order = orders.by_client(there.client_id) or orders.by_venue(there.account, there.venue_id)
        if order is None or not order.live:
            what = "nobody here sent" if order is None else f"is {order.state.value} here"
            text = f"order {there.client_id or there.venue_id} rests at the exchange and {what}"
            found.append(Difference(Kind.ORDER_FOREIGN, there.symbol, text, found=there))
            continue
        listed.add(order.order_id)
        found += _order(order, there)
    for order in orders.open_orders(state.account):
        # One that was acknowledged after the snapshot cannot be in it. One of the same instant
        # may have ended within it, so it is asked for: time can stand still for a whole phase.
        settled = order.state in _OPEN and 0 < order.accepted_ms <= state.ts_ms
        if settled and order.order_id not in listed:
            text = f"order {order.order_id} is {order.state.value} here and not at the exchange"
            symbol = order.request.symbol
            found.append(Difference(Kind.ORDER_ABSENT, symbol, text, order_id=order.order_id))
    return found


def _order(order: Order, there: OpenOrder) -> list[Difference]:
    symbol, name = order.request.symbol, order.order_id
    if order.state in (OrderState.UNKNOWN, OrderState.SUBMITTED):
        text = f"order {name} is {order.state.value} here and rests at the exchange"
        return [Difference(Kind.ORDER_KNOWN_AGAIN, symbol, text, found=there, order_id=name)]
    if order.state in _OPEN and not order.has(there.size, there.price):
        text = (
            f"order {name}: {order.size} at {order.price} here,"
            f" {there.size} at {there.price} at the exchange"
        )
        return [Difference(Kind.ORDER_DIFFERS, symbol, text, found=there, order_id=name)]
    return []


class Reconciler:
    """Carries out what a snapshot of an account leads to; keeps no state."""

    def on_snapshot(self, data: AccountSnapshot, event: Event, desk: Desk) -> Reconciliation:
        """Compare, put on record, emit, and halt or resume new risk on the account."""
        account = data.state.account
        done = self.judge(data, event, desk.ledger, desk.orders, desk.ids)
        for change in done.changes:
            order = change.order
            if order is not None and change.moved:
                desk.ledger.record_order(order, event, desk.rows)
            for payload in change.emit:
                desk.emit(payload, order.order_id if order is not None else account)
        _emit(desk, done, account)
        if done.differences:
            lines = [one.text for one in done.differences]
            desk.journal.note(
                "reconciled",
                event,
                desk.rows,
                context={"account": account, "differences": lines},
                text="adopted" if done.adopted else "reported",
            )
        scope = f"account:{account}"
        if done.halt:
            if scope not in desk.halts:
                desk.halts[scope] = HALT + done.halt
                desk.emit(TradingHalted(scope, done.halt), scope)
        elif desk.halts.get(scope, "").startswith(HALT) and not done.stale:
            del desk.halts[scope]
            desk.emit(TradingResumed(scope, "reconciled"), scope)
        return done

    def judge(
        self,
        data: AccountSnapshot,
        event: Event,
        ledger: StrategyLedger,
        orders: OrderManager,
        ids: Ids,
    ) -> Reconciliation:
        """Compare, heal what heals itself, and adopt the rest where a person said so."""
        state = data.state
        found = compare(state, ledger, orders)
        stale = any(one.kind is Kind.STALE for one in found)
        adopt = data.adopt and not stale
        changes: list[Change] = []
        emit: list[Payload] = []
        for one in found:
            if one.fill is not None:
                emit.append(OrderFilled(one.fill))
            elif one.kind is Kind.ORDER_ABSENT:
                changes.append(orders.doubt(one.order_id, "the exchange does not list it", event))
            elif one.kind is Kind.ORDER_DIFFERS and not adopt:
                changes.append(orders.doubt(one.order_id, one.text, event))
            elif one.kind is Kind.ORDER_KNOWN_AGAIN or (adopt and one.found is not None):
                order_id = one.order_id or ids.new("ORD", event.ts_ms)
                changes.append(orders.adopt(_unbooked(one, found), order_id, event))
            elif adopt and one.kind is Kind.POSITION_DIFFERS:
                held = ledger.holding(state.account, one.symbol)
                emit.extend(OrderFilled(fill) for fill in _explaining(one, held, state, event))
        left = [one for one in found if one.kind not in (*_SELF_HEALING, Kind.STALE)]
        halt = "" if adopt or not left else f"{len(left)} differences with {state.account}"
        lines = tuple(one.text for one in found)
        adopted = adopt and bool(found)
        emit.append(Reconciled(state.account, lines, adopted=adopted))
        if halt:
            title = f"{state.account}: ledger and exchange differ"
            text = "\n".join(one.text for one in left)
            emit.append(AlertRaised("critical", "reconcile", title, text))
        return Reconciliation(found, tuple(changes), tuple(emit), halt, adopted, stale)


def _emit(desk: Desk, done: Reconciliation, account: str) -> None:
    """Emit funding and fills in the order in which they happened, then the verdict."""
    waiting = [one.funding for one in reversed(done.differences) if one.funding is not None]

    def fund(until_ms: int | None) -> None:
        while waiting and (until_ms is None or waiting[-1].ts_ms <= until_ms):
            paid = waiting.pop()
            data = FundingPaid(
                paid.account, paid.symbol, paid.amount, paid.rate, paid.position, paid.mark
            )
            desk.emit(data, f"{paid.account}/{paid.symbol}", ts_ms=paid.ts_ms)

    for payload in done.emit:
        fund(payload.fill.ts_ms if isinstance(payload, OrderFilled) else None)
        desk.emit(payload, account)


def _unbooked(one: Difference, found: Sequence[Difference]) -> OpenOrder:
    """The order as it stood before the fills that are still to be booked, which will count."""
    assert one.found is not None
    there = one.found
    filled = there.filled
    for fill in (other.fill for other in found if other.fill is not None):
        by_client = bool(there.client_id) and fill.client_id == there.client_id
        if by_client or (bool(there.venue_id) and fill.venue_id == there.venue_id):
            filled = subtract(filled, fill.size)
    return msgspec.structs.replace(there, filled=max(filled, ZERO))


def _explaining(
    one: Difference, held: Holding, state: AccountState, event: Event
) -> list[VenueFill]:
    """Fills that lead from our position to the exchange's.

    What is given up leaves at its own average price, since nobody knows the price it went for and
    no profit is to be invented; what is taken over comes at the exchange's average.
    """
    steps: list[tuple[Decimal, Decimal]] = []
    keeps = one.there if (one.there > ZERO) == (one.here > ZERO) else ZERO
    if one.here and keeps.copy_abs() < one.here.copy_abs():
        steps.append((subtract(keeps, one.here), held.entry or one.entry))
        grown = subtract(one.there, keeps)
    else:
        grown = subtract(one.there, one.here)
    if grown:
        steps.append((grown, one.entry))
    fills = []
    for number, (size, price) in enumerate(steps):
        fills.append(
            VenueFill(
                fill_id=f"{ADOPTED}:{one.symbol}:{event.seq}:{number}",
                client_id="",
                venue_id="",
                account=state.account,
                symbol=one.symbol,
                side=Side.BUY if size > ZERO else Side.SELL,
                size=size.copy_abs(),
                price=price,
                fee=ZERO,
                maker=False,
                ts_ms=state.ts_ms,
                reference=price,
                cause=ADOPTED,
            )
        )
    return fills
