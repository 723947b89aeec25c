"""A strategy on a whole panel at full resolution: what leaderboards and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.backtest import metrics as m
from genesis.backtest.combine import NUMBERS, PortfolioResult, combine, marks_per_year
from genesis.backtest.detail import SymbolBacktest, Trade
from genesis.backtest.evaluator import Evaluator
from genesis.backtest.frame import day_stops
from genesis.backtest.result import COLUMN, METRICS, STATUS, TOO_SHORT, VALID, BlockResult
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.errors import StrategyError
from genesis.domain.timeline import bars_per_year
from genesis.market.panel import Panel
from genesis.strategy.strategy import Strategy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


__all__ = [
    "NUMBERS",
    "PortfolioBacktest",
    "PortfolioResult",
    "backtest_strategy",
    "combine",
    "marks_per_year",
]


@dataclass(frozen=True, slots=True)
class PortfolioBacktest:
    """Exact portfolio of one strategy: equal shares, equities added in symbol order.

    Attributes
    ----------
    strategy : Strategy
    ts_ms : int64, shape (T,)
    returns, equity : float64, shape (T,)
        Net return of each bar and their running sum, fractions of the whole capital.
    exposure : float64, shape (T,)
        Share of symbols in position after each bar, signed by side.
    metrics : dict of str to float
        The names of `genesis.backtest.result.METRICS` with ratios of the portfolio's bar returns,
        and ``annual_return``, and on daily marks as in the search ``daily_sharpe`` and, at 1.5
        and 2 times fees and slippage, ``daily_sharpe_1_5x`` and ``daily_sharpe_2x``.
    symbols : tuple of SymbolBacktest
    blocks : tuple of BlockResult
        The same numbers that the search saw, one row each.
    """

    strategy: Strategy
    ts_ms: Ints
    returns: Floats
    equity: Floats
    exposure: Floats
    metrics: dict[str, float]
    symbols: tuple[SymbolBacktest, ...]
    blocks: tuple[BlockResult, ...]

    @property
    def trades(self) -> tuple[tuple[str, Trade], ...]:
        """Every trade with its symbol, in order of entry."""
        pairs = [(s.symbol, trade) for s in self.symbols for trade in s.trades]
        return tuple(sorted(pairs, key=lambda pair: (pair[1].entry_ts_ms, pair[0])))


def backtest_strategy(
    panel: Panel,
    strategy: Strategy,
    setup: EvaluationSetup,
    decide_from: int = 0,
    entry_scales: Mapping[str, Floats] | None = None,
) -> PortfolioBacktest:
    """Backtest one strategy on every symbol of a panel and add the equities.

    Parameters
    ----------
    panel : Panel
    strategy : Strategy
    setup : EvaluationSetup
    decide_from : int
        Bars before this one only warm the rules up, as those before a live run began.
    entry_scales : mapping of str to float64, shape (T,), optional
        What a risk manager left of each entry, see `Evaluator`.

    Raises
    ------
    InputError
        If scales are of an unknown symbol, of another length, or not within 0 and 1.
    StrategyError
        If the strategy raises or exceeds a budget on one of the symbols, or every symbol is too
        short for its warm-up (one that is too short beside others is flat, as in `combine`).
    """
    evaluator = Evaluator(panel, setup, decide_from=decide_from, entry_scales=entry_scales)
    places = range(len(panel.symbols))
    symbols = tuple(evaluator.detail(place, strategy) for place in places)
    blocks = tuple(evaluator.evaluate(place, [strategy]) for place in places)
    if all(block.status[0] == TOO_SHORT for block in blocks):
        raise StrategyError(
            "the strategy cannot be evaluated on any symbol",
            why=f"{STATUS[TOO_SHORT]}: {blocks[0].reasons[0]}",
            fix="use a longer span or a shorter interval",
        )
    n = len(symbols)
    nets = []
    for multiple in (1.0, 1.5, 2.0):
        total = np.zeros(panel.bars)
        for symbol in symbols:
            total += symbol.returns(multiple)
        nets.append(total / n)
    side = np.zeros(panel.bars)
    for symbol in symbols:
        side += np.sign(symbol.position)
    return PortfolioBacktest(
        strategy=strategy,
        ts_ms=panel.ts_ms,
        returns=nets[0],
        equity=np.cumsum(nets[0]),
        exposure=side / n,
        metrics=_numbers(panel, symbols, blocks, nets),
        symbols=symbols,
        blocks=blocks,
    )


def _numbers(
    panel: Panel,
    symbols: tuple[SymbolBacktest, ...],
    blocks: tuple[BlockResult, ...],
    nets: list[Floats],
) -> dict[str, float]:
    periods, returns = bars_per_year(panel.interval_ms), nets[0]
    closed = [t for s in symbols for t in s.trades if t.closed]
    share = {s.symbol: s.capital * len(symbols) for s in symbols}
    pnl = np.array([t.pnl / share[s.symbol] for s in symbols for t in s.trades if t.closed])
    gain, loss = float(np.sum(pnl[pnl > 0])), float(-np.sum(pnl[pnl <= 0]))
    marks = np.cumsum(returns)[day_stops(panel.ts_ms) - 1]
    win_rate = float(np.mean(pnl > 0)) if pnl.size else 0.0
    drawdown = m.max_drawdown(returns)
    profit_factor = m.ratio(gain, loss)
    steady = m.consistency(win_rate, profit_factor, m.monthly_ratio(marks), drawdown)
    ratios = [float(np.nan_to_num(m.sharpe(net, periods))) for net in nets]
    held = np.array([np.count_nonzero(s.position[: s.last + 1]) for s in symbols], dtype=float)
    longs = np.array([np.count_nonzero(s.position[: s.last + 1] > 0) for s in symbols], dtype=float)
    values = {
        "sharpe": ratios[0],
        "sortino": m.sortino(returns, periods),
        "calmar": m.calmar(returns, periods),
        "total_return": float(np.sum(returns)),
        "max_drawdown": drawdown,
        "cdar95": m.cdar(m.marks_to_drawdowns(marks)),
        "orders": float(sum(len(s.orders) for s in symbols)),
        "trades": float(len(closed)),
        "win_rate": win_rate,
        "profit_factor": profit_factor,
        "holding_bars": float(np.mean([t.exit_bar - t.entry_bar for t in closed]))
        if closed
        else 0.0,
        "sharpe_1_5x": ratios[1],
        "sharpe_2x": ratios[2],
        "fitness": m.composite_fitness(ratios[0], drawdown, win_rate, steady),
        "liquidated": float(sum(s.liquidated for s in symbols)),
        "long_share": float(longs.sum() / held.sum()) if held.sum() else 0.5,
        "gross_profit": gain,
        "gross_loss": loss,
    }
    for name in ("turnover", "exposure", "fees", "slippage", "funding"):
        valid = [b.metrics[0, COLUMN[name]] for b in blocks if b.status[0] == VALID]
        values[name] = float(sum(valid)) / len(blocks)
    ordered = {name: values[name] for name in METRICS}
    ordered["annual_return"] = m.annual_return(returns, periods)
    stops, yearly = day_stops(panel.ts_ms) - 1, marks_per_year(panel.interval_ms)
    for name, net in zip(("", "_1_5x", "_2x"), nets, strict=True):
        daily = np.diff(np.cumsum(net)[stops], prepend=0.0)
        ordered[f"daily_sharpe{name}"] = float(np.nan_to_num(m.sharpe(daily, yearly)))
    return ordered
