"""`genesis … | head`: the reader goes, and what was being done is saved as on Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genesis.cli.paper_progress import PaperProgress
from genesis.cli.render import console
from genesis.market.sources.synthetic import SynthSpec, synthesize
from genesis.market.store import BarStore
from tests.unit.cli.command_answers import STUDY, call

LINE = "import sys; from genesis.cli.main import run; sys.argv[0] = 'genesis'; run()"


def read_lines(home: Path, words: list[str], lines: int) -> tuple[int, str]:
    """Exit code and standard error of a command of whose output so many lines are read."""
    done = subprocess.Popen(
        [sys.executable, "-c", LINE, "--home", str(home), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stdout is not None
    assert done.stderr is not None
    for _ in range(lines):
        done.stdout.readline()
    done.stdout.close()
    said = done.stderr.read()
    done.stderr.close()
    return done.wait(timeout=120), said


def test_a_study_whose_reader_went_is_interrupted_and_can_go_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (one,) = synthesize(SynthSpec(assets=1, bars=1_500, interval="4h", seed=1))
    BarStore(home / "data").write_bars("synth", "SYN1", "4h", one.bars)
    config = tmp_path / "small.yaml"
    config.write_text(STUDY.replace("generations: 2", "generations: 40"))
    code, said = read_lines(home, ["evolve", str(config), "--run", "cut"], 2)
    assert code == 141, said
    assert "Traceback" not in said
    assert f"genesis --home {home} evolve --resume cut" in said
    (row,) = call(home, "runs", "list", "--json").json["runs"]
    assert row["status"] == "interrupted"


def test_a_list_whose_reader_went_ends_without_a_word(tmp_path: Path) -> None:
    code, said = read_lines(tmp_path, ["doctor"], 0)
    assert (code, said) == (141, "")


def test_both_streams_may_go(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    words = [sys.executable, "-c", LINE, "--home", str(tmp_path), "runs", "show", "none"]
    done = subprocess.run(words, stdout=theirs, stderr=theirs, check=False)
    os.close(theirs)
    assert done.returncode == 141


def test_a_trading_run_stops_where_it_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    out = console()

    def gone() -> None:
        raise BrokenPipeError

    monkeypatch.setattr(out, "_write_buffer", gone)
    monkeypatch.setattr("genesis.cli.closed_pipe.silence", lambda **_: None)
    with PaperProgress(out) as progress:
        assert not progress.stopped()
        progress._say("still here")
        assert progress.stopped()
