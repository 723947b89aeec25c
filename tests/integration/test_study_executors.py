"""One study on every executor: the same archive, whatever runs it and whatever happens to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from genesis.domain.errors import InterruptedRun
from genesis.evolution.config import StudyConfig, parse_config
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.executors.processes import ProcessExecutor
from genesis.evolution.executors.ray_pool import RayExecutor
from genesis.evolution.metrics import EvolutionMetrics
from genesis.evolution.run import load_run
from genesis.evolution.study import StudyResult, run_study
from genesis.market.sources.synthetic import SynthSpec, synthesize
from genesis.market.store import BarStore
from genesis.system.clock import SystemClock

FAMILY = '''
from genesis import Market, Rules, Seed, SeedKind, Window, ema, seed


@seed(kind=SeedKind.TREND)
class Moody(Seed):
    """Price above its average, unless the window is 40."""

    window = Window(10, 80)

    def rules(self, m: Market) -> Rules:
        if self.window == 40:
            raise ValueError("forty is too much")
        mean = ema(m.close, self.window)
        return Rules(long=m.close > mean, short=m.close < mean)
'''

CONFIG = """
schema: 1
name: every
dataset: {venue: synth, symbols: [%s], interval: 4h, funding: none}
split: {folds: 2}
seeds: {families: [ema_cross, donchian, moody, linear_svc], paths: [moody.py]}
evolution:
  population_size: 12
  generations: 3
  islands: 2
  migration_every: 1
  ml_island: {population_size: 4, budget: 6}
constraints: {min_trades: 20, min_trades_per_fold: 2, min_sharpe_2x: null}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a synthetic market and a family that raises for some genes."""
    folder = tmp_path_factory.mktemp("home")
    store = BarStore(folder / "data")
    for one in synthesize(SynthSpec(assets=3, bars=1500, interval="4h", seed=2)):
        store.write_bars("synth", one.symbol, "4h", one.bars)
    (folder / "moody.py").write_text(FAMILY)
    return folder


@pytest.fixture(scope="module")
def config(home: Path) -> StudyConfig:
    names = ", ".join(BarStore(home / "data").symbols("synth"))
    return parse_config(CONFIG % names, "every.yaml", home)


def _run(config: StudyConfig, home: Path, run_id: str, executor: Any, **more: Any) -> StudyResult:
    return run_study(config, home, clock=SystemClock(), executor=executor, run_id=run_id, **more)


@pytest.fixture(scope="module")
def undisturbed(config: StudyConfig, home: Path) -> StudyResult:
    return _run(config, home, "inline", InlineExecutor())


class Disturber:
    """Does something after the first generation."""

    def __init__(self, what: Callable[[], None]) -> None:
        self.what = what

    def on_start(self, run: Any) -> None:
        return None

    def on_generation(self, metrics: EvolutionMetrics) -> None:
        if metrics.generation == 0:
            self.what()

    def on_finish(self, result: StudyResult) -> None:
        return None


def _interrupt() -> None:
    raise KeyboardInterrupt


def _same(run_id: str, home: Path, result: StudyResult, undisturbed: StudyResult) -> None:
    assert result.archive_hash == undisturbed.archive_hash
    mine, theirs = load_run(run_id, home), load_run("inline", home)
    assert mine.study["ledger_head"] == theirs.study["ledger_head"]
    assert [row["id"] for row in result.leaderboard] == [r["id"] for r in undisturbed.leaderboard]


def test_process_workers_give_the_same_archive(
    config: StudyConfig, home: Path, undisturbed: StudyResult
) -> None:
    result = _run(config, home, "processes", ProcessExecutor(2))
    _same("processes", home, result, undisturbed)
    raised = [r for r in load_run("inline", home).trials_records() if r["status"] == "raised"]
    assert raised
    assert all("forty is too much" in row["reason"] for row in raised)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(
    config: StudyConfig, home: Path, undisturbed: StudyResult
) -> None:
    executor = ProcessExecutor(2)
    mine = {p.pid for p in psutil.Process().children(recursive=True)}

    def kill_one() -> None:
        started = [p for p in psutil.Process().children() if p.pid not in mine]
        workers = [p for p in started if "resource_tracker" not in " ".join(p.cmdline())]
        os.kill(workers[0].pid, signal.SIGKILL)

    result = _run(config, home, "killed", executor, listeners=[Disturber(kill_one)])
    _same("killed", home, result, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_ray_gives_the_same_archive(
    config: StudyConfig, home: Path, undisturbed: StudyResult, workers: int
) -> None:
    result = _run(config, home, f"ray-{workers}", RayExecutor(workers=workers))
    _same(f"ray-{workers}", home, result, undisturbed)


@pytest.mark.slow
def test_interrupted_on_ray_and_resumed_in_process(
    config: StudyConfig, home: Path, undisturbed: StudyResult
) -> None:
    with pytest.raises(InterruptedRun):
        _run(config, home, "moved", RayExecutor(workers=2), listeners=[Disturber(_interrupt)])
    result = _run(config, home, "moved", InlineExecutor(), resume=True)
    _same("moved", home, result, undisturbed)
