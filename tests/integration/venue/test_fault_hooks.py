"""Every fault on purpose: what it does to a client, and what is true meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
import requests
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.utils.error import ClientError, ServerError
from hyperliquid.utils.types import Cloid

from tests.integration.venue.rig import ALO, GTC, IOC, Rig, now_ms, resting, rig, statuses
from tests.integration.venue.test_websocket import Bare, bare, talk


def open_orders(venue: Rig, trader: Exchange) -> int:
    return len(venue.info.open_orders(trader.wallet.address))


def bid(trader: Exchange, price: float = 50_000, cloid: Cloid | None = None) -> Any:
    return trader.order("BTC", True, 0.001, price, GTC, cloid=cloid)


LOST = (requests.ConnectionError, requests.Timeout)


@pytest.mark.parametrize(
    ("kind", "error", "live"),
    [
        ("drop_before", LOST, 0),
        ("drop_after", LOST, 1),
        ("hang_before", LOST, 0),
        ("hang_after", LOST, 1),
        ("server_error", ServerError, 0),
        ("error_after", ServerError, 1),
        ("too_many", ClientError, 0),
    ],
)
def test_check_38_lost_requests_and_lost_replies(
    venue: Rig, kind: str, error: type[Exception], live: int
) -> None:
    trader = venue.trader()
    trader.timeout = 0.5
    venue.fault(kind, where={"path": "exchange", "type": "order"}, count=1)
    with pytest.raises(error):
        bid(trader)
    assert open_orders(venue, trader) == live
    resting(bid(trader))
    assert open_orders(venue, trader) == live + 1


@pytest.mark.parametrize(("kind", "live"), [("html", 0), ("html_after", 1)])
def test_check_38_pages_instead_of_answers(venue: Rig, kind: str, live: int) -> None:
    trader = venue.trader()
    venue.fault(kind, where={"path": "exchange"}, count=1)
    assert "Could not parse JSON" in bid(trader)["error"]
    assert open_orders(venue, trader) == live


@pytest.mark.parametrize("kind", ["delay_before", "delay_after"])
def test_check_38_delays(venue: Rig, kind: str) -> None:
    trader = venue.trader()
    venue.fault(kind, where={"path": "exchange"}, delay_ms=400, count=1)
    start = time.monotonic()
    resting(bid(trader))
    assert time.monotonic() - start > 0.4


def test_check_38_a_doubled_request_is_applied_once(venue: Rig) -> None:
    trader = venue.trader()
    venue.fault("duplicate", where={"path": "exchange"}, count=1)
    answer = bid(trader)
    assert answer["response"].startswith("Invalid nonce: duplicate nonce")
    assert open_orders(venue, trader) == 1


def test_check_38_a_burst_of_429(venue: Rig) -> None:
    venue.fault("too_many", count=3)
    codes = [venue.post("/info", {"type": "allMids"}).status_code for _ in range(5)]
    assert codes == [429, 429, 429, 200, 200]


def test_check_38_stale_reads(venue: Rig) -> None:
    trader = venue.trader()
    user, cloid = trader.wallet.address, Cloid.from_int(77)
    old = resting(bid(trader))
    time.sleep(0.7)
    venue.fault("stale_reads", where={"path": "info"}, lag_ms=600)
    fresh = resting(bid(trader, cloid=cloid))
    assert venue.info.query_order_by_cloid(user, cloid) == {"status": "unknownOid"}
    assert [row["oid"] for row in venue.info.open_orders(user)] == [old]
    time.sleep(0.7)
    assert venue.info.query_order_by_oid(user, fresh)["status"] == "order"
    assert len(venue.info.open_orders(user)) == 2


def test_check_38_stale_account_states(venue: Rig) -> None:
    maker, trader = venue.trader("10000000"), venue.trader()
    maker.order("BTC", False, 0.01, 60_000, GTC)
    venue.fault("stale_reads", where={"path": "info"}, lag_ms=600)
    statuses(trader.order("BTC", True, 0.01, 60_000, IOC))
    user = trader.wallet.address
    assert venue.info.user_state(user)["assetPositions"] == [], "the ack is ahead of the state"
    assert venue.info.user_fills(user) == []
    time.sleep(0.7)
    assert len(venue.info.user_state(user)["assetPositions"]) == 1
    assert len(venue.info.user_fills(user)) == 1


def test_check_38_a_flapping_websocket(venue: Rig) -> None:
    venue.fault("ws_flap", delay_ms=200)

    async def act() -> None:
        for _ in range(5):
            async with bare(venue.url) as client:
                assert await client.ask({"method": "ping"}) == {"channel": "pong"}
                message = await client.socket.receive(3)
                assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    asyncio.run(act())


def test_check_38_a_quota_used_up(venue: Rig) -> None:
    trader = venue.trader()
    venue.control("requests", {"user": trader.wallet.address, "used": 10_000})
    resting(bid(trader))
    assert bid(trader)["response"].startswith("Too many cumulative requests sent (10002 > 10000)")


def test_check_38_markets_whose_rules_change(venue: Rig) -> None:
    trader = venue.trader()
    venue.fault("meta_change", where={"coin": "BTC"}, sz_decimals=3, max_leverage=10)
    told = {entry["name"]: entry for entry in venue.info.meta()["universe"]}
    assert (told["BTC"]["szDecimals"], told["BTC"]["maxLeverage"]) == (3, 10)
    assert told["ETH"]["szDecimals"] == 4
    old = statuses(trader.order("BTC", True, 0.0015, 50_000, GTC))
    assert old == [{"error": "Order has invalid size."}]
    resting(bid(trader))
    assert trader.update_leverage(20, "BTC")["status"] == "err"
    assert trader.update_leverage(10, "BTC")["status"] == "ok"
    venue.heal()
    resting(trader.order("BTC", True, 0.0015, 50_000, GTC))


def test_check_38_clock_skew(venue: Rig) -> None:
    trader = venue.trader()
    venue.fault("clock_skew", skew_ms=120_000)
    trader.set_expires_after(now_ms() + 60_000)
    assert bid(trader) == {"status": "err", "response": "Action already expired"}
    state = venue.info.user_state(trader.wallet.address)
    assert 110_000 < state["time"] - now_ms() < 130_000
    venue.heal()
    resting(bid(trader))


def test_check_38_a_pruned_agent(venue: Rig) -> None:
    trader = venue.trader()
    _, key = trader.approve_agent("bot")
    agent = venue.exchange(Account.from_key(key), account_address=trader.wallet.address)
    resting(bid(agent))
    venue.control("prune", {"user": agent.wallet.address})
    address = agent.wallet.address.lower()
    text = f"User or API Wallet {address} does not exist."
    assert bid(agent) == {"status": "err", "response": text}


def test_check_38_maintenance_and_the_post_only_time_after_it(venue: Rig) -> None:
    trader = venue.trader()
    name = venue.fault("maintenance", status=503)
    with pytest.raises(ServerError):
        venue.info.all_mids()
    with pytest.raises(ServerError):
        bid(trader)

    async def refused() -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with bare(venue.url):
                pass

    asyncio.run(refused())
    venue.control(f"faults/{name}", method="DELETE")
    venue.fault("post_only")
    text = "Only post-only orders allowed immediately after a network upgrade"
    assert bid(trader) == {"status": "err", "response": text}
    oid = resting(trader.order("BTC", True, 0.001, 50_000, ALO))
    assert statuses(trader.cancel("BTC", oid)) == ["success"]


def test_check_38_a_cut_websocket(venue: Rig) -> None:
    async def act(client: Bare) -> None:
        await client.subscribe(type="trades", coin="BTC")
        await client.hear()
        await asyncio.to_thread(venue.fault, "ws_cut")
        message = await client.socket.receive(3)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    talk(venue.url, act)


def test_check_38_a_frozen_websocket_says_nothing_and_stays_open(venue: Rig) -> None:
    trader = venue.trader()

    async def act(client: Bare) -> None:
        await client.subscribe(type="orderUpdates", user=trader.wallet.address)
        name = await asyncio.to_thread(venue.fault, "ws_freeze")
        await asyncio.sleep(0.3)
        await asyncio.to_thread(bid, trader)
        await client.send({"method": "ping"})
        with pytest.raises(TimeoutError):
            await client.hear(0.5)
        assert not client.socket.closed
        await asyncio.to_thread(venue.control, f"faults/{name}", None, "DELETE")
        assert await client.ask({"method": "ping"}) == {"channel": "pong"}, "what was sent is lost"

    talk(venue.url, act)


async def heard_of_a_trade(venue: Rig, client: Bare, trader: Exchange, count: int) -> list[Any]:
    maker = await asyncio.to_thread(venue.trader)
    user = trader.wallet.address
    await client.subscribe(type="userFills", user=user)
    await client.hear_of("userFills")
    await client.subscribe(type="orderUpdates", user=user)
    await asyncio.to_thread(maker.order, "BTC", False, 0.01, 60_000, GTC)
    await asyncio.to_thread(trader.order, "BTC", True, 0.01, 60_000, IOC)
    return [await client.hear() for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("fills_first", ["userFills", "orderUpdates"]),
        ("updates_first", ["orderUpdates", "userFills"]),
    ],
)
def test_check_38_fills_before_or_after_updates(venue: Rig, text: str, order: list[str]) -> None:
    trader = venue.trader()

    async def act(client: Bare) -> None:
        await asyncio.to_thread(venue.fault, "ws_reorder", text=text)
        heard = await heard_of_a_trade(venue, client, trader, 2)
        assert [message["channel"] for message in heard] == order

    talk(venue.url, act)


def test_check_38_doubled_late_and_lost_frames(venue: Rig) -> None:
    trader = venue.trader()

    async def act(client: Bare) -> None:
        async def fault(kind: str, **more: Any) -> None:
            await asyncio.to_thread(venue.fault, kind, **more)

        await fault("ws_drop", where={"type": "orderUpdates"})
        await fault("ws_duplicate", where={"type": "userFills"}, skip=1, times=3)
        heard = await heard_of_a_trade(venue, client, trader, 3)
        assert [message["channel"] for message in heard] == ["userFills"] * 3
        assert len({message["data"]["fills"][0]["tid"] for message in heard}) == 1

        await asyncio.to_thread(venue.heal)
        await fault("ws_delay", where={"type": "orderUpdates"}, delay_ms=400)
        start = time.monotonic()
        await asyncio.to_thread(bid, trader)
        await client.hear_of("orderUpdates")
        assert time.monotonic() - start > 0.4

    talk(venue.url, act)


def test_check_38_frames_that_make_no_sense(venue: Rig) -> None:
    trader = venue.trader()

    async def act(client: Bare) -> None:
        async def fault(kind: str, **more: Any) -> None:
            await asyncio.to_thread(venue.heal)
            await asyncio.to_thread(venue.fault, kind, **more)

        await client.subscribe(type="orderUpdates", user=trader.wallet.address)
        await fault("ws_status", text="fooRejected")
        await asyncio.to_thread(bid, trader)
        assert (await client.hear_of("orderUpdates"))[0]["status"] == "fooRejected"
        await fault("ws_garble", where={"type": "orderUpdates"})
        await asyncio.to_thread(bid, trader)
        with pytest.raises(ValueError, match=r"Unterminated|Expecting|Invalid"):
            await client.hear_of("orderUpdates")
        for text, price in (("NaN", "NaN"), ("-1", "-1"), ("x10", "600000")):
            await fault("bad_price", where={"type": "allMids"}, text=text)
            wanted = {"type": "allMids"}
            await client.send({"method": "subscribe", "subscription": wanted})
            assert (await client.hear_of("allMids"))["mids"]["BTC"] == price
            await client.send({"method": "unsubscribe", "subscription": wanted})

    talk(venue.url, act)


def test_check_38_the_same_seed_strikes_the_same_requests() -> None:
    def struck() -> list[int]:
        with rig() as venue:
            venue.fault("too_many", probability=0.3, id="some")
            answers = [venue.post("/info", {"type": "allMids"}) for _ in range(30)]
            return [answer.status_code for answer in answers]

    first = struck()
    assert first == struck()
    assert set(first) == {200, 429}


def test_check_38_an_order_made_by_hand_and_a_stop_that_vanishes(venue: Rig) -> None:
    trader = venue.trader()
    user = trader.wallet.address
    action = {
        "type": "order",
        "orders": [{"a": 0, "b": True, "p": "50000", "s": "0.001", "r": False, "t": GTC}],
        "grouping": "na",
    }
    answer = venue.control("order", {"user": user, "action": action})["answer"]
    oid = resting(answer)
    assert [row["oid"] for row in venue.info.open_orders(user)] == [oid]
    cancel = {"type": "cancel", "cancels": [{"a": 0, "o": oid}]}
    venue.control("order", {"user": user, "action": cancel})
    assert venue.info.open_orders(user) == []
