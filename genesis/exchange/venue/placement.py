"""Orders, cancellations and modifications of an account."""

from __future__ import annotations

from typing import Any

from genesis.exchange.venue import admission
from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.admission import Refusal
from genesis.exchange.venue.drafts import (
    Draft,
    address,
    client_id,
    field,
    integer,
    read_order,
    rows,
    text,
)
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching, register
from genesis.exchange.venue.orders import CANCELED, FILLED, Order
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MalformedAction, ratio, show

Json = dict[str, Any]
_NEVER_PLACED = "Order was never placed, already canceled, or filled."
_DEAD = "Cannot modify canceled or filled order"
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
    """Executes ``order``, ``cancel``, ``cancelByCloid``, ``modify`` and ``batchModify``."""

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
            return self._answer(self._bracket(account, good, builder, rate), good)
        if grouping == "positionTpsl":
            return self._answer(self._position_tpsl(account, good), good)
        if grouping != "na" and not isinstance(grouping, dict):
            raise MalformedAction(f"unknown grouping {grouping!r}")
        return self._answer(
            [self.place(account, draft, builder=builder, rate=rate) for draft in good], good
        )

    def _builder(self, action: Json) -> tuple[str, int]:
        builder = action.get("builder")
        if builder is None:
            return "", 0
        return address(field(builder, "b"), "b"), integer(field(builder, "f"), "f")

    def _answer(self, results: list[Order | Refusal | str], drafts: list[Draft]) -> Json:
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
        if rests and (not order.filled or self._state.profile.partial_gtc_status == "resting"):
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
        order = self._new(account, draft, builder, rate)
        order.twap = twap
        refusal = self._judge(account, draft, market)
        if refusal is not None:
            return self._reject(account, order, refusal)
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
            return self._reject(account, order, admission.NO_MARGIN)
        if order.tif in _IMMEDIATE:
            if order.filled:
                matching.end(order, self._state.profile.partial_ioc_status)
                return order
            market_order = order.tif == "FrontendMarket"
            refusal = admission.NO_LIQUIDITY if market_order else admission.NO_MATCH
            return self._reject(account, order, refusal)
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

    def _new(self, account: Account, draft: Draft, builder: str = "", rate: int = 0) -> Order:
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
            reduce_only=draft.reduce_only,
            trigger_px=max(draft.trigger_px, 0),
            trigger_market=draft.trigger_market,
            tpsl=draft.tpsl,
            status_ms=state.now_ms,
            builder=builder,
            builder_rate=rate,
        )

    def _reject(self, account: Account, order: Order, refusal: Refusal) -> Refusal:
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
            child = self._new(account, draft)
            market = self._state.markets[draft.spec.asset]
            refusal = admission.refuse_form(draft, market, self._state)
            if refusal is None and not draft.tpsl:
                refusal = admission.BAD_TRIGGER
            if refusal is not None:
                out.append(self._reject(account, child, refusal))
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
                order = self._new(account, draft)
                result = self._reject(account, order, admission.BAD_TRIGGER)
            else:
                result = self.place(account, draft)
            if isinstance(result, Order):
                result.whole_position = True
                placed.append(result)
            bare = isinstance(result, Order) and self._state.profile.position_tpsl_bare
            out.append("waitingForTrigger" if bare else result)
        _kin(placed)
        return out

    def cancel(self, account: Account, action: Json) -> Json:
        """Cancel by order number."""
        wanted = [
            (integer(field(row, "a"), "a"), integer(field(row, "o"), "o"))
            for row in rows(field(action, "cancels"), "cancels")
        ]
        return self._cancel_all(account, wanted)

    def cancel_by_cloid(self, account: Account, action: Json) -> Json:
        """Cancel by client id."""
        wanted: list[tuple[int, int]] = []
        for row in rows(field(action, "cancels"), "cancels"):
            asset = integer(field(row, "asset"), "asset")
            cloid = client_id(field(row, "cloid")) or ""
            wanted.append((asset, account.cloids.get(cloid, 0)))
        return self._cancel_all(account, wanted)

    def _cancel_all(self, account: Account, wanted: list[tuple[int, int]]) -> Json:
        statuses: list[Any] = []
        for asset, oid in wanted:
            order = account.orders.get(oid)
            if order is None or order.asset != asset:
                statuses.append({"error": f"{_NEVER_PLACED} asset={asset}"})
                continue
            self._matching.end(order, CANCELED)
            statuses.append("success")
        return done("cancel", {"statuses": statuses or [{"error": "Cancel batch is empty."}]})

    def modify(self, account: Account, action: Json) -> Json:
        """Replace one order; the whole action fails where that is not possible."""
        key = action.get("oid", action.get("cloid"))
        draft = read_order(field(action, "order"), self._state)
        reason = admission.malformed_payload(draft)
        if reason is not None or draft is None:
            return refused(reason or "")
        result = self._replace(account, _order_key(key), draft)
        if isinstance(result, tuple):
            return refused(f"{result[1]} asset={draft.spec.asset}")
        return done("default")

    def batch_modify(self, account: Account, action: Json) -> Json:
        """Replace orders, one status each."""
        pairs: list[tuple[int | str, Draft]] = []
        for row in rows(field(action, "modifies"), "modifies"):
            draft = read_order(field(row, "order"), self._state)
            reason = admission.malformed_payload(draft)
            if reason is not None or draft is None:
                return done("order", {"statuses": [{"error": reason}]})
            pairs.append((_order_key(row.get("oid", row.get("cloid"))), draft))
        if not pairs:
            return done("order", {"statuses": [{"error": "Modify batch is empty."}]})
        results: list[Order | Refusal | str] = [
            self._replace(account, key, draft) for key, draft in pairs
        ]
        return self._answer(results, [draft for _, draft in pairs])

    def _replace(self, account: Account, key: int | str, draft: Draft) -> Order | Refusal:
        """Cancel an order and place its successor, with a new number and the old client id."""
        oid = account.cloids.get(key, 0) if isinstance(key, str) else key
        old = account.orders.get(oid)
        if old is None or old.asset != draft.spec.asset:
            return "rejected", _DEAD
        market = self._state.markets[old.asset]
        refusal = admission.refuse_form(draft, market, self._state)
        if refusal is not None:
            # What can be seen without touching the book leaves the old order alive.
            return self._reject(account, self._new(account, draft), refusal)
        if draft.cloid is None:
            draft.cloid = old.cloid
        children, old.children = old.children, []
        self._matching.end(old, CANCELED)
        result = self.place(account, draft, builder=old.builder, rate=old.builder_rate)
        if isinstance(result, Order):
            result.whole_position = old.whole_position
            self._inherit(account, old, result, children)
        else:
            old.children = children
            self._matching.release(account, old)
        return result

    def _inherit(self, account: Account, old: Order, new: Order, children: list[int]) -> None:
        """Hand the family of a replaced order to its successor."""
        new.children = children
        for oid in children:
            if oid in account.orders:
                account.orders[oid].parent = new.oid
        new.siblings = old.siblings
        for oid in old.siblings:
            sibling = account.orders.get(oid)
            if sibling is not None:
                sibling.siblings = [new.oid if s == old.oid else s for s in sibling.siblings]
        if new.oid not in account.orders:
            self._matching.release(account, new)


def _order_key(key: object) -> int | str:
    if isinstance(key, str):
        return client_id(text(key, "oid")) or ""
    return integer(key, "oid")


def _kin(orders: list[Order]) -> None:
    """Make orders siblings: the fill of one cancels the others."""
    for order in orders:
        order.siblings = [other.oid for other in orders if other.oid != order.oid]
