"""A candidate's portfolio: each symbol trades alone on an equal share, equities are added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.backtest.metrics import (
    cdar,
    composite_fitness,
    consistency,
    marks_to_drawdowns,
    monthly_ratio,
    ratio,
    sharpe,
)
from genesis.backtest.result import (
    COLUMN,
    METRICS,
    NO_TRADES,
    NOT_FINITE,
    STATUS,
    TOO_SHORT,
    VALID,
    BlockResult,
)
from genesis.domain.errors import GenesisError
from genesis.domain.timeline import DAY_MS, bars_per_year

Floats = npt.NDArray[np.float64]

MARKS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class PortfolioResult:
    """Numbers of n candidates over all symbols; arrays of shape (n,) unless said.

    Rows that are not valid hold NaN. A symbol without trades counts as flat: pnl 0 and fold ratios
    0. A symbol that is too short for a candidate's warm-up counts as flat without fold ratios.

    Attributes
    ----------
    status : int8
        Place in `genesis.backtest.result.STATUS`.
    reasons : tuple of str
        Why a row is invalid, empty for a valid one.
    fold_sharpe_mean, fold_sharpe_sd : float64
        Mean and sample sd of the fold Sharpe ratios over folds and symbols (sd 0 for one value).
    sharpe : float64
        Annualised Sharpe ratio of the portfolio on its daily marks.
    symbol_sharpe, sharpe_1_5x, sharpe_2x : float64
        Mean over symbols of their bar Sharpe ratio at 1, 1.5 and 2 times fees and slippage.
    total_return, max_drawdown, cdar95 : float64
        Of the portfolio marks, fractions of the whole capital; drawdowns at the marks.
    volatility : float64
        Annualised standard deviation of the portfolio's daily returns, a fraction of capital.
    trades, min_fold_trades : float64
        Closed trades over all symbols; the fewest of them in one fold.
    win_rate, profit_factor, holding_bars, long_share : float64
        Pooled over all trades (long_share: over all bars held).
    exposure, turnover, fees, slippage, funding : float64
        Means over symbols, hence fractions of the whole capital.
    liquidated : float64
        Number of symbols whose account was liquidated.
    fitness : float64
        Composite fitness (`genesis.backtest.metrics.composite_fitness`) of the portfolio.
    marks : float64, shape (n, M)
        Equity minus capital, over capital, at the end of each day.
    phenotype : uint64
        Hash of the order lists of all symbols.
    """

    status: npt.NDArray[np.int8]
    reasons: tuple[str, ...]
    fold_sharpe_mean: Floats
    fold_sharpe_sd: Floats
    sharpe: Floats
    symbol_sharpe: Floats
    sharpe_1_5x: Floats
    sharpe_2x: Floats
    total_return: Floats
    max_drawdown: Floats
    cdar95: Floats
    volatility: Floats
    trades: Floats
    min_fold_trades: Floats
    win_rate: Floats
    profit_factor: Floats
    holding_bars: Floats
    long_share: Floats
    exposure: Floats
    turnover: Floats
    fees: Floats
    slippage: Floats
    funding: Floats
    liquidated: Floats
    fitness: Floats
    marks: Floats
    phenotype: npt.NDArray[np.uint64]

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Which candidates have numbers."""
        return np.equal(self.status, VALID)


NUMBERS = (
    "fold_sharpe_mean",
    "fold_sharpe_sd",
    "sharpe",
    "symbol_sharpe",
    "sharpe_1_5x",
    "sharpe_2x",
    "total_return",
    "max_drawdown",
    "cdar95",
    "volatility",
    "trades",
    "min_fold_trades",
    "win_rate",
    "profit_factor",
    "holding_bars",
    "long_share",
    "exposure",
    "turnover",
    "fees",
    "slippage",
    "funding",
    "liquidated",
    "fitness",
)
"""Fields of `PortfolioResult` that are one number a candidate."""


def marks_per_year(interval_ms: int) -> float:
    """Equity marks in 365 days: daily, or one a bar where bars are longer."""
    return min(MARKS_PER_YEAR, bars_per_year(interval_ms)) if interval_ms > DAY_MS else 365.0


def combine(
    blocks: Sequence[BlockResult],
    symbols: Sequence[str] = (),
    *,
    periods: float = MARKS_PER_YEAR,
) -> PortfolioResult:
    """Portfolio numbers of the candidates of a block.

    Parameters
    ----------
    blocks : sequence of BlockResult
        One a symbol, in the panel's fixed order, each over the same candidates.
    symbols : sequence of str
        Names for reasons.
    periods : float
        Equity marks in 365 days, see `marks_per_year`.

    Raises
    ------
    GenesisError
        If the blocks do not hold the same candidates and days.
    """
    if not blocks or len({block.marks.shape for block in blocks}) != 1:
        raise GenesisError(
            "blocks of one portfolio must hold the same candidates and days",
            why=f"shapes {[block.marks.shape for block in blocks]}",
        )
    n, days = blocks[0].marks.shape
    status = np.zeros(n, dtype=np.int8)
    reasons: list[str] = []
    numbers = {name: np.full(n, np.nan) for name in NUMBERS}
    marks = np.full((n, days), np.nan)
    phenotype = np.zeros(n, dtype=np.uint64)
    for i in range(n):
        status[i], reason = _verdict(blocks, i, symbols)
        if status[i] == VALID:
            marks[i] = _sum_marks(blocks, i)
            row = _candidate(blocks, i, marks[i], periods)
            phenotype[i] = _mix(blocks, i)
            if not all(map(math.isfinite, row.values())):
                status[i] = NOT_FINITE
                wrong = [name for name, value in row.items() if not math.isfinite(value)]
                reason = "not finite: " + ", ".join(wrong)
                marks[i] = np.nan
            else:
                for name, value in row.items():
                    numbers[name][i] = value
        reasons.append(reason)
    return PortfolioResult(
        status=status, reasons=tuple(reasons), marks=marks, phenotype=phenotype, **numbers
    )


