"""Every risk formula, as compiled functions of plain numbers.

The runtime manager and the simulator that breeds risk genomes call the same functions, so that an
order is cut and refused as it was bred. The protective levels at the end are the simulator's alone:
a run keeps the exits of the strategy's own policy. A value that is not known is NaN, and each
formula says what it makes of it: nothing unknown ever allows more risk.

Directions are numbers: a side is +1 (buy) or -1 (sell), a trend +1, 0 or -1.
"""

from __future__ import annotations

import math

from genesis.domain.jit import kernel
from genesis.domain.timeline import HOUR_MS
from genesis.risk.genome import RiskGenes

LOW, MODERATE, HIGH, CRITICAL, EMERGENCY = range(5)
"""Risk levels as numbers; what each forbids is in `genesis.risk.levels`."""

FEAR, GREED = 25.0, 75.0
"""Readings of the sentiment index from which fear or greed counts as extreme."""

SMALLEST_CUT = 0.1
"""The volatility and the correlation multiplier never take more than nine tenths alone."""
MODERATE_SIZE = 0.75
"""Greatest share of its size that an order keeps at level MODERATE and above."""
STREAK_CUT = 0.5
"""Share of size that is gone when the run of losses reaches its limit."""
SHARPE_CUT = 0.5
"""Share of size that is gone while the rolling Sharpe ratio is below its least."""

TREND_STEP = 1.0
"""Standard deviations that a price must have moved over the trend window to be no sideways."""
VOLATILE_PERCENTILE = 2.0 / 3.0
"""Percentile from which volatility counts as high: the upper third of its own history."""

CONCENTRATION = 1.25
"""Largest position over `max_position` that trips: a price may carry it over the cap itself."""
NEARLY_FULL = 0.8
"""Share of `max_gross` in use from which the level is at least MODERATE."""


# ---- drawdown and breakers ---------------------------------------------------------------------


@kernel
def raised(peak: float, equity: float) -> float:
    """Highest equity after one more mark."""
    return equity if equity > peak else peak


@kernel
def drawdown(peak: float, equity: float) -> float:
    """Fall from a peak as a share of it, at least 0; infinite where either is unknown.

    A peak of nothing or less has no shares: whatever is below it is a whole drawdown.
    """
    if math.isnan(peak) or math.isnan(equity):
        return math.inf
    if equity >= peak:
        return 0.0
    if peak <= 0.0:
        return 1.0
    return (peak - equity) / peak


@kernel
def exceeds(value: float, limit: float) -> bool:
    """Whether a value is over its limit; at the limit it is not, unknown it is."""
    return not value <= limit


@kernel
def streak_pauses(losses: float, limit: float, since_ms: float, minutes: float) -> bool:
    """Whether a run of losses still stops new risk.

    It does for a cooldown after the last loss. After that one more try is allowed, and a further
    loss begins another cooldown.

    Parameters
    ----------
    losses : float
        Losing trades since the last winning one.
    limit : float
        `RiskGenes.max_consecutive_losses`.
    since_ms : float
        Time since the last loss.
    minutes : float
        `RiskGenes.cooldown_minutes`.
    """
    return losses >= limit and not since_ms >= minutes * 60_000.0


@kernel
def hold_ms(interval_ms: float) -> float:
    """How long a breaker of the market holds after its condition was seen last.

    An hour, and a bar where that is longer: nobody learns sooner whether the condition is over.

    Parameters
    ----------
    interval_ms : float
        Length of a bar.
    """
    return max(float(HOUR_MS), interval_ms)


@kernel
def level_of(halt: bool, reduce_only: bool, approval: bool, caution: bool) -> int:
    """Risk level of the gravest thing that is the matter.

    Parameters
    ----------
    halt : bool
        The total drawdown is over its limit.
    reduce_only : bool
        A loss breaker is active, or data or orders are unknown.
    approval : bool
        A market breaker (volatility, correlation, concentration) is active.
    caution : bool
        Bear or volatile market, extreme sentiment, exposure nearly full, poor Sharpe ratio.
    """
    if halt:
        return EMERGENCY
    if reduce_only:
        return CRITICAL
    if approval:
        return HIGH
    if caution:
        return MODERATE
    return LOW


# ---- market ------------------------------------------------------------------------------------


@kernel
def trend_of(strength: float) -> int:
    """Direction of the market: +1, 0 or -1.

    Parameters
    ----------
    strength : float
        Log return over the trend window in standard deviations of such a return.
    """
    if strength > TREND_STEP:
        return 1
    if strength < -TREND_STEP:
        return -1
    return 0


@kernel
def is_volatile(percentile: float) -> bool:
    """Whether volatility lies in the upper third of its own history; unknown counts as high."""
    return not percentile <= VOLATILE_PERCENTILE


@kernel
def sentiment_extreme(index: float) -> bool:
    """Whether a reading of the index (0 to 100) is extreme; an unknown one is neutral."""
    return index <= FEAR or index >= GREED


# ---- size --------------------------------------------------------------------------------------


