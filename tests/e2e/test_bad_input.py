"""Bad input: each a clear error that names cause and remedy, and no half-written state."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.command_line import CONFIG, Answer, Cli

Studied = tuple[Path, Answer]


def _files(home: Path) -> set[str]:
    return {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "symbols: [SYN1, SYN2]",
            "symbols: [SYN1, SYN9]",
            ["SYN9", "did you mean", "data synth"],
        ),
        (
            "venue: synth",
            "venue: nowhere",
            ["nowhere", "data import"],
        ),
        (
            "venue: synth",
            "venue: hyperliquid",
            ["hyperliquid", "data import", "data fetch"],
        ),
        ("interval: 4h", "interval: 1h", ["SYN1", "4h", "1h"]),
        ("interval: 4h,", "interval: 4h, from: 2031-01-01, to: 2031-02-01,", ["no 4h bar", "2031"]),
        ("interval: 4h,", "interval: 4h, from: 2020-02-01, to: 2020-02-03,", ["bars"]),
        ("symbols: [SYN1, SYN2]", "symbols: [SYN1, SYN1]", ["SYN1", "more than once"]),
        ("generations: 3", "generations: 0", ["evolution.generations", "at least 1"]),
        ("generations: 3", "generatoins: 3", ["generatoins", "did you mean 'generations'"]),
        ("split:", "costs: {taker: -0.001}\nsplit:", ["costs.taker", "at least 0"]),
        ("donchian", "donchain", ["donchain", "did you mean 'donchian'"]),
        ("kind: local", "kind: lokal", ["executor.kind", "local"]),
    ],
)
def test_a_study_that_cannot_begin(
    old: str, new: str, words: list[str], studied: Studied, tmp_path: Path, cli: Cli
) -> None:
    home, _ = studied
    config = tmp_path / "bad.yaml"
    assert old in CONFIG
    config.write_text(CONFIG.replace(old, new, 1))
    before = _files(home)
    answer = cli(home, "evolve", str(config), "--run", "bad", "--json")
    error = answer.error
    assert answer.code == 2, error
    text = " ".join((error["what"], error["why"], error["fix"]))
    for word in words:
        assert word in text, text
    assert error["fix"]
    assert _files(home) == before, "nothing is left behind"
    assert not (home / "runs" / "bad").exists()


def test_no_configuration_and_no_such_file(tmp_path: Path, cli: Cli) -> None:
    assert "configs/demo.yaml" in cli(tmp_path, "evolve", "--json").error["fix"]
    missing = cli(tmp_path, "evolve", str(tmp_path / "none.yaml"), "--json")
    assert missing.code == 2
    assert "none.yaml" in missing.error["what"]
    (tmp_path / "torn.yaml").write_text("schema: [1\nname: x")
    assert cli(tmp_path, "evolve", str(tmp_path / "torn.yaml"), "--json").code == 2


def test_a_run_id_that_is_taken(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home, _ = studied
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)
    before = _files(home)
    answer = cli(home, "evolve", str(config), "--run", "first", "--json")
    assert answer.code in (2, 3)
    assert "first" in answer.error["what"]
    assert answer.error["fix"]
    assert _files(home) == before


def test_two_studies_on_one_run(studied: Studied, cli: Cli) -> None:
    home, _ = studied
    with (home / "runs" / "first" / ".lock").open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        answer = cli(home, "evolve", "--resume", "first", "--json")
    assert answer.code == 3, answer.out
    assert "in use" in answer.error["what"]
    assert answer.error["fix"]


def test_resume_refuses_what_would_change_the_result(studied: Studied, cli: Cli) -> None:
    home, _ = studied
    answer = cli(home, "evolve", "--resume", "first", "--seed", "3", "--json")
    assert answer.code == 2
    assert "--seed" in answer.error["what"]
    assert cli(home, "evolve", "--resume", "nothing", "--json").code == 2


def test_unknown_run_and_strategy(studied: Studied, cli: Cli) -> None:
    home, _ = studied
    answer = cli(home, "runs", "show", "frist", "--json")
    assert answer.code == 2
    assert "did you mean 'first'" in answer.error["what"]
    assert cli(home, "runs", "compare", "first", "--json").code == 2
    for verb in ("show", "explain", "export"):
        answer = cli(home, "strategies", verb, "strat_ffffffffffff", "--json")
        assert answer.code == 2
        assert answer.error["fix"]


def test_backtest_input(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home, answer = studied
    best = answer.json["leaderboard"][0]["id"]
    dataset = ("--funding", "none", "--dataset")
    cases = {
        "no dataset": (best, *dataset, "synth"),
        "SYN7": (best, *dataset, "synth:SYN7:4h"),
        "taker": (best, *dataset, "synth:SYN1:4h", "--taker", "-0.1"),
        "leverage": (best, *dataset, "synth:SYN1:4h", "--leverage", "0.5"),
        "interval": (best, *dataset, "synth:SYN1:7h"),
    }
    for word, line in cases.items():
        got = cli(home, "backtest", *line, "--json")
        assert got.code == 2, word
        assert word in got.error["what"], got.error
        assert got.error["fix"]
    (tmp_path / "torn.json").write_text('{"schema": 1')
    torn = cli(home, "backtest", str(tmp_path / "torn.json"), *dataset, "synth:SYN1:4h", "--json")
    assert torn.code == 2
    assert "torn.json" in torn.error["what"]


def _refused(answer: Answer, *words: str) -> None:
    assert answer.code == 3, answer.out + answer.err
    text = " ".join((answer.error["what"], answer.error["why"]))
    for word in words:
        assert word in text, text
    assert answer.error["fix"]


def test_ledgers_that_were_changed_on_the_way(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home, answer = studied
    best = answer.json["leaderboard"][0]["id"]
    file, archive = tmp_path / "best.json", tmp_path / "best.ledgers.zip"
    assert cli(home, "strategies", "export", best, "--out", str(file), "--json").code == 0
    with ZipFile(archive) as pack:
        held = {name: pack.read(name) for name in pack.namelist()}
    with ZipFile(archive, "w") as pack:
        for name, data in held.items():
            pack.writestr(name, b"".join(data.splitlines(keepends=True)[:-5]))
    other = tmp_path / "other"
    _refused(cli(other, "strategies", "import", str(file), "--json"), "cut or changed", "'first'")
    archive.write_bytes(b"PK no archive")
    _refused(cli(other, "strategies", "import", str(file), "--json"), "best.ledgers.zip")
    assert not list(other.rglob("strat_*"))
    assert not list(other.rglob("trials.jsonl"))
    archive.unlink()
    alone = cli(other, "strategies", "import", str(file), "--json").json
    assert "'first', is not here" in alone["origin_problem"]
    assert "not promotable" in cli(other, "strategies", "import", str(file)).out


def test_trials_that_were_cut_at_home(studied: Studied, tmp_path: Path, cli: Cli) -> None:
    home = shutil.copytree(studied[0], tmp_path / "home")
    best = studied[1].json["leaderboard"][0]["id"]
    out = str(tmp_path / "out.json")
    ledger = home / "runs" / "first" / "trials.jsonl"
    whole = ledger.read_text()
    ledger.write_text("".join(whole.splitlines(keepends=True)[:-3]))
    _refused(cli(home, "strategies", "export", best, "-o", out, "--json"), "'first' was cut")
    ledger.write_text(whole)
    register = home / "register.jsonl"
    register.write_text("".join(register.read_text().splitlines(keepends=True)[:-1]))
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)
    lines = [
        ("strategies", "export", best, "-o", out),
        ("evolve", str(config), "--run", "more"),
        ("backtest", best, "--funding", "none", "--dataset", "synth:SYN1:4h"),
    ]
    for line in lines:
        _refused(cli(home, *line, "--json"), "register.jsonl was changed or cut")
    assert not (home / "runs" / "more").exists()
    assert not Path(out).exists()


def _import(cli: Cli, home: Path, file: Path, *more: str) -> Answer:
    names = ("--venue", "mine", "--symbol", "BTC", "--interval", "1h")
    return cli(home, "data", "import", str(file), *names, *more, "--json")


def test_unreadable_parquet(tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "bars.parquet"
    file.write_bytes(b"PAR1 this is no parquet")
    answer = _import(cli, tmp_path / "home", file)
    assert answer.code == 2, answer.out
    assert "bars.parquet" in answer.error["what"]
    assert answer.error["fix"]
    assert not list((tmp_path / "home").rglob("*.parquet"))


def test_csv_without_a_time_column(tmp_path: Path, cli: Cli) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("open,high,low,close,volume\n1,2,1,2,5\n2,3,2,3,5\n")
    answer = _import(cli, tmp_path / "home", file)
    assert answer.code == 2
    assert "time" in answer.error["what"]
    assert "--map" in answer.error["fix"]
    assert not list((tmp_path / "home").rglob("*.parquet"))


def test_impossible_bars_are_refused(tmp_path: Path, cli: Cli) -> None:
    hours = 1_600_000_200_000 // 3_600_000 * 3_600_000 + 3_600_000 * np.arange(50)
    prices = np.full(50, 10.0)
    lows = prices.copy()
    lows[7] = 11.0
    table = pa.table(
        {
            "timestamp": pa.array(hours, pa.timestamp("ms", tz="UTC")),
            "open": prices,
            "high": prices,
            "low": lows,
            "close": prices,
            "volume": prices,
        }
    )
    file = tmp_path / "bars.parquet"
    pq.write_table(table, file)
    answer = _import(cli, tmp_path / "home", file)
    assert answer.code == 2
    assert "--quarantine" in answer.error["fix"]
    assert not list((tmp_path / "home").rglob("BTC*"))


def test_wrong_ray_address(studied: Studied, tmp_path: Path, shell: Cli) -> None:
    home, _ = studied
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)
    before = _files(home)
    line = ("evolve", str(config), "--run", "ray", "--ray-address", "127.0.0.1:1", "--json")
    answer = shell(home, *line, timeout=120)
    assert answer.code == 2, answer.out + answer.err
    assert "127.0.0.1:1" in answer.error["what"]
    assert answer.error["fix"]
    assert _files(home) == before, "nothing is left behind"


def test_full_disk_at_a_checkpoint(
    studied: Studied, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, first = studied
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG)
    fsync, seen = os.fsync, []

    def full(handle: int) -> None:
        if "checkpoint" in os.readlink(f"/proc/self/fd/{handle}"):
            seen.append(handle)
            if len(seen) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    answer = cli(home, "evolve", str(config), "--run", "full", "--json")
    monkeypatch.undo()
    assert answer.code == 1, answer.out + answer.err
    assert "disk is full" in answer.error["why"]
    assert "space" in answer.error["fix"]
    assert not [name for name in _files(home / "runs" / "full") if ".part" in name]
    resumed = cli(home, "evolve", "--resume", "full", "--json")
    assert resumed.json["archive_hash"] == first.json["archive_hash"]
