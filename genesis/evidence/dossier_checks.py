"""Whether a dossier still stands: same strategy, gates, trials and reruns as when it was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genesis.domain.errors import ConfigError, RefusedError
from genesis.evidence import gates as shipped
from genesis.evidence.gates import PRODUCTION_HASH, load_gates
from genesis.evidence.journal import refuse_changed_reruns
from genesis.evolution.origins import origin_problem

if TYPE_CHECKING:
    from genesis.evidence.dossier import Dossier
    from genesis.evolution.store import StoredStrategy


def refuse_fallen(home: Path, dossier: Dossier, record: StoredStrategy) -> None:
    """Refuse a dossier that does not stand any more; of one that did not pass less is asked.

    Parameters
    ----------
    home : Path
        Workspace.
    dossier : Dossier
    record : StoredStrategy
        The strategy that it lies beside.

    Raises
    ------
    RefusedError
        Naming the file, and what does not match.
    ConfigError
        If there are no production gates here.
    """
    refuse_mismatch(dossier, record)
    if not dossier.passed:
        return
    refuse_uncounted(home, record)
    refuse_changed_reruns(home, record.id, dossier.facts)
    if not dossier.rehearsal:
        refuse_changed_gates()


def refuse_mismatch(dossier: Dossier, record: StoredStrategy) -> None:
    """Refuse a dossier that is about another genome, or made with other gates than are here.

    Raises
    ------
    RefusedError
        Naming the file.
    """
    known = {"strategy": record.id, "genome": record.genome}
    for name, now in known.items():
        if dossier.facts[name] != now:
            raise RefusedError(
                f"the dossier {dossier.file_name} is about another {name}",
                why=f"it names {str(dossier.facts[name])[:18]}, the store holds {now[:18]}",
                fix=f"make it again: {dossier.command}",
            )
    made_with = str(dossier.facts["gates_file"]["hash"])
    if not dossier.rehearsal and made_with != PRODUCTION_HASH:
        raise RefusedError(
            f"the dossier {dossier.file_name} was made with other gates",
            why=f"their hash was {made_with[:12]}, that of this version's is"
            f" {PRODUCTION_HASH[:12]}",
            fix=f"make it again: {dossier.command}",
        )


def refuse_uncounted(home: Path, record: StoredStrategy) -> None:
    """Refuse a strategy whose origin's trials are not here any more.

    Raises
    ------
    RefusedError
    """
    problem = origin_problem(home, record)
    if problem is not None:
        raise RefusedError(
            f"the trials behind {record.id} cannot be counted any more",
            why=problem,
            fix="import it again with the ledgers beside it, or restore its run",
        )


def refuse_changed_gates() -> None:
    """Refuse gates on disk that are not this version's: `validate` would not judge by them.

    Raises
    ------
    RefusedError
        If they were changed, or cannot be read as gates.
    ConfigError
        If there are none: as without them `validate` has nothing to judge by.
    """
    file = shipped.PRODUCTION
    fix = f"restore {file} (in a checkout: git checkout -- configs/gates.yaml)"
    try:
        gates = load_gates()
    except RefusedError as error:
        raise RefusedError(error.what, why=error.why, fix=fix) from None
    except ConfigError as error:
        if not file.exists():
            raise
        why = f"{error.what}: {error.why}" if error.why else error.what
        raise RefusedError(f"the gates of {file} cannot be read", why=why, fix=fix) from None
    if not gates.counts:
        raise RefusedError(
            f"the gates of {file} are not the production gates of this version",
            why="they say that they are a rehearsal",
            fix=fix,
        )