@kernel
def volatility_multiplier(volatility: float, target: float, exponent: float) -> float:
    """``(target / volatility) ** exponent``, from `SMALLEST_CUT` to 1; 0 where unknown.

    Parameters
    ----------
    volatility, target : float
        Standard deviation of returns per year.
    exponent : float
    """
    if not volatility >= 0.0 or math.isinf(volatility):
        return 0.0
    if volatility <= target:
        return 1.0
    return max(SMALLEST_CUT, math.pow(target / volatility, exponent))


@kernel
def bear_multiplier(trend: int, side: float, cut: float) -> float:
    """What a falling market leaves of a long; shorts are not cut."""
    return 1.0 - cut if trend < 0 and side > 0.0 else 1.0


@kernel
def sentiment_multiplier(extreme: bool, cut: float) -> float:
    """What extreme fear or greed leaves of new risk, whatever its side."""
    return 1.0 - cut if extreme else 1.0


@kernel
def correlation_multiplier(correlation: float, penalty: float) -> float:
    """``1 - penalty * correlation``, from `SMALLEST_CUT` to 1; unknown counts as 1.

    Parameters
    ----------
    correlation : float
        Of the order with what is held, see `book_correlation`; a hedge is not rewarded.
    penalty : float
    """
    together = 1.0 if math.isnan(correlation) else min(max(correlation, 0.0), 1.0)
    return max(SMALLEST_CUT, 1.0 - penalty * together)


@kernel
def streak_multiplier(losses: float, limit: float) -> float:
    """From 1 without a loss down to ``1 - STREAK_CUT`` at the limit."""
    return 1.0 - STREAK_CUT * min(1.0, losses / limit)


@kernel
def sharpe_multiplier(sharpe: float, least: float) -> float:
    """``1 - SHARPE_CUT`` below the least ratio; with too few days to know it (NaN) 1."""
    return 1.0 - SHARPE_CUT if sharpe < least else 1.0


@kernel
def level_multiplier(level: int) -> float:
    """Greatest share of its size that new risk may keep at a level.

    At HIGH that is what an approval can let through; at CRITICAL and above nothing is.
    """
    if level >= CRITICAL:
        return 0.0
    return MODERATE_SIZE if level >= MODERATE else 1.0


@kernel
def size_multiplier(
    genes: RiskGenes,
    side: float,
    volatility: float,
    trend: int,
    extreme: bool,
    correlation: float,
    losses: float,
    sharpe: float,
    level: int,
) -> float:
    """Share of its size that an order may keep, 0 to 1.

    The product of the multipliers, and never more than `level_multiplier` allows: a cut that has
    its own gene is not taken twice.
    """
    product = volatility_multiplier(volatility, genes.target_volatility, genes.volatility_exponent)
    product *= bear_multiplier(trend, side, genes.bear_cut)
    product *= sentiment_multiplier(extreme, genes.sentiment_cut)
    product *= correlation_multiplier(correlation, genes.correlation_penalty)
    product *= streak_multiplier(losses, genes.max_consecutive_losses)
    product *= sharpe_multiplier(sharpe, genes.min_sharpe)
    return min(product, level_multiplier(level))


@kernel
def room(cap: float, used: float) -> float:
    """What a cap leaves, at least 0; nothing where either is unknown."""
    left = cap - used
    return left if left > 0.0 else 0.0


@kernel
def admitted(
    genes: RiskGenes, position: float, gross: float, net: float, cluster: float, traded: float
) -> float:
    """Greatest notional of one more order, as a share of capital.

    Parameters
    ----------
    genes : RiskGenes
    position : float
        Notional in the order's symbol on the order's side, with all that works filled, at
        least 0 unless the order first closes a position; share of capital, as all that follow.
    gross : float
        Sum of the notional of all symbols, working orders at full size.
    net : float
        Notional of the order's side less the other's, with all that works on its side filled.
    cluster : float
        Notional on the order's side in the cluster of its symbol.
    traded : float
        Notional that the symbol trades in a bar.
    """
    free = room(genes.max_position, position)
    free = min(free, room(genes.max_gross, gross))
    free = min(free, room(genes.max_net, net))
    free = min(free, room(genes.cluster_cap, cluster))
    return min(free, room(genes.liquidity_cap * traded, 0.0))


# ---- protective levels -------------------------------------------------------------------------


@kernel
def stop_price(side: float, entry: float, atr: float, distance: float) -> float:
    """Price at which a position is given up.

    Parameters
    ----------
    side : float
        Of the position.
    entry, atr : float
        Price of entry, and average true range at the decision, quote units.
    distance : float
        `RiskGenes.stop_atr`.
    """
    return entry - side * distance * atr


@kernel
def trail_price(side: float, best: float, atr: float, distance: float) -> float:
    """Trailing stop behind the best close since entry; `distance` is `RiskGenes.trail_atr`."""
    return best - side * distance * atr


@kernel
def target_price(side: float, entry: float, atr: float, distance: float) -> float:
    """Price at which a profit is taken; `distance` is `RiskGenes.take_profit_atr`."""
    return entry + side * distance * atr


@kernel
def tighter(side: float, first: float, second: float) -> float:
    """Of two stops the one nearer to the market: the higher of a long, the lower of a short."""
    return max(first, second) if side > 0.0 else min(first, second)
