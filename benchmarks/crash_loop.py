"""Orders and fills lost or doubled while trader and exchange are killed again and again.

A trader with its event log and the paper exchange with its truth file are processes of their own.
The trader is killed with SIGKILL at every named crash point and at random instants, the exchange
at some of these too, and each restart is judged from the truth file alone: every order once in the
log, every fill and payment once in the ledger, positions and cash equal to the last digit, the
whole log folding again to the state that the trader has. ``value`` is how many are lost or
doubled; ``reference`` is how many orders and fills the exchange had.

    python benchmarks/crash_loop.py
    python benchmarks/crash_loop.py --random 20 --points 1 --bars 40
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crash.campaign import Campaign, Death, Tally
from benchmarks.crash.market import Scenario
from benchmarks.crash.schedule import at_points, at_random
from genesis.trading.crash_points import CRASH_POINTS

KILLS = ("trader", "exchange", "both")


def scenario_of(number: int, bars: int) -> Scenario:
    """Every other run has latency, every third has quotes inside its bars."""
    return Scenario(number, bars, quotes=2 if number % 3 == 1 else 0, delayed=number % 2 == 1)


def campaign(folder: Path, number: int, bars: int, deaths: Iterator[Death]) -> Tally:
    """Run one campaign and say how it went."""
    tally = Campaign(folder, scenario_of(number, bars)).run(deaths)
    last = tally.verdicts[-1] if tally.verdicts else None
    told = f"{last.orders} orders, {last.fills} fills, {last.events} events" if last else "nothing"
    print(
        f"run {number}: {sum(tally.deaths.values())} deaths, {len(tally.verdicts)} judged, {told},"
        f" {len(tally.complaints)} complaints, {tally.seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )
    for text in tally.complaints[:5]:
        print(f"  {text}", file=sys.stderr, flush=True)
    return tally


def measure(folder: Path, instants: int, points: int, bars: int, seed: int) -> dict[str, Any]:
    """Campaigns until every crash point and so many random instants were met."""
    began = time.perf_counter()
    dice, tallies = random.Random(seed), []
    deaths: Counter[str] = Counter()

    def missing() -> list[str]:
        return [point for point in CRASH_POINTS if deaths[point] < points]

    def kills() -> int:
        return sum(deaths[whom] for whom in KILLS)

    number = seed
    while missing() or kills() < instants:
        plan = (
            at_points(dice, missing())
            if missing()
            else at_random(dice, min(instants - kills(), 20))
        )
        tallies.append(campaign(folder / str(number), number, bars, plan))
        deaths += tallies[-1].deaths
        number += 1
        if tallies[-1].failures:
            break
    verdicts = [one for tally in tallies for one in tally.verdicts]
    ends = [tally.verdicts[-1] for tally in tallies if tally.verdicts]
    lost, doubled = sum(v.lost for v in verdicts), sum(v.doubled for v in verdicts)
    complaints = sum(len(tally.complaints) for tally in tallies)
    return {
        "name": "crash_loop",
        "value": lost + doubled,
        "unit": "orders and fills lost or doubled",
        "reference": sum(v.orders + v.fills for v in ends),
        "ratio": 0.0,
        "deaths": dict(sorted(deaths.items())),
        "random_instants": kills(),
        "stops": deaths["stop"],
        "judged": len(verdicts),
        "runs": len(tallies),
        "orders": sum(v.orders for v in ends),
        "fills": sum(v.fills for v in ends),
        "events": sum(v.events for v in ends),
        "never_sent": sum(v.unsent for v in ends),
        "seconds": round(time.perf_counter() - began, 1),
        "checks": {
            "nothing_lost": lost == 0,
            "nothing_doubled": doubled == 0,
            "books_equal": complaints == 0,
            "every_crash_point": not missing(),
            "random_instants": kills() >= instants,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=100, help="random instants")
    parser.add_argument("--points", type=int, default=2, help="deaths at each crash point")
    parser.add_argument("--bars", type=int, default=60, help="bars of a run")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), given.random, given.points, given.bars, given.seed)
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
