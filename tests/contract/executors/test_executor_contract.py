"""What every executor must do: answer each unit once, with the same bits, whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from genesis.backtest.result import RAISED, STATUS
from genesis.domain.canonical import array_hash, content_hash
from genesis.domain.errors import ExecutorError
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.processes import ProcessExecutor
from genesis.evolution.executors.ray_pool import RayExecutor
from genesis.evolution.work import Executor, StudyJob, UnitResult, WorkUnit

FAKE = "fake_evaluator:FakeEvaluator"


def digest(results: list[UnitResult]) -> str:
    """Hash of all numbers in unit order; seconds, workers and cache counts are left out."""
    parts = []
    for result in sorted(results, key=lambda r: r.unit):
        block = result.block
        parts.append(
            [
                result.unit,
                list(block.reasons),
                array_hash(
                    block.status,
                    block.metrics,
                    block.fold_sharpe,
                    block.fold_trades,
                    block.marks,
                    block.phenotype,
                ),
            ]
        )
    return content_hash(parts)


def make(kind: str, evaluator: str = FAKE, timeout_s: float = 60.0) -> Executor:
    """An executor by name: ``inline``, ``processes-N`` or ``ray-N``."""
    name, _, workers = kind.partition("-")
    if name == "inline":
        return InlineExecutor(evaluator=evaluator)
    if name == "processes":
        return ProcessExecutor(int(workers), timeout_s, evaluator=evaluator)
    return RayExecutor(workers=int(workers), timeout_s=timeout_s, evaluator=evaluator)


@contextlib.contextmanager
def started(executor: Executor, job: StudyJob) -> Iterator[Executor]:
    executor.start(job)
    try:
        yield executor
    finally:
        executor.close()


slow = pytest.mark.slow
EVERY = [
    "inline",
    "processes-1",
    "processes-2",
    pytest.param("processes-4", marks=slow),
    "ray-2",
    pytest.param("ray-1", marks=slow),
    pytest.param("ray-4", marks=slow),
]
SUPERVISED = ["processes-1", "processes-2", "ray-2", pytest.param("ray-1", marks=slow)]


@pytest.fixture(scope="module")
def expected(job: StudyJob, plain_units: list[WorkUnit]) -> str:
    with started(make("inline"), job) as executor:
        return digest(list(executor.run(plain_units)))


@pytest.mark.parametrize("kind", EVERY)
def test_each_unit_is_answered_once_with_the_same_bits(
    kind: str, job: StudyJob, plain_units: list[WorkUnit], expected: str
) -> None:
    with started(make(kind), job) as executor:
        first = list(executor.run(plain_units))
        second = list(executor.run(plain_units[::-1]))
        assert sorted(r.unit for r in first) == [u.unit for u in plain_units]
        assert digest(first) == digest(second) == expected
        assert list(executor.run([])) == []
        assert executor.stats.retries == 0
        assert executor.stats.failures == {}
        assert executor.stats.busy_seconds > 0
        assert executor.stats.workers == (1 if kind == "inline" else int(kind.split("-")[1]))


@pytest.mark.parametrize("kind", EVERY)
def test_a_genome_that_raises_is_invalid_with_its_reason(
    kind: str, job: StudyJob, plain_units: list[WorkUnit]
) -> None:
    with started(make(kind), job) as executor:
        raised = [
            r for r in executor.run(plain_units) if plain_units[r.unit].genomes[0][:5] == "raise"
        ]
    assert len(raised) == 3
    for result in raised:
        assert [STATUS[s] for s in result.block.status] == ["raised", "valid"]
        assert result.block.reasons == ("ValueError: no such window", "")
        assert result.block.status.dtype == np.int8
        assert result.block.status[0] == RAISED


@pytest.mark.parametrize("how", ["kill-once", "hang-once", "fail-once"])
@pytest.mark.parametrize("kind", SUPERVISED)
def test_a_lost_worker_changes_nothing(
    kind: str, how: str, job: StudyJob, units_of: Callable[..., list[WorkUnit]], tmp_path: Path
) -> None:
    fault = f"{how}:{tmp_path / 'happened'}"
    units = units_of(("plain:a",), (fault, "plain:b"), ("plain:c",))
    with started(make(kind, timeout_s=3.0), job) as executor:
        disturbed = list(executor.run(units))
        assert sum(executor.stats.failures.values()) == 1
        assert executor.stats.retries == 1
        again = list(executor.run(units))
        assert executor.stats.retries == 1
    with started(make("inline"), job) as executor:
        undisturbed = list(executor.run(units))
    assert sorted(r.unit for r in disturbed) == [u.unit for u in units]
    assert digest(disturbed) == digest(again) == digest(undisturbed)


@pytest.mark.parametrize("kind", ["processes-2", "ray-2"])
def test_a_unit_that_never_ends_stops_the_study_with_its_genomes(
    kind: str, job: StudyJob, units_of: Callable[..., list[WorkUnit]]
) -> None:
    units = units_of(("plain:a",), ("hang-always", "plain:b"), symbols=1)
    with started(make(kind, timeout_s=1.5), job) as executor:
        with pytest.raises(ExecutorError) as caught:
            list(executor.run(units))
        assert "hang-always, plain:b" in caught.value.why
        assert caught.value.why.count("1.5 s") == 2
        assert executor.stats.failures == {"timeout": 2}
        # The executor itself is unharmed.
        assert len(list(executor.run(units[:1]))) == 1


@pytest.mark.parametrize("kind", ["processes-2", "ray-2"])
def test_a_run_may_be_left_early(
    kind: str, job: StudyJob, plain_units: list[WorkUnit], expected: str
) -> None:
    with started(make(kind), job) as executor:
        results = executor.run(plain_units)
        next(results)
        results.close()
        assert digest(list(executor.run(plain_units))) == expected


@pytest.mark.parametrize("kind", ["inline", "processes-2", "ray-2"])
def test_units_before_a_start_are_refused(kind: str, plain_units: list[WorkUnit]) -> None:
    with pytest.raises(ExecutorError, match="not running"):
        list(make(kind).run(plain_units))


@pytest.mark.parametrize("kind", ["processes-2", "ray-2"])
def test_a_worker_that_computes_differently_is_refused(kind: str, job: StudyJob) -> None:
    executor = make(kind, "fake_evaluator:Disagreeing")
    with pytest.raises(ExecutorError, match="other numbers"):
        executor.start(job)
    executor.close()


@pytest.mark.parametrize("kind", ["processes-2", "ray-2"])
def test_workers_that_cannot_start_are_reported(kind: str, job: StudyJob) -> None:
    executor = make(kind, "fake_evaluator:Unstartable")
    with pytest.raises(ExecutorError) as caught:
        executor.start(job)
    assert "no such device" in caught.value.why
    executor.close()


@pytest.mark.parametrize("kind", ["inline", "processes-2", "ray-2"])
def test_close_ends_the_workers_and_may_be_called_twice(kind: str, job: StudyJob) -> None:
    before = _worker_processes()
    executor = make(kind)
    executor.start(job)
    mine = _worker_processes() - before
    assert len(mine) >= (0 if kind == "inline" else 2)
    executor.close()
    executor.close()
    _, alive = psutil.wait_procs(mine, timeout=20)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def _worker_processes() -> set[psutil.Process]:
    """Processes below this one that run units, of either kind."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if "process_main" in line or "RayWorker" in line:
                found.add(process)
    return found
