"""The live sentiment client against a loopback server that answers in the recorded shape."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from genesis.domain.errors import ConfigError
from genesis.domain.timeline import DAY_MS, MINUTE_MS
from genesis.market.sentiment import STALE_MS
from genesis.market.sources.fear_greed import FearGreedClient

TODAY = 1_735_689_600_000  # 2025-01-01T00:00Z


def answer(value: object = "40", ts_ms: int = TODAY) -> bytes:
    row = {
        "value": value,
        "value_classification": "Fear",
        "timestamp": str(ts_ms // 1000),
        "time_until_update": "68499",
    }
    body = {"name": "Fear and Greed Index", "data": [row], "metadata": {"error": None}}
    return json.dumps(body).encode()


class Server:
    def __init__(self) -> None:
        self.body = answer()
        self.status = 200
        self.requests = 0
        self.cut = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body) + 100 * outer.cut))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/fng/?limit=1"


class Clock:
    def __init__(self) -> None:
        self.ms = TODAY + 12 * 3_600_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


def test_a_value_with_its_stamp_and_age(server: Server) -> None:
    client = FearGreedClient(Clock(), server.address)
    assert client.probe() == ""
    reading = client.latest()
    assert (reading.index, reading.ts_ms, reading.age_ms) == (40.0, TODAY, 12 * 3_600_000)
    assert not reading.neutral


def test_it_asks_every_ten_minutes_whether_it_was_answered_or_not(server: Server) -> None:
    clock = Clock()
    client = FearGreedClient(clock, server.address)
    for _ in range(5):
        client.latest()
    assert server.requests == 1
    clock.ms += 10 * MINUTE_MS
    server.status = 500
    for _ in range(5):
        assert client.latest().index == 40.0  # the last good value, with its age
    assert server.requests == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"null",
        b'{"data": []}',
        b'{"data": [{"value": "40"}]}',
        b'{"data": {"0": 1}}',
        b"[" * 60_000,
        answer("many"),
        answer("NaN"),
        answer("Infinity"),
        answer("-1"),
        answer("101"),
        answer(True),
        answer(None),
        answer("50", TODAY + DAY_MS),  # of tomorrow
        b'{"data": [{"value": "50", "timestamp": "1e999"}]}',
        b"\xff\xfe",
    ],
)
def test_garbage_is_neutral_and_says_so(server: Server, body: bytes) -> None:
    server.body = body
    client = FearGreedClient(Clock(), server.address)
    assert client.probe()
    reading = client.latest()
    assert reading.neutral
    assert math.isnan(reading.index)
    assert reading.age_ms == -1
    # And a good value that is held stays.
    server.body = answer("20")
    clock = Clock()
    client = FearGreedClient(clock, server.address)
    assert client.latest().index == 20.0
    server.body = body
    clock.ms += 10 * MINUTE_MS
    assert client.latest().index == 20.0


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_a_server_that_refuses_is_neutral(server: Server, status: int) -> None:
    server.status = status
    client = FearGreedClient(Clock(), server.address)
    assert str(status) in client.probe()
    assert client.latest().neutral


def test_a_torn_answer_is_neutral(server: Server) -> None:
    server.cut = True
    server.body = answer()[:60]
    assert FearGreedClient(Clock(), server.address, timeout_s=0.3).probe()


def test_nobody_there_is_neutral() -> None:
    client = FearGreedClient(Clock(), "http://127.0.0.1:9/fng/", timeout_s=0.5)
    assert "does not answer" in client.probe()
    assert client.latest().neutral


def test_a_stale_value_is_neutral_and_says_how_old_it_is(server: Server) -> None:
    clock = Clock()
    client = FearGreedClient(clock, server.address)
    client.latest()
    clock.ms = TODAY + STALE_MS
    assert client.latest().index == 40.0
    clock.ms += 3_600_000
    stale = client.latest()
    assert stale.neutral
    assert "73 h old" in stale.note


def test_an_older_value_than_before_is_not_taken(server: Server) -> None:
    clock = Clock()
    client = FearGreedClient(clock, server.address)
    client.latest()
    server.body = answer("90", TODAY - DAY_MS)
    clock.ms += 10 * MINUTE_MS
    assert client.latest().index == 40.0


def test_the_last_good_value_survives_a_restart(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "index.json"
    assert FearGreedClient(Clock(), server.address, cache).probe() == ""
    server.status = 500
    reading = FearGreedClient(Clock(), server.address, cache).latest()
    assert (reading.index, reading.ts_ms) == (40.0, TODAY)
    for garbage in ("", "{", '{"ts_ms": 1, "index": 400}', "[1]", '{"ts_ms": 1e999, "index": 4}'):
        cache.write_text(garbage)
        assert FearGreedClient(Clock(), server.address, cache).latest().neutral


def test_an_address_of_another_kind_is_refused() -> None:
    for address in ("file:///etc/passwd", "ftp://x", "nonsense"):
        with pytest.raises(ConfigError):
            FearGreedClient(Clock(), address)
