"""Gate G0: is the backtest what it says? No order may know later bars, no cent may be missing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genesis.backtest.evaluator import Evaluator, OrderList
from genesis.backtest.passes import O_FEE, O_PRICE, O_SIZE, O_SLIPPAGE, T_BAR, T_REASON
from genesis.backtest.portfolio import PortfolioBacktest
from genesis.backtest.result import OVER_BUDGET, TOO_SHORT
from genesis.backtest.setup import EvaluationSetup
from genesis.market.panel import Panel
from genesis.strategy.policy import REASON_DELISTED
from genesis.strategy.strategy import Strategy

Floats = npt.NDArray[np.float64]

CUTS = (0.37, 0.61, 0.89)
"""Shares of the data after which the rest is taken away."""

_OF_LENGTH = (TOO_SHORT, OVER_BUDGET)
"""Refusals by the number of bars: they say nothing about what an order knew."""


def prefix_mismatches(panel: Panel, strategy: Strategy, setup: EvaluationSetup) -> int:
    """Orders that are not the same when the bars after them are taken away.

    Parameters
    ----------
    panel : Panel
    strategy : Strategy
    setup : EvaluationSetup

    Returns
    -------
    int
        Over all symbols and `CUTS`; 0 for a strategy that looks at the past only.
    """
    whole = Evaluator(panel, setup)
    found = 0
    for share in CUTS:
        stop = max(int(share * panel.bars), 1)
        part = Evaluator(panel.sliced(0, stop), setup)
        for symbol in range(len(panel.symbols)):
            both = whole.orders(symbol, strategy), part.orders(symbol, strategy)
            if not any(orders.status in _OF_LENGTH for orders in both):
                found += _differing(*(_before(orders, stop) for orders in both))
            part.forget(symbol)
    return found


def _before(orders: OrderList, stop: int) -> Floats:
    """Orders before a bar as rows; what closes a symbol at its last bar is left out."""
    kept = (orders.tags[:, T_BAR] < stop) & (orders.tags[:, T_REASON] != REASON_DELISTED)
    return np.hstack([orders.book[kept], orders.tags[kept].astype(np.float64)])


def _differing(first: Floats, second: Floats) -> int:
    shared = min(len(first), len(second))
    same = np.all(first[:shared] == second[:shared], axis=1)
    return int(np.count_nonzero(~same)) + abs(len(first) - len(second))


def accounting_error(panel: Panel, result: PortfolioBacktest, setup: EvaluationSetup) -> float:
    """Greatest difference, over symbols, of two ways to the final equity, a fraction of capital.

    One is the equity that was rebuilt from vectorbt's execution records; the other adds up the
    cash flows of the order list itself, knowing nothing of records.
    """
    evaluator = Evaluator(panel, setup)
    errors = [0.0]
    for place, symbol in enumerate(result.symbols):
        frame = evaluator.frame(place)
        orders = evaluator.orders(place, result.strategy)
        book, bars = orders.book, orders.tags[:, T_BAR]
        size, reference = book[:, O_SIZE], book[:, O_PRICE]
        price = reference * (1.0 + np.sign(size) * book[:, O_SLIPPAGE])
        cash = -float(np.sum(size * price)) - float(np.sum(np.abs(size) * price * book[:, O_FEE]))
        held = np.zeros(panel.bars + 1)
        np.add.at(held, bars + 1, size)
        carried = np.cumsum(held)[:-1]  # position before each bar
        carried[np.abs(carried) < 1e-9 * np.max(np.abs(size), initial=1.0)] = 0.0
        known = np.nan_to_num(frame.known)
        before = np.concatenate([[0.0], known[:-1]])
        due = np.where(carried != 0.0, frame.due, 0.0)
        funding = float(np.sum(carried * before * due))
        left = float(np.sum(size))
        worth = left * float(frame.known[frame.last]) if frame.last >= 0 else 0.0
        total = (cash + worth - funding) / frame.capital
        errors.append(abs(total - float(np.sum(symbol.returns()))))
    return float(np.max(errors))  # NaN if one of them is
