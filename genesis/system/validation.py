"""How a validation is put together: gates, executor, pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import GenesisError, RefusedError
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.evidence.gates import GatesFile
    from genesis.evidence.progress import Progress
    from genesis.evidence.validate import Judged, Validation
    from genesis.evolution.run import Run
    from genesis.evolution.work import Executor
    from genesis.system.sealed_bars import Budgets
    from genesis.system.validation_target import Target

# Below this many seconds, all reruns together, workers take longer to start than they save.
_WORTH_WORKERS_S = 60.0
# A rerun is alone on its worker, and a busy machine may be several times slower than the study's.
_SLACK = 10.0
_LEAST_TIMEOUT_S = 600.0
_MIB = 2**20


def _silent(_: str) -> None:
    return None


def _unmoved() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where reruns are computed; None stands for what the study's configuration says."""

    kind: str | None = None
    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class ValidationOutcome:
    """A validation and the pages made of its dossiers.

    Attributes
    ----------
    validation : Validation
    pages : mapping
        Strategy to its HTML page, where one was written.
    notices : tuple of str
        Sentences on pages that could not be written, which never fails a validation.
    budgets : Budgets or None
        What the sealed bars have left after it; None if the study sealed none.
    """

    validation: Validation
    pages: dict[str, Path]
    notices: tuple[str, ...] = ()
    budgets: Budgets | None = None

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        from genesis.system.sealed_bars import vetoes_left_out

        done = self.validation
        gates = done.gates
        return {
            "run_id": done.run_id,
            "gates_file": {"name": gates.name, "rehearsal": gates.rehearsal, "hash": gates.hash},
            "trials": done.trials,
            "search": [result.to_plain() for result in done.search],
            "strategies": [self._strategy(one) for one in done.judged],
            "promotable": [one.dossier.strategy for one in done.promotable],
            "vetoes_left_out": vetoes_left_out(gates),
            "sealed_budget": self.budgets.to_plain() if self.budgets is not None else None,
            "notices": list(self.notices),
        }

    def _strategy(self, one: Judged) -> dict[str, Any]:
        facts = one.dossier.facts
        page = self.pages.get(one.dossier.strategy)
        return {
            "id": one.dossier.strategy,
            "family": facts["family"],
            "mark": facts["mark"],
            "passed": one.dossier.passed,
            "stopped_by": list(facts["stopped_by"]),
            "gates": one.dossier.gates,
            "dossier": str(one.path),
            "report": str(page) if page is not None else None,
        }


def reruns_of(gates: GatesFile) -> tuple[str, ...]:
    """Kinds of surrogate market on which the search is run again, in order."""
    prefix = "permutation_"
    names = [gate.measure for gate in gates.of("G1")]
    return tuple(name.removeprefix(prefix) for name in names if name.startswith(prefix))


def surrogates_of(gates: GatesFile, asked: int | None) -> int:
    """Reruns a kind of surrogate market.

    Raises
    ------
    RefusedError
        If fewer are asked for than the gates demand.
    """
    least = gates.settings.surrogates
    if asked is not None and asked < least:
        raise RefusedError(
            f"{asked} surrogates are fewer than the {least} of the gates '{gates.name}'",
            why="with fewer reruns the p value cannot get as small as the gates were measured with",
            fix=f"leave --surrogates out, or give {least} or more",
        )
    return asked or least


def validation_executor(run: Run, gates: GatesFile, draws: int, place: Placement) -> Executor:
    """Executor for the reruns of a study; not started.

    Raises
    ------
    ConfigError
        If it cannot work, or no Ray cluster is at the address.
    """
    from genesis.evidence.worker import ENTRY
    from genesis.evolution.executors.select import choose

    own, evolution = run.config.executor, run.config.evolution
    kind = place.kind or ("ray" if place.address is not None else own.kind)
    # An address of the study's is of no use to an executor that was asked for instead of Ray.
    address = place.address or (own.address if kind in ("auto", "ray") else None)
    if address is not None:
        from genesis.evolution.executors.ray_session import check_reachable

        check_reachable(address)
    seconds, workers = _effort(run)
    work = seconds * workers * draws * len(reruns_of(gates))
    size = evolution.population_size
    return choose(
        kind,
        population=max(size, evolution.local_threshold) if work >= _WORTH_WORKERS_S else 0,
        threshold=max(evolution.local_threshold, 1),
        workers=place.workers or own.workers or evolution.ray_workers,
        address=address,
        timeout_s=max(evolution.ray_timeout, _LEAST_TIMEOUT_S, _SLACK * seconds * workers),
        memory_per_worker=evolution.ray_memory_per_worker * _MIB,
        evaluator=ENTRY,
    )


