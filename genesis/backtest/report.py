"""The report of one backtest: a self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from genesis.backtest.charts import (
    CANDLE_LAYOUT,
    Figure,
    candle_levels,
    candle_trace,
    cost_figure,
    equity_figure,
    mark_traces,
    monthly_returns,
    trade_marks,
)
from genesis.backtest.report_build import report_data
from genesis.backtest.report_data import Candles, ReportData, TradeMark
from genesis.backtest.report_page import render, write_page

__all__ = ["Page", "backtest_page", "report_data", "write_backtest_report"]

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
METRIC_ORDER = (
    "sharpe",
    "sortino",
    "calmar",
    "total_return",
    "max_drawdown",
    "cdar95",
    "trades",
    "win_rate",
    "profit_factor",
    "turnover",
    "exposure",
    "holding_bars",
    "sharpe_1_5x",
    "sharpe_2x",
    "fitness",
    "liquidated",
)


class Page:
    """Collects what a page draws: figures by id, and candles shared by all strategies."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}
        self.candles: dict[str, dict[str, Figure]] = {}
        self.widgets: dict[str, dict[str, Any]] = {}
        self._levels: dict[str, dict[str, Any]] = {}

    def plain(self) -> dict[str, Any]:
        """What the page's script reads."""
        return {
            "figures": self.figures,
            "candles": self.candles,
            "widgets": self.widgets,
            "candleLayout": CANDLE_LAYOUT,
        }

    def _level(self, candles: Candles) -> dict[str, Any]:
        symbol = candles.symbol
        if symbol not in self._levels:
            self._levels[symbol] = candle_levels(candles)
            self.candles[symbol] = {
                name: candle_trace(level) for name, level in self._levels[symbol].items()
            }
        return self._levels[symbol]

    def strategy(self, data: ReportData, name: str) -> dict[str, Any]:
        """Add the figures of a strategy under a name; returns what its template section needs."""
        self.figures[f"{name}-equity"] = equity_figure(data)
        self.figures[f"{name}-costs"] = cost_figure(data.costs)
        symbols: dict[str, Any] = {}
        for candles in data.candles:
            levels = self._level(candles)
            marks = trade_marks(data.trades.get(candles.symbol, ()))
            symbols[candles.symbol] = {
                "levels": {key: mark_traces(level, marks) for key, level in levels.items()},
                "bars": {key: level["bars"] for key, level in levels.items()},
                "count": {key: len(level["x"]) for key, level in levels.items()},
                "total": marks["total"],
                "shown": len(marks["side"]),
            }
        self.widgets[f"{name}-trades"] = symbols
        table = monthly_returns(data.ts_ms, data.equity)
        cells = [abs(v) for row in table.values() for v in row if v is not None]
        return {
            "name": name,
            "data": data,
            "metrics": _ordered(data.metrics),
            "months": MONTHS,
            "monthly": {year: (row, sum(v or 0.0 for v in row)) for year, row in table.items()},
            "monthly_scale": max(cells, default=0.0) or 1.0,
            "symbols": list(symbols),
            "columns": _columns(data),
            "exits": exit_rows(data),
        }


def _ordered(metrics: Any) -> list[tuple[str, float]]:
    known = [(name, metrics[name]) for name in METRIC_ORDER if name in metrics]
    return known + [(k, v) for k, v in metrics.items() if k not in METRIC_ORDER]


def _columns(data: ReportData) -> list[str]:
    wanted = ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "exposure")
    present = set().union(*(row.keys() for row in data.by_symbol.values()))
    return [name for name in wanted if name in present]


def exit_rows(data: ReportData) -> list[dict[str, Any]]:
    """Closed trades of all symbols by class of exit, the most frequent class first.

    Returns
    -------
    list of dict
        ``exit``, ``trades``, ``won`` (share), and the means ``pnl`` (fraction of capital),
        ``mfe`` and ``mae`` (fractions of the entry price).
    """
    groups: dict[str, list[TradeMark]] = {}
    for trade in (t for trades in data.trades.values() for t in trades):
        if trade.exit_ms >= 0:
            groups.setdefault(trade.exit_class or trade.reason, []).append(trade)
    rows = [
        {
            "exit": name,
            "trades": len(trades),
            "won": fmean(float(t.pnl > 0.0) for t in trades),
            "pnl": fmean(t.pnl for t in trades),
            "mfe": fmean(t.mfe for t in trades),
            "mae": fmean(t.mae for t in trades),
        }
        for name, trades in groups.items()
    ]
    return sorted(rows, key=lambda row: (-int(str(row["trades"])), str(row["exit"])))


def backtest_page(data: ReportData) -> str:
    """HTML text of a backtest's report."""
    page = Page()
    section = page.strategy(data, "s0")
    return render(
        "backtest.html.j2",
        {"title": f"Backtest of {data.strategy_id}", "s": section, "page": page.plain()},
    )


def write_backtest_report(data: ReportData, path: Path) -> Path:
    """Write the report of a backtest.

    Parameters
    ----------
    data : ReportData
    path : Path
        File to write, replaced atomically.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_page(path, backtest_page(data))
    return path
