"""Families that trade changes of volatility, or measure their distances by it."""

# ruff: noqa: D102 - `rules` and `dormant` are documented once, by Seed
from __future__ import annotations

import math

from genesis.strategy.families.band import shifted
from genesis.strategy.genes import Choice, Flag, Float, Window
from genesis.strategy.language import (
    Market,
    atr,
    ema,
    highest,
    lowest,
    persist,
    rank,
    realised_vol,
    roc,
    sma,
    std,
)
from genesis.strategy.seed import Ordering, Seed, SeedKind, seed
from genesis.strategy.strategy import Rules

_RANK_BARS = 160


@seed(kind=SeedKind.VOLATILITY)
class Bollinger(Seed):
    """Follow a close outside the bands after the bands have been narrow.

    Narrow means that within the last ``memory`` bars the deviation was in the lowest ``squeeze``
    share of 160 bars: a share works on any market and bar length, the reference's fixed width
    (5 to 25 % of price) is always met on hourly bars.
    """

    period = Window(10, 40, default=20, doc="Bars of the mean and deviation.")
    width = Float(1.5, 3.0, step=0.05, unit="sd", default=2.0, doc="Half-width of the bands.")
    squeeze = Float(0.05, 0.5, step=0.01, unit="share", default=0.25, doc="What counts as narrow.")
    memory = Window(2, 28, default=7, doc="Bars for which a squeeze is remembered.")
    breakout = Float(
        0.0005, 0.05, log=True, off=True, unit="fraction of price", doc="Least excess over a band."
    )
    exit_band = Float(
        -0.5, 0.75, step=0.05, unit="half-widths", default=0.0, doc="Place of the exit line."
    )

    def rules(self, m: Market) -> Rules:
        mean, deviation = sma(m.close, self.period), std(m.close, self.period)
        narrow = lowest(rank(deviation, _RANK_BARS), self.memory) < self.squeeze
        reach, back = deviation * self.width, deviation * (self.width * self.exit_band)
        return Rules(
            long=narrow & (m.close > shifted(mean + reach, self.breakout)),
            short=narrow & (m.close < shifted(mean - reach, -self.breakout)),
            exit_long=m.close < mean + back,
            exit_short=m.close > mean - back,
        )


@seed(kind=SeedKind.RISK)
class AtrBreakout(Seed):
    """Enter on a move of several average ranges from the mean, leave by a trailing stop in ranges.

    The risk family: its stop is part of the rules (a chandelier exit from the extreme close). How
    much is bought belongs to the policy genes, so the reference's size factor is not repeated.
    """

    period = Window(7, 56, default=14, doc="Bars of the mean, the range and the extreme.")
    stop = Float(0.5, 4.0, step=0.1, unit="ATR", default=1.5, doc="Distance of an entry.")
    trail = Float(0.3, 6.0, step=0.1, unit="ATR", default=2.5, doc="Distance of the exit.")
    vol_adjust = Float(
        0.0, 1.0, step=0.05, unit="share", default=0.0, doc="How far distances follow volatility."
    )

    def rules(self, m: Market) -> Rules:
        ranges = atr(m, self.period)
        mean = ema(m.close, self.period)
        distance = ranges
        if self.vol_adjust:
            # Distances in ranges grow once more when ranges are wider than they usually are.
            unusual = ranges / sma(ranges, 4 * self.period)
            distance = ranges * (unusual * self.vol_adjust + (1.0 - self.vol_adjust))
        return Rules(
            long=m.close > mean + distance * self.stop,
            short=m.close < mean - distance * self.stop,
            exit_long=m.close < highest(m.close, self.period) - distance * self.trail,
            exit_short=m.close > lowest(m.close, self.period) + distance * self.trail,
        )


@seed(kind=SeedKind.VOLATILITY)
class VolatilityScaling(Seed):
    """Follow moves that are large for the volatility, in the volatility regime that suits them.

    Volatility decides whether to trade, price which way (the reference took calm itself for a buy
    signal). Target volatility and base size of the reference are the policy genes ``vol_target``
    and ``size``.
    """

    window = Window(7, 56, default=20, doc="Bars of the volatility and of the move.")
    slow = Window(56, 224, default=112, doc="Bars of the usual volatility.")
    side = Choice("calm", "expanding", doc="Trade below or above the usual volatility.")
    regime = Float(0.8, 2.0, step=0.05, unit="times usual", default=1.0, doc="The boundary.")
    scale = Float(0.2, 2.0, step=0.05, unit="sd of the move", default=0.5, doc="Least move.")
    persistence = Window(2, 10, default=2, doc="Bars for which the regime must have lasted.")
    two_frames = Flag(doc="Ask the move over the slow window to agree.")
    orderings = (Ordering("window", "slow", 0.5),)

    def rules(self, m: Market) -> Rules:
        vol = realised_vol(m.close, self.window)
        usual = sma(vol, self.slow) * self.regime
        regime = persist(vol < usual if self.side == "calm" else vol > usual, self.persistence)
        move = roc(m.close, self.window)
        # A move over n bars has the deviation of one bar times the square root of n.
        least = vol * round(self.scale * math.sqrt(self.window), 4)
        long, short = regime & (move > least), regime & (move < -least)
        if self.two_frames:
            drift = roc(m.close, self.slow)
            long, short = long & (drift > 0.0), short & (drift < 0.0)
        return Rules(long=long, short=short, exit_long=move < 0.0, exit_short=move > 0.0)
