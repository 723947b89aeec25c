"""How a position ended, and how far the price went for and against it while it was held.

Both are defined here once, for the backtest and for live trading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from genesis.strategy.policy import (
    REASON_DELISTED,
    REASON_LIQUIDATION,
    REASON_REVERSAL,
    REASON_SIGNAL,
    REASON_STOP,
    REASON_TARGET,
    REASON_TIME,
    REASONS,
)


class ExitClass(StrEnum):
    """Why a position ended, as its owner sees it.

    The first nine come from the policy and the market, the others from whoever intervenes: an
    operator, a kill switch, a session's calendar, a planner that takes a part of the position.
    """

    TARGET = "target"
    STOP_LOSS = "stop_loss"
    BREAKEVEN = "breakeven"
    TRAILING_STOP = "trailing_stop"
    TIME_LIMIT = "time_limit"
    SIGNAL = "signal"
    REVERSAL = "reversal"
    LIQUIDATION = "liquidation"
    DELISTED = "delisted"
    EMERGENCY = "emergency"
    MANUAL = "manual"
    SESSION_END = "session_end"
    PARTIAL = "partial"
    REGIME_CHANGE = "regime_change"
    ZONE_BREAK = "zone_break"
    UNKNOWN = "unknown"


_STOP = REASONS[REASON_STOP]
_BY_REASON = {
    **{kind.value.replace("_", " "): kind for kind in ExitClass},
    REASONS[REASON_TARGET]: ExitClass.TARGET,
    REASONS[REASON_TIME]: ExitClass.TIME_LIMIT,
    REASONS[REASON_SIGNAL]: ExitClass.SIGNAL,
    REASONS[REASON_REVERSAL]: ExitClass.REVERSAL,
    REASONS[REASON_LIQUIDATION]: ExitClass.LIQUIDATION,
    REASONS[REASON_DELISTED]: ExitClass.DELISTED,
}
_NOISE = 1e-9  # levels this close, as a fraction of the entry price, are the same level


def exit_class(
    reason: str,
    side: float,
    entry: float,
    level: float,
    initial_level: float,
    tick: float = 0.0,
) -> ExitClass:
    """Class of an exit.

    Parameters
    ----------
    reason : str
        One of `genesis.strategy.policy.REASONS`, or a class in words (``manual``,
        ``session end``); anything else is UNKNOWN.
    side : float
        Positive for a long position, negative for a short one.
    entry : float
        Average entry price.
    level, initial_level : float
        Where the stop stood when it fired and where it was first set, not the price of the fill;
        read for a stop only. The initial level is infinite where there was none.
    tick : float
        Price step of the instrument, 0 for none.

    Returns
    -------
    ExitClass
        A stop within a tick of the entry price is BREAKEVEN, one that had come nearer than its
        initial level by then TRAILING_STOP, any other STOP_LOSS; UNKNOWN if its level is not known.
    """
    if reason != _STOP:
        return _BY_REASON.get(reason, ExitClass.UNKNOWN)
    if math.isnan(level) or math.isnan(initial_level):
        return ExitClass.UNKNOWN
    same = _NOISE * entry
    if abs(level - entry) <= tick + same:
        return ExitClass.BREAKEVEN
    if (level - initial_level) * side > same:
        return ExitClass.TRAILING_STOP
    return ExitClass.STOP_LOSS


class Excursion:
    """Highest and lowest price known to have been reached while a position was held.

    The *favourable* and the *adverse* excursion (MFE and MAE) are the distances of these prices
    from the average entry price in the position's favour and against it, as fractions of that
    price, never negative.

    What counts, in backtest and live trading alike:

    - every fill of the position at its price, slippage included;
    - high and low of each bar at whose close the position is still held, the bar of the entry
      included if the entry was at its open;
    - of the bar in which the position ends nothing but the fill. An exit at the open has seen
      none of the bar. One within the bar at an adverse level (stop, liquidation) has seen the
      adverse side up to the fill and no more, and the favourable side is not known, since the
      adverse level is taken to come first; for a target the same with the sides exchanged. An
      exit at the close has seen all of the bar.

    So an excursion is never more than what happened. A missing bar counts for nothing.

    Parameters
    ----------
    side : float
        Positive for a long position, negative for a short one.
    entry : float
        Price of the entry fill.
    """

    __slots__ = ("entry", "highest", "lowest", "side")

    def __init__(self, side: float, entry: float) -> None:
        self.side = 1.0 if side > 0.0 else -1.0
        self.entry = entry
        self.highest = entry
        self.lowest = entry

    def update(self, high: float, low: float) -> None:
        """Count the range of a bar that the position was held through; NaN changes nothing."""
        if high > self.highest:
            self.highest = high
        if low < self.lowest:
            self.lowest = low

    def fill(self, price: float, entry: float) -> None:
        """Count a fill that adds to the position or takes a part of it.

        Parameters
        ----------
        price : float
        entry : float
            Average entry price after it.
        """
        self.update(price, price)
        self.entry = entry

    def close(self, price: float) -> tuple[float, float]:
        """Count the fill that ends the position; returns `mfe` and `mae`."""
        self.update(price, price)
        return self.mfe, self.mae

    @property
    def mfe(self) -> float:
        """Maximum favourable excursion so far, a fraction of the entry price."""
        best = self.highest if self.side > 0.0 else self.lowest
        return max((best - self.entry) * self.side / self.entry, 0.0)

    @property
    def mae(self) -> float:
        """Maximum adverse excursion so far, a fraction of the entry price."""
        worst = self.lowest if self.side > 0.0 else self.highest
        return max((self.entry - worst) * self.side / self.entry, 0.0)

    def plain(self) -> dict[str, float]:
        """Numbers from which `restored` makes the same excursion."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def restored(cls, plain: Mapping[str, float]) -> Excursion:
        """Excursion of `plain`."""
        made = cls(plain["side"], plain["entry"])
        made.highest, made.lowest = plain["highest"], plain["lowest"]
        return made
