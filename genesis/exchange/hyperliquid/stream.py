"""A websocket that is never silently dead: watched, reconnected, subscribed again.

The exchange numbers nothing, so that what was missed cannot be seen from the stream: after each
reconnection, once every subscription is acknowledged, whoever listens has to ask for the truth.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import msgspec

from genesis.exchange.hyperliquid.settings import StreamSettings
from genesis.exchange.hyperliquid.unreached import in_words
from genesis.exchange.hyperliquid.waits import Waits, within

Json = dict[str, Any]
_GREETING = "Websocket connection established."
_PING = '{"method":"ping"}'
_TICK_S = 0.5
_ROOM_S = 0.01


class Listener(Protocol):
    """Who hears what a stream says; called on the event loop."""

    def on_frame(self, channel: str, data: Any) -> None:
        """A message of a channel."""
        ...

    def on_malformed(self, text: str, why: str) -> None:
        """A frame that cannot be read."""
        ...

    async def on_up(self) -> None:
        """Every subscription is acknowledged, for the first time or again."""
        ...

    def on_down(self, why: str) -> None:
        """The connection is lost, or none could be made."""
        ...

    def on_refused(self, text: str) -> None:
        """The exchange refuses a subscription."""
        ...

    def full(self) -> bool:
        """Whether reading should wait."""
        ...


class Stream:
    """One websocket.

    Parameters
    ----------
    url : str
    session : callable
        The shared HTTP session.
    waits : Waits
    settings : StreamSettings
    random_ : random.Random
        Of the jitter between attempts.
    listener : Listener
    subscriptions : list of dict
    """

    def __init__(
        self,
        url: str,
        session: Callable[[], aiohttp.ClientSession],
        waits: Waits,
        settings: StreamSettings,
        random_: random.Random,
        listener: Listener,
        subscriptions: list[Json],
    ) -> None:
        self._url = url
        self._session = session
        self._waits = waits
        self._settings = settings
        self._random = random_
        self._listener = listener
        self._wanted = list(subscriptions)
        self._missing: list[Json] = []
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._why = ""
        self._wait_s = settings.first_wait_s
        self._frame_s = self._data_s = self._ping_s = self._pong_due_s = 0.0
        self._pongs: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.up = False
        self.connections = 0
        self.frames = 0

    async def run(self) -> None:
        """Connect, and connect again, until it is cancelled."""
        try:
            while True:
                began = self._waits.monotonic()
                why = await self._once()
                self.up = False
                self._listener.on_down(why)
                if self._waits.monotonic() - began >= self._settings.steady_s:
                    self._wait_s = self._settings.first_wait_s
                await self._waits.sleep(self._wait_s * (0.5 + 0.5 * self._random.random()))
                self._wait_s = min(2.0 * self._wait_s, self._settings.longest_wait_s)
        finally:
            for task in self._tasks:
                task.cancel()
            if self._ws is not None:
                await self._hang_up(self._ws)

    async def barrier(self) -> None:
        """Return when everything that the exchange sent until now was heard."""
        if self._ws is None or self._ws.closed:
            return
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs.append(heard)
        await self._ping(self._ws)
        await heard

    # ---- one connection --------------------------------------------------------------------

    async def _once(self) -> str:
        """Connect and read until the connection is lost; returns why it was."""
        self._why = ""
        try:
            ws = await within(self._waits, self._settings.ack_s, self._open())
        except TimeoutError:
            return "no connection in time"
        except (aiohttp.ClientError, OSError) as error:
            return in_words(error)
        self._ws = ws
        self.connections += 1
        now = self._waits.monotonic()
        self._frame_s = self._data_s = self._ping_s = now
        self._pong_due_s = 0.0
        self._missing = list(self._wanted)
        watch = asyncio.create_task(self._watch(ws))
        reading = asyncio.create_task(self._read(ws))
        try:
            for wanted in self._wanted:
                body = {"method": "subscribe", "subscription": wanted}
                await ws.send_str(msgspec.json.encode(body).decode())
            await asyncio.wait({watch, reading}, return_when=asyncio.FIRST_COMPLETED)
        except (aiohttp.ClientError, OSError) as error:
            self._why = self._why or in_words(error)
        finally:
            for task in (watch, reading):
                task.cancel()
            for heard in self._pongs:
                if not heard.done():
                    heard.set_result(None)
            self._pongs = []
            self._ws = None
            self._spawn(self._hang_up(ws))
        if not self._why and reading.done() and not reading.cancelled():
            fault = reading.exception()
            self._why = f"{type(fault).__name__}: {fault}" if fault is not None else ""
        return self._why or "the exchange closed the connection"

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        # A half-open connection must not hold us up when it is closed.
        timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
        return await self._session().ws_connect(
            self._url, timeout=timeout, autoping=True, max_msg_size=0
        )

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)
            elif message.type is aiohttp.WSMsgType.ERROR:
                self._why = self._why or f"broken: {ws.exception()}"
                return
            while self._listener.full():
                await asyncio.sleep(_ROOM_S)

    def _take(self, text: str) -> None:
        self._frame_s = self._waits.monotonic()
        self.frames += 1
        if text == _GREETING:
            return
        try:
            frame = msgspec.json.decode(text)
            channel, data = frame["channel"], frame.get("data")
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            self._listener.on_malformed(text, f"{type(error).__name__}: {error}")
            return
        if channel == "pong":
            self._pong()
        elif channel == "subscriptionResponse":
            self._acknowledged(data)
        elif channel == "error":
            self._refused(str(data))
        else:
            self._data_s = self._frame_s
            self._listener.on_frame(str(channel), data)

    def _pong(self) -> None:
        self._pong_due_s = 0.0
        if self._pongs:
            heard = self._pongs.pop(0)
            if not heard.done():
                heard.set_result(None)

    # ---- subscriptions ---------------------------------------------------------------------

    def _acknowledged(self, data: Any) -> None:
        if not isinstance(data, dict) or data.get("method") != "subscribe":
            return
        echo = data.get("subscription")
        self._missing = [wanted for wanted in self._missing if not _covers(echo, wanted)]
        self._maybe_up()

    def _refused(self, text: str) -> None:
        if text.startswith("Already subscribed"):
            named = [w for w in self._missing if str(w.get("type")) in text]
            self._missing = [w for w in self._missing if w not in named[:1]]
        elif text.startswith("Invalid subscription"):
            named = [w for w in self._missing if all(str(v) in text for v in w.values())]
            for wanted in named[:1]:
                self._missing.remove(wanted)
                self._wanted.remove(wanted)
            self._listener.on_refused(text)
        else:
            self._listener.on_refused(text)
        self._maybe_up()

    def _maybe_up(self) -> None:
        if not self._missing and not self.up:
            self.up = True
            self._spawn(self._listener.on_up())

    # ---- the watch -------------------------------------------------------------------------

    async def _watch(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Return when the connection counts as dead; `_why` says why."""
        began = self._waits.monotonic()
        while True:
            await self._waits.sleep(_TICK_S)
            self._why = self._why or self._stalled(self._waits.monotonic(), began)
            if self._why:
                return
            await self._maybe_ping(ws)

    def _stalled(self, now: float, began: float) -> str:
        settings = self._settings
        if now - self._frame_s >= settings.silence_s:
            return f"no frame for {now - self._frame_s:.1f} s"
        if self._pong_due_s and now >= self._pong_due_s:
            return f"no answer to a ping within {settings.pong_s:g} s"
        if self.up and settings.expect_data and now - self._data_s >= settings.silence_s:
            return f"no data for {now - self._data_s:.1f} s, although pings are answered"
        if not self.up and now - began >= settings.ack_s:
            return f"{len(self._missing)} subscriptions were not acknowledged"
        return ""

    async def _maybe_ping(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        now, settings = self._waits.monotonic(), self._settings
        quiet = now - max(self._frame_s, self._ping_s) >= settings.quiet_s
        if not self._pong_due_s and (quiet or now - self._ping_s >= settings.ping_s):
            try:
                await self._ping(ws)
            except (aiohttp.ClientError, OSError) as error:
                self._why = self._why or in_words(error)

    async def _ping(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ping_s = self._waits.monotonic()
        if not self._pong_due_s:
            self._pong_due_s = self._ping_s + self._settings.pong_s
        await ws.send_str(_PING)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _hang_up(ws: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(aiohttp.ClientError, OSError, RuntimeError):
            await ws.close()


def _covers(echo: Any, wanted: Json) -> bool:
    """Whether an acknowledgement is of a subscription; it may have fields of its own."""
    if not isinstance(echo, dict):
        return False
    return all(
        str(echo.get(key, "")).lower() == str(value).lower() for key, value in wanted.items()
    )
