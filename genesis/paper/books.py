"""What a paper run did, read back from its ledger: fills, curves, trades, orders, refusals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.paper.beginning import account_of
from genesis.paper.matching import PaperFill, PaperSymbol, positions_of
from genesis.paper.outcomes import OrderOutcome, RoundTrip
from genesis.paper.positions import OUTSIDE
from genesis.paper.recording import order_outcome_of, round_trip_of
from genesis.paper.report import Rejected
from genesis.trading.events import EventType
from genesis.trading.gateway import Side
from genesis.trading.store import EventReader

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Bars of the market that a run traded.

    Attributes
    ----------
    ts_ms : int64, shape (T,)
        Open times.
    interval_ms : int
    known : mapping of symbol to float64, shape (T,)
        Last known close at each bar, NaN before the first.
    """

    ts_ms: Ints
    interval_ms: int
    known: Mapping[str, Floats]

    def bar_of(self, ts_ms: int) -> int:
        """Place of the bar in which an instant lies."""
        return int(np.searchsorted(self.ts_ms, ts_ms, side="right")) - 1


def paper_symbols(
    reader: EventReader, strategy_id: str, symbols: Iterable[str], grid: Grid
) -> tuple[PaperSymbol, ...]:
    """Fills, position and net profit of a strategy on each symbol, bar by bar."""
    account = account_of(strategy_id)
    fills: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in reader.rows("fills", "account = ?", (account,), order="seq"):
        fills[row["symbol"]].append(row)
    funding: dict[str, list[dict[str, Any]]] = defaultdict(list)
    acts: dict[str, list[int]] = defaultdict(list)
    for row in reader.rows("trades", "account = ?", (account,), order="exit_ms, seq"):
        if row["exit_reason"] in OUTSIDE:
            acts[row["symbol"]].append(grid.bar_of(row["exit_ms"]))
    where = "account = ? AND kind = 'funding'"
    for row in reader.rows("postings", where, (account,), order="number"):
        funding[row["symbol"]].append(row)
    return tuple(
        replace(_symbol(name, fills[name], funding[name], grid), outside=tuple(acts[name]))
        for name in symbols
    )


def _symbol(
    name: str, rows: list[dict[str, Any]], funding: list[dict[str, Any]], grid: Grid
) -> PaperSymbol:
    bars = grid.ts_ms.size
    fills = tuple(_fill(row, grid) for row in rows)
    # Decimals until the end: what is bought and sold again must leave nothing.
    flows: dict[int, Decimal] = defaultdict(Decimal)
    for row, fill in zip(rows, fills, strict=True):
        size = Decimal(row["size"]) * (1 if row["side"] == Side.BUY.value else -1)
        flows[fill.bar] -= size * Decimal(row["price"]) + Decimal(row["fee"])
    for row in funding:
        flows[grid.bar_of(row["ts_ms"])] -= Decimal(row["funding"])
    cash, total = np.zeros(bars), Decimal(0)
    since = 0
    for bar in sorted(flows):
        cash[since:bar] = float(total)
        total, since = total + flows[bar], bar
    cash[since:] = float(total)
    position = positions_of(fills, bars)
    held = np.where(position != 0.0, position * grid.known[name], 0.0)
    return PaperSymbol(name, fills, position, cash + held)


def _fill(row: Mapping[str, Any], grid: Grid) -> PaperFill:
    sign = 1.0 if row["side"] == Side.BUY.value else -1.0
    return PaperFill(
        bar=grid.bar_of(row["ts_ms"]),
        size=sign * float(row["size"]),
        price=float(row["price"]),
        fee=float(row["fee"]),
        ts_ms=row["ts_ms"],
        order=row["order_id"] or row["fill_id"],
        fill=row["fill_id"],
    )


def round_trips(
    reader: EventReader, strategy_id: str, owners: Mapping[str, str]
) -> list[RoundTrip]:
    """Completed trades of a strategy in the order of their ends; ``owners`` of deployments."""
    rows = reader.rows("trades", "account = ?", (account_of(strategy_id),), order="exit_ms, seq")
    return [round_trip_of(row, owners) for row in rows]


def order_outcomes(
    reader: EventReader, strategy_id: str, owners: Mapping[str, str]
) -> list[OrderOutcome]:
    """Orders of a strategy in the order of their submission; ``owners`` of deployments."""
    rows = reader.rows("orders", "account = ?", (account_of(strategy_id),), order="submitted_ms")
    return [order_outcome_of(row, owners) for row in rows]


def rejected_opportunities(reader: EventReader) -> list[Rejected]:
    """Signals that led to no order, counted by stage and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for event in reader.events(types=(EventType.OPPORTUNITY_REJECTED,)):
        data: Any = event.data
        counts[data.stage, data.reason] += 1
    return [Rejected(stage, reason, count) for (stage, reason), count in counts.items()]
