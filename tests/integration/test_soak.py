"""A slice of the long paper run: memory, queues and descriptors stay where they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_two_hundred_thousand_events_leave_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/soak.py", "--events", "200000", "--folder", str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["events"] >= 200_000
    failed = [name for name, good in report["checks"].items() if not good]
    assert not failed, report
    assert done.returncode == 0
    # Every event is a few hundred bytes: a run that kept them all would grow a hundred times this.
    assert report["ratio"] < 0.05
