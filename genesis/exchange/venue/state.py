"""Everything a venue remembers, with the counters that number it."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.events import EventLog
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.meta import VenueMeta
from genesis.exchange.venue.orders import Order
from genesis.exchange.venue.profile import VenueProfile
from genesis.exchange.venue.units import show

# Takes over what a liquidation could not sell.
BACKSTOP = "0x000000000000000000000000000000000000b0b0"
_FIRST_OID = 100_000_000
# Trade ids look random on the real exchange: an odd multiplier keeps them unique.
_TID_STEP = 0x9E3779B97F4A7C15
_TID_MASK = 2**50 - 1


class VenueState:
    """State of a venue; the rules are elsewhere.

    Money that left the accounts is in ``fees``, ``builder_fees`` and ``insurance`` (roundings of
    funding, losses nobody could pay), so that accounts plus these equal ``deposits`` always.
    """

    def __init__(self, meta: VenueMeta, profile: VenueProfile, seed: int, now_ms: int) -> None:
        self.meta = meta
        self.profile = profile
        self.seed = seed
        self.now_ms = now_ms
        self.started_ms = now_ms
        self.markets = {spec.asset: Market(spec) for spec in meta.instruments()}
        self.by_coin = {market.spec.coin: market for market in self.markets.values()}
        self.accounts: dict[str, Account] = {}
        self.wallet_owner: dict[str, str] = {}
        self.events = EventLog()
        self.holders: dict[int, dict[str, None]] = {asset: {} for asset in self.markets}
        self.counters = {"oid": _FIRST_OID, "tid": 0, "tx": 0, "rank": 0, "twap": 0, "sub": 0}
        self.deposits: dict[int, int] = {}
        self.fees: dict[int, int] = {}
        self.builder_fees: dict[str, int] = {}
        self.insurance = 0
        self.tx = ""
        self.begin()
        self.account(BACKSTOP).house = True

    def begin(self) -> None:
        """Start a transaction: what follows shares one hash."""
        self.counters["tx"] += 1
        self.tx = ""

    def hash(self) -> str:
        """Hash of the current transaction."""
        if not self.tx:
            text = f"{self.seed}:{self.counters['tx']}".encode()
            self.tx = "0x" + blake2b(text, digest_size=32).hexdigest()
        return self.tx

    def number(self, kind: str) -> int:
        """Return the next number of a kind."""
        self.counters[kind] += 1
        return self.counters[kind]

    def trade_id(self) -> int:
        """Return the number of a trade: unique, not in order."""
        return (self.number("tid") * _TID_STEP) & _TID_MASK

    def account(self, user: str) -> Account:
        """Return the account of a lower-case address, a new one if need be."""
        account = self.accounts.get(user)
        if account is None:
            account = self.accounts[user] = Account(address=user)
        return account

    def find_order(self, user: str, key: int | str) -> Order | None:
        """Find an order of a user, alive or past, by number or client id."""
        account = self.accounts.get(user)
        if account is None:
            return None
        oid = account.cloids.get(key) if isinstance(key, str) else key
        if oid is None:
            return None
        return account.orders.get(oid) or account.past.get(oid)

    def record(self, user: str, delta: dict[str, Any]) -> None:
        """Note a change of an account that is neither a trade nor funding."""
        entry = {"time": self.now_ms, "hash": self.hash(), "delta": delta}
        self.account(user).ledger.append(entry)
        self.events.user("ledger", user, entry)

    def balance(self) -> int:
        """Dollars in all accounts and pools minus those paid in: 0, whatever happened."""
        total = self.insurance + self.fees.get(0, 0) + sum(self.builder_fees.values())
        for account in self.accounts.values():
            total += account.raw + account.spot.get(0, 0)
            total += sum(position.margin for position in account.positions.values())
        return total - self.deposits.get(0, 0)


def usd(value: int) -> str:
    """Spell money exactly (eight decimals); see ``show_money`` for what is cut to millionths."""
    return show(value, 8)
