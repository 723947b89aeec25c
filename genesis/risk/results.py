"""Win rate and payoff of a deployment, from its own closed trades or from what was known before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_TRADES = 30
"""Closed trades from which a deployment's own results count."""


@dataclass(slots=True)
class TradeResults:
    """Results of closed trades as counts and sums, so that it stays small; a fold without a clock.

    Attributes
    ----------
    wins, losses : int
        A trade that comes to nothing is a loss of nothing.
    won, lost : float
        Sums of the wins and of the losses, both positive, as shares of what was staked: sizes
        that change say nothing of the edge.
    """

    wins: int = 0
    losses: int = 0
    won: float = 0.0
    lost: float = 0.0

    def take(self, share: float) -> None:
        """Count a closed trade: net profit over the notional of its entry."""
        if share > 0.0:
            self.wins += 1
            self.won += share
        else:
            self.losses += 1
            self.lost -= share

    def edge(self, prior: tuple[float, float]) -> tuple[float, float]:
        """Win rate and payoff (mean win over mean loss).

        Its own from `LEAST_TRADES` trades on, those of ``prior`` before; NaN where not known.

        Parameters
        ----------
        prior : tuple of float
            Win rate and payoff, a payoff of 0 where nothing was known before.
        """
        trades = self.wins + self.losses
        if trades < LEAST_TRADES:
            return prior if prior[1] > 0.0 else (math.nan, math.nan)
        if not self.wins:
            return 0.0, 1.0  # no edge, whatever a win would pay
        if not self.lost > 0.0:
            return math.nan, math.nan  # what has never lost has no known payoff
        return self.wins / trades, (self.won / self.wins) / (self.lost / self.losses)

    def plain(self) -> list[float]:
        """Memory as a list that JSON can hold."""
        return [self.wins, self.losses, self.won, self.lost]

    @classmethod
    def restored(cls, value: Sequence[float]) -> TradeResults:
        """Read back what `plain` wrote."""
        wins, losses, won, lost = value
        return cls(int(wins), int(losses), float(won), float(lost))
