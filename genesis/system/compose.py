"""How the parts of a study are put together: executor, tracker, listeners, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import GenesisError, InputError
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.evolution.config import StudyConfig
    from genesis.evolution.run import Run
    from genesis.evolution.study import StudyListener, StudyResult
    from genesis.evolution.tracking import MlflowTracker, ShipReport
    from genesis.evolution.work import Executor

REPORT = "report.html"


def _silent(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """A finished study and what was made of it.

    Attributes
    ----------
    result : StudyResult
    report : Path or None
        The HTML page; None if it could not be written, which never fails a study.
    notices : tuple of str
        What the user should know: a report that failed, tracking that still waits.
    """

    result: StudyResult
    report: Path | None
    notices: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """JSON form: the result's keys, the report's path, the notices."""
        report = str(self.report) if self.report is not None else None
        return {**self.result.to_plain(), "report": report, "notices": list(self.notices)}


def start_study(
    config: StudyConfig,
    workspace: Workspace,
    *,
    run_id: str | None = None,
    resume: bool = False,
    listeners: Sequence[StudyListener] = (),
    notify: Callable[[str], None] = _silent,
) -> StudyOutcome:
    """Run or resume a study in a workspace.

    Parameters
    ----------
    config : StudyConfig
    workspace : Workspace
    run_id : str, optional
        Id of the run; made from the study's name by default. Required to resume.
    resume : bool
        Continue from the last checkpoint of ``run_id``.
    listeners : sequence of StudyListener
        Told before the report and the tracker.
    notify : callable, optional
        Receives each notice as it comes up.

    Raises
    ------
    InputError
        If the request cannot be carried out as it is written.
    InterruptedRun
        If the user stopped it; the state is saved.
    InfrastructureError
        If workers, disk or cluster failed; the run can be resumed.
    """
    from genesis.evolution.study import run_study

    workspace.open().require_space()
    notices: list[str] = []

    def note(text: str) -> None:
        notices.append(text)
        notify(text)

    clock = SystemClock()
    writer = _ReportWriter(note)
    tracker = build_tracker(config, workspace, note)
    told = [*listeners, writer, *([tracker] if tracker is not None else [])]
    executor = build_executor(config)
    try:
        result = run_study(
            config,
            workspace.home,
            clock=clock,
            executor=executor,
            listeners=told,
            run_id=run_id,
            resume=resume,
        )
    finally:
        executor.close()
        if tracker is not None:
            verdict = tracker.close()
            if verdict:
                note(verdict)
    return StudyOutcome(result, writer.path, tuple(notices))


def build_executor(config: StudyConfig) -> Executor:
    """Executor that a configuration asks for.

    Raises
    ------
    ConfigError
        If it cannot work, or no Ray cluster is at the configured address: told here, before a run
        is begun.
    """
    from genesis.evolution.executors.select import choose

    if config.executor.address is not None:
        from genesis.evolution.executors.ray_session import check_reachable

        check_reachable(config.executor.address)
    evolution = config.evolution
    return choose(
        config.executor.kind,
        population=evolution.population_size,
        threshold=evolution.local_threshold,
        workers=config.executor.workers or evolution.ray_workers,
        address=config.executor.address,
        timeout_s=evolution.ray_timeout,
        memory_per_worker=evolution.ray_memory_per_worker * 2**20,
    )


def build_tracker(
    config: StudyConfig, workspace: Workspace, warn: Callable[[str], None] = _silent
) -> MlflowTracker | None:
    """MLflow tracker that a configuration asks for, or None."""
    if not config.tracking.enabled:
        return None
    from genesis.evolution.tracking import MlflowTracker
    from genesis.evolution.tracking.target import target_of

    return MlflowTracker(
        target_of(config.tracking.uri, workspace.home),
        workspace.spool,
        config.tracking.experiment,
        clock=SystemClock(),
        warn=warn,
    )


class _ReportWriter:
    """Listener that writes the HTML report before the tracker collects the artefacts."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._run: Run | None = None
        self.path: Path | None = None

    def on_start(self, run: Run) -> None:
        self._run = run

    def on_generation(self, metrics: Any) -> None:
        del metrics

    def on_finish(self, result: StudyResult) -> None:
        from genesis.evolution.run import Run

        assert self._run is not None
        try:
            # Read anew: the run's files were completed after it was announced.
            self.path = write_study_report(Run(self._run.folder))
        except Exception as error:
            # The study is done and safe; a page that cannot be drawn must not fail it.
            cause = error.what if isinstance(error, GenesisError) else repr(error)
            self._note(f"no report: {cause}; `genesis report {result.run_id}` tries again")


def write_study_report(run: Run, path: Path | None = None) -> Path:
    """Write the HTML report of a run.

    Parameters
    ----------
    run : Run
    path : Path, optional
        File to write; ``report.html`` in the run's folder by default.

    Raises
    ------
    StorageError
        If a file of the run cannot be read or the page cannot be written.
    """
    from genesis.evolution.report import write_report

    target = path or run.folder / REPORT
    write_report(run, target)
    return target


def sync_runs(workspace: Workspace, run_id: str | None = None) -> Mapping[str, ShipReport]:
    """Ship what waits in the spool, run by run, each to the target of its configuration.

    Returns
    -------
    mapping
        Run id to what was sent and what still waits.

    Raises
    ------
    InputError
        If the run is unknown.
    """
    from genesis.evolution.run import load_run
    from genesis.evolution.tracking import ShipReport, ship
    from genesis.evolution.tracking.spool import Spool, leftovers
    from genesis.evolution.tracking.target import target_of

    if run_id is not None:
        names = [load_run(run_id, workspace.home).id]
    else:
        names = leftovers(workspace.spool) if workspace.spool.is_dir() else []
    reports = {}
    for name in names:
        if not (workspace.runs / name).is_dir():
            # Removed by the user; it must not keep the others from being shipped.
            why = f"the folder of run {name} is gone; the next study tracked there ships it"
            reports[name] = ShipReport(0, Spool(workspace.spool, name).pending(), why)
            continue
        config = load_run(name, workspace.home).config
        if not config.tracking.enabled:
            raise InputError(f"run {name} was started without tracking")
        target = target_of(config.tracking.uri, workspace.home)
        reports[name] = ship(workspace.spool, target, [name])
    return reports
