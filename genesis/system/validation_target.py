"""What a validation is asked for: a run's best strategies, or one strategy and its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genesis.domain.errors import InputError, did_you_mean
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.evolution.run import Run
    from genesis.evolution.store import StoredStrategy


@dataclass(frozen=True, slots=True)
class Target:
    """What is validated: the best strategies of a run, or one of them.

    Attributes
    ----------
    run : Run
        Finished.
    strategy : str or None
        Id of the one strategy that is judged.
    """

    run: Run
    strategy: str | None = None


def find_target(name: str, workspace: Workspace) -> Target:
    """Run, else strategy, of an id or of any unique beginning of one.

    Raises
    ------
    InputError
        If there is neither, the beginning is not unique, the strategy was changed, or no run that
        found it is here and finished.
    """
    from genesis.evolution.run import STUDY, load_run, runs_folder
    from genesis.evolution.store import StrategyStore

    runs = [place.parent.name for place in runs_folder(workspace.home).glob(f"*/{STUDY}")]
    if any(run.startswith(name) for run in runs):
        return Target(load_run(name, workspace.home))
    store = StrategyStore(workspace.strategies)
    ids = store.ids()
    if not any(one.startswith((name, f"strat_{name}")) for one in ids):
        raise InputError(
            f"there is no run and no strategy '{name}' in {workspace.home}"
            f"{did_you_mean(name, [*runs, *ids])}",
            fix="`genesis runs list` and `genesis strategies list` show what exists",
        )
    record = store.get(name)
    run = first_finder(record, workspace)
    return Target(run, record.id)


def first_finder(record: StoredStrategy, workspace: Workspace) -> Run:
    """First run that found a strategy, among those that are here and finished."""
    from genesis.evolution.run import STUDY, Run, runs_folder
    from genesis.evolution.study_ledgers import origins_folder

    reasons, unfinished = [], ""
    for name in record.finders:
        own = runs_folder(workspace.home) / name / STUDY
        imported = sorted(origins_folder(workspace.home).glob(f"{name}-*/{STUDY}"))
        found = [Run(file.parent) for file in (own, *imported) if file.exists()]
        found = [run for run in found if run.study["run_id"] == name]
        for run in found:
            if run.status == "finished":
                return run
            reasons.append(f"{name} is not finished ({run.status})")
            unfinished = unfinished or name
        if not found:
            reasons.append(f"{name} is not in this workspace, nor came with an import")
    raise InputError(
        f"no finished run that found {record.id} is here",
        why="; ".join(reasons) or "its record names no run",
        fix=f"go on with it first: genesis evolve --resume {unfinished}"
        if unfinished
        else "validate it in the workspace that bred it, or run its study here",
    )
