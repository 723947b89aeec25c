"""A strategy's trading as its log has it: bars, fills, funding, from hash-chained events alone.

Neither the settings nor the result beside a log are read, nor the tables that are derived from its
events: all of those can be edited without a trace.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.frame import last_known
from genesis.domain.errors import RefusedError
from genesis.domain.instrument import Instrument
from genesis.market.panel import Panel, SymbolSeries
from genesis.paper.entries import ENTRY_TYPES, Entry, EntryFold
from genesis.paper.matching import PaperFill, PaperSymbol, positions_of
from genesis.paper.positions import OUTSIDE
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import load_strategy
from genesis.trading.deployment import STRATEGY_SIZE
from genesis.trading.events import Event, EventType
from genesis.trading.gateway import Side, VenueFill
from genesis.trading.payloads import (
    BarClosed,
    DeploymentAdded,
    FundingDue,
    FundingPaid,
    OrderFilled,
    RunStarted,
    TradeClosed,
)
from genesis.trading.store import EventReader, verify

Floats = npt.NDArray[np.float64]

_TYPES = (EventType.BAR_CLOSED, EventType.FUNDING_DUE, EventType.FUNDING_PAID, *ENTRY_TYPES)


@dataclass(slots=True)
class LoggedRun:
    """What a log says of one strategy.

    Attributes
    ----------
    run, head : str
        Id of the run; hash of the last event.
    events : int
        Number of the last event.
    started : RunStarted
    added : list of DeploymentAdded
        Of the strategy.
    bars : dict of str to list of BarClosed
    due : dict of str to list of (ts_ms, rate)
    fills : list of VenueFill
    funding : list of (ts_ms, FundingPaid)
    trades : list of TradeClosed
    entries : list of Entry
        That it asked for, in order.
    """

    run: str
    events: int
    head: str
    started: RunStarted
    added: list[DeploymentAdded]
    bars: dict[str, list[BarClosed]] = field(default_factory=dict)
    due: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    fills: list[VenueFill] = field(default_factory=list)
    funding: list[tuple[int, FundingPaid]] = field(default_factory=list)
    trades: list[TradeClosed] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def strategy(self) -> Strategy:
        """The strategy as it was traded."""
        return load_strategy(self.added[0].strategy)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Its symbols, in the order in which they were added."""
        return tuple(dict.fromkeys(one.symbol for one in self.added))

    @property
    def capital(self) -> float:
        """Reference capital of all symbols, quote units."""
        return float(sum(one.capital for one in self.added))

    @property
    def trade_from_ms(self) -> int:
        """Bars that close before only warmed it up."""
        return max(int(one.options.get("trade_from_ms", 0)) for one in self.added)


def other_sizing(added: Iterable[DeploymentAdded]) -> str:
    """Sizing by which entries were made smaller than the strategy's own; empty if by none."""
    found = {str(one.options.get("sizing", STRATEGY_SIZE)) for one in added} - {STRATEGY_SIZE}
    return ", ".join(sorted(found))


def started_of(folder: Path) -> tuple[RunStarted | None, list[DeploymentAdded]]:
    """First event of a log and everything that trades in it, without a look at the rest."""
    wanted = (EventType.RUN_STARTED, EventType.DEPLOYMENT_ADDED)
    started, added = None, []
    with EventReader(folder) as reader:
        for event in reader.events(types=wanted):
            if isinstance(event.data, RunStarted):
                started = started or event.data
            elif isinstance(event.data, DeploymentAdded):
                added.append(event.data)
    return started, added


def read_logged(folder: Path, wanted: Callable[[DeploymentAdded], bool]) -> LoggedRun | None:
    """Read a strategy's part of a log, whose whole chain is verified first.

    Parameters
    ----------
    folder : Path
        Of the run.
    wanted : callable
        Which deployments are read; of one strategy.

    Returns
    -------
    LoggedRun or None
        None if the log has none of them.

    Raises
    ------
    RefusedError
        If an event was edited, removed or moved.
    """
    damage = verify(folder).damage
    if damage is not None:
        raise RefusedError(
            f"the log of {folder.name} is damaged: it is no evidence",
            why=f"event {damage.seq}: {damage.text}",
            fix=f"restore its folder from a copy; genesis events verify {folder.name} tells more",
        )
    with EventReader(folder) as reader:
        head = reader.head
        events = reader.events(1, head.seq, types=_TYPES)
        return _collected(folder.name, head.seq, head.hash.hex(), events, wanted)


