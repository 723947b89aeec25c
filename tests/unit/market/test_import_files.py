"""Files of many spellings become the same series; broken ones say what is wrong."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genesis.domain.errors import DataError
from genesis.domain.timeline import HOUR_MS, parse_ts
from genesis.market.sources.columns import parse_mapping
from genesis.market.sources.files import ImportItem, import_item, laid_out, plan
from genesis.market.store import BarStore

START = parse_ts("2024-03-01")
STAMPS = [START + h * HOUR_MS for h in range(4)]
OHLCV = [
    (10.0, 12.0, 9.0, 11.0, 5.0),
    (11, 13, 10, 12, 0),
    (12, 12, 12, 12, 1),
    (12, 14, 11, 13, 2),
]


def csv_text(times: list[str], header: str = "timestamp,open,high,low,close,volume") -> str:
    rows = [",".join([t, *map(str, r)]) for t, r in zip(times, OHLCV, strict=True)]
    return "\n".join([header, *rows]) + "\n"


def iso(ms: int, suffix: str = "") -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S") + suffix


def bars_item(path: Path, interval: str = "") -> ImportItem:
    return ImportItem(path, "bars", "v", "BTC", interval)


SPELLINGS = {
    "seconds": [str(ms // 1000) for ms in STAMPS],
    "milliseconds": [str(ms) for ms in STAMPS],
    "microseconds": [str(ms * 1000) for ms in STAMPS],
    "nanoseconds": [str(ms * 1_000_000) for ms in STAMPS],
    "float seconds": [f"{ms / 1000:.1f}" for ms in STAMPS],
    "iso": [iso(ms) for ms in STAMPS],
    "iso with Z": [iso(ms, "Z") for ms in STAMPS],
    "iso with offset": [iso(ms + HOUR_MS, "+01:00") for ms in STAMPS],
    "iso with blank": [iso(ms).replace("T", " ") for ms in STAMPS],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_time(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv_text(SPELLINGS[spelling]))
    store = BarStore(tmp_path / "store")
    result = import_item(store, bars_item(path))
    bars = store.read_bars("v", "BTC", "1h")
    assert bars is not None
    assert result.item.interval == "1h"  # inferred
    assert bars.ts_ms.tolist() == STAMPS
    assert bars.high.tolist() == [12, 13, 12, 14]
    assert bars.volume.tolist() == [5, 0, 1, 2]


@pytest.mark.parametrize(
    "stamp", [pa.timestamp("ns"), pa.timestamp("us", tz="UTC"), pa.timestamp("ms", "Asia/Tokyo")]
)
def test_parquet_time_types(tmp_path: Path, stamp: pa.DataType) -> None:
    values = pa.array(STAMPS, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))
    column = values.cast(pa.timestamp("ms")).cast(stamp) if stamp.tz is None else values.cast(stamp)
    names = ["open", "high", "low", "close", "volume"]
    prices = {name: [float(row[i]) for row in OHLCV] for i, name in enumerate(names)}
    pq.write_table(pa.table({"Open Time": column, **prices}), tmp_path / "x.parquet")
    store = BarStore(tmp_path / "store")
    import_item(store, bars_item(tmp_path / "x.parquet"))
    bars = store.read_bars("v", "BTC", "1h")
    assert bars is not None
    assert bars.ts_ms.tolist() == STAMPS


def test_daily_dates_and_gzip(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    text = csv_text(["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04"])
    path.write_bytes(gzip.compress(text.encode()))
    store = BarStore(tmp_path / "store")
    assert import_item(store, bars_item(path)).item.interval == "1d"


def test_columns_are_found_by_usual_names_and_by_mapping(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv_text(SPELLINGS["iso"], "Date,O,H,L,Last,Vol"))
    with pytest.raises(DataError, match="has no column 'close'") as caught:
        import_item(BarStore(tmp_path / "store"), bars_item(path))
    assert "--map close=COLUMN" in caught.value.fix
    assert "Last" in caught.value.why
    mapping = parse_mapping("close=Last, timestamp=Date")
    assert import_item(BarStore(tmp_path / "store"), bars_item(path), mapping=mapping).rows == 4


@pytest.mark.parametrize("text", ["close", "close=", "=Last"])
def test_broken_mapping(text: str) -> None:
    with pytest.raises(DataError, match="is no pair"):
        parse_mapping(text)


def test_mapping_of_unknown_names(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv_text(SPELLINGS["iso"]))
    with pytest.raises(DataError, match=r"names 'clos'.* - did you mean 'close'"):
        import_item(BarStore(tmp_path), bars_item(path), mapping={"clos": "close"})
    with pytest.raises(DataError, match="no column 'closed' - did you mean 'close'"):
        import_item(BarStore(tmp_path), bars_item(path), mapping={"close": "closed"})


def test_csv_without_a_time_column(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("open,high,low,close,volume\n1,1,1,1,1\n")
    with pytest.raises(DataError, match="has no time column") as caught:
        import_item(BarStore(tmp_path / "store"), bars_item(path))
    assert "--map timestamp=COLUMN" in caught.value.fix
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_unreadable_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"" if name == "x.csv" else b"PAR1 not really")
    with pytest.raises(DataError, match="cannot be read as") as caught:
        import_item(BarStore(tmp_path / "store"), bars_item(tmp_path / name))
    assert caught.value.why
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["soon"] * 4, "is no time"),
        (["1", "2", "3", "4"], "not between"),
        (["", *SPELLINGS["milliseconds"][1:]], "is empty in 1 rows"),
    ],
)
def test_senseless_times(tmp_path: Path, times: list[str], message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv_text(times))
    with pytest.raises(DataError, match=message):
        import_item(BarStore(tmp_path / "store"), bars_item(path))


def test_text_in_a_price_column(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(csv_text(SPELLINGS["iso"]).replace("13,10", "high,10"))
    with pytest.raises(DataError, match="does not hold numbers"):
        import_item(BarStore(tmp_path / "store"), bars_item(path))


def test_empty_file_and_unknown_suffix(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("timestamp,open,high,low,close,volume\n")
    with pytest.raises(DataError, match=r"no rows|cannot be told"):
        import_item(BarStore(tmp_path / "store"), bars_item(tmp_path / "x.csv"))
    with pytest.raises(DataError, match="no rows"):
        import_item(BarStore(tmp_path / "store"), bars_item(tmp_path / "x.csv", "1h"))
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(DataError, match="neither Parquet nor CSV"):
        import_item(BarStore(tmp_path / "store"), bars_item(tmp_path / "x.txt"))


def bad_csv(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text(csv_text(SPELLINGS["iso"]).replace("11,13,10,12,0", "11,5,10,12,0"))
    return path


def test_bad_bars_are_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 bad rows") as caught:
        import_item(BarStore(tmp_path / "store"), bars_item(bad_csv(tmp_path)))
    assert "2024-03-01T01:00Z" in caught.value.why
    assert "--quarantine" in caught.value.fix
    assert not (tmp_path / "store").exists()


def test_quarantine_keeps_the_good_and_sets_the_bad_aside(tmp_path: Path) -> None:
    store = BarStore(tmp_path / "store")
    result = import_item(store, bars_item(bad_csv(tmp_path)), quarantine=True)
    assert (result.rows, result.written.added, result.quarantined) == (4, 3, 1)
    bars = store.read_bars("v", "BTC", "1h")
    assert bars is not None
    assert bars.ts_ms.tolist() == [STAMPS[0], *STAMPS[2:]]
    assert result.quarantine == tmp_path / "store/quarantine/v/BTC/1h.parquet"
    table = pq.read_table(result.quarantine)
    assert table["reason"].to_pylist() == ["impossible_ohlc"]
    assert table["high"].to_pylist() == [5.0]
    assert [info.kind for info in store.list()] == ["bars"]


def test_wrong_interval_is_not_stored(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    lines = [f"{START + h * HOUR_MS},1,1,1,1,1" for h in range(50)]
    path.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines))
    for quarantine in (False, True):
        with pytest.raises(DataError) as caught:
            import_item(BarStore(tmp_path / "store"), bars_item(path, "5m"), quarantine=quarantine)
        assert "--interval 1h" in caught.value.fix
    assert not (tmp_path / "store").exists()


def test_layout_names_files() -> None:
    root = Path("/any/where")
    assert laid_out(root / "candles/binance_perp/BTCUSDT/1h.parquet") == ImportItem(
        root / "candles/binance_perp/BTCUSDT/1h.parquet", "bars", "binance_perp", "BTCUSDT", "1h"
    )
    assert laid_out(root / "funding/hyperliquid/kPEPE.csv") == ImportItem(
        root / "funding/hyperliquid/kPEPE.csv", "funding", "hyperliquid", "kPEPE"
    )
    assert laid_out(root / "sentiment/fear_greed.csv.gz") == ImportItem(
        root / "sentiment/fear_greed.csv.gz", "sentiment", "", "fear_greed"
    )
    odd = laid_out(root / "bars/v/BTC%2FUSDC/1h.parquet")
    assert odd is not None
    assert odd.symbol == "BTC/USDC"
    assert laid_out(root / "candles/binance_perp/BTCUSDT/7h.parquet") is None
    assert laid_out(root / "ticks/trades.csv") is None


def test_plans_that_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    cases = [
        ([tmp_path / "absent"], {}, "does not exist"),
        ([tmp_path], {}, "nothing to import"),
        ([tmp_path], {"venue": "v", "symbol": "B"}, "name a single file"),
        ([tmp_path / "x.csv"], {}, "needs a venue and a symbol"),
        ([tmp_path / "x.csv"], {"venue": "v"}, "needs a venue and a symbol"),
        ([tmp_path / "x.csv"], {"venue": "../v", "symbol": "A"}, "no name for a venue"),
        ([tmp_path / "x.csv"], {"venue": "a,b", "symbol": "A"}, "no name for a venue"),
        ([tmp_path / "x.csv"], {"venue": "v", "symbol": "A/../B"}, "no name for a symbol"),
    ]
    for paths, options, message in cases:
        with pytest.raises(DataError) as caught:
            plan(paths, **options)
        assert message in str(caught.value)
        assert caught.value.fix


def test_funding_stamps_lose_the_venues_delay(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(
        f"time,fundingRate\n{START + 48},0.0001\n{START + 8 * HOUR_MS + 1253},-0.0002\n"
    )
    store = BarStore(tmp_path / "store")
    import_item(store, ImportItem(path, "funding", "v", "BTC"))
    rates = store.read_funding("v", "BTC")
    assert rates is not None
    assert rates.ts_ms.tolist() == [START, START + 8 * HOUR_MS]


def test_all_shared_data_in_one_command(shared_data: Path, tmp_path: Path) -> None:
    import json

    manifest = json.loads((shared_data / "manifest.json").read_text())
    facts = {entry["path"]: entry for entry in manifest["files"]}
    store = BarStore(tmp_path / "store")
    found = plan([shared_data])
    # the largest files add time, not certainty
    items = [
        item
        for item in found.items
        if facts[str(item.path.relative_to(shared_data))].get("rows", 0) < 25_000
    ]
    assert len(found.items) == 106
    for item in items:
        result = import_item(store, item)
        entry = facts[str(item.path.relative_to(shared_data))]
        assert result.written.total == entry.get("rows", 2_673)  # sentiment: the folder's README
        assert result.quarantined == 0
        if item.kind == "bars":
            gaps = [w for w in result.warnings if "gaps" in w]
            assert bool(gaps) == bool(entry["gaps"])
    assert len(store.list()) == len(items)
