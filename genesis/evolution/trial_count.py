"""How many trials were made on overlapping data, over all studies, imports and people.

The number comes from the ledgers that are here, each verified against the register, and from the
register for those that are gone. Whatever is deleted or repeated, it does not fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.domain.instrument import base_asset
from genesis.evolution.files import read_json
from genesis.evolution.register import TrialRegister, changed_ledger, require_continued
from genesis.evolution.registration import (
    HUMAN,
    IMPORT,
    STUDY,
    Key,
    Registration,
    human_registration,
    study_registration,
)
from genesis.evolution.run import STUDY as STUDY_FILE
from genesis.evolution.run import TRIALS, runs_folder
from genesis.evolution.seals import SealRegistry, sealed_names
from genesis.evolution.store import StrategyStore
from genesis.evolution.trials import TrialLedger
from genesis.market.dataset_spec import parse
from genesis.market.panel import Panel


@dataclass(frozen=True, slots=True)
class CountedStudy:
    """What one study, or one look by a person, adds.

    Attributes
    ----------
    run_id : str
        Of a human trial the strategy's id.
    trials, unique : int
    ledger_head : str
    source : str
        ``ledger`` of a run in this workspace, ``import``: a ledger that came with a strategy,
        ``register``: the ledger is gone, ``human``.
    """

    run_id: str
    trials: int
    unique: int
    ledger_head: str
    source: str


@dataclass(frozen=True, slots=True)
class TrialCount:
    """Trials on overlapping data.

    Attributes
    ----------
    total : int
    unique : int
        Different behaviours over all ledgers; what is known of a ledger that is gone is added,
        since nobody can say what it shares with the others.
    head : str
        Hash of the register's chain.
    studies : tuple of CountedStudy
    """

    total: int
    unique: int
    head: str
    studies: tuple[CountedStudy, ...]


@dataclass(frozen=True, slots=True)
class StudyTrials:
    """A registered study and its ledgers, verified; None where one is not here.

    Attributes
    ----------
    rows : tuple of Registration
        Of its run in this workspace, of its import, or both.
    own, imported : TrialLedger or None
    """

    rows: tuple[Registration, ...]
    own: TrialLedger | None
    imported: TrialLedger | None

    @property
    def ledger(self) -> TrialLedger | None:
        """The longer of its ledgers."""
        here = [ledger for ledger in (self.own, self.imported) if ledger is not None]
        return max(here, key=lambda ledger: ledger.size, default=None)

    @property
    def source(self) -> str:
        """See `CountedStudy`."""
        if self.own is not None:
            return "ledger"
        return "import" if self.imported is not None else "register"


def count_trials(home: Path, bases: Sequence[str], span: tuple[int, int]) -> TrialCount:
    """Count the trials of a workspace that looked at any of some assets in a span.

    Parameters
    ----------
    home : Path
        Workspace.
    bases : sequence of str
        Base assets as `genesis.evolution.seals.sealed_bases` names them, across venues and
        intervals.
    span : tuple of int
        ``[start, end)`` in milliseconds UTC.

    Raises
    ------
    RefusedError
        If a ledger or the register was cut or changed, or neither a run nor the register knows
        of a study that sealed data here.
    """
    register = open_register(home)
    behaviours: set[str] = set()
    beyond = 0
    counted = []
    for study in studies_of(home, register, bases, span):
        ledger = study.ledger
        known = max(study.rows, key=lambda row: row.ledger_size)
        seen = set() if ledger is None else ledger.phenotypes
        unique = max(len(seen), *(row.unique for row in study.rows))
        behaviours |= seen
        beyond += unique - len(seen)
        trials = max(0 if ledger is None else ledger.trials, *(row.trials for row in study.rows))
        if trials == 0 and ledger is None:
            continue  # it ended before its first trial
        head = known.ledger_head if ledger is None else ledger.head
        counted.append(CountedStudy(known.run_id, trials, unique, head, study.source))
    humans = [row for row in register.overlapping(bases, span) if row.kind == HUMAN]
    counted += [CountedStudy(row.run_id, row.trials, row.unique, "", HUMAN) for row in humans]
    return TrialCount(
        total=sum(row.trials for row in counted),
        unique=len(behaviours) + beyond + sum(row.unique for row in humans),
        head=register.head,
        studies=tuple(counted),
    )


def register_backtest(home: Path, strategy: str, panel: Panel) -> bool:
    """Register that a person tries a strategy on a panel; once for the same bars.

    Nothing is registered for a strategy that a study found on exactly these bars: that trial is
    in the study's ledger.

    Returns
    -------
    bool
        Whether this look is a new trial.
    """
    register = TrialRegister(home)
    row = human_registration(strategy, panel)
    store = StrategyStore(home / "strategies")
    finders = store.get(strategy).finders if strategy in store.ids() else ()
    found_here = any(
        known.run_id in finders and known.searched_hash == row.searched_hash
        for known in register.rows()
        if known.kind != HUMAN
    )
    return not found_here and register.add(row)


def open_register(home: Path) -> TrialRegister:
    """The register of a workspace, with every run that is here in it.

    Raises
    ------
    RefusedError
        If a study sealed data here, but neither its run nor the register knows of it.
    """
    register = TrialRegister(home)
    for folder, kind in _study_folders(home):
        facts = _facts(folder, home)
        run_id = folder.name if kind == STUDY else str(facts["run_id"])
        row = study_registration(kind, run_id, facts)
        if register.known(kind, row.key) is None:
            register.add(row.grown(_look(row, folder / TRIALS)))
    _refuse_forgotten(home, register)
    return register


def studies_of(
    home: Path, register: TrialRegister, bases: Sequence[str], span: tuple[int, int]
) -> list[StudyTrials]:
    """Studies that overlap, with their verified ledgers; what has grown is registered.

    Raises
    ------
    RefusedError
        If a ledger was cut or changed.
    """
    groups: dict[Key, list[Registration]] = {}
    for row in register.overlapping(bases, span):
        if row.kind != HUMAN:
            groups.setdefault(row.key, []).append(row)
    found = []
    for rows in groups.values():
        ledgers = {row.kind: verified_ledger(home, row) for row in rows}
        for row in rows:
            ledger = ledgers[row.kind]
            if ledger is not None:
                register.add(row.grown(ledger))
        found.append(StudyTrials(tuple(rows), ledgers.get(STUDY), ledgers.get(IMPORT)))
    return found


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
    ledger = _look(row, path)
    require_continued(row, ledger)
    return ledger


def study_folder(home: Path, row: Registration) -> Path:
    """Folder of a registered study: its run, or what was imported of it."""
    if row.kind == STUDY:
        return runs_folder(home) / row.run_id
    # Workspaces may have given the same name to different studies.
    return origins_folder(home) / f"{row.run_id}-{row.study_hash[:12]}-{row.created_ms}"


def origins_folder(home: Path) -> Path:
    """Folder that holds what was imported of other workspaces' studies."""
    return home / "origins"


