"""How a risk campaign is put together, and what trading asks of its results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from genesis.evolution.risk.result import RiskResult, accepted_genome, load_risk_result
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.evolution.risk.campaign import Listener, Progress
    from genesis.evolution.risk.config import RiskConfig
    from genesis.evolution.risk.material import Material
    from genesis.evolution.work import Executor

__all__ = [
    "Request",
    "RiskResult",
    "accepted_genome",
    "evolve_risk",
    "load_risk_result",
    "quick_unfit",
]

_TIMEOUT_S = 900.0
"""Seconds that a unit may take: minutes more than the largest does on a slow machine."""

QUICK = "bred with --quick: too small to tell luck from skill"


def quick_unfit(quick: bool) -> tuple[str, ...]:
    """Why a quick campaign may not be used; nothing of a full one."""
    return (QUICK,) if quick else ()


def _silent(_: Progress) -> None:
    return None


def _unannounced(_: str, __: Material) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of `evolve_risk`.

    Attributes
    ----------
    config : RiskConfig
    campaign_id : str, optional
        Id of a new campaign, or of the one to go on with.
    resume : bool
    unfit : tuple of str
        Further reasons why the result may not be used.
    """

    config: RiskConfig
    campaign_id: str | None = None
    resume: bool = False
    unfit: tuple[str, ...] = field(default=())


def evolve_risk(
    request: Request,
    workspace: Workspace,
    *,
    listener: Listener = _silent,
    begun: Callable[[str, Material], None] = _unannounced,
) -> RiskResult:
    """Run or resume a campaign in a workspace.

    Raises
    ------
    InputError, RefusedError
        If the request cannot be carried out as it is.
    InterruptedRun
        If the user stopped it; what was simulated is kept.
    InfrastructureError
        If workers or the disk failed.
    """
    from genesis.evolution.risk.run import run_campaign

    workspace.open().require_space()
    return run_campaign(
        request.config,
        workspace.home,
        clock=SystemClock(),
        executor=risk_executor(request.config),
        campaign_id=request.campaign_id,
        resume=request.resume,
        unfit=request.unfit,
        listener=listener,
        begun=begun,
    )


def risk_executor(config: RiskConfig) -> Executor:
    """Executor that a configuration asks for; not started.

    Raises
    ------
    ConfigError
        If it cannot work.
    """
    from genesis.evolution.executors.select import THRESHOLD, choose
    from genesis.evolution.risk.worker import ENTRY

    place = config.executor
    if place.address is not None:
        from genesis.evolution.executors.ray_session import check_reachable

        check_reachable(place.address)
    return choose(
        place.kind,
        population=THRESHOLD,
        workers=place.workers,
        address=place.address,
        timeout_s=_TIMEOUT_S,
        evaluator=ENTRY,
    )


def unfinished_campaign(home: Path, prefix: str) -> tuple[str, RiskConfig]:
    """Campaign that `evolve_risk` can go on with, by its id or a unique beginning.

    Raises
    ------
    InputError
        If none, or more than one, has the id, or it is finished.
    """
    from genesis.evolution.risk.run import find_campaign

    return find_campaign(home, prefix)
