"""Progress is health: a stage is well while what goes into it comes out again in time.

A process that runs, a connection that stands, a thread that is alive say nothing: thousands of
intents can wait behind all of them. So a stage is two counters, what went in and what came out,
and how old the oldest item is that did not come out yet. No clock is needed where the items pass:
whoever looks once a second remembers when it first saw how much had gone in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import msgspec

from genesis.domain.clock import Clock
from genesis.trading.events import Event
from genesis.trading.payloads import StageRecovered, StageStalled

LIMIT_S = 5.0
"""An item that waits longer than this makes its stage stall."""
INTERVAL_S = 1.0
"""Time between two looks."""
MOST_MARKS = 1_024
MOST_WARMING_S = 120.0


class Reading(NamedTuple):
    """What a stage says of itself.

    Attributes
    ----------
    entered, left : int
        Items that ever went in and came out; never falling but for the races of two threads.
    oldest : int
        Which item is the oldest that waits, counted from 1 as they went in; 0 where items come
        out in the order in which they went in.
    """

    entered: int
    left: int
    oldest: int = 0


def _alive() -> bool:
    return True


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the flow.

    Attributes
    ----------
    name : str
    read : callable
        Gives the counters; must neither block nor raise.
    limit_s : float
        Longest that an item may wait.
    quiet_s : float
        Longest time without an item, for a stage that never runs dry, such as a live feed.
    alive : callable
        Whether whoever does the work is there at all.
    """

    name: str
    read: Callable[[], Reading]
    limit_s: float = LIMIT_S
    quiet_s: float = inf
    alive: Callable[[], bool] = _alive


class StageReport(msgspec.Struct, frozen=True):
    """How a stage is doing.

    Attributes
    ----------
    stage : str
    entered, left, lag : int
    oldest_ms : int
        How long the oldest item has waited, as far as it was watched; 0 when nothing waits.
    last_ms : int
        Instant of the last sign of progress; 0 if there was none.
    limit_ms : int
    stalled : bool
    since_ms : int
        Instant at which it was found to stall, 0 if it does not.
    why : str
    """

    stage: str
    entered: int
    left: int
    lag: int
    oldest_ms: int
    last_ms: int
    limit_ms: int
    stalled: bool
    since_ms: int = 0
    why: str = ""


class _Watched:
    """A stage and what was seen of it."""

    def __init__(self, stage: Stage, now: float) -> None:
        self.stage = stage
        self.marks: list[tuple[float, int]] = []  # when so many items had gone in
        self.entered = self.left = 0
        self.moved = now  # last time that something came out, or that there was nothing to do
        self.moved_ms = 0
        self.age = 0.0
        self.since_ms = 0
        self.why = ""
        self.first = True

    def look(self, now: float, now_ms: int) -> None:
        """Read the counters and bring age and progress up to date."""
        entered, left, oldest = self.stage.read()
        entered = max(entered, left)
        if left != self.left or self.first:
            self.moved = now
            self.moved_ms = now_ms if left else 0
        self.first = False
        self.entered, self.left = entered, left
        oldest = oldest or left + 1
        # What had gone in earlier cannot be more than what has gone in now: two threads count.
        self.marks = [(at, min(count, entered)) for at, count in self.marks if count >= oldest]
        if entered > left and (not self.marks or entered > self.marks[-1][1]):
            self.marks.append((now, entered))
            if len(self.marks) > MOST_MARKS:
                del self.marks[1::2]
        self.marks = self.marks if entered > left else []
        self.age = now - self.marks[0][0] if self.marks else 0.0

    def verdict(self, now: float, *, easy: bool) -> str:
        """Why it stalls, empty if it does not; harder to leave than to enter."""
        stage = self.stage
        if not stage.alive():
            return "whoever does this work is gone"
        share = 0.5 if easy else 1.0
        if self.age > share * stage.limit_s:
            return f"{self.entered - self.left} waiting, the oldest for {self.age:.1f} s"
        if now - self.moved > share * stage.quiet_s:
            return f"nothing came for {now - self.moved:.1f} s"
        return ""

    def shift(self, seconds: float) -> None:
        """Let a time in which nobody watched not count."""
        self.moved += seconds
        self.marks = [(at + seconds, count) for at, count in self.marks]

    def report(self) -> StageReport:
        """Report of what was seen last."""
        return StageReport(
            stage=self.stage.name,
            entered=self.entered,
            left=self.left,
            lag=self.entered - self.left,
            oldest_ms=round(self.age * 1000),
            last_ms=self.moved_ms,
            limit_ms=round(self.stage.limit_s * 1000),
            stalled=bool(self.why),
            since_ms=self.since_ms,
            why=self.why,
        )


class StageMonitor:
    """Watches stages for progress; `evaluate` is to be called about once a second.

    It also is a latch (`genesis.trading.outlet.Latch`): given to the outlet, no order that adds
    risk leaves while a stage stalls, also before the loop has heard of it.

    Parameters
    ----------
    stages : sequence of Stage
    clock : Clock
        Of the machine: what waits is late however the time of the run goes.
    interval_s : float
        Time between two evaluations. Where it was three times as long or more, this process
        was not running, and the time beyond the interval counts against nobody.
    warming : callable
        Whether code is being compiled for the first time; for so long, but no longer than two
        minutes, time counts against nobody either.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        clock: Clock,
        *,
        interval_s: float = INTERVAL_S,
        warming: Callable[[], bool] = _never,
    ) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._warming = warming
        self._warmed_s = 0.0
        self._looked = clock.monotonic()
        self._watched = [_Watched(stage, self._looked) for stage in stages]
        self._closed = ""

    def evaluate(self) -> list[Event]:
        """Look at every stage.

        Returns
        -------
        list of Event
            `StageStalled` for each stage that stalls since the last look, `StageRecovered` for each
            that moves again.
        """
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        self._forgive(now - self._looked)
        self._looked = now
        edges = []
        for watched in self._watched:
            watched.look(now, now_ms)
            was = watched.why
            watched.why = watched.verdict(now, easy=bool(was))
            if watched.why and not was:
                watched.since_ms = now_ms
                edges.append(stalled(watched.report(), now_ms))
            elif was and not watched.why:
                watched.since_ms = 0
                edges.append(recovered(watched.report(), now_ms))
        names = [w.stage.name for w in self._watched if w.why]
        self._closed = f"no progress: {', '.join(names)}" if names else ""
        return edges

    def _forgive(self, passed: float) -> None:
        """Let the time since the last look not count where it says nothing about the stages."""
        uncounted = passed - self._interval_s
        if uncounted < 2.0 * self._interval_s:
            uncounted = 0.0
        if self._warmed_s < MOST_WARMING_S and self._warming():
            uncounted = passed
            self._warmed_s += passed
        if uncounted:
            for watched in self._watched:
                watched.shift(uncounted)

    @property
    def reports(self) -> tuple[StageReport, ...]:
        """How each stage was doing at the last look."""
        return tuple(watched.report() for watched in self._watched)

    @property
    def healthy(self) -> bool:
        """Whether every stage makes progress; nothing else counts."""
        return not self._closed

    def closed(self) -> str:
        """Why nothing that adds risk may leave now, empty if it may."""
        return self._closed


def stalled(report: StageReport, now_ms: int) -> Event:
    """Event for a stage that stalls."""
    data = StageStalled(report.stage, report.lag, report.oldest_ms, report.last_ms)
    return Event(data, now_ms, report.stage)


def recovered(report: StageReport, now_ms: int) -> Event:
    """Event for a stage that moves again."""
    return Event(StageRecovered(report.stage), now_ms, report.stage)