def _collected(
    run: str,
    seq: int,
    head: str,
    events: Iterable[Event],
    wanted: Callable[[DeploymentAdded], bool],
) -> LoggedRun | None:
    started: RunStarted | None = None
    added: list[DeploymentAdded] = []
    bars: dict[str, list[BarClosed]] = defaultdict(list)
    due: dict[str, list[tuple[int, float]]] = defaultdict(list)
    fills: list[VenueFill] = []
    funding: list[tuple[int, FundingPaid]] = []
    trades: list[TradeClosed] = []
    asked = EntryFold()
    for event in events:
        asked.take(event)
        data = event.data
        if isinstance(data, RunStarted):
            started = started or data
        elif isinstance(data, DeploymentAdded):
            if wanted(data):
                added.append(data)
        elif isinstance(data, BarClosed):
            bars[data.symbol].append(data)
        elif isinstance(data, FundingDue):
            due[data.symbol].append((event.ts_ms, data.rate))
        elif isinstance(data, OrderFilled):
            fills.append(data.fill)
        elif isinstance(data, FundingPaid):
            funding.append((event.ts_ms, data))
        elif isinstance(data, TradeClosed):
            trades.append(data)
    if started is None or not added:
        return None
    pairs = {(one.account, one.symbol) for one in added}
    names = {one.deployment for one in added}
    return LoggedRun(
        run=run,
        events=seq,
        head=head,
        started=started,
        added=added,
        bars={s: bars[s] for s in {one.symbol for one in added}},
        due=dict(due),
        fills=[one for one in fills if (one.account, one.symbol) in pairs],
        funding=[(ts, one) for ts, one in funding if (one.account, one.symbol) in pairs],
        trades=[one for one in trades if one.deployment in names],
        entries=[entry for one, entry in asked.entries() if one.deployment in names],
    )


def panel_of(run: LoggedRun) -> Panel:
    """The bars that the strategy was shown, on a regular timeline.

    Raises
    ------
    RefusedError
        If the log holds no bar of its symbols.
    """
    stamps = [bar.open_ms for name in run.symbols for bar in run.bars.get(name, ())]
    if not stamps:
        raise RefusedError(f"the run {run.run} holds no bar", fix="begin it again")
    interval = run.added[0].interval_ms
    first = min(stamps)
    ts_ms = np.arange(first, max(stamps) + interval, interval, dtype=np.int64)
    rules = {one.symbol: Instrument(**one.instrument) for one in run.added}
    series = tuple(_series(run, name, rules[name], first, interval, ts_ms.size)
                   for name in run.symbols)  # fmt: skip
    return Panel(f"log:{run.run}", "log", interval, ts_ms, series, run.head)


def _series(
    run: LoggedRun, name: str, instrument: Instrument, first: int, interval: int, bars: int
) -> SymbolSeries:
    columns: dict[str, Floats] = {
        key: np.full(bars, np.nan)
        for key in ("open", "high", "low", "close", "volume", "funding", "sentiment")
    }
    for bar in run.bars.get(name, ()):
        place = (bar.open_ms - first) // interval
        for key, column in columns.items():
            column[place] = getattr(bar, key)
    valid = np.isfinite(columns["close"])
    rates = np.zeros(bars)
    for ts, rate in run.due.get(name, ()):
        place = (ts - first) // interval
        if 0 <= place < bars:
            rates[place] += rate
    places = np.flatnonzero(valid)
    return SymbolSeries(
        instrument=instrument,
        valid=valid,
        first=int(places[0]) if places.size else 0,
        last=int(places[-1]) if places.size else -1,
        funding_due=rates,
        has_funding=bool(run.due.get(name)) or bool(np.isfinite(columns["funding"]).any()),
        **columns,
    )


def traded_symbols(run: LoggedRun, panel: Panel) -> tuple[PaperSymbol, ...]:
    """Fills, position and net profit on each symbol, bar by bar.

    Funding counts where the bars came with it; paid on an exchange whose rates the log does not
    have, it is left out, as in the backtest of such bars.
    """
    return tuple(_symbol(run, series, panel) for series in panel.symbols)


def _symbol(run: LoggedRun, series: SymbolSeries, panel: Panel) -> PaperSymbol:
    name, bars = series.symbol, panel.bars
    start, interval = int(panel.ts_ms[0]), panel.interval_ms

    def bar_of(ts_ms: int) -> int:
        return min(max((ts_ms - start) // interval, 0), bars - 1)

    flows: dict[int, Decimal] = defaultdict(Decimal)
    fills = []
    for fill in run.fills:
        if fill.symbol != name:
            continue
        size = fill.size if fill.side is Side.BUY else -fill.size
        bar = bar_of(fill.ts_ms)
        flows[bar] -= size * fill.price + fill.fee
        fills.append(
            PaperFill(
                bar, float(size), float(fill.price), float(fill.fee), fill.ts_ms,
                fill.client_id or fill.fill_id, fill.fill_id,
            )
        )  # fmt: skip
    if run.due.get(name):
        for ts, paid in run.funding:
            if paid.symbol == name:
                flows[bar_of(ts)] -= paid.amount
    cash = np.zeros(bars)
    total, since = Decimal(0), 0
    for bar in sorted(flows):
        cash[since:bar] = float(total)
        total, since = total + flows[bar], bar
    cash[since:] = float(total)
    position = positions_of(fills, bars)
    known = last_known(series.close, series.valid)
    held = np.where(position != 0.0, position * known, 0.0)
    own = {one.deployment for one in run.added if one.symbol == name}
    acts = [
        bar_of(trade.exit_ms)
        for trade in run.trades
        if trade.deployment in own and trade.reason in OUTSIDE
    ]
    return PaperSymbol(name, tuple(fills), position, cash + held, tuple(acts))


def market_of(started: RunStarted) -> dict[str, Any]:
    """What the first event of a run says of its market."""
    market = started.settings.get("market", {})
    return dict(market) if isinstance(market, dict) else {}
