"""The risk manager of the simulator: `GeneticRiskManager` on rows of floats.

Every formula is called from `genesis.risk.formulas`. What is repeated here is the order in which
the manager asks them; a test lets both judge the same orders. Nobody is there to approve anything:
at level HIGH new risk is refused.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel
from genesis.domain.timeline import HOUR_MS, MINUTE_MS
from genesis.evolution.risk.ledger import (
    CONCENTRATION_UNTIL,
    CORRELATION_UNTIL,
    DAY_PEAK,
    DAY_UNTIL,
    EQUITY,
    HALTED,
    LAST_LOSS_MS,
    LOSSES,
    ORDERS,
    PEAK,
    PENDING,
    POSITION,
    RAPID_UNTIL,
    SENTIMENT_UNTIL,
    SHARPE,
    VOLATILITY_UNTIL,
    WEEK_PEAK,
    WEEK_UNTIL,
    day_of,
    week_of,
)
from genesis.evolution.risk.scenario import (
    CLOSE,
    EXTREME,
    KNOWN,
    MEAN_CORRELATION,
    MEAN_PERCENTILE,
    PERCENTILE,
    TREND,
    TURNOVER,
    VOLATILITY,
)
from genesis.risk import formulas
from genesis.risk.genome import RiskGenes
from genesis.risk.state import MOST_ORDERS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAY = 86_400_000.0
_NO_LOSS_MS = 1e15


@kernel
def latch(account: Floats, place: int, holds: bool, until_ms: float) -> None:
    """Keep a breaker whose condition holds armed until an instant, never an earlier one."""
    if holds and until_ms > account[place]:
        account[place] = until_ms


@kernel
def rapid_loss(marks: Floats, stamps: Floats, count: int, minutes: float, equity: float) -> float:
    """Fall from the highest mark within a window, the one that held when it began included.

    Parameters
    ----------
    marks, stamps : float64, shape (B,)
        Equity and instants of the marks so far, the first ``count``; the last one is now.
    count : int
    minutes : float
    equity : float
    """
    now = math.floor(stamps[count - 1] / MINUTE_MS)
    begin = math.floor((stamps[count - 1] - minutes * MINUTE_MS) / MINUTE_MS)
    highest = equity
    for k in range(count - 1, -1, -1):
        if marks[k] > highest:
            highest = marks[k]
        if math.floor(stamps[k] / MINUTE_MS) < begin:
            break
    return formulas.drawdown(highest, equity) if now >= begin else 0.0


@kernel
def largest_and_gross(rows: Floats, bar: Floats, capital: float) -> tuple[float, float]:
    """Largest position, and gross notional with working entries, as shares of capital."""
    largest = 0.0
    gross = 0.0
    for i in range(rows.shape[0]):
        price = bar[i, CLOSE]
        position = abs(rows[i, POSITION]) * price / capital
        gross += position + abs(rows[i, PENDING]) * price / capital
        if position > largest:
            largest = position
    return largest, gross


@kernel
def trip_losses(
    account: Floats, genes: RiskGenes, marks: Floats, stamps: Floats, count: int
) -> None:
    """Latch the breakers that look at losses, at the last mark."""
    equity, now = account[EQUITY], stamps[count - 1]
    if formulas.exceeds(formulas.drawdown(account[PEAK], equity), genes.total_drawdown):
        account[HALTED] = 1.0
    week_end = ((week_of(now) + 1.0) * 7.0 - 3.0) * DAY
    fall = formulas.drawdown(account[WEEK_PEAK], equity)
    latch(account, WEEK_UNTIL, formulas.exceeds(fall, genes.weekly_drawdown), week_end)
    fall = formulas.drawdown(account[DAY_PEAK], equity)
    day_end = (day_of(now) + 1.0) * DAY
    latch(account, DAY_UNTIL, formulas.exceeds(fall, genes.daily_drawdown), day_end)
    fall = rapid_loss(marks, stamps, count, genes.rapid_loss_minutes, equity)
    cooldown = math.floor(genes.cooldown_minutes * MINUTE_MS)
    latch(account, RAPID_UNTIL, formulas.exceeds(fall, genes.rapid_loss), now + cooldown)


@kernel
def trip_market(
    account: Floats,
    genes: RiskGenes,
    market: Floats,
    largest: float,
    now: float,
    interval: float,
) -> None:
    """Latch the breakers that look at the market and at concentration."""
    until = now + formulas.hold_ms(interval)
    spike = formulas.exceeds(market[MEAN_CORRELATION], genes.correlation_spike)
    latch(account, CORRELATION_UNTIL, spike, until)
    spike = formulas.exceeds(market[MEAN_PERCENTILE], genes.high_volatility)
    latch(account, VOLATILITY_UNTIL, spike, until)
    heavy = formulas.exceeds(largest, genes.max_position * formulas.CONCENTRATION)
    latch(account, CONCENTRATION_UNTIL, heavy, until)
    latch(account, SENTIMENT_UNTIL, market[EXTREME] > 0.0, until)


@kernel
def level_now(account: Floats, genes: RiskGenes, gross: float, now: float) -> int:
    """Level of the account from its breakers and cautions."""
    since = now - account[LAST_LOSS_MS] if account[LAST_LOSS_MS] >= 0.0 else _NO_LOSS_MS
    pauses = formulas.streak_pauses(
        account[LOSSES], genes.max_consecutive_losses, since, genes.cooldown_minutes
    )
    reduce_only = (
        pauses
        or now < account[DAY_UNTIL]
        or now < account[WEEK_UNTIL]
        or now < account[RAPID_UNTIL]
    )
    approval = (
        now < account[CORRELATION_UNTIL]
        or now < account[VOLATILITY_UNTIL]
        or now < account[CONCENTRATION_UNTIL]
    )
    caution = (
        now < account[SENTIMENT_UNTIL]
        or formulas.exceeds(gross, genes.max_gross * formulas.NEARLY_FULL)
        or account[SHARPE] < genes.min_sharpe
    )
    return formulas.level_of(account[HALTED] > 0.0, reduce_only, approval, caution)


@kernel
def book_correlation(rows: Floats, bar: Floats, correlation: Floats, i: int, side: float) -> float:
    """Correlation of an order in symbol ``i`` with what is held, weighted by notional."""
    weight = 0.0
    total = 0.0
    for j in range(rows.shape[0]):
        along = max(side * rows[j, POSITION] + max(side * rows[j, PENDING], 0.0), 0.0)
        against = max(-side * rows[j, POSITION] + max(-side * rows[j, PENDING], 0.0), 0.0)
        along *= bar[j, CLOSE]
        against *= bar[j, CLOSE]
        known = correlation[i, j]
        if math.isnan(known):
            total += along + against
        else:
            total += known * (along - against)
        weight += along + against
    return total / weight if weight > 0.0 else 0.0


@kernel
def free_notional(
    rows: Floats,
    genes: RiskGenes,
    bar: Floats,
    cluster_of: Bools,
    i: int,
    side: float,
    capital: float,
) -> float:
    """Greatest notional of an order in symbol ``i``, as a share of capital."""
    gross = 0.0
    net = 0.0
    cluster = 0.0
    for j in range(rows.shape[0]):
        price = bar[j, CLOSE]
        filled = side * rows[j, POSITION] + max(side * rows[j, PENDING], 0.0)
        gross += (abs(rows[j, POSITION]) + abs(rows[j, PENDING])) * price
        net += filled * price
        if cluster_of[i, j]:
            cluster += max(filled, 0.0) * price
    own = (side * rows[i, POSITION] + max(side * rows[i, PENDING], 0.0)) * bar[i, CLOSE]
    return formulas.admitted(
        genes,
        own / capital,
        gross / capital,
        net / capital,
        cluster / capital,
        bar[i, TURNOVER],
    )


@kernel
def orders_in_hour(orders: Floats, account: Floats, now: float) -> float:
    """Orders of the last hour that may add risk."""
    count = int(account[ORDERS])
    found = 0.0
    for k in range(count - 1, max(count - MOST_ORDERS, 0) - 1, -1):
        if orders[k % MOST_ORDERS] <= now - HOUR_MS:
            break
        found += 1.0
    return found


@kernel
def keep_share(
    rows: Floats,
    account: Floats,
    orders: Floats,
    genes: RiskGenes,
    bar: Floats,
    market: Floats,
    correlation: Floats,
    cluster_of: Bools,
    i: int,
    quantity: float,
    level: int,
    capital: float,
    now: float,
) -> float:
    """Share of its size that an order which may add risk keeps; 0 if it is refused.

    Parameters
    ----------
    rows, account, orders : float64
    genes : RiskGenes
    bar, market, correlation, cluster_of
        Of the closed bar, see `genesis.evolution.risk.scenario.Tape`.
    i : int
        Symbol.
    quantity : float
        Signed, base units.
    level : int
        Of the account.
    capital, now : float
    """
    side = 1.0 if quantity > 0.0 else -1.0
    if level >= formulas.HIGH or bar[i, KNOWN] == 0.0:
        return 0.0
    trend = int(bar[i, TREND])
    if level < formulas.MODERATE and (trend < 0 or formulas.is_volatile(bar[i, PERCENTILE])):
        level = formulas.MODERATE
    recent = orders_in_hour(orders, account, now)
    if formulas.exceeds(recent + 1.0, genes.max_trades_per_hour):
        return 0.0
    share = formulas.size_multiplier(
        genes,
        side,
        bar[i, VOLATILITY],
        trend,
        market[EXTREME] > 0.0,
        book_correlation(rows, bar, correlation, i, side),
        account[LOSSES],
        account[SHARPE],
        level,
    )
    notional = abs(quantity) * bar[i, CLOSE] / capital
    free = free_notional(rows, genes, bar, cluster_of, i, side, capital)
    return float(min(share, free / notional, 1.0))
