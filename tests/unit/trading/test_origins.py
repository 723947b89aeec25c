"""Schedules and news from files, and their place between the bars."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from genesis.domain.errors import ConfigError
from genesis.domain.timeline import parse_ts
from genesis.market.panel import Panel
from genesis.trading.events import Event
from genesis.trading.feed import Phase, resume_after
from genesis.trading.feeds.merged import MergedFeed
from genesis.trading.feeds.origins import NewsProvider, OriginProvider, ScheduleProvider
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.feeds.synthetic import SimulatedMarket, SyntheticFeed
from genesis.trading.payloads import NewsReceived, ScheduleDue, encode
from tests.oracle.wild_market import HOUR, wild_series

START = parse_ts("2024-01-01")

SCHEDULES = """\
version: 1
schedules:
  - id: review
    every: 2h
    offset: 30m
    action: evaluate
  - id: rebalance
    name: Daily rebalance
    at: 12:05          # to YAML 1.1 this is the number 725
    weekdays: [tue, wed]
    symbols: [BTC, ETH]
  - id: decision
    at: [2024-01-02T12:05, 2024-01-03]
    from: 2024-01-02
    until: 2024-01-02T23:00
"""

NEWS = """\
version: 1
news:
  - at: 2024-01-02T03:00
    headline: Exchange halts withdrawals
    symbols: BTC
    action: flatten
  - id: second
    at: 2024-01-01T03:00:00+01:00
    headline: "Café: Ω opens"
