"""Longer bars: only whole ones, on the UTC grid, equal to pandas' resampling."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genesis.cli.main import dispatch
from genesis.domain.errors import DataError
from genesis.domain.timeline import HOUR_MS
from genesis.market.bars import Bars
from genesis.market.dataset import parse, require_stored
from genesis.market.resample import left_out, resample
from genesis.market.store import BarStore


def hourly(hours: list[int]) -> Bars:
    stamps = np.array(hours, dtype=np.int64)
    value = stamps.astype(np.float64)
    return Bars(stamps * HOUR_MS, value, value + 0.5, value - 0.5, value + 0.1, value)


def test_only_whole_groups_of_the_utc_grid_are_taken() -> None:
    longer = resample(hourly([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]), "1h", "4h")
    assert (longer.ts_ms // HOUR_MS).tolist() == [4, 12]  # 10 is missing
    assert longer.open.tolist() == [4.0, 12.0]
    assert longer.high.tolist() == [7.5, 15.5]
    assert longer.low.tolist() == [3.5, 11.5]
    assert longer.close.tolist() == [7.1, 15.1]
    assert longer.volume.tolist() == [22.0, 54.0]


def test_it_agrees_with_pandas() -> None:
    rng = np.random.default_rng(3)
    n = 480
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    spread = rng.exponential(0.1, (2, n))
    high, low = np.maximum(opened, close) + spread[0], np.minimum(opened, close) - spread[1]
    bars = Bars(
        np.arange(n, dtype=np.int64) * HOUR_MS, opened, high, low, close, rng.exponential(5.0, n)
    )
    frame = pd.DataFrame(
        {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")},
        index=pd.to_datetime(bars.ts_ms, unit="ms"),
    )
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    expected = frame.resample("12h").agg(rules)
    longer = resample(bars, "1h", "12h")
    for name in rules:
        np.testing.assert_allclose(getattr(longer, name), expected[name].to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("longer", ["1h", "30m"])
def test_a_shorter_or_equal_interval_is_refused(longer: str) -> None:
    with pytest.raises(DataError, match="cannot be made"):
        resample(hourly([0, 1, 2, 3]), "1h", longer)


def test_without_a_whole_bar_there_is_none() -> None:
    with pytest.raises(DataError, match="no 4h bar is complete"):
        resample(hourly([1, 2, 3]), "1h", "4h")


def test_the_command_stores_the_longer_bars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    made = ["data", "synth", "--assets", "2", "--bars", "480", "--interval", "1h", "--json"]
    assert dispatch([*home, *made]) == 0
    capsys.readouterr()
    assert dispatch([*home, "data", "resample", "synth:SYN1,SYN2:1h", "4h", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert answer["bars"] == {"SYN1": 120, "SYN2": 120}
    assert answer["made"]["SYN1"] == {"bars": 120, "new": 120, "replaced": 0, "left_out": 0}
    assert dispatch([*home, "data", "check", "synth:SYN1:4h"]) == 0
    capsys.readouterr()
    assert dispatch([*home, "data", "resample", "synth:SYN1:1h", "45m"]) == 2
    assert "45m" in capsys.readouterr().err


def test_bars_that_lack_a_part_are_counted() -> None:
    bars = hourly([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15])
    assert left_out(bars, resample(bars, "1h", "4h"), "4h") == 2  # from 0 and from 8


def stored(home: Path, hours: list[int], interval: str = "1h") -> BarStore:
    """A store with bars of one symbol."""
    store = BarStore(home / "data")
    store.write_bars("v", "BTC", interval, hourly(hours))
    return store


def test_what_was_left_out_and_what_is_new_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path, [1, 2, 3, 4, 5, 6, 7, 8])
    line = ["--home", str(tmp_path), "data", "resample", "v:BTC:1h", "4h"]
    assert dispatch(line) == 0
    told = capsys.readouterr().out
    assert told == "v:BTC:4h  1 bar, 1 new, 2 left out, a part of them is missing\n"
    assert dispatch(line) == 0
    assert "1 bar, 0 new, 2 left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (":1970-01-01T01:00..1970-01-01T03:00", "choose a longer span"),
        (":2031-01-01..2031-02-01", "choose a span inside that"),
    ],
)
def test_a_span_that_gives_no_bar_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], span: str, said: str
) -> None:
    stored(tmp_path, list(range(1, 9)))
    line = ["--home", str(tmp_path), "data", "resample", f"v:BTC:1h{span}", "4h", "--json"]
    assert dispatch(line) == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["fix"]


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ("4h", "genesis data resample v:BTC:2h 4h"),
        ("1h", "genesis data resample v:BTC:30m 1h"),
        ("3m", None),
    ],
)
def test_a_missing_interval_is_made_of_the_longest_that_fits(
    tmp_path: Path, wanted: str, line: str | None
) -> None:
    store = stored(tmp_path, [2, 4, 6], "2h")
    stored(tmp_path, [4, 8], "30m")
    with pytest.raises(DataError) as caught:
        require_stored(store, parse(f"v:BTC:{wanted}"))
    first = caught.value.fix.splitlines()[1].strip()
    assert first == line if line else "resample" not in caught.value.fix
