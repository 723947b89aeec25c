"""What `genesis risk` prints: progress of a campaign, and its result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genesis.cli import render
from genesis.cli.commands import whole

if TYPE_CHECKING:
    from rich.console import Console

    from genesis.evolution.risk.campaign import Progress
    from genesis.evolution.risk.material import Material
    from genesis.evolution.risk.result import RiskResult


class RiskProgress:
    """One line for each generation and step of a campaign.

    Parameters
    ----------
    out : Console
    """

    def __init__(self, out: Console) -> None:
        self._out = out

    def begun(self, name: str, material: Material) -> None:
        """Say which campaign begins, and on what."""
        self._out.print(f"campaign {name}   {material.facts['dataset']}", markup=False)
        for note in material.notes:
            self._out.print(f"note: {note}", markup=False)
        self._out.print("starting workers…", markup=False)

    def told(self, progress: Progress) -> None:
        """Show a step."""
        self._out.print(line(progress), markup=False)


def line(progress: Progress) -> str:
    """A step as a plain line."""
    parts = [progress.stage]
    if progress.generations > 1:
        parts.append(f"{progress.generation}/{progress.generations}")
    if progress.best is not None:
        growth, cdar, cvar = progress.best
        parts.append(f"best: growth {growth:+.1%}, CDaR {cdar:+.1%}, CVaR {cvar:+.1%}")
    parts.append(f"{progress.genomes:,} genomes")
    if progress.per_second > 0.0:
        parts.append(f"{progress.per_second:,.0f} scenarios/s")
    eta = progress.eta_s
    parts.append(f"ETA {render.duration(eta) if math.isfinite(eta) else '-'}")
    return "  ".join(parts)


def show_result(result: RiskResult) -> None:
    """Print a result for a person."""
    out, facts = render.console(), result.facts
    out.print(f"risk result {result.id}   genome {result.genome.id}", markup=False)
    out.print(result.text, markup=False)
    for reason in result.unfit:
        out.print(f"UNFIT for use: {reason}", markup=False)
    for row in facts["acceptance"]:
        for reason in row["reasons"]:
            out.print(f"against the {row['baseline']}: {reason}", markup=False)
    out.print(_acceptance(facts))
    out.print(_genes(facts))
    out.print(_regimes(facts))
    out.print(facts["levels"]["text"], markup=False)
    for note in facts["notes"]:
        out.print(f"note: {note}", markup=False)
    out.print(
        f"{facts['genomes']:,} genomes, {facts['simulated']:,} scenarios in"
        f" {render.duration(facts['seconds'])}   archive {facts['archive_hash'][:12]}"
        f"   dataset {facts['dataset_hash'][:12]}",
        markup=False,
    )
    out.print(whole(f"genesis risk show {result.id} --json"), markup=False)


def _acceptance(facts: Mapping[str, Any]) -> Any:
    """The sealed test: three managers, and how the bred one compares."""
    columns = [("manager", "left")]
    columns += [
        (name, "right")
        for name in ("growth", "CDaR95", "CVaR95", "Calmar", "Ulcer", "under water", "forced")
    ]
    columns += [("growth loss", "right"), ("CDaR gain", "right"), ("p adjusted", "right")]
    rows = facts["acceptance"]
    body = [(*_numbers("bred", rows[0]["genome"]), "", "", "")]
    for row in rows:
        p = " ".join(f"{value:.3f}" for value in row["adjusted"])
        body.append(
            (
                *_numbers(row["baseline"], row["base"]),
                f"{row['growth_loss']:+.1%}",
                f"{row['cdar_gain']:+.1%}",
                p,
            )
        )
    title = "sealed paths of unseen strategies (p of growth, CDaR, CVaR)"
    return render.table(columns, body, title=title)


def _numbers(name: str, outcome: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        f"{outcome['growth']:.2%}",
        f"{outcome['cdar']:.2%}",
        f"{outcome['cvar']:.2%}",
        render.number(outcome["calmar"]),
        f"{outcome['ulcer']:.2%}",
        f"{outcome['under_water']:.0%}",
        f"{outcome['forced']:.2f}",
    )


def _genes(facts: Mapping[str, Any]) -> Any:
    """The ablation table."""
    columns = [("gene", "left"), ("unit", "left"), ("default", "right"), ("bred", "right")]
    columns += [("kept", "right"), ("cost of removal", "right"), ("price", "right")]
    columns.append(("verdict", "left"))
    body = [
        (
            row["gene"],
            row["unit"],
            f"{row['default']:.4g}",
            f"{row['bred']:.4g}",
            f"{row['kept']:.4g}",
            f"{row['cost']:+.4f}",
            f"{row['price']:.4f}",
            row["verdict"],
        )
        for row in facts["genes"]
    ]
    return render.table(columns, body, title="genes (validation paths)")


def _regimes(facts: Mapping[str, Any]) -> Any:
    """Growth and drawdown by regime and by kind of path."""
    columns = [("sealed paths", "left")]
    for name in ("bred", "defaults", "volatility target"):
        columns += [(f"{name}: growth", "right"), ("CDaR95", "right")]
    body = []
    for table in (facts["tables"]["regimes"], facts["tables"]["kinds"]):
        for label, managers in table.items():
            cells = [
                text
                for one in managers.values()
                for text in (f"{one['growth']:.2%}", f"{one['cdar']:.2%}")
            ]
            body.append((label, *cells))
    return render.table(columns, body, title="by regime and by kind of path")
