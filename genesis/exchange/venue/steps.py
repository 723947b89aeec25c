"""One step of the market: prices, the venue's own traders, and what prices set off."""

from __future__ import annotations

from genesis.exchange.venue.liquidation import Liquidation
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.path import PricePath
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.traders import Traders
from genesis.exchange.venue.triggers import Triggers
from genesis.exchange.venue.units import to_tick


class Steps:
    """Moves every market by one step."""

    def __init__(
        self,
        state: VenueState,
        path: PricePath,
        traders: Traders | None,
        triggers: Triggers,
        liquidation: Liquidation,
    ) -> None:
        self._state = state
        self._path = path
        self._traders = traders
        self._triggers = triggers
        self._liquidation = liquidation

    def begin(self) -> None:
        """Give every market its first price and book."""
        if self._traders is not None:
            self._traders.open_accounts()
        for market in self._state.markets.values():
            market.oracle = market.mark = self.reference(market)
            if self._traders is not None:
                self._traders.act(market, market.oracle)

    def reference(self, market: Market) -> int:
        """Price that the venue's traders and the oracle go by, on a legal tick."""
        if market.pinned:
            return market.oracle
        found = self._path.price(market.spec.coin, self._state.now_ms)
        return to_tick(market.oracle if found is None else found, market.spec.coarsest)

    def step(self) -> None:
        """Move all markets: traders first, since the mark price follows their book."""
        state = self._state
        state.begin()
        moving = state.profile.coins
        for market in state.markets.values():
            if market.delisted or (moving and market.spec.coin not in moving):
                continue
            reference = self.reference(market)
            if self._traders is not None:
                self._traders.act(market, reference)
            changed = market.reprice(reference, state.profile.step_ms)
            if not market.spec.spot:
                market.sample_premium()
            if changed:
                self.marked(market)
            state.events.changed("context", market.spec.coin)

    def follow(self, market: Market) -> None:
        """Let a price set by hand take effect at once."""
        if self._traders is not None:
            self._traders.act(market, market.oracle)
        self.marked(market)
        self._state.events.changed("context", market.spec.coin)

    def marked(self, market: Market) -> None:
        """Do what a new mark price sets off: triggers first, they may save an account."""
        self._triggers.check(market)
        self._liquidation.check(market)

    def check_all(self) -> None:
        """Look at every margined account."""
        for market in self._state.markets.values():
            self._liquidation.check(market)

    def check_user(self, user: str) -> None:
        """Look at one account again."""
        account = self._state.accounts[user]
        for asset in list(account.positions):
            self._liquidation.check_account(account, self._state.markets[asset])
