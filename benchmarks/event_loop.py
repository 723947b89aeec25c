"""Events a second through the trading loop, how late each is, and what follows a fill.

The market is synthetic: one-minute bars, each an open, some quotes, a range and a close of every
symbol and one event that all have closed; ten random strategies trade it against the paper
exchange, whose time is counted. Three mixes: ``quotes`` (ten symbols, ten quotes a bar, a symbol
for each strategy), ``bars`` (the same without quotes) and ``busy`` (bars of five symbols, each
traded by every strategy). Each is handled in lock-step, a commit for each step of the market as in
a paper run, and streamed, under so much load that 512 events always wait and a commit holds 256
(waiting quotes of a symbol are merged by the bus; what is stored counts, not what was offered); in
memory, and with commits that are forced to disk, ledger and journal rows and the hash chain
included. One core, the best of the repeats; ``cpu`` is by processor time, without the disk's.
References of the same run: a bare loop that looks the handler of each event up and calls
it, and SQLite from the standard library committing the same rows without chain and indexes.

The open loop offers events at a fixed rate from another thread; an event is late from the instant
it was due, not from the one it was sent at. Its reference, before it and after it, is a bare queue
between two threads with one forced write for what has come: on a machine that is busy elsewhere
even that is late. After a fill the four steps of the critical path are
timed in the handler, and until the feedback is stored.

    python benchmarks/event_loop.py
    python benchmarks/event_loop.py --quick
    python benchmarks/event_loop.py --seconds 300 --rate 1000 --folder /data
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import queue
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loop_rig import RUN, Mix, PlainStore, Recording, Rig

from genesis.trading.events import Event, EventType
from genesis.trading.feed import Phase
from genesis.trading.lockstep import FeedClock
from genesis.trading.loop import Log, MemoryLog
from genesis.trading.payloads import FeedbackSubmitted, OrderFilled, Quote
from genesis.trading.session import TABLES
from genesis.trading.store import EventStore, verify
from genesis.trading.tables import Row

MIXES = {
    "quotes": Mix(symbols=10, strategies=10, quotes=10, spread=False),
    "bars": Mix(symbols=10, strategies=10, quotes=0, spread=False),
    "busy": Mix(symbols=5, strategies=10, quotes=0, spread=True),
}
LEAST_MEMORY, LEAST_DURABLE = 50_000, 15_000
MOST_LATE_MS = 10.0
SEED_PATH_MS = 30.0
"""The critical path of the seed's post-trade flow, most of it a call to the exchange."""


def store_in(folder: Path) -> Callable[[FeedClock], EventStore]:
    """Maker of a durable log."""
    return lambda clock: EventStore.open(folder, run=RUN, tables=TABLES, clock=clock)


# ---- events a second -----------------------------------------------------------------------


def rates_of(rig: Rig, how: str) -> tuple[float, float]:
    """Events a second, by the clock and by processor time."""
    phases = list(rig.feed.phases())
    gc.collect()
    before, spent, began = rig.loop.handled, time.process_time(), time.perf_counter()
    (rig.stream if how == "stream" else rig.lockstep)(phases)
    seconds, spent = time.perf_counter() - began, time.process_time() - spent
    events = rig.loop.handled - before
    return events / seconds, events / spent


def mix_rates(mix: Mix, bars: int, home: Path) -> tuple[dict[str, float], dict[str, bool], int]:
    """One round of a mix: rates, whether memory and disk agree, and events that were handled."""
    panel = mix.panel(bars)
    rates: dict[str, float] = {}
    same: dict[str, bool] = {}
    events = 0
    for how in ("lockstep", "stream"):
        hashes = []
        for kind in ("memory", "durable"):
            folder = home / f"{how}-{kind}"
            make: Callable[[FeedClock], Log] = MemoryLog if kind == "memory" else store_in(folder)
            rig = Rig(mix, panel, make)
            rates[f"{how}_{kind}"], rates[f"{how}_{kind}_cpu"] = rates_of(rig, how)
            hashes.append(rig.core.state_hash)
            events = rig.loop.handled
            if isinstance(rig.log, EventStore):
                rig.log.close()
        same[how] = hashes[0] == hashes[1]
    rates |= reference_rates(mix, bars, home)
    return rates, same, events


