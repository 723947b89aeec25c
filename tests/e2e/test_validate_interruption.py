"""Ctrl-C and SIGTERM in the middle of a validation, then the printed command: the same dossiers."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_line import Answer, Cli, command

pytestmark = pytest.mark.slow

Studied = tuple[Path, Answer]

GATES = """
schema: 1
name: lenient
rehearsal: true
settings: {surrogates: 40, lottery_arms: 5, sample_genomes: 20, noise_draws: 5, candidates: 2}
gates:
  trades: {at_least: 1}
  permutation_sign: {at_most: 1.0}
  permutation_shuffle: {at_most: 1.0}
  lottery: {at_least: 0}
  deflated_sharpe: {at_least: 0, veto: false}
  sealed_psr: {at_least: -1}
"""


def numbers(home: Path) -> dict[str, Any]:
    """Dossiers of a workspace without what depends on the clock."""
    found = {}
    for path in sorted((home / "dossiers").glob("*.json")):
        plain = json.loads(path.read_text())
        for name in ("created_ms", "seconds", "digest"):
            del plain[name]
        del plain["details"]["sealed"]["opened_ms"]
        found[path.stem] = plain
    return found


@pytest.fixture(scope="module")
def whole(
    studied: Studied, tmp_path_factory: pytest.TempPathFactory, shell: Cli
) -> tuple[Path, dict[str, Any]]:
    """File of gates, and the dossiers of a validation that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    gates = folder / "lenient.yaml"
    gates.write_text(GATES)
    shutil.copytree(studied[0], folder / "home")
    done = shell(folder / "home", "validate", "first", "--gates", str(gates), "--json")
    assert done.code == 0, done.err
    assert len(done.json["promotable"]) == 2
    return gates, numbers(folder / "home")


@pytest.mark.parametrize(
    ("number", "place"),
    [
        (signal.SIGINT, ("--executor", "local")),
        (signal.SIGTERM, ("--executor", "processes", "--workers", "2")),
    ],
)
def test_the_printed_command_goes_on_to_the_same_dossiers(
    number: signal.Signals,
    place: tuple[str, ...],
    studied: Studied,
    whole: tuple[Path, dict[str, Any]],
    tmp_path: Path,
) -> None:
    gates, expected = whole
    home = tmp_path / "home"
    shutil.copytree(studied[0], home)
    journal = home / "runs" / "first" / "evidence" / "surrogates.jsonl"
    process = subprocess.Popen(
        command(home, "validate", "first", "--gates", str(gates), *place, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 200
    while not journal.exists() or journal.read_text().count("\n") < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    stopped = Answer(process.returncode, out, err)
    assert stopped.code == 130, err
    assert "finished reruns are kept" in stopped.error["what"]
    assert "stopping; what is finished is kept" in err
    assert not list((home / "dossiers").glob("*"))
    kept = journal.read_text()
    assert 3 <= kept.count("\n") < 80

    words = shlex.split(stopped.error["fix"].removeprefix("go on with: "))
    assert words[0] == "genesis"
    again = subprocess.run(
        [str(Path(sys.executable).with_name("genesis")), *words[1:]],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert journal.read_text().startswith(kept), "what was finished is not run again"
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len({(row["kind"], row["index"]) for row in rows}) == len(rows) == 80
    assert numbers(home) == expected
