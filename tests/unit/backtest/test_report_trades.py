"""A report's numbers agree with the accounting they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest.evaluator import Evaluator
from genesis.backtest.report import backtest_page, exit_rows
from genesis.backtest.report_build import report_data
from genesis.backtest.result import COLUMN
from genesis.backtest.setup import EvaluationSetup
from genesis.market.panel import Panel
from genesis.strategy.node import apply, series
from genesis.strategy.strategy import NEVER, PolicyParams, Rules, Strategy


def crossing(**policy: float) -> Strategy:
    close = series("close")
    fast, slow = apply("ema", close, n=5), apply("ema", close, n=20)
    return Strategy(Rules(long=fast > slow, short=fast < slow), PolicyParams(**policy))  # type: ignore[arg-type]


def funded(panel: Panel) -> Panel:
    rng = np.random.default_rng(1)
    due = np.where(np.arange(panel.bars) % 8 == 0, rng.normal(2e-4, 1e-4, panel.bars), 0.0)
    symbols = tuple(replace(s, funding_due=due * (k + 1)) for k, s in enumerate(panel.symbols))
    return replace(panel, symbols=symbols)


@pytest.mark.parametrize("missing", [0.0, 0.05])
@pytest.mark.parametrize("policy", [{}, {"stop_atr": 1.5, "target_atr": 2.0}, {"time_stop": 9}])
def test_trades_add_up_to_the_account(
    random_panel: Callable[..., Panel], policy: dict[str, float], missing: float
) -> None:
    panel = funded(random_panel(1500, 4, missing))
    setup = EvaluationSetup()
    strategy = crossing(size=0.5, **policy)
    data = report_data(panel, strategy, setup)
    evaluator = Evaluator(panel, setup)
    for place, series_ in enumerate(panel.symbols):
        row = evaluator.evaluate(place, [strategy]).metrics[0]
        trades = data.trades[series_.symbol]
        closed = [t for t in trades if t.exit_ms >= 0]
        share = len(panel.symbols)  # a symbol's capital is an equal share of the whole
        assert len(closed) == row[COLUMN["trades"]] > 20
        total = sum(t.pnl for t in trades) * share
        assert total == pytest.approx(row[COLUMN["total_return"]], abs=1e-12)
        won = sum(t.pnl for t in closed if t.pnl > 0) * share
        assert won == pytest.approx(row[COLUMN["gross_profit"]], abs=1e-12)
    assert data.equity[-1] == pytest.approx(sum(t.pnl for ts in data.trades.values() for t in ts))
    assert data.ts_ms.shape == data.equity.shape
    costs = data.costs
    assert costs["gross"] - costs["fees"] - costs["slippage"] - costs["funding"] == pytest.approx(
        costs["net"]
    )


def test_a_strategy_that_never_trades_is_flat_and_says_so(
    random_panel: Callable[..., Panel],
) -> None:
    strategy = Strategy(Rules(long=NEVER), PolicyParams())
    data = report_data(random_panel(), strategy, EvaluationSetup())
    assert not data.equity.any()
    assert f"{strategy.id} counts as flat on BTCUSDT" in data.warnings[0]
    assert "BTCUSDT" in backtest_page(data)


def test_symbols_without_funding_are_named(random_panel: Callable[..., Panel]) -> None:
    panel = random_panel()
    bare = tuple(replace(s, has_funding=k > 0) for k, s in enumerate(panel.symbols))
    data = report_data(replace(panel, symbols=bare), crossing(), EvaluationSetup())
    assert data.warnings == (
        "No funding series for BTCUSDT: positions there pay and receive none.",
    )


def test_the_table_of_exits_counts_every_closed_trade(random_panel: Callable[..., Panel]) -> None:
    panel = random_panel(1500, 4, 0.05)
    strategy = crossing(size=0.5, stop_atr=1.5, target_atr=2.0, trail_atr=3.0)
    data = report_data(panel, strategy, EvaluationSetup())
    rows = {row["exit"]: row for row in exit_rows(data)}
    closed = [t for ts in data.trades.values() for t in ts if t.exit_ms >= 0]
    assert {"target", "reversal", "stop_loss"} <= set(rows)
    assert sum(row["trades"] for row in rows.values()) == len(closed)
    own = [t for t in closed if t.exit_class == "stop_loss"]
    lost = rows["stop_loss"]
    assert lost["trades"] == len(own) > 5
    assert lost["won"] == sum(t.pnl > 0 for t in own) / len(own)
    assert lost["pnl"] == pytest.approx(sum(t.pnl for t in own) / len(own))
    assert lost["mfe"] == pytest.approx(sum(t.mfe for t in own) / len(own))
    # A stop is at least two percent away, a target one and a half.
    assert min(t.mae for t in own) >= 0.02
    assert min(t.mfe for t in closed if t.exit_class == "target") >= 0.015
    page = backtest_page(data)
    assert "Stop loss" in page
    assert "leave long (stop loss)" in page
