"""A venue in a thread of its own, for clients that block: the official SDK, tests, benchmarks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from genesis.exchange.venue.server import VenueServer
from genesis.exchange.venue.venue import Venue

T = TypeVar("T")
_PATIENCE_S = 30.0


class ThreadedVenue:
    """Serve a venue while a ``with`` block runs.

    Parameters
    ----------
    venue : Venue
    port : int
        0 for any free one.
    """

    def __init__(self, venue: Venue, port: int = 0) -> None:
        self.venue = venue
        self.server = VenueServer(venue, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="venue", daemon=True)

    @property
    def url(self) -> str:
        """Base address for clients."""
        return self.server.url

    def __enter__(self) -> ThreadedVenue:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(_PATIENCE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(_PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()

    def call(self, act: Callable[[], T]) -> T:
        """Run something in the venue's thread, between two requests."""

        async def run() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
