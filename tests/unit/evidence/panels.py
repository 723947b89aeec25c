"""Panels that are awkward in every way a surrogate must survive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genesis.market.panel import Panel, SymbolSeries
from tests.oracle.wild_market import HOUR, wild_series

PRICES = ("open", "high", "low", "close")


def awkward_series(
    name: str,
    bars: int,
    seed: int,
    *,
    starts: int = 0,
    ends: int | None = None,
    missing: float = 0.05,
    scale: float = 0.012,
) -> SymbolSeries:
    """A wild symbol whose known funding is the rate settled last, as on a real venue."""
    rng = np.random.default_rng(seed)
    series = wild_series(
        rng, bars, name=name, starts=starts, ends=ends, missing=missing, scale=scale
    )
    settled = np.flatnonzero(series.funding_due != 0.0)
    known = np.full(bars, np.nan)
    for at in range(bars):
        before = settled[settled <= at]
        if before.size:
            known[at] = 2.0 * series.funding_due[before[-1]]
    return replace(series, funding=known)


def panel_of(series: list[SymbolSeries], interval_ms: int = HOUR) -> Panel:
    """Some symbols on one timeline."""
    bars = series[0].open.size
    ts = np.arange(bars, dtype=np.int64) * interval_ms
    return Panel("awkward", "test", interval_ms, ts, tuple(series), "awkward")


def awkward_panel(seed: int = 0, bars: int = 240) -> Panel:
    """Missing bars, a late listing, an early end, and a symbol that never trades."""
    first, last = bars // 3, 2 * bars // 3
    series = [
        awkward_series("AAA", bars, 10 * seed + 1),
        awkward_series("LATE", bars, 10 * seed + 2, starts=first),
        awkward_series("GONE", bars, 10 * seed + 3, ends=last, missing=0.1),
    ]
    return panel_of([*series, empty_series(bars)])


def empty_series(bars: int, name: str = "NONE") -> SymbolSeries:
    """A symbol without a single bar."""
    series = awkward_series(name, bars, 99)
    nothing = np.full(bars, np.nan)
    return replace(
        series,
        **dict.fromkeys((*PRICES, "volume"), nothing),
        valid=np.zeros(bars, dtype=np.bool_),
        first=0,
        last=-1,
    )


def hand_series(
    rows: list[tuple[float, float, float, float] | None], due: list[float] | None = None
) -> SymbolSeries:
    """A symbol from (open, high, low, close) rows; None is a missing bar."""
    bars = len(rows)
    table = np.array([row or (np.nan,) * 4 for row in rows], dtype=np.float64)
    valid = np.array([row is not None for row in rows])
    places = np.flatnonzero(valid)
    paid = np.array(due if due is not None else [0.0] * bars)
    return replace(
        awkward_series("HAND", bars, 5, missing=0.0),
        **{name: table[:, at].copy() for at, name in enumerate(PRICES)},
        volume=np.where(valid, 1.0, np.nan),
        valid=valid,
        first=int(places[0]) if places.size else 0,
        last=int(places[-1]) if places.size else -1,
        funding_due=paid,
        funding=paid.copy(),
        sentiment=np.full(bars, 50.0),
    )


def before_each(series: SymbolSeries) -> np.ndarray:
    """Close before each valid bar, bar by bar; its own open for the first."""
    out = []
    last = None
    for at in range(series.open.size):
        if series.valid[at]:
            out.append(series.open[at] if last is None else last)
            last = series.close[at]
    return np.array(out)
