"""What risk remembers of an account: a fold over equity marks, results, orders and trips.

Nothing here reads a clock: each method is told the instant, and one that lies before what is known
already changes nothing. All memory is bounded.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

from genesis.domain.timeline import DAY_MS, HOUR_MS, MINUTE_MS
from genesis.risk import formulas
from genesis.risk.breaker_kinds import OF_THE_MARKET
from genesis.risk.genome import GENES
from genesis.risk.track import number

_BOUNDS = {gene.name: gene.high for gene in GENES}
_WINDOW_MINUTES = int(_BOUNDS["rapid_loss_minutes"])
MOST_ORDERS = int(_BOUNDS["max_trades_per_hour"])
"""Orders of the last hour that are remembered: the most that the gene allows."""

SHARPE_DAYS = 90
"""Days of the rolling Sharpe ratio."""
LEAST_DAYS = 30
"""Days below which it is not known."""

_LATE_MS = MINUTE_MS
"""So long after its bar a look comes at most: the hold was over, and nobody had looked."""


def day_of(ts_ms: int) -> int:
    """UTC days since 1970."""
    return ts_ms // DAY_MS


def week_of(ts_ms: int) -> int:
    """ISO weeks (from Monday 00:00 UTC) since the one that 1970 began in."""
    return (ts_ms // DAY_MS + 3) // 7


def day_end(ts_ms: int) -> int:
    """Next 00:00 UTC."""
    return (day_of(ts_ms) + 1) * DAY_MS


def week_end(ts_ms: int) -> int:
    """Next Monday 00:00 UTC."""
    return ((week_of(ts_ms) + 1) * 7 - 3) * DAY_MS


@dataclass(frozen=True, slots=True)
class Trip:
    """A breaker that tripped.

    Attributes
    ----------
    breaker : str
    ts_ms : int
        When it tripped first.
    until_ms : int
        When it re-arms by itself; -1 where a person must do it.
    value, limit : float
        What was measured and what is allowed.
    text : str
        One readable sentence.
    """

    breaker: str
    ts_ms: int
    until_ms: int
    value: float
    limit: float
    text: str

    def active(self, now_ms: int) -> bool:
        """Whether it still holds."""
        return self.until_ms < 0 or now_ms < self.until_ms


class RiskState:
    """Equity, results, orders and tripped breakers of one account."""

    __slots__ = (
        "_minutes",
        "_orders",
        "_returns",
        "_trips",
        "blind",
        "day_open",
        "day_peak",
        "equity",
        "last_loss_ms",
        "losses",
        "marked_ms",
        "peak",
        "refused_marks",
        "week_peak",
    )

    def __init__(self) -> None:
        self.marked_ms = -1
        self.equity = math.nan
        self.peak = math.nan
        self.day_open = math.nan
        self.day_peak = math.nan
        self.week_peak = math.nan
        self.losses = 0
        self.last_loss_ms = -1
        self.refused_marks = 0
        self.blind = 0
        self._minutes: list[tuple[int, float, float]] = []
        self._returns: list[float] = []
        self._orders: list[int] = []
        self._trips: dict[str, Trip] = {}

    # ---- intake ----------------------------------------------------------------------------

    def on_mark(self, ts_ms: int, equity: float) -> bool:
        """Take the equity of the account at an instant, quote units.

        Returns
        -------
        bool
            False for a mark that is older than the last one, or no number. The latter is counted
            and makes the equity unknown until the next good one.
        """
        equity = float(equity)  # an integer would be spelled otherwise after a restart
        if ts_ms < self.marked_ms:
            return False
        if not math.isfinite(equity):
            self.refused_marks += 1
            self.blind = 1
            return False
        if self.marked_ms < 0:
            self.peak = self.day_open = self.day_peak = self.week_peak = equity
        else:
            self._roll(ts_ms)
            self.peak = formulas.raised(self.peak, equity)
            self.day_peak = formulas.raised(self.day_peak, equity)
            self.week_peak = formulas.raised(self.week_peak, equity)
        self._remember(ts_ms // MINUTE_MS, equity)
        self.marked_ms, self.equity, self.blind = ts_ms, equity, 0
        return True

    def on_flow(self, amount: float) -> None:
        """Take a deposit (positive) or withdrawal: neither a profit nor a loss.

        Raises
        ------
        ValueError
            If the amount is no number.
        """
        if not math.isfinite(amount):
            raise ValueError(f"a flow of {amount} is no amount")
        for name in ("equity", "peak", "day_open", "day_peak", "week_peak"):
            setattr(self, name, getattr(self, name) + amount)
        self._minutes = [(m, high + amount, last + amount) for m, high, last in self._minutes]

    def on_result(self, ts_ms: int, result: float) -> None:
        """Take the result of a closed trade, costs included; one that is not known is a loss."""
        if result > 0.0:
            self.losses = 0
        elif result != 0.0:
            self.losses += 1
            self.last_loss_ms = max(self.last_loss_ms, ts_ms)

    def on_order(self, ts_ms: int) -> None:
        """Take an order that may add risk and was made now."""
        self._orders.append(ts_ms)
        self._orders.sort()
        since = self._orders[-1] - HOUR_MS
        self._orders = [ts for ts in self._orders if ts > since][-MOST_ORDERS:]

    def latch(self, trips: Iterable[Trip]) -> tuple[Trip, ...]:
        """Keep tripped breakers; one that still holds keeps its first instant.

        Returns
        -------
        tuple of Trip
            Those that did not hold before.
        """
        fresh = []
        for trip in trips:
            held = self._trips.get(trip.breaker)
            if held is None or not self.goes_on(trip):
                self._trips[trip.breaker] = trip
                fresh.append(trip)
            elif held.until_ms >= 0:
                until = trip.until_ms if trip.until_ms < 0 else max(held.until_ms, trip.until_ms)
                self._trips[trip.breaker] = Trip(
                    trip.breaker, held.ts_ms, until, trip.value, trip.limit, trip.text
                )
        return tuple(fresh)

    def goes_on(self, trip: Trip) -> bool:
        """Whether a trip only says once more what holds, so that nothing new has happened.

        A breaker of the market that holds to the next bar trips again with that bar, or a moment
        after it.
        """
        held = self._trips.get(trip.breaker)
        if held is None:
            return False
        late = _LATE_MS if trip.breaker in OF_THE_MARKET else 0
        return held.active(trip.ts_ms - late)

    def rearm(self, breaker: str) -> bool:
        """Release a breaker because a person said so; False if it was not held.

        What it measured begins anew, or it would trip at the next mark: the total drawdown counts
        from the equity of now, a run of losses from none.
        """
        if self._trips.pop(breaker, None) is None:
            return False
        if breaker == "total_drawdown":
            self.peak = self.equity
        elif breaker == "daily_drawdown":
            self.day_peak = self.equity
        elif breaker == "weekly_drawdown":
            self.week_peak = self.equity
        elif breaker == "consecutive_losses":
            self.losses = 0
        elif breaker == "rapid_loss":
            self._minutes = [(minute, last, last) for minute, _, last in self._minutes[-1:]]
        return True

    # ---- answers ---------------------------------------------------------------------------

    @property
    def known(self) -> bool:
        """Whether the equity of the account is known."""
        return self.marked_ms >= 0 and not self.blind

    def daily_drawdown(self, now_ms: int) -> float:
        """Fall from the highest equity of the UTC day, as a share of it."""
        today = day_of(now_ms) == day_of(self.marked_ms)
        return self._fall(self.day_peak if today else self.equity)

    def weekly_drawdown(self, now_ms: int) -> float:
        """Fall from the highest equity of the ISO week, as a share of it."""
        this_week = week_of(now_ms) == week_of(self.marked_ms)
        return self._fall(self.week_peak if this_week else self.equity)

    def total_drawdown(self) -> float:
        """Fall from the highest equity ever, or since a person re-armed, as a share of it."""
        return self._fall(self.peak)

    def rapid_loss(self, now_ms: int, minutes: float) -> float:
        """Fall from the highest equity within a window, as a share of it.

        The mark before the first of the window belongs to it: it held when the window began.
        Where equity is marked once an hour, a window of a quarter of an hour sees the fall
        between two marks.

        Parameters
        ----------
        now_ms : int
        minutes : float
            Length of the window, resolved to whole minutes.
        """
        begin = (now_ms - minutes * MINUTE_MS) // MINUTE_MS
        first = bisect_left(self._minutes, begin, key=itemgetter(0))
        highest = self._minutes[first - 1][2] if first else self.equity
        for _, high, _ in self._minutes[first:]:
            if high > highest:
                highest = high
        return self._fall(highest)

    def _fall(self, peak: float) -> float:
        """Drawdown of the equity of now; infinite where that is unknown."""
        return formulas.drawdown(peak, self.equity if self.known else math.nan)

    def orders_in_hour(self, now_ms: int) -> int:
        """Orders in the last hour that may add risk, counted up to the most that a gene allows."""
        return sum(1 for ts in self._orders if ts > now_ms - HOUR_MS)

    def since_loss_ms(self, now_ms: int) -> int:
        """Time since the last losing trade; very long where there was none."""
        return now_ms - self.last_loss_ms if self.last_loss_ms >= 0 else 10**15

    def sharpe(self) -> float:
        """Annual Sharpe ratio of the last daily returns; NaN with too few or all alike.

        The year has 365 days, as for every ratio.
        """
        n = len(self._returns)
        if n < LEAST_DAYS:
            return math.nan
        mean = math.fsum(self._returns) / n
        variance = math.fsum((r - mean) ** 2 for r in self._returns) / (n - 1)
        return mean / math.sqrt(variance) * math.sqrt(365.0) if variance > 0.0 else math.nan

    def trips(self, now_ms: int) -> tuple[Trip, ...]:
        """Breakers that are held at an instant, by name."""
        return tuple(t for _, t in sorted(self._trips.items()) if t.active(now_ms))

    # ---- snapshot --------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """Memory as a mapping that JSON can hold."""
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            **{name: getattr(self, name) for name in _COUNTS},
            "minutes": [list(one) for one in self._minutes],
            "returns": list(self._returns),
            "orders": list(self._orders),
            "trips": [asdict(trip) for _, trip in sorted(self._trips.items())],
        }

    @classmethod
    def restore(cls, value: Mapping[str, Any]) -> RiskState:
        """Read back what `plain` wrote, in JSON or in its canonical form."""
        state = cls()
        for name in _NUMBERS:
            setattr(state, name, number(value[name]))
        for name in _COUNTS:
            setattr(state, name, int(value[name]))
        state._minutes = [
            (int(m), number(high), number(last)) for m, high, last in value["minutes"]
        ]
        state._returns = [number(one) for one in value["returns"]]
        state._orders = [int(ts) for ts in value["orders"]]
        for one in value["trips"]:
            numbers = {"value": number(one["value"]), "limit": number(one["limit"])}
            state._trips[one["breaker"]] = Trip(**{**one, **numbers})
        return state

    def _roll(self, ts_ms: int) -> None:
        """Begin a new day and a new week where one began since the last mark."""
        if day_of(ts_ms) != day_of(self.marked_ms):
            if self.day_open > 0.0:
                self._returns = [*self._returns, self.equity / self.day_open - 1.0][-SHARPE_DAYS:]
            self.day_open = self.day_peak = self.equity
        if week_of(ts_ms) != week_of(self.marked_ms):
            self.week_peak = self.equity

    def _remember(self, minute: int, equity: float) -> None:
        """Keep the highest and the last mark of each minute of the longest window."""
        minutes = self._minutes
        if minutes and minutes[-1][0] == minute:
            minutes[-1] = (minute, max(minutes[-1][1], equity), equity)
        else:
            minutes.append((minute, equity, equity))
        # The one that held when the window began stays.
        while len(minutes) > 1 and minutes[1][0] < minute - _WINDOW_MINUTES:
            del minutes[0]


_NUMBERS = ("equity", "peak", "day_open", "day_peak", "week_peak")
_COUNTS = ("marked_ms", "blind", "losses", "last_loss_ms", "refused_marks")
