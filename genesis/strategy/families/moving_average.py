"""Families that follow moving averages."""

# ruff: noqa: D102 - `rules` and `dormant` are documented once, by Seed
from __future__ import annotations

from genesis.strategy.families.band import shifted
from genesis.strategy.genes import Float, Window
from genesis.strategy.language import Market, ema, persist, roc, sma
from genesis.strategy.seed import Ordering, Seed, SeedKind, seed
from genesis.strategy.strategy import Rules


@seed(kind=SeedKind.MOMENTUM)
class EmaCross(Seed):
    """Follow the fast exponential average while it leads the slow one by a band."""

    fast = Window(5, 40, default=10, doc="Span of the fast average.")
    slow = Window(14, 224, default=28, doc="Span of the slow average.")
    band = Float(
        0.0, 0.02, unit="fraction of price", default=0.001, doc="Least lead of the fast average."
    )
    momentum = Float(
        0.001,
        0.05,
        unit="fraction of price",
        log=True,
        off=True,
        doc="Least move over the fast span that confirms an entry.",
    )
    orderings = (Ordering("fast", "slow", 0.7),)

    def rules(self, m: Market) -> Rules:
        fast, slow = ema(m.close, self.fast), ema(m.close, self.slow)
        up, down = fast > shifted(slow, self.band), fast < shifted(slow, -self.band)
        if not self.momentum:
            return Rules(long=up, short=down)
        move = roc(m.close, self.fast)
        return Rules(
            long=up & (move > self.momentum),
            short=down & (move < -self.momentum),
            exit_long=down,
            exit_short=up,
        )


@seed(kind=SeedKind.TREND)
class SmaTrend(Seed):
    """Trade with a long-lasting order of two simple averages, out when price recrosses the fast.

    The reference mixes four scores with fixed weights; here each is a condition of its own, so
    that every gene can be read off the rule.
    """

    fast = Window(20, 80, default=40, doc="Bars of the fast average.")
    slow = Window(56, 320, default=160, doc="Bars of the slow average.")
    strength = Float(
        0.0, 0.05, unit="fraction of price", default=0.002, doc="Least gap between the averages."
    )
    confirm = Window(2, 28, default=3, doc="Bars for which the order must have lasted.")
    momentum = Window(10, 112, default=28, doc="Bars over which price must have moved along.")
    orderings = (Ordering("fast", "slow", 0.7),)

    def rules(self, m: Market) -> Rules:
        fast, slow = sma(m.close, self.fast), sma(m.close, self.slow)
        up, down = fast > shifted(slow, self.strength), fast < shifted(slow, -self.strength)
        move = roc(m.close, self.momentum)
        return Rules(
            long=persist(up, self.confirm) & (move > 0.0) & (m.close > fast),
            short=persist(down, self.confirm) & (move < 0.0) & (m.close < fast),
            exit_long=m.close < slow,
            exit_short=m.close > slow,
        )
