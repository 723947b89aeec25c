"""Client of a paper exchange in another process: the gateway port over a loopback socket."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec

from genesis.domain.clock import Clock
from genesis.domain.errors import InfrastructureError
from genesis.exchange.paper.protocol import Answer, Call, Frames, decode_answer, endpoint, frame
from genesis.trading.events import Event, Payload
from genesis.trading.gateway import AccountState, OrderRequest, Sink
from genesis.trading.payloads import ConnectionChanged, OrderUnknown

_CHUNK = 1 << 16
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 2.0


class _Waiting:
    """A call without an answer: a request about an order, or a caller that waits."""

    __slots__ = ("answer", "client_id", "lost", "what")

    def __init__(self, what: str, client_id: str) -> None:
        self.what = what
        self.client_id = client_id
        self.answer: Answer | None = None
        self.lost = ""


class _Connection:
    """One socket and the calls on it that are not answered yet, oldest first."""

    def __init__(self, plug: socket.socket) -> None:
        self.plug = plug
        self.waiting: dict[int, _Waiting] = {}
        self.sending = threading.Lock()
        self.alive = True


class RemotePaperGateway:
    """A paper exchange that another process serves.

    Requests return at once and are answered through the sink, by a thread that reads the socket.
    A request whose connection is lost before its answer, or that finds none, is `OrderUnknown`
    and never sent again. After a reconnect the exchange tells what was missed.

    Parameters
    ----------
    address : str
        ``unix:/path`` or ``tcp:127.0.0.1:PORT``.
    clock : Clock
        Times the waits between attempts to connect, and stamps what the client itself tells.
    name : str
    patience_s : float
        How long `on_market`, `account_state` and `settle` wait for an answer, and how long
        the first two try to get a connection back.
    pause : callable
        Sleeps for seconds between attempts.
    """

    def __init__(
        self,
        address: str,
        clock: Clock,
        *,
        name: str = "paper",
        patience_s: float = 10.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._family, self._place = endpoint(address)
        self._address = address
        self._clock = clock
        self._name = name
        self._patience_s = patience_s
        self._pause = pause
        self._sink: Sink | None = None
        self._connection: _Connection | None = None
        self._changed = threading.Condition(threading.RLock())
        self._calls = 0
        self._seen: int | None = None
        self._told = self._settled = 0
        self._wait_s = FIRST_WAIT_S
        self._next_try = 0.0
        self._send_limit = struct.pack("ll", int(patience_s) + 1, 0)

    @property
    def name(self) -> str:
        """Short name for logs and events."""
        return self._name

    def connect(self, sink: Sink) -> None:
        """Connect and begin to deliver answers to ``sink``.

        Raises
        ------
        InfrastructureError
            If nothing answers there.
        """
        self._sink = sink
        self._next_try = self._clock.monotonic()
        if self._open() is None:
            raise InfrastructureError(
                f"no paper exchange answers at {self._address}",
                fix="start it: python -m genesis.exchange.paper.server --listen …",
            )

    def close(self) -> None:
        """Let go of the connection; sends nothing. Requests under way end as unknown."""
        with self._changed:
            connection = self._connection
        if connection is not None:
            self._lose(connection, "closed")
        self._sink = None

    # ---- the port --------------------------------------------------------------------------

    def submit(self, order: OrderRequest) -> None:
        """Send an order; its answers come through the sink."""
        self._request("submit", msgspec.to_builtins(order), order.client_id)

    def modify(self, order: OrderRequest) -> None:
        """Ask for another price and size of an order."""
        self._request("modify", msgspec.to_builtins(order), order.client_id)

    def cancel(self, account: str, symbol: str, client_id: str) -> None:
        """Ask for the end of an order."""
        self._request("cancel", [account, symbol, client_id], client_id)

    def query(self, account: str, symbol: str, client_id: str) -> None:
        """Ask what became of an order."""
        self._request("query", [account, symbol, client_id], client_id)

    def account_state(self, account: str, since_ms: int) -> AccountState:
        """Positions, open orders and fills of an account.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        """
        return msgspec.convert(self._ask("account_state", [account, since_ms]), AccountState)

    def on_market(self, event: Event) -> None:
        """Let the exchange see a market event; its answers are at the sink on return.

        An event may be shown again after a lost connection: the exchange takes it once.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer.
        """
        data = msgspec.to_builtins(event.data)
        self._ask("market", [event.type.value, event.ts_ms, data])

    def settle(self) -> bool:
        """Wait until every request is answered or known to be lost.

        A connection that keeps a request waiting for longer than the patience counts as lost.

        Returns
        -------
        bool
            Whether anything was told since the last call.
        """
        with self._changed:
            connection = self._connection
            done = connection is None or self._changed.wait_for(
                lambda: not connection.waiting, self._patience_s
            )
        if connection is not None and not done:
            self._lose(connection, f"no answer for {self._patience_s:g} s")
        before, self._settled = self._settled, self._told
        return before != self._settled

    # ---- calls -----------------------------------------------------------------------------

    def _request(self, what: str, body: Any, client_id: str) -> None:
        if self._sink is None:
            raise InfrastructureError(f"the gateway '{self._name}' is not connected")
        connection = self._open()
        if connection is None:
            self._tell(OrderUnknown(client_id, what, "no connection"), client_id)
            return
        self._send(connection, what, body, _Waiting(what, client_id))

    def _ask(self, name: str, body: Any) -> Any:
        """Call and wait for the answer, over a new connection where the old one was lost."""
        why, waited = "no connection", 0.0
        while True:
            connection = self._open(now=waited > 0.0)
            if connection is not None:
                waiting = _Waiting("", "")
                number = self._send(connection, name, body, waiting)
                answer = self._await(connection, number, waiting)
                if answer is not None:
                    if answer.error:
                        raise InfrastructureError(
                            f"the paper exchange refuses {name}", why=answer.error
                        )
                    return answer.value
                why = waiting.lost
            if waited >= self._patience_s:
                raise InfrastructureError(
                    f"the paper exchange at {self._address} does not answer", why=why
                )
            # A run's clock stands still while it waits here: only the pauses are counted.
            left = max(self._next_try - self._clock.monotonic(), FIRST_WAIT_S)
            self._pause(left)
            waited += left

    def _await(self, connection: _Connection, number: int, waiting: _Waiting) -> Answer | None:
        with self._changed:
            done = self._changed.wait_for(
                lambda: number not in connection.waiting, self._patience_s
            )
        if not done:
            self._lose(connection, f"no answer for {self._patience_s:g} s")
        return waiting.answer

    def _send(self, connection: _Connection, name: str, body: Any, waiting: _Waiting) -> int:
        with self._changed:
            self._calls += 1
            number = self._calls
            connection.waiting[number] = waiting
            alive = connection.alive
        why = "the connection was lost before it was sent"
        if alive:
            try:
                with connection.sending:
                    connection.plug.sendall(frame(Call(number, name, body)))
                return number
            except OSError as error:
                why = f"the connection was lost: {error}"
        self._lose(connection, why)
        return number

    # ---- the connection --------------------------------------------------------------------

    def _open(self, *, now: bool = False) -> _Connection | None:
        """The connection, made anew where it is lost and the wait between attempts is over.

        ``now``: whoever asks has waited already.
        """
        with self._changed:
            if self._connection is not None:
                return self._connection
            early = self._clock.monotonic() < self._next_try and not now
            if self._sink is None or early:
                return None
            plug = socket.socket(self._family, socket.SOCK_STREAM)
            plug.settimeout(self._patience_s)
            frames = Frames()
            try:
                plug.connect(self._place)
                plug.sendall(frame(Call(0, "hello", self._seen)))
                answer = self._hear(plug, frames)
                plug.settimeout(None)
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, self._send_limit)
            except (OSError, ValueError, msgspec.DecodeError):
                plug.close()
                self._next_try = self._clock.monotonic() + self._wait_s
                self._wait_s = min(2.0 * self._wait_s, LONGEST_WAIT_S)
                return None
            self._wait_s = FIRST_WAIT_S
            connection = self._connection = _Connection(plug)
        latest, complete = answer.value
        why = "" if complete else "what it told meanwhile is lost here: reconcile"
        self._tell(ConnectionChanged(self._name, True, why), self._name)
        self._deliver(answer)
        self._seen = latest
        reader = threading.Thread(
            target=self._read, args=(connection, frames), name=f"{self._name}-reader", daemon=True
        )
        reader.start()
        return connection

    @staticmethod
    def _hear(plug: socket.socket, frames: Frames) -> Answer:
        """The first answer on a new connection; nothing else can come before it."""
        while True:
            data = plug.recv(_CHUNK)
            if not data:
                raise OSError("the connection was closed")
            for body in frames.feed(data):
                return decode_answer(body)

    def _read(self, connection: _Connection, frames: Frames) -> None:
        why = "the connection was closed"
        try:
            while data := connection.plug.recv(_CHUNK):
                for body in frames.feed(data):
                    self._take(connection, decode_answer(body))
        except (OSError, ValueError, msgspec.DecodeError) as error:
            why = f"the connection was lost: {error}"
        finally:  # a sink that raises ends the connection too, and is reported by its thread
            self._lose(connection, why)

    def _take(self, connection: _Connection, answer: Answer) -> None:
        self._deliver(answer)
        with self._changed:
            waiting = connection.waiting.get(answer.id)
        if waiting is not None:
            waiting.answer = answer
            if answer.error and waiting.client_id:
                self._doubt(waiting, answer.error)
        self._done(connection, [answer.id])

    def _done(self, connection: _Connection, numbers: Iterable[int]) -> None:
        """Nobody waits for these calls any longer: everything about them was told."""
        with self._changed:
            for number in numbers:
                connection.waiting.pop(number, None)
            self._changed.notify_all()

    def _doubt(self, waiting: _Waiting, why: str) -> None:
        self._tell(OrderUnknown(waiting.client_id, waiting.what, why), waiting.client_id)

    def _deliver(self, answer: Answer) -> None:
        for told in answer.told:
            self._seen = told.number
            self._give(told.event())

    def _lose(self, connection: _Connection, why: str) -> None:
        """End a connection: what waits on it is unknown, and told so once."""
        with self._changed:
            first, connection.alive = connection.alive, False
            lost = {n: w for n, w in connection.waiting.items() if not (w.lost or w.answer)}
            for waiting in lost.values():
                waiting.lost = why
        if first:
            with suppress(OSError):  # wakes the reader, which closing alone does not
                connection.plug.shutdown(socket.SHUT_RDWR)
            connection.plug.close()
            self._tell(ConnectionChanged(self._name, False, why), self._name)
        for waiting in lost.values():
            if waiting.client_id:
                self._doubt(waiting, why)
        with self._changed:
            if self._connection is connection:
                self._connection = None
                self._next_try = self._clock.monotonic() + self._wait_s
        self._done(connection, lost)

    def _tell(self, data: Payload, aggregate: str) -> None:
        self._give(Event(data, self._clock.now_ms(), aggregate))

    def _give(self, event: Event) -> None:
        sink = self._sink
        if sink is not None:
            sink(event)
            self._told += 1
