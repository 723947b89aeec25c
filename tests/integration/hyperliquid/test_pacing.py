"""Scripted time: a run that lets its exchange's time pass loses no bar and no fill."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from genesis.domain.errors import InfrastructureError, RefusedError
from genesis.exchange.hyperliquid.pacing import AFTER_MS, PacedTime, Pacer
from genesis.exchange.venue.profile import VenueProfile
from genesis.paper.settings import read_settings
from genesis.system.live_paper import LiveWay, live_settings, paced_way, start_live
from genesis.system.replays import replay_run
from genesis.system.workspace import Workspace
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import EventType
from genesis.trading.payloads import BarClosed
from genesis.trading.store import EventReader
from tests.integration.hyperliquid.live_paper_rig import CAPITAL, follower
from tests.integration.hyperliquid.live_rig import MASTER, LiveRig, live_rig

HOUR = 3_600_000
MOVING = VenueProfile(coins=("SOL",), maker_levels=3)


def days_pass(rig: LiveRig, home: Path, hours: int) -> Path:
    workspace = Workspace(home)
    home.mkdir(parents=True)
    plain = LiveWay(stopped=lambda: False, told=lambda _: None, duration_ms=hours * HOUR)
    way = paced_way(plain, rig.running.url)
    settings = live_settings(
        [follower()],
        [MASTER],
        ["SOL"],
        "1h",
        rig.running.url,
        CAPITAL,
        DeploymentOptions(stop_within_ms=5_000, disaster_stop=0.15),
        way.clock,
    )
    done = start_live(workspace, settings, "paced", rig.key, way)
    assert done.run.outcome.finished
    assert done.note == "nothing is left at the exchange"
    return done.run.folder


def test_two_days_of_hours_pass_bar_by_bar(tmp_path: Path) -> None:
    hours = 48
    with live_rig(tmp_path / "venue", profile=MOVING) as rig:
        for _ in range(10):
            rig.advance(HOUR)
        folder = days_pass(rig, tmp_path / "home", hours)
        with EventReader(folder) as reader:
            bars = [e.data for e in reader.events(types=(EventType.BAR_CLOSED,))]
            booked = reader.rows("fills", order="seq")
        there = {row["tid"] for row in rig.fills()}
        asked = {"coin": "SOL", "interval": "1h", "startTime": 0, "endTime": 2**42}
        candles = {row["t"]: float(row["c"]) for row in rig.info("candleSnapshot", req=asked)}
    settings, _ = read_settings(folder)
    began = settings.options.trade_from_ms
    opens = [bar.open_ms for bar in bars if isinstance(bar, BarClosed)]
    assert opens == list(range(opens[0], opens[-1] + 1, HOUR)), "no bar is missing, none is double"
    assert sum(1 for at in opens if at + HOUR > began) >= hours
    for bar in bars:
        assert isinstance(bar, BarClosed)
        assert bar.close == candles[bar.open_ms]
    assert len(booked) == len(there) > 10
    assert replay_run(folder).equal


def test_time_goes_to_the_next_instant_at_which_something_is_due() -> None:
    class Stub(PacedTime):
        def __init__(self) -> None:
            self._now = self.stopped = 0
            self.went: list[int] = []

        def advance(self, to_ms: int) -> None:
            self._now = to_ms
            self.went.append(to_ms)

    time = Stub()
    said = {"settled": True, "busy": False}
    pacer = Pacer(time, HOUR, lambda: said["settled"], lambda: said["busy"])
    for _ in AFTER_MS:
        pacer.rest(None)
    assert time.went == [*AFTER_MS[1:], HOUR]
    pacer.rest(HOUR + 500)
    assert time.went[-1] == HOUR + 500
    said["busy"] = True
    pacer.rest(None)
    assert time.went[-1] == HOUR + 500, "nothing is decided before everything was heard"
    said["busy"], said["settled"] = False, False
    pacer.rest(None)
    assert time.went[-1] == HOUR + 1_500, "what waits for time itself gets some"


def test_only_a_scripted_exchange_on_this_machine_is_asked(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="on this machine"):
        PacedTime("https://api.hyperliquid-testnet.xyz")
    with pytest.raises(InfrastructureError):
        PacedTime("http://127.0.0.1:9")
    with (
        live_rig(tmp_path, scripted=False) as rig,
        pytest.raises(RefusedError, match="runs by itself"),
    ):
        PacedTime(rig.running.url)


def test_a_clock_that_somebody_else_moves_is_taken_over(tmp_path: Path) -> None:
    with live_rig(tmp_path) as rig:
        time = PacedTime(rig.running.url)
        rig.advance(5 * HOUR)
        there = rig.venue.clock.now_ms()
        time.advance(time.now_ms() + 1_000)
        assert time.now_ms() == there == rig.venue.clock.now_ms()
        time.advance(there + HOUR)
        assert rig.venue.clock.now_ms() == there + HOUR


def test_a_clock_that_is_refused_says_why_in_the_exchange_s_words(tmp_path: Path) -> None:
    with live_rig(tmp_path) as rig:
        time = PacedTime(rig.running.url)
        with pytest.raises(InfrastructureError, match="does not let its time") as refused:
            time.advance(time.now_ms() + 500 * 24 * HOUR)
        assert refused.value.why == "the clock goes on by 400 days at once, and no more"


def test_a_run_goes_on_when_somebody_moves_the_clock(tmp_path: Path) -> None:
    with live_rig(tmp_path / "venue", profile=MOVING) as rig:
        for _ in range(10):
            rig.advance(HOUR)
        ended = threading.Event()

        def meddle() -> None:
            while not ended.wait(0.2):
                rig.advance(7_000)

        other = threading.Thread(target=meddle)
        other.start()
        try:
            folder = days_pass(rig, tmp_path / "home", 12)
        finally:
            ended.set()
            other.join()
    assert replay_run(folder).equal
