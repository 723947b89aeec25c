"""Where a strategy comes from: the studies behind it, as the file of an exported one names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.canonical import content_hash
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.registration import (
    HUMAN,
    IMPORT,
    Registration,
    origin_name,
    study_registration,
)
from genesis.evolution.run import TRIALS
from genesis.evolution.seals import Opening, Seal
from genesis.evolution.store import StoredStrategy
from genesis.evolution.study_ledgers import verified_ledger
from genesis.evolution.trial_count import open_register
from genesis.evolution.trials import TrialLedger

SCHEMA = 1
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, msgspec.ValidationError)
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,159}")


@dataclass(frozen=True, slots=True)
class Origin:
    """A study behind a strategy, as an exported file names it.

    Attributes
    ----------
    row : Registration
    study : mapping
        Facts of its ``study.json``; empty where its ledger is gone.
    config : str
        Its configuration, to evaluate it again.
    file : str or None
        Its ledger in the archive; None where it is gone and only its numbers are known.
    sha256 : str
        Of the ledger's bytes.
    """

    row: Registration
    study: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""
    file: str | None = None
    sha256: str = ""

    @property
    def folder(self) -> str:
        """Name of the folder it gets."""
        return origin_name(self.row)

    @property
    def member(self) -> str:
        """The only name that its file may have."""
        return f"{self.folder}.{TRIALS}"

    def to_plain(self) -> dict[str, Any]:
        """JSON form: the row's keys and its own."""
        return {
            **self.row.to_plain(),
            "study": dict(self.study),
            "config": self.config,
            "file": self.file,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class Origins:
    """Every study and human trial behind a strategy, and every look at the bars they kept back.

    Attributes
    ----------
    studies : tuple of Origin
    humans : tuple of Registration
    seals : tuple of Seal
        Of the studies that found it.
    openings : tuple of Opening
        Looks at those bars, in order: the budget that they spent is spent everywhere.
    """

    studies: tuple[Origin, ...]
    humans: tuple[Registration, ...]
    seals: tuple[Seal, ...] = ()
    openings: tuple[Opening, ...] = ()

    @property
    def files(self) -> tuple[Origin, ...]:
        """Those whose ledger is in the archive."""
        return tuple(origin for origin in self.studies if origin.file is not None)

    def to_plain(self, record: str) -> dict[str, Any]:
        """JSON form, bound to the digest of a record, with a digest over all of it."""
        plain = {
            "schema": SCHEMA,
            "record": record,
            "studies": [origin.to_plain() for origin in self.studies],
            "humans": [row.to_plain() for row in self.humans],
            "seals": [asdict(seal) for seal in self.seals],
            "openings": [asdict(opening) for opening in self.openings],
        }
        return {**plain, "digest": content_hash(plain)}


def read_origins(document: Mapping[str, Any]) -> Origins | None:
    """Origins that the file of an exported strategy names; None for a record alone.

    Raises
    ------
    RefusedError
        If they were changed, belong to another record, or name a file that is not theirs.
    """
    plain = document.get("origins")
    if plain is None:
        return None
    try:
        body = {k: v for k, v in plain.items() if k != "digest"}
        if content_hash(body) != plain.get("digest"):
            raise changed_origins("they do not fit their digest")
        if body.get("schema") != SCHEMA or body["record"] != document["digest"]:
            raise changed_origins("they belong to another record or have another schema")
        studies = tuple(_read_origin(one) for one in body["studies"])
        # A look by a person is one trial, whatever a file says.
        humans = tuple(
            replace(Registration.from_plain(one), kind=HUMAN, trials=1, unique=1)
            for one in body["humans"]
        )
        # Files of earlier versions have neither.
        seals = msgspec.convert(body.get("seals", []), tuple[Seal, ...])
        # As strictly as the register reads them, or it could not be read after taking them in.
        openings = tuple(Opening.from_plain(one) for one in body.get("openings", []))
    except (*_MALFORMED, StorageError) as error:
        raise changed_origins(f"they cannot be read: {error}") from None
    if len({origin.folder for origin in studies}) < len(studies):
        raise changed_origins("they name a study twice")
    if not {seal.study for seal in seals} <= {origin.row.run_id for origin in studies}:
        raise changed_origins("they seal bars for a study that they do not name")
    return Origins(studies, humans, seals, openings)


def _read_origin(plain: Mapping[str, Any]) -> Origin:
    origin = Origin(
        row=replace(Registration.from_plain(plain), kind=IMPORT),
        study=dict(plain["study"]),
        config=str(plain["config"]),
        file=plain["file"],
        sha256=str(plain["sha256"]),
    )
    if not _FOLDER.fullmatch(origin.folder) or origin.file not in (None, origin.member):
        raise changed_origins(
            f"the file {origin.file!r} of run {origin.row.run_id!r} is not its own"
        )
    if origin.file is not None:
        # What is read back from its folder later must be what was verified here.
        as_told = study_registration(IMPORT, str(origin.study["run_id"]), origin.study)
        if replace(as_told, **_NUMBERS) != replace(origin.row, **_NUMBERS):
            raise changed_origins(f"the facts of run {origin.row.run_id!r} contradict each other")
    return origin


_NUMBERS: dict[str, Any] = {"trials": 0, "unique": 0, "ledger_head": "", "ledger_size": 0}


def origin_problem(home: Path, record: StoredStrategy) -> str | None:
    """Why a strategy is not promotable for want of the trials behind it; None if they are here.

    The ledger of the study that found it must be here, in its run or imported, be what is
    registered of it, and hold the strategy's genome.
    """
    if record.run_id is None:
        return "it names no study that found it"
    try:
        rows = [
            row
            for row in open_register(home).rows()
            if row.kind != HUMAN
            and (row.run_id, row.study_hash) == (record.run_id, record.study_hash)
        ]
        ledgers = [verified_ledger(home, row) for row in rows]
    except RefusedError as error:
        return f"{error.what}: {error.why}"
    for ledger in ledgers:
        if ledger is not None and holds_search(ledger, record):
            return None
    if any(ledger is not None for ledger in ledgers):
        return f"the trial ledger of '{record.run_id}' does not hold its search"
    return f"the trial ledger of the study that found it, '{record.run_id}', is not here"


def holds_search(ledger: TrialLedger, record: StoredStrategy) -> bool:
    """Whether a ledger is the one in which a strategy was found."""
    return ledger.holds(record.ledger_head) and record.genome in ledger.genomes


def changed_origins(why: str) -> RefusedError:
    """Error of origins that are not what was exported."""
    return RefusedError(
        "the trials behind the strategy were cut or changed after they were exported",
        why=why,
        fix="export it again from the workspace that bred it; without its ledgers it can be looked"
        " at but not promoted: import the JSON file without the archive beside it",
    )
