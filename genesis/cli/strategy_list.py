"""How `genesis strategies list` tells strategies: rows, their order, a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.cli import render

if TYPE_CHECKING:
    from rich.console import Console

    from genesis.evolution.store import StoredStrategy
    from genesis.system.dossiers import Standing


def show_table(out: Console, records: Sequence[dict[str, Any]]) -> None:
    """Print strategies, a line each, and what their marks mean."""
    columns = [("strategy", "left"), ("family", "left"), ("fitness", "right")]
    columns += [("Sharpe", "right"), ("trades", "right"), ("gates", "left"), ("run", "left")]
    rows = [
        (
            r["id"],
            r["family"],
            render.marked(render.number(r["fitness"]), met=r["feasible"]),
            render.number(r["sharpe"]),
            render.number(r["trades"], 0),
            r["dossier"]["status"] if r["dossier"] else "-",
            str(r["run_id"] or "-"),
        )
        for r in records
    ]
    out.print(render.table(columns, rows))
    if not all(r["feasible"] for r in records):
        out.print(render.UNMET_LEGEND, markup=False)


def require_known(run: str, stored: Sequence[StoredStrategy], home: Path) -> None:
    """Refuse a run that is neither here nor named by a stored strategy.

    Raises
    ------
    InputError
    """
    from genesis.domain.errors import InputError, did_you_mean
    from genesis.evolution.run import list_runs

    known = {name for record in stored for name in record.finders}
    known |= {found.id for found in list_runs(home)}
    if not any(name.startswith(run) for name in known):
        raise InputError(
            f"there is no run '{run}'{did_you_mean(run, known)}",
            fix=f"known runs: {', '.join(sorted(known))}"
            if known
            else "there are none yet: genesis demo, or genesis evolve CONFIG",
        )


def rank(summary: dict[str, Any]) -> tuple[bool, float, str]:
    """Key of the order: best fitness first, those that broke a constraint behind all others."""
    fitness = summary["fitness"]
    return not summary["feasible"], math.inf if fitness is None else -fitness, summary["id"]


def summary(record: StoredStrategy, standing: Standing | None) -> dict[str, Any]:
    """JSON form of a strategy in a list; ``standing`` is None where there is no dossier."""
    measures = record.measures
    return {
        "id": record.id,
        "family": record.strategy.family,
        "fitness": next(iter(record.objectives.values()), None),
        "feasible": record.feasible,
        "sharpe": measures.get("sharpe"),
        "trades": measures.get("trades"),
        "dataset": record.dataset,
        "run_id": record.run_id,
        "also_found_by": list(record.also_found_by),
        "dossier": standing.to_plain() if standing is not None else None,
    }
