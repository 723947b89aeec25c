"""Scripted time: a local exchange whose clock stands is moved on by the run that trades on it.

Days pass as fast as the machine allows, and nothing is decided before everything that was said
until then was heard: whenever loop and exchange have nothing left to do, time goes to the next
instant at which something is due. Only for an exchange on this machine; see `docs/venue.md`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

from genesis.domain.errors import InfrastructureError, RefusedError
from genesis.exchange.loopback import on_loopback

_ANSWER_S = 60.0
_MOST_WORDS = 4096

AFTER_MS = (0, 1_000, 3_000, 16_000)
"""Instants of a bar, after its open, at which time stops: the exchange's candle, the reading of
the finished one, the end of the grace period, and the settled funding rate."""

_STUCK_MS = 1_000
"""How far time goes where the exchange does not come to rest: something waits for time itself,
such as a request for the next minute's weight."""

Sleeper = tuple[float, int, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class PacedTime:
    """Clock and waits of a run that moves its exchange's clock.

    Parameters
    ----------
    url : str
        Of the exchange, on this machine.

    Raises
    ------
    RefusedError
        If the exchange is not on this machine, or its clock runs by itself.
    InfrastructureError
        If it does not answer.
    """

    def __init__(self, url: str) -> None:
        if not on_loopback(url):
            raise RefusedError(
                "only an exchange on this machine can be asked to let time pass",
                why=f"{url} is somewhere else",
                fix="start one: genesis venue serve --scripted",
            )
        self._control = url.rstrip("/") + "/control"
        self._mutex = threading.Lock()
        self._sleepers: list[Sleeper] = []
        self._numbers = itertools.count()
        state = self._call("state")
        if not state.get("scripted"):
            raise RefusedError(
                "the exchange's clock runs by itself",
                why="only scripted time can be moved",
                fix="start it with genesis venue serve --scripted MS",
            )
        self._now = self._start = int(str(state["now_ms"]))

    def now_ms(self) -> int:
        """Return the exchange's instant in milliseconds UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds of the exchange's time since it was asked first."""
        return (self._now - self._start) / 1000.0

    async def sleep(self, seconds: float) -> None:
        """Return when that much of the exchange's time has passed."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        with self._mutex:
            due = self._now + 1000.0 * max(seconds, 0.0)
            heapq.heappush(self._sleepers, (due, next(self._numbers), loop, waiting))
        if seconds <= 0.0:
            self._wake()
        await waiting

    def advance(self, to_ms: int) -> None:
        """Let the exchange's time pass until an instant, and wake who waited for it.

        Where somebody else has moved its clock beyond that instant, its own time is taken over.

        Raises
        ------
        InfrastructureError
            If the exchange does not answer, or refuses.
        """
        if to_ms > self._now:
            self._now = self._moved(to_ms)
        self._wake()

    def _moved(self, to_ms: int) -> int:
        """Instant of the exchange once its clock was asked to go to another."""
        try:
            return int(str(self._call("time", {"now_ms": to_ms})["now_ms"]))
        except _NotDoneError:
            there = int(str(self._call("state")["now_ms"]))
            if there < to_ms:
                raise
            return there

    def _wake(self) -> None:
        with self._mutex:
            due = []
            while self._sleepers and self._sleepers[0][0] <= self._now:
                due.append(heapq.heappop(self._sleepers))
        for _, _, loop, waiting in due:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_done, waiting)

    def _call(self, what: str, body: dict[str, int] | None = None) -> dict[str, object]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 (the address is this machine's)
            f"{self._control}/{what}", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
                value = json.load(answer)
        except urllib.error.HTTPError as error:
            raise _NotDoneError(
                "the exchange does not let its time pass",
                why=_words(error),
                fix="see what it is asked for: genesis venue serve --help, docs/venue.md",
            ) from None
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise InfrastructureError(
                "the exchange's clock cannot be moved", why=str(error), fix="is it running?"
            ) from None
        return dict(value)


class _NotDoneError(InfrastructureError):
    """The exchange answered, and did not do it."""


def _words(error: urllib.error.HTTPError) -> str:
    """What the exchange says of a refusal, else its status."""
    try:
        said = json.loads(error.read(_MOST_WORDS)).get("error")
    except (OSError, ValueError, AttributeError):
        said = None
    return str(said or f"it answered {error.code}: {error.reason}")


def _done(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class Pacer:
    """Lets time pass for a driver of a loop whenever there is nothing to do.

    Parameters
    ----------
    time : PacedTime
    interval_ms : int
        Length of a bar.
    settle : callable
        Waits until the exchange has answered and was heard; whether it was.
    busy : callable
        Whether events wait on the bus.
    """

    def __init__(
        self,
        time: PacedTime,
        interval_ms: int,
        settle: Callable[[], bool],
        busy: Callable[[], bool],
    ) -> None:
        self._time = time
        self._length = interval_ms
        self._settle = settle
        self._busy = busy

    def rest(self, due_ms: int | None) -> None:
        """Go to the next instant, unless something is under way.

        Where the exchange does not come to rest, time goes on a little.

        Parameters
        ----------
        due_ms : int or None
            When the driver's next timer fires.
        """
        now = self._time.now_ms()
        if not self._settle():
            self._time.advance(now + _STUCK_MS)
            return
        if self._busy():
            return
        begun = now - now % self._length
        stops = [begun + after for after in AFTER_MS] + [begun + self._length]
        following = next(stop for stop in stops if stop > now)
        if due_ms is not None and now < due_ms < following:
            following = due_ms
        self._time.advance(following)
        self._settle()
