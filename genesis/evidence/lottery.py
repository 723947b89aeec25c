"""Lottery arms: the same number of trades, as long and as large, at random times.

A pretest (Chen & Navet 2007): a strategy whose timing does no better than a lottery with its own
trading intensity has found nothing, whatever it earned. Costs are paid like everywhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.accounting import account
from genesis.backtest.detail import Trade, symbol_backtest
from genesis.backtest.evaluator import Evaluator
from genesis.backtest.frame import Frame, last_known
from genesis.backtest.metrics import sharpe
from genesis.backtest.passes import PHASE_MARKET
from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy, marks_per_year
from genesis.backtest.setup import EvaluationSetup
from genesis.evidence.returns import daily_returns
from genesis.market.panel import Panel
from genesis.strategy.policy import REASON_ENTRY, REASON_TIME
from genesis.strategy.strategy import Strategy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LotteryResult:
    """Daily Sharpe ratios, annualised, of a strategy and of its lottery arms."""

    strategy: str
    sharpe: float
    arms: tuple[float, ...]

    @property
    def beaten(self) -> float:
        """Share of the arms below the strategy."""
        return sum(arm < self.sharpe for arm in self.arms) / len(self.arms)

    def to_plain(self) -> dict[str, Any]:
        """JSON form; arms are no trials."""
        return {
            "role": "lottery",
            "strategy": self.strategy,
            "sharpe": self.sharpe,
            "arms": list(self.arms),
        }


def lottery(
    panel: Panel, strategy: Strategy, setup: EvaluationSetup, arms: int, seed: str
) -> LotteryResult:
    """Draw lottery arms of a strategy on a panel.

    Parameters
    ----------
    panel : Panel
    strategy : Strategy
    setup : EvaluationSetup
    arms : int
    seed : str
        Any text; equal texts draw equal arms.
    """
    periods = marks_per_year(panel.interval_ms)
    own = backtest_strategy(panel, strategy, setup)
    evaluator = Evaluator(panel, setup)
    ratios = []
    for arm in range(arms):
        key = hashlib.blake2b(f"genesis/lottery/{seed}/{arm}".encode(), digest_size=16).digest()
        rng = np.random.default_rng(int.from_bytes(key, "big"))
        returns = _arm_returns(evaluator, own, setup, rng)
        ratios.append(_ratio(panel, returns, periods))
    return LotteryResult(strategy.id, _ratio(panel, own.returns, periods), tuple(ratios))


def _ratio(panel: Panel, returns: Floats, periods: float) -> float:
    return float(np.nan_to_num(sharpe(daily_returns(panel.ts_ms, returns), periods)))


def _arm_returns(
    evaluator: Evaluator, own: PortfolioBacktest, setup: EvaluationSetup, rng: np.random.Generator
) -> Floats:
    total = np.zeros(own.returns.size)
    for place, symbol in enumerate(own.symbols):
        if not symbol.trades:
            continue
        frame = evaluator.frame(place)
        book, tags = _drawn(frame, symbol.trades, setup, rng)
        (records,) = account([book], engine=evaluator.engine)
        total += symbol_backtest(frame, book, tags, records).returns()
    return total / len(own.symbols)


def _drawn(
    frame: Frame, trades: tuple[Trade, ...], setup: EvaluationSetup, rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Orders of the trades in a random order at random times, none overlapping another."""
    holds = np.array([max(t.exit_bar - t.entry_bar, 1) for t in trades], dtype=np.int64)
    notional = np.array([abs(t.size) * t.entry_price for t in trades])
    side = np.sign(np.array([t.size for t in trades]))
    turn, mix = rng.permutation(len(trades)), rng.permutation(len(trades))
    holds, notional, side = holds[turn], notional[turn], side[mix]
    room = frame.last - frame.first - int(holds.sum())
    while room < 0:  # trades that ended within their bar were lengthened to one
        holds[int(np.argmax(holds))] -= 1
        room += 1
    gaps = np.sort(rng.integers(0, room + 1, len(trades)))
    entry = frame.first + gaps + np.concatenate([[0], np.cumsum(holds)[:-1]])
    leave = entry + holds
    price = np.where(frame.valid, frame.open, last_known(frame.close, frame.valid))
    size = side * notional / price[entry]
    costs = setup.costs
    book = np.empty((2 * len(trades), 4))
    book[0::2] = np.column_stack([size, price[entry], *_rates(costs.taker, costs.slippage, size)])
    book[1::2] = np.column_stack([-size, price[leave], *_rates(costs.taker, costs.slippage, size)])
    tags = np.empty((2 * len(trades), 3), dtype=np.int64)
    tags[0::2] = np.column_stack([entry, *_marks(REASON_ENTRY, entry.size)])
    tags[1::2] = np.column_stack([leave, *_marks(REASON_TIME, entry.size)])
    return book, tags


def _rates(fee: float, slippage: float, like: Floats) -> tuple[Floats, Floats]:
    return np.full(like.size, fee), np.full(like.size, slippage)


def _marks(reason: int, size: int) -> tuple[Ints, Ints]:
    return np.full(size, reason), np.full(size, PHASE_MARKET)
