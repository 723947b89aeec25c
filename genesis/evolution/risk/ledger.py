"""The simulated account: its columns, its fills, and the marks that breakers look at.

Everything is a row of floats, because numba counts references of arrays that come and go. The rules
of marks, days, weeks and results are those of `genesis.risk.state.RiskState`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.costs.margin import liquidation_level
from genesis.domain.jit import kernel
from genesis.domain.timeline import DAY_MS
from genesis.risk import formulas
from genesis.risk.genome import RiskGenes
from genesis.risk.state import LEAST_DAYS, SHARPE_DAYS
from genesis.strategy.policy import PolicyNumbers, PolicyState

Floats = npt.NDArray[np.float64]

# Columns of a symbol's row.
(
    POSITION,
    ENTRY,
    ACCRUED,
    LIQUIDATION,
    PREVIOUS,
    PENDING,
    LEAVING,
    PENDING_ATR,
    ATR,
    STOP,
    TARGET,
    BEST,
    TRADE,
    P_ATR,
    P_PENDING_ATR,
    P_STOP,
    P_TARGET,
    P_BEST,
    P_ENTRY_BAR,
    P_EXIT_BAR,
) = range(20)
ROW = 20

# Columns of the account.
(
    CASH,
    EQUITY,
    PEAK,
    DAY_PEAK,
    WEEK_PEAK,
    DAY_OPEN,
    MARKED_MS,
    LOSSES,
    LAST_LOSS_MS,
    SHARPE,
    HALTED,
    DAY_UNTIL,
    WEEK_UNTIL,
    RAPID_UNTIL,
    CORRELATION_UNTIL,
    VOLATILITY_UNTIL,
    CONCENTRATION_UNTIL,
    SENTIMENT_UNTIL,
    FORCED,
    TRADES,
    REFUSED,
    GROSS,
    DAYS,
    ORDERS,
) = range(24)
ACCOUNT = 24

NEVER_MS = -1.0
_NEVER_BAR = -1e15


@kernel
def begin(rows: Floats, account: Floats, capital: float, start_ms: float) -> None:
    """Reset an account to its capital, without positions.

    Parameters
    ----------
    rows : float64, shape (A, ROW)
    account : float64, shape (ACCOUNT,)
    capital : float
    start_ms : float
        Instant of the first mark.
    """
    rows[:] = 0.0
    rows[:, P_EXIT_BAR] = _NEVER_BAR
    account[:] = 0.0
    for place in (CASH, EQUITY, PEAK, DAY_PEAK, WEEK_PEAK, DAY_OPEN):
        account[place] = capital
    account[MARKED_MS] = start_ms
    account[LAST_LOSS_MS] = NEVER_MS
    account[SHARPE] = math.nan


@kernel
def policy_of(values: Floats) -> PolicyNumbers:
    """Parameters of a position policy from their row, shape (P,)."""
    return PolicyNumbers(
        values[0],
        values[1],
        values[2],
        values[3],
        values[4],
        values[5],
        values[6],
        values[7],
        values[8],
        values[9],
        values[10],
        values[11],
        values[12],
        values[13],
        values[14],
        values[15],
        values[16],
    )


@kernel
def state_of(row: Floats) -> PolicyState:
    """What a position policy remembers, from a symbol's row."""
    return PolicyState(
        row[P_ATR],
        row[P_PENDING_ATR],
        row[P_STOP],
        row[P_TARGET],
        row[P_BEST],
        row[P_ENTRY_BAR],
        row[P_EXIT_BAR],
    )


@kernel
def keep_state(row: Floats, state: PolicyState) -> None:
    """Write what a position policy remembers back to its row."""
    row[P_ATR] = state.atr
    row[P_PENDING_ATR] = state.pending_atr
    row[P_STOP] = state.stop
    row[P_TARGET] = state.target
    row[P_BEST] = state.best
    row[P_ENTRY_BAR] = state.entry_bar
    row[P_EXIT_BAR] = state.exit_bar


@kernel
def pay(row: Floats, account: Floats, quantity: float, price: float, fee: float) -> None:
    """Book a fill: cash, and the running result of the trade."""
    flow = -quantity * price - abs(quantity) * price * fee
    account[CASH] += flow
    row[TRADE] += flow


