"""The dossier: all that speaks for and against promoting a strategy, in one checked file.

What the production gates said of a strategy lies in ``ID.json``, what a rehearsal said in
``ID.rehearsal.json``: neither takes the other's place. Where both are there, the first one says
how the strategy stands. Earlier versions put a rehearsal into ``ID.json`` where nothing else was:
it is read as the rehearsal that it is, and the next one takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError, StorageError
from genesis.evidence.dossier_checks import refuse_changed_gates, refuse_fallen, refuse_mismatch
from genesis.evidence.gates import GateResult, GatesFile, stopped_by
from genesis.evidence.report_words import shortfalls
from genesis.evolution.files import read_json, write_json
from genesis.evolution.store import StoredStrategy, StrategyStore

SCHEMA = 1
REHEARSAL = "REHEARSAL"
_COUNTS = ".json"
_PRACTICE = ".rehearsal.json"
_KEYS = {"digest", "strategy", "genome", "mark", "gates_file", "passed", "stopped_by", "gates"}
ORIGIN = "origin"
"""What stops a strategy whose origin's trials are not here."""


def dossier_folder(home: Path) -> Path:
    """Folder that holds the dossiers."""
    return home / "dossiers"


def dossier_path(home: Path, strategy: str) -> Path | None:
    """File that says how a strategy stands; None if it was never judged."""
    names = (strategy + _COUNTS, strategy + _PRACTICE)
    paths = [dossier_folder(home) / name for name in names]
    return next((path for path in paths if path.exists()), None)


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

    @property
    def file_name(self) -> str:
        """Name of the file that it is written to."""
        return self.strategy + (_PRACTICE if self.rehearsal else _COUNTS)

    @property
    def command(self) -> str:
        """Command line that makes it again."""
        return _command(self.file_name)

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
    """Store a dossier; the one before it of the same kind on the same strategy is replaced.

    Raises
    ------
    StorageError
    """
    path = dossier_folder(home) / dossier.file_name
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(f"cannot make {path.parent}", why=str(error)) from None
    write_json(path, dossier.to_plain())
    if dossier.rehearsal:
        _remove_rehearsal(path.with_name(dossier.strategy + _COUNTS))
    return path


def _remove_rehearsal(path: Path) -> None:
    """Remove what an earlier version wrote, and nothing but a rehearsal's dossier."""
    try:
        if stored_dossier(path).rehearsal:
            path.unlink(missing_ok=True)
    except RefusedError:
        return
    except OSError as error:
        raise StorageError(f"cannot remove {path}", why=str(error)) from None


def _command(file_name: str) -> str:
    if file_name.endswith(_PRACTICE):
        return f"genesis validate {file_name.removesuffix(_PRACTICE)} --gates FILE"
    return f"genesis validate {file_name.removesuffix(_COUNTS)}"


def read_dossier(path: Path) -> Dossier:
    """Read a dossier.

    Raises
    ------
    RefusedError
        If it is damaged, none of a known schema, or was changed after it was written.
    """
    again = f"make it again: {_command(path.name)}"
    try:
        plain = read_json(path)
    except StorageError as error:
        raise RefusedError(f"the dossier {path} is damaged", why=error.why, fix=again) from None
    if not isinstance(plain, dict) or plain.get("schema") != SCHEMA or not plain.keys() >= _KEYS:
        raise RefusedError(
            f"{path} is no dossier of a known schema",
            why=f"this version reads schema {SCHEMA}, with every key that it writes",
            fix=again,
        )
    digest = plain.pop("digest")
    if content_hash(plain) != digest:
        raise RefusedError(
            f"the dossier {path.name} was changed after it was written",
            why="its content does not fit its digest",
            fix=again,
        )
    return Dossier(str(plain["strategy"]), plain, str(digest))


def stored_dossier(path: Path) -> Dossier:
    """Read a dossier from its place.

    Raises
    ------
    RefusedError
        As `read_dossier`, and if it is another strategy's, or no rehearsal's where its file's name
        says so.
    """
    dossier = read_dossier(path)
    if path.name in (dossier.file_name, dossier.strategy + _COUNTS):
        return dossier
    if not path.name.startswith(f"{dossier.strategy}."):
        raise RefusedError(
            f"the dossier {path.name} is about another strategy",
            why=f"it names {dossier.strategy}",
            fix=f"make it again: {_command(path.name)}",
        )
    raise RefusedError(
        f"the dossier {path.name} is no rehearsal's, which its name denies",
        why=f"its place is {dossier.file_name}",
        fix=f"delete {path}, and make it again: {dossier.command}",
    )


def promotable(home: Path, strategy: str) -> Dossier:
    """Dossier of a strategy that may be promoted.

    Raises
    ------
    RefusedError
        Naming what is missing or does not match: no dossier, a gate and by how much, other gates,
        another genome, trials or reruns that are not those of then.
    ConfigError
        If there are no production gates here.
    InputError
        If there is no such strategy.
    """
    record = StrategyStore(home / "strategies").get(strategy)
    refuse_changed_gates()
    path = dossier_path(home, record.id)
    if path is None:
        raise RefusedError(
            f"{record.id} has no dossier", fix=f"make it: genesis validate {record.id}"
        )
    dossier = stored_dossier(path)
    refuse_fallen(home, dossier, record)
    if not dossier.passed:
        raise RefusedError(
            f"{record.id} did not pass the gates", why="; ".join(shortfalls(dossier.facts))
        )
    return dossier


def _stored_for(home: Path, dossier: Dossier) -> StoredStrategy:
    """Record that a dossier is about."""
    store = StrategyStore(home / "strategies")
    if dossier.strategy not in store.ids():
        path = dossier_path(home, dossier.strategy) or dossier_folder(home) / dossier.file_name
        raise RefusedError(
            f"the dossier {path.name} is about a strategy that is not here",
            why=f"{store.root} has no {dossier.strategy}.json",
            fix="restore the strategy from a copy or store it again, genesis evolve --resume"
            f" {dossier.facts.get('run_id', 'RUN')}; or delete {path}",
        )
    return store.get(dossier.strategy)


def all_dossiers(home: Path) -> list[Dossier]:
    """The dossier of every strategy that has one, by strategy; see `dossier_path`.

    Raises
    ------
    RefusedError
        If one was changed after it was written.
    """
    return [stored_dossier(path) for path in _dossier_files(home)]


def _dossier_files(home: Path) -> list[Path]:
    files = dossier_folder(home).glob(f"strat_*{_COUNTS}")
    judged = sorted({file.name.partition(".")[0] for file in files})
    return [path for name in judged if (path := dossier_path(home, name)) is not None]


def promotable_dossiers(home: Path) -> list[Dossier]:
    """Dossiers whose strategy passed every gate; rehearsals are among them, marked.

    Raises
    ------
    RefusedError
        If a dossier was changed or does not stand any more, or the gates here were changed.
    ConfigError
        If there are no production gates here.
    """
    refuse_changed_gates()
    found = []
    for dossier in all_dossiers(home):
        if dossier.passed:
            refuse_fallen(home, dossier, _stored_for(home, dossier))
            found.append(dossier)
    return found


def standing_dossiers(home: Path) -> list[Dossier]:
    """`promotable_dossiers` without those that do not match, which can only be made again."""
    found = []
    for path in _dossier_files(home):
        try:
            dossier = stored_dossier(path)
            if dossier.passed:
                refuse_mismatch(dossier, _stored_for(home, dossier))
                found.append(dossier)
        except (RefusedError, StorageError):
            continue
    return found
