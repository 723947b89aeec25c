"""The websocket: every type through the SDK, limits and errors over a bare connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from hyperliquid.info import Info

from genesis.exchange.venue.limits import LimitProfile
from tests.integration.venue.rig import GTC, IOC, Rig, eventually, resting, rig

USER = "0x00000000000000000000000000000000000000aa"


@pytest.fixture
def listener(venue: Rig) -> Iterator[Info]:
    info = venue.info_with(skip_ws=False)
    yield info
    assert info.ws_manager is not None
    info.ws_manager.stop_event.set()
    info.ws_manager.ws.close()


class Bare:
    """A websocket without a client library's opinions."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, body: Any) -> Any:
        await self.send(body)
        return await self.hear()

    async def send(self, body: Any) -> None:
        await self.socket.send_str(body if isinstance(body, str) else json.dumps(body))

    async def subscribe(self, **subscription: Any) -> Any:
        return await self.ask({"method": "subscribe", "subscription": subscription})

    async def hear(self, seconds: float = 5.0) -> Any:
        message = await self.socket.receive(seconds)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def hear_of(self, channel: str, seconds: float = 5.0) -> Any:
        until = time.monotonic() + seconds
        while True:
            message = await self.hear(max(0.01, until - time.monotonic()))
            if message["channel"] == channel:
                return message["data"]


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[Bare]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws{url[4:]}/ws") as socket,
    ):
        yield Bare(socket)


def talk(url: str, act: Callable[[Bare], Awaitable[None]]) -> None:
    async def run() -> None:
        async with bare(url) as client:
            await act(client)

    asyncio.run(run())


def test_check_31_every_type_reaches_the_sdk_s_callbacks(venue: Rig, listener: Info) -> None:
    trader, maker = venue.trader(), venue.trader()
    user = trader.wallet.address
    heard: dict[str, list[Any]] = {}
    wanted: list[Any] = [
        {"type": "allMids"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "bbo", "coin": "BTC"},
        {"type": "trades", "coin": "BTC"},
        {"type": "candle", "coin": "BTC", "interval": "1m"},
        {"type": "activeAssetCtx", "coin": "BTC"},
        {"type": "activeAssetData", "coin": "BTC", "user": user},
        {"type": "orderUpdates", "user": user},
        {"type": "userEvents", "user": user},
        {"type": "userFills", "user": user},
        {"type": "userFundings", "user": user},
        {"type": "userNonFundingLedgerUpdates", "user": user},
        {"type": "webData2", "user": user},
    ]
    for subscription in wanted:
        kind = subscription["type"]
        listener.subscribe(subscription, heard.setdefault(kind, []).append)
    eventually(lambda: heard["webData2"] and heard["userFills"])
    resting(maker.order("BTC", False, 0.01, 60_000, GTC))
    trader.order("BTC", True, 0.01, 60_000, IOC)
    eventually(lambda: len(heard["userFills"]) > 1 and heard["candle"] and heard["userEvents"])
    quiet = [kind for kind, messages in heard.items() if not messages]
    assert quiet == []

    snapshot, update = heard["userFills"][0]["data"], heard["userFills"][1]["data"]
    assert snapshot == {"isSnapshot": True, "user": user.lower(), "fills": []}
    assert "isSnapshot" not in update
    assert update["fills"][0]["sz"] == "0.01"
    assert heard["userEvents"][0]["channel"] == "user"
    assert heard["userEvents"][0]["data"]["fills"][0]["tid"] == update["fills"][0]["tid"]
    assert isinstance(heard["orderUpdates"][0]["data"], list)
    assert "user" not in heard["orderUpdates"][0]["data"][0]
    assert isinstance(heard["trades"][-1]["data"], list)
    trade = heard["trades"][-1]["data"][-1]
    assert trade["users"] == [user.lower(), maker.wallet.address.lower()]
    assert isinstance(heard["candle"][-1]["data"], dict)
    assert heard["candle"][-1]["data"]["s"] == "BTC"
    assert heard["userFundings"][0]["data"]["isSnapshot"] is True
    ledger = heard["userNonFundingLedgerUpdates"][0]["data"]
    assert ledger["nonFundingLedgerUpdates"][0]["delta"]["type"] == "deposit"
    best = heard["bbo"][0]["data"]
    assert set(best) == {"coin", "time", "bbo"}
    assert heard["activeAssetData"][0]["data"]["leverage"]["type"] == "cross"


