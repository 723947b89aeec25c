"""Files of a run: whole or absent, one writer, seals that hold."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from genesis.domain.canonical import content_hash
from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.domain.timeline import DAY_MS, parse_ts
from genesis.evolution import files
from genesis.evolution.run import Run, list_runs, load_run
from genesis.evolution.run_writer import RunWriter, new_run_id
from genesis.evolution.seals import Opening, SealRegistry
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.evolution.trial_count import count_trials
from genesis.strategy.language import Market, ema
from genesis.strategy.strategy import PolicyParams, Rules, Strategy


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.json"
    files.write_json(path, {"a": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        files.write_json(path, {"a": 2})
    with pytest.raises(StorageError, match="disk is full"):
        files.append_lines(tmp_path / "rows.jsonl", [{"a": 1}])
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(files.read_lines(tmp_path / "rows.jsonl")) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.json", "rows.jsonl"]


def test_append_goes_back_to_the_last_whole_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    files.append_lines(path, [{"a": 1}])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError):
        files.append_lines(path, [{"a": 2}, {"a": 3}])
    assert list(files.read_lines(path)) == [{"a": 1}]


def test_a_run_is_held_by_one_process(tmp_path: Path, factory) -> None:
    clock = factory.StepClock()
    writer = RunWriter(tmp_path, "one", clock)
    script = (
        "import sys; from pathlib import Path; from genesis.evolution.run_writer import RunWriter;"
        "w = RunWriter(Path(sys.argv[1]), 'one', None)\n"
        "with w.held(): pass"
    )
    with writer.held():
        writer.begin(factory.config(), {})
        assert Run(writer.folder).status == "running"
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True
        )
        assert f"'one' is in use by process {os.getpid()}" in done.stderr
    # The holder is gone without a last word: nobody is running it any more.
    with (writer.folder / ".lock").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # somebody else looks at the same moment
        assert Run(writer.folder).status == "interrupted"
    with writer.held(), pytest.raises(InputError, match="exists already"):
        writer.begin(factory.config(), {})


def test_refused_before_it_began_leaves_nothing(tmp_path: Path, factory) -> None:
    writer = RunWriter(tmp_path, "one", factory.StepClock())
    with pytest.raises(RuntimeError), writer.held():
        raise RuntimeError
    assert not writer.folder.exists()


def test_runs_are_found_by_prefix(tmp_path: Path, factory) -> None:
    clock = factory.StepClock()
    for name in ("alpha-1", "alpha-2", "beta"):
        writer = RunWriter(tmp_path, name, clock)
        with writer.held():
            writer.begin(factory.config(), {"config_hash": "x"})
            writer.update(status="finished")
    assert [run.id for run in list_runs(tmp_path)] == ["alpha-1", "alpha-2", "beta"]
    run = load_run("bet", tmp_path)
    assert (run.id, run.status, run.config) == ("beta", "finished", factory.config())
    assert run.metrics.empty
    with pytest.raises(InputError, match="start of 2 runs"):
        load_run("alpha", tmp_path)
    with pytest.raises(InputError, match="did you mean 'beta'"):
        load_run("betta", tmp_path)
    assert new_run_id("s", tmp_path, clock).startswith("s-20231114-2213")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 97])
def test_ids_that_cannot_name_a_folder(tmp_path: Path, factory, name: str) -> None:
    with pytest.raises(InputError, match="cannot name a run"):
        RunWriter(tmp_path, name, factory.StepClock())


def test_metrics_of_repeated_generations_are_cut(
    tmp_path: Path, factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RunWriter(tmp_path, "one", factory.StepClock())
    with writer.held():
        writer.begin(factory.config(), {})
        factory.pool().evolve([writer.add_metrics])
        with (writer.folder / "metrics.jsonl").open("a") as file:
            file.write('{"generation": 5, "to')
        whole = [row["generation"] for row in Run(writer.folder).metrics_records()]

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(StorageError, match="disk is full"):
                writer.cut_metrics(2)
        assert [row["generation"] for row in Run(writer.folder).metrics_records()] == whole
        writer.cut_metrics(2)
    run = Run(writer.folder)
    assert list(run.metrics["generation"]) == [0, 1, 2]
    assert set(run.islands["island"]) == {"island-0", "island-1"}


@pytest.mark.parametrize("text", ["{", "", "[1]"])
def test_damaged_facts_of_a_study_are_refused(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "study.json").write_text(text)
    for look in (lambda: Run(folder), lambda: list_runs(tmp_path), lambda: count(tmp_path)):
        with pytest.raises(RefusedError, match=r"study\.json is damaged") as caught:
            look()
        assert caught.value.exit_code == 3
        assert caught.value.why
        assert f"genesis evolve {folder / 'config.yaml'}" in caught.value.fix


def count(home: Path) -> object:
    return count_trials(home, ["BTC"], (0, 1))


def test_seals_refuse_others_who_reach_in(tmp_path: Path) -> None:
    seals = SealRegistry(tmp_path / "seals.json")
    seals.register("one", "venue:BTC:1h", ["BTC", "ETH"], (0, 80), (80, 100))
    # The same split again, another asset, or data that ends before: all fine.
    seals.register("two", "other:BTC:4h", ["BTC"], (0, 80), (80, 100))
    seals.register("three", "venue:SOL:1h", ["SOL"], (0, 200), (200, 250))
    seals.register("one", "venue:BTC:1h", ["BTC", "ETH"], (0, 80), (80, 100))
    with pytest.raises(RefusedError, match="sealed by one, two") as caught:
        seals.register("four", "bybit:BTC:15m", ["BTC"], (50, 81), (81, 90))
    assert caught.value.exit_code == 3
    assert len(seals.seals()) == 4
    with pytest.raises(RefusedError, match="sealed by one"):
        seals.register("five", "x:ETH:1h", ["ETH"], (99, 120), (120, 130))
    seals.register("six", "x:ETH:1h", ["ETH"], (100, 120), (120, 130))


class FakeClock:
    def __init__(self, now: int) -> None:
        self._now = now

    def now_ms(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return 0.0


def test_openings_outlive_later_seals(tmp_path: Path) -> None:
    seals = SealRegistry(tmp_path / "seals.json")
    seals.register("one", "v:BTC:1h", ["BTC"], (0, 80), (80, 100))
    reached = seals.reached(["BTC", "SOL"], (10, 81))
    assert [seal.study for seal in reached] == ["one"]
    assert seals.reached(["BTC"], (10, 80)) == seals.reached(["ETH"], (0, 100)) == []
    opening = seals.open_sealed("strat_1", "v:BTC:1h", reached, FakeClock(42))
    seals.register("two", "v:ETH:1h", ["ETH"], (0, 80), (80, 100))
    assert seals.openings() == [opening] == [Opening("strat_1", "v:BTC:1h", 42, ("one",))]
    assert len(seals.seals()) == 2


def test_a_refused_study_is_told_every_way_out(tmp_path: Path) -> None:
    seals, start = SealRegistry(tmp_path / "seals.json"), parse_ts("2023-01-01")
    seals.register("one", "v:BTC:1h", ["BTC"], (0, start), (start, start + 100 * DAY_MS))
    began = start - 100 * DAY_MS
    # 160 days of 200 are searched
    longer = (began, began + 160 * DAY_MS), (began + 160 * DAY_MS, began + 200 * DAY_MS)
    with pytest.raises(RefusedError) as caught:
        seals.register("two", "v:BTC:4h", ["BTC"], *longer)
    fix = caught.value.fix
    assert "--home" in fix
    assert "with one," in fix
    end = parse_ts(re.findall(r"\d{4}-\d\d-\d\d", fix)[0]) + DAY_MS
    searched = began + (end - began) * 4 // 5
    seals.register("two", "v:BTC:4h", ["BTC"], (began, searched), (searched, end))
    assert 0 <= start - searched <= 2 * DAY_MS


def _strategy(n: int) -> Strategy:
    close = Market().close
    return Strategy(Rules(long=close > ema(close, n)), PolicyParams(), "custom")


def test_store_round_trip_and_prefixes(tmp_path: Path) -> None:
    store = StrategyStore(tmp_path / "strategies")
    records = [
        StoredStrategy(_strategy(n), run_id="r", parents=("p",), trials=7, measures={"sharpe": 1.5})
        for n in (5, 10, 20)
    ]
    for record in records:
        store.put(record)
    assert store.list() == tuple(sorted(records, key=lambda r: r.id))
    first = records[0]
    assert store.get(first.id) == first
    assert store.get(first.id[:10]) == first
    assert store.get(first.id.removeprefix("strat_")[:5]) == first
    with pytest.raises(InputError, match="start of 3 strategies"):
        store.get("strat_")
    with pytest.raises(InputError, match="no strategy 'zzz'"):
        store.get("zzz")
    assert StrategyStore(tmp_path / "strategies").get(first.id).trials == 7


def test_the_count_of_trials_never_falls(tmp_path: Path) -> None:
    store = StrategyStore(tmp_path)
    for trials in (7, 900, 50):
        store.put(StoredStrategy(_strategy(5), run_id=f"r{trials}", trials=trials))
    assert store.list()[0].trials == 900


def test_the_first_finder_keeps_the_record(tmp_path: Path) -> None:
    store = StrategyStore(tmp_path)
    first = StoredStrategy(_strategy(5), run_id="r1", genome="g1", code_hash="c1", trials=7)
    store.put(first)
    for run_id in ("r2", "r1", "r3", "r2"):  # resumed runs store theirs again
        later = StoredStrategy(_strategy(5), run_id=run_id, genome="g", code_hash="c2", trials=9)
        store.put(later)
    expected = replace(first, trials=9, also_found_by=("r2", "r3"))
    assert store.list() == (expected,)
    assert store.list()[0].finders == ("r1", "r2", "r3")


_RESUME = "genesis evolve --resume"


def _other_id(text: str) -> str:
    other = {k: v for k, v in json.loads(text).items() if k != "digest"}
    other |= {"id": "strat_000000000000"}
    return json.dumps(other | {"digest": content_hash(other)})


def _no_rules(text: str) -> str:
    other = {k: v for k, v in json.loads(text).items() if k != "digest"}
    other |= {"strategy": 3}
    return json.dumps(other | {"digest": content_hash(other)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('"trials": 7', '"trials": 1'), "does not fit its digest"),
        (_other_id, "not what its id says"),
        (_no_rules, ""),
        (lambda text: text.replace('"schema": 1', '"schema": 9', 1), "known schema"),
        (lambda _: "[]", "known schema"),
        (lambda _: "{", "cannot read"),
        (lambda _: "", "cannot read"),
    ],
)
def test_a_changed_strategy_is_refused(
    tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    store = StrategyStore(tmp_path)
    path = store.put(StoredStrategy(_strategy(5), run_id="one", trials=7))
    path.write_text(change(path.read_text()))
    for look in (store.list, lambda: store.get("strat_")):
        with pytest.raises(RefusedError, match="changed or damaged") as caught:
            look()
        assert caught.value.exit_code == 3
        assert path.name in caught.value.what
        assert said in caught.value.why
        assert f"delete it and store the survivors of its run again: {_RESUME}" in caught.value.fix


def test_a_strategy_under_the_name_of_another_is_refused(tmp_path: Path) -> None:
    store = StrategyStore(tmp_path)
    path = store.put(StoredStrategy(_strategy(5), run_id="one"))
    path.rename(path.with_name("strat_000000000000.json"))
    with pytest.raises(RefusedError, match="under another's name") as caught:
        store.list()
    assert f"{_RESUME} one" in caught.value.fix
