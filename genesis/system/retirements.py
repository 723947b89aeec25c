"""Decided retirements carried out: at once, or by the next command that writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from genesis.decision.rows import ENGINE
from genesis.domain.errors import RefusedError

if TYPE_CHECKING:
    from genesis.decision.deployments import Deployment, DeploymentBook
    from genesis.decision.manager import StrategyDeploymentManager
    from genesis.decision.rows import InForce
    from genesis.decision.state import OperationsState
    from genesis.domain.clock import Clock
    from genesis.system.workspace import Workspace

KIND = "strategy_retirement"
_TRIES = 3
"""Somebody may move a deployment between the look at it and the step."""


def retire(workspace: Workspace, names: Sequence[str], why: str, clock: Clock) -> list[str]:
    """Retire every deployment of some strategies.

    Returns
    -------
    list of str
        What was done, a line each.

    Raises
    ------
    RefusedError
        If one of them could not be retired, such as while another command holds the log. The
        decision holds even so, and `finish_retirements` makes up for it.
    """
    from genesis.decision.rows import RETIRED
    from genesis.system.promotion import deployment_manager

    manager = deployment_manager(workspace, clock=clock)
    wanted = [
        one
        for one in manager.book().deployments.values()
        if one.strategy in names and one.stage != RETIRED
    ]
    return _retire_each(manager, [(one, why) for one in wanted])


def finish_retirements(workspace: Workspace, clock: Clock) -> list[str]:
    """Retire what a decision that holds has retired, and no command got round to.

    Returns
    -------
    list of str
        What was done, a line each.

    Raises
    ------
    RefusedError
        As `retire`.
    """
    from genesis.decision.deployments import read_book
    from genesis.decision.operations import read_operations
    from genesis.system.promotion import deployment_manager

    state = read_operations(workspace.home)
    names = {name for held in _held(state) for name in held.value["retire"]}
    if not any(one.strategy in names for one in state.active()):
        return []  # nothing is asked of the deployments' own history then
    left = list(_left(*read_book(workspace.home)))
    return _retire_each(deployment_manager(workspace, clock=clock), left) if left else []


def _held(state: OperationsState) -> list[InForce]:
    """Decisions that hold and that end strategies."""
    return [
        held
        for (kind, _), held in state.in_force.items()
        if kind == KIND and held.value.get("retire")
    ]


def _left(state: OperationsState, book: DeploymentBook) -> Iterator[tuple[Deployment, str]]:
    """Deployments that a decision ended and that go on; one that began anew since is another."""
    from genesis.decision.rows import CANDIDATE, RETIRED

    for held in _held(state):
        for one in book.deployments.values():
            began = max((h.ts_ms for h in one.history if h.to_stage == CANDIDATE), default=0)
            if (
                one.strategy in held.value["retire"]
                and one.stage != RETIRED
                and began <= held.since_ms
            ):
                yield one, f"{held.decision}: it was decided and not carried out yet"


def _retire_each(
    manager: StrategyDeploymentManager, wanted: Sequence[tuple[Deployment, str]]
) -> list[str]:
    done, failed = [], []
    for one, why in wanted:
        try:
            done.append(_retire_one(manager, one, why))
        except RefusedError as error:
            failed.append(f"{one.id}: {error.what}, {error.why}".rstrip(", "))
    if failed:
        raise RefusedError(
            f"{len(failed)} retirements are decided and not carried out",
            why="; ".join((*failed, *done)),
            fix="nothing is lost: the next genesis decide, review, promote or retire carries them"
            " out; run it now",
        )
    return done


def _retire_one(manager: StrategyDeploymentManager, one: Deployment, why: str) -> str:
    """Retire one deployment, also if somebody moves it meanwhile."""
    from genesis.decision.ports import Wish
    from genesis.decision.rows import RETIRED

    wish = Wish(one.strategy, one.account, one.target)
    for left in reversed(range(_TRIES)):
        before = manager.book().deployments[one.id]
        if before.stage == RETIRED:
            return f"{one.id} was retired by {before.history[-1].who} already"
        try:
            manager.retire(wish, ENGINE, why)
        except RefusedError:
            if not left or manager.book().deployments[one.id].seq == before.seq:
                raise
            continue
        return f"{one.id} was {before.stage} and is retired"
    raise AssertionError("the last try raises")
