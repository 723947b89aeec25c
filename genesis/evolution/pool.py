"""The genetic strategy pool: islands breed, an executor scores, the archive remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from genesis.domain.clock import Clock
from genesis.domain.errors import RefusedError, StorageError
from genesis.evolution.archive import Archive
from genesis.evolution.brood import Brood, StudyIdentity, families_of, repaired
from genesis.evolution.candidate import Candidate, Score
from genesis.evolution.checkpoint import Checkpoint
from genesis.evolution.config import StudyConfig
from genesis.evolution.evaluation import BLOCK, ML_BLOCK, BatchEvaluator, Effort, ScoreBlocks
from genesis.evolution.islands import Island, deal, migrate, sizes
from genesis.evolution.metrics import EvolutionMetrics
from genesis.evolution.operators import Rates, Variation
from genesis.evolution.progress import GenerationReport, measure
from genesis.evolution.randomness import stream
from genesis.evolution.selection import Survival
from genesis.evolution.trials import Trial, TrialLedger
from genesis.evolution.work import Executor
from genesis.market.panel import Panel
from genesis.strategy.genome import Genome, from_plain
from genesis.strategy.registry import SeedRegistry

__all__ = ["GeneticStrategyPool", "StudyIdentity", "families_of"]

ML_ISLAND = "ml"
RANDOM_ARM = "random"
_DRAWS = 50


class GeneticStrategyPool:
    """The search of one study; its course is a pure function of config, data, code and seed.

    Parameters
    ----------
    config : StudyConfig
    registry : SeedRegistry
        With the user's families loaded.
    panel : Panel
        The searched part; the sealed tail never gets here.
    executor : Executor
        Started.
    ledger : TrialLedger
    score : callable
        Blocks and candidates to scores, see `genesis.evolution.fitness.ScoreRule.scores`.
    identity : StudyIdentity
    clock : Clock

    Attributes
    ----------
    generation : int
        Last whole generation, -1 before the first.
    archive : Archive
    islands : list of Island
    ml_island : Island or None
    book, scores : dict
        Candidates and scores of the search by key, the ML island's included.
    """

    def __init__(
        self,
        config: StudyConfig,
        registry: SeedRegistry,
        panel: Panel,
        executor: Executor,
        ledger: TrialLedger,
        *,
        score: ScoreBlocks,
        identity: StudyIdentity,
        clock: Clock,
    ) -> None:
        self.config = config
        self.identity = identity
        self.ledger = ledger
        self.executor = executor
        self.generation = -1
        self.elapsed_s = 0.0
        self.book: dict[str, Candidate] = {}
        self.scores: dict[str, Score] = {}
        self.random_scores: dict[str, Score] = {}
        self.counters: Counter[str] = Counter()
        self.archive = Archive(lambda name: str(registry.get(name).kind))
        self._registry = registry
        self.symbols = len(panel.symbols)
        self._clock = clock
        self._evaluator = BatchEvaluator(executor, self.symbols, score, clock)
        self._max_warmup = int(config.constraints.max_warmup * panel.bars)
        self._fields = (
            ("funding",) if panel.symbols and all(s.has_funding for s in panel.symbols) else ()
        )
        ordinary, fitting = families_of(config, registry, panel)
        self.islands = self._ordinary_islands(ordinary)
        self.ml_island = self._ml_island(fitting)
        self._random = self._variation(ordinary or fitting)

    def _ordinary_islands(self, families: Sequence[str]) -> list[Island]:
        if not families:
            return []
        evolution = self.config.evolution
        count = evolution.islands
        dealt = deal(families, count, evolution.specialise)
        return [
            self._island(f"island-{place}", dealt[place], size)
            for place, size in enumerate(sizes(evolution.population_size, count))
        ]

    def _ml_island(self, families: Sequence[str]) -> Island | None:
        settings = self.config.evolution.ml_island
        if not families or not settings.enabled:
            return None
        return self._island(ML_ISLAND, families, settings.population_size)

    def _island(self, name: str, families: Sequence[str], size: int) -> Island:
        evolution = self.config.evolution
        return Island(
            name, self._variation(families), Survival(size, evolution.elite_ratio), evolution.seed
        )

    def _variation(self, families: Sequence[str]) -> Variation:
        evolution = self.config.evolution
        rates = Rates(
            mutation=evolution.mutation_rate,
            crossover=evolution.crossover_rate,
            immigrants=evolution.immigrants,
            library=evolution.library,
            filters=evolution.filters,
        )

        def legal(genome: Genome) -> Genome:
            return repaired(genome, self._registry, self._max_warmup)

        return Variation(self._registry, families, legal, rates, self._fields)

    @property
    def all_islands(self) -> list[Island]:
        """Ordinary islands and the ML island, in order."""
        return [*self.islands, *([self.ml_island] if self.ml_island else [])]

    @property
    def evaluations(self) -> int:
        """Genomes times symbols evaluated for the search so far, without the random arm."""
        return self.symbols * (self.counters["search"] + self.counters["ml"])

    @property
    def finished(self) -> bool:
        """Whether all generations are done or the budget is spent."""
        evolution = self.config.evolution
        spent = evolution.budget is not None and self.counters["search"] >= evolution.budget
        return self.generation + 1 >= evolution.generations or (spent and bool(self.islands))

    def ask(self) -> Brood:
        """Breed the next generation: the children of each island, and who is new among them."""
        generation = self.generation + 1
        brood = Brood(generation, {})
        pending: set[str] = set()
        budget = self.config.evolution.budget
        room = None if budget is None else budget - self.counters["search"]
        for island in self.islands:
            children = island.brood(generation, self.scores, island.survival.size)
            room = self._take(brood, brood.search, island.name, children, pending, room)
        if self.ml_island is not None:
            room = self.config.evolution.ml_island.budget - self.counters["ml"]
            island = self.ml_island
            size = min(island.survival.size, room)
            children = island.brood(generation, self.scores, size) if size > 0 else []
            self._take(brood, brood.ml, island.name, children, pending, room)
        return brood

    def _take(
        self,
        brood: Brood,
        arm: list[tuple[str, Candidate]],
        island: str,
        children: Sequence[Candidate],
        pending: set[str],
        room: int | None,
    ) -> int | None:
        kept: list[Candidate] = []
        for child in children:
            if child.key in self.scores or child.key in pending:
                brood.reused += 1
            elif room is not None and room <= 0:
                continue  # the budget is spent: the brood is cut
            else:
                pending.add(child.key)
                arm.append((island, child))
                room = None if room is None else room - 1
            kept.append(child)
        brood.children[island] = kept
        return room

    def tell(self, brood: Brood) -> None:
        """Let the children compete, migrate at epochs, and offer the new ones to the archive.

        The scores of all children must be in `scores`.
        """
        for island in self.all_islands:
            island.absorb(brood.children.get(island.name, []), self.scores)
        every = self.config.evolution.migration_every
        if brood.generation > 0 and brood.generation % every == 0:
            migrate(self.islands, self.config.evolution.migrants, self.scores)
        for _, candidate in (*brood.search, *brood.ml):
            self.archive.insert(candidate, self.scores[candidate.key], self.symbols)
        self.generation = brood.generation

    def step(self) -> EvolutionMetrics:
        """Run one generation: breed, evaluate, write the ledger, select."""
        began = self._clock.monotonic()
        brood = self.ask()
        efforts = {
            "search": self._evaluate(brood.generation, brood.search, "search", BLOCK),
            "ml": self._evaluate(brood.generation, brood.ml, "ml", ML_BLOCK),
        }
        random_children = self._draw_random(brood.generation, len(brood.search))
        efforts["random"] = self._evaluate_random(brood.generation, random_children)
        self.tell(brood)
        seconds = self._clock.monotonic() - began
        self.elapsed_s += seconds
        return measure(self, GenerationReport(brood, efforts, seconds))

    def evolve(self, listeners: Sequence[Callable[[EvolutionMetrics], None]] = ()) -> Archive:
        """Run the remaining generations, telling each listener after each of them."""
        while not self.finished:
            metrics = self.step()
            for listener in listeners:
                listener(metrics)
        return self.archive

    def _evaluate(
        self, generation: int, arm: Sequence[tuple[str, Candidate]], name: str, block: int
    ) -> Effort:
        # What the random arm has evaluated already is a new trial of the search, but no new work.
        todo = [c for _, c in arm if c.key not in self.random_scores]
        found, effort = self._evaluator.evaluate(todo, block)
        fresh = {c.key: s for c, s in zip(todo, found, strict=True)}
        trials = []
        for island, candidate in arm:
            score = fresh.get(candidate.key) or self.random_scores[candidate.key]
            self.scores[candidate.key] = score
            self.book[candidate.key] = candidate
            trials.append(self._trial(generation, island, "search", candidate, score))
        self.ledger.append(trials)
        self.counters[name] += len(arm)
        return effort

    def _draw_random(self, generation: int, count: int) -> list[Candidate]:
        if not self.config.evolution.random_arm:
            return []
        drawn: dict[str, Candidate] = {}
        with stream(self.config.evolution.seed, RANDOM_ARM, generation) as rng:
            for _ in range(_DRAWS * count):
                if len(drawn) == count:
                    break
                genome = self._random.fresh(rng)
                if genome.key not in self.random_scores:
                    drawn.setdefault(genome.key, Candidate(genome, "random"))
        return list(drawn.values())

    def _evaluate_random(self, generation: int, children: Sequence[Candidate]) -> Effort:
        todo = [c for c in children if c.key not in self.scores]
        found, effort = self._evaluator.evaluate(todo)
        fresh = {c.key: s for c, s in zip(todo, found, strict=True)}
        trials = []
        for candidate in children:
            score = fresh.get(candidate.key) or self.scores[candidate.key]
            self.random_scores[candidate.key] = score
            trials.append(self._trial(generation, RANDOM_ARM, "random", candidate, score))
        self.ledger.append(trials)
        self.counters["random"] += len(children)
        return effort

    def _trial(
        self, generation: int, island: str, role: str, candidate: Candidate, score: Score
    ) -> Trial:
        return Trial(
            study=self.identity.study_hash,
            data=self.identity.dataset_hash,
            generation=generation,
            island=island,
            role=role,
            genome=candidate.key,
            plain=candidate.genome.plain(),
            origin=candidate.origin,
            parents=candidate.parents,
            score=score.to_plain(),
        )

    def state(self) -> Checkpoint:
        """State after the last whole generation."""
        return Checkpoint(
            config_hash=self.identity.config_hash,
            dataset_hash=self.identity.dataset_hash,
            code_hash=self.identity.code_hash,
            generation=self.generation,
            populations={i.name: [c.key for c in i.population] for i in self.all_islands},
            archive=self.archive.state(),
            ledger_size=self.ledger.size,
            ledger_head=self.ledger.head,
            counters={name: self.counters[name] for name in ("search", "ml", "random")},
            elapsed_s=self.elapsed_s,
        )

    def restore(self, state: Checkpoint) -> None:
        """Go back to a checkpoint, with genomes and scores from the ledger.

        Raises
        ------
        RefusedError
            If the ledger is shorter than the checkpoint says or another one, or the islands are
            not those of the configuration.
        StorageError
            If the ledger lacks a genome.
        """
        if self.ledger.head_at(state.ledger_size) != state.ledger_head:
            raise RefusedError(
                f"the ledger {self.ledger.path} is not the one of the checkpoint",
                why="its rows are others than those that the checkpoint was written after",
                fix="restore both files from a copy, or start a new run",
            )
        for row in self.ledger.rows(state.ledger_size):
            candidate = Candidate(from_plain(row["plain"]), row["origin"], tuple(row["parents"]))
            if row["role"] == "random":
                self.random_scores[candidate.key] = Score.from_plain(row)
            else:
                self.scores[candidate.key] = Score.from_plain(row)
                self.book[candidate.key] = candidate
        if set(state.populations) != {island.name for island in self.all_islands}:
            raise RefusedError("the checkpoint's islands are not those of the configuration")
        try:
            for island in self.all_islands:
                island.population = [self.book[k] for k in state.populations[island.name]]
            self.archive.restore(state.archive, self.book, self.scores, self.symbols)
        except KeyError as error:
            raise StorageError(f"the ledger lacks the genome {error}") from None
        self.generation = state.generation
        self.counters = Counter(state.counters)
        self.elapsed_s = state.elapsed_s
