"""Capital of an account divided among its deployments, and written where somebody asks for it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from genesis.system.clock import SystemClock
from genesis.system.promotion_runs import WorkspaceEvidence
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.decision.allocation import Allocation
    from genesis.decision.deployments import Deployment
    from genesis.decision.stages import Target


def allocate_account(
    workspace: Workspace,
    total: Decimal,
    *,
    account: str = "",
    target: Target | None = None,
    method: str = "hrp",
    who: str = "",
) -> Allocation:
    """Divide capital among the deployments beyond paper, cut by the decisions that hold.

    Parameters
    ----------
    workspace : Workspace
    total : Decimal
        Whole capital, quote units.
    account : str
        Address; every account's deployments where it is empty.
    target : Target, optional
    method : {"hrp", "erc"}
    who : str
        Writes the outcome in this name; empty for a mere look.

    Raises
    ------
    InputError
        If there are too few common days.
    RefusedError
        If the log or a dossier was changed, or somebody moved a deployment meanwhile.
    """
    from genesis.decision.allocation import Allocation, Claim, allocate
    from genesis.decision.deployments import read_book
    from genesis.decision.in_force import size_factor

    state, book = read_book(workspace.home)
    chosen = [
        one for one in book.real() if account in ("", one.account) and target in (None, one.target)
    ]
    chosen.sort(key=lambda one: one.id)
    if not chosen:
        return Allocation(method, 0.0, ())
    evidence = WorkspaceEvidence(workspace)
    _, returns = evidence.common_returns(chosen)
    claims = [
        Claim(one.id, one.baseline.haircut_sharpe if one.baseline is not None else 0.0, one.cap)
        for one in chosen
    ]
    settings = evidence.gates(chosen[0].strategy, chosen[0].target).settings
    found = allocate(claims, returns, total, settings, method, size_factor(state))
    if who:
        _write(workspace, chosen, found, who)
    return found


def _write(workspace: Workspace, chosen: list[Deployment], found: Allocation, who: str) -> None:
    from genesis.decision.deployments import read_book
    from genesis.decision.operations import OperationsLog
    from genesis.decision.stages import stage_capital
    from genesis.domain.errors import RefusedError
    from genesis.trading.events import Event
    from genesis.trading.payloads import CapitalAllocated

    capital = {
        one.id: stage_capital(min(share.capital, one.cap), one.stage, one.scale)
        for one, share in zip(chosen, found.shares, strict=True)
    }
    data = CapitalAllocated(
        capital=capital,
        method=found.method,
        who=who,
        reason="; ".join(f"{s.deployment}: {', '.join(s.reasons)}" for s in found.shares),
        evidence=found.to_plain(),
    )
    with OperationsLog.open(workspace.home, SystemClock()) as log:
        _, book = read_book(workspace.home)
        for one in chosen:
            now = book.deployments.get(one.id)
            if now is None or now.seq != one.seq:
                raise RefusedError(f"{one.id} was moved meanwhile", fix="divide the capital again")
        book.apply(Event(data, log.now_ms(), seq=log.state.seq + 1))
        log.append(data, aggregate="allocation")
