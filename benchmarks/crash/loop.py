"""Campaigns one after the other until every crash point and enough instants were met."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.crash.campaign import Campaign, Death, Tally
from benchmarks.crash.schedule import at_points
from genesis.trading.crash_points import CRASH_POINTS

KILLS = ("trader", "exchange", "both")

Make = Callable[[Path, int, int], Campaign]
"""``make(folder, number, bars)``: the campaign of a number."""

AtRandom = Callable[[random.Random, int], Iterator[Death]]
"""``at_random(dice, count)``: so many deaths at random instants."""


def _told(number: int, tally: Tally) -> Tally:
    """Say how a campaign went."""
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


def _measure(
    name: str, make: Make, at_random: AtRandom, a_run: int, folder: Path, given: argparse.Namespace
) -> dict[str, Any]:
    began = time.perf_counter()
    dice, tallies = random.Random(given.seed), []
    deaths: Counter[str] = Counter()

    def missing() -> list[str]:
        return [point for point in CRASH_POINTS if deaths[point] < given.points]

    def kills() -> int:
        return sum(deaths[whom] for whom in KILLS)

    number = given.seed
    while missing() or kills() < given.random:
        plan = (
            at_points(dice, missing())
            if missing()
            else at_random(dice, min(given.random - kills(), a_run))
        )
        tallies.append(_told(number, make(folder / str(number), number, given.bars).run(plan)))
        deaths += tallies[-1].deaths
        number += 1
        if tallies[-1].failures:
            break
    verdicts = [one for tally in tallies for one in tally.verdicts]
    ends = [tally.verdicts[-1] for tally in tallies if tally.verdicts]
    lost, doubled = sum(v.lost for v in verdicts), sum(v.doubled for v in verdicts)
    complaints = sum(len(tally.complaints) for tally in tallies)
    judged = sum(v.orders + v.fills for v in ends)
    return {
        "name": name,
        "value": lost + doubled,
        "unit": "orders and fills lost or doubled",
        "reference": judged,
        "ratio": (lost + doubled) / max(judged, 1),
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
            "random_instants": kills() >= given.random,
        },
    }


def run(
    name: str,
    summary: str,
    make: Make,
    at_random: AtRandom,
    *,
    a_run: int,
    instants: int,
    points: int,
    bars: int,
) -> int:
    """Read the command line, run campaigns, print the result.

    Parameters
    ----------
    name, summary : str
    make, at_random : callable
    a_run : int
        Most random instants of one campaign.
    instants, points, bars : int
        Defaults of the command line.
    """
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--random", type=int, default=instants, help="random instants")
    parser.add_argument("--points", type=int, default=points, help="deaths at each crash point")
    parser.add_argument("--bars", type=int, default=bars, help="bars of a run")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = _measure(name, make, at_random, a_run, Path(folder), given)
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1
