"""Orders of an account, alone and in groups."""

from __future__ import annotations

from typing import Any

from genesis.exchange.venue import admission
from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.admission import Refusal
from genesis.exchange.venue.drafts import (
    Draft,
    address,
    field,
    integer,
    read_order,
    rows,
)
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching, register
from genesis.exchange.venue.orders import FILLED, Order
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MalformedAction, ratio, show

Json = dict[str, Any]
_IMMEDIATE = ("Ioc", "FrontendMarket")


def done(kind: str, data: Any = None) -> Json:
    """Return the answer of an action that was executed."""
    response: Json = {"type": kind}
    if data is not None:
        response["data"] = data
    return {"status": "ok", "response": response}


def refused(reason: str) -> Json:
    """Return the answer of an action that was refused as a whole."""
    return {"status": "err", "response": reason}


class Placement:
    """Executes ``order``."""

    def __init__(self, state: VenueState, matching: Matching) -> None:
        self._state = state
        self._matching = matching

    def order(self, account: Account, action: Json) -> Json:
        """Place the orders of an action."""
        state = self._state
        wires = rows(field(action, "orders"), "orders")
        grouping = action.get("grouping", "na")
        drafts = [read_order(wire, state) for wire in wires]
        builder, rate = self._builder(action)
        if not drafts:
            return done("order", {"statuses": [{"error": "Order batch is empty."}]})
        if builder and rate > account.builders.get(builder, 0):
            return refused("Builder fee has not been approved")
        good: list[Draft] = []
        for draft in drafts:
            reason = admission.malformed_payload(draft)
            if reason is not None or draft is None:
                return done("order", {"statuses": [{"error": reason}]})
            good.append(draft)
        if grouping == "normalTpsl":
            return self.answer(self._bracket(account, good, builder, rate), good)
        if grouping == "positionTpsl":
            return self.answer(self._position_tpsl(account, good), good)
        if grouping != "na" and not isinstance(grouping, dict):
            raise MalformedAction(f"unknown grouping {grouping!r}")
        return self.answer(
            [self.place(account, draft, builder=builder, rate=rate) for draft in good], good
        )

    def _builder(self, action: Json) -> tuple[str, int]:
        builder = action.get("builder")
        if builder is None:
            return "", 0
        return address(field(builder, "b"), "b"), integer(field(builder, "f"), "f")

    def answer(self, results: list[Order | Refusal | str], drafts: list[Draft]) -> Json:
        """Return the answer of an action, one status per order."""
        statuses = [
            self._status(result, draft) for result, draft in zip(results, drafts, strict=True)
        ]
        return done("order", {"statuses": statuses})

    def _status(self, result: Order | Refusal | str, draft: Draft) -> Json | str:
        if isinstance(result, str):
            return result
        if isinstance(result, tuple):
            return {"error": f"{result[1]} asset={draft.spec.asset}"}
        order = result
        named: Json = {"oid": order.oid}
        if order.cloid is not None:
            named["cloid"] = order.cloid
        rests = order.rank or order.tpsl
        # One without a fill rested, though a later order of the same action may have ended it.
        if not order.filled or (rests and self._state.profile.partial_gtc_status == "resting"):
            return {"resting": named}
        spec = draft.spec
        average = show(ratio(order.value, order.filled), spec.px_decimals)
        total = show(order.filled, spec.sz_decimals)
        return {"filled": {"totalSz": total, "avgPx": average, **named}}

    def place(
        self,
        account: Account,
        draft: Draft,
        *,
        builder: str = "",
        rate: int = 0,
        twap: int = 0,
    ) -> Order | Refusal:
        """Judge one order and let it act; return it, or why not."""
        market = self._state.markets[draft.spec.asset]
        order = self.new(account, draft, builder, rate)
        order.twap = twap
        refusal = self._judge(account, draft, market)
        if refusal is not None:
            return self.reject(account, order, refusal)
        if draft.tpsl:
            register(account, order)
            self._matching.arm(order)
            self._matching.tell(order)
            return order
        if draft.reduce_only and not draft.spec.spot:
            order.sz = order.orig = min(order.sz, abs(account.size(order.asset)))
        register(account, order)
        short = self._matching.take(order, order.px)
        return self._after(account, order, short)

    def _after(self, account: Account, order: Order, short: bool) -> Order | Refusal:
        """Decide what becomes of the rest of an order that met the book."""
        matching = self._matching
        if order.status == FILLED:
            return order
        if short:
            if order.filled:
                matching.end(order, "marginCanceled")
                return order
            return self.reject(account, order, admission.NO_MARGIN)
        if order.tif in _IMMEDIATE:
            if order.filled:
                matching.end(order, self._state.profile.partial_ioc_status)
                return order
            market_order = order.tif == "FrontendMarket"
            refusal = admission.NO_LIQUIDITY if market_order else admission.NO_MATCH
            return self.reject(account, order, refusal)
        matching.rest(order)
        matching.tell(order)
        if order.reduce_only:
            matching.fit_guards(account, order.asset)
        return order

    def _judge(self, account: Account, draft: Draft, market: Market) -> Refusal | None:
        state = self._state
        refusal = admission.refuse_form(draft, market, state)
        if refusal is None and draft.tpsl:
            refusal = admission.refuse_trigger(draft, market)
        if refusal is None:
            refusal = admission.refuse_position(draft, account, market, state)
        if refusal is None and draft.tif == "Alo":
            refusal = admission.refuse_crossing(draft, market)
        if refusal is None and draft.cloid is not None:
            live = draft.cloid in account.cloids and account.cloids[draft.cloid] in account.orders
            if live and state.profile.duplicate_cloid == "reject":
                refusal = ("rejected", "Client order id is already in use.")
        return refusal

    def new(self, account: Account, draft: Draft, builder: str = "", rate: int = 0) -> Order:
        """Return a new order as drafted; nothing knows it yet."""
        state = self._state
        return Order(
            oid=state.number("oid"),
            user=account.address,
            asset=draft.spec.asset,
            buy=draft.buy,
            px=max(draft.px, 0),
            sz=draft.sz,
            orig=draft.sz,
            tif=draft.tif,
            ts_ms=state.now_ms,
            cloid=draft.cloid,
            # A spot balance is no position: the flag means nothing there.
            reduce_only=draft.reduce_only and not draft.spec.spot,
            trigger_px=max(draft.trigger_px, 0),
            trigger_market=draft.trigger_market,
            tpsl=draft.tpsl,
            status_ms=state.now_ms,
            builder=builder,
            builder_rate=rate,
        )

    def reject(self, account: Account, order: Order, refusal: Refusal) -> Refusal:
        """End an order before it began, and return why."""
        # The record must be found by client id, but never in place of a living order.
        known = account.cloids.get(order.cloid) if order.cloid is not None else None
        if order.cloid is not None and (known is None or known not in account.orders):
            account.cloids[order.cloid] = order.oid
        self._matching.end(order, refusal[0])
        return refusal

    def _bracket(
        self, account: Account, drafts: list[Draft], builder: str, rate: int
    ) -> list[Order | Refusal | str]:
        """Place a parent, then its TP/SL children, which wait for its fill."""
        parent = self.place(account, drafts[0], builder=builder, rate=rate)
        if isinstance(parent, tuple):
            return [parent] * len(drafts)
        out: list[Order | Refusal | str] = [parent]
        children: list[Order] = []
        for draft in drafts[1:]:
            draft.reduce_only = True
            child = self.new(account, draft)
            market = self._state.markets[draft.spec.asset]
            refusal = admission.refuse_form(draft, market, self._state)
            if refusal is None and not draft.tpsl:
                refusal = admission.BAD_TRIGGER
            if refusal is not None:
                out.append(self.reject(account, child, refusal))
                continue
            register(account, child)
            child.parent = parent.oid
            children.append(child)
            self._matching.tell(child)
            out.append("waitingForTrigger" if parent.status == FILLED else "waitingForFill")
        _kin(children)
        parent.children = [child.oid for child in children]
        if parent.oid not in account.orders:
            self._matching.release(account, parent)
            self._matching.fit_guards(account, parent.asset)
        return out

    def _position_tpsl(self, account: Account, drafts: list[Draft]) -> list[Order | Refusal | str]:
        """Place triggers that close the whole position, whatever its size will be."""
        out: list[Order | Refusal | str] = []
        placed: list[Order] = []
        for draft in drafts:
            size = account.size(draft.spec.asset)
            draft.sz, draft.reduce_only = abs(size), True
            result: Order | Refusal
            if not draft.tpsl:
                order = self.new(account, draft)
                result = self.reject(account, order, admission.BAD_TRIGGER)
            else:
                result = self.place(account, draft)
            if isinstance(result, Order):
                result.whole_position = True
                placed.append(result)
            bare = isinstance(result, Order) and self._state.profile.position_tpsl_bare
            out.append("waitingForTrigger" if bare else result)
        _kin(placed)
        return out


def _kin(orders: list[Order]) -> None:
    """Make orders siblings: the fill of one cancels the others."""
    for order in orders:
        order.siblings = [other.oid for other in orders if other.oid != order.oid]
