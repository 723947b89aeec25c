"""The journal of finished reruns: nothing is run twice, and nobody edits what came out.

A row's hash covers the row and the hash of the row before it, as in the trial ledger: a row that
was changed, taken out or moved shows. Rows at the end may go; they are computed again, and a
rerun has one outcome only.

Rows of an earlier version have no hashes. Nothing vouches for what they say, so it is not believed:
such a journal is put beside the new one, and its reruns are run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genesis.domain.canonical import canonical_json, content_hash
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.files import append_lines, cut_torn_tail, read_lines
from genesis.evolution.run import runs_folder
from genesis.evolution.study_ledgers import origins_folder
from genesis.evolution.trials import GENESIS, chained_rows, linked
from genesis.market.atomic_file import storage_error

JOURNAL = "surrogates.jsonl"
UNCHAINED = "surrogates.unchained.jsonl"
EVIDENCE = "evidence"


class SurrogateJournal:
    """Finished reruns of a study, one line each.

    Rows belong to a fingerprint (study, version, seed); others are left alone. A rerun is
    evidence, not a trial: it has the role ``surrogate`` and is never counted.

    Parameters
    ----------
    path : Path
        JSON lines file; made when missing, a torn last line is cut off.
    fingerprint : str
    look : bool
        Only look: a torn last line is passed over, and so is a journal of an earlier version.
        Nothing may be added then.

    Raises
    ------
    RefusedError
        If a row was changed, taken out or moved.
    StorageError
        If a journal of an earlier version cannot be put aside.
    """

    def __init__(self, path: Path, fingerprint: str, *, look: bool = False) -> None:
        self._path = path
        self._fingerprint = fingerprint
        self._head = GENESIS
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}
        if not look:
            cut_torn_tail(path)
        if _unchained(path):
            if not look:
                _put_aside(path)
            return
        for row, _, link in chained_rows(path, self._changed):
            self._head = link
            if row.get("fingerprint") == fingerprint:
                self._rows[row["kind"], row["index"]] = row

    def get(self, kind: str, index: int) -> dict[str, Any] | None:
        """Row of a rerun, if it is finished."""
        return self._rows.get((kind, index))

    def finished(self, kind: str, draws: int) -> int:
        """How many of the first ``draws`` reruns are finished."""
        return sum((kind, index) in self._rows for index in range(draws))

    def digest(self, kind: str, draws: int) -> str:
        """Hash of the first ``draws`` reruns, in whatever order they were finished."""
        return content_hash([self._rows[kind, index] for index in range(draws)])

    def add(self, kind: str, index: int, answer: Mapping[str, Any]) -> None:
        """Keep a finished rerun."""
        row = {
            "role": "surrogate",
            "fingerprint": self._fingerprint,
            "kind": kind,
            "index": index,
            **answer,
        }
        link = linked(self._head, canonical_json(row))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        append_lines(self._path, [{**row, "hash": link}])
        self._head = link
        self._rows[kind, index] = row

    def _changed(self, place: int, why: str) -> RefusedError:
        return RefusedError(
            f"the finished reruns in {self._path} were changed: row {place} does not fit the chain"
            " of hashes",
            why=why,
            fix=f"delete {self._path} and validate again: the reruns are computed again",
        )


def _unchained(path: Path) -> bool:
    """Whether there are rows, and none of them has a link."""
    try:
        rows = list(read_lines(path))
    except StorageError:
        return False
    return bool(rows) and all(isinstance(row, dict) and "hash" not in row for row in rows)


def _put_aside(path: Path) -> None:
    try:
        path.replace(path.with_name(UNCHAINED))
    except OSError as error:
        raise storage_error(f"cannot rename {path}", error) from None


def refuse_changed_reruns(home: Path, strategy: str, facts: Mapping[str, Any]) -> None:
    """Refuse a dossier that stands on other reruns than the journal of its run has.

    Reruns that are not there any more are no contradiction: their numbers are in the dossier, and
    a new validation computes them again.

    Parameters
    ----------
    home : Path
        Workspace.
    strategy : str
    facts : mapping
        Of the dossier.

    Raises
    ------
    RefusedError
    """
    run = str(facts.get("run_id"))
    folders = [runs_folder(home) / run, *sorted(origins_folder(home).glob(f"{run}-*"))]
    for name, tested in facts.get("details", {}).items():
        # Dossiers of earlier versions are not bound to their reruns.
        if not name.startswith("permutation_") or not tested.get("digest"):
            continue
        kind, draws = tested["kind"], len(tested["null"])
        for folder in folders:
            path = folder / EVIDENCE / JOURNAL
            journal = SurrogateJournal(path, tested["fingerprint"], look=True)
            if journal.finished(kind, draws) < draws:
                continue
            if journal.digest(kind, draws) != tested["digest"]:
                raise RefusedError(
                    f"the dossier of {strategy} was made from other reruns than are here",
                    why=f"{path} has others of the kind '{kind}'",
                    fix=f"delete {path} and make the dossier again: genesis validate {strategy}",
                )
