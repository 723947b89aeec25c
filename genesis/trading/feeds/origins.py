"""Providers of the origins besides the tick: schedules and news, replayed from files.

A schedule file::

    version: 1
    schedules:
      - id: hourly-review         # unique; the origin's id in the journal
        every: 1h                 # multiples of it since 1970 UTC: s, m, h, d
        offset: 5m                # optional: that much later
        weekdays: [mon, fri]      # optional, UTC
        action: pause
      - id: rebalance
        at: "00:05"               # every day at that time UTC; also a list
        symbols: [BTC, ETH]       # none: all
      - id: rate-decision
        name: Federal funds rate
        at: [2024-01-31T19:00, 2024-03-20T18:00]
        from: 2024-01-01          # optional first and last instant
        until: 2024-12-31

A news file has entries of ``id`` (optional), ``at``, ``headline``, ``symbols``, ``action`` under
``news:``. Either file may be JSON lines instead: one such entry a line, texts only.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Collection, Iterator
from itertools import repeat
from pathlib import Path
from typing import Protocol

from genesis.domain.errors import InputError
from genesis.domain.timeline import parse_ts
from genesis.trading.events import Event
from genesis.trading.feeds.entries import Entry, read_entries
from genesis.trading.payloads import NewsReceived, ScheduleDue
from genesis.trading.schedule import ALL_DAYS, Rule, parse_at, parse_length, parse_weekday

_SCHEDULE_KEYS = (
    "id",
    "name",
    "every",
    "at",
    "offset",
    "weekdays",
    "from",
    "until",
    "symbols",
    "action",
)
_NEWS_KEYS = ("id", "at", "headline", "symbols", "action")


class OriginProvider(Protocol):
    """A source of flow origins that is known in advance."""

    def events(self, start_ms: int) -> Iterator[Event]:
        """Events at or after an instant, by time; those of one instant in the file's order."""
        ...


class ScheduleProvider:
    """Schedules of a file.

    Parameters
    ----------
    path : Path
        See the module for its form.
    symbols, actions : collection of str, optional
        Those that exist; others are errors.

    Raises
    ------
    ConfigError
        If the file is wrong, with file, line and key.
    """

    def __init__(
        self,
        path: Path,
        symbols: Collection[str] | None = None,
        actions: Collection[str] | None = None,
    ) -> None:
        self._rules: list[tuple[Rule, ScheduleDue]] = []
        seen: set[str] = set()
        for entry in read_entries(path, "schedules"):
            entry.check_keys(_SCHEDULE_KEYS)
            name = _unique(entry, entry.required("id"), seen)
            what = _asked(entry, symbols, actions)
            due = ScheduleDue(name, entry.text("name", name), *what)
            self._rules.append((_rule(entry), due))

    def __len__(self) -> int:
        return len(self._rules)

    def events(self, start_ms: int) -> Iterator[Event]:
        """Events at or after an instant, by time; those of one instant in the file's order."""
        streams = [
            zip(rule.occurrences(start_ms), repeat(place))
            for place, (rule, _) in enumerate(self._rules)
        ]
        for ts_ms, place in heapq.merge(*streams):
            due = self._rules[place][1]
            yield Event(due, ts_ms, due.schedule_id)


class NewsProvider:
    """News of a file; an item without an id gets one from its content.

    Parameters
    ----------
    path : Path
        See the module for its form.
    symbols, actions : collection of str, optional
        Those that exist; others are errors.

    Raises
    ------
    ConfigError
        If the file is wrong, with file, line and key.
    """

    def __init__(
        self,
        path: Path,
        symbols: Collection[str] | None = None,
        actions: Collection[str] | None = None,
    ) -> None:
        items: list[Event] = []
        seen: set[str] = set()
        for entry in read_entries(path, "news"):
            entry.check_keys(_NEWS_KEYS)
            entry.required("at")
            ts_ms = entry.parsed("at", parse_ts)
            assert ts_ms is not None
            headline = entry.required("headline")
            given = entry.text("id").strip() or _content_id(ts_ms, headline)
            what = _asked(entry, symbols, actions)
            news = NewsReceived(_unique(entry, given, seen), headline, *what)
            items.append(Event(news, ts_ms, news.news_id))
        self._items = sorted(items, key=lambda event: event.ts_ms)

    def __len__(self) -> int:
        return len(self._items)

    def events(self, start_ms: int) -> Iterator[Event]:
        """Events at or after an instant, by time; those of one instant in the file's order."""
        for item in self._items:
            if item.ts_ms >= start_ms:
                yield Event(item.data, item.ts_ms, item.aggregate)


def _content_id(ts_ms: int, headline: str) -> str:
    text = f"{ts_ms}\x00{headline}".encode()
    return "news-" + hashlib.blake2b(text, digest_size=6).hexdigest()


def _asked(
    entry: Entry, symbols: Collection[str] | None, actions: Collection[str] | None
) -> tuple[tuple[str, ...], str]:
    """What an entry asks for: symbols (none for all) and an action (empty for none)."""
    named = entry.one_of("symbols", symbols)
    return named, (entry.one_of("action", actions) and entry.text("action")) or ""


def _unique(entry: Entry, name: str, seen: set[str]) -> str:
    if name in seen:
        raise entry.fault(
            "id", f"'{name}' is taken by an earlier entry", "give it an id of its own"
        )
    seen.add(name)
    return name


def _rule(entry: Entry) -> Rule:
    clock_ms: tuple[int, ...] = ()
    instants: tuple[int, ...] = ()
    key = "at" if entry.texts("at") else "every"
    days = ALL_DAYS
    try:
        if key == "at":
            clock_ms, instants = parse_at(entry.texts("at"))
    except InputError as error:
        raise entry.fault("at", error.what, error.fix) from None
    if entry.texts("weekdays"):
        if instants:
            raise entry.fault("weekdays", "is given beside dates", "leave one of the two out")
        try:
            days = frozenset(parse_weekday(text) for text in entry.texts("weekdays"))
        except InputError as error:
            raise entry.fault("weekdays", error.what, error.fix) from None
    every = entry.parsed("every", parse_length)
    offset = entry.parsed("offset", parse_length)
    if offset is not None and every is None:
        raise entry.fault("offset", "is given without 'every'", "write the time into 'at'")
    try:
        return Rule(
            every_ms=every or 0,
            clock_ms=clock_ms,
            instants=instants,
            offset_ms=offset or 0,
            weekdays=days,
            from_ms=entry.parsed("from", parse_ts),
            until_ms=entry.parsed("until", parse_ts),
        )
    except InputError as error:
        raise entry.fault("offset" if offset else key, error.what, error.fix) from None
