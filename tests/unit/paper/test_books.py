"""What a run did, read back from its ledger, beside what its exchange said in the log."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from genesis.market.panel import Panel
from genesis.paper.books import (
    Grid,
    account_of,
    order_outcomes,
    paper_symbols,
    rejected_opportunities,
    round_trips,
)
from genesis.paper.engine import PaperTradingEngine
from genesis.paper.report_risk import risk_impact
from genesis.risk.limits import HardLimits
from genesis.strategy.strategy import Strategy
from genesis.system.paper_report import _known
from genesis.trading.events import EventType as T
from genesis.trading.gateway import Side
from genesis.trading.payloads import FundingPaid, OpportunityRejected, OrderFilled, TradeClosed
from genesis.trading.store import EventReader
from tests.unit.paper.engine_runs import settings_of, take, wild_market, wild_strategies

Ran = tuple[Path, Panel, list[Strategy], PaperTradingEngine]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("books") / "run"
    panel = wild_market(11, 150, symbols=3, scale=0.03, funding=5e-3)
    strategies = wild_strategies(11, 2, size=0.4)
    limits = HardLimits(max_orders_per_minute=1, max_daily_loss=0.02).plain()
    _, engine = take(folder, panel, settings_of(strategies, limits=limits))
    return folder, panel, strategies, engine


def grid_of(panel: Panel) -> Grid:
    known = {s.symbol: _known(s.close, s.valid) for s in panel.symbols}
    return Grid(panel.ts_ms, panel.interval_ms, known)


def names(panel: Panel) -> list[str]:
    return [s.symbol for s in panel.symbols]


def test_the_bar_of_an_instant() -> None:
    grid = Grid(np.array([10, 20, 40], dtype=np.int64), 10, {})
    assert [grid.bar_of(ts) for ts in (9, 10, 19, 20, 39, 40, 99)] == [-1, 0, 0, 1, 1, 2, 2]


def test_positions_and_profit_are_what_the_exchange_said(ran: Ran) -> None:
    """Added up in floats from the replies in the log, bar by bar."""
    folder, panel, strategies, _ = ran
    grid = grid_of(panel)
    checked = 0
    with EventReader(folder) as reader:
        log = list(reader.events(types=[T.ORDER_FILLED, T.FUNDING_PAID]))
        for strategy in strategies:
            for one in paper_symbols(reader, strategy.id, names(panel), grid):
                key = (account_of(strategy.id), one.symbol)
                position, cash = np.zeros(panel.bars), np.zeros(panel.bars)
                for event in log:
                    data = event.data
                    if isinstance(data, OrderFilled):
                        fill = data.fill
                        if (fill.account, fill.symbol) != key:
                            continue
                        size = float(fill.size) * (1 if fill.side is Side.BUY else -1)
                        bar = grid.bar_of(fill.ts_ms)
                        position[bar:] += size
                        cash[bar:] -= size * float(fill.price) + float(fill.fee)
                        checked += 1
                    elif isinstance(data, FundingPaid) and (data.account, data.symbol) == key:
                        cash[grid.bar_of(event.ts_ms) :] -= float(data.amount)
                assert one.position == pytest.approx(position, abs=1e-9)
                held = np.where(np.abs(position) > 1e-9, position * grid.known[one.symbol], 0.0)
                assert one.equity == pytest.approx(cash + held, abs=1e-6)
    assert checked > 50


def test_the_last_mark_is_the_equity_of_the_account(ran: Ran) -> None:
    folder, panel, strategies, engine = ran
    with EventReader(folder) as reader:
        for strategy in strategies:
            symbols = paper_symbols(reader, strategy.id, names(panel), grid_of(panel))
            total = float(np.nansum([one.equity[-1] for one in symbols]))
            account = account_of(strategy.id)
            assert total == pytest.approx(float(engine.core.equity(account)) - 100_000.0, abs=1e-6)


def test_round_trips_are_the_trades_of_the_log(ran: Ran) -> None:
    folder, panel, strategies, _ = ran
    with EventReader(folder) as reader:
        closed = [e.data for e in reader.events(types=[T.TRADE_CLOSED])]
        for strategy in strategies:
            owners = {f"{strategy.id}/{name}": strategy.id for name in names(panel)}
            trips = round_trips(reader, strategy.id, owners)
            mine = [c for c in closed if isinstance(c, TradeClosed) and c.deployment in owners]
            assert sorted(t.plan_id for t in trips) == sorted(c.plan_id for c in mine)
            assert float(sum(t.pnl for t in trips)) == pytest.approx(
                float(sum((c.pnl - c.fees - c.funding for c in mine), Decimal(0)))
            ), "net of fees and funding"
            assert [t.exit_ms for t in trips] == sorted(t.exit_ms for t in trips)
            assert {t.strategy for t in trips} == {strategy.id}
            assert len(trips) > 5


def test_orders_are_those_of_the_strategy(ran: Ran) -> None:
    folder, panel, strategies, _ = ran
    with EventReader(folder) as reader:
        sent = reader.count([T.ORDER_SUBMIT])
        found = 0
        for strategy in strategies:
            owners = {f"{strategy.id}/{name}": strategy.id for name in names(panel)}
            outcomes = order_outcomes(reader, strategy.id, owners)
            assert {o.strategy for o in outcomes} == {strategy.id}
            found += len(outcomes)
    assert found == sent


def test_refusals_are_counted_by_stage_and_rule(ran: Ran) -> None:
    folder, *_ = ran
    with EventReader(folder) as reader:
        rejected = rejected_opportunities(reader)
        data = [e.data for e in reader.events(types=[T.OPPORTUNITY_REJECTED])]
        impact = risk_impact(reader)
    assert sum(one.count for one in rejected) == len(data)
    assert {(one.stage, one.reason) for one in rejected} == {
        (d.stage, d.reason) for d in data if isinstance(d, OpportunityRejected)
    }
    refused = sum(impact.refused.values())
    assert 0 < refused < impact.assessed
    assert set(impact.refused) <= {"max_orders_per_minute", "max_daily_loss"}


def test_a_strategy_that_never_traded_has_empty_books(ran: Ran) -> None:
    folder, panel, *_ = ran
    with EventReader(folder) as reader:
        for one in paper_symbols(reader, "strat_nobody", names(panel), grid_of(panel)):
            assert one.fills == ()
            assert not one.position.any()
            assert not one.equity.any()
        assert round_trips(reader, "strat_nobody", {}) == []
        assert order_outcomes(reader, "strat_nobody", {}) == []
