"""The family tree of a genome, from the trial ledger."""

from __future__ import annotations

from collections.abc import Mapping

from genesis.backtest.charts import Figure
from genesis.evolution.report_charts import Record

MAX_ANCESTORS = 80
ORIGINS = {
    "library": "--gold",
    "random": "--muted",
    "immigrant": "--teal",
    "crossover": "--accent",
    "mutation": "--second",
}


def ancestors(key: str, trials: Mapping[str, Record]) -> list[str]:
    """A genome and its ancestors, nearest first, at most `MAX_ANCESTORS`."""
    found, queue = {key: None}, [key]
    while queue and len(found) < MAX_ANCESTORS:
        for parent in trials.get(queue.pop(0), {}).get("parents", ()):
            if parent in trials and parent not in found and len(found) < MAX_ANCESTORS:
                found[parent] = None
                queue.append(parent)
    return list(found)


def lineage_figure(key: str, trials: Mapping[str, Record]) -> Figure:
    """Family tree of a genome: each ancestor at its generation and fitness, lines to its parents.

    Parameters
    ----------
    key : str
        Genome.
    trials : mapping
        Genome key to its first ledger row.
    """
    members = [k for k in ancestors(key, trials) if trials.get(k, {}).get("objectives")]
    place = {k: (trials[k]["generation"], trials[k]["objectives"][0]) for k in members}
    xs: list[float | None] = []
    ys: list[float | None] = []
    for child in members:
        for parent in trials[child]["parents"]:
            if parent in place:
                xs += [place[parent][0], place[child][0], None]
                ys += [place[parent][1], place[child][1], None]
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": xs,
            "y": ys,
            "hoverinfo": "skip",
            "showlegend": False,
            "line": {"color": "--muted", "width": 1},
        }
    ]
    for origin, colour in ORIGINS.items():
        rows = [k for k in members if trials[k].get("origin") == origin]
        if rows:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": origin,
                    "x": [place[k][0] for k in rows],
                    "y": [place[k][1] for k in rows],
                    "text": [f"{trials[k]['plain']['family']} {k[:8]}" for k in rows],
                    "hovertemplate": "%{text}<br>generation %{x}, fitness %{y:.3f}<extra></extra>",
                    "marker": {"color": colour, "size": [15 if k == key else 9 for k in rows]},
                }
            )
    return {
        "data": traces,
        "layout": {
            "height": 320,
            "xaxis": {"title": {"text": "generation"}, "dtick": 1 if len(members) < 12 else None},
            "yaxis": {"title": {"text": "fitness"}},
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.16, "x": 0},
        },
    }
