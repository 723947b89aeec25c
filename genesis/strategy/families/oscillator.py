"""Families that trade oscillators and distances from an average."""

# ruff: noqa: D102 - `rules` and `dormant` are documented once, by Seed
from __future__ import annotations

from collections.abc import Collection

from genesis.strategy.genes import Choice, Float, Window
from genesis.strategy.language import (
    Market,
    Node,
    adx,
    cross_down,
    cross_up,
    diff,
    roc,
    rsi,
    sma,
    std,
    stoch,
    vwap,
    zscore,
)
from genesis.strategy.seed import Ordering, Seed, SeedKind, seed
from genesis.strategy.strategy import Rules


def _divergence(price: Node, oscillator: Node, bars: int, points: float) -> tuple[Node, Node]:
    """Return conditions of bullish and bearish divergence.

    Bullish: price is lower than some bars ago while the oscillator is higher by some points.
    """
    move, turn = roc(price, bars), diff(oscillator, bars)
    return (move < 0.0) & (turn > points), (move > 0.0) & (turn < -points)


@seed(kind=SeedKind.MEAN_REVERSION, name="rsi")
class RsiReversion(Seed):
    """Buy an exhausted fall and sell an exhausted rise, as told by the relative strength index.

    Mode ``signal`` waits for the index to come back through its level; mode ``filter`` enters
    while it is beyond the level, but only with the long trend.
    """

    period = Window(7, 40, default=14, doc="Bars of the index.")
    oversold = Float(15, 40, step=1, unit="points", default=30, doc="Level of an exhausted fall.")
    overbought = Float(60, 85, step=1, unit="points", default=70, doc="And of an exhausted rise.")
    exit_level = Float(
        45, 59, step=1, unit="points", default=50, doc="Longs leave above it, shorts below 100-it."
    )
    mode = Choice("signal", "filter", doc="Wait for the return, or enter with the trend.")
    trend = Window(40, 224, default=112, doc="Bars of the trend in mode filter.")
    divergence = Float(
        1, 20, step=1, unit="points", off=True, doc="Least rise of the index against the price."
    )

    def dormant(self) -> Collection[str]:
        return ("trend",) if self.mode == "signal" else ()

    def rules(self, m: Market) -> Rules:
        index = rsi(m.close, self.period)
        if self.mode == "signal":
            long, short = cross_up(index, self.oversold), cross_down(index, self.overbought)
        else:
            average = sma(m.close, self.trend)
            long = (index < self.oversold) & (m.close > average)
            short = (index > self.overbought) & (m.close < average)
        if self.divergence:
            bullish, bearish = _divergence(m.close, index, self.period, self.divergence)
            long, short = long & bullish, short & bearish
        return Rules(
            long=long,
            short=short,
            exit_long=index > self.exit_level,
            exit_short=index < 100.0 - self.exit_level,
        )


@seed(kind=SeedKind.MOMENTUM)
class Stochastic(Seed):
    """Enter when the stochastic turns up through its average in the low zone, or down in the high.

    The position ends at the opposite zone. The reference's 10 to 20 bars are widened to 7 to 56.
    """

    k = Window(7, 56, default=14, doc="Bars of the high-low channel.")
    d = Window(2, 7, default=3, doc="Bars of the average that is crossed.")
    overbought = Float(70, 85, step=1, unit="points", default=80, doc="Start of the high zone.")
    oversold = Float(15, 30, step=1, unit="points", default=20, doc="End of the low zone.")
    divergence = Float(
        1, 30, step=1, unit="points", off=True, doc="Least rise of the stochastic against price."
    )

    def rules(self, m: Market) -> Rules:
        fast = stoch(m, self.k)
        slow = sma(fast, self.d)
        long = cross_up(fast, slow) & (slow < self.oversold)
        short = cross_down(fast, slow) & (slow > self.overbought)
        if self.divergence:
            bullish, bearish = _divergence(m.close, fast, self.k, self.divergence)
            long, short = long & bullish, short & bearish
        return Rules(
            long=long,
            short=short,
            exit_long=slow > self.overbought,
            exit_short=slow < self.oversold,
        )


@seed(kind=SeedKind.MEAN_REVERSION)
class VwapReversion(Seed):
    """Fade a price that has strayed from its volume-weighted average, until it has come back.

    Distance is measured in standard deviations (``band``) and may be asked for in price as well
    (``threshold``; the reference's 0.8 to 1.5 % is widened to 0.1 to 3 % and can be off). Anchor
    ``mean`` makes it the plain z-score rule with an entry and an exit level.
    """

    anchor = Choice("vwap", "mean", doc="What price is compared with.")
    period = Window(7, 224, default=56, doc="Bars of the anchor and of the deviation.")
    band = Float(0.5, 4, step=0.1, unit="sd", default=2.0, doc="Distance of an entry.")
    exit_band = Float(
        -1, 1, step=0.1, unit="sd", default=0.0, doc="Distance, on the entry's side, of the exit."
    )
    threshold = Float(
        0.001, 0.03, log=True, off=True, unit="fraction of price", doc="Least distance in price."
    )
    volume = Float(
        0.5, 2.5, step=0.1, off=True, unit="times average", doc="Least volume of the entry bar."
    )
    regime = Float(
        12, 45, step=1, off=True, unit="ADX points", doc="No entry in a trend stronger than this."
    )
    orderings = (Ordering("exit_band", "band", 0.9),)

    def rules(self, m: Market) -> Rules:
        if self.anchor == "mean":
            anchor = sma(m.close, self.period)
            away = zscore(m.close, self.period)
        else:
            anchor = vwap(m, self.period)
            away = (m.close - anchor) / std(m.close, self.period)
        long, short = away < -self.band, away > self.band
        if self.threshold:
            long = long & (m.close < anchor * (1 - self.threshold))
            short = short & (m.close > anchor * (1 + self.threshold))
        if self.volume:
            busy = m.volume > sma(m.volume, self.period) * self.volume
            long, short = long & busy, short & busy
        if self.regime:
            calm = adx(m, 14) < self.regime
            long, short = long & calm, short & calm
        return Rules(
            long=long,
            short=short,
            exit_long=away > -self.exit_band,
            exit_short=away < self.exit_band,
        )
