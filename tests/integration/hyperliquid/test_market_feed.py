"""Bars, quotes and funding of the local venue, and what a broken socket hid."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import DataError
from genesis.exchange.hyperliquid.market_feed import MarketFeed
from genesis.trading.events import Event
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    CandlesReady,
    ConnectionChanged,
    FundingDue,
    InputQuarantined,
    MarketState,
    Quote,
    StageStalled,
)
from tests.integration.hyperliquid.live_rig import LiveRig, live_rig, of, until

MINUTE = 60_000
COINS = ("BTC", "SOL")


def _walk(rig: LiveRig, feed: MarketFeed, seconds: int, step_s: int = 5) -> None:
    """Let the shared clock run; each step is heard before the next one."""
    for _ in range(seconds // step_s):
        frames = feed.stream.frames
        rig.advance(step_s * 1_000)
        if feed.stream.up:
            until(lambda frames=frames: feed.stream.frames > frames)  # type: ignore[misc]
            until(lambda: not feed._asking)
    rig.gateways[-1].settle()


def _candles(rig: LiveRig, coin: str) -> dict[int, tuple[float, ...]]:
    asked = {"coin": coin, "interval": "1m", "startTime": 0, "endTime": 2**42}
    rows: Any = rig.info("candleSnapshot", req=asked)
    return {row["t"]: tuple(float(row[k]) for k in "ohlcv") for row in rows}


def _bars(events: list[Event], coin: str) -> dict[int, tuple[float, ...]]:
    return {
        bar.open_ms: (bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in of(events, BarClosed)
        if bar.symbol == coin
    }


def test_bars_are_those_of_the_exchange_and_come_in_order(tmp_path: Path) -> None:
    with live_rig(tmp_path) as rig:
        events: list[Event] = []
        rig.gateway(events.append)
        feed = rig.gateways[-1].follow(COINS, "1m", grace_ms=10_000)
        _walk(rig, feed, 330)
        for coin in COINS:
            told, there = _bars(events, coin), _candles(rig, coin)
            assert len(told) >= 4
            assert told == {open_ms: there[open_ms] for open_ms in told}
            opened = [bar.open_ms for bar in of(events, BarOpened) if bar.symbol == coin]
            assert opened == list(range(opened[0], opened[-1] + 1, MINUTE))
        ready = of(events, CandlesReady)
        assert {barrier.symbols for barrier in ready} == {COINS}
        assert {quote.symbol for quote in of(events, Quote)} == set(COINS)
        assert of(events, InputQuarantined) == []
        for coin in COINS:
            assert feed.states.best[coin].bid < feed.states.best[coin].ask
            assert feed.states.books[coin].bids[0][0] <= feed.states.books[coin].asks[0][0]
            assert feed.states.contexts[coin].mark > 0.0
            _states(events, coin)


def _states(events: list[Event], coin: str) -> None:
    """Book and context come as events: now and then, possible, and as they changed."""
    told = [e for e in events if isinstance(e.data, MarketState) and e.data.symbol == coin]
    assert len(told) >= 10
    stamps = [event.ts_ms for event in told]
    assert min(later - sooner for sooner, later in pairwise(stamps)) >= 10_000
    for event in told:
        state = event.data
        assert isinstance(state, MarketState)
        assert 0.0 < state.bid < state.ask
        assert 0.0 < state.bid_size <= state.bid_depth
        assert 0.0 < state.ask_size <= state.ask_depth
        assert abs(state.mark / state.oracle - 1.0) < 0.05
        assert state.open_interest >= 0.0
    assert len({event.data for event in told}) > 1


def test_what_a_cut_socket_hid_is_back_filled(tmp_path: Path) -> None:
    with live_rig(tmp_path) as rig:
        events: list[Event] = []
        rig.gateway(events.append)
        feed = rig.gateways[-1].follow(("SOL",), "1m", grace_ms=600_000)
        _walk(rig, feed, 90)
        rig.fault("ws_refuse")
        rig.fault("ws_cut", count=1)
        rig.advance(1)
        until(lambda: not feed.stream.up)
        for _ in range(24):
            rig.advance(10_000)
        rig.heal()
        until(lambda: feed.stream.up)
        assert rig.gateways[-1].settle()
        _walk(rig, feed, 90)
        told, there = _bars(events, "SOL"), _candles(rig, "SOL")
        assert len(told) >= 5
        assert told == {open_ms: there[open_ms] for open_ms in told}
        assert sorted(told) == list(range(min(told), max(told) + 1, MINUTE))
        market = [c for c in of(events, ConnectionChanged) if c.source.endswith(":market")]
        assert [change.connected for change in market] == [False, True]


def test_impossible_prices_are_quarantined_and_halt_their_symbol(tmp_path: Path) -> None:
    with live_rig(tmp_path) as rig:
        events: list[Event] = []
        rig.gateway(events.append)
        feed = rig.gateways[-1].follow(COINS, "1m")
        _walk(rig, feed, 70)
        for text in ("NaN", "-1", "x10"):
            rig.fault("bad_price", text=text, count=2, where={"coin": "SOL", "type": "candle"})
            _walk(rig, feed, 20)
            rig.heal()
        refused = of(events, InputQuarantined)
        assert refused
        assert {stage.stage for stage in of(events, StageStalled)} == {"feed:SOL"}
        assert all(0.0 < bar.low <= bar.high < 10**6 for bar in of(events, BarClosed))


def test_the_settled_funding_rate_is_due_at_the_next_open(tmp_path: Path) -> None:
    with live_rig(tmp_path) as rig:
        events: list[Event] = []
        rig.gateway(events.append)
        feed = rig.gateways[-1].follow(("SOL",), "1m")
        _walk(rig, feed, 120)
        now = rig.venue.clock.now_ms()
        hour = now // 3_600_000 * 3_600_000 + 3_600_000
        rig.advance(hour - now - 30_000)
        _walk(rig, feed, 60)
        until(lambda: feed._funded.get("SOL", 0) >= hour)
        _walk(rig, feed, 120)
        (row,) = [
            row
            for row in rig.info("fundingHistory", coin="SOL", startTime=0)
            if row["time"] >= hour
        ]
        due = of(events, FundingDue)
        assert [data.rate for data in due if data.symbol == "SOL"][-1:] == [
            pytest.approx(float(row["fundingRate"]), abs=1e-12)
        ]


def test_a_market_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with live_rig(tmp_path) as rig:
        gateway = rig.gateway(lambda _: None)
        with pytest.raises(DataError, match="did you mean"):
            gateway.follow(("SOLL",), "1m")
