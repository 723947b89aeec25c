"""Gate G0 finds orders that know the future and money that is not accounted for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest.evaluator import Evaluator
from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.errors import StrategyError
from genesis.evidence.integrity import accounting_error, prefix_mismatches
from genesis.market.panel import Panel
from genesis.strategy.genome import random_genome, repair
from genesis.strategy.language import Market, ema
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from tests.oracle.wild_market import wild_panel, wild_strategy
from tests.unit.evidence.panels import awkward_panel, hand_series, panel_of

SETUP = EvaluationSetup(costs=CostModel(taker=5e-4, maker=2e-4, slippage=3e-4), orders_per_bar=3.0)
SEEDS = range(12)
REGISTRY = SeedRegistry()
FAMILIES = REGISTRY.names()


def wild(seed: int) -> Strategy:
    return wild_strategy(np.random.default_rng(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_strategy_that_looks_back_only_has_no_mismatch(seed: int) -> None:
    assert prefix_mismatches(awkward_panel(seed, 300), wild(seed), SETUP) == 0
    assert prefix_mismatches(wild_panel(seed, 300, ends=200), wild(seed + 50), SETUP) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_random_genomes_of_every_family_look_back_only(
    random_panel: Callable[..., Panel], family: str
) -> None:
    panel = random_panel(700, 5, 0.03)
    draw = random.Random(f"prefix/{family}")
    traded = 0
    for _ in range(3):
        genome = repair(random_genome(REGISTRY.get(family), draw), REGISTRY, 200)
        strategy = REGISTRY.express(genome)
        assert prefix_mismatches(panel, strategy, SETUP) == 0
        evaluator = Evaluator(panel, SETUP)
        traded += sum(len(evaluator.orders(k, strategy).tags) for k in range(2))
    assert traded > 0


class Foresight:
    """An evaluator's series whose fields are read one bar too early."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bars: int) -> None:
        plain = Evaluator.__init__

        def early(self: Evaluator, panel: Panel, *args: object) -> None:
            def moved(values: np.ndarray) -> np.ndarray:
                return np.r_[values[bars:], values[-bars:]]

            symbols = tuple(replace(s, sentiment=moved(s.sentiment)) for s in panel.symbols)
            plain(self, replace(panel, symbols=symbols), *args)  # type: ignore[arg-type]

        monkeypatch.setattr(Evaluator, "__init__", early)


def mood() -> Strategy:
    m = Market()
    rules = Rules(m.sentiment > 60, m.sentiment < 40, m.sentiment < 50, m.sentiment > 50)
    return Strategy(rules, PolicyParams(size=0.5))


def test_a_strategy_that_looks_ahead_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = awkward_panel(1, 400)
    assert prefix_mismatches(panel, mood(), SETUP) == 0
    Foresight(monkeypatch, 3)
    assert prefix_mismatches(panel, mood(), SETUP) > 0