def test_check_31_streams_without_a_snapshot_are_silent_at_first(venue: Rig) -> None:
    async def act(client: Bare) -> None:
        for kind in ("orderUpdates", "userEvents"):
            answer = await client.subscribe(type=kind, user=USER)
            wanted = {"type": kind, "user": USER}
            data = {"method": "subscribe", "subscription": wanted}
            assert answer == {"channel": "subscriptionResponse", "data": data}
        with pytest.raises(TimeoutError):
            await client.hear(0.4)

    talk(venue.url, act)


def test_check_31_more_types_than_the_sdk_knows(venue: Rig) -> None:
    async def act(client: Bare) -> None:
        shapes = {
            "userHistoricalOrders": {"isSnapshot", "user", "orderHistory"},
            "userTwapSliceFills": {"isSnapshot", "user", "twapSliceFills"},
            "userTwapHistory": {"isSnapshot", "user", "history"},
            "clearinghouseState": {"dex", "user", "clearinghouseState"},
            "openOrders": {"dex", "user", "orders"},
            "spotState": {"user", "spotState"},
            "webData3": {"userState", "perpDexStates"},
        }
        for kind, keys in shapes.items():
            answer = await client.subscribe(type=kind, user=USER)
            assert answer["channel"] == "subscriptionResponse"
            assert set(await client.hear_of(kind)) == keys
        await client.subscribe(type="activeAssetCtx", coin="PURR/USDC")
        spot = await client.hear_of("activeSpotAssetCtx")
        assert spot["coin"] == "PURR/USDC"
        await client.subscribe(type="l2Book", coin="BTC", nSigFigs=3)
        assert (await client.hear_of("l2Book"))["coin"] == "BTC"

    talk(venue.url, act)


def test_check_32_ping_errors_and_unsubscribing(venue: Rig) -> None:
    async def act(client: Bare) -> None:
        assert await client.ask({"method": "ping"}) == {"channel": "pong"}
        wanted = {"type": "trades", "coin": "BTC"}
        assert (await client.subscribe(**wanted))["channel"] == "subscriptionResponse"
        assert (await client.hear())["channel"] == "trades"
        spelled = '{"type":"trades","coin":"BTC"}'
        again = await client.subscribe(**wanted)
        assert again == {"channel": "error", "data": f"Already subscribed: {spelled}"}
        for bad in ({"type": "trades", "coin": "NOPE"}, {"type": "nothing"}, {"coin": "BTC"}):
            answer = await client.subscribe(**bad)
            assert answer["channel"] == "error"
            assert answer["data"].startswith("Invalid subscription {")
        undo = {"method": "unsubscribe", "subscription": wanted}
        answer = await client.ask(undo)
        assert answer == {"channel": "subscriptionResponse", "data": undo}
        assert (await client.ask(undo))["data"] == f"Already unsubscribed: {spelled}"
        for text in ("{", "[]", '{"method": "dance"}'):
            answer = await client.ask(text)
            assert answer["data"].startswith("Error parsing JSON into valid websocket request")

    talk(venue.url, act)


