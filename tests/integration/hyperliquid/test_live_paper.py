"""Paper trading on the local venue: the loop, the gateway and real sockets, in real order."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genesis.domain.errors import RefusedError
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.system.paper import list_paper, report_paper
from genesis.system.replays import replay_run
from genesis.trading.events import EventType
from genesis.trading.gateway import AccountState
from genesis.trading.payloads import BarClosed, Reconciled, SignalGenerated
from genesis.trading.store import EventReader
from tests.integration.hyperliquid.live_paper_rig import Bench, Sitting, bench, follower
from tests.integration.hyperliquid.live_rig import KEY, MASTER, LiveRig, live_rig

MINUTES = 60_000


def _flat_history(rig: LiveRig) -> None:
    rig.price(100.0)
    for _ in range(24):
        rig.advance(15_000)


def _events(sitting: Sitting, *kinds: EventType) -> list[Any]:
    with EventReader(sitting.engine.session.store.folder) as reader:
        return [event.data for event in reader.events(types=kinds)]


def _same(bench: Bench, sitting: Sitting) -> None:
    """The ledger holds what the venue holds, to the last digit."""
    assert sitting.position("SOL") == bench.rig.position("SOL")
    with EventReader(sitting.engine.session.store.folder) as reader:
        booked = reader.rows("fills", order="seq")
    there = bench.rig.fills()
    assert len(booked) == len(there)
    assert sum(Decimal(row["fee"]) for row in booked) == sum(Decimal(r["fee"]) for r in there)
    assert sorted(Decimal(row["price"]) for row in booked) == sorted(
        Decimal(row["px"]) for row in there
    )


def _stop(sitting: Sitting) -> Any:
    """The order that protects the position, as the venue lists it."""
    (order,) = sitting.rig.info("frontendOpenOrders")
    assert order["isTrigger"]
    assert order["reduceOnly"]
    assert Decimal(order["sz"]) == sitting.position("SOL")
    return order


def _forbid(folder: Path, secret: str) -> None:
    """No file holds the key, as text or as bytes."""
    digits = secret.removeprefix("0x")
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            assert digits.encode() not in content, path
            assert bytes.fromhex(digits) not in content, path


def test_a_run_trades_is_stopped_goes_on_and_ends(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        _flat_history(rig)
        first = desk.start()
        assert _events(first, EventType.SIGNAL_GENERATED) == [], "the past is not traded"
        first.bars(2, 101.0)
        assert first.position("SOL") > 0
        _stop(first)
        first.bars(2, 99.0)
        assert first.position("SOL") == 0
        assert rig.info("frontendOpenOrders") == []
        first.bars(2, 102.0)
        stopped = first.stop()
        assert not stopped.run.outcome.finished
        _same(desk, first)
        resting = _stop(first)
        assert "SOL" in stopped.note
        assert [row["state"] for row in list_paper(desk.workspace)] == ["can be resumed"]

        # Nobody is there for three bars; then the run goes on from its log and the venue's word.
        for _ in range(12):
            rig.advance(15_000)
        second = desk.resume()
        assert _stop(second) == resting
        (reconciled,) = _events(second, EventType.RECONCILED)
        assert isinstance(reconciled, Reconciled)
        assert reconciled.differences == ()
        second.bars(1)
        bars = [bar.open_ms for bar in _events(second, EventType.BAR_CLOSED)]
        assert bars == sorted(set(bars)), "no bar is told twice"
        asked = {"coin": "SOL", "interval": "1m", "startTime": 0, "endTime": 2**42}
        there = {row["t"]: float(row["c"]) for row in rig.info("candleSnapshot", req=asked)}
        for bar in _events(second, EventType.BAR_CLOSED):
            assert isinstance(bar, BarClosed)
            assert bar.close == there[bar.open_ms]
        late = bars[-6:]
        assert late == list(range(late[0], late[-1] + 1, MINUTES)), "no bar is missing"
        second.bars(2, 98.0)
        assert second.position("SOL") == 0
        second.bars(2, 103.0)
        assert second.position("SOL") > 0
        _same(desk, second)
        second.stop()

        # The third sitting ends by itself and closes what is open.
        third = desk.resume(duration_ms=MINUTES)
        third.bars(2)
        done = third.end()
        assert done.run.outcome.finished
        assert done.note == "nothing is left at the exchange"
        assert rig.position("SOL") == 0
        assert rig.info("frontendOpenOrders") == []
        _same(desk, third)
        report = done.run.report
        assert report is not None
        (strategy,) = report.strategies
        assert strategy.entry.numbers.trades == 3
        assert report.warnings == ()
        # The backtest on the bars of the log does the same; only the end of the run is no signal.
        faithful = strategy.entry.fidelity
        assert faithful is not None
        assert faithful.fills_matched == faithful.fills_backtest == 5
        assert faithful.fills_paper == 6
        assert faithful.slippage_error_bp < 5.0
        (last,) = [one for one in faithful.first if one.cause != "price"]
        assert (last.cause, last.bar) == ("extra fill", max(one.bar for one in faithful.first))
        again, page = report_paper(desk.workspace, "net")
        assert again.to_plain() == report.to_plain()
        assert page.is_file()
        assert replay_run(done.run.folder).equal
        tripped = _events(third, EventType.BREAKER_TRIPPED)
        assert "stale_data" not in {one.breaker for one in tripped}
        told = _events(third, EventType.ALERT_RAISED)
        assert "critical" not in {one.level for one in told}, "past bars page nobody"
        halts = [one.level for one in told if one.category == "halt"]
        assert halts == ["info"] * 6, "three sittings begin and let live bars in"
        signals = _events(third, EventType.SIGNAL_GENERATED)
        assert all(isinstance(one, SignalGenerated) for one in signals)
        _forbid(tmp_path / "home", KEY)


def _trade_by_hand(rig: LiveRig) -> None:
    """Somebody buys in the account behind the run's back."""
    names = [row["name"] for row in rig.info("meta")["universe"]]
    order = {
        "a": names.index("BTC"),
        "b": True,
        "p": str(int(float(rig.info("allMids")["BTC"]) * 1.02)),
        "s": "0.01",
        "r": False,
        "t": {"limit": {"tif": "Ioc"}},
    }
    rig.submit(MASTER, {"type": "order", "orders": [order], "grouping": "na"})
    assert rig.position("BTC") == Decimal("0.01")


