"""Retirements that a command of promotion makes up for are dated by the clock that counts here."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genesis.cli import promote
from genesis.decision.deployments import DeploymentBook
from genesis.decision.stages import Target
from tests.unit.decision.deployment_desk import DAY, ManualClock

URL = "http://127.0.0.1:1"


@pytest.fixture
def dated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Days from now by which the retirements of a command are dated."""
    now = int(time.time() * 1000)
    ahead = ManualClock(now + 400 * DAY)
    monkeypatch.setattr("genesis.exchange.hyperliquid.pacing.PacedTime", lambda _: ahead)
    monkeypatch.setattr(promote, "home_of", lambda _: tmp_path)
    monkeypatch.setattr("genesis.system.rehearsal_clock._last_events", lambda _: [now + 500 * DAY])

    def found(scripted: str, *, down: bool, target: Target = Target.LOOPBACK) -> int:
        book, clocks = DeploymentBook(), []
        book.deployments["DEP_1"] = SimpleNamespace(id="DEP_1", target=target, history=())  # type: ignore[assignment]

        def finish(_: object, clock: Any) -> list[str]:
            clocks.append(clock.now_ms())
            return []

        monkeypatch.setattr("genesis.decision.deployments.read_book", lambda _: (None, book))
        monkeypatch.setattr("genesis.system.retirements.finish_retirements", finish)
        context: Any = None
        promote._open(context, None, scripted, down=down)
        (at,) = clocks
        return round((at - now) / DAY)

    return found


@pytest.mark.parametrize("down", [True, False])
def test_a_command_in_scripted_time_dates_them_by_it(dated: Any, *, down: bool) -> None:
    assert dated(URL, down=down) == 400


@pytest.mark.parametrize("down", [True, False])
def test_a_command_of_the_machine_dates_them_no_earlier_than_what_was_traded(
    dated: Any, *, down: bool
) -> None:
    assert dated("", down=down) == 500


@pytest.mark.parametrize("scripted", [URL, ""])
@pytest.mark.parametrize("down", [True, False])
def test_beside_real_deployments_no_script_dates_them(
    dated: Any, scripted: str, *, down: bool
) -> None:
    assert dated(scripted, down=down, target=Target.TESTNET) == 0
