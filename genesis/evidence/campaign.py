"""What is judged: a finished study, its trials, and the strategies that it brought forth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from genesis.domain.errors import InputError, RefusedError
from genesis.evidence.journal import EVIDENCE
from genesis.evidence.statistic import search_statistic
from genesis.evolution.archive import Archive
from genesis.evolution.brood import families_of
from genesis.evolution.candidate import Candidate as Tried
from genesis.evolution.candidate import Score, preference
from genesis.evolution.config import StudyConfig
from genesis.evolution.leaderboard import surviving
from genesis.evolution.material import StudyMaterial, study_material
from genesis.evolution.run import CONFIG, TRIALS, Run
from genesis.evolution.seals import sealed_bases
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.evolution.study_ledgers import origins_folder
from genesis.evolution.trials import COUNTED, TrialLedger
from genesis.evolution.work import StudyJob
from genesis.market.panel import Panel
from genesis.strategy.genome import Genome, from_plain

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A strategy that may be promoted: its record, its genome, its score in the search."""

    record: StoredStrategy
    genome: Genome
    score: Score

    @property
    def id(self) -> str:
        """Id of the strategy."""
        return self.record.id


class Campaign:
    """A finished study with everything that its evidence is computed from.

    Parameters
    ----------
    home : Path
        Workspace.
    run_id : str
    config : StudyConfig
    facts : mapping
        ``study.json``.
    trials : Path
        The study's ledger.
    folder : Path
        Where the evidence is kept.

    Raises
    ------
    RefusedError
        If data, configuration, code or ledger are not those that the study ran with.
    """

    def __init__(
        self,
        home: Path,
        run_id: str,
        config: StudyConfig,
        facts: dict[str, Any],
        trials: Path,
        folder: Path,
    ) -> None:
        self.home = home
        self.run_id = run_id
        self.config = config
        self.facts = facts
        self.folder = folder
        self.material: StudyMaterial = study_material(config, home)
        self._refuse_change()
        if not trials.exists():
            raise RefusedError(
                f"the trial ledger of {run_id} is missing",
                why=f"there is no {trials}: nobody can say how many trials were made",
                fix=f"restore it from a copy; without one, {_run_again(trials.parent)}",
            )
        self.ledger = TrialLedger(trials)
        if self.ledger.head != facts.get("ledger_head"):
            raise RefusedError(
                f"the trial ledger of {run_id} is not the one that the study ended with",
                why=f"its head is {self.ledger.head[:12]},"
                f" the study wrote {str(facts.get('ledger_head'))[:12]}",
                fix=f"restore {trials} from a copy; without one, {_run_again(trials.parent)}",
            )
        self._imported = trials.parent.parent == origins_folder(home)

    @staticmethod
    def of_run(run: Run, home: Path) -> Campaign:
        """Campaign of a run of the workspace, or of one that came with an imported strategy.

        Raises
        ------
        InputError
            If the run is not finished.
        RefusedError
            If it is another workspace's and wants code loaded.
        """
        run_id = str(run.study["run_id"])
        if run.folder.parent == origins_folder(home) and run.config.seeds.paths:
            raise RefusedError(
                f"the study {run_id} bred families of its owner's own files",
                why="what comes with an imported strategy must not decide which code is loaded",
                fix="validate it in the workspace that bred it",
            )
        if run.status != "finished":
            raise InputError(
                f"the run {run.id} is not finished ({run.status})",
                fix=f"go on with it first: genesis evolve --resume {run.id}",
            )
        return Campaign(
            home,
            run_id,
            run.config,
            run.study,
            run.folder / TRIALS,
            run.folder / EVIDENCE,
        )

    def _refuse_change(self) -> None:
        identity = self.material.identity
        for name in ("config_hash", "dataset_hash", "code_hash"):
            then, now = self.facts.get(name), getattr(identity, name)
            if then != now:
                what = name.removesuffix("_hash").replace("dataset", "data")
                raise RefusedError(
                    f"the {what} of {self.run_id} changed since the study ran",
                    why=f"its {what} hash was {str(then)[:12]} and is {now[:12]} now: a rerun on"
                    " surrogate markets would be another search",
                    fix="run the study again with this version and data, and validate that run:"
                    f" genesis evolve {self.folder.parent / CONFIG}",
                )

    @property
    def search(self) -> Panel:
        """The searched part of the data."""
        return self.material.search

    @property
    def bases(self) -> list[str]:
        """Base assets, as seals and trial register name them."""
        return sealed_bases(self.material.panel)

    @cached_property
    def job(self) -> StudyJob:
        """Job of the study, as its executors got it."""
        registry = self.material.registry
        return StudyJob(
            panel=self.search,
            setup=self.material.setup.plain(),
            seed_paths=self.config.seeds.paths,
            families=tuple(chain(*families_of(self.config, registry, self.search))),
            memory_bytes=self.config.evolution.ray_memory_per_worker * _MIB // 2,
        )

    @cached_property
    def rerun_config(self) -> StudyConfig:
        """Configuration of a rerun: the same search without its random arm, which is beside it."""
        evolution = msgspec.structs.replace(self.config.evolution, random_arm=False)
        return msgspec.structs.replace(self.config, evolution=evolution)

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """Rows of the ledger that count as trials."""
        return [row for row in self.ledger.rows() if row["role"] in COUNTED]

    @cached_property
    def phenotypes(self) -> list[str]:
        """Genome, as text, of each behaviour that the study tried, in order of first trial."""
        seen: dict[str, str] = {}
        for row in self.trials:
            if row["status"] == "valid":
                seen.setdefault(row["phenotype"], from_plain(row["plain"]).to_text())
        return list(seen.values())

    @cached_property
    def archive(self) -> Archive:
        """The study's archive, from its ledger."""
        registry = self.material.registry
        archive = Archive(lambda name: str(registry.get(name).kind))
        for row in self.trials:
            if row["role"] == "search":
                candidate = Tried(from_plain(row["plain"]), row["origin"], tuple(row["parents"]))
                archive.insert(candidate, Score.from_plain(row), len(self.search.symbols))
        return archive

    @cached_property
    def statistic(self) -> float | None:
        """What the search found; see `genesis.evidence.statistic`."""
        return search_statistic(self.archive)

    @cached_property
    def survivors(self) -> tuple[str, ...]:
        """Ids of the strategies that met the constraints and were stored, from the ledger."""
        entries = surviving(self.archive, self.material.registry)
        return tuple(strategy.id for entry, strategy in entries if entry.score.feasible)

    @cached_property
    def best_fitness(self) -> float | None:
        """Best fitness among feasible trials of the search."""
        return self._best("search")

    @cached_property
    def best_random(self) -> float | None:
        """The same of the random arm; None where there was none."""
        return self._best("random")

    def _best(self, role: str) -> float | None:
        values = [
            float(row["objectives"][0])
            for row in self.trials
            if row["role"] == role and row["status"] == "valid" and row["violation"] == 0.0
        ]
        return max(values, default=None)

    def candidates(self, most: int, only: str | None = None) -> list[Candidate]:
        """Survivors of the search that met its constraints, best first.

        Whether one did says the study's own ledger: a strategy that another run found first is
        stored with what it was there.

        Parameters
        ----------
        most : int
            How many are judged.
        only : str, optional
            Id of the one strategy to be judged, whatever its place.

        Raises
        ------
        RefusedError
            If a stored strategy is not what the ledger's genome expresses, or one that would have
            a place among those that are judged is not stored any more.
        """
        records = StrategyStore(self.home / "strategies").list()
        if only is None:
            self._refuse_missing({record.id for record in records})
        found = []
        for record in records:
            if self.run_id not in record.finders or only not in (None, record.id):
                continue
            row = self._row_of(record)
            score = Score.from_plain(row)
            if score.feasible:
                found.append(Candidate(record, from_plain(row["plain"]), score))
        found.sort(key=lambda c: preference(c.genome.key, c.score))
        return found[:most]

    def _refuse_missing(self, stored: set[str]) -> None:
        """Refuse to judge the next ones in the place of survivors that are gone.

        They would be opened on the sealed bars instead, by the choice of whoever deleted files.
        An imported study brings only the strategy that was exported.
        """
        gone = [name for name in self.survivors if name not in stored]
        if gone and not self._imported:
            raise RefusedError(
                f"{', '.join(gone[:3])}{', ...' if len(gone) > 3 else ''} of {self.run_id}:"
                f" {len(gone)} of {len(self.survivors)} survivors are not stored any more",
                why="the next best would be judged, and opened on the sealed bars, in their place",
                fix=f"restore them in {self.home / 'strategies'} from a copy, or store them again:"
                f" genesis evolve --resume {self.run_id}",
            )

    def _row_of(self, record: StoredStrategy) -> dict[str, Any]:
        """Row of the ledger in which a stored strategy was tried.

        Another run may have found it first, perhaps as another genome: then the one that
        expresses to it here is looked for, among those that met the constraints first.
        """
        express = self.material.registry.express
        valid = (r for r in self.trials if r["role"] == "search" and r["status"] == "valid")
        rows = {row["genome"]: row for row in valid}
        own = rows.get(record.genome)
        others = sorted(rows.values(), key=lambda row: row["violation"] > 0.0)
        for row in [own] if own is not None else others:
            if express(from_plain(row["plain"])).id == record.id:
                return row
        raise RefusedError(
            f"the ledger of {self.run_id} has no genome that expresses to {record.id}",
            why="the strategy's file or the ledger was changed, or belongs to another run",
            fix=f"restore them from a copy, or {_run_again(self.folder.parent)}",
        )


def _run_again(folder: Path) -> str:
    """What is left to do with a run whose ledger is lost."""
    return (
        f"remove all but {folder / CONFIG} from its folder and run the study again:"
        f" genesis evolve {folder / CONFIG}"
    )
