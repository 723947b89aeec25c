"""What a durable event costs: events a second through the bus, the log, and back.

Commits are ``synchronous=FULL`` with hash chain and four indexes, singly and in batches of 16 and
256; sizes alternate, and the best of the repeats counts, since a disk is shared. References are
the disk itself, appending 16 KiB and forcing it down, and SQLite from the standard library with
neither chain nor indexes, both in the same run.

    python benchmarks/event_store.py
    python benchmarks/event_store.py --events 100000 --repeats 5 --folder /data
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from genesis.system.clock import SystemClock
from genesis.trading.bus import EventBus
from genesis.trading.events import Event
from genesis.trading.payloads import BarClosed, OrderAccepted
from genesis.trading.store import EventReader, EventStore, verify

SINGLY, BATCHED, BUS = 6_000, 45_000, 1_000_000
"""Least events a second: commits of one, commits of 16, publish and drain."""


def sample(count: int) -> list[Event]:
    """Bars and replies to orders, with ids that grow as those of a run do."""
    events = []
    for n in range(count):
        flow = f"TPL_20250131_120000_{n // 5:08x}"
        if n % 2:
            data = BarClosed("BTC", 60_000, n * 60_000, 100.0, 101.5, 99.0, 100.5, 12.5, 1e-4, 50.0)
            events.append(Event(data, n * 60_000, "BTC"))
        else:
            reply = OrderAccepted(f"0x{n:032x}", str(n))
            events.append(Event(reply, n, f"ORD_20250131_120000_{n:08x}", flow, n, 0))
    return events


def per_second(work: Callable[[], int]) -> float:
    """Events a second of one piece of work that returns how many it did."""
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def bus_rate(events: list[Event]) -> float:
    """Publish and drain, one thread."""
    bus = EventBus(SystemClock())

    def work() -> int:
        for first in range(0, len(events), 5_000):
            for event in events[first : first + 5_000]:
                bus.publish(event)
            while bus.drain():
                pass
        return len(events)

    return per_second(work)


def commit_rate(folder: Path, events: list[Event], batch: int) -> float:
    """Durable commits of this many events at a time."""
    with EventStore.open(folder, run=folder.name, tables=[], clock=SystemClock()) as store:

        def work() -> int:
            for first in range(0, len(events), batch):
                store.commit(events[first : first + batch])
            return len(events)

        return per_second(work)


def plain_rate(path: Path, events: list[Event]) -> float:
    """Commits of one row with the standard library: no chain, no index, the same durability."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = wal")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE events(seq INTEGER PRIMARY KEY, body BLOB)")

    def work() -> int:
        for _ in events:
            db.execute("INSERT INTO events(body) VALUES(?)", (b"x" * 120,))
        return len(events)

    rate = per_second(work)
    db.close()
    return rate


def disk_rate(path: Path, count: int) -> float:
    """Appends of 16 KiB that are forced to disk, one after the other."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)

    def work() -> int:
        for _ in range(count):
            os.write(handle, bytes(16_384))
            os.fdatasync(handle)
        return count

    rate = per_second(work)
    os.close(handle)
    return rate


def main() -> int:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=64_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    options = parser.parse_args()
    events = sample(options.events)
    few = events[: max(options.events // 10, 1)]
    rates: dict[str, float] = {}

    def best(name: str, rate: float) -> None:
        rates[name] = max(rates.get(name, 0.0), rate)

    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        home = Path(temporary)
        for n in range(options.repeats):
            best("bus", bus_rate(events))
            best("disk_syncs", disk_rate(home / f"disk{n}", len(few) // 4))
            best("sqlite3_singly", plain_rate(home / f"plain{n}.db", few))
            best("commit_1", commit_rate(home / f"singly{n}", few, 1))
            best("commit_16", commit_rate(home / f"batched{n}", events, 16))
            best("commit_256", commit_rate(home / f"bulk{n}", events, 256))
        run = home / "bulk0"
        with EventReader(run) as reader:
            best("read", per_second(lambda: sum(1 for _ in reader.events())))
        best("verify", per_second(lambda: verify(run).events))
        sound = verify(run).ok
        print({name: round(rate) for name, rate in rates.items()}, file=sys.stderr)
    checks = {
        "bus at least a million a second": rates["bus"] >= BUS,
        "singly at least 6,000 a second": rates["commit_1"] >= SINGLY,
        "in batches of 16 at least 45,000 a second": rates["commit_16"] >= BATCHED,
        "the log verifies": sound,
    }
    result = {
        "name": "event_store",
        "value": round(rates["commit_16"]),
        "unit": "durable events/s in batches of 16",
        "reference": round(rates["sqlite3_singly"]),
        "ratio": round(rates["commit_1"] / rates["sqlite3_singly"], 3),
        "rates": {name: round(rate) for name, rate in rates.items()},
        "checks": checks,
    }
    print(json.dumps(result))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