def _effort(run: Run) -> tuple[float, int]:
    """Seconds that a study took, and the workers that it had at its end."""
    metrics = run.metrics_records()
    workers = int(metrics[-1].get("workers") or 1) if metrics else 1
    return float(run.study.get("seconds") or 0.0), max(workers, 1)


def start_validation(
    target: Target,
    gates: GatesFile,
    workspace: Workspace,
    *,
    surrogates: int | None = None,
    full: bool = False,
    place: Placement | None = None,
    report: bool = False,
    progress: Progress | None = None,
    notify: Callable[[str], None] = _silent,
    on_begin: Callable[[], None] = _unmoved,
) -> ValidationOutcome:
    """Judge a study's best strategies, or one of them, and write a dossier on each.

    Parameters
    ----------
    target : Target
    gates : GatesFile
    workspace : Workspace
    surrogates : int, optional
        Reruns a kind of surrogate; the gates' own number by default, and not fewer.
    full : bool
        Do every rerun even where its gate cannot be passed any more.
    place : Placement, optional
        Where reruns are computed; as the study's configuration says by default.
    report : bool
        Write a page beside each dossier. A page that is there already is always made anew.
    progress : callable, optional
        Told (step, done, in all).
    notify : callable, optional
        Receives each notice as it comes up.
    on_begin : callable, optional
        Called once, when nothing about the options or the run is left to be refused.

    Raises
    ------
    InterruptedRun
        If the user stopped it, by Ctrl-C or SIGTERM; finished reruns are kept.
    InputError, RefusedError
        If the run is not finished, anything does not match what the study ran with, or the data
        are too short for what the gates ask.
    InfrastructureError
        If workers, disk or cluster failed.
    """
    from genesis.domain.errors import InterruptedRun
    from genesis.evidence.campaign import Campaign
    from genesis.evidence.length import refuse_short
    from genesis.evidence.progress import untold
    from genesis.evidence.validate import validate
    from genesis.evolution.stopping import terminable
    from genesis.system.sealed_bars import budgets_of

    workspace.open().require_space()
    draws = surrogates_of(gates, surrogates)
    with terminable():
        try:
            executor = validation_executor(target.run, gates, draws, place or Placement())
            campaign = Campaign.of_run(target.run, workspace.home)
            refuse_short(campaign, gates, target.strategy)
            on_begin()
            if executor.name != "inline":  # the first step is told of only when they answer
                notify(f"starting workers ({executor.name})…")
            done = validate(
                campaign,
                executor,
                gates,
                clock=SystemClock(),
                surrogates=draws,
                full=full,
                only=target.strategy,
                progress=progress or untold,
            )
            budgets = budgets_of(target.run, workspace.home, gates)
            return _with_pages(done, budgets, workspace, report, notify)
        except KeyboardInterrupt:
            raise InterruptedRun(
                f"the validation of '{target.run.id}' was interrupted; finished reruns are kept"
            ) from None


def _with_pages(
    done: Validation,
    budgets: Budgets | None,
    workspace: Workspace,
    report: bool,
    notify: Callable[[str], None],
) -> ValidationOutcome:
    from genesis.evidence.report import write_dossier_page
    from genesis.evolution.store import StrategyStore

    store = StrategyStore(workspace.strategies)
    pages: dict[str, Path] = {}
    notices = []
    for one in done.judged:
        page = one.path.with_suffix(".html")
        if not (report or page.exists()):
            continue
        try:
            record = store.get(one.dossier.strategy)
            pages[one.dossier.strategy] = write_dossier_page(
                one.dossier, record.strategy, page, budgets.lines if budgets is not None else ()
            )
        except Exception as error:
            # The dossier is written and safe; a page that cannot be drawn must not fail it.
            cause = error.what if isinstance(error, GenesisError) else repr(error)
            notices.append(f"no page for {one.dossier.strategy}: {cause}")
            notify(notices[-1])
    return ValidationOutcome(done, pages, tuple(notices), budgets)
