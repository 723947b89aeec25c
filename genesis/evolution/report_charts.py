"""Figures of a study: front, convergence, archive map, lineage, failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from genesis.backtest.charts import SERIES, Figure

Record = Mapping[str, Any]

MAX_CLOUD = 1500


def finite(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def undominated(points: Sequence[Sequence[float]]) -> list[int]:
    """Places of the points that no other one beats or equals in everything and beats in something.

    All coordinates are to be maximised. Quadratic: meant for an archive, not for a ledger.
    """
    return [
        i
        for i, p in enumerate(points)
        if not any(
            all(b >= a for a, b in zip(p, q, strict=True)) and tuple(q) != tuple(p) for q in points
        )
    ]


def pareto_figure(
    entries: Sequence[Record], trials: Iterable[Record], names: Sequence[str]
) -> Figure:
    """Archive members in two objectives, the third as colour, over a cloud of all trials.

    Parameters
    ----------
    entries : sequence of mapping
        Archive entries with ``objectives`` (maximised), ``family`` and ``feasible``.
    trials : iterable of mapping
        Ledger rows; every k-th valid one is drawn so that at most `MAX_CLOUD` are.
    names : sequence of str
        Names of the objectives.
    """
    shown = [e for e in entries if e["objectives"] and all(map(finite, e["objectives"]))]
    front = set(undominated([e["objectives"] for e in shown]))
    titles = [*names, "", "", ""]
    traces, scaled = [_cloud(trials)], False
    thirds = [v for e in shown if (v := _objective(e, 2)) is not None]
    # One scale for both traces; only the first that has points shows its bar.
    scale = {
        "cmin": min(thirds, default=0.0),
        "cmax": max(thirds, default=1.0),
        "colorscale": [[0, "--second"], [1, "--accent"]],
        "colorbar": {"title": {"text": titles[2], "side": "right"}, "thickness": 12},
    }
    for label, rows, size in (
        ("archive", [e for i, e in enumerate(shown) if i not in front], 8),
        ("Pareto front", [e for i, e in enumerate(shown) if i in front], 13),
    ):
        third = [v for e in rows if (v := _objective(e, 2)) is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": [_objective(e, 1) for e in rows],
                "y": [_objective(e, 0) for e in rows],
                "text": [
                    f"{e['family']} · {e['cell']}" + ("" if e["feasible"] else " · infeasible")
                    for e in rows
                ],
                "hovertemplate": "%{text}<br>%{y:.3f}, %{x:.4f}<extra></extra>",
                "marker": {
                    "size": size,
                    "symbol": ["circle" if e["feasible"] else "circle-open" for e in rows],
                    "color": third or "--accent",
                    **(scale if third else {}),
                    "showscale": bool(third) and not scaled,
                    "line": {"width": 1.5 if size > 10 else 0, "color": "--ink"},
                },
            }
        )
        scaled = scaled or bool(third)
    return {
        "data": traces,
        "layout": {
            "height": 440,
            "xaxis": {"title": {"text": titles[1]}},
            "yaxis": {"title": {"text": titles[0]}},
            "legend": {"orientation": "h", "y": 1.1, "x": 0},
        },
    }


def _objective(entry: Record, place: int) -> float | None:
    values = entry["objectives"]
    return float(f"{values[place]:.6g}") if place < len(values) else None


def _cloud(trials: Iterable[Record]) -> Figure:
    rows = [
        t
        for t in trials
        if len(t.get("objectives") or ()) > 1 and all(map(finite, t["objectives"]))
    ]
    rows = rows[:: max(1, -(-len(rows) // MAX_CLOUD))]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "trials",
        "x": [_objective(t, 1) for t in rows],
        "y": [_objective(t, 0) for t in rows],
        "hoverinfo": "skip",
        "marker": {"size": 4, "color": "--muted", "opacity": 0.35},
    }


def convergence_figure(metrics: Sequence[Record]) -> Figure:
    """Best fitness so far, by generation, of each island and of the random arm."""
    curves: dict[str, dict[int, float]] = {}
    for row in metrics:
        generation = int(row["generation"])
        for island in row.get("islands", ()):
            if finite(island.get("best")):
                curves.setdefault(str(island["island"]), {})[generation] = island["best"]
        if finite(row.get("random_best")):
            curves.setdefault("random search", {})[generation] = row["random_best"]
    traces = []
    for place, (name, points) in enumerate(curves.items()):
        chance = name == "random search"
        best, values = -math.inf, []
        for generation in sorted(points):
            best = max(best, points[generation])
            values.append(float(f"{best:.6g}"))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": sorted(points),
                "y": values,
                "marker": {"size": 5},
                "line": {
                    "shape": "hv",
                    "width": 2,
                    "dash": "dot" if chance else "solid",
                    "color": "--muted" if chance else SERIES[place % len(SERIES)],
                },
            }
        )
    return {
        "data": traces,
        "layout": {
            "height": 380,
            "hovermode": "x unified",
            "xaxis": {"title": {"text": "generation"}},
            "yaxis": {"title": {"text": "best fitness so far"}},
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.14, "x": 0},
        },
    }


def health_figure(metrics: Sequence[Record]) -> Figure:
    """Diversity of genomes and of behaviour, and the valid share, by generation."""
    lines = (
        ("genome_diversity", "genome diversity"),
        ("behaviour_diversity", "behaviour diversity"),
        ("valid_share", "valid share"),
        ("feasible_share", "feasible share"),
    )
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": label,
                "x": [row["generation"] for row in metrics],
                "y": [row.get(key) for row in metrics],
                "line": {"color": colour, "width": 2},
            }
            for (key, label), colour in zip(lines, SERIES, strict=False)
        ],
        "layout": {
            "height": 380,
            "hovermode": "x unified",
            "xaxis": {"title": {"text": "generation"}},
            "yaxis": {"tickformat": ".0%", "range": [0, 1.02]},
            "legend": {"orientation": "h", "y": 1.14, "x": 0},
        },
    }


def failures_figure(causes: Mapping[str, int]) -> Figure:
    """Invalid genomes by cause."""
    rows = sorted(causes.items(), key=lambda item: (item[1], item[0]))
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": [count for _, count in rows],
                "y": [cause.replace("_", " ") for cause, _ in rows],
                "text": [f"{count:,}" for _, count in rows],
                "marker": {"color": "--second"},
                "hovertemplate": "%{y}: %{x}<extra></extra>",
            }
        ],
        "layout": {"height": 120 + 34 * len(rows), "xaxis": {"title": {"text": "genomes"}}},
    }


def failures(metrics: Sequence[Record], key: str = "failures") -> dict[str, int]:
    """Sum of a counter over the generations."""
    total: Counter[str] = Counter()
    for row in metrics:
        total.update({cause: int(n) for cause, n in (row.get(key) or {}).items()})
    return dict(total)


def archive_figure(entries: Sequence[Record], axes: Mapping[str, Sequence[float]]) -> Figure:
    """Best fitness of each cell: kind and direction down, turnover and holding time across.

    Parameters
    ----------
    entries : sequence of mapping
        With ``cell`` as ``kind/direction/hN/tN`` and ``objectives``.
    axes : mapping
        Edges of the bins, ``holding_bars`` and ``turnover_per_year``.
    """
    holding = _bins(axes.get("holding_bars", ()), "bars")
    turnover = _bins(axes.get("turnover_per_year", ()), "x a year")
    best: dict[tuple[str, int, int], float] = {}
    count: Counter[tuple[str, int, int]] = Counter()
    for entry in entries:
        kind, direction, held, traded = str(entry["cell"]).split("/")
        place = (f"{kind} · {direction}", int(traded[1:]), int(held[1:]))
        best[place] = max(best.get(place, -math.inf), float(entry["objectives"][0]))
        count[place] += 1
    rows = sorted({place[0] for place in best}, reverse=True)
    columns = [(t, h) for t in range(len(turnover)) for h in range(len(holding))]
    cells = [[best.get((row, t, h)) for t, h in columns] for row in rows]
    return {
        "data": [
            {
                "type": "heatmap",
                "x": [[turnover[t] for t, _ in columns], [holding[h] for _, h in columns]],
                "y": rows,
                "z": [[None if v is None else float(f"{v:.5g}") for v in line] for line in cells],
                "customdata": [[count[(row, t, h)] for t, h in columns] for row in rows],
                "texttemplate": "%{z:.2f}",
                "colorscale": [[0, "--low"], [1, "--high"]],
                "colorbar": {"title": {"text": "best fitness", "side": "right"}, "thickness": 12},
                "xgap": 2,
                "ygap": 2,
                "hovertemplate": "%{y}<br>turnover %{x}<br>best %{z:.3f},"
                " %{customdata} kept<extra></extra>",
            }
        ],
        "layout": {
            "height": 190 + 30 * len(rows),
            "xaxis": {"title": {"text": "turnover of capital a year, and mean holding time"}},
            "yaxis": {"type": "category"},
        },
    }


def _bins(edges: Sequence[float], unit: str) -> list[str]:
    if not edges:
        return [f"all {unit}"]
    inner = [f"{a:g}–{b:g}" for a, b in pairwise(edges)]
    return [f"≤{edges[0]:g} {unit}", *inner, f">{edges[-1]:g}"]
