"""A row of the trial register: how many trials were made where, by a study or by a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import msgspec

from genesis.domain.canonical import array_hash, content_hash
from genesis.domain.errors import StorageError
from genesis.evolution.openings import sealed_bases
from genesis.evolution.trials import GENESIS, TrialLedger
from genesis.market.panel import ARRAYS, Panel

STUDY = "study"
IMPORT = "import"
HUMAN = "human"

Key = tuple[str, str, int]
# What comes from a file must not lower a sum.
Count = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Registration:
    """Trials on a stretch of some assets, as far as they were known when the row was written.

    Attributes
    ----------
    kind : str
        ``study`` of this workspace, ``import`` of another one's study, ``human``: one strategy
        that a person tried.
    run_id : str
        The study's run; of a human trial the strategy's id.
    study_hash : str
        Empty for a human trial.
    created_ms : int
        When the study began: a run that was deleted and begun anew is another one, and both
        looked at the data. 0 for a human trial.
    dataset : str
        Spelling of the dataset, for people.
    dataset_hash : str
    searched_hash : str
        `bars_hash` of the bars that were looked at; empty where it is not known.
    bases : tuple of str
        Base assets as `genesis.evolution.openings.sealed_bases` names them.
    searched_ms : tuple of int
        Span ``[start, end)`` of the bars that were looked at.
    trials : int
        Trials that count.
    unique : int
        Different behaviours among the valid ones.
    ledger_head : str
    ledger_size : int
        Rows of the ledger, and the hash of its chain after them.
    """

    kind: str
    run_id: str
    study_hash: str
    created_ms: int
    dataset: str
    dataset_hash: str
    searched_hash: str
    bases: tuple[str, ...]
    searched_ms: tuple[int, int]
    trials: Count
    unique: Count
    ledger_head: str
    ledger_size: Count

    @property
    def key(self) -> Key:
        """What the row counts: one study, wherever its ledger lies, or one look by a person."""
        if self.kind == HUMAN:
            return self.run_id, self.dataset_hash, 0
        return self.run_id, self.study_hash, self.created_ms

    @property
    def folder(self) -> str:
        """Where the ledger of a study lies in the workspace, as people write it."""
        return f"runs/{self.run_id}" if self.kind == STUDY else f"origins/{origin_name(self)}"

    def overlaps(self, bases: Sequence[str], span: tuple[int, int]) -> bool:
        """Whether it looked at one of the assets inside the span ``[start, end)``."""
        start, end = self.searched_ms
        return start < span[1] and span[0] < end and not set(bases).isdisjoint(self.bases)

    def covers(self, other: Registration) -> bool:
        """Whether the other row says nothing that this one does not say."""
        mine = (self.trials, self.unique, self.ledger_size)
        theirs = (other.trials, other.unique, other.ledger_size)
        return all(a >= b for a, b in zip(mine, theirs, strict=True))

    def not_below(self, known: Registration) -> Registration:
        """The row with the larger numbers: what is registered of a study never shrinks."""
        # Of two that are as long, the head that is registered holds.
        longer = max(known, self, key=lambda row: row.ledger_size)
        return replace(
            self,
            trials=max(self.trials, known.trials),
            unique=max(self.unique, known.unique),
            ledger_head=longer.ledger_head,
            ledger_size=longer.ledger_size,
        )

    def grown(self, ledger: TrialLedger) -> Registration:
        """The row as a longer ledger has it."""
        return replace(self, **_numbers(ledger))

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Registration:
        """Row from `to_plain`; further keys are ignored.

        Raises
        ------
        StorageError
            If a key is missing or has another type.
        """
        try:
            return msgspec.convert(dict(plain), Registration)
        except msgspec.ValidationError as error:
            raise StorageError("a row of trials has another form", why=str(error)) from None


def origin_name(row: Registration) -> str:
    """Name of the folder of an imported study: workspaces may give one name to several."""
    return f"{row.run_id}-{row.study_hash[:12]}-{row.created_ms}"


def study_registration(
    kind: str, run_id: str, facts: Mapping[str, Any], ledger: TrialLedger | None = None
) -> Registration:
    """Row of a study as it stands.

    Parameters
    ----------
    kind : str
        ``study`` or ``import``.
    run_id : str
    facts : mapping
        As in ``study.json``: hashes, dataset, bases, span, when it began.
    ledger : TrialLedger, optional
        None before the first trial.
    """
    start, end = facts["searched_ms"]
    return Registration(
        kind=kind,
        run_id=run_id,
        study_hash=facts["study_hash"],
        created_ms=facts["created_ms"],
        dataset=facts["dataset"],
        dataset_hash=facts["dataset_hash"],
        # Studies of earlier versions did not note it.
        searched_hash=facts.get("searched_hash", ""),
        bases=tuple(sorted(set(facts["bases"]))),
        searched_ms=(start, end),
        **_numbers(ledger),
    )


def human_registration(strategy: str, panel: Panel) -> Registration:
    """Row of a person's look at one strategy on a panel."""
    return Registration(
        kind=HUMAN,
        run_id=strategy,
        study_hash="",
        created_ms=0,
        dataset=panel.name,
        dataset_hash=panel.dataset_hash,
        searched_hash=bars_hash(panel),
        bases=tuple(sorted(set(sealed_bases(panel)))),
        searched_ms=(int(panel.ts_ms[0]), int(panel.ts_ms[-1]) + panel.interval_ms),
        trials=1,
        unique=1,
        ledger_head="",
        ledger_size=0,
    )


def bars_hash(panel: Panel) -> str:
    """Hash of exactly the bars of a panel.

    `Panel.dataset_hash` names a dataset and stays the same for its searched part; here the same
    bars have the same hash whether they were cut from a longer dataset or loaded on their own.
    """
    columns = [array_hash(*(getattr(series, name) for name in ARRAYS)) for series in panel.symbols]
    return content_hash(
        [
            panel.venue,
            panel.interval_ms,
            [series.symbol for series in panel.symbols],
            array_hash(panel.ts_ms),
            columns,
        ]
    )


def _numbers(ledger: TrialLedger | None) -> dict[str, Any]:
    if ledger is None:
        return {"trials": 0, "unique": 0, "ledger_head": GENESIS, "ledger_size": 0}
    return {
        "trials": ledger.trials,
        "unique": len(ledger.phenotypes),
        "ledger_head": ledger.head,
        "ledger_size": ledger.size,
    }
