"""One backtest in full: orders, trades, equity per bar. For reports, not for the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.accounting import Records
from genesis.backtest.equity import bar_equity
from genesis.backtest.frame import Frame
from genesis.backtest.passes import (
    O_PRICE,
    O_SLIPPAGE,
    PHASE_CLOSE,
    PHASES,
    T_BAR,
    T_PHASE,
    T_REASON,
)
from genesis.strategy.exits import Excursion, ExitClass, exit_class
from genesis.strategy.policy import REASONS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Order:
    """One executed order.

    Attributes
    ----------
    bar, ts_ms : int
        Bar of the execution and its open time.
    size : float
        Signed, base units.
    reference, price : float
        Price before and after slippage.
    fee, slippage : float
        Quote units, positive.
    reason, phase : str
        Why, and when within the bar (`REASONS`, `PHASES`).
    """

    bar: int
    ts_ms: int
    size: float
    reference: float
    price: float
    fee: float
    slippage: float
    reason: str
    phase: str


@dataclass(frozen=True, slots=True)
class Trade:
    """A position from its entry to its exit, or to the end of the data.

    Attributes
    ----------
    entry_bar, exit_bar : int
        The exit bar of an open trade is the last bar.
    entry_ts_ms, exit_ts_ms : int
    size : float
        Signed, base units.
    entry_price, exit_price : float
        With slippage; of an open trade the last close.
    pnl : float
        Quote units, net of fees, slippage and funding.
    fees, funding : float
        Quote units; funding is positive where it was paid.
    reason : str
        Of the exit, ``open`` for an open trade.
    exit_class : ExitClass or None
        Class of the exit, None for an open trade.
    mfe, mae : float
        Maximum favourable and adverse excursion, see `genesis.strategy.exits.Excursion`.
    closed : bool
    """

    entry_bar: int
    exit_bar: int
    entry_ts_ms: int
    exit_ts_ms: int
    size: float
    entry_price: float
    exit_price: float
    pnl: float
    fees: float
    funding: float
    reason: str
    exit_class: ExitClass | None
    mfe: float
    mae: float
    closed: bool


@dataclass(frozen=True, slots=True)
class SymbolBacktest:
    """One strategy on one symbol; arrays have shape (T,), money is a fraction of its capital.

    Attributes
    ----------
    symbol : str
    capital : float
        Reference capital, quote units.
    first, last : int
        Bars between which the symbol is active.
    orders : tuple of Order
    trades : tuple of Trade
    gross : float64
        Price pnl at reference prices less funding, per bar.
    cost : float64
        Fees and slippage per bar.
    funding : float64
        Funding paid per bar.
    position : float64
        Base units after each bar.
    """

    symbol: str
    capital: float
    first: int
    last: int
    orders: tuple[Order, ...]
    trades: tuple[Trade, ...]
    gross: Floats
    cost: Floats
    funding: Floats
    position: Floats

    def returns(self, multiple: float = 1.0) -> Floats:
        """Net return of each bar of the timeline under a multiple of fees and slippage."""
        out: Floats = self.gross - multiple * self.cost
        return out

    @property
    def equity(self) -> Floats:
        """Equity after each bar, minus capital, over capital."""
        return np.cumsum(self.returns())

    @property
    def liquidated(self) -> bool:
        """Whether the account ended in a liquidation."""
        return bool(self.orders) and self.orders[-1].reason == "liquidation"


def symbol_backtest(
    frame: Frame, book: Floats, tags: Ints, records: Records, levels: Floats | None = None
) -> SymbolBacktest:
    """Assemble the full result from an order list and its execution records.

    Parameters
    ----------
    frame : Frame
    book, tags : float64, shape (n, 4); int64, shape (n, 3)
        As filled by `genesis.backtest.passes.orders_of`.
    records : structured array, shape (n,)
    levels : float64, shape (n // 2, 2), optional
        From `genesis.backtest.levels.stop_levels`; without them the class of a stop is not known.
    """
    bars = frame.close.size
    gross, cost, funding, position = (np.zeros(bars) for _ in range(4))
    if len(book):
        bar_equity(
            records,
            np.ascontiguousarray(tags[:, T_BAR]),
            np.ascontiguousarray(book[:, O_PRICE]),
            frame.known,
            frame.due,
            frame.first,
            frame.last,
            frame.capital,
            gross,
            cost,
            funding,
            position,
        )
    orders = tuple(_order(frame, *row) for row in zip(book, tags, records, strict=True))
    return SymbolBacktest(
        symbol=frame.instrument.symbol,
        capital=frame.capital,
        first=frame.first,
        last=frame.last,
        orders=orders,
        trades=_trades(frame, orders, funding * frame.capital, levels),
        gross=gross,
        cost=cost,
        funding=funding,
        position=position,
    )


def _order(frame: Frame, row: Floats, tag: Ints, record: Any) -> Order:
    size = float(record["size"]) * (1.0 if record["side"] == 0 else -1.0)
    return Order(
        bar=int(tag[T_BAR]),
        ts_ms=int(frame.ts_ms[tag[T_BAR]]),
        size=size,
        reference=float(row[O_PRICE]),
        price=float(record["price"]),
        fee=float(record["fees"]),
        slippage=abs(size) * float(row[O_PRICE]) * float(row[O_SLIPPAGE]),
        reason=REASONS[tag[T_REASON]],
        phase=PHASES[tag[T_PHASE]],
    )


def _trades(
    frame: Frame, orders: Sequence[Order], funding: Floats, levels: Floats | None
) -> tuple[Trade, ...]:
    """Pair entries with exits: a policy always closes a position whole before it opens another."""
    out = []
    paid = np.concatenate([[0.0], np.cumsum(funding)])
    for place in range(0, len(orders), 2):
        entry = orders[place]
        leave = orders[place + 1] if place + 1 < len(orders) else None
        stop = leave.bar if leave else frame.last
        price = leave.price if leave else float(frame.known[frame.last])
        fees = entry.fee + (leave.fee if leave else 0.0)
        # Funding of the entry bar was due at its open, before the position existed.
        charged = float(paid[stop + 1] - paid[entry.bar + 1]) if stop > entry.bar else 0.0
        kind = None
        if leave:
            initial, level = (np.nan, np.nan) if levels is None else levels[place // 2].tolist()
            tick = frame.instrument.tick
            kind = exit_class(leave.reason, entry.size, entry.price, level, initial, tick)
        mfe, mae = _excursion(frame, entry, leave, price)
        out.append(
            Trade(
                entry_bar=entry.bar,
                exit_bar=stop,
                entry_ts_ms=entry.ts_ms,
                exit_ts_ms=int(frame.ts_ms[stop]),
                size=entry.size,
                entry_price=entry.price,
                exit_price=price,
                pnl=entry.size * (price - entry.price) - fees - charged,
                fees=fees,
                funding=charged,
                reason=leave.reason if leave else "open",
                exit_class=kind,
                mfe=mfe,
                mae=mae,
                closed=leave is not None,
            )
        )
    return tuple(out)


def _excursion(
    frame: Frame, entry: Order, leave: Order | None, price: float
) -> tuple[float, float]:
    """Favourable and adverse excursion; ranges of bars can be joined before they are counted."""
    seen = Excursion(entry.size, entry.price)
    to_the_close = leave is None or leave.phase == PHASES[PHASE_CLOSE]
    through = slice(entry.bar, (frame.last if leave is None else leave.bar) + to_the_close)
    if through.stop > through.start:
        # NaN of missing bars gives way to any number.
        seen.update(
            float(np.fmax.reduce(frame.high[through])), float(np.fmin.reduce(frame.low[through]))
        )
    return seen.close(price)
