"""The position sizer in a run: an entry is made as small as its method says, never larger.

What it reads is what the risk manager is told, so it is a part of the fold: the same log gives the
same sizes.
"""

from __future__ import annotations

import math
from decimal import Decimal

from msgspec.structs import replace

from genesis.risk.book import Exposure
from genesis.risk.limits import RiskView
from genesis.risk.manager import scaled
from genesis.risk.regime import MarketRegime, MarketState
from genesis.risk.sizer import GeneticPositionSizer, SizingInputs, SizingMethod, SizingRules
from genesis.risk.snapshot import account_book
from genesis.trading.deployment import STRATEGY_SIZE, Deployment
from genesis.trading.desk import Desk
from genesis.trading.guard import RiskGuard
from genesis.trading.money import exact
from genesis.trading.payloads import SizePlan
from genesis.trading.planners import round_size


class EntrySizer:
    """Asks the sizer that a deployment's options name.

    Parameters
    ----------
    desk : Desk
    guard : RiskGuard
        Knows genes, markets and what the account holds.
    """

    def __init__(self, desk: Desk, guard: RiskGuard) -> None:
        self._desk = desk
        self._guard = guard

    def limit(self, deployment: Deployment, size: SizePlan, side: float) -> SizePlan:
        """Size that an entry may have, at most the planned one; 0 with its reason in ``sizing``.

        Parameters
        ----------
        deployment : Deployment
        size : SizePlan
        side : float
            +1 buy, -1 sell.
        """
        method = deployment.options.sizing
        if method == STRATEGY_SIZE:
            return size
        desk, nothing = self._desk, Decimal(0)
        price = desk.market.prices.get(deployment.symbol, 0.0)
        capital = float(desk.account_capital(deployment.account))
        if not (price > 0.0 and capital > 0.0):
            text = f"no size: no price of {deployment.symbol} is known"
            return replace(size, size=nothing, method=method, sizing=text)
        sizer = GeneticPositionSizer(
            SizingRules.from_genes(self._guard.genes), SizingMethod(method)
        )
        found = sizer.size(self._inputs(deployment, side))
        if found.share == 0.0:
            return replace(size, size=nothing, method=method, sizing=found.text)
        asked = float(size.size) * price / capital
        text = f"{found.text}; {asked:.2%} was asked for"
        if found.share >= asked:
            return replace(size, sizing=text)
        left = round_size(scaled(size.size, found.share / asked), deployment.instrument)
        if left * exact(price) < exact(deployment.instrument.min_notional):
            left, text = nothing, f"too little is left: {text}"
        return replace(size, size=left, method=method, sizing=text)

    def _inputs(self, deployment: Deployment, side: float) -> SizingInputs:
        view, market = self._guard.view(deployment), self._guard.book.market
        now, symbol = self._desk.now_ms, deployment.symbol
        seen = market.symbol(symbol, now)
        known = seen.regime is not MarketRegime.UNKNOWN
        win_rate, payoff = deployment.edge()
        sides = {one.symbol: _side(one) for one in view.exposures} | {symbol: side}
        names = sorted(sides)
        return SizingInputs(
            win_rate=win_rate,
            payoff=payoff,
            volatility=seen.volatility if known else math.nan,
            momentum=side * seen.strength if known else math.nan,
            used=_used(view),
            volatilities=[_volatility(market, name, now) for name in names],
            correlations=[
                [_together(market, one, other, sides) for other in names] for one in names
            ],
            place=names.index(symbol),
        )


def _used(view: RiskView) -> float:
    """Share of the account's capital that positions and working entries take; NaN if unsound."""
    book = account_book(view)
    return book.gross if book.sound else math.nan


def _volatility(market: MarketState, symbol: str, now_ms: int) -> float:
    seen = market.symbol(symbol, now_ms)
    return math.nan if seen.regime is MarketRegime.UNKNOWN else seen.volatility


def _together(market: MarketState, one: str, other: str, sides: dict[str, float]) -> float:
    """Correlation of two holdings as they are held: a short goes against its market."""
    return market.correlation(one, other) * sides[one] * sides[other]


def _side(held: Exposure) -> float:
    """Side of a holding; NaN where what works on both sides leaves it open."""
    size = held.position or held.buying - held.selling
    return math.copysign(1.0, size) if size else math.nan
