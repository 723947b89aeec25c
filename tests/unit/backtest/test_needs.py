from __future__ import annotations

import numpy as np

from genesis.backtest import needs
from genesis.backtest.needs import Needs
from genesis.strategy.language import Market, ema, sma
from genesis.strategy.series import history_bars, work
from tests.oracle.wild_market import wild_strategy

M = Market()


def test_needs_are_those_of_a_fresh_walk() -> None:
    memory = Needs()
    for seed in range(60):
        rules = wild_strategy(np.random.default_rng(seed)).rules
        nodes = [node for _, node in rules.named()]
        assert memory.of(nodes) == (history_bars(*nodes), work(*nodes))


def test_shared_nodes_count_once() -> None:
    fast, slow = ema(M.close, 5), sma(M.close, 40)
    memory = Needs()
    both = memory.of([fast > slow, fast < slow])[1]
    assert both == work(fast > slow, fast < slow)
    assert both < memory.of([fast > slow])[1] + memory.of([fast < slow])[1]


def test_memory_is_bounded(monkeypatch: object) -> None:
    memory = Needs()
    for k in range(50):
        memory.of([M.close > float(k)])
    assert len(memory._known) > 50
    monkeypatch.setattr(needs, "REMEMBERED", 20)  # type: ignore[attr-defined]
    assert memory.of([M.close > 1.0]) == (0, work(M.close > 1.0))
    assert len(memory._known) <= 4
