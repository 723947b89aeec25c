"""Evaluator against the public `vectorbt.Portfolio.from_orders` on the same order timeline.

Each bar gets three rows, so that bars with two and three orders are covered; the rows of a bar
share its close. Cash is ample, fees and slippage are per order.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import COLUMN, VALID
from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.market.panel import Panel, SymbolSeries
from genesis.strategy.policy import REASON_TARGET
from tests.oracle.wild_market import HOUR, wild_panel, wild_strategy

pd = pytest.importorskip("pandas")
vbt = pytest.importorskip("vectorbt")

ROWS = 3
CASH = 1e9
COSTS = CostModel()


def public_portfolio(panel: Panel, detail: SymbolBacktest) -> Any:
    """Run vectorbt's public API on three rows a bar."""
    bars = panel.bars
    size = np.full(bars * ROWS, np.nan)
    price = np.full(bars * ROWS, np.nan)
    fees, slippage = np.zeros(bars * ROWS), np.zeros(bars * ROWS)
    place: Counter[int] = Counter()
    for order in detail.orders:
        row = order.bar * ROWS + place[order.bar]
        place[order.bar] += 1
        target = order.reason == "target"
        size[row], price[row] = order.size, order.reference
        fees[row] = COSTS.maker if target else COSTS.taker
        slippage[row] = 0.0 if target else COSTS.slippage
    close = pd.Series(panel.symbols[0].close).ffill().bfill().to_numpy()
    index = pd.RangeIndex(bars * ROWS)
    return vbt.Portfolio.from_orders(
        pd.Series(np.repeat(close, ROWS), index=index),
        size=pd.Series(size, index=index),
        price=pd.Series(price, index=index).fillna(1.0),
        fees=pd.Series(fees, index=index),
        slippage=pd.Series(slippage, index=index),
        init_cash=CASH,
        freq="20min",
    )


