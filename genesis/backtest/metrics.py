"""Performance numbers: pure functions of return series on fixed reference capital.

Returns are pnl over reference capital and are added, never compounded; equity is their running
sum, a drawdown is ``peak - equity`` with the start (0) as first peak, both as fractions of capital.
Ratios are annualised with ``periods``, the number of returns in 365 days.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RATIO_CAP = 1000.0
"""Bound of ratios whose denominator can vanish without fault (no loss, no drawdown)."""

CDAR_LEVEL = 0.95
MONTH_MARKS = 30
"""Daily marks in a month of the consistency score."""


def ratio(numerator: float, denominator: float) -> float:
    """``numerator / denominator`` held within ± `RATIO_CAP`; 0 for 0 over 0."""
    if denominator > 0.0:
        return min(max(numerator / denominator, -RATIO_CAP), RATIO_CAP)
    return math.copysign(RATIO_CAP, numerator) if numerator != 0.0 else 0.0


def sharpe(returns: Floats, periods: float) -> float:
    """Annualised Sharpe ratio, ``mean / sd * sqrt(periods)`` with the sample sd (ddof 1).

    NaN with fewer than two returns or without variation.
    """
    n = returns.size
    return sharpe_from_sums(
        float(np.sum(returns)), float(np.sum(returns * returns)), float(n), periods
    )


def sharpe_from_sums(total: float, squares: float, n: float, periods: float) -> float:
    """Sharpe ratio from the sum and the sum of squares of n returns."""
    if n < 2.0:
        return math.nan
    mean = total / n
    variance = (squares - n * mean * mean) / (n - 1.0)
    # A constant series leaves only rounding behind.
    if not variance > 1e-14 * squares / n:
        return math.nan
    return mean / math.sqrt(variance) * math.sqrt(periods)


def sortino(returns: Floats, periods: float) -> float:
    """Annualised Sortino ratio against 0: ``mean / sqrt(mean(min(r, 0)^2)) * sqrt(periods)``."""
    down = np.minimum(returns, 0.0)
    return sortino_from_sums(
        float(np.sum(returns)), float(np.sum(down * down)), float(returns.size), periods
    )


def sortino_from_sums(total: float, down_squares: float, n: float, periods: float) -> float:
    """Sortino ratio from the sum of n returns and the sum of squares of the negative ones."""
    if n < 1.0:
        return math.nan
    return ratio(total / n * math.sqrt(periods), math.sqrt(down_squares / n))


def drawdowns(returns: Floats) -> Floats:
    """Drawdown after each return, ``peak - equity``, a fraction of capital."""
    equity = np.cumsum(returns)
    return np.maximum(np.maximum.accumulate(equity), 0.0) - equity


def max_drawdown(returns: Floats) -> float:
    """Greatest drawdown, positive; 0 for no returns."""
    return float(np.max(drawdowns(returns), initial=0.0))


def annual_return(returns: Floats, periods: float) -> float:
    """Mean return times the periods of a year (nothing compounds)."""
    return float(np.sum(returns)) / returns.size * periods if returns.size else math.nan


def calmar(returns: Floats, periods: float) -> float:
    """Annual return over greatest drawdown."""
    return ratio(annual_return(returns, periods), max_drawdown(returns))


def cdar(falls: Floats, level: float = CDAR_LEVEL) -> float:
    """Conditional drawdown at risk: mean of the worst ``1 - level`` share of drawdowns.

    Parameters
    ----------
    falls : float64, shape (n,)
        Drawdowns, positive.
    level : float
        Between 0 and 1.

    Notes
    -----
    Chekhlov, Uryasev and Zabarankin (2005); the share that falls between two observations counts
    with its fraction, as in Rockafellar and Uryasev's minimum formula.
    """
    n = falls.size
    if n == 0:
        return 0.0
    tail = (1.0 - level) * n
    whole = max(math.ceil(tail) - 1, 0)
    # Sorted before it is summed, since the order that partition leaves depends on the processor.
    worst = np.sort(np.partition(falls, n - whole - 1)[n - whole - 1 :])
    total = float(np.sum(worst[1:])) + (tail - whole) * float(worst[0])
    return total / tail


def marks_to_drawdowns(marks: Floats) -> Floats:
    """Drawdowns of equity marks (shape (…, M)); the start at 0 is the first peak."""
    return np.maximum(np.maximum.accumulate(marks, axis=-1), 0.0) - marks


def monthly_ratio(marks: Floats) -> float:
    """Mean over sd of the pnl of whole months (30 marks); 0 with fewer than two of them."""
    ends = marks[MONTH_MARKS - 1 :: MONTH_MARKS].tolist()  # a few floats: lists are faster
    if len(ends) < 2:
        return 0.0
    pnl = [after - before for before, after in zip([0.0, *ends], ends, strict=False)]
    mean = sum(pnl) / len(pnl)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in pnl) / (len(pnl) - 1))
    return mean / deviation if deviation > 1e-15 else 0.0


def consistency(win_rate: float, profit_factor: float, months: float, drawdown: float) -> float:
    """Consistency score in [0, 1] of the first system, its four terms equally weighted.

    ``mean(min(1, 2 win), min(1, pf / 3), clip(months + 0.5), max(0, 1 - 5 drawdown))`` with
    ``months`` from `monthly_ratio` and the drawdown positive.
    """
    terms = (
        min(1.0, 2.0 * win_rate),
        min(1.0, profit_factor / 3.0),
        min(max(months + 0.5, 0.0), 1.0),
        min(max(1.0 - 5.0 * drawdown, 0.0), 1.0),
    )
    return sum(terms) / 4.0


def composite_fitness(ratio_: float, drawdown: float, win_rate: float, steadiness: float) -> float:
    """Composite fitness of the first system with its faults repaired.

    ``0.5 clip(sharpe / 5, -1, 1) + 0.3 (1 - drawdown) + 0.15 win + 0.05 consistency``. The drawdown
    is positive and held within [0, 1], so that it lowers the fitness; the original's was negative
    and raised it. The Sharpe term may turn negative, so that a loss is worse than no trade.
    """
    scaled = min(max(ratio_ / 5.0, -1.0), 1.0)
    safe = 1.0 - min(max(drawdown, 0.0), 1.0)
    return 0.5 * scaled + 0.3 * safe + 0.15 * win_rate + 0.05 * steadiness
