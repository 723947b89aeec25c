"""The paper exchange in another process: kills on both sides, judged from its truth file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.domain.errors import ConfigError, InfrastructureError, InputError, StorageError
from genesis.exchange.paper.config import paper_config, paper_gateway
from genesis.exchange.paper.protocol import Answer, Frames, decode_call, endpoint, frame
from genesis.exchange.paper.remote import RemotePaperGateway
from genesis.exchange.paper.server import PaperExchange, Server
from genesis.exchange.paper.truth import TruthFile
from genesis.system.clock import SystemClock
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, OrderRequest, Side
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    ConnectionChanged,
    OrderAccepted,
    OrderFilled,
    OrderStatus,
    OrderUnknown,
    Quote,
)
from tests.contract.lockstep import LockStep
from tests.integration.paper_process import CONFIG, PaperProcess, told_events
from tests.oracle.wild_market import wild_panel, wild_strategy

D = Decimal
HOUR = 3_600_000


def order(number: int, size: str = "1", **more: object) -> OrderRequest:
    given = {"side": Side.BUY, "kind": OrderKind.MARKET} | more
    return OrderRequest(
        order_id=f"ORD_{number}",
        client_id=f"c{number}",
        account="a",
        symbol="X",
        size=D(size),
        **given,  # type: ignore[arg-type]
    )


def quote(price: float, ts_ms: int) -> Event:
    return Event(Quote("X", price, price, price), ts_ms)


class StillClock:
    """A clock that moves when it is told."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now_ms(self) -> int:
        return round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def process(tmp_path: Path) -> Iterator[PaperProcess]:
    process = PaperProcess(tmp_path)
    process.start()
    yield process
    if process.process is not None and process.process.poll() is None:
        process.kill()


def client(address: str, events: list[Event], clock: object = None) -> RemotePaperGateway:
    gateway = RemotePaperGateway(address, clock or SystemClock())  # type: ignore[arg-type]
    gateway.connect(events.append)
    return gateway


def lose(gateway: RemotePaperGateway) -> None:
    """Wait until the client has noticed that its connection is gone."""
    with gateway._changed:
        assert gateway._changed.wait_for(lambda: gateway._connection is None, 30)


def of(events: list[Event], kind: type) -> list[object]:
    return [e.data for e in events if isinstance(e.data, kind)]


# ---- kills ---------------------------------------------------------------------------------


CLIENT = """
import sys
from genesis.exchange.paper.remote import RemotePaperGateway
from genesis.system.clock import SystemClock
from tests.integration.test_paper_server import order, quote
gateway = RemotePaperGateway(sys.argv[1], SystemClock())
gateway.connect(lambda event: None)
gateway.on_market(quote(100.0, 1))
number = int(sys.argv[2])
while True:
    gateway.submit(order(number))
    print(number, flush=True)
    number += 1
"""