"""


def stored(tmp_path: Path, text: str, name: str = "file.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def bars(length: int = 80) -> PanelFeed:
    series = wild_series(np.random.default_rng(1), length, name="BTC", ends=length - 5)
    stamps = START + np.arange(length, dtype=np.int64) * HOUR
    return PanelFeed(Panel("wild", "test", HOUR, stamps, (series,), "x"))


def test_schedules_are_the_instants_of_a_calendar(tmp_path: Path) -> None:
    provider = ScheduleProvider(stored(tmp_path, SCHEDULES))
    got = [
        (e.ts_ms, e.data.schedule_id)  # type: ignore[attr-defined]
        for e in takewhile(lambda e: e.ts_ms < START + 96 * HOUR, provider.events(START))
    ]
    wanted = []
    for minute in range(96 * 60):
        when = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
        stamp = int(when.timestamp() * 1000)
        if when.hour % 2 == 0 and when.minute == 30:
            wanted.append((stamp, "review"))
        if (when.hour, when.minute) == (12, 5) and when.day in (2, 3):  # a Tuesday, a Wednesday
            wanted.append((stamp, "rebalance"))
        if when == datetime(2024, 1, 2, 12, 5, tzinfo=UTC):
            wanted.append((stamp, "decision"))
    assert got == wanted
    first = next(provider.events(parse_ts("2024-01-02T12:00")))
    assert first.data == ScheduleDue("rebalance", "Daily rebalance", ("BTC", "ETH"), "")
    assert first.aggregate == "rebalance"
    assert len(provider) == 3


def test_news_come_by_time_with_stable_ids(tmp_path: Path) -> None:
    provider = NewsProvider(stored(tmp_path, NEWS))
    second, first = (e.data for e in provider.events(0))
    assert isinstance(first, NewsReceived)
    assert second == NewsReceived("second", "Café: Ω opens")
    assert (first.headline, first.symbols, first.action) == (
        "Exchange halts withdrawals",
        ("BTC",),
        "flatten",
    )
    again = NewsProvider(stored(tmp_path, NEWS, "copy.yml"))
    assert [e.data for e in again.events(0)] == [second, first]
    assert [e.ts_ms for e in provider.events(0)] == [
        parse_ts("2024-01-01T02:00"),
        parse_ts("2024-01-02T03:00"),
    ]
    assert [e.data for e in provider.events(parse_ts("2024-01-01T02:01"))] == [first]


def test_json_lines_say_the_same_as_yaml(tmp_path: Path) -> None:
    items = [
        {
            "at": "2024-01-02T03:00",
            "headline": "Exchange halts withdrawals",
            "symbols": ["BTC"],
            "action": "flatten",
        },
        {"id": "second", "at": "2024-01-01T02:00Z", "headline": "Café: Ω opens"},
    ]
    text = "\n\n".join(json.dumps(item) for item in items)
    lines = NewsProvider(stored(tmp_path, text, "news.jsonl"))
    plain = NewsProvider(stored(tmp_path, NEWS))
    assert [(e.ts_ms, e.data) for e in lines.events(0)] == [
        (e.ts_ms, e.data) for e in plain.events(0)
    ]


def due_until(provider: OriginProvider, start_ms: int, end_ms: int) -> list[Event]:
    later = provider.events(start_ms)
    return list(takewhile(lambda event: event.ts_ms <= end_ms, later))


def test_a_provider_begins_at_any_instant(tmp_path: Path) -> None:
    provider = ScheduleProvider(stored(tmp_path, SCHEDULES))
    half_past = START + HOUR // 2
    assert [e.ts_ms for e in due_until(provider, START + 1, half_past)] == [half_past]
    assert due_until(provider, half_past + 1, half_past + 2 * HOUR - 1) == []
    assert len(due_until(provider, half_past + 1, half_past + 4 * HOUR)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\nschedules:\n  - id: a\n    evry: 1h\n", ":4: evry: is no key.*'every'"),
        ("version: 1\nschedules:\n  - every: 1h\n", ":3: id: is missing"),
        ("version: 1\nschedules:\n  - id: a\n", ":3: every: .*'every' or by 'at'"),
        ("version: 1\nschedules:\n  - {id: a, every: 1h, at: '00:05'}\n", ":3: at: "),
        ("version: 1\nschedules:\n  - id: a\n    every: 1x\n", ":4: every: '1x' is no length"),
        ("version: 1\nschedules:\n  - id: a\n    at: soon\n", ":4: at: 'soon' is not a date"),
        ("version: 1\nschedules:\n  - id: a\n    at: '00:05'\n    offset: 5m\n", ":5: offset: "),
        ("version: 1\nschedules:\n  - id: a\n    every: 1h\n    offset: 2h\n", ":5: offset: "),
        ("version: 1\nschedules:\n  - id: a\n    every: 1h\n    weekdays: moon\n", "'mon'"),
        ("version: 1\nschedules:\n  - id: a\n    at: 2024-01-01\n    weekdays: mon\n", ":5: week"),
        ("version: 1\nschedules:\n  - {id: a, every: 1h}\n  - {id: a, every: 2h}\n", ":4: id: 'a'"),
        ("version: 1\nschedules:\n  - {id: a, every: 1h, symbols: [DOGE]}\n", "'DOGE' is not"),
        ("version: 1\nschedules:\n  - {id: a, every: 1h, action: explode}\n", "'explode' is not"),
        ("version: 1\nschedules:\n  - {id: a, every: 1h, action: {x: 1}}\n", ":3: action: is nei"),
        ("version: 1\nschedules:\n  - id: a\n    id: b\n", ":4: id: is written twice"),
        ("version: 1\nschedules: none\n", ":2: schedules: is no list"),
        ("version: 1\nschedule: []\n", "schedule: is no key here.*'schedules'"),
        ("version: 1\n", "schedules: is no list"),
        ("version: 2\nschedules: []\n", ":1: version: is not 1"),
        ("schedules: []\n", "version: is not 1"),
        ("- a\n", "no block of keys"),
        ("", "no block of keys"),
        ("version: 1\nschedules: [\n", "is not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = stored(tmp_path, text)
    with pytest.raises(ConfigError, match=words) as caught:
        ScheduleProvider(path, symbols=("BTC", "ETH"), actions=("evaluate", "flatten"))
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"at": "2024-01-01"}', ":1: headline: is missing"),
        ('{"headline": "x"}', ":1: at: is missing"),
        ('\n{"at": "x", "headline": "x"}', ":2: at: 'x' is not a date"),
        ('{"at": 5, "headline": "x"}', ":1: at: is neither a text"),
        ("[1]", ":1: is no JSON object"),
        ("{", ":1: is no JSON"),
        ('{"at": "2024-01-01", "headline": ["a", "b"]}', ":1: headline: is a list"),
    ],
)
def test_a_wrong_line_of_news_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        NewsProvider(stored(tmp_path, text, "news.jsonl"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        NewsProvider(tmp_path / "none.yaml")


def merged(tmp_path: Path) -> MergedFeed:
    return MergedFeed(
        bars(),
        [
            ScheduleProvider(stored(tmp_path, SCHEDULES)),
            NewsProvider(stored(tmp_path, NEWS, "n.yaml")),
        ],
    )


def told(phases: Iterable[Phase]) -> list[tuple[int, list[tuple[int, str, bytes]]]]:
    """Phases as bytes: NaN equals NaN there."""
    return [(p.ts_ms, [(e.ts_ms, e.aggregate, encode(e.data)) for e in p.events]) for p in phases]


def format_exact(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).isoformat()


def is_origin(event: Event) -> bool:
    return isinstance(event.data, ScheduleDue | NewsReceived)


def test_origins_come_before_the_bars_of_their_instant_and_bars_stay_as_they_are(
    tmp_path: Path,
) -> None:
    feed = merged(tmp_path)
    phases = list(feed.phases())
    assert told(p for p in phases if not is_origin(p.events[0])) == told(bars().phases())
    assert [p.ts_ms for p in phases] == sorted(p.ts_ms for p in phases)
    seen: set[int] = set()
    for phase in phases:
        if is_origin(phase.events[0]):
            assert phase.ts_ms not in seen  # no bar phase of the instant came before it
            assert all(is_origin(e) for e in phase.events)
        seen.add(phase.ts_ms)
    origins = [e for p in phases for e in p.events if is_origin(e)]
    end = bars().end_ms
    wanted = due_until(ScheduleProvider(stored(tmp_path, SCHEDULES)), START, end)
    wanted += due_until(NewsProvider(stored(tmp_path, NEWS)), START, end)
    assert sorted((e.ts_ms, encode(e.data)) for e in origins) == sorted(
        (e.ts_ms, encode(e.data)) for e in wanted
    )


def test_news_at_a_bars_close_come_before_its_range(tmp_path: Path) -> None:
    text = "version: 1\nnews:\n  - {at: 2024-01-01T01:00, headline: x}\n"
    feed = MergedFeed(bars(), [NewsProvider(stored(tmp_path, text))])
    kinds = [str(p.events[0].type) for p in feed.phases()][:4]
    assert kinds == ["bar_opened", "news_received", "bar_range", "bar_closed"]


def test_news_at_the_first_open_and_the_last_close_belong_to_the_run(tmp_path: Path) -> None:
    begin, end = bars().anchor_ms, bars().end_ms
    lines = [
        json.dumps({"at": format_exact(ts), "headline": str(ts)})
        for ts in (begin - 1000, begin, end, end + 1000)
    ]
    feed = MergedFeed(bars(), [NewsProvider(stored(tmp_path, "\n".join(lines), "n.jsonl"))])
    phases = list(feed.phases())
    told_ms = [p.ts_ms for p in phases if is_origin(p.events[0])]
    assert told_ms == [begin, end]
    assert feed.total == len(phases)


def test_the_merged_feed_can_be_resumed_anywhere(tmp_path: Path) -> None:
    feed = merged(tmp_path)
    phases = list(feed.phases())
    assert feed.total == len(phases)
    for instant in sorted({p.ts_ms + d for p in phases for d in (0, 1)}):
        left = [p for p in phases if p.ts_ms >= instant]
        assert told(feed.phases(instant)) == told(left)
        assert feed.count_before(instant) == len(phases) - len(left)
    events = [e for p in phases for e in p.events]
    for done in range(0, len(events), 17):
        rest = [e for p in resume_after(feed, events[done]) for e in p.events]
        assert [encode(e.data) for e in rest] == [encode(e.data) for e in events[done + 1 :]]


def test_an_endless_market_has_endless_origins(tmp_path: Path) -> None:
    endless = SyntheticFeed(SimulatedMarket(("BTC",), "1h", block=10))
    feed = MergedFeed(endless, [ScheduleProvider(stored(tmp_path, SCHEDULES))])
    assert feed.total is None
    upto = list(takewhile(lambda p: p.ts_ms < START + 200 * HOUR, feed.phases()))
    assert sum(is_origin(p.events[0]) for p in upto) == 100 + 2  # every other hour; two at 12:05
