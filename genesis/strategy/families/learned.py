"""Families that learn from the recent past: a linear classifier and a forest of quantiles.

Both read the same fifteen features, all of them of past bars and free of the price's unit.

"""

# ruff: noqa: D102 - `rules` and `dormant` are documented once, by Seed
from __future__ import annotations

from genesis.strategy.genes import Float, Int, Levels, Window
from genesis.strategy.language import (
    Market,
    Node,
    adx,
    lag,
    rank,
    realised_vol,
    roc,
    rsi,
    slope,
    stoch,
    zscore,
)
from genesis.strategy.node import apply
from genesis.strategy.seed import Seed, SeedKind, seed
from genesis.strategy.strategy import Rules

SEED = 1


def features(m: Market) -> tuple[Node, ...]:
    """Return the features in the order in which a classifier with fewer of them takes them."""
    vol = realised_vol(m.close, 20)
    return (
        zscore(m.close, 20),
        roc(m.close, 5),
        roc(m.close, 20),
        vol,
        rsi(m.close, 14),
        roc(m.close, 1),
        zscore(m.volume, 20),
        stoch(m, 20),
        zscore(m.close, 80),
        roc(m.close, 80),
        (m.high - m.low) / m.close,
        adx(m, 14),
        slope(m.close, 40),
        rank(vol, 80),
        lag(roc(m.close, 1), 1),
    )


@seed(kind=SeedKind.ML, ml=True)
class LinearSvc(Seed):
    """Follow a linear classifier of the next move, as far as cross-validation trusts it.

    The score is the mean margin of an ensemble, squashed to (-1, 1), times the edge that purged
    folds inside the training window found. Windows of the reference's 20 to 200 bars are on the
    grid.
    """

    lookback = Window(20, 224, default=112, doc="Samples of a fit.")
    features = Int(3, 15, default=6, doc="How many of the fifteen features are used.")
    c = Float(0.5, 2.0, step=0.05, default=1.0, doc="Penalty of a violated margin.")
    ensemble = Int(1, 5, default=3, doc="Machines, on ever more recent parts of the window.")
    folds = Int(3, 10, default=4, doc="Folds of the validation.")
    bins = Int(2, 4, default=3, doc="Train on all moves, the larger two thirds or half.")
    horizon = Window(2, 28, default=7, doc="Bars that are foretold.")
    refit = Levels(64, 128, 256, 512, default=256, unit="bars", doc="Bars between fits.")
    margin = Float(0.0, 0.3, step=0.01, default=0.03, doc="Score an entry needs.")

    def rules(self, m: Market) -> Rules:
        operands = [
            node if place < self.features else 0.0 for place, node in enumerate(features(m))
        ]
        score = apply(
            "svc",
            *operands,
            m.close,
            features=self.features,
            window=self.lookback,
            horizon=self.horizon,
            ensemble=self.ensemble,
            folds=self.folds,
            bins=self.bins,
            refit=self.refit,
            c=self.c,
        )
        return Rules(
            long=score > self.margin,
            short=score < -self.margin,
            exit_long=score < 0.0,
            exit_short=score > 0.0,
        )


@seed(kind=SeedKind.ML, ml=True)
class PcaTree(Seed):
    """Buy where even a pessimistic quantile of the foretold return is a gain, sell the mirror case.

    Quantile q and 1 - q describe the same pair, so the reference's 0.1 to 0.9 is folded to 0.1 to
    0.5; the window of 50 to 500 bars is on the grid up to 320.
    """

    components = Int(2, 5, default=3, doc="Principal components of the features.")
    depth = Int(3, 7, default=4, doc="Depth of a tree.")
    trees = Int(10, 200, step=10, default=40, doc="Trees of the forest.")
    quantile = Float(0.1, 0.5, step=0.01, default=0.4, doc="Pessimistic quantile.")
    window = Window(56, 320, default=224, doc="Samples of a fit.")
    bins = Int(2, 4, default=2, doc="Train on all moves, the larger two thirds or half.")
    horizon = Window(2, 28, default=7, doc="Bars that are foretold.")
    refit = Levels(64, 128, 256, 512, default=256, unit="bars", doc="Bars between fits.")

    def rules(self, m: Market) -> Rules:
        forecast = apply(
            "quantile_forest",
            *features(m),
            m.close,
            components=self.components,
            depth=self.depth,
            trees=self.trees,
            window=self.window,
            horizon=self.horizon,
            bins=self.bins,
            refit=self.refit,
            seed=SEED,
            quantile=self.quantile,
        )
        return Rules(long=forecast > 0.0, short=forecast < 0.0)
