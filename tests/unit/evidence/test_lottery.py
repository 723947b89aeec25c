"""Lottery arms trade as often, as long and as large as the strategy, at random times, and pay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.portfolio import PortfolioBacktest, backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.evidence import lottery as arms_module
from genesis.evidence.lottery import LotteryResult, lottery
from genesis.market.panel import Panel
from genesis.strategy.language import Market
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from tests.unit.evidence.panels import awkward_panel, hand_series, panel_of

COSTS = CostModel(taker=7e-4, maker=2e-4, slippage=4e-4)
SETUP = EvaluationSetup(costs=COSTS, orders_per_bar=3.0)


def mood(**policy: object) -> Strategy:
    m = Market()
    rules = Rules(m.sentiment > 85, m.sentiment < 15, m.sentiment < 40, m.sentiment > 60)
    return Strategy(rules, PolicyParams(**{"size": 0.4, **policy}))  # type: ignore[arg-type]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[SymbolBacktest]:
    """Every symbol of every arm, in the order in which they are drawn."""
    found: list[SymbolBacktest] = []
    plain = arms_module.symbol_backtest

    def kept(*args: object) -> SymbolBacktest:
        found.append(plain(*args))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr(arms_module, "symbol_backtest", kept)
    return found


def traded(result: PortfolioBacktest) -> list[SymbolBacktest]:
    return [symbol for symbol in result.symbols if symbol.trades]


def holds(symbol: SymbolBacktest) -> Counter[int]:
    return Counter(max(t.exit_bar - t.entry_bar, 1) for t in symbol.trades)


@pytest.mark.parametrize("seed", range(10))
def test_an_arm_has_the_trades_of_the_strategy_at_other_times(
    drawn: list[SymbolBacktest], seed: int
) -> None:
    panel = awkward_panel(seed, 300)
    guarded = {"stop_atr": 1.0, "target_atr": 1.5, "atr_window": 5}
    strategy = mood(**guarded) if seed % 2 else mood(time_stop=7)
    own = traded(backtest_strategy(panel, strategy, SETUP))
    lottery(panel, strategy, SETUP, 4, "x")
    assert len(drawn) == 4 * len(own) > 0
    for place, arm in enumerate(drawn):
        mine = own[place % len(own)]
        assert arm.symbol == mine.symbol
        assert len(arm.trades) == len(mine.trades)
        if sum(holds(mine).elements()) <= mine.last - mine.first:
            assert holds(arm) == holds(mine)
        notional = [abs(order.size) * order.reference for order in arm.orders[::2]]
        expected = [abs(t.size) * t.entry_price for t in mine.trades]
        assert sorted(notional) == pytest.approx(sorted(expected))
        assert sorted(np.sign(t.size) for t in arm.trades) == sorted(
            np.sign(t.size) for t in mine.trades
        )
        before = mine.first
        for trade in arm.trades:
            assert before <= trade.entry_bar <= trade.exit_bar <= mine.last
            before = trade.exit_bar
            assert trade.closed


def test_times_are_spread_over_the_whole_of_the_data(drawn: list[SymbolBacktest]) -> None:
    bars = 400
    panel = panel_of([awkward_panel(1, bars).symbols[0]])
    strategy = mood(time_stop=3)
    lottery(panel, strategy, SETUP, 150, "spread")
    entries = np.array([t.entry_bar for arm in drawn for t in arm.trades])
    counts, _ = np.histogram(entries, bins=8, range=(0, bars))
    assert counts.min() > 0.75 * counts.mean()
    assert counts.max() < 1.25 * counts.mean()
    assert len({tuple(t.entry_bar for t in arm.trades) for arm in drawn}) == len(drawn)


def flat_panel(bars: int = 300) -> Panel:
    """A price that never moves: what is earned is what was paid."""
    series = hand_series([(100.0, 100.0, 100.0, 100.0)] * bars)
    mood_of = np.random.default_rng(0).uniform(0, 100, bars)
    return panel_of([replace(series, sentiment=mood_of)])


def test_where_nothing_moves_an_arm_earns_its_costs_exactly(drawn: list[SymbolBacktest]) -> None:
    panel = flat_panel()
    own = traded(backtest_strategy(panel, mood(time_stop=4), SETUP))[0]
    result = lottery(panel, mood(time_stop=4), SETUP, 10, "flat")
    paid = sum(abs(t.size) * t.entry_price for t in own.trades) / SETUP.capital
    for arm in drawn:
        assert float(np.sum(arm.returns())) == pytest.approx(-2.0 * paid * (7e-4 + 4e-4))
    assert max(result.arms) < 0.0


def test_arms_lose_their_costs_on_a_market_without_drift(
    random_panel: Callable[..., Panel], drawn: list[SymbolBacktest]
) -> None:
    expected, totals = [], []
    for seed in range(25):
        panel = random_panel(500, seed, 0.0, ("BTCUSDT",))
        still = replace(panel.symbols[0], funding_due=np.zeros(500))
        panel = replace(panel, symbols=(still,))
        drawn.clear()
        lottery(panel, mood(time_stop=5), SETUP, 8, "x")
        totals.append(np.mean([np.sum(arm.returns()) for arm in drawn]))
        notional = sum(abs(o.size) * o.reference for o in drawn[0].orders)
        expected.append(-notional * (7e-4 + 4e-4) / SETUP.capital)
    gross = np.array(totals) - np.array(expected)
    error = gross.std(ddof=1) / np.sqrt(len(gross))
    assert abs(gross.mean()) < 3.5 * error
    assert np.mean(expected) < -5.0 * error  # the costs are large enough to be seen missing


def test_arms_pay_funding(drawn: list[SymbolBacktest]) -> None:
    panel = flat_panel()
    m = Market()
    strategy = Strategy(
        Rules(long=m.sentiment > 90, exit_long=m.sentiment < 50),
        PolicyParams(direction="long", size=0.4),
    )
    lottery(panel, strategy, SETUP, 3, "f")
    free = [float(np.sum(arm.returns())) for arm in drawn]
    drawn.clear()
    dear = replace(panel.symbols[0], funding_due=np.full(panel.bars, 1e-3))
    lottery(replace(panel, symbols=(dear,)), strategy, SETUP, 3, "f")
    for arm, before in zip(drawn, free, strict=True):
        bars = sum(t.exit_bar - t.entry_bar for t in arm.trades)
        paid = before - float(np.sum(arm.returns()))
        assert paid == pytest.approx(0.4 * 1e-3 * bars, rel=2e-3)


def test_arms_are_a_function_of_the_seed() -> None:
    panel = awkward_panel(2, 300)
    once = lottery(panel, mood(), SETUP, 6, "a")
    assert lottery(panel, mood(), SETUP, 6, "a") == once
    assert lottery(panel, mood(), SETUP, 3, "a").arms == once.arms[:3]
    assert lottery(panel, mood(), SETUP, 6, "b").arms != once.arms
    assert len(set(once.arms)) == 6


def test_the_strategy_is_compared_by_its_own_daily_ratio() -> None:
    panel = awkward_panel(2, 300)
    result = lottery(panel, mood(), SETUP, 2, "a")
    own = backtest_strategy(panel, mood(), SETUP)
    assert result.sharpe == pytest.approx(own.metrics["daily_sharpe"])
    assert result.strategy == mood().id


def test_a_strategy_that_never_trades_beats_nothing() -> None:
    result = lottery(awkward_panel(2, 300), Strategy(Rules(), PolicyParams()), SETUP, 3, "a")
    assert result.arms == (0.0, 0.0, 0.0)
    assert result.beaten == 0.0


def test_beaten_counts_the_arms_strictly_below() -> None:
    assert LotteryResult("s", 1.0, (0.5, 1.0, 2.0, -3.0)).beaten == 0.5
    assert LotteryResult("s", 1.0, (0.5,)).beaten == 1.0
    plain = LotteryResult("s", 1.0, (0.5,)).to_plain()
    assert plain["role"] == "lottery"
    assert plain["arms"] == [0.5]


def test_a_market_full_of_trades_within_one_bar_has_room_for_its_arms(
    drawn: list[SymbolBacktest],
) -> None:
    """Trades that end within their bar count as one bar: together they may outlast the data."""
    rows = [(100.0, 110.0, 90.0, 100.0)] * 60
    series = replace(hand_series(list(rows)), sentiment=np.full(60, 90.0))
    m = Market()
    strategy = Strategy(
        Rules(long=m.sentiment > 50),
        PolicyParams(direction="long", size=0.1, stop_atr=0.5, atr_window=2),
    )
    panel = panel_of([series])
    own = traded(backtest_strategy(panel, strategy, SETUP))[0]
    assert sum(t.exit_bar == t.entry_bar for t in own.trades) > 20
    lottery(panel, strategy, SETUP, 3, "x")
    for arm in drawn:
        assert len(arm.trades) == len(own.trades)
        assert all(t.exit_bar <= own.last for t in arm.trades)
