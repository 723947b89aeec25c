"""A person's commands into a run that trades on the local venue, while it trades."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from genesis.system.clock import SystemClock
from genesis.system.run_commands import halt_scope, send
from genesis.system.run_state import account_status, fold_run
from tests.integration.hyperliquid.live_paper_rig import Bench, Sitting, bench
from tests.integration.hyperliquid.live_rig import LiveRig, live_rig
from tests.unit.cli.command_answers import call


def _flat_history(rig: LiveRig) -> None:
    rig.price(100.0)
    for _ in range(24):
        rig.advance(15_000)


def _answered(desk: Bench, sitting: Sitting, command: str, **arguments: Any) -> None:
    """Send a command and let time pass until the loop has taken it."""
    folder = sitting.engine.session.store.folder
    taken: list[bool] = []

    def ask() -> None:
        sent = send(
            folder,
            command,
            arguments,
            reason="seen",
            who="ann",
            clock=SystemClock(),
            wait_s=30.0,
            pause=time.sleep,
        )
        taken.append(sent.taken)

    thread = threading.Thread(target=ask)
    thread.start()
    while thread.is_alive():
        desk.rig.advance(1_500)
        thread.join(0.1)
    assert taken == [True]


def test_a_halt_and_a_permit_reach_a_run_that_trades(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        _flat_history(rig)
        sitting = desk.start()
        folder = sitting.engine.session.store.folder
        state = fold_run(folder)
        assert halt_scope(state, "symbol:SOL", lift=False) == "symbol:SOL"
        _answered(desk, sitting, "halt", scope="symbol:SOL")
        sitting.bars(2, 101.0)
        assert sitting.position("SOL") == 0, "the same bars open a position without a halt"
        (account,) = fold_run(folder).accounts
        _answered(desk, sitting, "permit", account=account, for_ms=3_600_000)
        found = account_status(fold_run(folder), account)
        assert found["permit"]["by"] == "ann"
        told = call(desk.workspace.home, "risk", "status", "--json").json["risk"]
        assert told["process"], "it is being traded"
        assert told["halts"] == {"symbol:SOL": "ann: seen"}
        assert not told["differs"]
        _answered(desk, sitting, "resume", scope="symbol:SOL")
        assert fold_run(folder).core.desk.halts == {}
        sitting.bars(2, 102.0)
        assert sitting.position("SOL") > 0
        sitting.stop()
