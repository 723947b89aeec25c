"""Fetching through the official SDK from a loopback venue with the real one's limits."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest

from genesis.cli.main import dispatch
from genesis.domain.errors import DataError, InfrastructureError
from genesis.domain.timeline import format_ts
from genesis.market.dataset import DatasetSpec, load, parse
from genesis.market.sources.fetch import fetch, source_for
from genesis.market.sources.hyperliquid import HyperliquidSource
from genesis.market.sources.network import Retries, WeightBudget
from genesis.market.store import BarStore
from genesis.system.clock import SystemClock
from tests.integration import fetch_venues as venues

HOUR_MS = venues.HOUR_MS
NOW = 480_000 * HOUR_MS + 1_234_567  # inside the bar of hour 480,000
FORMING = 480_000 * HOUR_MS


def source_of(venue: object, url: str) -> tuple[HyperliquidSource, object]:
    clock = venues.ManualClock(NOW)
    return HyperliquidSource(clock, clock.sleep, url), clock


def test_new_series_holds_all_that_is_served_without_the_forming_bar(tmp_path: Path) -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 9_000 * HOUR_MS)
    store = BarStore(tmp_path)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        (result,) = fetch(store, source, parse("hyperliquid:BTC:1h"), clock, funding=False)
    bars = store.read_bars("hyperliquid", "BTC", "1h")
    assert bars is not None
    assert bars.ts_ms[-1] == FORMING - HOUR_MS
    assert len(bars) == 4_999  # the venue's 5,000 are these and the forming one
    assert (np.diff(bars.ts_ms) == HOUR_MS).all()
    expected = venue.candle(int(bars.ts_ms[7]), HOUR_MS)
    got = [float(getattr(bars, name)[7]) for name in ("open", "high", "low", "close", "volume")]
    assert got == [float(expected[key]) for key in "ohlcv"]
    assert result.bars == 4_999


def test_second_fetch_continues_and_changes_nothing_old(tmp_path: Path) -> None:
    store, spec = BarStore(tmp_path), parse("hyperliquid:BTC:1h")
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 100 * HOUR_MS)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        fetch(store, source, spec, clock)
        before = store.read_bars("hyperliquid", "BTC", "1h")
        assert before is not None
        asked = len(venue.requests)
        later = NOW + 5 * HOUR_MS
        venue.now_ms = clock.start_ms = later
        (result,) = fetch(store, source, spec, clock)
    after = store.read_bars("hyperliquid", "BTC", "1h")
    assert after is not None
    assert result.bars == 5
    assert result.funding == 5
    assert after.take(slice(0, len(before))).content_hash == before.content_hash
    snapshots = [r for r in venue.requests[asked:] if r["type"] == "candleSnapshot"]
    assert snapshots[0]["req"]["startTime"] == before.ts_ms[-1]


def test_a_series_that_was_left_too_long_says_what_is_missing(tmp_path: Path) -> None:
    store, spec = BarStore(tmp_path), parse("hyperliquid:BTC:1h")
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 100 * HOUR_MS)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        (first,) = fetch(store, source, spec, clock, funding=False)
        venue.now_ms = clock.start_ms = NOW + 6_000 * HOUR_MS
        (later,) = fetch(store, source, spec, clock, funding=False)
        (again,) = fetch(store, source, spec, clock, funding=False)
    bars = store.read_bars("hyperliquid", "BTC", "1h")
    assert bars is not None
    oldest = FORMING + (6_000 - 4_999) * HOUR_MS
    assert oldest in bars.ts_ms
    assert first.note == again.note == ""
    assert format_ts(FORMING) in later.note
    assert format_ts(oldest - HOUR_MS) in later.note


def test_span_is_respected_and_missing_history_is_said(tmp_path: Path) -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 9_000 * HOUR_MS)
    store = BarStore(tmp_path)
    first = FORMING - 6_000 * HOUR_MS
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        spec = DatasetSpec("hyperliquid", ("BTC",), "1h", first, FORMING - 10 * HOUR_MS)
        (result,) = fetch(store, source, spec, clock, funding=False)
        inside = DatasetSpec(
            "hyperliquid", ("kPEPE",), "4h", FORMING - 50 * HOUR_MS, FORMING - 10 * HOUR_MS
        )
        (exact,) = fetch(store, source, inside, clock, funding=False)
    bars = store.read_bars("hyperliquid", "BTC", "1h")
    assert bars is not None
    assert bars.ts_ms[-1] == FORMING - 10 * HOUR_MS
    assert result.note == "the venue serves nothing earlier"
    assert exact.note == ""
    pepe = store.read_bars("hyperliquid", "kPEPE", "4h")
    assert pepe is not None
    assert (pepe.ts_ms >= FORMING - 50 * HOUR_MS).all()
    assert (pepe.ts_ms <= FORMING - 10 * HOUR_MS).all()
    # nothing is asked for that the venue no longer serves
    starts = [r["req"]["startTime"] for r in venue.requests if r["type"] == "candleSnapshot"]
    assert min(starts) >= FORMING - 4_999 * HOUR_MS


def test_funding_pages_are_joined_without_repeats(tmp_path: Path) -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 1_700 * HOUR_MS)
    store = BarStore(tmp_path)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        fetch(store, source, parse("hyperliquid:BTC:1h"), clock)
    rates = store.read_funding("hyperliquid", "BTC")
    assert rates is not None
    first_hour = -(-venue.first_ms // HOUR_MS) - 1
    hours = rates.ts_ms // HOUR_MS
    assert (rates.ts_ms % HOUR_MS == 0).all()
    assert hours.tolist() == list(range(first_hour, 480_001))
    expected = [float(venue.funding_row(hour)["fundingRate"]) for hour in hours.tolist()]
    assert rates.rate.tolist() == expected
    pages = [r for r in venue.requests if r["type"] == "fundingHistory"]
    assert len(pages) == 5  # 500, 499, 499, 203 new rows, and one that only repeats the last
    panel = load(store, parse("hyperliquid:BTC:1h"))
    assert np.isfinite(panel.symbols[0].funding[2:]).all()


def test_funding_hole_of_a_broken_fetch_is_filled(tmp_path: Path) -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 1_700 * HOUR_MS)
    store, spec = BarStore(tmp_path), parse("hyperliquid:BTC:1h")
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        fetch(store, source, spec, clock)
        whole = store.read_funding("hyperliquid", "BTC")
        assert whole is not None
        # a fetch of the earlier part died after its first page; the newest rows were there before
        torn = whole.take(np.r_[0:500, len(whole) - 20 : len(whole)])
        store.write_funding("hyperliquid", "BTC", torn, overwrite=True)
        (result,) = fetch(store, source, spec, clock)
    mended = store.read_funding("hyperliquid", "BTC")
    assert mended is not None
    assert mended.content_hash == whole.content_hash
    assert result.funding == len(whole) - 520


def test_unknown_coin_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 10 * HOUR_MS)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        with pytest.raises(DataError, match="no perpetual 'kPEP' - did you mean 'kPEPE'"):
            fetch(BarStore(tmp_path), source, parse("hyperliquid:BTC,kPEP:1h"), clock)
    assert [r["type"] for r in venue.requests] == ["meta"]
    assert list(tmp_path.iterdir()) == []


def test_passing_faults_are_retried(tmp_path: Path) -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 50 * HOUR_MS)
    store = BarStore(tmp_path)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        source.require("BTC")
        venue.faults = [
            (429, b"null"),
            (502, b"<html>bad gateway</html>"),
            (200, b"<html>maintenance</html>"),
            "drop",
        ]
        fetch(store, source, parse("hyperliquid:BTC:1h"), clock, funding=False)
    bars = store.read_bars("hyperliquid", "BTC", "1h")
    assert bars is not None
    assert len(bars) == 49
    assert len(clock.slept) == 4
    assert clock.slept[0] >= 5  # told to slow down
    assert all(wait >= 0.5 for wait in clock.slept)


def test_lasting_fault_is_a_clear_error_and_keeps_what_came(tmp_path: Path) -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 50 * HOUR_MS)
    store = BarStore(tmp_path)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)

        def break_after_bars(symbol: str, kind: str, rows: int) -> None:
            venue.faults = [(500, b"down")] * 50

        with pytest.raises(InfrastructureError, match="does not answer") as caught:
            fetch(store, source, parse("hyperliquid:BTC:1h"), clock, on_page=break_after_bars)
    assert "try again" in caught.value.fix
    bars = store.read_bars("hyperliquid", "BTC", "1h")
    assert bars is not None
    assert len(bars) == 49


def test_refused_request_is_not_retried() -> None:
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - 50 * HOUR_MS)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        source.require("BTC")
        venue.faults = [(422, b"Failed to deserialize the JSON body into the target type")]
        with pytest.raises(InfrastructureError, match=r"refused a request \(422\)") as caught:
            list(source.candles("BTC", "1h", NOW - 5 * HOUR_MS, NOW))
    assert "Failed to deserialize" in caught.value.why
    assert clock.slept == []


def test_network_away() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clock = venues.ManualClock(NOW)
    source = source_for("hyperliquid", clock, clock.sleep, f"http://127.0.0.1:{port}")
    with pytest.raises(InfrastructureError, match=f"Hyperliquid at http://127.0.0.1:{port}") as e:
        source.require("BTC")
    assert "genesis data import" in e.value.fix
    assert len(clock.slept) == 4


def test_requests_stay_under_the_weight_of_a_minute(tmp_path: Path) -> None:
    hours = 15_000
    venue = venues.HyperliquidVenue(NOW, first_ms=NOW - hours * HOUR_MS)
    with venues.serving(venue) as url:
        source, clock = source_of(venue, url)
        pages = list(source.funding("BTC", NOW - hours * HOUR_MS, NOW))
    assert sum(len(page) for page in pages) == hours
    # 31 pages of weight 45 and the universe's 20 do not fit into one minute of 1,000
    assert clock.monotonic() >= 59
    assert clock.monotonic() < 90


def test_weight_budget_never_exceeds_its_limit_in_any_window() -> None:
    clock = venues.ManualClock(0)
    budget = WeightBudget(100, clock, clock.sleep)
    booked: list[tuple[float, float]] = []
    for weight in [30, 30, 30, 30, 90, 5, 5, 60, 100, 1] * 3:
        budget.spend(weight)
        booked.append((clock.monotonic(), weight))
        clock.sleep(0.5)
    for at, _ in booked:
        assert sum(w for t, w in booked if at - 60 < t <= at) <= 100


def test_retries_wait_longer_each_time_and_pass_other_errors_on() -> None:
    clock = venues.ManualClock(0)
    retries = Retries("it", lambda e: 1.0 if isinstance(e, OSError) else None, clock.sleep)
    calls = []

    def fail() -> None:
        calls.append(1)
        raise OSError("away")

    with pytest.raises(InfrastructureError, match=r"it does not answer \(5 tries\)"):
        retries.run(fail)
    assert len(calls) == 5
    assert all(b > 1.5 * a for a, b in zip(clock.slept, clock.slept[1:], strict=False))

    def wrong() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        retries.run(wrong)


def test_recorded_answers_are_read(shared_data: Path) -> None:
    folder = shared_data / "hyperliquid" / "rest" / "python_sdk"
    (candles,) = json.loads((folder / "test_get_candles_snapshot.json").read_text())
    (funding,) = json.loads((folder / "test_get_funding_history_None.json").read_text())
    wanted = candles["request"]["req"]
    now = wanted["endTime"] + 48 * HOUR_MS

    class Recorded(venues.HyperliquidVenue):
        def answer(self, request: dict[str, object]) -> object:
            if request["type"] == "candleSnapshot":
                return candles["response"]
            if request["type"] == "fundingHistory":
                rows = funding["response"]
                return [row for row in rows if row["time"] >= request["startTime"]]
            return super().answer(request)

    with venues.serving(Recorded(now, 0)) as url:
        clock = venues.ManualClock(now)
        source = HyperliquidSource(clock, clock.sleep, url)
        pages = list(source.candles("kPEPE", "1h", wanted["startTime"], wanted["endTime"]))
        rates = list(source.funding("BTC", 1_681_923_833_000, 1_690_000_000_000))
    assert len(pages) == 1
    # the first recorded candle opens before the start that was asked for
    assert pages[0].close.tolist() == [float(row["c"]) for row in candles["response"]][1:]
    assert sum(len(page) for page in rates) == len(funding["response"])
    assert rates[0].rate[0] == float(funding["response"][0]["fundingRate"])


def test_fetch_command_fills_a_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = SystemClock().now_ms()
    venue = venues.HyperliquidVenue(now, first_ms=now - 40 * HOUR_MS)
    words = ["--home", str(tmp_path / "home"), "data", "fetch", "hyperliquid:BTC,kPEPE:1h"]
    with venues.serving(venue) as url:
        assert dispatch([*words, "--url", url, "--json"]) == 0
    payload = json.loads(capsys.readouterr().out)
    assert payload["ok"] is True
    assert [one["symbol"] for one in payload["fetched"]] == ["BTC", "kPEPE"]
    # an hour may begin while the test runs
    assert all(one["bars"] in (39, 40) and one["funding"] >= 39 for one in payload["fetched"])
    panel = load(BarStore(tmp_path / "home" / "data"), parse("hyperliquid:BTC,kPEPE:1h"))
    assert all(series.has_funding for series in panel.symbols)
