"""Virtual time, and a network in it that drops, repeats, delays and reorders what it carries."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

Act = Callable[[], None]


class SimClock:
    """Clock of a simulated world: it stands still until the world moves it on."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1000.0

    def advance(self, ts_ms: int) -> None:
        self._now_ms = max(self._now_ms, ts_ms)


@dataclass(frozen=True)
class Odds:
    """How likely a message meets each fault."""

    drop: float
    duplicate: float
    late: float  # longer than any timeout
    held: float  # long enough for others to overtake it
    latency_ms: float
    longest_ms: int

    @classmethod
    def drawn(cls, rng: random.Random) -> Odds:
        return cls(
            drop=rng.uniform(0.01, 0.10),
            duplicate=rng.uniform(0.01, 0.10),
            late=rng.uniform(0.01, 0.06),
            held=rng.uniform(0.02, 0.15),
            latency_ms=rng.choice([20.0, 80.0, 300.0]),
            longest_ms=rng.choice([9_000, 14_000, 25_000]),
        )


class Network:
    """Agenda of the world, and messages on their way.

    `at` is certain: it is for the world itself. `carry` is what faults are for.
    """

    def __init__(self, rng: random.Random, clock: SimClock, odds: Odds) -> None:
        self.clock = clock
        self.counts: Counter[str] = Counter()
        self.healed = False
        self.cut: frozenset[str] = frozenset()  # channels that carry nothing for a while
        self._rng = rng
        self._odds = odds
        self._agenda: list[tuple[int, int, Act]] = []
        self._number = 0
        self._newest: dict[str, int] = {}

    @property
    def next_ms(self) -> int | None:
        return self._agenda[0][0] if self._agenda else None

    def pop(self) -> Act:
        return heapq.heappop(self._agenda)[2]

    def at(self, due_ms: int, act: Act) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (max(due_ms, self.clock.now_ms()), self._number, act))

    def after(self, delay_ms: float, act: Act) -> None:
        self.at(self.clock.now_ms() + int(delay_ms), act)

    def carry(self, channel: str, act: Act) -> None:
        """Take a message to its receiver, sooner or later, once, twice or never."""
        rng, odds = self._rng, self._odds
        if self.healed:
            self._post(channel, act, 20)
            return
        if channel in self.cut:
            self.counts["outage"] += 1
            return
        if rng.random() < odds.drop:
            self.counts["drop"] += 1
            return
        self._post(channel, act, self._delay())
        if rng.random() < odds.duplicate:
            self.counts["duplicate"] += 1
            self._post(channel, act, self._delay())

    def _delay(self) -> int:
        rng, odds = self._rng, self._odds
        delay = 1 + int(rng.expovariate(1.0 / odds.latency_ms))
        kind = rng.random()
        if kind < odds.late:
            self.counts["delay"] += 1
            return delay + rng.randint(2_000, odds.longest_ms)
        if kind < odds.late + odds.held:
            return delay + rng.randint(100, 3_000)
        return delay

    def _post(self, channel: str, act: Act, delay_ms: int) -> None:
        number = self._number + 1

        def arrive() -> None:
            if number < self._newest.get(channel, 0):
                self.counts["reorder"] += 1
            self._newest[channel] = max(number, self._newest.get(channel, 0))
            act()

        self.after(delay_ms, arrive)
