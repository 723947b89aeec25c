"""What one scenario came to, and what a set of them says of a genome."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel
from genesis.risk.formulas import drawdown

Floats = npt.NDArray[np.float64]

# Columns of a scenario's measures.
(GROWTH, CDAR, LOSS, WORST, ULCER, UNDER_WATER, FORCED, TRADES, GROSS) = range(9)
COLUMNS = 9

TAIL = 0.05
"""Share of drawdowns and of scenarios that CDaR95 and CVaR95 are means over."""
RUIN = 0.01
"""Share of capital that counts as nothing left: the logarithm of a loss stays finite."""


@kernel
def measure(equity: Floats, capital: float, falls: Floats, out: Floats) -> None:
    """Growth and drawdowns of an equity curve; the first mark is the capital itself.

    Parameters
    ----------
    equity : float64, shape (B,)
        Quote units.
    capital : float
    falls : float64, shape (B,)
        Scratch, filled with the drawdowns in ascending order.
    out : float64, shape (COLUMNS,)
        GROWTH (log of the last mark over capital), CDAR (mean of the worst 5 % of drawdowns),
        LOSS (share of capital lost at the end), WORST (greatest drawdown), ULCER (root mean
        square of drawdowns, Martin 1989) and UNDER_WATER (share of closes below the peak) are
        filled; drawdowns are shares of the peak.
    """
    peak = capital
    squares = 0.0
    below = 0
    for t in range(equity.size):
        if equity[t] > peak:
            peak = equity[t]
        falls[t] = min(drawdown(peak, equity[t]), 1.0)
        squares += falls[t] * falls[t]
        if falls[t] > 0.0:
            below += 1
    falls.sort()
    count = max(math.ceil(TAIL * falls.size), 1)
    tail = 0.0
    for k in range(falls.size - count, falls.size):
        tail += falls[k]
    last = max(equity[-1] / capital, RUIN)
    out[GROWTH] = math.log(last)
    out[CDAR] = tail / count
    out[LOSS] = 1.0 - last
    out[WORST] = falls[-1]
    out[ULCER] = math.sqrt(squares / falls.size)
    out[UNDER_WATER] = below / falls.size


@dataclass(frozen=True, slots=True)
class Outcome:
    """A genome on a set of scenarios.

    Attributes
    ----------
    growth : float
        Mean log growth of a scenario.
    cdar : float
        Mean of the scenarios' CDaR95.
    cvar : float
        CVaR95 over scenarios of the loss at their end: mean of the worst 5 %.
    drawdown, ulcer, under_water : float
        Means of the greatest drawdown, of the Ulcer index, and of the share of time under water.
    forced, trades : float
        Positions that the manager closed by force, and trades, per scenario.
    gross : float
        Mean gross exposure over capital.
    """

    growth: float
    cdar: float
    cvar: float
    drawdown: float
    ulcer: float
    under_water: float
    forced: float
    trades: float
    gross: float

    @property
    def objectives(self) -> tuple[float, float, float]:
        """Growth, minus CDaR95, minus CVaR95: all to be maximised."""
        return (self.growth, -self.cdar, -self.cvar)

    def calmar(self, per_year: float) -> float:
        """Growth per year over the mean greatest drawdown; NaN without any.

        Parameters
        ----------
        per_year : float
            Scenarios in a year.
        """
        return self.growth * per_year / self.drawdown if self.drawdown > 0.0 else math.nan

    def to_plain(self) -> dict[str, float]:
        """Numbers by name."""
        return asdict(self)


def outcome_of(rows: Floats) -> Outcome:
    """Outcome of a set of scenarios, rows of shape (N, COLUMNS)."""
    return Outcome(
        growth=mean(rows[:, GROWTH]),
        cdar=mean(rows[:, CDAR]),
        cvar=tail_mean(rows[:, LOSS]),
        drawdown=mean(rows[:, WORST]),
        ulcer=mean(rows[:, ULCER]),
        under_water=mean(rows[:, UNDER_WATER]),
        forced=mean(rows[:, FORCED]),
        trades=mean(rows[:, TRADES]),
        gross=mean(rows[:, GROSS]),
    )


def mean(values: Floats) -> float:
    """Mean whose bits do not hang on the order in which a machine adds."""
    return math.fsum(values.tolist()) / values.size


def tail_mean(losses: Floats) -> float:
    """Mean of the worst 5 % of losses, shape (N,), at least one of them."""
    count = max(math.ceil(TAIL * losses.size), 1)
    return math.fsum(np.sort(losses)[losses.size - count :].tolist()) / count
