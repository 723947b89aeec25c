"""Paper runs for tests: made from a backtest, faithful or with stated faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.market.panel import Panel
from genesis.paper.matching import PaperFill, PaperSymbol, positions_of
from genesis.paper.outcomes import OrderOutcome, RoundTrip
from genesis.strategy.strategy import Strategy
from genesis.trading.gateway import Side
from tests.oracle.wild_market import HOUR, wild_series, wild_strategy

SETUP = EvaluationSetup(orders_per_bar=3.0)
DAY = 86_400_000


def wild_pair(seed: int = 4, bars: int = 1200) -> Panel:
    """Two symbols, one of them listed late."""
    rng = np.random.default_rng(seed)
    symbols = (wild_series(rng, bars, name="AAAUSDT"), wild_series(rng, bars, name="BBBUSDT",
                                                                  starts=100))  # fmt: skip
    ts = np.arange(bars, dtype=np.int64) * HOUR
    return Panel("pair", "test", HOUR, ts, symbols, f"pair-{seed}")


def shadow_of(panel: Panel, seed: int = 1) -> PortfolioBacktest:
    """Backtest of a random strategy that trades on a panel."""
    return backtest_strategy(panel, trading_strategy(seed), SETUP)


def trading_strategy(seed: int) -> Strategy:
    """A random strategy of small size, so that nothing is liquidated."""
    made = wild_strategy(np.random.default_rng(seed))
    return replace(made, policy=replace(made.policy, size=0.3))


def on_paper(
    shadow: PortfolioBacktest,
    change: Callable[[str, list[PaperFill]], Sequence[PaperFill]] = lambda _, fills: fills,
) -> list[PaperSymbol]:
    """The run that a backtest describes, its fills changed by a function; equity is not."""
    bars = shadow.ts_ms.size
    made = []
    for one in shadow.symbols:
        fills = [
            PaperFill(o.bar, o.size, o.price, o.fee, o.ts_ms, f"ORD_{k}", f"FIL_{k}")
            for k, o in enumerate(one.orders)
        ]
        changed = tuple(change(one.symbol, fills))
        equity = one.equity * one.capital
        made.append(PaperSymbol(one.symbol, changed, positions_of(changed, bars), equity))
    return made


def trip(
    pnl: str,
    *,
    symbol: str = "AAAUSDT",
    entry_ms: int = 0,
    exit_ms: int = HOUR,
    reason: str = "exit signal",
    exit_class: str = "signal",
    side: Side = Side.BUY,
    fees: str = "0",
    funding: str = "0",
    slippage: str = "0",
    strategy: str = "strat_a",
) -> RoundTrip:
    """A round trip of one unit at 100."""
    return RoundTrip(
        strategy=strategy, deployment="DEP_1", symbol=symbol, plan_id="TPL_1", side=side,
        size=Decimal(1), entry=Decimal(100), exit=Decimal(100) + Decimal(pnl),
        pnl=Decimal(pnl), fees=Decimal(fees), funding=Decimal(funding),
        slippage=Decimal(slippage), entry_ms=entry_ms, exit_ms=exit_ms, reason=reason,
        exit_class=exit_class, mfe=0.01, mae=0.02,
    )  # fmt: skip


def order(status: str = "filled", **values: object) -> OrderOutcome:
    """An order's outcome with defaults."""
    base = OrderOutcome("strat_a", "AAAUSDT", "ORD_1", "entry", status, 1000)
    return replace(base, **values)  # type: ignore[arg-type]


def round_trips(shadow: PortfolioBacktest) -> list[RoundTrip]:
    """Closed trades of a backtest as round trips, in order of exit."""
    closed = [(s, t) for s, t in shadow.trades if t.closed]
    closed.sort(key=lambda pair: (pair[1].exit_ts_ms, pair[0]))
    return [
        RoundTrip(
            strategy=shadow.strategy.id, deployment=f"DEP_{symbol}", symbol=symbol,
            plan_id=f"TPL_{k}", side=Side.BUY if t.size > 0 else Side.SELL,
            size=Decimal(repr(abs(t.size))), entry=Decimal(repr(t.entry_price)),
            exit=Decimal(repr(t.exit_price)), pnl=Decimal(repr(t.pnl)),
            fees=Decimal(repr(t.fees)), funding=Decimal(repr(t.funding)), slippage=Decimal(0),
            entry_ms=t.entry_ts_ms, exit_ms=t.exit_ts_ms, reason=t.reason,
            exit_class=t.reason, mfe=0.01, mae=0.02,
        )
        for k, (symbol, t) in enumerate(closed)
    ]  # fmt: skip
