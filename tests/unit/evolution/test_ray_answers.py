"""What the Ray executor makes of answers and of silence, without Ray."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from genesis.domain.errors import ExecutorError
from genesis.evolution.executors.board import UnitBoard
from genesis.evolution.executors.ray_pool import RayExecutor, _Actor
from genesis.evolution.work import WorkUnit


class FakeRay:
    """References are numbers; those in ``come`` have been answered with a result."""

    def __init__(self, *come: int) -> None:
        self.come = come
        self.exceptions = SimpleNamespace(RayError=RuntimeError)

    def wait(self, refs: list[int], num_returns: int, timeout: float | None) -> tuple[Any, Any]:
        del timeout
        done = [ref for ref in refs if ref in self.come][:num_returns]
        return done, [ref for ref in refs if ref not in done]

    def get(self, ref: int) -> tuple[str, Any, int]:
        return "result", SimpleNamespace(unit=ref, seconds=0.1), 0


def _executor(ray: FakeRay, *starting: int | None) -> Any:
    """Executor whose actors are overdue; number 1 + place is what each has to answer."""
    executor: Any = RayExecutor(timeout_s=5.0)
    executor._session = SimpleNamespace(ray=ray)
    executor._cap = 1
    executor._start_failures = 0
    executor._kill = lambda actor: None
    executor._spawn = lambda label: _Actor(label, None, 99, 60.0)
    executor._actors = [_Actor(f"a{n}", None, ref, -1.0) for n, ref in enumerate(starting)]
    for ref, actor in enumerate(executor._actors, start=1):
        if actor.ready:
            actor.units = {ref: WorkUnit(ref, 0, ("g",))}
    return executor


def test_an_answer_that_waited_for_the_driver_is_not_a_timeout() -> None:
    executor = _executor(FakeRay(1, 2), None, None)
    found = executor._collect(UnitBoard(()))
    assert sorted(result.unit for result in found) == [1, 2]
    assert executor.stats.failures == {}


def test_an_actor_without_a_place_waits_while_others_work() -> None:
    executor = _executor(FakeRay(1), None, 2, 3, 4)
    pending = executor._actors[1:]
    assert len(executor._collect(UnitBoard(()))) == 1
    assert executor._actors[1:] == pending
    assert all(actor.deadline > time.monotonic() + 100 for actor in pending)
    assert executor.stats.failures == {}


def test_a_cluster_that_starts_no_worker_is_told() -> None:
    executor = _executor(FakeRay(), 1, 2, 3)
    with pytest.raises(ExecutorError, match="do not start"):
        executor._collect(UnitBoard(()))
    assert executor.stats.failures == {"timeout": 3}
