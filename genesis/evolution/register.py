"""The trial register: how many trials every study made on which data, whatever became of it.

Ledgers lie in run folders, which people delete. The register outlives them: an append-only,
hash-chained file of the workspace that a study writes when it begins and after each generation.
Where the chain ends is noted in a file beside it, so that a register that was cut shows as well
as one that was changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genesis.domain.canonical import canonical_json
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.files import append_lines, cut_torn_tail, read_json, write_json
from genesis.evolution.registration import STUDY, Key, Registration, study_registration
from genesis.evolution.trials import GENESIS, TrialLedger, linked
from genesis.market.atomic_file import exclusive

SCHEMA = 1
REGISTER = "register.jsonl"
END = "register.end.json"


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
        self._latest: dict[tuple[str, Key], Registration] = {}

    @property
    def head(self) -> str:
        """Hash of the chain."""
        self._catch_up()
        return self._heads[-1]

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
            plain = {"schema": SCHEMA, **row.to_plain()}
            link = linked(self._heads[-1], canonical_json(plain))
            append_lines(self.path, [{**plain, "hash": link}])
            self._catch_up()
            write_json(self._end, {"schema": SCHEMA, "size": self._size, "head": link})
            return True

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
        end: dict[str, Any] = {"size": 0, "head": GENESIS}
        if self._end.exists():
            end = read_json(self._end)
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
        if end["size"] > self._size or self._heads[end["size"]] != end["head"]:
            raise self._damaged("rows at its end are missing or were written anew")

    def _take(self, line: bytes) -> None:
        try:
            plain = json.loads(line)
            claimed = plain.pop("hash", "")
            link = linked(self._heads[-1], canonical_json(plain))
            row = Registration.from_plain(plain)
        except (ValueError, AttributeError, StorageError) as error:
            raise self._damaged(f"row {self._size + 1} cannot be read: {error}") from None
        if link != claimed:
            raise self._damaged(f"row {self._size + 1} does not fit the chain of hashes")
        self._heads.append(link)
        self._latest[row.kind, row.key] = row
        self._read += len(line)

    def _damaged(self, why: str) -> RefusedError:
        return RefusedError(
            f"the trial register {self.path} was changed or cut",
            why=f"{why}; without it nobody can say how many trials were made",
            fix=f"restore {REGISTER} and {END} from a copy, or work in another workspace:"
            " genesis --home FOLDER",
        )


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
        fix="restore its trials.jsonl from a copy; if there is none, remove the whole folder of"
        f" '{known.run_id}': its {known.trials} registered trials count on",
    )
