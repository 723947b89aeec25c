"""How a risk campaign is put together, and what trading asks of its results."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from genesis.domain.shipped import shipped
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


def risk_config(
    path: Path | None,
    dataset: str | None,
    *,
    funding: str = "required",
    seed: int | None = None,
    workers: int | None = None,
    executor: str | None = None,
    quick: bool = False,
) -> RiskConfig:
    """Configuration of a new campaign: of a file, or the defaults on a dataset, and options.

    Parameters
    ----------
    path : Path or None
    dataset : str or None
        ``venue:SYM,SYM:interval[:from..to]``; instead of a file.
    funding : str
        For symbols without a funding series; with ``dataset`` only.
    seed, workers, executor
        Override the file; None leaves what it says.
    quick : bool
        Make it small.

    Raises
    ------
    ConfigError
        If the file is wrong, or nothing says which data.
    DataError
        If ``dataset`` is none.
    """
    from msgspec.structs import replace

    from genesis.domain.errors import ConfigError
    from genesis.evolution.config import DatasetConfig
    from genesis.evolution.risk import config as risk
    from genesis.market.dataset_spec import parse

    if (path is None) == (dataset is None):
        what = (
            "neither a configuration nor a dataset was given"
            if path is None
            else ("a configuration names its dataset itself")
        )
        raise ConfigError(
            what,
            fix=f"genesis risk evolve {shlex.quote(shipped('configs/risk_evolution.yaml'))}, or"
            " genesis risk evolve --dataset binance_perp:BTCUSDT,ETHUSDT:1h",
        )
    if path is not None:
        config = risk.load_risk_config(path)
    else:
        assert dataset is not None
        spec = parse(dataset, funding=funding)
        start, _, end = spec.text.removeprefix(
            f"{spec.venue}:{','.join(spec.symbols)}:{spec.interval}"
        )[1:].partition("..")
        config = risk.RiskConfig(
            schema=1,
            dataset=DatasetConfig(
                venue=spec.venue,
                symbols=spec.symbols,
                interval=spec.interval,
                start=start or None,
                end=end or None,
                funding=funding,
            ),
        )
    if seed is not None:
        config = replace(config, seed=seed)
    return placed(risk.quick(config) if quick else config, workers, executor)


def placed(config: RiskConfig, workers: int | None, executor: str | None) -> RiskConfig:
    """A configuration computed elsewhere; None leaves what it says.

    Raises
    ------
    ConfigError
        If there is no such executor.
    """
    from msgspec.structs import replace

    from genesis.domain.errors import ConfigError, did_you_mean
    from genesis.evolution.executors.select import KINDS

    if executor is not None and executor not in KINDS:
        raise ConfigError(
            f"unknown executor '{executor}'{did_you_mean(executor, KINDS)}",
            fix=f"use one of {', '.join(KINDS)}",
        )
    place = config.executor
    if workers is not None:
        place = replace(place, workers=workers)
    if executor is not None:
        place = replace(place, kind=executor)
    return replace(config, executor=place)