def _verdict(blocks: Sequence[BlockResult], i: int, symbols: Sequence[str]) -> tuple[int, str]:
    """Status of a candidate: the first fatal one in symbol order, else whether any trades."""
    flat = (NO_TRADES, TOO_SHORT)
    for place, block in enumerate(blocks):
        code = int(block.status[i])
        if code != VALID and code not in flat:
            where = f"{symbols[place]}: " if place < len(symbols) else ""
            return code, f"{where}{block.reasons[i] or STATUS[code]}"
    codes = [int(block.status[i]) for block in blocks]
    if VALID in codes:
        return VALID, ""
    code = NO_TRADES if NO_TRADES in codes else TOO_SHORT
    return code, blocks[codes.index(code)].reasons[i] or STATUS[code]


def _sum_marks(blocks: Sequence[BlockResult], i: int) -> Floats:
    total = np.zeros(blocks[0].marks.shape[1])
    for block in blocks:  # in symbol order: the sum is the same on every worker
        if block.status[i] == VALID:
            total += block.marks[i]
    return total / len(blocks)


def _candidate(
    blocks: Sequence[BlockResult], i: int, marks: Floats, periods: float
) -> dict[str, float]:
    # Lists from here on: a row holds too few numbers for arrays to be worth their calls.
    rows = [block.metrics[i].tolist() for block in blocks if block.status[i] == VALID]
    sums = [sum(column) for column in zip(*rows, strict=True)]
    total = dict(zip(METRICS, sums, strict=True))
    mean = {name: value / len(blocks) for name, value in total.items()}
    folds = [block.fold_trades[i].tolist() for block in blocks if block.status[i] == VALID]
    ratios = _fold_ratios(blocks, i)
    trades, held = total["trades"], total["exposure"]
    win_rate = _weighted(rows, "win_rate", "trades") / trades if trades else 0.0
    profit_factor = ratio(total["gross_profit"], total["gross_loss"])
    falls = marks_to_drawdowns(marks)
    drawdown = float(np.max(falls, initial=0.0))
    changes = marks.copy()
    changes[1:] -= marks[:-1]
    portfolio_sharpe = sharpe(changes, periods)
    if math.isnan(portfolio_sharpe):
        # Marks without variation (every bar of every trade cancels) have no ratio: 0, as in a fold.
        portfolio_sharpe = 0.0
    steady = consistency(win_rate, profit_factor, monthly_ratio(marks), drawdown)
    return {
        "fold_sharpe_mean": float(np.add.reduce(ratios)) / ratios.size if ratios.size else 0.0,
        "fold_sharpe_sd": _deviation(ratios),
        "sharpe": portfolio_sharpe,
        "symbol_sharpe": mean["sharpe"],
        "sharpe_1_5x": mean["sharpe_1_5x"],
        "sharpe_2x": mean["sharpe_2x"],
        "total_return": float(marks[-1]) if marks.size else 0.0,
        "max_drawdown": drawdown,
        "cdar95": cdar(falls),
        "volatility": _deviation(changes) * math.sqrt(periods),
        "trades": trades,
        "min_fold_trades": min([sum(fold) for fold in zip(*folds, strict=True)]),
        "win_rate": win_rate,
        "profit_factor": profit_factor,
        "holding_bars": _weighted(rows, "holding_bars", "trades") / trades
        if trades
        else total["holding_bars"] / len(rows),
        "long_share": _weighted(rows, "long_share", "exposure") / held if held else 0.5,
        "exposure": mean["exposure"],
        "turnover": mean["turnover"],
        "fees": mean["fees"],
        "slippage": mean["slippage"],
        "funding": mean["funding"],
        "liquidated": total["liquidated"],
        "fitness": composite_fitness(portfolio_sharpe, drawdown, win_rate, steady),
    }


def _weighted(rows: Sequence[Sequence[float]], name: str, weight: str) -> float:
    value, share = COLUMN[name], COLUMN[weight]
    return sum([row[value] * row[share] for row in rows])


def _deviation(values: Floats) -> float:
    """Sample standard deviation, 0 of fewer than two values.

    The bits of ``np.std``, whose detours take twice as long as the sums.
    """
    n = values.size
    if n < 2:
        return 0.0
    away = values - np.add.reduce(values) / n
    return math.sqrt(np.add.reduce(away * away) / (n - 1))


def _fold_ratios(blocks: Sequence[BlockResult], i: int) -> Floats:
    """Fold Sharpe ratios over symbols that trade or could have, in symbol order."""
    found: list[float] = []
    for block in blocks:
        if block.status[i] == VALID:
            found += [value for value in block.fold_sharpe[i].tolist() if math.isfinite(value)]
        elif block.status[i] == NO_TRADES:
            found += [0.0] * block.fold_sharpe.shape[1]
    return np.array(found)


def _mix(blocks: Sequence[BlockResult], i: int) -> np.uint64:
    """Order-dependent combination of the symbols' hashes (FNV-1a over 64-bit words)."""
    word = 0xCBF29CE484222325
    for block in blocks:
        word = ((word ^ int(block.phenotype[i])) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
        word ^= word >> 32
    return np.uint64(word)
