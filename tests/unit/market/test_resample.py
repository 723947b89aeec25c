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
from genesis.market.resample import resample


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
    assert dispatch([*home, "data", "check", "synth:SYN1:4h"]) == 0
    capsys.readouterr()
    assert dispatch([*home, "data", "resample", "synth:SYN1:1h", "45m"]) == 2
    assert "45m" in capsys.readouterr().err
