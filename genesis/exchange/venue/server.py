"""The exchange on a loopback port: HTTP, websockets, and its heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from genesis.exchange.loopback import LOOPBACK
from genesis.exchange.venue import wire
from genesis.exchange.venue.control import Control
from genesis.exchange.venue.gate import Ending, Gate, Reply
from genesis.exchange.venue.page import page
from genesis.exchange.venue.venue import Venue
from genesis.exchange.venue.ws import Session, close_idle

BEAT_S = 0.1
HOST = "127.0.0.1"
_BEATS_A_SECOND = round(1 / BEAT_S)
_LARGEST_BODY = 4 << 20
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class VenueServer:
    """Serves a venue on the loopback interface, and nowhere else.

    Parameters
    ----------
    venue : Venue
    port : int
        0 for any free one; `port` says afterwards which.
    """

    def __init__(self, venue: Venue, port: int = 3001) -> None:
        self.venue = venue
        self.port = port
        self._gate = Gate(venue)
        self._page = page()
        self._runner: web.AppRunner | None = None
        self._heart: asyncio.Task[None] | None = None
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Base address for clients, without a slash at its end."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen, and let the exchange live."""
        app = web.Application(
            middlewares=[_only_from_here, self._after_it_is_kept], client_max_size=_LARGEST_BODY
        )
        app.router.add_post("/info", self._endpoint("info"))
        app.router.add_post("/exchange", self._endpoint("exchange"))
        app.router.add_get("/ws", self._websocket)
        app.router.add_get("/", self._show)
        Control(self.venue).route(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._heart = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Stop listening, end every connection, close the files."""
        self._closing = True
        try:
            if self._heart is not None:
                self._heart.cancel()
                with suppress(asyncio.CancelledError):
                    await self._heart  # raises what it died of, if it did
        finally:
            for session in list(self.venue.hub.sessions):
                session.cut()
            if self._runner is not None:
                await self._runner.cleanup()
            self.venue.close()

    async def failed(self) -> None:
        """Wait until the exchange's heart stops, which only an error makes it do."""
        assert self._heart is not None
        await self._heart

    async def _live(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(BEAT_S)
            count += 1
            self.venue.beat(everything=count % _BEATS_A_SECOND == 0)
            await self.venue.settled()  # a log that failed ends the exchange
            await close_idle(self.venue.hub)

    @web.middleware
    async def _after_it_is_kept(
        self, request: web.Request, handler: _Handler
    ) -> web.StreamResponse:
        """Hold every answer back until what it tells of is on the disk."""
        response = await handler(request)
        await self.venue.settled()
        return response

    def _endpoint(self, path: str) -> _Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            outcome = await self._gate.answer(path, await request.read(), request.remote or "")
            if isinstance(outcome, Reply):
                return web.Response(
                    status=outcome.status, body=outcome.body, content_type=outcome.kind
                )
            if outcome is Ending.HANG:
                while not self._closing and request.transport is not None:
                    await asyncio.sleep(BEAT_S)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)

        return handle

    async def _show(self, request: web.Request) -> web.Response:
        del request
        return web.Response(
            body=self._page.html,
            content_type="text/html",
            charset="utf-8",
            headers={
                "Content-Security-Policy": self._page.policy,
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
            },
        )

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        venue, ip = self.venue, request.remote or ""
        now_ms = venue.clock.now_ms()
        down = venue.faults.state("ws_refuse", now_ms) or venue.faults.state("maintenance", now_ms)
        if down is not None:
            return web.Response(status=down.status)
        if not venue.hub.may_open(ip):
            return web.Response(status=429, body=b"null", content_type="application/json")
        # Pings of the protocol are answered by hand, since a frozen connection answers nothing.
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=_LARGEST_BODY)
        try:
            await socket.prepare(request)
        except ConnectionResetError:  # it hung up before it was answered
            return web.Response(status=503)
        session = Session(socket, request.transport, ip, venue.clock, venue.settled)
        venue.hub.sessions.append(session)
        venue.freeze()
        writer = asyncio.create_task(session.write())
        try:
            async for message in socket:
                if message.type is WSMsgType.PING and not session.frozen:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT and not session.frozen:
                    self._hear(session, message.data)
        finally:
            venue.hub.leave(session)
            session.finish()
            await writer
        return socket

    def _hear(self, session: Session, text: str) -> None:
        hub = self.venue.hub
        if not hub.heard(session.ip):
            bound = hub.limits.ws_messages_a_minute
            session.tell("error", f"Cannot send more than {bound} messages per minute.")
            return
        try:
            body = wire.decode(text.encode())
        except wire.BadShape:
            body = None
        match body:
            case {"method": "ping"}:
                session.send(b'{"channel":"pong"}')
            case {"method": "subscribe", "subscription": wanted}:
                self.venue.subscribe(session, wanted)
            case {"method": "unsubscribe", "subscription": wanted}:
                hub.unsubscribe(session, wanted)
            case {"method": "post", "id": int(number), "request": dict(asked)}:
                self._post(session, number, asked)
            case _:
                words = "Error parsing JSON into valid websocket request: "
                session.tell("error", words + text[:1000])

    def _post(self, session: Session, number: int, asked: dict[str, Any]) -> None:
        hub = self.venue.hub
        if hub.posts(session.ip) >= hub.limits.ws_posts:
            session.tell("error", f"too many pending post requests id={number}")
            return
        session.posts += 1
        task = asyncio.create_task(self._answer_post(session, number, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_post(self, session: Session, number: int, asked: dict[str, Any]) -> None:
        kind, payload = asked.get("type"), asked.get("payload")
        try:
            if kind not in ("info", "action"):
                outcome: Reply | Ending = Reply(422, wire.UNPROCESSABLE.encode(), "text/plain")
            else:
                path = "info" if kind == "info" else "exchange"
                outcome = await self._gate.answer_to(path, payload, session.ip)
        finally:
            session.posts -= 1
        if outcome is Ending.CUT:
            session.cut()
        elif isinstance(outcome, Reply):
            session.tell("post", {"id": number, "response": _response(kind, payload, outcome)})


def _response(kind: Any, payload: Any, reply: Reply) -> dict[str, Any]:
    if reply.status != 200 or reply.kind != "application/json":
        return {"type": "error", "payload": f"{reply.status}: {reply.body.decode()}"}
    answer = wire.decode(reply.body)
    if kind == "info":
        return {"type": "info", "payload": {"type": payload["type"], "data": answer}}
    return {"type": "action", "payload": answer}


@web.middleware
async def _only_from_here(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse what a page of another site sends through the user's browser."""
    host = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).hostname not in LOOPBACK
    if host not in LOOPBACK or foreign:
        return web.Response(status=403, text="this exchange serves programs of this machine")
    return await handler(request)
