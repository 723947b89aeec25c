"""A command line in a temporary home, in this process or as a user would start it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from genesis.cli import main
from tests.e2e.command_line import CONFIG, SYNTH, Answer, Cli, command


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in this process: ``cli(home, "runs", "list")``."""

    def run(home: Path, *words: str) -> Answer:
        capfd.readouterr()
        code = main.dispatch(["--home", str(home), *words])
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def shell() -> Cli:
    """Run a command line as a process of its own: ``shell(home, "doctor")``."""

    def run(home: Path, *words: str, timeout: float = 280.0) -> Answer:
        environment = {k: v for k, v in os.environ.items() if k != "GENESIS_HOME"}
        done = subprocess.run(
            command(home, *words),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def studied(tmp_path_factory: pytest.TempPathFactory, shell: Cli) -> tuple[Path, Answer]:
    """A home with a small market and one finished run ``first``; read only for tests."""
    folder = tmp_path_factory.mktemp("studied")
    home = folder / "home"
    made = shell(home, *SYNTH, "--plant", "trend:0.0015", "--json")
    assert made.code == 0, made.out + made.err
    (folder / "tiny.yaml").write_text(CONFIG)
    answer = shell(home, "evolve", str(folder / "tiny.yaml"), "--run", "first", "--json")
    assert answer.code == 0, answer.out + answer.err
    return home, answer
