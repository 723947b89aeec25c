"""One study from configuration to leaderboard."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.canonical import content_hash
from genesis.domain.clock import Clock
from genesis.domain.errors import DataError, InputError, InterruptedRun, StorageError
from genesis.evolution.checkpoint import load_checkpoint, save_checkpoint
from genesis.evolution.config import StudyConfig
from genesis.evolution.fitness import ScoreRule
from genesis.evolution.identity import code_hash, versions
from genesis.evolution.leaderboard import records_of, rows_of, survivors
from genesis.evolution.metrics import EvolutionMetrics
from genesis.evolution.pool import GeneticStrategyPool, StudyIdentity, families_of
from genesis.evolution.run import Run
from genesis.evolution.run_writer import RunWriter, new_run_id
from genesis.evolution.seals import SealRegistry
from genesis.evolution.store import StrategyStore
from genesis.evolution.trials import TrialLedger
from genesis.evolution.work import Executor, StudyJob
from genesis.market.dataset import DatasetSpec, load, split_sealed
from genesis.market.panel import Panel
from genesis.market.store import BarStore
from genesis.strategy.genome import default_genome, express, repair, warmup_bars
from genesis.strategy.registry import SeedRegistry

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a study came to; `genesis evolve --json` prints it.

    ``evaluations`` counts genomes times symbols of the search, without the random arm;
    ``seconds`` is the time worked over all sittings.
    """

    run_id: str
    status: str
    archive_hash: str
    dataset_hash: str
    evaluations: int
    seconds: float
    leaderboard: tuple[dict[str, Any], ...]

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "leaderboard": list(self.leaderboard)}


class StudyListener(Protocol):
    """Told about a study as it goes; must not raise and must not block."""

    def on_start(self, run: Run) -> None:
        """Called once the run's folder exists."""
        ...

    def on_generation(self, metrics: EvolutionMetrics) -> None:
        """Called after each generation is safe on disk."""
        ...

    def on_finish(self, result: StudyResult) -> None:
        """Called when the leaderboard is written."""
        ...


def dataset_spec(config: StudyConfig) -> DatasetSpec:
    """Dataset that a configuration names."""
    data = config.dataset
    return DatasetSpec.of(
        data.venue,
        data.symbols,
        data.interval,
        data.start,
        data.end,
        funding=data.funding,
        sentiment=data.sentiment,
    )


def evaluation_setup(config: StudyConfig) -> EvaluationSetup:
    """How a study evaluates: costs, capital, leverage, folds, work budget."""
    costs = config.costs
    chosen: dict[str, Any] = {}
    if config.evolution.work_budget is not None:
        chosen["work_budget"] = config.evolution.work_budget
    return EvaluationSetup(
        costs=CostModel(taker=costs.taker, maker=costs.maker, slippage=costs.slippage),
        capital=costs.capital,
        leverage=costs.leverage,
        folds=config.split.folds,
        **chosen,
    )


def search_panel(config: StudyConfig, home: Path) -> Panel:
    """Searched part of a study's dataset; the sealed tail is cut off.

    Raises
    ------
    DataError
        If the store does not hold the dataset.
    """
    panel = load(BarStore(home / "data"), dataset_spec(config))
    return split_sealed(panel, config.split.sealed)[0]


@dataclass(frozen=True, slots=True)
class _Material:
    """What a study works on."""

    panel: Panel
    search: Panel
    sealed_start: int
    registry: SeedRegistry
    setup: EvaluationSetup
    identity: StudyIdentity

    def facts(self, config: StudyConfig) -> dict[str, Any]:
        """Facts of ``study.json``."""
        return {
            "study_hash": self.identity.study_hash,
            "config_hash": self.identity.config_hash,
            "dataset_hash": self.identity.dataset_hash,
            "code_hash": self.identity.code_hash,
            "dataset": self.panel.name,
            "bars": self.panel.bars,
            "searched_bars": self.search.bars,
            "searched_ms": list(self.searched_span),
            "sealed_ms": list(self.sealed_span),
            "unfunded_symbols": [s.symbol for s in self.search.symbols if not s.has_funding],
            "generations": config.evolution.generations,
            "seed": config.evolution.seed,
            "versions": versions(),
        }

    @property
    def searched_span(self) -> tuple[int, int]:
        """Span of the searched part, ``[start, end)`` in milliseconds UTC."""
        ts_ms = self.search.ts_ms
        return int(ts_ms[0]), int(ts_ms[-1]) + self.panel.interval_ms

    @property
    def sealed_span(self) -> tuple[int, int]:
        """Span of the sealed tail."""
        return self.searched_span[1], int(self.panel.ts_ms[-1]) + self.panel.interval_ms


