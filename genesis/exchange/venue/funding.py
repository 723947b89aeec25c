"""Hourly funding."""

from __future__ import annotations

from genesis.exchange.venue.market import FUNDING_KEPT, Market
from genesis.exchange.venue.rates import average_premium, hourly_rate
from genesis.exchange.venue.state import VenueState
from genesis.exchange.venue.units import MICRO, RATE, RATE_DECIMALS, ratio, show, show_money

_ENTRIES_KEPT = 10_000


def settle(state: VenueState, market: Market) -> None:
    """Let longs pay shorts, or the reverse, on the oracle value of their positions.

    Each payment is rounded to millionths on its own; what that leaves over belongs to the
    insurance pool.
    """
    if market.spec.spot or market.delisted:
        return
    rate, premium = hourly_rate(market), average_premium(market)
    samples = market.samples
    market.premiums = market.samples = 0
    market.funding.append((state.now_ms, rate, premium))
    if len(market.funding) > 2 * FUNDING_KEPT:
        del market.funding[:-FUNDING_KEPT]
    state.begin()
    for user in tuple(state.holders[market.spec.asset]):
        _pay(state, market, user, rate, samples)


def _pay(state: VenueState, market: Market, user: str, rate: int, samples: int) -> None:
    account = state.accounts[user]
    position = account.positions[market.spec.asset]
    due = ratio(position.size * market.oracle * rate, RATE * MICRO) * MICRO
    cross, _ = account.lever(market.spec)
    if cross:
        account.raw -= due
    else:
        position.margin -= due
    state.insurance += due
    position.funding_ever += due
    position.funding_open += due
    position.funding_change += due
    if account.house:
        return
    delta = {
        "type": "funding",
        "coin": market.spec.coin,
        "usdc": show_money(-due),
        "szi": show(position.size, market.spec.sz_decimals),
        "fundingRate": show(rate, RATE_DECIMALS),
        "nSamples": samples or None,
    }
    entry = {"time": state.now_ms, "hash": state.hash(), "delta": delta}
    account.funding.append(entry)
    if len(account.funding) > 2 * _ENTRIES_KEPT:
        del account.funding[:-_ENTRIES_KEPT]
    state.events.user("funding", user, entry, market.spec.coin)
