"""ccxt as it is, over REST and websocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt
import ccxt.pro
import pytest
from eth_account.signers.local import LocalAccount

from tests.integration.venue.rig import GTC, Rig

BTC = "BTC/USDC:USDC"


def settings(wallet: LocalAccount) -> dict[str, Any]:
    return {
        "walletAddress": wallet.address,
        "privateKey": wallet.key.hex(),
        "enableRateLimit": False,
    }


def point(client: Any, venue: Rig) -> Any:
    client.set_sandbox_mode(True)
    ws = f"ws{venue.url[4:]}/ws"
    client.urls["api"] = {"public": venue.url, "private": venue.url, "ws": {"public": ws}}
    return client


def test_check_34_ccxt_trades(venue: Rig) -> None:
    maker = venue.trader("10000000")
    wallet = venue.wallet()
    client = point(ccxt.hyperliquid(settings(wallet)), venue)
    markets = client.load_markets()
    assert BTC in markets
    assert markets[BTC]["precision"]["amount"] == 1e-5
    order = client.create_order(BTC, "limit", "buy", 0.01, 50_000)
    assert order["id"]
    assert client.fetch_order(order["id"], BTC)["status"] == "open"
    assert [row["id"] for row in client.fetch_open_orders(BTC)] == [order["id"]]
    assert client.cancel_order(order["id"], BTC)["status"] in (None, "success", "canceled")
    assert client.fetch_order(order["id"], BTC)["status"] == "canceled"

    maker.order("BTC", False, 0.02, 60_000, GTC)
    bought = client.create_order(BTC, "market", "buy", 0.02, 60_000)
    assert client.fetch_order(bought["id"], BTC)["status"] == "closed"
    (trade,) = client.fetch_my_trades(BTC)
    assert (trade["amount"], trade["price"], trade["side"]) == (0.02, 60_000.0, "buy")
    # The fee includes the builder's tenth of a per mille, which ccxt adds once more.
    assert float(trade["info"]["fee"]) == pytest.approx(0.02 * 60_000 * (0.00045 + 0.0001))
    assert float(trade["info"]["builderFee"]) == pytest.approx(0.02 * 60_000 * 0.0001)
    (held,) = client.fetch_positions([BTC])
    assert (held["contracts"], held["side"]) == (0.02, "long")
    assert client.fetch_balance()["USDC"]["total"] == pytest.approx(100_000, abs=1)
    assert client.set_leverage(5, BTC)["status"] == "ok"
    book = client.fetch_order_book(BTC)
    assert book["asks"] == []
    assert client.fetch_ticker(BTC)["last"] is None, "without both sides there is no middle"
    maker.order("BTC", False, 0.02, 60_100, GTC)
    maker.order("BTC", True, 0.02, 59_900, GTC)
    assert client.fetch_ticker(BTC)["last"] == 60_000


def run(venue: Rig, wallet: LocalAccount, act: Callable[[Any], Awaitable[None]]) -> None:
    async def inner() -> None:
        client = point(ccxt.pro.hyperliquid(settings(wallet)), venue)
        try:
            await client.load_markets()
            await act(client)
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(inner(), 60))


def test_check_33_and_34_ccxt_over_the_websocket(venue: Rig) -> None:
    maker, wallet = venue.trader("10000000"), venue.wallet()

    async def act(client: Any) -> None:
        book = await client.watch_order_book(BTC)
        assert book["bids"] == []
        await asyncio.to_thread(maker.order, "BTC", False, 0.02, 60_000, GTC)
        watching = asyncio.create_task(client.watch_orders(BTC))
        trades = asyncio.create_task(client.watch_my_trades(BTC))
        await asyncio.sleep(0.3)
        order = await client.create_order_ws(BTC, "limit", "buy", 0.01, 60_000)
        assert order["id"]
        (update, *_) = await watching
        assert update["id"] == order["id"]
        rows = await trades
        if not rows:
            rows = await client.watch_my_trades(BTC)
        assert rows[-1]["amount"] == 0.01
        resting = await client.create_order_ws(BTC, "limit", "buy", 0.01, 50_000)
        await client.cancel_order_ws(resting["id"], BTC)
        assert (await client.fetch_order(resting["id"], BTC))["status"] == "canceled"

    run(venue, wallet, act)
