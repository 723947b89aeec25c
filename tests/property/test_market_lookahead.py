"""What a panel knows at bar t never depends on rows that come later, and matches brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.timeline import DAY_MS, HOUR_MS
from genesis.market import funding, sentiment
from genesis.market.bars import Bars, FundingRates, SentimentIndex
from genesis.market.dataset import SymbolData, build, default_instrument, parse

INTERVALS = (HOUR_MS // 4, HOUR_MS, 4 * HOUR_MS, DAY_MS)


@st.composite
def rate_rows(draw: st.DrawFn) -> FundingRates:
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 4, 8, 8, 30]), min_size=1, max_size=40))
    stamps = (np.cumsum(steps) - draw(st.integers(0, 40))) * HOUR_MS
    values = draw(st.lists(st.floats(-0.01, 0.01), min_size=len(steps), max_size=len(steps)))
    return FundingRates(stamps.astype(np.int64), np.array(values))


def brute_force(
    rates: FundingRates, ts: np.ndarray, length: int
) -> tuple[list[float], list[float]]:
    """Row by row, straight from the definition."""
    due, known = [], []
    rows = list(zip(rates.ts_ms.tolist(), rates.rate.tolist(), strict=True))
    for opened in ts.tolist():
        due.append(sum(r for s, r in rows if opened - length < s <= opened))
        before = [i for i, (s, _) in enumerate(rows) if s < opened + length]
        value = float("nan")
        if before and before[-1] > 0:
            i = before[-1]
            gaps = [rows[k][0] - rows[k - 1][0] for k in (i - 1, i) if k > 0]
            period = min(*gaps, 8 * HOUR_MS)
            if opened + length - rows[i][0] <= 3 * period:
                value = rows[i][1] * 8 * HOUR_MS / period
        known.append(value)
    return due, known


@settings(max_examples=60, deadline=None)
@given(rate_rows(), st.sampled_from(INTERVALS), st.integers(1, 60))
def test_funding_equals_the_definition(rates: FundingRates, length: int, bars: int) -> None:
    ts = np.arange(bars, dtype=np.int64) * length
    due, known = funding.align(rates, ts, length)
    expected_due, expected_known = brute_force(rates, ts, length)
    np.testing.assert_allclose(due, expected_due, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(known, expected_known, rtol=1e-12, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(rate_rows(), st.sampled_from(INTERVALS), st.integers(0, 60), st.randoms())
def test_funding_of_a_bar_ignores_later_rows(
    rates: FundingRates, length: int, at: int, random: object
) -> None:
    ts = np.arange(61, dtype=np.int64) * length
    _, known = funding.align(rates, ts, length)
    due, _ = funding.align(rates, ts, length)
    decision = int(ts[at]) + length
    past = rates.ts_ms < decision
    later = FundingRates(rates.ts_ms[past], rates.rate[past])
    if len(later):
        changed_due, changed = funding.align(later, ts, length)
        np.testing.assert_array_equal(changed[: at + 1], known[: at + 1])
        np.testing.assert_array_equal(changed_due[: at + 1], due[: at + 1])
    else:
        assert np.isnan(known[: at + 1]).all()
        assert (due[: at + 1] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-5, 20), min_size=1, max_size=15, unique=True),
    st.sampled_from(INTERVALS),
    st.integers(0, 60),
)
def test_sentiment_of_a_bar_ignores_later_days(days: list[int], length: int, at: int) -> None:
    stamps = np.array(sorted(days), dtype=np.int64) * DAY_MS
    index = SentimentIndex(stamps, np.arange(len(days), dtype=float))
    ts = np.arange(61, dtype=np.int64) * length
    known = sentiment.align(index, ts, length)
    decision = int(ts[at]) + length
    usable = [i for i, stamp in enumerate(stamps.tolist()) if stamp < decision]
    fresh = bool(usable) and decision - int(stamps[usable[-1]]) <= 3 * DAY_MS
    expected = float(usable[-1]) if fresh else float("nan")
    np.testing.assert_array_equal(known[at], expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 29), st.floats(0.5, 2.0), rate_rows())
def test_panel_prefix_is_unmoved_by_later_bars(
    cut: int, factor: float, rates: FundingRates
) -> None:
    """Rows from bar `cut` on are changed; the panel before them stays bit for bit."""
    n = 30
    ts = np.arange(n, dtype=np.int64) * HOUR_MS
    close = 100.0 + np.arange(n)
    mood = SentimentIndex(np.array([0], dtype=np.int64), np.array([50.0]))

    def panel(scale: np.ndarray, kept: np.ndarray) -> object:
        c = close * scale
        bars = Bars(ts, c, c * 1.01, c * 0.99, c, c)
        member = SymbolData(
            default_instrument("A"), bars, FundingRates(rates.ts_ms[kept], rates.rate[kept])
        )
        return build(parse("v:A:1h"), [member], mood).symbols[0]

    later = np.where(np.arange(n) >= cut, factor, 1.0)
    # a decision at the close of bar cut - 1 comes at ts[cut] and may see what is stamped before
    before = panel(np.ones(n), np.ones(len(rates), dtype=bool))
    after = panel(later, rates.ts_ms < ts[cut])
    for name in ("open", "high", "low", "close", "volume", "funding", "funding_due", "sentiment"):
        np.testing.assert_array_equal(
            getattr(before, name)[:cut], getattr(after, name)[:cut], err_msg=name
        )


def test_the_property_can_fail() -> None:
    """A period taken from the next row, a natural mistake, breaks the invariance."""
    rates = FundingRates(np.array([0, 8, 9]) * HOUR_MS, np.array([1e-4, 1e-4, 1e-4]))

    def with_look_ahead(ts_ms: np.ndarray) -> np.ndarray:
        steps = np.diff(ts_ms).astype(float)
        return np.concatenate([steps, steps[-1:]])

    full, cut = with_look_ahead(rates.ts_ms), with_look_ahead(rates.ts_ms[:2])
    assert full[1] != cut[1]
    honest = funding.settlement_periods(rates.ts_ms)[:2]
    np.testing.assert_array_equal(honest, funding.settlement_periods(rates.ts_ms[:2]))
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(full[:2], cut)
