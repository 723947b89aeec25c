"""The gateway contract on the paper exchange: in this process, filling in parts, and remote."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.config import paper_config, paper_gateway
from genesis.exchange.paper.desk import PartialFills
from genesis.exchange.paper.remote import RemotePaperGateway
from genesis.exchange.paper.server import PaperExchange, Server
from genesis.exchange.paper.truth import TruthFile
from genesis.system.clock import SystemClock
from genesis.trading.events import Event
from genesis.trading.payloads import Quote
from tests.contract.gateway_contract import Bench, GatewayContract

START = 1_700_000_000_000
INSTRUMENTS = [Instrument("BTCUSDT", "BTC", tick=0.01, lot=0.001, min_notional=1.0)]


class Ticker:
    """Sets the price of a paper exchange by quotes a second apart."""

    def __init__(self, gateway: object) -> None:
        self.gateway = gateway
        self.now_ms = START
        self.price(100.0)

    def price(self, value: float) -> None:
        self.now_ms += 1_000
        quote = Quote("BTCUSDT", value, value, value)
        self.gateway.on_market(Event(quote, self.now_ms))  # type: ignore[attr-defined]


def local_bench(**options: object) -> Bench:
    gateway = paper_gateway(
        paper_config(INSTRUMENTS, CostModel(), 3.0, **options)  # type: ignore[arg-type]
    )
    events: list[Event] = []
    gateway.connect(events.append)
    ticker = Ticker(gateway)

    def reopen(sink: object) -> object:
        gateway.connect(sink)  # type: ignore[arg-type]
        return gateway

    return Bench(
        gateway,
        "paper/one",
        "BTCUSDT",
        ticker.price,
        gateway.settle,
        lambda: ticker.now_ms,
        reopen,  # type: ignore[arg-type]
        events,
    )


class TestPaper(GatewayContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return local_bench()


class TestPaperInParts(GatewayContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return local_bench(partial=PartialFills(seed=5, chance=1.0))


class TestPaperWithExecutionModel(GatewayContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return local_bench(execution=ExecutionModel(seed=5))


class TestRemotePaper(GatewayContract):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        truth = TruthFile(tmp_path / "truth.jsonl", sync=False)
        exchange = PaperExchange(truth, paper_config(INSTRUMENTS, CostModel(), 3.0))
        server = Server(exchange, f"unix:{tmp_path / 'paper.sock'}")
        thread = threading.Thread(target=server.serve)
        thread.start()
        gateway = RemotePaperGateway(server.address, SystemClock())
        events: list[Event] = []
        gateway.connect(events.append)
        ticker = Ticker(gateway)

        def reopen(sink: object) -> object:
            other = RemotePaperGateway(server.address, SystemClock())
            other.connect(sink)  # type: ignore[arg-type]
            return other

        yield Bench(
            gateway,
            "paper/one",
            "BTCUSDT",
            ticker.price,
            gateway.settle,
            lambda: ticker.now_ms,
            reopen,  # type: ignore[arg-type]
            events,
        )
        gateway.close()
        server.stop()
        thread.join()
        server.close()
        truth.close()
