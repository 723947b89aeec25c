"""Websocket clients: subscriptions, acknowledgements, limits, and frames that never block."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from genesis.domain.clock import Clock
from genesis.domain.errors import GenesisError
from genesis.exchange.venue.limits import LimitProfile, Window
from genesis.exchange.venue.subscriptions import Subscription, echo, parse, spelled

_WAITING = 20_000
"""Frames that may wait for one client before it is cut off as too slow."""


class Session:
    """One connection. What it is sent waits in a queue, so that no client holds up another.

    Parameters
    ----------
    socket : web.WebSocketResponse
    transport : asyncio.Transport or None
        Beneath the socket, to be cut.
    ip : str
    clock : Clock
    settled : callable
        Waits until what the frames tell of may be told.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        ip: str,
        clock: Clock,
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self.socket = socket
        self._transport = transport
        self._settled = settled
        self.ip = ip
        self.frozen = False
        self.posts = 0
        self.subscriptions: dict[Subscription, None] = {}
        self._clock = clock
        self.opened = self.last_sent = clock.monotonic()
        self._frames: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._over = False

    def send(self, frame: bytes) -> None:
        """Put a frame on its way; a frozen connection loses it."""
        if self.frozen or self._over:
            return
        if len(self._frames) >= _WAITING:
            self.cut()
            return
        self._frames.append(frame)
        self._ready.set()

    def tell(self, channel: str, data: Any) -> None:
        """Send a message of a channel."""
        self.send(encode(channel, data))

    def cut(self) -> None:
        """End the connection without a word, as a broken network does."""
        self._over = True
        self._ready.set()
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what waits until the connection ends."""
        try:
            while not self._over:
                await self._ready.wait()
                self._ready.clear()
                while self._frames and not self._over:
                    told = len(self._frames)
                    await self._settled()
                    await self._send(told)
        except (ConnectionError, RuntimeError):
            self._over = True
        except GenesisError:  # what the frames tell of may be lost
            self.cut()

    async def _send(self, count: int) -> None:
        for _ in range(count):
            if self._over:
                return
            await self.socket.send_frame(self._frames.popleft(), WSMsgType.TEXT)
            self.last_sent = self._clock.monotonic()

    def finish(self) -> None:
        """Let `write` return."""
        self._over = True
        self._ready.set()


class Hub:
    """Every connection, and who hears what.

    Parameters
    ----------
    clock : Clock
        Its wall time is the exchange's, its monotonic time decides when a connection is idle.
    limits : LimitProfile
    coins : mapping
        Whose keys are the coins that exist.
    """

    def __init__(self, clock: Clock, limits: LimitProfile, coins: Mapping[str, Any]) -> None:
        self.clock = clock
        self.limits = limits
        self.coins = coins
        self.sessions: list[Session] = []
        self.listeners: dict[Subscription, dict[Session, None]] = {}
        self._opened: dict[str, Window] = {}
        self._heard: dict[str, Window] = {}

    def may_open(self, ip: str) -> bool:
        """Whether an address may open one more connection now."""
        if sum(s.ip == ip for s in self.sessions) >= self.limits.ws_connections:
            return False
        window = self._opened.setdefault(ip, Window(self.limits.ws_new_a_minute))
        return window.take(1, self.clock.now_ms())

    def heard(self, ip: str) -> bool:
        """Count a message of a client; False where there were too many in the last minute."""
        window = self._heard.setdefault(ip, Window(self.limits.ws_messages_a_minute))
        return window.take(1, self.clock.now_ms())

    def posts(self, ip: str) -> int:
        """Post requests of an address that wait for their answer."""
        return sum(s.posts for s in self.sessions if s.ip == ip)

    def subscribe(self, session: Session, body: Any) -> Subscription | None:
        """Carry out a subscription and acknowledge it; None where it was refused."""
        wanted = parse(body, self.coins)
        if wanted is None:
            session.tell("error", f"Invalid subscription {spelled(body)}")
            return None
        if wanted in session.subscriptions:
            session.tell("error", f"Already subscribed: {spelled(body)}")
            return None
        refusal = self._over_limit(session.ip, wanted)
        if refusal is not None:
            session.tell("error", refusal)
            return None
        session.subscriptions[wanted] = None
        self.listeners.setdefault(wanted, {})[session] = None
        session.tell("subscriptionResponse", {"method": "subscribe", "subscription": echo(body)})
        return wanted

    def unsubscribe(self, session: Session, body: Any) -> None:
        """Undo a subscription and acknowledge that."""
        wanted = parse(body, self.coins)
        if wanted is None:
            session.tell("error", f"Invalid subscription {spelled(body)}")
        elif wanted not in session.subscriptions:
            session.tell("error", f"Already unsubscribed: {spelled(body)}")
        else:
            self._drop(session, wanted)
            session.tell(
                "subscriptionResponse", {"method": "unsubscribe", "subscription": echo(body)}
            )

    def leave(self, session: Session) -> None:
        """Forget a connection that has ended."""
        for wanted in list(session.subscriptions):
            self._drop(session, wanted)
        if session in self.sessions:
            self.sessions.remove(session)

    def idle(self) -> list[Session]:
        """Connections on which nothing was sent for too long."""
        oldest = self.clock.monotonic() - self.limits.ws_idle_ms / 1000
        return [s for s in self.sessions if s.last_sent < oldest]

    def _drop(self, session: Session, wanted: Subscription) -> None:
        del session.subscriptions[wanted]
        listeners = self.listeners[wanted]
        del listeners[session]
        if not listeners:
            del self.listeners[wanted]

    def _over_limit(self, ip: str, wanted: Subscription) -> str | None:
        mine = [s for s in self.sessions if s.ip == ip]
        count = sum(len(s.subscriptions) for s in mine)
        if count >= self.limits.ws_subscriptions:
            return f"Cannot subscribe to more than {self.limits.ws_subscriptions} channels."
        if wanted.user:
            users = {sub.user for s in mine for sub in s.subscriptions if sub.user}
            if wanted.user not in users and len(users) >= self.limits.ws_users:
                return f"Cannot track more than {self.limits.ws_users} total users."
        return None


def encode(channel: str, data: Any) -> bytes:
    """A message of a channel as it goes over the wire."""
    return msgspec.json.encode({"channel": channel, "data": data})


async def close_idle(hub: Hub) -> None:
    """Close the connections on which nothing was sent for too long."""
    for session in hub.idle():
        session.finish()
        await session.socket.close(code=WSCloseCode.OK, message=b"Inactive")
