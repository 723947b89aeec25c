"""The venue's fills, fees, positions, margins and funding against exact fractions."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.exchange.venue.core import VenueProfile
from genesis.exchange.venue.profile import STILL
from tests.oracle.venue_ledger import Ledger, liquidated_at
from tests.unit.exchange.venue.venue_rig import ALICE, BOB, CAROL, META, Rig, limit

USERS = (ALICE, BOB, CAROL)
COINS = ("BTC", "ETH", "SOL", "kPEPE", "BNB")
MICRO = Fraction(1, 10**6)
SPECS = {spec.coin: spec for spec in META.perps}


def _tiers(coin):
    spec = SPECS[coin]
    table = META.tables.get(spec.margin_table)
    return list(table[1]) if table else [(0, spec.margin_table)]


def _trade_randomly(rig, rng, wanted):
    """Random crossing orders of three users on five markets until there are enough fills."""
    fills = 0
    for number in range(10 * wanted):
        coin = rng.choice(COINS)
        spec = SPECS[coin]
        start = Fraction(spec.start_price)
        tick = Fraction(10) ** (len(str(int(start))) - 5) if start >= 1 else Fraction(1, 10**6)
        px = start + rng.randint(-20, 20) * tick
        value = rng.choice((30, 300, 3000, 30_000))
        size = round(value / start * 10**spec.sz_decimals) / 10**spec.sz_decimals
        text = f"{float(size):.{spec.sz_decimals}f}"
        tif = rng.choice(("Gtc", "Gtc", "Ioc"))
        side = rng.choice("BA")
        rig.now += 1
        rig.orders(rng.choice(USERS), limit(coin, side, f"{float(px):.10g}", text, tif))
        if number % 50 == 0:
            fills += sum(event.kind == "fill" for event in rig.core.drain())
            if fills >= wanted:
                return
    raise AssertionError("too few fills")


def test_ten_thousand_random_fills_agree_with_exact_fractions():
    rig = Rig(usd="100000000")
    for user in USERS[:2]:
        isolated = {"type": "updateLeverage", "asset": 5, "isCross": False, "leverage": 5}
        rig.act(user, isolated)
    _trade_randomly(rig, random.Random(5), 10_000)
    total = 0
    marks = {coin: Fraction(SPECS[coin].start_price) for coin in COINS}
    paid = Fraction(0)
    for user in USERS:
        ledger = Ledger(Fraction(100_000_000))
        rows = _all_fills(rig, user)
        total += len(rows)
        for row in rows:
            expected = ledger.take(row)
            assert Fraction(row["startPosition"]) == expected["start"]
            assert row["dir"] == expected["dir"]
            assert abs(Fraction(row["closedPnl"]) - expected["pnl"]) <= MICRO
            assert 0 <= expected["fee"] - Fraction(row["fee"]) < MICRO
            paid += Fraction(row["fee"])
        sizes = {coin: lot.size for coin, lot in ledger.lots.items() if lot.size}
        assert sizes == {coin: Fraction(size) for coin, size in rig.sizes(user).items()}
        for coin, lot in ledger.lots.items():
            if not lot.size:
                continue
            position = rig.position(user, coin)
            grid = Fraction(1, 10 ** (6 - SPECS[coin].sz_decimals))
            assert abs(Fraction(position["entryPx"]) - lot.entry) <= grid / 2
            profit = (marks[coin] - lot.entry) * lot.size
            assert abs(Fraction(position["unrealizedPnl"]) - profit) <= MICRO
        # Fees are cut to millionths: the only difference between the two equities.
        gap = Fraction(rig.value(user)) - ledger.equity(marks)
        assert 0 <= gap <= len(rows) * MICRO
    assert total >= 10_000
    assert sum(Fraction(rig.value(user)) for user in USERS) == 300_000_000 - paid
    assert rig.core.balance() == 0


def _all_fills(rig, user):
    """Page through the fills as a client must: inclusive bounds, at most 2000 a page."""
    seen, start = {}, 0
    while True:
        page = rig.core.user_history.fills_by_time(user, start)
        fresh = [row for row in page if row["tid"] not in seen]
        seen.update((row["tid"], row) for row in page)
        if not fresh:
            return list(seen.values())
        start = page[-1]["time"]


@pytest.mark.parametrize("cross", [True, False])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_liquidation_price_is_where_margin_ends(cross, data):
    coin = data.draw(st.sampled_from(("BTC", "ETH", "LINK", "XRP", "DYDX")))
    spec = SPECS[coin]
    start = Fraction(spec.start_price)
    # Up to some hundred millions: beyond the first tier of every table.
    value = data.draw(st.integers(2_000, 300_000_000))
    leverage = data.draw(st.integers(1, spec.max_leverage))
    side = data.draw(st.sampled_from("BA"))
    size = round(value / start * 10**spec.sz_decimals)
    text = f"{Fraction(size, 10**spec.sz_decimals).__float__():.{spec.sz_decimals}f}"
    rig = Rig(usd=str(value * 2))
    action = {
        "type": "updateLeverage",
        "asset": spec.asset,
        "isCross": cross,
        "leverage": leverage,
    }
    assert rig.act(ALICE, action)["status"] == "ok"
    rig.order(BOB, coin, "A" if side == "B" else "B", spec.start_price, text)
    assert "filled" in rig.order(ALICE, coin, side, spec.start_price, text, "Ioc")
    state = rig.core.user_info.clearinghouse_state(ALICE)
    position = rig.position(ALICE, coin)
    raw = state["crossMarginSummary"]["totalRawUsd"] if cross else position["leverage"]["rawUsd"]
    expected = liquidated_at(Fraction(raw), Fraction(position["szi"]), _tiers(coin), start)
    if position["liquidationPx"] is None:
        assert expected is None
        return
    shown = Fraction(position["liquidationPx"])
    assert expected is not None
    assert abs(shown - expected) <= expected * Fraction(1, 10**9) + Fraction(2, 10**6)


def _legal(coin, price, up):
    """Next legal price at or beyond a price."""
    spec = SPECS[coin]
    magnitude = len(str(int(price))) if price >= 1 else 1
    step = max(Fraction(10) ** (magnitude - 5), Fraction(1, 10 ** (6 - spec.sz_decimals)))
    count = price / step
    whole = -(-count.numerator // count.denominator) if up else count.numerator // count.denominator
    return whole * step, step


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("side", ["B", "A"])
@pytest.mark.parametrize("size", ["20", "60000"])
def test_liquidation_happens_at_the_first_price_beyond_it(cross, side, size):
    """Small positions go to the market at once, those beyond the first tier as well, by parts."""
    coin = "ETH"
    rig = Rig(STILL, usd="20000" if size == "20" else "30000000")
    rig.core.fund(BOB, "1000000000")
    rig.core.fund(CAROL, "1000000000")
    rig.act(ALICE, {"type": "updateLeverage", "asset": 1, "isCross": cross, "leverage": 10})
    rig.order(BOB, coin, "A" if side == "B" else "B", "3000", size)
    assert "filled" in rig.order(ALICE, coin, side, "3000", size, "Ioc")
    level = Fraction(rig.position(ALICE, coin)["liquidationPx"])
    spared, step = _legal(coin, level, up=side == "B")
    beyond = spared - step if side == "B" else spared + step
    # Somebody is there to buy at those prices.
    rig.order(CAROL, coin, side, _text(beyond), size)
    rig.core.knobs.set_price(coin, _text(spared))
    assert abs(rig.sizes(ALICE)[coin]) == Fraction(size)
    rig.events()
    rig.core.knobs.set_price(coin, _text(beyond))
    fills = [row for row in rig.core.user_history.fills(ALICE) if "liquidation" in row]
    mode, name = ("Cross" if cross else "Isolated"), ("Long" if side == "B" else "Short")
    assert fills
    for row in fills:
        assert row["dir"] == f"Liquidated {mode} {name}"
        assert row["liquidation"] == {
            "liquidatedUser": ALICE,
            "markPx": _text(beyond) + ("" if "." in _text(beyond) else ".0"),
            "method": "market",
        }
    maker = rig.core.user_history.fills(CAROL)[0]
    assert maker["liquidation"]["liquidatedUser"] == ALICE
    assert maker["dir"].startswith("Open")
    sold = sum(Fraction(row["sz"]) for row in fills)
    first = Fraction(size) / 5
    assert sold == (first if Fraction(size) * beyond > 100_000 else Fraction(size))
    assert rig.core.balance() == 0


def _text(px):
    return f"{float(px):.10g}"


def test_large_positions_are_sold_by_a_fifth_then_whole_then_left_to_the_backstop():
    rig = Rig(usd="30000")
    rig.core.fund(BOB, "10000000")
    rig.core.fund(CAROL, "10000000")
    rig.act(ALICE, {"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": 25})
    rig.deal(ALICE, BOB, "ETH", "3000", "200")
    level = Fraction(rig.position(ALICE, "ETH")["liquidationPx"])
    rig.resting(CAROL, "ETH", "B", "2800", "1000")
    rig.core.knobs.set_price("ETH", str(int(level)))
    assert rig.sizes(ALICE) == {"ETH": 160}
    # Half a minute of cooldown: the next order is for everything; a second later it is due.
    rig.wait(999)
    assert rig.sizes(ALICE) == {"ETH": 160}
    rig.wait(1)
    assert rig.sizes(ALICE) == {}
    assert rig.core.balance() == 0


def test_below_two_thirds_of_the_maintenance_margin_the_backstop_takes_all():
    rig = Rig(usd="30000")
    rig.act(ALICE, {"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": 25})
    rig.core.fund(BOB, "10000000")
    rig.deal(ALICE, BOB, "ETH", "3000", "200")
    oid = rig.resting(ALICE, "SOL", "B", "100", "1")
    rig.events()
    rig.core.knobs.set_price("ETH", "2860")
    assert rig.sizes(ALICE) == {}
    assert rig.value(ALICE) == 0
    fill = rig.core.user_history.fills(ALICE)[0]
    assert fill["liquidation"]["method"] == "backstop"
    assert rig.status(ALICE, oid) == "liquidatedCanceled"
    kinds = [event.kind for event in rig.events(user=ALICE)]
    assert "liquidation" in kinds
    assert rig.core.balance() == 0
    assert rig.core.user_history.ledger(ALICE, 0)[-1]["delta"]["type"] == "liquidation"


def test_a_cross_account_that_recovers_keeps_its_other_positions():
    rig = Rig(usd="30000")
    rig.core.fund(BOB, "10000000")
    rig.core.fund(CAROL, "10000000")
    rig.deal(ALICE, BOB, "ETH", "3000", "33")
    rig.deal(ALICE, BOB, "SOL", "150", "10")
    price = int(Fraction(rig.position(ALICE, "ETH")["liquidationPx"]))
    rig.resting(CAROL, "ETH", "B", str(price), "100")
    rig.resting(CAROL, "SOL", "B", "150", "100")
    rig.core.knobs.set_price("ETH", str(price))
    assert rig.sizes(ALICE) == {"SOL": 10}


@pytest.mark.parametrize("cross", [True, False])
def test_funding_is_paid_hourly_on_the_oracle_value(cross):
    rig = Rig()
    if not cross:
        for user in (ALICE, BOB):
            rig.act(user, {"type": "updateLeverage", "asset": 1, "isCross": False, "leverage": 5})
    rig.deal(ALICE, BOB, "ETH", "3000", "3.3333")
    rig.core.knobs.set_price("ETH", "3010", oracle="2995.5")
    premium = Fraction(123_456_789, 10**10)
    rig.core.knobs.set_premium("ETH", 123_456_789)
    before = {user: Fraction(rig.value(user)) for user in (ALICE, BOB)}
    rig.events()
    rig.wait(3_600_000 - (rig.now % 3_600_000) - 1)
    assert rig.core.user_history.funding(ALICE, 0) == []
    rig.wait(1)
    interest, clamp = Fraction(1, 10_000), Fraction(5, 10_000)
    eight = premium + max(-clamp, min(clamp, interest - premium))
    rate = Fraction(round(eight / 8 * 10**10), 10**10)
    due = Fraction("3.3333") * Fraction("2995.5") * rate
    (row,) = rig.core.user_history.funding(ALICE, 0)
    assert row["time"] == rig.now
    assert Fraction(row["delta"]["fundingRate"]) == rate
    assert abs(Fraction(row["delta"]["usdc"]) + due) <= MICRO / 2
    (mirror,) = rig.core.user_history.funding(BOB, 0)
    assert Fraction(mirror["delta"]["usdc"]) == -Fraction(row["delta"]["usdc"])
    for user, sign in ((ALICE, -1), (BOB, 1)):
        moved = Fraction(rig.value(user)) - before[user]
        assert abs(moved - sign * due) <= MICRO / 2
        paid = Fraction(rig.position(user, "ETH")["cumFunding"]["sinceOpen"])
        assert paid == -moved
    kinds = [(event.kind, event.data["delta"]["coin"]) for event in rig.events("funding", ALICE)]
    assert kinds == [("funding", "ETH")]
    (published,) = rig.core.market_info.funding_history("ETH", rig.now)
    assert Fraction(published["fundingRate"]) == rate
    assert Fraction(published["premium"]) == premium
    assert rig.core.balance() == 0


@given(premium=st.integers(-(10**10), 10**10))
def test_the_hourly_rate_is_capped(premium):
    rig = Rig()
    rig.core.knobs.set_premium("BTC", premium)
    rate = Fraction(rig.core.market_info.context("BTC")["funding"])
    share = Fraction(premium, 10**10)
    eight = share + max(Fraction(-5, 10_000), min(Fraction(5, 10_000), Fraction(1, 10_000) - share))
    assert abs(rate - max(Fraction(-4, 100), min(Fraction(4, 100), eight / 8))) <= Fraction(
        1, 10**10
    )


def test_liquidations_without_a_fee_are_a_matter_of_profile():
    for pays in (True, False):
        rig = Rig(VenueProfile(step_ms=0, agents=False, liquidation_pays_fee=pays), usd="10000")
        rig.core.fund(BOB, "1000000")
        rig.core.fund(CAROL, "1000000")
        rig.deal(ALICE, BOB, "ETH", "3000", "30")
        price = int(Fraction(rig.position(ALICE, "ETH")["liquidationPx"]))
        rig.resting(CAROL, "ETH", "B", str(price), "30")
        rig.core.knobs.set_price("ETH", str(price))
        fill = rig.core.user_history.fills(ALICE)[0]
        assert (Fraction(fill["fee"]) > 0) == pays
