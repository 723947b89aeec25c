"""The state of an account in numbers: exposure, drawdowns, breakers, level."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genesis.risk import formulas
from genesis.risk.book import Book
from genesis.risk.breakers import CONSEQUENCES, conditions
from genesis.risk.genome import RiskGenes
from genesis.risk.levels import RiskLevel
from genesis.risk.regime import MarketState, Sentiment
from genesis.risk.state import RiskState, Trip


@dataclass(frozen=True, slots=True)
class RiskMetrics:
    """What is measured of an account at an instant.

    Attributes
    ----------
    ts_ms : int
    level : RiskLevel
    breakers : tuple of Trip
        Active ones, the gravest first.
    tripped : tuple of Trip
        Those whose condition holds now, for `RiskState.latch`.
    cautions : tuple of str
        What asks for level MODERATE, besides breakers.
    gross : float
        Gross exposure, working entries included, as a share of capital; NaN if unknown.
    net_long, net_short : float
        Net exposure if all that works on that side fills, as a share of capital.
    largest : float
        Largest position as a share of capital.
    positions : int
        Symbols with a position.
    daily_drawdown, weekly_drawdown, total_drawdown, rapid_loss : float
        Shares of the peak; infinite where the equity is unknown.
    losses : int
        Losing trades in a row.
    orders_in_hour : int
    sharpe : float
        Rolling annual Sharpe ratio; NaN with too few days.
    mean_correlation, volatility_percentile : float
    sentiment : Sentiment
    cancel_open : bool
        Entries that still work are to be cancelled: a breaker tripped just now, or the level
        allows no new risk whatever.
    flatten : bool
        Positions are to be closed.
    """

    ts_ms: int
    level: RiskLevel
    breakers: tuple[Trip, ...]
    tripped: tuple[Trip, ...]
    cautions: tuple[str, ...]
    gross: float
    net_long: float
    net_short: float
    largest: float
    positions: int
    daily_drawdown: float
    weekly_drawdown: float
    total_drawdown: float
    rapid_loss: float
    losses: int
    orders_in_hour: int
    sharpe: float
    mean_correlation: float
    volatility_percentile: float
    sentiment: Sentiment
    cancel_open: bool
    flatten: bool


def assess_account(
    genes: RiskGenes,
    state: RiskState,
    market: MarketState,
    book: Book,
    now_ms: int,
    *,
    flatten: bool,
    past: bool = False,
) -> RiskMetrics:
    """Measure an account; pure.

    Parameters
    ----------
    genes : RiskGenes
    state : RiskState
    market : MarketState
    book : Book
    now_ms : int
    flatten : bool
        Whether EMERGENCY closes positions.
    past : bool
        Bars of the past are being told: how old they are trips nothing.
    """
    tripped = conditions(genes, state, market, book, now_ms, past=past)
    held = {trip.breaker: trip for trip in state.trips(now_ms)}
    fresh = any(not state.goes_on(trip) for trip in tripped)
    active = held | {trip.breaker: trip for trip in tripped}
    breakers = sorted(active.values(), key=lambda trip: -CONSEQUENCES[trip.breaker].level)
    forced = {CONSEQUENCES[trip.breaker].level for trip in breakers}
    sharpe = state.sharpe()
    sound = book.sound
    gross = book.gross if sound else math.nan
    cautions = _cautions(genes, gross, sharpe)
    level = RiskLevel(
        formulas.level_of(
            RiskLevel.EMERGENCY in forced,
            RiskLevel.CRITICAL in forced,
            RiskLevel.HIGH in forced,
            RiskLevel.MODERATE in forced or bool(cautions),
        )
    )
    return RiskMetrics(
        ts_ms=now_ms,
        level=level,
        breakers=tuple(breakers),
        tripped=tripped,
        cautions=cautions,
        gross=gross,
        net_long=book.net(1.0) if sound else math.nan,
        net_short=book.net(-1.0) if sound else math.nan,
        largest=book.largest()[1] if sound else math.nan,
        positions=sum(1 for one in book.holdings.values() if one.position > 0.0),
        daily_drawdown=state.daily_drawdown(now_ms),
        weekly_drawdown=state.weekly_drawdown(now_ms),
        total_drawdown=state.total_drawdown(),
        rapid_loss=state.rapid_loss(now_ms, genes.rapid_loss_minutes),
        losses=state.losses,
        orders_in_hour=state.orders_in_hour(now_ms),
        sharpe=sharpe,
        mean_correlation=market.mean_correlation(),
        volatility_percentile=market.mean_percentile(),
        sentiment=market.sentiment(now_ms),
        cancel_open=fresh or level.reduces_only,
        flatten=flatten and level is RiskLevel.EMERGENCY,
    )


def _cautions(genes: RiskGenes, gross: float, sharpe: float) -> tuple[str, ...]:
    found = []
    if formulas.exceeds(gross, genes.max_gross * formulas.NEARLY_FULL):
        found.append(f"exposure is {gross:.0%} of capital, the cap is {genes.max_gross:.0%}")
    if sharpe < genes.min_sharpe:
        found.append(f"the rolling Sharpe ratio is {sharpe:.2f}, the least is {genes.min_sharpe}")
    return tuple(found)
