"""Strategies that move between workspaces, with the ledgers of every trial behind them.

A record alone cannot be judged: how many trials stand behind it decides what it is worth. So the
file of an exported strategy names the studies that overlap with its data under ``origins``, and
an archive beside it holds their ledgers. JSON only; nothing of it is ever executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from genesis.evolution.files import read_json, write_json
from genesis.evolution.origin_intake import take_origins
from genesis.evolution.origins import Origin, Origins, origin_problem, read_origins
from genesis.evolution.registration import HUMAN, IMPORT, Key, Registration
from genesis.evolution.run import CONFIG
from genesis.evolution.seals import Opening, Seal, SealRegistry
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.evolution.study_ledgers import study_facts
from genesis.evolution.trial_count import StudyTrials, open_register, studies_of
from genesis.evolution.trials import TrialLedger
from genesis.market.atomic_file import write_atomic


@dataclass(frozen=True, slots=True)
class Moved:
    """A strategy that was exported or imported.

    Attributes
    ----------
    record : StoredStrategy
    path : Path
        Its file.
    ledgers : Path or None
        The archive of its ledgers; None if there is none.
    problem : str or None
        Why it is not promotable where it was read from (export) or written to (import).
    """

    record: StoredStrategy
    path: Path
    ledgers: Path | None
    problem: str | None


def ledgers_file(path: Path) -> Path:
    """Archive of the ledgers that belong to an exported strategy's file."""
    return path.with_name(f"{path.stem}.ledgers.zip")


def export_strategy(home: Path, prefix: str, path: Path) -> Moved:
    """Write a record and the ledgers of all studies that overlap with its data.

    Parameters
    ----------
    home : Path
        Workspace.
    prefix : str
        Id of the strategy, or its unique beginning.
    path : Path
        File of the record; the archive is written beside it.

    Raises
    ------
    InputError
        If there is no such strategy.
    RefusedError
        If a ledger or the register was cut or changed.
    StorageError
        If a file cannot be written.
    """
    record = StrategyStore(home / "strategies").get(prefix)
    studies, humans = _trials_behind(home, record)
    plain = record.to_plain()
    archive = ledgers_file(path)
    held = [study.ledger for study in studies if study.ledger is not None]
    if studies:
        origins = [_origin(home, study) for study in studies]
        hashes: list[str] = []
        if held:
            names = [origin.file for origin in origins if origin.file is not None]
            # The record comes last: what it names is on disk by then.
            write_atomic(archive, lambda file: hashes.extend(_pack(file, names, held)))
        rest = iter(hashes)
        origins = [o if o.file is None else replace(o, sha256=next(rest)) for o in origins]
        whole = Origins(tuple(origins), tuple(humans), *_kept_back(home, record))
        plain["origins"] = whole.to_plain(plain["digest"])
    write_json(path, plain)
    return Moved(record, path, archive if held else None, origin_problem(home, record))


def import_strategy(home: Path, path: Path) -> Moved:
    """Take a record, and its ledgers if they lie beside it; doing so twice changes nothing.

    Raises
    ------
    StrategyError
        If the file is no record, or its content does not fit its digest or id.
    RefusedError
        If the origins or a ledger were cut or changed; nothing is imported then.
    StorageError
        If a file cannot be read or written.
    """
    plain = read_json(path)
    record = StoredStrategy.from_plain(plain)
    origins = read_origins(plain)
    archive = ledgers_file(path)
    taken = None
    if origins is not None and (archive.exists() or not origins.files):
        taken = archive if origins.files else None
        take_origins(home, record, origins, archive)
    StrategyStore(home / "strategies").put(record)
    return Moved(record, path, taken, origin_problem(home, record))


def _trials_behind(
    home: Path, record: StoredStrategy
) -> tuple[list[StudyTrials], list[Registration]]:
    """Studies and human trials on data that any study which found the strategy searched."""
    register = open_register(home)
    studies: dict[Key, StudyTrials] = {}
    humans: dict[Key, Registration] = {}
    finders = [r for r in register.rows() if r.kind != HUMAN and r.run_id in record.finders]
    for finder in finders:
        for study in studies_of(home, register, finder.bases, finder.searched_ms):
            studies[study.known.key] = study
        for row in register.overlapping(finder.bases, finder.searched_ms):
            if row.kind == HUMAN:
                humans[row.key] = row
    return list(studies.values()), list(humans.values())


def _kept_back(home: Path, record: StoredStrategy) -> tuple[tuple[Seal, ...], tuple[Opening, ...]]:
    """Bars that the studies which found it sealed, and every look at them."""
    registry = SealRegistry(home / "seals.json")
    seals = tuple(seal for seal in registry.seals() if seal.study in record.finders)
    spans = [([seal.base], (seal.start_ms, seal.end_ms)) for seal in seals]
    seen = {opening.look for span in spans for opening in registry.openings_of(*span)}
    return seals, tuple(opening for opening in registry.openings() if opening.look in seen)


def _origin(home: Path, study: StudyTrials) -> Origin:
    row = replace(study.known, kind=IMPORT)
    ledger = study.ledger
    if ledger is None or ledger.path is None:
        return Origin(row)
    folder = ledger.path.parent
    facts = {k: v for k, v in study_facts(folder, home).items() if k not in _PRIVATE}
    config = (folder / CONFIG).read_text(encoding="utf-8") if (folder / CONFIG).exists() else ""
    origin = Origin(row.grown(ledger), {**facts, "run_id": row.run_id}, config)
    return replace(origin, file=origin.member)


# A command line and an error hold paths of this machine, and nothing depends on them.
_PRIVATE = ("command", "error")


def _pack(file: BinaryIO, names: Sequence[str], ledgers: Sequence[TrialLedger]) -> list[str]:
    """Write an archive, the same bytes for the same ledgers; return the SHA-256 of each."""
    hashes = []
    with ZipFile(file, "w") as archive:
        for name, ledger in zip(names, ledgers, strict=True):
            entry = ZipInfo(name)
            entry.compress_type = ZIP_DEFLATED
            digest = hashlib.sha256()
            assert ledger.path is not None
            with ledger.path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as to:
                # A study that runs may have written more since the ledger was verified.
                for line in islice(source, ledger.size):
                    digest.update(line)
                    to.write(line)
            hashes.append(digest.hexdigest())
    return hashes
