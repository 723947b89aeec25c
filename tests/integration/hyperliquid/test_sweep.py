"""A sweep on the local venue: what is found, what is sent, and what it says where it cannot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.sweep import Remains
from genesis.exchange.venue.core import VenueProfile
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.payloads import OrderAccepted, OrderRejected, OrderUnknown
from tests.integration.hyperliquid.live_rig import (
    ACCOUNT,
    MASTER,
    LiveRig,
    live_rig,
    of,
    order,
    until,
)

BTC, ETH, SOL = 0, 1, 5


def figures(price: float) -> str:
    """Four significant figures, without an exponent."""
    return f"{float(f'{price:.4g}'):g}"


class Desk:
    """A gateway and what it told."""

    def __init__(self, rig: LiveRig, **settings: Any) -> None:
        self.rig = rig
        self.events: list[Event] = []
        self.gateway: HyperliquidGateway = rig.gateway(
            self.events.append, **({"foreign": "keep", "mid_age_s": 1e6} | settings)
        )

    def hand(self, asset: int, buy: bool, size: str, price: str, tif: str = "Gtc") -> Any:
        row = {
            "a": asset,
            "b": buy,
            "p": price,
            "s": size,
            "r": False,
            "t": {"limit": {"tif": tif}},
        }
        return self.rig.submit(MASTER, {"type": "order", "orders": [row], "grouping": "na"})

    def mid(self, coin: str, factor: float) -> str:
        return figures(float(self.rig.info("allMids")[coin]) * factor)

    def swept(self, rounds: int = 6, *, flatten: bool = True) -> Remains:
        """Sweep until nothing is left."""
        for _ in range(rounds):
            found = self.gateway.sweep(ACCOUNT, flatten=flatten)
            if found.seen and not found.orders and not (flatten and found.positions):
                return found
        return found

    def running(self) -> list[Any]:
        history = self.rig.info("twapHistory")
        return [one for one in history if one["status"]["status"] == "activated"]


@contextmanager
def desk_on(folder: Path, profile: VenueProfile | None = None, **settings: Any) -> Iterator[Desk]:
    with live_rig(folder, profile=profile) as rig:
        rig.price(100.0)
        yield Desk(rig, **settings)


def test_spot_orders_twap_orders_and_every_coin_go(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        desk.rig.submit(MASTER, {"type": "usdClassTransfer", "amount": "5000", "toPerp": False,
                                 "nonce": 1, "hyperliquidChain": "Testnet"})  # fmt: skip
        pair = desk.rig.info("spotMeta")["universe"][0]
        price = float(desk.rig.info("allMids")[pair["name"]])
        desk.hand(10_000 + pair["index"], True, str(int(20 / price)), figures(price * 0.9))
        twap = {"a": ETH, "b": True, "s": "1", "r": False, "m": 30, "t": False}
        desk.rig.submit(MASTER, {"type": "twapOrder", "twap": twap})
        desk.hand(BTC, True, "0.01", desk.mid("BTC", 1.03), "Ioc")
        desk.hand(SOL, False, "3", desk.mid("SOL", 0.97), "Ioc")
        for _ in range(50):  # more than one request holds
            desk.hand(SOL, True, "0.2", "90")
        assert len(desk.rig.info("frontendOpenOrders")) == 51
        assert desk.running()
        found = desk.swept()
        assert (found.orders, found.positions, found.trouble) == (0, (), "")
        assert desk.rig.info("frontendOpenOrders") == []
        assert desk.rig.info("clearinghouseState")["assetPositions"] == []
        assert desk.running() == []


def test_kept_positions_keep_what_protects_them(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        desk.hand(SOL, True, "3", desk.mid("SOL", 1.03), "Ioc")
        row = {"a": SOL, "b": False, "p": "80", "s": "3", "r": True}
        row["t"] = {"trigger": {"isMarket": True, "triggerPx": "90", "tpsl": "sl"}}
        desk.rig.submit(MASTER, {"type": "order", "orders": [row], "grouping": "na"})
        desk.hand(SOL, True, "3", "90")
        found = desk.swept(flatten=False)
        assert found.orders == 0
        assert found.positions == ("SOL 3.0",) or found.positions == ("SOL 3",)
        (left,) = desk.rig.info("frontendOpenOrders")
        assert left["reduceOnly"]


def test_dust_that_the_exchange_does_not_take_is_said_and_keeps_nothing_else(
    tmp_path: Path,
) -> None:
    profile = VenueProfile(small_reduce_only=False)
    with desk_on(tmp_path, profile) as desk:
        desk.hand(SOL, True, "0.11", desk.mid("SOL", 1.03), "Ioc")
        desk.rig.price(50.0)  # five dollars now
        desk.hand(BTC, True, "0.01", desk.mid("BTC", 1.03), "Ioc")
        desk.hand(BTC, True, "0.01", desk.mid("BTC", 0.9))
        found = desk.swept(3)
        assert found.positions == ("SOL 0.11",)
        assert "SOL 0.11 stays open: Order must have minimum value" in found.trouble
        assert found.seen
        assert found.heard
        assert desk.rig.info("frontendOpenOrders") == []


@pytest.mark.parametrize("number", [-1, 99_999])
def test_one_order_that_cannot_be_cancelled_leaves_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """One that the exchange cannot read refuses the whole request, one of no market itself."""
    with desk_on(tmp_path) as desk:
        for _ in range(9):
            desk.hand(SOL, True, "0.2", "90")
        desk.hand(ETH, True, "0.01", desk.mid("ETH", 0.9))
        markets = desk.gateway.parts.markets
        asset = markets.asset

        async def wrong(coin: str, priority: Any) -> int | None:
            return number if coin == "ETH" else await asset(coin, priority)

        monkeypatch.setattr(markets, "asset", wrong)
        found = desk.swept(3)
        (left,) = desk.rig.info("frontendOpenOrders")
        assert left["coin"] == "ETH"
        assert found.orders == 1
        assert found.trouble


def test_a_market_that_nobody_knows_and_a_row_that_nobody_can_read_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk_on(tmp_path) as desk:
        desk.hand(SOL, True, "0.2", "90")
        reader = desk.gateway.parts.reader
        ask = reader.ask

        async def odd(kind: str, *args: Any, **more: Any) -> Any:
            found = await ask(kind, *args, **more)
            if kind == "frontendOpenOrders":
                return [{"coin": "SOL"}, {"coin": "other:GOLD", "oid": 7}, *found]
            return found

        monkeypatch.setattr(reader, "ask", odd)
        found = desk.swept(2)
        assert desk.rig.info("frontendOpenOrders") == []
        assert not found.seen
        assert "unreadable" in found.trouble
        assert "other:GOLD cannot be cancelled here: unknown market" in found.trouble


def test_nothing_that_adds_risk_leaves_after_it(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        desk.gateway.sweep(ACCOUNT, flatten=True)
        desk.gateway.submit(order(Side.BUY, "1", OrderKind.LIMIT, "95"))
        assert desk.gateway.settle()
        (refused,) = of(desk.events, OrderRejected)
        assert refused.reason == "latched"
        assert desk.rig.info("frontendOpenOrders") == []


@pytest.mark.parametrize(
    "fault", ["delay_before", pytest.param("hang_before", marks=pytest.mark.slow)]
)
def test_an_order_on_its_way_never_arrives(tmp_path: Path, fault: str) -> None:
    """Its nonce is used up before it comes: the sweep says so and is right for ever."""
    with desk_on(tmp_path) as desk:
        where = {"path": "exchange", "type": "order"}
        desk.rig.fault(fault, where=where, delay_ms=2_500, count=1)
        request = order(Side.BUY, "1", OrderKind.LIMIT, "95")
        desk.gateway.submit(request)
        until(lambda: bool(desk.gateway.parts.sender._flying))
        found = desk.swept()
        assert found.seen
        assert found.orders == 0
        assert not desk.gateway.parts.sender._flying
        until(lambda: bool(of(desk.events, OrderUnknown)))
        time.sleep(0.5 if fault == "hang_before" else 0.0)
        assert desk.rig.info("frontendOpenOrders") == []
        status = desk.rig.info("orderStatus", oid=request.client_id)["status"]
        assert status == "unknownOid"


def test_an_order_whose_reply_was_lost_is_found_and_taken_back(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        where = {"path": "exchange", "type": "order"}
        desk.rig.fault("drop_after", where=where, count=1)
        desk.gateway.submit(order(Side.BUY, "1", OrderKind.LIMIT, "95"))
        until(lambda: bool(of(desk.events, OrderUnknown) + of(desk.events, OrderAccepted)))
        assert desk.swept().seen
        assert desk.rig.info("frontendOpenOrders") == []


def test_while_nobody_takes_what_is_sent_hardly_anything_is_read(tmp_path: Path) -> None:
    """Ten minutes of 429 must not use up the weight that the kill itself needs."""
    with desk_on(tmp_path) as desk:
        desk.hand(SOL, True, "3", desk.mid("SOL", 1.03), "Ioc")
        desk.hand(SOL, True, "0.2", "90")
        desk.rig.fault("too_many", where={"path": "exchange"})
        budget = desk.gateway.parts.transport.budget
        before = budget.spent()
        for _ in range(60):  # half a minute of a kill
            found = desk.gateway.sweep(ACCOUNT, flatten=True)
            assert not found.heard
        assert found.orders == 1
        assert "429" in found.trouble
        assert budget.spent() - before < 200
        desk.rig.heal()
        assert desk.swept().seen
        assert desk.rig.position() == Decimal(0)
        assert desk.rig.info("frontendOpenOrders") == []


def test_an_exchange_that_is_away_is_said(tmp_path: Path) -> None:
    with desk_on(tmp_path) as desk:
        desk.rig.fault("server_error")
        found = desk.gateway.sweep(ACCOUNT, flatten=True)
        assert not found.seen
        assert not found.heard
        assert "502" in found.trouble


def test_a_book_with_too_little_in_it_is_asked_again_without_reading_the_account(
    tmp_path: Path,
) -> None:
    """Filled in parts, as others come to trade; in between hardly any weight is spent."""
    with desk_on(tmp_path, VenueProfile(step_ms=0, agents=False)) as desk:
        desk.rig.act("fund", desk.rig.sub, "100000")

        def other(buy: bool, size: str, price: str) -> None:
            row = {"a": SOL, "b": buy, "p": price, "s": size, "r": False}
            row["t"] = {"limit": {"tif": "Gtc"}}
            action = {"type": "order", "orders": [row], "grouping": "na"}
            desk.rig.submit(desk.rig.sub, action)

        other(False, "10", "100")
        desk.hand(SOL, True, "10", "100")
        assert desk.rig.position() == 10
        budget = desk.gateway.parts.transport.budget
        before = budget.spent()
        for _ in range(20):
            found = desk.gateway.sweep(ACCOUNT, flatten=True)
            assert not found.heard
        assert "SOL 10" in found.trouble
        assert budget.spent() - before < 100
        other(True, "4", "97")
        other(True, "3", "93")
        desk.gateway.sweep(ACCOUNT, flatten=True)
        assert desk.rig.position() == 3
        other(True, "5", "95")
        assert desk.swept().seen
        assert desk.rig.position() == 0
        assert desk.rig.position(user=desk.rig.sub) == 0
