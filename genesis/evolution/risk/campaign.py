"""A campaign: baselines, two searches, finalists on validation paths, ablation, the sealed test.

What the search may see narrows step by step. Genomes are bred on training paths of training
strategies; finalists and the genes that stay are chosen on validation paths of other strategies;
the sealed paths of a third set are drawn once, for one genome.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genesis.domain.canonical import content_hash
from genesis.domain.clock import Clock
from genesis.domain.timeline import YEAR_MS
from genesis.evolution.risk.ablation import GeneRow, eliminate
from genesis.evolution.risk.acceptance import Comparison, Floats, compare
from genesis.evolution.risk.assessor import ALL, Assessor, Paths
from genesis.evolution.risk.config import RiskConfig
from genesis.evolution.risk.levels import STEPS, LevelMap, level_map
from genesis.evolution.risk.measures import Outcome, outcome_of
from genesis.evolution.risk.paths import KINDS, PathKey
from genesis.evolution.risk.score import (
    Weights,
    scalar,
    search_objectives,
    volatility_target,
)
from genesis.evolution.risk.search import cma_es, nsga, random_start
from genesis.evolution.risk.source import CELL_NAMES
from genesis.risk.genome import GENES, NAMES, RiskGenome

TARGETS = 12
"""Volatility targets among which the plain manager gets its best one."""
_STREAMS = {"sealed": 90, "levels": 91}
_EXTRA_FINALISTS = 16


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign is.

    Attributes
    ----------
    stage : str
    generation, generations : int
        Of the stage.
    best : tuple of float or None
        Gain in growth, CDaR and CVaR of the best genome of the generation.
    genomes : int
        Genomes bred so far.
    per_second : float
        Simulated scenarios per second, this sitting.
    eta_s : float
        Seconds left, by the scenarios that are planned; NaN before the first is done.
    """

    stage: str
    generation: int
    generations: int
    best: tuple[float, float, float] | None
    genomes: int
    per_second: float
    eta_s: float


Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Winner:
    """What a campaign found, before anybody calls it accepted.

    Attributes
    ----------
    bred, genome : RiskGenome
        The best finalist, and what is left of it when genes that do not pay are set back.
    baseline : RiskGenome
        The plain volatility target.
    genes : tuple of GeneRow
    levels : LevelMap
    comparisons : tuple of Comparison
        Against the defaults and against the volatility target.
    tables : mapping
        Outcomes by regime and by kind of path, plain.
    archive : tuple of (str, tuple of float)
        The last population and the finalists: hash, and objectives on all training paths.
    """

    bred: RiskGenome
    genome: RiskGenome
    baseline: RiskGenome
    genes: tuple[GeneRow, ...]
    levels: LevelMap
    comparisons: tuple[Comparison, ...]
    tables: dict[str, Any]
    archive: tuple[tuple[str, tuple[float, ...]], ...]

    @property
    def archive_hash(self) -> str:
        """SHA-256 over the archive, in the order of the hashes."""
        return content_hash([[name, list(values)] for name, values in self.archive])


