"""The whole state of a venue as plain values, and back."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from genesis.exchange.venue.accounts import Account
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.orders import Order
from genesis.exchange.venue.schedule import Schedule
from genesis.exchange.venue.state import VenueState

Json = dict[str, Any]
_MARKET = (
    "oracle",
    "mark",
    "pinned",
    "basis",
    "last",
    "trades",
    "premiums",
    "samples",
    "open_interest",
    "interest_cap",
    "delisted",
)
_STATE = (
    "now_ms",
    "started_ms",
    "wallet_owner",
    "counters",
    "builder_fees",
    "insurance",
)


def plain(state: VenueState, schedule: Schedule) -> Json:
    """Return everything a venue needs to continue."""
    return {
        **{name: msgspec.to_builtins(getattr(state, name)) for name in _STATE},
        "deposits": _keyed(state.deposits),
        "fees": _keyed(state.fees),
        "holders": {str(asset): list(users) for asset, users in state.holders.items()},
        "accounts": [
            msgspec.to_builtins(account, str_keys=True) for account in state.accounts.values()
        ],
        "markets": {str(asset): _market(market) for asset, market in state.markets.items()},
        "schedule": [list(row) for row in schedule.plain()],
    }


def state_hash(values: Json) -> str:
    """Hash a state; the order of keys is not part of it, that of accounts and orders is."""
    data = msgspec.json.encode(values, order="sorted")
    return blake2b(data, digest_size=16).hexdigest()


def restore(state: VenueState, schedule: Schedule, values: Json) -> None:
    """Replace a state.

    Orders are in the accounts; books and triggers are filled from them, in order of rank and age.
    """
    for name in _STATE:
        setattr(state, name, msgspec.to_builtins(values[name]))
    state.events.now_ms = state.now_ms
    state.tx = ""
    state.deposits = _numbered(values["deposits"])
    state.fees = _numbered(values["fees"])
    state.holders = {int(asset): dict.fromkeys(users) for asset, users in values["holders"].items()}
    accounts = msgspec.convert(values["accounts"], list[Account], strict=False)
    state.accounts = {account.address: account for account in accounts}
    state.events.muted = {account.address for account in accounts if account.house}
    state.markets = {spec.asset: Market(spec) for spec in state.meta.instruments()}
    state.by_coin.clear()
    for market in state.markets.values():
        state.by_coin[market.spec.coin] = market
        _restore_market(market, values["markets"][str(market.spec.asset)])
    _rebuild_books(state, accounts)
    schedule.restore([(row[0], row[1], row[2]) for row in values["schedule"]])


def _rebuild_books(state: VenueState, accounts: list[Account]) -> None:
    living: list[Order] = [order for account in accounts for order in account.orders.values()]
    for order in sorted(living, key=lambda o: o.rank):
        if order.rank:
            state.markets[order.asset].book.side(order.buy).add(order)
    for order in sorted(living, key=lambda o: o.armed_rank):
        if order.armed:
            state.markets[order.asset].triggers[order.oid] = order


def _market(market: Market) -> Json:
    return {
        **{name: getattr(market, name) for name in _MARKET},
        "trades": [dict(trade) for trade in market.trades],
        "funding": [list(row) for row in market.funding],
        "hours": {str(hour): list(row) for hour, row in market.hours.items()},
        "minute": list(market.candles.minute) if market.candles.minute else None,
        "candles": {
            interval: [list(row) for row in rows] for interval, rows in market.candles.rows.items()
        },
    }


def _restore_market(market: Market, values: Json) -> None:
    for name in _MARKET:
        setattr(market, name, values[name])
    market.trades = [dict(trade) for trade in values["trades"]]
    market.funding = [(row[0], row[1], row[2]) for row in values["funding"]]
    market.hours = {int(hour): list(row) for hour, row in values["hours"].items()}
    market.candles.minute = list(values["minute"]) if values["minute"] else None
    market.candles.rows = {
        interval: [list(row) for row in rows] for interval, rows in values["candles"].items()
    }


def _keyed(values: dict[int, int]) -> dict[str, int]:
    return {str(key): value for key, value in values.items()}


def _numbered(values: dict[str, int]) -> dict[int, int]:
    return {int(key): value for key, value in values.items()}
