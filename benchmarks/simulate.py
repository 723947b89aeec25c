"""Seeded simulations of a trading process on a bad day, judged by the exchange's own truth.

A seed is a world in virtual time: a synthetic market, an exchange behind a network that drops,
repeats, delays and reorders, outages, a full disk, an operator, a person who trades by hand, and a
process with the real loop and the real log that is killed at its crash points and recovered. At
its end everything is healed and closed, and these must hold:

I1  an intent leads to at most one order at the exchange, and nothing is sent twice;
I2  every intent and order comes to an end; what is UNKNOWN lets no entry follow, nothing goes out
    after its expiry, and what an operator flattens is flat;
I3  after reconciliation the books are the exchange's: fills, positions, orders, cash;
I4  limits count what is open, pending and UNKNOWN: the exchange never sees them exceeded;
I5  the fold of the log is the live state, byte for byte, with every emission the same.

Five planted bugs must be found, each within 500 seeds. ``value`` is processor time per seed.

    python benchmarks/simulate.py
    python benchmarks/simulate.py --seeds 500 --workers 2
    python benchmarks/simulate.py --seed 17 --verbose
    python benchmarks/simulate.py --bug unknown_is_zero --verbose
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.simulation.bugs import BUGS, planted
from tests.simulation.world import Verdict, simulate

SEEDS, WITHIN = 10_000, 500
MOST_S = 0.25
TWICE = 20
"""Every so many seeds one is lived through a second time, and must leave the same log."""


def one(task: tuple[int, str]) -> tuple[Verdict, float, bool]:
    """A seed's verdict, its processor time, and whether a second life was the same."""
    seed, bug = task
    began = time.process_time()
    with planted(bug) as make:
        verdict = simulate(seed, make)
        spent = time.process_time() - began
        same = True
        if seed % TWICE == 0 and not bug:
            again = simulate(seed, make)
            same = (again.log_hash, again.state_hash) == (verdict.log_hash, verdict.state_hash)
    return verdict, spent, same


def quiet() -> None:
    """Leave Ctrl-C to the process that was started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def results(seeds: Iterator[int], bug: str, pool: Any) -> Iterator[tuple[Verdict, float, bool]]:
    """Results in the order of the seeds."""
    tasks = ((seed, bug) for seed in seeds)
    return map(one, tasks) if pool is None else pool.imap(one, tasks, chunksize=4)


class Tally:
    """What was found so far."""

    def __init__(self) -> None:
        self.failed: list[Verdict] = []
        self.changed: list[int] = []
        self.idle: list[int] = []
        self.faults: Counter[str] = Counter()
        self.done = self.events = self.orders = self.fills = self.recovered = 0
        self.spent = 0.0

    def add(self, verdict: Verdict, spent: float, *, same: bool) -> None:
        """Count a seed."""
        self.done += 1
        self.spent += spent
        self.events += verdict.events
        self.orders += verdict.orders
        self.fills += verdict.fills
        self.recovered += verdict.recovered
        self.faults += verdict.faults
        if verdict.violations:
            self.failed.append(verdict)
        elif not verdict.complete:
            self.idle.append(verdict.seed)
        if not same:
            self.changed.append(verdict.seed)


def live(seeds: range, pool: Any, tally: Tally, *, verbose: bool) -> None:
    """Go through seeds without a bug."""
    shown = time.monotonic()
    for verdict, spent, same in results(iter(seeds), "", pool):
        tally.add(verdict, spent, same=same)
        if verbose or verdict.violations:
            print(verdict.line(), file=sys.stderr)
        elif time.monotonic() - shown > 10:
            shown = time.monotonic()
            failed = len(tally.failed)
            print(f"{tally.done} of {len(seeds)} seeds, {failed} failed", file=sys.stderr)


def hunt(bug: str, seeds: range, *, verbose: bool) -> int:
    """First seed that finds a bug, -1 if none does."""
    for verdict, _, _ in results(iter(seeds), bug, None):
        if verbose:
            print(f"{bug}: {verdict.line()}", file=sys.stderr)
        if verdict.violations:
            print(f"{bug}: seed {verdict.seed}: {verdict.violations[0]}", file=sys.stderr)
            return verdict.seed
    print(f"{bug}: not found in {len(seeds)} seeds", file=sys.stderr)
    return -1


def report(tally: Tally, bugs: dict[str, int], wanted: int, *, stopped: bool) -> dict[str, Any]:
    """Result as it is printed."""
    mean = tally.spent / tally.done if tally.done else 0.0
    checks = {f"{bug} is found within {WITHIN} seeds": seed >= 0 for bug, seed in bugs.items()}
    if wanted:
        checks["every seed was lived, without a violation"] = (
            not tally.failed and not stopped and tally.done == wanted
        )
        checks["2,000 events, 50 orders, all five faults in each"] = not tally.idle
        checks["the same log when lived twice"] = not tally.changed
    return {
        "name": "simulate",
        "value": round(mean, 4),
        "unit": "processor seconds per seed",
        "reference": MOST_S,
        "ratio": round(MOST_S / mean, 2) if mean else 0.0,
        "seeds": tally.done,
        "events": tally.events,
        "orders": tally.orders,
        "fills": tally.fills,
        "recovered_events": tally.recovered,
        "faults": dict(sorted(tally.faults.items())),
        "first_seed_that_finds": bugs,
        "failed_seeds": [verdict.seed for verdict in tally.failed][:100],
        "too_quiet_seeds": tally.idle[:100],
        "changed_seeds": tally.changed[:100],
        "checks": checks,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--bug", choices=list(BUGS), help="only hunt for this planted bug")
    parser.add_argument("--no-bugs", action="store_true", help="plant none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="a line for each seed")
    options = parser.parse_args()
    only = options.seed is not None
    first = options.seed if only else options.first
    seeds = range(first, first + (1 if only else options.seeds))
    tally, found, stopped = Tally(), dict[str, int](), False
    pool = None
    wanted = 0 if options.bug else len(seeds)
    try:
        for bug in [options.bug] if options.bug else [] if only or options.no_bugs else BUGS:
            span = range(first, first + WITHIN) if not only else seeds
            found[bug] = hunt(bug, span, verbose=options.verbose)
        if wanted:
            if options.workers > 1 and not only:
                context = multiprocessing.get_context("spawn")
                pool = context.Pool(options.workers, quiet)
            live(seeds, pool, tally, verbose=options.verbose or only)
    except KeyboardInterrupt:
        stopped = True
        print(f"stopped after {tally.done} seeds", file=sys.stderr)
    finally:
        if pool is not None:
            pool.terminate()
    result = report(tally, found, wanted, stopped=stopped)
    print(json.dumps(result))
    return 130 if stopped else 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
