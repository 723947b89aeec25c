"""One study from configuration to leaderboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from genesis.domain.clock import Clock
from genesis.domain.errors import InputError, InterruptedRun, StorageError
from genesis.evolution.brood import families_of
from genesis.evolution.checkpoint import load_checkpoint, save_checkpoint
from genesis.evolution.config import StudyConfig
from genesis.evolution.fitness import ScoreRule
from genesis.evolution.leaderboard import records_of, rows_of, survivors
from genesis.evolution.material import (
    StudyMaterial,
    dataset_spec,
    evaluation_setup,
    search_panel,
    study_material,
)
from genesis.evolution.metrics import EvolutionMetrics
from genesis.evolution.pool import GeneticStrategyPool
from genesis.evolution.register import TrialRegister
from genesis.evolution.registration import STUDY, study_registration
from genesis.evolution.run import Run
from genesis.evolution.run_writer import RunWriter, new_run_id
from genesis.evolution.seals import SealRegistry
from genesis.evolution.stopping import terminable
from genesis.evolution.store import StrategyStore
from genesis.evolution.trials import TrialLedger
from genesis.evolution.work import Executor, StudyJob

__all__ = [
    "StudyListener",
    "StudyResult",
    "dataset_spec",
    "evaluation_setup",
    "run_study",
    "search_panel",
]

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
    material = study_material(config, home)
    writer = RunWriter(home, run_id or new_run_id(config.name, home, clock), clock)
    if resume:
        writer.require_begun()  # raises before anything is made
    with writer.held(), terminable():
        facts = material.facts(config)
        register = TrialRegister(home)
        if resume:
            writer.resume(facts)
            facts["created_ms"] = writer.created_ms
        else:
            writer.require_new()  # or the run that has this id would get another seal
            facts["created_ms"] = clock.now_ms()
            _claim(material, home, writer.run_id, register, facts)
            writer.begin(config, facts)
        record = partial(register.record, writer.run_id, facts)
        try:
            return _run(config, home, clock, executor, listeners, writer, material, record)
        except KeyboardInterrupt:
            writer.update(status="interrupted")
            raise InterruptedRun(
                f"the run '{writer.run_id}' was interrupted;"
                f" {writer.progress(config.evolution.generations)}",
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
    material: StudyMaterial,
    record: Callable[[TrialLedger], None],
) -> StudyResult:
    for listener in listeners:
        listener.on_start(Run(writer.folder))
    executor.start(_job(config, material))
    ledger = TrialLedger(writer.trials)
    # A sitting that was killed in mid-generation left trials that are not registered yet.
    record(ledger)
    pool = _pool(config, clock, executor, writer, material, ledger)
    writer.cut_metrics(pool.generation)

    def keep(metrics: EvolutionMetrics) -> None:
        # Trials are registered before anybody can look at them. The checkpoint comes last: what
        # it names is on disk by then.
        record(ledger)
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


def _job(config: StudyConfig, material: StudyMaterial) -> StudyJob:
    return StudyJob(
        panel=material.search,
        setup=material.setup.plain(),
        seed_paths=config.seeds.paths,
        families=tuple(chain(*families_of(config, material.registry, material.search))),
        memory_bytes=config.evolution.ray_memory_per_worker * _MIB // 2,
    )


def _pool(
    config: StudyConfig,
    clock: Clock,
    executor: Executor,
    writer: RunWriter,
    material: StudyMaterial,
    ledger: TrialLedger,
) -> GeneticStrategyPool:
    """The population, where the last checkpoint left it if there is one."""
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
    return pool


def _finish(
    config: StudyConfig,
    home: Path,
    writer: RunWriter,
    material: StudyMaterial,
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


def _claim(
    material: StudyMaterial,
    home: Path,
    run_id: str,
    register: TrialRegister,
    facts: dict[str, Any],
) -> None:
    """Seal the tail, and register that a study begins.

    It is registered first: of a study that sealed data and is unknown to the register, nobody
    could say how many trials it made. A refused one is not registered.
    """
    seals = SealRegistry(home / "seals.json")
    bases, searched, sealed = facts["bases"], material.searched_span, material.sealed_span
    seals.refuse_overlap(run_id, bases, searched, sealed[1])
    register.add(study_registration(STUDY, run_id, facts))
    seals.register(run_id, material.panel.name, bases, searched, sealed)


def _mark_failed(writer: RunWriter, error: BaseException) -> None:
    try:
        writer.update(status="failed", error=f"{type(error).__name__}: {error}".split("\n")[0])
    except (OSError, StorageError):
        return  # the first failure is the one to tell
