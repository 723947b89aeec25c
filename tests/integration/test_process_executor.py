"""Processes of this machine: no orphans, no leftovers, bounded memory, symbols kept."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from genesis.domain.canonical import array_hash
from genesis.domain.errors import ConfigError
from genesis.domain.instrument import Instrument
from genesis.evolution.executors.processes import ProcessExecutor
from genesis.evolution.executors.shared import attach_panel, share_panel
from genesis.evolution.work import StudyJob, WorkUnit
from genesis.market.panel import ARRAYS, Panel, SymbolSeries

FAKES = Path(__file__).resolve().parents[1] / "contract" / "executors"


@pytest.fixture(autouse=True)
def importable_evaluators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKES))


def small_job(symbols: int = 3, bars: int = 200) -> StudyJob:
    rng = np.random.default_rng(7)
    series = tuple(
        SymbolSeries(
            instrument=Instrument(f"S{n}USDT", f"S{n}"),
            first=0,
            last=bars - 1,
            has_funding=False,
            **{
                name: rng.random(bars) > 0.1 if name == "valid" else rng.random(bars)
                for name in ARRAYS
            },
        )
        for n in range(symbols)
    )
    panel = Panel("test:S", "test", 3_600_000, np.arange(bars) * 3_600_000, series, "f" * 64)
    return StudyJob(panel=panel, setup={}, memory_bytes=32 << 20)


def test_a_shared_panel_has_the_same_bits_and_cannot_be_changed() -> None:
    panel = small_job().panel
    descriptor, layout = share_panel(panel)
    try:
        one = attach_panel(descriptor, layout)
    finally:
        os.close(descriptor)
    for place, series in enumerate(panel.symbols):
        for name in ARRAYS:
            mine = getattr(one.symbols[place], name)
            assert array_hash(mine) == array_hash(getattr(series, name))
            assert not mine.flags.writeable
    assert one.symbols[0].instrument == panel.symbols[0].instrument
    assert (one.name, one.dataset_hash, one.bars) == (panel.name, panel.dataset_hash, 200)
    with pytest.raises(ValueError, match="read-only"):
        one.symbols[0].close[0] = 1.0


def test_a_worker_stays_with_its_symbol(tmp_path: Path) -> None:
    units = [
        WorkUnit(number, number // 6, (f"report:{tmp_path}", f"plain:{number}"))
        for number in range(24)
    ]
    executor = ProcessExecutor(2, 60.0, evaluator="fake_evaluator:Reporting")
    executor.start(small_job(4))
    try:
        assert len(list(executor.run(units))) == 24
    finally:
        executor.close()
    for file in tmp_path.iterdir():
        symbols = file.read_text().split()
        changes = sum(a != b for a, b in itertools.pairwise(symbols))
        # Two of four symbols each; at the end one may help with the other's last.
        assert changes <= 3


def test_a_worker_that_outgrows_its_memory_is_replaced() -> None:
    units = [WorkUnit(number, 0, ("plain:a",)) for number in range(12)]
    executor = ProcessExecutor(
        1, 60.0, worker_memory_bytes=300 << 20, evaluator="fake_evaluator:Growing"
    )
    executor.start(small_job())
    try:
        results = list(executor.run(units))
        assert sorted(r.unit for r in results) == list(range(12))
        assert executor.stats.failures["memory cap"] >= 1
        assert executor.stats.retries == 0
    finally:
        executor.close()


def test_workers_without_sense_are_refused() -> None:
    with pytest.raises(ConfigError):
        ProcessExecutor(0)
    with pytest.raises(ConfigError):
        ProcessExecutor(1, float("nan"))


DRIVER = """
import sys
sys.path[:0] = [{fakes!r}, {tests!r}]
from test_process_executor import small_job
from genesis.evolution.executors.processes import ProcessExecutor
from genesis.evolution.work import WorkUnit
executor = ProcessExecutor(2, 600.0, evaluator="fake_evaluator:FakeEvaluator")
executor.start(small_job())
print("ready", flush=True)
list(executor.run([WorkUnit(n, n, ("hang-always",)) for n in range(3)]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_leave_with_their_driver_even_in_the_middle_of_a_unit(how: signal.Signals) -> None:
    program = DRIVER.format(fakes=str(FAKES), tests=str(Path(__file__).parent))
    driver = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    )
    assert driver.stdout is not None
    assert driver.stdout.readline().strip() == "ready"
    workers = psutil.Process(driver.pid).children(recursive=True)
    assert len(workers) == 2
    driver.send_signal(how)
    driver.wait(30)
    driver.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
