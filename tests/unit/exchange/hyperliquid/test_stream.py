"""A websocket on a clock that is moved by hand: watched, reconnected, subscribed again."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from genesis.exchange.hyperliquid.settings import StreamSettings
from genesis.exchange.hyperliquid.stream import Stream
from tests.unit.exchange.hyperliquid.hands import HandWaits, breathe

WANTED = [{"type": "orderUpdates", "user": "0xAB"}, {"type": "allMids"}]


class Socket:
    """The client's end of a connection whose other end is the test."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()

    async def send_str(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def close(self) -> None:
        self.closed = True
        self._frames.put_nowait(None)

    def exception(self) -> None:
        return None

    def say(self, channel: str, data: Any = None) -> None:
        self._frames.put_nowait(json.dumps({"channel": channel, "data": data}))

    def say_text(self, text: str) -> None:
        self._frames.put_nowait(text)

    def acknowledge(self) -> None:
        for body in self.sent:
            if body["method"] == "subscribe":
                more = {"user": body["subscription"].get("user", "").lower(), "dex": ""}
                echo = body["subscription"] | more
                self.say("subscriptionResponse", {"method": "subscribe", "subscription": echo})

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> SimpleNamespace:
        text = await self._frames.get()
        if text is None:
            raise StopAsyncIteration
        return SimpleNamespace(type=aiohttp.WSMsgType.TEXT, data=text)


class Server:
    """Gives out sockets, or refuses them."""

    def __init__(self, waits: HandWaits) -> None:
        self.waits = waits
        self.sockets: list[Socket] = []
        self.tried: list[float] = []
        self.refuses = False

    async def ws_connect(self, url: str, **_: Any) -> Socket:
        assert url == "ws://there/ws"
        self.tried.append(self.waits.monotonic())
        if self.refuses:
            raise aiohttp.ClientError("refused")
        self.sockets.append(Socket())
        return self.sockets[-1]


class Ears:
    """What a listener heard."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, Any]] = []
        self.ups = 0
        self.downs: list[str] = []
        self.malformed: list[str] = []
        self.refused: list[str] = []

    def on_frame(self, channel: str, data: Any) -> None:
        self.frames.append((channel, data))

    def on_malformed(self, text: str, why: str) -> None:
        self.malformed.append(text)

    def on_refused(self, text: str) -> None:
        self.refused.append(text)

    async def on_up(self) -> None:
        self.ups += 1

    def on_down(self, why: str) -> None:
        self.downs.append(why)

    def full(self) -> bool:
        return False


class Scene:
    def __init__(self, **more: Any) -> None:
        self.waits = HandWaits()
        self.server, self.ears = Server(self.waits), Ears()
        self.stream = Stream(
            "ws://there/ws",
            lambda: self.server,  # type: ignore[arg-type,return-value]
            self.waits,
            StreamSettings(**more),
            random.Random(4),
            self.ears,
            list(WANTED),
        )

    @property
    def socket(self) -> Socket:
        return self.server.sockets[-1]

    async def up(self) -> None:
        await breathe()
        self.socket.acknowledge()
        await breathe()
        assert self.stream.up


def play(act: Callable[[Scene], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        scene = Scene(**more)
        task = asyncio.create_task(scene.stream.run())
        await breathe()
        try:
            await act(scene)
        finally:
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(run())


def test_it_is_up_when_every_subscription_is_acknowledged() -> None:
    async def act(scene: Scene) -> None:
        await breathe()
        wanted = [b["subscription"] for b in scene.socket.sent if b["method"] == "subscribe"]
        assert wanted == WANTED
        scene.socket.say_text("Websocket connection established.")
        first = {"method": "subscribe", "subscription": {"type": "allMids", "dex": ""}}
        scene.socket.say("subscriptionResponse", first)
        await breathe()
        assert not scene.stream.up
        await scene.up()
        scene.socket.say("allMids", {"mids": {}})
        await breathe()
        assert scene.ears.frames == [("allMids", {"mids": {}})]
        assert (scene.ears.ups, scene.ears.malformed) == (1, [])

    play(act)


def test_a_silent_socket_is_left_within_fifteen_seconds_and_subscribed_anew() -> None:
    async def act(scene: Scene) -> None:
        await scene.up()
        await scene.waits.pass_(15.0)
        assert len(scene.ears.downs) == 1
        assert {"method": "ping"} in scene.server.sockets[0].sent
        await scene.waits.pass_(1.0)
        assert len(scene.server.sockets) == 2
        await scene.up()
        assert scene.ears.ups == 2

    play(act)


def test_a_socket_that_only_answers_pings_is_left_too() -> None:
    async def act(scene: Scene) -> None:
        await scene.up()
        for _ in range(32):
            await scene.waits.pass_(0.5)
            if scene.socket.sent[-1] == {"method": "ping"}:
                scene.socket.say("pong")
        assert len(scene.ears.downs) == 1
        assert "no data" in scene.ears.downs[0]

    play(act)


def test_data_and_pongs_keep_it_and_pings_are_never_far_apart() -> None:
    async def act(scene: Scene) -> None:
        await scene.up()
        pings = []
        for _ in range(240):
            count = len(scene.socket.sent)
            await scene.waits.pass_(0.5)
            scene.socket.say("allMids", {"mids": {}})
            if len(scene.socket.sent) > count:
                pings.append(scene.waits.monotonic())
                scene.socket.say("pong")
        assert scene.ears.downs == []
        gaps = [after - before for before, after in itertools.pairwise(pings)]
        assert 19.0 <= min(gaps) <= max(gaps) <= 30.0

    play(act)


def test_missing_acknowledgements_and_pongs_end_a_connection() -> None:
    async def act(scene: Scene) -> None:
        for _ in range(22):
            await scene.waits.pass_(0.5)
            scene.socket.say("allMids", {"mids": {}})
        assert "not acknowledged" in scene.ears.downs[0]

    async def deaf(scene: Scene) -> None:
        await scene.up()
        for _ in range(64):
            await scene.waits.pass_(0.5)
            scene.socket.say("allMids", {"mids": {}})  # it speaks, and does not hear
        assert "answer to a ping" in scene.ears.downs[0]

    play(act)
    play(deaf)


def test_attempts_grow_apart_with_jitter_and_respect_the_limit_of_connections() -> None:
    async def act(scene: Scene) -> None:
        scene.server.refuses = True
        await scene.socket.close()
        await scene.waits.pass_(600.0)
        gaps = [b - a for a, b in itertools.pairwise(scene.server.tried)]
        assert gaps[0] < 0.6
        assert 7.5 <= min(gaps[8:]) <= max(gaps[8:]) <= 15.0
        assert len({round(gap, 6) for gap in gaps[8:]}) > 5  # no two clients in step
        for ends in scene.server.tried:
            assert sum(ends - 60.0 < when <= ends for when in scene.server.tried) <= 30

    play(act)


def test_fifty_flaps_never_make_more_than_thirty_connections_a_minute() -> None:
    async def act(scene: Scene) -> None:
        for _ in range(50):
            made = len(scene.server.sockets)
            await scene.up()
            await scene.socket.close()
            while len(scene.server.sockets) == made:
                await scene.waits.pass_(0.5)
        for ends in scene.server.tried:
            assert sum(ends - 60.0 < when <= ends for when in scene.server.tried) <= 30
        await scene.up()
        assert scene.ears.ups == 51

    play(act)


@pytest.mark.parametrize("text", ["{", "[]", "5", '{"data":1}', "null"])
def test_a_frame_that_cannot_be_read_is_handed_on_and_the_stream_lives(text: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.up()
        scene.socket.say_text(text)
        scene.socket.say("allMids", 1)
        await breathe()
        assert scene.ears.malformed == [text]
        assert scene.ears.frames == [("allMids", 1)]

    play(act)


def test_refused_subscriptions_are_told_and_not_asked_for_again() -> None:
    async def act(scene: Scene) -> None:
        await breathe()
        scene.socket.say("error", 'Invalid subscription {"type":"orderUpdates","user":"0xAB"}')
        echo = {"method": "subscribe", "subscription": {"type": "allMids"}}
        scene.socket.say("subscriptionResponse", echo)
        await breathe()
        assert len(scene.ears.refused) == 1
        assert scene.stream.up

    play(act)


def test_a_barrier_waits_for_what_was_said_before() -> None:
    async def act(scene: Scene) -> None:
        await scene.up()
        barrier = asyncio.create_task(scene.stream.barrier())
        await breathe()
        scene.socket.say("allMids", 1)
        await breathe()
        assert not barrier.done()
        scene.socket.say("pong")
        await breathe()
        assert barrier.done()

    play(act)
