"""A kill on the local venue: latched first, then emptied until the venue says that none is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import InputError, RefusedError
from genesis.system.clock import SystemClock
from genesis.system.kill import look, rearm, set_latch
from genesis.trading.kill_latch import KillLatch, KillOrder
from genesis.trading.kill_report import read_kill_report
from tests.integration.hyperliquid.live_paper_rig import Bench, Sitting, bench
from tests.integration.hyperliquid.live_rig import MASTER, LiveRig, live_rig


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as made:
        rig.price(100.0)
        for _ in range(24):
            rig.advance(15_000)
        yield made


def holding(desk: Bench) -> Sitting:
    """A run that holds a position with its stop, and beside it what somebody did by hand."""
    sitting = desk.start()
    sitting.bars(2, 101.0)
    assert sitting.position("SOL") > 0
    names = [row["name"] for row in desk.rig.info("meta")["universe"]]
    by_hand(desk.rig, names.index("BTC"), "0.01", 1.02, "Ioc")
    by_hand(desk.rig, names.index("BTC"), "0.01", 0.9, "Gtc")
    assert len(desk.rig.info("frontendOpenOrders")) == 2
    return sitting


def by_hand(rig: LiveRig, asset: int, size: str, factor: float, tif: str) -> None:
    price = str(int(float(rig.info("allMids")["BTC"]) * factor))
    row: dict[str, Any] = {"a": asset, "b": True, "p": price, "s": size, "r": False}
    kind = {"t": {"limit": {"tif": tif}}}
    rig.submit(MASTER, {"type": "order", "orders": [row | kind], "grouping": "na"})


def empty(rig: LiveRig) -> bool:
    held = rig.info("clearinghouseState")["assetPositions"]
    return held == [] == rig.info("frontendOpenOrders")


def killed(sitting: Sitting) -> RefusedError:
    with pytest.raises(RefusedError, match="was killed") as refused:
        sitting.end()
    return refused.value


def test_a_touched_file_empties_the_account_and_a_restart_stays_killed(desk: Bench) -> None:
    sitting = holding(desk)
    KillLatch(desk.workspace.home).path.touch()
    error = killed(sitting)
    assert empty(desk.rig), "also what nobody here sent"
    assert "no orders rest at the exchange, no position" in str(error)
    report = read_kill_report(desk.workspace.home / "trading" / "net")
    assert report is not None
    assert report.done
    assert "SOL " in report.had
    assert report.had.endswith(", 1 working orders"), "its stop"
    (run,) = look(desk.workspace, KillLatch(desk.workspace.home).read() or KillOrder())
    assert (run.run, run.done, run.had) == ("net", True, report.had)
    assert sitting.position("SOL") == sitting.position("BTC") == 0, "the books follow"

    with pytest.raises(RefusedError, match="nothing is traded"):
        desk.start("another")
    with pytest.raises(InputError, match="finished"):
        desk.resume()
    assert empty(desk.rig)

    rearm(desk.workspace, "drill over", "ann", SystemClock())
    again = desk.start("another")
    again.bars(3, 110.0)
    assert again.position("SOL") > 0, "what is re-armed trades"
    again.stop()


def test_what_is_killed_keeps_its_stop_where_positions_are_kept(desk: Bench) -> None:
    sitting = holding(desk)
    set_latch(desk.workspace, "look first", "ann", SystemClock(), flatten=False)
    killed(sitting)
    (stop,) = desk.rig.info("frontendOpenOrders")
    assert stop["reduceOnly"]
    assert desk.rig.position("SOL") == Decimal(stop["sz"]) > 0
    (run,) = look(desk.workspace, KillLatch(desk.workspace.home).read() or KillOrder())
    assert run.done
    assert run.process == ""

    killed(desk.resume())
    rearm(desk.workspace, "looked", "ann", SystemClock())
    again = desk.resume()
    assert again.engine.core.desk.halts == {}
    again.bars(2, 90.0)
    assert again.position("SOL") == 0, "its strategy goes on"
    again.stop()


@pytest.mark.parametrize(
    "kind",
    ["server_error"]
    + [
        pytest.param(one, marks=pytest.mark.slow)
        for one in ("too_many", "error_after", "drop_after")
    ],
)
def test_it_goes_on_while_the_venue_answers_with_errors(desk: Bench, kind: str) -> None:
    sitting = holding(desk)
    desk.rig.fault(kind, where={"path": "exchange"}, count=6)
    set_latch(desk.workspace, "it errs", "ann", SystemClock())
    ends = time.monotonic() + 30.0
    while sitting.alive:  # the pauses of the gateway are of the exchange's time
        assert time.monotonic() < ends
        desk.rig.advance(100)
        time.sleep(0.02)
    killed(sitting)
    assert empty(desk.rig)


@pytest.mark.slow
def test_a_run_whose_venue_is_gone_says_that_it_could_not_look(desk: Bench) -> None:
    sitting = holding(desk)
    desk.rig.fault("drop_before", where={"path": "info"})
    desk.rig.fault("drop_before", where={"path": "exchange"})
    set_latch(desk.workspace, "gone", "ann", SystemClock())
    folder = desk.workspace.home / "trading" / "net"
    ends = time.monotonic() + 30.0
    while (report := read_kill_report(folder)) is None:
        assert time.monotonic() < ends
        desk.rig.advance(200)
        time.sleep(0.02)
    assert not report.verified
    assert not report.done
    assert report.trouble
    desk.rig.heal()
    while sitting.alive:
        assert time.monotonic() < ends
        desk.rig.advance(200)
        time.sleep(0.02)
    killed(sitting)
    assert empty(desk.rig)
