"""What a test may do to a venue and a client may not."""

from __future__ import annotations

from genesis.exchange.venue.actions import Actions
from genesis.exchange.venue.liquidation import Liquidation
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.orders import STATUSES
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.steps import Steps
from genesis.exchange.venue.units import TOO_FINE, MalformedAction, on_tick, parse


class Knobs:
    """Prices by hand, ends of orders by decree, caps and delisting.

    Raises
    ------
    MalformedAction
        From any of them, for a coin, price, order or status that does not exist.
    """

    def __init__(
        self,
        state: VenueState,
        matching: Matching,
        steps: Steps,
        liquidation: Liquidation,
        actions: Actions,
    ) -> None:
        self._state = state
        self._matching = matching
        self._steps = steps
        self._liquidation = liquidation
        self._actions = actions

    def _market(self, coin: str) -> Market:
        market = self._state.by_coin.get(coin)
        if market is None:
            raise MalformedAction(f"unknown coin {coin!r}")
        return market

    def set_price(self, coin: str, price: str, *, oracle: str | None = None) -> None:
        """Pin a market's mark price, and its oracle price (the same by default).

        Makers, where there are any, quote around the oracle price; triggers and liquidations act
        on the mark price at once.
        """
        market = self._market(coin)
        mark = self._price(market, price)
        value = mark if oracle is None else self._price(market, oracle)
        self._state.begin()
        market.mark, market.oracle = mark, value
        market.pinned = True
        self._steps.follow(market)

    def _price(self, market: Market, price: str) -> int:
        spec = market.spec
        px = parse(price, spec.px_decimals)
        if px == TOO_FINE or px == 0 or not on_tick(px, spec.px_decimals, spec.coarsest):
            raise MalformedAction(f"{price} is no price of {spec.coin}")
        return px

    def release_price(self, coin: str) -> None:
        """Let a market follow its reference price again from the next step on."""
        self._market(coin).pinned = False

    def set_premium(self, coin: str, premium: int) -> None:
        """Replace this hour's premium samples by one, in 1e-10."""
        market = self._market(coin)
        market.premiums, market.samples = premium, 1

    def end_order(self, user: str, oid: int, status: str) -> None:
        """End a living order with any status, as the exchange might."""
        account = self._state.accounts.get(user)
        order = account.orders.get(oid) if account is not None else None
        if order is None or status not in STATUSES[2:]:
            raise MalformedAction(f"no living order {oid} of {user}, or no status {status!r}")
        self._state.begin()
        self._matching.end(order, status)

    def set_interest_cap(self, coin: str, size: str) -> None:
        """Cap a market's open interest; 0 lifts it."""
        market = self._market(coin)
        cap = parse(size, market.spec.sz_decimals)
        if cap == TOO_FINE:
            raise MalformedAction(f"{size} is no size of {coin}")
        market.interest_cap = cap

    def delist(self, coin: str) -> None:
        """End trading in a market; orders end, positions are settled at the mark price."""
        market = self._market(coin)
        self._state.begin()
        market.delisted = True
        for account in list(self._state.accounts.values()):
            for order in list(account.orders.values()):
                if order.asset == market.spec.asset and order.oid in account.orders:
                    self._matching.end(order, "delistedCanceled")
        for user in tuple(self._state.holders[market.spec.asset]):
            account = self._state.accounts[user]
            size = account.size(market.spec.asset)
            if not account.house:
                self._liquidation.transfer(account, market, -size, "Settlement", "")

    def deleverage(self, user: str, coin: str) -> None:
        """Close a position at the mark price, as auto-deleveraging does."""
        market = self._market(coin)
        account = self._state.accounts.get(user)
        size = account.size(market.spec.asset) if account is not None else 0
        if account is None or not size:
            raise MalformedAction(f"{user} has no position in {coin}")
        self._state.begin()
        self._liquidation.transfer(account, market, -size, "Auto-Deleveraging", "")
        self._matching.fit_guards(account, market.spec.asset)

    def prune_agent(self, wallet: str) -> bool:
        """Forget an API wallet; return whether it was one."""
        return self._actions.delegates.prune(wallet)

    def set_volume(self, user: str, dollars: int) -> None:
        """Let an account have traded an amount."""
        self._state.account(user).volume = dollars * 10**8
