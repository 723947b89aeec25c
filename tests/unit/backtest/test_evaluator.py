from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from genesis.backtest.accounting import account, engine_name
from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import (
    METRICS,
    NO_TRADES,
    OVER_BUDGET,
    RAISED,
    TOO_SHORT,
    VALID,
)
from genesis.costs.model import CostModel
from genesis.domain.errors import ConfigError, GenesisError, StrategyError
from genesis.strategy.language import Market, sma
from genesis.strategy.node import OPS, Node, Op, register
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from tests.oracle.wild_market import wild_panel, wild_strategy

M = Market()
FREE = EvaluationSetup(orders_per_bar=3.0)


@pytest.fixture
def failing_node() -> Iterator[Node]:
    """A condition whose kernel raises."""

    def run(*_: object) -> None:
        raise ValueError("kernel broke")

    zero = lambda _: 0  # noqa: E731
    register(Op("broken", "n", (), True, run, zero, zero, zero, lambda _: 1.0, "broken {0}"))
    yield Node("broken", (M.close,), ())
    del OPS["broken"]


def evaluate(strategy: Strategy, setup: EvaluationSetup = FREE, bars: int = 200) -> tuple[int, str]:
    block = Evaluator(wild_panel(1, bars), setup).evaluate(0, [strategy])
    if block.status[0] != VALID:
        assert np.all(np.isnan(block.metrics[0]))
        assert np.all(np.isnan(block.marks[0]))
        assert block.phenotype[0] == 0
    return int(block.status[0]), block.reasons[0]


def test_valid_strategy_has_every_number() -> None:
    block = Evaluator(wild_panel(1, 200), FREE).evaluate(
        0, [Strategy(Rules(M.sentiment > 70, M.sentiment < 30), PolicyParams())]
    )
    assert block.status[0] == VALID
    assert block.reasons == ("",)
    assert block.metrics.shape == (1, len(METRICS))
    assert np.all(np.isfinite(block.metrics))
    assert block.fold_sharpe.shape == block.fold_trades.shape == (1, 4)
    assert block.marks.shape == (1, 9)


def test_no_trades_is_invalid_with_its_reason() -> None:
    assert evaluate(Strategy(Rules(), PolicyParams())) == (NO_TRADES, "no order was placed")


def test_raising_kernel_is_invalid_with_its_reason(failing_node: Node) -> None:
    status, reason = evaluate(Strategy(Rules(long=failing_node), PolicyParams()))
    assert (status, reason) == (RAISED, "ValueError: kernel broke")


