"""Whether an edge survives a change of parameters, of prices, of trades, of regime."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError
from genesis.validation.bootstrap import politis_white_length, resample_counts
from genesis.validation.sharpe import annual_sharpe

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

ATR_BARS = 14
TOP_TRADES = 5
REGIMES = tuple(f"{v} volatility, {t}" for v in ("low", "middle", "high") for t in ("down", "up"))


@dataclass(frozen=True, slots=True)
class Plateau:
    """How a strategy's parameter neighbours do.

    Attributes
    ----------
    median_share : float
        Median of the neighbours over the centre; NaN when the centre is not positive.
    p10 : float
        Tenth percentile of the neighbours.
    """

    median_share: float
    p10: float


def plateau(centre: float, neighbours: Floats) -> Plateau:
    """Compare the Sharpe ratio of a strategy with those one step away (shape (n,), n >= 1).

    A neighbour without a ratio (NaN: it does not trade) counts as 0, which earns nothing.
    """
    if neighbours.size == 0:
        raise InputError("a plateau needs a neighbour")
    ratios = np.where(np.isnan(neighbours), 0.0, neighbours)
    share = float(np.median(ratios)) / centre if centre > 0.0 else math.nan
    return Plateau(share, float(np.quantile(ratios, 0.1)))


def average_true_range(high: Floats, low: Floats, close: Floats, bars: int = ATR_BARS) -> Floats:
    """Mean true range of up to ``bars`` bars that end at each one; all bars valid, shape (n,)."""
    before = np.concatenate((close[:1], close[:-1]))
    true_range = np.maximum(high, before) - np.minimum(low, before)
    total = np.cumsum(true_range)
    total[bars:] -= total[:-bars]
    ranges: Floats = np.maximum(total, 0.0) / np.minimum(np.arange(1, high.size + 1), bars)
    return ranges


def jitter_bars(
    open: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    valid: Bools,
    scale_atr: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Bars whose four prices each carry normal noise of ``scale_atr`` average true ranges.

    Parameters
    ----------
    open, high, low, close : float64, shape (n,)
        Positive where valid.
    valid : bool, shape (n,)
        Other bars are returned as they are, NaN or not.
    scale_atr : float
        Standard deviation of the noise in average true ranges of 14 bars; 0.1 to 0.2 is usual.
    rng : numpy.random.Generator

    Returns
    -------
    open, high, low, close : float64, shape (n,)
        New arrays. Prices are multiplied by ``exp(noise / price)`` and so stay positive; then high
        and low are moved to include open and close.
    """
    if not scale_atr >= 0.0:
        raise InputError(f"the noise must not be negative, got {scale_atr!r}")
    prices = np.stack((open, high, low, close))
    kept = prices[:, valid]
    sd = scale_atr * average_true_range(kept[1], kept[2], kept[3])
    kept = kept * np.exp(rng.standard_normal(kept.shape) * sd / kept)
    kept[1] = np.max(kept, axis=0)
    kept[2] = np.min(kept, axis=0)
    prices[:, valid] = kept
    return prices[0], prices[1], prices[2], prices[3]


@dataclass(frozen=True, slots=True)
class TradeBootstrap:
    """How much of a result hangs on a few trades.

    Attributes
    ----------
    p5_sharpe, p5_total : float
        Fifth percentile over resamples of the Sharpe ratio per trade and of the total pnl.
    without_top5_total, without_top5_sharpe : float
        The same two numbers of the trades without the five best; the ratio is NaN when fewer than
        two trades are left.
    """

    p5_sharpe: float
    p5_total: float
    without_top5_total: float
    without_top5_sharpe: float


def trade_bootstrap(pnl: Floats, draws: int, rng: np.random.Generator) -> TradeBootstrap:
    """Resample trades (pnl of shape (n,), in order of time) in stationary blocks.

    Blocks have the Politis-White mean length. Percentiles are observed values (the lower one), so
    that a resample of equal trades, whose ratio is infinite, does no harm. NaN with fewer than two
    trades.
    """
    n = pnl.size
    rest = np.sort(pnl)[: max(n - TOP_TRADES, 0)]
    total, ratio = float(np.sum(rest)), annual_sharpe(rest, 1.0)
    if n < 2:
        return TradeBootstrap(math.nan, math.nan, total, ratio)
    counts = resample_counts(n, draws, max(politis_white_length(pnl), 1.0), rng)
    totals, squares = counts @ pnl, counts @ (pnl * pnl)
    variance = (squares - totals * totals / n) / (n - 1)
    varies = variance > 1e-14 * squares / n
    ratios = np.where(totals != 0.0, np.copysign(np.inf, totals), 0.0)
    np.divide(totals / n, np.sqrt(np.where(varies, variance, 1.0)), out=ratios, where=varies)
    low_ratio, low_total = (float(np.quantile(x, 0.05, method="lower")) for x in (ratios, totals))
    return TradeBootstrap(low_ratio, low_total, total, ratio)


