"""Circuit breakers: what trips them, what they force, and how they are armed again.

A breaker is a condition on what is measured now. While it lasts it forces a level, and once it
tripped it holds for a time of its own, kept in `RiskState`, so that it does not flicker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from genesis.domain.timeline import MINUTE_MS
from genesis.risk import formulas
from genesis.risk.book import Book
from genesis.risk.breaker_kinds import Breaker
from genesis.risk.genome import RiskGenes
from genesis.risk.levels import RiskLevel
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState, Trip, day_end, week_end

BY_PERSON = -1
"""Instant of re-arming of a breaker that waits for a person."""
_FOREVER = 1e9  # bars; a trip is written as JSON, which has no infinity
MOST_UNKNOWN = 2
"""Orders of unknown fate that an account may have; each blocks its own symbol anyway."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a tripped breaker means.

    Attributes
    ----------
    level : RiskLevel
        Level that it forces.
    rearms : str
        When it is armed again.
    """

    level: RiskLevel
    rearms: str


_HOUR = "an hour (a longer bar: a bar) after the condition ended"
CONSEQUENCES: dict[str, Consequence] = {
    Breaker.DAILY_DRAWDOWN: Consequence(RiskLevel.CRITICAL, "at the next 00:00 UTC"),
    Breaker.WEEKLY_DRAWDOWN: Consequence(RiskLevel.CRITICAL, "at the next Monday 00:00 UTC"),
    Breaker.TOTAL_DRAWDOWN: Consequence(RiskLevel.EMERGENCY, "by a person"),
    Breaker.RAPID_LOSS: Consequence(RiskLevel.CRITICAL, "a cooldown after the condition ended"),
    Breaker.CONSECUTIVE_LOSSES: Consequence(RiskLevel.CRITICAL, "a cooldown after the last loss"),
    Breaker.CORRELATION_SPIKE: Consequence(RiskLevel.HIGH, _HOUR),
    Breaker.VOLATILITY_SPIKE: Consequence(RiskLevel.HIGH, _HOUR),
    Breaker.SENTIMENT_EXTREME: Consequence(RiskLevel.MODERATE, _HOUR),
    Breaker.CONCENTRATION: Consequence(RiskLevel.HIGH, _HOUR),
    Breaker.STALE_DATA: Consequence(RiskLevel.CRITICAL, "as soon as the data are back"),
    Breaker.UNKNOWN_ORDERS: Consequence(RiskLevel.CRITICAL, "as soon as their fate is known"),
}


def conditions(
    genes: RiskGenes,
    state: RiskState,
    market: MarketState,
    book: Book,
    now_ms: int,
    *,
    past: bool = False,
) -> tuple[Trip, ...]:
    """Breakers whose condition holds now.

    Parameters
    ----------
    genes : RiskGenes
    state : RiskState
    market : MarketState
    book : Book
    now_ms : int
    past : bool
        Bars of the past are being told: how old the newest is says nothing.
    """
    return (
        *_blind(state, market, book, now_ms, past=past),
        *_losses(genes, state, now_ms),
        *_market(genes, market, book, now_ms),
    )


def _blind(
    state: RiskState, market: MarketState, book: Book, now_ms: int, *, past: bool
) -> Iterator[Trip]:
    """What is not known: equity, bars, the fate of orders."""
    lag, why = _lag(state, market, book, now_ms, past=past)
    if formulas.exceeds(lag, float(market.windows.stale)):
        yield Trip(Breaker.STALE_DATA, now_ms, now_ms + 1, lag, float(market.windows.stale), why)
    if book.unknown > MOST_UNKNOWN:
        text = f"the fate of {book.unknown} orders is unknown, the limit is {MOST_UNKNOWN}"
        count, limit = float(book.unknown), float(MOST_UNKNOWN)
        yield Trip(Breaker.UNKNOWN_ORDERS, now_ms, now_ms + 1, count, limit, text)


def _lag(
    state: RiskState, market: MarketState, book: Book, now_ms: int, *, past: bool
) -> tuple[float, str]:
    """Age in bars of the older of the newest bar and the last equity mark, and its sentence."""
    if not book.sound:
        return _FOREVER, "the snapshot of the account has impossible numbers"
    if not state.known:
        return _FOREVER, "the equity of the account is not known"
    if past:
        return 0.0, ""
    bar = market.newest_close_ms()
    if bar < 0:
        return _FOREVER, "no bar was seen"
    mark = (now_ms - state.marked_ms) / market.interval_ms
    lag = (now_ms - bar) / market.interval_ms
    if mark > lag:
        return mark, f"the last equity mark is {mark:.1f} bars old"
    return lag, f"the newest bar closed {lag:.1f} bars ago"


def _losses(genes: RiskGenes, state: RiskState, now_ms: int) -> Iterator[Trip]:
    cooldown = int(genes.cooldown_minutes * MINUTE_MS)
    falls = (
        (Breaker.TOTAL_DRAWDOWN, state.total_drawdown(), genes.total_drawdown, BY_PERSON),
        (Breaker.WEEKLY_DRAWDOWN, state.weekly_drawdown(now_ms), genes.weekly_drawdown,
         week_end(now_ms)),
        (Breaker.DAILY_DRAWDOWN, state.daily_drawdown(now_ms), genes.daily_drawdown,
         day_end(now_ms)),
        (Breaker.RAPID_LOSS, state.rapid_loss(now_ms, genes.rapid_loss_minutes),
         genes.rapid_loss, now_ms + cooldown),
    )  # fmt: skip
    if state.known:  # an unknown equity is stale data, not a loss that a person must re-arm
        for name, value, limit, until in falls:
            if formulas.exceeds(value, limit):
                words = name.replace("_", " ")
                text = f"{words} is {value:.2%}, the limit is {limit:.2%}"
                yield Trip(name, now_ms, until, value, limit, text)
    losses, limit = float(state.losses), genes.max_consecutive_losses
    since = float(state.since_loss_ms(now_ms))
    if formulas.streak_pauses(losses, limit, since, genes.cooldown_minutes):
        text = f"{state.losses} losing trades in a row, the limit is {limit:.0f}"
        until = state.last_loss_ms + cooldown
        yield Trip(Breaker.CONSECUTIVE_LOSSES, now_ms, until, losses, limit, text)


def _market(genes: RiskGenes, market: MarketState, book: Book, now_ms: int) -> Iterator[Trip]:
    until = now_ms + int(formulas.hold_ms(float(market.interval_ms)))
    correlation = market.mean_correlation()
    if formulas.exceeds(correlation, genes.correlation_spike):
        limit = genes.correlation_spike
        text = f"mean correlation is {correlation:.2f}, the limit is {limit:.2f}"
        yield Trip(Breaker.CORRELATION_SPIKE, now_ms, until, correlation, limit, text)
    percentile = market.mean_percentile()
    if formulas.exceeds(percentile, genes.high_volatility):
        limit = genes.high_volatility
        text = f"volatility is at its {percentile:.0%} percentile, the limit is {limit:.0%}"
        yield Trip(Breaker.VOLATILITY_SPIKE, now_ms, until, percentile, limit, text)
    symbol, share = book.largest() if book.sound else ("", 0.0)
    limit = genes.max_position * formulas.CONCENTRATION
    if formulas.exceeds(share, limit):
        text = f"the position in {symbol} is {share:.1%} of capital, the limit is {limit:.1%}"
        yield Trip(Breaker.CONCENTRATION, now_ms, until, share, limit, text)
    sentiment = market.sentiment(now_ms)
    if sentiment.extreme:
        index = sentiment.last
        fear = index <= formulas.FEAR
        limit = formulas.FEAR if fear else formulas.GREED
        text = f"the last sentiment value is {index:.0f}: extreme {'fear' if fear else 'greed'}"
        yield Trip(Breaker.SENTIMENT_EXTREME, now_ms, until, index, limit, text)