def reference_rates(mix: Mix, bars: int, home: Path) -> dict[str, float]:
    """The bare loop on the same events, and plain SQLite on the same commits."""
    recording: list[Recording] = []

    def make(clock: FeedClock) -> Log:
        recording.append(Recording(MemoryLog(clock)))
        return recording[0]

    rig = Rig(mix, mix.panel(bars), make)
    rig.stream(rig.feed.phases())
    commits = recording[0].commits
    events = [event for batch, _ in commits for event in batch]
    plain = PlainStore(home / "plain.db", TABLES)
    began = time.perf_counter()
    for batch, rows in commits:
        plain.commit(batch, rows)
    stored = len(events) / (time.perf_counter() - began)
    plain.close()
    (home / "plain.db").unlink()
    return {"plain_sqlite": stored, "bare_dispatch": bare_rate(events)}


def bare_rate(events: list[Event]) -> float:
    """Events a second of a queue and a table of handlers that do nothing."""
    waiting: deque[Event] = deque()
    handlers: dict[EventType, Callable[[Event], None]] = dict.fromkeys(EventType, lambda _: None)
    began = time.perf_counter()
    for event in events:
        waiting.append(event)
    while waiting:
        event = waiting.popleft()
        handlers[event.data.type](event)
    return len(events) / (time.perf_counter() - began)


# ---- open loop -----------------------------------------------------------------------------


