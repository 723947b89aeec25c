"""Surrogate markets: the searched bars with whatever could be predicted taken out.

A search is rerun on many of them (Masters 2018, permutation tests for trading systems): what it
finds there is what it finds by luck alone.

sign
    Each bar is mirrored about the previous close or left as it is, by a fair coin that all assets
    share. Sizes, ranges and their clustering stay; drift and every dependence of the next sign on
    the past go. Simple returns are mirrored, not logarithms, so that the surrogate is a fair game
    in money and not only in log price.
shuffle
    Bars change places, the same way for all assets: gaps (open against the last close) by one
    permutation, what happens inside bars by another. Drift and the distribution stay; every
    dependence on time goes, the clustering of volatility too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.market.panel import Panel, SymbolSeries

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_RISE = 0.9
"""A bar that rises by more is mirrored in logarithms: its simple mirror image would reach zero."""


def surrogate(panel: Panel, kind: str, index: int, seed: int = 0) -> Panel:
    """Draw surrogate number ``index`` of a panel, a pure function of its arguments.

    Parameters
    ----------
    panel : Panel
        The searched part.
    kind : {"sign", "shuffle"}
    index : int
    seed : int
        Another seed draws another series of surrogates.
    """
    text = f"genesis/surrogate/{seed}/{kind}/{index}"
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
    return SURROGATES[kind](panel, np.random.default_rng(key))


def sign_randomised(panel: Panel, rng: np.random.Generator) -> Panel:
    """Mirror each bar with probability one half, the same bars for every symbol."""
    signs = np.where(rng.random(panel.bars) < 0.5, -1.0, 1.0)
    return replace(panel, symbols=tuple(_signed(series, signs) for series in panel.symbols))


def bar_shuffled(panel: Panel, rng: np.random.Generator) -> Panel:
    """Permute the bars among those at which the same symbols have one."""
    valid = np.stack([series.valid for series in panel.symbols])
    _, group = np.unique(valid, axis=1, return_inverse=True)
    inside, gaps = (_permutation(group.ravel(), rng) for _ in range(2))
    return replace(panel, symbols=tuple(_shuffled(s, inside, gaps) for s in panel.symbols))


SURROGATES: dict[str, Callable[[Panel, np.random.Generator], Panel]] = {
    "sign": sign_randomised,
    "shuffle": bar_shuffled,
}


def _permutation(group: Ints, rng: np.random.Generator) -> Ints:
    """Random permutation of all places that keeps each within its group."""
    source = np.arange(group.size)
    for name in np.unique(group):
        places = np.flatnonzero(group == name)
        source[places] = rng.permutation(places)
    return source


def _last_close(series: SymbolSeries) -> tuple[Ints, Floats]:
    """Places of the valid bars, and the close before each (its own open for the first)."""
    places = np.flatnonzero(series.valid)
    before = np.empty(places.size)
    if places.size:
        before[0] = series.open[places[0]]
        before[1:] = series.close[places[:-1]]
    return places, before


def _signed(series: SymbolSeries, signs: Floats) -> SymbolSeries:
    places, before = _last_close(series)
    sign = signs[places]
    ratios = {
        name: getattr(series, name)[places] / before for name in ("open", "high", "low", "close")
    }
    top = np.maximum(ratios["high"], ratios["open"])
    wild = top - 1.0 > _MOST_RISE

    def mirrored(ratio: Floats) -> Floats:
        return np.where(wild, 1.0 / ratio, 2.0 - ratio)

    flipped = sign < 0
    new = {
        "open": np.where(flipped, mirrored(ratios["open"]), ratios["open"]),
        "high": np.where(flipped, mirrored(ratios["low"]), ratios["high"]),
        "low": np.where(flipped, mirrored(ratios["high"]), ratios["low"]),
        "close": np.where(flipped, mirrored(ratios["close"]), ratios["close"]),
    }
    start = before[:1]
    level = np.concatenate([start, start * np.cumprod(new["close"])[:-1]]) if places.size else start
    columns: dict[str, Any] = {
        name: _laid(series, places, level * ratio) for name, ratio in new.items()
    }
    return replace(
        series,
        **columns,
        funding_due=series.funding_due * signs,
        funding=series.funding * _sign_of_settlement(series, signs),
    )


def _sign_of_settlement(series: SymbolSeries, signs: Floats) -> Floats:
    """Sign of the bar in which the rate that is known at each bar was settled."""
    settled = np.where(series.funding_due != 0.0, np.arange(signs.size), -1)
    last = np.maximum.accumulate(settled)
    return np.where(last >= 0, signs[np.maximum(last, 0)], 1.0)


def _shuffled(series: SymbolSeries, inside: Ints, gaps: Ints) -> SymbolSeries:
    places, before = _last_close(series)
    gap = np.full(series.valid.size, np.nan)
    gap[places] = series.open[places] / before
    gap = gap[gaps][places]
    moves = {
        name: (getattr(series, name) / series.open)[inside][places]
        for name in ("high", "low", "close")
    }
    growth = np.cumprod(gap * moves["close"])
    opens = before[:1] * np.concatenate([[1.0], growth[:-1]]) * gap if places.size else before
    columns: dict[str, Any] = {
        name: _laid(series, places, opens * move) for name, move in moves.items()
    }
    return replace(
        series,
        open=_laid(series, places, opens),
        **columns,
        volume=series.volume[inside],
        funding_due=series.funding_due[inside],
        funding=series.funding[inside],
    )


def _laid(series: SymbolSeries, places: Ints, values: Floats) -> Floats:
    out = np.full(series.valid.size, np.nan)
    out[places] = values
    return out
