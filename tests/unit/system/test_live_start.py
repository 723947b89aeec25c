"""What a live start makes of files that are missing or damaged, of a kill, and of limits."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genesis.decision.stages import Target
from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.evolution.store import StoredStrategy, StrategyStore
from genesis.paper.settings import PaperMode
from genesis.risk.limits import HardLimits
from genesis.strategy.language import Market
from genesis.strategy.strategy import NEVER, PolicyParams, Rules, Strategy
from genesis.system import live, live_paper
from genesis.system.limits import LimitsChoice
from genesis.system.live import live_run_settings, run_live, unfinished_run
from genesis.system.live_hold import LEASES
from genesis.system.live_paper import LiveWay
from genesis.system.workspace import Workspace
from genesis.trading.kill_latch import KillLatch, KillOrder
from genesis.trading.lease import AccountLease
from tests.unit.system.test_limits import CLOCK
from tests.unit.system.test_run_lists import run_of

ADDRESS = "0xa1"
KEY: Any = SimpleNamespace(address="0xkey")


def deployed(strategy: str, target: Target = Target.LOOPBACK) -> Any:
    return SimpleNamespace(
        id="DEP_1", strategy=strategy, symbols=("SOL",), capital=1_000, stage="canary",
        dossier_hash="d", target=target, account=ADDRESS,
    )  # fmt: skip


def stored(workspace: Workspace, dataset: str = "synth:SOL:1h", above: float = 1.0) -> str:
    rules = Rules(Market().close > above, NEVER)
    record = StoredStrategy(Strategy(rules, PolicyParams()), dataset=dataset)
    StrategyStore(workspace.strategies).put(record)
    return record.id


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> LiveWay:
    """Nothing is asked of doctor and reviews, and no gateway may be made."""
    monkeypatch.setattr(live, "require_healthy", lambda *_, **__: None)
    monkeypatch.setattr(live, "DailyReviews", lambda *_: contextlib.nullcontext())
    return LiveWay(stopped=lambda: False, told=lambda _: None, clock=CLOCK)


def no_gateway(*_: object) -> None:
    raise AssertionError("nothing may be sent")


# ---- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [None, HardLimits(max_gross=1.5, max_orders_per_minute=7)])
def test_a_live_run_has_the_limits_that_it_is_given_else_the_built_in_ones(
    tmp_path: Path, limits: HardLimits | None
) -> None:
    workspace = Workspace(tmp_path).open()
    made = live_run_settings(workspace, [deployed(stored(workspace))], 10**12, "", limits)
    assert made.limits == (limits or HardLimits()).plain()
    assert made.risk_manager().limits == (limits or HardLimits()), "they judge its orders"
    assert HardLimits().plain() != HardLimits(max_gross=1.5, max_orders_per_minute=7).plain()


# ---- files that are missing ------------------------------------------------------------------


def test_a_strategy_that_is_not_stored_any_more_is_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path).open()
    with pytest.raises(InputError, match="strat_gone"):
        live_run_settings(workspace, [deployed("strat_gone")], 10**12, "")


def test_strategies_on_bars_of_several_lengths_need_several_accounts(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path).open()
    two = [deployed(stored(workspace)), deployed(stored(workspace, "synth:SOL:4h", 2.0))]
    with pytest.raises(InputError, match="1h, 4h"):
        live_run_settings(workspace, two, 10**12, "")


def test_a_run_that_is_over_or_of_another_account_is_not_taken_up(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert unfinished_run(workspace, ADDRESS) is None, "there is no folder of runs"
    over = run_of(tmp_path, "live-3")
    (over / "result.json").write_text("{}")
    run_of(tmp_path, "live-2", PaperMode.LIVE, "run.json")
    (run_of(tmp_path, "live-4") / "run.json").write_text("{")
    run_of(tmp_path, "net-1", PaperMode.TESTNET)
    assert unfinished_run(workspace, ADDRESS) is None
    folder = run_of(tmp_path, "live-1")
    found = unfinished_run(workspace, ADDRESS)
    assert found is not None
    assert found[0] == folder
    assert unfinished_run(workspace, "0xother") is None


def test_a_run_whose_log_is_missing_is_neither_taken_up_nor_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: LiveWay
) -> None:
    run_of(tmp_path, "live-1", PaperMode.LIVE, "events.db")
    monkeypatch.setattr(live_paper, "_connection", no_gateway)
    with pytest.raises(InputError, match="damaged: its log"):
        run_live(Workspace(tmp_path).open(), ADDRESS, KEY, way, choice=LimitsChoice(), live=True)


# ---- a kill ----------------------------------------------------------------------------------


def test_a_start_under_the_latch_keeps_it_though_it_is_lifted_before_it_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: LiveWay
) -> None:
    """It left out the doctor and the limits, so that it may only empty the account."""
    workspace, latch = Workspace(tmp_path).open(), KillLatch(tmp_path)
    latch.set(KillOrder("enough", "ann", 7))
    run_of(tmp_path, "live-1")
    seen: list[str] = []

    def lifted(*_: Any) -> Any:
        found = unfinished_run(workspace, ADDRESS)
        latch.lift()
        return found

    def resume(*args: Any) -> None:
        seen.append(args[-1].latch.closed())
        raise RefusedError("was killed")

    monkeypatch.setattr(live, "unfinished_run", lifted)
    monkeypatch.setattr(live, "resume_live", resume)
    with pytest.raises(RefusedError, match="was killed"):
        run_live(workspace, ADDRESS, KEY, way)
    assert latch.closed() == ""
    assert seen == ["killed by ann: enough"]


def test_a_start_that_could_not_look_at_the_latch_may_only_empty_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: LiveWay
) -> None:
    workspace, looked, lstat = Workspace(tmp_path).open(), [0], os.lstat
    run_of(tmp_path, "live-1")
    seen: list[str] = []

    def fails_once(path: Any, **words: Any) -> os.stat_result:
        if os.fspath(path) == str(tmp_path / "kill"):
            looked[0] += 1
            if looked[0] == 1:
                raise OSError(5, "Input/output error")
        return lstat(path, **words)

    def resume(*args: Any) -> None:
        seen.append(args[-1].latch.closed())
        raise RefusedError("was killed")

    monkeypatch.setattr(os, "lstat", fails_once)
    monkeypatch.setattr(live, "resume_live", resume)
    with pytest.raises(RefusedError, match="was killed"):
        run_live(workspace, ADDRESS, KEY, way)
    assert looked[0] > 1
    assert seen == ["killed: the kill latch cannot be looked at: Input/output error"]


def test_a_start_under_the_latch_begins_no_new_run_though_it_is_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: LiveWay
) -> None:
    workspace, latch = Workspace(tmp_path).open(), KillLatch(tmp_path)
    latch.set(KillOrder("enough", "ann", 7))
    monkeypatch.setattr(live_paper, "_connection", no_gateway)

    def deployments(*_: Any) -> list[Any]:
        latch.lift()
        return [deployed(stored(workspace))]

    monkeypatch.setattr(live, "deployments_of", deployments)
    with pytest.raises(RefusedError, match="nothing is traded"):
        run_live(workspace, ADDRESS, KEY, way)
    assert latch.closed() == ""


@pytest.mark.parametrize("killed", [True, False])
def test_a_damaged_log_of_operations_keeps_no_killed_rehearsal_from_being_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: LiveWay, *, killed: bool
) -> None:
    workspace = Workspace(tmp_path).open()
    run_of(tmp_path, "live-1")
    log = tmp_path / "operations" / "events.db"
    log.parent.mkdir()
    log.write_bytes(b"no log" * 100)
    if killed:
        KillLatch(tmp_path).set(KillOrder("enough", "ann", 7))

    def emptied(*_: Any) -> None:
        raise RefusedError("was killed")

    monkeypatch.setattr(live, "resume_live", emptied)
    paced: Any = object()
    with pytest.raises(RefusedError) as refused:
        run_live(workspace, ADDRESS, KEY, replace(way, paced=paced))
    assert ("was killed" in str(refused.value)) is killed


# ---- the lease -------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [False, True])
def test_a_lease_that_cannot_be_written_keeps_no_killed_account_from_being_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: LiveWay, *, held: bool
) -> None:
    workspace, latch = Workspace(tmp_path).open(), KillLatch(tmp_path)
    run_of(tmp_path, "live-1")
    for name in (ADDRESS, f"{ADDRESS}@local-0"):
        (tmp_path / LEASES).mkdir(exist_ok=True)
        (tmp_path / LEASES / f"{name}.lease").write_text("{")

    def emptied(*_: Any) -> None:
        raise RefusedError("was killed")

    monkeypatch.setattr(live_paper, "_go_on", emptied)
    with pytest.raises(StorageError, match="lease cannot be read"):
        run_live(workspace, ADDRESS, KEY, way, live=True)
    latch.set(KillOrder("enough", "ann", 7))
    if not held:
        with pytest.raises(RefusedError, match="was killed"):
            run_live(workspace, ADDRESS, KEY, way, live=True)
        return
    (tmp_path / LEASES / f"{ADDRESS}@local-0.lease").write_text("{}")
    with (
        AccountLease(tmp_path / LEASES, f"{ADDRESS}@local-0", "other"),
        pytest.raises(RefusedError, match="traded already"),
    ):
        run_live(workspace, ADDRESS, KEY, way, live=True)
