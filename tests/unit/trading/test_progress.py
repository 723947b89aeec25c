"""Stages by two counters: ages, edges, and what must not be mistaken for a stall."""

from __future__ import annotations

import random
from collections import deque

import pytest

from genesis.trading.events import Lane
from genesis.trading.payloads import StageRecovered, StageStalled
from genesis.trading.progress import MOST_MARKS, Reading, Stage, StageMonitor
from tests.unit.trading.event_samples import HandClock


class Queue:
    """A stage whose items a test puts in and takes out, and which knows how long they wait."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.entered = self.left = 0
        self.items: deque[int] = deque()

    def put(self, count: int = 1) -> None:
        self.items.extend([self.clock.ms] * count)
        self.entered += count

    def take(self, count: int = 1) -> None:
        for _ in range(min(count, len(self.items))):
            self.items.popleft()
            self.left += 1

    def read(self) -> Reading:
        return Reading(self.entered, self.left)

    @property
    def age_ms(self) -> int:
        return self.clock.ms - self.items[0] if self.items else 0


def watched(**settings: object) -> tuple[HandClock, Queue, StageMonitor]:
    clock = HandClock(1_000_000)
    queue = Queue(clock)
    stage = Stage("s", queue.read, **settings)  # type: ignore[arg-type]
    return clock, queue, StageMonitor([stage], clock)


def seconds(clock: HandClock, monitor: StageMonitor, count: int) -> list[object]:
    edges: list[object] = []
    for _ in range(count):
        clock.ms += 1_000
        edges += [event.data for event in monitor.evaluate()]
    return edges


def test_it_tells_once_when_a_stage_stalls_and_once_when_it_moves_again() -> None:
    clock, queue, monitor = watched(limit_s=5.0)
    queue.put(2)
    queue.take()
    last = clock.ms + 1_000
    edges = seconds(clock, monitor, 20)
    # Seen for the first time after one second, and older than five five seconds later.
    assert edges == [StageStalled("s", 1, 6_000, last)]
    assert not monitor.healthy
    assert monitor.closed() == "no progress: s"
    (report,) = monitor.reports
    assert (report.entered, report.left, report.lag, report.stalled) == (2, 1, 1, True)
    assert report.oldest_ms == 19_000
    assert report.since_ms == 1_000_000 + 7_000
    queue.take()
    assert seconds(clock, monitor, 5) == [StageRecovered("s")]
    assert monitor.healthy
    assert monitor.closed() == ""
    assert monitor.reports[0].since_ms == 0


def test_what_waits_for_the_limit_and_no_longer_is_no_stall() -> None:
    clock, queue, monitor = watched(limit_s=5.0)
    for _ in range(50):
        queue.put()
        assert seconds(clock, monitor, 6) == []
        queue.take()
    assert monitor.healthy


def test_it_has_recovered_when_the_oldest_is_young_again_not_when_something_moved() -> None:
    clock, queue, monitor = watched(limit_s=5.0)
    queue.put(100)
    assert len(seconds(clock, monitor, 8)) == 1
    for _ in range(99):
        queue.take()
        assert seconds(clock, monitor, 1) == []
    queue.take()
    assert seconds(clock, monitor, 1) == [StageRecovered("s")]


def test_a_stage_at_its_limit_does_not_flicker() -> None:
    clock, queue, monitor = watched(limit_s=5.0)
    queue.put(1)
    edges = seconds(clock, monitor, 2)
    for _ in range(40):  # what waits is three to six seconds old, again and again
        queue.put(1)
        edges += seconds(clock, monitor, 4)
        queue.take(1)
    assert [type(edge) for edge in edges] == [StageStalled]


def test_a_consumer_that_is_too_slow_stalls_although_it_moves() -> None:
    clock, queue, monitor = watched(limit_s=5.0)
    edges: list[object] = []
    for _ in range(30):
        queue.put(10)
        queue.take(5)
        edges += seconds(clock, monitor, 1)
    assert [type(edge) for edge in edges] == [StageStalled]


def test_a_consumer_that_lags_and_keeps_up_does_not() -> None:
    clock, queue, monitor = watched(limit_s=5.0)
    queue.put(30)
    for _ in range(200):
        queue.put(10)
        queue.take(10)
        assert seconds(clock, monitor, 1) == []


@pytest.mark.parametrize("seed", range(20))
def test_ages_are_those_of_the_items(seed: int) -> None:
    """A brute-force queue knows when each item came; the monitor may be one look behind."""
    rng = random.Random(seed)
    clock, queue, monitor = watched(limit_s=1e9)
    for _ in range(400):
        for _ in range(rng.randrange(3)):
            clock.ms += rng.randrange(300)
            queue.put(rng.choice([0, 0, 1, 1, 2, 50]))
            queue.take(rng.choice([0, 0, 1, 3, 60]))
        clock.ms += 300
        monitor.evaluate()
        (report,) = monitor.reports
        assert report.lag == len(queue.items)
        assert queue.age_ms - 900 <= report.oldest_ms <= queue.age_ms


def test_items_that_come_out_in_another_order_do_not_hide_an_old_one() -> None:
    clock = HandClock(0)
    reading = [Reading(1, 0, 1)]
    monitor = StageMonitor([Stage("s", lambda: reading[0])], clock)
    for number in range(2, 9):
        seconds(clock, monitor, 1)
        reading[0] = Reading(number, number - 1, 1)  # the first one is still out
    assert monitor.reports[0].stalled
    reading[0] = Reading(8, 7, 8)
    seconds(clock, monitor, 1)
    assert not monitor.reports[0].stalled


def test_a_count_that_was_too_high_for_a_moment_leaves_no_old_item_behind() -> None:
    clock = HandClock(0)
    reading = [Reading(105, 100)]
    monitor = StageMonitor([Stage("s", lambda: reading[0])], clock)
    seconds(clock, monitor, 1)
    reading[0] = Reading(100, 100)
    assert seconds(clock, monitor, 60) == []
    reading[0] = Reading(101, 100)
    seconds(clock, monitor, 1)
    assert monitor.reports[0].oldest_ms == 0

    reading[0] = Reading(9_000, 101)
    seconds(clock, monitor, 1)
    for number in range(102, 162):  # one waits at a time, and each for a second only
        reading[0] = Reading(number, number - 1)
        assert seconds(clock, monitor, 1) == []


def test_a_time_in_which_nobody_watched_counts_against_nobody() -> None:
    clock, queue, monitor = watched(limit_s=5.0)
    queue.put()
    seconds(clock, monitor, 2)
    clock.ms += 3_600_000  # the process was stopped, or the machine slept
    assert monitor.evaluate() == []
    assert monitor.reports[0].oldest_ms == 2_000
    assert [type(edge) for edge in seconds(clock, monitor, 5)] == [StageStalled]


def test_the_first_bar_may_take_the_time_to_compile_but_not_for_ever() -> None:
    clock = HandClock(0)
    queue = Queue(clock)
    cold = [True]
    stage = Stage("s", queue.read)
    monitor = StageMonitor([stage], clock, warming=lambda: cold[0])
    queue.put()
    assert seconds(clock, monitor, 120) == []
    assert [type(edge) for edge in seconds(clock, monitor, 10)] == [StageStalled]

    monitor = StageMonitor([stage], clock, warming=lambda: cold[0])
    assert seconds(clock, monitor, 30) == []
    cold[0] = False
    assert [type(edge) for edge in seconds(clock, monitor, 10)] == [StageStalled]


def test_a_stage_that_never_runs_dry_stalls_when_nothing_comes() -> None:
    clock, queue, monitor = watched(quiet_s=30.0)
    for _ in range(3):
        queue.put()
        queue.take()
        assert seconds(clock, monitor, 29) == []
    (edge,) = seconds(clock, monitor, 5)
    assert isinstance(edge, StageStalled)
    assert edge.lag == 0
    assert monitor.reports[0].why.startswith("nothing came for 3")
    queue.put()
    queue.take()
    assert seconds(clock, monitor, 1) == [StageRecovered("s")]


def test_a_stall_of_a_day_needs_little_memory_and_keeps_its_age() -> None:
    clock, queue, monitor = watched()
    for _ in range(5_000):
        queue.put()
        seconds(clock, monitor, 1)
    assert monitor.reports[0].oldest_ms == 4_999_000
    assert len(monitor._watched[0].marks) <= MOST_MARKS


def test_stall_and_recovery_travel_on_lanes_of_their_own() -> None:
    clock, queue, monitor = watched()
    queue.put()
    for _ in range(7):
        clock.ms += 1_000
        for event in monitor.evaluate():
            assert event.lane is Lane.CRITICAL
            assert (event.aggregate, event.ts_ms) == ("s", clock.ms)