def _study_folders(home: Path) -> Iterator[tuple[Path, str]]:
    for root, kind in ((runs_folder(home), STUDY), (origins_folder(home), IMPORT)):
        for file in sorted(root.glob(f"*/{STUDY_FILE}")):
            yield file.parent, kind


def _is_of(folder: Path, row: Registration) -> bool:
    """Whether a run's folder belongs to a row, not to a later study of the same name."""
    study = read_json(folder / STUDY_FILE) if (folder / STUDY_FILE).exists() else {}
    return (study.get("study_hash"), study.get("created_ms")) == row.key[1:]


def _look(row: Registration, path: Path) -> TrialLedger:
    try:
        return TrialLedger(path, look=True)
    except StorageError as error:
        raise changed_ledger(row, f"{error.what}: {error.why}") from None


def _facts(folder: Path, home: Path) -> Mapping[str, Any]:
    """Facts of a study; of one by an earlier version the base assets are added."""
    study: dict[str, Any] = read_json(folder / STUDY_FILE)
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


def _refuse_forgotten(home: Path, register: TrialRegister) -> None:
    known = {row.run_id for row in register.rows()}
    sealed = {seal.study for seal in SealRegistry(home / "seals.json").seals()}
    lost = sorted(sealed - known)
    if not lost:
        return
    raise RefusedError(
        f"nobody can say how many trials {', '.join(lost)} made",
        why=f"{'it' if len(lost) == 1 else 'they'} sealed data in this workspace, but the run's"
        " folder is gone and the trial register does not know it",
        fix=f"restore register.jsonl or runs/{lost[0]} from a copy, or work in another workspace:"
        " genesis --home FOLDER",
    )
