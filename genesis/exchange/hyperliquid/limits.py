"""What may be asked of the exchange: weight a minute, and requests of an account.

Each has a reserve that only cancels and reductions use.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from enum import IntEnum

from genesis.exchange.hyperliquid.waits import Waits

WINDOW_S = 60.0


class Priority(IntEnum):
    """Who goes first where there is not enough for all."""

    CANCEL = 0
    ORDER = 1
    READ = 2


_LANDING_S = 0.05


class WeightBudget:
    """Weight of requests in any minute, as the exchange may count it.

    It counts a request when that arrives, which is some time between sending and answer: so the
    minute of a request begins with its answer, and until then its weight is under way. However
    long requests take, no minute of the exchange holds more than the limit.

    Parameters
    ----------
    waits : Waits
    limit : int
    cancel_reserve : int
        Weight that orders and reads leave untouched.
    order_reserve : int
        Weight that reads leave untouched besides.
    """

    def __init__(
        self, waits: Waits, limit: int = 1_200, cancel_reserve: int = 100, order_reserve: int = 200
    ) -> None:
        self._waits = waits
        self._bounds = {
            Priority.CANCEL: limit,
            Priority.ORDER: limit - cancel_reserve,
            Priority.READ: limit - cancel_reserve - order_reserve,
        }
        self._spent: deque[tuple[float, int]] = deque()
        self._sum = self._flying = 0
        self._closed_until = 0.0
        self.most = 0

    async def spend(self, weight: int, priority: Priority) -> None:
        """Wait until the weight fits, then take it; `landed` is owed when the answer is there."""
        while (wait := self._wait(weight, priority)) > 0.0:
            await self._waits.sleep(wait)
        self._flying += weight
        self.most = max(self.most, self.spent())

    def landed(self, weight: int) -> None:
        """The request was answered, or given up: its minute begins."""
        self._flying -= weight
        self.add(weight)

    def add(self, weight: int) -> None:
        """Book weight that is known only after the answer."""
        if weight:
            self.spent()
            self._spent.append((self._waits.monotonic(), weight))
            self._sum += weight
            self.most = max(self.most, self.spent())

    def spent(self) -> int:
        """Weight of the last minute and of what is under way."""
        horizon = self._waits.monotonic() - WINDOW_S
        while self._spent and self._spent[0][0] <= horizon:
            self._sum -= self._spent.popleft()[1]
        return self._sum + self._flying

    def left(self, priority: Priority) -> int:
        """Weight that may still be spent now."""
        return self._bounds[priority] - self.spent()

    def refused(self, seconds: float) -> None:
        """The exchange says that there was too much: reads and orders pause."""
        self._closed_until = max(self._closed_until, self._waits.monotonic() + seconds)

    def _wait(self, weight: int, priority: Priority) -> float:
        now = self._waits.monotonic()
        if priority is not Priority.CANCEL and now < self._closed_until:
            return self._closed_until - now
        over = self.spent() + weight - self._bounds[priority]
        if over <= 0 or not (self._spent or self._flying):
            return 0.0
        until = now
        for when, amount in self._spent:
            until = when + WINDOW_S
            over -= amount
            if over <= 0:
                return max(until - now, 0.001)
        return _LANDING_S  # room comes a minute after what is under way is answered


class AddressBudget:
    """Requests of one account, as far as the exchange and our own counting tell.

    Parameters
    ----------
    reserve : int
        Requests that only cancels and reductions may use.
    """

    def __init__(self, reserve: int) -> None:
        self._reserve = reserve
        self._used = 0
        self._cap: int | None = None
        self._traded = Decimal(0)

    def heard(self, used: int, cap: int) -> None:
        """Take over what the exchange says."""
        self._used, self._cap, self._traded = used, cap, Decimal(0)

    def exhausted(self) -> None:
        """The exchange refused a request for lack of budget."""
        self._used = max(self._used, self._cap or 0)

    def spend(self, requests: int = 1) -> None:
        """Count requests that were sent."""
        self._used += requests

    def traded(self, dollars: Decimal) -> None:
        """Count what was traded: each dollar is one request more."""
        self._traded += dollars

    @property
    def left(self) -> int | None:
        """Requests left, None before the exchange was asked."""
        return None if self._cap is None else self._cap + int(self._traded) - self._used

    def may_add(self) -> bool:
        """Whether an order that is no reduction may be sent."""
        left = self.left
        return left is None or left > self._reserve
