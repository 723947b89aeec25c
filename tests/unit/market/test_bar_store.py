"""The store keeps what was written, entire, and never edits it silently."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from genesis.domain.canonical import array_hash
from genesis.domain.errors import DataError, StorageError
from genesis.domain.timeline import HOUR_MS
from genesis.market.bars import Bars, FundingRates, SentimentIndex
from genesis.market.store import BarStore

START = 1_700_006_400_000  # on the hour


def bars_at(hours: range, price: float = 100.0) -> Bars:
    ts = START + np.array(hours, dtype=np.int64) * HOUR_MS
    n = ts.size
    close = price + np.arange(hours.start, hours.stop, dtype=float)
    return Bars(ts, close - 0.5, close + 1.0, close - 1.0, close, np.full(n, 3.0))


def files_under(folder: Path) -> list[str]:
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock"
    )


def test_reads_back_every_bit(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    bars = bars_at(range(50), price=7.1)
    store.write_bars("v", "BTC", "1h", bars)
    back = store.read_bars("v", "BTC", "1h")
    assert back is not None
    for mine, theirs in zip(bars.columns(), back.columns(), strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.tobytes() == theirs.tobytes()


def test_file_is_plain_zstd_parquet_with_the_hash_of_its_columns(tmp_path: Path) -> None:
    bars = bars_at(range(5))
    BarStore(tmp_path).write_bars("v", "BTC", "1h", bars)
    file = pq.ParquetFile(tmp_path / "bars" / "v" / "BTC" / "1h.parquet")
    assert file.schema_arrow.names == ["timestamp", "open", "high", "low", "close", "volume"]
    assert str(file.schema_arrow.field("timestamp").type) == "timestamp[ms, tz=UTC]"
    assert file.metadata.row_group(0).column(1).compression == "ZSTD"
    expected = array_hash(bars.ts_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
    assert file.schema_arrow.metadata[b"genesis.content_hash"].decode() == expected


def test_merges_new_rows_and_accepts_an_identical_overlap(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    assert store.write_bars("v", "BTC", "1h", bars_at(range(5, 10))).added == 5
    result = store.write_bars("v", "BTC", "1h", bars_at(range(12)))
    assert (result.added, result.replaced, result.total) == (7, 0, 12)
    back = store.read_bars("v", "BTC", "1h")
    assert back is not None
    assert back.content_hash == bars_at(range(12)).content_hash


def test_content_hash_does_not_depend_on_the_order_of_writes(tmp_path: Path) -> None:
    one, two = BarStore(tmp_path / "one"), BarStore(tmp_path / "two")
    for part in (range(4), range(4, 9), range(2, 11)):
        one.write_bars("v", "BTC", "1h", bars_at(part))
    for part in (range(7, 11), range(9)):
        two.write_bars("v", "BTC", "1h", bars_at(part))
    assert one.list()[0].content_hash == two.list()[0].content_hash


def test_conflicting_overlap_is_refused_and_names_the_bars(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "BTC", "1h", bars_at(range(5)))
    before = (tmp_path / "bars/v/BTC/1h.parquet").read_bytes()
    with pytest.raises(DataError) as caught:
        store.write_bars("v", "BTC", "1h", bars_at(range(3, 8), price=200.0))
    assert "2 rows differ" in caught.value.what
    assert "2023-11-15T03:00Z, 2023-11-15T04:00Z" in caught.value.why
    assert "--replace" in caught.value.fix
    assert (tmp_path / "bars/v/BTC/1h.parquet").read_bytes() == before


def test_replace_lets_new_rows_count(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "BTC", "1h", bars_at(range(5)))
    fresh = bars_at(range(3, 8), price=200.0)
    result = store.write_bars("v", "BTC", "1h", fresh, replace=True)
    assert (result.added, result.replaced, result.total) == (3, 2, 8)
    back = store.read_bars("v", "BTC", "1h")
    assert back is not None
    np.testing.assert_array_equal(back.close[3:], fresh.close)
    np.testing.assert_array_equal(back.close[:3], bars_at(range(3)).close)


def test_overwrite_drops_the_old_series(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "BTC", "1h", bars_at(range(9)))
    store.write_bars("v", "BTC", "1h", bars_at(range(3), price=7.0), overwrite=True)
    back = store.read_bars("v", "BTC", "1h")
    assert back is not None
    assert len(back) == 3


def test_bad_bars_never_get_in(tmp_path: Path) -> None:
    bars = bars_at(range(5))
    bars.high[2] = 1.0
    with pytest.raises(DataError, match="bad rows"):
        BarStore(tmp_path).write_bars("v", "BTC", "1h", bars)
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_says_so_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "BTC", "1h", bars_at(range(5)))
    before = (tmp_path / "bars/v/BTC/1h.parquet").read_bytes()

    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        store.write_bars("v", "BTC", "1h", bars_at(range(9)))
    assert caught.value.why == "the disk is full"
    assert "free space" in caught.value.fix
    assert files_under(tmp_path) == ["bars/v/BTC/1h.parquet"]
    assert (tmp_path / "bars/v/BTC/1h.parquet").read_bytes() == before


def test_writer_killed_in_mid_write_leaves_the_old_series(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "BTC", "1h", bars_at(range(5)))
    target = tmp_path / "bars/v/BTC/1h.parquet"
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from genesis.market.atomic_file import write_atomic

        def part(file):
            file.write(b"half of a file")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        write_atomic(Path(sys.argv[1]), part)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(files_under(tmp_path)) == 2  # the series and the hidden part
    assert [info.rows for info in store.list()] == [5]
    store.write_bars("v", "BTC", "1h", bars_at(range(7)))
    assert files_under(tmp_path) == ["bars/v/BTC/1h.parquet"]


def test_concurrent_writers_lose_no_rows(tmp_path: Path) -> None:
    parts = [range(start, start + 10) for start in range(0, 120, 10)]
    failures: list[Exception] = []

    def add(part: range) -> None:
        try:
            BarStore(tmp_path).write_bars("v", "BTC", "1h", bars_at(part))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    back = BarStore(tmp_path).read_bars("v", "BTC", "1h")
    assert back is not None
    assert back.content_hash == bars_at(range(120)).content_hash


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "BTC", "1h", bars_at(range(5)))
    path = tmp_path / "bars/v/BTC/1h.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StorageError, match="cannot be read"):
        store.read_bars("v", "BTC", "1h")


def test_edited_column_is_found_by_its_hash(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.write_bars("v", "BTC", "1h", bars_at(range(5)))
    path = tmp_path / "bars/v/BTC/1h.parquet"
    table = pq.read_table(path)
    edited = table.set_column(4, "close", table["open"]).replace_schema_metadata(
        table.schema.metadata
    )
    pq.write_table(edited, path)
    with pytest.raises(StorageError, match="cannot be read") as caught:
        store.read_bars("v", "BTC", "1h")
    assert "hash" in caught.value.why


@pytest.mark.parametrize("symbol", ["BTC/USDC:USDC", "xyz:TSLA", "@107", "kPEPE", "..", "a%2Fb"])
def test_any_symbol_is_one_name_inside_the_store(tmp_path: Path, symbol: str) -> None:
    store = BarStore(tmp_path / "store")
    store.write_bars("v", symbol, "1h", bars_at(range(2)))
    assert store.symbols("v") == (symbol,)
    assert store.list()[0].symbol == symbol
    assert files_under(tmp_path)[0].startswith("store/bars/v/")
    assert len(files_under(tmp_path)[0].split("/")) == 5


@pytest.mark.parametrize("symbol", ["", " BTC", "A,B", "A\nB"])
def test_impossible_names_are_refused(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(DataError, match="no name"):
        BarStore(tmp_path).write_bars("v", symbol, "1h", bars_at(range(2)))


def test_funding_and_sentiment_round_trip_and_are_listed(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    ts = START + np.arange(3, dtype=np.int64) * HOUR_MS
    store.write_funding("v", "BTC", FundingRates(ts, np.array([1e-4, -2e-5, 0.0])))
    store.write_sentiment("fear_greed", SentimentIndex(ts, np.array([10.0, 50.0, 90.0])))
    store.write_bars("v", "BTC", "1h", bars_at(range(3)))
    rates, index = store.read_funding("v", "BTC"), store.read_sentiment("fear_greed")
    assert rates is not None
    assert index is not None
    assert rates.rate.tolist() == [1e-4, -2e-5, 0.0]
    assert index.value.tolist() == [10.0, 50.0, 90.0]
    listed = [(i.kind, i.venue, i.symbol, i.interval, i.rows) for i in store.list()]
    assert listed == [
        ("bars", "v", "BTC", "1h", 3),
        ("funding", "v", "BTC", "", 3),
        ("sentiment", "", "fear_greed", "", 3),
    ]
    assert store.read_funding("v", "ETH") is None
    assert store.read_bars("v", "ETH", "1h") is None


@pytest.mark.parametrize(
    ("stamps", "values", "message"),
    [
        ([0, 0], [1e-4, 1e-4], "not sorted and unique"),
        ([HOUR_MS, 0], [1e-4, 1e-4], "not sorted and unique"),
        ([0, HOUR_MS], [1e-4, np.nan], "not finite"),
        ([], [], "no rows"),
    ],
)
def test_broken_funding_is_refused(
    tmp_path: Path, stamps: list[int], values: list[float], message: str
) -> None:
    rates = FundingRates(np.array(stamps, dtype=np.int64), np.array(values, dtype=float))
    with pytest.raises(DataError, match=message):
        BarStore(tmp_path).write_funding("v", "BTC", rates)


def test_sentiment_out_of_range_is_refused(tmp_path: Path) -> None:
    index = SentimentIndex(np.array([0], dtype=np.int64), np.array([101.0]))
    with pytest.raises(DataError, match="outside 0 to 100"):
        BarStore(tmp_path).write_sentiment("fear_greed", index)


def test_missing_folder_permissions_are_reported(tmp_path: Path) -> None:
    (tmp_path / "bars").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot write"):
        BarStore(tmp_path).write_bars("v", "BTC", "1h", bars_at(range(2)))