@pytest.mark.parametrize("explained", [pytest.param(True, marks=pytest.mark.slow), False])
def test_what_happened_in_a_pause_is_booked_or_halts_new_risk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, explained: bool
) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        _flat_history(rig)
        first = desk.start()
        first.bars(2, 99.0)
        first.stop()
        _trade_by_hand(rig)
        rig.advance(10_000)
        if not explained:  # the exchange lost the fill, as far as one is told
            read = HyperliquidGateway.account_state

            def silent(gateway: HyperliquidGateway, account: str, since_ms: int) -> AccountState:
                return msgspec.structs.replace(read(gateway, account, since_ms), fills=())

            monkeypatch.setattr(HyperliquidGateway, "account_state", silent)
        second = desk.resume()
        second.bars(3, 105.0)
        story = second.engine.story
        if explained:
            assert "HALTED" not in story
            assert second.position("BTC") == rig.position("BTC")
            assert second.position("SOL") > 0
        else:
            assert "HALTED" in story
            assert "genesis reconcile net" in story
            assert rig.position("SOL") == 0
        second.stop()


@pytest.mark.slow
def test_two_strategies_trade_accounts_of_their_own(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        _flat_history(rig)
        rig.act("fund", rig.sub, "20000")
        pair = [follower(), follower(4)]
        settings = desk.settings(strategies=pair, accounts=[MASTER, rig.sub])
        only = desk.start(settings=settings)
        only.bars(2, 101.0)
        held = [only.position("SOL", one) for one in pair]
        assert min(held) > 0
        assert held == [rig.position("SOL"), rig.position("SOL", rig.sub)]
        only.stop()


def test_flatten_on_exit_leaves_nothing(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        _flat_history(rig)
        only = desk.start(flatten=True)
        only.bars(2, 101.0)
        assert only.position("SOL") > 0
        stopped = only.stop()
        assert not stopped.run.outcome.finished
        assert rig.position("SOL") == 0
        assert rig.info("frontendOpenOrders") == []
        _same(desk, only)


def test_an_account_in_use_is_refused_and_leaves_no_run(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as desk:
        _flat_history(rig)
        first = desk.start()
        first.bars(2, 101.0)
        first.stop()
        with pytest.raises(RefusedError, match="orders rest"):
            desk.start("other")
        assert not (desk.workspace.home / "trading" / "other").exists()
