"""What happened, as clients read it: funding, fills, candles, statuses, recorded shapes."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import ccxt
from eth_account import Account
from hyperliquid.exchange import Exchange

from genesis.exchange.venue.orders import STATUSES
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
from tests.integration.venue.test_orders import long_position, position, status_of, trigger

HOUR = 3_600_000


def test_check_22_funding_is_paid_each_hour_on_the_oracle_price(
    venue: Rig, maker: Exchange, taker: Exchange
) -> None:
    user = taker.wallet.address
    heard: list[Any] = []
    listener = venue.info_with(skip_ws=False)
    listener.subscribe({"type": "userFundings", "user": user}, heard.append)
    long_position(maker, taker)
    venue.control("price", {"coin": "BTC", "px": "60100", "oracle": "60000"})
    now = venue.control("time", {"advance_ms": 1})["now_ms"]
    venue.control("time", {"now_ms": now - now % HOUR + HOUR})
    (row,) = venue.info.user_funding_history(user, 0)
    delta = row["delta"]
    assert row["time"] % HOUR == 0
    assert (delta["type"], delta["coin"], delta["szi"]) == ("funding", "BTC", "0.1")
    expected = -Decimal("0.1") * 60_000 * Decimal(delta["fundingRate"])
    assert abs(Decimal(delta["usdc"]) - expected) < Decimal("0.000002")
    (public,) = venue.info.funding_history("BTC", 0)
    assert public["fundingRate"] == delta["fundingRate"]
    update = eventually(lambda: [m for m in heard if "isSnapshot" not in m["data"]])[0]["data"]
    assert update["fundings"][0]["usdc"] == delta["usdc"]
    (other,) = venue.info.user_funding_history(maker.wallet.address, 0)
    assert Decimal(other["delta"]["usdc"]) == -Decimal(delta["usdc"])
    listener.disconnect_websocket()


def test_check_23_a_liquidation_is_tagged_in_the_fills(venue: Rig, maker: Exchange) -> None:
    poor = venue.trader("400")
    poor.update_leverage(40, "BTC")
    long_position(maker, poor, 0.2)
    resting(maker.order("BTC", True, 1, 59_000, GTC))
    state = venue.info.user_state(poor.wallet.address)["assetPositions"][0]["position"]
    level = Decimal(state["liquidationPx"])
    assert Decimal(58_000) < level < Decimal(59_900)
    venue.control("price", {"coin": "BTC", "px": str(int(level) + 5)})
    assert position(venue, poor) == Decimal("0.2")
    venue.control("price", {"coin": "BTC", "px": str(int(level) - 5)})
    assert position(venue, poor) == 0
    fill = venue.info.user_fills(poor.wallet.address)[0]
    assert fill["liquidation"]["liquidatedUser"] == poor.wallet.address.lower()
    assert fill["liquidation"]["method"] == "market"
    (of_maker,) = [f for f in venue.info.user_fills(maker.wallet.address) if f.get("liquidation")]
    assert of_maker["liquidation"]["liquidatedUser"] == poor.wallet.address.lower()


def test_check_24_a_self_trade_cancels_the_maker(venue: Rig, taker: Exchange) -> None:
    own = resting(taker.order("BTC", True, 0.01, 50_000, GTC))
    resting(taker.order("BTC", False, 0.01, 50_000, GTC))
    assert status_of(venue, taker, own) == "selfTradeCanceled"
    assert venue.info.user_fills(taker.wallet.address) == []


def test_check_25_five_thousand_fills_in_pages(venue: Rig, maker: Exchange) -> None:
    taker = venue.trader("100000000")
    user, other = taker.wallet.address.lower(), maker.wallet.address.lower()
    core = venue.venue.core

    def orders(buy: bool, count: int) -> dict[str, Any]:
        row = {"a": 0, "b": buy, "p": "60000", "s": "0.001", "r": False, "t": GTC}
        return {"type": "order", "orders": [row] * count, "grouping": "na"}

    def trade() -> None:
        stamp = venue.venue.clock.now_ms()
        for k in range(50):
            core.submit(other, orders(False, 100), stamp + k)
            taken = {**orders(True, 1)["orders"][0], "s": "0.1"}
            core.submit(user, {**orders(True, 0), "orders": [taken]}, stamp + k)

    start = now_ms() - 1000
    venue.running.call(trade)
    venue.control("time", {"advance_ms": 1000})
    newest = venue.info.user_fills(user)
    assert len(newest) == 2000
    assert all(a["time"] >= b["time"] for a, b in pairwise(newest))
    seen: dict[int, Any] = {}
    since = start
    while True:
        page = venue.info.user_fills_by_time(user, since, None)
        assert len(page) <= 2000
        assert all(a["time"] <= b["time"] for a, b in pairwise(page))
        fresh = [row for row in page if row["tid"] not in seen]
        if not fresh:
            break
        assert page[0]["time"] >= since
        seen.update((row["tid"], row) for row in page)
        since = page[-1]["time"]
    assert len(seen) == 5000
    first = min(row["time"] for row in seen.values())
    assert len(venue.info.user_fills_by_time(user, first, first)) == 100, "both ends count"
    joined = venue.info.user_fills_by_time(user, first, first, True)
    assert [row["sz"] for row in joined] == ["0.1"]
    chain = sorted(seen.values(), key=lambda row: Decimal(row["startPosition"]))
    assert [Decimal(row["startPosition"]) for row in chain[:3]] == [
        Decimal(0),
        Decimal("0.001"),
        Decimal("0.002"),
    ]


def test_check_26_candles_are_the_tape(venue: Rig, maker: Exchange, taker: Exchange) -> None:
    for px in (60_000, 60_300, 59_900):
        maker.order("BTC", False, 0.01, px, GTC)
        taker.order("BTC", True, 0.01, px, IOC)
    trades = venue.post("/info", {"type": "recentTrades", "coin": "BTC"}).json()
    assert len(trades) == 3
    end = now_ms()
    (*_, last) = venue.info.candles_snapshot("BTC", "1h", end - HOUR, end)
    prices = [Decimal(row["px"]) for row in reversed(trades)]
    told = [Decimal(last[key]) for key in ("o", "h", "l", "c")]
    assert told == [prices[0], max(prices), min(prices), prices[-1]]
    assert (last["n"], Decimal(last["v"])) == (3, Decimal("0.03"))
    assert (last["t"] % HOUR, last["T"]) == (0, last["t"] + HOUR - 1)
    many = venue.info.candles_snapshot("BTC", "1m", 0, end)
    assert len(many) == 5000
    assert all(b["t"] - a["t"] == 60_000 for a, b in pairwise(many))
    client = ccxt.hyperliquid({"enableRateLimit": False})
    client.urls["api"] = {"public": venue.url, "private": venue.url}
    rows = client.fetch_ohlcv("BTC/USDC:USDC", "1h", limit=5)
    assert rows[-1][0] == last["t"]
    assert Decimal(str(rows[-1][4])) == prices[-1]


def test_check_27_every_status(venue: Rig, maker: Exchange, taker: Exchange) -> None:
    user = taker.wallet.address
    unknown = venue.info.query_order_by_oid(user, 12345)
    assert unknown == {"status": "unknownOid"}
    seen = set()
    for status in STATUSES[2:]:
        oid = resting(taker.order("BTC", True, 0.001, 50_000, GTC))
        venue.control("end", {"user": user, "oid": oid, "status": status})
        answer = venue.info.query_order_by_oid(user, oid)
        assert answer["status"] == "order"
        assert answer["order"]["order"]["oid"] == oid
        seen.add(answer["order"]["status"])
    oid = resting(taker.order("BTC", True, 0.001, 50_000, GTC))
    seen.add(status_of(venue, taker, oid))
    long_position(maker, taker)
    filled = venue.info.historical_orders(user)[0]
    seen.add(filled["status"])
    assert seen == set(STATUSES)


def test_check_27_statuses_that_orders_earn(venue: Rig, maker: Exchange, taker: Exchange) -> None:
    user = taker.wallet.address

    def last() -> str:
        return str(venue.info.historical_orders(user)[0]["status"])

    cases = [
        (lambda: taker.order("BTC", True, 0.01, 50_000.5, GTC), "tickRejected"),
        (lambda: taker.order("BTC", True, 0.0001, 50_000, GTC), "minTradeNtlRejected"),
        (lambda: taker.order("BTC", True, 90, 50_000, GTC), "perpMarginRejected"),
        (lambda: taker.order("BTC", True, 0.01, 50_000, IOC), "iocCancelRejected"),
        (
            lambda: taker.order("BTC", False, 0.01, 50_000, GTC, reduce_only=True),
            "reduceOnlyRejected",
        ),
        (
            lambda: taker.order("BTC", False, 0.01, 61_000, trigger(61_000, "sl")),
            "badTriggerPxRejected",
        ),
    ]
    for act, status in cases:
        (refused,) = statuses(act())
        assert "error" in refused
        assert last() == status
    resting(maker.order("BTC", False, 0.01, 60_000, GTC))
    taker.order("BTC", True, 0.01, 60_000, ALO)
    assert last() == "badAloPxRejected"


# Recorded answers that this exchange has nothing to answer with: no vaults, no staking.
_EMPTY = {"delegatorHistory", "userVaultEquities", "userTwapSliceFills"}


def missing(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """Paths of keys that the recorded answer has and ours has not."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        out = []
        for key, value in recorded.items():
            if key not in ours:
                out.append(f"{path}.{key}")
            elif value is not None and ours[key] is not None:
                out += missing(value, ours[key], f"{path}.{key}")
        return out
    if isinstance(recorded, list) and isinstance(ours, list) and recorded and ours:
        if len(recorded) == len(ours) and not all(isinstance(row, dict) for row in recorded):
            pairs = list(zip(recorded, ours, strict=True))
        else:
            pairs = [(recorded[0], ours[0])]
        return [text for k, (a, b) in enumerate(pairs) for text in missing(a, b, f"{path}[{k}]")]
    same = type(recorded) is type(ours) or recorded is None or ours is None
    return [] if same else [f"{path}: {type(ours).__name__} for {type(recorded).__name__}"]


