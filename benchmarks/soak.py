"""Memory, queues and descriptors of a paper run of two million events.

Ten strategies trade five symbols each (50 deployments) on one-minute bars with quotes, through the
engine of paper runs with its store. From time to time the process is looked at: resident memory,
open descriptors, what waits on the bus, what the core remembers, the write-ahead log. ``value`` is
the slope of memory after the first quarter, or after 120,000 events if that is later, in MB per
100,000 events (Theil and Sen: the median of the slopes between all pairs of looks, which a single
jump does not move). ``reference`` is how much the log grew on disk meanwhile, in the same unit:
what memory would grow by if it were kept.

    python benchmarks/soak.py
    python benchmarks/soak.py --events 200000 --folder /data
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from loop_rig import PATIENT, Mix, traders

from genesis.paper.engine import PaperTradingEngine
from genesis.paper.settings import PaperMode, PaperSettings
from genesis.risk.limits import HardLimits
from genesis.strategy.text import dump_strategy
from genesis.trading.bus import CAPACITY
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.store import verify

MIX = Mix(symbols=5, strategies=10, quotes=4, spread=True)
LOOKS = 160
WARM, WARM_EVENTS = 0.25, 120_000
"""Part of a run, and least number of events, until what is remembered of orders is full."""
MOST_SLOPE = 1.0
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def theil_sen(x: list[float], y: list[float]) -> float:
    """Median of the slopes between all pairs of points."""
    first, second = np.triu_indices(len(x), 1)
    across, up = np.array(x), np.array(y)
    return float(np.median((up[second] - up[first]) / (across[second] - across[first])))


class Soak:
    """An engine and what was seen of it.

    Parameters
    ----------
    folder : Path
        Of the run; must not exist.
    events : int
    """

    def __init__(self, folder: Path, events: int) -> None:
        self.events = events
        self.warm = max(WARM * events, min(WARM_EVENTS, 0.6 * events))
        per_bar = MIX.symbols * (MIX.quotes + 3) + 1
        # What is emitted comes on top: the market is never too short.
        feed = PanelFeed(MIX.panel(events // per_bar + 10), MIX.quotes)
        settings = PaperSettings(
            PaperMode.SIMULATION,
            tuple(dump_strategy(one) for one in traders(MIX.strategies)),
            {},
            limits=HardLimits(max_order=10, max_position=10, max_gross=100).plain(),
            options=PATIENT,
        )
        self.folder = folder
        self.engine = PaperTradingEngine(
            folder, settings, feed, feed.instruments, build="soak", synchronous="NORMAL"
        )
        self.looks: list[dict[str, float]] = []
        self._next = 0
        self._began = time.perf_counter()
        self._waiting = 0

    def run(self) -> None:
        """Trade until the log has so many events."""
        self.engine.run(self._enough, self._told)

    def _enough(self) -> bool:
        return self.engine.session.head_seq >= self.events

    def _told(self, phases: int) -> None:
        del phases
        if self.engine.session.head_seq >= self._next:
            self._look()
            self._next += self.events // LOOKS

    def _look(self) -> None:
        engine = self.engine
        desk, store = engine.core.desk, engine.session.store
        seq = engine.session.head_seq
        look = {
            "events": seq,
            "resident_mb": resident_mb(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "waiting": sum(engine._bus.waiting.values()),
            "arrivals": sum(len(queue.arrived) for queue in engine._bus._queues),
            "orders": len(desk.orders._index.orders),
            "plans": len(desk.ledger.plans),
            "chains": len(desk.journal._orders) + sum(map(len, desk.journal._plans.values())),
            "timers": len(desk.timers) + len(engine._timers),
            "deadlines": len(desk.orders._due),
            "recent": sum(map(len, desk.recent.values())),
            "exchange_orders": len(engine.exchange._desk.orders),
            "unanswered": len(engine.session.loop.flow.awaiting),
            "wal_mb": store.wal_pages * 4096 / 1e6,
            "disk_mb": sum(p.stat().st_size for p in self.folder.iterdir()) / 1e6,
        }
        self.looks.append(look)
        if len(self.looks) % 16 == 1:
            rate = seq / (time.perf_counter() - self._began)
            text = {name: round(value, 1) for name, value in look.items()}
            print(f"{rate:,.0f} events/s {json.dumps(text)}", file=sys.stderr, flush=True)

    @property
    def rate(self) -> float:
        """Events a second so far."""
        return self.engine.session.head_seq / (time.perf_counter() - self._began)

    def slope(self, name: str) -> float:
        """Growth of something after the warm-up, per 100,000 events."""
        warm = [look for look in self.looks if look["events"] >= self.warm]
        return 1e5 * theil_sen([x["events"] for x in warm], [x[name] for x in warm])

    def most(self, name: str, start: float = 0.0, stop: float = float("inf")) -> float:
        """Most of something that was seen between two numbers of events."""
        return max(look[name] for look in self.looks if start <= look["events"] <= stop)

    def grew(self, name: str) -> bool:
        """Whether there is more of something at the end than right after the warm-up."""
        middle = (self.warm + self.events) / 2
        return self.most(name, middle) > 1.2 * self.most(name, self.warm, middle) + 32


BOUNDED = ("orders", "plans", "chains", "timers", "deadlines", "recent", "exchange_orders")
"""What the core and the exchange remember, by number; none may grow with the log."""


def report(soak: Soak, seconds: float) -> dict[str, Any]:
    """Figures and verdicts."""
    slope = soak.slope("resident_mb")
    growth = {name: round(soak.slope(name), 2) for name in BOUNDED}
    bounded = {name: soak.most(name) for name in BOUNDED}
    checked = verify(soak.folder)
    fills = soak.engine.exchange._desk.counter
    few = soak.most("descriptors") - min(look["descriptors"] for look in soak.looks)
    checks = {
        f"memory grows by less than {MOST_SLOPE:g} MB per 100,000 events": slope < MOST_SLOPE,
        "queues stay below their bound": soak.most("arrivals") <= CAPACITY,
        "arrival times leave with their events": soak.looks[-1]["arrivals"] == 0,
        "descriptors bounded": few <= 8,
        "nothing remembered grows": not any(soak.grew(name) for name in BOUNDED),
        "every order was answered": soak.looks[-1]["unanswered"] == 0,
        "write-ahead log bounded": soak.most("wal_mb") <= 32.0,
        "the log verifies": checked.ok and checked.events >= soak.events,
        "it traded": fills > soak.events / 2_000,
    }
    return {
        "name": "soak",
        "value": round(slope, 4),
        "unit": f"MB per 100,000 events: {MIX.text}",
        "reference": round(soak.slope("disk_mb"), 2),
        "ratio": round(slope / soak.slope("disk_mb"), 5),
        "events": int(soak.looks[-1]["events"]),
        "events_per_second": round(soak.looks[-1]["events"] / seconds),
        "resident_mb": [round(soak.looks[k]["resident_mb"], 1) for k in (0, len(soak.looks) // 4)]
        + [round(soak.looks[-1]["resident_mb"], 1)],
        "most": bounded,
        "growth_per_100000": growth,
        "exchange_numbers": fills,
        "checks": checks,
    }


def main() -> int:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the run is kept meanwhile")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        began = time.perf_counter()
        soak = Soak(Path(temporary) / "run", options.events)
        soak.run()
        result = report(soak, time.perf_counter() - began)
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
