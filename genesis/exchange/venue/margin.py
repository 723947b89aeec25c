"""Margin: what an account is worth, what it needs, and where it is liquidated."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from genesis.exchange.venue.accounts import Account, Position
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.meta import Instrument, MarginTier


class CrossMargin(msgspec.Struct, frozen=True):
    """The cross account at mark prices, in money.

    ``value`` is cash plus signed position values, ``initial`` and ``maintenance`` what the
    positions need, ``notional`` the sum of their absolute values.
    """

    value: int
    initial: int
    maintenance: int
    notional: int

    @property
    def available(self) -> int:
        """Margin free for new positions; negative in an account that is short of it."""
        return self.value - self.initial

    @property
    def withdrawable(self) -> int:
        """What may leave: a tenth of the positions' value stays whatever the leverage."""
        return max(0, self.value - max(self.initial, self.notional // 10))


def tier(spec: Instrument, notional: int) -> MarginTier:
    """Margin tier of a notional."""
    found = spec.tiers[0]
    for candidate in spec.tiers[1:]:
        if notional < candidate.lower:
            break
        found = candidate
    return found


def maintenance(spec: Instrument, notional: int) -> int:
    """Maintenance margin of a position of a notional, in money."""
    step = tier(spec, notional)
    return notional // (2 * step.max_leverage) - step.deduction


def initial(spec: Instrument, notional: int, leverage: int) -> int:
    """Initial margin of a position of a notional; a tier may allow less leverage than chosen."""
    if len(spec.tiers) > 1:
        leverage = min(leverage, tier(spec, notional).max_leverage)
    return -(-notional // leverage)


def cross_margin(account: Account, markets: Mapping[int, Market]) -> CrossMargin:
    """Evaluate the cross account."""
    value, needed_first, needed, total = account.dollars, 0, 0, 0
    for asset, position in account.positions.items():
        size = position.size
        if not size:
            continue
        market = markets[asset]
        cross, leverage = account.lever(market.spec)
        if not cross:
            continue
        notional = abs(size) * market.mark
        value += size * market.mark
        total += notional
        needed_first += initial(market.spec, notional, leverage)
        needed += maintenance(market.spec, notional)
    return CrossMargin(value, needed_first, needed, total)


def covers(
    account: Account, market: Market, delta: int, px: int, markets: Mapping[int, Market]
) -> bool:
    """Whether an account may change a position by ``delta`` at a price.

    Closing is always possible. What is opened needs initial margin at the mark price, and what a
    fill at a price worse than the mark loses at once must be there as well.
    """
    size = account.size(market.spec.asset)
    after = size + delta
    if abs(after) <= abs(size) or account.house:
        return True
    cross, leverage = account.lever(market.spec)
    mark = market.mark
    free = cross_margin(account, markets).available + min(0, delta * (mark - px))
    needed = initial(market.spec, abs(after) * mark, leverage)
    if cross:
        return free >= needed - initial(market.spec, abs(size) * mark, leverage)
    position = account.positions.get(market.spec.asset)
    if position is not None and size:
        # A reversal frees the old position's margin, an increase leaves it where it is.
        free += isolated_value(position, mark) if after * size < 0 else 0
        if after * size > 0:
            needed -= initial(market.spec, abs(size) * mark, leverage)
    return free >= needed


def isolated_value(position: Position, mark: int) -> int:
    """Worth of an isolated position with the money set aside for it."""
    return position.margin + position.size * mark


def liquidation_price(account: Account, market: Market, markets: Mapping[int, Market]) -> Fraction:
    """Price at which a position's account has just its maintenance margin.

    ``px - side * available / |size| / (1 - l * side)`` with ``l = 1 / maintenance leverage``; the
    other positions stay where they are. Where the result lies in another tier than the price, it
    is solved there: the margin needed has one formula per tier.

    Returns
    -------
    Fraction
        On the price grid of the market; zero or negative where no price liquidates it.
    """
    position = account.positions[market.spec.asset]
    size = abs(position.size)
    side = 1 if position.size > 0 else -1
    cross, _ = account.lever(market.spec)
    if cross:
        state = cross_margin(account, markets)
        others = state.maintenance - maintenance(market.spec, size * market.mark)
        cash = state.value - position.size * market.mark - others
    else:
        cash = position.margin
    # value - needed = cash + side*size*p - size*p/(2L) + deduction = 0, tier by tier.
    tiers = market.spec.tiers
    for index, step in enumerate(tiers):
        slope = Fraction(1, 2 * step.max_leverage) - side
        price = Fraction(cash + step.deduction) / (size * slope)
        upper = tiers[index + 1].lower if index + 1 < len(tiers) else None
        value = price * size
        if value >= step.lower and (upper is None or value < upper):
            return price
    return Fraction(0)
