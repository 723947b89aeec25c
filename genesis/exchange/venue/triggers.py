"""Stop and target orders, fired by the mark price."""

from __future__ import annotations

from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.orders import CANCELED, FILLED, OPEN, TRIGGERED, Order
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import TOLERANCE, within_percent


class Triggers:
    """Fires what the mark price has reached."""

    def __init__(self, state: VenueState, matching: Matching) -> None:
        self._state = state
        self._matching = matching

    def check(self, market: Market) -> None:
        """Fire the triggers of a market, oldest first."""
        if not market.triggers:
            return
        due = [order for order in market.triggers.values() if order.fires_at(market.mark)]
        for order in due:
            # A fill may have ended the others.
            if order.oid in market.triggers:
                self._fire(order, market)

    def _fire(self, order: Order, market: Market) -> None:
        matching = self._matching
        del market.triggers[order.oid]
        order.armed = False
        order.status, order.status_ms = TRIGGERED, self._state.now_ms
        self._state.begin()
        matching.tell(order)
        account = self._state.accounts[order.user]
        if order.reduce_only:
            size = account.size(order.asset)
            if not size or order.buy == (size > 0):
                matching.end(order, "reduceOnlyCanceled")
                return
            order.sz = order.orig = min(order.sz, abs(size))
        limit = order.px
        if order.trigger_market:
            limit = within_percent(market.mark, TOLERANCE, market.spec.coarsest, buy=order.buy)
        short = matching.take(order, limit)
        if order.status == FILLED:
            return
        if short:
            matching.end(order, "marginCanceled" if order.filled else "perpMarginRejected")
        elif order.trigger_market:
            matching.end(order, CANCELED if order.filled else "marketOrderNoLiquidityRejected")
        else:
            order.status, order.tif = OPEN, "Gtc"
            matching.rest(order)
            matching.tell(order)
            matching.fit_guards(account, order.asset)
