"""One write to the disk for all who wait for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from genesis.exchange.venue.durable import DurableCore


class GroupCommit:
    """Puts the inputs of a venue on the disk together, in a thread of its own.

    While one write to the disk is under way, further inputs are taken and wait for the next one,
    which serves them all. Nothing that depends on an input may be told before `settled`.

    Parameters
    ----------
    core : DurableCore
        Which from now on leaves its inputs to this.
    """

    def __init__(self, core: DurableCore) -> None:
        self._core = core
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="venue-log")
        self._flight: asyncio.Future[None] | None = None
        core.grouped = True

    async def settled(self) -> None:
        """Wait until everything that was taken until now is on the disk.

        Raises
        ------
        StorageError, InfrastructureError
            If it cannot be put there, now or before.
        """
        self._core.require_whole()
        owed = self._core.owed
        while self._core.synced < owed:
            if self._flight is None or self._flight.done():
                loop = asyncio.get_running_loop()
                self._flight = loop.run_in_executor(self._pool, self._core.sync)
            # Who hangs up takes nothing from the others.
            await asyncio.shield(self._flight)

    def close(self) -> None:
        """Let a write that is under way come to its end."""
        self._pool.shutdown()
