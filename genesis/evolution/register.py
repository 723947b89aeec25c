"""The trial register: how many trials every study made on which data, whatever became of it.

Ledgers lie in run folders, which people delete. The register outlives them: an append-only,
hash-chained file of the workspace that a study writes when it begins and after each generation.
Where the chain ends is noted in a file beside it, so that a register that was cut shows as well
as one that was changed.

It also has every seal and every look at sealed bars, written before `seals.json` has them: the
budget of a sealed span must not come back with a file that was deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.canonical import canonical_json
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.files import add_lines, cut_torn_tail, read_json, write_json
from genesis.evolution.openings import Look, Opening, Seal
from genesis.evolution.registration import STUDY, Key, Registration, study_registration
from genesis.evolution.trials import GENESIS, TrialLedger, linked
from genesis.market.atomic_file import exclusive

SCHEMA = 1
REGISTER = "register.jsonl"
END = "register.end.json"
SEAL = "seal"
OPENING = "opening"


class TrialRegister:
    """Trials of a workspace. Several processes may write it at the same time.

    Parameters
    ----------
    home : Path
        Workspace; the file is made on the first write.

    Raises
    ------
    RefusedError
        From any method: if the file was changed or cut since it was written.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / REGISTER
        self._end = home / END
        self._lock = home / "register.lock"
        self._read = 0
        self._heads = [GENESIS]
        self._trials_head = GENESIS
        self._latest: dict[tuple[str, Key], Registration] = {}
        self._seals: dict[Seal, None] = {}
        self._openings: dict[Look, Opening] = {}

    @property
    def head(self) -> str:
        """Hash of the chain up to the last row on trials: a look at sealed bars is none."""
        self._catch_up()
        return self._trials_head

    def rows(self) -> tuple[Registration, ...]:
        """What is known last of every study, import and human trial, in order of first mention."""
        self._catch_up()
        return tuple(self._latest.values())

    def overlapping(self, bases: Sequence[str], span: tuple[int, int]) -> tuple[Registration, ...]:
        """`rows` that looked at one of the base assets inside the span ``[start, end)``."""
        return tuple(row for row in self.rows() if row.overlaps(bases, span))

    def known(self, kind: str, key: Key) -> Registration | None:
        """What is known last of one study or human trial."""
        self._catch_up()
        return self._latest.get((kind, key))

    def add(self, row: Registration) -> bool:
        """Write a row unless it says nothing new; what was registered before never shrinks.

        Returns
        -------
        bool
            Whether it was written.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        with exclusive(self._lock):
            cut_torn_tail(self.path)
            self._catch_up()
            known = self._latest.get((row.kind, row.key))
            if known is not None:
                if known.covers(row):
                    return False
                row = row.not_below(known)
            self._append([row.to_plain()])
            return True

    def seals(self) -> tuple[Seal, ...]:
        """Every seal, in order of registration."""
        self._catch_up()
        return tuple(self._seals)

    def openings(self) -> tuple[Opening, ...]:
        """Every look at sealed bars in order, with its numbers where they are known."""
        self._catch_up()
        return tuple(self._openings.values())

    def keep(self, seals: Iterable[Seal], openings: Iterable[Opening]) -> None:
        """Write the seals and looks that are not there yet; numbers that are known stay.

        All are written or none: with half of what an earlier version had in `seals.json` the
        other half would look added by hand.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        with exclusive(self._lock):
            cut_torn_tail(self.path)
            self._catch_up()
            new = [{"kind": SEAL, **asdict(s)} for s in seals if s not in self._seals]
            for opening in openings:
                known = self._openings.get(opening.look)
                if known is None or (opening.completes(known) and opening != known):
                    new.append({"kind": OPENING, **asdict(opening)})
            if new:
                self._append(new)

    def _append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write all rows or none and move the end; the lock is held."""
        head, lines = self._heads[-1], []
        for row in rows:
            plain = {"schema": SCHEMA, **row}
            head = linked(head, canonical_json(plain))
            lines.append({**plain, "hash": head})
        if not self._end.exists():  # from the first row on a missing end means a removed one
            write_json(self._end, {"schema": SCHEMA, "size": 0, "head": GENESIS})
        add_lines(self.path, lines)
        self._catch_up()
        write_json(self._end, {"schema": SCHEMA, "size": self._size, "head": head})

    def record(self, run_id: str, facts: Mapping[str, Any], ledger: TrialLedger) -> None:
        """Register a study of this workspace as far as its ledger goes.

        Parameters
        ----------
        run_id : str
        facts : mapping
            As in ``study.json``.
        ledger : TrialLedger

        Raises
        ------
        RefusedError
            If the ledger is not the one that was registered before, continued.
        """
        row = study_registration(STUDY, run_id, facts, ledger)
        known = self.known(STUDY, row.key)
        if known is not None:
            require_continued(known, ledger)
        self.add(row)

    @property
    def _size(self) -> int:
        return len(self._heads) - 1

    def _catch_up(self) -> None:
        """Read and verify what was added since the last look."""
        # Its end is read first: a writer adds the row before it moves the end.
        size, head = self._noted_end()
        length = self.path.stat().st_size if self.path.exists() else 0
        if length < self._read:
            raise self._damaged("rows at its end are missing")
        if length > self._read:
            with self.path.open("rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # being written, or torn by a crash: the next writer cuts it off
                    self._take(line)
        if self._size and not self._end.exists():  # it was there before the first row
            raise self._damaged(f"{END} is missing")
        if not 0 <= size <= self._size or self._heads[size] != head:
            raise self._damaged("rows at its end are missing or were written anew")

    def _take(self, line: bytes) -> None:
        try:
            plain = json.loads(line)
            claimed = plain.pop("hash", "")
            link = linked(self._heads[-1], canonical_json(plain))
            row = _read_row(plain)
        except (ValueError, AttributeError, TypeError, StorageError) as error:
            raise self._damaged(f"row {self._size + 1} cannot be read: {error}") from None
        if link != claimed:
            raise self._damaged(f"row {self._size + 1} does not fit the chain of hashes")
        self._heads.append(link)
        self._read += len(line)
        if isinstance(row, Registration):
            self._latest[row.kind, row.key] = row
            self._trials_head = link
        elif isinstance(row, Seal):
            self._seals[row] = None
        else:
            self._openings[row.look] = row

    def _noted_end(self) -> tuple[int, str]:
        """Rows, and the hash after them, that were noted last."""
        if not self._end.exists():
            return 0, GENESIS
        try:
            end = read_json(self._end)
            return int(end["size"]), str(end["head"])
        except (StorageError, KeyError, TypeError, ValueError) as error:
            why = error.why if isinstance(error, StorageError) else repr(error)
            raise self._damaged(f"{END} cannot be read: {why}") from None

    def _damaged(self, why: str) -> RefusedError:
        return RefusedError(
            f"the trial register {self.path} was changed or cut",
            why=f"{why}; without it nobody can say how many trials were made",
            fix=f"restore {REGISTER} and {END} from a copy, or work in another workspace:"
            " genesis --home FOLDER",
        )


def _read_row(plain: Mapping[str, Any]) -> Registration | Seal | Opening:
    """A row without its link.

    Raises
    ------
    ValueError, StorageError
        If a key is missing or has another type.
    """
    if plain.get("kind") == SEAL:
        return msgspec.convert(dict(plain), Seal)
    if plain.get("kind") == OPENING:
        return Opening.from_plain(plain)
    return Registration.from_plain(plain)


def require_continued(known: Registration, ledger: TrialLedger) -> None:
    """Refuse a ledger that does not begin with the rows that are registered of it.

    Raises
    ------
    RefusedError
    """
    if ledger.holds(known.ledger_head, known.ledger_size):
        return
    raise changed_ledger(
        known,
        f"{known.ledger_size} rows are registered and it has {ledger.size}"
        if ledger.size < known.ledger_size
        else f"its first {known.ledger_size} rows are not those that are registered",
    )


def changed_ledger(known: Registration, why: str) -> RefusedError:
    """Error of a ledger that is not what is registered of it."""
    return RefusedError(
        f"the trial ledger of '{known.run_id}' was cut or changed",
        why=why,
        fix="restore its trials.jsonl from a copy; if there is none, remove the whole folder"
        f" {known.folder}: its {known.trials} registered trials count on",
    )
