"""Requests over loopback sockets to a scripted server: what is tried again, and what never."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey

from genesis.domain.errors import InfrastructureError
from genesis.exchange.hyperliquid.answers import Verdict
from genesis.exchange.hyperliquid.breaker import Breaker
from genesis.exchange.hyperliquid.latency import Latency
from genesis.exchange.hyperliquid.limits import Priority, WeightBudget
from genesis.exchange.hyperliquid.transport import Transport, info_weight, rows_weight
from genesis.exchange.hyperliquid.unreached import in_words, silent
from genesis.exchange.hyperliquid.waits import RealWaits
from genesis.system.clock import SystemClock

ASK = {"type": "meta"}
Answer = tuple[int, bytes] | str


class Script:
    """Answers in turn; the last one for ever. ``cut`` and ``hang`` give none."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, bytes]] = []
        self.peers: set[Any] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path, await request.read()))
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        now = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if now == "cut":
            request.transport.abort()
        elif now == "hang":
            await asyncio.sleep(5.0)
        if isinstance(now, str):
            return web.Response(status=500)
        return web.Response(status=now[0], body=now[1])


def play(
    script: Script, act: Callable[[Transport], Awaitable[None]], *, serve: bool = True
) -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_post("/{any}", script.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        if not serve:
            await runner.cleanup()
        waits = RealWaits(SystemClock())
        transport = Transport(
            f"http://127.0.0.1:{port}",
            waits,
            WeightBudget(waits),
            Breaker(3, 1.0, 1.0, lambda *_: None),
            Latency(0.1, 0.3),
            Latency(0.1, 0.3),
            3,
            random.Random(1),
        )
        try:
            await act(transport)
        finally:
            await transport.close()
            await runner.cleanup()

    asyncio.run(run())


@pytest.mark.parametrize("first", [(500, b""), (200, b"<html>"), "cut", "hang", (429, b"null")])
def test_a_read_is_tried_again(first: Answer) -> None:
    script = Script(first, (200, b'{"fine":1}'))

    async def act(transport: Transport) -> None:
        assert await transport.info(ASK) == {"fine": 1}
        assert len(script.seen) == 2
        assert not transport.breaker.open

    play(script, act)


def test_a_read_gives_up_and_says_why() -> None:
    script = Script((503, b""))

    async def act(transport: Transport) -> None:
        with pytest.raises(InfrastructureError, match="status 503"):
            await transport.info(ASK)
        assert len(script.seen) == 3
        assert transport.breaker.open

    play(script, act)


def test_a_read_that_was_wrong_is_not_repeated() -> None:
    script = Script((422, b"Failed to deserialize"))

    async def act(transport: Transport) -> None:
        with pytest.raises(InfrastructureError, match="Failed to deserialize"):
            await transport.info(ASK)
        assert len(script.seen) == 1

    play(script, act)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ((500, b""), Verdict.UNKNOWN),
        ((200, b"<html>"), Verdict.UNKNOWN),
        ("cut", Verdict.UNKNOWN),
        ("hang", Verdict.UNKNOWN),
        ((429, b"null"), Verdict.REFUSED),
        ((200, b'{"status":"ok","response":{"type":"default"}}'), Verdict.DONE),
    ],
)
def test_what_acts_is_sent_once(answer: Answer, verdict: Verdict) -> None:
    script = Script(answer)

    async def act(transport: Transport) -> None:
        reply = await transport.exchange(b'{"action":1}')
        assert reply.verdict is verdict
        assert script.seen == [("/exchange", b'{"action":1}')]

    play(script, act)


def test_after_an_idle_connection_was_cut_nothing_is_sent_twice() -> None:
    script = Script((200, b'{"status":"ok"}'), "cut", (200, b'{"status":"ok"}'))

    async def act(transport: Transport) -> None:
        assert (await transport.exchange(b"1")).verdict is Verdict.DONE
        assert (await transport.exchange(b"2")).verdict is Verdict.UNKNOWN  # on the kept one
        assert [body for _, body in script.seen] == [b"1", b"2"]

    play(script, act)


def test_where_nobody_listens_nothing_was_sent() -> None:
    async def act(transport: Transport) -> None:
        reply = await transport.exchange(b"1")
        assert (reply.verdict, reply.reason) == (Verdict.REFUSED, "unreachable")
        assert reply.text.startswith("nothing listens at 127.0.0.1:")
        with pytest.raises(InfrastructureError) as silent:
            await transport.info(ASK)
        assert silent.value.why == reply.text
        assert "genesis venue serve" in silent.value.fix

    play(Script((200, b"")), act, serve=False)


def test_connections_are_kept_and_do_not_delay_small_segments() -> None:
    script = Script((200, b"{}"))

    async def act(transport: Transport) -> None:
        for _ in range(10):
            await transport.info(ASK)
        assert len(script.peers) == 1
        connector = transport.session.connector
        assert connector is not None
        kept = [row[0] for rows in connector._conns.values() for row in rows]  # type: ignore[attr-defined]
        (plug,) = [protocol.transport.get_extra_info("socket") for protocol in kept]
        assert plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    play(script, act)


def test_weights_are_those_of_the_documentation() -> None:
    assert [info_weight(k) for k in ("l2Book", "orderStatus", "meta", "userRole")] == [2, 2, 20, 60]
    assert rows_weight("userFills", [0] * 2_000) == 100
    assert rows_weight("candleSnapshot", [0] * 600) == 10
    assert rows_weight("meta", {}) == 0

    async def act(transport: Transport) -> None:
        await transport.info({"type": "userFills"})
        assert transport.budget.spent() == 20 + 5
        await transport.info({"type": "allMids"}, Priority.ORDER)
        assert transport.budget.spent() == 27 + 5  # its rows are counted too

    play(Script((200, b"[" + b"0," * 99 + b"0]")), act)


def test_what_keeps_from_a_server_is_said_in_words() -> None:
    key = ConnectionKey("example.org", 443, True, True, None, None, None)
    words = [
        in_words(kind(key, OSError(number, "text")))
        for kind, number in (
            (aiohttp.ClientConnectorDNSError, -2),
            (aiohttp.ClientConnectorSSLError, 1),
            (aiohttp.ClientConnectorError, errno.ENETUNREACH),
            (aiohttp.ClientConnectorError, errno.ECONNREFUSED),
        )
    ]
    assert words == [
        "the name example.org is not known here (DNS)",
        "example.org:443 proves no identity that is trusted (TLS)",
        "example.org:443 cannot be reached: network is unreachable",
        "nothing listens at example.org:443",
    ]
    assert in_words(aiohttp.ServerDisconnectedError()).startswith("the connection was cut")
    assert in_words(ValueError("odd")) == "ValueError: odd"
    assert "status page" in silent("https://api.hyperliquid.xyz", "meta", "x").fix