def bare_lateness(seconds: float, rate: float, path: Path) -> list[float]:
    """Milliseconds that a queue, two threads and a forced write need for the same rate."""
    waiting: queue.SimpleQueue[float] = queue.SimpleQueue()
    began, count = time.perf_counter() + 0.1, int(seconds * rate)

    def offer() -> None:
        for place in range(count):
            due = began + place / rate
            while (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            waiting.put(due)

    thread = threading.Thread(target=offer)
    thread.start()
    late: list[float] = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    while len(late) < count:
        batch = [waiting.get()]
        while not waiting.empty():
            batch.append(waiting.get())
        os.pwrite(handle, bytes(4_096 * (len(batch) + 4)), 0)
        os.fdatasync(handle)
        now = time.perf_counter()
        late += [(now - due) * 1e3 for due in batch]
    os.close(handle)
    thread.join()
    return late


class Feeder:
    """Offers events at a fixed rate from a thread of its own, through an exchange that it shares.

    Parameters
    ----------
    rig : Rig
    phases : list of Phase
    rate : float
        Events a second.
    """

    def __init__(self, rig: Rig, phases: list[Phase], rate: float) -> None:
        self._rig = rig
        self._events = [event for phase in phases for event in phase.events]
        self._rate = rate
        self._lock = threading.Lock()
        self._answers: list[Event] = []
        self.due: dict[int, float] = {}
        self.finished = threading.Event()
        rig.exchange.connect(self._answers.append)
        self._send, rig.outlet.act = rig.outlet.act, self._act  # type: ignore[method-assign]

    def run(self) -> None:
        """Offer all events, each when it is due."""
        began = time.perf_counter() + 0.1
        rig = self._rig
        for place, event in enumerate(self._events):
            due = self.due[id(event)] = began + place / self._rate
            while (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            with self._lock:
                rig.clock.advance(event.ts_ms)
                rig.exchange.on_market(event)
                answers = self._answers[:]
                self._answers.clear()
            for answer in answers:
                rig.bus.publish(answer)
            rig.bus.publish(event)
        self.finished.set()

    def _act(self, event: Event) -> str:
        """Carry a command out on the loop's thread, while the feeder's is kept away."""
        with self._lock:
            why = self._send(event)
            answers = self._answers[:]
            self._answers.clear()
        for answer in answers:
            self._rig.bus.publish(answer)
        return why

    @property
    def offered(self) -> int:
        """Number of events."""
        return len(self._events)


def open_loop(mix: Mix, seconds: float, rate: float, home: Path) -> dict[str, Any]:
    """Milliseconds from the instant at which an event was due to the end of its handling."""
    per_bar = mix.symbols * (mix.quotes + 3) + 1
    recorded: list[Recording] = []

    def make(clock: FeedClock) -> Log:
        store = store_in(home)(clock)
        recorded.append(Recording(store, store.close))
        return recorded[0]

    rig = Rig(mix, mix.panel(int(seconds * rate / per_bar) + 1), make)
    recording = recorded[0]
    recording.commits.clear()
    feeder = Feeder(rig, list(rig.feed.phases()), rate)
    bare = bare_lateness(seconds / 20, rate, home / "bare")
    thread = threading.Thread(target=feeder.run)
    late: list[float] = []
    taken = batches = 0
    gc.collect()
    gc.freeze()  # the market that lies ready is not looked through again
    thread.start()
    while not (feeder.finished.is_set() and rig.bus.idle):
        if not rig.bus.wait(0.05):
            continue
        batches += 1
        rig.loop.step()
        now = time.perf_counter()
        for batch, _ in recording.commits:
            for event in batch:
                due = feeder.due.get(id(event))
                if due is not None:
                    # Quotes that were merged into this one came after it: none is later.
                    count = event.data.count if type(event.data) is Quote else 1
                    taken += count
                    late += [(now - due) * 1e3] * count
        recording.commits.clear()
    thread.join()
    rig.loop.run_until_idle()
    rig.loop.flush()
    recording.close()
    gc.unfreeze()
    late.sort()
    bare += bare_lateness(seconds / 20, rate, home / "bare")
    bare.sort()
    report = verify(home)
    whole = taken == feeder.offered and report.ok and report.events == rig.loop.handled
    return {
        "rate": rate,
        "events": feeder.offered,
        "handled": rig.loop.handled,
        "batches": batches,
        **{f"p{q:g}_ms": late[int(len(late) * q / 100)] for q in (50, 90, 99, 99.9)},
        "most_ms": late[-1],
        "bare_p50_ms": bare[len(bare) // 2],
        "bare_p99_ms": bare[int(len(bare) * 0.99)],
        "nothing_lost": whole,
    }


# ---- the critical path ---------------------------------------------------------------------


class Stopwatch:
    """Times the steps that follow a fill, by standing between the parts of the core.

    Attributes
    ----------
    spent : dict of str to list of float
        Milliseconds of each step, for fills that end a trade, and until feedback is stored.
    """

    STEPS = ("order processing", "position registration", "performance recording", "feedback")

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {name: [] for name in (*self.STEPS, "all", "stored")}
        self._began = self._booked = 0.0
        self._recording = self._feedback = 0.0
        self._waiting: dict[int, float] = {}

    def attach(self, rig: Rig) -> None:
        """Stand between the parts of a rig's core."""
        core, fills = rig.core, rig.core._fills
        core._handlers[OrderFilled] = self._whole(fills.on_filled)
        register, settle, feed_back = fills._register, core.desk.ledger.settle, fills._feed_back

        def registering(*words: Any) -> None:
            self._booked = time.perf_counter()
            register(*words)

        fills._register = registering  # type: ignore[method-assign]
        core.desk.ledger.settle = self._timed(settle, "_recording")  # type: ignore[method-assign]
        fills._feed_back = self._timed(feed_back, "_feedback")  # type: ignore[method-assign]
        fills._recorders = tuple(_Timed(one, self) for one in fills._recorders)

    def _whole(self, handle: Callable[[Event], None]) -> Callable[[Event], None]:
        def handled(event: Event) -> None:
            self._recording = self._feedback = 0.0
            self._began = time.perf_counter()
            handle(event)
            whole = time.perf_counter() - self._began
            if self._feedback:
                order = self._booked - self._began
                rest = whole - order - self._recording - self._feedback
                parts = (order, rest, self._recording, self._feedback, whole)
                for name, seconds in zip((*self.STEPS, "all"), parts, strict=True):
                    self.spent[name].append(seconds * 1e3)
                self._waiting[event.seq] = self._began

        return handled

    def _timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*words: Any, **named: Any) -> Any:
            began = time.perf_counter()
            value = call(*words, **named)
            setattr(self, name, getattr(self, name) + time.perf_counter() - began)
            return value

        return timed

    def commit(self, log: Log) -> Callable[[list[Event], list[Row]], None]:
        """Commit that notices feedback."""
        commit = log.commit

        def noticing(events: list[Event], rows: list[Row]) -> None:
            commit(events, rows)
            now = time.perf_counter()
            for event in events:
                if type(event.data) is FeedbackSubmitted:
                    began = self._waiting.pop(event.caused_by)
                    self.spent["stored"].append((now - began) * 1e3)

        return noticing


class _Timed:
    def __init__(self, recorder: Any, watch: Stopwatch) -> None:
        self.record = watch._timed(recorder.record, "_recording")


def critical_path(mix: Mix, bars: int, home: Path) -> dict[str, dict[str, float]]:
    """Milliseconds of the steps after a fill: median, 99th percentile, most."""
    watch = Stopwatch()
    rig = Rig(mix, mix.panel(bars), store_in(home))
    watch.attach(rig)
    rig.loop._log = _Log(watch.commit(rig.log))
    rig.lockstep(rig.feed.phases())
    assert isinstance(rig.log, EventStore)
    rig.log.close()
    found = {}
    for name, spent in watch.spent.items():
        spent.sort()
        found[name] = {
            "fills": len(spent),
            "p50_ms": round(spent[len(spent) // 2], 4),
            "p99_ms": round(spent[int(len(spent) * 0.99)], 4),
            "most_ms": round(spent[-1], 4),
        }
    return found


class _Log:
    def __init__(self, commit: Callable[[list[Event], list[Row]], None]) -> None:
        self.commit = commit


# ---- all of it -----------------------------------------------------------------------------


def main() -> int:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a slice of everything")
    parser.add_argument("--bars", type=int, default=0, help="bars of a round")
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.0, help="of the open loop")
    parser.add_argument("--rate", type=float, default=1_000.0, help="events/s of the open loop")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    options = parser.parse_args()
    quick = options.quick
    bars = options.bars or (200 if quick else 1_000)
    repeats = options.repeats or (1 if quick else 3)
    seconds = options.seconds or (10.0 if quick else 300.0)
    cores = os.sched_getaffinity(0)
    rates: dict[str, dict[str, float]] = {name: {} for name in MIXES}
    checks: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        home = Path(temporary)
        os.sched_setaffinity(0, {max(cores)})
        for number in range(repeats):
            for name, mix in MIXES.items():
                folder = home / f"{name}{number}"
                folder.mkdir()
                found, same, events = mix_rates(mix, bars, folder)
                print(f"{name}: {events} events", _whole(found), file=sys.stderr)
                for key, rate in found.items():
                    rates[name][key] = max(rates[name].get(key, 0.0), rate)
                checks[f"{name}: one state in memory and on disk"] = all(same.values())
        path = critical_path(MIXES["busy"], 4 * bars, home / "path")
        print("after a fill", json.dumps(path), file=sys.stderr)
        os.sched_setaffinity(0, cores)
        late = open_loop(MIXES["quotes"], seconds, options.rate, home / "open")
        print("open loop", json.dumps(late), file=sys.stderr)
    for name in MIXES:
        for how, least in (("memory", LEAST_MEMORY), ("durable", LEAST_DURABLE)):
            text = f"{name}: {how} at least {least:,} a second"
            checks[text] = rates[name][f"stream_{how}"] >= least
    checks[f"99 of 100 events within {MOST_LATE_MS:g} ms"] = late["p99_ms"] < MOST_LATE_MS
    checks["nothing lost"] = late["nothing_lost"]
    slow = path["all"]["p99_ms"]
    checks[f"99 of 100 critical paths within {SEED_PATH_MS:g} ms"] = slow < SEED_PATH_MS
    best = rates["quotes"]
    result = {
        "name": "event_loop",
        "value": round(best["stream_durable"]),
        "unit": f"durable events/s on one core: {MIXES['quotes'].text}",
        "reference": round(best["plain_sqlite"]),
        "ratio": round(best["stream_durable"] / best["plain_sqlite"], 3),
        "mixes": {name: mix.text for name, mix in MIXES.items()},
        "rates": {name: _whole(found) for name, found in rates.items()},
        "open_loop": {k: round(v, 3) for k, v in late.items()},
        "critical_path": path,
        "critical_path_ratio": round(slow / SEED_PATH_MS, 5),
        "checks": checks,
    }
    print(json.dumps(result))
    return 0 if all(checks.values()) else 1


def _whole(found: dict[str, float]) -> dict[str, int]:
    return {name: round(rate) for name, rate in found.items()}


if __name__ == "__main__":
    sys.exit(main())
