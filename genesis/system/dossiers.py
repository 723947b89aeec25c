"""What the dossiers of a workspace say about its strategies, for lists."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genesis.domain.errors import ConfigError, RefusedError, StorageError

if TYPE_CHECKING:
    from genesis.evidence.dossier import Dossier
    from genesis.evolution.store import StoredStrategy

Status = Literal["promotable", "validated", "refused", "mismatch"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a strategy stands with the gates.

    Attributes
    ----------
    status : {"promotable", "validated", "refused", "mismatch"}
        It passed the production gates; it passed those of a rehearsal; a gate stopped it; the
        dossier does not stand any more: it was changed, or strategy, gates, trials or reruns were.
    path : str
        The dossier.
    gates, mark : str
        Name of its gates; ``REHEARSAL`` if they were a rehearsal's.
    created_ms : int or None
    run_id : str
        The run in which it was judged.
    stopped_by : tuple of str
    sealed_psr : float or None
        Probability of a Sharpe ratio above zero on the sealed bars; None if they were not opened.
    problem : str
        What does not match.
    """

    status: Status
    path: str
    gates: str = ""
    mark: str = ""
    created_ms: int | None = None
    run_id: str = ""
    stopped_by: tuple[str, ...] = ()
    sealed_psr: float | None = None
    problem: str = ""

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def standing_of(home: Path, record: StoredStrategy) -> Standing | None:
    """How a strategy stands; None if it has no dossier. What does not match is told, not raised."""
    from genesis.evidence.dossier import dossier_path, stored_dossier
    from genesis.evidence.dossier_checks import refuse_fallen

    path = dossier_path(home, record.id)
    if path is None:
        return None
    try:
        dossier = stored_dossier(path)
        refuse_fallen(home, dossier, record)
    except (RefusedError, StorageError, ConfigError) as error:
        return Standing("mismatch", str(path), problem=error.what)
    return _standing(dossier, path)


def promotable_standings(home: Path) -> dict[str, Standing]:
    """Strategies whose dossier passed, rehearsals among them.

    Raises
    ------
    RefusedError
        Naming the file, if a dossier was changed or does not stand any more, or the production
        gates were changed.
    ConfigError
        If there are no production gates here.
    """
    from genesis.evidence.dossier import dossier_path, promotable_dossiers

    return {
        dossier.strategy: _standing(dossier, path)
        for dossier in promotable_dossiers(home)
        if (path := dossier_path(home, dossier.strategy)) is not None
    }


def _standing(dossier: Dossier, path: Path) -> Standing:
    facts = dossier.facts
    sealed = facts["details"].get("sealed") or {}
    passed: Status = "validated" if dossier.rehearsal else "promotable"
    return Standing(
        status=passed if dossier.passed else "refused",
        path=str(path),
        gates=facts["gates_file"]["name"],
        mark=facts["mark"],
        created_ms=int(facts["created_ms"]),
        run_id=facts["run_id"],
        stopped_by=tuple(facts["stopped_by"]),
        sealed_psr=1.0 - sealed["p"] if "p" in sealed else None,
    )