def _material(config: StudyConfig, home: Path) -> _Material:
    panel = load(BarStore(home / "data"), dataset_spec(config))
    search, start = split_sealed(panel, config.split.sealed)
    registry = SeedRegistry(config.seeds.paths)
    _check_length(config, registry, search)
    code = code_hash(registry)
    identity = StudyIdentity(
        config_hash=config.config_hash,
        dataset_hash=panel.dataset_hash,
        code_hash=code,
        study_hash=content_hash([config.config_hash, panel.dataset_hash, code]),
    )
    return _Material(panel, search, start, registry, evaluation_setup(config), identity)


def _check_length(config: StudyConfig, registry: SeedRegistry, search: Panel) -> None:
    """Refuse a dataset on which no chosen family could ever signal."""
    limit = int(config.constraints.max_warmup * search.bars)
    names = [name for part in families_of(config, registry, search) for name in part]
    if not names:
        raise InputError(
            "no seed family is left to breed",
            why="every chosen one needs funding, which no symbol has, or its island is off",
            fix="add families to seeds.families, or set dataset.funding",
        )
    needs = {}
    for name in names:
        genome = repair(default_genome(registry.get(name)), registry, limit)
        needs[name] = warmup_bars(express(genome, registry.get(name)))
    least = min(needs, key=lambda name: (needs[name], name))
    if needs[least] > limit:
        raise DataError(
            f"the dataset is shorter than the warm-up: {search.bars} bars are searched,"
            f" of which {limit} may be warm-up",
            why=f"'{least}' needs the fewest, {needs[least]} bars, before its first signal",
            fix="use a longer span or a shorter interval, or raise constraints.max_warmup",
        )


def run_study(
    config: StudyConfig,
    home: Path,
    *,
    clock: Clock,
    executor: Executor,
    listeners: Sequence[StudyListener] = (),
    run_id: str | None = None,
    resume: bool = False,
) -> StudyResult:
    """Run or resume a study. The executor is started and closed here.

    Parameters
    ----------
    config : StudyConfig
        When resuming: as in the run's ``config.yaml``, up to what is no part of its identity.
    home : Path
        Workspace.
    clock : Clock
    executor : Executor
        Not started yet.
    listeners : sequence of StudyListener
    run_id : str, optional
        Made from the study's name and the time by default; required to resume.
    resume : bool
        Continue from the last checkpoint.

    Raises
    ------
    InputError
        If data, configuration or run id do not fit.
    RefusedError
        If the run is in use, the data is sealed, or config, data or code changed since.
    InterruptedRun
        If the user stopped it; the state is saved.
    InfrastructureError
        If workers, disk or cluster failed; the run can be resumed.
    """
    if resume and run_id is None:
        raise InputError("which run to resume?", fix="name it: genesis evolve --resume RUN")
    material = _material(config, home)
    writer = RunWriter(home, run_id or new_run_id(config.name, home, clock), clock)
    if resume and not writer.exists:
        writer.resume()  # raises before anything is made
    with writer.held(), _terminable():
        if resume:
            writer.resume()
        else:
            _seal(material, home, writer.run_id)
            writer.begin(config, material.facts(config))
        try:
            return _run(config, home, clock, executor, listeners, writer, material)
        except KeyboardInterrupt:
            writer.update(status="interrupted")
            raise InterruptedRun(
                f"the run '{writer.run_id}' was interrupted; its last whole generation is saved",
                fix=f"go on with: genesis evolve --resume {writer.run_id}",
            ) from None
        except BaseException as error:
            _mark_failed(writer, error)
            raise
        finally:
            executor.close()


