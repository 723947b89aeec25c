"""Recurring instants against the calendar of the standard library; timers against a plain list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesis.domain.errors import InputError
from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS
from genesis.trading.schedule import (
    WEEKDAYS,
    Rule,
    TimerWheel,
    parse_at,
    parse_clock,
    parse_length,
    weekday,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_YEAR = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)


def moment(ts_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ts_ms)


@given(st.integers(0, 4_000_000_000_000))
def test_weekday_is_that_of_the_calendar(ts_ms: int) -> None:
    assert weekday(ts_ms) == moment(ts_ms).weekday()


@given(
    start=st.integers(NEW_YEAR, NEW_YEAR + 40 * DAY_MS),
    every=st.sampled_from([7 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, DAY_MS, 3 * DAY_MS]),
    offset=st.integers(0, 7 * MINUTE_MS - 1),
    days=st.frozensets(st.integers(0, 6), min_size=1),
)
def test_every_is_a_search_over_all_multiples(
    start: int, every: int, offset: int, days: frozenset[int]
) -> None:
    rule = Rule(every_ms=every, offset_ms=offset, weekdays=days)
    got = list(takewhile(lambda ts: ts <= start + 30 * DAY_MS, rule.occurrences(start)))
    first = start // every - 2
    multiples = [k * every + offset for k in range(first, (start + 30 * DAY_MS) // every + 2)]
    assert got == [
        ts
        for ts in multiples
        if start <= ts <= start + 30 * DAY_MS and moment(ts).weekday() in days
    ]


@given(
    start=st.integers(NEW_YEAR, NEW_YEAR + 10 * DAY_MS),
    minutes=st.lists(st.integers(0, 1439), min_size=1, max_size=4),
    days=st.frozensets(st.integers(0, 6), min_size=1),
)
def test_daily_times_are_a_search_over_all_minutes(
    start: int, minutes: list[int], days: frozenset[int]
) -> None:
    rule = Rule(clock_ms=tuple(m * MINUTE_MS for m in minutes), weekdays=days)
    got = list(takewhile(lambda ts: ts < start + 8 * DAY_MS, rule.occurrences(start)))
    begin = -(-start // MINUTE_MS)
    wanted = []
    for k in range(begin, begin + 8 * 1440 + 1):
        when = moment(k * MINUTE_MS)
        if when.hour * 60 + when.minute in minutes and when.weekday() in days:
            wanted.append(k * MINUTE_MS)
    assert got == [ts for ts in wanted if ts < start + 8 * DAY_MS]


def test_span_includes_both_ends() -> None:
    rule = Rule(every_ms=HOUR_MS, from_ms=NEW_YEAR, until_ms=NEW_YEAR + 2 * HOUR_MS)
    wanted = [NEW_YEAR, NEW_YEAR + HOUR_MS, NEW_YEAR + 2 * HOUR_MS]
    assert list(rule.occurrences(0)) == wanted
    assert list(rule.occurrences(NEW_YEAR + 1)) == wanted[1:]


def test_dates_come_sorted_once_each() -> None:
    rule = Rule(instants=(30, 10, 20, 10))
    assert list(rule.occurrences(11)) == [20, 30]


@pytest.mark.parametrize(
    ("text", "length"), [("30s", 30_000), ("15m", 900_000), ("4h", 14_400_000), ("1d", DAY_MS)]
)
def test_lengths(text: str, length: int) -> None:
    assert parse_length(text) == length


@pytest.mark.parametrize("text", ["0h", "h", "1.5h", "-1h", "1 h", "1w", "", "9999999999s"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no length"):
        parse_length(text)


def test_times_of_the_day() -> None:
    assert parse_clock("00:05") == 5 * MINUTE_MS
    assert parse_clock("23:59:30") == DAY_MS - 30_000
    assert all(parse_clock(text) is None for text in ("24:00", "7:00", "12:60", "noon"))
    with pytest.raises(InputError, match="mixes"):
        parse_at(("12:00", "2024-01-01"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "'every' or by 'at'"),
        ({"every_ms": 1, "clock_ms": (0,)}, "'every' or by 'at'"),
        ({"every_ms": 5, "offset_ms": 5}, "offset"),
        ({"clock_ms": (0,), "offset_ms": 5}, "offset"),
        ({"every_ms": 1, "weekdays": frozenset()}, "no weekday"),
        # multiples of a week since a Thursday are Thursdays: a search for a Monday never ends
        ({"every_ms": 7 * DAY_MS, "weekdays": frozenset({0})}, "never falls"),
    ],
)
def test_impossible_rules_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Rule(**options)  # type: ignore[arg-type]


def test_a_week_with_an_offset_meets_its_day() -> None:
    rule = Rule(every_ms=7 * DAY_MS, offset_ms=4 * DAY_MS, weekdays=frozenset({0}))
    assert [WEEKDAYS[weekday(ts)] for ts in islice(rule.occurrences(NEW_YEAR), 3)] == ["mon"] * 3


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from("abcdef"), st.integers(0, 60)),
        st.tuples(st.just("cancel"), st.sampled_from("abcdef"), st.just(0)),
        st.tuples(st.just("due"), st.just(""), st.integers(0, 70)),
        st.tuples(st.just("restore"), st.just(""), st.just(0)),
    ),
    max_size=120,
)


@given(Steps)
def test_timers_are_a_sorted_list(steps: list[tuple[str, str, int]]) -> None:
    wheel, plain = TimerWheel(), {}
    for what, name, ms in steps:
        if what == "set":
            wheel.set(name, ms)
            plain[name] = ms
        elif what == "cancel":
            wheel.cancel(name)
            plain.pop(name, None)
        elif what == "due":
            wanted = sorted((due, timer) for timer, due in plain.items() if due <= ms)
            assert wheel.due(ms) == [timer for _, timer in wanted]
            for _, timer in wanted:
                del plain[timer]
        else:
            saved = wheel.plain()
            wheel = TimerWheel()
            wheel.restore(saved)
        assert wheel.plain() == dict(sorted(plain.items()))
        assert len(wheel) == len(plain)
        assert wheel.next_ms == min(plain.values(), default=None)


def test_a_timer_that_is_moved_for_ever_takes_no_memory() -> None:
    wheel = TimerWheel()
    for step in range(10_000):
        wheel.set("only", 20_000 - step)
        wheel.set("other", step)
    assert len(wheel._heap) < 200
    assert wheel.due(30_000) == ["other", "only"]
