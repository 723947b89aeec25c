"""The dossier: all that speaks for and against promoting a strategy, in one checked file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError, StorageError, StrategyError
from genesis.evidence.gates import PRODUCTION_HASH, GateResult, GatesFile, stopped_by
from genesis.evidence.report_words import shortfalls
from genesis.evolution.files import read_json, write_json
from genesis.evolution.origins import origin_problem
from genesis.evolution.store import StoredStrategy, StrategyStore

SCHEMA = 1
REHEARSAL = "REHEARSAL"
_BESIDE = ".rehearsal.json"
ORIGIN = "origin"
"""What stops a strategy whose origin's trials are not here."""


def dossier_folder(home: Path) -> Path:
    """Folder that holds one dossier a strategy."""
    return home / "dossiers"


@dataclass(frozen=True, slots=True)
class Dossier:
    """Evidence on one strategy.

    Attributes
    ----------
    strategy : str
        Its id, a hash of its rules and policy.
    facts : mapping
        Everything else, as in the file: run, dataset, hashes, build, time, trials, gates, details.
    digest : str
        Content hash of all of it.
    """

    strategy: str
    facts: Mapping[str, Any]
    digest: str

    @property
    def passed(self) -> bool:
        """Whether every gate that is a veto was passed."""
        return bool(self.facts["passed"])

    @property
    def rehearsal(self) -> bool:
        """Whether its gates were a rehearsal's."""
        return bool(self.facts["gates_file"]["rehearsal"])

    @property
    def gates(self) -> list[dict[str, Any]]:
        """Verdicts in the order of the gates."""
        return list(self.facts["gates"])

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {**self.facts, "digest": self.digest}


def make_dossier(
    record: StoredStrategy,
    gates: GatesFile,
    results: Sequence[GateResult],
    facts: Mapping[str, Any],
) -> Dossier:
    """Put a dossier together.

    Parameters
    ----------
    record : StoredStrategy
    gates : GatesFile
    results : sequence of GateResult
        Of every gate.
    facts : mapping
        Plain values: run, dataset, hashes, build, time, trials, details; ``origin_problem`` says
        why the trials behind the strategy cannot be counted, null where they can.
    """
    stops = [result.gate.measure for result in stopped_by(results)]
    if facts.get("origin_problem") is not None:
        stops.insert(0, ORIGIN)
    plain = {
        "schema": SCHEMA,
        "kind": "dossier",
        "mark": REHEARSAL if gates.rehearsal else "",
        "strategy": record.id,
        "genome": record.genome,
        "family": record.strategy.family,
        "gates_file": {"name": gates.name, "rehearsal": gates.rehearsal, "hash": gates.hash},
        "passed": not stops,
        "stopped_by": stops,
        "gates": [result.to_plain() for result in results],
        **facts,
    }
    return Dossier(record.id, plain, content_hash(plain))