def test_orders_of_a_killed_client_are_in_the_truth_file_once(process: PaperProcess) -> None:
    sent = 0
    for round_ in range(2):
        first = 1 + 1_000_000 * round_
        child = subprocess.Popen(
            [sys.executable, "-c", CLIENT, process.address, str(first)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(40):
            sent = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().split()
        sent = int(rest[-1]) if rest else sent
        child.wait()
        events: list[Event] = []
        gateway = client(process.address, events)
        gateway.submit(order(sent))  # sent, its answer never read: known to the exchange
        gateway.query("a", "X", f"c{sent}")
        gateway.settle()
        statuses = [e.status for e in of(events, OrderStatus)]
        assert statuses == ["filled", "filled"]
        state = gateway.account_state("a", 0)
        gateway.close()
        judged = [e.data for _, e in told_events(process.truth)]
        accepted = Counter(d.client_id for d in judged if isinstance(d, OrderAccepted))
        filled = Counter(d.fill.client_id for d in judged if isinstance(d, OrderFilled))
        wanted = {f"c{n}" for n in range(first, sent + 1)}
        assert set(accepted) >= wanted
        assert set(accepted.values()) == set(filled.values()) == {1}
        assert state.positions[0].size == len(filled)


def test_a_killed_exchange_goes_on_where_it_was(process: PaperProcess) -> None:
    events: list[Event] = []
    gateway = client(process.address, events)
    gateway.on_market(Event(BarOpened("X", HOUR, HOUR, 100.0), HOUR))
    gateway.submit(order(1, "2"))
    gateway.submit(
        order(2, "2", side=Side.SELL, kind=OrderKind.STOP, price=D(95), reduce_only=True)
    )
    gateway.settle()
    before = gateway.account_state("a", 0)
    process.kill()
    lose(gateway)
    gateway.submit(order(3))
    gateway.settle()
    assert [(d.client_id, d.what) for d in of(events, OrderUnknown)] == [("c3", "submit")]
    assert [d.connected for d in of(events, ConnectionChanged)] == [True, False]
    assert process.start()["told"] == 3
    gateway.on_market(Event(BarRange("X", HOUR, 101.0, 94.0), 2 * HOUR))
    assert [d.connected for d in of(events, ConnectionChanged)] == [True, False, True]
    fill = of(events, OrderFilled)[-1].fill
    assert (fill.client_id, fill.size) == ("c2", D(2))
    assert before.positions[0].size == D(2)
    gateway.query("a", "X", "c3")
    gateway.settle()
    assert of(events, OrderStatus)[-1].status == "absent"
    numbers = [number for number, _ in told_events(process.truth)]
    assert numbers == list(range(1, len(numbers) + 1))
    gateway.close()
    assert process.stop() == 0


def test_an_exchange_that_does_not_come_back_is_an_error(process: PaperProcess) -> None:
    clock = StillClock()
    events: list[Event] = []
    gateway = RemotePaperGateway(process.address, clock, patience_s=3.0, pause=clock.pause)
    gateway.connect(events.append)
    process.kill()
    with pytest.raises(InfrastructureError, match="does not answer"):
        gateway.on_market(quote(100.0, 1))
    with pytest.raises(InfrastructureError, match="does not answer"):
        gateway.account_state("a", 0)
    gateway.close()
    with pytest.raises(InfrastructureError, match="no paper exchange answers"):
        gateway.connect(events.append)


def test_kills_of_the_exchange_lose_and_double_nothing(tmp_path: Path) -> None:
    """The exchange is killed in the course of a run, which ends like one without kills."""
    rng = np.random.default_rng(8)
    process = PaperProcess(tmp_path)
    process.start()
    events: list[Event] = []
    gateway = client(process.address, events)
    quiet = paper_gateway(CONFIG)
    quiet.connect(lambda _: None)
    kills = {(5, 0), (12, 1), (18, 2), (25, 3)}
    for t in range(1, 31):
        price = float(100 + rng.integers(-5, 6))
        steps: list[Callable[[object], None]] = [
            lambda g, t=t, p=price: g.on_market(Event(BarOpened("X", HOUR, t * HOUR, p), t * HOUR)),
            lambda g, t=t: g.submit(order(t, side=(Side.BUY, Side.SELL)[t % 2])),
            lambda g, t=t, p=price: g.on_market(
                Event(BarRange("X", t * HOUR, p + 4, p - 4), (t + 1) * HOUR)
            ),
            lambda g, t=t, p=price: g.on_market(
                Event(BarClosed("X", HOUR, t * HOUR, p, p, p, p, 1.0), (t + 1) * HOUR)
            ),
        ]
        for k, step in enumerate(steps):
            if (t, k) in kills:
                gateway.settle()  # what is under way would be unknown, as tested above
                process.kill()
                lose(gateway)
                process.start()
            step(gateway)
            step(quiet)
        gateway.settle()
    assert of(events, OrderUnknown) == []
    assert gateway.account_state("a", 0) == quiet.account_state("a", 0)
    assert len(of(events, OrderFilled)) == 30
    gateway.close()
    process.kill()


# ---- the truth file ------------------------------------------------------------------------


def exchange_of(path: Path) -> PaperExchange:
    truth = TruthFile(path, sync=False)
    config = None if path.stat().st_size else CONFIG
    return PaperExchange(truth, config)


def traded(path: Path) -> PaperExchange:
    exchange = exchange_of(path)
    event = BarOpened("X", HOUR, HOUR, 100.0)
    exchange.carry_out(
        "market", ["bar_opened", HOUR, {f: getattr(event, f) for f in event.__struct_fields__}]
    )
    for number in range(1, 4):
        request = order(number)
        exchange.carry_out(
            "submit",
            json.loads(
                json.dumps(
                    {
                        f: str(v) if isinstance(v := getattr(request, f), Decimal) else v
                        for f in request.__struct_fields__
                    }
                )
            ),
        )
    return exchange


def test_a_truth_file_gives_the_state_back(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    exchange = traded(path)
    with pytest.raises(StorageError, match="another exchange writes"):
        TruthFile(path)
    exchange.truth.close()
    again = exchange_of(path)
    assert again.gateway.plain() == exchange.gateway.plain()
    assert (again.number, list(again.retained)) == (exchange.number, list(exchange.retained))
    assert again.number == 6


def test_a_torn_line_is_a_call_that_nobody_knows_of(tmp_path: Path) -> None:
    path, torn = tmp_path / "truth.jsonl", tmp_path / "torn.jsonl"
    traded(path).truth.close()
    data = path.read_bytes()
    last = data[:-1].rfind(b"\n") + 1
    for cut in (last + 1, (last + len(data)) // 2, len(data) - 1):
        torn.write_bytes(data[:cut])
        exchange = exchange_of(torn)
        assert exchange.number == 4
        assert torn.read_bytes() == data[:last]
        exchange.truth.close()


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:2], lines[2].replace(b'"1"', b'"2"', 1), *lines[3:]],
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [*lines[:2], b"{broken", *lines[3:]],
        lambda lines: [*lines[:2], b'{"call": "fly", "body": []}', *lines[3:]],
    ],
    ids=["a size", "a line taken out", "no JSON", "no call"],
)
def test_a_changed_truth_file_is_refused(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    path = tmp_path / "truth.jsonl"
    traded(path).truth.close()
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join(change(lines)) + b"\n")
    with pytest.raises(StorageError, match=r"line [34]"):
        exchange_of(path)


