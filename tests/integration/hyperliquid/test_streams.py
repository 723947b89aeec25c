"""Streams that are cut, silent or strange: nothing is missed, nothing told twice (42, 43, 45)."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesis.exchange.hyperliquid.settings import StreamSettings
from genesis.exchange.venue.core import VenueProfile
from genesis.trading.gateway import OrderKind, Side, Tif
from genesis.trading.orders import OrderState
from genesis.trading.payloads import AccountSnapshot, ConnectionChanged, InputQuarantined
from tests.integration.hyperliquid.live_rig import COIN, MASTER, LiveRig, live_rig, of, order, until
from tests.integration.hyperliquid.stream_faults import FastWaits, campaign
from tests.integration.hyperliquid.trader_rig import Trader

QUIET = VenueProfile(step_ms=0)


def _agree(rig: LiveRig, trader: Trader) -> None:
    assert sorted(trader.booked) == sorted(str(row["tid"]) for row in rig.fills())
    assert trader.position[COIN] == rig.position()


def test_check_42_fills_are_told_once_whatever_the_socket_does(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        trader = Trader(rig)
        gateway = trader.gateway = rig.gateway(trader.sink, weight_limit=10**7)
        stream = gateway.streams["live/one"]
        for number in range(50):
            side = Side.BUY if number % 3 else Side.SELL
            trader.submit(order(side, f"0.{number % 7 + 2}", tif=Tif.IOC))
            if number in (10, 25, 40):  # while answers are under way
                made = stream.connections
                rig.fault("ws_cut", count=1)
                rig.advance(1)
                trader.submit(order(side, "0.2", tif=Tif.IOC))
                until(lambda made=made: stream.connections > made and stream.up)  # type: ignore[misc]
        trader.run_until(lambda: not trader.orders.open_orders())
        until(lambda: gateway.parts.listeners["live/one"].reconciled >= 3)
        trader.settle()
        _agree(rig, trader)
        assert gateway.parts.teller.repeated > 0  # the snapshots were heard, and told nothing new
        assert len(trader.booked) >= 50


def test_check_43_a_half_open_socket_is_found_and_what_it_hid_is_told(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        trader = Trader(rig)
        waits = FastWaits(rig.venue.clock)
        gateway = trader.gateway = rig.gateway(trader.sink, waits, stream=StreamSettings())
        resting = trader.submit(order(Side.BUY, "0.5", OrderKind.LIMIT, "95"))
        trader.settle()
        rig.fault("ws_freeze")
        frozen = waits.monotonic()
        rig.price(94.0)
        rig.price(100.0)
        until(
            lambda: any(
                not c.connected for c in of(trader.events + trader._waiting, ConnectionChanged)
            )
        )
        assert waits.monotonic() - frozen <= 15.0 + 2.0  # half a second a look, and ours
        rig.heal()
        until(lambda: gateway.parts.listeners["live/one"].reconciled >= 1)
        assert waits.monotonic() - frozen <= 40.0
        trader.settle()
        assert resting.state is OrderState.FILLED
        _agree(rig, trader)
        assert [c.connected for c in trader.connections] == [False, True]
        assert of(trader.events, AccountSnapshot)


def test_a_socket_that_answers_pings_and_has_lost_its_subscriptions_is_found(
    tmp_path: Path,
) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        trader = Trader(rig)
        waits = FastWaits(rig.venue.clock)
        gateway = trader.gateway = rig.gateway(trader.sink, waits, stream=StreamSettings())
        rig.fault("ws_drop", until_s=10**6)
        until(lambda: gateway.streams["live/one"].connections >= 2)
        trader.pump()
        assert "no data" in trader.connections[0].why


def test_check_45_a_status_that_nobody_knows_leaves_the_order_unknown(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        trader = Trader(rig)
        trader.gateway = rig.gateway(trader.sink)
        placed = trader.submit(order(Side.BUY, "0.5", OrderKind.LIMIT, "95"))
        trader.settle()
        rig.fault("ws_status", count=1, where={"type": "orderUpdates"}, text="entangled")
        rig.call(
            lambda: rig.venue.core.knobs.end_order(MASTER, int(placed.venue_id), "marginCanceled")
        )
        trader.settle()
        assert any(alert.title == "an unknown order status" for alert in trader.alerts)
        trader.run_until(lambda: not placed.live)  # the query says what the word did not
        assert placed.state is OrderState.CANCELED
        assert placed.reason == "marginCanceled"


def test_a_garbled_frame_is_kept_and_the_truth_is_asked_for(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        trader = Trader(rig)
        gateway = trader.gateway = rig.gateway(trader.sink)
        trader.submit(order(Side.BUY, "0.5", OrderKind.LIMIT, "95"))
        trader.settle()
        rig.fault("ws_garble", count=2, where={"type": "userFills"})
        rig.price(94.0)
        until(lambda: gateway.parts.listeners["live/one"].reconciled >= 1)
        trader.settle()
        assert of(trader.events, InputQuarantined)
        _agree(rig, trader)
        assert not trader.orders.open_orders()


@pytest.mark.parametrize("kind", ["ws_duplicate", "ws_reorder", "ws_delay"])
def test_frames_that_come_twice_late_or_in_another_order_change_nothing(
    tmp_path: Path, kind: str
) -> None:
    with live_rig(tmp_path, profile=QUIET) as rig:
        rig.price(100.0)
        trader = Trader(rig)
        trader.gateway = rig.gateway(trader.sink)
        rig.fault(kind, delay_ms=120)
        for side in (Side.BUY, Side.SELL, Side.BUY):
            trader.submit(order(side, "0.5", tif=Tif.IOC))
        rests = trader.submit(order(Side.SELL, "0.5", OrderKind.LIMIT, "104"))
        trader.settle()
        trader.modify(rests, "103", "0.7")
        trader.settle()
        rig.price(105.0)
        trader.run_until(lambda: not trader.orders.open_orders())
        _agree(rig, trader)
        assert (rests.state, rests.filled) == (OrderState.FILLED, rests.size)


def test_fills_agree_through_cuts_and_stalls(tmp_path: Path) -> None:
    report = campaign(tmp_path, 120, seed=3)
    assert report.disagree == []
    assert report.faults >= 2
    assert report.longest_s <= 40.0


@pytest.mark.slow
def test_a_thousand_fills_agree_through_cuts_and_stalls(tmp_path: Path) -> None:
    report = campaign(tmp_path, 1_000, seed=43)
    assert report.disagree == []
    assert report.longest_s <= 40.0
