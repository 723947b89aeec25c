"""Promotion put together for commands, and what whoever sends orders is told."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from genesis.decision.approvals import Uptime, account_named
from genesis.decision.deployments import Deployment, read_book
from genesis.decision.manager import StrategyDeploymentManager
from genesis.domain.errors import RefusedError
from genesis.system.clock import SystemClock
from genesis.system.promotion_approval import EngineApproval
from genesis.system.promotion_runs import WorkspaceEvidence
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.domain.clock import Clock


def uptime() -> Uptime:
    """How long this machine is up, by a clock that nobody sets."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return Uptime()
    return Uptime(boot, time.clock_gettime(time.CLOCK_BOOTTIME))


def deployment_manager(
    workspace: Workspace, gates: Path | None = None, clock: Clock | None = None
) -> StrategyDeploymentManager:
    """The manager of a workspace's deployments.

    Parameters
    ----------
    workspace : Workspace
    gates : Path, optional
        Gates of a rehearsal.
    clock : Clock, optional
        That of the machine by default.
    """
    clock = clock or SystemClock()
    return StrategyDeploymentManager(
        workspace.home,
        WorkspaceEvidence(workspace, gates),
        clock,
        engine=EngineApproval(workspace, clock),
        nonce=lambda: secrets.token_hex(32),
        uptime=uptime(),
    )


def live_deployments(home: Path, account: str) -> tuple[Deployment, ...]:
    """Deployments whose orders go out on an account, for whoever sends them.

    The chain of the log of operations is verified, every row of it judged, and the dossier of each
    deployment must stand and be the one that it was promoted with.

    Parameters
    ----------
    home : Path
        Workspace.
    account : str
        Address.

    Returns
    -------
    tuple of Deployment
        In order of their ids: strategy, symbols, stage, capital, target, dossier hash.

    Raises
    ------
    RefusedError
        If a row, a dossier or the gates were changed: nothing may be sent then.
    """
    wanted = account_named(account)
    _, book = read_book(home)
    found = sorted((d for d in book.real() if d.account == wanted), key=lambda d: d.id)
    evidence = WorkspaceEvidence(Workspace(home))
    for one in found:
        digest = evidence.dossier(one.strategy, one.target).digest
        if digest != one.dossier_hash:
            raise RefusedError(
                f"the dossier of {one.strategy} is not the one that it was promoted with",
                why=f"it was {one.dossier_hash[:12]} and is {digest[:12]}",
                fix=f"restore the dossier, or: genesis retire {one.strategy}",
            )
    return tuple(found)
