"""When who dies: the deaths of a run, from a seed."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator

from benchmarks.crash.campaign import Death
from genesis.trading.crash_points import CRASH_POINTS

_RARE = {"session.opened": 1, "session.recovered": 1, "session.flushed": 1, "session.snapshot": 1}
_RARE |= {name: 1 for name in CRASH_POINTS if name.startswith("archive.")}
_PHASES, _BATCHES = 12, 30
_STARTING_S, _TRADING_S = 0.9, 1.2


def most_passes(point: str) -> int:
    """Passes before a death at a point, so that it comes within some bars."""
    return _RARE.get(point, _PHASES if point.startswith("lockstep.") else _BATCHES)


def at_points(
    dice: random.Random, points: Collection[str] = tuple(CRASH_POINTS)
) -> Iterator[Death]:
    """Deaths at these crash points, in any order."""
    for point in dice.sample(sorted(points), len(points)):
        yield Death(point, dice.randrange(most_passes(point)))


def at_random(dice: random.Random, count: int) -> Iterator[Death]:
    """Deaths at random instants: of the trader, and now and then of the exchange or of both.

    One in five comes while the trader starts and recovers. One in twelve is a SIGTERM instead.
    """
    for _ in range(count):
        whom = dice.choices(("trader", "exchange", "both", "stop"), (8, 2, 1, 1))[0]
        recovering = whom == "trader" and dice.random() < 0.2
        yield Death(
            after_s=dice.random() * (_STARTING_S if recovering else _TRADING_S),
            recovering=recovering,
            whom=whom,
        )
