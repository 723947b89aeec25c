"""The venue's own traders: makers who keep a book around the reference price, and takers."""

from __future__ import annotations

from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching, register
from genesis.exchange.venue.orders import CANCELED, FILLED, Order
from genesis.exchange.venue.path import chance, mixed
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MONEY, tick_at, to_tick

MAKERS = tuple(f"0x{0xA11CE000 + k:040x}" for k in range(2))
TAKERS = tuple(f"0x{0x7A4E0000 + k:040x}" for k in range(3))
HOUSE = (*MAKERS, *TAKERS)
# What a level at the top of a book is worth, and how it grows away from it.
_TOP_VALUE = 20_000 * MONEY
_HALF_SPREAD_BP = 1
_TRADES_PER_STEP = 0.7
_TAKER_VALUE = 3_000 * MONEY


class Traders:
    """Acts once per step on every market.

    All chance is a hash of (seed, market, time), so that nothing need be remembered. Their orders
    go to the book directly: they have credit, and nobody watches them.
    """

    def __init__(self, state: VenueState, matching: Matching) -> None:
        self._state = state
        self._matching = matching

    def open_accounts(self) -> None:
        """Make the traders known; they trade on credit."""
        for address in HOUSE:
            self._state.account(address).house = True
            self._state.events.muted.add(address)

    def act(self, market: Market, reference: int) -> None:
        """Move the makers' quotes to a reference price, then let takers trade."""
        if market.delisted:
            return
        for index, maker in enumerate(MAKERS):
            self._quote(market, maker, index, reference)
        self._take(market, reference)

    def _quote(self, market: Market, maker: str, index: int, reference: int) -> None:
        """Replace a maker's orders; levels that are still right stay and keep their place."""
        account = self._state.accounts[maker]
        wanted = self._ladder(market, index, reference)
        for order in [o for o in account.orders.values() if o.asset == market.spec.asset]:
            size = wanted.get((order.buy, order.px))
            if size is not None and 2 * order.sz >= size:
                del wanted[order.buy, order.px]
            else:
                self._matching.end(order, CANCELED)
        for (buy, px), sz in wanted.items():
            order = self._order(market, maker, buy, px, sz, "Gtc")
            # Clients' orders that the price has come to are filled by the quote.
            if self._crosses(market, buy, px):
                self._matching.take(order, px)
                if order.status == FILLED:
                    continue
            self._matching.rest(order)

    def _crosses(self, market: Market, buy: bool, px: int) -> bool:
        best = market.book.side(not buy).best()
        return bool(best) and (best <= px if buy else best >= px)

    def _ladder(self, market: Market, index: int, reference: int) -> dict[tuple[bool, int], int]:
        spec = market.spec
        tick = tick_at(reference, spec.coarsest)
        gap = max(tick, reference * _HALF_SPREAD_BP // 10_000)
        lot_value = max(1, to_tick(reference, spec.coarsest))
        out: dict[tuple[bool, int], int] = {}
        for level in range(self._state.profile.maker_levels):
            distance = gap * (1 + 2 * level + index)
            value = _TOP_VALUE * (2 + level) // 2
            # The size belongs to the level: an unchanged price keeps its order.
            share = 60 + mixed(self._state.seed, spec.asset, index, level) % 81
            sz = max(1, value * share // 100 // lot_value)
            bid = to_tick(max(reference - distance, spec.coarsest), spec.coarsest, up=False)
            ask = to_tick(reference + distance, spec.coarsest, up=True)
            if bid > 0:
                out[True, bid] = sz
            out[False, ask] = sz
        return out

    def _take(self, market: Market, reference: int) -> None:
        state = self._state
        keys = (state.seed, market.spec.asset, state.now_ms)
        if chance(*keys, 1) >= _TRADES_PER_STEP:
            return
        buy = chance(*keys, 2) < 0.5
        who = TAKERS[mixed(*keys, 3) % len(TAKERS)]
        # Many small trades and a few large ones.
        value = int(_TAKER_VALUE * 0.02 / max(0.004, chance(*keys, 4)))
        sz = max(1, value // reference)
        limit = to_tick(reference * (102 if buy else 98) // 100, market.spec.coarsest, up=buy)
        order = self._order(market, who, buy, limit, sz, "Ioc")
        self._matching.take(order, limit)
        if order.status != FILLED:
            self._matching.end(order, CANCELED)

    def _order(self, market: Market, user: str, buy: bool, px: int, sz: int, tif: str) -> Order:
        state = self._state
        order = Order(
            oid=state.number("oid"),
            user=user,
            asset=market.spec.asset,
            buy=buy,
            px=px,
            sz=sz,
            orig=sz,
            tif=tif,
            ts_ms=state.now_ms,
            status_ms=state.now_ms,
        )
        register(state.accounts[user], order)
        return order