def test_settings_come_from_the_file_and_may_not_differ(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    traded(path).truth.close()
    truth = TruthFile(path)
    PaperExchange(truth, CONFIG)
    with pytest.raises(InputError, match="differ"):
        PaperExchange(truth, CONFIG | {"leverage": 5.0})
    with pytest.raises(InputError, match="needs its settings"):
        PaperExchange(TruthFile(tmp_path / "new.jsonl"))
    with pytest.raises(ConfigError, match="unknown key"):
        paper_gateway(CONFIG | {"lever": 1})


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "genesis.exchange.paper.server"]
    place = ["--truth", str(tmp_path / "t.jsonl"), "--listen"]
    for arguments, text in (
        ([*place, "tcp:0.0.0.0:1"], "new paper exchange needs its settings"),
        ([*place, "tcp:127.0.0.1:0", "--config", str(tmp_path / "none.json")], "No such file"),
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert done.returncode in (1, 2)
        assert text in done.stderr
        assert "Traceback" not in done.stderr
    for address in ("tcp:0.0.0.0:1", "tcp:example.org:80", "unix:", "file:/x"):
        with pytest.raises(ConfigError, match="this machine"):
            endpoint(address)


# ---- the connection ------------------------------------------------------------------------


class DeafServer:
    """Welcomes clients, reads one request of each and hangs up without an answer."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:{folder / 'deaf.sock'}"
        self.requests: list[str] = []
        self.hellos = 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(folder / "deaf.sock"))
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            frames, done = Frames(), False
            while not done and (data := connection.recv(65536)):
                for body in frames.feed(data):
                    call = decode_call(body)
                    if call.name == "hello":
                        self.hellos += 1
                        connection.sendall(frame(Answer(call.id, "", [0, True], [])))
                    else:
                        self.requests.append(call.name)
                        done = True
            connection.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def test_a_request_without_an_answer_is_unknown_and_never_sent_again(tmp_path: Path) -> None:
    server, clock = DeafServer(tmp_path), StillClock()
    events: list[Event] = []
    gateway = client(server.address, events, clock)
    gateway.submit(order(1))
    assert gateway.settle()
    (unknown,) = of(events, OrderUnknown)
    assert (unknown.client_id, unknown.what) == ("c1", "submit")
    gateway.submit(order(2))  # too early to connect again
    assert [d.why for d in of(events, OrderUnknown)][1:] == ["no connection"]
    assert server.hellos == 1
    clock.pause(0.06)
    gateway.submit(order(3))
    gateway.settle()
    assert server.hellos == 2
    assert [d.client_id for d in of(events, OrderUnknown)] == ["c1", "c2", "c3"]
    gateway.close()
    server.close()
    assert server.requests == ["submit", "submit"]


def test_attempts_to_connect_get_rarer(tmp_path: Path) -> None:
    server, clock = DeafServer(tmp_path), StillClock()
    gateway = client(server.address, [], clock)
    gateway.submit(order(1))  # after which it hangs up
    gateway.settle()
    server.close()
    (tmp_path / "deaf.sock").unlink()
    tries = []
    for _ in range(400):
        before = gateway._next_try
        gateway.submit(order(2))
        if gateway._next_try != before:
            tries.append(clock.seconds)
        clock.pause(0.025)
    waits = np.diff(tries)
    assert np.all(np.diff(waits) > -0.03)
    assert waits[0] < 0.2
    assert waits[-1] == pytest.approx(2.0, abs=0.03)


def test_what_was_missed_is_told_after_a_reconnect_and_once(tmp_path: Path) -> None:
    exchange = exchange_of_new(tmp_path)
    server = Server(exchange, f"unix:{tmp_path / 'p.sock'}")
    thread = threading.Thread(target=server.serve)
    thread.start()
    clock = StillClock()
    events: list[Event] = []
    gateway = client(server.address, events, clock)
    gateway.on_market(quote(100.0, 1))
    gateway.submit(order(1, kind=OrderKind.LIMIT, price=D(90)))
    gateway.submit(order(2))
    gateway.settle()
    assert gateway._connection is not None
    gateway._connection.plug.shutdown(socket.SHUT_RDWR)
    lose(gateway)
    other = client(server.address, [])
    other.on_market(quote(89.0, 2))  # its answer goes to the other client
    other.close()
    clock.pause(1.0)
    gateway.query("a", "X", "c1")
    gateway.settle()
    fills = [d.fill.client_id for d in of(events, OrderFilled)]
    assert fills == ["c2", "c1"]
    assert of(events, OrderStatus)[-1].status == "filled"
    assert of(events, OrderUnknown) == []
    gateway.close()
    server.stop()
    thread.join()
    server.close()


def exchange_of_new(folder: Path) -> PaperExchange:
    return PaperExchange(TruthFile(folder / "truth.jsonl", sync=False), CONFIG)


def test_nonsense_on_the_wire_ends_that_connection_only(process: PaperProcess) -> None:
    events: list[Event] = []
    gateway = client(process.address, events)
    for nonsense in (b"\xff" * 64, b"\x00\x00\x00\x03abc"):
        rude = socket.socket(socket.AF_UNIX)
        rude.connect(process.address.removeprefix("unix:"))
        rude.sendall(nonsense)
        assert rude.recv(100) == b""
        rude.close()
    gateway.on_market(quote(100.0, 1))
    gateway.submit(order(1))
    gateway.settle()
    assert len(of(events, OrderFilled)) == 1
    gateway.close()


# ---- parity --------------------------------------------------------------------------------


def test_the_remote_exchange_gives_the_fills_of_the_local_one(tmp_path: Path) -> None:
    total = 0
    for seed in (0, 1, 3):
        rng = np.random.default_rng(seed)
        panel = wild_panel(seed, 200, ends=180)
        evaluator = Evaluator(panel, EvaluationSetup(orders_per_bar=3.0))
        setup, strategy = evaluator.setup, wild_strategy(rng)
        config = paper_config([evaluator.frame(0).instrument], setup.costs, setup.leverage)
        folder = tmp_path / str(seed)
        folder.mkdir()
        process = PaperProcess(folder, config)
        process.start()
        gateway = RemotePaperGateway(process.address, SystemClock())
        remote = LockStep(gateway, evaluator, strategy).run()
        gateway.close()
        process.kill()
        local = LockStep(paper_gateway(config), evaluator, strategy).run()
        assert remote == local
        told = [e.data.fill for _, e in told_events(process.truth) if hasattr(e.data, "fill")]
        assert told == [p.fill for p in local]
        total += len(local)
        shutil.rmtree(folder)
    assert total > 20
