"""Figures of a dossier: what chance gives beside what the study or the strategy gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genesis.backtest.charts import Figure
from genesis.domain.timeline import format_ts

_ROW = 74
_FRAME = 96


def strips(rows: Sequence[tuple[str, Sequence[float | None], float | None]], axis: str) -> Figure:
    """Distributions as rows of points, in each a mark for the one value they are held against.

    Parameters
    ----------
    rows : sequence of (label, points, mark)
        Points that are None are left out; so is a mark that is None.
    axis : str
        Title of the axis of values.
    """
    traces: list[Figure] = []
    for label, points, _ in rows:
        traces.append(
            {
                "type": "box",
                "orientation": "h",
                "x": [_short(v) for v in points if v is not None],
                "y": [label] * sum(v is not None for v in points),
                "boxpoints": "all",
                "jitter": 0.7,
                "pointpos": 0,
                "fillcolor": "rgba(0,0,0,0)",
                "line": {"color": "--muted", "width": 1},
                "marker": {"color": "--accent", "size": 6, "opacity": 0.6},
                "hovertemplate": "%{x:.3f}<extra></extra>",
                "showlegend": False,
            }
        )
    marked = [(label, mark) for label, _, mark in rows if mark is not None]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [_short(mark) for _, mark in marked],
            "y": [label for label, _ in marked],
            "marker": {
                "symbol": "diamond",
                "size": 13,
                "color": "--second",
                "line": {"color": "--ink", "width": 1},
            },
            "hovertemplate": "%{x:.3f}<extra>%{y}</extra>",
            "showlegend": False,
        }
    )
    return {
        "data": traces,
        "layout": {
            "height": _FRAME + _ROW * len(rows),
            "xaxis": {"title": {"text": axis}, "zeroline": True},
            "yaxis": {"type": "category", "autorange": "reversed"},
        },
    }


def null_figure(details: Mapping[str, Any]) -> Figure | None:
    """What every rerun found on surrogate markets, and what the study found."""
    rows = [
        (f"{row['kind']} ({len(row['null'])})", row["null"], row["observed"])
        for name, row in details.items()
        if name.startswith("permutation_")
    ]
    return strips(rows, "mean fitness of its best cells") if rows else None


def lottery_figure(details: Mapping[str, Any]) -> Figure | None:
    """Sharpe ratios of the lottery arms, and that of the search's best strategy."""
    row = details.get("lottery")
    if row is None:
        return None
    return strips([(f"arms ({len(row['arms'])})", row["arms"], row["sharpe"])], "Sharpe ratio")


def neighbours_figure(details: Mapping[str, Any]) -> Figure | None:
    """Sharpe ratios one step aside on the grid, and the strategy's own."""
    row = details.get("neighbours") or {}
    if not row.get("sharpe"):
        return None
    points = row["sharpe"]
    return strips([(f"neighbours ({len(points)})", points, row["own"])], "Sharpe ratio")


def paths_figure(details: Mapping[str, Any]) -> Figure | None:
    """Sharpe ratios of the paths of cross-validation, and the strategy's on all bars."""
    row = details.get("cpcv")
    if row is None:
        return None
    own = (details.get("neighbours") or {}).get("own")
    return strips([(f"paths ({len(row['paths'])})", row["paths"], own)], "Sharpe ratio")


def walk_figure(details: Mapping[str, Any]) -> Figure | None:
    """Sharpe ratio before and in each walk-forward window."""
    row = details.get("walk_forward")
    if row is None:
        return None
    names = [f"window {i + 1}" for i in range(len(row["in_sample"]))]
    pairs = (
        ("in sample", row["in_sample"], "--muted"),
        ("out of sample", row["out_of_sample"], "--accent"),
    )
    return _bars(names, pairs)


def replay_figure(details: Mapping[str, Any]) -> Figure | None:
    """Sharpe ratio of each disjoint window, replayed alone."""
    ratios = details.get("replay")
    if not ratios:
        return None
    names = [f"window {i + 1}" for i in range(len(ratios))]
    return _bars(names, (("replay", ratios, "--accent"),))


def _bars(
    names: Sequence[str], groups: Sequence[tuple[str, Sequence[float | None], str]]
) -> Figure:
    return {
        "data": [
            {
                "type": "bar",
                "name": label,
                "x": list(names),
                "y": [_short(v) for v in values],
                "text": ["" if v is None else f"{v:.2f}" for v in values],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": colour},
                "hovertemplate": f"%{{x}}: %{{y:.2f}}<extra>{label}</extra>",
            }
            for label, values, colour in groups
        ],
        "layout": {
            "height": 320,
            "barmode": "group",
            "yaxis": {"title": {"text": "Sharpe ratio"}},
            "showlegend": len(groups) > 1,
            "legend": {"orientation": "h", "y": 1.16, "x": 0},
        },
    }


def sealed_rows(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the sealed bars gave, as labelled values; empty if they were not opened as a test."""
    row = details.get("sealed") or {}
    if "p" not in row:
        return []
    return [
        ("PSR(0), market's part taken out", f"{1.0 - row['p']:.4f}"),
        ("PSR that its level demands", f"{1.0 - row['level']:.4f}"),
        ("Level", f"{row['level']:.4g}"),
        ("Place among all opened on this span", str(row["place"])),
        ("Sharpe ratio", f"{row['sharpe']:.2f}"),
        ("Sharpe ratio, market's part taken out", f"{row['hedged_sharpe']:.2f}"),
        ("Days", str(row["days"])),
        ("Opened", format_ts(int(row["opened_ms"]))),
    ]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
