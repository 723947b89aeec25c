"""The trial ledger: every evaluation of a study, in order, append only, hash-chained.

A row's hash covers the row and the hash of the row before it, so that a changed, dropped or
inserted row shows. Rows are written by the driver in submission order; a row whose (study,
generation, role, genome, data) is already there is not written again, so that a generation
repeated after a crash leaves the ledger as if it had run once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.domain.canonical import canonical_json
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.files import append_lines, cut_torn_tail, read_lines

SCHEMA = 1
GENESIS = "0" * 64
COUNTED = ("search", "random", "human")
STORED = ("lottery", "surrogate")


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluation.

    Attributes
    ----------
    study, data : str
        Hashes of the study and of the searched data.
    generation : int
    island : str
    role : str
        ``search``, ``random``, ``human`` count as trials; ``lottery``, ``surrogate`` do not.
    genome : str
        Key of the genome.
    plain : mapping
        The genome itself.
    origin : str
    parents : tuple of str
    score : mapping
        `Score.to_plain`.
    """

    study: str
    data: str
    generation: int
    island: str
    role: str
    genome: str
    plain: Mapping[str, Any]
    origin: str
    parents: tuple[str, ...]
    score: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """JSON form without its place in the chain."""
        return {
            "schema": SCHEMA,
            "study": self.study,
            "data": self.data,
            "generation": self.generation,
            "island": self.island,
            "role": self.role,
            "genome": self.genome,
            "plain": dict(self.plain),
            "origin": self.origin,
            "parents": list(self.parents),
            **self.score,
        }


class TrialLedger:
    """Ledger of one run. Not thread-safe: the driver owns it.

    Parameters
    ----------
    path : Path or None
        JSON lines file; made when missing, a torn last line is cut off. None keeps chain and
        counts in memory only, for a search that is run again on surrogate markets: nothing is
        written and `rows` is empty.
    look : bool
        Only look: a torn last line, which a running study may be writing, is passed over, not
        cut off. Nothing may be appended then.

    Attributes
    ----------
    head : str
        Hash of the chain.
    size : int
        Rows.
    roles : Counter
        Rows by role.
    phenotypes : set of str
        Behaviours of the valid counted trials: trials that differ in nothing but their spelling
        are one look at the data.
    genomes : set of str
        Keys of every genome that was evaluated.

    Raises
    ------
    RefusedError
        If the chain is broken: a row was changed, dropped or inserted.
    """

    def __init__(self, path: Path | None, *, look: bool = False) -> None:
        self.path = path
        self.torn_bytes = 0 if path is None or look else cut_torn_tail(path)
        self.head = GENESIS
        self.size = 0
        self._rows: dict[tuple[Any, ...], str] = {}
        self._heads = [GENESIS]
        self.roles: Counter[str] = Counter()
        self.phenotypes: set[str] = set()
        self.genomes: set[str] = set()
        if path is not None:
            for row, text, link in chained_rows(path, self._broken):
                self._take(row, link, _digest(text))

    def append(self, trials: Iterable[Trial]) -> int:
        """Write trials that are not there yet and return how many were new.

        Raises
        ------
        StorageError
            If they cannot be written (nothing is then), or if a trial that is there already had
            another result: this machine then computes other numbers than the one before.
        """
        new: list[tuple[dict[str, Any], str, str]] = []
        fresh: dict[tuple[Any, ...], str] = {}
        head = self.head
        for trial in trials:
            row = trial.row()
            text = canonical_json(row)
            name, digest = _name(row), _digest(text)
            known = self._rows.get(name) or fresh.get(name)
            if known is None:
                head = linked(head, text)
                fresh[name] = digest
                new.append((row, head, digest))
            elif known != digest:
                raise StorageError(
                    f"genome {trial.genome[:12]} of generation {trial.generation} was evaluated"
                    " before with another result",
                    why="the machine, a library or a user family differs from the earlier sitting",
                    fix="resume where the run began, or start a new run",
                )
        if new and self.path is not None:
            append_lines(self.path, [{**row, "hash": link} for row, link, _ in new])
        for row, link, digest in new:
            self._take(row, link, digest)
        return len(new)

    def rows(self, stop: int | None = None) -> Iterable[dict[str, Any]]:
        """Rows in order, the first ``stop`` of them."""
        if self.path is None:
            return
        for at, row in enumerate(read_lines(self.path)):
            if stop is not None and at >= stop:
                return
            yield row

    def head_at(self, size: int) -> str:
        """Hash of the chain after ``size`` rows.

        Raises
        ------
        RefusedError
            If the ledger is shorter.
        """
        if size >= len(self._heads):
            raise RefusedError(
                f"{self.path} has {self.size} rows, but {size} were written",
                why="the end of the file is missing",
                fix=_restore(self.path),
            )
        return self._heads[size]

    def holds(self, head: str, size: int | None = None) -> bool:
        """Whether a hash is on the chain, after ``size`` rows if that is given."""
        if size is None:
            return head in self._heads
        return size < len(self._heads) and self._heads[size] == head

    @property
    def trials(self) -> int:
        """Rows whose role counts as a trial."""
        return sum(self.roles[role] for role in COUNTED)

    def _broken(self, place: int, why: str) -> RefusedError:
        return RefusedError(
            f"{self.path}: row {place} does not fit the chain of hashes",
            why=why,
            fix=_restore(self.path),
        )

    def _take(self, row: Mapping[str, Any], link: str, digest: str) -> None:
        self._rows[_name(row)] = digest
        self._heads.append(link)
        self.roles[str(row["role"])] += 1
        self.genomes.add(str(row["genome"]))
        if row["role"] in COUNTED and row["status"] == "valid":
            self.phenotypes.add(str(row["phenotype"]))
        self.head = link
        self.size += 1


def _name(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in ("study", "generation", "role", "genome", "data"))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _restore(ledger: Path | None) -> str:
    """What whoever reads of a broken ledger can do."""
    if ledger is None:
        return "run the search again"
    config = ledger.with_name("config.yaml")
    return (
        f"restore {ledger} from a copy; without one, remove all but {config} from its folder and"
        f" run the study again: genesis evolve {config}"
    )


def chained_rows(
    path: Path, broken: Callable[[int, str], RefusedError]
) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Rows of a hash-chained file, each checked against all before it.

    Parameters
    ----------
    path : Path
        JSON lines, each with its link under ``hash``; a torn last line is left out.
    broken : callable
        Makes the error of a row, from its number and what is wrong.

    Yields
    ------
    row : dict
        Without its link.
    text : str
        Its canonical JSON.
    link : str

    Raises
    ------
    RefusedError
        As ``broken`` makes it, if a row was changed, dropped or inserted.
    """
    head, place = GENESIS, 0
    rows = read_lines(path)
    while True:
        place += 1
        try:
            row = next(rows)
            claimed = str(row.pop("hash", ""))
            text = canonical_json(row)
        except StopIteration:
            return
        except (StorageError, AttributeError, TypeError) as error:
            raise broken(place, f"it cannot be read: {error}") from None
        if linked(head, text) != claimed:
            raise broken(place, "a row was changed, dropped or inserted after it was written")
        head = claimed
        yield row, text, claimed


def linked(head: str, text: str) -> str:
    """SHA-256 (hex) of the chain's head followed by the canonical JSON of a row."""
    return hashlib.sha256(f"{head}{text}".encode()).hexdigest()
