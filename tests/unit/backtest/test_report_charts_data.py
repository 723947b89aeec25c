"""Figures of a backtest: thinning, candles, monthly returns, escaping."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from genesis.backtest.charts import (
    MAX_MARKS,
    OVERVIEW_CANDLES,
    candle_levels,
    candle_trace,
    cost_figure,
    drawdown,
    mark_traces,
    monthly_returns,
    paint,
    thin,
    trade_marks,
)
from genesis.backtest.report_data import Candles, TradeMark
from genesis.backtest.report_page import embed, number, words

HOUR = 3_600_000
START = 1_640_995_200_000


def bars(n: int, seed: int = 1) -> Candles:
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    opened = np.r_[50.0, close[:-1]]
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    columns = [opened, high, low, close]
    gone = rng.random(n) < 0.1
    for column in columns:
        column[gone] = np.nan
    return Candles("X", START + HOUR * np.arange(n, dtype=np.int64), *columns)


def test_joined_candles_equal_pandas() -> None:
    candles = bars(4000)
    level = candle_levels(candles)["all"]
    frame = pd.DataFrame({k: getattr(candles, k) for k in ("open", "high", "low", "close")})
    present = np.flatnonzero(np.isfinite(candles.close))
    frame = frame.iloc[present[0] : present[-1] + 1].reset_index(drop=True)
    grouped = frame.groupby(frame.index // level["bars"])
    expected = grouped.agg({"open": "first", "high": "max", "low": "min", "close": "last"}).dropna()
    assert len(level["x"]) == len(expected) <= OVERVIEW_CANDLES
    for name in ("open", "high", "low", "close"):
        assert level[name] == pytest.approx(expected[name].to_list(), rel=1e-5)


def test_the_recent_level_is_bar_for_bar() -> None:
    candles = bars(2000)
    recent = candle_levels(candles)["recent"]
    there = np.isfinite(candles.close[-600:])
    assert recent["bars"] == 1
    assert recent["close"] == pytest.approx(candles.close[-600:][there].tolist(), rel=1e-5)
    assert candle_levels(bars(300)).keys() == {"all"}


def test_a_symbol_without_bars_has_no_candles() -> None:
    nan = np.full(5, np.nan)
    assert candle_levels(Candles("X", np.arange(5, dtype=np.int64), nan, nan, nan, nan)) == {}


def test_thinning_keeps_ends_and_extremes() -> None:
    rng = np.random.default_rng(2)
    values = np.cumsum(rng.normal(size=30_000))
    ts = np.arange(values.size, dtype=np.int64)
    kept_ts, kept = thin(ts, values)
    assert kept.size <= 1502
    assert (kept_ts[0], kept_ts[-1]) == (0, values.size - 1)
    assert (kept.max(), kept.min()) == (values.max(), values.min())
    assert np.array_equal(kept, values[kept_ts])
    assert np.all(np.diff(kept_ts) > 0)


def test_drawdown_counts_from_the_start_capital() -> None:
    assert drawdown(np.array([-0.1, 0.2, 0.05, 0.3])) == pytest.approx([0.1, 0.0, 0.15, 0.0])


def test_monthly_returns_equal_pandas_and_add_up() -> None:
    rng = np.random.default_rng(3)
    days = pd.date_range("2021-11-17", "2023-02-09", freq="D", tz="UTC")
    equity = np.cumsum(rng.normal(0, 0.01, len(days)))
    table = monthly_returns(days.as_unit("ms").asi8, equity)
    last = pd.Series(equity, index=days.tz_localize(None)).resample("ME").last()
    expected = last.diff().fillna(last.iloc[0])
    found = {
        (year, month + 1): value
        for year, row in table.items()
        for month, value in enumerate(row)
        if value is not None
    }
    assert found == pytest.approx({(t.year, t.month): v for t, v in expected.items()})
    assert sum(found.values()) == pytest.approx(equity[-1])


def test_marks_outside_the_span_are_not_drawn() -> None:
    candles = bars(2000)
    ts = candles.ts_ms
    trades = [
        TradeMark(1, int(ts[5]), int(ts[9]), 50.0, 51.0, 0.01, "target"),
        TradeMark(-1, int(ts[-50]), -1, 60.0, float("nan"), -0.002, "open"),
    ]
    levels, marks = candle_levels(candles), trade_marks(trades)
    names = {
        name: [t["name"] for t in [candle_trace(level), *mark_traces(level, marks)]]
        for name, level in levels.items()
    }
    assert names == {
        "all": ["price", "long entry", "short entry", "long exit"],
        "recent": ["price", "short entry"],
    }
    text = mark_traces(levels["all"], marks)[2]["text"]
    assert text == ["leave long (target), +1.000% of capital"]


def test_many_trades_are_cut_to_the_latest_and_counted() -> None:
    trades = [TradeMark(1, i, i + 1, 1.0, 1.0, 0.0, "signal") for i in range(MAX_MARKS + 7)]
    marks = trade_marks(trades)
    assert marks["total"] == MAX_MARKS + 7
    assert marks["entry"] == list(range(7, MAX_MARKS + 7))


def test_cost_waterfall_subtracts_costs() -> None:
    costs = {"gross": 0.2, "fees": 0.05, "slippage": 0.02, "funding": -0.01, "net": 0.14}
    trace = cost_figure(costs)["data"][0]
    assert trace["y"] == [0.2, -0.05, -0.02, 0.01, 0.14]
    assert sum(trace["y"][:4]) == pytest.approx(trace["y"][4])


def test_embedded_json_cannot_leave_its_element_and_reads_back() -> None:
    value = {"a": "</script><!-- & \u2028", "n": [1, None, 2.5], "numpy": np.float64(1.5)}
    text = str(embed(value))
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == {**value, "numpy": 1.5}
    with pytest.raises(ValueError):
        embed({"x": float("nan")})


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (0.12345, "total_return", "12.35%"),
        (1.23456, "sharpe", "1.23"),
        (0.01234, "", "0.0123"),
        (12345, "", "12,345"),
        (240.0, "trades", "240"),
        (float("nan"), "sharpe", "–"),
        (None, "", "–"),
        ("long", "", "long"),
    ],
)
def test_numbers_read_well(value: object, name: str, text: str) -> None:
    assert number(value, name) == text


def test_words_and_paint() -> None:
    assert words("max_drawdown") == "Max drawdown"
    assert paint({"a": ["--up", 1]}, {"--up": "green"}) == {"a": ["green", 1]}
