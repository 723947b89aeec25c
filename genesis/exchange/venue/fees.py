"""What a trade costs each side."""

from __future__ import annotations

from genesis.exchange.venue.profile import VenueProfile
from genesis.exchange.venue.units import MICRO

# Rates are in thousandths of a percent.
_RATE_BASE = 100_000


def fee(profile: VenueProfile, value: int, *, crossed: bool) -> int:
    """Fee of one side of a perpetual trade of a value; cut to millionths, as recorded fees are."""
    rate = profile.taker_rate if crossed else profile.maker_rate
    amount = value * rate // _RATE_BASE
    return amount - amount % MICRO


def spot_fee(profile: VenueProfile, amount: int, *, crossed: bool) -> int:
    """Fee of one side of a spot trade, in the token it receives."""
    rate = profile.spot_taker_rate if crossed else profile.spot_maker_rate
    return amount * rate // _RATE_BASE


def builder_fee(value: int, tenths: int) -> int:
    """Fee of the front end that built an order, given in tenths of a basis point."""
    amount = value * tenths // _RATE_BASE
    return amount - amount % MICRO