def lively(venue: Rig) -> tuple[str, str]:
    """An account with some of everything, and its sub-account."""
    maker, taker = venue.trader("100000000"), venue.trader()
    taker.approve_agent("bot")
    taker.update_leverage(5, "ETH", is_cross=False)
    long_position(maker, taker)
    for coin, px in (("ETH", 3_000.0), ("SOL", 150.0)):
        maker.order(coin, False, 1, px, GTC)
        taker.order(coin, True, 1, px, IOC)
    taker.order("DYDX", True, 100, 0.6, GTC)
    taker.order("BTC", False, 0.05, 58_000, trigger(58_000, "sl"), reduce_only=True)
    now = venue.control("time", {"advance_ms": 1})["now_ms"]
    venue.control("time", {"now_ms": now - now % HOUR + HOUR})
    return taker.wallet.address, maker.wallet.address


# What the recordings of 2023 have and the exchange no longer sends.
_GONE = {"clearinghouseState": {".maxTradeSzs"}}


def test_check_28_answers_have_the_keys_of_the_recorded_ones(venue: Rig, shared_data: Path) -> None:
    user, _ = lively(venue)
    checked = 0
    folder = shared_data / "hyperliquid" / "rest" / "python_sdk"
    for path in sorted(folder.glob("*.json")):
        for exchanged in json.loads(path.read_text()):
            request = dict(exchanged["request"])
            kind = request["type"]
            if "user" in request:
                request["user"] = user
            if "startTime" in request:
                request["startTime"] = 0
                request.pop("endTime", None)
            if "req" in request:
                request["req"] = {**request["req"], "startTime": 0, "endTime": now_ms()}
            answer = venue.post("/info", request)
            assert answer.status_code == 200, (path.name, request)
            recorded = exchanged["response"]
            if kind in _EMPTY:
                assert answer.json() == []
            elif kind == "allMids":
                assert all(isinstance(px, str) for px in answer.json().values())
            else:
                gaps = [
                    gap
                    for gap in missing(recorded, answer.json())
                    if not any(gap.endswith(old) for old in _GONE.get(kind, ()))
                ]
                assert gaps == [], path.name
            checked += 1
    assert checked >= 20


