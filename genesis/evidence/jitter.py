"""Markets with noise on their bars: an edge that a tick of noise destroys is none."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from genesis.market.panel import Panel
from genesis.validation.robustness import jitter_bars


def jittered(panel: Panel, scale: float, index: int, seed: int = 0) -> Panel:
    """Draw jittered market number ``index``: noise of ``scale`` times the ATR on every bar.

    Parameters
    ----------
    panel : Panel
    scale : float
        Standard deviation of the noise, as a share of the average true range.
    index, seed : int
        The draw is a pure function of panel, scale, index and seed.
    """
    text = f"genesis/jitter/{seed}/{index}"
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
    rng = np.random.default_rng(key)
    symbols = []
    for series in panel.symbols:
        bars = jitter_bars(
            series.open, series.high, series.low, series.close, series.valid, scale, rng
        )
        columns: dict[str, Any] = dict(zip(("open", "high", "low", "close"), bars, strict=True))
        symbols.append(replace(series, **columns))
    return replace(panel, symbols=tuple(symbols))
