"""Primitives on windows and recursive averages of number series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from genesis.domain.errors import StrategyError
from genesis.strategy.kernels import averages, memory, moments, order, oscillators
from genesis.strategy.node import Array, Floats
from genesis.strategy.primitives.declare import (
    Params,
    Run,
    at_least,
    declare,
    ema_alpha,
    fading,
    ring,
    wilder_alpha,
    window,
    windowed,
)


def _exponential(alpha: Callable[[int], float]) -> Run:
    def run(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
        n = int(params[0])
        averages.exponential(inputs[0], n, alpha(n), state, out)

    return run


def nw_size(params: Params) -> int:
    """Bars that a kernel regression reads: three bandwidths, or one for compact weights."""
    n = int(params[0])
    return 3 * n + 1 if int(params[1]) == averages.GAUSSIAN else n


def _nw(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    n, shape = int(params[0]), int(params[1])
    averages.kernel_regression(inputs[0], n, shape, nw_size(params), state, out)


def _check_nw(params: Params) -> None:
    at_least(2)(params)
    if params[1] not in (averages.GAUSSIAN, averages.EPANECHNIKOV):
        raise StrategyError(f"nw has kernel 0 (Gaussian) or 1 (Epanechnikov), not {params[1]}")


def _scan_cost(params: Params) -> float:
    return 36.0 + 0.25 * window(params)


def _sort_cost(params: Params) -> float:
    return 40.0 + window(params)


def _values_back() -> None:
    for name, mode, words in (
        ("lag", memory.LAG, "{0} {n} bars ago"),
        ("diff", memory.DIFF, "the {n}-bar change of {0}"),
        ("roc", memory.ROC, "the {n}-bar rate of change of {0}"),
    ):
        run = windowed(memory.shifted, mode)
        declare(name, "n", run, words, state=ring(2), lookback=window, cost=4)


def _averages() -> None:
    for name, alpha, words in (
        ("ema", ema_alpha, "the {n}-bar EMA of {0}"),
        ("wilder", wilder_alpha, "Wilder's {n}-bar average of {0}"),
    ):
        declare(name, "n", _exponential(alpha), words, state=2, settle=fading(alpha), cost=5)
    mean = windowed(averages.summed, True)
    declare("sma", "n", mean, "the {n}-bar mean of {0}", state=ring(4), cost=7)
    total = windowed(averages.summed, False)
    declare("sum", "n", total, "the {n}-bar sum of {0}", state=ring(4), cost=7)
    wma = windowed(averages.weighted, averages.WMA)
    declare("wma", "n", wma, "the {n}-bar weighted mean of {0}", state=ring(5), cost=9)
    slope = windowed(averages.weighted, averages.SLOPE)
    words = "the {n}-bar trend of {0} per bar"
    declare("slope", "n", slope, words, state=ring(5), cost=10, least=2)
    declare(
        "kama",
        "n",
        windowed(averages.adaptive),
        "the {n}-bar adaptive average of {0}",
        state=ring(6),
        lookback=window,
        settle=fading(lambda _: (2.0 / 31.0) ** 2),
        cost=14,
    )
    declare(
        "nw",
        "n",
        _nw,
        "the kernel regression of {0} over a bandwidth of {n} bars (kernel {kernel})",
        params=("n", "kernel"),
        state=lambda p: 2 + 3 * nw_size(p),
        lookback=lambda p: nw_size(p) - 1,
        cost=lambda p: 6.0 + 0.8 * nw_size(p),
        check=_check_nw,
    )


def _statistics() -> None:
    std = windowed(moments.deviation, moments.STD, 0)
    zscore = windowed(moments.deviation, moments.ZSCORE, 0)
    words = "the {n}-bar standard deviation of {0}"
    declare("std", "n", std, words, state=ring(7), cost=16, least=2)
    declare("zscore", "n", zscore, "the {n}-bar z-score of {0}", state=ring(7), cost=20, least=2)
    volatility = windowed(moments.deviation, moments.LOG_RETURN_STD, 1)
    words = "the {n}-bar volatility of {0} per bar"
    declare(
        "realised_vol", "n", volatility, words, state=ring(7), lookback=window, cost=32, least=2
    )
    high = windowed(order.extreme, order.HIGHEST)
    declare("highest", "n", high, "the {n}-bar high of {0}", state=ring(3), cost=8)
    low = windowed(order.extreme, order.LOWEST)
    declare("lowest", "n", low, "the {n}-bar low of {0}", state=ring(3), cost=8)
    rank, median = windowed(order.percentile), windowed(order.middle)
    words = "the {n}-bar percentile rank of {0}"
    declare("rank", "n", rank, words, state=ring(2), cost=_scan_cost, least=2)
    words = "the {n}-bar median of {0}"
    declare("median", "n", median, words, state=ring(2, 2), cost=_sort_cost)
    corr = windowed(moments.comoments, moments.CORRELATION)
    beta = windowed(moments.comoments, moments.BETA)
    words = "the {n}-bar correlation of {0} with {1}"
    declare("corr", "nn", corr, words, state=ring(11, 2), cost=30, least=2)
    words = "the {n}-bar beta of {0} to {1}"
    declare("beta", "nn", beta, words, state=ring(11, 2), cost=24, least=2)


def _oscillators() -> None:
    declare(
        "rsi",
        "n",
        windowed(oscillators.relative_strength),
        "the {n}-bar RSI of {0}",
        state=4,
        lookback=window,
        settle=fading(wilder_alpha),
        cost=8,
    )


_values_back()
_averages()
_statistics()
_oscillators()
