"""Surrogates and jitter of any market: the order of prices, masks and sizes hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.evidence.jitter import jittered
from genesis.evidence.surrogates import SURROGATES, surrogate
from genesis.market.panel import Panel, SymbolSeries
from tests.unit.evidence.panels import PRICES, before_each, hand_series, panel_of

STEP = st.floats(-0.6, 1.5)
SPAN = st.floats(0.0, 0.4)


@st.composite
def bars_of(draw: st.DrawFn, count: int) -> SymbolSeries:
    """Any bars, steep ones too, some of them missing, with funding on some."""
    rows: list[tuple[float, float, float, float] | None] = []
    due = []
    price = draw(st.sampled_from([0.003, 1.0, 60_000.0]))
    for _ in range(count):
        due.append(draw(st.sampled_from([0.0, 0.0, 1e-4, -3e-3])))
        if draw(st.integers(0, 4)) == 0:
            rows.append(None)
            continue
        opened = price * (1.0 + draw(st.floats(-0.3, 0.5)))
        price = opened * (1.0 + draw(STEP))
        high = max(opened, price) * (1.0 + draw(SPAN))
        low = min(opened, price) * (1.0 - draw(SPAN))
        rows.append((opened, high, low, price))
    return hand_series(rows, due)


@st.composite
def markets(draw: st.DrawFn) -> Panel:
    count = draw(st.integers(1, 14))
    return panel_of([draw(bars_of(count)) for _ in range(draw(st.integers(1, 3)))])


def same_masks_and_order(old: SymbolSeries, new: SymbolSeries) -> None:
    assert np.array_equal(old.valid, new.valid)
    for name in PRICES:
        assert np.array_equal(np.isfinite(getattr(new, name)), new.valid)
    kept = {name: getattr(new, name)[new.valid] for name in PRICES}
    if kept["close"].size:
        assert min(values.min() for values in kept.values()) > 0.0
        slack = 1.0 + 1e-9
        assert np.all(kept["low"] <= np.minimum(kept["open"], kept["close"]) * slack)
        assert np.all(kept["high"] * slack >= np.maximum(kept["open"], kept["close"]))


@settings(max_examples=80, deadline=None)
@given(markets(), st.sampled_from(sorted(SURROGATES)), st.integers(0, 50), st.integers(0, 5))
def test_any_market_keeps_its_form(panel: Panel, kind: str, index: int, seed: int) -> None:
    drawn = surrogate(panel, kind, index, seed)
    again = surrogate(panel, kind, index, seed)
    for old, new, twin in zip(panel.symbols, drawn.symbols, again.symbols, strict=True):
        same_masks_and_order(old, new)
        for name in (*PRICES, "funding", "funding_due", "volume"):
            assert np.array_equal(getattr(new, name), getattr(twin, name), equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(markets(), st.floats(0.0, 1.0), st.integers(0, 50))
def test_any_jitter_keeps_its_form(panel: Panel, scale: float, index: int) -> None:
    drawn = jittered(panel, scale, index)
    for old, new in zip(panel.symbols, drawn.symbols, strict=True):
        same_masks_and_order(old, new)


@settings(max_examples=80, deadline=None)
@given(markets(), st.integers(0, 50))
def test_a_sign_surrogate_keeps_the_size_of_every_move(panel: Panel, index: int) -> None:
    drawn = surrogate(panel, "sign", index)
    for old, new in zip(panel.symbols, drawn.symbols, strict=True):
        was, now = before_each(old), before_each(new)
        reach = np.maximum(old.high, old.open)[old.valid] / was
        was = old.close[old.valid] / was - 1.0
        now = new.close[new.valid] / now - 1.0
        tame = reach <= 1.9
        np.testing.assert_allclose(np.abs(now[tame]), np.abs(was[tame]), rtol=1e-6, atol=1e-9)
        wild = np.abs(np.log1p(now[~tame]))
        np.testing.assert_allclose(wild, np.abs(np.log1p(was[~tame])), rtol=1e-6, atol=1e-9)
        assert np.array_equal(np.abs(new.funding_due), np.abs(old.funding_due))
        assert np.array_equal(np.abs(new.funding), np.abs(old.funding))


@settings(max_examples=80, deadline=None)
@given(markets(), st.integers(0, 50))
def test_a_shuffle_ends_where_the_market_ended(panel: Panel, index: int) -> None:
    drawn = surrogate(panel, "shuffle", index)
    for old, new in zip(panel.symbols, drawn.symbols, strict=True):
        if old.valid.any():
            np.testing.assert_allclose(new.close[new.last], old.close[old.last], rtol=1e-9)
        for name in ("volume", "funding", "funding_due"):
            moved, stayed = np.sort(getattr(new, name)), np.sort(getattr(old, name))
            assert np.array_equal(moved, stayed, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(markets(), st.sampled_from(sorted(SURROGATES)), st.floats(1e-3, 1e3))
def test_a_currency_changes_nothing_but_the_unit(panel: Panel, kind: str, unit: float) -> None:
    def priced(series: SymbolSeries) -> SymbolSeries:
        return replace(series, **{name: getattr(series, name) * unit for name in PRICES})

    other = replace(panel, symbols=tuple(priced(s) for s in panel.symbols))
    for one, two in zip(
        surrogate(panel, kind, 0).symbols, surrogate(other, kind, 0).symbols, strict=True
    ):
        np.testing.assert_allclose(two.close, one.close * unit, rtol=1e-9)
