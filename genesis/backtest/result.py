"""What an evaluation returns: arrays over strategies, nothing else crosses a process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

METRICS = (
    "sharpe",
    "sortino",
    "calmar",
    "total_return",
    "max_drawdown",
    "cdar95",
    "turnover",
    "exposure",
    "orders",
    "trades",
    "win_rate",
    "profit_factor",
    "holding_bars",
    "fees",
    "slippage",
    "funding",
    "sharpe_1_5x",
    "sharpe_2x",
    "fitness",
    "liquidated",
    "long_share",
    "gross_profit",
    "gross_loss",
)
"""Columns of `BlockResult.metrics`. Ratios are annualised by bars per 365 days; drawdown, fees,
slippage and funding are positive fractions of reference capital (funding: paid minus received);
turnover is traded notional per year over capital; exposure is the share of the symbol's active bars
at whose close a position is held, long_share the part of those that is long. Trades are closed
trades; their profit is net of fees, slippage and funding. Gross profit and loss are the sums of the
winning and of the losing ones, both positive. Ratios without a loss or drawdown are capped, see
`genesis.backtest.metrics.RATIO_CAP`."""

COLUMN = {name: place for place, name in enumerate(METRICS)}
"""Place of each metric by name."""

VALID = 0
NO_TRADES = 1
OVER_BUDGET = 2
RAISED = 3
NOT_FINITE = 4
TOO_SHORT = 5
STATUS = ("valid", "no_trades", "over_budget", "raised", "not_finite", "too_short")


@dataclass(frozen=True, slots=True)
class BlockResult:
    """Results of n strategies on one symbol.

    Attributes
    ----------
    status : int8, shape (n,)
        Place in `STATUS`; rows that are not valid hold NaN numbers.
    reasons : tuple of str
        Why a row is invalid, empty for a valid one.
    metrics : float64, shape (n, len(METRICS))
    fold_sharpe, fold_trades : float64, shape (n, folds)
        Annualised net Sharpe ratio and closed trades of each of the equal consecutive folds of
        the timeline. A fold without variation has ratio 0, one in which the symbol is not listed
        for at least two bars has NaN.
    marks : float64, shape (n, marks)
        Equity minus capital, over capital, at the end of each day (each bar if bars are longer).
    phenotype : uint64, shape (n,)
        Hash of the order list; equal behaviour has an equal hash.
    """

    status: npt.NDArray[np.int8]
    reasons: tuple[str, ...]
    metrics: Floats
    fold_sharpe: Floats
    fold_trades: Floats
    marks: Floats
    phenotype: npt.NDArray[np.uint64]