class Campaign:
    """Breeds one risk genome.

    Parameters
    ----------
    config : RiskConfig
    assessor : Assessor
    clock : Clock
        For the progress alone.
    listener : callable
    weights : Weights, optional
    """

    def __init__(
        self,
        config: RiskConfig,
        assessor: Assessor,
        clock: Clock,
        listener: Listener = lambda _: None,
        weights: Weights | None = None,
    ) -> None:
        self._config = config
        self._assess = assessor
        self._clock = clock
        self._listener = listener
        self._weights = weights or Weights()
        self._began = clock.monotonic()
        self._bases: list[RiskGenome] = [RiskGenome()]
        self._scalars: dict[str, list[float]] = {}
        self._genomes: dict[str, RiskGenome] = {}
        self._turn = 0

    def run(self) -> Winner:
        """Run all steps; see the module.

        Raises
        ------
        ExecutorError, StorageError
            If workers or the disk fail; the campaign can be resumed.
        """
        self._bases.append(self._volatility_target())
        bred_by_cma = [self._cma(run) for run in range(self._config.search.restarts + 1)]
        members = self._nsga(bred_by_cma)
        finalists, archive = self._finalists([*bred_by_cma, *members])
        bred = self._validated(finalists)
        self._tell("ablation", 0, 1, None)
        genome, genes = eliminate(
            bred,
            self._outcomes("validation", ALL, self._bases),
            lambda genomes: self._outcomes("validation", ALL, genomes),
            self._weights,
        )
        self._tell("levels", 0, 1, None)
        levels = level_map(
            genome,
            lambda genomes: self._assess.rows("validation", ALL, genomes),
            self._config.scenarios.books,
            self._rng("levels"),
        )
        comparisons, tables = self._sealed(genome)
        return Winner(
            bred, genome, self._bases[1], tuple(genes), levels, comparisons, tables, archive
        )

    # ---- steps -----------------------------------------------------------------------------

    def _volatility_target(self) -> RiskGenome:
        """The plain manager with the target that suits the training paths best."""
        self._tell("baselines", 0, 1, None)
        gene = next(g for g in GENES if g.name == "target_volatility")
        plain = [volatility_target(gene.from_unit(k / (TARGETS - 1))) for k in range(TARGETS)]
        default, *found = self._outcomes("train", ALL, [RiskGenome(), *plain])
        free = replace(self._weights, penalty=0.0)
        scores = [
            scalar(outcome, [default], genome, free)
            for outcome, genome in zip(found, plain, strict=True)
        ]
        return plain[int(np.argmax(scores))]

    def _cma(self, run: int) -> RiskGenome:
        search = self._config.search
        stage = f"CMA-ES {run + 1} of {search.restarts + 1}"

        def scores(generation: int, genomes: Sequence[RiskGenome]) -> list[float]:
            found, bases = self._on_next_batch(genomes)
            values = [
                scalar(outcome, bases, genome, self._weights)
                for outcome, genome in zip(found, genomes, strict=True)
            ]
            self._remember(genomes, values)
            best = int(np.argmax(values))
            gains = search_objectives(found[best], bases, genomes[best], 0.0)
            self._tell(stage, generation + 1, search.generations, gains)
            return values

        start = RiskGenome().unit() if run == 0 else random_start(self._config.seed, run)
        return cma_es(
            scores,
            start,
            step=search.step,
            size=search.offspring,
            generations=search.generations,
            seed=self._config.seed + run,
        )

    def _nsga(self, first: Sequence[RiskGenome]) -> list[RiskGenome]:
        search = self._config.search
        bred = self._promising(search.population // 2)

        def objectives(
            generation: int, genomes: Sequence[RiskGenome]
        ) -> list[tuple[float, float, float]]:
            del generation
            found, bases = self._on_next_batch(genomes)
            values = [
                scalar(outcome, bases, genome, self._weights)
                for outcome, genome in zip(found, genomes, strict=True)
            ]
            self._remember(genomes, values)
            return [
                search_objectives(outcome, bases, genome, self._weights.penalty)
                for outcome, genome in zip(found, genomes, strict=True)
            ]

        def told(
            generation: int, members: Sequence[RiskGenome], values: Sequence[tuple[float, ...]]
        ) -> None:
            del members
            best = max(values, key=lambda v: (min(v), v))
            self._tell("NSGA-II", generation + 1, search.rounds, (best[0], best[1], best[2]))

        return nsga(
            objectives,
            [*self._bases, *first, *bred],
            size=search.population,
            generations=search.rounds,
            seed=self._config.seed,
            told=told,
        )

    def _finalists(
        self, candidates: Sequence[RiskGenome]
    ) -> tuple[list[RiskGenome], tuple[tuple[str, tuple[float, ...]], ...]]:
        """Best genomes on all training paths, and the archive of all that came that far."""
        self._tell("finalists", 0, 2, None)
        extra = self._promising(_EXTRA_FINALISTS)
        pool = {g.content_hash: g for g in [RiskGenome(), *candidates, *extra]}
        genomes = list(pool.values())
        found = self._outcomes("train", ALL, genomes)
        scores = self._scored("train", genomes, found)
        ranked = sorted(genomes, key=lambda g: (-scores[g.content_hash], g.content_hash))
        archive = tuple(
            sorted((g.content_hash, o.objectives) for g, o in zip(genomes, found, strict=True))
        )
        return ranked[: self._config.search.finalists], archive

    def _validated(self, finalists: Sequence[RiskGenome]) -> RiskGenome:
        """Best finalist by the lesser of its scalars on training and on validation paths.

        The strategies of both roles are others, so that what pays for one set alone falls behind.
        The defaults are a finalist.
        """
        self._tell("finalists", 1, 2, None)
        genomes = list({g.content_hash: g for g in [*finalists, RiskGenome()]}.values())
        both = [
            self._scored(role, genomes, self._outcomes(role, ALL, genomes))
            for role in ("train", "validation")
        ]
        return min(
            genomes,
            key=lambda g: (-min(one[g.content_hash] for one in both), g.content_hash),
        )

    def _sealed(self, genome: RiskGenome) -> tuple[tuple[Comparison, ...], dict[str, Any]]:
        """The test, and what the three managers did by regime and by kind of path."""
        self._tell("sealed test", 0, 1, None)
        books, rules = self._config.scenarios.books, self._config.acceptance
        rows = self._assess.rows("sealed", ALL, [genome, *self._bases])
        names = ("bred", "defaults", "volatility target")
        comparisons = tuple(
            compare(names[k], rows[0], rows[k], books, rules, self._rng("sealed")) for k in (1, 2)
        )
        keys = [PathKey("sealed", k // books) for k in range(rows.shape[1])]
        tables = {
            "regimes": _table(names, rows, [CELL_NAMES[key.cell] for key in keys]),
            "kinds": _table(names, rows, [KINDS[key.kind] for key in keys]),
        }
        return comparisons, tables

    # ---- helpers ---------------------------------------------------------------------------

    def _on_next_batch(self, genomes: Sequence[RiskGenome]) -> tuple[list[Outcome], list[Outcome]]:
        """Outcomes of genomes on the next training batch, and those of the baselines."""
        batch = self._turn % self._assess.paths.batches
        self._turn += 1
        found = self._outcomes("train", batch, [*self._bases, *genomes])
        return found[len(self._bases) :], found[: len(self._bases)]

    def _outcomes(self, role: str, batch: int, genomes: Sequence[RiskGenome]) -> list[Outcome]:
        return self._assess.outcomes(role, batch, genomes)

    def _scored(
        self, role: str, genomes: Sequence[RiskGenome], found: Sequence[Outcome]
    ) -> dict[str, float]:
        """Scalars of genomes on all paths of a role, by hash."""
        bases = self._outcomes(role, ALL, self._bases)
        return {
            genome.content_hash: scalar(outcome, bases, genome, self._weights)
            for genome, outcome in zip(genomes, found, strict=True)
        }

    def _remember(self, genomes: Sequence[RiskGenome], values: Sequence[float]) -> None:
        for genome, value in zip(genomes, values, strict=True):
            name = genome.content_hash
            self._genomes[name] = genome
            self._scalars.setdefault(name, []).append(value)

    def _promising(self, count: int) -> list[RiskGenome]:
        """Genomes with the best mean scalar over the batches that they were scored on."""
        means = {name: sum(values) / len(values) for name, values in self._scalars.items()}
        ranked = sorted(means, key=lambda name: (-means[name], name))
        return [self._genomes[name] for name in ranked[:count]]

    def _rng(self, purpose: str) -> np.random.Generator:
        place = (_STREAMS[purpose],)
        return np.random.default_rng(np.random.SeedSequence(self._config.seed, spawn_key=place))

    def _tell(
        self,
        stage: str,
        generation: int,
        generations: int,
        best: tuple[float, float, float] | None,
    ) -> None:
        seconds = max(self._clock.monotonic() - self._began, 1e-9)
        rate = self._assess.simulated / seconds
        left = planned(self._config) - self._assess.simulated - self._assess.recalled
        self._listener(
            Progress(
                stage,
                generation,
                generations,
                best,
                len(self._assess.genomes),
                rate,
                max(left, 0) / rate if rate > 0.0 else math.nan,
            )
        )


def paths_of(config: RiskConfig) -> Paths:
    """Numbers of paths of a campaign."""
    one = config.scenarios
    return Paths(one.train, one.validation, one.sealed, one.batch, one.books)


def planned(config: RiskConfig) -> int:
    """Scenarios that a campaign simulates, about: how long the ablation is nobody knows before."""
    paths, search = paths_of(config), config.search
    batch, whole = paths.scenarios("train", 0), paths.scenarios("train", ALL)
    validation, sealed = (paths.scenarios(role, ALL) for role in ("validation", "sealed"))
    bred = (search.restarts + 1) * search.generations * search.offspring
    bred += 2 * search.population * search.rounds
    last = search.population + search.restarts + 1 + _EXTRA_FINALISTS
    ablation = len(NAMES) * len(NAMES) // 4
    return (
        bred * batch
        + (TARGETS + 1 + last) * whole
        + (search.finalists + ablation + STEPS * STEPS) * validation
        + 3 * sealed
    )


def _table(
    names: Sequence[str], rows: Floats, labels: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Outcomes by label and manager."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for label in dict.fromkeys(labels):
        chosen = np.array([one == label for one in labels])
        out[label] = {name: outcome_of(rows[k][chosen]).to_plain() for k, name in enumerate(names)}
    return dict(sorted(out.items()))


def scenarios_per_year(config: RiskConfig, interval_ms: int) -> float:
    """How many scenarios a year holds, for ratios per year."""
    return YEAR_MS / (config.scenarios.bars * interval_ms)
