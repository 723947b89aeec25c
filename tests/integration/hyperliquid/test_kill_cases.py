"""A slice of the kill benchmark: from the latch to nothing left, judged by the venue."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.hyperliquid.kill_cases import FAULTS, Case, cases, run_case

BOUND_S = 2.0


def _judge(case: Case, folder: Path) -> None:
    found = run_case(case, folder)
    assert found.complaints == []
    assert found.held > 0
    assert found.after_s < BOUND_S, found


@pytest.mark.parametrize(
    "fault",
    ["", *(pytest.param(one, marks=pytest.mark.slow) for one in ("too_many", "error_after"))],
)
def test_check_50_a_kill_empties_an_account_within_two_seconds(tmp_path: Path, fault: str) -> None:
    _judge(Case(11, fault, "set_latch"), tmp_path)


@pytest.mark.slow
def test_check_50_an_entry_on_its_way_never_comes_after_a_kill(tmp_path: Path) -> None:
    _judge(Case(12, "drop_after", "file", flying=True), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["signal", "command"])
@pytest.mark.parametrize("fault", FAULTS)
def test_check_50_a_kill_reaches_another_process(tmp_path: Path, fault: str, way: str) -> None:
    _judge(Case(13, fault, way), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(20, 0, seed=99), ids=lambda case: case.text)
def test_check_50_seeded_kills(tmp_path: Path, case: Case) -> None:
    _judge(case, tmp_path)
