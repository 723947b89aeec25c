"""Jittered markets: a little noise on every price, the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest

from genesis.evidence.jitter import jittered
from genesis.market.panel import Panel
from tests.unit.evidence.panels import PRICES, awkward_panel, awkward_series, panel_of


def prices(panel: Panel) -> np.ndarray:
    return np.stack([getattr(s, name) for s in panel.symbols for name in PRICES])


def test_a_draw_is_a_function_of_scale_index_and_seed() -> None:
    panel = awkward_panel()
    one = prices(jittered(panel, 0.15, 3, 7))
    assert np.array_equal(one, prices(jittered(panel, 0.15, 3, 7)), equal_nan=True)
    for other in (
        jittered(panel, 0.15, 4, 7),
        jittered(panel, 0.15, 3, 8),
        jittered(panel, 0.2, 3, 7),
        panel,
    ):
        assert not np.array_equal(one, prices(other), equal_nan=True)


@pytest.mark.parametrize("seed", range(4))
def test_masks_the_order_of_prices_and_all_else_stay(seed: int) -> None:
    panel = awkward_panel(seed)
    drawn = jittered(panel, 0.5, seed)
    for old, new in zip(panel.symbols, drawn.symbols, strict=True):
        bars = old.valid
        for name in ("valid", "volume", "funding", "funding_due", "sentiment"):
            assert np.array_equal(getattr(new, name), getattr(old, name), equal_nan=name != "valid")
        for name in PRICES:
            assert np.array_equal(np.isfinite(getattr(new, name)), bars)
        body = np.stack([new.open[bars], new.close[bars]])
        assert np.all(new.low[bars] > 0.0)
        assert np.all(new.low[bars] <= body.min(axis=0))
        assert np.all(new.high[bars] >= body.max(axis=0))


def test_the_noise_is_the_asked_share_of_the_range() -> None:
    bars = 2000
    series = awkward_series("AAA", bars, 1, missing=0.0, scale=0.004)
    panel = panel_of([series])
    before = np.r_[series.close[:1], series.close[:-1]]
    ranges = np.maximum(series.high, before) - np.minimum(series.low, before)
    atr = np.array([ranges[max(at - 13, 0) : at + 1].mean() for at in range(bars)])
    for scale in (0.1, 0.3):
        moved = jittered(panel, scale, 0).symbols[0]
        noise = (moved.close - series.close) / atr
        assert noise.std() == pytest.approx(scale, rel=0.08)
        assert abs(noise.mean()) < 4.0 * scale / np.sqrt(bars)


def test_symbols_are_moved_apart() -> None:
    twin = awkward_series("AAA", 100, 1)
    one, two = jittered(panel_of([twin, twin]), 0.2, 0).symbols
    assert not np.array_equal(one.close, two.close, equal_nan=True)
