"""A process that writes an event log and tells what it was told is stored; run by the kill tests.

Arguments: folder, crash point or ``-``, how many times the point is passed before the crash.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from genesis.trading.store import EventStore
from tests.unit.trading.event_samples import ORDERS, HandClock, mixed

BATCH = 8
ARCHIVE_EVERY = 96
SEGMENT = 32


def main() -> None:
    """Commit for ever, archive now and then, and acknowledge each on standard output."""
    folder, point, passes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def probe(name: str) -> None:
        nonlocal passes
        if name == point:
            passes -= 1
            if passes < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    store = EventStore.open(
        folder, run=folder.name, tables=[ORDERS], clock=HandClock(), probe=probe
    )
    while True:
        seq = store.head.seq
        events = [mixed(n) for n in range(seq, seq + BATCH)]
        store.commit(events, [("orders", ("last", "x", "1", seq + BATCH))])
        os.write(1, b"%d\n" % store.head.seq)
        if store.head.seq % ARCHIVE_EVERY == 0:
            store.archive(segment_events=SEGMENT, before_seq=store.head.seq - SEGMENT)
            store.write_snapshot(store.head.seq, b"state %d" % store.head.seq)


if __name__ == "__main__":
    main()
