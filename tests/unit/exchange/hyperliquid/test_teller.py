"""What is told, once and in an order that makes sense; and the words of requests."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import ConfigError
from genesis.exchange.hyperliquid.delivery import Delivery
from genesis.exchange.hyperliquid.settings import (
    AccountBinding,
    HyperliquidSettings,
    Network,
    settings_from,
)
from genesis.exchange.hyperliquid.spelling import Spelling
from genesis.exchange.hyperliquid.teller import Teller
from genesis.exchange.hyperliquid.tickets import Leg, Ticket, Tickets
from genesis.trading.payloads import (
    AlertRaised,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderStatus,
)
from tests.unit.exchange.hyperliquid.hands import HandWaits

D = Decimal
ME = "0x" + "ab" * 20


def row(tid: int, size: str = "0.5", oid: int = 7, **more: Any) -> dict[str, Any]:
    return {
        "coin": "SOL",
        "px": "100.0",
        "sz": size,
        "side": "B",
        "time": 1_000 + tid,
        "startPosition": "0.0",
        "dir": "Open Long",
        "closedPnl": "0.0",
        "hash": "0x0",
        "oid": oid,
        "crossed": True,
        "fee": "0.0225",
        "tid": tid,
        "feeToken": "USDC",
        **more,
    }


class Scene:
    def __init__(self) -> None:
        self.delivery = Delivery(HandWaits(), "test")
        self.tickets = Tickets()
        self.chased: list[Leg] = []
        self.traded: list[D] = []
        self.teller = Teller(
            self.delivery,
            self.tickets,
            "hl",
            lambda _, leg: self.chased.append(leg),
            lambda _, dollars: self.traded.append(dollars),
        )

    def ticket(self, size: str = "1") -> Ticket:
        ticket = self.tickets.open("0x1", "a", "SOL", 0)
        ticket.sent_size = D(size)
        return ticket

    @property
    def told(self) -> list[Any]:
        return [event.data for event in self.delivery._events]


def test_a_fill_that_is_faster_than_its_acceptance_is_told_after_it() -> None:
    scene = Scene()
    scene.ticket()
    assert scene.teller.fill("a", ME, row(1, cloid="0x1"))
    scene.teller.accepted(scene.tickets.get("0x1"), "7")  # type: ignore[arg-type]
    assert [type(data) for data in scene.told] == [OrderAccepted, OrderFilled]


def test_a_fill_is_told_once_for_each_account() -> None:
    scene = Scene()
    for _ in range(3):
        scene.teller.fill("a", ME, row(1))
        scene.teller.fill("b", ME, row(1))  # two accounts of ours may share a number
    assert len(scene.told) == 2
    assert scene.teller.repeated == 4
    assert scene.traded == [D(50), D(50)]


def test_an_end_waits_for_the_fills_that_the_exchange_counted() -> None:
    scene = Scene()
    ticket = scene.ticket()
    scene.teller.accepted(ticket, "7")
    scene.teller.ended(ticket, "7", "canceled", D("0.8"))
    assert scene.chased == [ticket.legs["7"]]
    scene.teller.fill("a", ME, row(1, "0.5"))
    assert not any(isinstance(data, OrderCanceled) for data in scene.told)
    scene.teller.fill("a", ME, row(2, "0.3"))
    assert isinstance(scene.told[-1], OrderCanceled)
    scene.teller.ended(ticket, "7", "canceled", D("0.8"))
    assert sum(isinstance(data, OrderCanceled) for data in scene.told) == 1
    assert ticket.over


def test_fills_that_never_come_are_told_as_missing() -> None:
    scene = Scene()
    ticket = scene.ticket()
    scene.teller.accepted(ticket, "7")
    scene.teller.ended(ticket, "7", "canceled", D("0.8"))
    scene.teller.give_up(ticket, ticket.legs["7"])
    alert, status = scene.told[-2:]
    assert isinstance(alert, AlertRaised)
    assert isinstance(status, OrderStatus)
    assert (status.status, status.filled) == ("canceled", D("0.8"))


def test_a_maker_of_somebody_elses_liquidation_was_not_liquidated() -> None:
    scene = Scene()
    other = {"liquidatedUser": "0x" + "cd" * 20, "markPx": "1", "method": "market"}
    scene.teller.fill("a", ME, row(1, liquidation=other))
    scene.teller.fill("a", ME, row(2, liquidation=other | {"liquidatedUser": ME.upper()}))
    assert [data.fill.cause for data in scene.told] == ["order", "liquidation"]


@pytest.mark.parametrize(
    "wrong",
    [{"px": "NaN"}, {"sz": "0"}, {"sz": "-1"}, {"side": "X"}, {"tid": None}, {"fee": "Infinity"}],
    ids=str,
)
def test_a_fill_that_makes_no_sense_is_not_told(wrong: dict[str, Any]) -> None:
    scene = Scene()
    with pytest.raises((KeyError, TypeError, ValueError, ArithmeticError)):
        scene.teller.fill("a", ME, row(1) | wrong)
    assert scene.told == []


def test_what_was_sent_otherwise_is_given_back_as_it_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "spelling.jsonl"
    spelling = Spelling(path)
    spelling.note("0x1", D("94.98765"), D("0.509"), D("94.987"), D("0.5"))
    spelling.note("0x2", D("95"), D("1"), D("95"), D("1"))  # as asked: nothing to remember
    spelling.close()
    with path.open("a") as file:
        file.write('["0x3", "1", "2')  # a process was killed while it wrote
    again = Spelling(path)
    assert again.price("0x1", D("94.987")) == D("94.98765")
    assert again.size("0x1", D("0.5")) == D("0.509")
    assert again.price("0x1", D("96")) == D("96")  # somebody else changed it
    assert again.price("0x2", D("95")) == D("95")
    assert "0x2" not in path.read_text()
    again.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"accounts": []},
        {"accounts": [{"name": "a", "address": "0x12"}]},
        {"accounts": [{"name": "a", "address": ME}, {"name": "b", "address": ME.upper()[2:]}]},
        {"accounts": [{"name": "a", "address": ME}, {"name": "a", "address": ME[:-1] + "c"}]},
        {"base_url": "http://example.org"},
        {"base_url": "ftp://127.0.0.1"},
        {"network": "local", "base_url": "https://example.org"},
        {"network": "mainnet", "base_url": "http://127.0.0.1:3001"},
        {"slippage": "0.9"},
        {"expiry_ms": 10},
        {"cancel_reserve": 0},
        {"leverage": {"SOL": 99}},
        {"unknown": 1},
        {"stream": {"silence_s": 5.0}},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    plain = {"state_dir": "x", "accounts": [{"name": "a", "address": ME}]}
    settings_from(plain)
    with pytest.raises(ConfigError):
        settings_from(plain | wrong)


def test_testnet_is_the_default_and_only_mainnet_signs_for_real_money() -> None:
    accounts = (AccountBinding("a", ME),)
    settings = HyperliquidSettings("x", accounts)
    assert settings.url == "https://api.hyperliquid-testnet.xyz"
    assert settings.ws_url == "wss://api.hyperliquid-testnet.xyz/ws"
    assert not settings.mainnet
    assert HyperliquidSettings("x", accounts, Network.MAINNET).mainnet
    local = HyperliquidSettings("x", accounts, Network.LOCAL)
    assert (local.ws_url, local.mainnet) == ("ws://127.0.0.1:3001/ws", False)
