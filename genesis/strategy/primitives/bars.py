"""Primitives on whole bars: ranges, channels, direction, volume-weighted price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from genesis.strategy.kernels import moments, order, oscillators
from genesis.strategy.node import Array, Floats
from genesis.strategy.primitives.declare import (
    Params,
    declare,
    fading,
    one,
    ring,
    unwindowed,
    wilder_alpha,
    window,
    windowed,
)


def _stochastic(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    high, low, close = inputs
    order.channel(high, low, close, int(params[0]), order.STOCHASTIC, state, out)


def _midpoint(inputs: Sequence[Any], params: Params, state: Floats, out: Array) -> None:
    high, low = inputs
    order.channel(high, low, low, int(params[0]), order.MIDPOINT, state, out)


def _two_spans(params: Params) -> int:
    """A Wilder average of a Wilder average: the second starts after the first."""
    return 2 * window(params) - 1


declare(
    "stoch",
    "nnn",
    _stochastic,
    "the {n}-bar stochastic %K of {0}, {1} and {2}",
    state=ring(4, 2),
    cost=16,
    least=2,
)
declare(
    "midpoint",
    "nn",
    _midpoint,
    "the middle of the {n}-bar channel of {0} and {1}",
    state=ring(4, 2),
    cost=16,
)
declare(
    "vwap",
    "nnnn",
    windowed(moments.volume_weighted),
    "the {n}-bar volume-weighted price of {0}, {1}, {2} and {3}",
    state=ring(6, 2),
    cost=12,
)
declare(
    "tr",
    "nnn",
    unwindowed(oscillators.true_range, 0),
    "the true range of {0}, {1} and {2}",
    params=(),
    state=3,
    lookback=one,
    cost=12,
)
declare(
    "atr",
    "nnn",
    windowed(oscillators.true_range),
    "the {n}-bar ATR of {0}, {1} and {2}",
    state=3,
    lookback=window,
    settle=fading(wilder_alpha),
    cost=12,
)
declare(
    "adx",
    "nnn",
    windowed(oscillators.directional_index),
    "the {n}-bar ADX of {0}, {1} and {2}",
    state=8,
    lookback=_two_spans,
    settle=fading(wilder_alpha, 2),
    cost=14,
    least=2,
)
