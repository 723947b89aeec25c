"""The dead man's switch on the local venue: it takes entries back, and never a stop."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import ConfigError
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.venue.core import VenueProfile
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.payloads import AlertRaised, OrderAccepted, OrderCanceled, OrderFilled
from tests.integration.hyperliquid.live_rig import KEY, MASTER, LiveRig, live_rig, of, order, until

OFFERED = VenueProfile(step_ms=0, schedule_cancel_volume=0)
HOUR = 3_600_000
SOL = 5


class Desk:
    """A gateway whose switch is set ten seconds ahead, and what the venue sees of it."""

    def __init__(self, rig: LiveRig, **settings: Any) -> None:
        self.rig = rig
        self.events: list[Event] = []
        self.asked: list[int | None] = []
        self.bare: list[str] = []
        self._watch()
        self.gateway: HyperliquidGateway = rig.gateway(
            self.events.append, **({"dead_man_s": 10.0, "mid_age_s": 1e6} | settings)
        )

    def _watch(self) -> None:
        """After every action: whether the switch is set while a protective order rests."""
        core = self.rig.venue.core
        submit = core.submit

        def seen(user: str, action: dict[str, Any], now_ms: int, **more: Any) -> Any:
            answer = submit(user, action, now_ms, **more)
            if action["type"] == "scheduleCancel":
                self.asked.append(action.get("time"))
            rows = self.rig.venue.info.answer({"type": "frontendOpenOrders", "user": MASTER})
            if self.armed_at and any(row["reduceOnly"] for row in rows):
                self.bare.append(action["type"])
            return answer

        core.submit = seen  # type: ignore[method-assign]

    @property
    def armed_at(self) -> int:
        """Instant at which the venue will cancel, 0 for none."""
        return self.rig.venue.core._state.accounts[MASTER].cancel_at

    @property
    def switch(self) -> Any:
        (one,) = self.gateway.parts.dead_men.values()
        return one

    def entry(self, price: str = "95") -> OrderRequest:
        request = order(Side.BUY, "1", OrderKind.LIMIT, price)
        self.gateway.submit(request)
        until(lambda: any(e.client_id == request.client_id for e in of(self.events, OrderAccepted)))
        return request

    def stop(self) -> OrderRequest:
        request = order(Side.SELL, "1", OrderKind.STOP, "90", reduce_only=True)
        self.gateway.submit(request)
        assert self.gateway.settle()
        return request

    def passes(self, ms: int) -> None:
        """Let the venue's time pass, in steps after each of which the switch is looked after."""
        for _ in range(ms // 1_000):
            self.rig.advance(1_000)
            look = asyncio.run_coroutine_threadsafe(self.switch.look(), self.gateway._loop)
            look.result(20.0)

    def alerts(self, title: str) -> list[AlertRaised]:
        return [one for one in of(self.events, AlertRaised) if title in one.title]


@contextmanager
def desk_on(folder: Path, profile: VenueProfile = OFFERED, **settings: Any) -> Iterator[Desk]:
    with live_rig(folder, profile=profile) as rig:
        rig.price(100.0)
        yield Desk(rig, **settings)


def _sold(rig: LiveRig, size: str = "1") -> None:
    """Somebody sells into the resting bids."""
    rig.act("fund", rig.sub, "100000")
    row = {"a": SOL, "b": False, "p": "99.9", "s": size, "r": False, "t": {"limit": {"tif": "Ioc"}}}
    rig.submit(rig.sub, {"type": "order", "orders": [row], "grouping": "na"})


def test_it_is_armed_for_a_resting_entry_moved_on_and_turned_off_with_it(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        entry = desk.entry()
        until(lambda: desk.armed_at > 0)
        first = desk.armed_at
        assert first == desk.rig.venue.clock.now_ms() + 10_000
        desk.passes(30_000)
        assert desk.armed_at > first + 20_000, "moved on in time"
        assert len(desk.rig.info("frontendOpenOrders")) == 1, "it never fired"
        desk.gateway.cancel("live/one", "SOL", entry.client_id)
        until(lambda: desk.asked[-1] is None)
        assert desk.armed_at == 0
        # The marker goes when the answer is here, a moment after the venue has acted.
        until(lambda: not list((tmp_path / "state").glob("dead-man-*")))


def test_a_stop_never_rests_while_it_is_armed(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        desk.entry("99.995")
        desk.entry("94")
        until(lambda: desk.armed_at > 0)
        slow = {"path": "exchange", "type": "scheduleCancel"}
        desk.rig.fault("delay_before", where=slow, delay_ms=300)
        _sold(desk.rig)
        until(lambda: len(of(desk.events, OrderFilled)) == 1)
        desk.stop()  # as the loop does at the fill
        rows = desk.rig.info("frontendOpenOrders")
        assert [row["reduceOnly"] for row in rows].count(True) == 1
        desk.passes(30_000)
        assert desk.bare == []
        assert desk.armed_at == 0, "the other entry rests unguarded: its switch would take the stop"
        assert len(desk.rig.info("frontendOpenOrders")) == 2


def test_the_stop_goes_without_it_where_it_cannot_be_turned_off(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        desk.entry("99.995")
        until(lambda: desk.armed_at > 0)
        desk.rig.fault("too_many", where={"path": "exchange", "type": "scheduleCancel"})
        _sold(desk.rig)
        until(lambda: len(of(desk.events, OrderFilled)) == 1)
        desk.stop()
        assert [row["reduceOnly"] for row in desk.rig.info("frontendOpenOrders")] == [True]
        desk.rig.heal()
        until(lambda: desk.armed_at == 0)
        assert len(desk.rig.info("frontendOpenOrders")) == 1


@pytest.mark.parametrize("what", ["position", "order", "stop"])
def test_it_is_not_armed_beside_what_somebody_else_did(tmp_path: Path, what: str) -> None:
    with desk_on(tmp_path) as desk:
        row: dict[str, Any] = {"a": SOL, "b": True, "p": "105", "s": "1", "r": False}
        if what == "order":
            row |= {"p": "90"}
        row["t"] = {"limit": {"tif": "Gtc" if what == "order" else "Ioc"}}
        desk.rig.submit(MASTER, {"type": "order", "orders": [row], "grouping": "na"})
        if what == "stop":
            trigger = {"isMarket": True, "triggerPx": "80", "tpsl": "sl"}
            row |= {"b": False, "p": "72", "r": True, "t": {"trigger": trigger}}
            desk.rig.submit(MASTER, {"type": "order", "orders": [row], "grouping": "na"})
        desk.entry()
        desk.passes(8_000)
        assert desk.asked == []


def test_a_refusal_for_volume_is_said_once_and_not_asked_again_for_hours(tmp_path: Path) -> None:
    with desk_on(tmp_path, VenueProfile(step_ms=0, schedule_cancel_volume=1_000_000)) as desk:
        desk.entry()
        until(lambda: len(desk.asked) == 1)
        desk.passes(60_000)
        desk.rig.advance(5 * HOUR)
        desk.passes(3_000)
        assert len(desk.asked) == 1
        (told,) = desk.alerts("no dead man's switch")
        assert told.level == "info"
        assert "Required: $1000000" in told.text
        desk.rig.advance(HOUR)
        until(lambda: len(desk.asked) == 2)
        until(lambda: desk.switch.until_ms == 0)
        assert desk.armed_at == 0
        assert len(desk.alerts("no dead man's switch")) == 1


def test_too_many_fires_are_a_warning_and_it_is_asked_again_on_another_day(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        now = desk.rig.venue.clock.now_ms()
        desk.rig.venue.core._state.accounts[MASTER].cancels_fired[now // 86_400_000] = 10
        desk.entry()
        until(lambda: len(desk.asked) == 1)
        desk.passes(20_000)
        (told,) = desk.alerts("no dead man's switch")
        assert told.level == "warning"
        assert len(desk.asked) == 1
        desk.rig.advance(24 * HOUR)
        until(lambda: desk.armed_at > 0)


def test_who_decides_has_to_be_at_work(tmp_path: Path) -> None:
    """A loop that hangs moves nothing on, whatever its sockets do; it learns what became of it."""
    with desk_on(tmp_path) as desk:
        desk.gateway.beat()
        entry = desk.entry()
        until(lambda: desk.armed_at > 0)
        desk.gateway.parts.beat_s = time.monotonic() - 60.0
        desk.passes(11_000)
        assert desk.rig.info("frontendOpenOrders") == []
        until(lambda: len(of(desk.events, OrderCanceled)) == 1)
        (gone,) = of(desk.events, OrderCanceled)
        assert (gone.client_id, gone.reason) == (entry.client_id, "scheduledCancel")
        desk.passes(5_000)
        (told,) = desk.alerts("fired")
        assert told.level == "warning"


def test_a_clean_end_turns_it_off_and_an_unclean_one_leaves_it_for_its_entries(
    tmp_path: Path,
) -> None:
    with desk_on(tmp_path) as desk:
        entry = desk.entry()
        until(lambda: desk.armed_at > 0)
        desk.gateway.cancel("live/one", "SOL", entry.client_id)
        until(lambda: len(of(desk.events, OrderCanceled)) == 1)
        desk.gateway.close()
        assert desk.armed_at == 0
        again = Desk(desk.rig)
        again.entry()
        until(lambda: again.armed_at > 0)
        again.gateway.close()
        desk.rig.advance(11_000)
        assert desk.rig.info("frontendOpenOrders") == []


def test_the_next_process_turns_off_what_a_dead_one_left(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        desk.entry()
        until(lambda: desk.armed_at > 0)
        desk.gateway.close()
        assert desk.armed_at > 0
        after = Desk(desk.rig, dead_man_s=0.0)
        until(lambda: after.switch.idle)
        assert desk.armed_at == 0


def test_an_answer_that_is_lost_leaves_it_armed_until_it_is_surely_off(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        where = {"path": "exchange", "type": "scheduleCancel"}
        desk.rig.fault("drop_after", where=where, count=1)
        entry = desk.entry()
        until(lambda: desk.armed_at > 0)
        assert desk.switch.until_ms > 0
        desk.gateway.cancel("live/one", "SOL", entry.client_id)
        until(lambda: desk.asked[-1] is None)
        assert desk.switch.until_ms > 0, "the lost request might still come"
        desk.rig.advance(7_000)
        until(lambda: desk.switch.until_ms == 0)
        assert desk.armed_at == 0


def test_after_kill_9_the_venue_takes_the_entry_back(tmp_path: Path) -> None:
    with live_rig(tmp_path, profile=OFFERED, scripted=False) as rig:
        rig.price(100.0)
        given = {
            "state": str(tmp_path / "state"),
            "account": MASTER,
            "url": rig.running.url,
            "key": KEY,
        }
        words = ["-m", "tests.integration.hyperliquid.dead_man_process", json.dumps(given)]
        trader = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
        assert trader.stdout is not None
        try:
            assert trader.stdout.readline() == "armed\n"
            until(lambda: rig.venue.core._state.accounts[MASTER].cancel_at > 0)
            assert len(rig.info("frontendOpenOrders")) == 1
        finally:
            trader.kill()
            trader.wait()
            trader.stdout.close()
        rig.advance(11_000)
        assert rig.info("frontendOpenOrders") == []
        oid = {"oid": "0x" + "0" * 31 + "1"}
        assert rig.info("orderStatus", **oid)["order"]["status"] == "scheduledCancel"
        assert rig.position() == Decimal(0)


def test_it_is_off_unless_it_is_asked_for_and_has_bounds(tmp_path: Path) -> None:
    with desk_on(tmp_path, dead_man_s=0.0) as desk:
        desk.entry()
        desk.passes(5_000)
        assert desk.asked == []
        for wrong in (5.0, 301.0, -1.0):
            with pytest.raises(ConfigError, match="dead_man_s"):
                desk.rig.settings(dead_man_s=wrong)
