"""Instants that come due: the rules of a schedule, and timers."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from genesis.domain.errors import InputError, did_you_mean
from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS, parse_ts

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_DAYS = frozenset(range(7))
_UNITS = {"s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_LENGTH = re.compile(r"([1-9]\d{0,8})([smhd])")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_FIRST_WEEKDAY = 3
"""1970-01-01 was a Thursday."""


def parse_length(text: str) -> int:
    """Milliseconds of ``30s``, ``15m``, ``4h`` or ``1d``.

    Raises
    ------
    InputError
        If the text is no such length.
    """
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise InputError(f"'{text}' is no length of time", fix="write 30s, 15m, 4h or 1d")
    return int(found[1]) * _UNITS[found[2]]


def parse_clock(text: str) -> int | None:
    """Milliseconds since midnight of ``00:05`` or ``23:59:30``; None where it is no such time."""
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        return None
    return int(found[1]) * HOUR_MS + int(found[2]) * MINUTE_MS + int(found[3] or 0) * 1_000


def parse_weekday(text: str) -> int:
    """Number of a weekday, Monday is 0.

    Raises
    ------
    InputError
        If it is none of `WEEKDAYS`.
    """
    word = text.strip().lower()
    if word not in WEEKDAYS:
        raise InputError(
            f"'{text}' is no weekday{did_you_mean(word, WEEKDAYS)}",
            fix=f"use {', '.join(WEEKDAYS)}",
        )
    return WEEKDAYS.index(word)


def weekday(ts_ms: int) -> int:
    """Weekday of an instant in UTC, Monday is 0."""
    return (ts_ms // DAY_MS + _FIRST_WEEKDAY) % 7


@dataclass(frozen=True, slots=True)
class Rule:
    """When something recurs, all in UTC. Exactly one of the first three is given.

    Attributes
    ----------
    every_ms : int
        At the multiples of this length since 1970, ``offset_ms`` later.
    clock_ms : tuple of int
        At these times of the day, in milliseconds since midnight.
    instants : tuple of int
        At these instants.
    offset_ms : int
        In [0, every_ms).
    weekdays : frozenset of int
        Only on these days, Monday is 0; not for `instants`.
    from_ms, until_ms : int or None
        First and last instant that counts, both included.
    """

    every_ms: int = 0
    clock_ms: tuple[int, ...] = ()
    instants: tuple[int, ...] = ()
    offset_ms: int = 0
    weekdays: frozenset[int] = ALL_DAYS
    from_ms: int | None = None
    until_ms: int | None = None

    def __post_init__(self) -> None:
        if sum(map(bool, (self.every_ms, self.clock_ms, self.instants))) != 1:
            raise InputError("a schedule recurs by 'every' or by 'at'", fix="give one of the two")
        if not 0 <= self.offset_ms < max(self.every_ms, 1):
            raise InputError(
                "the offset of a schedule is not shorter than its period", fix="use less than that"
            )
        if not self.weekdays or not self.weekdays <= ALL_DAYS:
            raise InputError("a schedule has no weekday", fix="name one, or leave weekdays out")
        if self.every_ms > DAY_MS and not self._meets_a_weekday():
            raise InputError(
                "a schedule never falls on its weekdays",
                why=f"its period counts from 1970-01-01, a {WEEKDAYS[_FIRST_WEEKDAY]}",
                fix="give an offset of some days, or use 'at' with weekdays",
            )

    def _meets_a_weekday(self) -> bool:
        """Whether any multiple of a period longer than a day falls on one of the weekdays."""
        periods = 7 * DAY_MS // math.gcd(self.every_ms, 7 * DAY_MS)
        return any(
            weekday(self.offset_ms + k * self.every_ms) in self.weekdays for k in range(periods)
        )

    def occurrences(self, start_ms: int) -> Iterator[int]:
        """Instants at or after ``start_ms``, ascending."""
        first = start_ms if self.from_ms is None else max(start_ms, self.from_ms)
        for ts_ms in self._raw(first):
            if self.until_ms is not None and ts_ms > self.until_ms:
                return
            if ts_ms >= first and (self.instants or weekday(ts_ms) in self.weekdays):
                yield ts_ms

    def _raw(self, first: int) -> Iterator[int]:
        if self.instants:
            yield from sorted(set(self.instants))
        elif self.every_ms:
            begin = -(-(first - self.offset_ms) // self.every_ms) * self.every_ms
            yield from count(begin + self.offset_ms, self.every_ms)
        else:
            times = sorted(set(self.clock_ms))
            for day in count(first // DAY_MS * DAY_MS, DAY_MS):
                yield from (day + time for time in times)


def parse_at(texts: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Times of the day and instants that ``at`` names; one of the two is empty.

    Raises
    ------
    InputError
        If a text is neither, or both kinds are mixed.
    """
    clocks = [parse_clock(text) for text in texts]
    if all(clock is not None for clock in clocks):
        return tuple(clock for clock in clocks if clock is not None), ()
    if any(clock is not None for clock in clocks):
        raise InputError(
            "'at' mixes times of the day and dates", fix="write two schedules, one for each"
        )
    return (), tuple(parse_ts(text) for text in texts)


class TimerWheel:
    """Timers of a run by their id.

    Whoever drives the run's clock asks it what is due: the lock-step driver between phases, the
    live driver when `next_ms` is reached. It never looks at a clock itself.
    """

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next_ms(self) -> int | None:
        """Instant of the earliest timer, None if there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def set(self, timer: str, due_ms: int) -> None:
        """Set a timer, or move the one of this id."""
        if self._due.get(timer) == due_ms:
            return
        self._due[timer] = due_ms
        heapq.heappush(self._heap, (due_ms, timer))
        if len(self._heap) > 2 * len(self._due) + 64:  # moved timers leave entries behind
            self._heap = sorted((due, name) for name, due in self._due.items())

    def cancel(self, timer: str) -> None:
        """Forget a timer; nothing happens if there is none of this id."""
        self._due.pop(timer, None)

    def due(self, now_ms: int) -> list[str]:
        """Take the timers that are due, the earliest first, those of one instant by id."""
        fired: list[str] = []
        while True:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now_ms:
                return fired
            _, timer = heapq.heappop(self._heap)
            del self._due[timer]
            fired.append(timer)

    def plain(self) -> dict[str, int]:
        """Due time of each timer, for a snapshot."""
        return dict(sorted(self._due.items()))

    def restore(self, plain: Mapping[str, int]) -> None:
        """Take over a snapshot; whatever was set is gone."""
        self._due = {str(timer): int(due) for timer, due in plain.items()}
        self._heap = sorted((due, timer) for timer, due in self._due.items())

    def _drop_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
