"""Families that trade breakouts of price channels."""

# ruff: noqa: D102 - `rules` and `dormant` are documented once, by Seed
from __future__ import annotations

from genesis.strategy.families.band import shifted
from genesis.strategy.genes import Float, Int, Window
from genesis.strategy.language import Market, highest, lag, lowest, persist, sma
from genesis.strategy.seed import Ordering, Seed, SeedKind, seed
from genesis.strategy.strategy import Rules


@seed(kind=SeedKind.BREAKOUT)
class Donchian(Seed):
    """Enter on a close beyond the channel of earlier bars, leave beyond a shorter channel.

    The channel ends at the previous bar (with the current bar inside no close could ever leave
    it), and the threshold is a fraction of price. The reference's channel of 10 to 30 bars is
    widened to 5 to 224 and given an exit channel, so that slow breakouts such as (56, 25) are
    within reach.
    """

    channel = Window(5, 224, default=28, doc="Bars of the entry channel.")
    exit_channel = Window(3, 112, default=14, doc="Bars of the exit channel.")
    threshold = Float(
        0.0, 0.02, unit="fraction of price", default=0.0, doc="Distance beyond the channel."
    )
    volume = Float(
        1.0, 3.0, step=0.1, off=True, unit="times average", doc="Least volume of the entry bar."
    )
    confirm = Int(
        2, 10, off=True, unit="bars", doc="Bars for which the channel's middle must have led."
    )
    orderings = (Ordering("exit_channel", "channel", 1.0),)

    def rules(self, m: Market) -> Rules:
        top, bottom = lag(highest(m.high, self.channel), 1), lag(lowest(m.low, self.channel), 1)
        long = m.close > shifted(top, self.threshold)
        short = m.close < shifted(bottom, -self.threshold)
        if self.confirm:
            middle = (top + bottom) * 0.5
            long = long & persist(m.close > middle, self.confirm)
            short = short & persist(m.close < middle, self.confirm)
        if self.volume:
            busy = m.volume > sma(m.volume, self.channel) * self.volume
            long, short = long & busy, short & busy
        exit_top = lag(highest(m.high, self.exit_channel), 1)
        exit_bottom = lag(lowest(m.low, self.exit_channel), 1)
        return Rules(
            long=long, short=short, exit_long=m.close < exit_bottom, exit_short=m.close > exit_top
        )