@dataclass(frozen=True, slots=True)
class RegimeRow:
    """A strategy in one market regime.

    Attributes
    ----------
    regime : str
        One of `REGIMES`.
    bars : int
    share : float
        Of the bars whose regime is known.
    mean : float
        Mean return per bar; NaN without a bar.
    sharpe : float
        Annualised; NaN with fewer than two bars or without variation.
    """

    regime: str
    bars: int
    share: float
    mean: float
    sharpe: float


def regime_labels(market_returns: Floats, window: int) -> Ints:
    """Regime of each bar from bars before it: an index into `REGIMES`, -1 where unknown.

    Parameters
    ----------
    market_returns : float64, shape (n,)
        Finite.
    window : int
        Bars of the trailing volatility (sd) and trend (sign of the sum), at least 2.

    Notes
    -----
    A bar's tercile is that of its trailing volatility among the trailing volatilities up to it, so
    that no label changes when bars are added. The first ``2 window`` bars are unknown: there is no
    window before the first of them and no distribution to compare with before the last.
    """
    if window < 2 or not np.isfinite(market_returns).all():
        raise InputError("regimes need a window of two bars and finite returns")
    labels = np.full(market_returns.size, -1, dtype=np.int64)
    # Row i covers the window before bar i + window.
    total = _window_sums(market_returns, window)
    variance = _window_sums(market_returns**2, window) / window - (total / window) ** 2
    seen: list[float] = []
    for t, (trend, spread) in enumerate(zip(total, variance.tolist(), strict=True), start=window):
        # The middle of its own place, so that the lowest and highest are treated alike.
        rank = (bisect_left(seen, spread) + 0.5) / (len(seen) + 1.0)
        insort(seen, spread)
        if len(seen) > window:
            labels[t] = 2 * int(3.0 * rank) + int(trend > 0.0)
    return labels


def _window_sums(x: Floats, window: int) -> Floats:
    """Sums of each ``window`` consecutive values that another value follows."""
    total = np.concatenate(([0.0], np.cumsum(x)))
    return total[window:-1] - total[: -window - 1]


def regime_table(
    market_returns: Floats, strategy_returns: Floats, periods: float, window: int
) -> list[RegimeRow]:
    """A strategy's returns in each regime of its market, in the order of `REGIMES`.

    Parameters
    ----------
    market_returns, strategy_returns : float64, shape (n,)
        Of the same bars.
    periods : float
        Bars in a year.
    window : int
        As in `regime_labels`.
    """
    if market_returns.shape != strategy_returns.shape:
        raise InputError("market and strategy must have the same bars")
    labels = regime_labels(market_returns, window)
    known = int(np.count_nonzero(labels >= 0))
    rows = []
    for k, name in enumerate(REGIMES):
        own = strategy_returns[labels == k]
        mean = float(np.mean(own)) if own.size else math.nan
        share = own.size / known if known else 0.0
        rows.append(RegimeRow(name, own.size, share, mean, annual_sharpe(own, periods)))
    return rows


def kelly_halving_probability(fraction: float) -> float:
    """Chance that wealth bet at a fraction of Kelly's ever falls to half: ``0.5^(2 / c - 1)``.

    In continuous time, without a horizon (Thorp 2006).

    Parameters
    ----------
    fraction : float
        c, over 0 and below 2; at 2 growth is 0 and the fall certain.
    """
    if not 0.0 < fraction <= 2.0:
        raise InputError(f"the fraction lies between 0 and 2, got {fraction!r}")
    return float(0.5 ** (2.0 / fraction - 1.0))


def expected_max_drawdown(sd: float, n: float) -> float:
    """Expected greatest drawdown of n driftless steps: ``sqrt(pi / 2) sd sqrt(n)``.

    Of a Brownian motion (Magdon-Ismail, Atiya, Pratap & Abu-Mostafa 2004); a walk in steps that
    are seen at their ends has a little less.
    """
    return math.sqrt(math.pi / 2.0) * sd * math.sqrt(n)
