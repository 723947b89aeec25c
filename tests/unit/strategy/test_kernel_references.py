"""Kernels against TA-Lib, pandas and plain formulas where the definition is shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from genesis.market.panel import Panel
from genesis.strategy.cache import NodeCache
from genesis.strategy.language import (
    Market,
    adx,
    atr,
    beta,
    corr,
    diff,
    ema,
    highest,
    kama,
    lag,
    lowest,
    macd,
    median,
    midpoint,
    nw,
    rank,
    realised_vol,
    roc,
    rolling_sum,
    rsi,
    slope,
    sma,
    std,
    stoch,
    tr,
    vwap,
    wilder,
    wma,
    zscore,
)
from genesis.strategy.node import Node
from genesis.strategy.series import SeriesEvaluator

M = Market()
WINDOWS = (2, 3, 5, 14, 56, 320)


@pytest.fixture(scope="module")
def panel(random_panel: Callable[..., Panel]) -> Panel:
    return random_panel(2500, 11)


@pytest.fixture(scope="module")
def value(panel: Panel) -> Callable[[Node], Any]:
    return SeriesEvaluator(panel, 0, NodeCache(1 << 26)).value


def frame(panel: Panel) -> pd.DataFrame:
    own, other = panel.symbols[:2]
    columns = ("open", "high", "low", "close", "volume")
    return pd.DataFrame({name: getattr(own, name) for name in columns} | {"other": other.close})


def agree(got: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(got, np.asarray(expected), rtol=rtol, atol=atol, equal_nan=True)


@pytest.mark.parametrize("n", WINDOWS)
def test_windowed_kernels_equal_pandas(panel: Panel, value: Any, n: int) -> None:
    df = frame(panel)
    close, volume = df["close"], df["volume"]
    window = close.rolling(n)
    typical = (df["high"] + df["low"] + df["close"]) / 3.0
    agree(value(sma(M.close, n)), window.mean())
    agree(value(rolling_sum(M.volume, n)), volume.rolling(n).sum())
    agree(value(std(M.close, n)), window.std(ddof=0), rtol=1e-7)
    agree(value(zscore(M.close, n)), (close - window.mean()) / window.std(ddof=0), rtol=1e-6)
    agree(value(highest(M.high, n)), df["high"].rolling(n).max(), rtol=0, atol=0)
    agree(value(lowest(M.low, n)), df["low"].rolling(n).min(), rtol=0, atol=0)
    agree(value(median(M.close, n)), window.median())
    agree(value(rank(M.close, n)), window.rank(pct=True))
    agree(value(lag(M.close, n)), close.shift(n), rtol=0, atol=0)
    agree(value(diff(M.close, n)), close.diff(n))
    agree(value(roc(M.close, n)), close.pct_change(n), atol=1e-12)
    returns = np.log(close).diff()
    agree(value(realised_vol(M.close, n)), returns.rolling(n).std(ddof=1), rtol=1e-6)
    agree(value(corr(M.close, M.other("ETHUSDT").close, n)), window.corr(df["other"]), rtol=1e-5)
    covariance = window.cov(df["other"])
    agree(
        value(beta(M.close, M.other("ETHUSDT").close, n)),
        covariance / df["other"].rolling(n).var(),
        rtol=1e-5,
    )
    agree(
        value(vwap(M, n)),
        (typical * volume).rolling(n).sum() / volume.rolling(n).sum(),
    )
    middle = 0.5 * (df["high"].rolling(n).max() + df["low"].rolling(n).min())
    agree(value(midpoint(M, n)), middle)


def test_rank_averages_ties(random_panel: Callable[..., Panel]) -> None:
    """Sentiment rounded to few values has many ties in every window."""
    coarse = np.round(frame(random_panel(300, 12))["close"].to_numpy() / 4.0)
    from genesis.strategy.stream import BlockRunner

    runner = BlockRunner([rank(M.close, 14), median(M.close, 14)])
    ranks, medians = runner.feed({"close": coarse})
    window = pd.Series(coarse).rolling(14)
    agree(ranks, window.rank(pct=True))
    agree(medians, window.median())


@pytest.mark.parametrize("n", WINDOWS)
def test_kernels_equal_talib_from_the_first_value(panel: Panel, value: Any, n: int) -> None:
    own = panel.symbols[0]
    high, low, close = own.high, own.low, own.close
    agree(value(ema(M.close, n)), talib.EMA(close, n))
    agree(value(wma(M.close, n)), talib.WMA(close, n))
    agree(value(kama(M.close, n)), talib.KAMA(close, n), rtol=1e-7)
    agree(value(rsi(M.close, n)), talib.RSI(close, n), rtol=1e-7)
    agree(value(atr(M, n)), talib.ATR(high, low, close, n))
    agree(value(adx(M, n)), talib.ADX(high, low, close, n), rtol=1e-7)
    trend = talib.LINEARREG_SLOPE(close, n) / close
    agree(value(slope(M.close, n)), trend, rtol=1e-6, atol=1e-11)
    percent_k, _ = talib.STOCHF(high, low, close, fastk_period=n, fastd_period=1)
    agree(value(stoch(M, n)), percent_k)


def test_true_range_equals_talib(panel: Panel, value: Any) -> None:
    own = panel.symbols[0]
    agree(value(tr(M)), talib.TRANGE(own.high, own.low, own.close), atol=0.0, rtol=1e-12)


def test_macd_equals_talib_after_the_start_has_faded(panel: Panel, value: Any) -> None:
    """TA-Lib starts the fast average later than we do, so the first values differ."""
    expected, _, _ = talib.MACD(panel.symbols[0].close, 14, 28, 9)
    agree(value(macd(M.close, 14, 28))[400:], expected[400:], atol=1e-7)


@pytest.mark.parametrize("n", WINDOWS)
def test_recursive_averages_equal_pandas_after_the_start_has_faded(
    panel: Panel, value: Any, n: int
) -> None:
    """pandas starts from the first value, we from the mean of n: alike after 12 n bars."""
    close = frame(panel)["close"]
    start = 12 * n
    fast = close.ewm(span=n, adjust=False).mean()
    slow = close.ewm(alpha=1.0 / n, adjust=False).mean()
    agree(value(ema(M.close, n))[start:], fast[start:], rtol=1e-6)
    agree(value(wilder(M.close, n))[start:], slow[start:], rtol=1e-4)


@pytest.mark.parametrize("n", [2, 5, 20, 40])
@pytest.mark.parametrize("shape", [0, 1])
def test_kernel_regression_equals_its_formula(panel: Panel, value: Any, n: int, shape: int) -> None:
    close = panel.symbols[0].close
    ages = np.arange(3 * n + 1 if shape == 0 else n)
    weights = np.exp(-0.5 * (ages / n) ** 2) if shape == 0 else 1.0 - (ages / n) ** 2
    got = value(nw(M.close, n, shape))
    assert np.isnan(got[: ages.size - 1]).all()
    for bar in (ages.size - 1, 500, 1777, 2499):
        past = close[bar - ages]
        assert got[bar] == pytest.approx(np.sum(weights * past) / np.sum(weights), rel=1e-12)
