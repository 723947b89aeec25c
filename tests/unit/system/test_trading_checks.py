"""What the doctor looks at before live trading; each check is made to fail."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from genesis.domain.errors import RefusedError
from genesis.domain.timeline import DAY_MS
from genesis.evolution.risk.result import ACCEPTED, RiskResult, save_risk_result
from genesis.risk.genome import RiskGenome
from genesis.system.check import Check
from genesis.system.clock import SystemClock
from genesis.system.doctor import examine
from genesis.system.live import require_healthy
from genesis.system.live_hold import LEASES
from genesis.system.workspace import Workspace
from genesis.trading.kill_latch import KillLatch, KillOrder
from genesis.trading.lease import AccountLease, last_holder
from tests.unit.cli.command_answers import call
from tests.unit.decision.operation_samples import NOW, decided, sitting
from tests.unit.trading.event_samples import HandClock

ADDRESS = "0x" + "ab" * 20


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "home").open()


def found(workspace: Workspace, name: str, *, live: bool = False) -> Check:
    (check,) = [one for one in examine(workspace, live=live) if one.name == name]
    return check


def broken(workspace: Workspace) -> str:
    with pytest.raises(RefusedError) as caught:
        require_healthy(workspace)
    return caught.value.why


def test_a_fresh_workspace_may_trade(workspace: Workspace) -> None:
    names = {"kill latch", "operations", "clock", "leases", "hard limits", "reviews"}
    checks = {check.name: check for check in examine(workspace, live=True)}
    assert {name: checks[name].status for name in names} == dict.fromkeys(names, "ok")
    assert (checks["alerts"].status, checks["risk genome"].status) == ("warn", "warn")
    require_healthy(workspace)


def test_a_killed_workspace_studies_and_does_not_trade(workspace: Workspace) -> None:
    KillLatch(workspace.home).set(KillOrder("fire", "ann", NOW))
    check = found(workspace, "kill latch")
    assert (check.status, check.detail) == ("warn", "killed by ann: fire")
    assert found(workspace, "kill latch", live=True).status == "fail"
    assert "killed by ann: fire" in broken(workspace)
    assert call(workspace.home, "doctor", "--json").code == 0
    answer = call(workspace.home, "doctor", "--live", "--json")
    assert (answer.code, answer.json["ok"]) == (1, False)
    assert "rearm" in call(workspace.home, "doctor").out


def test_an_edited_operations_log(workspace: Workspace) -> None:
    with sitting(workspace.home) as log:
        log.append(decided())
    assert found(workspace, "operations").detail == "1 event verified, 0 deployments"
    with sqlite3.connect(workspace.home / "operations" / "events.db") as db:
        db.execute("UPDATE events SET aggregate = 'other' WHERE seq = 1")
    check = found(workspace, "operations")
    assert check.status == "fail"
    assert "not what was written" in check.detail
    assert "not what was written" in broken(workspace)


def test_a_clock_that_was_set_back(workspace: Workspace) -> None:
    ahead = HandClock(SystemClock().now_ms() + DAY_MS)
    with sitting(workspace.home, ahead) as log:
        log.append(decided())
    assert found(workspace, "clock").status == "warn"
    check = found(workspace, "clock", live=True)
    assert check.status == "fail"
    assert "behind the last row" in check.detail
    assert "clock" in broken(workspace)
    require_healthy(workspace, scripted=True)


def test_alerts_that_reach_nobody_or_cannot_be_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "only console and file" in found(workspace, "alerts").detail
    path = workspace.home / "alerts.yaml"
    path.write_text("schema: 1\nchannels: [{name: phone, url_env: GENESIS_TEST_PHONE}]\n")
    monkeypatch.setenv("GENESIS_TEST_PHONE", "json://127.0.0.1:9/x")
    assert found(workspace, "alerts") == Check("alerts", "ok", "phone")
    path.write_text("schema: 1\nchanels: []\n")
    assert found(workspace, "alerts").status == "fail"
    assert "alerts" in broken(workspace)


def test_leases_that_are_held_or_were_left_behind(workspace: Workspace) -> None:
    folder = workspace.home / LEASES
    assert found(workspace, "leases").detail == "no account is being traded"
    with AccountLease(folder, ADDRESS, "live-1"):
        assert found(workspace, "leases").detail == f"held: {ADDRESS}: process {os.getpid()}"
    assert found(workspace, "leases").detail == "no account is being traded", "it was given back"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from genesis.trading.lease import AccountLease\n"
        f"lease = AccountLease(Path(sys.argv[1]), {ADDRESS!r}, 'live-2'); os._exit(9)"
    )
    died = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    assert died.wait(60) == 9
    check = found(workspace, "leases")
    assert check.status == "ok"
    assert check.detail == f"left by a process that died, free: {ADDRESS}: process {died.pid}"
    left = last_holder(folder, ADDRESS)
    assert left is not None
    assert (left.run, left.process, left.alive) == ("live-2", died.pid, False)
    (folder / f"{ADDRESS}.lease").write_text("{")
    assert found(workspace, "leases").status == "fail"


def test_hard_limits_that_cannot_be_read(workspace: Workspace) -> None:
    path = workspace.home / "limits.yaml"
    path.write_text("schema: 1\nlimits: {max_gross: 2}\n")
    assert found(workspace, "hard limits") == Check("hard limits", "ok", str(path))
    path.write_text("schema: 1\nlimits: {max_gross: two}\n")
    check = found(workspace, "hard limits")
    assert check.status == "fail"
    assert "max_gross" in check.detail
    assert "max_gross" in broken(workspace)


def test_a_risk_genome_that_is_missing_or_was_changed(workspace: Workspace) -> None:
    assert found(workspace, "risk genome").status == "warn"
    genome = RiskGenome().replace(max_gross=0.5)
    path = save_risk_result(workspace.home, RiskResult("risk-1", genome, ACCEPTED, (), {}))
    assert found(workspace, "risk genome") == Check("risk genome", "ok", genome.id)
    plain = json.loads(path.read_text())
    plain["genome"]["genes"]["max_gross"] = 3.0
    path.write_text(json.dumps(plain))
    check = found(workspace, "risk genome")
    assert check.status == "fail"
    assert "changed" in check.detail
    assert "risk genome" in broken(workspace)


def test_reviews_past_their_deadline(workspace: Workspace) -> None:
    now = SystemClock().now_ms()
    with sitting(workspace.home) as log:
        log.append(decided("DEC_1", deadline_ms=now + DAY_MS))
    assert found(workspace, "reviews").detail == "1 open"
    with sitting(workspace.home) as log:
        log.append(decided("DEC_2", kind="risk_adjustment", deadline_ms=now - 1))
    check = found(workspace, "reviews")
    assert (check.status, check.detail) == ("warn", "1 of 2 past their deadline: DEC_2")
    require_healthy(workspace)


def test_what_the_doctor_says_to_do_names_the_workspace(workspace: Workspace) -> None:
    latch = KillLatch(workspace.home)
    latch.set(KillOrder("drill", "ann", 1))
    answer = call(workspace.home, "doctor")
    named = f"genesis --home {workspace.home}"
    assert f'fix: {named} rearm --reason "…"' in answer.out
    assert f"then {named} alerts test" in answer.out
    listed = call(workspace.home, "doctor", "--json").json["checks"]
    assert f"{named} rearm" in next(one["fix"] for one in listed if one["name"] == "kill latch")
