"""Time for asynchronous code: what it reads and what it waits for, so that a test can move it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from genesis.domain.clock import Clock

T = TypeVar("T")


class Waits(Protocol):
    """A clock that can be waited for."""

    def now_ms(self) -> int:
        """Return the current instant in milliseconds UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed."""
        ...


class RealWaits:
    """Waits of the event loop.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        """Return the current instant in milliseconds UTC."""
        return self._clock.now_ms()

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start, never going back."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return when that much time has passed."""
        await asyncio.sleep(seconds)


async def within(waits: Waits, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Await work for a while.

    Raises
    ------
    TimeoutError
        If it is not done in time; it is cancelled then.
    """
    if isinstance(waits, RealWaits):
        async with asyncio.timeout(seconds):
            return await work
    task = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(waits.sleep(seconds))
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        alarm.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
