"""Orders and fills lost or doubled while a trader with the live gateway is killed again and again.

Trader and local exchange are processes of their own that speak Hyperliquid's protocol over
sockets. The trader is killed with SIGKILL at every named crash point and at random instants, also
while it starts, and each restart is judged from the exchange alone: its log of requests has every
client id once, its fills and payments are in the ledger once, positions and cash are equal to the
last digit, and the whole log folds again to the state that the trader has. ``value`` is how many
orders and fills are lost or doubled; ``reference`` is how many the exchange had.

    python benchmarks/trader_crash_loop.py
    python benchmarks/trader_crash_loop.py --random 20 --points 1 --bars 20
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crash.campaign import Campaign, Death, Tally, TraderProcess
from benchmarks.crash.judge import Judge
from benchmarks.crash.market import Scenario
from benchmarks.crash.schedule import most_passes
from benchmarks.crash.venue_judge import VenueJudge, VenueTruth
from benchmarks.crash.venue_rig import Venue, VenueClient
from benchmarks.crash.venue_trader import VenuePlan
from genesis.trading.crash_points import CRASH_POINTS

STARTING_S, TRADING_S = 1.5, 1.5
A_RUN = 12


class VenueCampaign(Campaign):
    """A run on the local exchange, through as many deaths of the trader as it is given."""

    _exchange: Venue

    def _open(self, folder: Path) -> Venue:
        return Venue(folder, self._scenario)

    def _start(self, death: Death) -> TraderProcess:
        plan = VenuePlan(
            str(self._run),
            self._exchange.address,
            self._scenario,
            death.point,
            death.passes,
            self._exchange.accounts,
        )
        return TraderProcess(plan, "benchmarks.crash.venue_trader")

    def _judge_of(self) -> Judge:
        venue = self._exchange
        return VenueJudge(
            VenueTruth(venue.truth, VenueClient(venue.address), venue.accounts), self._run
        )


def at_points(dice: random.Random, points: Collection[str]) -> Iterator[Death]:
    """Deaths at these crash points, in any order."""
    for point in dice.sample(sorted(points), len(points)):
        yield Death(point, dice.randrange(most_passes(point)))


def at_random(dice: random.Random, count: int) -> Iterator[Death]:
    """Deaths at random instants, one in five while the trader starts and recovers."""
    for _ in range(count):
        recovering = dice.random() < 0.2
        yield Death(
            after_s=dice.random() * (STARTING_S if recovering else TRADING_S),
            recovering=recovering,
        )


def campaign(folder: Path, number: int, bars: int, deaths: Iterator[Death]) -> Tally:
    """Run one campaign and say how it went; every third run has quotes inside its bars."""
    scenario = Scenario(number, bars, quotes=2 if number % 3 == 1 else 0)
    tally = VenueCampaign(folder, scenario).run(deaths)
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
    """Run campaigns until every point and instant has had its deaths; the result to print."""
    began = time.perf_counter()
    dice, tallies = random.Random(seed), []
    deaths: Counter[str] = Counter()

    def missing() -> list[str]:
        return [point for point in CRASH_POINTS if deaths[point] < points]

    number = seed
    while missing() or deaths["trader"] < instants:
        plan = (
            at_points(dice, missing())
            if missing()
            else at_random(dice, min(instants - deaths["trader"], A_RUN))
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
        "name": "trader_crash_loop",
        "value": lost + doubled,
        "unit": "orders and fills lost or doubled",
        "reference": sum(v.orders + v.fills for v in ends),
        "ratio": 0.0,
        "deaths": dict(sorted(deaths.items())),
        "random_instants": deaths["trader"],
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
            "random_instants": deaths["trader"] >= instants,
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=200, help="random instants")
    parser.add_argument("--points", type=int, default=1, help="deaths at each crash point")
    parser.add_argument("--bars", type=int, default=40, help="bars of a run")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), given.random, given.points, given.bars, given.seed)
    print(json.dumps(result))
    return 0 if all(result["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
