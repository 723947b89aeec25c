"""From the store to a panel: one timeline, nothing filled, errors that say what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.errors import DataError
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import DAY_MS, HOUR_MS, parse_ts
from genesis.market.bars import Bars, FundingRates, SentimentIndex
from genesis.market.dataset import default_instrument, load, parse, split_sealed
from genesis.market.funding import settlement_periods
from genesis.market.panel import Panel
from genesis.market.store import BarStore

START = parse_ts("2024-01-01")


def bars_at(hours: list[int], base: float = 100.0) -> Bars:
    at = np.array(hours, dtype=np.int64)
    close = base + at
    return Bars(START + at * HOUR_MS, close - 0.5, close + 1, close - 1, close, close * 0 + 2.0)


def rates_at(hours: list[float], rates: list[float]) -> FundingRates:
    stamps = START + (np.array(hours) * HOUR_MS).astype(np.int64)
    return FundingRates(stamps, np.array(rates))


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    made = BarStore(tmp_path)
    made.write_bars("v", "A", "1h", bars_at([2, 3, 4, 7, 8, 9]))
    made.write_bars("v", "B", "1h", bars_at([0, 1, 2, 3, 4, 5], base=10.0))
    made.write_funding("v", "A", rates_at([0, 8], [0.0004, -0.0008]))
    return made


def test_timeline_spans_all_symbols_and_fills_nothing(store: BarStore) -> None:
    panel = load(store, parse("v:A,B:1h", funding="none"))
    assert panel.name == "v:A,B:1h"
    assert panel.ts_ms.tolist() == [START + h * HOUR_MS for h in range(10)]
    a, b = panel.symbols
    assert [s.symbol for s in panel.symbols] == ["A", "B"]
    assert np.flatnonzero(a.valid).tolist() == [2, 3, 4, 7, 8, 9]
    assert (a.first, a.last, b.first, b.last) == (2, 9, 0, 5)
    for series in panel.symbols:
        for name in ("open", "high", "low", "close", "volume"):
            assert np.isnan(getattr(series, name)[~series.valid]).all()
            assert np.isfinite(getattr(series, name)[series.valid]).all()
    assert a.close[7] == 107.0
    assert b.close[5] == 15.0


def test_span_is_inclusive_at_both_ends(store: BarStore) -> None:
    panel = load(store, parse("v:A,B:1h:2024-01-01T03:00..2024-01-01T08:00", funding="none"))
    assert panel.ts_ms[0] == START + 3 * HOUR_MS
    assert panel.ts_ms[-1] == START + 8 * HOUR_MS


def test_symbol_without_funding_needs_a_rule(store: BarStore) -> None:
    with pytest.raises(DataError) as caught:
        load(store, parse("v:A,B:1h"))
    assert "1 of 2 symbols have no funding series: B" in caught.value.what
    for rule in ("none", "constant:", "proxy:"):
        assert rule in caught.value.fix


def test_none_means_zero_due_and_an_unknown_field(store: BarStore) -> None:
    a, b = load(store, parse("v:A,B:1h", funding="none")).symbols
    assert (a.has_funding, b.has_funding) == (True, False)
    assert (b.funding_due == 0).all()
    assert np.isnan(b.funding).all()


def test_constant_is_due_every_eight_hours_and_always_known(store: BarStore) -> None:
    _, b = load(store, parse("v:A,B:1h", funding="constant:0.0001")).symbols
    assert b.has_funding
    assert np.flatnonzero(b.funding_due).tolist() == [0, 8]
    assert b.funding_due[8] == 0.0001
    assert (b.funding == 0.0001).all()


def test_proxy_lends_its_series_and_own_series_stay(store: BarStore) -> None:
    a, b = load(store, parse("v:A,B:1h", funding="proxy:A")).symbols
    np.testing.assert_array_equal(a.funding_due, b.funding_due)
    assert b.has_funding
    with pytest.raises(DataError, match="proxy Z of v has no funding"):
        load(store, parse("v:A,B:1h", funding="proxy:Z"))


def test_funding_timing_by_hand(store: BarStore) -> None:
    a, _ = load(store, parse("v:A,B:1h", funding="none")).symbols
    # settled at 00:00 and 08:00: due at the bars that open then, as a fraction of notional
    assert a.funding_due.tolist() == [0.0004, 0, 0, 0, 0, 0, 0, 0, -0.0008, 0]
    # the first row's period is unknown; the second is known at the close of the bar it settles in
    assert np.isnan(a.funding[:8]).all()
    assert a.funding[8:].tolist() == [-0.0008, -0.0008]


def test_rate_settled_at_the_close_is_not_known_at_that_close(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "A", "1h", bars_at(list(range(6))))
    store.write_funding("v", "A", rates_at([0, 1, 2, 3], [1e-5, 2e-5, 3e-5, 4e-5]))
    (a,) = load(store, parse("v:A:1h")).symbols
    # the bar that opens at 1:00 closes at 2:00 and knows the rate of 1:00, not that of 2:00
    np.testing.assert_allclose(a.funding, [np.nan, 16e-5, 24e-5, 32e-5, 32e-5, 32e-5])


def test_funding_goes_stale_after_three_periods(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "A", "1h", bars_at(list(range(10))))
    store.write_funding("v", "A", rates_at([-1, 0, 1], [1e-5, 2e-5, 3e-5]))
    (a,) = load(store, parse("v:A:1h")).symbols
    known = np.isfinite(a.funding)
    # the last rate is of 1:00; at the close of the bar of 3:00 it is 3 hours old, then too old
    assert known.tolist() == [True, True, True, True] + [False] * 6


def test_several_settlements_in_one_bar_are_added(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    days = np.arange(3, dtype=np.int64)
    flat = np.full(3, 5.0)
    store.write_bars("v", "A", "1d", Bars(START + days * DAY_MS, flat, flat, flat, flat, flat))
    store.write_funding("v", "A", rates_at([-16, -8, 0, 8, 16, 24], [1e-4, 2e-4, 4e-4, 1, 2, 3]))
    (a,) = load(store, parse("v:A:1d")).symbols
    assert a.funding_due.tolist() == [1e-4 + 2e-4 + 4e-4, 6.0, 0.0]


def test_periods_follow_a_change_of_schedule_and_ignore_single_holes() -> None:
    hours = np.array([0, 8, 16, 24, 25, 26, 28, 29, 30])  # 8 h, then 1 h, one row missing at 27
    periods = settlement_periods(hours * HOUR_MS) / HOUR_MS
    assert np.isnan(periods[0])
    assert periods[1:].tolist() == [8, 8, 8, 1, 1, 1, 1, 1]


def test_real_hyperliquid_funding_has_both_schedules(shared_data: Path, tmp_path: Path) -> None:
    from genesis.market.sources.files import import_item, plan

    store = BarStore(tmp_path)
    for item in plan([shared_data / "funding" / "hyperliquid" / "BTC.parquet"]).items:
        import_item(store, item)
    rates = store.read_funding("hyperliquid", "BTC")
    assert rates is not None
    periods = settlement_periods(rates.ts_ms) / HOUR_MS
    change = parse_ts("2023-06-08")
    assert set(periods[1:][rates.ts_ms[1:] <= change]) == {8.0}
    assert set(periods[rates.ts_ms > change]) == {1.0}


def test_sentiment_is_known_after_its_stamp_and_for_three_days(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    hours = list(range(120))
    store.write_bars("v", "A", "1h", bars_at(hours))
    day = np.array([START, START + DAY_MS], dtype=np.int64)
    store.write_sentiment("fear_greed", SentimentIndex(day, np.array([20.0, 30.0])))
    (a,) = load(store, parse("v:A:1h", funding="none")).symbols
    assert a.sentiment[0] == 20.0  # closes at 1:00, stamped 0:00
    assert a.sentiment[23] == 20.0  # closes at 0:00 of the next day: that day's is not known yet
    assert a.sentiment[24] == 30.0
    assert a.sentiment[95] == 30.0  # closes exactly three days after the stamp
    assert np.isnan(a.sentiment[96:]).all()
    (off,) = load(store, parse("v:A:1h", funding="none", sentiment=False)).symbols
    assert np.isnan(off.sentiment).all()
    with pytest.raises(DataError, match="no sentiment index 'mood'"):
        load(store, parse("v:A:1h", funding="none", sentiment="mood"))


def test_hash_is_that_of_the_content(store: BarStore, tmp_path: Path) -> None:
    spec = parse("v:A,B:1h", funding="none")
    first = load(store, spec).dataset_hash
    assert first == load(store, spec).dataset_hash
    again = BarStore(tmp_path / "elsewhere")
    again.write_bars("v", "B", "1h", bars_at([3, 4, 5], base=10.0))
    again.write_bars("v", "B", "1h", bars_at([0, 1, 2, 3], base=10.0))
    again.write_bars("v", "A", "1h", bars_at([2, 3, 4, 7, 8, 9]))
    again.write_funding("v", "A", rates_at([0, 8], [0.0004, -0.0008]))
    assert load(again, spec).dataset_hash == first


def test_hash_of_a_known_dataset_never_changes(store: BarStore) -> None:
    # A changed value here means that every stored run and seal refers to data by another name.
    panel = load(store, parse("v:A,B:1h", funding="none"))
    assert panel.dataset_hash == KNOWN_HASH


KNOWN_HASH = "b775875621ea9b2d5da2d7e89dca22073c2e873a41ca0a030ba010f1fc1a497c"


@pytest.mark.parametrize(
    "change", ["symbol_order", "span", "funding_rule", "value", "missing", "instrument"]
)
def test_hash_changes_with_the_content(store: BarStore, change: str) -> None:
    spec = parse("v:A,B:1h", funding="none")
    before = load(store, spec).dataset_hash
    instruments = None
    if change == "symbol_order":
        spec = replace(spec, symbols=("B", "A"))
    elif change == "span":
        spec = replace(spec, end_ms=START + 8 * HOUR_MS)
    elif change == "funding_rule":
        spec = replace(spec, funding="constant:0.0")
    elif change == "value":
        edited = bars_at([3])
        edited.volume[0] = 9.0
        store.write_bars("v", "A", "1h", edited, replace=True)
    elif change == "missing":
        store.write_bars("v", "A", "1h", bars_at([5]))
    else:
        instruments = {"A": Instrument("A", "A", tick=0.1, lot=0.01, min_notional=10.0)}
    assert load(store, spec, instruments).dataset_hash != before


def test_given_instruments_are_used(store: BarStore) -> None:
    rules = Instrument("A", "A", tick=0.1, lot=0.01, min_notional=10.0)
    panel = load(store, parse("v:A,B:1h", funding="none"), {"A": rules})
    assert panel.symbols[0].instrument == rules
    assert panel.symbols[1].instrument.continuous


@pytest.mark.parametrize(
    ("symbol", "margin"),
    [("BTCUSDT", 0.0125), ("ETH", 0.02), ("SOL/USDC:USDC", 0.025), ("X", 0.05)],
)
def test_default_maintenance_margin_by_base_asset(symbol: str, margin: float) -> None:
    assert default_instrument(symbol).maintenance_margin == margin


def test_empty_store_error_prints_the_lines_that_fill_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(BarStore(tmp_path), parse("hyperliquid:BTC,ETH:1h:2024-01-01..2024-02-01"))
    fix = caught.value.fix
    assert "genesis data import FILE --venue hyperliquid --symbol BTC --interval 1h" in fix
    assert "genesis data import FILE --venue hyperliquid --symbol ETH --interval 1h" in fix
    assert "genesis data fetch hyperliquid:BTC,ETH:1h:2024-01-01..2024-02-01" in fix


def test_missing_synthetic_market_is_synthesised(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(BarStore(tmp_path), parse("synth:SYN1,SYN2:4h"))
    assert "genesis data synth --assets 2 --interval 4h" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w:A:1h", "no bars of venue 'w'"),
        ("v:AA:1h", "no symbol 'AA' of v - did you mean 'A'"),
        ("v:A:4h", "has A of v at 1h, not at 4h"),
        ("v:A:1h:2030-01-01..", "no 1h bar in the span"),
        ("v:A,B:1h:2024-01-01T06:00..", "B of v has no 1h bar"),
    ],
)
def test_missing_data_is_named(store: BarStore, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(store, parse(text, funding="none"))
    assert caught.value.fix


def panel_of(store: BarStore) -> Panel:
    return load(store, parse("v:A,B:1h", funding="none"))


@pytest.mark.parametrize(("fraction", "start"), [(0.2, 8), (0.0, 10), (0.25, 7), (0.9, 1)])
def test_sealed_tail_is_the_end_of_the_timeline(
    store: BarStore, fraction: float, start: int
) -> None:
    panel = panel_of(store)
    search, sealed = split_sealed(panel, fraction)
    assert sealed == start
    assert search.bars == start
    assert search.ts_ms.tolist() == panel.ts_ms[:start].tolist()
    assert search.dataset_hash == panel.dataset_hash
    assert np.shares_memory(search.symbols[0].close, panel.symbols[0].close)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 0.99, float("nan")])
def test_impossible_seals_are_refused(store: BarStore, fraction: float) -> None:
    with pytest.raises(DataError, match="sealed"):
        split_sealed(panel_of(store), fraction)


def test_fifteen_perpetuals_on_one_timeline(shared_data: Path, tmp_path: Path) -> None:
    from genesis.market.sources.files import import_item, plan

    store = BarStore(tmp_path)
    coins = ["BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "LTC", "BCH", "NEAR", "ATOM"]
    symbols = [f"{coin}USDT" for coin in [*coins, "DOT", "FIL", "THETA", "TRX"]]
    folder = shared_data / "candles" / "binance_perp"
    paths = [folder / symbol / "1h.parquet" for symbol in symbols]
    for item in plan(paths).items:
        import_item(store, item)
    text = f"binance_perp:{','.join(symbols)}:1h:2020-10-23T08:00..2025-05-31T23:00"
    panel = load(store, parse(text, funding="none"))
    assert panel.bars == 40_360
    assert all(series.valid.all() for series in panel.symbols)
