"""What a report shows of one strategy, whoever computed it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TradeMark:
    """A round trip as the chart shows it.

    Attributes
    ----------
    side : int
        1 long, -1 short.
    entry_ms, exit_ms : int
        Open time of the bars; ``exit_ms`` is -1 while the position is open.
    entry_price, exit_price : float
    pnl : float
        Net profit as a fraction of reference capital.
    reason : str
        Why it was closed: ``signal``, ``stop``, ``target`` …
    exit_class : str
        Value of `genesis.strategy.exits.ExitClass`, empty while the position is open.
    mfe, mae : float
        Maximum favourable and adverse excursion, fractions of the entry price.
    """

    side: int
    entry_ms: int
    exit_ms: int
    entry_price: float
    exit_price: float
    pnl: float
    reason: str
    exit_class: str = ""
    mfe: float = math.nan
    mae: float = math.nan


@dataclass(frozen=True, slots=True)
class Candles:
    """Bars of one symbol; arrays of shape (T,), NaN where a bar is missing."""

    symbol: str
    ts_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats


@dataclass(frozen=True, slots=True)
class ReportData:
    """One backtest.

    Attributes
    ----------
    strategy_id, family, sentence : str
    rules, policy : mapping
        Rule name to expression text; policy parameter to value.
    metrics : mapping
        Metric name to number, on the whole portfolio.
    ts_ms : int64, shape (M,)
        Instants of the equity curve.
    equity : float64, shape (M,)
        Equity minus capital, over capital.
    candles : tuple of Candles
    trades : mapping
        Symbol to its trades in time order.
    costs : mapping
        ``gross``, ``fees``, ``slippage``, ``funding`` and ``net`` as fractions of capital; costs
        are positive when paid.
    by_symbol : mapping
        Symbol to its metrics.
    hashes, configuration : mapping
        Shown as they are.
    warnings : tuple of str
        Sentences that a reader must know, such as symbols without funding.
    """

    strategy_id: str
    family: str
    sentence: str
    rules: Mapping[str, str]
    policy: Mapping[str, object]
    metrics: Mapping[str, float]
    ts_ms: Ints
    equity: Floats
    candles: tuple[Candles, ...]
    trades: Mapping[str, tuple[TradeMark, ...]]
    costs: Mapping[str, float]
    by_symbol: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
