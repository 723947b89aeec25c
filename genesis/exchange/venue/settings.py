"""Leverage and margin of a position, the dead man's switch, and other settings of an account."""

from __future__ import annotations

from typing import Any

from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.drafts import field, flag, integer, text
from genesis.exchange.venue.margin import cross_margin, initial, isolated_value
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.matching import Matching
from genesis.exchange.venue.placement import done, refused
from genesis.exchange.venue.schedule import Schedule
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MICRO, MONEY, show

Json = dict[str, Any]
_NO_MARGIN = "Insufficient margin to set leverage."
_SOONEST_MS = 5_000
_FIRES_PER_DAY = 10


class Settings:
    """Executes what changes an account without an order."""

    def __init__(self, state: VenueState, matching: Matching, schedule: Schedule) -> None:
        self._state = state
        self._matching = matching
        self._schedule = schedule

    def leverage(self, account: Account, action: Json) -> Json:
        """Execute ``updateLeverage``."""
        asset = integer(field(action, "asset"), "asset")
        cross = flag(field(action, "isCross"), "isCross")
        leverage = integer(field(action, "leverage"), "leverage")
        market = self._state.markets.get(asset)
        if market is None or market.spec.spot:
            return refused(f"Invalid asset {asset}.")
        spec = market.spec
        if not 1 <= leverage <= spec.max_leverage:
            return refused("Invalid leverage value.")
        if cross and spec.only_isolated:
            return refused("Cross margin is not allowed for this asset.")
        position = account.positions.get(asset)
        if position is not None and position.size:
            if account.lever(spec)[0] != cross:
                return refused("Cannot switch leverage type with open position.")
            if not self._affords(account, market, cross=cross, leverage=leverage):
                return refused(_NO_MARGIN)
        account.leverage[asset] = (cross, leverage)
        return done("default")

    def _affords(self, account: Account, market: Market, *, cross: bool, leverage: int) -> bool:
        """Whether margin is there for a leverage; an isolated position is topped up with it."""
        position = account.positions[market.spec.asset]
        notional = abs(position.size) * market.mark
        needed = initial(market.spec, notional, leverage)
        free = cross_margin(account, self._state.markets).available
        if cross:
            before = initial(market.spec, notional, account.lever(market.spec)[1])
            return needed <= before or free >= needed - before
        missing = needed - isolated_value(position, market.mark)
        if missing <= 0:
            return True
        if free < missing:
            return False
        account.raw -= missing
        position.margin += missing
        return True

    def isolated_margin(self, account: Account, action: Json) -> Json:
        """Execute ``updateIsolatedMargin``: move money into a position, or out of it."""
        asset = integer(field(action, "asset"), "asset")
        amount = integer(field(action, "ntli"), "ntli") * MICRO
        market = self._state.markets.get(asset)
        position = account.positions.get(asset)
        if market is None or position is None or not position.size:
            return refused("No position to update isolated margin of.")
        cross, leverage = account.lever(market.spec)
        if cross:
            return refused("Cannot update isolated margin of a cross position.")
        if amount > 0:
            if cross_margin(account, self._state.markets).withdrawable < amount:
                return refused("Insufficient margin available for isolated margin update.")
        else:
            notional = abs(position.size) * market.mark
            floor = max(initial(market.spec, notional, leverage), notional // 10)
            if isolated_value(position, market.mark) + amount < floor:
                return refused("Insufficient margin available for isolated margin update.")
        account.raw -= amount
        position.margin += amount
        return done("default")

    def schedule_cancel(self, account: Account, action: Json) -> Json:
        """Execute ``scheduleCancel``: cancel everything at a time, unless moved on before."""
        wanted = action.get("time")
        if wanted is None:
            account.cancel_at = 0
            return done("default")
        at_ms = integer(wanted, "time")
        required = self._state.profile.schedule_cancel_volume
        if account.volume < required * MONEY:
            traded = show(account.volume, 8)
            return refused(
                "Cannot set scheduled cancel time until enough volume traded. "
                f"Required: ${required}. Traded: ${traded}."
            )
        if at_ms < self._state.now_ms + _SOONEST_MS:
            return refused("Scheduled cancel time must be at least 5 seconds in the future.")
        if account.cancels_fired.get(self._state.now_ms // DAY_MS, 0) >= _FIRES_PER_DAY:
            return refused("Too many scheduled cancels triggered today.")
        account.cancel_at = at_ms
        self._schedule.add(at_ms, "cancel", account.address)
        return done("default")

    def fire_cancel(self, user: str) -> None:
        """Cancel all orders of an account whose time has come."""
        account = self._state.accounts[user]
        if account.cancel_at != self._state.now_ms:
            return
        account.cancel_at = 0
        day = self._state.now_ms // DAY_MS
        account.cancels_fired[day] = account.cancels_fired.get(day, 0) + 1
        self._state.begin()
        for order in list(account.orders.values()):
            if order.oid in account.orders:
                self._matching.end(order, "scheduledCancel")

    def referrer(self, account: Account, action: Json) -> Json:
        """Execute ``setReferrer``."""
        if account.referrer:
            return refused("Referrer already set.")
        account.referrer = text(field(action, "code"), "code")
        return done("default")

    def abstraction(self, account: Account, action: Json) -> Json:
        """Execute ``userSetAbstraction`` and its variants."""
        names = {"i": "disabled", "u": "unifiedAccount", "p": "portfolioMargin"}
        wanted = text(field(action, "abstraction"), "abstraction")
        chosen = names.get(wanted, wanted)
        if chosen not in (*names.values(), "dexAbstraction", "default"):
            return refused(f"Unknown abstraction {wanted}.")
        account.abstraction = chosen
        if not account.unified and (short := -min(account.raw, account.spot.get(0, 0), 0)):
            # Two balances again: neither may owe the other.
            moved = short if account.raw < 0 else -short
            account.raw += moved
            account.spot[0] = account.spot.get(0, 0) - moved
        return done("default")
