"""Equity per bar rebuilt from execution records: every sum that a metric needs, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.jit import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Records = npt.NDArray[Any]

# Columns of the sums per fold. Gross is the price pnl at reference prices less funding; cost is
# fees and slippage; both are fractions of capital, so that net = gross - multiple * cost.
GROSS, GROSS2, COST, COST2, CROSS, DOWN2, TRADES = range(7)
FOLD_SUMS = 7

# Columns of the totals; money is a fraction of capital.
(
    FEES,
    SLIP,
    FUNDING,
    NOTIONAL,
    ORDERS,
    CLOSED,
    WINS,
    GAIN,
    LOSS,
    HELD_CLOSED,
    HELD,
    HELD_LONG,
    DRAWDOWN,
    EQUITY,
) = range(14)
TOTALS = 14


@kernel
def rebuild(
    records: Records,
    bars: Ints,
    reference: Floats,
    close: Floats,
    due: Floats,
    first: int,
    last: int,
    capital: float,
    fold_stop: Ints,
    mark_stop: Ints,
    folds: Floats,
    marks: Floats,
    totals: Floats,
) -> int:
    """Walk through the bars in position and sum up returns, costs, trades and marks.

    Parameters
    ----------
    records : structured, shape (n,)
        size, price, fees and side (0 buy) of each executed order.
    bars : int64, shape (n,); reference : float64, shape (n,)
        Bar and reference price of each order.
    close : float64, shape (T,)
        Close of each bar, the last known one where the bar is invalid.
    due : float64, shape (T,)
        Funding rate due at the open of each bar (see `passes.accumulate_due`).
    first, last : int
        Bars between which the symbol is active.
    capital : float
        Reference capital; returns are not compounded.
    fold_stop, mark_stop : int64
        Exclusive ends of the folds and of the days.
    folds : float64, shape (F, FOLD_SUMS); marks : float64, shape (M,); totals : shape (TOTALS,)
        Zeros on entry, filled.

    Returns
    -------
    int
        Number of orders booked.
    """
    n = bars.size
    k = 0
    fold = 0
    mark = 0
    position = 0.0
    equity = 0.0
    peak = 0.0
    drawdown = 0.0
    trade = 0.0  # cash of the open trade
    opened = first
    previous = close[first]
    gross_sum = 0.0
    gross_square = 0.0
    down = 0.0
    t = first
    while t <= last:
        upcoming = bars[k] if k < n else last + 1
        if position == 0.0 and upcoming > t:
            t = upcoming
            previous = close[t - 1] if t <= last else previous
            while mark < mark_stop.size and mark_stop[mark] <= t:
                marks[mark] = equity
                mark += 1
            while fold < fold_stop.size - 1 and fold_stop[fold] <= t:
                folds[fold, GROSS] += gross_sum
                folds[fold, GROSS2] += gross_square
                folds[fold, DOWN2] += down
                gross_sum = gross_square = down = 0.0
                fold += 1
            continue
        stop = min(upcoming, min(mark_stop[mark], fold_stop[fold]), last + 1)
        scale = position / capital
        while t < stop:  # bars that only carry the position
            now = close[t]
            paid = scale * previous * due[t]
            gain = scale * (now - previous) - paid
            previous = now
            totals[FUNDING] += paid
            trade -= paid
            gross_sum += gain
            gross_square += gain * gain
            down += gain * gain if gain < 0.0 else 0.0
            equity += gain
            peak = max(peak, equity)
            drawdown = max(drawdown, peak - equity)
            t += 1
        if t == upcoming and t <= last and t < mark_stop[mark] and t < fold_stop[fold]:
            now = close[t]
            paid = scale * previous * due[t]
            gain = scale * (now - previous) - paid
            cost = 0.0
            totals[FUNDING] += paid
            trade -= paid
            previous = now
            while k < n and bars[k] == t:
                size = records[k].size if records[k].side == 0 else -records[k].size
                fees = records[k].fees / capital
                slip = size * (records[k].price - reference[k]) / capital
                gain += size * (now - reference[k]) / capital
                cost += fees + slip
                totals[FEES] += fees
                totals[SLIP] += slip
                totals[NOTIONAL] += records[k].size * records[k].price / capital
                trade -= size * records[k].price / capital + fees
                before = position
                position += size
                if before == 0.0:
                    opened = t
                elif position == 0.0:
                    totals[CLOSED] += 1.0
                    folds[fold, TRADES] += 1.0
                    totals[HELD_CLOSED] += t - opened
                    totals[HELD] += t - opened
                    if before > 0.0:
                        totals[HELD_LONG] += t - opened
                    if trade > 0.0:
                        totals[WINS] += 1.0
                        totals[GAIN] += trade
                    else:
                        totals[LOSS] -= trade
                    trade = 0.0
                k += 1
            net = gain - cost
            gross_sum += gain
            gross_square += gain * gain
            folds[fold, COST] += cost
            folds[fold, COST2] += cost * cost
            folds[fold, CROSS] += gain * cost
            down += net * net if net < 0.0 else 0.0
            equity += net
            peak = max(peak, equity)
            drawdown = max(drawdown, peak - equity)
            t += 1
        while mark < mark_stop.size and mark_stop[mark] <= t:
            marks[mark] = equity
            mark += 1
        while fold < fold_stop.size - 1 and fold_stop[fold] <= t:
            folds[fold, GROSS] += gross_sum
            folds[fold, GROSS2] += gross_square
            folds[fold, DOWN2] += down
            gross_sum = gross_square = down = 0.0
            fold += 1
    folds[fold, GROSS] += gross_sum
    folds[fold, GROSS2] += gross_square
    folds[fold, DOWN2] += down
    marks[mark:] = equity
    if position != 0.0:
        totals[HELD] += last + 1 - opened
        if position > 0.0:
            totals[HELD_LONG] += last + 1 - opened
    totals[ORDERS] = n
    totals[DRAWDOWN] = drawdown
    totals[EQUITY] = equity
    return k


@kernel
def bar_equity(
    records: Records,
    bars: Ints,
    reference: Floats,
    close: Floats,
    due: Floats,
    first: int,
    last: int,
    capital: float,
    gross: Floats,
    cost: Floats,
    funding: Floats,
    position: Floats,
) -> None:
    """Write gross pnl, cost and funding of each bar, and the position after it, for reports.

    Parameters as in `rebuild`; the outputs have shape (T,), zeros on entry. Gross includes
    funding. Money is a fraction of capital, the position is in base units.
    """
    k = 0
    held = 0.0
    previous = close[first]
    for t in range(first, last + 1):
        paid = held / capital * previous * due[t]
        gain = held / capital * (close[t] - previous) - paid
        while k < bars.size and bars[k] == t:
            size = records[k].size if records[k].side == 0 else -records[k].size
            gain += size * (close[t] - reference[k]) / capital
            slip = size * (records[k].price - reference[k]) / capital
            cost[t] += records[k].fees / capital + slip
            held += size
            k += 1
        gross[t] = gain
        funding[t] = paid
        position[t] = held
        previous = close[t]
    position[last + 1 :] = held


@kernel
def order_hash(bars: Ints, sizes: Floats) -> np.uint64:
    """64-bit hash of (bar, side) over an order list; 0 for none."""
    word = np.uint64(0)
    for k in range(bars.size):
        word ^= np.uint64(bars[k]) * np.uint64(2) + np.uint64(1 if sizes[k] > 0.0 else 0)
        word += np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word ^= word >> np.uint64(31)
    return word
