"""A paper run read back: performance, fidelity to the shadow backtest, feedback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genesis.domain.errors import InputError
from genesis.system.clock import SystemClock
from genesis.system.workspace import Workspace

if TYPE_CHECKING:
    from genesis.market.panel import Panel
    from genesis.paper.books import Grid
    from genesis.paper.entries import Entry
    from genesis.paper.feedback import Provenance
    from genesis.paper.report import PaperReport, StrategyEntry
    from genesis.paper.risk_effect import Shadows
    from genesis.paper.settings import PaperSettings
    from genesis.paper.shadow import Shadow
    from genesis.strategy.strategy import Strategy
    from genesis.system.paper import TradedMarket
    from genesis.trading.store import EventReader


def build_report(
    workspace: Workspace,
    folder: Path,
    settings: PaperSettings,
    market: TradedMarket,
    result: dict[str, Any],
) -> PaperReport:
    """Everything that a report of a finished run shows.

    Feedback is written beside each strategy that is in the store, once a run and outcome.
    """
    from genesis.paper.books import rejected_opportunities
    from genesis.paper.entries import read_entries
    from genesis.paper.report import paper_report
    from genesis.paper.report_risk import risk_impact
    from genesis.strategy.text import load_strategy
    from genesis.trading.store import EventReader

    panel = market.panel
    strategies = [load_strategy(plain) for plain in settings.strategies]
    with EventReader(folder) as reader:
        grid = _grid(panel, reader, market)
        provenance = _provenance(folder, settings, grid, result)
        asked = read_entries(reader)
        shadows = [
            _shadow(folder, panel, strategy, settings, asked.get(strategy.id, []))
            for strategy in strategies
        ]
        entries = [
            _entry(reader, strategy, settings, market, shadow, grid, asked.get(strategy.id, []))
            for strategy, shadow in zip(strategies, shadows, strict=True)
        ]
        rejected = rejected_opportunities(reader)
        risk = risk_impact(reader)
    _feed_back(workspace, entries, provenance)
    warnings = [
        f"{strategy.id}: {shadow}; fidelity was not measured"
        for strategy, shadow in zip(strategies, shadows, strict=True)
        if isinstance(shadow, str)
    ]
    if panel is None and settings.mode != "testnet":
        warnings.append("a simulated market has no shadow backtest: fidelity was not measured")
    plain = {"mode": settings.mode.value, **settings.market, "leverage": settings.leverage}
    plain |= {"capital": settings.capital, "costs": settings.costs}
    return paper_report(provenance, entries, rejected, risk, plain, warnings)


def _provenance(
    folder: Path, settings: PaperSettings, grid: Grid, result: dict[str, Any]
) -> Provenance:
    from genesis.paper.feedback import Provenance

    return Provenance(
        run_id=folder.name,
        mode=settings.mode.value,
        build=str(result["build"]),
        dataset=_market_name(settings),
        dataset_hash=str(settings.market.get("dataset_hash", "")),
        state_hash=str(result["state_hash"]),
        span_ms=(int(grid.ts_ms[0]), int(grid.ts_ms[-1]) + grid.interval_ms),
    )


def _market_name(settings: PaperSettings) -> str:
    market = settings.market
    if "venue" in market:
        return f"{market['venue']}-{market['network']}:{','.join(market['symbols'])}"
    return str(market.get("dataset", "simulated"))


def _grid(panel: Panel | None, reader: EventReader, market: TradedMarket) -> Grid:
    from genesis.paper.books import Grid

    if panel is not None:
        known = {s.symbol: _known(s.close, s.valid) for s in panel.symbols}
        return Grid(panel.ts_ms, panel.interval_ms, known)
    return _grid_of_log(reader, market, int(market.facts.get("trade_from_ms", 0)))


def _known(close: np.ndarray[Any, Any], valid: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    place = np.maximum.accumulate(np.where(valid, np.arange(close.size), -1))
    return np.where(place >= 0, close[np.maximum(place, 0)], np.nan)


def _grid_of_log(reader: EventReader, market: TradedMarket, since_ms: int) -> Grid:
    """Bars of a simulated or live market from the log itself.

    Those that ended before ``since_ms`` only warmed up; the last of them stands where there are
    no others.
    """
    from genesis.paper.books import Grid
    from genesis.trading.events import EventType
    from genesis.trading.payloads import BarClosed

    closes: dict[str, dict[int, float]] = {name: {} for name in market.symbols}
    for event in reader.events(types=(EventType.BAR_CLOSED,)):
        data = event.data
        assert isinstance(data, BarClosed)
        closes[data.symbol][data.open_ms] = data.close
    stamps = sorted({ts for series in closes.values() for ts in series})
    if not stamps:
        raise InputError("the run holds no bar", fix="begin it again with a longer market")
    length = market.interval_ms
    stamps = [ts for ts in stamps if ts + length > since_ms] or stamps[-1:]
    known = {}
    for name, series in closes.items():
        values = np.array([series.get(ts, np.nan) for ts in stamps])
        known[name] = _known(values, ~np.isnan(values))
    return Grid(np.array(stamps, dtype=np.int64), market.interval_ms, known)


def _entry(
    reader: EventReader,
    strategy: Strategy,
    settings: PaperSettings,
    market: TradedMarket,
    shadow: Shadows | Shadow | str | None,
    grid: Grid,
    asked: Sequence[Entry],
) -> StrategyEntry:
    from genesis.paper.books import order_outcomes, paper_symbols, round_trips
    from genesis.paper.fidelity import fidelity
    from genesis.paper.performance import performance_of
    from genesis.paper.report import StrategyEntry
    from genesis.paper.risk_effect import Shadows
    from genesis.paper.shadow import Shadow
    from genesis.strategy.explain import sentence

    symbols = tuple(market.symbols)
    paper = paper_symbols(reader, strategy.id, symbols, grid)
    equity = np.nansum([one.equity for one in paper], axis=0)
    owners = {f"{strategy.id}/{name}": strategy.id for name in symbols}
    trades = round_trips(reader, strategy.id, owners)
    ends = grid.ts_ms + grid.interval_ms
    performance = performance_of(
        strategy.id,
        settings.capital,
        trades,
        order_outcomes(reader, strategy.id, owners),
        zip(ends.tolist(), equity.tolist(), strict=True),
    )
    curve = faithful = None
    if isinstance(shadow, Shadows):
        curve = shadow.sent.equity
        faithful = fidelity(paper, shadow.sent, risk=shadow.effect(asked))
    elif isinstance(shadow, Shadow):
        curve, faithful = shadow.at(grid.ts_ms), shadow.fidelity
    return StrategyEntry(
        numbers=performance.numbers(),
        sentence=sentence(strategy),
        symbols=symbols,
        ts_ms=ends,
        equity=equity / settings.capital,
        shadow=curve,
        fidelity=faithful,
        trades=trades,
    )


def _shadow(
    folder: Path,
    panel: Panel | None,
    strategy: Strategy,
    settings: PaperSettings,
    asked: Sequence[Entry],
) -> Shadows | Shadow | str | None:
    """Backtest of the same strategy on the same bars, under the risk decisions of the run.

    Why not, or None, where there is none.

    The bars of a live run are those of its log: no dataset holds what it was shown.
    """
    if panel is not None:
        return _backtest(panel, strategy, settings, asked)
    if settings.mode != "testnet":
        return None
    from genesis.paper.logged import read_logged
    from genesis.paper.shadow import shadow_of

    run = read_logged(folder, lambda added: added.strategy_id == strategy.id)
    if run is None:
        return "its log holds no deployment"
    return shadow_of(run, settings.cost_model(), settings.leverage)


def _backtest(
    panel: Panel, strategy: Strategy, settings: PaperSettings, asked: Sequence[Entry]
) -> Shadows | None:
    from genesis.backtest.setup import EvaluationSetup
    from genesis.domain.errors import StrategyError
    from genesis.paper.risk_effect import shadows

    setup = EvaluationSetup(
        costs=settings.cost_model(), capital=settings.capital, leverage=settings.leverage
    )
    try:
        return shadows(panel, strategy, setup, asked)
    except StrategyError:
        return None


def _feed_back(workspace: Workspace, entries: list[StrategyEntry], provenance: Provenance) -> None:
    from genesis.evolution.store import StrategyStore
    from genesis.paper.feedback import submit_feedback

    store = StrategyStore(workspace.strategies)
    now = SystemClock().now_ms()
    for entry in entries:
        try:
            store.get(entry.numbers.strategy)
        except InputError:
            continue  # a strategy from a file has no record to write to
        submit_feedback(workspace.home, entry.numbers, provenance, now, entry.fidelity)