def _run(
    config: StudyConfig,
    home: Path,
    clock: Clock,
    executor: Executor,
    listeners: Sequence[StudyListener],
    writer: RunWriter,
    material: _Material,
) -> StudyResult:
    for listener in listeners:
        listener.on_start(Run(writer.folder))
    executor.start(
        StudyJob(
            panel=material.search,
            setup=material.setup.plain(),
            seed_paths=config.seeds.paths,
            memory_bytes=config.evolution.ray_memory_per_worker * _MIB // 2,
        )
    )
    ledger = TrialLedger(writer.trials)
    pool = GeneticStrategyPool(
        config,
        material.registry,
        material.search,
        executor,
        ledger,
        score=ScoreRule.of(config, material.search, material.registry).scores,
        identity=material.identity,
        clock=clock,
    )
    if writer.checkpoint.exists():
        pool.restore(
            load_checkpoint(
                writer.checkpoint,
                config_hash=material.identity.config_hash,
                dataset_hash=material.identity.dataset_hash,
                code_hash=material.identity.code_hash,
            )
        )
    writer.cut_metrics(pool.generation)

    def keep(metrics: EvolutionMetrics) -> None:
        # The checkpoint comes last: what it names is on disk by then.
        writer.add_metrics(metrics)
        save_checkpoint(writer.checkpoint, pool.state())
        writer.update(
            generation=pool.generation,
            evaluations=pool.evaluations,
            seconds=pool.elapsed_s,
            archive_hash=pool.archive.archive_hash,
        )
        for listener in listeners:
            listener.on_generation(metrics)

    pool.evolve([keep])
    result = _finish(config, home, writer, material, pool)
    for listener in listeners:
        listener.on_finish(result)
    return result


def _finish(
    config: StudyConfig,
    home: Path,
    writer: RunWriter,
    material: _Material,
    pool: GeneticStrategyPool,
) -> StudyResult:
    archive = pool.archive
    writer.write_archive(archive.to_plain())
    ranked = survivors(archive, material.registry, material.search, material.setup)
    rows = rows_of(ranked, config.objectives)
    writer.write_leaderboard(rows)
    store = StrategyStore(home / "strategies")
    facts = {
        "run_id": writer.run_id,
        "dataset": material.panel.name,
        "study_hash": material.identity.study_hash,
        "dataset_hash": material.identity.dataset_hash,
        "config_hash": material.identity.config_hash,
        "code_hash": material.identity.code_hash,
    }
    for record in records_of(
        ranked, book=pool.book, ledger=pool.ledger, facts=facts, objectives=config.objectives
    ):
        store.put(record)
    writer.update(
        status="finished",
        archive_hash=archive.archive_hash,
        ledger_head=pool.ledger.head,
        trials=pool.ledger.trials,
        evaluations=pool.evaluations,
        seconds=pool.elapsed_s,
    )
    return StudyResult(
        run_id=writer.run_id,
        status="finished",
        archive_hash=archive.archive_hash,
        dataset_hash=material.identity.dataset_hash,
        evaluations=pool.evaluations,
        seconds=pool.elapsed_s,
        leaderboard=tuple(rows),
    )


def _seal(material: _Material, home: Path, run_id: str) -> None:
    """Seal the tail. Synthetic assets share names, not markets, with real ones."""
    prefix = "synth:" if material.panel.venue == "synth" else ""
    SealRegistry(home / "seals.json").register(
        run_id,
        material.panel.name,
        [prefix + s.instrument.base for s in material.panel.symbols],
        material.searched_span,
        material.sealed_span,
    )


def _mark_failed(writer: RunWriter, error: BaseException) -> None:
    try:
        writer.update(status="failed", error=f"{type(error).__name__}: {error}".split("\n")[0])
    except (OSError, StorageError):
        return  # the first failure is the one to tell


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM stop a study like Ctrl-C does, where signals can be handled at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
