"""One bar at a time: many nodes in one compiled call, and what cannot be compiled beside it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest

from genesis.domain.errors import DataError
from genesis.market.panel import Panel
from genesis.strategy import primitives
from genesis.strategy.genome import random_genome
from genesis.strategy.language import Market, always, ema, maximum, minimum, rsi, sma
from genesis.strategy.learners.samples import FEATURES
from genesis.strategy.node import OPS, Array, Node, Op, register
from genesis.strategy.policy_inputs import policy_nodes
from genesis.strategy.registry import SeedRegistry
from genesis.strategy.stream import BlockRunner
from genesis.strategy.tape import written

M = Market()


def rows_of(panel: Panel, runner: BlockRunner, symbol: int = 0) -> list[list[float]]:
    """Values of a runner's fields, bar by bar."""
    columns = []
    for label in runner.fields:
        name, _, other = label.partition("@")
        series = panel.symbols[panel.index_of(other) if other else symbol]
        columns.append(np.where(series.valid, getattr(series, name), np.nan))
    return np.array(columns).T.tolist()  # type: ignore[no-any-return]


def check_same_bits(panel: Panel, nodes: list[Node]) -> None:
    whole = BlockRunner(nodes, panel).advance(panel.bars)
    runner = BlockRunner(nodes)
    got = [runner.feed_bar(row) for row in rows_of(panel, runner)]
    for node, array, values in zip(nodes, whole, zip(*got, strict=True), strict=True):
        assert {type(v) for v in values} == {int if node.boolean else float}
        assert np.array(values, dtype=array.dtype).tobytes() == array.tobytes(), node.text
    blocks = BlockRunner(nodes, panel)
    blocks.advance(panel.bars)
    assert runner.snapshot() == blocks.snapshot()


def test_every_built_in_primitive_is_compiled_into_the_loop() -> None:
    own = [op for op in OPS.values() if op.run.__module__.startswith(primitives.__name__)]
    assert len(own) > 40
    assert [op.name for op in own if not written(op)] == []


@pytest.mark.parametrize("seed", range(4))
def test_strategies_that_share_a_runner_get_the_bits_of_research(
    random_panel: Callable[..., Panel], seed: int
) -> None:
    registry, rng, nodes = SeedRegistry(), random.Random(seed), []
    for name in registry.names(ml=False):
        strategy = registry.express(random_genome(registry.get(name), rng))
        nodes += [node for _, node in strategy.rules.named()]
        nodes += [node for node in policy_nodes(strategy.policy) if node is not None]
    check_same_bits(random_panel(700, seed, 0.05), nodes)


def test_learners_run_between_compiled_stretches(random_panel: Callable[..., Panel]) -> None:
    inputs = [ema(M.close, 2 + k) / M.close for k in range(FEATURES)] + [M.close]
    forest = Node("quantile_forest", tuple(inputs), (3, 3, 8, 60, 5, 2, 20, 7, 0.3))
    check_same_bits(random_panel(300, 3, 0.05), [sma(forest, 5) > 0.0, forest, rsi(forest, 4)])


def test_a_primitive_of_a_user_runs_beside_the_loop(random_panel: Callable[..., Panel]) -> None:
    def run(inputs: list[Array | float], _p: object, state: Array, out: Array) -> None:
        for i in range(out.size):
            state[0] += 1.0
            values = [x if isinstance(x, float) else float(x[i]) for x in inputs]
            out[i] = values[0] + values[1] * state[0]

    none = lambda _: 0  # noqa: E731
    op = Op("stepping", "nn", (), False, run, lambda _: 1, none, none, lambda _: 1.0, "{0}", True)  # type: ignore[arg-type]
    register(op)
    try:
        own = Node("stepping", (M.close, (M.open * 0.0 + 2.0)), ())
        fixed = Node("stepping", (M.open, M.close * 0.5), ())
        check_same_bits(random_panel(50, 1), [own, ema(own, 5), own > fixed, ema(M.close, 4)])
    finally:
        del OPS["stepping"]


def test_constants_fields_and_repeated_nodes_are_answered(
    random_panel: Callable[..., Panel],
) -> None:
    close = M.close
    check_same_bits(
        random_panel(40, 2, 0.2),
        [always(), close, always(False), close > 99.0, close, ema(M.other("ETHUSDT").close, 3)],
    )
    assert BlockRunner([always(), always(False)]).feed_bar([]) == (1, 0)


def test_equal_operands_of_a_minimum_keep_their_sign() -> None:
    nodes = [minimum(0.0, M.close), minimum(M.close, 0.0)]
    nodes += [maximum(0.0, M.close), maximum(M.close, M.open)]
    bars = [(0.0, -0.0), (-0.0, 0.0), (0.0, 0.0), (-0.0, -0.0)]
    runner, blocks = BlockRunner(nodes), BlockRunner(nodes)
    for bar in bars:
        block = {name: np.array([value]) for name, value in zip(runner.fields, bar, strict=True)}
        signs = [math.copysign(1.0, float(array[0])) for array in blocks.feed(block)]
        assert [math.copysign(1.0, value) for value in runner.feed_bar(bar)] == signs


def test_a_bar_that_is_none_is_refused_before_any_state_changes() -> None:
    runner = BlockRunner([ema(M.close, 2) > M.open])
    assert runner.fields == ("close", "open")
    runner.feed_bar([2.0, 1.0])
    before = runner.state_hash
    for bad in ([1.0], [1.0, 2.0, 3.0], [1.0, "2"], [None, 1.0], 7.0):
        with pytest.raises(DataError, match="a bar is 2 numbers"):
            runner.feed_bar(bad)  # type: ignore[arg-type]
    assert (runner.state_hash, runner.bars) == (before, 1)
    assert runner.feed_bar([4.0, 1.0]) == (1,)


def test_a_snapshot_continues_bar_by_bar(random_panel: Callable[..., Panel]) -> None:
    panel = random_panel(200, 5, 0.05)
    nodes: list[Node] = [rsi(M.close, 14) > sma(rsi(M.close, 14), 20), ema(M.high, 9)]
    first, second = BlockRunner(nodes), BlockRunner(nodes)
    rows = rows_of(panel, first)
    second.feed_bar(rows[5])  # its state is replaced, also where it was written down already
    head = [first.feed_bar(row) for row in rows[:80]]
    second.restore(first.snapshot(), first.state_hash)
    rest = [second.feed_bar(row) for row in rows[80:]]
    whole = BlockRunner(nodes)
    assert repr(head + rest) == repr([whole.feed_bar(row) for row in rows])
