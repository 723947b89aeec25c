"""Slices of the benchmarks of the gates: noise, planted edges, and what breaks without a ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow


def run(script: str, *words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON object of the last line, and what was told on the way."""
    done = subprocess.run(
        [sys.executable, f"benchmarks/{script}", *words],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_noise_promotes_nothing_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    state = tmp_path / "noise.jsonl"
    words = ["--campaigns", "2", "--kinds", "normal", "garch_t", "--uniform", "1"]
    _, report, told = run("noise.py", *words, "--state", str(state))
    assert report["value"] == 0.0
    assert report["campaigns"] == 4
    assert report["campaigns_behind_uniform_p"] == 2
    assert "min left" in told
    rows = [json.loads(line) for line in state.read_text().splitlines()]
    assert {(row["kind"], row["seed"]) for row in rows} == {
        (kind, seed) for kind in ("normal", "garch_t") for seed in (720_000, 720_001)
    }
    # Whatever is in the state is not run again: a campaign of it is dropped and made anew, equal.
    kept, dropped = rows[:-1], rows[-1]
    state.write_text("".join(json.dumps(row) + "\n" for row in kept))
    _, again, _ = run("noise.py", *words, "--state", str(state))
    remade = json.loads(state.read_text().splitlines()[-1])
    timeless = {"seconds", "trials"}  # the register's head holds the time of the study
    assert {k: v for k, v in remade.items() if k not in timeless} == {
        k: v for k, v in dropped.items() if k not in timeless
    }
    assert again["passed_alone"] == report["passed_alone"]


def test_a_strong_edge_passes_and_what_is_promoted_is_true() -> None:
    _, report, _ = run("planted_gates.py", "--arms", "trend 4", "--seeds", "2")
    figures = report["figures"]["trend 4"]
    assert figures["promoted"] >= 1
    assert figures["true_sharpe_of_promoted"] > 1.0


def test_a_decoy_does_not_pass() -> None:
    _, report, _ = run("planted_gates.py", "--arms", "decoy 0", "--seeds", "2")
    assert report["figures"]["decoy 0"]["promoted"] == 0


@pytest.mark.parametrize(("what", "campaigns"), [("ledger", "6"), ("seal", "24")])
def test_without_what_it_stands_on_a_gate_breaks_its_own_bound(what: str, campaigns: str) -> None:
    code, report, _ = run("noise.py", "--sabotage", what, "--campaigns", campaigns)
    assert code == 0, report["checks"]
    assert report["value"] > report["reference"]
