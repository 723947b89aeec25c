"""Families that are paid for holding."""

# ruff: noqa: D102 - `rules` and `dormant` are documented once, by Seed
from __future__ import annotations

from genesis.strategy.genes import Flag, Float, Window
from genesis.strategy.language import Market, persist, rank, roc, sma
from genesis.strategy.seed import Seed, SeedKind, seed
from genesis.strategy.strategy import Rules


@seed(kind=SeedKind.CARRY, needs=("funding",))
class FundingCarry(Seed):
    """Hold the side that receives funding while the rate is far from zero.

    Funding is the dataset's own field: where a symbol has none every rule is unknown and the
    family never trades. Thresholds are distances from zero, always positive, so that both sides
    can never be true at once.
    """

    threshold = Float(
        0.00001, 0.005, log=True, unit="rate per 8 h", default=0.0002, doc="Least mean rate."
    )
    duration = Window(2, 80, default=14, doc="Bars of the mean rate.")
    persistence = Window(2, 28, default=3, doc="Bars for which the rate must have lasted.")
    reversal = Float(
        0.1, 1.0, step=0.05, unit="times threshold", default=0.3, doc="Mean rate of the exit."
    )
    extreme = Flag(doc="Ask the mean rate to be in the outer tenth of 160 bars.")
    momentum = Flag(doc="Ask price to move with the position.")

    def rules(self, m: Market) -> Rules:
        rate = sma(m.funding, self.duration)
        short = persist(rate > self.threshold, self.persistence)
        long = persist(rate < -self.threshold, self.persistence)
        if self.extreme:
            place = rank(rate, 160)
            long, short = long & (place < 0.1), short & (place > 0.9)
        if self.momentum:
            move = roc(m.close, self.duration)
            long, short = long & (move > 0.0), short & (move < 0.0)
        back = self.threshold * self.reversal
        return Rules(long=long, short=short, exit_long=rate > -back, exit_short=rate < back)
