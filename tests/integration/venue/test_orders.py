"""Orders through the official SDK: every check is one of the published acceptance list."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import Any

import pytest
from hyperliquid.exchange import Exchange
from hyperliquid.utils.types import Cloid

from tests.integration.venue.rig import (
    ALO,
    GTC,
    IOC,
    Rig,
    eventually,
    now_ms,
    resting,
    rig,
    statuses,
)

GONE = "Order was never placed, already canceled, or filled."


def error(answer: Any) -> str:
    (status,) = statuses(answer)
    assert isinstance(status, dict), status
    return str(status["error"])


def filled(answer: Any) -> dict[str, Any]:
    (status,) = statuses(answer)
    return dict(status["filled"])


def position(venue: Rig, trader: Exchange, coin: str = "BTC") -> Decimal:
    for row in venue.info.user_state(trader.wallet.address)["assetPositions"]:
        if row["position"]["coin"] == coin:
            return Decimal(row["position"]["szi"])
    return Decimal(0)


def status_of(venue: Rig, trader: Exchange, oid: int) -> str:
    return str(venue.info.query_order_by_oid(trader.wallet.address, oid)["order"]["status"])


def trigger(px: float, kind: str, *, market: bool = True) -> Any:
    return {"trigger": {"triggerPx": px, "isMarket": market, "tpsl": kind}}


def test_check_09_a_resting_order_is_seen_everywhere(venue: Rig, taker: Exchange) -> None:
    user, cloid = taker.wallet.address, Cloid.from_int(5)
    heard: list[Any] = []
    listener = venue.info_with(skip_ws=False)
    listener.subscribe({"type": "orderUpdates", "user": user}, heard.append)
    time.sleep(0.3)
    oid = resting(taker.order("BTC", True, 0.01, 50_000, GTC, cloid=cloid))
    (row,) = venue.info.open_orders(user)
    assert (row["oid"], row["side"], row["limitPx"], row["sz"]) == (oid, "B", "50000.0", "0.01")
    assert (row["origSz"], row["coin"], row["cloid"]) == ("0.01", "BTC", cloid.to_raw())
    (full,) = venue.info.frontend_open_orders(user)
    assert (full["oid"], full["orderType"], full["tif"]) == (oid, "Limit", "Gtc")
    bids, asks = venue.info.l2_snapshot("BTC")["levels"]
    assert (bids[0], asks) == ({"px": "50000.0", "sz": "0.01", "n": 1}, [])
    (update,) = eventually(lambda: heard)[0]["data"]
    assert (update["order"]["oid"], update["status"]) == (oid, "open")
    assert update["order"]["cloid"] == cloid.to_raw()
    listener.disconnect_websocket()


def test_check_10_a_crossing_order_fills_at_the_average_and_rests(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    maker.order("BTC", False, 0.01, 60_000, GTC)
    maker.order("BTC", False, 0.03, 60_100, GTC)
    fill = filled(taker.order("BTC", True, 0.04, 60_100, GTC))
    assert (fill["totalSz"], Decimal(fill["avgPx"])) == ("0.04", Decimal("60075"))
    maker.order("BTC", False, 0.01, 60_000, GTC)
    part = filled(taker.order("BTC", True, 0.05, 60_000, GTC))
    assert part["totalSz"] == "0.01"
    (row,) = venue.info.open_orders(taker.wallet.address)
    assert (row["oid"], row["sz"], row["origSz"]) == (part["oid"], "0.04", "0.05")


def test_check_11_immediate_and_post_only_orders(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    none = error(taker.order("BTC", True, 0.01, 60_000, IOC))
    assert none.startswith("Order could not immediately match against any resting orders.")
    resting(maker.order("BTC", False, 0.01, 60_000, GTC))
    resting(maker.order("BTC", True, 0.01, 59_000, GTC))
    crossing = error(taker.order("BTC", True, 0.01, 60_000, ALO))
    text = "Post only order would have immediately matched, bbo was 59000@60000."
    assert crossing.startswith(text)
    assert filled(taker.order("BTC", True, 0.05, 60_000, IOC))["totalSz"] == "0.01"
    assert venue.info.open_orders(taker.wallet.address) == []


def legal(px: Decimal, decimals: int) -> bool:
    """The rule of prices once more: whole, or five figures and so many decimals."""
    if px == px.to_integral_value():
        return True
    digits = px.normalize().as_tuple()
    assert isinstance(digits.exponent, int)
    return len(digits.digits) <= 5 and -digits.exponent <= decimals


COINS = {0: "XRP", 1: "LINK", 2: "SOL", 3: "BNB", 4: "ETH", 5: "BTC"}
SPOT = {0: "PURR/USDC", 2: "@1", 5: "@2"}


@pytest.mark.parametrize("sz_decimals", sorted(COINS))
def test_check_12_the_grid_of_perpetual_prices(venue: Rig, sz_decimals: int) -> None:
    grid(venue, COINS[sz_decimals], 6 - sz_decimals)


@pytest.mark.parametrize("sz_decimals", sorted(SPOT))
def test_check_12_the_grid_of_spot_prices(venue: Rig, sz_decimals: int) -> None:
    grid(venue, SPOT[sz_decimals], 8 - sz_decimals)


def grid(venue: Rig, coin: str, decimals: int) -> None:
    trader = venue.trader("1000000000")
    spot = "/" in coin or coin.startswith("@")
    user = trader.wallet.address
    if spot:
        venue.control("fund", {"user": user, "token": "USDC", "amount": "100000000"})
    mid = Decimal(venue.info.all_mids()[coin])
    chance = random.Random(f"{coin}")
    outcomes = set()
    for _ in range(40):
        places = chance.randint(0, 8)
        px = (mid * Decimal(chance.uniform(0.5, 0.9))).quantize(Decimal(1).scaleb(-places))
        if px <= 0:
            continue
        size = (Decimal(50) / px).quantize(Decimal(1)) + 1
        answer = trader.order(coin, True, float(size), float(px), GTC)
        (status,) = statuses(answer)
        outcomes.add("resting" in status)
        assert ("resting" in status) == legal(px, decimals), (coin, px, status)
        if "resting" not in status:
            assert status["error"].startswith("Price must be divisible by tick size.")
    assert outcomes == {True, False}


def test_check_13_sizes_values_bands_and_margin(venue: Rig, taker: Exchange) -> None:
    def told(size: float, px: float, coin: str = "BTC") -> str:
        return error(taker.order(coin, True, size, px, GTC))

    assert told(0.000001, 50_000).startswith("Order has invalid size.")
    assert told(0, 50_000).startswith("Order has zero size.")
    assert told(0.0001, 50_000).startswith("Order must have minimum value of $10.")
    venue.control("fund", {"user": taker.wallet.address, "token": "USDC", "amount": "1000"})
    assert told(1, 0.15, "PURR/USDC").startswith("Order must have minimum value of 10 USDC.")
    far = "Order price cannot be more than 95% away from the reference price"
    assert told(1, 2_000).startswith(far)
    poor = venue.trader("100")
    answer = poor.order("BTC", True, 1, 50_000, GTC)
    assert error(answer).startswith("Insufficient margin to place order.")


def test_check_14_a_batch_with_one_bad_order(venue: Rig, taker: Exchange) -> None:
    def request(px: float, size: float = 0.01) -> Any:
        return {
            "coin": "BTC",
            "is_buy": True,
            "sz": size,
            "limit_px": px,
            "order_type": GTC,
            "reduce_only": False,
        }

    first, bad, last = statuses(
        taker.bulk_orders([request(50_000), request(50_000.5), request(49_000)])
    )
    assert "resting" in first
    assert bad["error"].startswith("Price must be divisible by tick size.")
    assert "resting" in last
    whole = statuses(taker.bulk_orders([request(50_000), request(50_000, 0), request(49_000)]))
    assert len(whole) == 1, "what the payload alone makes impossible is told once"
    assert whole[0]["error"].startswith("Order has zero size.")
    assert len(venue.info.open_orders(taker.wallet.address)) == 2


def test_check_15_reduce_only(venue: Rig, maker: Exchange, taker: Exchange) -> None:
    reject = "Reduce only order would increase position."
    answer = taker.order("BTC", False, 0.01, 61_000, GTC, reduce_only=True)
    assert error(answer).startswith(reject)
    maker.order("BTC", False, 0.02, 60_000, GTC)
    taker.order("BTC", True, 0.02, 60_000, IOC)
    answer = taker.order("BTC", True, 0.01, 50_000, GTC, reduce_only=True)
    assert error(answer).startswith(reject)
    older = resting(taker.order("BTC", False, 0.02, 62_000, GTC, reduce_only=True))
    newer = resting(taker.order("BTC", False, 0.02, 61_000, GTC, reduce_only=True))
    assert status_of(venue, taker, older) == "reduceOnlyCanceled"
    assert [r["oid"] for r in venue.info.open_orders(taker.wallet.address)] == [newer]
    taker.cancel("BTC", newer)
    maker.order("BTC", True, 1, 59_000, GTC)
    capped = filled(taker.order("BTC", False, 5, 59_000, IOC, reduce_only=True))
    assert capped["totalSz"] == "0.02"
    assert position(venue, taker) == 0


def long_position(maker: Exchange, taker: Exchange, size: float = 0.1) -> None:
    maker.order("BTC", False, size, 60_000, GTC)
    filled(taker.order("BTC", True, size, 60_000, IOC))


def test_check_16_stops_and_targets_fire_on_the_mark(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    long_position(maker, taker)
    stop = resting(taker.order("BTC", False, 0.05, 58_000, trigger(58_000, "sl"), reduce_only=True))
    target = resting(
        taker.order(
            "BTC", False, 0.02, 62_500, trigger(62_000, "tp", market=False), reduce_only=True
        )
    )
    types = {
        row["oid"]: row["orderType"]
        for row in venue.info.frontend_open_orders(taker.wallet.address)
    }
    assert types == {stop: "Stop Market", target: "Take Profit Limit"}
    resting(maker.order("BTC", True, 1, 57_900, GTC))
    assert position(venue, taker) == Decimal("0.1"), "trades do not fire a trigger"
    venue.control("price", {"coin": "BTC", "px": "57990"})
    assert status_of(venue, taker, stop) in ("filled", "triggered")
    assert position(venue, taker) == Decimal("0.05")
    venue.control("price", {"coin": "BTC", "px": "62100"})
    assert status_of(venue, taker, target) in ("open", "triggered"), "its limit rests"
    maker.order("BTC", True, 0.02, 62_500, IOC)
    assert status_of(venue, taker, target) == "filled"
    assert position(venue, taker) == Decimal("0.03")


def bracket(taker: Exchange, px: float, tif: Any, size: float = 0.01) -> list[Any]:
    def leg(is_buy: bool, limit: float, kind: Any, reduce: bool) -> Any:
        return {
            "coin": "BTC",
            "is_buy": is_buy,
            "sz": size,
            "limit_px": limit,
            "order_type": kind,
            "reduce_only": reduce,
        }

    legs = [
        leg(True, px, tif, False),
        leg(False, 66_000, trigger(66_000, "tp"), True),
        leg(False, 55_000, trigger(55_000, "sl"), True),
    ]
    return statuses(taker.bulk_orders(legs, grouping="normalTpsl"))


def test_check_16_a_bracket_waits_then_one_leg_ends_the_other(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    user = taker.wallet.address
    parent, *children = bracket(taker, 59_000, GTC)
    assert "resting" in parent
    assert children == ["waitingForFill", "waitingForFill"]
    maker.order("BTC", False, 0.01, 59_000, IOC)
    assert position(venue, taker) == Decimal("0.01")
    armed = venue.info.frontend_open_orders(user)
    assert {row["orderType"] for row in armed} == {"Take Profit Market", "Stop Market"}
    maker.order("BTC", True, 1, 54_000, GTC)
    venue.control("price", {"coin": "BTC", "px": "54900"})
    assert position(venue, taker) == 0
    assert venue.info.open_orders(user) == []
    history = {r["order"]["orderType"]: r["status"] for r in venue.info.historical_orders(user)}
    assert history["Take Profit Market"] == "siblingFilledCanceled"

    venue.control("price", {"coin": "BTC", "px": "60000"})
    maker.order("BTC", False, 0.01, 60_000, GTC)
    parent, *children = bracket(taker, 60_000, IOC)
    assert "filled" in parent
    assert children == ["waitingForTrigger", "waitingForTrigger"]


def test_check_16_a_stop_of_the_whole_position_follows_it(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    user = taker.wallet.address
    long_position(maker, taker)
    request: Any = {
        "coin": "BTC",
        "is_buy": False,
        "sz": 0,
        "limit_px": 55_000,
        "order_type": trigger(55_000, "sl"),
        "reduce_only": True,
    }
    (status,) = statuses(taker.bulk_orders([request], grouping="positionTpsl"))
    assert "resting" in status or status == "waitingForTrigger"
    (row,) = venue.info.frontend_open_orders(user)
    assert row["isPositionTpsl"] is True
    maker.order("BTC", True, 1, 59_000, GTC)
    taker.order("BTC", False, 0.04, 59_000, IOC)
    venue.control("price", {"coin": "BTC", "px": "54900"})
    assert position(venue, taker) == 0, "the stop closed what was left"
    venue.control("price", {"coin": "BTC", "px": "60000"})
    long_position(maker, taker)
    taker.bulk_orders([request], grouping="positionTpsl")
    assert len(venue.info.open_orders(user)) == 1
    taker.order("BTC", False, 0.1, 59_000, IOC)
    assert venue.info.open_orders(user) == [], "it dies with the position"


def test_check_17_cancels(venue: Rig, taker: Exchange) -> None:
    cloid = Cloid.from_int(9)
    oid = resting(taker.order("BTC", True, 0.01, 50_000, GTC))
    resting(taker.order("BTC", True, 0.01, 50_000, GTC, cloid=cloid))
    assert statuses(taker.cancel("BTC", oid)) == ["success"]
    assert error(taker.cancel("BTC", oid)).startswith(GONE)
    assert statuses(taker.cancel_by_cloid("BTC", cloid)) == ["success"]
    assert error(taker.cancel_by_cloid("BTC", cloid)).startswith(GONE)
    oid = resting(taker.order("BTC", True, 0.01, 50_000, GTC))
    rows: Any = [{"coin": "BTC", "oid": 1}, {"coin": "BTC", "oid": oid}]
    missing, done = statuses(taker.bulk_cancel(rows))
    assert missing["error"].startswith(GONE)
    assert done == "success"


def test_check_18_a_modified_order_has_a_new_number(venue: Rig, taker: Exchange) -> None:
    user, cloid = taker.wallet.address, Cloid.from_int(11)
    old = resting(taker.order("BTC", True, 0.01, 50_000, GTC, cloid=cloid))
    new = resting(taker.modify_order(old, "BTC", True, 0.01, 51_000, GTC, cloid=cloid))
    assert new != old
    assert status_of(venue, taker, old) == "canceled"
    (row,) = venue.info.open_orders(user)
    assert (row["oid"], row["limitPx"], row["cloid"]) == (new, "51000.0", cloid.to_raw())
    third = resting(taker.modify_order(cloid, "BTC", True, 0.02, 52_000, GTC, cloid=cloid))
    assert third not in (old, new)
    assert venue.info.query_order_by_cloid(user, cloid)["order"]["order"]["oid"] == third
    dead = error(taker.modify_order(old, "BTC", True, 0.01, 51_000, GTC))
    assert dead.startswith("Cannot modify canceled or filled order")


def test_check_19_scheduled_cancels() -> None:
    with rig(schedule_cancel_volume=1_000) as venue:
        maker, taker = venue.trader("10000000"), venue.trader()
        refused = taker.schedule_cancel(now_ms() + 60_000)
        gate = "Cannot set scheduled cancel time until enough volume traded. Required: $1000."
        assert refused["response"].startswith(gate)
        long_position(maker, taker)
        assert taker.schedule_cancel(now_ms() + 1_000)["status"] == "err", "five seconds at least"
        oid = resting(taker.order("BTC", True, 0.01, 50_000, GTC))
        assert taker.schedule_cancel(now_ms() + 10_000)["status"] == "ok"
        venue.control("time", {"advance_ms": 11_000})
        assert status_of(venue, taker, oid) == "scheduledCancel"
        assert venue.info.open_orders(taker.wallet.address) == []
        for _ in range(9):
            stamp = venue.control("time", {"advance_ms": 1})["now_ms"]
            assert taker.schedule_cancel(stamp + 6_000)["status"] == "ok"
            venue.control("time", {"advance_ms": 7_000})
        stamp = venue.control("time", {"advance_ms": 1})["now_ms"]
        assert taker.schedule_cancel(stamp + 6_000)["status"] == "err", "ten a day"


def test_check_20_leverage_and_isolated_margin(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    assert taker.update_leverage(41, "BTC")["status"] == "err"
    assert taker.update_leverage(0, "BTC")["status"] == "err"
    assert taker.update_leverage(10, "BTC")["status"] == "ok"
    long_position(maker, taker)
    flip = taker.update_leverage(10, "BTC", is_cross=False)
    assert flip["response"].startswith("Cannot switch leverage type with open position.")
    assert taker.update_leverage(20, "BTC")["status"] == "ok"
    assert taker.update_leverage(5, "ETH", is_cross=False)["status"] == "ok"
    maker.order("ETH", False, 1, 3_000, GTC)
    filled(taker.order("ETH", True, 1, 3_000, IOC))

    def margin() -> Decimal:
        rows = venue.info.user_state(taker.wallet.address)["assetPositions"]
        (row,) = [r["position"] for r in rows if r["position"]["coin"] == "ETH"]
        assert row["leverage"]["type"] == "isolated"
        return Decimal(row["marginUsed"])

    before = margin()
    assert taker.update_isolated_margin(100, "ETH")["status"] == "ok"
    assert margin() == before + 100


def test_orders_that_a_later_one_of_their_batch_ends_have_rested(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    long_position(maker, taker)

    def request(px: float) -> Any:
        return {
            "coin": "BTC",
            "is_buy": False,
            "sz": 0.1,
            "limit_px": px,
            "order_type": GTC,
            "reduce_only": True,
        }

    both = statuses(taker.bulk_orders([request(62_000), request(61_000)]))
    assert ["resting" in status for status in both] == [True, True]
    first = both[0]["resting"]["oid"]
    assert status_of(venue, taker, first) == "reduceOnlyCanceled"


def test_reduce_only_means_nothing_on_spot(venue: Rig, taker: Exchange) -> None:
    venue.control("fund", {"user": taker.wallet.address, "token": "PURR", "amount": "1000"})
    oid = resting(taker.order("PURR/USDC", False, 100, 0.2, GTC, reduce_only=True))
    assert [row["oid"] for row in venue.info.open_orders(taker.wallet.address)] == [oid]
