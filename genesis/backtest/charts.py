"""Figures of a backtest as plain plotly specifications (`data` and `layout` mappings).

Plain mappings need no plotly at all to be built; a page draws them with plotly's own bundle and
a notebook with ``plotly.graph_objects.Figure(figure)``. Colours are names of the page's palette
(``--accent``), which the page resolves for light and dark; `paint` resolves them elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from genesis.backtest.report_data import Candles, Floats, Ints, ReportData, TradeMark

Figure = dict[str, Any]

OVERVIEW_CANDLES = 900
RECENT_BARS = 600
MAX_MARKS = 400
MAX_POINTS = 1500
LIGHT = {
    "--accent": "#3b5bdb",
    "--second": "#e8590c",
    "--up": "#0b8a5f",
    "--down": "#d6336c",
    "--muted": "#868e96",
    "--violet": "#7048e8",
    "--teal": "#0c8599",
    "--gold": "#b5850b",
    "--ink": "#1b1f24",
    "--low": "#e7ebf7",
    "--high": "#3b5bdb",
}
CANDLE_LAYOUT: Figure = {
    "height": 420,
    "xaxis": {"type": "date", "rangeslider": {"visible": False}},
    "yaxis": {"title": {"text": "price"}},
    "legend": {"orientation": "h", "y": 1.12, "x": 0},
}
SERIES = ("--accent", "--second", "--teal", "--violet", "--gold", "--up", "--down")


def paint(value: Any, palette: Mapping[str, str] | None = None) -> Any:
    """Replace palette names by colours anywhere in a figure."""
    colours = LIGHT if palette is None else palette
    if isinstance(value, str):
        return colours.get(value, value)
    if isinstance(value, dict):
        return {k: paint(v, colours) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [paint(v, colours) for v in value]
    return value


def as_plotly(figure: Figure) -> Any:
    """A ``plotly.graph_objects.Figure`` of a specification, for notebooks."""
    from plotly.graph_objects import Figure as PlotlyFigure

    return PlotlyFigure(paint(figure))


def short(values: Floats | Sequence[float], digits: int = 6) -> list[float | None]:
    """Numbers with few digits for a page; None where not finite."""
    array = np.asarray(values, dtype=np.float64)
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in array]


def thin(ts_ms: Ints, values: Floats, points: int = MAX_POINTS) -> tuple[Ints, Floats]:
    """Keep the shape of a curve with about ``points`` points: least and greatest of each stretch.

    The first and last points are kept; the times stay in order.
    """
    n = int(ts_ms.size)
    if n <= points:
        return ts_ms, values
    edges = np.linspace(0, n, points // 2 + 1).astype(np.int64)
    keep = {0, n - 1}
    for start, stop in pairwise(edges):
        part = values[start:stop]
        if np.isfinite(part).any():
            keep.update((int(start + np.nanargmin(part)), int(start + np.nanargmax(part))))
    places = np.array(sorted(keep))
    return ts_ms[places], values[places]


def drawdown(equity: Floats) -> Floats:
    """Peak minus equity, as a fraction of capital; the peak is never below the start (0)."""
    peak = np.maximum.accumulate(np.maximum(np.nan_to_num(equity, nan=-np.inf), 0.0))
    return np.asarray(peak - equity, dtype=np.float64)


def equity_figure(data: ReportData) -> Figure:
    """Equity above, drawdown below, on one time axis."""
    ts, equity = thin(data.ts_ms, data.equity)
    ts_down, down = thin(data.ts_ms, drawdown(data.equity))
    return {
        "data": [
            {
                "type": "scatter",
                "name": "Equity",
                "x": ts.tolist(),
                "y": short(equity),
                "line": {"color": "--accent", "width": 1.8},
                "hovertemplate": "%{x|%d %b %Y}  %{y:.2%}<extra>equity</extra>",
            },
            {
                "type": "scatter",
                "name": "Drawdown",
                "x": ts_down.tolist(),
                "y": short(-down),
                "yaxis": "y2",
                "fill": "tozeroy",
                "line": {"color": "--down", "width": 1},
                "hovertemplate": "%{x|%d %b %Y}  %{y:.2%}<extra>drawdown</extra>",
            },
        ],
        "layout": {
            "height": 400,
            "hovermode": "x unified",
            "xaxis": {"type": "date", "anchor": "y2"},
            "yaxis": {"domain": [0.36, 1], "tickformat": ".2~%", "title": {"text": "equity"}},
            "yaxis2": {"domain": [0, 0.28], "tickformat": ".2~%", "title": {"text": "drawdown"}},
            "showlegend": False,
        },
    }


def cost_figure(costs: Mapping[str, float]) -> Figure:
    """Waterfall from gross profit over each cost to the net."""
    names = ["gross", "fees", "slippage", "funding", "net"]
    signs = [1.0, -1.0, -1.0, -1.0, 1.0]
    values = [sign * float(costs.get(n, 0.0)) for n, sign in zip(names, signs, strict=True)]
    return {
        "data": [
            {
                "type": "waterfall",
                "x": [n.capitalize() for n in names],
                "y": short(values),
                "measure": ["absolute", "relative", "relative", "relative", "total"],
                "text": [f"{v:+.2%}" for v in values],
                "textposition": "outside",
                "cliponaxis": False,
                "connector": {"line": {"color": "--muted", "width": 1}},
                "increasing": {"marker": {"color": "--up"}},
                "decreasing": {"marker": {"color": "--down"}},
                "totals": {"marker": {"color": "--accent"}},
                "hovertemplate": "%{x}: %{text} of capital<extra></extra>",
            }
        ],
        "layout": {"height": 320, "yaxis": {"tickformat": ".2~%"}, "showlegend": False},
    }


def candle_levels(candles: Candles) -> dict[str, Any]:
    """The whole history in at most `OVERVIEW_CANDLES` candles, and the latest bars as they are."""
    present = np.flatnonzero(np.isfinite(candles.close))
    if not present.size:
        return {}
    lo, hi = int(present[0]), int(present[-1]) + 1
    levels = {"all": _aggregate(candles, lo, hi, -(-(hi - lo) // OVERVIEW_CANDLES))}
    if hi - lo > RECENT_BARS:
        levels["recent"] = _aggregate(candles, hi - RECENT_BARS, hi, 1)
    return levels


def _aggregate(candles: Candles, lo: int, hi: int, bars: int) -> dict[str, Any]:
    """Join each ``bars`` bars into one candle; missing bars are passed over."""
    rows: list[tuple[int, float, float, float, float]] = []
    for start in range(lo, hi, max(1, bars)):
        part = slice(start, min(start + max(1, bars), hi))
        there = np.flatnonzero(np.isfinite(candles.close[part]))
        if there.size:
            rows.append(
                (
                    int(candles.ts_ms[start]),
                    float(candles.open[part][there[0]]),
                    float(candles.high[part][there].max()),
                    float(candles.low[part][there].min()),
                    float(candles.close[part][there[-1]]),
                )
            )
    columns = list(zip(*rows, strict=True))
    return {
        "bars": max(1, bars),
        "span_ms": int(candles.ts_ms[1] - candles.ts_ms[0]) * max(1, bars)
        if candles.ts_ms.size > 1
        else 0,
        "x": list(columns[0]),
        **{
            name: short(column)
            for name, column in zip(("open", "high", "low", "close"), columns[1:], strict=True)
        },
    }


def trade_marks(trades: Sequence[TradeMark]) -> dict[str, Any]:
    """Entries and exits of the latest `MAX_MARKS` trades as parallel lists."""
    shown = list(trades)[-MAX_MARKS:]
    return {
        "total": len(trades),
        "side": [t.side for t in shown],
        "entry": [t.entry_ms for t in shown],
        "exit": [t.exit_ms for t in shown],
        "entry_price": short([t.entry_price for t in shown]),
        "exit_price": short([t.exit_price for t in shown]),
        "pnl": short([t.pnl for t in shown], 4),
        "how": [t.exit_class.replace("_", " ") or t.reason for t in shown],
        "mfe": short([t.mfe for t in shown], 4),
        "mae": short([t.mae for t in shown], 4),
    }


def candle_trace(level: Mapping[str, Any]) -> Figure:
    """The candlestick trace of one level."""
    return {
        "type": "candlestick",
        "name": "price",
        **{name: level[name] for name in ("x", "open", "high", "low", "close")},
        "increasing": {"line": {"color": "--up", "width": 1}},
        "decreasing": {"line": {"color": "--down", "width": 1}},
    }


def mark_traces(level: Mapping[str, Any], marks: Mapping[str, Any]) -> list[Figure]:
    """Entries and exits that fall into the span of a level."""
    first, last = level["x"][0], level["x"][-1] + level["span_ms"]
    kinds = (
        ("long entry", 1, "entry", "triangle-up", "--accent"),
        ("short entry", -1, "entry", "triangle-down", "--second"),
        ("long exit", 1, "exit", "x-thin", "--accent"),
        ("short exit", -1, "exit", "x-thin", "--second"),
    )
    traces: list[Figure] = []
    for name, side, what, symbol, colour in kinds:
        rows = [
            i for i, s in enumerate(marks["side"]) if s == side and first <= marks[what][i] <= last
        ]
        if not rows:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [marks[what][i] for i in rows],
                "y": [marks[f"{what}_price"][i] for i in rows],
                "text": [_mark_text(marks, i, what) for i in rows],
                "hovertemplate": "%{text} at %{y}<br>%{x|%d %b %Y %H:%M}<extra></extra>",
                "marker": {
                    "symbol": symbol,
                    "size": 9,
                    "color": colour,
                    "line": {"color": colour, "width": 2 if what == "exit" else 0},
                },
            }
        )
    return traces


def _mark_text(marks: Mapping[str, Any], place: int, what: str) -> str:
    side = "long" if marks["side"][place] > 0 else "short"
    if what == "entry":
        return f"enter {side}"
    pnl = marks["pnl"][place]
    gain = "" if pnl is None else f", {pnl:+.3%} of capital"
    mfe, mae = marks["mfe"][place], marks["mae"][place]
    reach = "" if mfe is None or mae is None else f"<br>best {mfe:+.2%}, worst {-mae:+.2%} of entry"
    return f"leave {side} ({marks['how'][place]}){gain}{reach}"


def monthly_returns(ts_ms: Ints, equity: Floats) -> dict[int, list[float | None]]:
    """Return of each month as a fraction of capital: year to twelve values, None without data.

    The month of a mark is that of its time stamp; a month's return is equity at its last mark
    minus equity at the last mark of the month before (0 at the start), so the months add up to
    the total.
    """
    months = np.asarray(ts_ms).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    table: dict[int, list[float | None]] = {}
    before = 0.0
    for place in np.flatnonzero(np.append(np.diff(months) != 0, True)):
        value = float(equity[place])
        year, month = divmod(int(months[place]) + 12 * 1970, 12)
        table.setdefault(year, [None] * 12)[month] = value - before
        before = value
    return table
