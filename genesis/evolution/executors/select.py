"""Which executor a study gets."""

from __future__ import annotations

import importlib.util

from genesis.domain.errors import ConfigError, did_you_mean
from genesis.evolution.executors.entry import UNIT_EVALUATOR
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.process_worker import cores
from genesis.evolution.work import Executor

KINDS = ("auto", "local", "processes", "ray")
THRESHOLD = 100


def choose(
    kind: str = "auto",
    *,
    population: int,
    threshold: int = THRESHOLD,
    workers: int | None = None,
    address: str | None = None,
    timeout_s: float = 300.0,
    memory_per_worker: int | None = None,
    evaluator: str = UNIT_EVALUATOR,
) -> Executor:
    """Executor for a study; not started.

    Parameters
    ----------
    kind : {"auto", "local", "processes", "ray"}
        ``auto``: in the driver below the threshold, Ray from it on or when an address is given;
        processes where Ray is not installed. ``local``: never Ray; in the driver below the
        threshold or with one worker, else processes. ``processes`` and ``ray`` mean themselves.
    population : int
        Individuals of the study, all islands together.
    threshold : int
        Population from which workers pay.
    workers : int, optional
        By default one a core.
    address : str, optional
        Running Ray cluster.
    timeout_s : float
        Seconds that a unit may take.
    memory_per_worker : int, optional
        Bytes of private memory above which a worker is replaced.
    evaluator : str
        ``module:attribute`` of the class that evaluates units.

    Raises
    ------
    ConfigError
        If there is no such kind, a number makes no sense, or an address is given without Ray.
    """
    if kind not in KINDS:
        raise ConfigError(
            f"unknown executor '{kind}'{did_you_mean(kind, KINDS)}",
            fix=f"use one of {', '.join(KINDS)}",
        )
    if address is not None and kind in ("local", "processes"):
        raise ConfigError(
            f"the executor '{kind}' has no use for the Ray address {address}",
            fix="use --executor ray, or leave the address out",
        )
    small = population < threshold
    if kind == "auto" and address is None:
        with_ray = importlib.util.find_spec("ray") is not None
        kind = "local" if small or not with_ray else "ray"
    if kind == "local" and (workers == 1 or (small and workers is None)):
        return InlineExecutor(evaluator=evaluator)
    if kind in ("local", "processes"):
        from genesis.evolution.executors.processes import ProcessExecutor

        return ProcessExecutor(
            workers or cores(),
            timeout_s,
            worker_memory_bytes=memory_per_worker,
            evaluator=evaluator,
        )
    from genesis.evolution.executors.ray_pool import RayExecutor

    return RayExecutor(address, workers, memory_per_worker, timeout_s, evaluator=evaluator)
