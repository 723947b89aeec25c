"""The venue's own traders: makers who keep a book around the reference price, and takers."""

from __future__ import annotations

from genesis.domain.timeline import HOUR_MS
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.orders import FILLED, Order
from genesis.exchange.venue.path import chance, mixed
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MONEY, tick_at, within_percent

_MAKERS = 2
TAKERS = tuple(f"0x{0x7A4E0000 + k:040x}" for k in range(3))
# What a level at the top of a book is worth, and how it grows away from it.
_TOP_VALUE = 20_000 * MONEY
_HALF_SPREAD_BP = 1
_TRADES_PER_STEP = 0.7
_TAKER_VALUE = 3_000 * MONEY
_TAKER_SLIPPAGE = 2
_BELIEF_MS = 4 * HOUR_MS
_BELIEF_BP = 8


def maker_address(asset: int, index: int) -> str:
    """Address of a maker; each quotes one market only."""
    return f"0x{0xA11CE0000000 + asset * _MAKERS + index:040x}"


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
        makers = [maker_address(a, k) for a in self._state.markets for k in range(_MAKERS)]
        for address in (*makers, *TAKERS):
            self._state.account(address).house = True
            self._state.events.muted.add(address)

    def act(self, market: Market, reference: int) -> None:
        """Move the makers' quotes to a reference price, then let takers trade."""
        if market.delisted:
            return
        fair = self._fair(market, reference)
        ladders = [self._withdraw(market, index, fair) for index in range(_MAKERS)]
        # After all have withdrawn: makers do not trade with each other's old prices.
        for index, ladder in enumerate(ladders):
            self._quote(market, index, ladder)
        self._state.events.changed("book", market.spec.coin)
        self._take(market, fair)

    def _fair(self, market: Market, reference: int) -> int:
        """Price the makers believe in: some basis points from the reference, drifting by hours.

        It is what makes the premium, and with it the funding rate, move and change its sign.
        """
        if market.spec.spot or market.pinned:
            return reference
        cell, inside = divmod(self._state.now_ms, _BELIEF_MS)
        keys = (self._state.seed, market.spec.asset, 7)
        before, after = chance(*keys, cell), chance(*keys, cell + 1)
        belief = before + (after - before) * inside / _BELIEF_MS - 0.5
        return reference + int(reference * belief * 2 * _BELIEF_BP / 10_000)

    def _withdraw(self, market: Market, index: int, fair: int) -> dict[tuple[bool, int], int]:
        """Cancel what a maker no longer wants; return what it wants and has not.

        Nobody hears of these cancellations: they are no order's end, only its absence.
        """
        orders = self._state.accounts[maker_address(market.spec.asset, index)].orders
        wanted = self._ladder(market, index, fair)
        for order in list(orders.values()):
            size = wanted.get((order.buy, order.px))
            if size is not None and 2 * order.sz >= size:
                del wanted[order.buy, order.px]
            else:
                market.book.side(order.buy).remove(order)
                del orders[order.oid]
        return wanted

    def _quote(self, market: Market, index: int, wanted: dict[tuple[bool, int], int]) -> None:
        maker = maker_address(market.spec.asset, index)
        orders = self._state.accounts[maker].orders
        book = market.book
        for (buy, px), sz in wanted.items():
            order = self._order(market, maker, buy, px, sz, "Gtc")
            # Clients' orders that the price has come to are filled by the quote.
            best = book.side(not buy).best()
            if best and (best <= px if buy else best >= px):
                self._matching.take(order, px)
                if order.status == FILLED:
                    continue
            order.rank = self._state.number("rank")
            orders[order.oid] = order
            book.side(buy).add(order)

    def _ladder(self, market: Market, index: int, reference: int) -> dict[tuple[bool, int], int]:
        asset, coarsest = market.spec.asset, market.spec.coarsest
        levels = self._state.profile.maker_levels
        gap = max(tick_at(reference, coarsest), reference * _HALF_SPREAD_BP // 10_000)
        # One step for the whole ladder, that of its highest price: legal at the lower ones too.
        step = tick_at(reference + gap * (2 * levels + index), coarsest)
        out: dict[tuple[bool, int], int] = {}
        for level in range(levels):
            distance = gap * (1 + 2 * level + index)
            # The size belongs to the level: an unchanged price keeps its order.
            share = 60 + mixed(self._state.seed, asset, index, level) % 81
            sz = max(1, _TOP_VALUE * (2 + level) * share // (200 * reference))
            bid = (reference - distance) // step * step
            if bid > 0:
                out[True, bid] = sz
            out[False, -(-(reference + distance) // step) * step] = sz
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
        limit = within_percent(reference, _TAKER_SLIPPAGE, market.spec.coarsest, buy=buy)
        order = self._order(market, who, buy, limit, sz, "Ioc")
        self._matching.take(order, limit)

    def _order(self, market: Market, user: str, buy: bool, px: int, sz: int, tif: str) -> Order:
        state = self._state
        return Order(
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
