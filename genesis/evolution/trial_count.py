"""How many trials were made on overlapping data, over all studies, imports and people.

The number comes from the ledgers that are here, each verified against the register, and from the
register for those that are gone. Whatever is deleted or repeated, it does not fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genesis.domain.errors import RefusedError
from genesis.evolution.register import TrialRegister, changed_ledger
from genesis.evolution.registration import (
    HUMAN,
    IMPORT,
    STUDY,
    Key,
    Registration,
    human_registration,
    study_registration,
)
from genesis.evolution.run import TRIALS
from genesis.evolution.seals import SealRegistry
from genesis.evolution.store import StrategyStore
from genesis.evolution.study_ledgers import look_at, study_facts, study_folders, verified_ledger
from genesis.evolution.trials import GENESIS, TrialLedger
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
        Hash of the register's chain, up to the last row on trials.
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
    def known(self) -> Registration:
        """The longest of its rows."""
        return max(self.rows, key=lambda row: row.ledger_size)

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
        seen = set() if ledger is None else ledger.phenotypes
        unique = max(len(seen), *(row.unique for row in study.rows))
        behaviours |= seen
        beyond += unique - len(seen)
        trials = max(0 if ledger is None else ledger.trials, *(row.trials for row in study.rows))
        if trials == 0 and ledger is None:
            continue  # it ended before its first trial
        head = study.known.ledger_head if ledger is None else ledger.head
        counted.append(CountedStudy(study.known.run_id, trials, unique, head, study.source))
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
        If a study sealed data here, but neither its run nor the register knows of it, or the
        ledger of a run that the register does not know is not the one that the study ended with.
    """
    register = TrialRegister(home)
    for folder, kind in study_folders(home):
        facts = study_facts(folder, home)
        run_id = folder.name if kind == STUDY else str(facts["run_id"])
        row = study_registration(kind, run_id, facts)
        if register.known(kind, row.key) is None:
            ledger = look_at(row, folder / TRIALS)
            # Nothing registered can tell that it was cut; the study itself noted where it ended.
            if not ledger.holds(str(facts.get("ledger_head") or GENESIS)):
                raise changed_ledger(row, "it does not reach the head that the study ended with")
            register.add(row.grown(ledger))
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