@kernel
def close_trade(row: Floats, account: Floats, now_ms: float) -> None:
    """End the trade of a position that is flat now; a loss counts towards the streak."""
    result = row[TRADE]
    if result > 0.0:
        account[LOSSES] = 0.0
    elif result < 0.0:
        account[LOSSES] += 1.0
        account[LAST_LOSS_MS] = now_ms
    account[TRADES] += 1.0
    row[POSITION] = 0.0
    row[TRADE] = 0.0


@kernel
def open_levels(
    row: Floats, genes: RiskGenes, price: float, leverage: float, maintenance: float
) -> None:
    """Set the manager's protective levels and the liquidation price of a fresh position."""
    side = 1.0 if row[POSITION] > 0.0 else -1.0
    row[ENTRY] = price
    row[ACCRUED] = 0.0
    row[ATR] = row[PENDING_ATR]
    row[BEST] = price
    fixed = formulas.stop_price(side, price, row[ATR], genes.stop_atr)
    trailing = formulas.trail_price(side, price, row[ATR], genes.trail_atr)
    row[STOP] = formulas.tighter(side, fixed, trailing)
    row[TARGET] = formulas.target_price(side, price, row[ATR], genes.take_profit_atr)
    row[LIQUIDATION] = liquidation_level(row[POSITION], price, 0.0, leverage, maintenance)


@kernel
def trail(row: Floats, genes: RiskGenes, close: float) -> None:
    """Move the manager's stop behind the best close; it counts from the next bar on."""
    side = 1.0 if row[POSITION] > 0.0 else -1.0
    if (close - row[BEST]) * side > 0.0:
        row[BEST] = close
    level = formulas.trail_price(side, row[BEST], row[ATR], genes.trail_atr)
    row[STOP] = formulas.tighter(side, row[STOP], level)


@kernel
def day_of(ts_ms: float) -> float:
    """UTC days since 1970."""
    return math.floor(ts_ms / DAY_MS)


@kernel
def week_of(ts_ms: float) -> float:
    """ISO weeks since the one that 1970 began in."""
    return math.floor((day_of(ts_ms) + 3.0) / 7.0)


@kernel
def mark(account: Floats, returns: Floats, equity: float, now_ms: float) -> None:
    """Take the equity at a close; a new day and a new week begin with the last mark before.

    Parameters
    ----------
    account : float64, shape (ACCOUNT,)
    returns : float64, shape (D,)
        Daily returns so far, the first ``account[DAYS]`` of them.
    equity, now_ms : float
    """
    before = account[MARKED_MS]
    if day_of(now_ms) != day_of(before):
        count = int(account[DAYS])
        if account[DAY_OPEN] > 0.0 and count < returns.size:
            returns[count] = account[EQUITY] / account[DAY_OPEN] - 1.0
            account[DAYS] += 1.0
            account[SHARPE] = rolling_sharpe(returns, count + 1)
        account[DAY_OPEN] = account[EQUITY]
        account[DAY_PEAK] = account[EQUITY]
    if week_of(now_ms) != week_of(before):
        account[WEEK_PEAK] = account[EQUITY]
    account[PEAK] = formulas.raised(account[PEAK], equity)
    account[DAY_PEAK] = formulas.raised(account[DAY_PEAK], equity)
    account[WEEK_PEAK] = formulas.raised(account[WEEK_PEAK], equity)
    account[EQUITY] = equity
    account[MARKED_MS] = now_ms


@kernel
def rolling_sharpe(returns: Floats, count: int) -> float:
    """Annual Sharpe ratio of the last `SHARPE_DAYS` daily returns; NaN below `LEAST_DAYS`."""
    n = min(count, SHARPE_DAYS)
    if n < LEAST_DAYS:
        return math.nan
    mean = 0.0
    for k in range(count - n, count):
        mean += returns[k]
    mean /= n
    variance = 0.0
    for k in range(count - n, count):
        variance += (returns[k] - mean) ** 2
    variance /= n - 1
    return mean / math.sqrt(variance) * math.sqrt(365.0) if variance > 0.0 else math.nan