def check(panel: Panel, evaluator: Evaluator, strategy: Any) -> Counter[int]:
    detail = evaluator.detail(0, strategy)
    if not detail.orders:
        return Counter()
    portfolio = public_portfolio(panel, detail)
    records = portfolio.orders.records
    assert len(records) == len(detail.orders)
    side = np.where(records["side"] == 0, 1.0, -1.0)
    np.testing.assert_array_equal(records["idx"] // ROWS, [o.bar for o in detail.orders])
    np.testing.assert_allclose(records["size"] * side, [o.size for o in detail.orders], rtol=1e-9)
    np.testing.assert_allclose(records["price"], [o.price for o in detail.orders], rtol=1e-9)
    np.testing.assert_allclose(records["fees"], [o.fee for o in detail.orders], rtol=1e-9)
    trades = portfolio.trades.records
    assert len(trades) == len(detail.trades)
    np.testing.assert_allclose(
        trades["pnl"], [t.pnl + t.funding for t in detail.trades], rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(trades["entry_price"], [t.entry_price for t in detail.trades])
    ends = portfolio.value().to_numpy()[ROWS - 1 :: ROWS] - CASH
    ours = (detail.equity + np.cumsum(detail.funding)) * detail.capital
    start = detail.first
    np.testing.assert_allclose(ours[start:], ends[start:], rtol=1e-9, atol=1e-5)
    check_block(evaluator, strategy, detail, portfolio)
    return Counter(Counter(o.bar for o in detail.orders).values())


def check_block(evaluator: Evaluator, strategy: Any, detail: SymbolBacktest, pf: Any) -> None:
    """The search's numbers come from the same records."""
    block = evaluator.evaluate(0, [strategy])
    assert block.status[0] == VALID
    row = block.metrics[0]
    closed = pf.trades.closed
    assert row[COLUMN["trades"]] == closed.count()
    fees = pf.orders.fees.sum() / detail.capital
    assert row[COLUMN["fees"]] == pytest.approx(fees, rel=1e-9)
    value = pf.trades.records["pnl"].sum() / detail.capital - row[COLUMN["funding"]]
    assert row[COLUMN["total_return"]] == pytest.approx(value, rel=1e-8, abs=1e-10)


def real_panel(folder: Path, symbol: str, start: int, bars: int) -> Panel:
    """A stretch of real hourly bars with the real funding of their exchange."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "candles" / "binance_perp" / symbol / "1h.parquet")
    table = table.slice(start, bars)
    ts = table["timestamp"].cast("int64").to_numpy()
    paid = pq.read_table(folder / "funding" / "binance_perp" / f"{symbol}.parquet")
    when = paid["timestamp"].cast("int64").to_numpy()
    due = np.zeros(bars)
    inside = (when >= ts[0]) & (when <= ts[-1])
    due[np.searchsorted(ts, when[inside])] = paid["funding_rate"].to_numpy()[inside]
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    rng = np.random.default_rng(start)
    volume, sentiment = rng.uniform(0, 100, bars), rng.uniform(0, 100, bars)
    series = SymbolSeries(
        Instrument(symbol, symbol[:3]),
        *columns[:4],
        volume,
        np.ones(bars, dtype=bool),
        0,
        bars - 1,
        due,
        due,
        sentiment,
        True,
    )
    return Panel("real", "binance_perp", HOUR, ts, (series,), f"{symbol}-{start}-{bars}")


def test_synthetic_strategies_equal_the_public_portfolio() -> None:
    seen: Counter[int] = Counter()
    for seed in range(24):
        panel = wild_panel(seed, 500, missing=0.03)
        evaluator = Evaluator(panel, EvaluationSetup(costs=COSTS, orders_per_bar=3.0))
        seen += check(panel, evaluator, wild_strategy(np.random.default_rng(seed)))
    assert seen[2] > 0
    assert seen[3] > 0


def test_real_strategies_equal_the_public_portfolio(shared_data: Path) -> None:
    seen: Counter[int] = Counter()
    for k, symbol in enumerate(("BTCUSDT", "ETHUSDT", "XRPUSDT")):
        panel = real_panel(shared_data, symbol, 9_000 + 5_000 * k, 3_000)
        evaluator = Evaluator(panel, EvaluationSetup(costs=COSTS, orders_per_bar=3.0))
        for seed in range(6):
            seen += check(panel, evaluator, wild_strategy(np.random.default_rng(100 * k + seed)))
    assert seen[1] > 0
    assert seen[2] > 0


def test_numba_engine_gives_the_same_block() -> None:
    panel = wild_panel(3, 400)
    strategies = [wild_strategy(np.random.default_rng(seed)) for seed in range(20)]
    blocks = [
        Evaluator(panel, EvaluationSetup(engine=engine, orders_per_bar=3.0)).evaluate(0, strategies)
        for engine in ("rust", "numba")
    ]
    for name in ("status", "metrics", "fold_sharpe", "fold_trades", "marks", "phenotype"):
        first, second = (getattr(block, name) for block in blocks)
        np.testing.assert_array_equal(first, second, err_msg=name)
    assert blocks[0].reasons == blocks[1].reasons


def test_record_types_are_those_of_vectorbt() -> None:
    from vectorbt.portfolio.enums import log_dt, order_dt

    from genesis.backtest.records import LOG, ORDER

    assert order_dt == ORDER
    assert log_dt == LOG


def test_targets_are_maker_orders_without_slippage() -> None:
    panel = wild_panel(5, 400)
    evaluator = Evaluator(panel, EvaluationSetup(orders_per_bar=3.0))
    for seed in range(30):
        orders = evaluator.orders(0, wild_strategy(np.random.default_rng(seed)))
        hit = orders.tags[:, 1] == REASON_TARGET
        assert np.all(orders.book[hit, 2] == COSTS.maker)
        assert np.all(orders.book[hit, 3] == 0.0)
        assert np.all(orders.book[~hit, 2] == COSTS.taker)
        assert np.all(orders.book[~hit, 3] == COSTS.slippage)
