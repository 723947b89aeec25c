"""Genomes to outcomes: through workers, and through a ledger so that nothing is computed twice.

The ledger is what makes a campaign resumable: the search is run again from its start and finds its
answers there, so that an interrupted campaign ends where an uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genesis.domain.canonical import canonical_json
from genesis.domain.errors import RefusedError
from genesis.evolution.files import append_lines, cut_torn_tail
from genesis.evolution.risk.measures import Outcome, outcome_of
from genesis.evolution.risk.worker import GROUP, rows_of, unit_of
from genesis.evolution.trials import GENESIS, chained_rows, linked
from genesis.evolution.work import Executor
from genesis.risk.genome import RiskGenome

Floats = npt.NDArray[np.float64]

ALL = -1
"""The batch that is all paths of a role."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Numbers of paths: of each role, of a training batch, and scenarios of one path."""

    train: int
    validation: int
    sealed: int
    batch: int
    books: int

    def groups(self, role: str, batch: int) -> range:
        """Groups of paths that a batch of a role is made of."""
        if batch == ALL:
            return range(getattr(self, role) // GROUP)
        size = self.batch // GROUP
        return range(batch * size, (batch + 1) * size)

    @property
    def batches(self) -> int:
        """Training batches, which generations go through in turn."""
        return self.train // self.batch

    def scenarios(self, role: str, batch: int) -> int:
        """Scenarios of a batch."""
        return len(self.groups(role, batch)) * GROUP * self.books


class Assessor:
    """Runs genomes on batches of scenarios.

    Parameters
    ----------
    executor : Executor
        Started with the campaign's job.
    paths : Paths
    ledger : Path or None
        JSON lines file, chained by hashes; None keeps nothing.
    told : callable, optional
        Told how many scenarios were simulated, as answers come.

    Attributes
    ----------
    simulated, recalled : int
        Scenarios that were simulated in this sitting, and taken from the ledger.

    Raises
    ------
    RefusedError
        If the ledger was changed.
    """

    def __init__(
        self,
        executor: Executor,
        paths: Paths,
        ledger: Path | None = None,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._executor = executor
        self.paths = paths
        self._ledger = ledger
        self._told = told
        self._known: dict[tuple[str, int, str], Outcome] = {}
        self._head = GENESIS
        self.genomes: set[str] = set()
        self.simulated = 0
        self.recalled = 0
        if ledger is not None and ledger.exists():
            cut_torn_tail(ledger)
            for row, _, link in chained_rows(ledger, self._broken):
                for name, numbers in row["outcomes"].items():
                    self._known[row["role"], row["batch"], name] = Outcome(**numbers)
                self._head = link

    def outcomes(self, role: str, batch: int, genomes: Sequence[RiskGenome]) -> list[Outcome]:
        """Outcomes of genomes on a batch, in their order.

        Raises
        ------
        ExecutorError
            If units fail on every worker.
        StorageError
            If the ledger cannot be written.
        """
        names = [genome.content_hash for genome in genomes]
        fresh = {
            n: g for n, g in zip(names, genomes, strict=True) if (role, batch, n) not in self._known
        }
        count = self.paths.scenarios(role, batch)
        self.recalled += (len(set(names)) - len(fresh)) * count
        if fresh:
            rows = self.rows(role, batch, list(fresh.values()))
            found = {name: outcome_of(rows[k]) for k, name in enumerate(fresh)}
            self._keep(role, batch, found)
        if role == "train":
            self.genomes.update(names)
        return [self._known[role, batch, name] for name in names]

    def rows(self, role: str, batch: int, genomes: Sequence[RiskGenome]) -> Floats:
        """Measures of each scenario, shape (genomes, scenarios, COLUMNS); not kept.

        The scenarios of one path are next to each other.
        """
        genes = [genome.genes for genome in genomes]
        groups = self.paths.groups(role, batch)
        units = [unit_of(k, role, group, genes) for k, group in enumerate(groups)]
        parts: dict[int, Floats] = {}
        for result in self._executor.run(units):
            parts[result.unit] = rows_of(result)
            count = parts[result.unit].shape[0] * parts[result.unit].shape[1]
            self.simulated += count
            self._told(count)
        return np.concatenate([parts[k] for k in range(len(units))], axis=1)

    def _keep(self, role: str, batch: int, found: dict[str, Outcome]) -> None:
        row = {
            "role": role,
            "batch": batch,
            "outcomes": {name: outcome.to_plain() for name, outcome in found.items()},
        }
        if self._ledger is not None:
            head = linked(self._head, canonical_json(row))
            append_lines(self._ledger, [{**row, "hash": head}])
            self._head = head
        for name, outcome in found.items():
            self._known[role, batch, name] = outcome

    def _broken(self, place: int, why: str) -> RefusedError:
        return RefusedError(
            f"{self._ledger}: row {place} does not fit the chain of hashes",
            why=why,
            fix="start a new campaign: genesis risk evolve",
        )
