"""Daily returns of strategies and of the market that they trade."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genesis.backtest.frame import day_stops, last_known
from genesis.market.panel import Panel, SymbolSeries

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def daily_returns(ts_ms: Ints, returns: Floats) -> Floats:
    """Returns of bars added up by UTC day (each bar where bars are a day or longer).

    Parameters
    ----------
    ts_ms : int64, shape (T,)
        Open time of each bar.
    returns : float64, shape (T,)
        Fractions of capital; they are added, not compounded.

    Returns
    -------
    float64, shape (days,)
    """
    return np.diff(np.cumsum(returns)[day_stops(ts_ms) - 1], prepend=0.0)


def market_returns(panel: Panel) -> Floats:
    """Daily return of holding every symbol of a panel in equal parts, shape (days,).

    A symbol adds its simple return since the day before, on the days that it has both.
    """
    stops = day_stops(panel.ts_ms) - 1
    rows = []
    for series in panel.symbols:
        known = last_known(series.close, series.valid)[stops]
        before = np.concatenate([[_first_open(series)], known[:-1]])
        rows.append(np.nan_to_num(known / before - 1.0))
    return np.asarray(np.mean(rows, axis=0), dtype=np.float64)


def _first_open(series: SymbolSeries) -> float:
    return float(series.open[series.first]) if series.last >= series.first else float("nan")


def hedged(returns: Floats, market: Floats) -> Floats:
    """Returns without what a constant position in the market explains (Jensen 1968).

    The slope is that of least squares; what is left keeps its mean, the alpha.

    Parameters
    ----------
    returns, market : float64, shape (days,)
    """
    centred = market - np.mean(market)
    spread = float(np.sum(centred * centred))
    # A market without variation leaves only rounding behind.
    varies = spread > 1e-24 * float(np.sum(market * market))
    beta = float(np.sum(centred * returns)) / spread if varies else 0.0
    return returns - beta * market
