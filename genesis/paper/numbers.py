"""The numbers of a strategy's performance, and the order of strategies by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from genesis.trading.money import add


@dataclass(slots=True)
class Cell:
    """Round trips of one symbol, hour, side or exit.

    Attributes
    ----------
    trades, wins : int
    pnl : Decimal
        Net profit, quote units.
    squares : float
        Sum of the squared profits, for their spread.
    """

    trades: int = 0
    wins: int = 0
    pnl: Decimal = Decimal(0)
    squares: float = 0.0

    def add(self, pnl: Decimal, won: bool) -> None:
        """Count one more."""
        self.trades += 1
        self.wins += won
        self.pnl = add(self.pnl, pnl)
        self.squares += float(pnl) ** 2

    @property
    def win_rate(self) -> float:
        """Share that won; 0 for none."""
        return self.wins / self.trades if self.trades else 0.0

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "trades": self.trades,
            "wins": self.wins,
            "win_rate": self.win_rate,
            "pnl": float(self.pnl),
        }


@dataclass(frozen=True, slots=True)
class PerformanceNumbers:
    """Performance of one strategy; None where there is nothing to compute a number from.

    Attributes
    ----------
    strategy : str
    capital : float
        Reference capital, quote units.
    trades : int
        Completed round trips.
    win_rate : float or None
        Share of them with a net profit above zero.
    pnl : float
        Their net profit, quote units.
    return_on_capital : float
        Last mark over capital, open positions included; without marks that of completed trades.
    sharpe : float or None
        Of daily marks, annualised by 365.
    max_drawdown : float
        Over all marks, a fraction of capital.
    days : int
        Days that were marked.
    longest_losing_streak, current_streak : int
        Trades in a row; the current one is negative while it loses.
    profit_factor : float or None
        Profit of winners over loss of losers, held within 1000.
    gross_profit, gross_loss : float
        Quote units, both positive.
    stop_outs : int
        Trades that ended at a stop with a loss.
    holding_hours : float or None
        Mean.
    recent : tuple of int
        Outcomes of the last 40 trades, 1 for a win, oldest first.
    fees, funding, slippage_cost : float
        Of completed trades, quote units, positive where they cost.
    mean_slippage_bp, median_slippage_bp : float or None
        Of fills, positive where they cost; the median to 0.005 bp.
    latency_p50_ms, latency_p95_ms : float or None
    orders : int
        Orders submitted.
    success_rate : float or None
        Filled orders over those that asked for an execution (`genesis.paper.outcomes.ASKED`).
    maker_share : float or None
        Share of the filled notional that was filled as maker.
    turnover : float
        Filled notional over capital.
    order_status, quality : mapping of str to int
        Orders by how they ended and by quality of execution.
    by : mapping of str to mapping of str to Cell
        Trades by symbol, hour of entry (UTC), side, reason and class of exit.
    """

    strategy: str
    capital: float
    trades: int
    win_rate: float | None
    pnl: float
    return_on_capital: float
    sharpe: float | None
    max_drawdown: float
    days: int
    longest_losing_streak: int
    current_streak: int
    profit_factor: float | None
    gross_profit: float
    gross_loss: float
    stop_outs: int
    holding_hours: float | None
    recent: tuple[int, ...]
    fees: float
    funding: float
    slippage_cost: float
    mean_slippage_bp: float | None
    median_slippage_bp: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    orders: int
    success_rate: float | None
    maker_share: float | None
    turnover: float
    order_status: Mapping[str, int]
    quality: Mapping[str, int]
    by: Mapping[str, Mapping[str, Cell]]

    def to_plain(self) -> dict[str, Any]:
        """JSON form, without the outcomes of single trades."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "recent"}
        plain["by"] = {
            name: {key: cell.to_plain() for key, cell in cells.items()}
            for name, cells in self.by.items()
        }
        return plain


def ranked(numbers: Iterable[PerformanceNumbers]) -> dict[str, int]:
    """Place of each strategy in a run, from 1.

    Strategies with a completed trade come before those without; then the greater Sharpe ratio of
    daily marks (none counts as the least), then the greater return on capital, then the id, so
    that equal strategies keep one order in every run.
    """

    def key(one: PerformanceNumbers) -> tuple[bool, bool, float, float, str]:
        ratio = one.sharpe
        return (
            one.trades == 0,
            ratio is None,
            -ratio if ratio is not None else 0.0,
            -one.return_on_capital,
            one.strategy,
        )

    ordered = sorted(numbers, key=key)
    return {one.strategy: place for place, one in enumerate(ordered, start=1)}
