"""Polite reading over a network: a budget of request weight, and retries of reads."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from genesis.domain.clock import Clock
from genesis.domain.errors import InfrastructureError

T = TypeVar("T")
Sleep = Callable[[float], None]


class WeightBudget:
    """Keeps requests under a weight per sliding minute.

    Parameters
    ----------
    limit : float
        Weight allowed in any `window_s` seconds.
    clock : Clock
    sleep : callable
        Waits for a number of seconds.
    window_s : float
    """

    def __init__(self, limit: float, clock: Clock, sleep: Sleep, window_s: float = 60.0) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._window = window_s
        self._spent: deque[tuple[float, float]] = deque()

    def spend(self, weight: float) -> None:
        """Wait until the weight fits, then book it."""
        while self.spent() and self.spent() + weight > self._limit:
            until = self._spent[0][0] + self._window
            self._sleep(max(until - self._clock.monotonic(), 0.001))
        self._spent.append((self._clock.monotonic(), weight))

    def spent(self) -> float:
        """Weight booked in the last window."""
        horizon = self._clock.monotonic() - self._window
        while self._spent and self._spent[0][0] <= horizon:
            self._spent.popleft()
        return sum(weight for _, weight in self._spent)


class Retries:
    """Repeats a read that failed for a passing reason, waiting longer each time.

    Only for requests without effect: an order is never sent through this.

    Parameters
    ----------
    who : str
        Whom is asked, for messages.
    transient : callable
        ``transient(error)``: the least wait in seconds before the next try, or None if trying
        again cannot help.
    sleep : callable
    attempts : int
        Tries in all.
    seed : int
        Of the jitter, so that many clients do not come back together.
    """

    def __init__(
        self,
        who: str,
        transient: Callable[[Exception], float | None],
        sleep: Sleep,
        attempts: int = 5,
        seed: int = 0,
    ) -> None:
        self._who = who
        self._transient = transient
        self._sleep = sleep
        self._attempts = attempts
        self._random = random.Random(seed)  # noqa: S311  jitter, not a secret

    def run(self, call: Callable[[], T]) -> T:
        """Call until it succeeds.

        Raises
        ------
        InfrastructureError
            When the last try failed, with the reason of that one.
        """
        for attempt in range(self._attempts):
            try:
                return call()
            except Exception as error:
                wait = self._transient(error)
                if wait is None:
                    raise
                if attempt + 1 == self._attempts:
                    raise InfrastructureError(
                        f"{self._who} does not answer ({self._attempts} tries)",
                        why=_reason(error),
                        fix="check the network and try again, what was fetched is kept; "
                        "or import files instead: genesis data import",
                    ) from error
                self._sleep(wait * 2.0**attempt * (1.0 + 0.25 * self._random.random()))
        raise AssertionError("unreachable: the last attempt returns or raises")


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
