"""Each kind of flaw is found, for the rows that have it and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from genesis.domain.errors import DataError
from genesis.domain.timeline import HOUR_MS
from genesis.market.bars import Bars
from genesis.market.quality import check, clean, require_storable, spike_rows


def good_bars(n: int = 60, seed: int = 3) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.002, n)))
    opening = np.concatenate([[100.0], close[:-1]])
    return Bars(
        np.arange(n, dtype=np.int64) * HOUR_MS,
        opening,
        np.maximum(opening, close) * 1.001,
        np.minimum(opening, close) * 0.999,
        close,
        rng.uniform(0, 10, n),
    )


def test_good_bars_have_no_issue() -> None:
    report = check(good_bars(), "1h")
    assert report.ok
    assert report.issues == ()


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("close", np.nan, "not_finite"),
        ("volume", np.inf, "not_finite"),
        ("low", 0.0, "non_positive_price"),
        ("low", -3.0, "non_positive_price"),
        ("high", 1.0, "impossible_ohlc"),
        ("low", 1e6, "impossible_ohlc"),
        ("volume", -1.0, "negative_volume"),
    ],
)
def test_bad_value_is_found_in_its_row(column: str, value: float, kind: str) -> None:
    bars = good_bars()
    getattr(bars, column)[17] = value
    found = {issue.kind: issue.rows.tolist() for issue in check(bars, "1h").errors}
    assert found == {kind: [17]}
    parts = clean(bars, "1h")
    assert parts.refused.ts_ms.tolist() == [17 * HOUR_MS]
    assert parts.reasons == (kind,)
    assert len(parts.good) == 59


def test_misplaced_bar_is_off_grid() -> None:
    bars = good_bars()
    bars.ts_ms[5] += 60_000
    errors = check(bars, "1h").errors
    assert [(issue.kind, issue.rows.tolist()) for issue in errors] == [("off_grid", [5])]


def test_repeated_row_is_kept_once() -> None:
    bars = good_bars()
    rows = np.array([*range(10), 4, *range(10, 60)])
    doubled = bars.take(rows)
    kinds = {issue.kind: issue.rows.tolist() for issue in check(doubled, "1h").errors}
    assert kinds["duplicate"] == [10]
    parts = clean(doubled, "1h")
    assert parts.good.content_hash == bars.content_hash
    assert parts.reasons == ("duplicate",)


def test_rows_of_one_time_and_other_values_are_all_refused() -> None:
    bars = good_bars()
    rows = np.array([*range(10), 4, *range(10, 60)])
    clash = bars.take(rows)
    clash.volume[10] += 1.0
    parts = clean(clash, "1h")
    assert set(parts.reasons) == {"conflicting_duplicate"}
    assert parts.refused.ts_ms.tolist() == [4 * HOUR_MS, 4 * HOUR_MS]
    assert 4 * HOUR_MS not in parts.good.ts_ms


def test_disorder_is_an_error_and_cleaning_sorts() -> None:
    bars = good_bars()
    shuffled = bars.take(np.random.default_rng(1).permutation(len(bars)))
    assert "unsorted" in {issue.kind for issue in check(shuffled, "1h").errors}
    parts = clean(shuffled, "1h")
    assert parts.good.content_hash == bars.content_hash
    assert parts.reasons == ()


@pytest.mark.parametrize(("claimed", "right"), [("5m", "1h"), ("4h", "1h"), ("1d", "1h")])
def test_wrong_interval_is_named_and_cannot_be_quarantined(claimed: str, right: str) -> None:
    bars = good_bars()
    assert [issue.kind for issue in check(bars, claimed).errors] == ["wrong_interval"]
    with pytest.raises(DataError) as caught:
        clean(bars, claimed)
    assert f"--interval {right}" in caught.value.fix
    with pytest.raises(DataError, match="bad rows"):
        require_storable(bars, claimed, "x")


def test_gaps_are_counted_but_no_error() -> None:
    bars = good_bars()
    kept = np.delete(np.arange(60), [10, 11, 12, 40])
    report = check(bars.take(kept), "1h")
    assert report.ok
    (gap,) = report.warnings
    assert gap.kind == "gap"
    assert gap.count == 2
    assert "4 bars missing, the longest 3 bars before 1970-01-01T13:00Z" in gap.message


def with_spike(reverting: bool) -> Bars:
    bars = good_bars(200)
    factor = np.ones(200)
    factor[100 if reverting else slice(100, None)] = 1.5
    if reverting:
        factor[101:] = 1.0
    close = bars.close * factor
    opening = np.concatenate([[100.0], close[:-1]])
    return Bars(
        bars.ts_ms,
        opening,
        np.maximum(opening, close),
        np.minimum(opening, close),
        close,
        bars.volume,
    )


def test_spike_that_comes_back_is_a_warning_and_leaves_only_when_asked() -> None:
    bars = with_spike(reverting=True)
    assert spike_rows(bars).tolist() == [100]
    report = check(bars, "1h")
    assert report.ok
    assert [issue.kind for issue in report.warnings] == ["spike"]
    assert clean(bars, "1h").reasons == ()
    parts = clean(bars, "1h", remove_spikes=True)
    assert parts.reasons == ("spike",)
    assert parts.refused.ts_ms.tolist() == [100 * HOUR_MS]


def test_crash_that_stays_is_no_spike() -> None:
    assert spike_rows(with_spike(reverting=False)).tolist() == []


def test_flat_market_has_no_spikes() -> None:
    n = 20
    flat = np.full(n, 5.0)
    bars = Bars(np.arange(n, dtype=np.int64) * HOUR_MS, flat, flat, flat, flat, np.zeros(n))
    assert check(bars, "1h").issues == ()


def test_empty_series_is_refused() -> None:
    none = good_bars().take(np.array([], dtype=np.int64))
    assert check(none, "1h").ok
    with pytest.raises(DataError, match="no rows"):
        require_storable(none, "1h", "x")


def test_real_crashes_are_not_called_bad(shared_data: Path) -> None:
    for symbol in ("BTCUSDT", "XRPUSDT", "ADAUSDT"):
        table = pq.read_table(shared_data / "candles" / "binance_perp" / symbol / "1h.parquet")
        columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
        bars = Bars(table["timestamp"].cast("int64").to_numpy(), *columns)
        assert check(bars, "1h").ok
        crash = (bars.ts_ms >= 1_584_057_600_000) & (bars.ts_ms < 1_584_144_000_000)  # 2020-03-13
        assert crash.sum() == 24
        assert not np.isin(spike_rows(bars), np.flatnonzero(crash)).any()
