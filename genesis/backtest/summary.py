"""From the sums of the equity pass to the metrics of one strategy on one symbol."""

from __future__ import annotations

import math

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

Floats = npt.NDArray[np.float64]


def sharpe_at(row: Floats, n: float, periods: float, multiple: float) -> float:
    """Sharpe ratio of n bars under a multiple of fees and slippage, from one row of fold sums."""
    total = row[sums.GROSS] - multiple * row[sums.COST]
    squares = (
        row[sums.GROSS2] - 2.0 * multiple * row[sums.CROSS] + multiple * multiple * row[sums.COST2]
    )
    return sharpe_from_sums(float(total), float(squares), n, periods)


def fold_ratios(frame: Frame, folds: Floats) -> tuple[Floats, Floats]:
    """Net Sharpe ratio and closed trades of each fold, shapes (F,).

    A fold without variation (no position in it) has ratio 0; one with fewer than two active bars
    has NaN.
    """
    ratios = np.full(len(folds), np.nan)
    for i, row in enumerate(folds):
        if frame.fold_bars[i] >= 2:
            value = sharpe_at(row, float(frame.fold_bars[i]), frame.periods, 1.0)
            ratios[i] = 0.0 if math.isnan(value) else value
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
    whole = np.zeros(sums.FOLD_SUMS)
    for row in folds:  # in fold order, so that the sum is always the same
        whole += row
    net = float(totals[sums.EQUITY])
    drawdown = float(totals[sums.DRAWDOWN])
    active = marks[frame.active_marks]
    closed, gain, loss = (float(totals[i]) for i in (sums.CLOSED, sums.GAIN, sums.LOSS))
    held = float(totals[sums.HELD])
    win_rate = float(totals[sums.WINS]) / closed if closed else 0.0
    profit_factor = ratio(gain, loss)
    one, half, two = (sharpe_at(whole, bars, periods, m) for m in (1.0, 1.5, 2.0))
    steady = consistency(win_rate, profit_factor, monthly_ratio(active), drawdown)
    values = {
        "sharpe": one,
        "sortino": sortino_from_sums(net, float(whole[sums.DOWN2]), bars, periods),
        "calmar": ratio(net / bars * periods, drawdown),
        "total_return": net,
        "max_drawdown": drawdown,
        "cdar95": cdar(marks_to_drawdowns(active)),
        "turnover": float(totals[sums.NOTIONAL]) / bars * periods,
        "exposure": held / bars,
        "orders": float(totals[sums.ORDERS]),
        "trades": closed,
        "win_rate": win_rate,
        "profit_factor": profit_factor,
        "holding_bars": float(totals[sums.HELD_CLOSED]) / closed if closed else held,
        "fees": float(totals[sums.FEES]),
        "slippage": float(totals[sums.SLIP]),
        "funding": float(totals[sums.FUNDING]),
        "sharpe_1_5x": half,
        "sharpe_2x": two,
        "fitness": composite_fitness(one, drawdown, win_rate, steady),
        "liquidated": float(liquidated),
        "long_share": float(totals[sums.HELD_LONG]) / held if held else 0.5,
        "gross_profit": gain,
        "gross_loss": loss,
    }
    return np.array([values[name] for name in METRICS])
