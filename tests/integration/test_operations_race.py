"""Two processes at the log of operations: one wins, the other is told what the first did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from genesis.decision.operations import FOLDER, Draft, OperationsLog, read_operations
from genesis.domain.errors import RefusedError
from genesis.domain.timeline import DAY_MS
from genesis.system.clock import SystemClock
from genesis.trading.store import verify
from tests.conftest import REPOSITORY
from tests.unit.decision.operation_samples import DEPLOYMENT, decided, granted, moved


class Rival:
    """A process that takes part in a race."""

    def __init__(self, home: Path, name: str, task: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.operations_rival", home, name, task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def race(home: Path, task: str, entrants: int) -> list[str]:
    rivals = [Rival(home, f"operator{number}", task) for number in range(entrants)]
    try:
        assert [rival.line() for rival in rivals] == ["ready"] * entrants
        for rival in rivals:
            rival.go()
        return [rival.line() for rival in rivals]
    finally:
        for rival in rivals:
            rival.end()


def prepared(home: Path) -> Path:
    now = SystemClock().now_ms()
    with OperationsLog.open(home, SystemClock()) as log:
        log.append_all(
            [
                Draft(decided(deadline_ms=now + DAY_MS)),
                Draft(moved("", "paper")),
                Draft(granted(expires_ms=now + DAY_MS)),
            ]
        )
    return home


@pytest.mark.parametrize("entrants", [2, 4])
def test_one_of_several_operators_resolves_a_review(tmp_path: Path, entrants: int) -> None:
    answers = race(prepared(tmp_path), "review", entrants)
    row = read_operations(tmp_path).decisions["DEC_1"]
    assert answers.count("ok") == 1
    assert row.who == f"operator{answers.index('ok')}"
    for answer in answers:
        assert answer == "ok" or f"was approved by {row.who}" in answer
    report = verify(tmp_path / FOLDER)
    assert (report.events, report.damage) == (4, None)


def test_one_of_two_operators_uses_an_approval(tmp_path: Path) -> None:
    answers = race(prepared(tmp_path), "step", 2)
    assert sorted(answers) == ["ok", f"the approval APR_1 was used by {DEPLOYMENT}"]
    state = read_operations(tmp_path)
    assert state.deployments[DEPLOYMENT].stage == "canary"
    assert state.seq == 5


def test_who_waits_too_long_learns_which_process_holds_the_log(tmp_path: Path) -> None:
    rival = Rival(prepared(tmp_path), "ann", "sit")
    try:
        assert rival.line() == "ready"
        rival.go()
        assert rival.line() == "sitting"
        with pytest.raises(RefusedError) as refused:
            OperationsLog.open(tmp_path, SystemClock(), wait_s=0.1)
        assert f"process id is {rival.process.pid}" in refused.value.why
        assert "operations_rival" in refused.value.why
        assert read_operations(tmp_path).seq == 3  # reading waits for nobody
        rival.process.kill()
        rival.process.wait()
        with OperationsLog.open(tmp_path, SystemClock()) as log:
            assert log.state.seq == 3
    finally:
        rival.end()


def test_two_operators_at_the_command_line(tmp_path: Path) -> None:
    prepared(tmp_path)
    genesis = Path(sys.executable).with_name("genesis")
    words = (("approve", "ann says so"), ("reject", "bob says no"))
    rivals = [
        subprocess.Popen(
            [genesis, "--home", tmp_path, "review", word, "DEC_1", "--reason", reason, "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for word, reason in words
    ]
    answers = [json.loads(rival.communicate(timeout=120)[0]) for rival in rivals]
    assert sorted(rival.returncode for rival in rivals) == [0, 3]
    winner = next(one for one in answers if one["ok"])
    loser = next(one for one in answers if not one["ok"])
    row = read_operations(tmp_path).decisions["DEC_1"]
    assert (row.state, row.reason) == (winner["resolution"], winner["reason"])
    assert f"was {row.state} by" in loser["error"]["what"]
    assert row.reason in loser["error"]["what"]
