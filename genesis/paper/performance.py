"""Performance of one strategy in a run: every number kept up to date by constant-time updates.

Round trips, orders and marks are recorded as they happen, on the path of a fill, and no list of
them is kept: sums, counts and two distributions whose size is bounded. The numbers at the end are
read from the same sums, so that a report and the running figures cannot differ.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from genesis.backtest.metrics import ratio
from genesis.domain.timeline import DAY_MS, HOUR_MS
from genesis.paper.distribution import Distribution
from genesis.paper.marks import DailyMarks
from genesis.paper.numbers import Cell, PerformanceNumbers
from genesis.paper.outcomes import ASKED, FILLED, OrderOutcome, RoundTrip
from genesis.trading.money import add, subtract

RECENT_TRADES = 40
"""Outcomes kept for the trend: the last 20 against the 20 before them."""
_ZERO = Decimal(0)
_SUMS = ("pnl", "fees", "funding", "slippage", "gain", "loss")
_COUNTS = (
    *("trades", "wins", "losing_streak", "longest_losing_streak", "streak", "stop_outs"),
    *("submitted", "asked", "filled", "first_ms", "last_ms"),
)
_FLOATS = ("slippage_bp", "fills", "notional", "maker_notional", "held_ms")
GROUPS = ("symbol", "hour", "side", "reason", "exit_class")
"""What round trips are broken down by; ``hour`` is that of the entry, UTC."""


class StrategyPerformance:
    """Running performance of one strategy over all its symbols.

    Parameters
    ----------
    strategy : str
        Its id.
    capital : float
        Reference capital of the strategy, quote units.

    Notes
    -----
    `record_trade`, `record_order` and `record_mark` take constant time and a few microseconds.
    A trade wins if its net profit is above zero, as in the backtest.
    """

    def __init__(self, strategy: str, capital: float) -> None:
        self.strategy = strategy
        self.marks = DailyMarks(capital)
        self._sum = dict.fromkeys(_SUMS, _ZERO)
        self._count = dict.fromkeys(_COUNTS, 0)
        self._float = dict.fromkeys(_FLOATS, 0.0)
        self._by: dict[str, dict[str, Cell]] = {name: {} for name in GROUPS}
        self._status: dict[str, int] = {}
        self._quality: dict[str, int] = {}
        self._slippages = Distribution.of_basis_points()
        self._latencies = Distribution.of_milliseconds()
        self._recent: deque[int] = deque(maxlen=RECENT_TRADES)

    @property
    def capital(self) -> float:
        """Reference capital, quote units."""
        return self.marks.capital

    def record_trade(self, trade: RoundTrip) -> None:
        """Count a completed round trip."""
        pnl, sums, count = trade.pnl, self._sum, self._count
        won = pnl > _ZERO
        sums["pnl"] = add(sums["pnl"], pnl)
        sums["fees"] = add(sums["fees"], trade.fees)
        sums["funding"] = add(sums["funding"], trade.funding)
        sums["slippage"] = add(sums["slippage"], trade.slippage)
        count["trades"] += 1
        if won:
            sums["gain"] = add(sums["gain"], pnl)
            count["wins"] += 1
            count["losing_streak"] = 0
            count["streak"] = max(count["streak"], 0) + 1
        else:
            sums["loss"] = subtract(sums["loss"], pnl)
            count["losing_streak"] += 1
            count["streak"] = min(count["streak"], 0) - 1
            if count["losing_streak"] > count["longest_losing_streak"]:
                count["longest_losing_streak"] = count["losing_streak"]
            count["stop_outs"] += trade.reason == "stop"
        self._span(trade.entry_ms, trade.exit_ms)
        self._float["held_ms"] += trade.exit_ms - trade.entry_ms
        self._recent.append(int(won))
        hour = str(trade.entry_ms % DAY_MS // HOUR_MS)
        keys = (trade.symbol, hour, trade.side.value, trade.reason, trade.exit_class)
        for name, key in zip(GROUPS, keys, strict=True):
            cells = self._by[name]
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = Cell()
            cell.add(pnl, won)

    def record_order(self, order: OrderOutcome) -> None:
        """Count an order once it has ended, or still rests at the end of a run."""
        count, numbers = self._count, self._float
        count["submitted"] += 1
        self._status[order.status] = self._status.get(order.status, 0) + 1
        if order.status in ASKED:
            count["asked"] += 1
            count["filled"] += order.status == FILLED
        if order.quality:
            self._quality[order.quality] = self._quality.get(order.quality, 0) + 1
        if order.notional > 0.0:
            numbers["notional"] += order.notional
            numbers["maker_notional"] += order.maker_share * order.notional
        if order.slippage_bp is not None:
            numbers["slippage_bp"] += order.slippage_bp
            numbers["fills"] += 1
            self._slippages.add(order.slippage_bp)
        if order.latency_ms is not None:
            self._latencies.add(order.latency_ms)

    def record_mark(self, ts_ms: int, equity: float) -> None:
        """Mark the strategy's net profit since the start, open positions included.

        Parameters
        ----------
        ts_ms : int
            Instant of the mark, the close of a bar.
        equity : float
            Quote units, 0 at the start.
        """
        self.marks.add(ts_ms, equity)

    def _span(self, start_ms: int, end_ms: int) -> None:
        count = self._count
        if count["trades"] == 1 or start_ms < count["first_ms"]:
            count["first_ms"] = start_ms
        count["last_ms"] = max(count["last_ms"], end_ms)

    def numbers(self) -> PerformanceNumbers:
        """All numbers as they stand."""
        sums, count, number = self._sum, self._count, self._float
        trades, asked, fills = count["trades"], count["asked"], number["fills"]
        marked = self.marks.total_return
        sharpe = self.marks.sharpe()
        return PerformanceNumbers(
            strategy=self.strategy,
            capital=self.capital,
            trades=trades,
            win_rate=count["wins"] / trades if trades else None,
            pnl=float(sums["pnl"]),
            return_on_capital=float(sums["pnl"]) / self.capital if marked is None else marked,
            sharpe=sharpe if math.isfinite(sharpe) else None,
            max_drawdown=self.marks.max_drawdown,
            days=self.marks.days,
            longest_losing_streak=count["longest_losing_streak"],
            current_streak=count["streak"],
            profit_factor=ratio(float(sums["gain"]), float(sums["loss"])) if trades else None,
            gross_profit=float(sums["gain"]),
            gross_loss=float(sums["loss"]),
            stop_outs=count["stop_outs"],
            holding_hours=number["held_ms"] / trades / HOUR_MS if trades else None,
            recent=tuple(self._recent),
            fees=float(sums["fees"]),
            funding=float(sums["funding"]),
            slippage_cost=float(sums["slippage"]),
            mean_slippage_bp=number["slippage_bp"] / fills if fills else None,
            median_slippage_bp=self._slippages.median(),
            latency_p50_ms=self._latencies.quantile(0.5),
            latency_p95_ms=self._latencies.quantile(0.95),
            orders=count["submitted"],
            success_rate=count["filled"] / asked if asked else None,
            maker_share=number["maker_notional"] / number["notional"]
            if number["notional"]
            else None,
            turnover=number["notional"] / self.capital,
            order_status=dict(sorted(self._status.items())),
            quality=dict(sorted(self._quality.items())),
            by={name: _sorted_cells(cells) for name, cells in self._by.items()},
        )

    def plain(self) -> dict[str, Any]:
        """State as JSON values."""
        return {
            "strategy": self.strategy,
            "marks": self.marks.plain(),
            "sum": {name: str(value) for name, value in self._sum.items()},
            "count": dict(self._count),
            "float": dict(self._float),
            "by": {
                name: {key: [c.trades, c.wins, str(c.pnl), c.squares] for key, c in cells.items()}
                for name, cells in self._by.items()
            },
            "status": dict(self._status),
            "quality": dict(self._quality),
            "slippages": self._slippages.plain(),
            "latencies": self._latencies.plain(),
            "recent": list(self._recent),
        }

    def restore(self, plain: Mapping[str, Any]) -> None:
        """Take over what `plain` gave, also after a way through JSON."""
        self.strategy = plain["strategy"]
        self.marks.restore(plain["marks"])
        self._sum = {name: Decimal(text) for name, text in plain["sum"].items()}
        self._count, self._float = dict(plain["count"]), dict(plain["float"])
        self._by = {
            name: {
                key: Cell(n, wins, Decimal(pnl), sq) for key, (n, wins, pnl, sq) in cells.items()
            }
            for name, cells in plain["by"].items()
        }
        self._status, self._quality = dict(plain["status"]), dict(plain["quality"])
        self._slippages.restore(plain["slippages"])
        self._latencies.restore(plain["latencies"])
        self._recent = deque(plain["recent"], maxlen=RECENT_TRADES)


def _sorted_cells(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Copies in order of their keys, hours by number."""
    order = sorted(cells, key=lambda key: key.rjust(2, "0") if key.isdigit() else key)
    return {key: replace(cells[key]) for key in order}


def performance_of(
    strategy: str,
    capital: float,
    trades: Iterable[RoundTrip] = (),
    orders: Iterable[OrderOutcome] = (),
    marks: Iterable[tuple[int, float]] = (),
) -> StrategyPerformance:
    """Performance from what a ledger holds, by the same updates as in a running loop.

    Parameters
    ----------
    trades, orders : iterables
        In order of their ends.
    marks : iterable of (ts_ms, equity)
        In order of time.
    """
    made = StrategyPerformance(strategy, capital)
    for trade in trades:
        made.record_trade(trade)
    for order in orders:
        made.record_order(order)
    for ts_ms, equity in marks:
        made.record_mark(ts_ms, equity)
    return made
