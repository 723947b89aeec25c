"""How `genesis strategies show` tells the evidence on a strategy: in short on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genesis.cli.commands import whole

if TYPE_CHECKING:
    from rich.console import Console

    from genesis.system.strategy_evidence import StrategyEvidence

TOLD_ABOVE = {"strategy", "gates"}
"""Sections that the blocks above say already."""


def show_evidence(out: Console, evidence: StrategyEvidence) -> None:
    """Print what each part comes to, what is not there yet, and where it was read."""
    from genesis.system.strategy_evidence_view import views

    for view in views(evidence):
        section = view.section
        if section.name in TOLD_ABOVE and not section.problems:
            continue
        title = section.title[:1].lower() + section.title[1:]
        out.print(f"\n{title}", style="bold", markup=False)
        for problem in section.problems:
            out.print(f"  {'NOT AS WRITTEN':20} {problem.what}: {problem.why}", markup=False)
        if section.missing:
            out.print(f"  {'not there yet':20} {whole(section.missing)}", markup=False)
        for label, text in view.pairs:
            out.print(f"  {label:20} {text}", markup=False)
        for source in section.sources:
            rows = f", {source.events[0]} to {source.events[1]}" if source.events else ""
            digest = f", {source.hash[:12]}" if source.hash else ""
            check = f"; {whole(source.check)}" if source.check else ""
            out.print(f"  {'read from':20} {source.file}{rows}{digest}{check}", markup=False)
