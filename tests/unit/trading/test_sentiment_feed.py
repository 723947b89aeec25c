"""Fear and greed in a live run: a source over HTTP, told as events, and what risk makes of them."""

from __future__ import annotations

import math
import queue
from decimal import Decimal
from pathlib import Path

import pytest

from genesis.domain.timeline import DAY_MS, MINUTE_MS
from genesis.market.sources.fear_greed import FearGreedClient
from genesis.trading.events import Event
from genesis.trading.feeds import sentiment
from genesis.trading.feeds.sentiment import SentimentFeed
from genesis.trading.payloads import AlertRaised, RiskAssessed, SentimentUpdated, decode, encode
from tests.unit.market.test_fear_greed import TODAY, Clock, Server, answer, server
from tests.unit.trading.core_rig import WISHES, Rig
from tests.unit.trading.test_risk_in_loop import manager, warmed

__all__ = ["server"]


def feed_of(
    server: Server, clock: Clock, told: list[Event], cache: Path | None = None
) -> SentimentFeed:
    return SentimentFeed(
        FearGreedClient(clock, server.address, cache), server.address, told.append, clock
    )


def test_a_value_is_told_once_with_its_own_stamp_and_its_source(server: Server) -> None:
    clock, told = Clock(), []
    feed = feed_of(server, clock, told)
    assert feed.look() == SentimentUpdated(40.0, TODAY, server.address)
    assert feed.look() is None
    clock.ms += 11 * MINUTE_MS
    assert feed.look() is None, "asked again, and the same"
    server.body = answer("41", TODAY)
    clock.ms += 11 * MINUTE_MS
    assert feed.look() == SentimentUpdated(41.0, TODAY, server.address)
    assert [event.ts_ms for event in told] == [clock.ms - 22 * MINUTE_MS, clock.ms]


@pytest.mark.parametrize("body", [b"<html>", answer("NaN"), answer("101"), b"[]", b""])
def test_garbage_is_neutral_marked_told_once_and_asked_again(server: Server, body: bytes) -> None:
    clock, told = Clock(), []
    feed = feed_of(server, clock, told)
    server.body = body
    data = feed.look()
    assert data is not None
    assert math.isnan(data.index)
    assert data.stamp_ms == -1
    assert data.note
    for _ in range(3):
        clock.ms += 11 * MINUTE_MS
        assert feed.look() is None
    server.body = answer("30")
    clock.ms += 11 * MINUTE_MS
    assert feed.look() == SentimentUpdated(30.0, TODAY, server.address)
    assert len(told) == 2


def test_a_value_that_gets_stale_is_told_as_neutral_once(server: Server) -> None:
    clock, told = Clock(), []
    feed = feed_of(server, clock, told)
    feed.look()
    for _ in range(8):
        clock.ms += 12 * 3_600_000
        feed.look()
    fresh, stale = (event.data for event in told)
    assert isinstance(fresh, SentimentUpdated)
    assert isinstance(stale, SentimentUpdated)
    assert (fresh.index, math.isnan(stale.index), stale.stamp_ms) == (40.0, True, TODAY)
    assert "h old" in stale.note


def test_the_last_value_is_kept_over_a_restart(server: Server, tmp_path: Path) -> None:
    clock, told = Clock(), []
    feed_of(server, clock, told, tmp_path / "kept.json").look()
    server.status = 500
    again = feed_of(server, clock, told, tmp_path / "kept.json")
    assert again.look() == SentimentUpdated(40.0, TODAY, server.address)


def test_a_thread_asks_and_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentiment, "EVERY_S", 0.01)
    clock: Clock = Clock()
    told: queue.Queue[Event] = queue.Queue()
    client = FearGreedClient(clock, server.address)
    feed = SentimentFeed(client, server.address, told.put, clock)
    feed.start()
    assert told.get(timeout=30).data == SentimentUpdated(40.0, TODAY, server.address)
    server.body = answer("77")
    clock.ms += 11 * MINUTE_MS
    assert told.get(timeout=30).data == SentimentUpdated(77.0, TODAY, server.address)
    feed.stop()
    assert not feed._thread.is_alive()
    SentimentFeed(client, server.address, told.put, clock).stop()  # one that never began


def test_the_event_survives_the_log() -> None:
    data = SentimentUpdated(12.0, TODAY, "somewhere", "")
    assert decode(data.type, encode(data)) == data


def _asked(index: float, age_ms: int, monkeypatch: pytest.MonkeyPatch) -> RiskAssessed:
    """What risk says of an entry when live bars know nothing and a source has told this."""
    for wish in ("", "long"):
        monkeypatch.setitem(WISHES, wish, (WISHES[wish][0], math.nan))
    rig = warmed(manager(sentiment_cut=0.5))
    now = rig.core.desk.now_ms
    note = "" if math.isfinite(index) else "it says nothing"
    rig.say(SentimentUpdated(index, now - age_ms, "a test", note))
    rig.bar(100.0, wish="long")
    (assessed,) = rig.all(RiskAssessed)
    return assessed


def test_extremes_cut_and_what_is_calm_stale_or_nothing_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calm = _asked(50.0, DAY_MS, monkeypatch)
    assert (calm.approved, calm.size) == (True, 5)
    fear = _asked(10.0, DAY_MS, monkeypatch)
    assert fear.size == Decimal("2.5")
    assert fear.multipliers["sentiment"] == 0.5
    assert _asked(math.nan, DAY_MS, monkeypatch).size == 5
    assert _asked(150.0, DAY_MS, monkeypatch).size == 5, "no value of the index"
    # An old value is no reason to risk more than a fresh one would allow.
    assert _asked(10.0, 10 * DAY_MS, monkeypatch).size <= calm.size


def test_silence_after_an_extreme_lifts_no_cut() -> None:
    rig = Rig()
    now = rig.core.desk.now_ms
    book = rig.core._guard.book
    rig.say(SentimentUpdated(5.0, now - DAY_MS, "a test"))
    rig.say(SentimentUpdated(math.nan, -1, "a test", "the index does not answer (refused)"))
    held = book.market.sentiment(now)
    assert (held.index, held.extreme) == (5.0, True)
    late = book.market.sentiment(now + 10 * DAY_MS)
    assert math.isnan(late.index)
    assert late.extreme, "the last that was seen was one"
    (told,) = [a for a in rig.all(AlertRaised) if a.category == "sentiment"]
    assert told.level == "info"
    assert "does not answer" in told.text
    assert "asked again" in told.text
