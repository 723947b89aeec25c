"""The archive: the best candidates of every kind of behaviour (MAP-Elites, Mouret & Clune 2015).

A cell is (kind of family, net exposure, holding time, turnover). Each keeps its best four, in a
total order, and one of candidates with equal behaviour, the simpler one, whatever the cell.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genesis.domain.canonical import content_hash
from genesis.evolution.candidate import Candidate, Score, preference

DEPTH = 4
# Bin edges in bars and in traded notional per year over capital.
HOLDING_EDGES = (3.0, 10.0, 30.0, 100.0, 300.0)
TURNOVER_EDGES = (1.0, 4.0, 16.0)
# Share of the held bars that are long: mostly short, mixed, mostly long.
LONG_EDGES = (0.25, 0.75)
_SIDES = ("short", "both", "long")


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate in its cell with its score and the number of its evaluations."""

    cell: str
    candidate: Candidate
    score: Score
    evaluations: int


class Archive:
    """Cells of behaviour.

    Parameters
    ----------
    kind_of : callable
        Family name to the kind of the family.
    """

    def __init__(self, kind_of: Callable[[str], str]) -> None:
        self._kind_of = kind_of
        self._cells: dict[str, list[Entry]] = {}
        self._twins: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._cells)

    def cell_of(self, candidate: Candidate, score: Score) -> str:
        """Cell of a valid candidate, as ``trend/long/h2/t1``."""
        holding = bisect.bisect_left(HOLDING_EDGES, score.measures["holding_bars"])
        turnover = bisect.bisect_left(TURNOVER_EDGES, score.measures["turnover"])
        side = _SIDES[bisect.bisect_left(LONG_EDGES, score.measures["long_share"])]
        kind = self._kind_of(candidate.genome.family)
        return f"{kind}/{side}/h{holding}/t{turnover}"

    def insert(self, candidate: Candidate, score: Score, evaluations: int) -> bool:
        """Offer a candidate; tell whether it has a place now. An invalid one never has."""
        if not score.valid:
            return False
        entry = Entry(self.cell_of(candidate, score), candidate, score, evaluations)
        twin = self._twins.get(score.phenotype)
        if twin is not None:
            if _simplicity(twin) <= _simplicity(entry):
                return twin.candidate.key == candidate.key
            self._remove(twin)
        cell = self._cells.setdefault(entry.cell, [])
        cell.append(entry)
        cell.sort(key=_rank)
        self._twins[score.phenotype] = entry
        if len(cell) > DEPTH:
            self._remove(cell[-1])
        return self._twins.get(score.phenotype) is entry

    def _remove(self, entry: Entry) -> None:
        cell = self._cells[entry.cell]
        cell.remove(entry)
        if not cell:
            del self._cells[entry.cell]
        del self._twins[entry.score.phenotype]

    def entries(self) -> Iterator[Entry]:
        """Entries by cell name, best first within a cell."""
        for name in sorted(self._cells):
            yield from self._cells[name]

    def elites(self) -> list[Entry]:
        """Best entry of each cell, best first."""
        return sorted((cell[0] for cell in self._cells.values()), key=_rank)

    def best(self, count: int, *, feasible: bool = False) -> list[Entry]:
        """Best ``count`` entries over all cells, only feasible ones if asked."""
        all_ = sorted(self.entries(), key=_rank)
        return [e for e in all_ if e.score.feasible or not feasible][:count]

    @property
    def archive_hash(self) -> str:
        """SHA-256 over (cell, genome, objectives, evaluations) of the entries in order."""
        return content_hash(
            [
                [e.cell, e.candidate.genome.plain(), e.score.objectives, e.evaluations]
                for e in self.entries()
            ]
        )

    def state(self) -> dict[str, list[str]]:
        """Cell to keys of genomes, for a checkpoint."""
        return {name: [e.candidate.key for e in self._cells[name]] for name in sorted(self._cells)}

    def restore(
        self,
        state: Mapping[str, list[str]],
        book: Mapping[str, Candidate],
        scores: Mapping[str, Score],
        evaluations: int,
    ) -> None:
        """Put a checkpoint's cells back."""
        self._cells.clear()
        self._twins.clear()
        for name, keys in state.items():
            self._cells[name] = [Entry(name, book[k], scores[k], evaluations) for k in keys]
            for entry in self._cells[name]:
                self._twins[entry.score.phenotype] = entry

    def to_plain(self) -> dict[str, Any]:
        """JSON form for people and reports: entries with genome, origin and score."""
        return {
            "schema": 1,
            "archive_hash": self.archive_hash,
            "axes": {
                "holding_bars": list(HOLDING_EDGES),
                "turnover_per_year": list(TURNOVER_EDGES),
                "long_share": list(LONG_EDGES),
            },
            "entries": [
                {
                    "cell": e.cell,
                    "key": e.candidate.key,
                    "family": e.candidate.genome.family,
                    "genome": e.candidate.genome.plain(),
                    "origin": e.candidate.origin,
                    "parents": list(e.candidate.parents),
                    "evaluations": e.evaluations,
                    "feasible": e.score.feasible,
                    **e.score.to_plain(),
                }
                for e in self.entries()
            ],
        }


def _rank(entry: Entry) -> tuple[Any, ...]:
    return preference(entry.candidate.key, entry.score)


def _simplicity(entry: Entry) -> tuple[int, str]:
    return entry.score.complexity, entry.candidate.key
