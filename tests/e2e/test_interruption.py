"""Ctrl-C, kill -9 and resume give what an undisturbed study gives; the demo on a clean machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.command_line import CONFIG, Answer, Cli, command

pytestmark = pytest.mark.slow

Studied = tuple[Path, Answer]
LONG = CONFIG.replace("generations: 3", "generations: 12")


def _until_generation(process: subprocess.Popen[str], number: int) -> list[str]:
    """Read standard error until a generation is done."""
    lines = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if line.startswith(f"generation {number}/"):
            return lines
    raise AssertionError("".join(lines))


def _start(home: Path, config: Path, run: str) -> subprocess.Popen[str]:
    line = command(home, "evolve", str(config), "--run", run, "--json")
    return subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_stop_and_kill_and_resume(
    executor: str, studied: Studied, tmp_path: Path, shell: Cli
) -> None:
    home, _ = studied
    config = tmp_path / "long.yaml"
    config.write_text(LONG.replace("kind: local", f"kind: {executor}, workers: 2"))
    whole = shell(home, "evolve", str(config), "--run", f"whole-{executor}", "--json")
    assert whole.code == 0, whole.err

    run = f"broken-{executor}"
    process = _start(home, config, run)
    _until_generation(process, 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    stopped = Answer(process.returncode, out, err)
    assert stopped.code == 130, err
    assert f"--resume {run}" in stopped.error["fix"]

    resumed = subprocess.Popen(
        command(home, "evolve", "--resume", run, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    seen = _until_generation(resumed, 5)
    done = [int(m[1]) for m in (re.match(r"generation (\d+)/", text) for text in seen) if m]
    assert min(done) >= 2, "at most one generation is repeated"
    resumed.kill()
    resumed.communicate(timeout=60)

    last = shell(home, "evolve", "--resume", run, "--json")
    assert last.code == 0, last.err
    assert last.json["archive_hash"] == whole.json["archive_hash"]
    assert last.json["evaluations"] == whole.json["evaluations"]
    boards = [[row["id"] for row in answer.json["leaderboard"]] for answer in (last, whole)]
    assert boards[0] == boards[1]


def test_demo_from_an_empty_compile_cache(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GENESIS_")}
    environment["GENESIS_CACHE"] = str(tmp_path / "cache")
    home = tmp_path / "home"
    began = time.monotonic()
    done = subprocess.run(
        command(home, "demo", "--json"),
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
    )
    seconds = time.monotonic() - began
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert answer.code == 0, answer.out + answer.err
    result = answer.json
    print(f"demo took {seconds:.1f} s, recovered {result['recovery']['share']:.0%}")
    assert result["leaderboard"]
    assert result["recovery"]["optimum_sharpe"] > 1.2
    assert result["recovery"]["share"] > 0.5
    assert Path(result["report"]).stat().st_size > 1_000_000, "the page carries its own plotly"
    assert (home / "mlflow.db").exists()
    # Twice the promise: the machine that runs the tests may be doing other things as well.
    assert seconds < 120
