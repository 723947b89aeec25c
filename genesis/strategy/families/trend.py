"""Families that follow a smoothed price or a cloud of channel middles."""

# ruff: noqa: D102 - `rules` and `dormant` are documented once, by Seed
from __future__ import annotations

from collections.abc import Collection

from genesis.strategy.genes import Choice, Flag, Float, Window
from genesis.strategy.language import (
    Market,
    Node,
    ema,
    lag,
    maximum,
    midpoint,
    minimum,
    nw,
    realised_vol,
    roc,
    sma,
)
from genesis.strategy.seed import Ordering, Seed, SeedKind, seed
from genesis.strategy.strategy import Rules


@seed(kind=SeedKind.TREND)
class Ichimoku(Seed):
    """Trade the order of a fast and a slow channel middle, with the cloud and price behind it.

    The cloud of a bar was drawn one slow span earlier, so it reads earlier bars only. The
    reference's weights of cloud and momentum are switches here.
    """

    tenkan = Window(5, 14, default=10, doc="Bars of the fast middle.")
    kijun = Window(20, 56, default=28, doc="Bars of the slow middle, and how old the cloud is.")
    senkou_b = Window(40, 112, default=56, doc="Bars of the cloud's slow edge.")
    cloud = Flag(default=True, doc="Ask price to be beyond the cloud.")
    momentum = Flag(doc="Ask price to be beyond the price one slow span ago.")
    orderings = (Ordering("tenkan", "kijun", 0.7), Ordering("kijun", "senkou_b", 0.8))

    def dormant(self) -> Collection[str]:
        return () if self.cloud else ("senkou_b",)

    def rules(self, m: Market) -> Rules:
        fast, slow = midpoint(m, self.tenkan), midpoint(m, self.kijun)
        up, down = fast > slow, fast < slow
        long, short = up, down
        if self.cloud:
            edge_a = lag((fast + slow) * 0.5, self.kijun)
            edge_b = lag(midpoint(m, self.senkou_b), self.kijun)
            long = long & (m.close > maximum(edge_a, edge_b))
            short = short & (m.close < minimum(edge_a, edge_b))
        if self.momentum:
            before = lag(m.close, self.kijun)
            long, short = long & (m.close > before), short & (m.close < before)
        return Rules(long=long, short=short, exit_long=down, exit_short=up)


@seed(kind=SeedKind.TREND)
class NadarayaWatson(Seed):
    """Follow the direction of a kernel regression once it has moved far enough.

    The regression weighs past bars only. The reference's smoothing weight is a window here, and
    its threshold of 0.2 to 8 % starts at 0.05 % for short bars.
    """

    bandwidth = Window(5, 40, default=14, doc="Bandwidth of the regression.")
    kernel = Choice("gaussian", "epanechnikov", doc="Weights of the regression.")
    trend = Float(
        0.0005, 0.08, log=True, unit="fraction of price", default=0.005, doc="Least move."
    )
    smoothing = Window(2, 20, default=3, doc="Bars of the average over the regression.")
    adapt = Float(
        0.0, 1.0, step=0.05, unit="share", default=0.0, doc="How far the threshold follows risk."
    )

    def rules(self, m: Market) -> Rules:
        fit = nw(m.close, self.bandwidth, 0 if self.kernel == "gaussian" else 1)
        move = roc(ema(fit, self.smoothing), self.bandwidth)
        least: Node | float = self.trend
        if self.adapt:
            vol = realised_vol(m.close, 28)
            least = ((vol / sma(vol, 224)) * self.adapt + (1.0 - self.adapt)) * self.trend
        return Rules(
            long=move > least,
            short=move < -least,
            exit_long=move < 0.0,
            exit_short=move > 0.0,
        )