def test_faults_of_the_machine_are_not_the_strategys(
    failing_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setitem(OPS, "broken", replace(OPS["broken"], run=exhausted))
    evaluator = Evaluator(wild_panel(1, 200), FREE)
    with pytest.raises(MemoryError):
        evaluator.evaluate(0, [Strategy(Rules(long=failing_node), PolicyParams())])


def test_unknown_symbol_is_invalid_with_its_reason() -> None:
    status, reason = evaluate(Strategy(Rules(long=M.other("NOPE").close > 1), PolicyParams()))
    assert status == RAISED
    assert "NOPE" in reason


def test_warm_up_longer_than_the_data_is_too_short() -> None:
    status, reason = evaluate(
        Strategy(Rules(long=M.close > sma(M.close, 320)), PolicyParams()), bars=200
    )
    assert status == TOO_SHORT
    assert "200 bars of data" in reason


def test_budgets_on_work_and_orders_are_static() -> None:
    busy = Strategy(Rules(M.sentiment > 50, M.sentiment < 50), PolicyParams(cooldown=0))
    assert evaluate(busy, EvaluationSetup(orders_per_bar=0.1))[0] == OVER_BUDGET
    assert evaluate(busy, EvaluationSetup(work_budget=0.5))[0] == OVER_BUDGET
    assert evaluate(busy)[0] == VALID


def test_one_bad_strategy_does_not_touch_its_neighbours(failing_node: Node) -> None:
    good = wild_strategy(np.random.default_rng(3))
    bad = Strategy(Rules(long=failing_node), PolicyParams())
    evaluator = Evaluator(wild_panel(1, 300), FREE)
    block = evaluator.evaluate(0, [bad, good, bad])
    alone = evaluator.evaluate(0, [good])
    assert block.status.tolist() == [RAISED, alone.status[0], RAISED]
    np.testing.assert_array_equal(block.metrics[1], alone.metrics[0])


def test_detail_of_an_invalid_strategy_says_why(failing_node: Node) -> None:
    evaluator = Evaluator(wild_panel(1, 200), FREE)
    with pytest.raises(StrategyError, match="kernel broke"):
        evaluator.detail(0, Strategy(Rules(long=failing_node), PolicyParams()))


def test_nodes_are_shared_and_forgotten() -> None:
    evaluator = Evaluator(wild_panel(1, 200), FREE)
    rule = Strategy(Rules(long=M.close > sma(M.close, 20)), PolicyParams())
    evaluator.evaluate(0, [rule])
    missed = evaluator.misses
    evaluator.evaluate(0, [rule])
    assert evaluator.misses == missed
    assert evaluator.hits > 0
    evaluator.forget(0)
    evaluator.forget(0)
    evaluator.evaluate(0, [rule])
    assert evaluator.misses > missed


def test_phenotype_is_the_behaviour() -> None:
    evaluator = Evaluator(wild_panel(1, 300), FREE)
    base = Strategy(Rules(M.sentiment > 70, M.sentiment < 30), PolicyParams(size=0.1))
    same = Strategy(Rules(M.sentiment > 70, ~(M.sentiment >= 30)), PolicyParams(size=0.2))
    other = Strategy(Rules(M.sentiment > 85, M.sentiment < 30), PolicyParams(size=0.1))
    hashes = evaluator.evaluate(0, [base, same, other]).phenotype
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_an_order_that_the_engine_drops_is_an_error() -> None:
    book = np.array([[1.0, 100.0, 0.0, 0.0], [1e-13, 100.0, 0.0, 0.0]])
    with pytest.raises(GenesisError, match="did not execute an order"):
        account([book], engine="rust")


def test_an_order_that_the_engine_cuts_is_an_error() -> None:
    book = np.array([[1e14, 100.0, 0.0, 0.0]])  # beyond the account's cash
    with pytest.raises(GenesisError, match="did not execute an order"):
        account([book], engine="rust")


def test_workers_never_import_the_whole_of_vectorbt() -> None:
    program = (
        "import sys, numpy as np;"
        "from genesis.backtest.accounting import account;"
        "r = account([np.array([[1.0, 100.0, 1e-3, 0.0]])], engine='rust');"
        "assert r[0]['fees'][0] == 0.1, r;"
        "assert not [m for m in sys.modules if m.split('.')[0] == 'vectorbt'];"
        "assert 'ray' not in sys.modules and 'pandas' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("capital", 0.0),
        ("leverage", 0.5),
        ("folds", 0),
        ("work_budget", -1.0),
        ("orders_per_bar", 4.0),
        ("engine", "gpu"),
    ],
)
def test_setup_names_a_bad_value(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"evaluation.{key}"):
        EvaluationSetup.from_plain({key: value})


def test_setup_round_trip_and_unknown_key() -> None:
    setup = EvaluationSetup(costs=CostModel(taker=1e-3), leverage=5.0, folds=6)
    assert EvaluationSetup.from_plain(setup.plain()) == setup
    with pytest.raises(ConfigError, match="did you mean 'leverage'"):
        EvaluationSetup.from_plain({"leverag": 3})
    with pytest.raises(ConfigError, match=r"costs\.taker"):
        EvaluationSetup.from_plain({"costs": {"taker": -1.0}})


def test_leverage_that_leaves_no_margin_names_the_symbol() -> None:
    panel = wild_panel(1, 50)
    margin = panel.symbols[0].instrument.maintenance_margin
    Evaluator(panel, EvaluationSetup(leverage=0.9 / margin))
    with pytest.raises(ConfigError, match=panel.symbols[0].symbol) as caught:
        Evaluator(panel, EvaluationSetup(leverage=1.0 / margin))
    assert f"below {1.0 / margin:g}" in str(caught.value.fix)


def test_unknown_engine_is_refused() -> None:
    with pytest.raises(ConfigError):
        engine_name("gpu")
