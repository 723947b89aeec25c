"""Price-time matching, and the life of an order once it is accepted."""

from __future__ import annotations

from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.margin import covers
from genesis.exchange.venue.market import TRADES_KEPT, Market
from genesis.exchange.venue.orders import CANCELED, FILLED, OPEN, Order, basic
from genesis.exchange.venue.settlement import Forced, Settlement
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import show

# Whoever caused an end with one of these knows it from the answer; the rest is told as an event.
_BY_USER = frozenset((CANCELED, FILLED))


class Matching:
    """Brings orders together and keeps what depends on them consistent.

    After each change of a position its reduce-only orders fit it; after the end of an order its
    children are armed or cancelled and, if it was filled, its siblings cancelled.
    """

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self.settlement = Settlement(state)

    def take(self, order: Order, limit: int, forced: Forced | None = None) -> bool:
        """Fill an incoming order from the book as far as a limit price allows; end a filled one.

        Returns
        -------
        bool
            Whether it stopped because the account cannot carry more.
        """
        state = self._state
        market = state.markets[order.asset]
        side = market.book.side(not order.buy)
        account = state.accounts[order.user]
        sign = 1 if order.buy else -1
        short = False
        traded = False
        while order.sz and side.keys:
            px = side.keys[-1] * side.sign
            if (px - limit) * sign > 0:
                break
            maker = next(iter(side.levels[px].orders.values()))
            if maker.user == order.user:
                self.end(maker, "selfTradeCanceled")
                continue
            sz = min(order.sz, maker.sz)
            other = state.accounts[maker.user]
            if market.interest_cap and _grows_beyond_cap(market, other, -sign * sz):
                self.end(maker, "openInterestCapCanceled")
                continue
            if not self._carries(other, market, -sign * sz, px):
                self.end(maker, "marginCanceled")
                continue
            if forced is None and not self._carries(account, market, sign * sz, px):
                short = True
                break
            side.reduce(maker, sz)
            order.sz -= sz
            traded = True
            self._trade(order, maker, market, px, sz, forced)
        if traded:
            # Before the guards: what its fill makes superfluous ends as its sibling.
            if not order.sz:
                self.end(order, FILLED)
            self.fit_guards(account, order.asset)
            state.events.changed("book", market.spec.coin)
        return short

    def _carries(self, account: Account, market: Market, delta: int, px: int) -> bool:
        # Spot balances are held when an order is accepted and need no second look.
        if account.house or market.spec.spot:
            return True
        return covers(account, market, delta, px, self._state.markets)

    def _trade(
        self,
        taker: Order,
        maker: Order,
        market: Market,
        px: int,
        sz: int,
        forced: Forced | None,
    ) -> None:
        state = self._state
        tid = state.trade_id()
        value = px * sz
        taker.value += value
        maker.value += value
        self.settlement.side(taker, market, px, sz, tid, crossed=True, forced=forced)
        self.settlement.side(maker, market, px, sz, tid, crossed=False, forced=forced)
        market.count(state.now_ms, px, sz)
        spec = market.spec
        trade = {
            "coin": spec.coin,
            "side": "B" if taker.buy else "A",
            "px": show(px, spec.px_decimals),
            "sz": show(sz, spec.sz_decimals),
            "time": state.now_ms,
            "hash": state.hash(),
            "tid": tid,
            "users": [taker.user, maker.user] if taker.buy else [maker.user, taker.user],
        }
        market.trades.append(trade)
        if len(market.trades) > 2 * TRADES_KEPT:
            del market.trades[:-TRADES_KEPT]
        state.events.market("trade", spec.coin, trade)
        if maker.sz:
            self.tell(maker)
        else:
            maker.rank = 0
            self.end(maker, FILLED)
        self.fit_guards(state.accounts[maker.user], maker.asset)

    def rest(self, order: Order) -> None:
        """Put an order into the book, last at its price."""
        market = self._state.markets[order.asset]
        order.rank = self._state.number("rank")
        market.book.side(order.buy).add(order)
        self._state.events.changed("book", market.spec.coin)

    def tell(self, order: Order) -> None:
        """Tell the owner an order's state."""
        state = self._state
        if state.events.watched(order.user):
            spec = state.markets[order.asset].spec
            update = {
                "order": basic(order, spec),
                "status": order.status,
                "statusTimestamp": order.status_ms,
            }
            state.events.user("orderUpdate", order.user, update, spec.coin)

    def end(self, order: Order, status: str) -> None:
        """Finish an order for good, and whatever hangs on it."""
        state = self._state
        market = state.markets[order.asset]
        if order.rank:
            market.book.side(order.buy).remove(order)
            order.rank = 0
            state.events.changed("book", market.spec.coin)
        if order.armed:
            market.triggers.pop(order.oid, None)
            order.armed = False
        order.status = status
        order.status_ms = state.now_ms
        account = state.accounts[order.user]
        account.retire(order)
        self.tell(order)
        if status not in _BY_USER and not status.endswith("Rejected"):
            told = [{"coin": market.spec.coin, "oid": order.oid}]
            state.events.user("nonUserCancel", order.user, told, market.spec.coin)
        if order.children:
            self.release(account, order)
        if status == FILLED:
            for oid in order.siblings:
                sibling = account.orders.get(oid)
                if sibling is not None:
                    self.end(sibling, "siblingFilledCanceled")

    def release(self, account: Account, parent: Order) -> None:
        """Arm the children of a filled parent; those of another end with it."""
        survive = parent.filled and self._state.profile.children_survive_partial_parent
        for oid in parent.children:
            child = account.orders.get(oid)
            if child is None or child.armed:
                continue
            if parent.status != FILLED and not survive:
                self.end(child, CANCELED)
                continue
            if parent.filled < child.sz:
                child.sz = child.orig = parent.filled
            self.arm(child)

    def arm(self, order: Order) -> None:
        """Let a trigger watch the mark price."""
        order.armed = True
        order.armed_rank = self._state.number("rank")
        self._state.markets[order.asset].triggers[order.oid] = order

    def fit_guards(self, account: Account, asset: int) -> None:
        """Make an account's reduce-only orders fit its position.

        Those that could only increase it end; triggers of the whole position take its size; of
        resting ones that together exceed it the older end, and a single one is cut.
        """
        oids = account.guards.get(asset)
        if not oids:
            return
        size = account.size(asset)
        left = abs(size)
        resting: list[Order] = []
        for oid in tuple(oids):
            order = account.orders.get(oid)
            if order is None or not (order.armed or order.rank):
                continue
            if not size or order.buy == (size > 0):
                self.end(order, "reduceOnlyCanceled")
            elif order.rank:
                resting.append(order)
            elif order.whole_position:
                order.sz = order.orig = left
        total = sum(order.sz for order in resting)
        for order in resting[:-1]:
            if total <= left:
                return
            total -= order.sz
            self.end(order, "reduceOnlyCanceled")
        if total > left:
            last = resting[-1]
            surplus = last.sz - left
            last.orig -= surplus
            self._state.markets[asset].book.side(last.buy).reduce(last, surplus)
            self.tell(last)


def _grows_beyond_cap(market: Market, account: Account, delta: int) -> bool:
    """Whether a fill would add to a position in a market that is at its cap."""
    size = account.size(market.spec.asset)
    return market.open_interest >= market.interest_cap and abs(size + delta) > abs(size)


def register(account: Account, order: Order) -> None:
    """Enter an accepted order into its account."""
    account.orders[order.oid] = order
    if order.cloid is not None:
        account.cloids[order.cloid] = order.oid
    if order.reduce_only:
        account.guards.setdefault(order.asset, []).append(order.oid)
    order.status = OPEN
