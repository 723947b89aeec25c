"""Ids: `ORD_20250131_120000_0000002a`, sortable and unique in a run; client ids of orders."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=4096)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, tz=UTC).strftime("%Y%m%d_%H%M%S")


class Ids:
    """Maker of ids; its counter is part of a run's state, so that a replay makes the same ids.

    Parameters
    ----------
    counter : int
        Ids made so far in the run.
    """

    __slots__ = ("counter",)

    def __init__(self, counter: int = 0) -> None:
        self.counter = counter

    def new(self, prefix: str, ts_ms: int) -> str:
        """Next id: prefix, UTC second of ``ts_ms``, counter as eight hex digits."""
        self.counter += 1
        return f"{prefix}_{_stamp(ts_ms // 1000)}_{self.counter:08x}"


def client_order_id(account: str, run: str, order_id: str) -> str:
    """Client order id of the exchange: 128 bits, the same on a retry and never in another run."""
    text = f"{account}\x00{run}\x00{order_id}".encode()
    return "0x" + hashlib.blake2b(text, digest_size=16).hexdigest()
