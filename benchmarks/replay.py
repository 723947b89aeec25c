"""Events a second when a stored paper run is folded again, and proof that the log leads there.

A paper run of several strategies on several symbols is made, kept on disk, and replayed from its
first event: every emission, commands included, must be the stored one to the byte, and the state
that it ends with must be that of the run. As a control the same log is folded with a strategy's
risk limit changed: the replay must notice. ``reference`` is reading the events and decoding them,
without a core; best of the repeats. A replay waits for nothing, so that what it takes of one core
is by processor time: other programs do not count.

    python benchmarks/replay.py
    python benchmarks/replay.py --bars 2000 --repeats 5 --folder /data
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from loop_rig import Mix, traders

from genesis.evolution.files import write_json
from genesis.paper.engine import PaperTradingEngine, trading_build
from genesis.paper.settings import PaperMode, PaperSettings, write_settings
from genesis.risk.limits import HardLimits
from genesis.strategy.text import dump_strategy
from genesis.system.paper import RESULT
from genesis.system.replays import ReplayOutcome, replay_run
from genesis.trading.events import COMMANDS
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.store import EventReader

LEAST = 20_000
MIX = Mix(symbols=5, strategies=10, quotes=2, spread=True)


def settings_of(limits: HardLimits) -> PaperSettings:
    """Ten strategies, with room for positions or without."""
    return PaperSettings(
        PaperMode.BACKTEST_VALIDATION,
        tuple(dump_strategy(one) for one in traders(MIX.strategies)),
        {},
        limits=limits.plain(),
    )


def make_run(folder: Path, bars: int) -> float:
    """Trade and keep a run; events a second that it was made at."""
    settings = settings_of(HardLimits(max_order=10, max_position=10, max_gross=100))
    feed = PanelFeed(MIX.panel(bars), MIX.quotes)
    folder.mkdir()
    write_settings(folder, settings, {})
    build = trading_build()
    engine = PaperTradingEngine(
        folder, settings, feed, feed.instruments, build=build, synchronous="OFF"
    )
    began = time.perf_counter()
    outcome = engine.run()
    seconds = time.perf_counter() - began
    result = {"state_hash": outcome.state_hash, "events": outcome.events, "build": build}
    write_json(folder / RESULT, result)
    return outcome.events / seconds


def replayed(folder: Path, repeats: int) -> tuple[list[ReplayOutcome], float, float]:
    """Outcomes of the replays; best events a second, by the clock and by processor time."""
    outcomes, best, alone = [], 0.0, 0.0
    for _ in range(repeats):
        began, spent = time.perf_counter(), time.process_time()
        outcomes.append(replay_run(folder))
        best = max(best, outcomes[-1].events / (time.perf_counter() - began))
        alone = max(alone, outcomes[-1].events / (time.process_time() - spent))
    return outcomes, best, alone


def read_rate(folder: Path, repeats: int) -> tuple[float, int, int]:
    """Events a second of reading alone; how many the core emitted, and how many are commands."""
    best = 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        with EventReader(folder) as reader:
            events = sum(1 for _ in reader.events())
        best = max(best, events / (time.perf_counter() - began))
    with EventReader(folder) as reader:
        derived = [event.data.type for event in reader.events() if event.caused_by]
    return best, len(derived), sum(kind in COMMANDS for kind in derived)


def main() -> int:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bars", type=int, default=1_500, help="one-minute bars of the run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary) / "run"
        made = make_run(folder, options.bars)
        reference, derived, commands = read_rate(folder, options.repeats)
        outcomes, best, alone = replayed(folder, options.repeats)
        small = HardLimits(max_order=1e-6, max_position=1e-6, max_gross=1e-6)
        write_settings(folder, settings_of(small), {})
        control = replay_run(folder)
    checks = {
        "every emission equal": all(not o.divergences and not o.pending for o in outcomes),
        "state hash of the run": all(o.equal and o.expected for o in outcomes),
        "commands among them": commands > 100,
        f"at least {LEAST:,} events a second of one core": alone >= LEAST,
        "a core with other limits is noticed": bool(control.divergences) and not control.equal,
    }
    result = {
        "name": "replay",
        "value": round(best),
        "unit": f"events/s: {MIX.text}",
        "reference": round(reference),
        "ratio": round(best / reference, 3),
        "events": outcomes[0].events,
        "emissions": derived,
        "commands": commands,
        "processor_rate": round(alone),
        "made_at": round(made),
        "checks": checks,
    }
    print(json.dumps(result))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
