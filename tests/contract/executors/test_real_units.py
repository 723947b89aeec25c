"""Real genomes on a real evaluator: the same bits everywhere, also when user code misbehaves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from genesis.backtest.result import STATUS
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.canonical import array_hash, content_hash
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.processes import ProcessExecutor
from genesis.evolution.executors.ray_pool import RayExecutor
from genesis.evolution.work import Executor, StudyJob, UnitResult, WorkUnit
from genesis.market.panel import Panel
from genesis.strategy.genome import Genome, default_genome, random_genome, repair
from genesis.strategy.registry import SeedRegistry

FAMILIES = ("ema_cross", "rsi", "donchian")

USER_FAMILY = '''
import os, signal, threading
from genesis import seed, Seed, SeedKind, Int, Market, Rules, ema

@seed(kind=SeedKind.TREND, name="moody")
class Moody(Seed):
    """Misbehaves for some genes."""
    mood = Int(0, 4, default=0)

    def rules(self, m: Market) -> Rules:
        if self.mood == 1:
            raise ValueError("mood 1 at " + str(object()))
        if self.mood in (2, 3):
            try:
                os.close(os.open({marker!r} + str(self.mood), os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                if self.mood == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()
        fast, slow = ema(m.close, 5), ema(m.close, 20)
        return Rules(long=fast > slow, short=fast < slow)
'''


def digest(results: list[UnitResult]) -> str:
    parts = []
    for r in sorted(results, key=lambda r: r.unit):
        b = r.block
        arrays = array_hash(b.status, b.metrics, b.fold_sharpe, b.fold_trades, b.marks, b.phenotype)
        parts.append([r.unit, list(b.reasons), arrays])
    return content_hash(parts)


def make(kind: str, timeout_s: float = 120.0) -> Executor:
    name, _, workers = kind.partition("-")
    if name == "inline":
        return InlineExecutor()
    if name == "processes":
        return ProcessExecutor(int(workers), timeout_s)
    return RayExecutor(workers=int(workers), timeout_s=timeout_s)


def run_all(executor: Executor, job: StudyJob, units: list[WorkUnit]) -> list[UnitResult]:
    executor.start(job)
    try:
        return list(executor.run(units))
    finally:
        executor.close()


@pytest.fixture
def seeds_file(tmp_path: Path) -> Path:
    file = tmp_path / "moody.py"
    file.write_text(USER_FAMILY.format(marker=str(tmp_path / "mood")))
    return file


def job_and_units(panel: Panel, seeds_file: Path, *moods: int) -> tuple[StudyJob, list[WorkUnit]]:
    """Blocks of random genomes, each with one moody genome, on every symbol."""
    registry = SeedRegistry([seeds_file])
    rng = random.Random(3)
    moody = default_genome(registry.get("moody"))
    job = StudyJob(
        panel=panel,
        setup=EvaluationSetup().plain(),
        seed_paths=(str(seeds_file),),
        memory_bytes=32 << 20,
        families=(*FAMILIES, "moody"),
    )
    blocks = []
    for mood in moods:
        genomes: list[Genome] = [
            repair(random_genome(registry.get(name), rng), registry, panel.bars // 4)
            for name in FAMILIES
        ]
        genomes.insert(1, moody.with_genes(mood=mood))
        blocks.append(tuple(g.to_text() for g in genomes))
    units = [
        WorkUnit(s * len(blocks) + place, s, block)
        for s in range(len(panel.symbols))
        for place, block in enumerate(blocks)
    ]
    return job, units


EVERY = [
    "processes-1",
    "processes-2",
    pytest.param("processes-4", marks=pytest.mark.slow),
    pytest.param("ray-1", marks=pytest.mark.slow),
    "ray-2",
    pytest.param("ray-4", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("kind", EVERY)
def test_any_executor_gives_the_bits_of_the_driver(
    kind: str, panel: Panel, seeds_file: Path
) -> None:
    job, units = job_and_units(panel, seeds_file, 0, 1, 0, 1)
    reference = run_all(InlineExecutor(), job, units)
    assert digest(run_all(make(kind), job, units)) == digest(reference)
    names = [STATUS[s] for r in reference for s in r.block.status]
    assert names.count("valid") > len(names) // 3
    raised = [reason for r in reference for reason in r.block.reasons if "mood" in reason]
    assert len(raised) == 6
    # The address in the user's message differs between processes and must not show.
    assert set(raised) == {
        "StrategyError: family 'moody' cannot write its rules"
        " (ValueError: mood 1 at <object object>)"
    }


@pytest.mark.parametrize("mood", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["processes-2", pytest.param("ray-2", marks=pytest.mark.slow)])
def test_user_code_that_takes_its_worker_down_once_changes_nothing(
    kind: str, mood: int, panel: Panel, seeds_file: Path
) -> None:
    job, units = job_and_units(panel, seeds_file, 0, mood, 0)
    executor = make(kind, timeout_s=10.0)
    disturbed = run_all(executor, job, units)
    assert executor.stats.retries == 1
    assert executor.stats.failures == {"worker died" if mood == 2 else "timeout": 1}
    assert digest(disturbed) == digest(run_all(InlineExecutor(), job, units))


def test_a_unit_with_only_raising_genomes_has_the_blocks_shape(
    panel: Panel, seeds_file: Path
) -> None:
    job, units = job_and_units(panel, seeds_file, 1)
    only = WorkUnit(0, 1, (units[0].genomes[1], "no genome at all"))
    (result,) = run_all(InlineExecutor(), job, [only])
    (whole,) = run_all(InlineExecutor(), job, [units[1]])
    assert [STATUS[s] for s in result.block.status] == ["raised", "raised"]
    assert result.block.reasons[1].startswith("StrategyError: a genome is not valid JSON")
    assert result.block.metrics.shape == (2, whole.block.metrics.shape[1])
    assert result.block.marks.shape == (2, whole.block.marks.shape[1])
    assert result.block.fold_sharpe.shape == (2, 4)
