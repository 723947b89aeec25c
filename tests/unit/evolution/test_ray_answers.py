"""What the Ray executor makes of answers, without Ray."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.executors.ray_pool import RayExecutor, _Actor
from genesis.evolution.work import WorkUnit


def test_an_answer_that_waited_for_the_driver_is_not_a_timeout() -> None:
    results = {ref: SimpleNamespace(unit=ref, seconds=0.1) for ref in (1, 2)}

    def wait(refs: list[int], num_returns: int, timeout: float | None) -> tuple[Any, Any]:
        del timeout
        return refs[:num_returns], refs[num_returns:]  # all of them have come

    ray = SimpleNamespace(
        wait=wait,
        get=lambda ref: ("result", results[ref], 0),
        exceptions=SimpleNamespace(RayError=RuntimeError),
    )
    executor: Any = RayExecutor(timeout_s=5.0)
    executor._session = SimpleNamespace(ray=ray)
    executor._cap = 1
    executor._actors = [_Actor("a", None, None), _Actor("b", None, None)]
    for ref, actor in enumerate(executor._actors, start=1):
        actor.units = {ref: WorkUnit(ref, 0, ("g",))}
        actor.deadline = time.monotonic() - 1.0  # the driver ran a lone unit meanwhile
    found = executor._collect(UnitBoard(()))
    assert sorted(result.unit for result in found) == [1, 2]
    assert executor.stats.failures == {}
