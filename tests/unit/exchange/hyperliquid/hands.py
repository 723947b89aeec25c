"""A clock that a test moves by hand, for code that waits."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count


class HandWaits:
    """Time that passes when it is told to; who sleeps is woken in the order of the instants."""

    def __init__(self, now_ms: int = 1_760_000_000_000) -> None:
        self._start_ms = now_ms
        self._now = 1_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self.skew_ms = 0

    def now_ms(self) -> int:
        return self._start_ms + round((self._now - 1_000.0) * 1_000) + self.skew_ms

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), woken))
        await woken

    async def pass_(self, seconds: float) -> None:
        """Let time pass, and everybody do what they do then."""
        ends = self._now + seconds
        await breathe()
        while self._sleepers and self._sleepers[0][0] <= ends:
            due, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not woken.done():
                woken.set_result(None)
            await breathe()
        self._now = ends
        await breathe()


async def breathe() -> None:
    """Let every task that is ready run."""
    for _ in range(30):
        await asyncio.sleep(0)
