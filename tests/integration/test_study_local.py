"""Whole studies on real back-tests, in this process."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import (
    ConfigError,
    DataError,
    InputError,
    InterruptedRun,
    RefusedError,
    StorageError,
)
from genesis.evolution.config import StudyConfig, parse_config, with_overrides
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.metrics import EvolutionMetrics
from genesis.evolution.register import TrialRegister
from genesis.evolution.run import load_run
from genesis.evolution.run_writer import RunWriter
from genesis.evolution.seals import SealRegistry, sealed_bases
from genesis.evolution.store import StrategyStore
from genesis.evolution.study import StudyResult, run_study, search_panel
from genesis.evolution.trial_count import count_trials
from genesis.evolution.trials import TrialLedger
from genesis.evolution.work import UnitResult, WorkUnit
from genesis.market.sources.synthetic import Plant, SynthSpec, synthesize
from genesis.market.store import BarStore
from genesis.system.clock import SystemClock

CONFIG = """
schema: 1
name: small
dataset: {venue: synth, symbols: [SYN1, SYN2], interval: 4h, funding: none}
split: {folds: 2}
seeds: {families: [ema_cross, donchian, bollinger]}
evolution: {population_size: 12, generations: 3, islands: 2, migration_every: 1, seed: 5}
constraints: {min_trades: 20, min_trades_per_fold: 2, min_sharpe_2x: null}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with a synthetic market of two assets and 1,500 bars."""
    store = BarStore(tmp_path / "data")
    spec = SynthSpec(assets=2, bars=1500, interval="4h", seed=2, plants=(Plant("trend", 0.002),))
    for one in synthesize(spec):
        store.write_bars("synth", one.symbol, "4h", one.bars)
    return tmp_path


def _config(home: Path, **overrides: Any) -> StudyConfig:
    names = list(BarStore(home / "data").symbols("synth"))
    return with_overrides(parse_config(CONFIG), **{"dataset__symbols": names, **overrides})


def _run(config: StudyConfig, home: Path, run_id: str, **kwargs: Any) -> StudyResult:
    kwargs.setdefault("executor", InlineExecutor())
    return run_study(config, home, clock=SystemClock(), run_id=run_id, **kwargs)


class Listener:
    """Counts what it is told; stops the study after a generation if asked."""

    def __init__(self, stop: int | None = None) -> None:
        self.told: list[str] = []
        self.stop = stop

    def on_start(self, run: Any) -> None:
        self.told.append(f"start {run.id} {run.status}")

    def on_generation(self, metrics: EvolutionMetrics) -> None:
        self.told.append(f"generation {metrics.generation}")
        if metrics.generation == self.stop:
            raise KeyboardInterrupt

    def on_finish(self, result: StudyResult) -> None:
        self.told.append(f"finish {result.status}")


class ReversedExecutor(InlineExecutor):
    """Answers in the reverse order of the units."""

    def run(self, units: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        return super().run(list(reversed(units)))


def test_study_writes_all_and_repeats(home: Path) -> None:
    config = _config(home)
    listener = Listener()
    first = _run(config, home, "one", listeners=[listener])
    _check_files(home, first)
    assert listener.told == [
        "start one running", "generation 0", "generation 1", "generation 2", "finish finished",
    ]  # fmt: skip
    second = _run(config, home, "two", executor=ReversedExecutor())
    assert second.archive_hash == first.archive_hash
    assert (first.status, second.evaluations) == ("finished", first.evaluations)
    assert [r["id"] for r in first.leaderboard] == [r["id"] for r in second.leaderboard]
    other = _run(_config(home, evolution__seed=6), home, "three")
    assert other.archive_hash != first.archive_hash


def _check_files(home: Path, result: StudyResult) -> None:
    run = load_run("one", home)
    assert run.status == "finished"
    assert run.study["archive_hash"] == result.archive_hash
    assert run.study["unfunded_symbols"] == list(run.config.dataset.symbols)
    assert len(run.metrics) == 3
    assert set(run.trials["role"]) == {"search", "random"}
    assert not run.trials.duplicated(["role", "genome"]).any()
    # The sealed tail is never searched.
    assert run.study["searched_bars"] == 1200
    assert run.study["searched_ms"][1] == run.study["sealed_ms"][0]
    best = result.leaderboard[0]
    assert run.leaderboard_records() == list(result.leaderboard)
    fitness = [row["fitness"] for row in result.leaderboard if row["feasible"]]
    assert fitness == sorted(fitness, reverse=True)
    stored = StrategyStore(home / "strategies").get(best["id"])
    assert stored.run_id == "one"
    assert stored.trials == run.study["trials"]
    assert stored.genome == best["key"]
    assert set(run.lineage["genome"]) >= {best["key"], *best["parents"]}
    # Search and full resolution agree where they measure the same thing.
    entry = next(e for e in run.archive_records() if e["key"] == best["key"])
    assert best["trades"] == entry["measures"]["trades"]
    assert best["total_return"] == pytest.approx(entry["measures"]["total_return"], rel=1e-9)
    assert best["sharpe"] == pytest.approx(entry["measures"]["sharpe"], rel=1e-9)
    assert best["measures"]["bar_sharpe"] != pytest.approx(best["sharpe"], rel=1e-6)
    assert best["sharpe_2x"] < best["sharpe"]
    assert best["max_drawdown"] == pytest.approx(entry["measures"]["max_drawdown"], rel=1e-9)
    assert best["measures"]["bar_max_drawdown"] >= best["max_drawdown"]


def test_survivors_carry_one_kind_of_sharpe_ratio(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genesis.evolution.leaderboard.LENGTH", 1)
    _run(_config(home), home, "one")
    searched = {e["key"]: e["measures"] for e in load_run("one", home).archive_records()}
    stored = StrategyStore(home / "strategies").list()
    assert sum("bar_sharpe" in record.measures for record in stored) == 1 < len(stored)
    for record in stored:
        expected = searched[record.genome]
        for name in ("sharpe", "max_drawdown", "trades", "total_return"):
            assert record.measures[name] == pytest.approx(expected[name], rel=1e-9), name
        # Averaged over symbols by the search, hence under another name than the portfolio's.
        assert record.measures["symbol_sharpe_2x"] == expected["sharpe_2x"]


@pytest.mark.parametrize("stop", [0, 1])
def test_interruption_and_resume(home: Path, stop: int) -> None:
    config = _config(home)
    whole = _run(config, home, "whole")
    with pytest.raises(InterruptedRun, match="genesis evolve --resume parts") as caught:
        _run(config, home, "parts", listeners=[Listener(stop)])
    assert caught.value.exit_code == 130
    assert load_run("parts", home).status == "interrupted"
    listener = Listener()
    resumed = _run(config, home, "parts", resume=True, listeners=[listener])
    assert listener.told[1] == f"generation {stop + 1}"
    assert resumed.archive_hash == whole.archive_hash
    run = load_run("parts", home)
    assert run.status == "finished"
    assert list(run.metrics["generation"]) == [0, 1, 2]
    assert run.study["ledger_head"] == load_run("whole", home).study["ledger_head"]
    # Resuming a finished run finds nothing left to do and says the same.
    assert _run(config, home, "parts", resume=True).archive_hash == whole.archive_hash


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("on_start", "no generation was whole yet"),
        ("generation 0", "1 of 3 generations are whole and saved"),
        ("generation 2", "search is complete and saved, only the leaderboard and the report are"),
        ("on_finish", "search is complete and saved, only the report is missing"),
    ],
)
def test_an_interrupted_run_says_what_is_saved(home: Path, when: str, words: str) -> None:
    config = _config(home)
    listener = Listener(int(when[-1]) if when.startswith("generation") else None)

    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    if when.startswith("on_"):
        setattr(listener, when, stop)
    with pytest.raises(InterruptedRun, match=words):
        _run(config, home, "parts", listeners=[listener])
    assert _run(config, home, "parts", resume=True).status == "finished"
    assert load_run("parts", home).leaderboard_records()


def test_refusals_leave_nothing_behind(home: Path) -> None:
    config = _config(home)
    _run(config, home, "one")
    before = sorted(p.name for p in (home / "runs").iterdir())
    seals = (home / "seals.json").read_text()
    for taken in (config, _config(home, split__sealed=0.3)):
        with pytest.raises(InputError, match="exists already"):
            _run(taken, home, "one")
    with pytest.raises(InputError, match="no run 'two' to resume"):
        _run(config, home, "two", resume=True)
    with pytest.raises(RefusedError, match="configuration is not the one"):
        _run(_config(home, evolution__seed=9), home, "one", resume=True)
    assert load_run("one", home).status == "finished"
    assert (home / "seals.json").read_text() == seals
    with pytest.raises(RefusedError, match="sealed by one"):
        _run(_config(home, split__sealed=0.1), home, "three")
    with pytest.raises(DataError, match="SYN9"):
        _run(_config(home, dataset__symbols=["SYN9"]), home, "four")
    with pytest.raises(DataError, match="shorter than the warm-up"):
        _run(_config(home, constraints__max_warmup=0.001), home, "five")
    with pytest.raises(DataError, match="1200 bars are searched, at least 3200 are needed"):
        _run(_config(home, split__folds=64), home, "short")
    with pytest.raises(DataError, match="1200 bars are searched, at least 1300 are needed") as few:
        _run(_config(home, constraints__min_trades_per_fold=1300), home, "trades")
    assert "min_trades_per_fold 1300 in 2 folds cannot fit" in few.value.why
    span = {"dataset__from": "2010-01-01", "dataset__to": "2010-02-01"}
    with pytest.raises(DataError, match="no 4h bar"):
        _run(_config(home, **span), home, "six")
    assert sorted(p.name for p in (home / "runs").iterdir()) == before


def test_full_disk_while_checkpointing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(home)
    whole = _run(config, home, "whole")
    real = os.replace
    calls = {"left": 1}

    def full(source: Any, target: Any, **kwargs: Any) -> None:
        if Path(target).name == "checkpoint.json":
            if calls["left"] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            calls["left"] -= 1
        real(source, target, **kwargs)

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(Path, "replace", lambda self, target: full(self, target))
    with pytest.raises(StorageError, match="disk is full"):
        _run(config, home, "parts")
    monkeypatch.undo()
    run = load_run("parts", home)
    assert run.status == "failed"
    assert json.loads((run.folder / "checkpoint.json").read_text())["generation"] == 0
    assert not list(run.folder.glob("*.part"))
    assert _run(config, home, "parts", resume=True).archive_hash == whole.archive_hash


def _registered(home: Path) -> tuple[int, int, int]:
    (row,) = TrialRegister(home).rows()
    return row.trials, row.unique, row.ledger_size


def test_trials_are_registered_before_anybody_looks(home: Path) -> None:
    config = _config(home)
    seen: list[tuple[int, int, int]] = []

    class Looker(Listener):
        def on_start(self, run: Any) -> None:
            seen.append(_registered(home))

        def on_generation(self, metrics: EvolutionMetrics) -> None:
            ledger = TrialLedger(home / "runs" / "one" / "trials.jsonl", look=True)
            assert _registered(home) == (ledger.trials, len(ledger.phenotypes), ledger.size)
            seen.append(_registered(home))
            super().on_generation(metrics)

    with pytest.raises(InterruptedRun):
        _run(config, home, "one", listeners=[Looker(1)])
    assert seen[0] == (0, 0, 0)
    assert 0 < seen[1][0] < seen[2][0] == _registered(home)[0]
    # Killed between the register and the checkpoint: the generation is run again, and counts once.
    checkpoint = home / "runs" / "one" / "checkpoint.json"
    whole = _run(_config(home), home, "one", resume=True)
    total = _registered(home)[0]
    checkpoint.unlink()
    again = _run(_config(home), home, "one", resume=True)
    assert again.archive_hash == whole.archive_hash
    assert _registered(home)[0] == total == load_run("one", home).study["trials"]
    panel = search_panel(config, home)
    span = (int(panel.ts_ms[0]), int(panel.ts_ms[-1]) + 1)
    count = count_trials(home, sealed_bases(panel), span)
    assert (count.total, count.unique) == _registered(home)[:2]
    shutil.rmtree(home / "runs" / "one")
    assert count_trials(home, sealed_bases(panel), span).total == total


def test_a_study_is_registered_before_it_seals(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(home)
    panel = search_panel(config, home)
    span = (int(panel.ts_ms[0]), int(panel.ts_ms[-1]) + 1)

    def killed(self: SealRegistry, *_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SealRegistry, "register", killed)
        with pytest.raises(KeyboardInterrupt):
            _run(config, home, "early")
    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "begin", killed)
        with pytest.raises(KeyboardInterrupt):
            _run(config, home, "sealed")
    assert not (home / "runs" / "sealed").exists()
    assert SealRegistry(home / "seals.json").seals()
    assert count_trials(home, sealed_bases(panel), span).total == 0
    # One that the seals refuse leaves nothing.
    before = (home / "register.jsonl").read_bytes()
    with pytest.raises(RefusedError, match="sealed by sealed"):
        _run(_config(home, split__sealed=0.1), home, "three")
    assert (home / "register.jsonl").read_bytes() == before


def test_a_resumed_study_refuses_a_cut_ledger(home: Path) -> None:
    with pytest.raises(InterruptedRun):
        _run(_config(home), home, "one", listeners=[Listener(1)])
    path = home / "runs" / "one" / "trials.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    (home / "runs" / "one" / "checkpoint.json").unlink()
    cut = path.read_bytes()
    with pytest.raises(RefusedError, match="trial ledger of 'one' was cut or changed"):
        _run(_config(home), home, "one", resume=True)
    assert path.read_bytes() == cut, "refused before anything is bred"


def test_unknown_family_is_told(home: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'donchian'"):
        _config(home, seeds__families=["donchain"])


SCRIPT = """
import sys
from pathlib import Path
from genesis.evolution.config import load_config
from genesis.evolution.executors.inline import InlineExecutor
from genesis.evolution.study import run_study
from genesis.system.clock import SystemClock

class Told:
    def on_start(self, run): print("started", flush=True)
    def on_generation(self, metrics): print("generation", metrics.generation, flush=True)
    def on_finish(self, result): print("finished", flush=True)

home = Path(sys.argv[1])
run_study(load_config(home / "c.yaml"), home, clock=SystemClock(), executor=InlineExecutor(),
          listeners=[Told()], run_id="killed")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_driver_resumes(home: Path, how: signal.Signals) -> None:
    config = _config(home, evolution__generations=6)
    (home / "c.yaml").write_text(config.to_yaml())
    whole = _run(config, home, "whole")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("generation 1"):
            process.send_signal(how)
            break
    process.communicate(timeout=60)
    assert process.returncode != 0
    run = load_run("killed", home)
    assert run.status == "interrupted"
    done = json.loads((run.folder / "checkpoint.json").read_text())["generation"]
    listener = Listener()
    began = time.monotonic()
    resumed = _run(config, home, "killed", resume=True, listeners=[listener])
    assert time.monotonic() - began < 120
    assert listener.told[1] == f"generation {done + 1}"
    assert resumed.archive_hash == whole.archive_hash
