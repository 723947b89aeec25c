"""From the sums of the equity pass to the metrics of one strategy on one symbol."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genesis.backtest import equity as sums
from genesis.backtest.frame import Frame
from genesis.backtest.metrics import (
    cdar,
    composite_fitness,
    consistency,
    marks_to_drawdowns,
    monthly_ratio,
    ratio,
    sharpe_from_sums,
    sortino_from_sums,
)
from genesis.backtest.result import METRICS
from genesis.costs.model import COST_MULTIPLES

Floats = npt.NDArray[np.float64]


def sharpe_at(row: Sequence[float], n: float, periods: float, multiple: float) -> float:
    """Sharpe ratio of n bars under a multiple of fees and slippage, from one row of fold sums."""
    total = row[sums.GROSS] - multiple * row[sums.COST]
    squares = (
        row[sums.GROSS2] - 2.0 * multiple * row[sums.CROSS] + multiple * multiple * row[sums.COST2]
    )
    return sharpe_from_sums(total, squares, n, periods)


def fold_ratios(frame: Frame, folds: Floats) -> tuple[list[float], Floats]:
    """Net Sharpe ratio and closed trades of each fold, F values each.

    A fold without variation (no position in it) has ratio 0; one with fewer than two active bars
    has NaN.
    """
    ratios = []
    for row, bars in zip(folds.tolist(), frame.fold_bars.tolist(), strict=True):
        value = sharpe_at(row, float(bars), frame.periods, 1.0)
        ratios.append(0.0 if math.isnan(value) and bars >= 2 else value)
    return ratios, folds[:, sums.TRADES]


def metrics_row(
    frame: Frame, folds: Floats, marks: Floats, totals: Floats, liquidated: bool
) -> Floats:
    """Numbers of one strategy in the order of `METRICS`.

    Parameters
    ----------
    frame : Frame
    folds, marks, totals : float64
        As filled by `genesis.backtest.equity.rebuild`.
    liquidated : bool

    Returns
    -------
    float64, shape (len(METRICS),)
        NaN where a number does not exist (a Sharpe ratio without variation).
    """
    bars, periods = float(frame.active_bars), frame.periods
    # Folds are added in their order, so that the sum is always the same.
    whole = [sum(column) for column in zip(*folds.tolist(), strict=True)]
    total = totals.tolist()
    net, drawdown, held = total[sums.EQUITY], total[sums.DRAWDOWN], total[sums.HELD]
    active = marks[frame.active_marks]
    closed, gain, loss = total[sums.CLOSED], total[sums.GAIN], total[sums.LOSS]
    win_rate = total[sums.WINS] / closed if closed else 0.0
    profit_factor = ratio(gain, loss)
    one, half, two = (sharpe_at(whole, bars, periods, m) for m in COST_MULTIPLES)
    steady = consistency(win_rate, profit_factor, monthly_ratio(active), drawdown)
    values = {
        "sharpe": one,
        "sortino": sortino_from_sums(net, whole[sums.DOWN2], bars, periods),
        "calmar": ratio(net / bars * periods, drawdown),
        "total_return": net,
        "max_drawdown": drawdown,
        "cdar95": cdar(marks_to_drawdowns(active)),
        "turnover": total[sums.NOTIONAL] / bars * periods,
        "exposure": held / bars,
        "orders": total[sums.ORDERS],
        "trades": closed,
        "win_rate": win_rate,
        "profit_factor": profit_factor,
        "holding_bars": total[sums.HELD_CLOSED] / closed if closed else held,
        "fees": total[sums.FEES],
        "slippage": total[sums.SLIP],
        "funding": total[sums.FUNDING],
        "sharpe_1_5x": half,
        "sharpe_2x": two,
        "fitness": composite_fitness(one, drawdown, win_rate, steady),
        "liquidated": float(liquidated),
        "long_share": total[sums.HELD_LONG] / held if held else 0.5,
        "gross_profit": gain,
        "gross_loss": loss,
    }
    return np.array([values[name] for name in METRICS])
