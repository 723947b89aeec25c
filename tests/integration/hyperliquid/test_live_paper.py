"""Paper trading on the local venue: the loop, the gateway and real sockets, in real order."""

from __future__ import annotations

from pathlib import Path

from genesis.trading.store import EventReader
from tests.integration.hyperliquid.live_paper_rig import Bench, Sitting, bench
from tests.integration.hyperliquid.live_rig import LiveRig, live_rig


def _flat_history(rig: LiveRig) -> None:
    rig.price(100.0)
    for _ in range(24):
        rig.advance(15_000)


def _same(bench: Bench, sitting: Sitting) -> None:
    """The ledger holds what the venue holds."""
    assert sitting.position("SOL") == bench.rig.position("SOL")
    with EventReader(sitting.engine.session.store.folder) as reader:
        booked = {row["fill_id"].split(":")[-1] for row in reader.rows("fills")}
    there = {str(row["tid"]) for row in bench.rig.fills()}
    assert len(booked) == len(there)


def test_a_strategy_trades_stops_and_goes_on(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        _flat_history(rig)
        first = desk.start()
        first.bars(2, 101.0)
        assert first.position("SOL") > 0
        stops = rig.info("frontendOpenOrders")
        assert [row["isTrigger"] for row in stops] == [True]
        first.bars(2, 99.0)
        assert first.position("SOL") == 0
        first.bars(2, 102.0)
        assert first.position("SOL") > 0
        stopped = first.stop()
        assert not stopped.run.outcome.finished
        _same(desk, first)
        assert len(rig.info("frontendOpenOrders")) == 1
        assert "SOL" in stopped.note
        print(stopped.note)
