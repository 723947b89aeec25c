"""How much a client may ask: weight per network address, actions per account, websocket counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from genesis.domain.timeline import MINUTE_MS

_LIGHT = frozenset(
    (
        "l2Book",
        "allMids",
        "clearinghouseState",
        "orderStatus",
        "spotClearinghouseState",
        "exchangeStatus",
    )
)
_ROWS_20 = frozenset(
    (
        "recentTrades",
        "historicalOrders",
        "userFills",
        "userFillsByTime",
        "fundingHistory",
        "userFunding",
        "userNonFundingLedgerUpdates",
        "twapHistory",
        "userTwapSliceFills",
        "userTwapSliceFillsByTime",
    )
)


class LimitProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures of the limits. Where copies of the documentation differ, the newer one holds.

    Older copies have 100 websocket connections and 100 new ones a minute, and keep 20 nonces.
    """

    ip_weight: int = 1200
    address_start: int = 10_000
    address_cancel_extra: int = 100_000
    throttled_every_ms: int = 10_000
    expired_cost: int = 5
    nonces_kept: int = 100
    ws_connections: int = 10
    ws_new_a_minute: int = 30
    ws_subscriptions: int = 1000
    ws_users: int = 10
    ws_messages_a_minute: int = 2000
    ws_posts: int = 100
    ws_idle_ms: int = 60_000

    @classmethod
    def unlimited(cls) -> LimitProfile:
        """Limits that nothing reaches, for load tests and benchmarks."""
        much = 1 << 60
        return cls(
            ip_weight=much,
            address_start=much,
            ws_connections=1000,
            ws_new_a_minute=much,
            ws_subscriptions=100_000,
            ws_users=100_000,
            ws_messages_a_minute=much,
            ws_posts=100_000,
        )


class Window:
    """Sum over the last minute, refused where it would exceed a bound."""

    def __init__(self, bound: int, span_ms: int = MINUTE_MS) -> None:
        self.bound = bound
        self._span_ms = span_ms
        self._spent: deque[tuple[int, int]] = deque()
        self._sum = 0

    def take(self, amount: int, now_ms: int) -> bool:
        """Spend an amount; False, and nothing spent, where the bound is reached."""
        if self.spent(now_ms) + amount > self.bound:
            return False
        self.add(amount, now_ms)
        return True

    def add(self, amount: int, now_ms: int) -> None:
        """Spend what is known only afterwards; it may exceed the bound."""
        if amount:
            self._spent.append((now_ms, amount))
            self._sum += amount

    def spent(self, now_ms: int) -> int:
        """What was spent in the span that ends now."""
        while self._spent and self._spent[0][0] <= now_ms - self._span_ms:
            self._sum -= self._spent.popleft()[1]
        return self._sum


class WeightLimits:
    """One window of request weight per network address."""

    def __init__(self, profile: LimitProfile) -> None:
        self._profile = profile
        self._windows: dict[str, Window] = {}

    def take(self, ip: str, weight: int, now_ms: int) -> bool:
        """Spend weight; False where the address has used up its minute."""
        return self._window(ip).take(weight, now_ms)

    def add(self, ip: str, weight: int, now_ms: int) -> None:
        """Spend the weight that an answer's rows add."""
        self._window(ip).add(weight, now_ms)

    def spent(self, ip: str, now_ms: int) -> int:
        """Weight of the last minute."""
        return self._window(ip).spent(now_ms)

    def _window(self, ip: str) -> Window:
        if ip not in self._windows:
            self._windows[ip] = Window(self._profile.ip_weight)
        return self._windows[ip]


def info_weight(kind: str) -> int:
    """Weight of an info request before its answer is known."""
    if kind in _LIGHT:
        return 2
    return 60 if kind == "userRole" else 20


def answer_weight(kind: str, answer: Any) -> int:
    """Weight that the rows of an answer add: one per 20 rows, or per 60 candles."""
    if not isinstance(answer, list):
        return 0
    if kind == "candleSnapshot":
        return len(answer) // 60
    return len(answer) // 20 if kind in _ROWS_20 else 0


def batch_size(action: Mapping[str, Any]) -> int:
    """How many requests an action counts for."""
    for name in ("orders", "cancels", "modifies"):
        rows = action.get(name)
        if isinstance(rows, list):
            return max(1, len(rows))
    return 1


def exchange_weight(action: Mapping[str, Any]) -> int:
    """Weight of an action: one, and one more per 40 of a batch."""
    return 1 + batch_size(action) // 40


@dataclass(slots=True)
class _Used:
    requests: int = 0
    throttled_ms: int = field(default=-(1 << 62))


class AddressBudget:
    """Requests of an account: a start, one more per dollar traded, then one in ten seconds."""

    def __init__(self, profile: LimitProfile) -> None:
        self._profile = profile
        self._used: dict[str, _Used] = {}

    def cap(self, volume: Decimal) -> int:
        """How many requests the account may have made."""
        return self._profile.address_start + int(volume)

    def refusal(
        self, user: str, amount: int, volume: Decimal, now_ms: int, *, cancels: bool
    ) -> str | None:
        """Text of the refusal; None where the requests may be made, which `spend` then counts."""
        used = self._used.get(user, _Used())
        cap = self.cap(volume)
        bound = min(cap + self._profile.address_cancel_extra, 2 * cap) if cancels else cap
        if used.requests + amount <= bound:
            return None
        # A batch never passes here: the exchange lets one request through, not one batch.
        if amount == 1 and now_ms - used.throttled_ms >= self._profile.throttled_every_ms:
            self._used.setdefault(user, used).throttled_ms = now_ms
            return None
        return (
            f"Too many cumulative requests sent ({used.requests + amount} > {cap}) for cumulative "
            f"volume traded ${volume:.2f}. Place taker orders to free up 1 request per USDC traded."
        )

    def spend(self, user: str, amount: int) -> None:
        """Count requests."""
        self._used.setdefault(user, _Used()).requests += amount

    def used(self, user: str) -> int:
        """Requests so far."""
        return self._used[user].requests if user in self._used else 0

    def state(self) -> dict[str, list[int]]:
        """Every account's counts, for a snapshot or a hash."""
        return {u: [x.requests, x.throttled_ms] for u, x in sorted(self._used.items())}

    def restore(self, state: Mapping[str, list[int]]) -> None:
        """Take over what `state` gave."""
        self._used = {user: _Used(int(a), int(b)) for user, (a, b) in state.items()}
