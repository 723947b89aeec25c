"""Fetching other exchanges through ccxt, from a loopback server in Binance's shapes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.errors import DataError, InfrastructureError, InputError
from genesis.market.dataset import DatasetSpec, load, parse
from genesis.market.sources.fetch import fetch, source_for
from genesis.market.store import BarStore
from tests.integration import fetch_venues as venues

HOUR_MS = venues.HOUR_MS
NOW = 480_000 * HOUR_MS + 1_234_567
FORMING = 480_000 * HOUR_MS
ccxt = pytest.importorskip("ccxt")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT:USDT"])
def test_bars_and_funding_over_many_pages(tmp_path: Path, symbol: str) -> None:
    venue = venues.BinanceVenue(NOW, first_ms=FORMING - 2_500 * HOUR_MS)
    store = BarStore(tmp_path)
    spec = DatasetSpec("binance_perp", (symbol,), "1h", FORMING - 4_000 * HOUR_MS, None)
    clock = venues.ManualClock(NOW)
    with venues.serving(venue) as url:
        source = source_for("binance_perp", clock, clock.sleep, url)
        (result,) = fetch(store, source, spec, clock)
    bars, rates = (
        store.read_bars("binance_perp", symbol, "1h"),
        store.read_funding("binance_perp", symbol),
    )
    assert bars is not None
    assert rates is not None
    assert bars.ts_ms[0] == FORMING - 2_500 * HOUR_MS
    assert bars.ts_ms[-1] == FORMING - HOUR_MS  # the forming bar is cut off
    assert (np.diff(bars.ts_ms) == HOUR_MS).all()
    assert bars.high[3] == float(venue.kline(int(bars.ts_ms[3]))[2])
    assert bars.volume[3] == 12.5
    assert (np.diff(rates.ts_ms) == 8 * HOUR_MS).all()
    assert rates.ts_ms[-1] == FORMING
    assert result.note == "the venue serves nothing earlier"
    panel = load(store, parse(f"binance_perp:{symbol}:1h"))
    assert panel.symbols[0].has_funding


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("hours", [1, 8])
def test_funding_is_whole_whichever_end_a_page_keeps(
    tmp_path: Path, hours: int, newest: bool
) -> None:
    start = FORMING - 200 * hours * HOUR_MS
    venue = venues.BinanceVenue(NOW, first_ms=start, funding_hours=hours, newest=newest)
    store, clock = BarStore(tmp_path), venues.ManualClock(NOW)
    spec = DatasetSpec("binance_perp", ("BTCUSDT",), "1h", start, None)
    with venues.serving(venue) as url:
        (result,) = fetch(store, source_for("binance_perp", clock, clock.sleep, url), spec, clock)
    rates = store.read_funding("binance_perp", "BTCUSDT")
    assert rates is not None
    assert result.funding == len(rates) >= 200
    assert (np.diff(rates.ts_ms) == hours * HOUR_MS).all()
    assert rates.ts_ms[0] - start < hours * HOUR_MS
    assert FORMING - rates.ts_ms[-1] < hours * HOUR_MS


def test_first_bars_after_empty_pages_are_found(tmp_path: Path) -> None:
    listed = FORMING - 1_550 * HOUR_MS
    venue = venues.BinanceVenue(NOW, first_ms=listed, span_bars=300)
    store, clock = BarStore(tmp_path), venues.ManualClock(NOW)
    spec = DatasetSpec("binance_perp", ("BTCUSDT",), "1h", FORMING - 2_000 * HOUR_MS, None)
    with venues.serving(venue) as url:
        source = source_for("binance_perp", clock, clock.sleep, url)
        fetch(store, source, spec, clock, funding=False)
    bars = store.read_bars("binance_perp", "BTCUSDT", "1h")
    assert bars is not None
    assert bars.ts_ms.tolist() == list(range(listed, FORMING, HOUR_MS))


def test_unknown_symbol_exchange_and_interval(tmp_path: Path) -> None:
    clock = venues.ManualClock(NOW)
    with pytest.raises(InputError, match="no exchange 'binanse' is known - did you mean 'binance"):
        source_for("binanse", clock, clock.sleep)
    venue = venues.BinanceVenue(NOW, first_ms=FORMING - 10 * HOUR_MS)
    with venues.serving(venue) as url:
        source = source_for("binanceusdm", clock, clock.sleep, url)
        with pytest.raises(DataError, match="lists no symbol 'BTCUSD' - did you mean 'BTCUSDT'"):
            source.require("BTCUSD")


def test_passing_and_lasting_faults() -> None:
    venue = venues.BinanceVenue(NOW, first_ms=FORMING - 10 * HOUR_MS)
    clock = venues.ManualClock(NOW)
    with venues.serving(venue) as url:
        source = source_for("binanceusdm", clock, clock.sleep, url)
        venue.faults = [(503, b"busy"), "drop"]
        source.require("BTCUSDT")
        assert len(clock.slept) == 2
        venue.faults = [(503, b"busy")] * 50
        with pytest.raises(InfrastructureError, match="does not answer"):
            list(source.candles("BTCUSDT", "1h", FORMING - 5 * HOUR_MS, NOW))


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    clock = venues.ManualClock(NOW)
    with pytest.raises(InputError, match="needs ccxt") as caught:
        source_for("kraken", clock, clock.sleep)
    assert ".[ccxt]" in caught.value.fix


def test_synthetic_venue_cannot_be_fetched() -> None:
    clock = venues.ManualClock(NOW)
    with pytest.raises(InputError, match="no exchange") as caught:
        source_for("synth", clock, clock.sleep)
    assert "genesis data synth" in caught.value.fix
