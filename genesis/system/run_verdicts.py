"""What the gates said of a run's strategies, in short."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.system.dossiers import Standing, standing_of


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """The dossiers that were made of a run's strategies.

    Attributes
    ----------
    judged, promotable, rehearsed : int
        Strategies with a dossier of this run; those that passed the production gates; those that
        passed a rehearsal's.
    gates : tuple of str
        Names of the gates.
    last_ms : int
        Time of the latest dossier.
    """

    judged: int
    promotable: int
    rehearsed: int
    gates: tuple[str, ...]
    last_ms: int

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "judged": self.judged,
            "promotable": self.promotable,
            "passed_rehearsal": self.rehearsed,
            "gates": list(self.gates),
            "last_ms": self.last_ms,
        }


def run_verdict(home: Path, run_id: str) -> RunVerdict | None:
    """Verdict on a run; None if no strategy was judged in it."""
    from genesis.evolution.store import StrategyStore

    found: list[Standing] = []
    for record in StrategyStore(home / "strategies").list():
        standing = standing_of(home, record) if run_id in record.finders else None
        if standing is not None and standing.run_id == run_id:
            found.append(standing)
    if not found:
        return None
    return RunVerdict(
        judged=len(found),
        promotable=sum(one.status == "promotable" for one in found),
        rehearsed=sum(one.status == "validated" for one in found),
        gates=tuple(sorted({one.gates for one in found})),
        last_ms=max(one.created_ms or 0 for one in found),
    )
