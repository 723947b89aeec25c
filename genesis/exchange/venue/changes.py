"""Cancellations and modifications of an account's orders."""

from __future__ import annotations

from typing import Any

from genesis.exchange.venue import admission
from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.admission import Refusal
from genesis.exchange.venue.drafts import (
    Draft,
    client_id,
    field,
    integer,
    read_order,
    rows,
    text,
)
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.orders import CANCELED, Order
from genesis.exchange.venue.placement import Placement, done, refused
from genesis.exchange.venue.state import VenueState

Json = dict[str, Any]
_NEVER_PLACED = "Order was never placed, already canceled, or filled."
_DEAD = "Cannot modify canceled or filled order"


class Changes:
    """Executes ``cancel``, ``cancelByCloid``, ``modify`` and ``batchModify``."""

    def __init__(self, state: VenueState, matching: Matching, placement: Placement) -> None:
        self._state = state
        self._matching = matching
        self._placement = placement

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
        return self._placement.answer(results, [draft for _, draft in pairs])

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
            return self._placement.reject(account, self._placement.new(account, draft), refusal)
        if draft.cloid is None:
            draft.cloid = old.cloid
        children, old.children = old.children, []
        self._matching.end(old, CANCELED)
        result = self._placement.place(account, draft, builder=old.builder, rate=old.builder_rate)
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
