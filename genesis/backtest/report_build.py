"""From a full backtest to the values a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy
from genesis.backtest.report_data import Candles, ReportData, TradeMark
from genesis.backtest.result import METRICS, VALID, BlockResult
from genesis.backtest.setup import EvaluationSetup
from genesis.domain.timeline import format_ts
from genesis.market.panel import Panel, partly_funded
from genesis.strategy.explain import sentence
from genesis.strategy.strategy import NEVER, Strategy


def report_data(
    panel: Panel,
    strategy: Strategy,
    setup: EvaluationSetup,
    result: PortfolioBacktest | None = None,
) -> ReportData:
    """Gather what a report shows of a strategy.

    Parameters
    ----------
    panel : Panel
    strategy : Strategy
    setup : EvaluationSetup
    result : PortfolioBacktest, optional
        Outcome of `backtest_strategy` of the three; computed by default.

    Raises
    ------
    StrategyError
        If the strategy cannot be evaluated on one of the symbols.
    """
    done = backtest_strategy(panel, strategy, setup) if result is None else result
    return ReportData(
        strategy_id=strategy.id,
        family=strategy.family,
        sentence=sentence(strategy),
        rules={name: node.text for name, node in strategy.rules.named() if node != NEVER},
        policy=strategy.policy.plain(),
        metrics=dict(done.metrics),
        ts_ms=np.asarray(done.ts_ms),
        equity=np.asarray(done.equity),
        candles=tuple(
            Candles(s.symbol, panel.ts_ms, s.open, s.high, s.low, s.close) for s in panel.symbols
        ),
        trades={s.symbol: trade_marks_of(s, setup.capital) for s in done.symbols},
        costs=_costs(done.metrics),
        by_symbol={s.symbol: _row(b) for s, b in zip(done.symbols, done.blocks, strict=True)},
        hashes={"strategy": strategy.id, "dataset": panel.dataset_hash},
        configuration={
            "dataset": panel.name,
            "bars": f"{panel.bars:,}, {format_ts(int(panel.ts_ms[0]))} to"
            f" {format_ts(int(panel.ts_ms[-1]))}",
            **setup.plain(),
        },
        warnings=tuple(_warnings(panel, done)),
    )


def trade_marks_of(symbol: SymbolBacktest, capital: float) -> tuple[TradeMark, ...]:
    """Trades of a symbol for a chart; profits are fractions of the whole ``capital``."""
    return tuple(
        TradeMark(
            side=1 if trade.size > 0 else -1,
            entry_ms=trade.entry_ts_ms,
            exit_ms=trade.exit_ts_ms if trade.closed else -1,
            entry_price=trade.entry_price,
            exit_price=trade.exit_price,
            pnl=trade.pnl / capital,
            reason=trade.reason,
            exit_class=trade.exit_class or "",
            mfe=trade.mfe,
            mae=trade.mae,
        )
        for trade in symbol.trades
    )


def unfunded_warning(symbols: Sequence[str]) -> list[str]:
    """The sentence that names symbols without funding, or nothing."""
    if not symbols:
        return []
    return [f"No funding series for {', '.join(symbols)}: positions there pay and receive none."]


def partly_funded_warning(shares: Mapping[str, float]) -> list[str]:
    """The sentence that names symbols whose funding series has gaps, or nothing."""
    if not shares:
        return []
    named = ", ".join(f"{symbol} ({share:.0%})" for symbol, share in shares.items())
    return [f"Funding is known for a part of the bars only: {named}. None is paid on the others."]


def _row(block: BlockResult) -> dict[str, float]:
    if block.status[0] != VALID:
        return {}
    return dict(zip(METRICS, map(float, block.metrics[0]), strict=True))


def _costs(metrics: Mapping[str, float]) -> dict[str, float]:
    paid = {name: metrics[name] for name in ("fees", "slippage", "funding")}
    net = metrics["total_return"]
    return {"gross": net + sum(paid.values()), **paid, "net": net}


def _warnings(panel: Panel, done: PortfolioBacktest) -> list[str]:
    found = unfunded_warning([s.symbol for s in panel.symbols if not s.has_funding])
    found += partly_funded_warning(partly_funded(panel))
    liquidated = [s.symbol for s in done.symbols if s.liquidated]
    if liquidated:
        found.append(f"{done.strategy.id} is liquidated on {', '.join(liquidated)}.")
    flat = [
        f"{symbol.symbol} ({block.reasons[0]})"
        for symbol, block in zip(done.symbols, done.blocks, strict=True)
        if block.status[0] != VALID
    ]
    if flat:
        found.append(f"{done.strategy.id} counts as flat on {', '.join(flat)}.")
    return found
