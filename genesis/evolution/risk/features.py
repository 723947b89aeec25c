"""What the risk manager would know of a market at each close of a path.

The windows and the statistics are those of `genesis.risk`; the tests hold the arrays against
`MarketState` fed with the same bars.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel
from genesis.domain.timeline import bars_per_year
from genesis.evolution.risk.paths import MarketPath
from genesis.risk.formulas import sentiment_extreme, trend_of
from genesis.risk.measures import (
    bar_deviation,
    correlations,
    mean_above_diagonal,
    percentile_of,
    trend_strength,
)
from genesis.risk.regime import CLUSTER
from genesis.risk.track import Windows

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Signs = npt.NDArray[np.int8]

LEAST_FOR_CORRELATION = 3
"""Symbols below which the mean correlation counts as 0, as in `MarketState.mean_correlation`."""


@dataclass(frozen=True, slots=True, eq=False)
class MarketFeatures:
    """Measures at the close of each bar, meaningless before the first traded one and in halts.

    Attributes
    ----------
    volatility, percentile, turnover : float64, shape (A, B)
        Per year; place in its own history; mean notional traded in a bar, quote units.
    trend : int8, shape (A, B)
        +1, 0, -1.
    known : bool, shape (A, B)
        Whether the symbol's regime is known.
    correlation : float64, shape (B, A, A)
    cluster : bool, shape (B, A, A)
        Symbols that are one bet with the row's.
    mean_correlation, mean_percentile : float64, shape (B,)
    extreme : bool, shape (B,)
        Fear or greed is extreme.
    """

    volatility: Floats
    percentile: Floats
    turnover: Floats
    trend: Signs
    known: Bools
    correlation: Floats
    cluster: Bools
    mean_correlation: Floats
    mean_percentile: Floats
    extreme: Bools


def market_features(
    path: MarketPath, interval_ms: int, first: int, windows: Windows
) -> MarketFeatures:
    """Measure a path from its first traded bar on.

    Parameters
    ----------
    path : MarketPath
    interval_ms : int
    first : int
        First traded bar; nothing is measured before it.
    windows : Windows
    """
    assets, bars = path.close.shape
    valid = ~path.halted
    deviation, percentile, strength = (np.full((assets, bars), np.nan) for _ in range(3))
    turnover, single = np.zeros((assets, bars)), np.full((assets, bars), np.nan)
    for i in range(assets):
        _symbol(
            path.close[i],
            path.close[i] * path.volume[i],
            valid,
            first,
            windows.trend,
            windows.volatility,
            windows.correlation,
            windows.history,
            windows.least_history,
            windows.turnover,
            deviation[i],
            percentile[i],
            strength[i],
            turnover[i],
            single[i],
        )
    matrix = np.full((bars, assets, assets), np.nan)
    together = np.zeros((bars, assets, assets), dtype=np.bool_)
    mean_correlation, mean_percentile = np.zeros(bars), np.zeros(bars)
    _market(
        single,
        percentile,
        valid,
        first,
        windows.correlation,
        windows.least_common,
        matrix,
        together,
        mean_correlation,
        mean_percentile,
    )
    trend = np.zeros((assets, bars), dtype=np.int8)
    extreme = np.zeros(bars, dtype=np.bool_)
    _labels(strength, path.sentiment[0], trend, extreme)
    return MarketFeatures(
        volatility=deviation * math.sqrt(bars_per_year(interval_ms)),
        percentile=percentile,
        turnover=turnover,
        trend=trend,
        known=np.isfinite(percentile),
        correlation=matrix,
        cluster=together,
        mean_correlation=mean_correlation,
        mean_percentile=mean_percentile,
        extreme=extreme,
    )


@kernel
def _symbol(
    close: Floats,
    notional: Floats,
    valid: Bools,
    first: int,
    trend: int,
    volatility: int,
    correlation: int,
    history: int,
    least_history: int,
    turnover_window: int,
    deviation: Floats,
    percentile: Floats,
    strength: Floats,
    turnover: Floats,
    single: Floats,
) -> None:
    """Measures of one symbol, as `genesis.risk.track.SymbolTrack` keeps them."""
    bars = close.size
    returns = np.empty(bars)
    spans = np.empty(bars)
    past = np.empty(bars)
    traded = np.empty(bars)
    seen = 0
    count = 0
    kept = 0
    last = -1
    for t in range(bars):
        if not valid[t]:
            continue
        if last >= 0:
            spans[count] = float(t - last)
            returns[count] = math.log(close[t] / close[last])
            if t - last == 1:
                single[t] = returns[count]
            count += 1
            if count >= volatility:
                low = count - volatility
                past[kept] = bar_deviation(returns[low:count], spans[low:count])
                kept += 1
        last = t
        traded[seen] = notional[t]
        seen += 1
        if t < first:
            continue
        total = 0.0
        low = max(seen - turnover_window, 0)
        for k in range(low, seen):
            total += traded[k]
        turnover[t] = total / (seen - low)
        if kept:
            deviation[t] = past[kept - 1]
        if count >= max(trend, correlation) and min(kept, history) >= least_history:
            percentile[t] = percentile_of(past[kept - 1], past[max(kept - history, 0) : kept])
            strength[t] = trend_strength(
                returns[count - trend : count], spans[count - trend : count]
            )


@kernel
def _market(
    single: Floats,
    percentile: Floats,
    valid: Bools,
    first: int,
    window: int,
    least: int,
    matrix: Floats,
    together: Bools,
    mean_correlation: Floats,
    mean_percentile: Floats,
) -> None:
    """Correlations and clusters at each close, as `MarketState` answers them."""
    assets, bars = single.shape
    pairs = np.empty((assets, assets))
    for t in range(first, bars):
        if not valid[t]:
            continue
        low = max(t + 1 - window, 0)
        pairs[:] = correlations(single[:, low : t + 1], least)
        for i in range(assets):
            pairs[i, i] = 1.0
        matrix[t] = pairs
        _clusters(pairs, together[t])
        warm = 0
        total = 0.0
        for i in range(assets):
            if not math.isnan(percentile[i, t]):
                warm += 1
                total += percentile[i, t]
        mean_percentile[t] = total / warm if warm else 0.0
        # All symbols of a path trade on the same bars, so that they are warm together.
        if warm == assets and assets >= LEAST_FOR_CORRELATION:
            mean_correlation[t] = mean_above_diagonal(pairs, 1.0)


@kernel
def _clusters(pairs: Floats, out: Bools) -> None:
    """Symbols linked by correlations, over others too, and those whose correlation is unknown."""
    assets = pairs.shape[0]
    for i in range(assets):
        out[i, i] = True
        grown = True
        while grown:
            grown = False
            for j in range(assets):
                if out[i, j]:
                    for k in range(assets):
                        if pairs[j, k] >= CLUSTER and not out[i, k]:
                            out[i, k] = True
                            grown = True
        for j in range(assets):
            if math.isnan(pairs[i, j]):
                out[i, j] = True


@kernel
def _labels(strength: Floats, sentiment: Floats, trend: Signs, extreme: Bools) -> None:
    """Trends and extremes by the formulas of the manager; the last value of the index counts."""
    assets, bars = strength.shape
    last = math.nan
    for t in range(bars):
        if not math.isnan(sentiment[t]):
            last = sentiment[t]
        extreme[t] = sentiment_extreme(last)
        for i in range(assets):
            trend[i, t] = trend_of(strength[i, t])
