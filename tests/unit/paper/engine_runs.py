"""Paper runs on small wild markets, whole, stopped, killed and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.market.panel import Panel
from genesis.paper.books import Grid, paper_symbols
from genesis.paper.engine import PaperOutcome, PaperTradingEngine
from genesis.paper.parity import ParityReport, compare_fills
from genesis.paper.settings import PaperMode, PaperSettings
from genesis.risk.limits import HardLimits
from genesis.strategy.strategy import Strategy
from genesis.strategy.text import dump_strategy
from genesis.system.paper_report import _known
from genesis.trading.feed import DataFeed
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.store import EventReader
from tests.oracle.wild_market import HOUR, wild_series, wild_strategy

WIDE = HardLimits(
    max_order=1e3,
    max_position=1e3,
    max_gross=1e4,
    max_orders_per_minute=10**6,
    price_collar=1e3,
    max_daily_loss=1e9,
).plain()
"""Limits that refuse nothing, so that a run owes its backtest every fill."""


class Killed(BaseException):
    """The process is gone."""


def wild_market(seed: int, bars: int = 120, symbols: int = 1, **options: Any) -> Panel:
    """Symbols with gaps, some of them listed late or delisted, funding every third bar."""
    rng = np.random.default_rng(seed)
    series = []
    for place in range(symbols):
        more: dict[str, Any] = {"name": f"W{place}USDT", **options}
        if place == 1:
            more["starts"] = bars // 4
        if place == 2:
            more["ends"] = 3 * bars // 4
        series.append(wild_series(rng, bars, **more))
    ts = np.arange(bars, dtype=np.int64) * HOUR
    return Panel("wild", "test", HOUR, ts, tuple(series), f"wild-{seed}-{bars}-{symbols}")


def wild_strategies(seed: int, count: int = 2, size: float | None = None) -> list[Strategy]:
    """Random strategies; with a size they are not liquidated."""
    made = [wild_strategy(np.random.default_rng([seed, k])) for k in range(count)]
    if size is not None:
        made = [replace(s, policy=replace(s.policy, size=size)) for s in made]
    return made


def settings_of(strategies: Sequence[Strategy], **more: Any) -> PaperSettings:
    """Settings for a comparison with the backtest."""
    base: dict[str, Any] = {"mode": PaperMode.BACKTEST_VALIDATION, "limits": WIDE, "market": {}}
    plain = tuple(dump_strategy(strategy) for strategy in strategies)
    return PaperSettings(strategies=plain, **{**base, **more})


def engine_of(
    folder: Path, panel: Panel, settings: PaperSettings, feed: DataFeed | None = None
) -> PaperTradingEngine:
    """Engine of a run that is begun or gone on with."""
    folder.mkdir(parents=True, exist_ok=True)
    bars = PanelFeed(panel)
    return PaperTradingEngine(
        folder, settings, feed or bars, bars.instruments, build="test", synchronous="OFF"
    )


def take(
    folder: Path,
    panel: Panel,
    settings: PaperSettings,
    *,
    phases: int | None = None,
    feed: DataFeed | None = None,
) -> tuple[PaperOutcome, PaperTradingEngine]:
    """Run to the end, or until a user stops after some phases."""
    engine = engine_of(folder, panel, settings, feed)
    left = iter(range(phases)) if phases is not None else None

    def stopped() -> bool:
        return left is not None and next(left, None) is None

    return engine.run(stopped), engine


def kill(engine: PaperTradingEngine, commits: int, *, before: bool) -> bool:
    """Run until the process dies at a commit; False where there are not that many."""
    store = engine.session.store
    commit, count = store.commit, 0

    def watched(events: Any, rows: Any = ()) -> None:
        nonlocal count
        count += 1
        if count == commits and before:
            raise Killed
        commit(events, rows)
        if count == commits:
            raise Killed

    store.commit = watched  # type: ignore[method-assign]
    engine.session.close = lambda **_: store.close()  # type: ignore[method-assign]
    try:
        engine.run()
    except Killed:
        return True
    return False


def stored_fills(folder: Path) -> list[tuple[Any, ...]]:
    """Fills in the ledger, in order, without the numbers of their events."""
    with EventReader(folder) as reader:
        return [
            tuple(row[name] for name in ("fill_id", "account", "symbol", "side", "size", "price"))
            for row in reader.rows("fills", order="seq")
        ]


def parity(
    folder: Path,
    panel: Panel,
    strategies: Sequence[Strategy],
    setup: EvaluationSetup | None = None,
) -> ParityReport:
    """Compare a finished run with the backtests of its strategies."""
    known = {s.symbol: _known(s.close, s.valid) for s in panel.symbols}
    grid = Grid(panel.ts_ms, panel.interval_ms, known)
    report = ParityReport()
    with EventReader(folder) as reader:
        for strategy in strategies:
            paper = paper_symbols(reader, strategy.id, [s.symbol for s in panel.symbols], grid)
            shadow = backtest_strategy(
                panel, strategy, setup or EvaluationSetup(orders_per_bar=3.0, work_budget=1e9)
            )
            report += compare_fills(paper, shadow, panel=panel)
    return report


Change = Callable[[PaperTradingEngine], None]
