"""Mark prices, and reference prices drawn from recorded bars."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from genesis.exchange.venue.core import VenueCore, VenueProfile
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.orders import Order
from genesis.exchange.venue.path import FixedPath
from genesis.exchange.venue.recorded import BarPath, BarSeries
from genesis.exchange.venue.schedule import Schedule
from tests.unit.exchange.venue.venue_rig import ALICE, META, T0

MINUTE = 60_000


def rest(market, buy, px):
    order = Order(
        oid=px, user=ALICE, asset=1, buy=buy, px=px * 10_000, sz=1, orig=1, tif="Gtc", ts_ms=0
    )
    market.book.side(buy).add(order)


def test_the_mark_price_is_a_median_that_one_print_does_not_move():
    market = Market(META.perps[1])
    assert not market.reprice(3000 * 10_000, 1000)
    rest(market, True, 3009)
    rest(market, False, 3011)
    # The book stands ten above the oracle: the mark follows slowly, as the average basis does.
    market.reprice(3000 * 10_000, 1000)
    first = market.mark
    assert 3000 * 10_000 <= first < 3001 * 10_000
    for _ in range(1000):
        market.reprice(3000 * 10_000, 1000)
    assert abs(market.mark - 3010 * 10_000) <= 2_000
    market.last = 9999 * 10_000
    market.reprice(3000 * 10_000, 1000)
    assert abs(market.mark - 3010 * 10_000) <= 10_000
    market.pinned = True
    assert not market.reprice(1, 1000)


def bars(count, seed):
    rng = random.Random(seed)
    closes = [100.0]
    for _ in range(count):
        closes.append(closes[-1] * (1 + rng.gauss(0, 0.01)))
    opens, closes = closes[:-1], closes[1:]
    highs = [max(o, c) * (1 + abs(rng.gauss(0, 0.004))) for o, c in zip(opens, closes, strict=True)]
    lows = [min(o, c) * (1 - abs(rng.gauss(0, 0.004))) for o, c in zip(opens, closes, strict=True)]
    times = [k * 60 * MINUTE for k in range(count)]
    return BarSeries(times, opens, highs, lows, closes)


def test_recorded_bars_come_out_again():
    series = bars(200, 1)
    path = BarPath(META, {"SOL": series}, interval_ms=60 * MINUTE, fallback=FixedPath(META))
    for place in range(200):
        inside = [path.price("SOL", series.open_ms[place] + k * MINUTE) / 1e6 for k in range(60)]
        assert inside[0] == pytest.approx(series.open[place], rel=1e-6)
        low, high = series.low[place], series.high[place]
        assert min(inside) >= low * (1 - 1e-6)
        assert max(inside) <= high * (1 + 1e-6)
        # Minutes nearly meet the extremes.
        assert min(inside) - low < 0.1 * (high - low)
        assert high - max(inside) < 0.1 * (high - low)
        last = path.price("SOL", series.open_ms[place] + 60 * MINUTE - 1) / 1e6
        assert last == pytest.approx(series.close[place], rel=2e-4)
    assert path.price("SOL", -1) == round(series.open[0] * 1e6)
    assert path.price("SOL", 10**12) == round(series.close[-1] * 1e6)
    assert path.price("BTC", 0) == FixedPath(META).price("BTC", 0)


def test_a_gap_keeps_the_last_close():
    series = BarSeries([0, 3 * MINUTE], [1.0, 5.0], [2.0, 6.0], [1.0, 5.0], [1.5, 5.5])
    path = BarPath(META, {"XRP": series}, interval_ms=MINUTE, shift_ms=1000)
    assert path.price("XRP", MINUTE + 1000) == path.price("XRP", 3 * MINUTE + 999) == 150_000_000
    assert path.price("XRP", 3 * MINUTE + 1000) == 500_000_000


def test_the_first_half_of_a_bar_does_not_tell_its_close():
    """Straight on from the middle misses the close by a good part of the range, both ways."""
    series = bars(1000, 2)
    path = BarPath(META, {"SOL": series}, interval_ms=60 * MINUTE)
    hits = 0
    for place in range(1000):
        start = series.open_ms[place]
        early, middle = (
            path.price("SOL", start + 20 * MINUTE),
            path.price("SOL", start + 30 * MINUTE),
        )
        up = middle > early
        hits += up == (series.close[place] * 1e6 > middle)
    assert 350 < hits < 650


def test_a_venue_plays_bars_with_history_before_its_start():
    series = bars(100, 3)
    start = T0 - 50 * 60 * MINUTE
    path = BarPath(META, {"SOL": series}, interval_ms=60 * MINUTE, shift_ms=start)
    core = VenueCore(META, seed=1, profile=VenueProfile(), now_ms=T0, path=path)
    rows = core.market_info.candles("SOL", "1h", start, T0 - 1)
    assert len(rows) == 50
    for row, opened in zip(rows, series.open, strict=False):
        assert float(row["o"]) == pytest.approx(opened, rel=1e-4)
    core.advance(T0 + 60_000)
    oracle = Decimal(core.market_info.context("SOL")["oraclePx"])
    assert float(oracle) == pytest.approx(path.price("SOL", T0 + 60_000) / 1e6, rel=1e-4)


def test_what_is_due_at_one_instant_runs_by_kind_prices_first():
    schedule = Schedule()
    for at_ms, kind, key in (
        (5, "margin", "b"),
        (5, "funding", ""),
        (5, "twap", "b"),
        (5, "twap", "a"),
        (5, "step", ""),
        (1, "cancel", "x"),
        (9, "step", ""),
    ):
        schedule.add(at_ms, kind, key)
    again = Schedule()
    again.restore(schedule.plain())
    for plan in (schedule, again):
        due = []
        while (row := plan.next(5)) is not None:
            due.append(row[1] + row[2])
        assert due == ["cancelx", "step", "funding", "twapa", "twapb", "marginb"]
        assert plan.next(9) == (9, "step", "")
