"""Taking over the trials of another workspace: verified first, all of them or none."""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from genesis.domain.errors import RefusedError
from genesis.evolution.files import write_json, write_text
from genesis.evolution.origins import Origin, Origins, changed_origins, holds_search
from genesis.evolution.register import TrialRegister
from genesis.evolution.registration import IMPORT, Registration
from genesis.evolution.run import CONFIG, TRIALS
from genesis.evolution.run import STUDY as STUDY_FILE
from genesis.evolution.seals import SealRegistry
from genesis.evolution.store import StoredStrategy
from genesis.evolution.study_ledgers import origins_folder, study_folder, verified_ledger
from genesis.evolution.trial_count import open_register
from genesis.evolution.trials import TrialLedger
from genesis.market.atomic_file import storage_error


def take_origins(home: Path, record: StoredStrategy, origins: Origins, archive: Path) -> None:
    """Verify the ledgers behind a strategy, copy them into the workspace and register them.

    Parameters
    ----------
    home : Path
        Workspace.
    record : StoredStrategy
    origins : Origins
    archive : Path
        Zip file of the ledgers; it is not opened if there is none to take.

    Raises
    ------
    RefusedError
        If a ledger is missing, was cut or changed, or is not the one that the record names;
        nothing is taken then.
    StorageError
        If a file cannot be written.
    """
    register = open_register(home)
    try:
        origins_folder(home).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=origins_folder(home), prefix=".incoming-") as staging:
            ledgers = _unpack(origins, archive, Path(staging))
            _require_search(record, origins, ledgers)
            new = [o for o in origins.files if _is_longer(home, register, o, ledgers[o.folder])]
            for origin in new:
                _settle(Path(staging) / origin.folder, study_folder(home, origin.row))
    except OSError as error:
        raise storage_error(f"cannot take the ledgers of {archive}", error) from None
    for row in (*(_as_known(register, o) for o in origins.studies), *origins.humans):
        register.add(row)
    # Registered first: a sealed span of a study that the register does not know is refused.
    SealRegistry(home / "seals.json").take(origins.seals, origins.openings)


# No archive, no such entry, broken compression, an entry with a password, rows that are no rows.
_UNREADABLE = (BadZipFile, KeyError, zlib.error, EOFError, RuntimeError, TypeError, AttributeError)


def _unpack(origins: Origins, archive: Path, staging: Path) -> dict[str, TrialLedger]:
    """Write the folder of each study and return its verified ledger by the folder's name."""
    if not origins.files:
        return {}
    ledgers = {}
    try:
        with ZipFile(archive) as pack:
            for origin in origins.files:
                path = staging / origin.folder / TRIALS
                path.parent.mkdir()
                with pack.open(origin.member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                ledgers[origin.folder] = _verified(origin, path)
                write_text(path.with_name(CONFIG), origin.config)
                write_json(path.with_name(STUDY_FILE), dict(origin.study))
    except _UNREADABLE as error:
        raise changed_origins(f"{archive} cannot be read: {error}") from None
    return ledgers


def _verified(origin: Origin, path: Path) -> TrialLedger:
    row = origin.row
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != origin.sha256:
            raise changed_origins(f"the ledger of '{row.run_id}' does not fit its hash")
    try:
        ledger = TrialLedger(path, look=True)
    except RefusedError as error:
        raise changed_origins(f"the ledger of '{row.run_id}' is broken: {error.why}") from None
    if row.grown(ledger) != row:
        raise changed_origins(f"the ledger of '{row.run_id}' has other numbers than its file says")
    whose = {(one["study"], one["data"]) for one in ledger.rows()}
    if whose - {(row.study_hash, row.dataset_hash)}:
        raise changed_origins(
            f"the ledger of '{row.run_id}' holds trials of another study or other data"
        )
    return ledger


def _require_search(
    record: StoredStrategy, origins: Origins, ledgers: Mapping[str, TrialLedger]
) -> None:
    """Refuse ledgers that contradict what the record says of its search."""
    named = (record.run_id, record.study_hash)
    for origin in origins.files:
        if (origin.row.run_id, origin.row.study_hash) == named and not holds_search(
            ledgers[origin.folder], record
        ):
            raise changed_origins(
                f"the ledger of '{record.run_id}' does not hold the strategy's search"
            )
    trials = {o.row.run_id: 0 for o in origins.studies}
    for origin in origins.studies:
        trials[origin.row.run_id] = max(trials[origin.row.run_id], origin.row.trials)
    if set(record.finders) <= set(trials):
        most = max((trials[name] for name in record.finders), default=0)
        if most < record.trials:
            raise changed_origins(
                f"they hold {most} trials of its search, and {record.trials} were made"
            )


def _is_longer(home: Path, register: TrialRegister, origin: Origin, ledger: TrialLedger) -> bool:
    """Whether a verified ledger says more than what is here of the same study.

    Raises
    ------
    RefusedError
        If it says something else, or says less and the longer one is not here any more.
    """
    known = register.known(IMPORT, origin.row.key)
    if known is None or ledger.holds(known.ledger_head, known.ledger_size):
        return True
    here = verified_ledger(home, known)
    if here is not None and here.holds(ledger.head, ledger.size):
        return False
    raise changed_origins(
        f"{known.ledger_size} other rows of the ledger of '{known.run_id}' are registered here"
    )


def _as_known(register: TrialRegister, origin: Origin) -> Registration:
    """What is registered of an origin.

    A ledger that is gone is only told of: its numbers count, but where it ended must not take the
    place of what the ledger here was verified against, or that one would count as cut.
    """
    known = register.known(IMPORT, origin.row.key)
    if origin.file is not None or known is None:
        return origin.row
    return replace(origin.row, ledger_head=known.ledger_head, ledger_size=known.ledger_size)


def _settle(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in (TRIALS, CONFIG, STUDY_FILE):  # what makes it a study comes last
        os.replace(source / name, target / name)
