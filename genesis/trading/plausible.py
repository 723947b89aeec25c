"""What is believed of a market: limits, possible prices and bars, and jumps of the price."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from genesis.domain.errors import ConfigError

BAR_FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """Limits of what is believed.

    Attributes
    ----------
    max_jump : float
        Largest factor between a price and the last good one; ``inf`` for data that were checked
        when they were stored, so that a genuine collapse replays as it was.
    agree : float
        Largest factor between prices that agree on a new level.
    confirm_bars : int
        Bars in turn that must agree on a new level, where no second source confirms it.
    max_funding : float
        Largest rate of one funding event, as a fraction of notional.
    ahead_ms : int
        How far a stamp may be ahead of the clock.
    back_ms : int
        How far the clock may step back unnoticed.
    silence_ms : int
        How long after its due close a bar may be missing before the symbol counts as silent.
    content : int
        Characters of quarantined content that are kept.
    remembered : int
        Final bars of a symbol that a later version is compared with.
    """

    max_jump: float = 10.0
    agree: float = 1.5
    confirm_bars: int = 3
    max_funding: float = 1.0
    ahead_ms: int = 60_000
    back_ms: int = 1_000
    silence_ms: int = 30_000
    content: int = 4_000
    remembered: int = 16

    def __post_init__(self) -> None:
        factors = self.max_jump > 1.0 and 1.0 < self.agree <= self.max_jump
        counts = min(self.confirm_bars, self.content, self.remembered) >= 1
        if not (factors and counts and min(self.ahead_ms, self.back_ms, self.silence_ms) >= 0):
            raise ConfigError(
                "the limits of the input check are impossible",
                fix="use factors above 1 (agree at most max_jump), counts of at least 1 and "
                "times of at least 0",
            )


def price_fault(name: str, price: float) -> str:
    """Why a number is no price, empty if it is one."""
    return "" if 0.0 < price < inf else f"{name} {price!r} is no price"


def bar_fault(open_: float, high: float, low: float, close: float, volume: float) -> str:
    """Why these cannot be the values of a bar, empty if they can."""
    if 0.0 < low <= open_ <= high < inf and low <= close <= high and 0.0 <= volume < inf:
        return ""
    for name, price in (("open", open_), ("high", high), ("low", low), ("close", close)):
        if why := price_fault(name, price):
            return why
    if high < low:
        return f"high {high!r} is below low {low!r}"
    if not low <= open_ <= high:
        return f"open {open_!r} is outside {low!r} to {high!r}"
    if not low <= close <= high:
        return f"close {close!r} is outside {low!r} to {high!r}"
    return f"volume {volume!r} is no amount"


class PriceLevel:
    """Last good price of a symbol, and a level far from it that may turn out to be true.

    A price within a factor ``most`` of the last good one is good and takes its place. Any other
    is a *jump*: it is not good, but remembered as a candidate. The candidate becomes the level
    when a second source confirms it, or when prices that agree with it come in ``bars`` bars in
    turn (the price that completes the count is good): one bar is one vote, however many prices it
    has. A price near the old level, or one that does not agree, ends the count.

    Parameters
    ----------
    most : float
        Largest factor between neighbouring prices; ``inf`` believes every jump.
    agree : float
        Largest factor between two prices that agree.
    bars : int
        Bars in turn that must agree.

    Attributes
    ----------
    good : float
        Last good price, 0 before the first, which is believed.
    candidate : float
        Latest price of the level that is not believed yet, 0 if there is none.
    votes : int
        Bars that agreed on it.
    """

    __slots__ = ("_agree", "_bars", "_most", "_slot", "candidate", "good", "votes")

    def __init__(self, most: float = 10.0, agree: float = 1.5, bars: int = 3) -> None:
        self._most = most
        self._agree = agree
        self._bars = bars
        self._slot = 0
        self.good = 0.0
        self.candidate = 0.0
        self.votes = 0

    def near(self, price: float) -> bool:
        """Whether a price is within the largest factor of the last good one; changes nothing."""
        good = self.good
        return good == 0.0 or good / self._most <= price <= good * self._most

    def judge(self, price: float, slot: int) -> bool:
        """Take in a price and say whether it is good.

        Parameters
        ----------
        price : float
            Finite and above 0.
        slot : int
            Open time of the bar that it belongs to.
        """
        if self.near(price):
            self.good = price
            if slot >= self._slot:  # the end of an older bar says nothing of the candidate
                self.candidate = 0.0
                self.votes = 0
            return True
        if self.agrees(price):
            if slot > self._slot:
                self.votes += 1
        else:
            self.votes = 1
        self.candidate = price
        self._slot = slot
        if self.votes < self._bars:
            return False
        self._move(price)
        return True

    def agrees(self, price: float) -> bool:
        """Whether a price agrees with the candidate."""
        at = self.candidate
        return at > 0.0 and at / self._agree <= price <= at * self._agree

    def confirm(self, price: float) -> bool:
        """Hear a second source; return whether its price confirms the candidate."""
        if not (0.0 < price < inf and self.agrees(price)):
            return False
        self._move(self.candidate)
        return True

    def _move(self, price: float) -> None:
        self.good = price
        self.candidate = 0.0
        self.votes = 0
