"""The evidence on a strategy as one HTML file that works offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from genesis.backtest.report_page import render, write_page
from genesis.paper.report_figures import curve_figure
from genesis.system.strategy_evidence import StrategyEvidence
from genesis.system.strategy_evidence_view import views
from genesis.system.strategy_evidence_words import figure, instant, share

TEMPLATES: Final = Path(__file__).resolve().parent / "templates"
STYLES: Final = {
    "live": ("--accent", ""),
    "shadow backtest": ("--second", "7 4"),
    "expected": ("--up", "2 4"),
    "99 % bound": ("--down", "12 4 2 4"),
    "CUSUM": ("--accent", ""),
    "amber": ("--gold", "7 4"),
    "red": ("--down", "12 4 2 4"),
}
"""Colour and dashes of each line: no line is told from another by its colour alone."""


def evidence_page(evidence: StrategyEvidence) -> str:
    """HTML text of the page."""
    return render(
        "strategy_evidence.html.j2",
        {
            "title": f"Strategy {evidence.strategy}",
            "evidence": evidence,
            "views": views(evidence),
            "figures": _figures(evidence.sections["expectation"].facts),
            "styles": STYLES,
            "instant_of": instant,
            "page": {"figures": {}, "candles": {}, "widgets": {}, "candleLayout": {}},
        },
        [TEMPLATES],
    )


def write_evidence_page(evidence: StrategyEvidence, path: Path) -> Path:
    """Write the page; returns its path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    return write_page(path, evidence_page(evidence))


def _figures(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures of each deployment that traded live: sums of returns, and the CUSUM."""
    found = []
    for one in facts.get("deployments", ()):
        days = np.array(one["day_ms"], dtype=np.int64)
        name = one["deployment"]
        lines = {
            "live": one["live"],
            "shadow backtest": one["shadow"],
            "expected": one["expected"],
            "99 % bound": one["floor_99"],
        }
        found.append(
            _figure(
                f"Sum of daily profit of {name}, share of capital",
                days,
                lines,
                share,
                "The bound lies under the highest sum so far; below it the deployment goes back to"
                " paper. What is expected is the shrunk Sharpe ratio of the promotion.",
            )
        )
        if one["cusum"] is not None:
            sums = one["cusum"]
            flat = {level: [sums[level]] * days.size for level in ("amber", "red")}
            found.append(
                _figure(
                    f"CUSUM of {name}, standard deviations",
                    days,
                    {"CUSUM": sums["path"], **flat},
                    figure,
                    "It rises while days fall short of half of what is expected; amber halves the"
                    " size, red sends the deployment back to paper.",
                )
            )
    return [one for one in found if one["curves"] is not None]


def _figure(
    label: str, days: Any, lines: Mapping[str, Any], text: Any, note: str
) -> dict[str, Any]:
    curves = {name: (days, np.array(values, dtype=np.float64)) for name, values in lines.items()}
    return {"label": label, "curves": curve_figure(curves), "text": text, "note": note}
