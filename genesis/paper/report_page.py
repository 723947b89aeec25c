"""HTML text of a paper run's page, from the values of its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genesis.backtest.report_page import number, render
from genesis.domain.timeline import format_ts
from genesis.paper.fidelity import CLOSE, DIVERGED, FAITHFUL, UNTESTED
from genesis.paper.matching import Divergence
from genesis.paper.numbers import Cell, PerformanceNumbers
from genesis.paper.report import PaperReport, StrategyReport
from genesis.paper.report_figures import BarFigure, bar_figure, curve_figure

TEMPLATES = Path(__file__).resolve().parent / "templates"
TONES = {FAITHFUL: "good", CLOSE: "fair", DIVERGED: "bad", UNTESTED: "quiet"}
HOURS = 24
GROUP_TITLES = {
    "symbol": "Symbol",
    "side": "Side of the entry",
    "reason": "Reason of the exit",
    "exit_class": "Class of the exit",
}


def paper_page(report: PaperReport) -> str:
    """HTML text of a paper run's page."""
    sections = [_section(f"s{place}", one) for place, one in enumerate(report.strategies)]
    return render(
        "paper.html.j2",
        {
            "title": f"Paper run {report.provenance.run_id}",
            "report": report,
            "span": _span(report.provenance.span_ms),
            "run_tiles": _run_tiles(report),
            "sections": sections,
            "tones": TONES,
            "quality": _quality(report),
            "risk": _risk(report),
            "provenance": _provenance(report),
            "money": money,
            "percent": percent,
            "page": {"figures": {}, "candles": {}, "widgets": {}, "candleLayout": {}},
        },
        [TEMPLATES],
    )


def money(value: Any) -> str:
    """Quote units with sign, thousands and two digits; a dash for none."""
    if value is None:
        return "–"
    return f"{value:+,.2f}" if round(float(value), 2) else "0.00"


def short_money(value: float) -> str:
    """The same for a tile: no cents beside thousands."""
    return f"{value:+,.0f}" if abs(value) >= 1000.0 else money(value)


def percent(value: float | None, digits: int = 1) -> str:
    """A share as percent; a dash for none."""
    if value is None:
        return "–"
    return f"{value:.{digits}%}" if round(value, digits + 2) else f"{0.0:.{digits}%}"


def _span(span_ms: tuple[int, int]) -> str:
    start, end = span_ms
    return f"{format_ts(start)} to {format_ts(end)}" if end > start else ""


def _run_tiles(report: PaperReport) -> list[tuple[str, str]]:
    numbers = [one.entry.numbers for one in report.strategies]
    found = [one.entry.fidelity for one in report.strategies if one.entry.fidelity is not None]
    judged = [one.verdict for one in found if one.verdict != UNTESTED]
    faithful = judged.count(FAITHFUL)
    return [
        ("Strategies", number(len(numbers))),
        ("Round trips", number(sum(n.trades for n in numbers))),
        ("Net profit", short_money(sum(n.pnl for n in numbers))),
        ("Fees", short_money(-sum(n.fees for n in numbers))),
        ("Orders", number(sum(n.orders for n in numbers))),
        ("Faithful to the backtest", f"{faithful} of {len(judged)}" if judged else "–"),
        ("Rejected opportunities", number(sum(one.count for one in report.rejected))),
        ("Refused by risk", number(report.risk.total)),
    ]


def _section(name: str, one: StrategyReport) -> dict[str, Any]:
    entry = one.entry
    return {
        "name": name,
        "one": one,
        "numbers": entry.numbers,
        "fidelity": entry.fidelity,
        "tiles": _tiles(entry.numbers),
        "execution": _execution(entry.numbers),
        "curves": curve_figure(one.curves()),
        "hours": _hours(entry.numbers.by["hour"]),
        "groups": [
            (GROUP_TITLES[group], cells)
            for group, cells in entry.numbers.by.items()
            if group in GROUP_TITLES and cells
        ],
        "divergences": [_divergence(d) for d in entry.fidelity.first] if entry.fidelity else [],
        "trades": [_trade(trade) for trade in one.trades],
        "trades_total": len(entry.trades),
        "terms": [(term.replace("_", " "), value) for term, value in one.feedback.terms.items()],
    }


