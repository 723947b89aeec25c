"""How `genesis strategies` shows what the gates said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genesis.cli import render
from genesis.cli.commands import whole

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from genesis.evolution.store import StoredStrategy
    from genesis.system.dossiers import Standing


def show_promotable(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Table of the strategies that passed; ``dossier`` of each row is its standing, as JSON."""
    from genesis.domain.timeline import format_ts

    if not rows:
        out.print(whole("nothing is promotable yet: genesis validate RUN"), markup=False)
        return
    columns = [("strategy", "left"), ("family", "left"), ("gates", "left"), ("mark", "left")]
    columns += [("judged", "left"), ("PSR sealed", "right"), ("run", "left")]
    body = [
        (
            str(row["id"]),
            str(row["family"]),
            str(row["dossier"]["gates"]),
            str(row["dossier"]["mark"] or "-"),
            format_ts(row["dossier"]["created_ms"]),
            render.number(row["dossier"]["sealed_psr"], 4),
            str(row["dossier"]["run_id"]),
        )
        for row in rows
    ]
    out.print(render.table(columns, body))
    if any(row["dossier"]["mark"] for row in rows):
        out.print("REHEARSAL: passed gates for practice, which never lead to real money")


def block(
    record: StoredStrategy, standing: Standing | None, origin: str | None, sealed: str
) -> dict[str, Any]:
    """What `strategies show` says about a dossier and the sealed bars, by label.

    Parameters
    ----------
    record : StoredStrategy
    standing : Standing or None
        None if it was not judged yet.
    origin : str or None
        Why it cannot be promoted for want of the trials behind it.
    sealed : str
        What the sealed bars of its run have left, in words; empty if nobody knows.
    """
    found = _verdict(record, standing, origin)
    if sealed:
        found["sealed bars"] = sealed
    return found


def feedback(home: Path, record: StoredStrategy) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What trading runs said about a strategy: as JSON, and by label for people.

    Feedback that was changed after it was written is no reason not to show the strategy.
    """
    from genesis.domain.errors import GenesisError
    from genesis.evolution.feedback import read_feedback

    try:
        history = read_feedback(home, record.id)
    except GenesisError as error:
        return {"problem": error.what}, {"problem": error.what}
    if not history.rows:
        return None, {"runs": whole(f"none yet: genesis paper run {record.id}")}
    shown: dict[str, Any] = {"mean score": history.score}
    for run, row in history.by_run.items():
        score = row.reason if row.score is None else render.number(row.score, 4)
        trades = render.number(row.measures.get("trades"), 0)
        shown[run] = " ".join(
            [f"{score}  {row.mode}, {trades} trades,", row.fidelity.get("verdict", "no shadow")]
        )
    return history.to_plain(), shown


def _verdict(
    record: StoredStrategy, standing: Standing | None, origin: str | None
) -> dict[str, Any]:
    from genesis.domain.timeline import format_ts

    if standing is None and origin is not None:
        again = "import it with its ledgers beside it: genesis strategies import FILE.json"
        return {
            "verdict": "not judged yet, and nothing here can make it promotable",
            "problem": origin,
            "what helps": whole(again),
        }
    if standing is None:
        return {"verdict": whole(f"not judged yet: genesis validate {record.id}")}
    found: dict[str, Any] = {"verdict": standing.status}
    if standing.problem:
        found["problem"] = standing.problem
    else:
        found["gates"] = f"{standing.gates} {standing.mark}".strip()
        found["judged"] = f"{format_ts(standing.created_ms or 0)} in {standing.run_id}"
        found["stopped by"] = ", ".join(standing.stopped_by) or "none"
        found["PSR on sealed bars"] = standing.sealed_psr
    return {**found, "dossier": standing.path}
