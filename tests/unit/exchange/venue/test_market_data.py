"""Books, trades, candles and contexts of a venue that lives by itself."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal

import pytest

from genesis.domain.timeline import DAY_MS
from genesis.exchange.venue.candles import INTERVALS_MS, bucket, bucket_end
from genesis.exchange.venue.core import VenueCore, VenueProfile
from genesis.exchange.venue.path import FixedPath, SyntheticPath
from genesis.exchange.venue.profile import STILL
from genesis.exchange.venue.recorded import BarPath, BarSeries
from genesis.exchange.venue.traders import maker_address
from genesis.exchange.venue.units import MalformedAction, on_tick, parse, show, to_tick
from tests.unit.exchange.venue.venue_rig import ALICE, BOB, META, T0, Rig, limit


@pytest.fixture(scope="module")
def alive():
    core = VenueCore(META, seed=3, profile=VenueProfile(), now_ms=T0)
    core.fund(ALICE, "1000000")
    tape = []
    for second in range(1, 301):
        core.advance(T0 + second * 1000)
        tape += [event.data for event in core.drain() if event.kind == "trade"]
    return core, tape


def test_every_market_has_a_book_around_its_price(alive):
    core, _ = alive
    for spec in META.perps:
        book = core.market_info.book(spec.coin)
        if spec.delisted:
            assert book["levels"] == [[], []]
            continue
        bids, asks = book["levels"]
        assert 8 <= len(bids) <= 20
        assert 8 <= len(asks) <= 20
        prices = [Decimal(row["px"]) for row in bids]
        assert prices == sorted(prices, reverse=True)
        context = core.market_info.context(spec.coin)
        bid, ask, oracle = prices[0], Decimal(asks[0]["px"]), Decimal(context["oraclePx"])
        assert bid < ask
        assert abs((bid + ask) / 2 / oracle - 1) < Decimal("0.005")
        for row in bids + asks:
            px = parse(row["px"], spec.px_decimals)
            assert on_tick(px, spec.px_decimals, spec.coarsest)


def test_candles_are_made_of_the_tape(alive):
    core, tape = alive
    for interval in ("1m", "5m", "1h", "1d", "1w", "1M"):
        rows = core.market_info.candles("BTC", interval, T0, core.now_ms)
        trades = [t for t in tape if t["coin"] == "BTC"]
        by_bucket: dict[int, list] = {}
        for trade in trades:
            by_bucket.setdefault(bucket(interval, trade["time"]), []).append(trade)
        traded = {row["t"]: row for row in rows if row["n"]}
        assert {t for t in traded if t >= bucket(interval, T0)} == set(by_bucket)
        for open_ms, group in by_bucket.items():
            row = traded[open_ms]
            prices = [Decimal(t["px"]) for t in group]
            assert Decimal(row["o"]) == prices[0]
            assert Decimal(row["c"]) == prices[-1]
            assert Decimal(row["h"]) == max(prices)
            assert Decimal(row["l"]) == min(prices)
            assert Decimal(row["v"]) == sum(Decimal(t["sz"]) for t in group)
            assert row["n"] == len(group)
            assert row["T"] == bucket_end(interval, open_ms) - 1


def test_history_before_the_start_is_aligned_and_at_most_five_thousand_candles(alive):
    core, _ = alive
    assert len(INTERVALS_MS) == 14
    for interval in ("1m", "1h", "12h", "1d", "1w", "1M"):
        rows = core.market_info.candles("ETH", interval, 0)
        assert 0 < len(rows) <= 5000
        assert all(row["t"] == bucket(interval, row["t"]) for row in rows)
        for before, after in itertools.pairwise(rows):
            assert before["T"] + 1 == after["t"]
        if interval not in ("1w", "1M"):
            assert len(rows) == 5000
    again = core.market_info.candles("ETH", "1h", T0 - 10 * 3_600_000, T0 - 5 * 3_600_000)
    assert [row for row in core.market_info.candles("ETH", "1h", 0) if row in again] == again
    assert len(again) == 6


def test_intervals_without_trades_repeat_the_close():
    rig = Rig()
    rig.deal(ALICE, BOB, "ETH", "3000", "1")
    rig.wait(180_000)
    rig.deal(ALICE, BOB, "ETH", "3010", "1")
    rows = rig.core.market_info.candles("ETH", "1m", T0)
    assert [(row["c"], row["n"]) for row in rows] == [
        ("3000.0", 1),
        ("3000.0", 0),
        ("3000.0", 0),
        ("3010.0", 1),
    ]


def test_weeks_begin_on_mondays_and_months_on_the_first():
    assert bucket("1w", 1_700_000_000_000) == 1_699_833_600_000
    assert bucket("1M", 1_700_000_000_000) == 1_698_796_800_000
    assert bucket_end("1M", 1_698_796_800_000) == 1_701_388_800_000


def test_a_coarse_book_never_crosses(alive):
    core, _ = alive
    for figures, mantissa in ((5, 1), (5, 5), (4, 1), (3, 1), (2, 1)):
        bids, asks = core.market_info.book("BTC", figures, mantissa)["levels"]
        assert Decimal(bids[0]["px"]) < Decimal(asks[0]["px"])
        assert all(
            len(Decimal(row["px"]).normalize().as_tuple().digits) <= figures for row in bids + asks
        )
    full = core.market_info.book("BTC")["levels"][0]
    coarse = core.market_info.book("BTC", 2)["levels"][0]
    assert sum(Decimal(r["sz"]) for r in coarse) >= sum(Decimal(r["sz"]) for r in full)
    assert core.market_info.book("NOPE") is None


def test_a_client_can_trade_with_the_makers_and_takers_come_to_its_orders(alive):
    core, _ = alive
    now = core.now_ms
    _, ask = core.market_info.bbo("SOL")["bbo"]
    buy = limit("SOL", "B", Decimal(ask["px"]).normalize(), "1", "Ioc")
    answer = core.submit(ALICE, {"type": "order", "orders": [buy], "grouping": "na"}, now)
    assert "filled" in answer["response"]["data"]["statuses"][0]
    sell = limit("SOL", "A", Decimal(ask["px"]).normalize(), "0.5", reduce=True)
    answer = core.submit(ALICE, {"type": "order", "orders": [sell], "grouping": "na"}, now)
    oid = answer["response"]["data"]["statuses"][0]["resting"]["oid"]
    for second in range(1, 300):
        core.advance(now + second * 1000)
        if core.user_info.order_status(ALICE, oid)["order"]["status"] == "filled":
            break
    assert core.user_history.fills(ALICE)[0]["crossed"] is False
    assert core.balance() == 0


def test_how_often_time_is_moved_makes_no_difference():
    first, second = (
        VenueCore(META, seed=3, profile=VenueProfile(), now_ms=T0 + 3_570_000) for _ in range(2)
    )
    end = T0 + 3_640_000
    first.advance(end)
    for now in range(T0 + 3_570_000, end + 1, 700):
        second.advance(now)
    second.advance(end)
    assert first.state_hash() == second.state_hash()
    assert [e.data for e in first.drain() if e.kind == "trade"] == [
        e.data for e in second.drain() if e.kind == "trade"
    ]


def test_makers_do_not_trade_with_each_other(alive):
    _, tape = alive
    makers = {maker_address(spec.asset, k) for spec in META.instruments() for k in range(2)}
    assert len(tape) > 1000
    assert not any(set(trade["users"]) <= makers for trade in tape)


@pytest.mark.slow
def test_funding_moves_and_has_both_signs():
    core = VenueCore(META, seed=1, profile=VenueProfile(step_ms=60_000), now_ms=T0)
    core.advance(T0 + DAY_MS)
    coins = [spec.coin for spec in META.perps if not spec.delisted]
    rates = [
        Decimal(row["fundingRate"])
        for coin in coins
        for row in core.market_info.funding_history(coin, T0)
    ]
    assert len(rates) == 24 * len(coins)
    assert min(rates) < 0 < max(rates)
    assert len(set(rates)) > 20


def test_another_seed_is_another_market():
    one, two = (VenueCore(META, seed=s, profile=VenueProfile(), now_ms=T0) for s in (1, 2))
    assert one.market_info.mids() != two.market_info.mids()


def test_a_coarse_advance_lives_through_an_absence_quickly():
    core = VenueCore(META, seed=1, profile=VenueProfile(), now_ms=T0)
    ran = core.advance(T0 + DAY_MS, coarse_ms=300_000)
    assert 288 + 24 <= ran < 1000
    assert core.now_ms == T0 + DAY_MS
    assert core.balance() == 0
    assert len(core.market_info.funding_history("BTC", 0)) == 24


def test_events_come_in_order_and_changes_of_a_book_once():
    rig = Rig()
    rig.resting(BOB, "ETH", "A", "3000", "1")
    rig.resting(BOB, "ETH", "A", "3001", "1")
    rig.order(ALICE, "ETH", "B", "3001", "2", "Ioc")
    kinds = [event.kind for event in rig.core.drain() if not event.user or event.user == ALICE]
    assert kinds.count("book") == 1
    assert [kind for kind in kinds if kind != "book"] == [
        "fill",
        "trade",
        "fill",
        "trade",
        "orderUpdate",
    ]
    assert rig.core.drain() == []


def test_recorded_prices_are_played_at_the_venues_time():
    times, prices = [1000, 2000, 4000], [100.0, 110.0, 90.0]
    flat = BarSeries(times, prices, prices, prices, prices)
    path = BarPath(META, {"SOL": flat}, interval_ms=1000, shift_ms=500, fallback=FixedPath(META))
    seen = [path.price("SOL", t) for t in (0, 1500, 2000, 2500, 3500, 99_999)]
    assert [show(px, 6) for px in seen] == ["100.0", "100.0", "100.0", "110.0", "110.0", "90.0"]
    assert path.price("BTC", 0) == FixedPath(META).price("BTC", 0)
    profile = VenueProfile(step_ms=1000)
    core = VenueCore(META, seed=1, profile=profile, now_ms=0, path=path)
    core.advance(2500)
    context = core.market_info.context("SOL")
    assert context["oraclePx"] == "100.0"


def test_a_synthetic_price_is_a_function_of_its_instant():
    path = SyntheticPath(META, seed=5)
    forwards = [path.price("BTC", t) for t in range(0, 10**7, 1_000_003)]
    backwards = [path.price("BTC", t) for t in range(0, 10**7, 1_000_003)[::-1]]
    assert forwards == backwards[::-1]
    assert path.price("BTC", 1) != SyntheticPath(META, seed=6).price("BTC", 1)
    assert path.price("NOPE", 1) is None


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0, 5, "0.0"), (100, 2, "1.0"), (-150, 2, "-1.5"), (1, 6, "0.000001"), (7, 0, "7.0")],
)
def test_numbers_are_spelt_as_recorded(value, decimals, text):
    assert show(value, decimals) == text
    if value >= 0:
        assert parse(text, decimals) == value


def test_ticks():
    assert to_tick(7_293_412, 1, up=False) == 7_293_400
    assert to_tick(7_293_412, 1, up=True) == 7_293_500
    assert to_tick(123, 100) == 100
    for text in ("", "1.", ".5", "1e5", "+1", " 1", "0x1", "1_0", "٣"):
        with pytest.raises(MalformedAction):
            parse(text, 4)


def test_answers_have_the_keys_of_the_recorded_ones(alive, shared_data):
    core, _ = alive
    folder = shared_data / "hyperliquid/rest"

    def recorded(name, place=0):
        data = json.loads((folder / name).read_text())
        return data[place]["response"] if "response" in data[0] else data

    meta, contexts = recorded("go_sdk/MetaAndAssetCtxs.json")
    own = core.market_info.meta()
    known = {key for entry in meta["universe"] for key in entry}
    assert {key for entry in own["universe"] for key in entry} == known
    assert set(meta) <= set(own)
    assert set(own["universe"][0]) == set(meta["universe"][0])
    assert own["marginTables"] == meta["marginTables"]
    assert set(core.market_info.contexts()[0]) == set(contexts[0])
    spot_meta, spot_contexts = recorded("go_sdk/SpotMetaAndAssetCtxs.json")
    ours = core.market_info.spot_meta()
    assert set(ours["universe"][0]) == set(spot_meta["universe"][0])
    assert set(ours["tokens"][0]) == set(spot_meta["tokens"][0])
    assert set(core.market_info.spot_contexts()[0]) == set(spot_contexts[0])
    candle = recorded("python_sdk/test_get_candles_snapshot.json")[0]
    assert set(core.market_info.candles("BTC", "1h", 0)[0]) == set(candle)
    trade = recorded("nautilus/http_recent_trades_btc.json")
    assert set(core.market_info.trades("BTC")[0]) == set(trade[0])
    rig = Rig()
    rig.deal(ALICE, BOB, "ETH", "3000", "1")
    rig.resting(ALICE, "ETH", "B", "2900", "1")
    state = json.loads((folder / "marketmicro/clearinghouse_small.json").read_text())
    found = rig.core.user_info.clearinghouse_state(ALICE)
    assert set(found) == set(state)
    assert set(found["assetPositions"][0]["position"]) == set(
        state["assetPositions"][0]["position"]
    )
    fill = recorded("go_sdk/UserFillsByTime.json")[0]
    assert set(rig.core.user_history.fills(ALICE)[0]) == set(fill)
    status = recorded("go_sdk/QueryOrderByOid.json", 4)
    oid = rig.core.user_info.open_orders(ALICE)[0]["oid"]
    answer = rig.core.user_info.order_status(ALICE, oid)
    assert set(answer["order"]) == set(status["order"])
    assert set(answer["order"]["order"]) == set(status["order"]["order"])
    detail = recorded("python_sdk/test_get_frontend_open_orders.json")[0]
    assert set(detail) <= set(rig.core.user_info.frontend_open_orders(ALICE)[0])
    asset = recorded("go_sdk/UserActiveAssetData.json")
    assert set(rig.core.user_info.active_asset_data(ALICE, "ETH")) == set(asset)


def test_fill_pages_hold_every_fill_once():
    rig = Rig(usd="10000000")
    rig.resting(BOB, "ETH", "A", "3000", "1000")
    for number in range(5000):
        # Some share an instant, so that the inclusive bound is needed.
        rig.now += number % 3 == 0
        rig.order(ALICE, "ETH", "B", "3000", "0.01", "Ioc")
    seen, start = [], 0
    while True:
        page = rig.core.user_history.fills_by_time(ALICE, start, None)
        assert len(page) <= 2000
        fresh = [row for row in page if row["tid"] not in set(seen[-10:])]
        seen += [row["tid"] for row in fresh]
        if not fresh:
            break
        start = page[-1]["time"]
    assert len(seen) == len(set(seen)) == 5000
    newest = rig.core.user_history.fills(ALICE)
    assert len(newest) == 2000
    assert newest[0]["tid"] == seen[-1]
    joined = rig.core.user_history.fills(ALICE, aggregate=True)
    assert len(joined) == 2000
    some = rig.core.user_history.fills_by_time(ALICE, rig.now, rig.now)
    assert {row["time"] for row in some} == {rig.now}


def test_a_still_venue_knows_no_history():
    core = VenueCore(META, seed=1, profile=STILL, now_ms=T0)
    assert core.market_info.candle("BTC", "1m") is None
    rows = core.market_info.candles("BTC", "1h", T0 - 3_600_000)
    assert {row["c"] for row in rows} == {"60000.0"}


def test_profit_and_volume_over_time():
    rig = Rig()
    rig.deal(ALICE, BOB, "ETH", "3000", "1")
    rig.wait(2 * DAY_MS)
    rig.deal(BOB, ALICE, "ETH", "3100", "1")
    spans = dict(rig.core.user_history.portfolio(ALICE, 0))
    assert list(spans)[:4] == ["day", "week", "month", "allTime"]
    assert spans["day"]["vlm"] == "3100.0"
    assert spans["allTime"]["vlm"] == "6100.0"
    days = {row["date"]: row for row in rig.core.user_info.fees(ALICE)["dailyUserVlm"]}
    assert sum(Decimal(row["userCross"]) for row in days.values()) == 3000
    assert sum(Decimal(row["userAdd"]) for row in days.values()) == 3100