def _tiles(n: PerformanceNumbers) -> list[tuple[str, str]]:
    return [
        ("Net profit", short_money(n.pnl)),
        ("Return on capital", percent(n.return_on_capital, 2)),
        ("Sharpe ratio, daily", number(n.sharpe)),
        ("Greatest drawdown", percent(n.max_drawdown, 2)),
        ("Round trips", number(n.trades)),
        ("Win rate", percent(n.win_rate)),
        ("Profit factor", number(n.profit_factor)),
        ("Losses in a row", f"{n.longest_losing_streak}, now {max(-n.current_streak, 0)}"),
    ]


def _execution(n: PerformanceNumbers) -> dict[str, str]:
    return {
        "orders": f"{n.orders:,}: " + ", ".join(f"{v:,} {k}" for k, v in n.order_status.items())
        if n.orders
        else "–",
        "filled of those that asked": percent(n.success_rate),
        "slippage, mean and median": f"{number(n.mean_slippage_bp)} and"
        f" {number(n.median_slippage_bp)} bp",
        "latency, median and 95 %": f"{number(n.latency_p50_ms)} and {number(n.latency_p95_ms)} ms",
        "filled as maker": percent(n.maker_share),
        "turnover": f"{number(n.turnover)} times capital",
        "fees": money(-n.fees),
        "funding": money(-n.funding),
        "slippage": money(-n.slippage_cost),
        "held on average": f"{number(n.holding_hours)} hours",
    }


def _hours(cells: Mapping[str, Cell]) -> BarFigure | None:
    rows = []
    for hour in range(HOURS):
        cell = cells.get(str(hour), Cell())
        rows.append((f"{hour} h", float(cell.pnl), cell.trades))
    return bar_figure(rows)


def _divergence(one: Divergence) -> dict[str, Any]:
    def fill(side: Mapping[str, Any] | None, name: str) -> str:
        if side is None:
            return "–"
        text = f"{side['size']:+.6g} at {side['price']:.8g}"
        return f"{text} ({side[name]})" if side[name] else text

    return {
        "time": format_ts(one.ts_ms),
        "symbol": one.symbol,
        "cause": one.cause,
        "paper": fill(one.paper, "fill"),
        "backtest": fill(one.backtest, "reason"),
    }


def _trade(trade: Any) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": "long" if trade.side.value == "buy" else "short",
        "entry_ms": trade.entry_ms,
        "exit_ms": trade.exit_ms,
        "entered": format_ts(trade.entry_ms),
        "left": format_ts(trade.exit_ms),
        "size": float(trade.size),
        "entry": float(trade.entry),
        "exit": float(trade.exit),
        "pnl": float(trade.pnl),
        "reason": trade.reason,
        "mfe": trade.mfe,
        "mae": trade.mae,
    }


def _quality(report: PaperReport) -> list[tuple[str, int, float]]:
    counts = report.quality()
    total = sum(counts.values())
    return [(name, count, count / total) for name, count in counts.items()] if total else []


def _risk(report: PaperReport) -> dict[str, Any]:
    impact = report.risk
    return {
        "sentence": impact.sentence(),
        "profile": impact.profile,
        "genome": impact.genome,
        "rules": impact.rows(),
        "multipliers": impact.multipliers,
        "breakers": [(b, format_ts(b.first_ms), format_ts(b.last_ms)) for b in impact.breakers],
        "levels": [(change, format_ts(change.ts_ms)) for change in reversed(impact.levels)],
        "level_changes": impact.level_changes,
    }


def _provenance(report: PaperReport) -> dict[str, str]:
    plain = asdict(report.provenance)
    names = ("run_id", "mode", "build", "dataset", "dataset_hash", "state_hash")
    shown = {name.replace("_", " "): plain[name] or "–" for name in names}
    return {**shown, "span": _span(report.provenance.span_ms) or "–"}