def test_check_32_ten_users_and_a_thousand_subscriptions(venue: Rig) -> None:
    async def act(client: Bare) -> None:
        for number in range(10):
            user = f"0x{number:040x}"
            assert (await client.subscribe(type="orderUpdates", user=user))["channel"] != "error"
        answer = await client.subscribe(type="orderUpdates", user=f"0x{10:040x}")
        text = "Cannot track more than 10 total users."
        assert answer == {"channel": "error", "data": text}
        again = await client.subscribe(type="userEvents", user=f"0x{3:040x}")
        assert again["channel"] == "subscriptionResponse", "an old user is no new one"

    talk(venue.url, act)
    limits = LimitProfile(ws_subscriptions=5, ws_posts=1, ws_messages_a_minute=8)
    with rig(limits=limits) as small:

        async def fill(client: Bare) -> None:
            for coin in ("BTC", "ETH", "SOL", "BNB", "XRP"):
                await client.send(
                    {"method": "subscribe", "subscription": {"type": "bbo", "coin": coin}}
                )
            await client.send(
                {"method": "subscribe", "subscription": {"type": "bbo", "coin": "DOGE"}}
            )
            full = "Cannot subscribe to more than 5 channels."
            assert await client.hear_of("error") == full
            small.fault("delay_before", where={"path": "info"}, delay_ms=500)
            for number in (1, 2):
                request = {"type": "info", "payload": {"type": "allMids"}}
                await client.send({"method": "post", "id": number, "request": request})
            pending = "too many pending post requests id=2"
            assert await client.hear_of("error") == pending
            await client.send({"method": "ping"})
            assert await client.hear_of("error") == "Cannot send more than 8 messages per minute."

        talk(small.url, fill)


def test_check_32_a_connection_on_which_nothing_is_sent_is_closed() -> None:
    limits = LimitProfile(ws_idle_ms=500)
    with rig(limits=limits) as venue:

        async def wait(client: Bare) -> None:
            start = time.monotonic()
            message = await client.socket.receive(5)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert 0.3 < time.monotonic() - start < 2.0

        talk(venue.url, wait)

        async def keep(client: Bare) -> None:
            for _ in range(6):
                await asyncio.sleep(0.2)
                assert await client.ask({"method": "ping"}) == {"channel": "pong"}

        talk(venue.url, keep)


def test_check_32_connections_per_address() -> None:
    limits = LimitProfile(ws_connections=2, ws_new_a_minute=3)
    with rig(limits=limits) as venue:

        async def act() -> None:
            async with bare(venue.url), bare(venue.url):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    async with bare(venue.url):
                        pass
                assert refused.value.status == 429
            await asyncio.sleep(0.2)
            async with bare(venue.url):
                pass
            await asyncio.sleep(0.2)
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with bare(venue.url):
                    pass

        asyncio.run(act())


def test_check_33_post_requests(venue: Rig) -> None:
    trader = venue.trader()
    signed = {}
    trader._post_action = lambda action, signature, nonce: signed.update(  # type: ignore[method-assign]
        action=action, signature=signature, nonce=nonce
    )
    trader.order("BTC", True, 0.01, 50_000, GTC)

    async def act(client: Bare) -> None:
        request: dict[str, Any] = {"type": "info", "payload": {"type": "l2Book", "coin": "BTC"}}
        answer = await client.ask({"method": "post", "id": 7, "request": request})
        assert answer["channel"] == "post"
        assert answer["data"]["id"] == 7
        response = answer["data"]["response"]
        assert response["type"] == "info"
        assert response["payload"]["type"] == "l2Book"
        assert response["payload"]["data"]["coin"] == "BTC"
        request = {"type": "action", "payload": signed}
        answer = await client.ask({"method": "post", "id": 8, "request": request})
        response = answer["data"]["response"]
        assert response["type"] == "action"
        assert "resting" in response["payload"]["response"]["data"]["statuses"][0]
        for bad in ({"type": "info", "payload": {"type": "x"}}, {"type": "y", "payload": {}}):
            answer = await client.ask({"method": "post", "id": 9, "request": bad})
            response = answer["data"]["response"]
            assert response["type"] == "error"
            assert response["payload"].startswith("422: Failed to deserialize")

    talk(venue.url, act)
