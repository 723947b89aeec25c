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

import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crash.campaign import Campaign, Death, TraderProcess
from benchmarks.crash.judge import Judge
from benchmarks.crash.loop import run
from benchmarks.crash.market import Scenario
from benchmarks.crash.venue_judge import VenueJudge, VenueTruth
from benchmarks.crash.venue_rig import Venue, VenueClient
from benchmarks.crash.venue_trader import VenuePlan

STARTING_S, TRADING_S = 1.5, 1.5


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


def at_random(dice: random.Random, count: int) -> Iterator[Death]:
    """Deaths at random instants, one in five while the trader starts and recovers."""
    for _ in range(count):
        recovering = dice.random() < 0.2
        yield Death(
            after_s=dice.random() * (STARTING_S if recovering else TRADING_S),
            recovering=recovering,
        )


def campaign(folder: Path, number: int, bars: int) -> Campaign:
    """Every third run has quotes inside its bars."""
    return VenueCampaign(folder, Scenario(number, bars, quotes=2 if number % 3 == 1 else 0))


def main() -> int:
    return run(
        "trader_crash_loop",
        __doc__.splitlines()[0],
        campaign,
        at_random,
        a_run=12,
        instants=200,
        points=1,
        bars=40,
    )


if __name__ == "__main__":
    sys.exit(main())
