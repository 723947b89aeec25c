"""Where the ledgers of registered studies lie: in their runs, or where imports were put."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.domain.instrument import base_asset
from genesis.evolution.register import changed_ledger, require_continued
from genesis.evolution.registration import (
    IMPORT,
    STUDY,
    Registration,
    origin_name,
    study_registration,
)
from genesis.evolution.run import STUDY as STUDY_FILE
from genesis.evolution.run import TRIALS, read_study, runs_folder
from genesis.evolution.seals import SealRegistry, sealed_names
from genesis.evolution.trials import TrialLedger
from genesis.market.dataset_spec import parse


def verified_ledger(home: Path, row: Registration) -> TrialLedger | None:
    """Ledger of a registered study, if it is here and is what is registered of it.

    Raises
    ------
    RefusedError
        If it was cut or changed.
    """
    folder = study_folder(home, row)
    path = folder / TRIALS
    if not path.exists() or (row.kind == STUDY and not _is_of(folder, row)):
        return None
    ledger = look_at(row, path)
    require_continued(row, ledger)
    return ledger


def study_folder(home: Path, row: Registration) -> Path:
    """Folder of a registered study: its run, or what was imported of it."""
    if row.kind == STUDY:
        return runs_folder(home) / row.run_id
    return origins_folder(home) / origin_name(row)


def origins_folder(home: Path) -> Path:
    """Folder that holds what was imported of other workspaces' studies."""
    return home / "origins"


def study_folders(home: Path) -> Iterator[tuple[Path, str]]:
    """Every study folder of a workspace, and the kind of its registration."""
    for root, kind in ((runs_folder(home), STUDY), (origins_folder(home), IMPORT)):
        for file in sorted(root.glob(f"*/{STUDY_FILE}")):
            yield file.parent, kind


def _is_of(folder: Path, row: Registration) -> bool:
    """Whether a run's folder belongs to a row, not to a later study of the same name."""
    study = read_study(folder) if (folder / STUDY_FILE).exists() else {}
    return (study.get("study_hash"), study.get("created_ms")) == row.key[1:]


def look_at(row: Registration, path: Path) -> TrialLedger:
    """Ledger of a file, not touched.

    Raises
    ------
    RefusedError
        If its chain is broken.
    """
    try:
        return TrialLedger(path, look=True)
    except RefusedError as error:
        raise changed_ledger(row, f"{error.what}: {error.why}") from None


def study_facts(folder: Path, home: Path) -> dict[str, Any]:
    """Facts of a study; of one by an earlier version the base assets are added."""
    study = read_study(folder)
    try:
        if "bases" not in study:
            seals = SealRegistry(home / "seals.json").seals()
            spec = parse(study["dataset"])
            named = sealed_names(spec.venue, [base_asset(symbol) for symbol in spec.symbols])
            study["bases"] = [s.base for s in seals if s.study == folder.name] or named
        study_registration(STUDY, folder.name, study)
    except (KeyError, InputError) as error:
        raise StorageError(
            f"{folder / STUDY_FILE} does not say what the study searched",
            why=f"{error}",
            fix="restore it from a copy, or move the folder out of the workspace",
        ) from None
    return study
