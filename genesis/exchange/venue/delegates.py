"""API wallets, which sign for an account, and front ends that may charge it."""

from __future__ import annotations

import re
from typing import Any

from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue.accounts import Account, ApiWallet
from genesis.exchange.venue.drafts import address, field, text
from genesis.exchange.venue.placement import done, refused
from genesis.exchange.venue.state import VenueState

Json = dict[str, Any]
_ZERO = "0x" + "0" * 40
_VALID_MS = 90 * DAY_MS
_LONGEST_MS = 180 * DAY_MS
_NAMED = 3
_NAMED_PER_SUB = 2
_UNTIL = re.compile(r"^(?P<name>.*?)\s*valid_until (?P<until>\d{1,16})$")
_PERCENT = re.compile(r"^(\d{1,4})(?:\.(\d{1,3}))?%$")


class Delegates:
    """Who may act for whom."""

    def __init__(self, state: VenueState) -> None:
        self._state = state

    def owner(self, wallet: str) -> str | None:
        """Return the account an API wallet signs for, None if it is not one (any more)."""
        owner = self._state.wallet_owner.get(wallet)
        if owner is None:
            return None
        for entry in self._state.accounts[owner].wallets:
            if entry.address == wallet and entry.valid_until > self._state.now_ms:
                return owner
        return None

    def approve_wallet(self, account: Account, action: Json) -> Json:
        """Execute ``approveAgent``.

        One unnamed wallet and three named ones; a name that is in use gets the new address, the
        zero address takes the wallet away.
        """
        wallet = address(field(action, "agentAddress"), "agentAddress")
        name = text(action.get("agentName") or "", "agentName")
        until = self._state.now_ms + _VALID_MS
        dated = _UNTIL.match(name)
        if dated is not None:
            name, until = dated["name"], int(dated["until"])
            if not self._state.now_ms < until <= self._state.now_ms + _LONGEST_MS:
                return refused("Invalid agent expiration.")
        if wallet == account.address or wallet in self._state.accounts:
            return refused("Cannot use an existing user as agent.")
        if self._state.wallet_owner.get(wallet, account.address) != account.address:
            return refused("Agent is already in use.")
        kept = [entry for entry in account.wallets if entry.name != name]
        named = sum(1 for entry in kept if entry.name)
        if wallet != _ZERO and name and named >= self._room(account):
            return refused("Too many extra agents.")
        for entry in account.wallets:
            if entry.name == name:
                self._state.wallet_owner.pop(entry.address, None)
        if wallet != _ZERO:
            kept.append(ApiWallet(wallet, name, until))
            self._state.wallet_owner[wallet] = account.address
        account.wallets = kept
        return done("default")

    def _room(self, account: Account) -> int:
        subs = sum(1 for a in self._state.accounts.values() if a.master == account.address)
        return _NAMED + _NAMED_PER_SUB * subs

    def prune(self, wallet: str) -> bool:
        """Forget an API wallet, as the exchange may do with one that is out of use."""
        owner = self._state.wallet_owner.pop(wallet, None)
        if owner is None:
            return False
        account = self._state.accounts[owner]
        account.wallets = [entry for entry in account.wallets if entry.address != wallet]
        return True

    def approve_builder(self, account: Account, action: Json) -> Json:
        """Execute ``approveBuilderFee``: the largest fee a front end may add."""
        builder = address(field(action, "builder"), "builder")
        match = _PERCENT.match(text(field(action, "maxFeeRate"), "maxFeeRate"))
        if match is None:
            return refused("Invalid fee rate.")
        # 0.001 % is a tenth of a basis point.
        tenths = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))
        if tenths > 1000:
            return refused("Builder fee is too high.")
        account.builders[builder] = tenths
        return done("default")