def test_the_book_of_an_unknown_coin(venue: Rig) -> None:
    ask = {"type": "l2Book", "coin": "NOPE"}
    answer = venue.post("/info", ask)
    assert (answer.status_code, answer.text) == (200, "null")
    with rig(unknown_coin_book=True) as other:
        assert other.post("/info", ask).status_code == 422


def test_check_28_every_reader_of_the_sdk_gets_an_answer(venue: Rig) -> None:
    user, _ = lively(venue)
    info = venue.info
    for answer in (
        info.user_fees(user),
        info.user_staking_summary(user),
        info.user_staking_delegations(user),
        info.user_staking_rewards(user),
        info.delegator_history(user),
        info.query_referral_state(user),
        info.query_perp_deploy_auction_status(),
        info.query_spot_deploy_auction_status(user),
        info.query_user_abstraction_state(user),
        info.portfolio(user),
        info.user_twap_slice_fills(user),
        info.perp_dexs(),
        info.meta_and_asset_ctxs(),
        info.spot_meta_and_asset_ctxs(),
    ):
        assert answer is not None
    assert info.query_user_to_multi_sig_signers(user) is None
    assert info.query_user_dex_abstraction_state(user) is None
    assert info.query_sub_accounts(user) is None
    nobody = Account.create().address
    assert info.user_state(nobody)["assetPositions"] == []
