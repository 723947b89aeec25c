"""The page of a dossier: one self-contained HTML file that works offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genesis.backtest.report_page import number, render, write_page
from genesis.domain.timeline import format_ts
from genesis.evidence.dossier import Dossier
from genesis.evidence.report_figures import (
    lottery_figure,
    neighbours_figure,
    null_figure,
    paths_figure,
    replay_figure,
    sealed_rows,
    walk_figure,
)
from genesis.evidence.report_words import shortfalls, worded
from genesis.strategy.explain import sentence
from genesis.strategy.strategy import Strategy

TEMPLATES = Path(__file__).resolve().parent / "templates"
STAGES = {
    "G0": "Is it computed right",
    "G1": "Did the search find more than chance gives",
    "G2": "Does the strategy hold when it is disturbed",
    "G3": "Does it hold on bars that nobody had seen",
}
FIGURES = {
    "null": null_figure,
    "lottery": lottery_figure,
    "neighbours": neighbours_figure,
    "paths": paths_figure,
    "walk": walk_figure,
    "replay": replay_figure,
}
SOURCES = {
    "ledger": "its ledger",
    "import": "a ledger that came with a strategy",
    "register": "the register; its ledger is gone",
    "human": "a look by hand",
}


def write_dossier_page(
    dossier: Dossier, strategy: Strategy, path: Path, budget: Sequence[str] = ()
) -> Path:
    """Write the page of a dossier; path and errors as in `write_page`.

    Parameters
    ----------
    dossier : Dossier
    strategy : Strategy
        The one that it is about.
    path : Path
    budget : sequence of str
        Sentences on what the sealed bars have left, now that it was judged.
    """
    return write_page(path, dossier_page(dossier, strategy, budget))


def dossier_page(dossier: Dossier, strategy: Strategy, budget: Sequence[str] = ()) -> str:
    """HTML text of a dossier's page; see `write_dossier_page`."""
    facts = dossier.facts
    details = facts["details"]
    made = {name: figure(details) for name, figure in FIGURES.items()}
    figures = {name: figure for name, figure in made.items() if figure is not None}
    sealed = sealed_rows(details)
    return render(
        "dossier.html.j2",
        {
            "title": f"Dossier of {dossier.strategy}",
            "facts": facts,
            "passed": dossier.passed,
            "rehearsal": dossier.rehearsal,
            "sentence": sentence(strategy),
            "shortfalls": shortfalls(facts),
            "stages": _stages(dossier),
            "tiles": _tiles(facts),
            "studies": [{**row, "source": SOURCES.get(row["source"], row["source"])}
                        for row in facts["trials"]["studies"]],
            "regimes": details.get("regimes") or [],
            "sealed": sealed,
            "budget": budget,
            "unopened": "" if sealed else _unopened(dossier),
            "infeasible": _infeasible(details),
            "early": [row["kind"] for row in _reruns(details) if row["decided_early"]],
            "lottery_of": (details.get("lottery") or {}).get("strategy", ""),
            "searched": _span(facts["searched_ms"]),
            "sealed_span": _span(facts["sealed_ms"]),
            "hashes": _hashes(dossier),
            "page": {"figures": figures, "candles": {}, "widgets": {}, "candleLayout": {}},
        },
        [TEMPLATES],
    )  # fmt: skip


def _stages(dossier: Dossier) -> list[dict[str, Any]]:
    """Gates by stage, their numbers as text."""
    stages = []
    for stage, question in STAGES.items():
        gates = [gate for gate in dossier.gates if gate["stage"] == stage]
        if gates:
            rows = [worded(gate, dossier.facts["details"]) for gate in gates]
            stages.append({"name": stage, "question": question, "gates": rows})
    return stages


def _tiles(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    details, trials = facts["details"], facts["trials"]
    ratios, sealed = details.get("sharpe") or {}, details.get("sealed") or {}
    psr = 1.0 - sealed["p"] if "p" in sealed else None
    vetoes = [gate for gate in facts["gates"] if gate["veto"]]
    return [
        ("Vetoes passed", f"{sum(g['verdict'] == 'pass' for g in vetoes)} of {len(vetoes)}"),
        ("Trials", number(trials["total"])),
        ("Different trials", number(trials["unique"])),
        ("Effective trials", number(round(trials["effective"]))),
        ("Sharpe ratio, searched", number(ratios.get("annual"))),
        ("Without the market's part", number(ratios.get("annual_without_market"))),
        ("Sharpe ratio, sealed", number(sealed.get("sharpe"))),
        ("PSR on sealed bars", "–" if psr is None else f"{psr:.4f}"),
    ]  # fmt: skip


def _unopened(dossier: Dossier) -> str:
    """Why the sealed bars say nothing."""
    notes = [gate["note"] for gate in dossier.gates if gate["stage"] == "G3" and gate["note"]]
    return notes[0] if notes else "no gate asks for them"


def _reruns(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for name, row in details.items() if name.startswith("permutation_")]


def _infeasible(details: Mapping[str, Any]) -> int:
    """Reruns in which no strategy met the constraints: they have no point in the figure."""
    return sum(value is None for row in _reruns(details) for value in row["null"])


def _span(span: list[int]) -> str:
    return f"{format_ts(int(span[0]))} to {format_ts(int(span[1]))}"


def _hashes(dossier: Dossier) -> dict[str, Any]:
    facts = dossier.facts
    return {
        "dossier": dossier.digest,
        "genome": facts["genome"],
        "gates": facts["gates_file"]["hash"],
        **facts["hashes"],
        "trial register": facts["trials"]["register_head"],
    }