def test_an_order_that_is_there_only_with_later_bars_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A size that depends on the length of the data: every order before each cut differs."""
    panel = panel_of([awkward_panel(1, 300).symbols[0]])
    orders = Evaluator.orders

    def sized(self: Evaluator, symbol: int, strategy: Strategy) -> object:
        found = orders(self, symbol, strategy)
        found.book[:, 0] *= self.panel.bars
        return found

    whole = Evaluator(panel, SETUP).orders(0, mood())
    expected = sum(
        int(np.count_nonzero(whole.tags[:, 0] < max(int(share * 300), 1)))
        for share in (0.37, 0.61, 0.89)
    )
    monkeypatch.setattr(Evaluator, "orders", sized)
    assert prefix_mismatches(panel, mood(), SETUP) == expected > 50


def test_a_late_symbol_is_no_mismatch_where_its_first_part_is_shorter_than_the_warm_up() -> None:
    """Entries need no history, exits a long one: the whole symbol trades at once, a part cannot."""
    m = Market()
    panel = awkward_panel(2, 300)
    slow = ema(m.close, 112)
    rules = Rules(m.sentiment > 60, m.sentiment < 30, m.close > slow, m.close < slow)
    strategy = Strategy(rules, PolicyParams(size=0.3, time_stop=5))
    whole = Evaluator(panel, SETUP).orders(1, strategy)
    part = Evaluator(panel.sliced(0, 111), SETUP).orders(1, strategy)
    assert np.count_nonzero(whole.tags[:, 0] < 111) > 0 == len(part.tags)
    assert prefix_mismatches(panel, strategy, SETUP) == 0


def test_a_busy_beginning_is_no_mismatch_where_it_alone_is_over_the_budget_of_orders() -> None:
    m = Market()
    panel = panel_of([awkward_panel(1, 300).symbols[0]])
    busy = np.where(np.arange(300) < 120, np.where(np.arange(300) % 2, 90.0, 10.0), 50.0)
    panel = replace(panel, symbols=(replace(panel.symbols[0], sentiment=busy),))
    rules = Rules(m.sentiment > 60, m.sentiment < 40)
    strategy = Strategy(rules, PolicyParams(size=0.3, time_stop=1))
    setup = replace(SETUP, orders_per_bar=1.0)
    whole = Evaluator(panel, setup).orders(0, strategy)
    part = Evaluator(panel.sliced(0, 111), setup).orders(0, strategy)
    assert len(whole.tags) > 150
    assert "orders per bar" in part.reason
    assert prefix_mismatches(panel, strategy, setup) == 0


def test_a_strategy_that_fails_on_a_part_alone_is_a_mismatch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel = panel_of([awkward_panel(1, 300).symbols[0]])
    series = Evaluator._values

    def fails(self: Evaluator, symbol: int) -> object:
        if self.panel.bars < 200:
            raise ValueError("too few bars for me")
        return series(self, symbol)

    assert prefix_mismatches(panel, mood(), SETUP) == 0
    monkeypatch.setattr(Evaluator, "_values", fails)
    assert prefix_mismatches(panel, mood(), SETUP) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_two_ways_to_the_final_equity_agree(seed: int) -> None:
    """With funding, stops, liquidation, missing bars and symbols that come late or end early."""
    panels = (
        awkward_panel(seed, 300),
        wild_panel(seed, 300, ends=220, scale=0.05, funding=0.02),
    )
    for panel in panels:
        try:
            result = backtest_strategy(panel, wild(seed + 100), SETUP)
        except StrategyError:
            continue
        assert accounting_error(panel, result, SETUP) < 1e-11


def test_the_cases_hold_what_they_claim() -> None:
    reasons: set[str] = set()
    for seed in SEEDS:
        for panel in (
            awkward_panel(seed, 300),
            wild_panel(seed, 300, ends=220, scale=0.05, funding=0.02),
        ):
            result = backtest_strategy(panel, wild(seed + 100), SETUP)
            reasons |= {o.reason for s in result.symbols for o in s.orders}
            assert any(np.any(s.funding != 0.0) for s in result.symbols if s.trades)
    assert {"stop", "target", "liquidation", "delisted", "reversal", "time stop"} <= reasons


@pytest.mark.parametrize("column", ["gross", "cost"])
def test_a_cent_that_is_missing_is_found(column: str) -> None:
    panel = awkward_panel(3, 300)
    result = backtest_strategy(panel, mood(), SETUP)
    honest = accounting_error(panel, result, SETUP)
    assert honest < 1e-11
    place = next(i for i, s in enumerate(result.symbols) if s.trades)
    values = getattr(result.symbols[place], column).copy()
    values[150] += 1e-6
    changed = replace(result.symbols[place], **{column: values})
    symbols = (*result.symbols[:place], changed, *result.symbols[place + 1 :])
    found = accounting_error(panel, replace(result, symbols=symbols), SETUP)
    assert found == pytest.approx(1e-6, rel=1e-4)


def test_money_that_is_no_number_is_an_error_too() -> None:
    """A NaN must not pass a gate that asks for a small difference."""
    panel = awkward_panel(3, 300)
    result = backtest_strategy(panel, mood(), SETUP)
    broken = replace(result.symbols[0], gross=np.full(panel.bars, np.nan))
    error = accounting_error(panel, replace(result, symbols=(broken, *result.symbols[1:])), SETUP)
    assert not error < 1e-9


def test_a_trade_by_hand_is_worth_what_it_says(
    random_panel: Callable[..., Panel],
) -> None:
    """Long at 100 to the end at 110, funding 1 % of 100 in between: every term once."""
    m = Market()
    flat = [(100.0, 100.0, 100.0, 100.0)] * 3
    rows = [*flat, (100.0, 110.0, 100.0, 110.0)]
    due = [0.0, 0.0, 0.0, 0.01]
    panel = panel_of([hand_series(list(rows), due)])
    strategy = Strategy(Rules(long=m.close > 0.0), PolicyParams(direction="long", size=0.5))
    setup = EvaluationSetup(costs=CostModel(taker=0.001, maker=0.0, slippage=0.0), folds=1)
    result = backtest_strategy(panel, strategy, setup)
    expected = 0.5 * (0.10 - 0.001 - 0.01)
    assert float(np.sum(result.returns)) == pytest.approx(expected)
    assert accounting_error(panel, result, setup) < 1e-15
    assert prefix_mismatches(random_panel(200), strategy, setup) == 0
