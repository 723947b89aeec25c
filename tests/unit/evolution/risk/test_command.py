"""`genesis risk`: its words, its JSON, its exit codes, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from genesis.cli.main import dispatch
from genesis.evolution.risk.result import RiskResult, save_risk_result
from genesis.risk.genome import RiskGenome
from tests.unit.evolution.risk.test_campaign import TEXT, fill

Capture = pytest.CaptureFixture[str]


def ask(home: Path, *words: str) -> int:
    return dispatch(["--home", str(home), "risk", *words])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a market and a configuration that is done in seconds."""
    place = fill(tmp_path_factory.mktemp("command"))
    (place / "small.yaml").write_text(TEXT + "executor: {kind: local, workers: 1}\n")
    return place


def test_evolve_and_show_tell_the_same(home: Path, capsys: Capture) -> None:
    assert ask(home, "evolve", str(home / "small.yaml"), "--id", "first", "--json") == 0
    told = capsys.readouterr()
    evolved = json.loads(told.out)
    assert (evolved["schema"], evolved["ok"]) == (1, True)
    assert evolved["result"]["usable"] is False
    for word in ("CMA-ES", "NSGA-II", "sealed test", "scenarios/s", "ETA", "genomes"):
        assert word in told.err
    assert ask(home, "show", "fir", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["result"] == evolved["result"]


def test_show_explains_itself_to_people(home: Path, capsys: Capture) -> None:
    assert ask(home, "show", "first") == 0
    out = capsys.readouterr().out
    words = ("the defaults stay", "UNFIT", "defaults", "volatility target", "stop_atr", "crash")
    for word in words:
        assert word in out


def test_quick_results_are_marked(home: Path, capsys: Capture) -> None:
    result = RiskResult("quick", RiskGenome(), "accepted", ("bred with --quick",), {})
    save_risk_result(home / "other", result)
    assert ask(home / "other", "show", "--json") == 0
    plain = json.loads(capsys.readouterr().out)["result"]
    assert plain["usable"] is False
    assert "unfit" in plain["text"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("evolve",), 2, "neither a configuration nor a dataset"),
        (("evolve", "nothing.yaml"), 2, "there is no configuration"),
        (("evolve", "--dataset", "nonsense"), 2, "is no dataset"),
        (("evolve", "--dataset", "synth:NONE:1h"), 2, "NONE"),
        (("evolve", "--resume", "nobody"), 2, "is no risk campaign"),
        (("evolve", "--resume", "first", "--seed", "3"), 2, "cannot be combined with seed"),
        (("evolve", "--workers", "0"), 2, "workers"),
        (("show", "nobody"), 2, "is no risk result"),
        (("breed",), 2, "breed"),
    ],
)
def test_bad_requests_are_told_without_a_traceback(
    home: Path, capsys: Capture, words: tuple[str, ...], code: int, says: str
) -> None:
    assert ask(home, *words) == code
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err
    assert ask(home, *words, "--json") == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["error"]["exit_code"] == code


def test_a_changed_result_is_refused(home: Path, capsys: Capture) -> None:
    place = home / "forged"
    path = save_risk_result(place, RiskResult("r", RiskGenome(), "lost", (), {}))
    path.write_text(path.read_text().replace('"lost"', '"accepted"', 1))
    assert ask(place, "show", "r") == 3
    assert "changed after it was written" in capsys.readouterr().err


def test_help_has_examples(home: Path, capsys: Capture) -> None:
    for words in (("evolve", "--help"), ("show", "--help")):
        assert ask(home, *words) == 0
        assert "Examples:" in capsys.readouterr().out


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_simulated(tmp_path: Path) -> None:
    place = fill(tmp_path)
    text = TEXT.replace("generations: 3", "generations: 400")
    (place / "long.yaml").write_text(text + "executor: {kind: processes, workers: 2}\n")
    command = [sys.executable, "-m", "genesis", "--home", str(place), "risk", "evolve"]
    process = subprocess.Popen(
        [*command, str(place / "long.yaml"), "--id", "cut"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stderr is not None
        begun = time.monotonic()
        while "CMA-ES" not in process.stderr.readline():
            assert time.monotonic() - begun < 240
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "--resume cut" in err
    assert (place / "risk" / "cut" / "evaluations.jsonl").stat().st_size > 0
    assert not (place / "risk" / "cut.json").exists()
