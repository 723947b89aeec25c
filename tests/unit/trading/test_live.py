"""The live driver and its gate: what passes when, timers on a clock by hand, waits that end."""

from __future__ import annotations

import threading

from genesis.trading.bus import EventBus
from genesis.trading.core import TradingCore
from genesis.trading.desk import Market
from genesis.trading.events import Event, Payload
from genesis.trading.live import LiveDriver, MarketGate
from genesis.trading.loop import TradingLoop
from genesis.trading.outlet import Outlet
from genesis.trading.payloads import (
    AlertRaised,
    BarClosed,
    BarOpened,
    BarRange,
    CandlesReady,
    Quote,
    TimerFired,
)
from genesis.trading.schedule import TimerWheel
from tests.unit.trading.clearing import observing
from tests.unit.trading.core_rig import COIN, HOUR, START, Recorded, Script
from tests.unit.trading.event_samples import HandClock


def bar(number: int) -> list[Event]:
    """Events of a bar."""
    at = START + number * HOUR
    values = (100.0, 101.0, 99.0, 100.0, 5.0, 0.0, 50.0)
    parts: list[Payload] = [
        BarOpened(COIN.symbol, HOUR, at, 100.0),
        BarRange(COIN.symbol, at, 101.0, 99.0),
        BarClosed(COIN.symbol, HOUR, at, *values),
        CandlesReady(HOUR, at, (COIN.symbol,)),
    ]
    return [Event(part, at + (0 if place == 0 else HOUR)) for place, part in enumerate(parts)]


def told(bus: EventBus) -> list[Payload]:
    return [event.data for event in bus.drain()]


def test_market_data_waits_until_the_gate_is_open_and_orders_do_not() -> None:
    bus = EventBus(HandClock(START))
    gate = MarketGate(bus)
    for event in bar(1):
        gate.put(event)
    alert = AlertRaised("info", "exchange", "hello", "")
    gate.put(Event(alert, START))
    assert told(bus) == [alert]
    assert gate.first_ms() == START + HOUR
    gate.open()
    assert told(bus) == [event.data for event in bar(1)]
    assert gate.bars == 1
    gate.put(Event(Quote(COIN.symbol, 1.0, 1.0, 1.0), START))
    assert len(told(bus)) == 1


def test_parts_of_bars_that_the_log_holds_are_left_out() -> None:
    bus = EventBus(HandClock(START))
    gate = MarketGate(bus)
    market = Market()
    closed = bar(1)[2].data
    assert isinstance(closed, BarClosed)
    market.bars[COIN.symbol] = closed
    market.open_ms[COIN.symbol] = START + 2 * HOUR  # the next one has begun
    gate.remember(market)
    for event in bar(1) + bar(2):
        gate.put(event)
    gate.open()
    kinds = [type(data).__name__ for data in told(bus)]
    assert kinds == ["CandlesReady", "BarRange", "BarClosed", "CandlesReady"]


def test_a_gate_that_is_shut_lets_no_market_data_through() -> None:
    bus = EventBus(HandClock(START))
    gate = MarketGate(bus)
    gate.open()
    gate.shut()
    for event in bar(1):
        gate.put(event)
    gate.put(Event(AlertRaised("info", "exchange", "still here", ""), START))
    assert len(told(bus)) == 1


class Rig:
    """A driver over an empty core."""

    def __init__(self) -> None:
        self.clock = HandClock(START)
        self.bus = EventBus(self.clock)
        self.timers = TimerWheel()
        self.log = Recorded(self.clock)  # type: ignore[arg-type]
        core = TradingCore("run", observing())
        outlet = Outlet(Script(), self.timers)
        self.loop = TradingLoop(self.bus, self.log, core, outlet)
        self.answers = 0
        self.driver = LiveDriver(self.clock, self.bus, self.loop, self.timers, self.answer)

    def answer(self) -> bool:
        """An exchange that has two more things to say."""
        if self.answers < 2:
            self.answers += 1
            self.bus.publish(Event(AlertRaised("info", "exchange", "said", ""), START))
        return True


def test_timers_fire_when_the_clock_says_so_and_never_before() -> None:
    rig = Rig()
    rig.timers.set("late", START + 5_000)
    rig.timers.set("soon", START + 1_000)
    rig.driver.turn(0.0)
    assert rig.log.events == []
    rig.clock.ms += 1_000
    rig.driver.turn(0.0)
    rig.clock.ms -= 60_000  # a clock that steps back fires nothing again
    rig.driver.turn(0.0)
    rig.clock.ms += 64_000
    rig.driver.turn(0.0)
    fired = [event.data for event in rig.log.events]
    assert fired == [TimerFired("soon"), TimerFired("late")]


def test_settling_ends_when_nobody_has_anything_left_to_say() -> None:
    rig = Rig()
    rig.driver.settle()
    assert len(rig.log.events) == 2


def test_waiting_for_something_ends_with_it_or_with_the_time() -> None:
    rig = Rig()
    assert rig.driver.until(lambda: True, 1.0)
    moved = threading.Event()

    def never() -> bool:
        rig.clock.ms += 500
        moved.set()
        return False

    assert not rig.driver.until(never, 2.0)
    assert moved.is_set()