def write_dossier(home: Path, dossier: Dossier) -> Path:
    """Store a dossier; the one before it on the same strategy is replaced.

    A rehearsal never takes the place of what the production gates said: it is put beside it, and
    nothing but its reader looks at it there.

    Raises
    ------
    StorageError
    """
    path = dossier_folder(home) / f"{dossier.strategy}.json"
    if dossier.rehearsal and _production(path):
        path = path.with_suffix(_BESIDE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(f"cannot make {path.parent}", why=str(error)) from None
    write_json(path, dossier.to_plain())
    return path


def _production(path: Path) -> bool:
    """Whether there is a dossier of this version's production gates, whatever it says."""
    try:
        there = read_dossier(path)
        return not there.rehearsal and there.facts["gates_file"]["hash"] == PRODUCTION_HASH
    except (RefusedError, StorageError):
        return False


def _dossier_files(home: Path) -> list[Path]:
    files = sorted(dossier_folder(home).glob("strat_*.json"))
    return [file for file in files if not file.name.endswith(_BESIDE)]


def read_dossier(path: Path) -> Dossier:
    """Read a dossier.

    Raises
    ------
    RefusedError
        If it is none of a known schema, or was changed after it was written.
    StorageError
        If the file cannot be read.
    """
    plain = read_json(path)
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA or "digest" not in plain:
        raise RefusedError(
            f"{path} is no dossier of a known schema", fix="make it again: genesis validate"
        )
    digest = plain.pop("digest")
    if content_hash(plain) != digest:
        raise RefusedError(
            f"the dossier {path.name} was changed after it was written",
            why="its content does not fit its digest",
            fix=f"make it again: genesis validate {plain.get('strategy', 'STRATEGY')}",
        )
    return Dossier(str(plain["strategy"]), plain, str(digest))


def promotable(home: Path, strategy: str) -> Dossier:
    """Dossier of a strategy that may be promoted.

    Raises
    ------
    RefusedError
        Naming what is missing or does not match: no dossier, a gate and by how much, other gates,
        another genome.
    InputError
        If there is no such strategy.
    """
    record = _stored(home, strategy)
    path = dossier_folder(home) / f"{record.id}.json"
    if not path.exists():
        raise RefusedError(
            f"{record.id} has no dossier", fix=f"make it: genesis validate {record.id}"
        )
    dossier = read_dossier(path)
    refuse_mismatch(dossier, record)
    refuse_uncounted(home, record)
    if not dossier.passed:
        raise RefusedError(
            f"{record.id} did not pass the gates", why="; ".join(shortfalls(dossier.facts))
        )
    return dossier


def _stored(home: Path, strategy: str) -> StoredStrategy:
    """Record of a strategy; one that was changed is refused, whoever asks."""
    try:
        return StrategyStore(home / "strategies").get(strategy)
    except StrategyError as error:
        raise RefusedError(error.what, why=error.why, fix=error.fix) from None


def _stored_for(home: Path, dossier: Dossier) -> StoredStrategy:
    """Record that a dossier is about."""
    if dossier.strategy not in StrategyStore(home / "strategies").ids():
        raise RefusedError(
            f"the dossier {dossier.strategy}.json is about a strategy that is not here",
            why=f"{home / 'strategies'} has no {dossier.strategy}.json",
            fix="restore the strategy from a copy, or delete the dossier",
        )
    return _stored(home, dossier.strategy)


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
                f"the dossier {record.id}.json is about another {name}",
                why=f"it names {str(dossier.facts[name])[:18]}, the store holds {now[:18]}",
                fix=f"make it again: genesis validate {record.id}",
            )
    made_with = str(dossier.facts["gates_file"]["hash"])
    if not dossier.rehearsal and made_with != PRODUCTION_HASH:
        raise RefusedError(
            f"the dossier {record.id}.json was made with other gates",
            why=f"their hash was {made_with[:12]}, that of this version's is"
            f" {PRODUCTION_HASH[:12]}",
            fix=f"make it again: genesis validate {record.id}",
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


def all_dossiers(home: Path) -> list[Dossier]:
    """Every dossier of a workspace, by strategy.

    Raises
    ------
    RefusedError
        If one was changed after it was written.
    """
    found = []
    for path in _dossier_files(home):
        dossier = read_dossier(path)
        if dossier.strategy != path.stem:
            raise RefusedError(
                f"the dossier {path.name} is about another strategy",
                why=f"it names {dossier.strategy}",
                fix=f"make it again: genesis validate {path.stem}",
            )
        found.append(dossier)
    return found


def promotable_dossiers(home: Path) -> list[Dossier]:
    """Dossiers whose strategy passed every gate; rehearsals are among them, marked.

    Raises
    ------
    RefusedError
        If a dossier was changed, or is about another genome or other gates than are here.
    """
    found = []
    for dossier in all_dossiers(home):
        if dossier.passed:
            record = _stored_for(home, dossier)
            refuse_mismatch(dossier, record)
            refuse_uncounted(home, record)
            found.append(dossier)
    return found


def standing_dossiers(home: Path) -> list[Dossier]:
    """`promotable_dossiers` without those that do not match, which can only be made again."""
    found = []
    for path in _dossier_files(home):
        try:
            dossier = read_dossier(path)
            if dossier.passed:
                refuse_mismatch(dossier, _stored_for(home, dossier))
                found.append(dossier)
        except (RefusedError, StorageError):
            continue
    return found
