"""When a trading run began, by its log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from genesis.trading.payloads import RunStarted
from genesis.trading.store import EventReader

REAL_TIME: Final = ("testnet", "live")
"""Modes of runs whose bars are of now."""


def began_ms(folder: Path) -> int:
    """When a run began, by its log: a file that is copied or touched is no newer for that.

    A run in real time is dated by its first event, which the hash chain covers. The events of a
    replayed one have the market's time; when its log was created is noted beside them.

    Returns
    -------
    int
        Milliseconds UTC; 0 for an empty log.
    """
    with EventReader(folder) as reader:
        first = reader.event(1)
        if first is None:
            return 0
        real = isinstance(first.data, RunStarted) and first.data.mode in REAL_TIME
        return first.recorded_ms if real else int(reader.meta["created_ms"])
