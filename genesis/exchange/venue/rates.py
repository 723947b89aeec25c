"""The funding rate of a market."""

from __future__ import annotations

from genesis.exchange.venue.market import Market
from genesis.exchange.venue.units import RATE, ratio

# 0.01 % interest in eight hours, and how far the premium may move the rate from it.
INTEREST = RATE // 10_000
CLAMP = 5 * RATE // 10_000
CAP = 4 * RATE // 100


def average_premium(market: Market) -> int:
    """Average of this hour's samples, in 1e-10; the present premium before the first."""
    if not market.samples:
        return market.premium()
    return ratio(market.premiums, market.samples)


def hourly_rate(market: Market) -> int:
    """Rate due at the end of this hour, in 1e-10.

    The formula ``premium + clamp(interest - premium, +-0.05 %)`` gives an eight-hour rate; an
    eighth of it is paid each hour, at most 4 %.
    """
    premium = average_premium(market)
    eight_hours = premium + max(-CLAMP, min(CLAMP, INTEREST - premium))
    return max(-CAP, min(CAP, ratio(eight_hours, 8)))
