"""The optimum of a switching trend against a textbook filter, and the demo's judgement by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from genesis.backtest.setup import EvaluationSetup
from genesis.market.sources.synthetic import Plant, SynthSpec
from genesis.system import demo
from genesis.system.optimum import beliefs, best_sharpe, zone_returns


def test_belief_is_bayes_rule() -> None:
    """Forward algorithm of a hidden Markov chain, with scipy's density and constant volatility."""
    rng = np.random.default_rng(4)
    drift, switch, sigma, dof = 0.004, 0.05, 0.01, 5.0
    returns = rng.normal(0.002, sigma, 300)
    belief, sd = np.empty(300), np.empty(300)
    beliefs(returns, drift, switch, sigma, 0.0, 0.0, dof, belief, sd)
    assert sd == pytest.approx(sigma)
    width = sigma / math.sqrt(dof / (dof - 2.0))
    turn = np.array([[1 - switch, switch], [switch, 1 - switch]])
    state = np.array([0.5, 0.5])
    for t, value in enumerate(returns):
        means = np.array([drift, -drift]) - sigma**2 / 2
        state = state * student.pdf(value, dof, loc=means, scale=width)
        state = turn @ (state / state.sum())
        assert belief[t] == pytest.approx(state[0] - state[1], abs=1e-12)


def test_zone_by_hand() -> None:
    moves = np.array([0.01, 0.02, -0.03, 0.01])
    belief = np.array([0.8, 0.7, -0.1, -0.9])
    out = np.empty(4)
    zone_returns(moves, belief, np.full(4, 0.5), 0.2, 0.001, out)
    # variance 0.25, unit 4: to 2.4, kept within [2, 3.6], down to 0.4, down to -2.8
    assert out == pytest.approx([-0.0024, 0.048, -0.072 - 0.002, 0.004 - 0.0032])


def test_without_a_trend_there_is_nothing_to_know() -> None:
    spec = SynthSpec(assets=2, bars=20_000, seed=3, plants=(Plant("trend", 1e-9),))
    assert best_sharpe(spec, 5e-4) == 0.0


def test_the_filter_is_above_every_known_rule() -> None:
    spec = demo.market(7)
    rules = demo.known_rules()
    found = demo.recovery(rules["breakout(56, 28)"], spec, EvaluationSetup(), bars=30_000)
    assert 1.2 < found.strategy_sharpe <= found.optimum_sharpe < found.filter_sharpe
    assert found.share == pytest.approx(found.strategy_sharpe / found.optimum_sharpe)
    assert found.share_of_filter < found.share <= 1.0
    assert found.optimum in rules


def test_the_study_is_a_valid_configuration(tmp_path: object) -> None:
    config = demo.study("demo-7", ("DEMO1", "DEMO2"), 7)
    assert config.evolution.seed == 7
    assert config.dataset.symbols == ("DEMO1", "DEMO2")
