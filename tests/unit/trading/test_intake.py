"""Bad input: what is refused, what is kept of it, and when new risk is halted."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan

import pytest

from genesis.domain.errors import ConfigError
from genesis.trading.events import Event, Payload
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.intake import Intake
from genesis.trading.payloads import (
    BarClosed,
    BarCorrected,
    BarOpened,
    BarRange,
    BarsMissing,
    CandlesReady,
    ConnectionChanged,
    FundingDue,
    InputQuarantined,
    NewsReceived,
    OrderAccepted,
    Quote,
    ScheduleDue,
    StageRecovered,
    StageStalled,
    SymbolEnded,
)
from genesis.trading.plausible import IntakeRules, PriceLevel, bar_fault
from tests.oracle.wild_market import HOUR, wild_panel

STEP = HOUR


def intake(**rules: float) -> Intake:
    return Intake(("BTC", "ETH"), STEP, 0, IntakeRules(**rules))  # type: ignore[arg-type]


def bar(
    t: int,
    price: float = 100.0,
    *,
    symbol: str = "BTC",
    high: float | None = None,
    low: float | None = None,
    close: float | None = None,
    volume: float = 1.0,
) -> list[Event]:
    """Open, range and close of bar t, and the barrier after it."""
    close = price if close is None else close
    high = max(price, close) if high is None else high
    low = min(price, close) if low is None else low
    begin, end = t * STEP, (t + 1) * STEP
    return [
        Event(BarOpened(symbol, STEP, begin, price), begin, symbol),
        Event(BarRange(symbol, begin, high, low), end, symbol),
        Event(BarClosed(symbol, STEP, begin, price, high, low, close, volume), end, symbol),
        Event(CandlesReady(STEP, begin, (symbol,)), end),
    ]


def put(checker: Intake, events: Sequence[Event]) -> list[Payload]:
    return [out.data for event in events for out in checker.check(event)]


def kinds(payloads: Sequence[Payload]) -> list[str]:
    return [type(payload).__name__ for payload in payloads]


def whys(payloads: Sequence[Payload]) -> list[str]:
    return [p.why for p in payloads if isinstance(p, InputQuarantined)]


GOOD = ["BarOpened", "BarRange", "BarClosed", "CandlesReady"]


def test_good_events_pass_as_the_very_same_objects() -> None:
    panel = wild_panel(3, 200)
    feed = PanelFeed(panel, 3)
    checker = Intake(feed.symbols, feed.interval_ms, feed.anchor_ms)
    for phase in feed.phases():
        found = [out for event in phase.events for out in checker.check(event)]
        passed = [e for e in found if not isinstance(e.data, BarsMissing)]
        assert all(a is b for a, b in zip(passed, phase.events, strict=True))


def test_gaps_of_a_panel_are_told_with_their_length() -> None:
    panel = wild_panel(3, 200, missing=0.3)
    feed = PanelFeed(panel)
    checker = Intake(feed.symbols, feed.interval_ms, feed.anchor_ms)
    told = [
        e.data
        for phase in feed.phases()
        for event in phase.events
        for e in checker.check(event)
        if isinstance(e.data, BarsMissing)
    ]
    missing = {gap.first_ms + k * gap.interval_ms for gap in told for k in range(gap.bars)}
    wanted = {
        int(ts) for ts, there in zip(panel.ts_ms, panel.symbols[0].valid, strict=True) if not there
    }
    assert missing == wanted
    assert sum(gap.bars for gap in told) == len(wanted)


def test_what_is_no_market_event_passes() -> None:
    event = Event(OrderAccepted("c", "v"), 5)
    assert intake().check(event) == [event]


@pytest.mark.parametrize("price", [nan, 0.0, -1.0, inf, 1001.0, 9.9])
def test_a_bad_open_takes_its_whole_bar_out_and_halts_new_risk(price: float) -> None:
    checker = intake()
    put(checker, bar(0))
    events = bar(1, price)
    found = put(checker, events)
    assert kinds(found) == ["InputQuarantined", "StageStalled", *["InputQuarantined"] * 2]
    stalled = found[1]
    assert isinstance(stalled, StageStalled)
    assert stalled == StageStalled("feed:BTC", 1, 0, STEP)
    quarantined = [p for p in found if isinstance(p, InputQuarantined)]
    assert [p.content for p in quarantined] == [repr(e.data) for e in events[:3]]
    assert {p.source for p in quarantined} == {"feed:BTC"}
    back = put(checker, bar(2))
    assert kinds(back) == ["BarOpened", "BarRange", "BarClosed", "StageRecovered", "CandlesReady"]


@pytest.mark.parametrize(
    "change",
    [
        {"high": nan},
        {"low": 0.0},
        {"high": inf},
        {"high": 99.0},
        {"low": 101.0, "high": 102.0},
        {"low": 5.0},
        {"high": 1500.0},
    ],
)
def test_a_bad_range_takes_the_close_with_it(change: dict[str, float]) -> None:
    checker = intake()
    put(checker, bar(0))
    found = put(checker, bar(1, **change))  # type: ignore[arg-type]
    assert kinds(found) == ["BarOpened", "InputQuarantined", "StageStalled", "InputQuarantined"]
    assert kinds(put(checker, bar(2)))[:4] == [
        "BarOpened",
        "BarRange",
        "BarClosed",
        "StageRecovered",
    ]


@pytest.mark.parametrize(
    "change", [{"close": nan}, {"close": 150.0}, {"volume": -1.0}, {"volume": nan}]
)
def test_a_bad_close_is_refused(change: dict[str, float]) -> None:
    checker = intake()
    events = bar(0, high=110.0, low=90.0, **change)  # type: ignore[arg-type]
    found = put(checker, events)
    assert kinds(found) == ["BarOpened", "BarRange", "InputQuarantined", "StageStalled"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((10.0, 11.0, 9.0, 10.0, 0.0), ""),
        ((10.0, 9.0, 11.0, 10.0, 1.0), "high 9.0 is below low 11.0"),
        ((12.0, 11.0, 9.0, 10.0, 1.0), "open 12.0 is outside 9.0 to 11.0"),
        ((10.0, 11.0, 9.0, 8.0, 1.0), "close 8.0 is outside 9.0 to 11.0"),
        ((10.0, 11.0, 9.0, 10.0, -1.0), "volume -1.0 is no amount"),
        ((10.0, 11.0, nan, 10.0, 1.0), "low nan is no price"),
        ((-1.0, 11.0, 9.0, 10.0, 1.0), "open -1.0 is no price"),
    ],
)
def test_what_can_be_a_bar(values: tuple[float, ...], words: str) -> None:
    assert bar_fault(*values) == words


def test_a_new_level_is_believed_at_the_third_bar_that_agrees() -> None:
    checker = intake()
    put(checker, bar(0))
    assert "BarClosed" not in kinds(put(checker, bar(1, 2000.0)))
    assert "BarClosed" not in kinds(put(checker, bar(2, 2400.0)))
    assert kinds(put(checker, bar(3, 2100.0))) == [
        "BarOpened",
        "BarRange",
        "BarClosed",
        "StageRecovered",
        "CandlesReady",
    ]
    assert kinds(put(checker, bar(4, 2100.0))) == GOOD
    assert "price 100.0 is far from the last good one, 2100.0" in whys(put(checker, bar(5)))


def test_a_return_to_the_old_level_ends_the_count() -> None:
    checker = intake()
    for t, price in enumerate([100.0, 2000.0, 2000.0, 100.0, 2000.0, 2000.0]):
        found = put(checker, bar(t, price))
        assert ("BarClosed" in kinds(found)) == (price == 100.0), t


def test_the_end_of_an_older_bar_does_not_end_the_count() -> None:
    level = PriceLevel(10.0, 1.5, 3)
    votes = [(100.0, 0), (2000.0, 1), (101.0, 0), (2000.0, 2), (2000.0, 3), (2000.0, 3)]
    assert [level.judge(*vote) for vote in votes] == [True, False, True, False, True, True]


def test_bars_that_disagree_with_each_other_are_never_believed() -> None:
    checker = intake()
    put(checker, bar(0))
    for t, price in enumerate([2000.0, 4000.0, 2000.0, 4000.0, 2000.0], start=1):
        assert "BarClosed" not in kinds(put(checker, bar(t, price)))


def test_a_second_source_confirms_a_level_at_once() -> None:
    checker = intake()
    put(checker, bar(0))
    assert not checker.confirm("BTC", 2000.0)  # nothing is in doubt
    put(checker, bar(1, 2000.0))
    assert not checker.confirm("BTC", 100.0)
    assert not checker.confirm("ETH", 2000.0)
    assert not checker.confirm("DOGE", 2000.0)
    assert checker.confirm("BTC", 2100.0)
    assert kinds(put(checker, bar(2, 2000.0)))[:3] == GOOD[:3]


def test_many_quotes_of_one_bar_are_one_vote() -> None:
    checker = intake()
    put(checker, bar(0))
    quotes = [Event(Quote("BTC", 2000.0, 2000.0, 2000.0), STEP + k, "BTC") for k in range(50)]
    found = put(checker, quotes)
    assert set(kinds(found)) == {"InputQuarantined", "StageStalled"}
    assert kinds(found).count("StageStalled") == 1
    good = Event(Quote("BTC", 101.0, 100.0, 102.0), STEP + 60, "BTC")
    assert kinds(put(checker, [good])) == ["Quote", "StageRecovered"]


@pytest.mark.parametrize(
    ("quote", "words"),
    [
        (Quote("BTC", nan, 1.0, 2.0), "last nan is no price"),
        (Quote("BTC", 100.0, 0.0, 100.0), "low 0.0 is no price"),
        (Quote("BTC", 100.0, 101.0, 102.0), "last 100.0 is outside 101.0 to 102.0"),
        (Quote("BTC", 100.0, 100.0, 1500.0), "price 1500.0 is far"),
        (Quote("BTC", 9.0, 9.0, 9.0), "price 9.0 is far"),
    ],
)
def test_bad_quotes(quote: Quote, words: str) -> None:
    checker = intake()
    put(checker, bar(0))
    found = put(checker, [Event(quote, STEP + 1, "BTC")])
    assert kinds(found) == ["InputQuarantined", "StageStalled"]
    assert words in whys(found)[0]


def test_a_quote_whose_time_steps_back_is_refused() -> None:
    checker = intake()
    quote = Quote("BTC", 100.0, 100.0, 100.0)
    found = put(checker, [Event(quote, ts, "BTC") for ts in (10, 10, 9, 11)])
    assert kinds(found) == ["Quote", "Quote", "InputQuarantined", "Quote"]
    assert "late" in whys(found)[0]


def test_an_equal_bar_again_is_a_duplicate_and_a_changed_one_a_correction() -> None:
    checker = intake()
    put(checker, bar(0))
    found = put(checker, bar(0))
    assert kinds(found) == ["InputQuarantined"] * 4
    assert all("duplicate" in why for why in whys(found))
    changed = bar(0, high=103.0, volume=2.0)[2]
    assert put(checker, [changed]) == [
        BarCorrected("BTC", 0, "high", 100.0, 103.0),
        BarCorrected("BTC", 0, "volume", 1.0, 2.0),
    ]
    assert "equal" in whys(put(checker, [changed]))[0]  # compared with what it is now
    assert "correction: high" in whys(put(checker, [bar(0, high=50.0)[2]]))[0]


def test_late_bars_are_refused_and_change_nothing() -> None:
    checker = intake(remembered=2)
    for t in range(1, 6):
        put(checker, bar(t))
    found = put(checker, bar(0, 50.0))
    assert kinds(found) == ["InputQuarantined"] * 4
    assert all("late" in why for why in whys(found))
    assert kinds(put(checker, bar(6))) == GOOD


def test_a_gap_is_told_before_the_bar_after_it() -> None:
    checker = intake()
    put(checker, bar(0))
    found = put(checker, bar(4))
    assert found[0] == BarsMissing("BTC", STEP, STEP, 3)
    assert kinds(found)[1:] == GOOD


def test_off_the_grid_and_other_intervals() -> None:
    checker = intake()
    off = Event(BarOpened("BTC", STEP, 5, 100.0), 5, "BTC")
    other = Event(BarOpened("BTC", 60_000, 0, 100.0), 0, "BTC")
    assert ["grid" in why for why in whys(put(checker, [off, other]))] == [True, True]


def test_parts_without_their_bar() -> None:
    checker = intake()
    put(checker, bar(0))
    opened, ranged, closed, ready = bar(1)
    assert whys(put(checker, [ranged])) == ["the opening of this bar never came"]
    assert whys(put(checker, [closed])) == ["the opening of this bar never came"]
    assert kinds(put(checker, [opened, closed])) == ["BarOpened", "InputQuarantined"]
    assert put(checker, [ready]) == []
    assert kinds(put(checker, bar(2)))[:3] == GOOD[:3]


def test_unknown_symbols_are_refused_with_a_guess() -> None:
    checker = intake()
    events = [*bar(0, symbol="BTCC")[:3], Event(Quote("BTCC", 1.0, 1.0, 1.0), 0, "BTCC")]
    events += [Event(FundingDue("BTCC", 0.0), 0), Event(SymbolEnded("BTCC", 1.0), 0)]
    events += [
        Event(NewsReceived("n", "h", ("BTC", "BTCC")), 0),
        Event(ScheduleDue("s", "s", ("BTCC",)), 0),
    ]
    events += [Event(BarCorrected("BTCC", 0, "close", 1.0, 2.0), 0)]
    found = put(checker, events)
    assert kinds(found) == ["InputQuarantined"] * len(events)
    assert all("unknown symbol 'BTCC' - did you mean 'BTC'?" in why for why in whys(found))
    fine = Event(NewsReceived("n", "h"), 0)
    assert checker.check(fine) == [fine]


def test_the_barrier_names_only_symbols_whose_bars_are_good() -> None:
    checker = intake()
    good, bad = bar(0), bar(0, nan, symbol="ETH")
    both = Event(CandlesReady(STEP, 0, ("BTC", "ETH")), STEP)
    found = put(checker, [*good[:3], *bad[:3], both])
    assert found[-1] == CandlesReady(STEP, 0, ("BTC",))
    again = put(checker, [both])
    assert "decided" in whys(again)[0]


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (FundingDue("BTC", nan), "funding rate nan"),
        (FundingDue("BTC", 1.5), "funding rate 1.5"),
        (FundingDue("BTC", 0.01, 0.0), "mark 0.0 is no price"),
        (FundingDue("BTC", 0.01, 5.0), "price 5.0 is far"),
        (BarCorrected("BTC", 0, "close", 1.0, nan), "correction of close"),
        (BarCorrected("BTC", 0, "colour", 1.0, 1.0), "correction of colour"),
        (SymbolEnded("BTC", nan), "close nan is no price"),
    ],
)
def test_other_impossible_payloads(payload: Payload, words: str) -> None:
    checker = intake()
    put(checker, bar(0))
    assert words in whys(put(checker, [Event(payload, STEP, "BTC")]))[0]


def test_funding_counts_once() -> None:
    checker = intake()
    due = Event(FundingDue("BTC", 0.001), STEP, "BTC")
    assert kinds(put(checker, [due, due])) == ["FundingDue", "InputQuarantined"]
    assert kinds(put(checker, [Event(FundingDue("BTC", 0.001), 2 * STEP, "BTC")])) == ["FundingDue"]


def test_a_clock_that_steps_back_halts_until_it_caught_up() -> None:
    checker = intake(back_ms=1_000)
    assert checker.clock(10_000) == []
    assert checker.clock(9_500) == []
    back = checker.clock(8_000)
    assert kinds([e.data for e in back]) == ["ConnectionChanged"]
    assert back[0].data == ConnectionChanged(
        "clock", False, "the clock stepped back by 2000 ms, from 1970-01-01T00:00Z"
    )
    assert checker.clock(7_000) == []
    assert checker.clock(9_999) == []
    assert [e.data for e in checker.clock(10_000)] == [
        ConnectionChanged("clock", True, "the clock caught up")
    ]
    assert checker.clock(10_001) == []


def test_stamps_far_ahead_of_the_clock_are_refused_and_do_not_block_the_bars_after() -> None:
    checker = intake(ahead_ms=1_000)
    checker.clock(STEP)
    ahead = bar(1000)
    assert all("ahead" in why or "never came" in why for why in whys(put(checker, ahead[:3])))
    late_quote = Event(Quote("BTC", 1.0, 1.0, 1.0), STEP + 1_001, "BTC")
    assert "ahead" in whys(put(checker, [late_quote]))[0]
    assert kinds(put(checker, bar(0))) == GOOD


def test_silence_is_noticed_and_ends_with_the_next_good_bar() -> None:
    checker = intake(silence_ms=10_000)
    put(checker, bar(0))
    put(checker, bar(0, symbol="ETH")[:3])
    assert checker.watch(2 * STEP + 10_000) == []
    put(checker, bar(1, symbol="ETH")[:3])
    found = checker.watch(2 * STEP + 10_001)
    assert [e.data for e in found] == [StageStalled("feed:BTC", 1, 10_001, STEP)]
    assert checker.watch(3 * STEP) == []
    assert StageRecovered("feed:BTC") in put(checker, bar(1))


def test_a_symbol_that_never_speaks_is_silent_too() -> None:
    checker = intake(silence_ms=10_000)
    assert checker.watch(5 * STEP + 7) == []
    assert checker.watch(6 * STEP + 10_000) == []
    assert {e.aggregate for e in checker.watch(6 * STEP + 10_001)} == {"feed:BTC", "feed:ETH"}


def test_a_restart_in_the_middle_of_a_phase_keeps_the_barrier_whole() -> None:
    both = Event(CandlesReady(STEP, 0, ("BTC", "ETH")), STEP)
    rest = [bar(0, symbol="ETH")[2], both]  # BTC's close is in the log already
    assert [e for event in rest for e in intake().check(event)] == rest


def test_shown_the_log_it_stands_where_it_stood() -> None:
    checker, again = intake(), intake()
    log = [e for t in range(4) for event in bar(t) for e in checker.check(event)]
    for event in log:
        again.check(event)
    tail = [*bar(3), *bar(2, 7.0), *bar(7), *bar(8, 5000.0)]
    assert put(again, tail) == put(checker, tail)


def test_long_content_is_cut_and_says_so() -> None:
    checker = intake(content=20)
    event = Event(NewsReceived("n", "x" * 100, ("DOGE",)), 0)
    content = checker.check(event)[0].data
    assert isinstance(content, InputQuarantined)
    length = len(repr(event.data))
    assert content.content == f"{repr(event.data)[:20]}… ({length - 20} more characters)"


def test_what_is_refused_gives_its_place_to_what_says_so() -> None:
    checker = intake()
    good, bad = bar(0)[0], bar(0, nan, symbol="ETH")[0]
    assert kinds(put(checker, [bad, good])) == ["InputQuarantined", "StageStalled", "BarOpened"]
    assert put(checker, [Event(CandlesReady(STEP, 0, ("ETH",)), STEP)]) == []


def test_stored_data_may_collapse() -> None:
    checker = Intake(("BTC",), STEP, 0, IntakeRules(max_jump=inf))
    assert kinds(put(checker, bar(0, 100.0, close=0.001))) == GOOD


@pytest.mark.parametrize(
    "rules", [{"max_jump": 1.0}, {"agree": 20.0}, {"confirm_bars": 0}, {"back_ms": -1}]
)
def test_impossible_limits_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="impossible"):
        IntakeRules(**rules)  # type: ignore[arg-type]
